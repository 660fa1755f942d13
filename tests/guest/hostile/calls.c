/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Random system calls with random arguments: calls SEED SECONDS [CHILD].
 *
 * Child after child makes a few hundred calls, chosen by SEED and the child's
 * number alone; with CHILD only that one runs. Two children run at a time, and every
 * fourth has three threads, which share memory and descriptors. The parent outlives
 * them all and says at the end how many there were. It runs as process 1 of a machine
 * of its own and refuses anything else: what it does to a real one is not bounded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define CALLS 300
#define AREA (16 * 4096)

static char *area;

static const char *const paths[] = {
	"", ".", "..", "/", "/tmp", "/tmp/f", "/tmp/d", "/tmp/d/../f", "/tmp/l", "/tmp/loop", "f", "d",
	"/proc/self/fd/3", "/proc/self/mem", "/proc/self/maps", "/proc/self/exe", "/proc/1/root", "/proc/self/task",
	"/dev/null", "/dev/zero", "/dev/full", "/dev/ptmx", "/dev/pts/0", "/dev/tty", "/dev/shm/x", "/bin/calls",
	"/sys/devices", "/nowhere/x", "user.name", "tmpfs", "proc", "/proc/self/oom_score_adj",
};

/* Something to talk to behind the first twenty descriptors. */
static void open_things(void)
{
	int null = open("/dev/null", O_RDWR), pair[2];
	if (null < 0) /* a child before this one has removed it */
		null = memfd_create("null", 0);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	mkdir("/tmp/d", 0755);
	symlink("f", "/tmp/l");
	symlink("loop", "/tmp/loop");
	open("/tmp/f", O_RDWR | O_CREAT, 0644);
	open("/tmp", O_RDONLY | O_DIRECTORY);
	pipe2(pair, O_NONBLOCK);
	pipe2(pair, 0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	listen(socket(AF_INET, SOCK_STREAM, 0), 4);
	socket(AF_INET6, SOCK_DGRAM, 0);
	eventfd(0, 0);
	epoll_create1(0);
	timerfd_create(CLOCK_MONOTONIC, 0);
	inotify_init1(0);
	memfd_create("m", MFD_ALLOW_SEALING);
	open("/dev/ptmx", O_RDWR | O_NOCTTY);
	open("/proc/self/maps", O_RDONLY);
}

static uint64_t pointer(void)
{
	switch (below(10)) {
	case 0: return 0;
	case 1: return (uint64_t)area + AREA - below(24);        /* runs over the end */
	case 2: return 0xffff000000000000 + below(1 << 20);      /* the kernel's half */
	case 3: return (uint64_t)open_things;                    /* cannot be written */
	default: return (uint64_t)area + below(AREA / 2);
	}
}
static uint64_t argument(void)
{
	switch (below(12)) {
	case 0: return below(8);
	case 1: case 2: return below(24);
	case 3: {
		char *copy = area + below(AREA - 64);
		strcpy(copy, paths[below(sizeof paths / sizeof *paths)]);
		return (uint64_t)copy;
	}
	case 4: case 5: case 6: return pointer();
	case 7: return 1ULL << below(64);
	case 8: return (uint64_t)-(int64_t)below(120);
	case 9: return below(64) * 4096;
	case 10: return below(1 << 16);
	default: return next() >> below(64);
	}
}

/* Structures made of small numbers pass more checks than noise does. */
static void fill_area(void)
{
	uint64_t *word = (uint64_t *)area;
	for (size_t i = 0; i < AREA / sizeof *word; i++)
		word[i] = below(3) ? below(32) : argument();
}

static long call(long number, const uint64_t *a)
{
	register long x8 __asm__("x8") = number;
	register uint64_t x0 __asm__("x0") = a[0], x1 __asm__("x1") = a[1], x2 __asm__("x2") = a[2];
	register uint64_t x3 __asm__("x3") = a[3], x4 __asm__("x4") = a[4], x5 __asm__("x5") = a[5];
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return (long)x0;
}

/* Calls that would end the test, and those that stop the parent by its number. */
static int spared(long number, const uint64_t *a)
{
	switch (number) {
	case SYS_exit: case SYS_exit_group: case SYS_reboot:
		return 1;
	case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo:
	case SYS_rt_tgsigqueueinfo: case SYS_prlimit64: case SYS_pidfd_open:
		return (int)a[0] == 1 || (int)a[1] == 1;
	default:
		return 0;
	}
}

/* What changes who it is or what it shares ends the thread that did it. */
static void calls(void)
{
	pid_t self = getpid(), thread = syscall(SYS_gettid);
	for (int i = 0; i < CALLS; i++) {
		uint64_t arguments[6];
		if (i % 16 == 0)
			fill_area();
		for (int n = 0; n < 6; n++)
			arguments[n] = argument();
		long what = (long)below(470);
		if (spared(what, arguments))
			continue;
		call(what, arguments);
		if (syscall(SYS_getpid) != self || syscall(SYS_gettid) != thread)
			syscall(SYS_exit, 0);
	}
}
static void *caller(void *seed)
{
	state = (uint64_t)seed;
	calls();
	return NULL;
}

static void on_tick(int signal) { (void)signal; }

static void child(uint64_t seed, uint64_t number)
{
	state = seed * 0x100000001b3 + number;
	/* Nothing is mapped behind the area. */
	area = mmap(NULL, AREA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(area + AREA, 4096);
	open_things();
	chdir("/tmp");
	setsid();
	if (number % 2 && (setgid(1000) || setuid(1000)))
		_exit(3);
	/* What waits is woken again and again. */
	struct sigaction tick = { .sa_handler = on_tick };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	sigaction(SIGALRM, &tick, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	if (number % 4 == 3)
		for (uint64_t n = 1; n < 3; n++) {
			pthread_t thread;
			pthread_create(&thread, NULL, caller, (void *)(state ^ n << 32));
		}
	calls();
	_exit(0);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run(uint64_t seed, uint64_t number, uint64_t count)
{
	for (uint64_t n = number; n < number + count; n++) {
		pid_t pid = fork();
		if (pid < 0) {
			printf("child %llu: fork: errno %d\n", (unsigned long long)n, errno);
			exit(1);
		}
		if (pid == 0)
			child(seed, n);
	}
	/* Their clocks may be stopped and their signals blocked: they have a second. */
	double end = now() + 1;
	while (waitpid(-1, NULL, WNOHANG) >= 0 && now() < end)
		usleep(2000);
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(int argc, char **argv)
{
	if (argc < 3 || getpid() != 1)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 0), number = 0;
	double end = now() + atof(argv[2]);
	if (argc > 3)
		run(seed, strtoull(argv[3], NULL, 0), 1);
	else
		for (; now() < end; number += 2)
			run(seed, number, 2);
	printf("seed %llu: %llu children\n", (unsigned long long)seed, (unsigned long long)number);
	return 0;
}
