/* SPDX-License-Identifier: Apache-2.0
 * Readiness of file descriptors: io_uring, or epoll behind the same interface. It knows descriptors and
 * tokens, never requests.
 *
 * One thread makes, uses and frees a ring. Another thread wakes it by an eventfd that the ring watches.
 *
 * An event says "look", no more: several may have become one, and what was ready may be gone by the time
 * that it is looked at. So drain a descriptor until it has nothing more, and never block on the strength of
 * an event.
 *
 * The io_uring back end is created disabled, restricted to polling, and only then enabled: whoever gets
 * hold of its descriptor can open, connect or write nothing with it. Never SQPOLL: its kernel thread would
 * act outside of the caller's Landlock domain.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum ring_backend { RING_AUTO, RING_URING, RING_EPOLL };

enum ring_watch_flags {
	RING_ONESHOT = 1 << 0, /* one event, then the watch is gone */
};

struct ring_event {
	uint64_t token;
	uint32_t events; /* POLLIN, POLLHUP, ...; 0: the timer of this token */
	int err;         /* -errno: the descriptor can't be watched; the watch is gone */
};

struct ring;

/* AUTO: io_uring if the kernel allows it, else epoll. 0 or -errno. */
int ring_new(enum ring_backend backend, struct ring **ret);
void ring_free(struct ring *r);
enum ring_backend ring_backend(const struct ring *r);

/* Watch FD for POLL_EVENTS (poll(2)'s; errors and hang-ups always). Tokens are the caller's, each in use
 * once. An fd may be watched once. -EEXIST, -ENOMEM, or as the back end says. */
int ring_watch(struct ring *r, int fd, uint32_t poll_events, uint64_t token, unsigned flags);
/* -ENOENT: no such watch (a one-shot may have fired). No event of it comes after this returns. */
int ring_unwatch(struct ring *r, uint64_t token);
/* One event with events = 0 after TIMEOUT_NS; set again: moved; negative: taken back. Watches and timers
 * have tokens of their own. */
int ring_timer(struct ring *r, uint64_t token, int64_t timeout_ns);
/* Wait for events; negative TIMEOUT_NS: for ever. How many were written, 0 at the time-out, or -errno.
 * Never -EINTR: an interrupted wait is a time-out. */
int ring_wait(struct ring *r, struct ring_event *events, unsigned max, int64_t timeout_ns);
