// SPDX-License-Identifier: MIT OR Apache-2.0
// A file of the image is cut short on the host while two processes have it mapped.
// Says when it is ready, goes on at the end of its standard input.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static sigjmp_buf back;
static void *volatile where;

static void on_bus(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    where = info->si_addr;
    siglongjmp(back, 1);
}

static void look(const char *name, volatile unsigned char *at)
{
    if (sigsetjmp(back, 1) == 0) {
        unsigned byte = *at;
        // No system call may see what is not there.
        getpgid(0);
        printf("%s: %u\n", name, byte);
    } else {
        void *page = (void *)((unsigned long)at / PAGE * PAGE);
        int is_there = where >= page && where < page + PAGE;
        printf("%s: SIGBUS %s\n", name, is_there ? "there" : "elsewhere");
    }
    fflush(stdout);
}

int main(void)
{
    int file = open("/data", O_RDONLY);
    unsigned char *map = mmap(0, 64 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    if (map == MAP_FAILED)
        return 1;
    struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
    sigaction(SIGBUS, &action, 0);
    look("first", map);
    look("later", map + 40 * PAGE);
    char byte;
    int gone[2];
    pipe(gone);
    pid_t child = fork();
    if (child == 0) {
        close(gone[1]);
        read(gone[0], &byte, 1);
        look("child later", map + 40 * PAGE);
        look("child first", map);
        _exit(0);
    }
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    errno = 0;
    long written = write(gone[1], map + 50 * PAGE, 1);
    printf("copy: %ld %s\n", written, errno == EFAULT ? "EFAULT" : "something else");
    look("later", map + 40 * PAGE);
    look("later again", map + 40 * PAGE);
    close(gone[1]);
    waitpid(child, 0, 0);
    look("first", map);
    look("in the last page", map + PAGE + 50);
    look("behind the end", map + PAGE + 200);
    return 0;
}
