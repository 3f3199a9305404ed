/* SPDX-License-Identifier: Apache-2.0
 * Handing over a descriptor when the target has no room: the call goes on waiting.
 */
#include "kernel.h"

#include <sys/resource.h>

static int full(int sock)
{
	struct rlimit none = {0, 0};

	(void)sock;
	setrlimit(RLIMIT_NOFILE, &none);
	return (int)CALL(syscall(SYS_sched_yield)) & 0xff;
}

static int roomy(int sock)
{
	int fd = (int)syscall(SYS_sched_yield);

	(void)sock;
	return fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : 1;
}

int main(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, full);
	struct seccomp_notif n = receive(c.listener);
	struct seccomp_notif_addfd a = {.id = n.id, .srcfd = 0};

	FACT(fails_with(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EMFILE),
	     "ADDFD fails with EMFILE where the target's limit is reached");
	FACT(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0, "and the target goes on waiting");
	answer(c.listener, n.id, -EMFILE, 0, 0);
	FACT(status_of(c.pid) == (-EMFILE & 0xff), "so that it can be told");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, roomy);
	n = receive(c.listener);
	a = (struct seccomp_notif_addfd){.id = n.id, .srcfd = 0, .newfd_flags = O_CLOEXEC};
	int fd = ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
	FACT(fd >= 0, "ADDFD tells the descriptor's number in the target");
	FACT(answer(c.listener, n.id, 0, fd, 0) == 0, "");
	FACT(status_of(c.pid) == 0, "close-on-exec only if asked for, and then in the target");
	return 0;
}
