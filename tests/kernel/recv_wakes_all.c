/* SPDX-License-Identifier: Apache-2.0
 * Waiting in RECV: who is woken, and by what. Why a listener has one owner, and why that one is called away
 * by a signal.
 */
#include "kernel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { RECEIVERS = 4, CALLS = 500 };

static int listener;
static _Atomic long switches;
static _Atomic bool interrupted;
static _Atomic pid_t waiter;

static int call_often(int sock)
{
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_sched_yield);
	recv(sock, &(char){0}, 1, 0);
	return 0;
}

static void *receive_and_answer(void *arg)
{
	struct rusage usage;

	for (;;) {
		struct seccomp_notif n = {0};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
			answer(listener, n.id, 0, 0, 0);
		else if (errno == ENOENT)
			break; /* the last target is gone */
	}
	getrusage(RUSAGE_THREAD, &usage);
	switches += usage.ru_nvcsw;
	return arg;
}

static long switches_with(int receivers)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, call_often);
	pthread_t t[RECEIVERS];

	listener = c.listener;
	switches = 0;
	for (int i = 0; i < receivers; i++)
		NEED(pthread_create(&t[i], NULL, receive_and_answer, NULL) == 0);
	sleep_ms(300);
	send(c.sock, "x", 1, 0);
	status_of(c.pid);
	for (int i = 0; i < receivers; i++)
		pthread_join(t[i], NULL);
	close(c.listener);
	close(c.sock);
	return switches;
}

static int wait_for_go(int sock)
{
	recv(sock, &(char){0}, 1, 0);
	return 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *receive_once(void *arg)
{
	struct seccomp_notif n = {0};

	waiter = (pid_t)syscall(SYS_gettid);
	interrupted = ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0 && errno == EINTR;
	return arg;
}

static bool is_asleep(pid_t tid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'S';
}

static void waits_and_is_interrupted(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, wait_for_go);
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t t;

	listener = c.listener;
	sigaction(SIGUSR1, &sa, NULL);
	NEED(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
	NEED(pthread_create(&t, NULL, receive_once, NULL) == 0);
	sleep_ms(300);
	FACT(waiter && is_asleep(waiter), "RECV waits for all that O_NONBLOCK says");
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	FACT(interrupted, "a signal whose handler does not restart ends the wait");

	/* The same signal a moment earlier changes nothing. */
	pthread_kill(pthread_self(), SIGUSR1);
	waiter = 0;
	NEED(pthread_create(&t, NULL, receive_once, NULL) == 0);
	sleep_ms(300);
	FACT(waiter && is_asleep(waiter), "one that was handled before RECV is forgotten");
	pthread_kill(t, SIGUSR1);
	pthread_join(t, NULL);
	send(c.sock, "x", 1, 0);
	status_of(c.pid);
}

int main(void)
{
	long one = switches_with(1), all = switches_with(RECEIVERS);

	printf("%d calls: %ld switches of one receiver, %ld of %d\n", CALLS, one, all, RECEIVERS);
	FACT(one < CALLS * 3 / 2, "a call wakes a lone receiver once");
	FACT(all > CALLS * 2, "a call wakes every thread that waits in RECV");
	waits_and_is_interrupted();
	return 0;
}
