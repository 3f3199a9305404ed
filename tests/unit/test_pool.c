/* SPDX-License-Identifier: Apache-2.0
 * The pool under targets: who owns the listener, who is promoted, how it ends.
 */
#include "core/notify/pool.h"
#include "tests/unit/test_pool.h"

enum { CALLS = 5000 };

/* Rounds of a stress: as many as said, fewer on a busy machine, never fewer than ten. */
#define ROUNDS(i, n) \
	for (uint64_t i = 0, i##_until = now_ns() + 8000000000u;                    \
	     i < (n) && (i < 10 || now_ns() < i##_until); i++)


/* What a call asks of the test's serve(). */
enum { ECHO, HANG };

struct fixture {
	struct target target;
	struct pool *pool;
	unsigned threads, fds; /* before the pool */
	/* serve() */
	_Atomic unsigned hanging;
	_Atomic bool release;
	_Atomic uint64_t echoed;
	_Atomic int init_error;
	_Atomic unsigned inits, dones;
	_Atomic unsigned wrong; /* hooks called with what is not theirs */
};

static void serve(void *ctx, struct worker *w, const struct seccomp_notif *notif)
{
	struct fixture *f = ctx;

	f->wrong += worker_local(w) != f;
	if (notif->data.args[0] == HANG) {
		atomic_fetch_add(&f->hanging, 1);
		while (!atomic_load(&f->release))
			sleep_ms(1);
		atomic_fetch_sub(&f->hanging, 1);
	} else {
		atomic_fetch_add(&f->echoed, 1);
	}
	reply_value(f->target.listener, notif, (int64_t)notif->data.args[1] + 1);
}

static int worker_init(void *ctx, struct worker *w, void **ret_local)
{
	struct fixture *f = ctx;

	(void)w;
	atomic_fetch_add(&f->inits, 1);
	*ret_local = f;
	return f->init_error;
}

static void worker_done(void *ctx, void *local)
{
	struct fixture *f = ctx;

	f->wrong += local != f;
	atomic_fetch_add(&f->dones, 1);
}

static const struct features features = {.sync_wake_up = true, .io_uring = true};

static void begin(struct fixture *f, int (*body)(void *), void *arg, unsigned max_workers, bool uring)
{
	struct pool_config config = {
		.max_workers = max_workers,
		.use_uring = uring,
		.features = &features,
		.serve = serve,
		.worker_init = worker_init,
		.worker_done = worker_done,
		.ctx = f,
	};

	memset(f, 0, sizeof(*f));
	f->target = target_start(body, arg);
	f->threads = count_entries("/proc/self/task");
	f->fds = count_entries("/proc/self/fd");
	config.listener = f->target.listener;
	assert_int_equal(pool_start(&config, &f->pool), 0);
}

/* Stop, and nothing is left: no thread, no descriptor, each init with its done. */
static void end(struct fixture *f)
{
	struct pool_stats stats;

	f->release = true;
	pool_stop(f->pool);
	pool_get_stats(f->pool, &stats);
	assert_int_equal(stats.left_behind, 0);
	assert_int_equal(stats.error, 0);
	assert_true(stats.workers >= 1);
	assert_int_equal(stats.slow_threads, 0);
	assert_int_equal(f->inits, f->dones);
	assert_int_equal(f->wrong, 0);
	/* A joined thread is listed for a moment more. */
	AWAIT(count_entries("/proc/self/task") == f->threads);
	pool_free(f->pool);
	kill(f->target.pid, SIGKILL);
	target_wait(&f->target);
	/* target_go() closed the socket */
	assert_int_equal(count_entries("/proc/self/fd"), f->fds - (f->target.socket < 0));
	target_done(&f->target);
}

static struct pool_stats stats_of(const struct fixture *f)
{
	struct pool_stats s;

	pool_get_stats(f->pool, &s);
	return s;
}

static void *echo_thread(void *arg)
{
	for (long i = 0; i < CALLS; i++)
		if (trapped_call(ECHO, i) != i + 1)
			return arg;
	return NULL;
}

/* Four threads call; the exit status says whether each answer was its own. */
static int body_echo(void *arg)
{
	pthread_t t[4];
	void *bad = NULL;

	(void)arg;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, echo_thread, t);
	for (int i = 0; i < 4; i++) {
		void *r;

		pthread_join(t[i], &r);
		bad = r ? r : bad;
	}
	return bad != NULL;
}

static void serves_with(bool uring)
{
	struct fixture f;

	begin(&f, body_echo, NULL, 0, uring);
	target_go(&f.target);
	AWAIT(stats_of(&f).ended);
	assert_int_equal(stats_of(&f).notifications, 4 * CALLS);
	assert_int_equal(f.echoed, 4 * CALLS);
	end(&f);
}

static void answers_every_call_once_over_io_uring(void **state)
{
	(void)state;
	serves_with(true);
}

static void answers_every_call_once_over_epoll(void **state)
{
	(void)state;
	serves_with(false);
}

static void *hang_thread(void *arg)
{
	trapped_call(HANG, 0);
	return arg;
}

/* ARG calls that hang, and one thread that goes on calling. */
_Noreturn static int body_hang_and_echo(void *arg)
{
	pthread_t t;

	for (long i = 0; i < (long)arg; i++)
		pthread_create(&t, NULL, hang_thread, NULL);
	for (;;) {
		struct timespec nap = {.tv_nsec = 100000};

		trapped_call(ECHO, 0);
		nanosleep(&nap, NULL);
	}
}

static void others_go_on_while_the_owner_hangs(void **state)
{
	struct fixture f;
	uint64_t then;

	(void)state;
	begin(&f, body_hang_and_echo, (void *)1, 2, true);
	target_go(&f.target);
	AWAIT(f.hanging == 1);
	then = f.echoed;
	AWAIT(f.echoed > then + 200);
	assert_int_equal(f.hanging, 1);
	assert_true(stats_of(&f).promotions >= 1);
	end(&f);
}

/* The positive control: without a follower they do not. */
static void nobody_goes_on_without_a_follower(void **state)
{
	struct fixture f;
	uint64_t then;

	(void)state;
	begin(&f, body_hang_and_echo, (void *)1, 1, true);
	target_go(&f.target);
	AWAIT(f.hanging == 1);
	then = f.echoed;
	sleep_ms(200); /* less than a stuck worker is given before it is replaced */
	assert_true(f.echoed <= then + 1);
	end(&f);
}

static void hanging_workers_are_replaced(unsigned max_workers)
{
	struct fixture f;
	uint64_t then;

	begin(&f, body_hang_and_echo, (void *)6, max_workers, true);
	target_go(&f.target);
	AWAIT(f.hanging == 6);
	then = f.echoed;
	AWAIT(f.echoed > then + 200);
	AWAIT(stats_of(&f).stuck == 6);
	f.release = true;
	AWAIT(stats_of(&f).stuck == 0);
	then = f.echoed;
	AWAIT(f.echoed > then + 200);
	end(&f);
}

static void workers_that_hang_are_replaced(void **state)
{
	(void)state;
	hanging_workers_are_replaced(4);
}

static void a_lone_worker_that_hangs_is_replaced(void **state)
{
	(void)state;
	hanging_workers_are_replaced(1);
}

/* How many threads of ours sit in an ioctl on FD at this moment. */
static unsigned count_receivers(int fd)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(d))) {
		char path[64], text[128] = "";
		unsigned long nr = 0, arg = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/syscall", e->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(text, sizeof(text), file) && sscanf(text, "%lu %lx", &nr, &arg) == 2)
			n += nr == SYS_ioctl && arg == (unsigned long)fd;
		fclose(file);
	}
	closedir(d);
	return n;
}

static void at_most_one_thread_receives(void **state)
{
	struct fixture f;
	unsigned seen = 0;

	(void)state;
	begin(&f, body_hang_and_echo, (void *)3, 0, true);
	target_go(&f.target);
	ROUNDS(i, 500) {
		unsigned n = count_receivers(f.target.listener);

		/* Threads are looked at one after the other: one may have left when the next has come. */
		for (unsigned again = 0; n > 1 && again < 5; again++)
			n = count_receivers(f.target.listener);
		assert_true(n <= 1);
		seen += n;
		if (i % 50 == 49) { /* have owners come back, and hang again */
			f.release = true;
			sleep_ms(3);
			f.release = false;
		}
	}
	assert_true(seen > 0);
	end(&f);
}

static void *naive_receiver(void *arg)
{
	const struct fixture *f = arg;

	for (;;) {
		struct seccomp_notif notif = {0};

		if (ioctl(f->target.listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) == 0)
			reply_value(f->target.listener, &notif, 0);
		else if (errno == ENOENT)
			return NULL;
	}
}

/* Voluntary context switches of all our threads. */
static unsigned long switches(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	unsigned long sum = 0;

	while ((e = readdir(d))) {
		char path[64], text[128];
		unsigned long n;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", e->d_name);
		file = fopen(path, "re");
		while (file && fgets(text, sizeof(text), file))
			if (sscanf(text, "voluntary_ctxt_switches: %lu", &n) == 1)
				sum += n;
		if (file)
			fclose(file);
	}
	closedir(d);
	return sum;
}

static int body_2000_calls(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++)
		trapped_call(ECHO, 0);
	pause();
	return 0;
}

static void a_call_wakes_one_thread(void **state)
{
	struct fixture f;
	unsigned long before, after;

	(void)state;
	begin(&f, body_2000_calls, NULL, 8, true);
	before = switches();
	target_go(&f.target);
	AWAIT(f.echoed == 2000);
	after = switches();
	/* One switch a call, and the monitor's ticks and this thread's. */
	assert_true(after - before < 2000 * 2);
	end(&f);
}

/* The positive control: receivers without an owner are a herd. (On a loaded machine who is not yet back in RECV is not
 * woken again.) */
static void naive_receivers_all_wake(void **state)
{
	struct fixture f = {.threads = 0};
	unsigned long before, after;
	pthread_t t[8];
	int naps = 0;

	(void)state;
	f.target = target_start(body_2000_calls, NULL);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, naive_receiver, &f), 0);
	AWAIT(count_receivers(f.target.listener) == 8);
	before = switches();
	target_go(&f.target);
	do {
		sleep_ms(20);
		after = switches();
	} while (after - before < 2000 * 3 && ++naps < 500);
	assert_true(after - before >= 2000 * 3);
	kill(f.target.pid, SIGKILL);
	target_wait(&f.target);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	target_done(&f.target);
}

static void *endless_thread(void *arg)
{
	for (long i = 0;; i++)
		if (trapped_call(ECHO, i) != i + 1)
			return arg;
}

static int body_endless(void *arg)
{
	pthread_t t;

	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, endless_thread, NULL);
	endless_thread(arg);
	return 0;
}

static void stops_under_load(void **state)
{
	(void)state;
	ROUNDS(i, 100) {
		struct fixture f;

		begin(&f, body_endless, NULL, 0, i % 2);
		target_go(&f.target);
		if (i % 3)
			AWAIT(f.echoed > i);
		end(&f);
	}
}

static void stops_while_all_idle(void **state)
{
	struct fixture f;

	(void)state;
	ROUNDS(i, 100) {
		begin(&f, body_endless, NULL, 0, true);
		end(&f);
	}
	begin(&f, body_2000_calls, NULL, 0, true);
	target_go(&f.target);
	AWAIT(f.echoed == 2000);
	sleep_ms(200); /* the monitor has gone to sleep */
	end(&f);
}

static void stopping_leaves_behind_who_does_not_come(void **state)
{
	static struct fixture f; /* for good: a thread may come back to it */
	struct pool_stats stats;

	(void)state;
	begin(&f, body_hang_and_echo, (void *)2, 0, true);
	target_go(&f.target);
	AWAIT(f.hanging == 2);
	pool_stop(f.pool);
	pool_get_stats(f.pool, &stats);
	assert_int_equal(stats.left_behind, 2);
	pool_free(f.pool); /* keeps what they need: */
	f.release = true;
	AWAIT(f.inits == f.dones);
	AWAIT(count_entries("/proc/self/task") == f.threads);
	kill(f.target.pid, SIGKILL);
	target_wait(&f.target);
	target_done(&f.target);
}

static void ends_when_targets_are_killed_at_any_moment(void **state)
{
	uint64_t gone = 0;

	(void)state;
	ROUNDS(i, 300) {
		struct fixture f;

		begin(&f, body_endless, NULL, 0, i % 2);
		target_go(&f.target);
		for (volatile unsigned spin = 0; spin < i * 977 % 100000; spin++)
			;
		kill(f.target.pid, SIGKILL);
		target_wait(&f.target);
		f.target.pid = fork(); /* for end() to kill */
		if (f.target.pid == 0) {
			pause();
			_exit(0);
		}
		AWAIT(stats_of(&f).ended);
		gone += stats_of(&f).gone;
		end(&f);
	}
	print_message("%lu callers were gone at RECV\n", (unsigned long)gone);
}

static void a_worker_that_cannot_start_is_an_error(void **state)
{
	struct fixture f = {.init_error = -ENOMEM};
	struct pool_config config = {.serve = serve, .worker_init = worker_init, .ctx = &f};
	unsigned threads, fds;

	(void)state;
	f.target = target_start(body_endless, NULL);
	threads = count_entries("/proc/self/task");
	fds = count_entries("/proc/self/fd");
	config.listener = f.target.listener;
	assert_int_equal(pool_start(&config, &f.pool), -ENOMEM);
	AWAIT(count_entries("/proc/self/task") == threads); /* a joined thread is listed for a moment more */
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	config.listener = -1;
	assert_int_equal(pool_start(&config, &f.pool), -EINVAL);
	kill(f.target.pid, SIGKILL);
	target_wait(&f.target);
	target_done(&f.target);
}

static void a_descriptor_that_is_no_listener_ends_the_pool(void **state)
{
	struct pool_config config = {.serve = serve};
	struct pool_stats stats;
	struct pool *pool;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	config.listener = pair[0];
	assert_int_equal(pool_start(&config, &pool), 0);
	do
		pool_get_stats(pool, &stats);
	while (!stats.ended);
	assert_int_equal(stats.error, -ENOTTY);
	pool_stop(pool);
	pool_free(pool);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_every_call_once_over_io_uring),
		cmocka_unit_test(answers_every_call_once_over_epoll),
		cmocka_unit_test(others_go_on_while_the_owner_hangs),
		cmocka_unit_test(nobody_goes_on_without_a_follower),
		cmocka_unit_test(workers_that_hang_are_replaced),
		cmocka_unit_test(a_lone_worker_that_hangs_is_replaced),
		cmocka_unit_test(at_most_one_thread_receives),
		cmocka_unit_test(a_call_wakes_one_thread),
		cmocka_unit_test(naive_receivers_all_wake),
		cmocka_unit_test(stops_under_load),
		cmocka_unit_test(stops_while_all_idle),
		cmocka_unit_test(stopping_leaves_behind_who_does_not_come),
		cmocka_unit_test(ends_when_targets_are_killed_at_any_moment),
		cmocka_unit_test(a_worker_that_cannot_start_is_an_error),
		cmocka_unit_test(a_descriptor_that_is_no_listener_ends_the_pool),
	};

	return cmocka_run_group_tests_name("pool", tests, prepare, NULL);
}
