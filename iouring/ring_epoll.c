/* SPDX-License-Identifier: Apache-2.0
 * The epoll back end: for kernels without io_uring, or where an administrator has turned it off.
 *
 * Edge-triggered, because a multishot poll of io_uring is too: what forgets to drain shows up on both.
 */
#include "iouring/ring_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 16u

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR && EPOLLHUP == POLLHUP &&
	       EPOLLPRI == POLLPRI, "poll's and epoll's bits agree");

struct epoll_state {
	int fd;
	bool coarse; /* no epoll_pwait2: milliseconds */
};

static int epoll_ring_init(void **ret_state)
{
	struct epoll_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->fd < 0) {
		int error = -errno;

		free(s);
		return error;
	}
	*ret_state = s;
	return 0;
}

static void epoll_ring_done(void *state)
{
	struct epoll_state *s = state;

	close(s->fd);
	free(s);
}

static int epoll_ring_arm(void *state, const struct watch *watch, uint64_t key)
{
	struct epoll_state *s = state;
	uint32_t mode = watch->flags & RING_ONESHOT ? (uint32_t)EPOLLONESHOT : (uint32_t)EPOLLET;
	struct epoll_event event = {.events = watch->events | mode, .data.u64 = key};

	if (epoll_ctl(s->fd, EPOLL_CTL_ADD, watch->fd, &event) == 0)
		return 0;
	/* A one-shot that has fired leaves its descriptor behind, disabled. */
	if (errno == EEXIST && epoll_ctl(s->fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
		return 0;
	return -errno;
}

static void epoll_ring_disarm(void *state, const struct watch *watch, uint64_t key)
{
	struct epoll_state *s = state;

	(void)key;
	epoll_ctl(s->fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static int epoll_ring_sleep(struct epoll_state *s, struct epoll_event *events, int max, int64_t timeout_ns)
{
	struct timespec ts = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;
	int n;

	if (!s->coarse) {
		n = (int)syscall(SYS_epoll_pwait2, s->fd, events, max, timeout_ns < 0 ? NULL : &ts, NULL, 0);
		if (n >= 0 || errno != ENOSYS)
			return n < 0 ? -errno : n;
		s->coarse = true;
	}
	n = epoll_wait(s->fd, events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);
	return n < 0 ? -errno : n;
}

static int epoll_ring_wait(void *state, struct ring *r, struct ring_sink *sink, int64_t timeout_ns)
{
	struct epoll_event events[BATCH];
	unsigned room = sink->max - sink->n;
	int n = epoll_ring_sleep(state, events, (int)(room < BATCH ? room : BATCH), timeout_ns);

	if (n < 0)
		return n == -EINTR ? 0 : n;
	for (int i = 0; i < n; i++)
		ring_fire(r, sink, events[i].data.u64, events[i].events, 0);
	return 0;
}

const struct ring_ops ring_epoll_ops = {
	.init = epoll_ring_init,
	.done = epoll_ring_done,
	.arm = epoll_ring_arm,
	.disarm = epoll_ring_disarm,
	.wait = epoll_ring_wait,
};
