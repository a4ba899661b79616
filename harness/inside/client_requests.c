/* The C face of the harness: what must not run as Python bytecode.
 *
 * Here is what counts: call_counted() starts and stops counting right around the calls, so that nothing of the harness's
 * own Python is in a count. What leans on CPython's insides has a source of its own for each concern: see methods.h.
 *
 * Compiled against the valgrind headers that are installed, and kept for equal sources, headers and compilers (see
 * engine/extension.py). With -DWITHOUT_VALGRIND the requests do nothing.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "counting.h"
#include "methods.h"

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
int forked;

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
        counting.renew = renew_heap;
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

/* check_assumptions() -> None. Raises RuntimeError where CPython's insides are not what the sources here assume. */
static PyObject *check_assumptions(PyObject *self, PyObject *unused)
{
    static const char *(*const checks[])(void) = {check_context_variables, check_type_versions, check_allocators,
                                                  check_tables, check_names, check_forks, check_frames};
    if (Py_Version != PY_VERSION_HEX) /* else it may not even be safe to look */
        return PyErr_Format(PyExc_RuntimeError, "its headers are those of another version, " PY_VERSION);
    for (size_t check = 0; check < sizeof checks / sizeof *checks; check++) {
        const char *const found = checks[check]();
        if (found != NULL) {
            PyErr_Clear();
            return PyErr_Format(PyExc_RuntimeError, "%s", found);
        }
    }
    Py_RETURN_NONE;
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
    {"check_assumptions", check_assumptions, METH_NOARGS, "Check that CPython's insides are as is assumed here."},
    {"place_context_variables", place_context_variables, METH_NOARGS,
     "Hash context variables made from now on by name, not by address: see context_variables.c."},
    {"know_types", know_types, METH_O, "know_types(tuple): all types, for place_type_versions."},
    {"spread_type_versions", spread_type_versions, METH_VARARGS,
     "spread_type_versions(types, names): give versions anew, such that follow from the names. See type_versions.c."},
    {"place_type_versions", place_type_versions, METH_O,
     "place_type_versions(name): give versions anew, by looking that name up; any will do. See type_versions.c."},
    {"learn_lookups", learn_lookups, METH_NOARGS, "How many look-ups show in the cache that were not known."},
    {"forget_lookups", forget_lookups, METH_NOARGS, "Empty the cache of type attributes."},
    {"keep_places_free", keep_places_free, METH_NOARGS,
     "Take memory in which a new string would take another one's place: see type_versions.c."},
    {"align_arenas", align_arenas, METH_NOARGS, "Align what Python's allocator gets from now on: see allocators.c."},
    {"renew_allocators", renew_allocators, METH_NOARGS, "Take all that is free: see allocators.c."},
    {"spread_tables", spread_tables, METH_O, "spread_tables(list): give dicts among them room: see tables.c."},
    {"place_names", place_names, METH_O, "place_names(bytecode): intern its names at chosen addresses: see names.c."},
    {"serve", serve, METH_O, "serve(control): fork a worker per request; see fork_server.c."},
    {"die_with_parent", die_with_parent, METH_NOARGS, "Have the kernel kill this process when its parent ends."},
    {"go_native", go_native, METH_NOARGS, "Run what follows on the processor itself: see native.c."},
    {"is_native", is_native, METH_NOARGS, "Whether this runs on the processor itself."},
    {"native_lack", native_lack, METH_NOARGS, "Why go_native() does nothing, a sentence; None where it can."},
    {"go_simulated", go_simulated, METH_NOARGS, "Let valgrind simulate what follows."},
    {"cpuids_in", cpuids_in, METH_O, "cpuids_in(bytes): where an ELF file has the instruction cpuid. See cpuid.c."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_client_requests", NULL, -1, methods};

PyMODINIT_FUNC PyInit__client_requests(void)
{
    tell_frames();
    if (RUNNING_ON_VALGRIND)
        leave_break();
    pthread_atfork(NULL, NULL, in_child);
    return PyModule_Create(&definition);
}
