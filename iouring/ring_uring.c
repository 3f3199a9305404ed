/* SPDX-License-Identifier: Apache-2.0
 * The io_uring back end: poll requests only.
 *
 * The ring is made disabled, told which operations it will ever take, and enabled. One issuer, and task
 * work deferred to the wait where the kernel knows how: completions then interrupt nobody.
 */
#include "iouring/ring_internal.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 64u
#define KEY_NONE UINT64_MAX /* completions of our own removals */

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

struct uring_state {
	struct io_uring ring;
};

/* liburing 2.3 declares wrappers for these two and does not export them. */
static int uring_register(struct io_uring *ring, unsigned op, void *arg, unsigned n)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, op, arg, n) < 0 ? -errno : 0;
}

/* Only polling, and nothing may be registered but the enabling itself. */
static int uring_restrict(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_ADD},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_POLL_REMOVE},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS},
	};

	return uring_register(ring, IORING_REGISTER_RESTRICTIONS, allowed,
			      sizeof(allowed) / sizeof(allowed[0]));
}

int uring_open(struct io_uring *ring, unsigned flags)
{
	int error = io_uring_queue_init(ENTRIES, ring, flags | IORING_SETUP_R_DISABLED);

	if (error)
		return error;
	error = uring_restrict(ring);
	if (!error)
		error = uring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	/* Without a bounded wait or with completions that get lost it is of no use to us. */
	if (!error && (~ring->features & (IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP)))
		error = -ENOSYS;
	if (error)
		io_uring_queue_exit(ring);
	return error;
}

static int uring_init(void **ret_state)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_SINGLE_ISSUER,
		0,
	};
	struct uring_state *s = calloc(1, sizeof(*s));
	int error = -EINVAL;

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; error == -EINVAL && i < sizeof(flags) / sizeof(flags[0]); i++)
		error = uring_open(&s->ring, flags[i]);
	if (error) {
		free(s);
		return error;
	}
	*ret_state = s;
	return 0;
}

static void uring_done(void *state)
{
	struct uring_state *s = state;

	io_uring_queue_exit(&s->ring);
	free(s);
}

static struct io_uring_sqe *uring_sqe(struct uring_state *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	if (sqe)
		return sqe;
	io_uring_submit(&s->ring);
	return io_uring_get_sqe(&s->ring);
}

static int uring_arm(void *state, const struct watch *watch, uint64_t key)
{
	struct uring_state *s = state;
	struct io_uring_sqe *sqe = uring_sqe(s);

	if (!sqe)
		return -EBUSY;
	if (watch->flags & RING_ONESHOT)
		io_uring_prep_poll_add(sqe, watch->fd, watch->events);
	else
		io_uring_prep_poll_multishot(sqe, watch->fd, watch->events);
	io_uring_sqe_set_data64(sqe, key);
	return 0; /* submitted by the next wait */
}

static void uring_disarm(void *state, const struct watch *watch, uint64_t key)
{
	struct uring_state *s = state;
	struct io_uring_sqe *sqe = uring_sqe(s);

	(void)watch;
	if (!sqe)
		return;
	io_uring_prep_poll_remove(sqe, key);
	io_uring_sqe_set_data64(sqe, KEY_NONE);
	/* Now, and its end too: the request holds the file open. */
	io_uring_submit_and_get_events(&s->ring);
}

static void uring_take(struct uring_state *s, struct ring *r, struct ring_sink *sink,
		       const struct io_uring_cqe *cqe)
{
	const struct watch *again;
	uint64_t key = cqe->user_data;
	uint32_t events = cqe->res > 0 ? (uint32_t)cqe->res : 0;
	int err = cqe->res < 0 ? cqe->res : 0;

	if (key == KEY_NONE || err == -ECANCELED)
		return;
	if (err < -511) /* the kernel's own restart codes are none of ours */
		err = -EINTR;
	again = ring_fire(r, sink, key, events, err);
	if (again && !(cqe->flags & IORING_CQE_F_MORE))
		uring_arm(s, again, key);
}

static int uring_wait(void *state, struct ring *r, struct ring_sink *sink, int64_t timeout_ns)
{
	struct uring_state *s = state;
	struct __kernel_timespec ts = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_cqe *cqe = NULL;
	int error;

	error = io_uring_submit_and_wait_timeout(&s->ring, &cqe, 1, timeout_ns < 0 ? NULL : &ts, NULL);
	if (error < 0 && error != -ETIME && error != -EINTR && error != -EAGAIN && error != -EBUSY)
		return error;
	while (sink->n < sink->max && io_uring_peek_cqe(&s->ring, &cqe) == 0 && cqe) {
		uring_take(s, r, sink, cqe);
		io_uring_cqe_seen(&s->ring, cqe);
	}
	return 0;
}

const struct ring_ops ring_uring_ops = {
	.init = uring_init,
	.done = uring_done,
	.arm = uring_arm,
	.disarm = uring_disarm,
	.wait = uring_wait,
};
