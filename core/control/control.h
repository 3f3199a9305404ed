/* SPDX-License-Identifier: Apache-2.0
 * The control socket of a run, sluice-protocol(7): questions and answers, rules, status.
 *
 * control_new on the leader thread; policies protect the directory whether it is there or not.
 * control_start once the run is on. It serves on a thread of its own, which is not confined and
 * never waits for a client. What a client may cost is bounded: CLIENTS_MAX of them, buffers of a fixed size,
 * no event is made for one that does not read, and one that has not read for STUCK_MS is dropped.
 */
#pragma once
#include "core/runtime.h"

struct control;

struct control_info {
	const char *run, *name; /* of this run; NAME may be NULL */
	char *const *argv;
	const char *prompt;	 /* "tty", ... */
	struct supervisor *sup;	 /* its asker may be NULL */
	struct runtime *runtime; /* NULL: rules can't be changed */
	pid_t warden;		 /* whose descendants may not be clients */
	void (*end_tree)(void *ctx);
	void *ctx;
};

/* Make the directory. 0 or -errno. */
int control_new(struct control **ret);
/* Strings and pointers of INFO must outlive it. 0 or -errno. */
int control_start(struct control *c, const struct control_info *info);
/* Something changed that clients want to know. Any thread. C may be NULL. */
void control_wake(struct control *c);
/* Serve no longer; the socket is removed. Clients see the end. May be called again. */
void control_stop(struct control *c);
/* When no thread is left that may call control_wake(). */
void control_free(struct control *c);
