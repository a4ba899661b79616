/* Context variables whose hash does not follow from where they lie.
 *
 * Python hashes a context variable by its address, and finds it in a tree whose depth depends on how the hashes fall:
 * where a variable happened to lie moved the count of a compiled call by up to 1.2 %. Here the hash follows the name and
 * how many variables were made before it under that name: it is the same wherever the variable lies. From a `[` on a
 * name is ignored, since torch writes an address there (`...ConfigPatch[824971]`).
 *
 * Assumed, in 3.11 to 3.15: a variable keeps its hash in var_hash, and hash() answers with it.
 */
#include "cpython.h"
#include "methods.h"

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

PyObject *place_context_variables(PyObject *self, PyObject *unused)
{
    make_context_variable = PyContextVar_Type.tp_new;
    PyContextVar_Type.tp_new = make_placed_context_variable;
    Py_RETURN_NONE;
}

const char *check_context_variables(void)
{
    PyObject *variable = PyContextVar_New("checked", NULL);
    if (variable == NULL)
        return "a context variable cannot be made";
    const Py_hash_t own = ((PyContextVar *)variable)->var_hash;
    ((PyContextVar *)variable)->var_hash = own + 1;
    const Py_hash_t answered = PyObject_Hash(variable);
    ((PyContextVar *)variable)->var_hash = own;
    const int kept = PyObject_Hash(variable) == own && answered == own + 1;
    Py_DECREF(variable);
    return kept ? NULL : "the hash of a context variable is not where it is looked for";
}
