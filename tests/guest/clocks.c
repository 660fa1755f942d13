/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about time: clocks, sleeps, interval timers, POSIX timers. */
#include "case.h"
#include <sys/timerfd.h>
#include <sys/times.h>

static volatile sig_atomic_t hits;
static void on_signal(int signal)
{
	(void)signal;
	hits++;
}

CASE(monotonic_does_not_go_back)
{
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 10000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &b);
		CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
		a = b;
	}
}
CASE(realtime_agrees_with_gettimeofday)
{
	struct timespec a;
	struct timeval b;
	clock_gettime(CLOCK_REALTIME, &a);
	gettimeofday(&b, NULL);
	CHECK(b.tv_sec - a.tv_sec <= 1);
	CHECK(a.tv_sec > 1600000000);
}
CASE(vdso_agrees_with_the_syscall)
{
	struct timespec a, b;
	for (int i = 0; i < 100; i++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b), 0);
		long long apart = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
		CHECK(apart >= 0 && apart < 500000000LL);
	}
}
CASE(all_linux_clocks_answer)
{
	static const clockid_t clocks[] = { 0, 1, 2, 3, 4, 5, 6, 7, 11 };
	struct timespec now;
	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++)
		CHECK_EQ(clock_gettime(clocks[i], &now), 0);
}
CASE(clock_unknown_is_einval) { struct timespec t; CHECK_ERR(clock_gettime(99, &t), EINVAL); }
CASE(clock_bad_pointer_is_efault) { CHECK_ERR(syscall(SYS_clock_gettime, 0, 8), EFAULT); }
CASE(clock_getres_is_fine)
{
	struct timespec r;
	CHECK_EQ(clock_getres(CLOCK_MONOTONIC, &r), 0);
	CHECK(r.tv_sec == 0 && r.tv_nsec == 1);
}
CASE(nanosleep_sleeps)
{
	struct timespec start, pause = { 0, 50000000 };
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(nanosleep(&pause, NULL), 0);
	CHECK(guest_elapsed_ms(&start) >= 50);
}
CASE(nanosleep_bad_time_is_einval)
{
	struct timespec bad = { 0, 1000000000 };
	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
	bad = (struct timespec){ -1, 0 };
	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
}
CASE(clock_nanosleep_absolute_past_returns)
{
	struct timespec past = { 1, 0 };
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
}
CASE(clock_nanosleep_thread_clock_is_einval)
{
	struct timespec pause = { 0, 1 };
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &pause, NULL), EINVAL);
}
CASE(cpu_time_grows_with_work)
{
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (volatile long i = 0; i < 10000000; i++)
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	CHECK(b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec);
}
CASE(cpu_time_stands_still_in_sleep)
{
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	guest_sleep_ms(100);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	CHECK((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 60);
}
CASE(alarm_raises_sigalrm)
{
	signal(SIGALRM, on_signal);
	alarm(1);
	pause();
	CHECK_EQ(hits, 1);
}
CASE(alarm_returns_what_was_left)
{
	alarm(100);
	unsigned left = alarm(0);
	CHECK(left >= 99 && left <= 100);
}
CASE(setitimer_repeats)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, now;
	signal(SIGALRM, on_signal);
	CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (hits < 3)
		pause();
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK_EQ(now.it_interval.tv_usec, 10000);
}
CASE(interval_longer_than_all_time_comes_once)
{
	struct itimerspec far = { { INT64_MAX, 0 }, { 0, 1000000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t times = 0;
	CHECK_EQ(timerfd_settime(fd, 0, &far, NULL), 0);
	CHECK_EQ(read(fd, &times, sizeof(times)), (long)sizeof(times));
	CHECK_EQ(times, 1);
	struct itimerval often = { { INT64_MAX / 2, 0 }, { 0, 1000 } };
	signal(SIGALRM, on_signal);
	CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (!hits)
		pause();
	usleep(2000);
	CHECK_EQ(hits, 1);
}
CASE(setitimer_virtual_counts_work)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	signal(SIGVTALRM, on_signal);
	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &soon, NULL), 0);
	while (!hits)
		for (volatile int i = 0; i < 1000; i++)
			;
}
static void work_until_hit(void)
{
	while (!hits)
		for (volatile int i = 0; i < 1000; i++)
			;
}
CASE(setitimer_prof_repeats_during_work)
{
	struct itimerval soon = { { 0, 10000 }, { 0, 10000 } };
	signal(SIGPROF, on_signal);
	CHECK_EQ(setitimer(ITIMER_PROF, &soon, NULL), 0);
	for (int i = 0; i < 3; i++) {
		hits = 0;
		work_until_hit();
	}
}
CASE(posix_timer_of_consumed_time_signals)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec soon = { { 0, 0 }, { 0, 20000000 } };
	signal(SIGUSR1, on_signal);
	CHECK_EQ(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &soon, NULL), 0);
	work_until_hit();
}
CASE(limit_of_consumed_time_is_sigxcpu)
{
	struct rlimit limit = { 1, 3 };
	signal(SIGXCPU, on_signal);
	CHECK_EQ(setrlimit(RLIMIT_CPU, &limit), 0);
	work_until_hit();
	CHECK_EQ(getrlimit(RLIMIT_CPU, &limit), 0);
	CHECK_EQ(limit.rlim_cur, 2);
}
CASE(hard_limit_of_consumed_time_kills)
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		struct rlimit limit = { 1, 1 };
		setrlimit(RLIMIT_CPU, &limit);
		signal(SIGXCPU, SIG_IGN);
		for (;;)
			;
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
CASE(setitimer_bad_which_is_einval) { CHECK_ERR(getitimer(9, &(struct itimerval){ 0 }), EINVAL); }
CASE(posix_timer_signals)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec soon = { { 0, 0 }, { 0, 20000000 } };
	signal(SIGUSR1, on_signal);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	CHECK_EQ(timer_settime(timer, 0, &soon, NULL), 0);
	while (!hits)
		pause();
	CHECK_EQ(timer_delete(timer), 0);
	CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
}
CASE(times_counts_ticks)
{
	struct tms t;
	CHECK(times(&t) > 0);
}
