/* SPDX-License-Identifier: Apache-2.0
 * Readiness: every test on both back ends, and what the io_uring one refuses.
 */
#include "core/sys.h"
#include "iouring/ring.h"
#include "iouring/ring_internal.h"

#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define MS 1000000ll

static struct ring *ring_of(void **state)
{
	struct ring *r = NULL;
	enum ring_backend backend = *(enum ring_backend *)*state;
	int error = ring_new(backend, &r);

	if (backend == RING_URING && error) {
		print_message("no io_uring here: %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(ring_backend(r), backend);
	return r;
}

static void raise_event(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void lower_event(int fd)
{
	uint64_t n;

	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
}

static void tells_each_time_that_something_comes(void **state)
{
	struct ring *r = ring_of(state);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct ring_event e[4];

	assert_int_equal(ring_watch(r, fd, POLLIN, 7, 0), 0);
	assert_int_equal(ring_wait(r, e, 4, 0), 0);
	for (int i = 0; i < 200; i++) {
		raise_event(fd);
		assert_int_equal(ring_wait(r, e, 4, 1000 * MS), 1);
		assert_int_equal(e[0].token, 7);
		assert_int_equal(e[0].err, 0);
		assert_true(e[0].events & POLLIN);
		lower_event(fd);
		assert_int_equal(ring_wait(r, e, 4, 0), 0);
	}
	ring_free(r);
	close(fd);
}

static void a_one_shot_tells_once(void **state)
{
	struct ring *r = ring_of(state);
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	struct ring_event e[4];

	for (int i = 0; i < 50; i++) {
		assert_int_equal(ring_watch(r, fd, POLLIN, 7, RING_ONESHOT), 0);
		assert_int_equal(ring_watch(r, fd, POLLIN, 7, RING_ONESHOT), -EEXIST);
		assert_int_equal(ring_wait(r, e, 4, 1000 * MS), 1); /* ready before it was watched */
		raise_event(fd);
		assert_int_equal(ring_wait(r, e, 4, MS), 0);
		assert_int_equal(ring_unwatch(r, 7), -ENOENT);
	}
	ring_free(r);
	close(fd);
}

static void tells_of_hang_ups(void **state)
{
	struct ring *r = ring_of(state);
	struct ring_event e[4];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ring_watch(r, pair[0], POLLIN, 1, 0), 0);
	assert_int_equal(ring_wait(r, e, 4, 0), 0);
	close(pair[1]);
	assert_int_equal(ring_wait(r, e, 4, 1000 * MS), 1);
	assert_true(e[0].events & POLLHUP);
	ring_free(r);
	close(pair[0]);
}

static void nothing_comes_of_what_is_watched_no_more(void **state)
{
	struct ring *r = ring_of(state);
	struct ring_event e[4];

	for (int i = 0; i < 100; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		assert_int_equal(ring_watch(r, fd, POLLIN, 1, 0), 0);
		assert_int_equal(ring_wait(r, e, 4, 0), 0);
		raise_event(fd); /* on its way */
		assert_int_equal(ring_unwatch(r, 1), 0);
		/* The slot is used again, and the old event is not taken for the new watch's. */
		assert_int_equal(ring_watch(r, other, POLLIN, 2, 0), 0);
		assert_int_equal(ring_wait(r, e, 4, i % 10 ? 0 : MS), 0);
		raise_event(other);
		assert_int_equal(ring_wait(r, e, 4, 1000 * MS), 1);
		assert_int_equal(e[0].token, 2);
		assert_int_equal(ring_unwatch(r, 2), 0);
		close(fd);
		close(other);
	}
	ring_free(r);
}

static void an_unwatched_file_is_let_go(void **state)
{
	struct ring *r = ring_of(state);
	int pair[2];
	char byte;

	assert_int_equal(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(ring_watch(r, pair[1], POLLERR, 1, 0), 0);
	assert_int_equal(ring_wait(r, &(struct ring_event){0}, 1, 0), 0);
	assert_int_equal(ring_unwatch(r, 1), 0);
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 0); /* EOF: nobody holds the writer open */
	close(pair[0]);
	ring_free(r);
}

static void many_watches_in_small_bites(void **state)
{
	struct ring *r = ring_of(state);
	enum { N = 300 };
	bool seen[N] = {false};
	int fds[N], got = 0;

	for (int i = 0; i < N; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_int_equal(ring_watch(r, fds[i], POLLIN, (uint64_t)i, 0), 0);
	}
	assert_int_equal(ring_wait(r, &(struct ring_event){0}, 1, 0), 0);
	for (int i = 0; i < N; i++)
		raise_event(fds[i]);
	while (got < N) {
		struct ring_event e[3];
		int n = ring_wait(r, e, 3, 1000 * MS);

		assert_in_range(n, 1, 3);
		for (int i = 0; i < n; i++, got++) {
			assert_false(seen[e[i].token]);
			seen[e[i].token] = true;
		}
	}
	ring_free(r);
	for (int i = 0; i < N; i++)
		close(fds[i]);
}

static void timers_fire_once_in_order(void **state)
{
	struct ring *r = ring_of(state);
	struct ring_event e[4];
	uint64_t order[2];
	int got = 0;

	assert_int_equal(ring_timer(r, 1, 30 * MS), 0);
	assert_int_equal(ring_timer(r, 2, 10 * MS), 0);
	assert_int_equal(ring_timer(r, 3, 20 * MS), 0);
	assert_int_equal(ring_timer(r, 3, -1), 0);
	while (got < 2) {
		int n = ring_wait(r, e, 4, -1);

		for (int i = 0; i < n; i++) {
			assert_int_equal(e[i].events, 0);
			order[got++] = e[i].token;
		}
	}
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 1);
	assert_int_equal(ring_wait(r, e, 4, 0), 0);
	ring_free(r);
}

static void *raise_later(void *arg)
{
	struct timespec nap = {.tv_nsec = 20 * MS};

	nanosleep(&nap, NULL);
	raise_event(*(int *)arg);
	return NULL;
}

static void another_thread_wakes_it_by_an_eventfd(void **state)
{
	struct ring *r = ring_of(state);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct ring_event e[1];
	pthread_t t;
	int n;

	assert_int_equal(ring_watch(r, fd, POLLIN, 9, 0), 0);
	assert_int_equal(pthread_create(&t, NULL, raise_later, &fd), 0);
	do
		n = ring_wait(r, e, 1, -1);
	while (n == 0); /* interrupted */
	assert_int_equal(n, 1);
	assert_int_equal(e[0].token, 9);
	pthread_join(t, NULL);
	ring_free(r);
	close(fd);
}

static void what_cannot_be_watched_is_an_error(void **state)
{
	struct ring *r = ring_of(state);
	struct ring_event e[1] = {{0}};
	int error = ring_watch(r, 1023, POLLIN, 5, 0); /* not open */

	assert_int_equal(ring_watch(r, -1, POLLIN, 4, 0), -EBADF);
	if (error == 0) { /* or it comes as an event */
		assert_int_equal(ring_wait(r, e, 1, 1000 * MS), 1);
		error = e[0].err;
		assert_int_equal(e[0].token, 5);
	}
	assert_int_equal(error, -EBADF);
	assert_int_equal(ring_unwatch(r, 5), -ENOENT);
	ring_free(r);
}

/* What an open through RING gives. */
static int open_through(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
	assert_int_equal(io_uring_submit(ring), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	if (r >= 0)
		close(r);
	return r;
}

static void our_ring_opens_and_registers_nothing(void **state)
{
	struct io_uring ours, plain;
	int pair[2];

	(void)state;
	if (io_uring_queue_init(8, &plain, 0) < 0) {
		print_message("no io_uring here\n");
		skip();
	}
	assert_int_equal(uring_open(&ours, 0), 0);
	assert_int_equal(open_through(&ours), -EACCES);
	assert_true(open_through(&plain) >= 0); /* the positive control */
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(CALL(syscall(SYS_io_uring_register, ours.ring_fd, IORING_REGISTER_FILES, pair, 2)),
			 -EACCES);
	assert_int_equal(CALL(syscall(SYS_io_uring_register, plain.ring_fd, IORING_REGISTER_FILES, pair, 2)),
			 0);
	close(pair[0]);
	close(pair[1]);
	io_uring_queue_exit(&ours);
	io_uring_queue_exit(&plain);
}

static enum ring_backend uring = RING_URING, epoll = RING_EPOLL;

#define BOTH(test)                                                                          \
	{"io_uring: " #test, test, NULL, NULL, &uring}, {"epoll: " #test, test, NULL, NULL, &epoll}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(tells_each_time_that_something_comes),
		BOTH(a_one_shot_tells_once),
		BOTH(tells_of_hang_ups),
		BOTH(nothing_comes_of_what_is_watched_no_more),
		BOTH(an_unwatched_file_is_let_go),
		BOTH(many_watches_in_small_bites),
		BOTH(timers_fire_once_in_order),
		BOTH(another_thread_wakes_it_by_an_eventfd),
		BOTH(what_cannot_be_watched_is_an_error),
		cmocka_unit_test(our_ring_opens_and_registers_nothing),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
