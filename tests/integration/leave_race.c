/* SPDX-License-Identifier: Apache-2.0
 * leave_race LEADERS THREADS: a thread makes a file its own (mode 0600) by a descriptor that it shares with its
 * process's first thread, until that one leaves their table in the middle of a call and has another file under the
 * number. Exit status 1 if a call reached that.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RACE_MS 1500
#define CALL_NS 200000 /* about what one takes */

static int shared;
static atomic_int calls, left;

static void *act(void *arg)
{
	/* What comes after the other one left is answered, too, one way or the other. */
	for (bool last = false; !last; atomic_fetch_add(&calls, 1)) {
		last = atomic_load(&left);
		fchmod(shared, 0600);
	}
	return arg;
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void leave_at(long long ns, const char *leaders)
{
	int own = open(leaders, O_RDWR);
	pthread_t thread;

	if (own < 0 || pthread_create(&thread, NULL, act, NULL))
		_exit(2);
	while (!atomic_load(&calls))
		sched_yield();
	for (ns += now_ns(); now_ns() < ns;)
		;
	if (unshare(CLONE_FILES) < 0 || dup2(own, shared) < 0)
		_exit(2);
	atomic_store(&left, 1);
	pthread_join(thread, NULL);
	_exit(0);
}

static int mode(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -1 : (int)(st.st_mode & 0777);
}

int main(int argc, char **argv)
{
	long long end = now_ns() + RACE_MS * 1000000LL;
	unsigned rounds = 0;

	shared = argc == 3 ? open(argv[2], O_RDWR) : -1;
	if (shared < 0)
		return 2;
	for (; now_ns() < end; rounds++) {
		int status = 2;
		pid_t pid = fork();

		if (pid == 0)
			leave_at(random() % CALL_NS, argv[1]);
		if (waitpid(pid, &status, 0) != pid || status)
			return 2;
		if (mode(argv[1]) != 0644)
			return 1;
	}
	printf("%u rounds\n", rounds);
	return mode(argv[2]) == 0600 ? 0 : 2; /* what is not refused has to work */
}
