/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Memory that goes away under a copy: pull SECONDS. One thread unmaps, maps, protects
 * and truncates two areas (anonymous, and a shared file) as fast as it can; others have
 * the kernel copy in and out of them. A copy gives a count in its range, EFAULT, or
 * what else its call may say; the last line counts both for each call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGES 8
#define SIZE (PAGES * 4096L)

static char *area[2];
static int file;
static volatile int stop;

static uint64_t step(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void *puller(void *unused)
{
	uint64_t state = 42;
	while (!stop) {
		int which = step(&state) % 2;
		int flags = MAP_FIXED | (which ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
		char *at = area[which] + step(&state) % PAGES * 4096;
		long len = 4096 * (1 + step(&state) % 4);
		if (at + len > area[which] + SIZE)
			len = area[which] + SIZE - at;
		switch (step(&state) % 8) {
		case 0: munmap(at, len); break;
		case 1: mprotect(at, len, PROT_NONE); break;
		case 2: mprotect(at, len, PROT_READ); break;
		case 3: madvise(at, len, MADV_DONTNEED); break;
		case 4: ftruncate(file, step(&state) % SIZE); break;
		case 5: ftruncate(file, SIZE); break;
		default:
			mmap(at, len, PROT_READ | PROT_WRITE, flags, which ? file : -1, which ? at - area[1] : 0);
		}
	}
	return unused;
}

enum { READ, WRITE, READV, RECVMSG, PREAD, PIPE, STAT, GETCWD, GETDENTS, POLL, SETMASK, READLINK, OPEN, CALLS };
static const char *const names[CALLS] = { "read", "write", "readv", "recvmsg", "pread", "pipe", "stat",
	"getcwd", "getdents", "poll", "sigmask", "readlink", "open" };
static long worked[CALLS], faulted[CALLS];
static int bad;

static void judge(int what, long result, long most)
{
	if (result >= 0 && result <= most)
		__atomic_add_fetch(&worked[what], 1, __ATOMIC_RELAXED);
	else if (result < 0 && errno == EFAULT)
		__atomic_add_fetch(&faulted[what], 1, __ATOMIC_RELAXED);
	else if (!(result < 0 && (errno == EAGAIN || errno == ENOENT || errno == EINVAL || errno == ENAMETOOLONG ||
				  errno == ENOMEM || errno == ENOTDIR || errno == ERANGE))) {
		printf("%s: %ld, errno %d\n", names[what], result, errno);
		bad = 1;
	}
}

static void *copier(void *seed)
{
	uint64_t state = (uint64_t)seed;
	int zero = open("/dev/zero", O_RDONLY), null = open("/tmp/sink", O_RDWR | O_CREAT, 0600), text = open("/bin/pull", O_RDONLY);
	int dir = open("/", O_RDONLY | O_DIRECTORY), end[2], sock[2];
	pipe2(end, O_NONBLOCK);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sock);
	static char source[SIZE];
	while (!stop) {
		char *at = area[step(&state) % 2] + step(&state) % (SIZE / 2);
		long len = step(&state) % (SIZE / 2);
		struct iovec parts[2] = { { at, len / 2 }, { area[0] + step(&state) % (SIZE / 2), len - len / 2 } };
		int what = step(&state) % CALLS;
		switch (what) {
		case READ: judge(what, read(zero, at, len), len); break;
		case WRITE: judge(what, pwrite(null, at, len, 0), len); break;
		case READV: judge(what, readv(zero, parts, 2), len); break;
		case PREAD: judge(what, pread(text, at, len, step(&state) % 100000), len); break;
		case RECVMSG: {
			struct msghdr header = { .msg_iov = parts, .msg_iovlen = 2 };
			write(sock[1], source, step(&state) % SIZE);
			judge(what, recvmsg(sock[0], &header, 0), len);
			break;
		}
		case PIPE:
			judge(WRITE, write(end[1], at, len), len);
			judge(what, read(end[0], parts[1].iov_base, len), len);
			break;
		case STAT: judge(what, stat("/", (struct stat *)at), 0); break;
		case GETCWD: judge(what, syscall(SYS_getcwd, at, len), len); break;
		case GETDENTS:
			lseek(dir, 0, SEEK_SET);
			judge(what, syscall(SYS_getdents64, dir, at, len), len);
			break;
		case POLL: judge(what, poll((struct pollfd *)at, len / 64, 0), len); break;
		case SETMASK: judge(what, syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, at, 8), 0); break;
		case READLINK: judge(what, readlink("/proc/self/exe", at, len), len); break;
		default: judge(what, access(at, R_OK), 0); break;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[4];
	if (argc < 2)
		return 2;
	static char line[4096];
	setvbuf(stdout, line, _IOFBF, sizeof line);
	file = open("/tmp/shared", O_RDWR | O_CREAT, 0600);
	ftruncate(file, SIZE);
	area[0] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	area[1] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	pthread_create(&thread[0], NULL, puller, NULL);
	for (long i = 1; i < 4; i++)
		pthread_create(&thread[i], NULL, copier, (void *)i);
	sleep((unsigned)atoi(argv[1]));
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < CALLS; i++)
		printf("%s %ld %ld\n", names[i], worked[i], faulted[i]);
	printf("done\n");
	return bad;
}
