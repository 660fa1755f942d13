// SPDX-License-Identifier: MIT OR Apache-2.0
//
// One kind of work, so many times: `work KIND COUNT`. `cargo xtask bench runtime` runs it
// in the simulator and beside it.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void check(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(1);
    }
}

// fork, exec of this program with nothing to do, wait. Where the kernel cannot run it,
// WORK_EMULATOR names the program that does.
static void spawn(const char *self, long count)
{
    const char *emulator = getenv("WORK_EMULATOR");
    for (long n = 0; n < count; n++) {
        pid_t child = fork();
        if (child == 0) {
            if (emulator)
                execl(emulator, emulator, self, "nothing", "0", (char *)0);
            execl(self, self, "nothing", "0", (char *)0);
            _exit(127);
        }
        int status;
        check(wait(&status) == child && status == 0, "wait");
    }
}

// A byte to another process and back.
static void pipes(long count)
{
    int there[2], back[2];
    char byte = 'x';
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    if (fork() == 0) {
        while (count-- > 0)
            check(read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1, "echo");
        _exit(0);
    }
    for (long n = 0; n < count; n++)
        check(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1, "call");
    wait(0);
}

static uint32_t sieve(size_t size)
{
    unsigned char *composite = calloc(size, 1);
    uint32_t primes = 0;
    check(composite != 0, "calloc");
    for (size_t n = 2; n < size; n++) {
        primes += !composite[n];
        for (size_t m = n * n; !composite[n] && m < size; m += n)
            composite[m] = 1;
    }
    free(composite);
    return primes;
}

static uint32_t mix(long count)
{
    uint32_t a = 1, b = 2;
    for (long n = 0; n < count * 1000; n++) {
        a = (a << 7 | a >> 25) + b;
        b = (b ^ a) * 2654435761u;
    }
    return a ^ b;
}

static unsigned fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
    check(argc == 3, "usage: work KIND COUNT");
    const char *kind = argv[1];
    long count = atol(argv[2]);
    volatile uint32_t sum = 0;
    struct timespec now;
    if (strcmp(kind, "spawn") == 0)
        spawn(argv[0], count);
    else if (strcmp(kind, "pipe") == 0)
        pipes(count);
    else if (strcmp(kind, "identity") == 0)
        while (count-- > 0)
            syscall(SYS_getuid);
    else if (strcmp(kind, "call") == 0)
        while (count-- > 0)
            syscall(SYS_getpgid, 0);
    else if (strcmp(kind, "clock") == 0)
        while (count-- > 0)
            clock_gettime(CLOCK_MONOTONIC, &now);
    else if (strcmp(kind, "sieve") == 0)
        while (count-- > 0)
            sum += sieve(1 << 20);
    else if (strcmp(kind, "mix") == 0)
        sum = mix(count);
    else if (strcmp(kind, "fib") == 0)
        while (count-- > 0)
            sum += fib(20);
    else
        check(strcmp(kind, "nothing") == 0, "kind of work");
    return 0;
}
