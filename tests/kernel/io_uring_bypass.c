/* SPDX-License-Identifier: Apache-2.0
 * io_uring in a target bypasses seccomp, but not Landlock: why it is refused to targets, and why the
 * supervisor's own rings are made on confined threads.
 */
#include "kernel.h"

#include <liburing.h>

static int open_by_ring(const char *path)
{
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	int r = io_uring_queue_init(2, &ring, 0);

	if (r < 0)
		SKIP("io_uring: %s", strerror(-r));
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	NEED(io_uring_submit_and_wait(&ring, 1) == 1);
	NEED(io_uring_wait_cqe(&ring, &cqe) == 0);
	r = cqe->res;
	io_uring_queue_exit(&ring);
	return r;
}

static int under_seccomp(void)
{
	NEED(filter_call(SYS_openat, SECCOMP_RET_ERRNO | EPERM) == 0);
	NEED(filter_call(SYS_open, SECCOMP_RET_ERRNO | EPERM) == 0);
	FACT(fails_with(open("/etc/passwd", O_RDONLY), EPERM), "a filter refuses opens");
	FACT(open_by_ring("/etc/passwd") >= 0, "but not through a ring");
	return 0;
}

static int under_landlock(void)
{
	NEED(enter_domain(LL_FS_1, 0, 0, NULL, 0) == 0);
	FACT(fails_with(open("/etc/passwd", O_RDONLY), EACCES), "a domain refuses opens");
	FACT(open_by_ring("/etc/passwd") == -EACCES, "through a ring too");
	return 0;
}

int main(void)
{
	open_by_ring("/"); /* or skip */
	FACT(in_child(under_seccomp), "");
	need_landlock(1);
	FACT(in_child(under_landlock), "");
	return 0;
}
