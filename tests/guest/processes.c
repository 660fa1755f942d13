/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about processes: fork, exec, exit, wait, groups, sessions, prctl. */
#include "case.h"
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

extern char **environ;

CASE(fork_copies_memory)
{
	static volatile int value = 1;
	pid_t pid = fork();
	if (!pid) {
		value = 2;
		_exit(value);
	}
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 2);
	CHECK_EQ(value, 1);
}
CASE(fork_child_sees_its_parent)
{
	pid_t me = getpid(), pid = fork();
	if (!pid)
		_exit(getppid() == me ? 0 : 1);
	CHECK_CHILD_OK(pid);
}
CASE(fork_shares_the_file_offset)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(write(fd, "abc", 3), 3);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 3);
}
CASE(fork_child_has_own_descriptors)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	pid_t pid = fork();
	if (!pid) {
		close(fd);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
}
CASE(exit_status_keeps_eight_bits)
{
	pid_t pid = fork();
	if (!pid)
		_exit(0x1ff);
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 0xff);
}
CASE(killed_child_reports_its_signal)
{
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	CHECK_EQ(kill(pid, SIGKILL), 0);
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
CASE(wait_without_children_is_echild) { CHECK_ERR(wait(NULL), ECHILD); }
CASE(waitpid_other_process_is_echild) { CHECK_ERR(waitpid(1, NULL, 0), ECHILD); }
CASE(waitpid_bad_options_is_einval) { CHECK_ERR(syscall(SYS_wait4, -1, NULL, 0x1000, NULL), EINVAL); }
CASE(waitpid_wnohang_is_zero_while_running)
{
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	guest_wait(pid);
}
CASE(waitpid_reaps_once)
{
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	CHECK_CHILD_OK(pid);
	CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
}
CASE(waitid_wnowait_leaves_the_child)
{
	siginfo_t info;
	pid_t pid = fork();
	if (!pid)
		_exit(3);
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_status, 3);
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 3);
}
CASE(waitid_without_events_is_einval) { siginfo_t i; CHECK_ERR(waitid(P_ALL, 0, &i, 0), EINVAL); }
CASE(wait_sees_stop_and_continue)
{
	int status;
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	kill(pid, SIGKILL);
	guest_wait(pid);
}
CASE(sigchld_ignored_reaps_by_itself)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
}
CASE(orphan_is_adopted)
{
	int p[2], parent;
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		pid_t middle = getpid();
		if (!fork()) {
			while (getppid() == middle)
				guest_sleep_ms(5);
			parent = getppid();
			CHECK_EQ(write(p[1], &parent, sizeof parent), sizeof parent);
			_exit(0);
		}
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(read(p[0], &parent, sizeof parent), sizeof parent);
	CHECK(parent != pid);
}
CASE(subreaper_adopts_orphans)
{
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	pid_t pid = fork();
	if (!pid) {
		if (!fork()) {
			guest_sleep_ms(20);
			_exit(7);
		}
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	int status;
	CHECK(wait(&status) > 0);
	CHECK_EQ(WEXITSTATUS(status), 7);
}
CASE(vfork_parent_waits_for_the_child)
{
	static volatile int value;
	pid_t pid = vfork();
	if (!pid) {
		value = 5;
		_exit(0);
	}
	CHECK_EQ(value, 5);
	CHECK_CHILD_OK(pid);
}
CASE(clone3_bad_size_is_einval)
{
	struct clone_args args = { 0 };
	CHECK_ERR(syscall(SYS_clone3, &args, 8), EINVAL);
}
CASE(clone3_forks_with_a_pidfd)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (!pid)
		_exit(4);
	CHECK(pid > 0 && pidfd >= 0);
	struct pollfd waiting = { pidfd, POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, 5000), 1);
	CHECK_EQ(WEXITSTATUS(guest_wait(pid)), 4);
}
CASE(clone_thread_without_sighand_is_einval) { CHECK_ERR(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL); }
CASE(clone_sighand_without_vm_is_einval) { CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL); }
CASE(execve_missing_is_enoent)
{
	char *args[] = { "none", NULL };
	CHECK_ERR(execve("none", args, environ), ENOENT);
}
CASE(execve_without_x_bit_is_eacces)
{
	char *args[] = { "f", NULL };
	guest_write_file("f", "x");
	CHECK_ERR(execve("f", args, environ), EACCES);
}
CASE(execve_directory_is_eacces)
{
	char *args[] = { "/", NULL };
	CHECK_ERR(execve("/", args, environ), EACCES);
}
CASE(execve_unknown_format_is_enoexec)
{
	char *args[] = { "f", NULL };
	guest_write_file("f", "plain text");
	chmod("f", 0755);
	CHECK_ERR(execve("./f", args, environ), ENOEXEC);
}
CASE(execve_script_missing_interpreter_is_enoent)
{
	char *args[] = { "f", NULL };
	guest_write_file("f", "#!/none/at/all\n");
	chmod("f", 0755);
	CHECK_ERR(execve("./f", args, environ), ENOENT);
}
CASE(execve_too_long_argument_is_e2big)
{
	static char huge[140000];
	char *args[] = { "x", huge, NULL };
	memset(huge, 'a', sizeof huge - 1);
	CHECK_ERR(execve("/proc/self/exe", args, environ), E2BIG);
}
CASE(execve_runs_this_program_again)
{
	char *args[] = { "again", "--list", NULL };
	int p[2];
	char text[64];
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		dup2(p[1], 1);
		execve("/proc/self/exe", args, environ);
		_exit(9);
	}
	close(p[1]);
	CHECK(read(p[0], text, sizeof text) > 0);
	CHECK(!strncmp(text, "fork_copies_memory", 18));
}
CASE(execve_closes_cloexec_descriptors)
{
	char command[64], *args[] = { "fcntl", "helper_check_fd_60_closed", NULL };
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(dup3(fd, 60, O_CLOEXEC), 60);
	(void)command;
	pid_t pid = fork();
	if (!pid) {
		execve("/proc/self/exe", args, environ);
		_exit(9);
	}
	CHECK_CHILD_OK(pid);
}
/* Started by the case above through execve; true on its own as well. */
CASE(helper_check_fd_60_closed) { CHECK_ERR(fcntl(60, F_GETFD), EBADF); }
CASE(execve_resets_handlers_but_keeps_ignored)
{
	char *args[] = { "x", "helper_usr1_default_usr2_ignored", NULL };
	pid_t pid = fork();
	if (!pid) {
		signal(SIGUSR1, (void (*)(int))(void *)guest_sleep_ms);
		signal(SIGUSR2, SIG_IGN);
		setenv("EXPECT_IGNORED", "1", 1);
		execve("/proc/self/exe", args, environ);
		_exit(9);
	}
	CHECK_CHILD_OK(pid);
}
/* Started by the case above through execve. */
CASE(helper_usr1_default_usr2_ignored)
{
	struct sigaction action;
	CHECK_EQ(sigaction(SIGUSR1, NULL, &action), 0);
	CHECK(action.sa_handler == SIG_DFL);
	if (getenv("EXPECT_IGNORED")) {
		CHECK_EQ(sigaction(SIGUSR2, NULL, &action), 0);
		CHECK(action.sa_handler == SIG_IGN);
	}
}
CASE(setpgid_moves_a_child)
{
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	CHECK_EQ(setpgid(pid, pid), 0);
	CHECK_EQ(getpgid(pid), pid);
	CHECK_EQ(kill(-pid, SIGKILL), 0);
	guest_wait(pid);
}
CASE(setpgid_negative_is_einval) { CHECK_ERR(setpgid(0, -1), EINVAL); }
CASE(setpgid_unknown_process_is_esrch) { CHECK_ERR(setpgid(999999, 0), ESRCH); }
CASE(setpgid_unknown_group_is_eperm) { CHECK_ERR(setpgid(0, 999999), EPERM); }
CASE(setsid_makes_a_session)
{
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(setsid(), getpid());
		CHECK_EQ(getsid(0), getpid());
		CHECK_EQ(getpgid(0), getpid());
		CHECK_ERR(setsid(), EPERM);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
CASE(getpgid_unknown_is_esrch) { CHECK_ERR(getpgid(999999), ESRCH); }
CASE(kill_unknown_is_esrch) { CHECK_ERR(kill(999999, 0), ESRCH); }
CASE(kill_bad_signal_is_einval) { CHECK_ERR(kill(getpid(), 65), EINVAL); }
CASE(kill_zero_probes) { CHECK_EQ(kill(getpid(), 0), 0); }
CASE(zombie_can_be_signalled)
{
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	siginfo_t info;
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(kill(pid, SIGTERM), 0);
	CHECK_CHILD_OK(pid);
}
CASE(prctl_name_round_trip)
{
	char name[16];
	CHECK_EQ(prctl(PR_SET_NAME, "a-name-longer-than-sixteen"), 0);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_STR(name, "a-name-longer-t");
}
CASE(prctl_pdeathsig_kills_the_child)
{
	int p[2];
	char c;
	CHECK_EQ(pipe(p), 0);
	pid_t pid = fork();
	if (!pid) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			CHECK_EQ(write(p[1], "r", 1), 1);
			for (;;)
				pause();
		}
		CHECK_EQ(read(p[0], &c, 1), 1);
		_exit(0);
	}
	close(p[1]);
	CHECK_CHILD_OK(pid);
	CHECK_EQ(read(p[0], &c, 1), 0);
}
CASE(prctl_unknown_is_einval) { CHECK_ERR(prctl(123456), EINVAL); }
CASE(prctl_no_new_privs_is_one_way)
{
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
}
CASE(pidfd_open_unknown_is_esrch) { CHECK_ERR(syscall(SYS_pidfd_open, 999999, 0), ESRCH); }
CASE(pidfd_send_signal_takes_a_directory_of_proc)
{
	char path[32];
	int status;
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof path, "/proc/%d", pid);
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WTERMSIG(status), SIGKILL);
	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0), EBADF);
}
CASE(pidfd_send_signal_reaches)
{
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(fd >= 0);
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0), 0);
	CHECK_EQ(WTERMSIG(guest_wait(pid)), SIGKILL);
}
CASE(waitid_pidfd_waits)
{
	siginfo_t info;
	pid_t pid = fork();
	if (!pid)
		_exit(6);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK_EQ(waitid(3 /* P_PIDFD */, (id_t)fd, &info, WEXITED), 0);
	CHECK_EQ(info.si_status, 6);
}
CASE(uname_is_linux_on_aarch64)
{
	struct utsname u;
	CHECK_EQ(uname(&u), 0);
	CHECK_STR(u.sysname, "Linux");
	CHECK_STR(u.machine, "aarch64");
}
CASE(rusage_of_children_grows)
{
	struct rusage usage;
	pid_t pid = fork();
	if (!pid) {
		for (volatile long i = 0; i < 20000000; i++)
			;
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
	CHECK(usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
}
CASE(getrusage_bad_who_is_einval) { struct rusage u; CHECK_ERR(getrusage(7, &u), EINVAL); }
CASE(unknown_syscall_is_enosys) { CHECK_ERR(syscall(9999), ENOSYS); }
CASE(auxv_page_size_is_4096) { CHECK_EQ(sysconf(_SC_PAGESIZE), 4096); }
CASE(pipeline_of_100_processes)
{
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();
		if (!pid)
			_exit(i & 0x7f);
		CHECK_EQ(WEXITSTATUS(guest_wait(pid)), i & 0x7f);
	}
}
