/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about open files: open, read, write, seek, truncate, descriptors. */
#include "case.h"
#include <sys/sendfile.h>
#include <sys/statfs.h>

static int scratch(void)
{
	int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0);
	return fd;
}

CASE(open_missing_is_enoent) { CHECK_ERR(open("none", O_RDONLY), ENOENT); }
CASE(open_empty_path_is_enoent) { CHECK_ERR(open("", O_RDONLY), ENOENT); }
CASE(open_below_a_file_is_enotdir)
{
	guest_write_file("f", "x");
	CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
}
CASE(open_file_with_trailing_slash_is_enotdir)
{
	guest_write_file("f", "x");
	CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
}
CASE(open_directory_for_writing_is_eisdir) { CHECK_ERR(open(".", O_WRONLY), EISDIR); }
CASE(open_o_directory_on_file_is_enotdir)
{
	guest_write_file("f", "x");
	CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
}
CASE(open_o_excl_on_existing_is_eexist)
{
	guest_write_file("f", "x");
	CHECK_ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
}
CASE(open_o_excl_on_dangling_symlink_is_eexist)
{
	CHECK_EQ(symlink("none", "l"), 0);
	CHECK_ERR(open("l", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
}
CASE(open_o_creat_follows_dangling_symlink)
{
	struct stat st;
	CHECK_EQ(symlink("target", "l"), 0);
	CHECK(open("l", O_CREAT | O_RDWR, 0600) >= 0);
	CHECK_EQ(lstat("target", &st), 0);
}
CASE(open_o_nofollow_on_symlink_is_eloop)
{
	CHECK_EQ(symlink("none", "l"), 0);
	CHECK_ERR(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
}
CASE(open_bad_pointer_is_efault) { CHECK_ERR(open((char *)8, O_RDONLY), EFAULT); }
CASE(open_long_name_is_enametoolong)
{
	char name[300];
	memset(name, 'a', sizeof name);
	name[256] = 0;
	CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
}
CASE(open_path_of_4096_is_enametoolong)
{
	static char path[5000];
	memset(path, '/', 4999);
	CHECK_ERR(open(path, O_RDONLY), ENAMETOOLONG);
}
CASE(open_uses_lowest_descriptor)
{
	int a = scratch(), b = dup(a), c = dup(a);
	CHECK(a < b && b < c);
	close(b);
	CHECK_EQ(dup(a), b);
}
CASE(open_mode_is_masked_by_umask)
{
	struct stat st;
	umask(027);
	CHECK(open("m", O_CREAT | O_RDWR, 0666) >= 0);
	CHECK_EQ(stat("m", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
}
CASE(open_o_trunc_empties_the_file)
{
	struct stat st;
	guest_write_file("f", "hello");
	CHECK(open("f", O_WRONLY | O_TRUNC) >= 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_size, 0);
}
CASE(open_o_tmpfile_has_no_name)
{
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK(S_ISREG(st.st_mode));
}
CASE(open_o_path_refuses_io)
{
	char c;
	guest_write_file("f", "x");
	int fd = open("f", O_PATH);
	CHECK(fd >= 0);
	CHECK_ERR(read(fd, &c, 1), EBADF);
	CHECK_ERR(write(fd, "x", 1), EBADF);
	CHECK_ERR(fchmod(fd, 0600), EBADF);
}
CASE(open_o_path_nofollow_opens_the_symlink)
{
	struct stat st;
	CHECK_EQ(symlink("none", "l"), 0);
	int fd = open("l", O_PATH | O_NOFOLLOW);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISLNK(st.st_mode));
}
CASE(read_returns_what_was_written)
{
	char text[6] = "";
	int fd = scratch();
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(read(fd, text, 6), 5);
	CHECK_STR(text, "hello");
	CHECK_EQ(read(fd, text, 6), 0);
}
CASE(read_on_write_only_is_ebadf)
{
	char c;
	int fd = open("f", O_WRONLY | O_CREAT, 0600);
	CHECK_ERR(read(fd, &c, 1), EBADF);
}
CASE(write_on_read_only_is_ebadf)
{
	guest_write_file("f", "x");
	int fd = open("f", O_RDONLY);
	CHECK_ERR(write(fd, "x", 1), EBADF);
}
CASE(read_directory_is_eisdir)
{
	char c;
	int fd = open(".", O_RDONLY);
	CHECK_ERR(read(fd, &c, 1), EISDIR);
}
CASE(read_closed_descriptor_is_ebadf)
{
	char c;
	CHECK_ERR(read(900, &c, 1), EBADF);
	CHECK_ERR(read(-1, &c, 1), EBADF);
}
CASE(read_into_bad_pointer_is_efault)
{
	int fd = scratch();
	CHECK_EQ(write(fd, "hello", 5), 5);
	lseek(fd, 0, SEEK_SET);
	CHECK_ERR(read(fd, (void *)8, 5), EFAULT);
}
CASE(write_from_bad_pointer_is_efault)
{
	int fd = scratch();
	CHECK_ERR(write(fd, (void *)8, 5), EFAULT);
}
CASE(write_past_the_end_leaves_zeros)
{
	char text[8];
	int fd = scratch();
	CHECK_EQ(pwrite(fd, "x", 1, 7), 1);
	CHECK_EQ(pread(fd, text, 8, 0), 8);
	CHECK(!memcmp(text, "\0\0\0\0\0\0\0x", 8));
}
CASE(append_ignores_the_offset)
{
	struct stat st;
	guest_write_file("f", "abc");
	int fd = open("f", O_WRONLY | O_APPEND);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(fd, "d", 1), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 4);
}
CASE(pwrite_on_append_file_appends)
{
	char text[5] = "";
	guest_write_file("f", "abc");
	int fd = open("f", O_RDWR | O_APPEND);
	CHECK_EQ(pwrite(fd, "d", 1, 0), 1);
	CHECK_EQ(pread(fd, text, 4, 0), 4);
	CHECK_STR(text, "abcd");
}
CASE(pread_leaves_the_offset)
{
	char c;
	int fd = scratch();
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(pread(fd, &c, 1, 1), 1);
	CHECK_EQ(c, 'b');
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
}
CASE(pread_negative_offset_is_einval)
{
	char c;
	CHECK_ERR(pread(scratch(), &c, 1, -1), EINVAL);
}
CASE(pread_on_pipe_is_espipe)
{
	char c;
	int p[2];
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(pread(p[0], &c, 1, 0), ESPIPE);
}
CASE(lseek_negative_is_einval) { CHECK_ERR(lseek(scratch(), -1, SEEK_SET), EINVAL); }
CASE(lseek_bad_whence_is_einval) { CHECK_ERR(lseek(scratch(), 0, 9), EINVAL); }
CASE(lseek_on_pipe_is_espipe)
{
	int p[2];
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
}
CASE(lseek_past_the_end_is_allowed) { CHECK_EQ(lseek(scratch(), 1000, SEEK_END), 1000); }
CASE(lseek_data_past_end_is_enxio) { CHECK_ERR(lseek(scratch(), 10, SEEK_DATA), ENXIO); }
CASE(lseek_hole_finds_the_end)
{
	int fd = scratch();
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 3);
}
CASE(dup_shares_the_offset)
{
	int fd = scratch(), copy = dup(fd);
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(lseek(copy, 0, SEEK_CUR), 3);
}
CASE(dup2_same_descriptor_keeps_cloexec)
{
	int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
CASE(dup2_clears_cloexec)
{
	int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_EQ(dup2(fd, 50), 50);
	CHECK_EQ(fcntl(50, F_GETFD), 0);
}
CASE(dup3_same_descriptor_is_einval)
{
	int fd = scratch();
	CHECK_ERR(dup3(fd, fd, 0), EINVAL);
}
CASE(dup3_bad_flags_is_einval) { CHECK_ERR(dup3(scratch(), 50, O_APPEND), EINVAL); }
CASE(dup2_out_of_range_is_ebadf) { CHECK_ERR(dup2(0, 1 << 24), EBADF); }
CASE(fcntl_dupfd_finds_the_next_free)
{
	int fd = scratch();
	CHECK_EQ(fcntl(fd, F_DUPFD, 77), 77);
	CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 77), 78);
	CHECK_EQ(fcntl(78, F_GETFD), FD_CLOEXEC);
}
CASE(fcntl_getfl_reports_access_mode)
{
	int fd = open("f", O_WRONLY | O_CREAT | O_APPEND, 0600);
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
}
CASE(fcntl_setfl_cannot_change_access_mode)
{
	int fd = open("f", O_RDONLY | O_CREAT, 0600);
	CHECK_EQ(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
}
CASE(fcntl_unknown_is_einval) { CHECK_ERR(fcntl(scratch(), 9999), EINVAL); }
CASE(close_twice_is_ebadf)
{
	int fd = scratch();
	CHECK_EQ(close(fd), 0);
	CHECK_ERR(close(fd), EBADF);
}
CASE(close_range_closes_only_its_range)
{
	int fd = scratch();
	CHECK_EQ(dup2(fd, 60), 60);
	CHECK_EQ(dup2(fd, 61), 61);
	CHECK_EQ(dup2(fd, 62), 62);
	CHECK_EQ(syscall(SYS_close_range, 60, 61, 0), 0);
	CHECK_ERR(fcntl(60, F_GETFD), EBADF);
	CHECK_ERR(fcntl(61, F_GETFD), EBADF);
	CHECK_EQ(fcntl(62, F_GETFD), 0);
}
CASE(close_range_cloexec_marks)
{
	int fd = scratch();
	CHECK_EQ(dup2(fd, 60), 60);
	CHECK_EQ(syscall(SYS_close_range, 60, ~0U, 4), 0);
	CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
}
CASE(close_range_backwards_is_einval) { CHECK_ERR(syscall(SYS_close_range, 9, 8, 0), EINVAL); }
CASE(ftruncate_extends_with_zeros)
{
	char text[4];
	int fd = scratch();
	CHECK_EQ(ftruncate(fd, 4), 0);
	CHECK_EQ(pread(fd, text, 4, 0), 4);
	CHECK(!memcmp(text, "\0\0\0\0", 4));
}
CASE(ftruncate_then_extend_loses_the_tail)
{
	char text[4];
	int fd = scratch();
	CHECK_EQ(write(fd, "abcd", 4), 4);
	CHECK_EQ(ftruncate(fd, 1), 0);
	CHECK_EQ(ftruncate(fd, 4), 0);
	CHECK_EQ(pread(fd, text, 4, 0), 4);
	CHECK(!memcmp(text, "a\0\0\0", 4));
}
CASE(ftruncate_read_only_is_einval)
{
	guest_write_file("f", "x");
	CHECK_ERR(ftruncate(open("f", O_RDONLY), 0), EINVAL);
}
CASE(ftruncate_negative_is_einval) { CHECK_ERR(ftruncate(scratch(), -1), EINVAL); }
CASE(truncate_directory_is_eisdir) { CHECK_ERR(truncate(".", 0), EISDIR); }
CASE(readv_scatters_in_order)
{
	char a[3] = "", b[3] = "";
	struct iovec parts[2] = { { a, 2 }, { b, 2 } };
	int fd = scratch();
	CHECK_EQ(write(fd, "abcd", 4), 4);
	lseek(fd, 0, SEEK_SET);
	CHECK_EQ(readv(fd, parts, 2), 4);
	CHECK_STR(a, "ab");
	CHECK_STR(b, "cd");
}
CASE(readv_zero_vectors_is_zero) { CHECK_EQ(readv(scratch(), NULL, 0), 0); }
CASE(readv_too_many_vectors_is_einval)
{
	static struct iovec parts[1025];
	CHECK_ERR(readv(scratch(), parts, 1025), EINVAL);
}
CASE(writev_gathers_in_order)
{
	char text[5] = "";
	struct iovec parts[3] = { { "ab", 2 }, { NULL, 0 }, { "cd", 2 } };
	int fd = scratch();
	CHECK_EQ(writev(fd, parts, 3), 4);
	CHECK_EQ(pread(fd, text, 4, 0), 4);
	CHECK_STR(text, "abcd");
}
CASE(preadv2_bad_flag_is_eopnotsupp)
{
	char c;
	struct iovec part = { &c, 1 };
	CHECK_ERR(syscall(SYS_preadv2, scratch(), &part, 1, 0, 0, 0x40000000), EOPNOTSUPP);
}
CASE(sendfile_copies_between_files)
{
	char text[6] = "";
	int in = scratch(), out = open("g", O_RDWR | O_CREAT, 0600);
	off_t at = 1;
	CHECK_EQ(write(in, "hello", 5), 5);
	CHECK_EQ(sendfile(out, in, &at, 100), 4);
	CHECK_EQ(at, 5);
	CHECK_EQ(pread(out, text, 5, 0), 4);
	CHECK_STR(text, "ello");
}
CASE(copy_file_range_copies)
{
	char text[6] = "";
	int in = scratch(), out = open("g", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(write(in, "hello", 5), 5);
	lseek(in, 0, SEEK_SET);
	CHECK_EQ(copy_file_range(in, NULL, out, NULL, 5, 0), 5);
	CHECK_EQ(pread(out, text, 5, 0), 5);
	CHECK_STR(text, "hello");
}
CASE(fallocate_extends_the_file)
{
	struct stat st;
	int fd = scratch();
	CHECK_EQ(fallocate(fd, 0, 0, 8192), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 8192);
}
CASE(fallocate_zero_length_is_einval) { CHECK_ERR(fallocate(scratch(), 0, 0, 0), EINVAL); }
CASE(fsync_on_pipe_is_einval)
{
	int p[2];
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(fsync(p[0]), EINVAL);
}
CASE(unlinked_file_stays_readable)
{
	char c;
	struct stat st;
	int fd = scratch();
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(unlink("f"), 0);
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
}
CASE(dev_null_swallows_and_is_empty)
{
	char c;
	int fd = open("/dev/null", O_RDWR);
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(read(fd, &c, 1), 0);
}
CASE(dev_zero_gives_zeros)
{
	char text[4] = "abcd";
	CHECK_EQ(read(open("/dev/zero", O_RDONLY), text, 4), 4);
	CHECK(!memcmp(text, "\0\0\0\0", 4));
}
CASE(dev_full_is_enospc) { CHECK_ERR(write(open("/dev/full", O_RDWR), "x", 1), ENOSPC); }
CASE(dev_urandom_differs)
{
	char a[32], b[32];
	int fd = open("/dev/urandom", O_RDONLY);
	CHECK_EQ(read(fd, a, 32), 32);
	CHECK_EQ(read(fd, b, 32), 32);
	CHECK(memcmp(a, b, 32));
}
CASE(dev_fd_reopens_the_file)
{
	char c, path[32];
	int fd = scratch();
	CHECK_EQ(write(fd, "xy", 2), 2);
	snprintf(path, sizeof path, "/dev/fd/%d", fd);
	int again = open(path, O_RDONLY);
	CHECK(again >= 0);
	CHECK_EQ(read(again, &c, 1), 1);
	CHECK_EQ(c, 'x');
}
CASE(memfd_is_a_file_without_a_name)
{
	char c;
	struct stat st;
	int fd = memfd_create("box", MFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISREG(st.st_mode));
}
CASE(memfd_seal_write_is_eperm)
{
	int fd = memfd_create("box", MFD_ALLOW_SEALING);
	CHECK_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE);
	CHECK_ERR(write(fd, "x", 1), EPERM);
}
CASE(memfd_without_sealing_is_sealed)
{
	int fd = memfd_create("box", 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
}
CASE(statfs_reports_a_block_size)
{
	struct statfs fs;
	CHECK_EQ(statfs("/", &fs), 0);
	CHECK(fs.f_bsize > 0);
	CHECK_EQ(fs.f_namelen, 255);
}
CASE(rlimit_fsize_stops_a_write)
{
	struct rlimit limit = { 4, 4 };
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int fd = scratch();
	CHECK_EQ(write(fd, "abcdef", 6), 4);
	CHECK_ERR(write(fd, "x", 1), EFBIG);
}
CASE(rlimit_fsize_signals)
{
	struct rlimit limit = { 4, 4 };
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int fd = scratch();
	pid_t pid = fork();
	if (!pid) {
		_exit(pwrite(fd, "abcdef", 6, 2) == 2 && pwrite(fd, "x", 1, 4) == 1);
	}
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}
CASE(rlimit_fsize_limits_growth_alone)
{
	struct rlimit limit = { 4, 4 };
	int fd = scratch();
	CHECK_EQ(ftruncate(fd, 100), 0);
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_EQ(ftruncate(fd, 50), 0);
	CHECK_ERR(ftruncate(fd, 51), EFBIG);
	CHECK_ERR(fallocate(fd, 0, 0, 51), EFBIG);
	CHECK_ERR(pwrite(fd, "x", 1, 10), EFBIG);
	CHECK_EQ(ftruncate(fd, 4), 0);
}
CASE(rlimit_nofile_is_emfile)
{
	struct rlimit limit = { 20, 20 };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int fd = scratch(), last = fd;
	while ((fd = dup(last)) >= 0)
		last = fd;
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(last, 19);
}
