/* Bodies of code whose instructions both counters count, each from 0 to SIZE turns. Prints a line a body: its name, and
 * under the readable tool its count; under Callgrind the counts are in its numbered files, in the same order. */
#include <valgrind/callgrind.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static unsigned long read_instructions()
{
    return VALGRIND_DO_CLIENT_REQUEST_EXPR(0, VG_USERREQ_TOOL_BASE('I', 'C'), 0, 0, 0, 0, 0);
}

/* 2 instructions a turn and none besides. */
static inline void turn(long times)
{
    __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(times) : : "cc");
}

static void loop(long size)
{
    turn(size);
}

static void both(long size)
{
    for (volatile long at = 0; at < size; at = at + 1)
        if (at > size && at < 2 * size)
            turn(1);
}

static void strings(long size)
{
    char from[64] = {}, to[64];
    for (long at = 0; at < size; at++) {
        const void *source = from;
        void *target = to;
        long bytes = at % 50;
        __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(bytes) : : "memory");
        long equal = at % 50;
        source = target = to;
        __asm__ volatile("repe cmpsb" : "+S"(source), "+D"(target), "+c"(equal) : : "memory", "cc");
    }
}

static volatile sig_atomic_t signals;
static void handle(int)
{
    turn(10);
    signals = signals + 1;
}

static void handled_signals(long size)
{
    signal(SIGUSR1, handle);
    for (long at = 0; at < size; at++)
        raise(SIGUSR1);
}

/* A store to nowhere, in the middle of a run of instructions; its handler goes on behind it. */
static void go_on(int, siginfo_t *, void *context)
{
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void faults(long size)
{
    struct sigaction action = {};
    action.sa_sigaction = go_on;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    for (long at = 0; at < size; at++)
        __asm__ volatile("xor %%eax, %%eax\n nop\n mov %%ecx, (%%rax)\n nop\n nop" : : : "eax", "memory", "cc");
}

static void __attribute__((noinline)) refuse(long at)
{
    if (at >= 0)
        throw at;
}

static void exceptions(long size)
{
    for (long at = 0; at < size; at++) {
        try {
            refuse(at);
        } catch (long) {
            turn(3);
        }
    }
}

static void *in_thread(void *size)
{
    turn((long)size);
    return NULL;
}

static void threads(long size)
{
    pthread_t threads[4];
    for (pthread_t &thread : threads)
        pthread_create(&thread, NULL, in_thread, (void *)(100 * size));
    for (pthread_t thread : threads)
        pthread_join(thread, NULL);
}

/* Code that is written, run, and written over: `mov $n, %ecx; 1: dec %ecx; jnz 1b; ret`. */
static void modified_code(long size)
{
    static unsigned char *code = (unsigned char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char text[] = {0xb9, 0, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xc3};
    for (int at = 1; at <= size; at++) {
        memcpy(text + 1, &at, sizeof at);
        memcpy(code, text, sizeof text);
        ((void (*)())code)();
    }
}

/* The child counts on from its parent's sum, and the parent does not see it. */
static void forked(long size)
{
    for (long at = 0; at < size; at += 100) {
        const unsigned long before = read_instructions();
        const pid_t child = fork();
        if (child == 0) {
            turn(1000000);
            const unsigned long counted = read_instructions() - before;
            _exit(before > 0 && (counted < 2000000 || counted > 2100000));
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0)
            printf("a child counted wrong\n");
    }
}

static const struct {
    const char *name;
    void (*body)(long);
} bodies[] = {{"loop", loop},
              {"both", both},
              {"strings", strings},
              {"signals", handled_signals},
              {"faults", faults},
              {"exceptions", exceptions},
              {"threads", threads},
              {"modified code", modified_code},
              {"forked", forked}};

int main()
{
    setvbuf(stdout, NULL, _IONBF, 0);
    const bool reading = read_instructions() > 0;
    for (const auto &each : bodies)
        for (long size = 500; size <= 1500; size += 1000) {
            each.body(size); /* so that nothing is bound or allocated for the first time */
            const unsigned long began = read_instructions();
            if (!reading)
                CALLGRIND_START_INSTRUMENTATION;
            each.body(size);
            if (!reading)
                CALLGRIND_STOP_INSTRUMENTATION;
            const unsigned long ended = read_instructions();
            if (!reading)
                CALLGRIND_DUMP_STATS_AT("");
            printf("%s %ld %lu\n", each.name, size, ended - began);
        }
}
