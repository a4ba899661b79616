/* Places in the cache of type attributes, chosen so that no chance is in a count.
 *
 * Python caches what it finds on types in a table that is indexed by a name's address and the type's version. Where two
 * things used in turn fall on one place, every call pays for both: by chance, up to 3 % of a small operator. So the
 * versions of all types are made void and given anew, and each type that `work` asks gets one with which all that is
 * asked of it has a place of its own.
 *
 * What is asked shows in the table after a call (learn_lookups), less what lost its place to something else; that shows
 * once the known ones have places of their own. So placing and learning take turns, in every worker equally often.
 *
 * Torch also asks by names that are new strings each time, such as "__torch_function__". The table keeps such a string,
 * so that the next one lies elsewhere in memory and falls on another place, until one falls on a place that is used.
 * From then on both are looked for anew in every call, since the string that lost its place is freed and the next one
 * lies where it lay. That moved what compiles by 0.07 %. So types have even versions where that can be: then a new string,
 * which lies at a multiple of 16, takes an even place, and a name in bytecode (names.c) an odd one. Memory in which a
 * string would take the place of another name is kept beforehand (keep_places_free).
 *
 * Assumed, in 3.11 to 3.15: PyType_Modified() of `object` voids the version of every type; a look-up gives the type the
 * next version, its bases before it, and from 3.12 on static types have a sequence of their own; PyType_ClearCache()
 * empties the table, which is indexed as place_of() says. A version of a static type is never given twice: from 3.12 on
 * there are 65,535 for all of them and, from 3.13 on, 1000 for each type; where they end is an error.
 */
#include "cpython.h"
#include "methods.h"

#include <stdint.h>
#include <string.h>

static PyObject *types; /* a tuple of all there are */

PyObject *know_types(PyObject *self, PyObject *tuple)
{
    Py_XSETREF(types, Py_NewRef(tuple));
    Py_RETURN_NONE;
}

enum { PLACES = 1 << MCACHE_SIZE_EXP, TYPES = 512, NAMES = 128, SEQUENCES = 2 };

/* More references than this has only what is static; strings of the interpreter are, which need not be interned. */
enum { STATIC = 1 << 20 };

/* Sizes of blocks for strings; those of up to 100 letters are cached. */
enum { SHORTEST = 48, LONGEST = 160, STEP = 16, POOL = 1 << 14 };

/* The bit that stands for blocks of this size, in bytes. */
static unsigned bit_of(unsigned size)
{
    return 1U << (size <= SHORTEST ? 0 : (size - SHORTEST + STEP - 1) / STEP);
}

static struct type_cache_entry *table(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyInterpreterState_Get()->types.type_cache.hashtable;
#else
    return PyInterpreterState_Get()->type_cache.hashtable;
#endif
}

static unsigned place(unsigned version, const void *name)
{
    return (version ^ (unsigned)((uintptr_t)name >> 3)) % PLACES;
}

static struct type_cache_entry *place_of(PyTypeObject *type, PyObject *name)
{
    return &table()[place(type->tp_version_tag, name)];
}

/* A type that `work` asks, and by which names; in `renamed` the sizes, as bits, of the new strings by which it is asked
 * too. What there is no room for keeps the place that chance gives it. */
static struct asked {
    PyTypeObject *type;
    PyObject *names[NAMES];
    int number, placed;
    unsigned renamed;
} asked[TYPES];
static int number_asked;

static struct asked *find(const PyTypeObject *type)
{
    for (int at = 0; at < number_asked; at++)
        if (asked[at].type == type)
            return &asked[at];
    return NULL;
}

static PyTypeObject *of_version(unsigned version)
{
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(types); at++) {
        PyTypeObject *const type = (PyTypeObject *)PyTuple_GET_ITEM(types, at);
        if (type->tp_version_tag == version)
            return type;
    }
    return NULL; /* a type that was changed since, or is new */
}

static int learn(PyTypeObject *type, PyObject *name)
{
    struct asked *of = find(type);
    if (of == NULL) {
        if (number_asked == TYPES)
            return 0;
        of = &asked[number_asked++];
        of->type = type;
    }
    if (!PyUnicode_CHECK_INTERNED(name) && Py_REFCNT(name) < STATIC) {
        const unsigned size_bit = bit_of((unsigned)(sizeof(PyASCIIObject) + PyUnicode_GET_LENGTH(name) + 1));
        const int is_new = !(of->renamed & size_bit);
        of->renamed |= size_bit;
        return is_new;
    }
    for (int at = 0; at < of->number; at++)
        if (of->names[at] == name)
            return 0;
    if (of->number == NAMES)
        return 0;
    of->names[of->number++] = Py_NewRef(name);
    return 1;
}

/* learn_lookups() -> how many look-ups show in the table that were not known. */
PyObject *learn_lookups(PyObject *self, PyObject *unused)
{
    struct type_cache_entry *const entries = table();
    int number = 0;
    for (int at = 0; at < PLACES; at++)
        if (entries[at].version != 0 && entries[at].name != NULL && PyUnicode_CheckExact(entries[at].name)) {
            PyTypeObject *const type = of_version(entries[at].version);
            number += type != NULL && learn(type, entries[at].name);
        }
    return PyLong_FromLong(number);
}

/* forget_lookups(): empty the table, and so free the strings in it. */
PyObject *forget_lookups(PyObject *self, PyObject *unused)
{
    PyType_ClearCache();
    Py_RETURN_NONE;
}

/* Types take versions from one sequence or, from 3.12 on, from two. */
static int sequence(const PyTypeObject *type)
{
    return PY_VERSION_HEX >= 0x030C0000 && PyType_HasFeature((PyTypeObject *)type, Py_TPFLAGS_IMMUTABLETYPE);
}

/* A look-up gives a type's bases versions first: whether they have theirs. */
static int is_next(const PyTypeObject *type)
{
    if (type->tp_version_tag != 0)
        return 0;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(type->tp_bases); at++)
        if (((PyTypeObject *)PyTuple_GET_ITEM(type->tp_bases, at))->tp_version_tag == 0)
            return 0;
    return 1;
}

/* Whether all that is asked of a type has a place of its own with this version, and none that new strings take. */
static int fits(const struct asked *of, unsigned version, const unsigned char *taken)
{
    if (version % 2 != 0)
        return 0;
    for (int at = 0; at < of->number; at++) {
        if (taken[place(version, of->names[at])])
            return 0;
        for (int other = 0; other < at; other++)
            if (place(version, of->names[at]) == place(version, of->names[other]))
                return 0;
    }
    return 1;
}

/* A type that is asked and fits the next version of its sequence; with no `taken`, one that could have it. */
static struct asked *fitting(const unsigned *last, const unsigned char *taken)
{
    for (int at = 0; at < number_asked; at++) {
        struct asked *const of = &asked[at];
        const unsigned before = last[sequence(of->type)];
        if (!of->placed && is_next(of->type) && (taken == NULL || (before != 0 && fits(of, before + 1, taken))))
            return of;
    }
    return NULL;
}

/* A type that is not asked, to have a version that does not fit the others. */
static PyTypeObject *filler(Py_ssize_t *from)
{
    while (*from < PyTuple_GET_SIZE(types)) {
        PyTypeObject *const type = (PyTypeObject *)PyTuple_GET_ITEM(types, (*from)++);
        if (is_next(type) && find(type) == NULL)
            return type;
    }
    return NULL;
}

static void make_versions_void(void)
{
    PyType_Modified(&PyBaseObject_Type);
    PyType_ClearCache();
}

/* place_type_versions(name): give all types versions anew, by looking that name up; any will do. */
PyObject *place_type_versions(PyObject *self, PyObject *name)
{
    static unsigned char taken[PLACES];
    unsigned last[SEQUENCES] = {0};
    Py_ssize_t from = 0;
    make_versions_void(); /* with the table, else one without a version would have what others without one left there */
    memset(taken, 0, sizeof taken);
    for (int at = 0; at < number_asked; at++)
        asked[at].placed = 0;
    for (int left = number_asked; left > 0;) {
        struct asked *of = fitting(last, taken);
        PyTypeObject *type = of == NULL ? filler(&from) : of->type;
        if (type == NULL) { /* no other type is left to wait with */
            of = fitting(last, NULL);
            if (of == NULL)
                break;
            type = of->type;
        }
        _PyType_Lookup(type, name);
        last[sequence(type)] = type->tp_version_tag;
        if (of != NULL) {
            for (int at = 0; at < of->number; at++)
                taken[place(type->tp_version_tag, of->names[at])] = 1;
            of->placed = 1;
            left--;
        }
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(types); at++)
        _PyType_Lookup((PyTypeObject *)PyTuple_GET_ITEM(types, at), name);
    PyType_ClearCache();
    if (PyType_Type.tp_version_tag == 0)
        return PyErr_Format(PyExc_RuntimeError, "this Python has no more versions for its %zd types",
                            PyTuple_GET_SIZE(types));
    Py_RETURN_NONE;
}

/* A type that is there for nothing but to have a version that no other type is to have. */
static PyTypeObject *new_nobody(void)
{
    return (PyTypeObject *)PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "nobody");
}

/* Let nobody have the next version, which is returned; 0 with an error. From 3.13 on a type has up to 1000. */
static unsigned pass_over(PyTypeObject **nobody, PyObject *name)
{
    for (int tries = 0; tries < 2; tries++) {
        PyType_Modified(*nobody);
        _PyType_Lookup(*nobody, name);
        if ((*nobody)->tp_version_tag != 0)
            return (*nobody)->tp_version_tag;
        Py_SETREF(*nobody, new_nobody());
        if (*nobody == NULL)
            return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "this Python has no more versions for types");
    return 0;
}

/* The first in a list of types whose bases have versions, and where the list names it; the list ends with END. */
enum { END = -1 };
static Py_ssize_t *first_with_bases(Py_ssize_t *from, Py_ssize_t *next, PyObject *ordered)
{
    while (*from != END && !is_next((PyTypeObject *)PyTuple_GET_ITEM(ordered, *from)))
        from = &next[*from];
    return from;
}

/* Pass over versions until the next one is of place 0. The last one, 0 with an error. */
static unsigned go_to_first_place(PyTypeObject **nobody, PyObject *name)
{
    unsigned last;
    do
        last = pass_over(nobody, name);
    while (last != 0 && last % PLACES != PLACES - 1);
    return last;
}

/* Give each type in the lists, by place, a version of its place. Versions come one after the other: those for which there
 * is no type are passed over, and a type waits until its bases have theirs. 0 with an error. */
static int give_versions(PyTypeObject **nobody, PyObject *ordered, Py_ssize_t *first, Py_ssize_t *next, PyObject *name)
{
    unsigned last = pass_over(nobody, name);
    for (int idle = 0; last != 0 && idle < PLACES; idle++) { /* then a base of what is left can have none */
        Py_ssize_t *const from = first_with_bases(&first[(last + 1) % PLACES], next, ordered);
        if (*from == END)
            last = pass_over(nobody, name);
        else {
            PyTypeObject *const type = (PyTypeObject *)PyTuple_GET_ITEM(ordered, *from);
            *from = next[*from];
            idle = 0;
            _PyType_Lookup(type, name);
            if (type->tp_version_tag != 0) /* some types can have none */
                last = type->tp_version_tag;
        }
    }
    return last != 0 && go_to_first_place(nobody, name) != 0;
}

/* spread_type_versions(types, names): all there are, in an order that does not depend on chance, and a name of each. Give
 * them versions anew, even ones, so that a type's attributes lie in the table where its name says, whatever other types
 * there are. Types that have a sequence of their own have versions in this order. */
PyObject *spread_type_versions(PyObject *self, PyObject *arguments)
{
    static Py_ssize_t first[PLACES];
    PyObject *ordered, *names;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyTuple_Type, &ordered, &PyTuple_Type, &names))
        return NULL;
    const Py_ssize_t number = PyTuple_GET_SIZE(ordered);
    if (PyTuple_GET_SIZE(names) != number)
        return PyErr_Format(PyExc_ValueError, "%zd types have %zd names", number, PyTuple_GET_SIZE(names));
    Py_ssize_t *const next = PyMem_Calloc((size_t)number + 1, sizeof *next);
    PyTypeObject *nobody = new_nobody();
    PyObject *const name = PyUnicode_InternFromString("__doc__");
    if (next == NULL)
        PyErr_NoMemory();
    else if (nobody != NULL && name != NULL && go_to_first_place(&nobody, name) != 0) {
        make_versions_void(); /* so that the first types that have one again, `object` among them, have the same */
        for (int at = 0; at < PLACES; at++)
            first[at] = END;
        for (Py_ssize_t at = number; at-- > 0;)
            if (!sequence((PyTypeObject *)PyTuple_GET_ITEM(ordered, at))) {
                const size_t place = (size_t)PyObject_Hash(PyTuple_GET_ITEM(names, at)) % (PLACES / 2) * 2;
                next[at] = first[place];
                first[place] = at;
            }
        for (Py_ssize_t at = 0; at < number; at++)
            if (sequence((PyTypeObject *)PyTuple_GET_ITEM(ordered, at)))
                _PyType_Lookup((PyTypeObject *)PyTuple_GET_ITEM(ordered, at), name);
        give_versions(&nobody, ordered, first, next, name);
        PyType_ClearCache();
    }
    PyMem_Free(next);
    Py_XDECREF(nobody);
    Py_XDECREF(name);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* The sizes, as bits, of the new strings by which types are asked. */
static unsigned sizes_asked(void)
{
    unsigned sizes = 0;
    for (int at = 0; at < number_asked; at++)
        sizes |= asked[at].renamed;
    return sizes;
}

/* Whether a new string in this block would take a place that is taken, under a type that is asked by such strings. */
static int takes(const void *block, unsigned size_bit, const unsigned char *taken)
{
    for (int at = 0; at < number_asked; at++)
        if ((asked[at].renamed & size_bit) && taken[place(asked[at].type->tp_version_tag, block)])
            return 1;
    return 0;
}

static void take(const void *block, unsigned size_bit, unsigned char *taken)
{
    for (int at = 0; at < number_asked; at++)
        if (asked[at].renamed & size_bit)
            taken[place(asked[at].type->tp_version_tag, block)] = 1;
}

/* The blocks of one size that are free now: those in which a string takes no place that is `used` are given out first to
 * last, and before them those in which it takes none of those either (`taken`). How many are kept. */
static long choose_blocks(unsigned size, const unsigned char *used, unsigned char *taken)
{
    enum { BLOCKS = 2048, KEPT = 0, LATER, FIRST };
    static void *blocks[BLOCKS];
    static unsigned char fates[BLOCKS];
    const unsigned size_bit = bit_of(size);
    long kept = 0;
    for (int at = 0; at < BLOCKS; at++)
        blocks[at] = PyObject_Malloc(size);
    for (int at = 0; at < BLOCKS; at++) {
        /* The first one of each pool is kept, else the pool could go to blocks of another size. */
        const int begins_pool = at == 0 || (uintptr_t)blocks[at] / POOL != (uintptr_t)blocks[at - 1] / POOL;
        if (begins_pool || takes(blocks[at], size_bit, used))
            fates[at] = KEPT;
        else if (takes(blocks[at], size_bit, taken))
            fates[at] = LATER;
        else {
            fates[at] = FIRST;
            take(blocks[at], size_bit, taken);
        }
        kept += fates[at] == KEPT;
    }
    for (int fate = LATER; fate <= FIRST; fate++) /* what is freed last is given out first */
        for (int at = BLOCKS; at-- > 0;)
            if (fates[at] == fate)
                PyObject_Free(blocks[at]);
    return kept;
}

/* keep_places_free() -> how many blocks were kept in which a new string would take a place that is used. After
 * renew_allocators(): the blocks that are free follow one upon the other. */
PyObject *keep_places_free(PyObject *self, PyObject *unused)
{
    static unsigned char used[PLACES], taken[PLACES];
    long kept = 0;
    memset(used, 0, sizeof used);
    for (int at = 0; at < number_asked; at++)
        for (int name = 0; name < asked[at].number; name++)
            used[place(asked[at].type->tp_version_tag, asked[at].names[name])] = 1;
    memcpy(taken, used, sizeof used);
    for (unsigned size = SHORTEST; size <= LONGEST; size += STEP)
        if (sizes_asked() & bit_of(size))
            kept += choose_blocks(size, used, taken);
    return PyLong_FromLong(kept);
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
    PyType_ClearCache();
    holds = holds && place_of(type, name)->version == 0;
    holds = holds && is_cached(type, name) && type->tp_version_tag != before;
    Py_DECREF(name);
    return holds ? NULL : "versions of types, or the table of their attributes, do not work as is assumed";
}
