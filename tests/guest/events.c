/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about waiting for events: poll, select, epoll, eventfd, timerfd, signalfd, inotify. */
#include "case.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static void make_pipe(int p[2]) { CHECK_EQ(pipe(p), 0); }
static int epoll_with(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = 42 };
	int ep = epoll_create1(0);
	CHECK(ep >= 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0);
	return ep;
}
static int ready(int ep)
{
	struct epoll_event event;
	return epoll_wait(ep, &event, 1, 0);
}

CASE(poll_empty_pipe_times_out)
{
	struct timespec start;
	int p[2];
	make_pipe(p);
	struct pollfd waiting = { p[0], POLLIN, 0 };
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(poll(&waiting, 1, 50), 0);
	CHECK(guest_elapsed_ms(&start) >= 49);
}
CASE(poll_pipe_with_data_is_pollin)
{
	int p[2];
	make_pipe(p);
	CHECK_EQ(write(p[1], "x", 1), 1);
	struct pollfd waiting = { p[0], POLLIN | POLLOUT, 0 };
	CHECK_EQ(poll(&waiting, 1, -1), 1);
	CHECK_EQ(waiting.revents, POLLIN);
}
CASE(poll_closed_writer_is_pollhup)
{
	int p[2];
	make_pipe(p);
	close(p[1]);
	struct pollfd waiting = { p[0], POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, -1), 1);
	CHECK_EQ(waiting.revents, POLLHUP);
}
CASE(poll_closed_reader_is_pollerr)
{
	int p[2];
	make_pipe(p);
	close(p[0]);
	struct pollfd waiting = { p[1], POLLOUT, 0 };
	CHECK_EQ(poll(&waiting, 1, -1), 1);
	CHECK_EQ(waiting.revents, POLLOUT | POLLERR);
}
CASE(poll_bad_descriptor_is_pollnval)
{
	struct pollfd waiting = { 900, POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, -1), 1);
	CHECK_EQ(waiting.revents, POLLNVAL);
}
CASE(poll_negative_descriptor_is_skipped)
{
	struct pollfd waiting = { -1, POLLIN, 9 };
	CHECK_EQ(poll(&waiting, 1, 0), 0);
	CHECK_EQ(waiting.revents, 0);
}
CASE(poll_regular_file_is_always_ready)
{
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	struct pollfd waiting = { fd, POLLIN | POLLOUT, 0 };
	CHECK_EQ(poll(&waiting, 1, 0), 1);
	CHECK_EQ(waiting.revents, POLLIN | POLLOUT);
}
CASE(poll_wakes_on_write)
{
	int p[2];
	make_pipe(p);
	if (!fork()) {
		guest_sleep_ms(30);
		CHECK_EQ(write(p[1], "x", 1), 1);
		_exit(0);
	}
	struct pollfd waiting = { p[0], POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, 5000), 1);
}
CASE(ppoll_bad_timeout_is_einval)
{
	struct timespec bad = { 0, 1000000000 };
	CHECK_ERR(ppoll(NULL, 0, &bad, NULL), EINVAL);
}
CASE(poll_bad_pointer_is_efault) { CHECK_ERR(poll((struct pollfd *)8, 1, 0), EFAULT); }
CASE(select_reports_the_ready_one)
{
	int p[2];
	fd_set set;
	make_pipe(p);
	CHECK_EQ(write(p[1], "x", 1), 1);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	CHECK_EQ(select(p[0] + 1, &set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(p[0], &set));
}
CASE(select_timeout_clears_the_sets)
{
	int p[2];
	fd_set set;
	struct timeval soon = { 0, 10000 };
	make_pipe(p);
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	CHECK_EQ(select(p[0] + 1, &set, NULL, NULL, &soon), 0);
	CHECK(!FD_ISSET(p[0], &set));
}
static void check_select_of_closed(int fd)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	CHECK_ERR(select(fd + 1, &set, NULL, NULL, NULL), EBADF);
}
CASE(select_closed_descriptor_is_ebadf)
{
	int p[2];
	make_pipe(p);
	close(p[0]);
	check_select_of_closed(p[0]);
}
/* Beyond its table of descriptors, select sees nothing: dup2 makes the table grow. */
CASE(select_closed_descriptor_of_a_grown_table_is_ebadf)
{
	int p[2];
	make_pipe(p);
	CHECK_EQ(dup2(p[0], 200), 200);
	CHECK_EQ(close(200), 0);
	check_select_of_closed(200);
	check_select_of_closed(199);
}
CASE(select_negative_count_is_einval) { CHECK_ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL); }
CASE(epoll_level_stays_ready)
{
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN);
	CHECK_EQ(ready(ep), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(ready(ep), 1);
	CHECK_EQ(ready(ep), 1);
}
CASE(epoll_edge_fires_once)
{
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN | EPOLLET);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(ready(ep), 1);
	CHECK_EQ(ready(ep), 0);
	CHECK_EQ(write(p[1], "y", 1), 1);
	CHECK_EQ(ready(ep), 1);
}
CASE(epoll_edge_partial_read_does_not_fire)
{
	char c;
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN | EPOLLET);
	CHECK_EQ(write(p[1], "xy", 2), 2);
	CHECK_EQ(ready(ep), 1);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(ready(ep), 0);
}
CASE(epoll_oneshot_needs_rearming)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN | EPOLLONESHOT);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(ready(ep), 1);
	CHECK_EQ(ready(ep), 0);
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &event), 0);
	CHECK_EQ(ready(ep), 1);
}
CASE(epoll_gives_the_data_back)
{
	struct epoll_event event;
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[1], EPOLLOUT);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 1);
	CHECK_EQ(event.data.u64, 42);
	CHECK_EQ(event.events, EPOLLOUT);
}
CASE(epoll_hangup_is_always_told)
{
	struct epoll_event event;
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], 0);
	close(p[1]);
	CHECK_EQ(epoll_wait(ep, &event, 1, 0), 1);
	CHECK_EQ(event.events, EPOLLHUP);
}
CASE(epoll_closing_the_last_copy_removes)
{
	int p[2];
	make_pipe(p);
	CHECK_EQ(write(p[1], "x", 1), 1);
	int ep = epoll_with(p[0], EPOLLIN), copy = dup(p[0]);
	close(p[0]);
	CHECK_EQ(ready(ep), 1);
	close(copy);
	CHECK_EQ(ready(ep), 0);
}
CASE(epoll_add_twice_is_eexist)
{
	struct epoll_event event = { .events = EPOLLIN };
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event), EEXIST);
}
CASE(epoll_mod_unknown_is_enoent)
{
	struct epoll_event event = { .events = EPOLLIN };
	int p[2];
	make_pipe(p);
	CHECK_ERR(epoll_ctl(epoll_create1(0), EPOLL_CTL_MOD, p[0], &event), ENOENT);
}
CASE(epoll_regular_file_is_eperm)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_ERR(epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, fd, &event), EPERM);
}
CASE(epoll_itself_is_einval)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
}
CASE(epoll_loop_is_eloop)
{
	struct epoll_event event = { .events = EPOLLIN };
	int a = epoll_create1(0), b = epoll_create1(0);
	CHECK_EQ(epoll_ctl(a, EPOLL_CTL_ADD, b, &event), 0);
	CHECK_ERR(epoll_ctl(b, EPOLL_CTL_ADD, a, &event), ELOOP);
}
CASE(epoll_nested_passes_readiness)
{
	int p[2];
	make_pipe(p);
	int inner = epoll_with(p[0], EPOLLIN), outer = epoll_with(inner, EPOLLIN);
	CHECK_EQ(ready(outer), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(ready(outer), 1);
}
CASE(epoll_wait_zero_events_is_einval)
{
	struct epoll_event event;
	CHECK_ERR(epoll_wait(epoll_create1(0), &event, 0, 0), EINVAL);
}
CASE(epoll_wait_on_file_is_einval)
{
	struct epoll_event event;
	CHECK_ERR(epoll_wait(open("f", O_RDWR | O_CREAT, 0600), &event, 1, 0), EINVAL);
}
CASE(epoll_wait_wakes)
{
	struct epoll_event event;
	int p[2];
	make_pipe(p);
	int ep = epoll_with(p[0], EPOLLIN);
	if (!fork()) {
		guest_sleep_ms(30);
		CHECK_EQ(write(p[1], "x", 1), 1);
		_exit(0);
	}
	CHECK_EQ(epoll_wait(ep, &event, 1, 5000), 1);
}
CASE(eventfd_adds_up)
{
	uint64_t value = 3;
	int fd = eventfd(4, 0);
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_EQ(value, 7);
}
CASE(eventfd_semaphore_counts_down)
{
	uint64_t value;
	int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_EQ(value, 1);
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_ERR(read(fd, &value, 8), EAGAIN);
}
CASE(eventfd_short_buffer_is_einval)
{
	char c[4];
	CHECK_ERR(read(eventfd(1, 0), c, 4), EINVAL);
}
CASE(eventfd_all_ones_is_einval)
{
	uint64_t value = ~0ULL;
	CHECK_ERR(write(eventfd(0, 0), &value, 8), EINVAL);
}
CASE(eventfd_overflow_is_eagain)
{
	uint64_t value = ~0ULL - 1;
	int fd = eventfd(0, EFD_NONBLOCK);
	CHECK_EQ(write(fd, &value, 8), 8);
	value = 1;
	CHECK_ERR(write(fd, &value, 8), EAGAIN);
}
CASE(eventfd_bad_flags_is_einval) { CHECK_ERR(eventfd(0, 0x40), EINVAL); }
CASE(eventfd_is_shared_across_fork)
{
	uint64_t value = 5;
	int fd = eventfd(0, 0);
	if (!fork()) {
		guest_sleep_ms(20);
		CHECK_EQ(write(fd, &value, 8), 8);
		_exit(0);
	}
	CHECK_EQ(read(fd, &value, 8), 8);
	CHECK_EQ(value, 5);
}
CASE(timerfd_expires_once)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 20000000 } };
	uint64_t times;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK_EQ(timerfd_settime(fd, 0, &soon, NULL), 0);
	CHECK_EQ(read(fd, &times, 8), 8);
	CHECK_EQ(times, 1);
	CHECK_EQ(timerfd_gettime(fd, &soon), 0);
	CHECK_EQ(soon.it_value.tv_nsec, 0);
}
CASE(timerfd_interval_counts)
{
	struct itimerspec often = { { 0, 10000000 }, { 0, 10000000 } };
	uint64_t times;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK_EQ(timerfd_settime(fd, 0, &often, NULL), 0);
	guest_sleep_ms(100);
	CHECK_EQ(read(fd, &times, 8), 8);
	CHECK(times >= 5);
}
CASE(timerfd_nonblocking_is_eagain)
{
	uint64_t times;
	CHECK_ERR(read(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), &times, 8), EAGAIN);
}
CASE(timerfd_past_absolute_time_expires_now)
{
	struct itimerspec past = { { 0, 0 }, { 0, 1 } };
	uint64_t times;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &past, NULL), 0);
	CHECK_EQ(read(fd, &times, 8), 8);
}
CASE(timerfd_bad_clock_is_einval) { CHECK_ERR(timerfd_create(99, 0), EINVAL); }
CASE(timerfd_is_pollable)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 20000000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(fd, 0, &soon, NULL);
	struct pollfd waiting = { fd, POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, 5000), 1);
}
static int signal_descriptor(int signal, int flags)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	int fd = signalfd(-1, &set, flags);
	CHECK(fd >= 0);
	return fd;
}
CASE(signalfd_reads_a_blocked_signal)
{
	struct signalfd_siginfo info;
	int fd = signal_descriptor(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(read(fd, &info, sizeof info), 128);
	CHECK_EQ(info.ssi_signo, SIGUSR1);
	CHECK_EQ(info.ssi_pid, getpid());
}
CASE(signalfd_nonblocking_is_eagain)
{
	struct signalfd_siginfo info;
	CHECK_ERR(read(signal_descriptor(SIGUSR1, SFD_NONBLOCK), &info, sizeof info), EAGAIN);
}
CASE(signalfd_short_buffer_is_einval)
{
	char c[16];
	CHECK_ERR(read(signal_descriptor(SIGUSR1, 0), c, sizeof c), EINVAL);
}
CASE(signalfd_is_pollable)
{
	int fd = signal_descriptor(SIGUSR1, 0);
	struct pollfd waiting = { fd, POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, 0), 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(poll(&waiting, 1, 0), 1);
}
CASE(inotify_reports_create_and_delete)
{
	char buffer[512];
	int fd = inotify_init1(IN_NONBLOCK);
	CHECK(fd >= 0);
	CHECK(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE) > 0);
	guest_write_file("new", "");
	unlink("new");
	ssize_t n = read(fd, buffer, sizeof buffer);
	CHECK(n > 0);
	struct inotify_event *event = (void *)buffer;
	CHECK_EQ(event->mask, IN_CREATE);
	CHECK_STR(event->name, "new");
	event = (void *)(buffer + sizeof *event + event->len);
	CHECK_EQ(event->mask, IN_DELETE);
}
CASE(inotify_rename_has_one_cookie)
{
	char buffer[512];
	guest_write_file("a", "");
	int fd = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(fd, ".", IN_MOVE) > 0);
	rename("a", "b");
	CHECK(read(fd, buffer, sizeof buffer) > 0);
	struct inotify_event *from = (void *)buffer, *to = (void *)(buffer + sizeof *from + from->len);
	CHECK_EQ(from->mask, IN_MOVED_FROM);
	CHECK_EQ(to->mask, IN_MOVED_TO);
	CHECK(from->cookie && from->cookie == to->cookie);
}
CASE(inotify_modify_is_reported)
{
	char buffer[256];
	guest_write_file("a", "");
	int fd = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(fd, "a", IN_MODIFY) > 0);
	CHECK_ERR(read(fd, buffer, sizeof buffer), EAGAIN);
	guest_write_file("a", "x");
	CHECK(read(fd, buffer, sizeof buffer) > 0);
}
CASE(inotify_missing_path_is_enoent) { CHECK_ERR(inotify_add_watch(inotify_init1(0), "none", IN_CREATE), ENOENT); }
CASE(inotify_bad_watch_is_einval) { CHECK_ERR(inotify_rm_watch(inotify_init1(0), 99), EINVAL); }
