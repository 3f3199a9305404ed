/* SPDX-License-Identifier: Apache-2.0
 * Answering -512 (the kernel's own ERESTARTSYS): exactly what an interrupted call does natively, but only for
 * the thread that has to deliver the signal. One that is traced waits even with a signal to die of.
 */
#include "kernel.h"

#include <pthread.h>
#include <sys/ptrace.h>

#define KILLABLE SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

#define KERNEL_ERESTARTSYS 512

static int restarting;

static void on_signal(int sig)
{
	(void)sig;
}

/* Its call's errno is its exit status, 0 if it returned 7. */
static int call_once(int sock)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = restarting ? SA_RESTART : 0};
	long r;

	(void)sock;
	sigaction(SIGUSR1, &sa, NULL);
	r = syscall(SYS_sched_yield);
	return r == 7 ? 0 : errno == KERNEL_ERESTARTSYS ? 99 : errno;
}

static struct traced_child calling(int restart)
{
	restarting = restart;
	return child_with_trap(SYS_sched_yield, KILLABLE, call_once);
}

static void the_native_way(void)
{
	struct traced_child c = calling(0);
	struct seccomp_notif n = receive(c.listener);

	kill(c.pid, SIGUSR1);
	NEED(answer(c.listener, n.id, -KERNEL_ERESTARTSYS, 0, 0) == 0);
	FACT(status_of(c.pid) == EINTR, "-512 with a signal to deliver: EINTR");

	c = calling(1);
	n = receive(c.listener);
	kill(c.pid, SIGUSR1);
	NEED(answer(c.listener, n.id, -KERNEL_ERESTARTSYS, 0, 0) == 0);
	n = receive(c.listener);
	NEED(answer(c.listener, n.id, 0, 7, 0) == 0);
	FACT(status_of(c.pid) == 0, "with SA_RESTART the call comes again");

	c = calling(0);
	n = receive(c.listener);
	NEED(answer(c.listener, n.id, -KERNEL_ERESTARTSYS, 0, 0) == 0);
	FACT(status_of(c.pid) == 99, "without a signal errno 512 leaks to the target");
}

static long thread_errno;

static void *thread_main(void *arg)
{
	thread_errno = syscall(SYS_sched_yield) < 0 ? errno : 0;
	return arg;
}

/* Leader and thread both call; the thread's errno is the exit status, 99 for 512. */
static int call_twice(int sock)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t t;

	(void)sock;
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, thread_main, NULL);
	syscall(SYS_sched_yield);
	pthread_join(t, NULL);
	return thread_errno == KERNEL_ERESTARTSYS ? 99 : (int)thread_errno;
}

/* A signal to the process while both its threads are in calls; the one that will not deliver it gets -512. */
static int answer_thread(bool interrupt)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, KILLABLE, call_twice);
	struct seccomp_notif a = receive(c.listener), b = receive(c.listener);
	struct seccomp_notif thread = (pid_t)a.pid == c.pid ? b : a, leader = (pid_t)a.pid == c.pid ? a : b;
	int status;

	kill(c.pid, SIGUSR1); /* the leader's to deliver */
	if (interrupt && (ptrace(PTRACE_SEIZE, thread.pid, 0, 0) < 0 ||
			  ptrace(PTRACE_INTERRUPT, thread.pid, 0, 0) < 0))
		SKIP("ptrace: %s", strerror(errno));
	NEED(answer(c.listener, thread.id, -KERNEL_ERESTARTSYS, 0, 0) == 0);
	if (interrupt) {
		NEED(waitpid((pid_t)thread.pid, &status, __WALL) == (pid_t)thread.pid);
		NEED(ptrace(PTRACE_DETACH, thread.pid, 0, 0) == 0);
	}
	NEED(answer(c.listener, leader.id, -EAGAIN, 0, 0) == 0);
	while (readable(c.listener, 200)) { /* the thread's call has come again */
		struct seccomp_notif again = {0};

		if (ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &again) == 0)
			answer(c.listener, again.id, -ENOENT, 0, 0);
	}
	return status_of(c.pid);
}

/* Traced by us, with SIGTERM to die of. */
static void the_traced_way(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, KILLABLE, call_once);
	struct seccomp_notif n = receive(c.listener);
	int status;

	if (ptrace(PTRACE_SEIZE, c.pid, 0, PTRACE_O_EXITKILL) < 0)
		SKIP("ptrace: %s", strerror(errno));
	kill(c.pid, SIGTERM);
	sleep_ms(100);
	FACT(ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0 && waitpid(c.pid, &status, WNOHANG) == 0,
	     "a traced thread that waits is not ended by SIGTERM");
	NEED(ptrace(PTRACE_INTERRUPT, c.pid, 0, 0) == 0);
	NEED(answer(c.listener, n.id, -KERNEL_ERESTARTSYS, 0, 0) == 0);
	FACT(waitpid(c.pid, &status, 0) == c.pid && status >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8),
	     "interrupted by its tracer, and answered -512, it stops");
	NEED(ptrace(PTRACE_CONT, c.pid, 0, 0) == 0);
	FACT(waitpid(c.pid, &status, 0) == c.pid && status >> 8 == SIGTERM, "then for the signal");
	NEED(ptrace(PTRACE_CONT, c.pid, 0, SIGTERM) == 0);
	FACT(status_of(c.pid) == 128 + SIGTERM, "of which it dies");
}

int main(void)
{
	int r;

	the_native_way();
	the_traced_way();
	FACT(answer_thread(false) == 99, "a signal that another thread delivers does not help: 512 leaks");
	r = answer_thread(true);
	/* It restarts, unless it is now the thread that delivers the signal. */
	FACT(r == ENOENT || r == EINTR, "after SEIZE and INTERRUPT of that very thread it does not");
	return 0;
}
