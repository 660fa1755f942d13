/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The frame of a guest test program: one CASE per claim about Linux.
 *
 * Each case runs in a child process of its own, in an empty directory, with
 * ten seconds to live. The program prints one line a case, `ok NAME` or
 * `FAIL NAME: where: what`, and exits with 1 when any failed. With arguments
 * it runs only the cases named; with `--list` it prints their names.
 */
#ifndef GUEST_CASE_H
#define GUEST_CASE_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CASES 256

struct guest_case {
	const char *name;
	void (*run)(void);
};

static struct guest_case guest_cases[MAX_CASES];
static int guest_case_count;
static int guest_report_fd = 1;

#define CASE(n)                                                              \
	static void n(void);                                                 \
	__attribute__((constructor)) static void register_##n(void)          \
	{                                                                    \
		guest_cases[guest_case_count].name = #n;                     \
		guest_cases[guest_case_count++].run = n;                     \
	}                                                                    \
	static void n(void)

/* Prints why the running case failed and ends it (and only it). */
__attribute__((noreturn, format(printf, 3, 4))) static void
guest_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	const char *base = strrchr(file, '/');
	int at = snprintf(text, sizeof text, "%s:%d: ", base ? base + 1 : file, line);
	va_list args;
	va_start(args, format);
	at += vsnprintf(text + at, sizeof text - (size_t)at, format, args);
	va_end(args);
	if (at > (int)sizeof text - 1)
		at = sizeof text - 1;
	if (write(guest_report_fd, text, (size_t)at) < 0)
		_exit(98);
	_exit(97);
}

#define CHECK(c)                                                             \
	do {                                                                 \
		if (!(c))                                                    \
			guest_fail(__FILE__, __LINE__, "%s (errno %d)", #c, errno); \
	} while (0)

#define CHECK_EQ(a, b)                                                       \
	do {                                                                 \
		long long left_ = (long long)(a), right_ = (long long)(b);   \
		if (left_ != right_)                                         \
			guest_fail(__FILE__, __LINE__, "%s = %lld, not %s = %lld (errno %d)", \
				   #a, left_, #b, right_, errno);            \
	} while (0)

#define CHECK_ERR(call, error)                                               \
	do {                                                                 \
		errno = 0;                                                   \
		long long got_ = (long long)(call);                          \
		if (got_ != -1 || errno != (error))                          \
			guest_fail(__FILE__, __LINE__, "%s = %lld errno %d, not %s", \
				   #call, got_, errno, #error);              \
	} while (0)

#define CHECK_STR(a, b)                                                      \
	do {                                                                 \
		const char *left_ = (a), *right_ = (b);                      \
		if (strcmp(left_, right_))                                   \
			guest_fail(__FILE__, __LINE__, "%s = \"%s\", not \"%s\"", #a, left_, right_); \
	} while (0)

/* Waits for a child and returns its raw wait status. */
__attribute__((unused)) static int guest_wait(pid_t pid)
{
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

/* The child ended by exit(0): a failed CHECK inside it ends with another code. */
#define CHECK_CHILD_OK(pid) CHECK_EQ(guest_wait(pid), 0)

__attribute__((unused)) static void guest_sleep_ms(long ms)
{
	struct timespec pause = { ms / 1000, (ms % 1000) * 1000000 };
	while (nanosleep(&pause, &pause) && errno == EINTR)
		;
}

__attribute__((unused)) static void guest_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), (long long)strlen(text));
	CHECK_EQ(close(fd), 0);
}

__attribute__((unused)) static long guest_elapsed_ms(const struct timespec *since)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static int guest_run_case(const struct guest_case *c)
{
	int report[2];
	char directory[64], why[512];
	snprintf(directory, sizeof directory, "/tmp/case.XXXXXX");
	if (!mkdtemp(directory) || pipe2(report, O_CLOEXEC)) {
		printf("FAIL %s: no scratch directory or pipe, errno %d\n", c->name, errno);
		return 1;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(report[0]);
		guest_report_fd = report[1];
		alarm(10);
		if (chdir(directory))
			_exit(96);
		c->run();
		_exit(0);
	}
	close(report[1]);
	/* Not until the pipe ends: what a failed case left running holds it open. */
	int status = -1;
	waitpid(pid, &status, 0);
	ssize_t got = 0, n;
	fcntl(report[0], F_SETFL, O_NONBLOCK);
	while ((n = read(report[0], why + got, sizeof why - 1 - (size_t)got)) > 0)
		got += n;
	why[got] = 0;
	close(report[0]);
	if (status == 0 && got == 0) {
		printf("ok %s\n", c->name);
		return 0;
	}
	printf("FAIL %s: %s (wait status %#x)\n", c->name, why, (unsigned)status);
	return 1;
}

int main(int argc, char **argv)
{
	int failed = 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < guest_case_count; i++) {
		int wanted = argc < 2;
		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], guest_cases[i].name);
		if (argc > 1 && !strcmp(argv[1], "--list"))
			printf("%s\n", guest_cases[i].name);
		else if (wanted)
			failed += guest_run_case(&guest_cases[i]);
	}
	return failed != 0;
}

#endif
