/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Claims about sockets of the Internet, on loopback. */
#include "case.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

#define ADDR(a) (struct sockaddr *)&(a), sizeof(a)

static int make(int type)
{
	int s = socket(AF_INET, type, 0);
	CHECK(s >= 0);
	return s;
}

/* Binds to a port of loopback that the system chooses. */
static int bind_any(int s)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof a;
	CHECK_EQ(bind(s, ADDR(a)), 0);
	CHECK_EQ(getsockname(s, (struct sockaddr *)&a, &len), 0);
	CHECK_EQ(len, sizeof a);
	CHECK(a.sin_port != 0);
	return ntohs(a.sin_port);
}

static int listener(int *port)
{
	int s = make(SOCK_STREAM);
	*port = bind_any(s);
	CHECK_EQ(listen(s, 8), 0);
	return s;
}

/* Two connected sockets: [0] connected, [1] was accepted. */
static void tcp_pair(int p[2])
{
	int port, l = listener(&port);
	struct sockaddr_in a = loopback(port);
	p[0] = make(SOCK_STREAM);
	CHECK_EQ(connect(p[0], ADDR(a)), 0);
	p[1] = accept(l, NULL, NULL);
	CHECK(p[1] >= 0);
	close(l);
}

static void udp_pair(int p[2])
{
	for (int i = 0; i < 2; i++)
		p[i] = make(SOCK_DGRAM);
	struct sockaddr_in a = loopback(bind_any(p[0])), b = loopback(bind_any(p[1]));
	CHECK_EQ(connect(p[0], ADDR(b)), 0);
	CHECK_EQ(connect(p[1], ADDR(a)), 0);
}

static int events_of(int s)
{
	struct pollfd p = { s, POLLIN | POLLOUT | POLLRDHUP, 0 };
	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static int option(int s, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;
	CHECK_EQ(getsockopt(s, level, name, &value, &len), 0);
	CHECK_EQ(len, sizeof value);
	return value;
}

CASE(stream_carries_bytes_both_ways)
{
	char text[8] = "";
	int p[2];
	tcp_pair(p);
	CHECK_EQ(write(p[0], "hello", 5), 5);
	CHECK_EQ(read(p[1], text, sizeof text), 5);
	CHECK_STR(text, "hello");
	CHECK_EQ(send(p[1], "ok", 3, 0), 3);
	CHECK_EQ(recv(p[0], text, sizeof text, MSG_WAITALL | MSG_DONTWAIT), 3);
	CHECK_STR(text, "ok");
}
CASE(names_of_a_connection_match)
{
	int p[2];
	tcp_pair(p);
	struct sockaddr_in local, peer;
	socklen_t len = sizeof local;
	CHECK_EQ(getsockname(p[0], (struct sockaddr *)&local, &len), 0);
	len = sizeof peer;
	CHECK_EQ(getpeername(p[1], (struct sockaddr *)&peer, &len), 0);
	CHECK_EQ(memcmp(&local, &peer, sizeof local), 0);
}
CASE(accept_says_who_connected)
{
	int port, l = listener(&port), c = make(SOCK_STREAM);
	struct sockaddr_in a = loopback(port), from, own;
	CHECK_EQ(connect(c, ADDR(a)), 0);
	socklen_t len = sizeof from;
	CHECK(accept4(l, (struct sockaddr *)&from, &len, SOCK_CLOEXEC) >= 0);
	len = sizeof own;
	CHECK_EQ(getsockname(c, (struct sockaddr *)&own, &len), 0);
	CHECK_EQ(from.sin_port, own.sin_port);
}
CASE(accepted_socket_does_not_inherit_nonblock)
{
	int port, l = listener(&port), c = make(SOCK_STREAM);
	struct sockaddr_in a = loopback(port);
	CHECK_EQ(fcntl(l, F_SETFL, O_NONBLOCK), 0);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK_EQ(connect(c, ADDR(a)), 0);
	int s = accept(l, NULL, NULL);
	CHECK(s >= 0);
	CHECK_EQ(fcntl(s, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(connect(make(SOCK_STREAM), ADDR(a)), 0);
	s = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	CHECK_EQ(fcntl(s, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}
CASE(connection_to_nobody_is_refused)
{
	int bound = make(SOCK_STREAM);
	struct sockaddr_in a = loopback(bind_any(bound));
	CHECK_ERR(connect(make(SOCK_STREAM), ADDR(a)), ECONNREFUSED);
}
CASE(nonblocking_connect_is_in_progress_and_then_writable)
{
	int port, l = listener(&port), c = make(SOCK_STREAM | SOCK_NONBLOCK);
	struct sockaddr_in a = loopback(port);
	CHECK_ERR(connect(c, ADDR(a)), EINPROGRESS);
	struct pollfd p = { c, POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLOUT);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
	CHECK(accept(l, NULL, NULL) >= 0);
}
CASE(nonblocking_connect_refused_is_in_so_error_once)
{
	int bound = make(SOCK_STREAM), c = make(SOCK_STREAM | SOCK_NONBLOCK);
	struct sockaddr_in a = loopback(bind_any(bound));
	CHECK_ERR(connect(c, ADDR(a)), EINPROGRESS);
	struct pollfd p = { c, POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK(p.revents & POLLERR);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ERROR), 0);
}
CASE(second_connect_is_eisconn)
{
	int port, l = listener(&port), c = make(SOCK_STREAM);
	struct sockaddr_in a = loopback(port);
	CHECK_EQ(connect(c, ADDR(a)), 0);
	CHECK_ERR(connect(c, ADDR(a)), EISCONN);
	close(l);
}
CASE(address_in_use_is_refused)
{
	int port, l = listener(&port);
	struct sockaddr_in a = loopback(port);
	CHECK_ERR(bind(make(SOCK_STREAM), ADDR(a)), EADDRINUSE);
	CHECK_ERR(bind(l, ADDR(a)), EINVAL);
}
CASE(address_of_somebody_else_is_not_available)
{
	struct sockaddr_in a = loopback(0);
	a.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, for documents only */
	CHECK_ERR(bind(make(SOCK_STREAM), ADDR(a)), EADDRNOTAVAIL);
}
CASE(short_address_is_einval)
{
	struct sockaddr_in a = loopback(9);
	CHECK_ERR(bind(make(SOCK_STREAM), (struct sockaddr *)&a, 15), EINVAL);
	CHECK_ERR(connect(make(SOCK_STREAM), (struct sockaddr *)&a, 15), EINVAL);
	CHECK_ERR(sendto(make(SOCK_DGRAM), "x", 1, 0, (struct sockaddr *)&a, 15), EINVAL);
}
CASE(address_of_another_family_is_refused)
{
	struct sockaddr_in a = loopback(9);
	a.sin_family = AF_UNIX;
	CHECK_ERR(bind(make(SOCK_STREAM), ADDR(a)), EAFNOSUPPORT);
	CHECK_ERR(connect(make(SOCK_STREAM), ADDR(a)), EAFNOSUPPORT);
	CHECK_ERR(sendto(make(SOCK_DGRAM), "x", 1, 0, ADDR(a)), EAFNOSUPPORT);
}
CASE(protocol_of_another_type_is_refused)
{
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, 263), EINVAL);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
	CHECK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) >= 0);
	CHECK(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) >= 0);
}
CASE(no_pair_of_internet_sockets)
{
	int p[2];
	CHECK_ERR(socketpair(AF_INET, SOCK_STREAM, 0, p), EOPNOTSUPP);
}
CASE(unconnected_stream_is_enotconn)
{
	char c;
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	int s = make(SOCK_STREAM);
	CHECK_ERR(getpeername(s, (struct sockaddr *)&a, &len), ENOTCONN);
	CHECK_ERR(recv(s, &c, 1, 0), ENOTCONN);
	CHECK_ERR(shutdown(s, SHUT_RDWR), ENOTCONN);
	CHECK_ERR(send(s, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERR(accept(s, NULL, NULL), EINVAL);
}
CASE(end_of_a_stream_is_read_as_zero)
{
	char c;
	int p[2];
	tcp_pair(p);
	CHECK_EQ(shutdown(p[0], SHUT_WR), 0);
	CHECK_EQ(read(p[1], &c, 1), 0);
	CHECK_EQ(events_of(p[1]), POLLIN | POLLOUT | POLLRDHUP);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(read(p[0], &c, 1), 1);
	CHECK_EQ(close(p[1]), 0);
	CHECK_EQ(read(p[0], &c, 1), 0);
}
CASE(write_after_shutdown_is_epipe_and_sigpipe)
{
	int p[2];
	tcp_pair(p);
	CHECK_EQ(shutdown(p[0], SHUT_WR), 0);
	CHECK_ERR(send(p[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	pid_t pid = fork();
	if (!pid) {
		send(p[0], "x", 1, 0);
		_exit(1);
	}
	int status = guest_wait(pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}
CASE(lingering_close_resets_the_peer)
{
	char c;
	int p[2];
	struct linger now = { 1, 0 };
	tcp_pair(p);
	CHECK_EQ(setsockopt(p[0], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	close(p[0]);
	CHECK_ERR(read(p[1], &c, 1), ECONNRESET);
}
CASE(linger_is_read_back)
{
	struct linger l = { 1, 7 }, got = { 0, 0 };
	socklen_t len = sizeof got;
	int s = make(SOCK_STREAM);
	CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
	CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_LINGER, &got, &len), 0);
	CHECK(got.l_onoff && got.l_linger == 7);
}
CASE(peeked_bytes_stay)
{
	char text[4];
	int p[2], n = -1;
	tcp_pair(p);
	CHECK_EQ(write(p[0], "abc", 3), 3);
	CHECK_EQ(recv(p[1], text, 2, MSG_PEEK), 2);
	CHECK_EQ(ioctl(p[1], FIONREAD, &n), 0);
	CHECK_EQ(n, 3);
	CHECK_EQ(recv(p[1], text, 4, 0), 3);
}
CASE(waitall_waits_for_everything)
{
	char text[7] = "";
	int p[2];
	tcp_pair(p);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(write(p[0], "abc", 3), 3);
		guest_sleep_ms(30);
		CHECK_EQ(write(p[0], "def", 3), 3);
		_exit(0);
	}
	CHECK_EQ(recv(p[1], text, 6, MSG_WAITALL), 6);
	CHECK_STR(text, "abcdef");
	CHECK_CHILD_OK(pid);
}
CASE(large_write_blocks_until_it_is_read)
{
	static char block[4 << 20];
	int p[2];
	tcp_pair(p);
	pid_t pid = fork();
	if (!pid) {
		memset(block, 'x', sizeof block);
		CHECK_EQ(write(p[0], block, sizeof block), sizeof block);
		_exit(0);
	}
	close(p[0]);
	long total = 0;
	ssize_t n;
	while ((n = read(p[1], block, sizeof block)) > 0) {
		for (ssize_t i = 0; i < n; i += 1000)
			CHECK_EQ(block[i], 'x');
		total += n;
	}
	CHECK_EQ(total, sizeof block);
	CHECK_CHILD_OK(pid);
}
CASE(nonblocking_send_fills_up_and_polls_again)
{
	static char block[65536];
	int p[2];
	tcp_pair(p);
	CHECK_EQ(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
	long total = 0, got = 0;
	ssize_t n;
	while ((n = write(p[0], block, sizeof block)) > 0)
		total += n;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(events_of(p[0]), 0);
	while (got < total && (n = read(p[1], block, sizeof block)) > 0)
		got += n;
	CHECK_EQ(got, total);
	struct pollfd out = { p[0], POLLOUT, 0 };
	CHECK_EQ(poll(&out, 1, 5000), 1);
}
CASE(receive_timeout_is_eagain)
{
	char c;
	int p[2];
	struct timeval limit = { 0, 30000 };
	struct timespec start;
	tcp_pair(p);
	CHECK_EQ(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK_ERR(recv(p[0], &c, 1, 0), EAGAIN);
	CHECK(guest_elapsed_ms(&start) >= 25);
}
CASE(listener_is_readable_when_somebody_connects)
{
	int port, l = listener(&port), c = make(SOCK_STREAM);
	struct sockaddr_in a = loopback(port);
	CHECK_EQ(events_of(l), 0);
	CHECK_EQ(connect(c, ADDR(a)), 0);
	struct pollfd p = { l, POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_EQ(option(l, SOL_SOCKET, SO_ACCEPTCONN), 1);
	CHECK_EQ(option(c, SOL_SOCKET, SO_ACCEPTCONN), 0);
}
CASE(edge_triggered_epoll_tells_of_each_arrival)
{
	char c[8];
	int p[2], e = epoll_create1(0);
	struct epoll_event want = { .events = EPOLLIN | EPOLLET }, got;
	tcp_pair(p);
	CHECK_EQ(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &want), 0);
	CHECK_EQ(epoll_wait(e, &got, 1, 0), 0);
	CHECK_EQ(write(p[0], "ab", 2), 2);
	CHECK_EQ(epoll_wait(e, &got, 1, 5000), 1);
	CHECK_EQ(epoll_wait(e, &got, 1, 0), 0);
	CHECK_EQ(read(p[1], c, 1), 1);
	CHECK_EQ(write(p[0], "c", 1), 1);
	CHECK_EQ(epoll_wait(e, &got, 1, 5000), 1);
	CHECK_EQ(read(p[1], c, sizeof c), 2);
	CHECK_EQ(epoll_wait(e, &got, 1, 0), 0);
}
CASE(signal_interrupts_accept)
{
	int port, l = listener(&port);
	struct sigaction ignore_it = { .sa_handler = (void (*)(int))abs };
	struct itimerval soon = { { 0, 0 }, { 0, 30000 } };
	CHECK_EQ(sigaction(SIGALRM, &ignore_it, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
	CHECK_ERR(accept(l, NULL, NULL), EINTR);
}
CASE(message_is_whole_and_says_who_sent_it)
{
	char text[8] = "";
	int a = make(SOCK_DGRAM), b = make(SOCK_DGRAM);
	struct sockaddr_in to = loopback(bind_any(b)), from = { 0 };
	int port = bind_any(a);
	socklen_t len = sizeof from;
	CHECK_EQ(sendto(a, "one", 3, 0, ADDR(to)), 3);
	CHECK_EQ(sendto(a, "", 0, 0, ADDR(to)), 0);
	CHECK_EQ(recvfrom(b, text, sizeof text, 0, (struct sockaddr *)&from, &len), 3);
	CHECK_EQ(len, sizeof from);
	CHECK_EQ(ntohs(from.sin_port), port);
	CHECK_EQ(recv(b, text, sizeof text, 0), 0);
}
CASE(message_that_does_not_fit_is_cut)
{
	char text[2];
	int p[2];
	struct iovec piece = { text, 2 };
	struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1 };
	udp_pair(p);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(send(p[0], "abcdef", 6, 0), 6);
	CHECK_EQ(recv(p[1], text, 2, 0), 2);
	CHECK_EQ(recv(p[1], text, 2, MSG_TRUNC), 6);
	CHECK_EQ(recvmsg(p[1], &m, 0), 2);
	CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
	CHECK_ERR(recv(p[1], text, 2, MSG_DONTWAIT), EAGAIN);
}
CASE(message_too_long_is_emsgsize)
{
	static char block[70000];
	int p[2];
	udp_pair(p);
	CHECK_ERR(send(p[0], block, sizeof block, 0), EMSGSIZE);
	CHECK_ERR(send(p[0], block, 65508, 0), EMSGSIZE);
}
CASE(message_without_address_is_edestaddrreq)
{
	CHECK_ERR(send(make(SOCK_DGRAM), "x", 1, 0), EDESTADDRREQ);
}
CASE(message_to_nobody_is_refused_on_the_next_call)
{
	char c;
	int s = make(SOCK_DGRAM), gone = make(SOCK_DGRAM);
	struct sockaddr_in a = loopback(bind_any(gone));
	close(gone);
	CHECK_EQ(connect(s, ADDR(a)), 0);
	CHECK_EQ(send(s, "x", 1, 0), 1);
	CHECK_ERR(recv(s, &c, 1, 0), ECONNREFUSED);
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	CHECK_EQ(connect(s, &none, sizeof none), 0);
	CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
}
CASE(many_messages_in_one_call)
{
	char in[2][8];
	int p[2];
	struct iovec pieces[2] = { { "one", 3 }, { "three", 5 } };
	struct mmsghdr out[2] = { 0 }, got[2] = { 0 };
	struct iovec room[2] = { { in[0], 8 }, { in[1], 8 } };
	udp_pair(p);
	for (int i = 0; i < 2; i++) {
		out[i].msg_hdr.msg_iov = &pieces[i];
		got[i].msg_hdr.msg_iov = &room[i];
		out[i].msg_hdr.msg_iovlen = got[i].msg_hdr.msg_iovlen = 1;
	}
	CHECK_EQ(sendmmsg(p[0], out, 2, MSG_NOSIGNAL), 2);
	CHECK_EQ(recvmmsg(p[1], got, 2, MSG_WAITFORONE, NULL), 2);
	CHECK_EQ(got[0].msg_len, 3);
	CHECK_EQ(got[1].msg_len, 5);
}
CASE(options_are_read_back)
{
	int on = 1, idle = 77, s = make(SOCK_STREAM), u = make(SOCK_DGRAM);
	CHECK_EQ(option(s, IPPROTO_TCP, TCP_NODELAY), 0);
	CHECK_EQ(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
	CHECK_EQ(option(s, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
	CHECK_EQ(option(s, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle), 0);
	CHECK_EQ(option(s, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	CHECK_EQ(setsockopt(u, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
	CHECK_EQ(option(u, IPPROTO_IP, IP_RECVERR), 1);
	CHECK_EQ(option(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	CHECK_EQ(option(u, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
	CHECK_EQ(option(u, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(option(u, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDP);
}
CASE(buffer_sizes_are_doubled)
{
	int size = 20000, s = make(SOCK_DGRAM);
	CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
	CHECK_EQ(option(s, SOL_SOCKET, SO_RCVBUF), 40000);
}
CASE(unknown_option_is_enoprotoopt)
{
	int value = 0, s = make(SOCK_STREAM);
	socklen_t len = sizeof value;
	CHECK_ERR(getsockopt(s, SOL_SOCKET, 9999, &value, &len), ENOPROTOOPT);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &value, 3), EINVAL);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4), EFAULT);
	CHECK_ERR(setsockopt(make(SOCK_DGRAM), IPPROTO_TCP, TCP_NODELAY, &value, 4), ENOPROTOOPT);
}
CASE(connection_survives_fork_and_exec_of_its_owner)
{
	char text[4] = "";
	int p[2];
	tcp_pair(p);
	pid_t pid = fork();
	if (!pid) {
		CHECK_EQ(write(p[0], "hi", 3), 3);
		_exit(0);
	}
	close(p[0]);
	CHECK_EQ(read(p[1], text, 4), 3);
	CHECK_CHILD_OK(pid);
	CHECK_EQ(read(p[1], text, 4), 0);
}
CASE(descriptor_of_a_connection_can_be_passed)
{
	char control[CMSG_SPACE(sizeof(int))] = "", text[4] = "", c = 0;
	int p[2], local[2];
	struct iovec piece = { &c, 1 };
	struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof control };
	tcp_pair(p);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[1], sizeof(int));
	CHECK_EQ(sendmsg(local[0], &m, 0), 1);
	close(p[1]);
	m.msg_controllen = sizeof control;
	CHECK_EQ(recvmsg(local[1], &m, 0), 1);
	int passed;
	memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof passed);
	CHECK_EQ(write(p[0], "yes", 4), 4);
	CHECK_EQ(read(passed, text, 4), 4);
	CHECK_STR(text, "yes");
}
CASE(version_six_carries_bytes)
{
	char text[4] = "";
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof a;
	int l = socket(AF_INET6, SOCK_STREAM, 0), c = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(l >= 0 && c >= 0);
	CHECK_ERR(bind(l, (struct sockaddr *)&a, 23), EINVAL);
	CHECK_EQ(bind(l, ADDR(a)), 0);
	CHECK_EQ(listen(l, 1), 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&a, &len), 0);
	CHECK_EQ(len, sizeof a);
	CHECK_EQ(connect(c, ADDR(a)), 0);
	int s = accept(l, NULL, NULL);
	CHECK_EQ(write(c, "six", 4), 4);
	CHECK_EQ(read(s, text, 4), 4);
	CHECK_STR(text, "six");
}
CASE(version_six_takes_version_four_unless_told)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	socklen_t len = sizeof a;
	int only = 1, l = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK_EQ(option(l, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	CHECK_EQ(bind(l, ADDR(a)), 0);
	CHECK_EQ(listen(l, 1), 0);
	CHECK_EQ(getsockname(l, (struct sockaddr *)&a, &len), 0);
	struct sockaddr_in four = loopback(ntohs(a.sin6_port));
	CHECK_EQ(connect(make(SOCK_STREAM), ADDR(four)), 0);
	len = sizeof a;
	CHECK(accept(l, (struct sockaddr *)&a, &len) >= 0);
	CHECK(IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
	CHECK_EQ(setsockopt(socket(AF_INET6, SOCK_STREAM, 0), IPPROTO_IPV6, IPV6_V6ONLY, &only, 4), 0);
}
CASE(file_can_be_sent_to_a_socket)
{
	char text[8] = "";
	int p[2];
	tcp_pair(p);
	guest_write_file("f", "content");
	int f = open("f", O_RDONLY);
	CHECK_EQ(syscall(SYS_sendfile, p[0], f, NULL, 100), 7);
	CHECK_EQ(read(p[1], text, 8), 7);
	CHECK_STR(text, "content");
}
