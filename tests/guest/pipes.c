/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about pipes, fifos and AF_UNIX socket pairs. */
#include "case.h"
#include <sys/socket.h>
#include <sys/un.h>

static void make_pipe(int p[2]) { CHECK_EQ(pipe(p), 0); }
static void make_pair(int type, int p[2]) { CHECK_EQ(socketpair(AF_UNIX, type, 0, p), 0); }

CASE(pipe_carries_bytes)
{
	char text[6] = "";
	int p[2];
	make_pipe(p);
	CHECK_EQ(write(p[1], "hello", 5), 5);
	CHECK_EQ(read(p[0], text, 9), 5);
	CHECK_STR(text, "hello");
}
CASE(pipe_without_writers_is_end_of_file)
{
	char c;
	int p[2];
	make_pipe(p);
	close(p[1]);
	CHECK_EQ(read(p[0], &c, 1), 0);
}
CASE(pipe_without_readers_is_epipe_and_sigpipe)
{
	int p[2];
	make_pipe(p);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	pid_t pid = fork();
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		if (write(p[1], "x", 1))
			_exit(1);
		_exit(2);
	}
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}
CASE(pipe_wrong_end_is_ebadf)
{
	char c;
	int p[2];
	make_pipe(p);
	CHECK_ERR(read(p[1], &c, 1), EBADF);
	CHECK_ERR(write(p[0], &c, 1), EBADF);
}
CASE(nonblocking_read_of_empty_pipe_is_eagain)
{
	char c;
	int p[2];
	CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
	CHECK_ERR(read(p[0], &c, 1), EAGAIN);
}
CASE(nonblocking_write_to_full_pipe_is_eagain)
{
	static char block[4096];
	int p[2];
	CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
	long total = 0;
	ssize_t n;
	while ((n = write(p[1], block, sizeof block)) > 0)
		total += n;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(total, 65536);
}
CASE(pipe2_bad_flags_is_einval)
{
	int p[2];
	CHECK_ERR(pipe2(p, O_APPEND), EINVAL);
}
CASE(pipe2_cloexec_is_set_on_both)
{
	int p[2];
	CHECK_EQ(pipe2(p, O_CLOEXEC), 0);
	CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(p[1], F_GETFD), FD_CLOEXEC);
}
CASE(pipe_bad_pointer_is_efault) { CHECK_ERR(pipe2((int *)8, 0), EFAULT); }
CASE(pipe_size_can_be_changed)
{
	int p[2];
	make_pipe(p);
	CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 65536);
	CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ, 4096), 4096);
	CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 4096);
}
CASE(pipe_fionread_counts)
{
	int p[2], n = -1;
	make_pipe(p);
	CHECK_EQ(write(p[1], "abc", 3), 3);
	CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
	CHECK_EQ(n, 3);
}
CASE(blocked_read_wakes_on_write)
{
	char c;
	int p[2];
	make_pipe(p);
	pid_t pid = fork();
	if (!pid) {
		guest_sleep_ms(30);
		CHECK_EQ(write(p[1], "x", 1), 1);
		_exit(0);
	}
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_CHILD_OK(pid);
}
CASE(blocked_read_wakes_on_last_close)
{
	char c;
	int p[2];
	make_pipe(p);
	pid_t pid = fork();
	if (!pid) {
		guest_sleep_ms(30);
		_exit(0);
	}
	close(p[1]);
	CHECK_EQ(read(p[0], &c, 1), 0);
	CHECK_CHILD_OK(pid);
}
CASE(large_write_through_pipe_arrives_whole)
{
	static char block[300000];
	int p[2];
	make_pipe(p);
	pid_t pid = fork();
	if (!pid) {
		close(p[0]);
		CHECK_EQ(write(p[1], block, sizeof block), sizeof block);
		_exit(0);
	}
	close(p[1]);
	ssize_t n, total = 0;
	while ((n = read(p[0], block, 7777)) > 0)
		total += n;
	CHECK_EQ(total, 300000);
	CHECK_CHILD_OK(pid);
}
CASE(pipe_writes_up_to_pipe_buf_are_atomic)
{
	static char block[PIPE_BUF];
	int p[2];
	make_pipe(p);
	for (int child = 0; child < 2; child++)
		if (!fork()) {
			memset(block, 'a' + child, sizeof block);
			for (int i = 0; i < 20; i++)
				CHECK_EQ(write(p[1], block, sizeof block), PIPE_BUF);
			_exit(0);
		}
	close(p[1]);
	for (int i = 0; i < 40; i++) {
		ssize_t got = 0, n;
		while (got < PIPE_BUF && (n = read(p[0], block + got, (size_t)(PIPE_BUF - got))) > 0)
			got += n;
		CHECK_EQ(got, PIPE_BUF);
		for (int k = 1; k < PIPE_BUF; k++)
			CHECK(block[k] == block[0]);
	}
}
CASE(pipe_stat_is_a_fifo)
{
	struct stat st;
	int p[2];
	make_pipe(p);
	CHECK_EQ(fstat(p[0], &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
}
CASE(splice_moves_pipe_to_file)
{
	char text[4] = "";
	int p[2];
	make_pipe(p);
	CHECK_EQ(write(p[1], "abc", 3), 3);
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(splice(p[0], NULL, fd, NULL, 3, 0), 3);
	CHECK_EQ(pread(fd, text, 3, 0), 3);
	CHECK_STR(text, "abc");
}
CASE(splice_without_pipe_is_einval)
{
	int a = open("f", O_RDWR | O_CREAT, 0600), b = open("g", O_RDWR | O_CREAT, 0600);
	CHECK_ERR(splice(a, NULL, b, NULL, 3, 0), EINVAL);
}
CASE(tee_copies_without_consuming)
{
	char c;
	int a[2], b[2];
	make_pipe(a);
	make_pipe(b);
	CHECK_EQ(write(a[1], "x", 1), 1);
	CHECK_EQ(tee(a[0], b[1], 1, 0), 1);
	CHECK_EQ(read(a[0], &c, 1), 1);
	CHECK_EQ(read(b[0], &c, 1), 1);
}
CASE(fifo_connects_two_processes)
{
	char c;
	CHECK_EQ(mkfifo("p", 0600), 0);
	pid_t pid = fork();
	if (!pid) {
		int fd = open("p", O_WRONLY);
		CHECK_EQ(write(fd, "x", 1), 1);
		_exit(0);
	}
	int fd = open("p", O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(read(fd, &c, 1), 0);
	CHECK_CHILD_OK(pid);
}
CASE(fifo_nonblocking_writer_without_reader_is_enxio)
{
	CHECK_EQ(mkfifo("p", 0600), 0);
	CHECK_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
}
CASE(fifo_nonblocking_reader_opens_at_once)
{
	CHECK_EQ(mkfifo("p", 0600), 0);
	CHECK(open("p", O_RDONLY | O_NONBLOCK) >= 0);
}
CASE(fifo_read_write_opens_at_once)
{
	CHECK_EQ(mkfifo("p", 0600), 0);
	CHECK(open("p", O_RDWR) >= 0);
}
CASE(stream_pair_is_two_way)
{
	char c;
	int p[2];
	make_pair(SOCK_STREAM, p);
	CHECK_EQ(write(p[0], "a", 1), 1);
	CHECK_EQ(write(p[1], "b", 1), 1);
	CHECK_EQ(read(p[1], &c, 1), 1);
	CHECK_EQ(c, 'a');
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(c, 'b');
}
CASE(datagram_pair_keeps_boundaries)
{
	char text[8];
	int p[2];
	make_pair(SOCK_DGRAM, p);
	CHECK_EQ(send(p[0], "abc", 3, 0), 3);
	CHECK_EQ(send(p[0], "de", 2, 0), 2);
	CHECK_EQ(recv(p[1], text, 8, 0), 3);
	CHECK_EQ(recv(p[1], text, 8, 0), 2);
}
CASE(datagram_short_buffer_drops_the_rest)
{
	char c;
	int p[2];
	make_pair(SOCK_DGRAM, p);
	CHECK_EQ(send(p[0], "abc", 3, 0), 3);
	CHECK_EQ(send(p[0], "z", 1, 0), 1);
	CHECK_EQ(recv(p[1], &c, 1, 0), 1);
	CHECK_EQ(recv(p[1], &c, 1, 0), 1);
	CHECK_EQ(c, 'z');
}
CASE(seqpacket_pair_keeps_boundaries)
{
	char text[8];
	int p[2];
	make_pair(SOCK_SEQPACKET, p);
	CHECK_EQ(send(p[0], "abc", 3, 0), 3);
	CHECK_EQ(send(p[0], "d", 1, 0), 1);
	CHECK_EQ(recv(p[1], text, 8, 0), 3);
	CHECK_EQ(recv(p[1], text, 8, 0), 1);
}
CASE(stream_peer_close_is_end_of_file)
{
	char c;
	int p[2];
	make_pair(SOCK_STREAM, p);
	close(p[0]);
	CHECK_EQ(read(p[1], &c, 1), 0);
}
CASE(stream_write_to_closed_peer_is_epipe)
{
	int p[2];
	make_pair(SOCK_STREAM, p);
	close(p[0]);
	CHECK_ERR(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}
CASE(recv_peek_leaves_the_data)
{
	char c;
	int p[2];
	make_pair(SOCK_STREAM, p);
	CHECK_EQ(write(p[0], "x", 1), 1);
	CHECK_EQ(recv(p[1], &c, 1, MSG_PEEK), 1);
	CHECK_EQ(recv(p[1], &c, 1, 0), 1);
}
CASE(recv_dontwait_is_eagain)
{
	char c;
	int p[2];
	make_pair(SOCK_STREAM, p);
	CHECK_ERR(recv(p[1], &c, 1, MSG_DONTWAIT), EAGAIN);
}
CASE(shutdown_write_ends_the_stream)
{
	char c;
	int p[2];
	make_pair(SOCK_STREAM, p);
	CHECK_EQ(shutdown(p[0], SHUT_WR), 0);
	CHECK_EQ(read(p[1], &c, 1), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(read(p[0], &c, 1), 1);
}
CASE(scm_rights_passes_a_descriptor)
{
	char data = 'x', control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &data, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int p[2], q[2];
	make_pair(SOCK_STREAM, p);
	make_pipe(q);
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &q[0], sizeof(int));
	CHECK_EQ(sendmsg(p[0], &message, 0), 1);
	message.msg_controllen = sizeof control;
	CHECK_EQ(recvmsg(p[1], &message, MSG_CMSG_CLOEXEC), 1);
	c = CMSG_FIRSTHDR(&message);
	CHECK(c && c->cmsg_type == SCM_RIGHTS);
	int fd;
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(q[1], "y", 1), 1);
	CHECK_EQ(read(fd, &data, 1), 1);
	CHECK_EQ(data, 'y');
}
CASE(so_peercred_names_the_creator)
{
	struct ucred who;
	socklen_t len = sizeof who;
	int p[2];
	make_pair(SOCK_STREAM, p);
	CHECK_EQ(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
	CHECK_EQ(who.pid, getpid());
	CHECK_EQ(who.uid, getuid());
}
CASE(so_type_and_domain_are_told)
{
	int value, p[2];
	socklen_t len = sizeof value;
	make_pair(SOCK_DGRAM, p);
	CHECK_EQ(getsockopt(p[0], SOL_SOCKET, SO_TYPE, &value, &len), 0);
	CHECK_EQ(value, SOCK_DGRAM);
	CHECK_EQ(getsockopt(p[0], SOL_SOCKET, SO_DOMAIN, &value, &len), 0);
	CHECK_EQ(value, AF_UNIX);
}
CASE(socketpair_unknown_family_is_eafnosupport)
{
	int p[2];
	CHECK_ERR(socketpair(99, SOCK_STREAM, 0, p), EAFNOSUPPORT);
}
CASE(socket_calls_on_file_are_enotsock)
{
	char c;
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_ERR(recv(fd, &c, 1, 0), ENOTSOCK);
	CHECK_ERR(shutdown(fd, SHUT_WR), ENOTSOCK);
}
CASE(unix_listener_accepts)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "sock" };
	char c;
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(server >= 0);
	CHECK_EQ(bind(server, (void *)&name, sizeof name), 0);
	CHECK_EQ(listen(server, 1), 0);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(connect(client, (void *)&name, sizeof name), 0);
	int peer = accept(server, NULL, NULL);
	CHECK(peer >= 0);
	CHECK_EQ(write(client, "x", 1), 1);
	CHECK_EQ(read(peer, &c, 1), 1);
}
CASE(unix_connect_without_listener_is_econnrefused)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int a = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(a, (void *)&name, sizeof name), 0);
	CHECK_ERR(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name), ECONNREFUSED);
}
CASE(unix_bind_twice_is_eaddrinuse)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "sock" };
	CHECK_EQ(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name), 0);
	CHECK_ERR(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name), EADDRINUSE);
}
/* A child sends until it blocks, and then the only receiver is closed. */
static int blocked_sender(int type, int expect)
{
	static char block[4096];
	int p[2];
	make_pair(type, p);
	pid_t pid = fork();
	if (!pid) {
		close(p[1]);
		while (send(p[0], block, sizeof block, MSG_NOSIGNAL) > 0)
			;
		_exit(errno == expect ? 0 : errno);
	}
	close(p[0]);
	guest_sleep_ms(100);
	close(p[1]);
	return guest_wait(pid);
}
CASE(blocked_stream_sender_is_woken_by_the_end_of_its_receiver)
{
	CHECK_EQ(blocked_sender(SOCK_STREAM, ECONNRESET), 0);
}
CASE(blocked_connect_is_woken_by_the_end_of_the_listener)
{
	struct sockaddr_un a = { AF_UNIX, "listener" };
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(l, (struct sockaddr *)&a, sizeof a), 0);
	CHECK_EQ(listen(l, 0), 0);
	pid_t pid = fork();
	if (!pid) {
		close(l);
		while (!connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a))
			;
		_exit(errno == ECONNREFUSED ? 0 : errno);
	}
	guest_sleep_ms(100);
	close(l);
	CHECK_CHILD_OK(pid);
}
CASE(blocked_datagram_sender_is_woken_by_the_end_of_its_receiver)
{
	CHECK_EQ(blocked_sender(SOCK_DGRAM, ECONNREFUSED), 0);
}
