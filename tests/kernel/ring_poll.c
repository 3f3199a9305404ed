/* SPDX-License-Identifier: Apache-2.0
 * Watching a listener through a ring: what a completion says, and what it leaves unsaid.
 */
#include "kernel.h"

#include <liburing.h>
#include <pthread.h>

static void *call(void *arg)
{
	syscall(SYS_sched_yield);
	return arg;
}

static int call_thrice_at_once(int sock)
{
	pthread_t t[3];

	(void)sock;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, call, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* How many completions there are, and the poll events of the last. */
static unsigned completions(struct io_uring *ring, int *ret_events)
{
	struct __kernel_timespec ts = {.tv_nsec = 200000000};
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (io_uring_wait_cqe_timeout(ring, &cqe, &ts) == 0) {
		*ret_events = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		n++;
	}
	return n;
}

int main(void)
{
	struct traced_child c;
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	unsigned n;
	int events = 0, r = io_uring_queue_init(8, &ring, 0), served = 0;

	if (r < 0)
		SKIP("io_uring: %s", strerror(-r));
	c = child_with_trap(SYS_sched_yield, 0, call_thrice_at_once);
	NEED(readable(c.listener, 2000));
	sleep_ms(200); /* all three wait */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, c.listener, POLLIN);
	io_uring_submit(&ring);
	n = completions(&ring, &events);
	FACT(n == 1 && (events & POLLIN), "three callers that wait are one completion");
	while (readable(c.listener, 0)) {
		struct seccomp_notif notif = receive(c.listener);

		NEED(answer(c.listener, notif.id, 0, 0, 0) == 0);
		served++;
	}
	FACT(served == 3, "poll says when there is nobody more: drain until then");
	NEED(status_of(c.pid) == 0);
	n = completions(&ring, &events);
	FACT(n >= 1 && (events & POLLHUP), "the last target's end completes it with POLLHUP");
	io_uring_queue_exit(&ring);
	return 0;
}
