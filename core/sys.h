/* SPDX-License-Identifier: Apache-2.0
 * System calls that libc lacks, one wrapper each that returns -errno, and EINTR that ends here.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

#define CALL(expr) ({ long r_ = (expr); r_ < 0 ? (long)-errno : r_; })

static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
	long r;

	do
		r = CALL(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
	while (r == -EINTR);
	return (int)r;
}

static inline int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)CALL(syscall(SYS_pidfd_open, pid, flags));
}

static inline int sys_pidfd_getfd(int pidfd, int fd)
{
	return (int)CALL(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

/* 0: the two tasks have the same of what TYPE (KCMP_FILES, ...) names; above 0: they have not. */
static inline int sys_kcmp(pid_t a, pid_t b, int type)
{
	return (int)CALL(syscall(SYS_kcmp, a, b, type, 0, 0));
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)CALL(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}
