/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about /proc, /sys and the device directory. */
#include "case.h"
#include <sys/prctl.h>

static char text[65536];
static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		guest_fail(__FILE__, __LINE__, "open %s: errno %d", path, errno);
	ssize_t n, total = 0;
	while (total < (ssize_t)sizeof text - 1 && (n = read(fd, text + total, sizeof text - 1 - (size_t)total)) > 0)
		total += n;
	text[total] = 0;
	close(fd);
	return text;
}

CASE(proc_self_is_this_process)
{
	char link[32], pid[32];
	ssize_t n = readlink("/proc/self", link, sizeof link - 1);
	CHECK(n > 0);
	link[n] = 0;
	snprintf(pid, sizeof pid, "%d", getpid());
	CHECK_STR(link, pid);
}
CASE(proc_stat_has_52_fields_and_the_name)
{
	int fields = 1;
	prctl(PR_SET_NAME, "a (b) c");
	slurp("/proc/self/stat");
	char *end = strrchr(text, ')');
	CHECK(end && strstr(text, "(a (b) c)"));
	for (char *at = end; *at; at++)
		fields += *at == ' ';
	CHECK_EQ(fields, 51);
	CHECK_EQ(atoi(text), getpid());
}
CASE(proc_status_names_the_ids)
{
	slurp("/proc/self/status");
	CHECK(strstr(text, "\nUid:\t0\t0\t0\t0\n"));
	CHECK(strstr(text, "\nThreads:\t1\n"));
	CHECK(strstr(text, "\nVmRSS:"));
	CHECK(strstr(text, "\nSigBlk:\t"));
}
CASE(proc_cmdline_is_nul_separated)
{
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = read(fd, text, sizeof text);
	CHECK(n > 0 && text[n - 1] == 0);
}
CASE(proc_exe_is_readable)
{
	char magic[4];
	CHECK(readlink("/proc/self/exe", text, sizeof text) > 1);
	CHECK_EQ(text[0], '/');
	CHECK_EQ(read(open("/proc/self/exe", O_RDONLY), magic, 4), 4);
	CHECK(!memcmp(magic, "\177ELF", 4));
}
CASE(proc_cwd_follows_chdir)
{
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(readlink("/proc/self/cwd", text, sizeof text), 1);
}
CASE(proc_maps_lists_the_stack)
{
	slurp("/proc/self/maps");
	CHECK(strstr(text, "[stack]"));
	CHECK(strstr(text, "r-xp"));
}
CASE(proc_maps_shows_a_new_mapping)
{
	char start[32];
	void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(mprotect(at, 4096, PROT_NONE), 0);
	snprintf(start, sizeof start, "%lx-", (unsigned long)at);
	slurp("/proc/self/maps");
	CHECK(strstr(text, start));
}
CASE(proc_fd_lists_descriptors)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, text, sizeof text - 1);
	CHECK(n > 2);
	text[n] = 0;
	CHECK(!strcmp(text + n - 2, "/f"));
	close(fd);
	CHECK_ERR(readlink(path, text, sizeof text), ENOENT);
}
CASE(proc_fd_of_deleted_file_says_so)
{
	char path[64];
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	unlink("f");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	CHECK(strstr(text, " (deleted)"));
}
CASE(proc_fd_of_pipe_is_named_by_inode)
{
	int p[2];
	char path[64];
	CHECK_EQ(pipe(p), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
	CHECK(readlink(path, text, sizeof text) > 6);
	CHECK(!strncmp(text, "pipe:[", 6));
}
CASE(proc_task_lists_threads)
{
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	CHECK_EQ(n, 1);
}
CASE(proc_lists_this_process)
{
	char pid[16];
	int found = 0;
	snprintf(pid, sizeof pid, "%d", getpid());
	DIR *d = opendir("/proc");
	CHECK(d);
	for (struct dirent *e; (e = readdir(d));)
		found += !strcmp(e->d_name, pid);
	CHECK_EQ(found, 1);
}
CASE(proc_of_child_can_be_read)
{
	char path[64];
	pid_t pid = fork();
	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	CHECK_EQ(atoi(slurp(path)), pid);
	kill(pid, SIGKILL);
	guest_wait(pid);
	CHECK_ERR(open(path, O_RDONLY), ENOENT);
}
CASE(proc_zombie_is_z)
{
	char path[64];
	siginfo_t info;
	pid_t pid = fork();
	if (!pid)
		_exit(0);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	CHECK(strstr(slurp(path), ") Z "));
}
CASE(proc_meminfo_has_total)
{
	slurp("/proc/meminfo");
	CHECK(!strncmp(text, "MemTotal:", 9));
	CHECK(strstr(text, "\nMemAvailable:"));
}
CASE(proc_uptime_has_two_numbers)
{
	double up, idle;
	CHECK_EQ(sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle), 2);
	CHECK(up > 0);
}
CASE(proc_loadavg_has_five_fields)
{
	double a, b, c;
	int running, all, last;
	CHECK_EQ(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &a, &b, &c, &running, &all, &last), 6);
}
CASE(proc_system_stat_has_cpu_lines)
{
	slurp("/proc/stat");
	CHECK(!strncmp(text, "cpu ", 4));
	CHECK(strstr(text, "\nbtime "));
}
CASE(proc_cpuinfo_has_processors) { CHECK(strstr(slurp("/proc/cpuinfo"), "processor\t: 0")); }
CASE(proc_mounts_has_the_root) { CHECK(strstr(slurp("/proc/self/mounts"), " / ")); }
CASE(proc_mountinfo_has_the_root) { CHECK(strstr(slurp("/proc/self/mountinfo"), " / / ")); }
CASE(proc_sys_pid_max_is_a_number) { CHECK(atoi(slurp("/proc/sys/kernel/pid_max")) > 0); }
CASE(proc_sys_ostype_is_linux) { CHECK_STR(slurp("/proc/sys/kernel/ostype"), "Linux\n"); }
CASE(proc_random_uuid_differs)
{
	char first[64];
	strncpy(first, slurp("/proc/sys/kernel/random/uuid"), 63);
	CHECK_EQ(strlen(text), 37);
	CHECK(strcmp(first, slurp("/proc/sys/kernel/random/uuid")));
}
CASE(proc_filesystems_has_proc) { CHECK(strstr(slurp("/proc/filesystems"), "nodev\tproc\n")); }
CASE(proc_comm_can_be_written)
{
	char name[16];
	int fd = open("/proc/self/comm", O_RDWR);
	CHECK_EQ(write(fd, "renamed", 7), 7);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_STR(name, "renamed");
}
CASE(proc_oom_score_adj_round_trip)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR);
	CHECK_EQ(write(fd, "500", 3), 3);
	CHECK_EQ(atoi(slurp("/proc/self/oom_score_adj")), 500);
}
CASE(proc_create_is_refused) { CHECK(open("/proc/new", O_CREAT | O_RDWR, 0600) < 0); }
CASE(proc_limits_names_open_files) { CHECK(strstr(slurp("/proc/self/limits"), "Max open files")); }
CASE(proc_environ_can_be_read) { CHECK(open("/proc/self/environ", O_RDONLY) >= 0); }
CASE(proc_root_is_a_link) { CHECK_EQ(readlink("/proc/self/root", text, sizeof text), 1); }
CASE(proc_fdinfo_has_the_position)
{
	char path[64];
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(write(fd, "abc", 3), 3);
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	CHECK(!strncmp(slurp(path), "pos:\t3\n", 7));
}
CASE(dev_has_the_standard_links)
{
	CHECK(readlink("/dev/stdin", text, sizeof text) > 0);
	CHECK(!strncmp(text, "/proc/self/fd/0", 15));
	CHECK(readlink("/dev/fd", text, sizeof text) > 0);
}
CASE(dev_null_is_1_3)
{
	struct stat st;
	CHECK_EQ(stat("/dev/null", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_rdev, 0x103);
}
CASE(dev_shm_takes_files)
{
	int fd = open("/dev/shm/claim", O_CREAT | O_RDWR | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(unlink("/dev/shm/claim"), 0);
}
CASE(sys_lists_processors) { CHECK(strlen(slurp("/sys/devices/system/cpu/online")) > 0); }
