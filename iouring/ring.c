/* SPDX-License-Identifier: Apache-2.0
 * Tokens and timers of a ring, the same for both back ends.
 *
 * Timers are a short list and the nearest one bounds the wait: they cost the kernel nothing, and behave
 * alike over io_uring and epoll.
 */
#include "iouring/ring.h"
#include "iouring/ring_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct ring {
	const struct ring_ops *ops;
	enum ring_backend backend;
	void *state;
	struct watch *watches;
	uint32_t n_watches;
	struct timer *timers;
	size_t n_timers, cap_timers;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int ring_new(enum ring_backend backend, struct ring **ret)
{
	struct ring *r = calloc(1, sizeof(*r));
	int error = -ENOSYS;

	if (!r)
		return -ENOMEM;
	if (backend != RING_EPOLL) {
		r->ops = &ring_uring_ops;
		r->backend = RING_URING;
		error = r->ops->init(&r->state);
	}
	if (error && backend != RING_URING) {
		r->ops = &ring_epoll_ops;
		r->backend = RING_EPOLL;
		error = r->ops->init(&r->state);
	}
	if (error) {
		free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	r->ops->done(r->state);
	free(r->watches);
	free(r->timers);
	free(r);
}

enum ring_backend ring_backend(const struct ring *r)
{
	return r->backend;
}

static uint64_t watch_key(const struct ring *r, const struct watch *w)
{
	return (uint64_t)w->generation << 32 | (uint64_t)(w - r->watches);
}

static struct watch *watch_find(struct ring *r, uint64_t token)
{
	for (uint32_t i = 0; i < r->n_watches; i++)
		if (r->watches[i].fd >= 0 && r->watches[i].token == token)
			return &r->watches[i];
	return NULL;
}

static struct watch *watch_new(struct ring *r)
{
	uint32_t n = r->n_watches ? r->n_watches * 2 : 8;
	struct watch *more;

	for (uint32_t i = 0; i < r->n_watches; i++)
		if (r->watches[i].fd < 0)
			return &r->watches[i];
	more = reallocarray(r->watches, n, sizeof(*more));
	if (!more)
		return NULL;
	for (uint32_t i = r->n_watches; i < n; i++)
		more[i] = (struct watch){.fd = -1};
	r->watches = more;
	more += r->n_watches;
	r->n_watches = n;
	return more;
}

static void watch_drop(struct watch *w)
{
	w->fd = -1;
	w->generation++;
}

int ring_watch(struct ring *r, int fd, uint32_t poll_events, uint64_t token, unsigned flags)
{
	struct watch *w;
	int error;

	if (fd < 0)
		return -EBADF;
	if (watch_find(r, token))
		return -EEXIST;
	w = watch_new(r);
	if (!w)
		return -ENOMEM;
	w->token = token;
	w->fd = fd;
	w->events = poll_events;
	w->flags = flags;
	error = r->ops->arm(r->state, w, watch_key(r, w));
	if (error)
		watch_drop(w);
	return error;
}

int ring_unwatch(struct ring *r, uint64_t token)
{
	struct watch *w = watch_find(r, token);

	if (!w)
		return -ENOENT;
	r->ops->disarm(r->state, w, watch_key(r, w));
	watch_drop(w);
	return 0;
}

const struct watch *ring_fire(struct ring *r, struct ring_sink *sink, uint64_t key, uint32_t events, int err)
{
	uint32_t index = (uint32_t)key;
	struct watch *w;

	if (index >= r->n_watches)
		return NULL;
	w = &r->watches[index];
	if (w->fd < 0 || w->generation != (uint32_t)(key >> 32))
		return NULL;
	sink->events[sink->n++] = (struct ring_event){.token = w->token, .events = events, .err = err};
	if (!err && !(w->flags & RING_ONESHOT))
		return w;
	watch_drop(w);
	return NULL;
}

static void timer_remove(struct ring *r, size_t i)
{
	r->timers[i] = r->timers[--r->n_timers];
}

int ring_timer(struct ring *r, uint64_t token, int64_t timeout_ns)
{
	size_t i;

	for (i = 0; i < r->n_timers; i++)
		if (r->timers[i].token == token)
			break;
	if (timeout_ns < 0) {
		if (i < r->n_timers)
			timer_remove(r, i);
		return 0;
	}
	if (i == r->cap_timers) {
		size_t cap = r->cap_timers ? r->cap_timers * 2 : 8;
		struct timer *more = reallocarray(r->timers, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->timers = more;
		r->cap_timers = cap;
	}
	if (i == r->n_timers)
		r->n_timers++;
	r->timers[i] = (struct timer){.token = token, .deadline_ns = now_ns() + (uint64_t)timeout_ns};
	return 0;
}

/* The wait that the nearest timer allows. */
static int64_t timers_bound(const struct ring *r, int64_t timeout_ns)
{
	uint64_t now = r->n_timers ? now_ns() : 0;

	for (size_t i = 0; i < r->n_timers; i++) {
		uint64_t deadline = r->timers[i].deadline_ns;
		int64_t left = deadline > now ? (int64_t)(deadline - now) : 0;

		if (timeout_ns < 0 || left < timeout_ns)
			timeout_ns = left;
	}
	return timeout_ns;
}

static void timers_fire(struct ring *r, struct ring_sink *sink)
{
	uint64_t now = r->n_timers ? now_ns() : 0;

	for (size_t i = 0; i < r->n_timers && sink->n < sink->max;) {
		if (r->timers[i].deadline_ns > now) {
			i++;
			continue;
		}
		sink->events[sink->n++] = (struct ring_event){.token = r->timers[i].token};
		timer_remove(r, i);
	}
}

int ring_wait(struct ring *r, struct ring_event *events, unsigned max, int64_t timeout_ns)
{
	struct ring_sink sink = {.events = events, .max = max};
	int error;

	if (max == 0)
		return -EINVAL;
	error = r->ops->wait(r->state, r, &sink, timers_bound(r, timeout_ns));
	if (error)
		return error;
	timers_fire(r, &sink);
	return (int)sink.n;
}
