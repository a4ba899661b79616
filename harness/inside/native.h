/* What native.c and cpuid.c share: how they make system calls, and which instructions are replaced while code runs on the
 * processor itself. All of it is for x86-64. */
#ifndef NATIVE_H
#define NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* A system call by its number: an answer below 0 is -errno. It uses no thread-local storage, so it may also be made where
 * the FS register is valgrind's; while dispatch is on, only it reaches the kernel. */
long system_call(long number, long first, long second, long third, long fourth, long fifth, long sixth);

/* cpuid.c. Each of them is called on the processor itself, not simulated. */

/* Replace every cpuid in what is mapped now, but not in the mappings that hold one of these addresses. 0 or -errno. */
long replace_all_cpuids(const uintptr_t *but, int number);

/* Nothing that was mapped there is there any more. */
void forget_cpuids(uintptr_t start, size_t bytes);

/* Whether any is replaced in these bytes. */
int holds_replaced(uintptr_t start, size_t bytes);

/* Whether a cpuid is replaced at this address. */
int is_replaced(uintptr_t address);

/* Put back every cpuid. 0 or -errno. */
long put_back_cpuids(void);

#endif
