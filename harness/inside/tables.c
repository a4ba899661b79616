/* Dicts and sets with so much room that what is hashed by address is found at once.
 *
 * A type, a function or any object without a hash of its own is hashed by its address. Which of them fall on one place
 * of a table, so that a search goes on to the next place, is chance: another package that is imported, or a longer name,
 * has them lie elsewhere. It moved dispatch by up to 0.4 %. Here a dict or set with such keys gets a table in which each
 * has a place of its own, with the same items in the same order. So a search costs what it costs without bad luck.
 *
 * Assumed, in 3.11 to 3.15: a dict has a table of entries, by kind, that can change places with another one's; a set has
 * a table of keys and hashes, in which a key without a rival stands at the place of its hash.
 */
#include "cpython.h"
#include "methods.h"

#include <string.h>

enum {
    ROOM = 64,               /* places a key, at least: of searches for what is not there, few meet a key */
    LEAST = 8, MOST = 15,    /* of a new table, log2 of its places: indices of one width for all of them */
    PLACES = 1 << MOST,
};

/* A key whose hash follows from its contents is found, or not, in the same way in every layout. */
static int is_plain(PyObject *key)
{
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyBytes_CheckExact(key) || PyFloat_CheckExact(key);
}

/* The least log2 of places by which `number` keys with these hashes have a place each; 0 if there is none. */
static int places(const Py_hash_t *hashes, Py_ssize_t number)
{
    static unsigned char taken[PLACES];
    int log2 = LEAST;
    while (log2 < MOST && ((Py_ssize_t)1 << log2) < number * ROOM)
        log2++;
    for (; log2 <= MOST; log2++) {
        const size_t mask = ((size_t)1 << log2) - 1;
        Py_ssize_t at = 0;
        memset(taken, 0, mask + 1);
        while (at < number && !taken[hashes[at] & mask])
            taken[hashes[at++] & mask] = 1;
        if (at == number)
            return log2;
    }
    return 0;
}

/* Room for the hashes of one table, kept between calls. */
static Py_hash_t hashes[PLACES];

/* 1 where the dict has got another table, 0 where it needs none, -1 where there is no memory. */
static int spread_dict(PyDictObject *dict)
{
    PyDictKeysObject *const keys = dict->ma_keys;
    if (dict->ma_values != NULL || keys->dk_kind != DICT_KEYS_GENERAL || dict->ma_used == 0 || dict->ma_used > PLACES / 2)
        return 0;
    const PyDictKeyEntry *const entries = DK_ENTRIES(keys);
    Py_ssize_t number = 0;
    int plain = 1;
    for (Py_ssize_t at = 0; at < keys->dk_nentries; at++)
        if (entries[at].me_value != NULL) {
            plain = plain && is_plain(entries[at].me_key);
            hashes[number++] = entries[at].me_hash;
        }
    if (plain || number != dict->ma_used)
        return 0;
    const int found = places(hashes, number), log2 = found == 0 ? MOST : found;
    if (log2 <= DK_LOG_SIZE(keys))
        return 0;
    PyDictObject *const wide = (PyDictObject *)_PyDict_NewPresized(((Py_ssize_t)1 << log2) / 2);
    if (wide == NULL)
        return -1;
    int same = 1;
    for (Py_ssize_t at = 0; same && at < keys->dk_nentries; at++)
        if (entries[at].me_value != NULL)
            same = _PyDict_SetItem_KnownHash((PyObject *)wide, entries[at].me_key, entries[at].me_value,
                                             entries[at].me_hash) == 0;
    same = same && wide->ma_used == number && dict->ma_keys == keys;
    PyErr_Clear();
    if (same) {
        dict->ma_keys = wide->ma_keys;
        wide->ma_keys = keys;
    }
    Py_DECREF(wide);
    return same;
}

/* The same for a set: a key that has a place of its own stands there. */
static int spread_set(PySetObject *set)
{
    if (set->used == 0 || set->used > PLACES / 2)
        return 0;
    Py_ssize_t number = 0;
    int plain = 1;
    for (Py_ssize_t at = 0; at <= set->mask; at++) {
        const setentry *const entry = &set->table[at];
        if (entry->key != NULL && entry->hash != -1) {
            plain = plain && is_plain(entry->key);
            if (number < PLACES)
                hashes[number++] = entry->hash;
        }
    }
    if (plain || number != set->used)
        return 0;
    const int log2 = places(hashes, number);
    const size_t size = (size_t)1 << log2;
    if (log2 == 0 || size <= (size_t)set->mask + 1)
        return 0;
    setentry *const table = PyMem_Calloc(size, sizeof *table);
    if (table == NULL)
        return -1;
    for (Py_ssize_t at = 0; at <= set->mask; at++) {
        const setentry *const entry = &set->table[at];
        if (entry->key != NULL && entry->hash != -1)
            table[entry->hash & (size - 1)] = *entry;
    }
    if (set->table != set->smalltable)
        PyMem_Free(set->table);
    else
        memset(set->smalltable, 0, sizeof set->smalltable);
    set->table = table;
    set->mask = (Py_ssize_t)size - 1;
    set->fill = number;
    return 1;
}

/* spread_tables(objects) -> how many dicts and sets among these have got another table. */
PyObject *spread_tables(PyObject *self, PyObject *list)
{
    long spread = 0;
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        PyObject *const object = PyList_GET_ITEM(list, at);
        int done = 0;
        if (PyDict_Check(object) && !PyODict_Check(object))
            done = spread_dict((PyDictObject *)object);
        else if (PyAnySet_Check(object))
            done = spread_set((PySetObject *)object);
        if (done < 0)
            return PyErr_NoMemory();
        spread += done;
    }
    return PyLong_FromLong(spread);
}

/* Whether each object of a tuple is a key, in the same order and with as many others as before. */
static int holds_all(PyObject *table, PyObject *keys)
{
    PyObject *const listed = PySequence_Tuple(table);
    int holds = listed != NULL && PyTuple_GET_SIZE(listed) == PyTuple_GET_SIZE(keys);
    for (Py_ssize_t at = 0; holds && at < PyTuple_GET_SIZE(keys); at++) {
        PyObject *const key = PyTuple_GET_ITEM(keys, at);
        holds = PySequence_Contains(table, key) == 1 && (PyAnySet_Check(table) || PyTuple_GET_ITEM(listed, at) == key);
    }
    Py_XDECREF(listed);
    return holds;
}

const char *check_tables(void)
{
    enum { KEYS = 20 };
    PyObject *const keys = PyTuple_New(KEYS), *const dict = PyDict_New();
    int holds = keys != NULL && dict != NULL;
    for (int at = 0; holds && at < KEYS; at++) {
        PyObject *const key = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
        holds = key != NULL && PyDict_SetItem(dict, key, key) == 0;
        if (key != NULL)
            PyTuple_SET_ITEM(keys, at, key);
    }
    PyObject *const set = holds ? PySet_New(keys) : NULL;
    holds = set != NULL && spread_dict((PyDictObject *)dict) == 1 && spread_set((PySetObject *)set) == 1;
    holds = holds && DK_LOG_SIZE(((PyDictObject *)dict)->ma_keys) >= LEAST && holds_all(dict, keys);
    holds = holds && ((PySetObject *)set)->mask + 1 >= 1 << LEAST && holds_all(set, keys);
    Py_XDECREF(keys);
    Py_XDECREF(dict);
    Py_XDECREF(set);
    return holds ? NULL : "dicts or sets keep what they hold in another way";
}
