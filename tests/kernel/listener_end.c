/* SPDX-License-Identifier: Apache-2.0
 * How a listener tells that there is nobody left, and what a target sees when its listener is gone.
 */
#include "kernel.h"

static int call_and_exit(int sock)
{
	(void)sock;
	return (int)syscall(SYS_sched_yield) == 7 ? 0 : 1;
}

static int call_without_listener(int sock)
{
	char go;

	NEED(recv(sock, &go, 1, 0) == 1);
	return fails_with(syscall(SYS_sched_yield), ENOSYS) ? 0 : 1;
}

static int wait_to_be_killed(int sock)
{
	(void)sock;
	syscall(SYS_sched_yield);
	return 1;
}

int main(void)
{
	const bool noticed = recv_notices_the_end();
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, call_and_exit);
	struct seccomp_notif n = receive(c.listener);
	struct pollfd p = {.fd = c.listener, .events = POLLIN};

	FACT(answer(c.listener, n.id, 0, 7, 0) == 0, "a reply's value is the call's result");
	FACT(status_of(c.pid) == 0, "the target saw it");
	FACT(poll(&p, 1, 1000) == 1 && (p.revents & POLLHUP), "a listener hangs up when its last target is gone");
	n = (struct seccomp_notif){0};
	if (noticed)
		FACT(fails_with(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT),
		     "RECV does not wait for targets that are gone");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, wait_to_be_killed);
	FACT(readable(c.listener, 2000), "a notification makes the listener readable");
	kill(c.pid, SIGKILL);
	status_of(c.pid);
	n = (struct seccomp_notif){0};
	FACT(fails_with(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT),
	     "RECV is ENOENT when the target died after POLLIN");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, wait_to_be_killed);
	n = receive(c.listener);
	kill(c.pid, SIGKILL);
	status_of(c.pid);
	FACT(fails_with(answer(c.listener, n.id, 0, 0, 0), ENOENT), "SEND is ENOENT when the target died");
	FACT(fails_with(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT), "so is ID_VALID");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, call_without_listener);
	close(c.listener);
	NEED(send(c.sock, "g", 1, 0) == 1);
	FACT(status_of(c.pid) == 0, "without a listener a trapped call is ENOSYS");
	if (!noticed)
		SKIP("all of the above holds, but in this kernel RECV waits for targets that are gone (before Linux 6.11)");
	return 0;
}
