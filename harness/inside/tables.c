/* Dicts with so much room that what is hashed by address is found at once.
 *
 * A type, a function or any object without a hash of its own is hashed by its address, and the name of a thread-local
 * variable holds one. Which of them fall on one place of a table, so that a search goes on to the next place, is chance:
 * another package that is imported, or a longer name, has them lie elsewhere. It moved dispatch by up to 0.4 %. Here a
 * dict with such keys gets a table in which each has a place of its own, with the same items in the same order. So a
 * search costs what it costs without bad luck.
 *
 * Sets stay as they are: who goes through a set looks at each place of its table, so that room would cost what nobody
 * pays. A dict's items stand one after the other.
 *
 * Assumed, in 3.11 to 3.15: a dict has a table of entries, by kind, that can change places with another one's.
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

/* One item of a dict's table, of either kind; its value is NULL where it was removed. */
typedef struct {
    PyObject *key, *value;
    Py_hash_t hash;
} Item;

static Item item(const PyDictKeysObject *keys, Py_ssize_t at)
{
    if (DK_IS_UNICODE(keys)) {
        const PyDictUnicodeEntry *const entry = &DK_UNICODE_ENTRIES(keys)[at];
        return (Item){entry->me_key, entry->me_value, entry->me_key == NULL ? 0 : PyObject_Hash(entry->me_key)};
    }
    const PyDictKeyEntry *const entry = &DK_ENTRIES(keys)[at];
    return (Item){entry->me_key, entry->me_value, entry->me_hash};
}

/* An empty dict for strings with at least 2^log2 places: one that has grown, and of which each place is made as if new. */
static PyDictObject *wide_for_strings(int log2)
{
    PyDictObject *const dict = (PyDictObject *)PyDict_New();
    for (long number = 0; dict != NULL && DK_LOG_SIZE(dict->ma_keys) < log2; number++) {
        PyObject *const name = PyUnicode_FromFormat("%ld", number);
        const int added = name != NULL && PyDict_SetItem((PyObject *)dict, name, Py_None) == 0;
        Py_XDECREF(name);
        if (!added) {
            Py_DECREF(dict);
            return NULL;
        }
    }
    if (dict == NULL)
        return NULL;
    PyDictKeysObject *const keys = dict->ma_keys;
    PyDictUnicodeEntry *const entries = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t at = 0; at < keys->dk_nentries; at++) {
        Py_CLEAR(entries[at].me_key);
        Py_CLEAR(entries[at].me_value);
    }
    memset(keys->dk_indices, 0xff, (size_t)1 << keys->dk_log2_index_bytes);
    keys->dk_usable += keys->dk_nentries;
    keys->dk_nentries = 0;
    dict->ma_used = 0;
    return dict;
}

/* 1 where the dict has got another table, 0 where it needs none, -1 where there is no memory. One whose keys are strings
 * needs one only if they `hold_addresses`. */
static int spread_dict(PyDictObject *dict, int hold_addresses)
{
    PyDictKeysObject *const keys = dict->ma_keys;
    const int strings = keys->dk_kind == DICT_KEYS_UNICODE;
    if (dict->ma_values != NULL || (keys->dk_kind != DICT_KEYS_GENERAL && !(strings && hold_addresses)) ||
        dict->ma_used == 0 || dict->ma_used > PLACES / 2)
        return 0;
    Py_ssize_t number = 0;
    int plain = !hold_addresses;
    for (Py_ssize_t at = 0; at < keys->dk_nentries; at++) {
        const Item held = item(keys, at);
        if (held.value != NULL) {
            plain = plain && is_plain(held.key);
            hashes[number++] = held.hash;
        }
    }
    if (plain || number != dict->ma_used)
        return 0;
    const int found = places(hashes, number), log2 = found == 0 ? MOST : found;
    if (log2 <= DK_LOG_SIZE(keys))
        return 0;
    PyDictObject *const wide =
        strings ? wide_for_strings(log2) : (PyDictObject *)_PyDict_NewPresized(((Py_ssize_t)1 << log2) / 2);
    if (wide == NULL)
        return -1;
    int same = 1;
    for (Py_ssize_t at = 0; same && at < keys->dk_nentries; at++) {
        const Item held = item(keys, at);
        if (held.value != NULL)
            same = _PyDict_SetItem_KnownHash((PyObject *)wide, held.key, held.value, held.hash) == 0;
    }
    same = same && wide->ma_used == number && wide->ma_keys->dk_kind == keys->dk_kind && dict->ma_keys == keys;
    PyErr_Clear();
    if (same) {
        dict->ma_keys = wide->ma_keys;
        wide->ma_keys = keys;
    }
    Py_DECREF(wide);
    return same;
}

/* spread_tables(objects) -> how many dicts have got another table, of these and of the thread itself, whose dict
 * of thread-local variables has their addresses in its keys, "thread.local.0x7f...", before 3.13. */
PyObject *spread_tables(PyObject *self, PyObject *list)
{
    PyObject *const variables = PyThreadState_Get()->dict;
    long spread = variables == NULL ? 0 : spread_dict((PyDictObject *)variables, 1);
    if (spread < 0)
        return PyErr_NoMemory();
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        PyObject *const object = PyList_GET_ITEM(list, at);
        const int is_plain_dict = PyDict_Check(object) && !PyODict_Check(object);
        const int done = is_plain_dict ? spread_dict((PyDictObject *)object, 0) : 0;
        if (done < 0)
            return PyErr_NoMemory();
        spread += done;
    }
    return PyLong_FromLong(spread);
}

/* Whether the keys are these, in this order. */
static int holds_all(PyObject *table, PyObject *keys)
{
    PyObject *const listed = PySequence_Tuple(table);
    int holds = listed != NULL && PyTuple_GET_SIZE(listed) == PyTuple_GET_SIZE(keys);
    for (Py_ssize_t at = 0; holds && at < PyTuple_GET_SIZE(keys); at++) {
        PyObject *const key = PyTuple_GET_ITEM(keys, at);
        holds = PySequence_Contains(table, key) == 1 && PyTuple_GET_ITEM(listed, at) == key;
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
    holds = holds && spread_dict((PyDictObject *)dict, 0) == 1;
    holds = holds && DK_LOG_SIZE(((PyDictObject *)dict)->ma_keys) >= LEAST && holds_all(dict, keys);
    PyObject *const named = holds ? PyDict_New() : NULL, *const names = holds ? PyTuple_New(KEYS) : NULL;
    holds = named != NULL && names != NULL;
    for (int at = 0; holds && at < KEYS; at++) {
        PyObject *const name = PyUnicode_FromFormat("%p", PyTuple_GET_ITEM(keys, at));
        holds = name != NULL && PyDict_SetItem(named, name, name) == 0;
        if (name != NULL)
            PyTuple_SET_ITEM(names, at, name);
    }
    holds = holds && spread_dict((PyDictObject *)named, 1) == 1 && holds_all(named, names);
    Py_XDECREF(named);
    Py_XDECREF(names);
    Py_XDECREF(keys);
    Py_XDECREF(dict);
    return holds ? NULL : "dicts keep what they hold in another way";
}
