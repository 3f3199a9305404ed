/* SPDX-License-Identifier: Apache-2.0
 * Making a listener: one in a line of ancestors, and the small print of its calls.
 */
#include "kernel.h"

static int second_listener(void)
{
	int first = trap_call(SYS_sched_yield, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	if (first == -EBUSY)
		SKIP("a supervisor is in force above this test");
	NEED(first >= 0);
	FACT(trap_call(SYS_getppid, SECCOMP_FILTER_FLAG_NEW_LISTENER) == -EBUSY,
	     "a second listener below the first is EBUSY");
	FACT(trap_call(SYS_getppid, 0) == 0, "a second filter without a listener is not");
	FACT(fails_with(syscall(SYS_getppid), ENOSYS), "and what it notifies of is ENOSYS");
	FACT(fcntl(first, F_GETFD) == FD_CLOEXEC, "a listener is close-on-exec");
	return 0;
}

static int errno_beats_notification(void)
{
	int listener = trap_call(SYS_sched_yield, SECCOMP_FILTER_FLAG_NEW_LISTENER);

	NEED(listener >= 0);
	NEED(filter_call(SYS_sched_yield, SECCOMP_RET_ERRNO | 99) == 0);
	FACT(fails_with(syscall(SYS_sched_yield), 99), "an errno of any filter beats a notification of another");
	FACT(!readable(listener, 0), "and nobody is notified");
	return 0;
}

static int flags(void)
{
	FACT(trap_call(SYS_sched_yield, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC) == -EINVAL,
	     "NEW_LISTENER with TSYNC needs TSYNC_ESRCH");
	FACT(trap_call(SYS_sched_yield, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) == -EINVAL,
	     "WAIT_KILLABLE_RECV needs NEW_LISTENER");
	return 0;
}

static int yield_once(int sock)
{
	(void)sock;
	syscall(SYS_sched_yield);
	return 0;
}

int main(void)
{
	struct seccomp_notif_sizes sizes;
	struct seccomp_notif dirty = {.pid = 1};
	struct traced_child c;
	struct seccomp_notif n;

	_Static_assert(SECCOMP_IOCTL_NOTIF_ID_VALID == 0x40082102, "the number that works on all kernels");
	FACT(in_child(second_listener), "");
	FACT(in_child(errno_beats_notification), "");
	FACT(in_child(flags), "");
	NEED(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0);
	FACT(sizes.seccomp_notif == sizeof(struct seccomp_notif) &&
	     sizes.seccomp_notif_resp == sizeof(struct seccomp_notif_resp),
	     "the kernel's notifications have the size of the headers'");
	c = child_with_trap(SYS_sched_yield, 0, yield_once);
	FACT(readable(c.listener, 2000), "");
	FACT(fails_with(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &dirty), EINVAL),
	     "RECV wants its buffer zeroed");
	n = receive(c.listener);
	FACT(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, &n.id) < 0,
	     "SYNC_WAKE_UP is set by value: a pointer is refused");
	if (ioctl(c.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
		printf("SKIPPED: SYNC_WAKE_UP (Linux 6.6)\n");
	FACT(answer(c.listener, n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) < 0, "CONTINUE with an error is refused");
	FACT(answer(c.listener, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0, "CONTINUE alone is taken");
	FACT(status_of(c.pid) == 0, "");
	return 0;
}
