/* SPDX-License-Identifier: Apache-2.0
 * Messages on the leash and the gate, and the sweep of descriptors. Safe after fork: no allocation.
 */
#include "core/launch/parts.h"
#include "core/sys.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

int packet_send(int sock, const void *msg, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	long r;

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		hdr.msg_control = control.buf;
		hdr.msg_controllen = sizeof(control.buf);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		r = CALL(sendmsg(sock, &hdr, MSG_NOSIGNAL));
	while (r == -EINTR);
	return r < 0 ? (int)r : r == (long)len ? 0 : -EIO;
}

int packet_recv(int sock, void *msg, size_t len, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {msg, len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;
	long r;

	do
		r = CALL(recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC));
	while (r == -EINTR);
	if (ret_fd)
		*ret_fd = -1;
	c = r > 0 ? CMSG_FIRSTHDR(&hdr) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		int fd;

		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		if (ret_fd)
			*ret_fd = fd;
		else
			close(fd);
	}
	if (r == -ECONNRESET) /* the other end died with a message unread */
		return 0;
	return r > 0 && r != (long)len ? -EPROTO : (int)r;
}

/* For kernels without close_range. The limit on open files is no bound: it may have been lowered
 * after descriptors above it were opened. */
static void each_fd_from(unsigned low, bool cloexec)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || fd < (int)low || fd == dirfd(d))
			continue;
		if (cloexec)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
		else
			close(fd);
	}
	if (d)
		closedir(d);
}

void fds_close_from(unsigned low)
{
	if (syscall(SYS_close_range, low, ~0U, 0) < 0)
		each_fd_from(low, false);
}

void fds_cloexec_from(unsigned low)
{
	if (syscall(SYS_close_range, low, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		each_fd_from(low, true);
}
