/* SPDX-License-Identifier: Apache-2.0
 * connect, bind, listen and sendto with an address.
 *
 * The address is copied and judged, then the call is made on a duplicate of the target's own socket: a
 * sibling that swaps the descriptor or rewrites the address changes nothing. What differs: the peer of a
 * unix socket sees the supervisor's pid in SO_PEERCRED.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/bind_name.h"
#include "core/reply/block.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	uint32_t len;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		char bytes[128];
	};
};

static int copy_address(struct request *q, int domain, uint64_t addr, uint32_t len)
{
	struct address *a;
	int r;

	if ((int32_t)len < 0 || len > (domain == AF_UNIX ? sizeof(a->un) : sizeof(a->bytes)))
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	q->extra = a;
	a->len = len;
	r = len ? target_read(q->tid, addr, a->bytes, len) : 0;
	if (r < 0)
		return r;
	return len < sizeof(sa_family_t) ? -EINVAL : 0;
}

static void describe(struct request *q, const struct address *a)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET && a->len >= sizeof(a->in)) {
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof(host));
		snprintf(q->address, sizeof(q->address), "%s:%u", host, ntohs(a->in.sin_port));
	} else if (a->any.sa_family == AF_INET6 && a->len >= 24) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		snprintf(q->address, sizeof(q->address), "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else if (a->any.sa_family == AF_UNIX) {
		int n = (int)(a->len - offsetof(struct sockaddr_un, sun_path)) - 1;

		snprintf(q->address, sizeof(q->address), "unix:@%.*s", n > 0 ? n : 0, a->un.sun_path + 1);
	} else {
		snprintf(q->address, sizeof(q->address), "family %u", a->any.sa_family);
	}
}

static int refuse_address(struct request *q, enum op op, const struct address *a)
{
	int err;

	q->verdict = policy_decide_net(q->rules->policy, op);
	if (q->verdict.action == ACTION_ALLOW) {
		if (q->sup->wants_allowed)
			describe(q, a);
		return 0;
	}
	err = q->verdict.err ? q->verdict.err : EACCES;
	describe(q, a);
	q->decisive = (struct need){.op = op};
	atomic_fetch_add_explicit(&q->sup->refused, 1, memory_order_relaxed);
	request_observe(q, false, q->verdict.rule ? BY_RULE : BY_DEFAULT, REPLY_ERRNO, err, NULL);
	return -err;
}

static bool is_abstract(const struct address *a)
{
	return a->len == sizeof(sa_family_t) || a->un.sun_path[0] == '\0';
}

/* The path of a unix address into path[0]; it need not end in a NUL. */
static void take_sun_path(struct request *q, const struct address *a)
{
	size_t n = strnlen(a->un.sun_path, a->len - offsetof(struct sockaddr_un, sun_path));

	memcpy(q->path[0].bytes, a->un.sun_path, n);
	q->path[0].bytes[n] = '\0';
	q->path[0].len = n;
	q->path[0].dirfd = AT_FDCWD;
}

/* To an abstract name: Landlock's scope bounds our thread as it bounds the target. Without one only a
 * policy that allows all sockets may. */
static int check_abstract(struct request *q)
{
	if (q->sup->landlock && (q->rules->plan->scoped & LL_SCOPE_ABSTRACT_UNIX))
		return 0;
	q->verdict = policy_decide(q->rules->policy, OP_CONNECT, "/", 1);
	return q->verdict.action == ACTION_ALLOW ? 0 : -EPERM;
}

static void perform_connect(struct request *q)
{
	const struct address *a = q->extra;
	struct address by_object = {0};

	if (a->any.sa_family == AF_UNIX && !is_abstract(a)) {
		by_object.un.sun_family = AF_UNIX;
		snprintf(by_object.un.sun_path, sizeof(by_object.un.sun_path), "/proc/self/fd/%d", q->at[0].obj);
		by_object.len = sizeof(by_object.un);
		a = &by_object;
	}
	block_connect(q, q->fd, &a->any, a->len);
}

/* SO_DOMAIN, SO_TYPE */
static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

/* The socket itself, pinned; its own family decides, not what the registers or the address say. */
static int take_socket(struct request *q)
{
	int r = task_get_fd(q->tid, (int)(uint32_t)request_arg(q, q->call->fd));

	if (r < 0)
		return r == -ESRCH ? r : -EBADF;
	q->fd = r;
	r = socket_option(q->fd, SO_DOMAIN);
	return r == -ENOTSOCK || r >= 0 ? r : -ENOTSOCK;
}

/* For records: a datagram to where any may go. */
static void see_peer(struct request *q, const struct address *a)
{
	int r = 0;

	if (!q->sup->wants_allowed)
		return;
	if (a->any.sa_family != AF_UNIX || is_abstract(a)) {
		describe(q, a);
	} else {
		take_sun_path(q, a);
		r = request_resolve(q, 0, RESOLVE_FOLLOW);
		request_need(q, OP_CONNECT, 0);
	}
	if (r < 0)
		request_observe_failed(q, -r, REPLY_CONTINUE);
	else
		request_observe_allowed(q, REPLY_CONTINUE);
}

/* sendto with an address, which is a peer only where datagrams are sent: others ignore it or fail. */
static int send_prepare(struct request *q, int domain)
{
	const struct address *a = q->extra;
	int type = socket_option(q->fd, SO_TYPE), r = 0;

	if (type != SOCK_STREAM && type != SOCK_SEQPACKET && domain != AF_NETLINK) {
		if (domain == AF_INET || domain == AF_INET6)
			r = refuse_address(q, OP_CONNECT, a);
		else if (domain != AF_UNIX || policy_restricts(q->rules->policy, OP_CONNECT))
			r = -EACCES; /* only a rule that came later says so */
		if (r < 0)
			return r;
		see_peer(q, a);
	}
	/* Safe, whichever socket and address the kernel takes: the filter lets the tree make no datagram sockets
	 * but those of a family in which any peer is allowed, and of netlink's those that ask the kernel about
	 * routes, which sendmsg does unseen. Nor may a stream be opened by sending, by a flag in a register. */
	reply_continue(q);
	return 1;
}

int connect_prepare(struct request *q)
{
	bool send = q->call->nr == SYS_sendto;
	const struct address *a;
	int domain, r;

	/* sendto without an address goes where the socket is connected to, which was judged then. The
	 * pointer is a register: it stays NULL. */
	if (send && request_arg(q, q->call->addr) == 0) {
		reply_continue(q);
		return 1;
	}
	domain = take_socket(q);
	if (domain < 0)
		return domain;
	r = copy_address(q, domain, request_arg(q, q->call->addr), (uint32_t)request_arg(q, q->call->addrlen));
	if (r < 0)
		return r;
	if (!request_is_valid(q))
		return -ESRCH;
	a = q->extra;
	if (send)
		return send_prepare(q, domain);
	q->perform = perform_connect;
	q->as_peer = domain == AF_UNIX;
	q->slow = true;
	if (domain == AF_NETLINK || a->any.sa_family == AF_UNSPEC)
		return 0;
	if (domain != AF_UNIX || a->any.sa_family != AF_UNIX)
		return refuse_address(q, OP_CONNECT, a);
	if (is_abstract(a)) {
		if (q->sup->wants_allowed)
			describe(q, a);
		return check_abstract(q);
	}
	take_sun_path(q, a);
	r = request_resolve(q, 0, RESOLVE_FOLLOW);
	if (r < 0)
		return r;
	if (!S_ISSOCK(q->at[0].st.st_mode))
		return -ECONNREFUSED;
	request_need(q, OP_CONNECT, 0);
	return 0;
}

/* A socket file is made in the pinned directory: by the target's own string where that can be kept from
 * leading elsewhere, else by its last name alone, which is then all that getsockname shows. */
static void perform_bind(struct request *q)
{
	const struct address *a = q->extra;
	struct sockaddr_un here = {.sun_family = AF_UNIX};
	size_t n = strlen(q->at[0].last);
	long r;

	if (a->any.sa_family != AF_UNIX || is_abstract(a)) {
		reply_result(q, CALL(bind(q->fd, &a->any, a->len)));
		return;
	}
	if (n >= sizeof(here.sun_path)) {
		reply_errno(q, ENAMETOOLONG);
		return;
	}
	memcpy(here.sun_path, q->at[0].last, n + 1);
	r = request_take_umask(q);
	if (r == 0)
		r = bind_by_name(q, &a->any, a->len);
	if (r == -EOPNOTSUPP) {
		r = CALL(fchdir(q->at[0].parent));
		if (r == 0)
			r = CALL(bind(q->fd, (struct sockaddr *)&here,
				      offsetof(struct sockaddr_un, sun_path) + n + 1));
	}
	if (chdir("/") < 0)
		observe_lost(q->sup->observer, "a worker that could not leave a directory");
	reply_result(q, r);
}

static void perform_listen(struct request *q)
{
	reply_result(q, CALL(listen(q->fd, (int)(uint32_t)q->args[1])));
}

/* Trapped where no bind of an internet socket is allowed: so none is bound, and listen would bind it. Of the others
 * the sockets in hand are made to listen, since another one could be under the descriptor by now. */
static int listen_prepare(struct request *q, int domain)
{
	struct address a = {.len = sizeof(a.bytes)};

	q->perform = perform_listen;
	q->as_peer = domain == AF_UNIX;
	if (domain != AF_INET && domain != AF_INET6)
		return 0;
	if (getsockname(q->fd, &a.any, &a.len) < 0)
		return -errno;
	return refuse_address(q, OP_BIND, &a);
}

int bind_prepare(struct request *q)
{
	const struct address *a;
	int domain = take_socket(q);
	int r;

	if (domain < 0)
		return domain;
	if (q->call->nr == SYS_listen)
		return request_is_valid(q) ? listen_prepare(q, domain) : -ESRCH;
	r = copy_address(q, domain, request_arg(q, q->call->addr), (uint32_t)request_arg(q, q->call->addrlen));
	if (r < 0)
		return r;
	if (!request_is_valid(q))
		return -ESRCH;
	a = q->extra;
	q->perform = perform_bind;
	if (domain == AF_NETLINK)
		return 0;
	if (domain != AF_UNIX || a->any.sa_family != AF_UNIX)
		return domain == AF_UNIX ? -EINVAL : refuse_address(q, OP_BIND, a);
	if (is_abstract(a))
		return 0;
	take_sun_path(q, a);
	r = request_resolve(q, 0, RESOLVE_PARENT | RESOLVE_LAST_RAW);
	if (r < 0)
		return r == -EBUSY ? -EADDRINUSE : r;
	if (q->at[0].obj >= 0 || q->at[0].unnamed)
		return -EADDRINUSE;
	q->creates = true;
	request_need(q, OP_CREATE, 0);
	/* In the baseline the kernel binds natively: paths by MAKE_SOCK; an internet address raced in is
	 * no gain where there are no such sockets or binding them is allowed. */
	q->boundable = !q->rules->plan->inet_sockets ||
		       policy_decide_net(q->rules->policy, OP_BIND).action == ACTION_ALLOW;
	return 0;
}
