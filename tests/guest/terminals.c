/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about terminals: pty pairs, the line discipline, job control. */
#include "case.h"
#include <termios.h>

static int master, slave;

static void open_pair(void)
{
	int number, unlock = 0;
	char path[32];
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK(master >= 0);
	CHECK_EQ(ioctl(master, TIOCSPTLCK, &unlock), 0);
	CHECK_EQ(ioctl(master, TIOCGPTN, &number), 0);
	snprintf(path, sizeof path, "/dev/pts/%d", number);
	slave = open(path, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0);
}
static void set_local(tcflag_t on, tcflag_t off)
{
	struct termios t;
	CHECK_EQ(tcgetattr(slave, &t), 0);
	t.c_lflag = (t.c_lflag | on) & ~off;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
}
static void type(const char *text) { CHECK_EQ(write(master, text, strlen(text)), (long long)strlen(text)); }
static void expect(int fd, const char *text)
{
	char got[256] = "";
	size_t n = 0;
	struct pollfd waiting = { fd, POLLIN, 0 };
	while (n < strlen(text) && poll(&waiting, 1, 2000) == 1) {
		ssize_t more = read(fd, got + n, sizeof got - 1 - n);
		CHECK(more > 0);
		n += (size_t)more;
	}
	CHECK_STR(got, text);
}
/* A child that leads a session with the slave as its controlling terminal. */
static pid_t session_child(void (*body)(void))
{
	pid_t pid = fork();
	if (!pid) {
		setsid();
		close(master);
		CHECK_EQ(ioctl(slave, TIOCSCTTY, 0), 0);
		body();
		_exit(0);
	}
	return pid;
}

CASE(slave_write_gets_carriage_returns)
{
	open_pair();
	CHECK_EQ(write(slave, "a\nb", 3), 3);
	expect(master, "a\r\nb");
}
CASE(typed_line_is_echoed_and_read)
{
	open_pair();
	type("hey\n");
	expect(master, "hey\r\n");
	expect(slave, "hey\n");
}
CASE(carriage_return_becomes_newline)
{
	open_pair();
	type("x\r");
	expect(slave, "x\n");
}
CASE(canonical_read_waits_for_the_line)
{
	open_pair();
	type("abc");
	struct pollfd waiting = { slave, POLLIN, 0 };
	CHECK_EQ(poll(&waiting, 1, 30), 0);
	type("\n");
	CHECK_EQ(poll(&waiting, 1, 1000), 1);
}
CASE(canonical_read_gives_one_line)
{
	char text[16];
	open_pair();
	type("one\ntwo\n");
	CHECK_EQ(read(slave, text, sizeof text), 4);
	CHECK_EQ(read(slave, text, 2), 2);
	CHECK_EQ(read(slave, text, sizeof text), 2);
}
CASE(erase_removes_a_character)
{
	open_pair();
	type("abx\x7f" "c\n");
	expect(master, "abx\b \bc\r\n");
	expect(slave, "abc\n");
}
CASE(kill_removes_the_line)
{
	open_pair();
	type("wrong\x15right\n");
	expect(slave, "right\n");
}
CASE(word_erase_removes_a_word)
{
	open_pair();
	type("one two\x17three\n");
	expect(slave, "one three\n");
}
CASE(end_of_file_ends_a_read)
{
	char text[8];
	open_pair();
	type("ab\x04");
	CHECK_EQ(read(slave, text, sizeof text), 2);
	type("\x04");
	CHECK_EQ(read(slave, text, sizeof text), 0);
}
CASE(literal_next_takes_any_character)
{
	open_pair();
	type("a\x16\x03" "b\n");
	expect(slave, "a\x03" "b\n");
}
CASE(echo_shows_control_characters)
{
	open_pair();
	type("\x01\n");
	expect(master, "^A\r\n");
}
CASE(echo_can_be_off)
{
	open_pair();
	set_local(0, ECHO);
	type("x\n");
	CHECK_EQ(write(slave, "!", 1), 1);
	expect(master, "!");
}
CASE(raw_mode_reads_bytes)
{
	struct termios t;
	open_pair();
	CHECK_EQ(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
	type("a\r\x03");
	expect(slave, "a\r\x03");
}
CASE(vmin_zero_returns_at_once)
{
	char c;
	struct termios t;
	open_pair();
	CHECK_EQ(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 0;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
	CHECK_EQ(read(slave, &c, 1), 0);
}
CASE(vtime_times_out)
{
	char c;
	struct termios t;
	struct timespec start;
	open_pair();
	CHECK_EQ(tcgetattr(slave, &t), 0);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	CHECK_EQ(tcsetattr(slave, TCSANOW, &t), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_EQ(read(slave, &c, 1), 0);
	CHECK(guest_elapsed_ms(&start) >= 90);
}
CASE(default_attributes_are_linux)
{
	struct termios t;
	open_pair();
	CHECK_EQ(tcgetattr(slave, &t), 0);
	CHECK_EQ(t.c_iflag, ICRNL | IXON);
	CHECK_EQ(t.c_oflag, OPOST | ONLCR);
	CHECK_EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	CHECK_EQ(t.c_cc[VINTR], 3);
	CHECK_EQ(t.c_cc[VERASE], 0x7f);
}
CASE(window_size_round_trip)
{
	struct winsize w = { 33, 99, 0, 0 }, got;
	open_pair();
	CHECK_EQ(ioctl(master, TIOCSWINSZ, &w), 0);
	CHECK_EQ(ioctl(slave, TIOCGWINSZ, &got), 0);
	CHECK(got.ws_row == 33 && got.ws_col == 99);
}
CASE(slave_is_a_tty_and_pipe_is_not)
{
	struct termios t;
	int p[2];
	open_pair();
	CHECK_EQ(isatty(slave), 1);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(tcgetattr(p[0], &t), ENOTTY);
}
CASE(slave_name_is_dev_pts)
{
	open_pair();
	CHECK(!strncmp(ttyname(slave), "/dev/pts/", 9));
}
CASE(locked_slave_is_eio)
{
	int number;
	char path[32];
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK_EQ(ioctl(fd, TIOCGPTN, &number), 0);
	snprintf(path, sizeof path, "/dev/pts/%d", number);
	CHECK_ERR(open(path, O_RDWR | O_NOCTTY), EIO);
}
CASE(master_close_is_end_of_file)
{
	char c;
	open_pair();
	close(master);
	CHECK_EQ(read(slave, &c, 1), 0);
	CHECK_ERR(write(slave, "x", 1), EIO);
}
CASE(slave_close_is_eio_on_the_master)
{
	char c;
	open_pair();
	close(slave);
	CHECK_ERR(read(master, &c, 1), EIO);
}
CASE(dev_tty_without_terminal_is_enxio)
{
	pid_t pid = fork();
	if (!pid) {
		setsid();
		CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	CHECK_CHILD_OK(pid);
}
static void use_dev_tty(void)
{
	int fd = open("/dev/tty", O_RDWR);
	CHECK(fd >= 0);
	CHECK_EQ(tcgetpgrp(fd), getpid());
	CHECK_EQ(tcgetsid(fd), getpid());
}
CASE(dev_tty_is_the_controlling_terminal)
{
	open_pair();
	CHECK_CHILD_OK(session_child(use_dev_tty));
}
static void wait_for_signal(void)
{
	CHECK_EQ(write(slave, "R", 1), 1);
	for (;;)
		pause();
}
static void expect_death(const char *key, int signal)
{
	open_pair();
	pid_t pid = session_child(wait_for_signal);
	expect(master, "R");
	type(key);
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), signal);
}
CASE(control_c_interrupts_the_foreground) { expect_death("\x03", SIGINT); }
CASE(control_backslash_quits_the_foreground) { expect_death("\x1c", SIGQUIT); }
static void stop_in_own_group(void)
{
	pid_t pid = fork();
	int status;
	if (!pid)
		wait_for_signal();
	setpgid(pid, pid);
	signal(SIGTTOU, SIG_IGN);
	CHECK_EQ(tcsetpgrp(slave, pid), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
	kill(pid, SIGKILL);
}
CASE(control_z_stops_the_foreground)
{
	open_pair();
	pid_t pid = session_child(stop_in_own_group);
	expect(master, "R");
	guest_sleep_ms(50);
	type("\x1a");
	CHECK_CHILD_OK(pid);
}
static void background_read(void)
{
	char c;
	int status;
	pid_t pid = fork();
	if (!pid) {
		setpgid(0, 0);
		if (read(slave, &c, 1))
			_exit(1);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	kill(pid, SIGKILL);
}
CASE(background_read_is_sigttin)
{
	open_pair();
	CHECK_CHILD_OK(session_child(background_read));
}
static void background_tostop(void)
{
	int status;
	set_local(TOSTOP, 0);
	pid_t pid = fork();
	if (!pid) {
		setpgid(0, 0);
		if (write(slave, "x", 1) < 0)
			_exit(1);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	kill(pid, SIGKILL);
}
CASE(background_write_with_tostop_is_sigttou)
{
	open_pair();
	CHECK_CHILD_OK(session_child(background_tostop));
}
CASE(resize_raises_sigwinch)
{
	open_pair();
	pid_t pid = session_child(wait_for_signal);
	expect(master, "R");
	struct winsize w = { 10, 20, 0, 0 };
	CHECK_EQ(ioctl(master, TIOCSWINSZ, &w), 0);
	type("\x03");
	CHECK_EQ(WTERMSIG(guest_wait(pid)), SIGINT);
}
CASE(master_hangup_kills_the_session)
{
	open_pair();
	pid_t pid = session_child(wait_for_signal);
	expect(master, "R");
	close(slave);
	close(master);
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
}
