/* SPDX-License-Identifier: Apache-2.0
 * The floors: the least that a supervisor can do for a notification and still have looked at it. One thread,
 * blocking RECV, process_vm_readv of the path, ID_VALID, SYNC_WAKE_UP; then CONTINUE, or the file is opened
 * here and handed over, in one of two forms. It decides nothing.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bare_call {
	long nr;
	unsigned path_arg; /* which argument points to the path */
};

/* The calls of a comma-separated list of "open", "exec" and "look", at most MAX. How many, or -EINVAL. */
int bare_calls(const char *names, struct bare_call *ret_calls, size_t max);

/* A child under the filter that runs ARGV once bare_serve() is there. 0 or -errno. */
int bare_start(const struct bare_call *calls, size_t n, char *const *argv, pid_t *ret_pid, int *ret_listener);

/* Serve until the last task under the filter is gone. Returns how many notifications were answered. */
uint64_t bare_serve(int listener, const struct bare_call *calls, size_t n);

enum bare_form {
	BARE_TWO_STEP, /* ADDFD, close, SEND: two calls, the target wakes once */
	BARE_SEND,     /* ADDFD with FLAG_SEND: one call, then close */
};

/* The emulating floor, for openat: opens absolute paths that create nothing itself, CONTINUEs the others. */
uint64_t bare_serve_opens(int listener, enum bare_form form);
