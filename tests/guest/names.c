/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about names: directories, links, renames, attributes, path walk. */
#include "case.h"
#include <linux/openat2.h>
#include <sys/xattr.h>

static void touch(const char *path) { guest_write_file(path, ""); }

static int count_entries(const char *path)
{
	int n = 0;
	DIR *d = opendir(path);
	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

CASE(mkdir_existing_is_eexist) { mkdir("d", 0755); CHECK_ERR(mkdir("d", 0755), EEXIST); }
CASE(mkdir_root_is_eexist) { CHECK_ERR(mkdir("/", 0755), EEXIST); }
CASE(mkdir_missing_parent_is_enoent) { CHECK_ERR(mkdir("a/b", 0755), ENOENT); }
CASE(mkdir_with_trailing_slash_works) { CHECK_EQ(mkdir("d/", 0755), 0); }
CASE(mkdir_makes_two_links)
{
	struct stat st;
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(stat("d", &st), 0);
	CHECK_EQ(st.st_nlink, 2);
}
CASE(rmdir_full_is_enotempty)
{
	mkdir("d", 0755);
	touch("d/f");
	CHECK_ERR(rmdir("d"), ENOTEMPTY);
}
CASE(rmdir_file_is_enotdir) { touch("f"); CHECK_ERR(rmdir("f"), ENOTDIR); }
CASE(rmdir_dot_is_einval) { mkdir("d", 0755); CHECK_ERR(rmdir("d/."), EINVAL); }
CASE(rmdir_dotdot_is_enotempty) { mkdir("d", 0755); CHECK_ERR(rmdir("d/.."), ENOTEMPTY); }
CASE(unlink_directory_is_eisdir) { mkdir("d", 0755); CHECK_ERR(unlink("d"), EISDIR); }
CASE(unlink_missing_is_enoent) { CHECK_ERR(unlink("none"), ENOENT); }
CASE(unlink_removes_the_symlink_only)
{
	struct stat st;
	touch("f");
	symlink("f", "l");
	CHECK_EQ(unlink("l"), 0);
	CHECK_EQ(stat("f", &st), 0);
}
CASE(unlinkat_bad_flag_is_einval) { touch("f"); CHECK_ERR(unlinkat(AT_FDCWD, "f", 0x4000), EINVAL); }
CASE(unlinkat_removedir_works)
{
	mkdir("d", 0755);
	CHECK_EQ(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), 0);
}
CASE(link_counts_names)
{
	struct stat a, b;
	touch("f");
	CHECK_EQ(link("f", "g"), 0);
	CHECK_EQ(stat("f", &a), 0);
	CHECK_EQ(stat("g", &b), 0);
	CHECK_EQ(a.st_nlink, 2);
	CHECK_EQ(a.st_ino, b.st_ino);
}
CASE(link_existing_is_eexist) { touch("f"); touch("g"); CHECK_ERR(link("f", "g"), EEXIST); }
CASE(link_directory_is_eperm) { mkdir("d", 0755); CHECK_ERR(link("d", "e"), EPERM); }
CASE(link_does_not_follow_a_symlink)
{
	struct stat st;
	symlink("none", "l");
	CHECK_EQ(link("l", "m"), 0);
	CHECK_EQ(lstat("m", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
}
CASE(linkat_follows_when_asked)
{
	struct stat st;
	touch("f");
	symlink("f", "l");
	CHECK_EQ(linkat(AT_FDCWD, "l", AT_FDCWD, "m", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(lstat("m", &st), 0);
	CHECK(S_ISREG(st.st_mode));
}
CASE(link_shares_content)
{
	char c;
	touch("f");
	CHECK_EQ(link("f", "g"), 0);
	guest_write_file("f", "x");
	CHECK_EQ(read(open("g", O_RDONLY), &c, 1), 1);
}
CASE(symlink_empty_target_is_enoent) { CHECK_ERR(symlink("", "l"), ENOENT); }
CASE(symlink_existing_is_eexist) { touch("f"); CHECK_ERR(symlink("x", "f"), EEXIST); }
CASE(readlink_truncates_silently)
{
	char text[3];
	symlink("target", "l");
	CHECK_EQ(readlink("l", text, 3), 3);
	CHECK(!memcmp(text, "tar", 3));
}
CASE(readlink_on_file_is_einval) { char c; touch("f"); CHECK_ERR(readlink("f", &c, 1), EINVAL); }
CASE(readlink_zero_size_is_einval)
{
	char c;
	symlink("x", "l");
	CHECK_ERR(syscall(SYS_readlinkat, AT_FDCWD, "l", &c, 0), EINVAL);
}
CASE(symlink_loop_is_eloop)
{
	symlink("b", "a");
	symlink("a", "b");
	CHECK_ERR(open("a", O_RDONLY), ELOOP);
}
CASE(symlink_chain_of_40_is_followed)
{
	char from[8], to[8];
	touch("l0");
	for (int i = 1; i <= 40; i++) {
		snprintf(from, sizeof from, "l%d", i - 1);
		snprintf(to, sizeof to, "l%d", i);
		CHECK_EQ(symlink(from, to), 0);
	}
	CHECK(open("l40", O_RDONLY) >= 0);
	CHECK_EQ(symlink("l40", "l41"), 0);
	CHECK_ERR(open("l41", O_RDONLY), ELOOP);
}
CASE(dotdot_of_root_is_root)
{
	struct stat a, b;
	CHECK_EQ(stat("/", &a), 0);
	CHECK_EQ(stat("/../../..", &b), 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
}
CASE(stat_of_symlink_with_slash_follows)
{
	struct stat st;
	mkdir("d", 0755);
	symlink("d", "l");
	CHECK_EQ(lstat("l/", &st), 0);
	CHECK(S_ISDIR(st.st_mode));
}
CASE(rename_replaces_a_file)
{
	char c;
	guest_write_file("a", "a");
	guest_write_file("b", "b");
	CHECK_EQ(rename("a", "b"), 0);
	CHECK_EQ(read(open("b", O_RDONLY), &c, 1), 1);
	CHECK_EQ(c, 'a');
	CHECK_ERR(access("a", F_OK), ENOENT);
}
CASE(rename_same_inode_does_nothing)
{
	touch("a");
	link("a", "b");
	CHECK_EQ(rename("a", "b"), 0);
	CHECK_EQ(access("a", F_OK), 0);
}
CASE(rename_file_over_directory_is_eisdir) { touch("a"); mkdir("d", 0755); CHECK_ERR(rename("a", "d"), EISDIR); }
CASE(rename_directory_over_file_is_enotdir) { touch("a"); mkdir("d", 0755); CHECK_ERR(rename("d", "a"), ENOTDIR); }
CASE(rename_over_empty_directory_works) { mkdir("d", 0755); mkdir("e", 0755); CHECK_EQ(rename("d", "e"), 0); }
CASE(rename_over_full_directory_is_enotempty)
{
	mkdir("d", 0755);
	mkdir("e", 0755);
	touch("e/f");
	CHECK_ERR(rename("d", "e"), ENOTEMPTY);
}
CASE(rename_into_itself_is_einval) { mkdir("d", 0755); CHECK_ERR(rename("d", "d/e"), EINVAL); }
CASE(rename_missing_is_enoent) { CHECK_ERR(rename("none", "x"), ENOENT); }
CASE(renameat2_noreplace_is_eexist)
{
	touch("a");
	touch("b");
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST);
}
CASE(renameat2_exchange_swaps)
{
	struct stat st;
	touch("a");
	mkdir("d", 0755);
	CHECK_EQ(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 2), 0);
	CHECK_EQ(stat("a", &st), 0);
	CHECK(S_ISDIR(st.st_mode));
}
CASE(renameat2_both_flags_is_einval)
{
	touch("a");
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
}
CASE(getdents_lists_dot_and_dotdot) { CHECK_EQ(count_entries("."), 2); }
CASE(getdents_small_buffer_is_einval)
{
	char buf[8];
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK_ERR(syscall(SYS_getdents64, fd, buf, sizeof buf), EINVAL);
}
CASE(getdents_on_file_is_enotdir)
{
	char buf[256];
	touch("f");
	CHECK_ERR(syscall(SYS_getdents64, open("f", O_RDONLY), buf, sizeof buf), ENOTDIR);
}
CASE(getdents_returns_500_names_once)
{
	char name[16];
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "n%d", i);
		touch(name);
	}
	CHECK_EQ(count_entries("."), 502);
}
CASE(rewinddir_sees_new_names)
{
	int n = 0;
	DIR *d = opendir(".");
	while (readdir(d))
		;
	touch("new");
	rewinddir(d);
	while (readdir(d))
		n++;
	CHECK_EQ(n, 3);
}
CASE(removed_directory_reads_empty)
{
	char buf[256];
	mkdir("d", 0755);
	int fd = open("d", O_RDONLY);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_ERR(syscall(SYS_getdents64, fd, buf, sizeof buf), ENOENT);
}
CASE(create_in_removed_directory_is_enoent)
{
	mkdir("d", 0755);
	CHECK_EQ(chdir("d"), 0);
	CHECK_EQ(rmdir("../d"), 0);
	CHECK_ERR(open("f", O_CREAT | O_RDWR, 0600), ENOENT);
}
CASE(getcwd_of_removed_directory_is_enoent)
{
	char buf[256];
	mkdir("d", 0755);
	CHECK_EQ(chdir("d"), 0);
	CHECK_EQ(rmdir("../d"), 0);
	CHECK_ERR(syscall(SYS_getcwd, buf, sizeof buf), ENOENT);
}
CASE(getcwd_small_buffer_is_erange)
{
	char buf[2];
	CHECK_ERR(syscall(SYS_getcwd, buf, sizeof buf), ERANGE);
}
CASE(getcwd_counts_the_final_nul)
{
	char buf[16];
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(syscall(SYS_getcwd, buf, sizeof buf), 2);
	CHECK_STR(buf, "/");
}
CASE(chdir_to_file_is_enotdir) { touch("f"); CHECK_ERR(chdir("f"), ENOTDIR); }
CASE(fchdir_returns)
{
	char a[256], b[256];
	CHECK(getcwd(a, sizeof a));
	int fd = open(".", O_RDONLY);
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(fchdir(fd), 0);
	CHECK(getcwd(b, sizeof b));
	CHECK_STR(a, b);
}
CASE(openat_relative_to_descriptor)
{
	mkdir("d", 0755);
	touch("d/f");
	int fd = open("d", O_RDONLY);
	CHECK(openat(fd, "f", O_RDONLY) >= 0);
}
CASE(openat_relative_to_file_is_enotdir)
{
	touch("f");
	CHECK_ERR(openat(open("f", O_RDONLY), "x", O_RDONLY), ENOTDIR);
}
CASE(openat_bad_descriptor_is_ebadf) { CHECK_ERR(openat(900, "x", O_RDONLY), EBADF); }
CASE(openat_absolute_ignores_the_descriptor) { CHECK(openat(900, "/", O_RDONLY) >= 0); }
static int openat2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}
CASE(openat2_beneath_refuses_dotdot) { CHECK_ERR(openat2(AT_FDCWD, "..", O_RDONLY, RESOLVE_BENEATH), EXDEV); }
CASE(openat2_beneath_refuses_absolute) { CHECK_ERR(openat2(AT_FDCWD, "/", O_RDONLY, RESOLVE_BENEATH), EXDEV); }
CASE(openat2_no_symlinks_is_eloop)
{
	touch("f");
	symlink("f", "l");
	CHECK_ERR(openat2(AT_FDCWD, "l", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
}
CASE(openat2_in_root_clamps_dotdot)
{
	mkdir("d", 0755);
	touch("d/f");
	int fd = open("d", O_RDONLY);
	CHECK(openat2(fd, "../../f", O_RDONLY, RESOLVE_IN_ROOT) >= 0);
}
CASE(openat2_unknown_flag_is_einval) { CHECK_ERR(openat2(AT_FDCWD, ".", 1ULL << 40, 0), EINVAL); }
CASE(openat2_bad_size_is_einval)
{
	struct open_how how = { 0 };
	CHECK_ERR(syscall(SYS_openat2, AT_FDCWD, ".", &how, 8), EINVAL);
}
CASE(stat_reports_the_size_and_type)
{
	struct stat st;
	guest_write_file("f", "hello");
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_size, 5);
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_nlink, 1);
}
CASE(fstatat_empty_path_uses_the_descriptor)
{
	struct stat st;
	guest_write_file("f", "abc");
	CHECK_EQ(fstatat(open("f", O_RDONLY), "", &st, AT_EMPTY_PATH), 0);
	CHECK_EQ(st.st_size, 3);
}
CASE(statx_gives_the_asked_fields)
{
	struct statx sx;
	guest_write_file("f", "abc");
	CHECK_EQ(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx), 0);
	CHECK_EQ(sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	CHECK_EQ(sx.stx_size, 3);
}
CASE(statx_reserved_mask_is_einval)
{
	struct statx sx;
	CHECK_ERR(statx(AT_FDCWD, ".", 0, 0x80000000U, &sx), EINVAL);
}
CASE(access_missing_is_enoent) { CHECK_ERR(access("none", F_OK), ENOENT); }
CASE(access_bad_mode_is_einval) { CHECK_ERR(syscall(SYS_faccessat, AT_FDCWD, ".", 8), EINVAL); }
CASE(access_x_needs_an_x_bit_even_for_root)
{
	touch("f");
	CHECK_EQ(chmod("f", 0644), 0);
	CHECK_ERR(access("f", X_OK), EACCES);
	CHECK_EQ(chmod("f", 0755), 0);
	CHECK_EQ(access("f", X_OK), 0);
}
CASE(chmod_sets_the_bits)
{
	struct stat st;
	touch("f");
	CHECK_EQ(chmod("f", 04755), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 04755);
}
CASE(chmod_changes_ctime_only)
{
	struct stat a, b;
	touch("f");
	stat("f", &a);
	guest_sleep_ms(30);
	CHECK_EQ(chmod("f", 0600), 0);
	stat("f", &b);
	CHECK_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
	CHECK(b.st_ctim.tv_sec > a.st_ctim.tv_sec || b.st_ctim.tv_nsec > a.st_ctim.tv_nsec);
}
CASE(write_updates_mtime)
{
	struct stat a, b;
	touch("f");
	stat("f", &a);
	guest_sleep_ms(30);
	guest_write_file("f", "x");
	stat("f", &b);
	CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
}
CASE(create_updates_the_directory_mtime)
{
	struct stat a, b;
	mkdir("d", 0755);
	stat("d", &a);
	guest_sleep_ms(30);
	touch("d/f");
	stat("d", &b);
	CHECK(b.st_mtim.tv_sec > a.st_mtim.tv_sec || b.st_mtim.tv_nsec > a.st_mtim.tv_nsec);
}
CASE(utimensat_sets_nanoseconds)
{
	struct stat st;
	struct timespec times[2] = { { 1, 2 }, { 3, 4 } };
	touch("f");
	CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0);
	stat("f", &st);
	CHECK_EQ(st.st_atim.tv_sec, 1);
	CHECK_EQ(st.st_atim.tv_nsec, 2);
	CHECK_EQ(st.st_mtim.tv_sec, 3);
	CHECK_EQ(st.st_mtim.tv_nsec, 4);
}
CASE(utimensat_omit_keeps)
{
	struct stat st;
	struct timespec times[2] = { { 0, UTIME_OMIT }, { 7, 0 } }, both[2] = { { 5, 0 }, { 5, 0 } };
	touch("f");
	CHECK_EQ(utimensat(AT_FDCWD, "f", both, 0), 0);
	CHECK_EQ(utimensat(AT_FDCWD, "f", times, 0), 0);
	stat("f", &st);
	CHECK_EQ(st.st_atim.tv_sec, 5);
	CHECK_EQ(st.st_mtim.tv_sec, 7);
}
CASE(utimensat_bad_nanoseconds_is_einval)
{
	struct timespec times[2] = { { 0, 1000000000 }, { 0, 0 } };
	touch("f");
	CHECK_ERR(utimensat(AT_FDCWD, "f", times, 0), EINVAL);
}
CASE(utimensat_nofollow_changes_the_symlink)
{
	struct stat st;
	struct timespec times[2] = { { 11, 0 }, { 12, 0 } };
	symlink("none", "l");
	CHECK_EQ(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW), 0);
	lstat("l", &st);
	CHECK_EQ(st.st_mtim.tv_sec, 12);
}
CASE(mkfifo_makes_a_fifo)
{
	struct stat st;
	CHECK_EQ(mkfifo("p", 0600), 0);
	stat("p", &st);
	CHECK(S_ISFIFO(st.st_mode));
}
CASE(mknod_regular_file_works)
{
	struct stat st;
	CHECK_EQ(mknod("f", S_IFREG | 0600, 0), 0);
	stat("f", &st);
	CHECK(S_ISREG(st.st_mode));
}
CASE(mknod_directory_is_eperm) { CHECK_ERR(mknod("d", S_IFDIR | 0700, 0), EPERM); }
CASE(names_with_odd_bytes_are_kept)
{
	touch("new\nline");
	touch("\xff\xfe");
	touch("A");
	touch("a");
	CHECK_EQ(access("new\nline", F_OK), 0);
	CHECK_EQ(access("\xff\xfe", F_OK), 0);
	CHECK_EQ(count_entries("."), 6);
}
CASE(umask_returns_the_old_one)
{
	umask(022);
	CHECK_EQ(umask(077), 022);
	CHECK_EQ(umask(07777), 077);
	CHECK_EQ(umask(0), 0777);
}
CASE(xattr_round_trip)
{
	char value[8] = "";
	touch("f");
	CHECK_EQ(setxattr("f", "user.a", "hey", 3, 0), 0);
	CHECK_EQ(getxattr("f", "user.a", value, 8), 3);
	CHECK_STR(value, "hey");
	CHECK_EQ(getxattr("f", "user.a", NULL, 0), 3);
}
CASE(xattr_missing_is_enodata) { touch("f"); CHECK_ERR(getxattr("f", "user.none", NULL, 0), ENODATA); }
CASE(xattr_small_buffer_is_erange)
{
	char c;
	touch("f");
	setxattr("f", "user.a", "hey", 3, 0);
	CHECK_ERR(getxattr("f", "user.a", &c, 1), ERANGE);
}
CASE(xattr_create_existing_is_eexist)
{
	touch("f");
	setxattr("f", "user.a", "1", 1, 0);
	CHECK_ERR(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
}
CASE(xattr_replace_missing_is_enodata) { touch("f"); CHECK_ERR(setxattr("f", "user.a", "2", 1, XATTR_REPLACE), ENODATA); }
CASE(xattr_unknown_namespace_is_eopnotsupp) { touch("f"); CHECK_ERR(setxattr("f", "nonsense.a", "2", 1, 0), EOPNOTSUPP); }
CASE(xattr_user_on_symlink_is_eperm)
{
	symlink("none", "l");
	CHECK_ERR(lsetxattr("l", "user.a", "2", 1, 0), EPERM);
}
CASE(xattr_list_has_nul_ended_names)
{
	char list[64];
	touch("f");
	setxattr("f", "user.a", "1", 1, 0);
	ssize_t n = listxattr("f", list, sizeof list);
	CHECK(n >= 7);
	CHECK(memmem(list, (size_t)n, "user.a", 7));
	CHECK_EQ(removexattr("f", "user.a"), 0);
	CHECK_ERR(removexattr("f", "user.a"), ENODATA);
}
