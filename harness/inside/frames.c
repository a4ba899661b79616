/* Tell frames_tool.c where this Python keeps its frames.
 *
 * Assumed: the states of all threads are a list that begins in the main interpreter's state, each with the thread's
 * pthread_self() and a way to the frame that it is in; a frame points to its code and to its caller. In 3.11 the list
 * cannot be searched, since a new state bears the number of the thread that made it: there the state of the thread that
 * holds the interpreter's lock is in one place. In 3.12 what points to the frame is in use before it does, when the
 * interpreter's loop is entered. From 3.13 on the interpreter tells its own offsets; before, they are those
 * of its headers. From 3.14 on the lowest bits of a frame's pointer to its code are not of the address.
 */
#include "cpython.h"

#include <pthread.h>
#include <string.h>

#include "counting.h"
#include "frames.h"
#include "methods.h"

/* What both below say in the same way. */
static struct whereabouts begin_description(void)
{
    PyASCIIObject ascii;
    memset(&ascii, 0, sizeof ascii);
    ascii.state.compact = ascii.state.ascii = 1;
    struct whereabouts where = {.frame_pointer = NO_OFFSET, .code_type = (unsigned long)&PyCode_Type};
    memcpy(&where.text_is_ascii, &ascii.state, sizeof where.text_is_ascii);
    return where;
}

#if PY_VERSION_HEX >= 0x030D0000

static struct whereabouts describe_frames(void)
{
    const struct _Py_DebugOffsets *const offsets = &_PyRuntime.debug_offsets;
    struct whereabouts where = begin_description();
    if (offsets->version != Py_Version)
        return where;
    const unsigned long interpreter = *(unsigned long *)((char *)&_PyRuntime + offsets->runtime_state.interpreters_head);
    where.threads = interpreter + offsets->interpreter_state.threads_head;
    where.thread_next = offsets->thread_state.next;
    where.thread_self = offsets->thread_state.thread_id;
    where.thread_frame = offsets->thread_state.current_frame;
    where.frame_code = offsets->interpreter_frame.executable;
    where.frame_previous = offsets->interpreter_frame.previous;
    where.frame_owner = offsets->interpreter_frame.owner;
    where.frame_bytes = offsets->interpreter_frame.size;
    where.object_type = offsets->pyobject.ob_type;
    where.code_file = offsets->code_object.filename;
    where.code_name = offsets->code_object.qualname;
    where.code_line = offsets->code_object.firstlineno;
    where.code_bytes = offsets->code_object.size;
    where.text_state = offsets->unicode_object.state;
    where.text_ascii = offsets->unicode_object.asciiobject_size;
#if PY_VERSION_HEX >= 0x030E0000
    where.code_tags = 3;
#endif
    return where;
}

#else

static struct whereabouts describe_frames(void)
{
    struct whereabouts where = begin_description();
#if PY_VERSION_HEX >= 0x030C0000
    where.threads = (unsigned long)&PyInterpreterState_Main()->threads.head;
    where.thread_next = offsetof(PyThreadState, next);
    where.entry_within = 1024; /* both are variables of the interpreter's loop */
#else
    where.threads = (unsigned long)&_PyRuntime.gilstate.tstate_current;
    where.thread_next = NO_OFFSET;
#endif
    where.thread_self = offsetof(PyThreadState, thread_id);
    where.thread_frame = offsetof(PyThreadState, cframe);
    where.frame_pointer = offsetof(_PyCFrame, current_frame);
    where.frame_code = offsetof(_PyInterpreterFrame, f_code);
    where.frame_previous = offsetof(_PyInterpreterFrame, previous);
    where.frame_owner = offsetof(_PyInterpreterFrame, owner);
    where.frame_bytes = sizeof(_PyInterpreterFrame);
    where.object_type = offsetof(PyObject, ob_type);
    where.code_file = offsetof(PyCodeObject, co_filename);
    where.code_name = offsetof(PyCodeObject, co_qualname);
    where.code_line = offsetof(PyCodeObject, co_firstlineno);
    where.code_bytes = sizeof(PyCodeObject);
    where.text_state = offsetof(PyASCIIObject, state);
    where.text_ascii = sizeof(PyASCIIObject);
    return where;
}

#endif

/* Tools other than frames_tool.c do not know the request. */
void tell_frames(void)
{
#ifndef WITHOUT_VALGRIND
    struct whereabouts where = describe_frames();
    VALGRIND_DO_CLIENT_REQUEST_STMT(WHERE_FRAMES_ARE, &where, 0, 0, 0, 0);
#endif
}

/* Whether the string at this address reads as Python says it does. */
static int reads_as(const struct whereabouts *where, unsigned long string, PyObject *text)
{
    if (string != (unsigned long)text)
        return 0;
    const unsigned int state = *(const unsigned int *)(string + where->text_state);
    const int ascii = (state & where->text_is_ascii) == where->text_is_ascii;
    return ascii == (PyUnicode_IS_ASCII(text) != 0) &&
           (!ascii || strcmp((const char *)(string + where->text_ascii), PyUnicode_AsUTF8(text)) == 0);
}

static int finds(const struct whereabouts *where, PyFrameObject *expected)
{
    PyCodeObject *const code = PyFrame_GetCode(expected);
    const unsigned long state = state_of(where, pthread_self());
    unsigned long frame = state == 0 ? 0 : frame_of(where, state);
    while (frame != 0 && is_of_no_function(where, frame))
        frame = word_at(frame + where->frame_previous);
    const unsigned long found = frame == 0 ? 0 : code_of(where, frame);
    const int right = found == (unsigned long)code && word_at(found + where->object_type) == where->code_type &&
                      *(const int *)(found + where->code_line) == code->co_firstlineno &&
                      reads_as(where, word_at(found + where->code_file), code->co_filename) &&
                      reads_as(where, word_at(found + where->code_name), code->co_qualname);
    Py_DECREF(code);
    return right;
}

const char *check_frames(void)
{
    const struct whereabouts where = describe_frames();
    PyFrameObject *const running = PyEval_GetFrame();
    return running != NULL && finds(&where, running) ? NULL : "frames are not where they are looked for";
}
