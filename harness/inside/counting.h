/* How a counted part begins and ends, for the harness's own C and for C++ statements, which count in a loop of their own.
 *
 * Two ways: Callgrind's instrumentation is switched on and off, or a sum that always runs is read twice. Python makes the
 * same calls for both, and no object in any of them: what it allocated between two counts would be a layout of that
 * counter's own.
 */
#ifndef COUNTING_H
#define COUNTING_H

#include <stdint.h>

#ifdef WITHOUT_VALGRIND
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_START_INSTRUMENTATION ((void)0)
#define CALLGRIND_STOP_INSTRUMENTATION ((void)0)
#define CALLGRIND_DUMP_STATS_AT(label) ((void)(label))
#define READ_INSTRUCTIONS() 0
#define READ_SYSTEM_CALLS(made) ((void)(made), 0)
#else
#include <valgrind/callgrind.h>
/* The request of readable_tool.c: the instructions that this process has executed; 0 under any other tool. */
#define READ_INSTRUCTIONS() VALGRIND_DO_CLIENT_REQUEST_EXPR(0, VG_USERREQ_TOOL_BASE('I', 'C'), 0, 0, 0, 0, 0)
/* And its other one: how often this process made each kind of system call below; 0 under any other tool. */
#define READ_SYSTEM_CALLS(made) \
    VALGRIND_DO_CLIENT_REQUEST_EXPR(0, VG_USERREQ_TOOL_BASE('I', 'C') + 1, made, 0, 0, 0, 0)
#endif

/* Kinds of system calls that make a number doubtful: a child is made, a timer set, the clock read, random bytes asked. */
enum { SYSTEM_CALLS = 4 };

/* What one run gave: the instructions counted, those that passed while each slot was marked, and the system calls made. */
enum { RUNS = 64, SLOTS = 16, NO_SLOT = -1 };
struct run {
    uint64_t counted;
    uint64_t spent[SLOTS];
    uint64_t made[SYSTEM_CALLS];
};

struct counting {
    int by_reading;
    void (*renew)(void); /* makes the C library's allocator as if new */
    int run; /* the one that is being counted */
    uint64_t started_at;
    struct run runs[RUNS];
};

/* A loop that sets up, warms up and counts by itself; NULL, or a sentence of what went wrong. */
typedef const char *native_loop(long calls, struct counting *counting);

static inline void renew_allocator(struct counting *counting)
{
    counting->renew();
}

static inline void start_counting(struct counting *counting)
{
    if (counting->by_reading)
        counting->started_at = READ_INSTRUCTIONS();
    else
        CALLGRIND_START_INSTRUMENTATION;
}

static inline void stop_counting(struct counting *counting)
{
    if (counting->by_reading)
        counting->runs[counting->run].counted += READ_INSTRUCTIONS() - counting->started_at;
    else
        CALLGRIND_STOP_INSTRUMENTATION;
}

#endif
