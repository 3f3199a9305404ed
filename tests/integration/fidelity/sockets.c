/* SPDX-License-Identifier: Apache-2.0
 * Sockets with names: unix socket files, abstract names, loopback addresses.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void show_name(const char *what, int s, int (*get)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un un = {0};
	socklen_t len = sizeof(un);
	int r = get(s, (struct sockaddr *)&un, &len);

	if (r < 0)
		line("  %s: %s", what, strerrorname_np(errno));
	else
		line("  %s: len %u \"%.*s\"", what, len, len > 2 ? (int)(len - 2) : 0,
		     un.sun_path[0] ? un.sun_path : "(abstract)");
}

static int my_getsockname(int s, struct sockaddr *a, socklen_t *l)
{
	return getsockname(s, a, l);
}

static int my_getpeername(int s, struct sockaddr *a, socklen_t *l)
{
	return getpeername(s, a, l);
}

static socklen_t un_of(struct sockaddr_un *un, const char *path)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strnlen(path, sizeof(un->sun_path)));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void unix_stream(void)
{
	static const char *const bad[] = {
		"reg", "dir", "fifo", "missing", "dangling", "loop", "dir/missing", "nodir/x", "reg/x", "link", "sock2/",
	};
	struct sockaddr_un un;
	socklen_t len = un_of(&un, "dir/../sock");
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c, a;
	char byte = 0;

	report(bind(s, (struct sockaddr *)&un, len), "bind");
	show_name("own name", s, my_getsockname);
	report(bind(s, (struct sockaddr *)&un, len), "bind again");
	fixture_after_call();
	close(s);

	s = socket(AF_UNIX, SOCK_STREAM, 0);
	len = un_of(&un, "dir/sock");
	bind(s, (struct sockaddr *)&un, len);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	report(connect(c, (struct sockaddr *)&un, len), "connect before listen");
	report(listen(s, 1), "listen");
	report(connect(c, (struct sockaddr *)&un, len), "connect");
	report(connect(c, (struct sockaddr *)&un, len), "connect again");
	show_name("peer", c, my_getpeername);
	a = accept4(s, NULL, NULL, SOCK_CLOEXEC);
	line("accepted %d", a);
	report(send(c, "x", 1, 0), "send");
	report(recv(a, &byte, 1, 0), "receive");
	close(c);
	report(recv(a, &byte, 1, 0), "receive after close");
	close(a);
	c = socket(AF_UNIX, SOCK_DGRAM, 0);
	report(connect(c, (struct sockaddr *)&un, len), "connect of the wrong type");
	close(c);
	report(symlink("sock", "dir/socklink"), "symlink to a socket");
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	len = un_of(&un, "linkdir/socklink");
	report(connect(c, (struct sockaddr *)&un, len), "connect through links");
	show_name("peer", c, my_getpeername);
	close(c);
	/* Two wait, the third does not fit. */
	for (int i = 0; i < 3; i++) {
		c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		report(connect(c, (struct sockaddr *)&un, len), "connect to a backlog, %d", i);
	}
	for (int fd = 4; fd < 10; fd++)
		close(fd);
	close(s);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	report(connect(c, (struct sockaddr *)&un, len), "connect to a dead socket");
	chmod("dir/sock", 0);
	report(connect(c, (struct sockaddr *)&un, len), "connect without permission");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		len = un_of(&un, bad[i]);
		report(connect(c, (struct sockaddr *)&un, len), "connect(%s)", bad[i]);
		report(bind(c, (struct sockaddr *)&un, len), "bind(%s)", bad[i]);
		close(c);
		c = socket(AF_UNIX, SOCK_STREAM, 0);
	}
	close(c);
	fixture();
}

/* Who binds an absolute path finds it absolute. */
static void unix_absolute(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX}, got = {0};
	char where[90];
	socklen_t len;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	if (!getcwd(where, sizeof(where)))
		line("sockets: getcwd: %s", strerrorname_np(errno));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/dir/abs", where);
	report(bind(s, (struct sockaddr *)&un, sizeof(un)), "bind of an absolute path");
	len = sizeof(got);
	getsockname(s, (struct sockaddr *)&got, &len);
	line("  own name is %s", strcmp(got.sun_path, un.sun_path) == 0 ? "what was bound" : got.sun_path);
	listen(s, 1);
	report(connect(c, (struct sockaddr *)&un, sizeof(un)), "connect to an absolute path");
	memset(&got, 0, sizeof(got));
	len = sizeof(got);
	getpeername(c, (struct sockaddr *)&got, &len);
	line("  peer's name is %s", strcmp(got.sun_path, un.sun_path) == 0 ? "what was bound" : got.sun_path);
	close(s);
	close(c);
	fixture_after_call();
}

static void unix_lengths(void)
{
	struct sockaddr_un un;
	socklen_t len;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	char room[200];

	len = un_of(&un, "dir/sock");
	report(bind(s, (struct sockaddr *)&un, 1), "bind length 1");
	report(bind(s, (struct sockaddr *)&un, 111), "bind length 111");
	report(bind(s, (struct sockaddr *)&un, (socklen_t)-1), "bind length -1");
	report(syscall(SYS_bind, s, 8L, 20), "bind bad pointer");
	report(syscall(SYS_connect, s, 8L, 20), "connect bad pointer");
	report(syscall(SYS_connect, s, 8L, 500), "connect bad pointer and length");
	report(syscall(SYS_connect, 77, 8L, 500), "connect bad descriptor, pointer and length");
	report(syscall(SYS_connect, 0, &un, len), "connect of no socket");
	un.sun_family = AF_INET;
	report(bind(s, (struct sockaddr *)&un, len), "bind of another family");
	un.sun_family = AF_UNIX;
	/* Not terminated inside the length: legal. */
	memset(&un.sun_path, 'p', sizeof(un.sun_path));
	memcpy(&un.sun_path, "dir/", 4);
	memcpy(room, &un, sizeof(un));
	room[sizeof(un)] = 0;
	report(bind(s, (struct sockaddr *)room, sizeof(un)), "bind of 108 bytes");
	show_name("own name", s, my_getsockname);
	fixture_after_call();
	close(s);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	un_of(&un, "dir/sockXYZ");
	report(bind(s, (struct sockaddr *)&un, offsetof(struct sockaddr_un, sun_path) + 8), "bind of a part");
	show_name("own name", s, my_getsockname);
	fixture_after_call();
	close(s);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	report(bind(s, (struct sockaddr *)&un, 2), "autobind");
	close(s);
}

static void abstract(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    (size_t)snprintf(un.sun_path + 1, 60, "fidelity-%d", getpid()));

	report(bind(s, (struct sockaddr *)&un, len), "bind of an abstract name");
	report(listen(s, 1), "listen of an abstract name");
	report(connect(c, (struct sockaddr *)&un, len), "connect to an abstract name");
	report(connect(c, (struct sockaddr *)&un, len + 1), "connect to another abstract name");
	close(s);
	close(c);
}

static void datagrams(void)
{
	struct sockaddr_un un;
	socklen_t len = un_of(&un, "dir/dgram");
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct iovec iov = {(char[]){'h', 'i'}, 2};
	struct msghdr m = {.msg_name = &un, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
	struct mmsghdr mm[2] = {{.msg_hdr = m}, {.msg_hdr = m}};
	char buf[8];

	report(bind(s, (struct sockaddr *)&un, len), "bind of a datagram socket");
	report(sendto(c, "abc", 3, 0, (struct sockaddr *)&un, len), "sendto");
	report(recv(s, buf, sizeof(buf), MSG_DONTWAIT), "receive of sendto");
	report(sendmsg(c, &m, 0), "sendmsg");
	report(recv(s, buf, sizeof(buf), MSG_DONTWAIT), "receive of sendmsg");
	report(sendmmsg(c, mm, 2, 0), "sendmmsg");
	report(recv(s, buf, sizeof(buf), MSG_DONTWAIT), "receive of sendmmsg");
	report(recv(s, buf, sizeof(buf), MSG_DONTWAIT), "receive of sendmmsg, second");
	len = un_of(&un, "dir/missing");
	report(sendto(c, "abc", 3, 0, (struct sockaddr *)&un, len), "sendto nothing");
	report(syscall(SYS_sendto, c, 8L, 3L, 0, &un, len), "sendto nothing of a bad buffer");
	report(syscall(SYS_sendto, c, "abc", 3L, 0, 8L, len), "sendto a bad pointer");
	close(s);
	close(c);
	fixture();
}

static void internet(int family)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr *sa = family == AF_INET ? (void *)&four : (void *)&six;
	socklen_t len = family == AF_INET ? sizeof(four) : sizeof(six), got = sizeof(six);
	const char *f = family == AF_INET ? "inet" : "inet6";
	int s = socket(family, SOCK_STREAM, 0), c = socket(family, SOCK_STREAM, 0), a;
	int u = socket(family, SOCK_DGRAM, 0), v = socket(family, SOCK_DGRAM, 0);
	char buf[4];

	report(bind(s, sa, len), "%s: bind", f);
	report(listen(s, 1), "%s: listen", f);
	getsockname(s, sa, &got);
	report(connect(c, sa, len), "%s: connect", f);
	a = accept4(s, NULL, NULL, SOCK_CLOEXEC);
	report(connect(c, sa, len), "%s: connect again", f);
	report(bind(u, sa, len), "%s: bind of UDP on the same port", f);
	report(sendto(v, "abc", 3, 0, sa, len), "%s: sendto", f);
	report(recv(u, buf, sizeof(buf), MSG_DONTWAIT), "%s: receive", f);
	report(connect(v, sa, 4), "%s: connect of a short address", f);
	report(connect(v, sa, len), "%s: connect of UDP", f);
	report(send(v, "x", 1, 0), "%s: send of UDP", f);
	sa->sa_family = AF_UNSPEC;
	report(connect(v, sa, len), "%s: disconnect of UDP", f);
	sa->sa_family = (sa_family_t)family;
	close(a);
	close(c);
	close(s);
	c = socket(family, SOCK_STREAM, 0);
	report(connect(c, sa, len), "%s: connect refused", f);
	close(c);
	close(u);
	close(v);
}

static void families(void)
{
	static const struct {
		const char *name;
		int family, type, protocol;
	} made[] = {
		{"unix seqpacket", AF_UNIX, SOCK_SEQPACKET, 0},
		{"unix raw", AF_UNIX, SOCK_RAW, 0},
		{"inet tcp", AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP},
		{"netlink route", AF_NETLINK, SOCK_RAW, 0},
		{"unknown family", 100, SOCK_STREAM, 0},
		{"unknown type", AF_INET, 9, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		report_fd(socket(made[i].family, made[i].type, made[i].protocol), "socket %s", made[i].name);
}

void section_sockets(void)
{
	fixture();
	unix_stream();
	unix_absolute();
	unix_lengths();
	abstract();
	datagrams();
	internet(AF_INET);
	internet(AF_INET6);
	families();
}
