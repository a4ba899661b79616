// Two libraries for tests/inside/test_native.py: the inner one throws through the outer one. Loaded by dlopen.
#include <cpuid.h>
#include <cstdint>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

#include "counting.h"

#ifdef INNER

static thread_local int own = 40; // in a library that is loaded late: its storage is made when it is first used

extern "C" int throws(int number)
{
    own += number;
    throw std::runtime_error("from the inner library");
}

extern "C" int thread_local_number()
{
    return own;
}

#else

extern "C" int throws(int);

static int constructed;
__attribute__((constructor)) static void construct()
{
    constructed = 42;
}

extern "C" int constructor_ran()
{
    return constructed;
}

extern "C" int catches(int number)
{
    try {
        return throws(number);
    } catch (const std::exception &) {
        return number + 1;
    }
}

extern "C" int vforks()
{
    const pid_t child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 6", nullptr);
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Two instructions a turn.
extern "C" void turns(uint64_t number)
{
    __asm__ volatile("1: sub $1, %0\n jnz 1b" : "+r"(number)::"cc");
}

// The instructions of so many turns, by the readable counter.
extern "C" int counted_turns(int number)
{
    const uint64_t began = READ_INSTRUCTIONS();
    turns(static_cast<uint64_t>(number));
    return static_cast<int>(READ_INSTRUCTIONS() - began);
}

// What the processor says that it is: the leaves that libraries choose their code by.
extern "C" void features(uint32_t *words)
{
    __cpuid_count(7, 0, words[0], words[1], words[2], words[3]);
    __cpuid(1, words[4], words[5], words[6], words[7]);
    words[5] &= 0xffffff; // without the number of the processor that it runs on
}

// Vector registers live across a system call and across cpuid.
extern "C" int vectors_are_kept()
{
    uint64_t in[4] = {1, 2, 3, 4}, out[4] = {0, 0, 0, 0};
    uint32_t a = 0, b, c = 0, d;
    long result = 39; // getpid
    __asm__ volatile("vmovdqu %[in], %%ymm13\n cpuid\n"
                     : "+a"(a), "=b"(b), "+c"(c), "=d"(d)
                     : [in] "m"(in)
                     : "xmm13");
    __asm__ volatile("syscall\n vmovdqu %%ymm13, %[out]" : "+a"(result), [out] "=m"(out)::"rcx", "r11", "xmm13", "memory");
    return out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 4 && result > 0;
}

extern "C" int recurses(int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth == 0 ? 0 : recurses(depth - 1) + (room[0] == (char)depth);
}

#endif
