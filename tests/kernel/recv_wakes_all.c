/* SPDX-License-Identifier: Apache-2.0
 * Waiting in RECV: who is woken, and by what. Why a listener has one owner, and why that one is called away
 * by a signal.
 */
#include "kernel.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RECEIVERS = 4 };

static int listener;
static _Atomic bool interrupted, over;
static _Atomic int ended;
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
	while (!over) {
		struct seccomp_notif n = {0};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0)
			answer(listener, n.id, 0, 0, 0);
		else if (errno == ENOENT)
			break; /* the last target is gone */
	}
	ended++;
	return NULL;
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

static void on_signal(int sig)
{
	(void)sig;
}

/*
 * The receivers end by ENOENT, or before Linux 6.11, where they would wait for ever, by a signal: by more than
 * one, since one that comes before RECV is forgotten.
 */
static void end_receivers(pthread_t *t)
{
	over = true;
	while (ended < RECEIVERS) {
		for (int i = 0; i < RECEIVERS; i++)
			pthread_kill(t[i], SIGUSR1);
		sleep_ms(10);
	}
	for (int i = 0; i < RECEIVERS; i++)
		pthread_join(t[i], NULL);
}

/*
 * A wait queue since Linux 6.6, and since the same release SYNC_WAKE_UP; before a semaphore, of which a call
 * wakes one waiter.
 */
static bool waits_in_a_queue(void)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 0) == 0 &&
	       ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 0, 0) == 0;
}

/* False: not so in this kernel, and known. */
static bool one_call_wakes_them_all(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, call_when_told);
	static int numbers[RECEIVERS] = {0, 1, 2, 3};
	long before[RECEIVERS];
	pthread_t t[RECEIVERS];
	bool queue;
	int woken = 0;

	listener = c.listener;
	queue = waits_in_a_queue();
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
	if (queue)
		FACT(woken == RECEIVERS, "a call wakes every thread that waits in RECV");
	else
		FACT(woken >= 1, "a call wakes a thread that waits in RECV");
	send(c.sock, "e", 1, 0);
	status_of(c.pid);
	end_receivers(t);
	return queue;
}

static int wait_for_go(int sock)
{
	recv(sock, &(char){0}, 1, 0);
	return 0;
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
	pthread_t t;

	listener = c.listener;
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
	struct sigaction sa = {.sa_handler = on_signal};
	bool all;

	sigaction(SIGUSR1, &sa, NULL);
	all = one_call_wakes_them_all();
	waits_and_is_interrupted();
	if (!all)
		SKIP("all of the above holds, but in this kernel a call wakes one waiter of many (before Linux 6.6)");
	return 0;
}
