/* The fork server's loop. It makes no Python object between two forks, so that every worker is born from the same heap,
 * whatever was counted before it.
 *
 * Assumed, in 3.11 to 3.15: a fork stands between PyOS_BeforeFork() and PyOS_AfterFork_Child() or _Parent(), which hold
 * the import's lock and, from 3.13 on, others that the child must find held; and the functions that os.register_at_fork()
 * was given are in lists of the interpreter's state. Those for before a fork and for the parent are Python's and make
 * objects: in the server they are not called.
 */
#include "cpython.h"
#include "methods.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The largest request the supervisor may send, in bytes; the buffer is static so that its address never moves. */
enum { REQUEST_BYTES = 65536 };
static char request[REQUEST_BYTES];

static int answer(int control, int32_t value)
{
    ssize_t sent;
    do
        sent = send(control, &value, sizeof value, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)sizeof value;
}

static int32_t reap(const char *body, ssize_t bytes)
{
    int32_t pid;
    int status;
    if (bytes != (ssize_t)sizeof pid)
        return -EINVAL;
    memcpy(&pid, body, sizeof pid);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status;
}

/* fork(), after which Python works on both sides. In the child `control` is closed and the process leads a group of its
 * own; it dies with the server. */
static pid_t fork_worker(int control)
{
    PyInterpreterState *const state = PyInterpreterState_Get();
    PyObject *const before = state->before_forkers, *const in_parent = state->after_forkers_parent;
    const pid_t server = getpid();
    state->before_forkers = state->after_forkers_parent = NULL;
    PyOS_BeforeFork();
    const pid_t worker = fork();
    const int error = errno;
    if (worker == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != server)
            _exit(1);
        setpgid(0, 0);
        close(control);
        forked = 0;
        state->before_forkers = before;
        state->after_forkers_parent = in_parent;
        PyOS_AfterFork_Child();
    } else {
        PyOS_AfterFork_Parent();
        state->before_forkers = before;
        state->after_forkers_parent = in_parent;
    }
    errno = error;
    return worker;
}

/* serve(control) -> bytes in a new worker, None in the server when the other end has closed.
 *
 * Every packet is one request. 'F' + text: fork; the worker returns text, the server answers its pid. 'W' + pid as a
 * 32-bit integer: wait for that worker; the server answers its wait status. Answers are 32-bit integers; a negative one
 * is -errno. */
PyObject *serve(PyObject *self, PyObject *number)
{
    const int control = (int)PyLong_AsLong(number);
    if (control == -1 && PyErr_Occurred())
        return NULL;

    for (;;) {
        const ssize_t bytes = recv(control, request, sizeof request, 0);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0)
            return PyErr_SetFromErrno(PyExc_OSError);
        if (bytes == 0)
            Py_RETURN_NONE;

        int32_t value = -EINVAL;
        if (request[0] == 'W')
            value = reap(request + 1, bytes - 1);
        else if (request[0] == 'F') {
            const pid_t worker = fork_worker(control);
            if (worker == 0)
                return PyBytes_FromStringAndSize(request + 1, bytes - 1);
            value = worker < 0 ? -errno : (int32_t)worker;
        }
        if (!answer(control, value))
            return PyErr_SetFromErrno(PyExc_OSError);
    }
}

static int is_list(PyObject *functions)
{
    return functions == NULL || PyList_CheckExact(functions);
}

const char *check_forks(void)
{
    const PyInterpreterState *const state = PyInterpreterState_Get();
    /* `random`, which the server has imported, registers one for the child. */
    const int holds = is_list(state->before_forkers) && is_list(state->after_forkers_parent) &&
                      state->after_forkers_child != NULL && PyList_CheckExact(state->after_forkers_child);
    return holds ? NULL : "the functions to call around a fork are not where they are looked for";
}
