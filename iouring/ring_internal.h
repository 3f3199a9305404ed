/* SPDX-License-Identifier: Apache-2.0
 * Between ring.c (tokens, timers) and the two back ends (descriptors).
 *
 * A watch is named to the kernel by its slot and generation, so a late completion of a watch that is gone
 * finds a slot of another generation and is dropped.
 */
#pragma once
#include "iouring/ring.h"

#include <stddef.h>

struct watch {
	uint64_t token;
	int fd; /* -1: free slot */
	uint32_t events;
	uint32_t generation;
	unsigned flags;
};

struct timer {
	uint64_t token;
	uint64_t deadline_ns;
};

/* What one wait may fill. */
struct ring_sink {
	struct ring_event *events;
	unsigned n, max;
};

struct ring_ops {
	int (*init)(void **ret_state);
	void (*done)(void *state);
	int (*arm)(void *state, const struct watch *watch, uint64_t key);
	void (*disarm)(void *state, const struct watch *watch, uint64_t key);
	/* Calls ring_fire() for what happened while the sink has room. 0 or -errno. */
	int (*wait)(void *state, struct ring *r, struct ring_sink *sink, int64_t timeout_ns);
};

extern const struct ring_ops ring_uring_ops, ring_epoll_ops;

/* From a back end: EVENTS or ERR on the watch KEY. Returns the watch if it stays and must be armed anew
 * when the kernel has let go of it, or NULL. */
const struct watch *ring_fire(struct ring *r, struct ring_sink *sink, uint64_t key, uint32_t events, int err);

/* A ring that polls and does nothing else, whoever submits. FLAGS: more of IORING_SETUP_*. 0 or -errno. */
struct io_uring;
int uring_open(struct io_uring *ring, unsigned flags);
