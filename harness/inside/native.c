/* Native stretches: parts of this process that run on the processor itself, not simulated, and yet within valgrind.
 *
 * Valgrind simulates the program at the program's own addresses, so the processor can also run its code directly. What
 * is not counted (imports, a rehearsal, setup, warming up) then takes a tenth of the time. Valgrind must go on knowing
 * what the process maps, forks and opens: every system call of a native stretch is made under valgrind.
 *
 *     go_native()   simulated      switches to a stack of its own, where loop() runs, simulated
 *       loop()      simulated      asks valgrind (VALGRIND_NON_SIMD_CALL) to call enter() on the processor
 *       enter()     native, on valgrind's stack   switches to the program's stack: go_native() returns, now native
 *         ...       native         the program, until one of these, each a signal:
 *                                    SIGSYS   a system call (the kernel's syscall user dispatch makes it one)
 *                                    SIGILL   a ud2 that stands for a cpuid (cpuid.c)
 *                                    SIGSYS   of a timer: may a signal be waiting, which valgrind holds back?
 *                                    SIGSEGV and others: a fault
 *       handler()   native, on the program's stack   notes which, goes back to valgrind's stack: enter() returns
 *       loop()      simulated      makes the system call, as valgrind knows it, or takes the pretended cpuid's answer;
 *                                  if a signal waits, lets valgrind give it to the program; enters again: the frame
 *                                  is left through the kernel (rt_sigreturn), with the answer in its registers
 *     go_simulated() native        makes a system call with a number that no kernel has: loop() takes all registers out of
 *                                  the frame and goes on after it, simulated
 *
 * So goes also what cannot be native: before a thread is made, and at a fault, loop() goes on simulated at that very
 * instruction. Valgrind then meets the fault itself, and says of it what it always says; the next go_native() is native
 * again, once there is one thread only.
 *
 * Who holds what:
 *   FS register   the program's while native, else valgrind's. No code here uses thread-local storage.
 *   handlers      six signals have handler() from enter() on until leave(); those of valgrind's that it meanwhile takes the
 *                 place of are called where valgrind itself, or code that it simulates, faults.
 *   mask          valgrind blocks every signal but while a system call is made. Those six are let through.
 *   timer         runs only while native: valgrind would take its signal for the program's.
 *   dispatch      on only while `selector` says so, per thread, not inherited by a child: enter() switches it on.
 *   cpuids        replaced by ud2 from enter() on until leave(), in every executable mapping but valgrind's and this one.
 *   frames        of SIGSYS, SIGILL lie on the program's stack and live until they are left. Those of faults lie on a
 *                 stack of ours, since the program's may be what is at its end.
 *
 * Assumed, and found out by find_lack() when a server starts: x86-64, Linux 5.11 or later with syscall user dispatch,
 * the instructions for the FS register (FSGSBASE), /proc/self/mem that writes to code. And not found out: that all code
 * is bound when it is loaded (LD_BIND_NOW): the lazy resolver of glibc saves as many registers as the real processor has
 * in a space for as many as the pretended one has.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "counting.h"
#include "methods.h"
#include "native.h"

#if defined(__x86_64__) && !defined(WITHOUT_VALGRIND)

#include <alloca.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE (1 << 1)
#endif

/* The machine's part in assembly */

/* Save the registers that a function keeps and the stack in *from, go to the stack `to`, whose first word is an address
 * to return to, and set *flag to 1 on the way. What is saved so is such a stack: going to it returns from here. */
void switch_stack(void **from, void *to, volatile char *flag);

/* The kernel returns through it from handler(). */
void signal_return(void);

/* Take all registers: those of `popped` in its order, vectors and the upper halves of them; go on at resume_address with
 * the stack resume_stack. */
void resume(const void *registers, const void *vectors, const void *upper_halves) __attribute__((noreturn));
static volatile uint64_t resume_stack __attribute__((used)), resume_address __attribute__((used));

/* Between these two system calls are made, whatever the selector says. */
extern const char dispatch_begins[], dispatch_ends[];

__asm__(".text\n"
        ".balign 64\n"
        "dispatch_begins:\n"
        ".globl system_call\n.hidden system_call\nsystem_call:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n  mov %r8, %r10\n  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n  syscall\n  ret\n"
        ".globl signal_return\n.hidden signal_return\nsignal_return:\n"
        "  mov $15, %eax\n  syscall\n  ud2\n" /* rt_sigreturn; the kernel compares the address behind the system call */
        "dispatch_ends:\n"
        ".globl switch_stack\n.hidden switch_stack\nswitch_stack:\n"
        "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  lea 1f(%rip), %rax\n  push %rax\n"
        "  mov %rsp, (%rdi)\n  mov %rsi, %rsp\n  movb $1, (%rdx)\n  ret\n"
        "1:\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n  ret\n"
        ".globl resume\n.hidden resume\nresume:\n"
        "  mov %rdi, %rsp\n"
        "  fxrstor64 (%rsi)\n"
        "  vinsertf128 $1, 0(%rdx), %ymm0, %ymm0\n  vinsertf128 $1, 16(%rdx), %ymm1, %ymm1\n"
        "  vinsertf128 $1, 32(%rdx), %ymm2, %ymm2\n  vinsertf128 $1, 48(%rdx), %ymm3, %ymm3\n"
        "  vinsertf128 $1, 64(%rdx), %ymm4, %ymm4\n  vinsertf128 $1, 80(%rdx), %ymm5, %ymm5\n"
        "  vinsertf128 $1, 96(%rdx), %ymm6, %ymm6\n  vinsertf128 $1, 112(%rdx), %ymm7, %ymm7\n"
        "  vinsertf128 $1, 128(%rdx), %ymm8, %ymm8\n  vinsertf128 $1, 144(%rdx), %ymm9, %ymm9\n"
        "  vinsertf128 $1, 160(%rdx), %ymm10, %ymm10\n  vinsertf128 $1, 176(%rdx), %ymm11, %ymm11\n"
        "  vinsertf128 $1, 192(%rdx), %ymm12, %ymm12\n  vinsertf128 $1, 208(%rdx), %ymm13, %ymm13\n"
        "  vinsertf128 $1, 224(%rdx), %ymm14, %ymm14\n  vinsertf128 $1, 240(%rdx), %ymm15, %ymm15\n"
        "  pop %rax\n  pop %rbx\n  pop %rcx\n  pop %rdx\n  pop %rsi\n  pop %rdi\n  pop %rbp\n  pop %r8\n  pop %r9\n"
        "  pop %r10\n  pop %r11\n  pop %r12\n  pop %r13\n  pop %r14\n  pop %r15\n  popfq\n"
        "  mov resume_stack(%rip), %rsp\n  jmp *resume_address(%rip)\n");

/* What resume() pops: these registers and the flags. */
static const int popped[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP, REG_R8,
                             REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_EFL};
enum { POPPED = sizeof popped / sizeof *popped };

static uint64_t fs_register(void)
{
    uint64_t value;
    __asm__ volatile("rdfsbase %0" : "=r"(value));
    return value;
}

static void set_fs_register(uint64_t value)
{
    __asm__ volatile("wrfsbase %0" ::"r"(value));
}

/* The state of the process */

/* The kernel's own, which differs from the C library's. */
struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

/* The number of no system call: the program goes on simulated. */
enum { GO_SIMULATED = 0x4e5401 };

static const int SIGNALS[] = {SIGSYS, SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP};
enum { NUMBER_OF_SIGNALS = sizeof SIGNALS / sizeof *SIGNALS, STACK = 1 << 18, TICK_NANOSECONDS = 20 * 1000 * 1000 };

static int native;
static int entered, handling, dispatching; /* what enter() has done and need not do again */
static volatile char selector;             /* the kernel reads it: 1 makes system calls signals */
static volatile char no_flag;
static void *program_stack, *valgrinds_stack;
static uint64_t program_fs, valgrinds_fs;
static struct kernel_action valgrinds_actions[NUMBER_OF_SIGNALS];
static stack_t valgrinds_fault_stack;
static uint64_t valgrinds_mask;
static int actions_saved, stack_saved, mask_saved; /* so many of valgrind's actions; whether the others are */
static int timer, has_timer;

/* Why handler() came: the frame's signal, with its code; for SIGSYS of a timer TICK. */
enum { TICK = -1 };
static int reason, code;
static ucontext_t *frame; /* NULL: the program stands in switch_stack() */
static uint32_t vector_control;
static uint16_t float_control;

/* Whether anything was made executable since handler() came. */
static int has_new_code;

/* Whether it was seen, since handler() came, if the program may have a signal that waits. */
static int looked;

/* Valgrind's code, and this. */
static uintptr_t not_replaced[2];

static char loop_stack[STACK] __attribute__((aligned(4096)));
static char fault_stack[STACK] __attribute__((aligned(4096)));

/* The timer runs only while the program does. */
static long set_timer(long nanoseconds)
{
    const struct itimerspec often = {{0, nanoseconds}, {0, nanoseconds}};
    return system_call(SYS_timer_settime, timer, 0, (long)&often, 0, 0, 0);
}

/* Signals that valgrind holds back, as a mask. */
static uint64_t waiting_signals(void)
{
    uint64_t waiting = 0;
    system_call(SYS_rt_sigpending, (long)&waiting, sizeof waiting, 0, 0, 0, 0);
    return waiting;
}

/* Native, on the program's stack or on the fault stack; not native where `selector` is 0 */

static void handler(int signal, siginfo_t *info, void *context)
{
    if (selector == 0) {
        if (signal == SIGSYS)
            return; /* the timer's, a moment late */
        for (int number = 0; number < NUMBER_OF_SIGNALS; number++)
            if (SIGNALS[number] == signal) /* valgrind's own fault, or of what it simulates */
                ((void (*)(int, siginfo_t *, void *))valgrinds_actions[number].handler)(signal, info, context);
        return;
    }
    if (signal == SIGSYS && info->si_code == SI_TIMER) {
        if (waiting_signals() == 0)
            return;
        reason = TICK;
    } else
        reason = signal;
    selector = 0;
    set_timer(0); /* valgrind must never meet a tick: it would take it for the program's */
    code = info->si_code;
    frame = context;
    set_fs_register(valgrinds_fs);
    void *nobody_returns_here;
    switch_stack(&nobody_returns_here, valgrinds_stack, &no_flag);
}

/* Native, on valgrind's stack */

/* The signals that handler() takes, as a mask. */
static uint64_t let_through(void)
{
    uint64_t mask = 0;
    for (int number = 0; number < NUMBER_OF_SIGNALS; number++)
        mask |= 1ull << (SIGNALS[number] - 1);
    return mask;
}

static long set_handlers(void)
{
    const unsigned long has_restorer = 0x04000000;
    /* Nothing else comes on top of a handler's frame: valgrind looks at what was interrupted, and must know it. */
    const uint64_t others = ~let_through();
    for (int number = 0; number < NUMBER_OF_SIGNALS; number++) {
        const int signal = SIGNALS[number];
        const unsigned long on_fault_stack = signal == SIGSEGV || signal == SIGBUS ? SA_ONSTACK : 0;
        const struct kernel_action ours = {handler, SA_SIGINFO | SA_NODEFER | SA_RESTART | on_fault_stack | has_restorer,
                                           signal_return, others};
        struct kernel_action before;
        const long failed = system_call(SYS_rt_sigaction, signal, (long)&ours, (long)&before, sizeof ours.mask, 0, 0);
        if (failed != 0)
            return failed;
        if (before.handler != (void *)handler)
            valgrinds_actions[number] = before;
        if (actions_saved == number)
            actions_saved++;
    }
    return 0;
}

/* What holds for a whole native stretch, and for children that it forks. */
static long begin_stretch(void)
{
    const stack_t stack = {.ss_sp = fault_stack, .ss_size = sizeof fault_stack};
    const uint64_t ours = let_through();
    long failed = system_call(SYS_sigaltstack, (long)&stack, (long)&valgrinds_fault_stack, 0, 0, 0, 0);
    stack_saved = failed == 0;
    if (failed == 0) {
        failed = system_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ours, (long)&valgrinds_mask, sizeof ours, 0, 0);
        mask_saved = failed == 0;
    }
    return failed == 0 ? replace_all_cpuids(not_replaced, 2) : failed;
}

/* Of the time that this process uses the processor. */
static long make_timer(void)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGSYS;
    const long failed = system_call(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, (long)&event, (long)&timer, 0, 0, 0);
    has_timer = failed == 0;
    return failed;
}

static long dispatch(int on)
{
    const long length = on ? dispatch_ends - dispatch_begins : 0;
    return system_call(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, on, on ? (long)dispatch_begins : 0, length,
                       on ? (long)&selector : 0, 0);
}

/* Undo what enter() did, as far as it came. 0 or -errno. */
static unsigned long leave(unsigned long thread)
{
    if (dispatching)
        dispatch(0);
    if (has_timer)
        system_call(SYS_timer_delete, timer, 0, 0, 0, 0, 0);
    for (int number = 0; number < actions_saved; number++)
        system_call(SYS_rt_sigaction, SIGNALS[number], (long)&valgrinds_actions[number], 0, sizeof valgrinds_mask, 0, 0);
    if (stack_saved)
        system_call(SYS_sigaltstack, (long)&valgrinds_fault_stack, 0, 0, 0, 0, 0);
    if (mask_saved)
        system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&valgrinds_mask, 0, sizeof valgrinds_mask, 0, 0);
    entered = handling = dispatching = has_timer = actions_saved = stack_saved = mask_saved = 0;
    return (unsigned long)put_back_cpuids();
}

/* Run the program on the processor until handler() comes. 0; or -errno where that cannot be; or SIGNAL_WAITS: it is to be
 * given to the program first. */
enum { SIGNAL_WAITS = 1 };

static unsigned long enter(unsigned long thread)
{
    long failed = 0;
    valgrinds_fs = fs_register();
    if (!handling)
        failed = set_handlers();
    handling = 1;
    if (failed == 0 && !entered)
        failed = begin_stretch();
    entered = 1;
    if (failed == 0 && !dispatching) {
        failed = dispatch(1);
        dispatching = failed == 0;
        if (dispatching)
            failed = make_timer();
    }
    if (failed == 0 && has_new_code)
        failed = replace_all_cpuids(not_replaced, 2);
    has_new_code = 0;
    if (failed == 0 && !looked && waiting_signals() != 0)
        return SIGNAL_WAITS;
    looked = 0;
    if (failed == 0)
        failed = set_timer(TICK_NANOSECONDS);
    if (failed != 0)
        return (unsigned long)failed;

    /* A handler's frame begins with the address of signal_return(), to which the handler would return. */
    void *const to = frame == NULL ? program_stack : (char *)frame - sizeof(void *);
    if (frame == NULL)
        __asm__ volatile("fldcw %0\n ldmxcsr %1" ::"m"(float_control), "m"(vector_control));
    set_fs_register(program_fs);
    switch_stack(&valgrinds_stack, to, &selector);
    return 0;
}

/* Simulated, on loop_stack. No function of the C library is called here: that may be what the program is in. */

static void say(const char *sentence)
{
    system_call(SYS_write, 2, (long)sentence, (long)strlen(sentence), 0, 0, 0);
}

/* Nothing is native from here on. With ud2 where its cpuids were the program cannot go on. */
static void leave_for_good(void)
{
    native = 0;
    if (VALGRIND_NON_SIMD_CALL0(leave) != 0) {
        say("native: the cpuids cannot be put back\n");
        system_call(SYS_exit_group, 1, 0, 0, 0, 0, 0);
    }
}

/* Go on simulated where the program stands. */
static void __attribute__((noreturn)) go_on_simulated(void)
{
    leave_for_good();
    static const uint8_t zeros[256];
    const greg_t *const registers = frame->uc_mcontext.gregs;
    const uint8_t *const saved = (const uint8_t *)frame->uc_mcontext.fpregs;
    /* As XSAVE writes them: from 464 on what the kernel says, from 512 on which parts there are, at 576 the upper halves
     * of the vector registers if bit 2 says so. */
    uint64_t parts;
    memcpy(&parts, saved + 512, sizeof parts);
    uint64_t taken[POPPED];
    const uint64_t program_flags = 0xcd5; /* what arithmetic sets, and the direction of string instructions */
    for (int number = 0; number < POPPED; number++)
        taken[number] = (uint64_t)registers[popped[number]] & (popped[number] == REG_EFL ? program_flags : ~0ull);
    resume_stack = (uint64_t)registers[REG_RSP];
    resume_address = (uint64_t)registers[REG_RIP];
    resume(taken, saved, parts & 4 ? saved + 576 : zeros);
}

/* The same where the program has not begun to be native: it stands in go_native(). */
static void give_up(void)
{
    leave_for_good();
    void *nobody_returns_here;
    switch_stack(&nobody_returns_here, program_stack, &no_flag);
}

/* What valgrind and cpuid.c must know of a system call that the program made. */
static void notice(const greg_t *registers, long number, long answer)
{
    const uintptr_t first = (uintptr_t)registers[REG_RDI];
    const size_t second = (size_t)registers[REG_RSI];
    if (answer < 0 && answer > -4096)
        return;
    switch (number) {
    case SYS_mmap:
        forget_cpuids((uintptr_t)answer, second);
        has_new_code |= (registers[REG_RDX] & PROT_EXEC) != 0;
        break;
    case SYS_mprotect:
        has_new_code |= (registers[REG_RDX] & PROT_EXEC) != 0;
        break;
    case SYS_munmap:
    case SYS_mremap:
        forget_cpuids(first, second);
        break;
    case SYS_rt_sigaction:
        handling = 0; /* valgrind may have set its own again */
        break;
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
        if (answer == 0)
            dispatching = has_timer = 0; /* a child has neither */
        break;
    }
}

static unsigned long put_back(unsigned long thread)
{
    return (unsigned long)put_back_cpuids();
}

static void make_system_call(greg_t *registers)
{
    const long number = registers[REG_RAX];
    long second = registers[REG_RSI];
    if (number == GO_SIMULATED) {
        registers[REG_RAX] = 0;
        go_on_simulated();
    }
    if (number == SYS_clone3) { /* the C library then makes the older call, of which the flags are in a register */
        registers[REG_RAX] = -ENOSYS;
        return;
    }
    if (number == SYS_clone) {
        if (registers[REG_RDI] & 0x10000) { /* CLONE_THREAD: valgrind must make it, not this loop */
            registers[REG_RIP] -= 2;        /* which stands behind the instruction already */
            go_on_simulated();
        }
        second = 0; /* the child is here too, on this stack */
    }
    if (number == SYS_mremap && holds_replaced((uintptr_t)registers[REG_RDI], (size_t)second)) {
        VALGRIND_NON_SIMD_CALL0(put_back); /* what moves must be cpuids: they are found anew where they come to */
        has_new_code = 1;
    }
    const long answer = system_call(number, registers[REG_RDI], second, registers[REG_RDX], registers[REG_R10],
                                    registers[REG_R8], registers[REG_R9]);
    notice(registers, number, answer);
    if (number == SYS_clone && answer == 0 && registers[REG_RSI] != 0)
        registers[REG_RSP] = registers[REG_RSI];
    registers[REG_RAX] = answer;
}

static void answer_cpuid(greg_t *registers)
{
    uint32_t a = (uint32_t)registers[REG_RAX], b, c = (uint32_t)registers[REG_RCX], d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

/* Where the program must go on to meet the fault that it met natively: where it stood before, in two cases.
 *   - The kernel could not put the frame of SIGSYS on the stack, and made it a SIGSEGV: the system call is not made yet.
 *   - At the trap of an int3 it stands behind it already. */
static void stand_before_fault(greg_t *registers)
{
    const uint8_t *const at = (const uint8_t *)registers[REG_RIP];
    const int readable = code == SI_KERNEL && (uintptr_t)at % PAGE >= 2 && (uintptr_t)at < 1ul << 47;
    if (reason == SIGSEGV && readable && at[-2] == 0x0f && at[-1] == 0x05)
        registers[REG_RIP] -= 2;
    else if (reason == SIGTRAP && readable && at[-1] == 0xcc)
        registers[REG_RIP] -= 1;
}

static void __attribute__((noreturn)) loop(void)
{
    for (;;) {
        const long failed = (long)VALGRIND_NON_SIMD_CALL0(enter);
        if (failed == SIGNAL_WAITS) {
            const struct timespec no_time = {0, 0};
            system_call(SYS_ppoll, 0, 0, (long)&no_time, 0, 0, 0); /* valgrind then gives it to the program */
            looked = 1;
            continue;
        }
        if (failed != 0) {
            say("native: the program goes on simulated, natively it cannot\n");
            if (frame != NULL)
                go_on_simulated();
            give_up();
        }
        greg_t *const registers = frame->uc_mcontext.gregs;
        if (reason == SIGSYS)
            make_system_call(registers);
        else if (reason == SIGILL && is_replaced((uintptr_t)registers[REG_RIP]))
            answer_cpuid(registers);
        else if (reason != TICK) { /* after which enter() finds that a signal waits */
            stand_before_fault(registers);
            go_on_simulated();
        }
    }
}

/* Simulated, on the program's stack: what Python calls */

/* Valgrind makes the stack larger when simulated code comes to its end; native code would fault there. */
extern void *__libc_stack_end;

static void make_stack_larger(void)
{
    static int done;
    struct rlimit limit;
    if (done || getrlimit(RLIMIT_STACK, &limit) != 0)
        return;
    done = 1;
    const size_t most = 8 << 20, size = limit.rlim_cur < most ? limit.rlim_cur : most;
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0), top = (uintptr_t)__libc_stack_end;
    const uintptr_t deepest = top - size + size / 16;
    if (here > top || here <= deepest)
        return;
    *(volatile char *)alloca(here - deepest) = 0;
}

static int threads(void)
{
    struct stat facts;
    return stat("/proc/self/task", &facts) == 0 ? (int)facts.st_nlink - 2 : 0;
}

/* Native, on valgrind's stack: what this machine lacks. */
enum { LACKS_NOTHING, LACKS_DISPATCH, LACKS_FS, LACKS_WRITING };

static unsigned long find_lack(unsigned long thread)
{
    Elf64_auxv_t entry = {0};
    int has_fs = 0;
    const long vector = system_call(SYS_open, (long)"/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
    while (vector >= 0 && system_call(SYS_read, vector, (long)&entry, sizeof entry, 0, 0, 0) == sizeof entry)
        has_fs |= entry.a_type == AT_HWCAP2 && entry.a_un.a_val & HWCAP2_FSGSBASE;
    system_call(SYS_close, vector, 0, 0, 0, 0, 0);
    if (!has_fs)
        return LACKS_FS;
    if (dispatch(1) != 0)
        return LACKS_DISPATCH;
    dispatch(0);
    not_replaced[0] = (uintptr_t)__builtin_return_address(0);
    not_replaced[1] = (uintptr_t)dispatch_begins;
    return replace_all_cpuids(not_replaced, 2) == 0 && put_back_cpuids() == 0 ? LACKS_NOTHING : LACKS_WRITING;
}

/* Why go_native() does nothing: NULL where it can, or where nobody has called it yet. */
static const char *lack;

static int can_be_native(void)
{
    static const char *const sentences[] = {
        [LACKS_NOTHING] = NULL,
        [LACKS_DISPATCH] = "the kernel has no syscall user dispatch (Linux 5.11 and later have it)",
        [LACKS_FS] = "the kernel does not let programs set the FS register (FSGSBASE, Linux 5.9 and later)",
        [LACKS_WRITING] = "the process may not write to its own code through /proc/self/mem",
    };
    static int known;
    if (!known) {
        const char *const wanted = getenv("GO_NATIVE");
        if (!RUNNING_ON_VALGRIND)
            lack = "it does not run under valgrind";
        else if (wanted == NULL || strcmp(wanted, "1") != 0)
            lack = "HARNESS_NATIVE=0 switches it off";
        else
            lack = sentences[VALGRIND_NON_SIMD_CALL0(find_lack)];
        known = 1;
    }
    return lack == NULL;
}

/* native_lack() -> why go_native() does nothing, a sentence; None where it can. Once it was called. */
PyObject *native_lack(PyObject *self, PyObject *unused)
{
    if (lack == NULL)
        Py_RETURN_NONE;
    return PyUnicode_FromString(lack);
}

/* go_native() -> whether what follows runs on the processor itself: not where that cannot be, nor with threads. */
PyObject *go_native(PyObject *self, PyObject *unused)
{
    if (!native && can_be_native() && threads() == 1) {
        make_stack_larger();
        __asm__ volatile("mov %%fs:0, %0" : "=r"(program_fs));
        __asm__ volatile("fnstcw %0\n stmxcsr %1" : "=m"(float_control), "=m"(vector_control));
        frame = NULL;
        native = 1;
        void **const top = (void **)(loop_stack + sizeof loop_stack - 64);
        *top = loop;
        switch_stack(&program_stack, top, &no_flag);
    }
    return PyBool_FromLong(native);
}

/* is_native() -> whether this runs on the processor itself. */
PyObject *is_native(PyObject *self, PyObject *unused)
{
    return PyBool_FromLong(native);
}

/* go_simulated(): what follows is simulated by valgrind. */
PyObject *go_simulated(PyObject *self, PyObject *unused)
{
    if (native) {
        long number = GO_SIMULATED;
        __asm__ volatile("syscall" : "+a"(number)::"rcx", "r11", "memory");
    }
    Py_RETURN_NONE;
}

#else

PyObject *native_lack(PyObject *self, PyObject *unused)
{
    return PyUnicode_FromString("native stretches are made for x86-64 and for valgrind only");
}

PyObject *go_native(PyObject *self, PyObject *unused)
{
    Py_RETURN_FALSE;
}

PyObject *is_native(PyObject *self, PyObject *unused)
{
    Py_RETURN_FALSE;
}

PyObject *go_simulated(PyObject *self, PyObject *unused)
{
    Py_RETURN_NONE;
}

#endif
