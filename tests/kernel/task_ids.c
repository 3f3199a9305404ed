/* SPDX-License-Identifier: Apache-2.0
 * Which task a notification names, and what pidfds say about threads.
 */
#include "kernel.h"

#include <pthread.h>

static void *yield_in_thread(void *arg)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	send(*(int *)arg, &tid, sizeof(tid), 0);
	syscall(SYS_sched_yield);
	return NULL;
}

static int two_threads(int sock)
{
	pthread_t t;

	pthread_create(&t, NULL, yield_in_thread, &sock);
	pthread_join(t, NULL);
	return 0;
}

static void *exec_in_thread(void *arg)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};

	(void)arg;
	execv("/bin/true", argv);
	return NULL;
}

static int exec_from_thread(int sock)
{
	pthread_t t;

	(void)sock;
	pthread_create(&t, NULL, exec_in_thread, NULL);
	pthread_join(t, NULL);
	return 1;
}

int main(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, two_threads);
	pid_t tid;
	struct seccomp_notif n;
	int fd;

	NEED(recv(c.sock, &tid, sizeof(tid), 0) == sizeof(tid));
	n = receive(c.listener);
	FACT((pid_t)n.pid == tid && tid != c.pid, "notif.pid is the id of the thread, not of its process");
	FACT((fd = sys_pidfd_open(tid, 0)) < 0, "pidfd_open of a thread that leads no process fails");
	fd = sys_pidfd_open(tid, PIDFD_THREAD);
	if (fd == -EINVAL)
		printf("SKIPPED: PIDFD_THREAD (Linux 6.9)\n");
	else
		FACT(fd >= 0, "but with PIDFD_THREAD");
	answer(c.listener, n.id, 0, 0, 0);
	FACT(status_of(c.pid) == 0, "");

	c = child_with_trap(SYS_execve, 0, exec_from_thread);
	n = receive(c.listener);
	FACT((pid_t)n.pid != c.pid, "an exec from another thread is notified under that thread's id");
	answer(c.listener, n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	FACT(status_of(c.pid) == 0, "and the process goes on under its own");
	return 0;
}
