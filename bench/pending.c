/* SPDX-License-Identifier: Apache-2.0
 * pending N DIR: the latency of an open for one process while N threads of another wait for the answers to N
 * questions. Below `sluice run --prompt socket` with a policy that asks about reading DIR/asked; what is
 * measured is DIR/plain, which the policy allows.
 */
#include "bench/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 5000, DIRS = 6, STACK = 65536 };

static const char *dir;
static atomic_uint *asking, *answered; /* shared */

static void name_of(char *buf, size_t size, unsigned i)
{
	snprintf(buf, size, "%s/asked/%u/%u", dir, i % DIRS, i / DIRS);
}

static void *ask(void *arg)
{
	char name[4096];

	name_of(name, sizeof(name), (unsigned)(uintptr_t)arg);
	atomic_fetch_add(asking, 1);
	close(open(name, O_RDONLY | O_CLOEXEC));
	atomic_fetch_add(answered, 1);
	return NULL;
}

static _Noreturn void asker(unsigned n)
{
	pthread_attr_t attr;
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&t, &attr, ask, (void *)(uintptr_t)i))
			_exit(1);
	for (;;)
		pause();
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(unsigned pending)
{
	static double us[SAMPLES];
	char plain[4096];
	int failed = 0;

	snprintf(plain, sizeof(plain), "%s/plain", dir);
	for (int i = 0; i < SAMPLES; i++) {
		struct timespec nap = {.tv_nsec = 100000};
		uint64_t start = loop_now_ns();
		int fd = open(plain, O_RDONLY | O_CLOEXEC);

		us[i] = (double)(loop_now_ns() - start) / 1000;
		failed += fd < 0;
		close(fd);
		nanosleep(&nap, NULL);
	}
	qsort(us, SAMPLES, sizeof(us[0]), by_value);
	printf("pending %5u  median %7.1f us  p99 %7.1f us  max %8.1f us  failed %d\n", pending,
	       us[SAMPLES / 2], us[SAMPLES * 99 / 100], us[SAMPLES - 1], failed);
}

static void make_files(unsigned n)
{
	char name[4096];

	snprintf(name, sizeof(name), "%s/plain", dir);
	close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	snprintf(name, sizeof(name), "%s/asked", dir);
	mkdir(name, 0700);
	for (unsigned i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "%s/asked/%u", dir, i);
		mkdir(name, 0700);
	}
	for (unsigned i = 0; i < n; i++) {
		name_of(name, sizeof(name), i);
		close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	struct timespec second = {.tv_sec = 1};
	atomic_uint *shared;
	pid_t pid;

	dir = argc > 2 ? argv[2] : ".";
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	asking = shared;
	answered = shared + 1;
	make_files(n);
	measure(0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		asker(n);
	for (int left = 60; atomic_load(asking) < n && left > 0; left--)
		nanosleep(&second, NULL);
	nanosleep(&second, NULL);
	measure(n);
	printf("waiting at the end: %u of %u\n", n - atomic_load(answered), n);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return atomic_load(answered) != 0;
}
