/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about memory: mmap and its kin, copy on write, brk, faults in copies. */
#include "case.h"
#include <sys/sysinfo.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static char *map(size_t pages, int prot, int flags)
{
	char *at = mmap(NULL, pages * PAGE, prot, flags, -1, 0);
	CHECK(at != MAP_FAILED);
	return at;
}
/* Whether the kernel can read the byte: a write to a pipe says EFAULT if not. */
static int readable(const char *at)
{
	int p[2];
	CHECK_EQ(pipe(p), 0);
	ssize_t n = write(p[1], at, 1);
	CHECK(n == 1 || errno == EFAULT);
	close(p[0]);
	close(p[1]);
	return n == 1;
}

CASE(anonymous_memory_is_zero)
{
	char *at = map(3, RW, ANON);
	for (size_t i = 0; i < 3 * PAGE; i++)
		CHECK(!at[i]);
}
CASE(mmap_zero_length_is_einval) { CHECK_ERR(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL); }
CASE(mmap_without_sharing_kind_is_einval) { CHECK_ERR(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL); }
CASE(mmap_unaligned_offset_is_einval)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
}
CASE(mmap_bad_descriptor_is_ebadf) { CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 900, 0), EBADF); }
CASE(mmap_unreadable_descriptor_is_eacces)
{
	int fd = open("f", O_WRONLY | O_CREAT, 0600);
	CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
}
CASE(mmap_shared_write_needs_a_writable_descriptor)
{
	guest_write_file("f", "x");
	int fd = open("f", O_RDONLY);
	CHECK_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0) != MAP_FAILED);
}
/* A little more than there is; a page of a reservation costs the emulator memory. */
static size_t too_much(void)
{
	struct sysinfo info;
	sysinfo(&info);
	return (info.totalram + info.totalswap) * info.mem_unit + (64 << 20);
}
CASE(mmap_of_more_than_all_memory_is_enomem)
{
	size_t len = too_much();
	CHECK_ERR(mmap(NULL, len, RW, ANON, -1, 0), ENOMEM);
	CHECK_ERR(mmap(NULL, len, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), ENOMEM);
	char *at = mmap(NULL, len, RW, ANON | MAP_NORESERVE, -1, 0);
	CHECK(at != MAP_FAILED);
	at[len - 1] = 1;
	munmap(at, len);
}
CASE(reservation_of_more_than_all_memory_cannot_become_writable)
{
	size_t len = too_much();
	char *at = mmap(NULL, len, PROT_NONE, ANON, -1, 0);
	CHECK(at != MAP_FAILED);
	CHECK_ERR(mprotect(at, len, RW), ENOMEM);
	CHECK_EQ(mprotect(at, 2 * PAGE, RW), 0);
	at[PAGE] = 1;
	munmap(at, len);
}
CASE(mmap_huge_is_enomem) { CHECK_ERR(mmap(NULL, 1UL << 50, RW, ANON, -1, 0), ENOMEM); }
CASE(mmap_directory_is_enodev)
{
	CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0), ENODEV);
}
CASE(mmap_fixed_replaces)
{
	char *at = map(3, RW, ANON);
	memset(at, 'x', 3 * PAGE);
	CHECK(mmap(at + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == at + PAGE);
	CHECK(at[0] == 'x' && at[PAGE] == 0 && at[2 * PAGE] == 'x');
}
CASE(mmap_fixed_noreplace_is_eexist)
{
	char *at = map(1, RW, ANON);
	CHECK_ERR(mmap(at, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
}
CASE(mmap_fixed_unaligned_is_einval) { CHECK_ERR(mmap((void *)0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL); }
CASE(mmap_hint_is_honoured_when_free)
{
	char *at = map(1, RW, ANON);
	munmap(at, PAGE);
	CHECK(mmap(at, PAGE, RW, ANON, -1, 0) == at);
}
CASE(private_file_mapping_does_not_write_back)
{
	char c;
	guest_write_file("f", "abc");
	int fd = open("f", O_RDWR);
	char *at = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	at[0] = 'X';
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'a');
}
CASE(shared_file_mapping_writes_back)
{
	char c;
	guest_write_file("f", "abc");
	int fd = open("f", O_RDWR);
	char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	at[0] = 'X';
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, 'X');
	CHECK_EQ(pwrite(fd, "Y", 1, 1), 1);
	CHECK_EQ(at[1], 'Y');
}
CASE(file_mapping_reads_zeros_behind_the_end)
{
	guest_write_file("f", "abc");
	char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open("f", O_RDONLY), 0);
	CHECK(at[2] == 'c' && at[3] == 0 && at[4095] == 0);
}
CASE(file_mapping_survives_close_and_unlink)
{
	guest_write_file("f", "abc");
	int fd = open("f", O_RDONLY);
	char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	unlink("f");
	CHECK_EQ(at[1], 'b');
}
CASE(file_mapping_at_a_4k_offset)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(pwrite(fd, "Z", 1, PAGE), 1);
	char *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	CHECK(at != MAP_FAILED);
	CHECK_EQ(at[0], 'Z');
}
CASE(shared_anonymous_memory_crosses_fork)
{
	volatile char *at = map(1, RW, MAP_SHARED | MAP_ANONYMOUS);
	pid_t pid = fork();
	if (!pid) {
		at[0] = 7;
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(at[0], 7);
}
CASE(private_memory_is_copied_on_fork)
{
	volatile char *at = map(1, RW, ANON);
	at[0] = 1;
	pid_t pid = fork();
	if (!pid) {
		at[0] = 2;
		_exit(at[0] == 2 ? 0 : 1);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(at[0], 1);
}
CASE(grandchild_cow_is_independent)
{
	volatile int *at = (void *)map(1, RW, ANON);
	*at = 1;
	pid_t pid = fork();
	if (!pid) {
		pid_t grand = fork();
		if (!grand) {
			*at = 3;
			_exit(*at == 3 ? 0 : 1);
		}
		CHECK_CHILD_OK(grand);
		*at += 1;
		_exit(*at == 2 ? 0 : 1);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(*at, 1);
}
CASE(read_into_cow_page_breaks_the_share)
{
	char *at = map(1, RW, ANON);
	int p[2];
	CHECK_EQ(pipe(p), 0);
	at[0] = 'a';
	CHECK_EQ(write(p[1], "b", 1), 1);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(read(p[0], at, 1), 1);
		_exit(at[0] == 'b' ? 0 : 1);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(at[0], 'a');
}
CASE(munmap_makes_a_hole)
{
	char *at = map(3, RW, ANON);
	CHECK_EQ(munmap(at + PAGE, PAGE), 0);
	CHECK(readable(at) && !readable(at + PAGE) && readable(at + 2 * PAGE));
}
CASE(munmap_of_nothing_succeeds)
{
	char *at = map(1, RW, ANON);
	CHECK_EQ(munmap(at, PAGE), 0);
	CHECK_EQ(munmap(at, PAGE), 0);
}
CASE(munmap_unaligned_is_einval) { CHECK_ERR(munmap((void *)0x1001, PAGE), EINVAL); }
CASE(munmap_zero_is_einval) { CHECK_ERR(munmap((void *)0x1000, 0), EINVAL); }
CASE(mprotect_takes_away_and_gives_back)
{
	char *at = map(1, RW, ANON);
	at[0] = 'x';
	CHECK_EQ(mprotect(at, PAGE, PROT_NONE), 0);
	CHECK(!readable(at));
	CHECK_EQ(mprotect(at, PAGE, PROT_READ), 0);
	CHECK_EQ(at[0], 'x');
}
CASE(mprotect_hole_is_enomem)
{
	char *at = map(3, RW, ANON);
	munmap(at + PAGE, PAGE);
	CHECK_ERR(mprotect(at, 3 * PAGE, PROT_READ), ENOMEM);
}
CASE(mprotect_unaligned_is_einval) { CHECK_ERR(mprotect(map(1, RW, ANON) + 1, PAGE, PROT_READ), EINVAL); }
CASE(mprotect_write_on_read_only_shared_file_is_eacces)
{
	guest_write_file("f", "x");
	char *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open("f", O_RDONLY), 0);
	CHECK_ERR(mprotect(at, PAGE, RW), EACCES);
}
CASE(code_can_be_written_and_run)
{
	static const unsigned code[] = { 0x528000e0 /* mov w0, #7 */, 0xd65f03c0 /* ret */ };
	char *at = map(1, RW, ANON);
	memcpy(at, code, sizeof code);
	CHECK_EQ(mprotect(at, PAGE, PROT_READ | PROT_EXEC), 0);
	__builtin___clear_cache(at, at + sizeof code);
	CHECK_EQ(((int (*)(void))(void *)at)(), 7);
}
CASE(code_can_be_changed_in_place)
{
	unsigned code[] = { 0x528000e0, 0xd65f03c0 };
	char *at = map(1, RW | PROT_EXEC, ANON);
	for (unsigned i = 1; i < 20; i++) {
		code[0] = 0x52800000 | i << 5;
		memcpy(at, code, sizeof code);
		__builtin___clear_cache(at, at + sizeof code);
		CHECK_EQ(((int (*)(void))(void *)at)(), i);
	}
}
CASE(mremap_grows_and_keeps)
{
	char *at = map(1, RW, ANON);
	at[5] = 'k';
	at = mremap(at, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED);
	CHECK(at[5] == 'k' && at[63 * PAGE] == 0);
}
CASE(mremap_shrinks)
{
	char *at = map(4, RW, ANON);
	CHECK(mremap(at, 4 * PAGE, PAGE, 0) == at);
	CHECK(readable(at) && !readable(at + PAGE));
}
CASE(mremap_blocked_growth_is_enomem)
{
	char *at = map(2, RW, ANON);
	CHECK_ERR(mremap(at, PAGE, 2 * PAGE, 0), ENOMEM);
}
CASE(mremap_fixed_moves)
{
	char *at = map(1, RW, ANON), *to = map(1, RW, ANON);
	at[0] = 'm';
	CHECK(mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK_EQ(to[0], 'm');
	CHECK(!readable(at));
}
CASE(mremap_unmapped_is_efault)
{
	char *at = map(1, RW, ANON);
	munmap(at, PAGE);
	CHECK_ERR(mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}
CASE(madvise_dontneed_zeroes)
{
	char *at = map(1, RW, ANON);
	at[0] = 'x';
	CHECK_EQ(madvise(at, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(at[0], 0);
}
CASE(madvise_bad_advice_is_einval) { CHECK_ERR(madvise(map(1, RW, ANON), PAGE, 9999), EINVAL); }
CASE(madvise_hole_is_enomem)
{
	char *at = map(2, RW, ANON);
	munmap(at + PAGE, PAGE);
	CHECK_ERR(madvise(at, 2 * PAGE, MADV_DONTNEED), ENOMEM);
}
CASE(madvise_dontfork_is_absent_in_the_child)
{
	char *at = map(1, RW, ANON);
	CHECK_EQ(madvise(at, PAGE, MADV_DONTFORK), 0);
	pid_t pid = fork();
	if (!pid)
		_exit(readable(at));
	CHECK_CHILD_OK(pid);
}
CASE(madvise_wipeonfork_is_zero_in_the_child)
{
	char *at = map(1, RW, ANON);
	at[0] = 'x';
	CHECK_EQ(madvise(at, PAGE, MADV_WIPEONFORK), 0);
	pid_t pid = fork();
	if (!pid)
		_exit(at[0]);
	CHECK_CHILD_OK(pid);
	CHECK_EQ(at[0], 'x');
}
CASE(msync_hole_is_enomem)
{
	char *at = map(1, RW, ANON);
	munmap(at, PAGE);
	CHECK_ERR(msync(at, PAGE, MS_SYNC), ENOMEM);
}
CASE(msync_both_kinds_is_einval) { CHECK_ERR(msync(map(1, RW, ANON), PAGE, MS_SYNC | MS_ASYNC), EINVAL); }
CASE(mincore_tells_touched_pages)
{
	unsigned char state[2];
	char *at = map(2, RW, ANON);
	at[0] = 1;
	CHECK_EQ(mincore(at, 2 * PAGE, state), 0);
	CHECK(state[0] & 1);
	CHECK(!(state[1] & 1));
}
CASE(mincore_hole_is_enomem)
{
	unsigned char state;
	char *at = map(1, RW, ANON);
	munmap(at, PAGE);
	CHECK_ERR(mincore(at, PAGE, &state), ENOMEM);
}
CASE(brk_grows_and_shrinks)
{
	char *at = sbrk(8192);
	CHECK(at != (void *)-1);
	at[8191] = 1;
	CHECK(sbrk(-8192) != (void *)-1);
	CHECK(sbrk(0) == at);
}
CASE(stack_grows_on_demand)
{
	volatile char deep[1 << 20];
	for (size_t i = 0; i < sizeof deep; i += PAGE)
		deep[i] = 1;
	CHECK_EQ(deep[0], 1);
}
__attribute__((noinline)) static int descend(int depth)
{
	volatile char page[PAGE];
	page[0] = (char)depth;
	return depth ? descend(depth - 1) + page[0] : 0;
}
CASE(stack_overflow_is_sigsegv)
{
	pid_t pid = fork();
	if (!pid) {
		struct rlimit limit = { 1 << 20, 1 << 20 };
		setrlimit(RLIMIT_STACK, &limit);
		_exit(descend(512) & 1);
	}
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
CASE(copy_across_a_hole_is_partial)
{
	char *at = map(2, RW, ANON);
	int p[2];
	CHECK_EQ(pipe(p), 0);
	munmap(at + PAGE, PAGE);
	ssize_t n = write(p[1], at + PAGE - 10, 20);
	CHECK(n == 10 || (n == -1 && errno == EFAULT));
}
CASE(read_into_untouched_memory_works)
{
	char *at = map(1, RW, ANON);
	int fd = open("/dev/zero", O_RDONLY);
	CHECK_EQ(read(fd, at, PAGE), PAGE);
}
CASE(read_into_read_only_memory_is_efault)
{
	char *at = map(1, PROT_READ, ANON);
	CHECK_ERR(read(open("/dev/zero", O_RDONLY), at, 1), EFAULT);
}
CASE(truncate_under_a_mapping_zeroes_the_tail)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(write(fd, "abcdef", 6), 6);
	char *at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK_EQ(at[4], 'e');
	CHECK_EQ(ftruncate(fd, 2), 0);
	CHECK_EQ(ftruncate(fd, 6), 0);
	CHECK_EQ(at[1], 'b');
	CHECK_EQ(at[4], 0);
}
CASE(memfd_mapping_is_shared)
{
	int fd = memfd_create("m", 0);
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	char *a = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), *b = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	a[9] = 'q';
	CHECK_EQ(b[9], 'q');
}
CASE(mlock_hole_is_enomem)
{
	char *at = map(1, RW, ANON);
	munmap(at, PAGE);
	CHECK_ERR(mlock(at, PAGE), ENOMEM);
}
CASE(process_vm_readv_reads_a_child)
{
	static char secret[8] = "before";
	char text[8] = "";
	int p[2];
	char c;
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		strcpy(secret, "after");
		CHECK_EQ(write(p[1], "r", 1), 1);
		for (;;)
			pause();
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	struct iovec here = { text, 8 }, there = { secret, 8 };
	CHECK_EQ(process_vm_readv(pid, &here, 1, &there, 1, 0), 8);
	CHECK_STR(text, "after");
	kill(pid, SIGKILL);
}
CASE(process_vm_calls_stop_at_a_hole)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(munmap(two + page, page), 0);
	char mine[16] = "0123456789abcde";
	struct iovec here = { mine, 16 }, there = { two + page - 4, 16 }, hole = { two + page, 16 };
	CHECK_EQ(process_vm_writev(getpid(), &here, 1, &there, 1, 0), 4);
	CHECK(!memcmp(two + page - 4, "0123", 4));
	CHECK_EQ(process_vm_readv(getpid(), &here, 1, &there, 1, 0), 4);
	CHECK_ERR(process_vm_readv(getpid(), &here, 1, &hole, 1, 0), EFAULT);
	CHECK_ERR(process_vm_readv(getpid(), &here, 1, &there, 1, 1), EINVAL);
	CHECK_ERR(process_vm_readv(1 << 21, &here, 1, &there, 1, 0), ESRCH);
	CHECK_EQ(process_vm_readv(1 << 21, &here, 0, &there, 1, 0), 0);
}
