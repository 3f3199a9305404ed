/* SPDX-License-Identifier: Apache-2.0
 * neighbour MB WORKERS: one caller's latency while another process of MB MiB keeps forking, so that reading
 * its memory waits for its mmap lock. With one worker everybody waits with it; with more the monitor promotes
 * one.
 */
#include "bench/bare_supervisor.h"
#include "bench/loop.h"
#include "core/notify/pool.h"
#include "core/sys.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { SAMPLES = 3000 };

static const struct bare_call openat_call = {SYS_openat, 1};

static void open_once(void)
{
	close(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static void *fork_for_ever(void *arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return arg;
}

static _Noreturn void big(size_t bytes)
{
	pthread_t t;
	char *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (m == MAP_FAILED)
		_exit(1);
	madvise(m, bytes, MADV_NOHUGEPAGE);
	memset(m, 1, bytes);
	pthread_create(&t, NULL, fork_for_ever, NULL);
	for (;;)
		open_once();
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Under the filter: the neighbour, and whose time it is. */
static int target(unsigned long mb)
{
	static double us[SAMPLES];
	pid_t pid = mb ? fork() : -1;

	if (pid == 0)
		big(mb << 20);
	if (mb)
		sleep(2);
	for (int i = 0; i < SAMPLES; i++) {
		struct timespec nap = {.tv_nsec = 200000};
		uint64_t start = loop_now_ns();

		open_once();
		us[i] = (double)(loop_now_ns() - start) / 1000;
		nanosleep(&nap, NULL);
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0); /* so that its time counts as ours */
	}
	qsort(us, SAMPLES, sizeof(us[0]), by_value);
	printf("%lu MiB neighbour: open p50 %.0f us, p99 %.0f us, max %.0f us", mb, us[SAMPLES / 2],
	       us[SAMPLES * 99 / 100], us[SAMPLES - 1]);
	fflush(stdout);
	return 0;
}

static void serve(void *ctx, struct worker *w, const struct seccomp_notif *notif)
{
	struct seccomp_notif_resp resp = {.id = notif->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	int listener = *(int *)ctx;
	char path[16];
	struct iovec local = {.iov_base = path, .iov_len = 1};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)notif->data.args[1], .iov_len = 1};

	(void)w;
	if (process_vm_readv((pid_t)notif->pid, &local, 1, &remote, 1, 0) < 0 ||
	    ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif->id) < 0)
		return;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

int main(int argc, char **argv)
{
	const struct features features = {.sync_wake_up = true, .io_uring = true};
	struct pool_config config = {.use_uring = true, .features = &features, .serve = serve};
	char *args[] = {argv[0], (char[]){"--target"}, argc > 1 ? argv[1] : NULL, NULL};
	struct pool_stats stats;
	struct pool *pool;
	int listener;
	pid_t pid;

	if (argc == 3 && strcmp(argv[1], "--target") == 0)
		return target(strtoul(argv[2], NULL, 10));
	config.max_workers = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	if (config.max_workers == 0) {
		fprintf(stderr, "usage: neighbour MB WORKERS\n");
		return 2;
	}
	if (bare_start(&openat_call, 1, args, &pid, &listener) < 0)
		return 1;
	config.listener = listener;
	config.ctx = &listener;
	if (pool_start(&config, &pool) < 0)
		return 1;
	waitpid(pid, NULL, 0);
	pool_get_stats(pool, &stats);
	pool_stop(pool);
	pool_free(pool);
	printf("; %u workers, %llu promotions in %llu calls\n", stats.workers,
	       (unsigned long long)stats.promotions, (unsigned long long)stats.notifications);
	return 0;
}
