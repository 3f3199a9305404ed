/* SPDX-License-Identifier: Apache-2.0
 * The thread that serves the control socket.
 *
 *   a client   accepted if its user is ours (or root), it is not in the target's tree, is not ourselves (a
 * call that a worker makes on a target's behalf), and is under no more seccomp filters than we are (a target
 * of another run) attached   gets questions and decisions, as far as it reads them; counts as somebody who
 * can answer
 *
 * Events are differences between what a client was sent and what is: a slow client gets fewer and later ones,
 * and costs no memory.
 */
#include "core/control/control.h"

#include "core/ask/ask.h"
#include "core/ask/protocol.h"
#include "core/cleanup.h"
#include "core/control/messages.h"
#include "core/control/rundir.h"
#include "core/launch/launch.h"
#include "core/sys.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
	CLIENTS_MAX = 16,
	OUT_HIGH = 65536,
	STUCK_MS = 10000,
	SENT_MAX = 64,
	TICK_MS = 500,
	THREADS_MAX = 4096
};

struct sent {
	uint64_t number;
	unsigned n_paths;
};

struct client {
	int fd;
	pid_t pid;
	bool attached, dead;
	char *in; /* PROTOCOL_LINE_MAX */
	size_t in_len;
	struct text out;
	size_t out_at;
	int64_t stuck_since_ms; /* 0: it reads */
	/* what an attached one was sent */
	struct sent sent[SENT_MAX];
	size_t n_sent;
	uint64_t last_seq;
};

struct control {
	/* immutable after control_start */
	struct control_info info;
	struct control_start start;
	int dir_fd, listen_fd, wake_fd;
	char name[32];
	unsigned filters; /* seccomp filters that we are under */
	pthread_t thread;
	bool has_thread;
	/* the thread's */
	struct client clients[CLIENTS_MAX];
	/* atomic */
	atomic_bool stop;
};

int control_new(struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->listen_fd = c->wake_fd = -EBADF;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		c->clients[i].fd = -EBADF;
	c->dir_fd = rundir_make();
	if (c->dir_fd < 0) {
		int r = c->dir_fd;

		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

/* ---- who may ---- */

/* How many seccomp filters the thread behind a file "status" is under, -1: can't be told. */
static int count_filters(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	const char *line;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	line = strstr(text, "\nSeccomp_filters:"); /* a name can hold no newline: it is escaped */
	return line ? (int)strtol(line + strlen("\nSeccomp_filters:"), NULL, 10) : -1;
}

/* The most that any thread of PID is under. The leader of another run is under none, but its workers are, and
 * those connect on behalf of its command. */
static int count_most_filters(pid_t pid)
{
	char path[300];
	struct dirent *e;
	int most = -1, left = THREADS_MAX;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) && left-- > 0) {
		int n;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, e->d_name);
		n = count_filters(path);
		if (n > most)
			most = n;
	}
	if (dir)
		closedir(dir);
	return left > 0 ? most : -1;
}

static const char *why_refused(const struct control *c, int fd)
{
	_cleanup_close_ int pidfd = -EBADF;
	struct ucred peer;
	socklen_t len = sizeof(peer), pidfd_len = sizeof(pidfd);
	int filters;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return "somebody unknown";
	if (peer.uid != geteuid() && peer.uid != 0)
		return "another user's process";
	/* From Linux 6.5 on: is who connected still there, and not another with its number? */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &pidfd_len) < 0) {
		pidfd = -EBADF;
		if (errno != ENOPROTOOPT)
			return "a process that is gone";
	}
	if (peer.pid <= 0 || peer.pid == getpid() || launch_in_tree(c->info.warden, peer.pid))
		return "a process of the command itself";
	filters = count_most_filters(peer.pid);
	if (filters < 0 || (unsigned)filters > c->filters)
		return "a process under a seccomp filter";
	if (pidfd >= 0 && sys_pidfd_send_signal(pidfd, 0) < 0 && errno != EPERM)
		return "a process that is gone";
	return NULL;
}

/* ---- output ---- */

static void put_line(struct client *k, struct text *line)
{
	text_puts(line, "\n");
	if (line->failed)
		k->dead = true;
	else
		text_add(&k->out, line->data, line->len);
	k->dead |= k->out.failed;
	text_done(line);
}

static bool is_full(const struct client *k)
{
	return k->out.len - k->out_at > OUT_HIGH;
}

static void flush(struct client *k)
{
	while (!k->dead && k->out_at < k->out.len) {
		ssize_t n = send(k->fd, k->out.data + k->out_at, k->out.len - k->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			k->out_at += (size_t)n;
			k->stuck_since_ms = 0;
		} else if (n < 0 && errno == EAGAIN) {
			if (!k->stuck_since_ms)
				k->stuck_since_ms = ask_now_ms();
			/* What was sent makes room. */
			memmove(k->out.data, k->out.data + k->out_at, k->out.len - k->out_at);
			k->out.len -= k->out_at;
			k->out_at = 0;
			return;
		} else if (n < 0 && errno != EINTR) {
			k->dead = true;
		}
	}
	text_reset(&k->out);
	k->out_at = 0;
	k->stuck_since_ms = 0;
}

/* ---- events ---- */

struct events {
	struct client *k;
	struct sent now[SENT_MAX];
	size_t n_now;
};

static void each_question(void *ctx, const struct ask_view *v)
{
	struct events *e = ctx;
	struct client *k = e->k;
	struct text line = {0};

	if (e->n_now == SENT_MAX)
		return;
	for (size_t i = 0; i < k->n_sent; i++) {
		if (k->sent[i].number == v->number && k->sent[i].n_paths == v->n_paths) {
			e->now[e->n_now++] = k->sent[i];
			return;
		}
	}
	if (is_full(k)) /* later */
		return;
	e->now[e->n_now++] = (struct sent){v->number, v->n_paths};
	protocol_question(&line, v);
	put_line(k, &line);
}

static void each_decision(void *ctx, const struct decision *d)
{
	struct client *k = ctx;
	struct text line = {0};

	protocol_decision(&line, d);
	put_line(k, &line);
	k->last_seq = d->seq;
}

static void send_events(const struct control *c, struct client *k)
{
	struct asker *asker = c->info.sup->asker;
	struct events e = {.k = k};
	uint64_t lost;

	if (!k->attached || k->dead || !asker || is_full(k))
		return;
	lost = ask_each_decision(asker, k->last_seq, each_decision, k);
	ask_each(asker, 0, each_question, &e);
	memcpy(k->sent, e.now, e.n_now * sizeof(*e.now));
	k->n_sent = e.n_now;
	if (lost) {
		struct text line = {0};

		text_printf(&line, "{\"type\":\"lost\",\"decisions\":%llu,\"open\":[",
			    (unsigned long long)lost);
		for (size_t i = 0; i < k->n_sent; i++)
			text_printf(&line, "%s%llu", i ? "," : "", (unsigned long long)k->sent[i].number);
		text_puts(&line, "]}");
		put_line(k, &line);
	}
}

static void count_attached(const struct control *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		n += c->clients[i].fd >= 0 && c->clients[i].attached && !c->clients[i].dead;
	if (c->info.sup->asker)
		ask_set_clients(c->info.sup->asker, n);
}

/* ---- requests ---- */

static void attach(const struct control *c, struct client *k)
{
	k->attached = true;
	k->n_sent = 0;
	k->last_seq = 0;
	count_attached(c);
}

static int answer(const struct control *c, const struct client *k, struct json_object *o)
{
	struct protocol_answer a;
	char by[64];
	int r = protocol_answer(o, &a);

	if (r < 0 || !a.question)
		return -EINVAL;
	if (!c->info.sup->asker)
		return -ENOENT;
	snprintf(by, sizeof(by), "client, pid %d", (int)k->pid);
	a.reply.by = by;
	return ask_answer(c->info.sup->asker, a.question, a.nonce, &a.reply);
}

static void serve(struct control *c, struct client *k, struct json_object *o)
{
	const char *type = protocol_string(o, "type");
	struct messages m = {.info = &c->info, .start = &c->start, .re = protocol_number(o, "id")};
	struct text line = {0};

	if (!type) {
		messages_error(&m, &line, "bad-message", "a message has a \"type\"");
	} else if (strcmp(type, "attach") == 0) {
		attach(c, k);
		messages_ok(&m, &line);
	} else if (strcmp(type, "answer") == 0) {
		messages_answered(&m, &line, answer(c, k, o));
	} else if (strcmp(type, "status") == 0) {
		messages_status(&m, &line);
	} else if (strcmp(type, "rules") == 0) {
		messages_rules(&m, &line);
	} else if (strcmp(type, "add") == 0) {
		messages_add(&m, &line, o);
	} else if (strcmp(type, "remove") == 0) {
		messages_remove(&m, &line, o);
	} else if (strcmp(type, "end") == 0) {
		c->info.end_tree(c->info.ctx);
		messages_ok(&m, &line);
	} else {
		messages_error(&m, &line, "unknown-type", "this version does not know such a message");
	}
	put_line(k, &line);
}

static void serve_line(struct control *c, struct client *k, const char *s, size_t len)
{
	struct json_object *o = protocol_parse(s, len);
	struct messages m = {.info = &c->info, .re = -1};
	struct text line = {0};

	if (o) {
		serve(c, k, o);
	} else {
		messages_error(&m, &line, "bad-message", "a line is one JSON object");
		put_line(k, &line);
	}
	protocol_free(o);
}

/* Lines that are whole, as long as their answers fit. */
static void serve_lines(struct control *c, struct client *k)
{
	size_t at = 0;
	char *end;

	while (!k->dead && !is_full(k) && (end = memchr(k->in + at, '\n', k->in_len - at))) {
		serve_line(c, k, k->in + at, (size_t)(end - k->in) - at);
		at = (size_t)(end - k->in) + 1;
	}
	memmove(k->in, k->in + at, k->in_len - at);
	k->in_len -= at;
	if (k->in_len == PROTOCOL_LINE_MAX && !memchr(k->in, '\n', k->in_len))
		k->dead = true; /* a line without an end */
}

static void listen_to(struct client *k)
{
	ssize_t n = recv(k->fd, k->in + k->in_len, PROTOCOL_LINE_MAX - k->in_len, MSG_DONTWAIT);

	if (n > 0)
		k->in_len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		k->dead = true;
}

/* ---- clients ---- */

static void client_done(struct client *k)
{
	close(k->fd);
	free(k->in);
	text_done(&k->out);
	*k = (struct client){.fd = -EBADF};
}

static void refuse(int fd, const char *why)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "{\"type\":\"error\",\"code\":\"refused\",\"text\":\"%s may not connect\"}\n", why);

	(void)!send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static pid_t pid_of_peer(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
}

static void accept_client(struct control *c)
{
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct messages m = {.info = &c->info, .start = &c->start, .re = -1};
	struct text line = {0};
	struct client *k = NULL;
	const char *why;

	if (fd < 0)
		return;
	why = why_refused(c, fd);
	for (unsigned i = 0; i < CLIENTS_MAX && !k; i++)
		if (c->clients[i].fd < 0)
			k = &c->clients[i];
	if (why || !k) {
		refuse(fd, why ? why : "one client more");
		return;
	}
	*k = (struct client){.fd = fd, .pid = pid_of_peer(fd), .in = malloc(PROTOCOL_LINE_MAX)};
	if (!k->in) {
		client_done(k);
		return;
	}
	messages_hello(&m, &line);
	put_line(k, &line);
}

/* What did not fit before the flush has nothing else to wait for after it. */
static void serve_client(struct control *c, struct client *k)
{
	bool was_full;

	do {
		serve_lines(c, k);
		send_events(c, k);
		was_full = is_full(k);
		flush(k);
	} while (was_full && !is_full(k) && !k->dead);
}

static void serve_clients(struct control *c, const struct pollfd *p)
{
	bool lost = false;

	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *k = &c->clients[i];

		if (k->fd < 0)
			continue;
		if (p[i].fd == k->fd && (p[i].revents & (POLLIN | POLLHUP | POLLERR)) &&
		    k->in_len < PROTOCOL_LINE_MAX)
			listen_to(k);
		serve_client(c, k);
		k->dead |= k->stuck_since_ms && ask_now_ms() - k->stuck_since_ms > STUCK_MS;
		if (k->dead) {
			lost |= k->attached;
			client_done(k);
		}
	}
	if (lost)
		count_attached(c);
}

static void *control_main(void *arg)
{
	struct control *c = arg;

	prctl(PR_SET_NAME, "sluice-control");
	while (!atomic_load_explicit(&c->stop, memory_order_acquire)) {
		struct pollfd p[CLIENTS_MAX + 2];
		uint64_t n;
		bool writing = false;

		for (unsigned i = 0; i < CLIENTS_MAX; i++) {
			const struct client *k = &c->clients[i];
			bool pending = k->fd >= 0 && k->out.len > k->out_at;

			writing |= pending;
			p[i] = (struct pollfd){.fd = k->fd, .events = pending ? POLLOUT : 0};
			if (k->fd >= 0 && k->in_len < PROTOCOL_LINE_MAX && !is_full(k))
				p[i].events |= POLLIN;
		}
		p[CLIENTS_MAX] = (struct pollfd){.fd = c->listen_fd, .events = POLLIN};
		p[CLIENTS_MAX + 1] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
		if (poll(p, CLIENTS_MAX + 2, writing ? TICK_MS : -1) < 0)
			continue;
		if (p[CLIENTS_MAX + 1].revents)
			(void)!read(c->wake_fd, &n, sizeof(n));
		serve_clients(c, p);
		if (p[CLIENTS_MAX].revents)
			accept_client(c);
	}
	return NULL;
}

/* ---- life ---- */

static int bind_socket(struct control *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char name[sizeof(c->name)];
	int r;

	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen_fd < 0)
		return -errno;
	/* Under another name until it listens: who finds a socket that does not takes it for a dead run's. */
	snprintf(c->name, sizeof(c->name), "%s.new", c->info.run);
	snprintf(name, sizeof(name), "%s.sock", c->info.run);
	/* Through the descriptor: the directory's name may be too long for an address. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", c->dir_fd, c->name);
	r = bind(c->listen_fd, (struct sockaddr *)&addr, sizeof(addr));
	if (r == 0)
		r = fchmodat(c->dir_fd, c->name, 0600, 0);
	if (r == 0)
		r = listen(c->listen_fd, 16);
	if (r == 0)
		r = renameat(c->dir_fd, c->name, c->dir_fd, name);
	if (r < 0)
		return -errno;
	memcpy(c->name, name, sizeof(c->name));
	return 0;
}

int control_start(struct control *c, const struct control_info *info)
{
	char path[64];
	sigset_t all, old;
	int r, filters;

	c->info = *info;
	clock_gettime(CLOCK_REALTIME, &c->start.time);
	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)getpid());
	filters = count_filters(path);
	c->filters = filters < 0 ? 0 : (unsigned)filters;
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = c->wake_fd < 0 ? -errno : bind_socket(c);
	if (r < 0)
		return r;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = -pthread_create(&c->thread, NULL, control_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->has_thread = r == 0;
	return r;
}

void control_wake(struct control *c)
{
	uint64_t one = 1;

	if (c && c->wake_fd >= 0)
		while (write(c->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	if (c->has_thread) {
		atomic_store_explicit(&c->stop, true, memory_order_release);
		control_wake(c);
		pthread_join(c->thread, NULL);
		c->has_thread = false;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0)
			client_done(&c->clients[i]);
	if (c->name[0])
		unlinkat(c->dir_fd, c->name, 0);
	c->name[0] = '\0';
	if (c->listen_fd >= 0)
		close(take_fd(&c->listen_fd));
}

void control_free(struct control *c)
{
	if (!c)
		return;
	control_stop(c);
	cleanup_close(&c->wake_fd);
	cleanup_close(&c->dir_fd);
	free(c);
}
