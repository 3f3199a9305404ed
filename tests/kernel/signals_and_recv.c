/* SPDX-License-Identifier: Apache-2.0
 * What a signal with a handler does to a trapped call, before and after RECV. The call is one that
 * would never be interrupted by itself.
 */
#include "kernel.h"

static void handler(int sig)
{
	(void)sig;
}

static void handle(int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};

	sigaction(SIGUSR1, &a, NULL);
}

static int plain(int sock)
{
	(void)sock;
	handle(0);
	return (int)CALL(syscall(SYS_sched_yield)) & 0xff;
}

static int restarting(int sock)
{
	(void)sock;
	handle(SA_RESTART);
	return (int)CALL(syscall(SYS_sched_yield)) & 0xff;
}

#define EINTR_STATUS (-EINTR & 0xff)

int main(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, plain);
	struct seccomp_notif n, again;

	FACT(readable(c.listener, 2000), "");
	kill(c.pid, SIGUSR1);
	FACT(status_of(c.pid) == EINTR_STATUS, "a signal before RECV: EINTR");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, plain);
	n = receive(c.listener);
	kill(c.pid, SIGUSR1);
	FACT(status_of(c.pid) == EINTR_STATUS, "a signal after RECV, not killable: EINTR, whatever was done");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, 0, restarting);
	n = receive(c.listener);
	kill(c.pid, SIGUSR1);
	again = receive(c.listener);
	FACT(again.id != n.id, "with SA_RESTART it is notified again");
	answer(c.listener, again.id, 0, 5, 0);
	FACT(status_of(c.pid) == 5, "");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, plain);
	n = receive(c.listener);
	kill(c.pid, SIGUSR1);
	sleep_ms(20);
	FACT(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0,
	     "WAIT_KILLABLE_RECV: the call outlasts a signal");
	FACT(answer(c.listener, n.id, 0, 9, 0) == 0, "");
	FACT(status_of(c.pid) == 9, "and is answered once");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, plain);
	n = receive(c.listener);
	kill(c.pid, SIGKILL);
	FACT(status_of(c.pid) == 128 + SIGKILL, "but not a fatal one");
	close(c.listener);

	c = child_with_trap(SYS_sched_yield, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, plain);
	FACT(readable(c.listener, 2000), "");
	kill(c.pid, SIGUSR1);
	FACT(status_of(c.pid) == EINTR_STATUS, "nor one before RECV: calls that nobody retries must not be trapped");
	return 0;
}
