/* SPDX-License-Identifier: Apache-2.0
 * The signal scope, and the kill(-1) that it makes safe: a process whose leader thread is unconfined
 * starts a child from a confined thread; the child reaches what descends from it, and nothing else.
 *
 * kill(-1) is only called after the proof that the warden uses too.
 */
#include "kernel.h"

#include <pthread.h>

static int pair[2];
static pid_t supervisor, outsider;

static pid_t sleeper(void)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static _Noreturn void warden(void)
{
	pid_t in_tree[3];
	int wstatus;

	for (int i = 0; i < 3; i++)
		in_tree[i] = sleeper();
	if (!fails_with(kill(supervisor, 0), EPERM)) {
		printf("NOT SO the supervisor can't be signalled from the domain below\n");
		_exit(1);
	}
	FACT(fails_with(kill(outsider, 0), EPERM), "nor can a process of the same user outside");
	FACT(kill(in_tree[0], 0) == 0, "the tree can");
	FACT(kill(-1, SIGKILL) == 0, "kill(-1) then reaches");
	for (int i = 0; i < 3; i++)
		FACT(waitpid(in_tree[i], &wstatus, 0) == in_tree[i] && WIFSIGNALED(wstatus), "the tree");
	_exit(0);
}

static void *confined(void *arg)
{
	int *status = arg;
	pid_t pid;

	NEED(enter_domain(0, 0, LL_SCOPE_SIGNAL, NULL, 0) == 0);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0)
		warden();
	*status = status_of(pid);
	return NULL;
}

int main(void)
{
	pthread_t t;
	int status = -1;

	need_landlock(6);
	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	supervisor = getpid();
	outsider = sleeper();
	NEED(pthread_create(&t, NULL, confined, &status) == 0);
	pthread_join(t, NULL);
	FACT(status == 0, "and no more");
	FACT(kill(outsider, 0) == 0 && waitpid(outsider, &status, WNOHANG) == 0, "the outsider lives, and so do we");
	kill(outsider, SIGKILL);
	return 0;
}
