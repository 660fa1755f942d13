/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about users, capabilities, limits and locks. All start as root. */
#include "case.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>

static void become(uid_t uid)
{
	CHECK_EQ(syscall(SYS_setgroups, 0, NULL), 0);
	CHECK_EQ(syscall(SYS_setresgid, uid, uid, uid), 0);
	CHECK_EQ(syscall(SYS_setresuid, uid, uid, uid), 0);
}

CASE(starts_as_root) { CHECK(getuid() == 0 && geteuid() == 0 && getgid() == 0 && getegid() == 0); }
CASE(setresuid_drops_for_good)
{
	uid_t r, e, s;
	become(1000);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 1000 && e == 1000 && s == 1000);
	CHECK_ERR(syscall(SYS_setuid, 0), EPERM);
}
CASE(saved_uid_allows_the_way_back)
{
	CHECK_EQ(syscall(SYS_setresuid, 1000, 1000, 0), 0);
	CHECK_EQ(syscall(SYS_setresuid, -1, 0, -1), 0);
	CHECK_EQ(geteuid(), 0);
}
CASE(setreuid_swaps)
{
	CHECK_EQ(syscall(SYS_setresuid, 1000, 2000, 2000), 0);
	CHECK_EQ(syscall(SYS_setreuid, 2000, 1000), 0);
	CHECK(getuid() == 2000 && geteuid() == 1000);
}
CASE(setfsuid_returns_the_old_one)
{
	CHECK_EQ(setfsuid(1000), 0);
	CHECK_EQ(setfsuid((uid_t)-1), 1000);
}
CASE(groups_round_trip)
{
	gid_t in[3] = { 5, 6, 7 }, out[3];
	CHECK_EQ(syscall(SYS_setgroups, 3, in), 0);
	CHECK_EQ(getgroups(0, NULL), 3);
	CHECK_ERR(getgroups(2, out), EINVAL);
	CHECK_EQ(getgroups(3, out), 3);
	CHECK(!memcmp(in, out, sizeof in));
}
CASE(other_user_cannot_read_a_private_file)
{
	CHECK_EQ(chmod(".", 0755), 0);
	guest_write_file("f", "x");
	chmod("f", 0600);
	become(1000);
	CHECK_ERR(open("f", O_RDONLY), EACCES);
}
CASE(directory_without_x_is_eacces)
{
	CHECK_EQ(chmod(".", 0755), 0);
	mkdir("d", 0700);
	guest_write_file("d/f", "x");
	become(1000);
	CHECK_ERR(access("d/f", F_OK), EACCES);
}
CASE(sticky_directory_protects_names)
{
	CHECK_EQ(chmod(".", 01777), 0);
	guest_write_file("f", "x");
	become(1000);
	CHECK_ERR(unlink("f"), EPERM);
}
CASE(chown_needs_privilege)
{
	CHECK_EQ(chmod(".", 0777), 0);
	become(1000);
	guest_write_file("f", "x");
	CHECK_ERR(chown("f", 0, 0), EPERM);
	CHECK_EQ(chown("f", 1000, 1000), 0);
}
CASE(chown_clears_setuid)
{
	struct stat st;
	guest_write_file("f", "x");
	chmod("f", 06755);
	CHECK_EQ(chown("f", 1, 1), 0);
	stat("f", &st);
	CHECK_EQ(st.st_mode & 07777, 0755);
	CHECK(st.st_uid == 1 && st.st_gid == 1);
}
CASE(write_by_other_clears_setuid)
{
	struct stat st;
	CHECK_EQ(chmod(".", 0777), 0);
	guest_write_file("f", "x");
	chmod("f", 04777);
	become(1000);
	int fd = open("f", O_WRONLY);
	CHECK_EQ(write(fd, "y", 1), 1);
	stat("f", &st);
	CHECK_EQ(st.st_mode & 07777, 0777);
}
CASE(chmod_of_others_file_is_eperm)
{
	guest_write_file("f", "x");
	CHECK_EQ(chmod(".", 0755), 0);
	become(1000);
	CHECK_ERR(chmod("f", 0777), EPERM);
}
CASE(kill_of_others_process_is_eperm)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (!pid) {
		become(1000);
		CHECK_ERR(kill(parent, 0), EPERM);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
CASE(set_user_id_program_changes_euid)
{
	char *args[] = { "x", "helper_is_setuid_1000", NULL };
	char buffer[65536];
	CHECK_EQ(chmod(".", 0755), 0);
	int in = open("/proc/self/exe", O_RDONLY), out = open("prog", O_WRONLY | O_CREAT, 0755);
	ssize_t n;
	while ((n = read(in, buffer, sizeof buffer)) > 0)
		CHECK_EQ(write(out, buffer, (size_t)n), n);
	close(out);
	CHECK_EQ(chown("prog", 1000, 1000), 0);
	CHECK_EQ(chmod("prog", 04755), 0);
	setenv("EXPECT_SETUID", "1", 1);
	pid_t pid = fork();
	if (!pid) {
		execv("./prog", args);
		_exit(9);
	}
	CHECK_CHILD_OK(pid);
}
/* Started by the case above through execve. */
CASE(helper_is_setuid_1000)
{
	if (getenv("EXPECT_SETUID")) {
		CHECK_EQ(getuid(), 0);
		CHECK_EQ(geteuid(), 1000);
	}
}
CASE(capget_of_root_is_full)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	CHECK(data[0].effective & (1U << CAP_CHOWN));
}
CASE(capget_bad_version_is_einval_and_tells)
{
	struct __user_cap_header_struct header = { 0x1234, 0 };
	struct __user_cap_data_struct data[2];
	CHECK_ERR(syscall(SYS_capget, &header, data), EINVAL);
	CHECK_EQ(header.version, _LINUX_CAPABILITY_VERSION_3);
}
CASE(dropping_uid_clears_capabilities)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	become(1000);
	CHECK_EQ(syscall(SYS_capget, &header, data), 0);
	CHECK(data[0].effective == 0 && data[0].permitted == 0);
}
CASE(limits_round_trip)
{
	struct rlimit limit = { 100, 200 }, got;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &got), 0);
	CHECK(got.rlim_cur == 100 && got.rlim_max == 200);
}
CASE(limit_soft_above_hard_is_einval)
{
	struct rlimit limit = { 200, 100 };
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
}
CASE(limit_unknown_is_einval) { struct rlimit l; CHECK_ERR(getrlimit(99, &l), EINVAL); }
CASE(limit_raise_needs_privilege)
{
	struct rlimit limit = { 100, 100 };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	become(1000);
	limit.rlim_max = 200;
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
}
CASE(ioprio_is_kept_and_inherited)
{
	int best_effort_3 = 2 << 13 | 3;
	CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), 0);
	CHECK_EQ(syscall(SYS_ioprio_set, 1, 0, best_effort_3), 0);
	CHECK_EQ(syscall(SYS_ioprio_get, 1, getpid()), best_effort_3);
	pid_t pid = fork();
	if (!pid)
		_exit(syscall(SYS_ioprio_get, 1, 0) != best_effort_3);
	CHECK_CHILD_OK(pid);
	CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 4 << 13), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_set, 1, 0, 1), EINVAL);
	CHECK_ERR(syscall(SYS_ioprio_get, 4, 0), EINVAL);
}

CASE(getpriority_is_biased) { CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20); }
CASE(setpriority_lowers)
{
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 5), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
}
CASE(flock_excludes_another_open)
{
	int a = open("f", O_RDWR | O_CREAT, 0600), b = open("f", O_RDWR);
	CHECK_EQ(flock(a, LOCK_EX), 0);
	CHECK_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_EQ(flock(a, LOCK_UN), 0);
	CHECK_EQ(flock(b, LOCK_EX | LOCK_NB), 0);
}
CASE(posix_lock_excludes_another_process)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	pid_t parent = getpid(), pid = fork();
	if (!pid) {
		lock.l_start = 5;
		CHECK_ERR(fcntl(fd, F_SETLK, &lock), EAGAIN);
		CHECK_EQ(fcntl(fd, F_GETLK, &lock), 0);
		CHECK_EQ(lock.l_pid, parent);
		CHECK_EQ(lock.l_start, 0);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
CASE(posix_lock_splits)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 30 };
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	lock.l_type = F_UNLCK;
	lock.l_start = 10;
	lock.l_len = 10;
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	pid_t pid = fork();
	if (!pid) {
		lock.l_type = F_WRLCK;
		CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
		lock.l_start = 20;
		CHECK_ERR(fcntl(fd, F_SETLK, &lock), EAGAIN);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
CASE(posix_lock_goes_with_any_close)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
	close(open("f", O_RDONLY));
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
CASE(posix_lock_waits)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int p[2];
	char c;
	CHECK_EQ(pipe(p), 0);
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(fcntl(fd, F_SETLK, &lock), 0);
		CHECK_EQ(write(p[1], "x", 1), 1);
		guest_sleep_ms(50);
		_exit(0);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(fcntl(fd, F_SETLKW, &lock), 0);
	CHECK_CHILD_OK(pid);
}
CASE(ofd_lock_belongs_to_the_open)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int a = open("f", O_RDWR | O_CREAT, 0600), b = open("f", O_RDWR);
	CHECK_EQ(fcntl(a, F_OFD_SETLK, &lock), 0);
	CHECK_ERR(fcntl(b, F_OFD_SETLK, &lock), EAGAIN);
}
CASE(sysinfo_has_memory)
{
	struct sysinfo info;
	CHECK_EQ(sysinfo(&info), 0);
	CHECK(info.totalram > 0 && info.mem_unit > 0 && info.procs > 0);
}
CASE(getrandom_fills)
{
	unsigned char a[64] = { 0 }, zero[64] = { 0 };
	CHECK_EQ(syscall(SYS_getrandom, a, sizeof a, 0), 64);
	CHECK(memcmp(a, zero, sizeof a));
	CHECK_ERR(syscall(SYS_getrandom, a, sizeof a, 0x100), EINVAL);
}
CASE(hostname_round_trip)
{
	char name[65];
	CHECK_EQ(gethostname(name, sizeof name), 0);
	CHECK(strlen(name) > 0);
}
CASE(chroot_hides_the_rest)
{
	mkdir("jail", 0755);
	guest_write_file("jail/inside", "x");
	CHECK_EQ(chroot("jail"), 0);
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(access("/inside", F_OK), 0);
	CHECK_EQ(access("/../../inside", F_OK), 0);
	CHECK_ERR(access("/proc", F_OK), ENOENT);
}
