/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Broken programs: elves SEED SECONDS [NUMBER]. Valid ones (/bin/fixed, /bin/pie,
 * /bin/dynamic with its interpreter /tmp/interp, and scripts) are changed in a few
 * places, chosen by SEED and the number of the file alone, and executed. Whatever
 * comes of it, an error or a signal, is counted; the last line has the counts.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define MOST 200000

static char bytes[MOST];
static size_t size;

static void load(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, MOST);
	close(fd);
	if (n <= 0)
		_exit(3);
	size = (size_t)n;
}
static void store(const char *path)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT, 0755);
	write(fd, bytes, size);
	close(fd);
}

static uint64_t value(void)
{
	switch (below(10)) {
	case 0: return 0;
	case 1: return next();
	case 2: return 1ULL << below(64);
	case 3: return (1ULL << below(64)) - 1;
	case 4: return -below(5000);
	case 5: return below(64) * 4096;
	case 6: return size + below(3) - 1;
	case 7: return 0x0000fffffffff000 - below(3) * 4096;
	default: return below(300);
	}
}

/* One field of the headers, or a byte anywhere, or the file's length. */
static void change(void)
{
	Elf64_Ehdr *elf = (Elf64_Ehdr *)bytes;
	Elf64_Phdr *header = (Elf64_Phdr *)(bytes + sizeof *elf);
	Elf64_Phdr *one = header + below(10), *other = header + below(10);
	switch (below(16)) {
	case 0: bytes[below(64)] ^= (char)(1 << below(8)); break;
	case 1: elf->e_phoff = value(); break;
	case 2: elf->e_phnum = (uint16_t)value(); break;
	case 3: elf->e_phentsize = (uint16_t)value(); break;
	case 4: elf->e_entry = value(); break;
	case 5: elf->e_type = (uint16_t)below(5); break;
	case 6: size = below(size + 1); break;
	case 7: size = below(300); break;
	case 8: memcpy(one, other, sizeof *one); break;
	case 9: one->p_type = below(2) ? below(8) : (uint32_t)value(); break;
	case 10: one->p_flags = (uint32_t)value(); break;
	case 11: bytes[below(size ? size : 1)] ^= (char)(1 << below(8)); break;
	default: ((uint64_t *)one)[below(7)] = value(); break;
	}
}

static void script(void)
{
	static const char *const lines[] = {
		"#!", "#!\n", "#! \t \n", "#!/bin/fixed", "#!/bin/fixed\n", "#!/bin/fixed a b c\n", "#!/tmp/x\n",
		"#!/tmp/y\n", "#!nowhere\n", "#!/tmp\n", "#!/dev/null\n", "#!/bin/fixed \xff\xfe\n", "#!/proc/self/exe\n",
	};
	strcpy(bytes, lines[below(sizeof lines / sizeof *lines)]);
	size = strlen(bytes);
	if (below(4) == 0)
		bytes[below(size)] = (char)below(256);
	if (below(4) == 0) {
		memset(bytes + size, below(2) ? 'a' : ' ', 400);
		size += below(400);
	}
}

static void make(void)
{
	static const char *const programs[] = { "/bin/fixed", "/bin/pie", "/bin/dynamic" };
	load("/bin/pie");
	if (below(4) == 0)
		change();
	store("/tmp/interp");
	if (below(8) == 0) {
		script();
		store("/tmp/y");
		script();
	} else {
		load(programs[below(3)]);
		for (uint64_t times = below(4); times > 0 && size > 1000; times--)
			change();
	}
	store("/tmp/x");
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	long files = 0, refused = 0, killed = 0, ran = 0, stopped = 0;
	if (argc < 3)
		return 2;
	uint64_t seed = strtoull(argv[1], NULL, 0), first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	double end = now() + (argc > 3 ? 0 : atof(argv[2]));
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	do {
		state = seed * 0x100000001b3 + first + (uint64_t)files++;
		make();
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			char *const arguments[] = { "x", "y", NULL };
			close(1);
			execve("/tmp/x", arguments, arguments + 2);
			_exit(200);
		}
		/* A program that loops is no wonder; that it ends when told is the point. */
		struct timespec half = { 0, 500000000 };
		int status = 0;
		sigtimedwait(&child, NULL, &half);
		if (waitpid(pid, &status, WNOHANG) == 0) {
			kill(pid, SIGKILL);
			if (waitpid(pid, &status, 0) != pid)
				return 1;
			stopped++;
		} else if (WIFSIGNALED(status))
			killed++;
		else if (WEXITSTATUS(status) == 200)
			refused++;
		else
			ran++;
	} while (now() < end);
	printf("%ld files: %ld refused, %ld killed, %ld ran, %ld stopped\n", files, refused, killed, ran, stopped);
	return 0;
}
