/* SPDX-License-Identifier: Apache-2.0
 * The other end of the control socket: what `sluice ask`, `ps` and `rule` share.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

/* A run that answers. */
struct link {
	int fd;
	char id[24];		   /* the socket's name without its end */
	struct json_object *hello; /* owned */
	char *buf;		   /* read, but not yet a whole line */
	size_t len;
};

/* Connect to every run of this user. *RET is malloc'ed; its number. -errno if no place could be looked at for
 * another reason than that there is none. Names of runs that are dead are removed. */
int links_open(struct link **ret, size_t *ret_n);
/* The same without those that KNOWN says are known. */
int links_open_new(struct link **ret, size_t *ret_n, bool (*known)(void *ctx, const char *id), void *ctx);
void links_close(struct link *links, size_t n);
void link_done(struct link *l);

/* Send TEXT (one line, without its newline). 0 or -errno. */
int link_send(struct link *l, const char *text, size_t len);
/* The next message, waited for at most TIMEOUT_MS: *RET is the caller's. 1, 0 if there was none, -EPIPE at
 * the end, or -errno. */
int link_recv(struct link *l, int timeout_ms, struct json_object **ret);
/* Send, and wait for the message that answers it: the one with TYPE or "error". NULL: none came; the text
 * says why. */
struct json_object *link_ask(struct link *l, const char *text, size_t len, const char *type,
			     const char **ret_why);

/* The run that WORD means (a name, a pid, the beginning of an id; NULL: the only one), or NULL with the
 * reason printed. */
struct link *links_pick(struct link *links, size_t n, const char *word);
