/* SPDX-License-Identifier: Apache-2.0
 * Why opens do not go through a ring: whose umask creates, who waits behind whom, whose domain judges.
 */
#include "kernel.h"

#include <liburing.h>

enum { FILES = 200, FIFOS = 64 };

static struct io_uring_sqe *prep_open(struct io_uring *ring, const char *path, int flags, unsigned sqe_flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	NEED(sqe);
	io_uring_prep_openat(sqe, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
	sqe->flags |= (unsigned char)sqe_flags;
	return sqe;
}

/* The result of the next completion, or -ETIME. */
static int await(struct io_uring *ring, int seconds)
{
	struct __kernel_timespec ts = {.tv_sec = seconds};
	struct io_uring_cqe *cqe;
	int r = io_uring_wait_cqe_timeout(ring, &cqe, &ts);

	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

static void umask_of_another(const char *dir)
{
	struct io_uring ring;
	int wrong = 0;

	NEED(io_uring_queue_init(8, &ring, 0) == 0);
	for (int i = 0; i < FILES; i++) {
		char path[80];
		struct stat st;
		int fd;

		snprintf(path, sizeof(path), "%s/%d", dir, i);
		umask(077); /* this request's */
		prep_open(&ring, path, O_CREAT | O_EXCL | O_WRONLY, IOSQE_ASYNC);
		io_uring_submit(&ring);
		umask(0); /* the next one's */
		fd = await(&ring, 5);
		NEED(fd >= 0 && fstat(fd, &st) == 0);
		wrong += (st.st_mode & 0777) != 0600;
		close(fd);
		unlink(path);
	}
	umask(022);
	io_uring_queue_exit(&ring);
	printf("%d of %d files have another request's mode\n", wrong, FILES);
	FACT(wrong > 0, "a file created through a ring gets the umask of a later moment");
}

static void blocked_opens(const char *dir)
{
	struct io_uring ring;
	unsigned limit[2] = {4, 4}; /* what a machine of few CPUs has, on any */

	NEED(io_uring_queue_init(128, &ring, 0) == 0);
	NEED(io_uring_register_iowq_max_workers(&ring, limit) == 0);
	for (int i = 0; i < 8; i++) {
		char path[80];

		snprintf(path, sizeof(path), "%s/fifo%d", dir, i);
		NEED(mkfifo(path, 0600) == 0);
		prep_open(&ring, path, O_RDONLY, IOSQE_ASYNC);
		io_uring_submit(&ring);
	}
	sleep_ms(100);
	prep_open(&ring, "/dev/null", O_RDONLY, IOSQE_ASYNC);
	io_uring_submit(&ring);
	FACT(await(&ring, 1) == -ETIME, "opens that block keep all later ones waiting");
	for (int i = 0; i < 8; i++) {
		char path[80];
		int fd;

		snprintf(path, sizeof(path), "%s/fifo%d", dir, i);
		fd = open(path, O_RDWR | O_CLOEXEC); /* lets the reader in */
		await(&ring, 2);
		close(fd);
		unlink(path);
	}
	io_uring_queue_exit(&ring);
}

static int open_by_poll_thread(void)
{
	struct io_uring ring;
	struct io_uring plain;
	int r = io_uring_queue_init(8, &ring, IORING_SETUP_SQPOLL); /* before the domain */

	if (r < 0)
		SKIP("SQPOLL: %s", strerror(-r));
	NEED(io_uring_queue_init(8, &plain, 0) == 0);
	NEED(enter_domain(LL_READ_FILE, 0, 0, NULL, 0) == 0);
	FACT(open("/etc/passwd", O_RDONLY) < 0, "a domain forbids to read");
	prep_open(&plain, "/etc/passwd", O_RDONLY, IOSQE_ASYNC);
	io_uring_submit(&plain);
	FACT(await(&plain, 5) == -EACCES, "through a ring too, even one made before");
	prep_open(&ring, "/etc/passwd", O_RDONLY, 0);
	io_uring_submit(&ring);
	FACT(await(&ring, 5) >= 0, "but the thread of an SQPOLL ring made before acts outside of it");
	return 0;
}

int main(void)
{
	struct io_uring probe;
	const char *dir;
	int r = io_uring_queue_init(8, &probe, 0);

	if (r < 0)
		SKIP("io_uring: %s", strerror(-r));
	io_uring_queue_exit(&probe);
	dir = scratch();
	umask_of_another(dir);
	blocked_opens(dir);
	rmdir(dir);
	need_landlock(1);
	FACT(in_child(open_by_poll_thread), "");
	return 0;
}
