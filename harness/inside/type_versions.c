/* Type versions dealt anew, so that no chance place in the cache of type attributes is in a count.
 *
 * Python caches what it finds on types in a table that is indexed by a name's address and the type's version. Where two
 * things used in turn fall on one place, every call pays for both: by chance, up to 3 % of a small operator. Here all
 * versions become void and are given anew, in another order each time, so that what fell on one place in one deal does
 * not in the next.
 *
 * Assumed, in 3.11 to 3.15: PyType_Modified() of `object` voids the version of every type, a look-up gives the type the
 * next version, and the table is indexed as place_of() says. A version of a static type is never given twice: from 3.12
 * on there are 65,535 for all of them and, from 3.13 on, 1000 for each type; where they end is an error.
 */
#include "cpython.h"
#include "methods.h"

static PyObject *types; /* a tuple of all there are */

PyObject *know_types(PyObject *self, PyObject *tuple)
{
    types = Py_NewRef(tuple);
    Py_RETURN_NONE;
}

PyObject *renew_type_versions(PyObject *self, PyObject *name)
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
    if (PyType_Type.tp_version_tag == 0)
        return PyErr_Format(PyExc_RuntimeError, "this Python has no more versions for its %zd types", number);
    Py_RETURN_NONE;
}

static struct type_cache_entry *place_of(PyTypeObject *type, PyObject *name)
{
#if PY_VERSION_HEX >= 0x030C0000
    struct type_cache_entry *const table = PyInterpreterState_Get()->types.type_cache.hashtable;
#else
    struct type_cache_entry *const table = PyInterpreterState_Get()->type_cache.hashtable;
#endif
    const unsigned int hash = type->tp_version_tag ^ (unsigned int)((Py_ssize_t)name >> 3);
    return &table[hash & ((1 << MCACHE_SIZE_EXP) - 1)];
}

/* Whether what is looked up is then where the table is thought to hold it, under the version that the type has. */
static int is_cached(PyTypeObject *type, PyObject *name)
{
    _PyType_Lookup(type, name);
    _PyType_Lookup(type, name); /* from 3.13 on the first, which gives a version, keeps it under the one before */
    const struct type_cache_entry *const place = place_of(type, name);
    return type->tp_version_tag != 0 && place->version == type->tp_version_tag && place->name == name;
}

const char *check_type_versions(void)
{
    PyObject *name = PyUnicode_InternFromString("__doc__");
    if (name == NULL)
        return "no name can be made to look up";
    PyTypeObject *const type = &PyType_Type;
    int holds = is_cached(type, name);
    const unsigned int before = type->tp_version_tag;
    PyType_Modified(&PyBaseObject_Type);
    holds = holds && type->tp_version_tag == 0;
    holds = holds && is_cached(type, name) && type->tp_version_tag != before;
    Py_DECREF(name);
    return holds ? NULL : "versions of types, or the table of their attributes, do not work as is assumed";
}
