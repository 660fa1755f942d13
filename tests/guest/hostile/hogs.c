/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Takes of one thing until it is refused: hogs THING. The last line says how many
 * there were and what the refusal was, as in "processes 40 EAGAIN". Then everything
 * is given back, and one more of it must be there again, or the status is 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 200000

static int report(const char *thing, long count, int error)
{
	printf("%s %ld %s\n", thing, count, error ? strerrorname_np(error) : "none");
	fflush(stdout);
	return error == 0;
}

/* Children that nobody waits for, half of them already ended. */
static int processes(void)
{
	long n = 0;
	int error = 0;
	while (n < MANY) {
		pid_t pid = fork();
		if (pid < 0) {
			error = errno;
			break;
		}
		if (pid == 0) {
			if (n % 2)
				pause();
			_exit(0);
		}
		n++;
	}
	int bad = report("processes", n, error);
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	if (getpid() == 1)
		kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	int status = 0;
	return bad || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7;
}

static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;
static void *sleeper(void *unused)
{
	pthread_mutex_lock(&hold);
	pthread_mutex_unlock(&hold);
	return unused;
}
static int threads(void)
{
	static pthread_t thread[MANY];
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
	pthread_mutex_lock(&hold);
	long n = 0;
	int error = 0;
	while (n < MANY && !(error = pthread_create(&thread[n], &small, sleeper, NULL)))
		n++;
	int bad = report("threads", n, error);
	pthread_mutex_unlock(&hold);
	for (long i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	if (pthread_create(&thread[0], &small, sleeper, NULL))
		return 1;
	return bad || pthread_join(thread[0], NULL);
}

/* Pages of a child: it is told ENOMEM, or killed. Its parent goes on. */
static int memory(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		for (long n = 0;; n++) {
			char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (block == MAP_FAILED)
				_exit(errno == ENOMEM ? 12 : 1);
			memset(block, 1, 1 << 20);
		}
	}
	int status = 0;
	waitpid(pid, &status, 0);
	int is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	int is_told = WIFEXITED(status) && WEXITSTATUS(status) == 12;
	printf("memory 0 %s\n", is_killed ? "SIGKILL" : is_told ? "ENOMEM" : "none");
	char *block = malloc(8 << 20);
	memset(block, 1, 8 << 20);
	return !(is_killed || is_told) || block[4711] != 1;
}

static int descriptors(void)
{
	long n = 0;
	int last = -1, fd;
	while (n < MANY && (fd = n % 3 ? dup(0) : open("/bin/hogs", O_RDONLY)) >= 0) {
		last = fd;
		n++;
	}
	int bad = report("descriptors", n, n < MANY ? errno : 0);
	close(last);
	return bad || open("/bin/hogs", O_RDONLY) != last;
}

/* As many full pipes and sockets as there may be, in child after child. */
static int buffers(void)
{
	static char page[65536];
	long n = 0;
	int error = 0;
	struct rlimit most = { 200000, 200000 };
	setrlimit(RLIMIT_NOFILE, &most);
	while (n < MANY) {
		int end[2];
		if (n % 2 ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, end) : pipe2(end, O_NONBLOCK)) {
			error = errno;
			break;
		}
		while (write(end[1], page, sizeof page) > 0)
			;
		n++;
	}
	int bad = report("buffers", n, error);
	for (int fd = 3; fd < 200000; fd++)
		close(fd);
	int end[2];
	return bad || pipe(end);
}

/* Bytes in memory file systems; then the file is removed and its room is back. */
static int files(void)
{
	static char block[1 << 20];
	long n = 0;
	for (int i = 0; i < 1000 && n < MANY; i++) {
		char name[40];
		sprintf(name, "%s/hog%d", i % 2 ? "/dev/shm" : "/tmp", i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);
		for (int k = 0; fd >= 0 && k < 16 && write(fd, block, sizeof block) == sizeof block; k++)
			n++;
		close(fd);
	}
	int fd = open("/tmp/hog0", O_WRONLY | O_APPEND);
	ssize_t wrote = write(fd, block, sizeof block);
	int bad = report("files", n, wrote < 0 ? errno : 0);
	unlink("/tmp/hog0");
	close(fd);
	fd = open("/tmp/more", O_CREAT | O_WRONLY, 0600);
	return bad || write(fd, block, sizeof block) != sizeof block;
}

/* A file that is larger than memory, mapped piece by piece, twice. */
static int cached(void)
{
	const long piece = 8 << 20;
	struct stat about;
	long n = 0, sum = 0;
	int fd = open("/big", O_RDONLY);
	fstat(fd, &about);
	for (int round = 0; round < 2; round++)
		for (off_t at = 0; at < about.st_size; at += piece) {
			char *map = mmap(NULL, piece, PROT_READ, MAP_SHARED, fd, at);
			for (long i = 0; i < piece; i += 4096, n++)
				sum += map[i];
			munmap(map, piece);
		}
	report("cached", n, 0);
	return sum != 0;
}

static int names(void)
{
	long n = 0;
	int error = 0;
	while (n < 2000000) {
		char name[40];
		sprintf(name, "/tmp/%ld", n);
		if (n % 2 ? mkdir(name, 0700) : symlink("x", name)) {
			error = errno;
			break;
		}
		n++;
	}
	int bad = report("names", n, error);
	rmdir("/tmp/1");
	return bad || mkdir("/tmp/1", 0700);
}

/* Every second page has other rights, so that none can be joined. */
static int mappings(void)
{
	long n = 0;
	int error = 0;
	char *area = mmap(NULL, (size_t)MANY * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	while (n < MANY && !error) {
		if (mprotect(area + n * 4096, 4096, n % 2 ? PROT_NONE : PROT_READ))
			error = errno;
		else
			n++;
	}
	int bad = report("mappings", n, error);
	munmap(area, (size_t)MANY * 4096);
	return bad || mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int signals(void)
{
	long n = 0;
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	while (n < MANY && sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 }) == 0)
		n++;
	int bad = report("signals", n, n < MANY ? errno : 0);
	sigwaitinfo(&all, NULL);
	return bad || sigqueue(getpid(), SIGRTMIN, (union sigval){ 0 });
}

static int timers(void)
{
	long n = 0;
	static timer_t timer[MANY];
	while (n < MANY && timer_create(CLOCK_MONOTONIC, NULL, &timer[n]) == 0)
		n++;
	int bad = report("timers", n, n < MANY ? errno : 0);
	timer_delete(timer[0]);
	return bad || timer_create(CLOCK_MONOTONIC, NULL, &timer[0]);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } things[] = {
		{ "processes", processes }, { "threads", threads }, { "memory", memory }, { "descriptors", descriptors },
		{ "buffers", buffers }, { "cached", cached }, { "files", files }, { "names", names }, { "mappings", mappings },
		{ "signals", signals }, { "timers", timers },
	};
	for (size_t i = 0; argc > 1 && i < sizeof things / sizeof *things; i++)
		if (strcmp(argv[1], things[i].name) == 0)
			return things[i].run();
	return 2;
}
