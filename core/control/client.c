/* SPDX-License-Identifier: Apache-2.0
 * A run is found by its socket. The directory is checked before it is believed: what lies in one that others
 * may write could pretend to be a run, and would learn the user's answers.
 */
#include "core/control/client.h"

#include "core/ask/protocol.h"
#include "core/cleanup.h"
#include "core/control/rundir.h"
#include "core/sys.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { LINE_MAX_BYTES = 8 << 20, HELLO_MS = 2000, LINKS_MAX = 256 };

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void link_done(struct link *l)
{
	cleanup_close(&l->fd);
	protocol_free(l->hello);
	free(l->buf);
	*l = (struct link){.fd = -EBADF};
}

void links_close(struct link *links, size_t n)
{
	for (size_t i = 0; i < n; i++)
		link_done(&links[i]);
	free(links);
}

int link_send(struct link *l, const char *text, size_t len)
{
	for (size_t at = 0; at <= len;) {
		bool end = at == len;
		ssize_t n = end ? send(l->fd, "\n", 1, MSG_NOSIGNAL)
				: send(l->fd, text + at, len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
		if (end && n == 1)
			return 0;
	}
	return 0;
}

/* A line that is in the buffer already. */
static bool take_line(struct link *l, struct json_object **ret)
{
	char *end = l->buf ? memchr(l->buf, '\n', l->len) : NULL;
	size_t used;

	if (!end)
		return false;
	used = (size_t)(end - l->buf) + 1;
	*ret = protocol_parse_long(l->buf, used - 1);
	memmove(l->buf, l->buf + used, l->len - used);
	l->len -= used;
	return true;
}

int link_recv(struct link *l, int timeout_ms, struct json_object **ret)
{
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = {.fd = l->fd, .events = POLLIN};
		int64_t left = end - now_ms();
		char *grown;
		ssize_t n;

		if (take_line(l, ret))
			return *ret ? 1 : -EPROTO;
		if (l->len >= LINE_MAX_BYTES)
			return -EPROTO;
		n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n == 0 || (n < 0 && errno == EINTR && left <= 0))
			return 0;
		if (n < 0)
			continue;
		grown = realloc(l->buf, l->len + 65536);
		if (!grown)
			return -ENOMEM;
		l->buf = grown;
		n = recv(l->fd, l->buf + l->len, 65536, MSG_DONTWAIT);
		if (n > 0)
			l->len += (size_t)n;
		else if (n == 0)
			return -EPIPE;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

struct json_object *link_ask(struct link *l, const char *text, size_t len, const char *type,
			     const char **ret_why)
{
	struct json_object *o;
	int64_t end = now_ms() + 10000;
	int r = link_send(l, text, len);

	*ret_why = "it does not answer";
	while (r >= 0 && now_ms() < end) {
		const char *is;

		r = link_recv(l, (int)(end - now_ms()), &o);
		if (r <= 0)
			break;
		is = protocol_string(o, "type");
		if (is && (strcmp(is, type) == 0 || strcmp(is, "error") == 0))
			return o;
		protocol_free(o);
	}
	if (r == -EPIPE || r == -ECONNRESET)
		*ret_why = "it has ended";
	return NULL;
}

/* -ECONNREFUSED: nobody is behind it. */
static int connect_to(int dir, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir, name) >=
	    sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : take_fd(&fd);
}

static bool has_id(const char *name)
{
	return strspn(name, "0123456789abcdef") == 16 && strcmp(name + 16, ".sock") == 0;
}

static void open_one(int dir, const char *name, struct link **links, size_t *n)
{
	struct link l = {.fd = connect_to(dir, name)}, *grown;
	const char *type;

	if (l.fd == -ECONNREFUSED)
		unlinkat(dir, name, 0);
	if (l.fd < 0)
		return;
	snprintf(l.id, sizeof(l.id), "%.16s", name);
	if (link_recv(&l, HELLO_MS, &l.hello) == 1 && (type = protocol_string(l.hello, "type")) &&
	    (strcmp(type, "hello") == 0 || strcmp(type, "error") == 0)) {
		grown = realloc(*links, (*n + 1) * sizeof(*grown));
		if (grown) {
			*links = grown;
			grown[(*n)++] = l;
			return;
		}
	}
	link_done(&l);
}

static bool none_known(void *ctx, const char *id)
{
	(void)ctx;
	(void)id;
	return false;
}

int links_open(struct link **ret, size_t *ret_n)
{
	return links_open_new(ret, ret_n, none_known, NULL);
}

int links_open_new(struct link **ret, size_t *ret_n, bool (*known)(void *ctx, const char *id), void *ctx)
{
	*ret = NULL;
	*ret_n = 0;
	for (const char *const *at = rundir_all(); *at; at++) {
		int fd = rundir_open(*at);
		struct dirent *e;
		DIR *dir;

		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		dir = fd < 0 ? NULL : fdopendir(fd);
		if (!dir)
			return fd < 0 ? fd : -errno;
		while ((e = readdir(dir)) && *ret_n < LINKS_MAX) {
			char id[17];

			snprintf(id, sizeof(id), "%.16s", e->d_name);
			if (has_id(e->d_name) && !known(ctx, id))
				open_one(fd, e->d_name, ret, ret_n);
		}
		closedir(dir);
	}
	/* Those who may not connect say so in place of hello. */
	for (size_t i = 0; i < *ret_n;) {
		struct link *l = &(*ret)[i];

		if (strcmp(protocol_string(l->hello, "type"), "hello") == 0 &&
		    protocol_number(l->hello, "protocol") == PROTOCOL_VERSION) {
			i++;
			continue;
		}
		link_done(l);
		memmove(l, l + 1, (*ret_n - i - 1) * sizeof(*l));
		--*ret_n;
	}
	return 0;
}

static bool is_meant(const struct link *l, const char *word)
{
	const char *name = protocol_string(l->hello, "name");
	char pid[24];

	snprintf(pid, sizeof(pid), "%lld", (long long)protocol_number(l->hello, "pid"));
	return (name && strcmp(name, word) == 0) || strcmp(pid, word) == 0 ||
	       (strlen(word) >= 4 && strncmp(l->id, word, strlen(word)) == 0);
}

struct link *links_pick(struct link *links, size_t n, const char *word)
{
	struct link *found = NULL;
	size_t matches = 0;

	for (size_t i = 0; i < n; i++) {
		if (word && !is_meant(&links[i], word))
			continue;
		found = &links[i];
		matches++;
	}
	if (matches == 1)
		return found;
	if (n == 0)
		fprintf(stderr, "sluice: nothing is running under sluice\n");
	else if (!word)
		fprintf(stderr, "sluice: %zu runs are there, name one of them: sluice ps lists them\n", n);
	else if (matches)
		fprintf(stderr, "sluice: several runs are called that: name one by its pid\n");
	else
		fprintf(stderr, "sluice: no run is called that: sluice ps lists them\n");
	return NULL;
}
