/* SPDX-License-Identifier: Apache-2.0
 * Waiting in RECV: who is woken, and by what. Why a listener has one owner, and why that one is called away
 * by a signal.
 */
#include "kernel.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RECEIVERS = 4 };

static int listener;
static _Atomic bool interrupted;
static _Atomic pid_t waiter, receivers[RECEIVERS];

/* One call for each byte. */
static int call_when_told(int sock)
{
	char byte;

	while (recv(sock, &byte, 1, 0) == 1 && byte == 'c')
		syscall(SYS_sched_yield);
	return 0;
}

static void *receive_and_answer(void *number)
{
	receivers[*(int *)number] = (pid_t)syscall(SYS_gettid);
	for (;;) {
		struct seccomp_notif n = {0};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
			answer(listener, n.id, 0, 0, 0);
		else if (errno == ENOENT)
			return NULL; /* the last target is gone */
	}
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

/* How often it went to sleep. */
static long sleeps(pid_t tid)
{
	char path[64], line[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	while (f && n < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	if (f)
		fclose(f);
	return n;
}

static bool all_asleep(void)
{
	for (int i = 0; i < RECEIVERS; i++)
		if (!receivers[i] || !is_asleep(receivers[i]))
			return false;
	return true;
}

static void one_call_wakes_them_all(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, call_when_told);
	static int numbers[RECEIVERS] = {0, 1, 2, 3};
	long before[RECEIVERS];
	pthread_t t[RECEIVERS];
	int woken = 0;

	listener = c.listener;
	for (int i = 0; i < RECEIVERS; i++)
		NEED(pthread_create(&t[i], NULL, receive_and_answer, &numbers[i]) == 0);
	for (int i = 0; i < 200 && !all_asleep(); i++)
		sleep_ms(10);
	NEED(all_asleep());
	for (int i = 0; i < RECEIVERS; i++)
		before[i] = sleeps(receivers[i]);
	send(c.sock, "c", 1, 0);
	for (int turn = 0; turn < 200 && woken < RECEIVERS; turn++) {
		sleep_ms(10);
		woken = 0;
		for (int i = 0; i < RECEIVERS; i++)
			woken += sleeps(receivers[i]) > before[i];
	}
	printf("one call woke %d of %d\n", woken, RECEIVERS);
	FACT(woken == RECEIVERS, "a call wakes every thread that waits in RECV");
	send(c.sock, "e", 1, 0);
	status_of(c.pid);
	for (int i = 0; i < RECEIVERS; i++)
		pthread_join(t[i], NULL);
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
	one_call_wakes_them_all();
	waits_and_is_interrupted();
	return 0;
}
