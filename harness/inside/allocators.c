/* Allocators as if new: nothing in a count may depend on what was allocated and freed before it.
 *
 * An allocator that has a past finds, splits and joins the pieces which that past has left, each at a cost of its own: by
 * chance up to 2 % of a small operator. Here every free piece is taken and never given back, so that whatever is allocated
 * from now on is laid down one after the other.
 *
 * Python gets its memory in arenas. A block is found to lie in one by more instructions or fewer, depending on how the
 * arena lies. Here all lie alike, aligned to their size, and what comes after allocators were renewed lies in a new one.
 *
 * Assumed of Python, in 3.11 to 3.15: its own allocator serves blocks of up to 512 bytes, from pools of one size that are
 * aligned to 16 KiB and begin with the number of blocks in use. Of glibc, from 2.33 on: see take_free_pieces(); another C
 * library's heap is left as it is.
 */
#define PY_SSIZE_T_CLEAN
#include "methods.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    HEADER = 16,            /* of glibc's chunks, and what their sizes are multiples of */
    LARGEST = 1 << 16,      /* of the pieces taken at once: well below what glibc gives memory of its own */
    LARGEST_CACHED = 1040,  /* from here down glibc keeps a list of free ones for every size */
    SMALLEST = 32,
    POOL = 1 << 14,         /* Python's pools of equal blocks, aligned to their size; first in them, how many are used */
    LARGEST_BLOCK = 512,    /* the largest blocks in them */
    SOME = 64,              /* pieces, after which to look whether the rest has moved: looking walks every list */
    PIECES = 1 << 17,       /* more than can be free of one size: allocators that work otherwise are left alone */
};

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
/* A piece of glibc's heap, by the address that its user gets. */
static uintptr_t take(size_t size)
{
    void *volatile taken = malloc(size - HEADER / 2); /* volatile: a compiler may leave out what nobody uses */
    return (uintptr_t)taken;
}

/* Take pieces until one makes the heap grow; where the next one of its kind will lie, 0 if none made it grow. */
static uintptr_t grow(void)
{
    for (int number = 0; number < PIECES; number++) {
        const size_t before = mallinfo2().arena;
        const uintptr_t piece = take(LARGEST);
        if (mallinfo2().arena != before)
            return piece + LARGEST;
    }
    return 0;
}

/* glibc hands out what lies free among pieces in use and, where nothing fits, the beginning of the rest that was never
 * handed out. So all that is free of a size has been taken when a piece follows upon the last one taken from the rest. */
static void take_free_pieces(void)
{
    uintptr_t next = grow();
    for (size_t size = LARGEST; size >= SMALLEST; size -= size > LARGEST_CACHED ? size / 4 / HEADER * HEADER : HEADER) {
        size_t before = mallinfo2().arena;
        for (int number = 1; take(size) != next; number++)
            if (number % SOME == 0 && mallinfo2().arena != before) { /* the rest has moved to where it can grow */
                next = grow();
                before = mallinfo2().arena;
            } else if (number > PIECES)
                return;
        next += size;
    }
    /* Where the heap grows by a map of its own, what is left of the rest then becomes a free piece. So nothing is left;
     * and of a rest that is new the same is there every time. What follows begins with a page. */
    const size_t rest = mallinfo2().keepcost;
    if (rest >= 2 * SMALLEST)
        take(rest - SMALLEST);
    next = grow();
    const size_t page = PAGE - (next - HEADER) % PAGE;
    if (page < PAGE)
        take(page < SMALLEST ? page + PAGE : page);
}

void leave_break(void)
{
    while (sbrk(LARGEST) != (void *)-1)
        ;
    while (sbrk(PAGE) != (void *)-1)
        ;
}

#else
static void take_free_pieces(void)
{
}

void leave_break(void)
{
}
#endif

static int arenas; /* that were made here */

static void *make_arena(void *unused, size_t size)
{
    char *const twice = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (twice == MAP_FAILED)
        return NULL;
    char *const arena = (char *)(((uintptr_t)twice + size - 1) / size * size), *const end = twice + 2 * size;
    if (arena > twice)
        munmap(twice, (size_t)(arena - twice));
    if (arena + size < end)
        munmap(arena + size, (size_t)(end - arena - size));
    arenas++;
    return arena;
}

static void free_arena(void *unused, void *arena, size_t size)
{
    munmap(arena, size);
}

/* Take blocks until an arena is made for one: until nothing is free in those before. */
static void take_arenas(void)
{
    const int before = arenas;
    for (int number = 0; number < PIECES && arenas == before; number++)
        if (PyObject_Malloc(LARGEST_BLOCK) == NULL)
            break;
}

PyObject *align_arenas(PyObject *self, PyObject *unused)
{
    PyObjectArenaAllocator aligned = {NULL, make_arena, free_arena};
    PyObject_SetArenaAllocator(&aligned);
    take_arenas();
    if (arenas == 0)
        return PyErr_Format(PyExc_RuntimeError, "Python's allocator asks for no arena");
    Py_RETURN_NONE;
}

/* How many blocks are in use of the pool that this block of Python's lies in. Volatile: a compiler may hold that nobody
 * else can write beside what it has just been given. */
static uint32_t used_beside(const void *block)
{
    const volatile uintptr_t place = (uintptr_t)block;
    const uintptr_t at = place;
    return *(const volatile uint32_t *)(at - at % POOL);
}

/* Python: until the block is the only one of its pool. */
static void take_free_blocks(void)
{
    for (size_t size = HEADER; size <= LARGEST_BLOCK; size += HEADER)
        for (int number = 0; number < PIECES; number++) {
            const void *const block = PyObject_Malloc(size);
            if (block == NULL || used_beside(block) == 1)
                break;
        }
}

const char *check_allocators(void)
{
    enum { BLOCKS = 80 }; /* more than two pools hold */
    void *blocks[BLOCKS];
    int made = 0, together = 0, holds = 1;
    for (uint32_t before = 0; made < BLOCKS && (blocks[made] = PyObject_Malloc(LARGEST_BLOCK)) != NULL; made++) {
        const uint32_t used = used_beside(blocks[made]);
        if (made > 0 && (uintptr_t)blocks[made - 1] / POOL == (uintptr_t)blocks[made] / POOL) {
            holds = holds && used == before + 1;
            together++;
        }
        before = used;
    }
    while (made > 0)
        PyObject_Free(blocks[--made]);
    return holds && together > BLOCKS / 2 ? NULL : "Python's allocator is not its own, or keeps its blocks in another way";
}

void renew_heap(void)
{
    take_free_pieces();
}

PyObject *renew_allocators(PyObject *self, PyObject *unused)
{
    take_arenas();
    take_free_blocks();
    renew_heap();
    Py_RETURN_NONE;
}
