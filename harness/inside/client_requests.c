/* The C face of the harness: what must not run as Python bytecode.
 *
 * call_counted() starts and stops counting right around the calls, so that nothing of the harness's own Python is in a
 * count. serve() is the fork server's loop: it makes no Python object between two forks, so that every
 * worker is born from the same heap, whatever was counted before it.
 *
 * Compiled at the start of every session (half a second, no cache, nothing stale) against the valgrind headers that are
 * installed; with -DWITHOUT_VALGRIND the requests do nothing.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define Py_BUILD_CORE
#include <internal/pycore_context.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_runtime.h>
#undef Py_BUILD_CORE

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocators.h"
#include "counting.h"
#include "frames.h"

static struct counting counting;
static uint64_t marked_at;
static long slot = NO_SLOT;

/* count_by_reading(yes) -> whether counting can be done so here: under valgrind, and if yes, under the readable tool. */
static PyObject *count_by_reading(PyObject *self, PyObject *yes)
{
    counting.by_reading = yes == Py_True;
    return PyBool_FromLong(RUNNING_ON_VALGRIND && (!counting.by_reading || READ_INSTRUCTIONS() > 0));
}

static PyObject *start(PyObject *self, PyObject *unused)
{
    start_counting(&counting);
    Py_RETURN_NONE;
}

static PyObject *stop(PyObject *self, PyObject *unused)
{
    stop_counting(&counting);
    Py_RETURN_NONE;
}

/* mark(slot): what passes from here to the next mark belongs to that slot; NO_SLOT: to none. */
static PyObject *mark(PyObject *self, PyObject *number)
{
    const long next = PyLong_AsLong(number);
    if (next == -1 && PyErr_Occurred())
        return NULL;
    if (next < NO_SLOT || next >= SLOTS) {
        PyErr_Format(PyExc_ValueError, "mark takes a slot below %d, or -1", SLOTS);
        return NULL;
    }
    const uint64_t now = READ_INSTRUCTIONS();
    if (slot != NO_SLOT)
        counting.runs[counting.run].spent[slot] += now - marked_at;
    marked_at = now;
    slot = next;
    Py_RETURN_NONE;
}

/* begin(): from here on what the process does is of this run. It makes no object, as nothing between two counts does:
 * whatever one counter allocated there and the other did not would be a layout of that counter's own. */
static uint64_t made_before[SYSTEM_CALLS];

static PyObject *begin(PyObject *self, PyObject *unused)
{
    (void)READ_SYSTEM_CALLS(made_before);
    Py_RETURN_NONE;
}

/* take(label): ends a run. Callgrind writes what was counted into the next numbered file and zeroes its counts; only while
 * stopped: with instrumented frames on the stack its totals come out wrong. */
static PyObject *take(PyObject *self, PyObject *label)
{
    const char *text = PyUnicode_AsUTF8(label);
    if (text == NULL)
        return NULL;
    if (counting.run == RUNS - 1) {
        PyErr_Format(PyExc_ValueError, "a worker counts at most %d runs", RUNS - 1);
        return NULL;
    }
    if (!counting.by_reading)
        CALLGRIND_DUMP_STATS_AT(text);
    uint64_t made[SYSTEM_CALLS];
    const int kinds = (int)READ_SYSTEM_CALLS(made);
    for (int kind = 0; kind < kinds; kind++)
        counting.runs[counting.run].made[kind] = made[kind] - made_before[kind];
    counting.run++;
    Py_RETURN_NONE;
}

/* taken() -> for every run so far what was counted by reading, and by slot, and its system calls of each kind. */
static PyObject *taken(PyObject *self, PyObject *unused)
{
    PyObject *all = PyList_New(0);
    for (int number = 0; all != NULL && number < counting.run; number++) {
        PyObject *spent = PyList_New(SLOTS);
        for (int at = 0; spent != NULL && at < SLOTS; at++)
            PyList_SET_ITEM(spent, at, PyLong_FromUnsignedLongLong(counting.runs[number].spent[at]));
        PyObject *made = PyTuple_New(SYSTEM_CALLS);
        for (int kind = 0; made != NULL && kind < SYSTEM_CALLS; kind++)
            PyTuple_SET_ITEM(made, kind, PyLong_FromUnsignedLongLong(counting.runs[number].made[kind]));
        PyObject *told = Py_BuildValue("KNN", (unsigned long long)counting.runs[number].counted, spent, made);
        if (told == NULL || PyList_Append(all, told) < 0)
            Py_CLEAR(all);
        Py_XDECREF(told);
    }
    return all;
}

/* Whether this process was forked by the workload: a worker itself is born in serve(), which clears it. */
static int forked;

static void in_child(void)
{
    forked = 1;
}

/* What call_counted takes besides a callable: the address of a native_loop, in a capsule. */
static const char *const LOOP = "native_loop";

static PyObject *loop_at(PyObject *self, PyObject *address)
{
    void *loop = PyLong_AsVoidPtr(address);
    return loop == NULL ? NULL : PyCapsule_New(loop, LOOP, NULL);
}

/* call_counted(work, calls): calls work() that many times and counts that. The results are dropped inside the
 * counted part, as a caller would drop them. A native loop is called once and counts by itself. */
static PyObject *call_counted(PyObject *self, PyObject *const *arguments, Py_ssize_t number)
{
    if (number != 2) {
        PyErr_SetString(PyExc_TypeError, "call_counted takes a callable and a number of calls");
        return NULL;
    }
    PyObject *work = arguments[0];
    const long calls = PyLong_AsLong(arguments[1]);
    if (calls == -1 && PyErr_Occurred())
        return NULL;

    /* The same place in a page of the stack, however long the environment is that lies above it. */
    volatile char *const place = alloca((uintptr_t)__builtin_frame_address(0) % PAGE + 1);
    place[0] = 0;

    if (PyCapsule_IsValid(work, LOOP)) {
        native_loop *const loop = (native_loop *)PyCapsule_GetPointer(work, LOOP);
        const char *error;
        Py_BEGIN_ALLOW_THREADS /* autograd's engine refuses to be called by who holds it */
        error = loop(calls, &counting);
        Py_END_ALLOW_THREADS
        if (error != NULL)
            return PyErr_Format(PyExc_RuntimeError, "%s", error);
        Py_RETURN_NONE;
    }

    int raised = 0;
    start_counting(&counting);
    for (long call = 0; call < calls; call++) {
        PyObject *result = PyObject_CallNoArgs(work);
        if (result == NULL) {
            raised = 1;
            break;
        }
        Py_DECREF(result);
        if (forked) { /* else this child would make the calls that are left, and a child in each of them */
            PyErr_SetString(PyExc_RuntimeError, "a child that `work` forked came back from it");
            raised = 1;
            break;
        }
    }
    stop_counting(&counting);
    if (raised)
        return NULL;
    Py_RETURN_NONE;
}

/* Python hashes a context variable by its address, and finds it in a tree whose depth depends on how the hashes fall:
 * where a variable happened to lie moved the count of a compiled call by up to 1.2 %. Here the hash follows the name and
 * how many variables were made before it under that name: it is the same wherever the variable lies. From a `[` on a
 * name is ignored, since torch writes an address there (`...ConfigPatch[824971]`). */
static newfunc make_context_variable;

static PyObject *stable_part(PyObject *name)
{
    const Py_ssize_t length = PyUnicode_GetLength(name);
    const Py_ssize_t end = PyUnicode_FindChar(name, '[', 0, length, 1);
    return end == -2 ? NULL : PyUnicode_Substring(name, 0, end == -1 ? length : end);
}

static PyObject *make_placed_context_variable(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static PyObject *made; /* name -> how many variables of that name */
    PyObject *name = NULL;
    PyObject *variable = make_context_variable(type, arguments, keywords);
    if (variable == NULL)
        return NULL;
    if (made == NULL && (made = PyDict_New()) == NULL)
        goto failed;
    name = stable_part(((PyContextVar *)variable)->var_name);
    if (name == NULL)
        goto failed;
    PyObject *number = PyDict_GetItemWithError(made, name);
    if (number == NULL && PyErr_Occurred())
        goto failed;
    const long before = number == NULL ? 0 : PyLong_AsLong(number);
    PyObject *after = PyLong_FromLong(before + 1);
    if (after == NULL || PyDict_SetItem(made, name, after) < 0) {
        Py_XDECREF(after);
        goto failed;
    }
    Py_DECREF(after);
    ((PyContextVar *)variable)->var_hash = PyObject_Hash(name) ^ (before * 0x9E3779B1L);
    Py_DECREF(name);
    return variable;

failed:
    Py_XDECREF(name);
    Py_DECREF(variable);
    return NULL;
}

static PyObject *place_context_variables(PyObject *self, PyObject *unused)
{
    make_context_variable = PyContextVar_Type.tp_new;
    PyContextVar_Type.tp_new = make_placed_context_variable;
    Py_RETURN_NONE;
}

/* Python caches what it finds on types in a table that is indexed by a name's address and the type's version. Where two
 * things used in turn fall on one place, every call pays for both: by chance, up to 3 % of a small operator. Here all
 * versions become void and are given anew, in another order each time, so that what fell on one place in one deal does
 * not in the next. */
static PyObject *types; /* a tuple of all there are */

static PyObject *know_types(PyObject *self, PyObject *tuple)
{
    types = Py_NewRef(tuple);
    Py_RETURN_NONE;
}

static PyObject *renew_type_versions(PyObject *self, PyObject *name)
{
    static const Py_ssize_t strides[] = {1009, 2003, 3001, 4001, 5003, 6007, 7001, 8009, 9001, 10007};
    static size_t deal;
    PyType_Modified(&PyBaseObject_Type);
    const Py_ssize_t number = PyTuple_GET_SIZE(types);
    Py_ssize_t stride;
    do
        stride = strides[deal++ % (sizeof strides / sizeof *strides)];
    while (number % stride == 0); /* they are primes, so this one meets every type once */
    for (Py_ssize_t count = 0, at = 0; count < number; count++, at = (at + stride) % number)
        _PyType_Lookup((PyTypeObject *)PyTuple_GET_ITEM(types, at), name);
    Py_RETURN_NONE;
}

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

/* serve(control) -> bytes in a new worker, None in the server when the other end has closed.
 *
 * Every packet is one request. 'F' + text: fork; the worker returns text, the server answers its pid. 'W' + pid as a
 * 32-bit integer: wait for that worker; the server answers its wait status. Answers are 32-bit integers; a negative one
 * is -errno. A worker leads a process group of its own and dies with the server. */
static PyObject *serve(PyObject *self, PyObject *number)
{
    const int control = (int)PyLong_AsLong(number);
    if (control == -1 && PyErr_Occurred())
        return NULL;
    const pid_t server = getpid();

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
            const pid_t worker = fork();
            if (worker == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != server)
                    _exit(1);
                setpgid(0, 0);
                close(control);
                forked = 0;
                PyOS_AfterFork_Child();
                return PyBytes_FromStringAndSize(request + 1, bytes - 1);
            }
            value = worker < 0 ? -errno : (int32_t)worker;
        }
        if (!answer(control, value))
            return PyErr_SetFromErrno(PyExc_OSError);
    }
}

static PyObject *die_with_parent(PyObject *self, PyObject *none)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"count_by_reading", count_by_reading, METH_O, "Count with the readable counter (True) or with Callgrind (False)."},
    {"start", start, METH_NOARGS, "Start counting instructions."},
    {"stop", stop, METH_NOARGS, "Stop counting instructions."},
    {"mark", mark, METH_O, "mark(slot): what passes from now on belongs to that slot."},
    {"begin", begin, METH_NOARGS, "begin(): from here on what the process does is of this run."},
    {"take", take, METH_O, "take(label): end a run, whose count is then known."},
    {"taken", taken, METH_NOARGS, "For every run: what was counted by reading, and by slot, and the system calls that it made, by kind."},
    {"call_counted", (PyCFunction)(void (*)(void))call_counted, METH_FASTCALL,
     "call_counted(work, calls): count work() that many times."},
    {"loop_at", loop_at, METH_O, "loop_at(address): a native loop, for call_counted."},
    {"place_context_variables", place_context_variables, METH_NOARGS,
     "Hash context variables made from now on by name, not by address."},
    {"know_types", know_types, METH_O, "know_types(tuple): all types, for renew_type_versions."},
    {"renew_type_versions", renew_type_versions, METH_O,
     "renew_type_versions(name): deal the places in the cache of type attributes anew. Any name will do."},
    {"renew_allocators", renew_allocators, METH_NOARGS, "Take all that is free: see allocators.c."},
    {"serve", serve, METH_O, "serve(control): fork a worker per request; see the comment in the source."},
    {"die_with_parent", die_with_parent, METH_NOARGS, "Have the kernel kill this process when its parent ends."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_client_requests", NULL, -1, methods};

/* Tell frames_tool.c where this Python keeps its frames; other tools do not know the request. */
static void tell_frames(void)
{
#if PY_VERSION_HEX >> 16 == 0x030B && !defined(WITHOUT_VALGRIND)
    PyASCIIObject ascii;
    memset(&ascii, 0, sizeof ascii);
    ascii.state.compact = ascii.state.ascii = 1;
    struct whereabouts where = {
        .thread_state = (unsigned long)&_PyRuntime.gilstate.tstate_current,
        .state_thread = offsetof(PyThreadState, thread_id),
        .state_cframe = offsetof(PyThreadState, cframe),
        .cframe_frame = offsetof(_PyCFrame, current_frame),
        .frame_code = offsetof(_PyInterpreterFrame, f_code),
        .frame_previous = offsetof(_PyInterpreterFrame, previous),
        .frame_bytes = sizeof(_PyInterpreterFrame),
        .object_type = offsetof(PyObject, ob_type),
        .code_type = (unsigned long)&PyCode_Type,
        .code_file = offsetof(PyCodeObject, co_filename),
        .code_name = offsetof(PyCodeObject, co_qualname),
        .code_line = offsetof(PyCodeObject, co_firstlineno),
        .code_bytes = sizeof(PyCodeObject),
        .text_state = offsetof(PyASCIIObject, state),
        .text_ascii = sizeof(PyASCIIObject),
    };
    memcpy(&where.text_is_ascii, &ascii.state, sizeof where.text_is_ascii);
    VALGRIND_DO_CLIENT_REQUEST_STMT(WHERE_FRAMES_ARE, &where, 0, 0, 0, 0);
#endif
}

PyMODINIT_FUNC PyInit__client_requests(void)
{
    tell_frames();
    pthread_atfork(NULL, NULL, in_child);
    return PyModule_Create(&definition);
}
