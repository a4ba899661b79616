/* Names at addresses that follow from what they say.
 *
 * Python's cache of type attributes is indexed by a name's address and the type's version (type_versions.c). Two names
 * that are asked of one type fall on one place whatever its version is, if their addresses differ by a multiple of 32
 * KiB. Where a name lies is chance, and in a tenth of all cases two names did: that moved dispatch by 0.3 %. So the names
 * in bytecode are interned before Python reads it, each at an address whose lowest bits follow from its hash.
 *
 * No other string lies where they do: Python's blocks lie at multiples of 16, and these names in the middle between two.
 * A new string that is asked for, as torch does all the time, so takes no place of theirs: see type_versions.c.
 *
 * Assumed, in 3.11 to 3.15: marshal writes a short interned string as a letter, its length and its text; a string of
 * ASCII is one piece of memory, in which nothing points into itself.
 */
#define PY_SSIZE_T_CLEAN
#include "methods.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum {
    STEP = 16,                /* in bytes, between the places of names, and between Python's blocks */
    OFFSET = STEP / 2,        /* the cache ignores the bits below */
    PLACES = 2048,
    SPAN = STEP * PLACES,     /* in which addresses repeat for the cache */
    SPANS = 8,                /* by turns, so that a name may be as long as: */
    ROOM = SPANS * STEP - OFFSET, /* the object that holds it, in bytes; longer ones are few and no attributes */
    LAYERS = 128,             /* names of one place, at most: there are some fifty thousand names, so 23 on average */
    LAYER = (SPANS + 1) * SPAN, /* one more, into which the last names of the last one reach */
    SHORT_ASCII_INTERNED = 'Z', FLAG_REF = 0x80, /* of marshal */
};

/* Address space, of which only what is used takes memory. */
static char *region(void)
{
    static char *aligned;
    if (aligned == NULL) {
        char *const found = mmap(NULL, LAYERS * LAYER + SPAN, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (found != MAP_FAILED)
            aligned = (char *)(((uintptr_t)found + SPAN - 1) / SPAN * SPAN);
    }
    return aligned;
}

static unsigned place(Py_hash_t hash)
{
    return (unsigned)((size_t)hash % PLACES);
}

/* When Python ends, 3.14 and later free what is interned, but for strings that are part of its executable: be one. */
static void make_static(PyObject *name)
{
#if PY_VERSION_HEX >= 0x030C0000
    memcpy(name, Py_None, offsetof(PyObject, ob_type)); /* the reference count of what is never freed */
    ((PyASCIIObject *)name)->state.interned = SSTATE_INTERNED_IMMORTAL_STATIC;
    ((PyASCIIObject *)name)->state.statically_allocated = 1;
#endif
}

/* Intern a name at a place of its hash, unless it is interned already. -1 on an error. */
static int intern(const char *text, Py_ssize_t length)
{
    static unsigned char used[PLACES];
    PyObject *const plain = PyUnicode_FromStringAndSize(text, length);
    if (plain == NULL)
        return -1;
    const unsigned its = place(PyObject_Hash(plain));
    const size_t size = sizeof(PyASCIIObject) + (size_t)length + 1;
    if (size <= ROOM && used[its] < LAYERS && region() != NULL) {
        char *const address = region() + used[its] * LAYER + its % SPANS * SPAN + its * STEP + OFFSET;
        memcpy(address, plain, size);
        PyObject *name = Py_NewRef((PyObject *)address); /* for ever: no allocator can take it back */
        PyUnicode_InternInPlace(&name);
        if (name == (PyObject *)address) {
            make_static(name);
            used[its]++;
        }
    }
    Py_DECREF(plain);
    return 0;
}

static int is_letter(char character)
{
    return Py_ISALNUM(character) || character == '_';
}

/* place_names(bytecode): intern the names in the bytes of a file. What looks like a name and is none does no harm. */
PyObject *place_names(PyObject *self, PyObject *bytecode)
{
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytecode, &text, &size) != 0)
        return NULL;
    for (Py_ssize_t at = 0; at + 2 < size; at++) {
        if (((unsigned char)text[at] & ~FLAG_REF) != SHORT_ASCII_INTERNED)
            continue;
        const Py_ssize_t length = (unsigned char)text[at + 1];
        Py_ssize_t letters = 0;
        while (letters < length && at + 2 + letters < size && is_letter(text[at + 2 + letters]))
            letters++;
        if (length > 1 && letters == length && intern(&text[at + 2], length) != 0)
            return NULL;
    }
    Py_RETURN_NONE;
}

const char *check_names(void)
{
    static const char text[] = "Z\x16" "a name that nobody has" "\xda\x0f" "harness_a_name_";
    PyObject *const bytecode = PyBytes_FromStringAndSize(text, sizeof text - 1);
    PyObject *const done = bytecode == NULL ? NULL : place_names(NULL, bytecode);
    PyObject *const name = done == NULL ? NULL : PyUnicode_InternFromString("harness_a_name_");
    const int holds = name != NULL && (uintptr_t)name / STEP % PLACES == place(PyObject_Hash(name)) &&
                      (uintptr_t)name % STEP == OFFSET &&
                      PyUnicode_CompareWithASCIIString(name, "harness_a_name_") == 0;
    Py_XDECREF(bytecode);
    Py_XDECREF(done);
    Py_XDECREF(name);
    return holds ? NULL : "interned strings are kept in another way";
}
