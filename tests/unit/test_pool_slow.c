/* SPDX-License-Identifier: Apache-2.0
 * Slow jobs: on threads that are as confined as the workers whoever submits, capped, interruptible, and
 * never interrupted by what was meant for the job before.
 */
#include "core/notify/pool.h"
#include "tests/unit/test_pool.h"

#include <linux/landlock.h>
#include <sched.h>
#include <sys/stat.h>

struct fixture {
	struct target target;
	struct pool *pool;
	unsigned max_slow;
	unsigned threads;
	bool confine, confined_by_landlock;
	int start_result;
	_Atomic int init_failures; /* so many inits of slow threads fail */
	_Atomic bool started;
	/* jobs */
	_Atomic unsigned running, done;
	_Atomic bool release;
	_Atomic uint64_t token;
	_Atomic int result;
	_Atomic int no_new_privs, open_errno, local_is_ours;
	_Atomic unsigned interrupted, spin;
	const char *path;
};

static void serve(void *ctx, struct worker *w, const struct seccomp_notif *notif)
{
	struct fixture *f = ctx;

	(void)w;
	reply_value(f->target.listener, notif, 0);
}

static int worker_init(void *ctx, struct worker *w, void **ret_local)
{
	struct fixture *f = ctx;

	(void)w;
	*ret_local = f;
	if (atomic_load(&f->started) && atomic_fetch_sub(&f->init_failures, 1) > 0)
		return -ENOMEM;
	return 0;
}

static int body_idle(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

/* A domain in which nothing can be read. False: no Landlock here. */
static bool landlock_nothing(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	bool done;

	if (fd < 0)
		return false;
	done = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	close(fd);
	return done;
}

static const struct features features = {.sync_wake_up = true, .io_uring = true};

static void *start_main(void *arg)
{
	struct fixture *f = arg;
	struct pool_config config = {
		.listener = f->target.listener,
		.max_slow = f->max_slow,
		.use_uring = true,
		.features = &features,
		.serve = serve,
		.worker_init = worker_init,
		.ctx = f,
	};

	if (f->confine) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		f->confined_by_landlock = landlock_nothing();
	}
	f->start_result = pool_start(&config, &f->pool);
	return NULL;
}

/* The pool is started by a thread of its own, as the confined thread is in a run. */
static void begin(struct fixture *f, unsigned max_slow)
{
	pthread_t t;

	f->max_slow = max_slow;
	f->target = target_start(body_idle, NULL);
	f->threads = count_entries("/proc/self/task");
	assert_int_equal(pthread_create(&t, NULL, start_main, f), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(f->start_result, 0);
	f->started = true;
}

static void end(struct fixture *f)
{
	struct pool_stats stats;

	pool_stop(f->pool);
	pool_get_stats(f->pool, &stats);
	assert_int_equal(stats.left_behind, 0);
	assert_int_equal(stats.slow_threads, 0);
	/* A joined thread is listed for a moment more. */
	AWAIT(count_entries("/proc/self/task") == f->threads);
	pool_free(f->pool);
	kill(f->target.pid, SIGKILL);
	target_wait(&f->target);
	target_done(&f->target);
}

static void job_wait(void *arg, void *local)
{
	struct fixture *f = arg;

	(void)local;
	atomic_fetch_add(&f->running, 1);
	while (!atomic_load(&f->release))
		sleep_ms(1);
	atomic_fetch_sub(&f->running, 1);
	atomic_fetch_add(&f->done, 1);
}

static int submit_for(struct pool *p, pid_t key, void (*run)(void *arg, void *local), struct fixture *f)
{
	return pool_submit_slow(p, &(struct slow_job){.run = run, .arg = f, .key = key});
}

static int submit_waiting(struct fixture *f, pid_t key)
{
	return pool_submit_slow(f->pool, &(struct slow_job){.run = job_wait, .arg = f, .key = key, .may_wait = true});
}

static unsigned waiting(const struct fixture *f)
{
	struct pool_stats stats;

	pool_get_stats(f->pool, &stats);
	return stats.slow_waiting;
}

static void past_the_cap_the_submitter_is_told(void **state)
{
	struct fixture f = {.running = 0};

	(void)state;
	begin(&f, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(submit_for(f.pool, 0, job_wait, &f), 0);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), -EAGAIN);
	AWAIT(f.running == 8);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), -EAGAIN);
	f.release = true;
	AWAIT(f.done == 8);
	AWAIT(f.running == 0);
	/* A thread may not be back from its job yet. */
	AWAIT(submit_for(f.pool, 0, job_wait, &f) == 0);
	AWAIT(f.done == 9);
	end(&f);
}

static void one_target_gets_a_quarter(void **state)
{
	struct fixture f = {.running = 0};

	(void)state;
	begin(&f, 8);
	assert_int_equal(submit_for(f.pool, 11, job_wait, &f), 0);
	assert_int_equal(submit_for(f.pool, 11, job_wait, &f), 0);
	assert_int_equal(submit_for(f.pool, 11, job_wait, &f), -EAGAIN);
	assert_int_equal(submit_for(f.pool, 12, job_wait, &f), 0);
	AWAIT(f.running == 3);
	f.release = true;
	AWAIT(f.done == 3);
	AWAIT(submit_for(f.pool, 11, job_wait, &f) == 0);
	end(&f);
	assert_int_equal(f.done, 4);
}

static void what_may_wait_runs_when_there_is_a_thread(void **state)
{
	struct fixture f = {.running = 0};

	(void)state;
	begin(&f, 8);
	/* Two run and two wait for each of four, whose jobs take all threads and all places to wait. */
	for (pid_t key = 11; key < 15; key++) {
		for (int i = 0; i < 4; i++)
			assert_int_equal(submit_waiting(&f, key), 0);
		assert_int_equal(submit_waiting(&f, key), -EAGAIN);
	}
	assert_int_equal(submit_waiting(&f, 15), -EAGAIN);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), -EAGAIN);
	AWAIT(f.running == 8);
	assert_int_equal(waiting(&f), 8);
	f.release = true;
	AWAIT(f.done == 16);
	assert_int_equal(waiting(&f), 0);
	AWAIT(submit_waiting(&f, 11) == 0);
	end(&f);
	assert_int_equal(f.done, 17);
}

static void what_waits_for_its_own_holds_up_nobody_else(void **state)
{
	struct fixture f = {.running = 0};

	(void)state;
	begin(&f, 8);
	for (int i = 0; i < 4; i++)
		assert_int_equal(submit_waiting(&f, 11), 0);
	assert_int_equal(submit_waiting(&f, 12), 0);
	AWAIT(f.running == 3);
	assert_int_equal(waiting(&f), 2);
	f.release = true;
	AWAIT(f.done == 5);
	end(&f);
}

static void what_is_awaited_has_threads_of_its_own(void **state)
{
	struct fixture f = {.running = 0};
	struct slow_job awaited = {.run = job_wait, .arg = &f, .may_wait = true, .awaited = true};

	(void)state;
	begin(&f, 32);
	for (int i = 0; i < 30; i++)
		assert_int_equal(submit_for(f.pool, 0, job_wait, &f), 0);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), -EAGAIN);
	AWAIT(f.running == 30);
	for (int i = 0; i < 40; i++)
		assert_int_equal(pool_submit_slow(f.pool, &awaited), 0);
	AWAIT(f.running == 32);
	assert_int_equal(waiting(&f), 38);
	f.release = true;
	AWAIT(f.done == 70);
	end(&f);
}

static void job_look(void *arg, void *local)
{
	struct fixture *f = arg;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	f->open_errno = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	f->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	f->local_is_ours = local == f;
	atomic_fetch_add(&f->done, 1);
}

static void a_job_is_confined_whoever_submits_it(void **state)
{
	struct fixture f = {.confine = true};

	(void)state;
	begin(&f, 4);
	assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0); /* this thread is not */
	assert_int_equal(submit_for(f.pool, 0, job_look, &f), 0);
	AWAIT(f.done == 1);
	assert_int_equal(f.no_new_privs, 1);
	assert_int_equal(f.local_is_ours, 1);
	if (f.confined_by_landlock)
		assert_int_equal(f.open_errno, EACCES);
	else
		print_message("no Landlock here: only no_new_privs was compared\n");
	/* The positive control: a thread that the submitter makes itself can read. */
	job_look(&f, NULL);
	assert_int_equal(f.open_errno, 0);
	end(&f);
}

static void a_thread_that_cannot_start_is_tried_again(void **state)
{
	struct fixture f = {.init_failures = 3};
	struct pool_stats stats;

	(void)state;
	begin(&f, 4);
	assert_int_equal(submit_for(f.pool, 0, job_look, &f), 0);
	AWAIT(f.done == 1);
	pool_get_stats(f.pool, &stats);
	assert_int_equal(stats.spawn_errors, 3);
	end(&f);
}

static void job_open_fifo(void *arg, void *local)
{
	struct fixture *f = arg;
	int fd;

	(void)local;
	atomic_store(&f->token, pool_slow_self());
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	f->result = fd < 0 ? -errno : fd;
	if (fd >= 0)
		close(fd);
	atomic_fetch_add(&f->done, 1);
}

static void with_fifo(struct fixture *f, void (*test)(struct fixture *f))
{
	char dir[] = "/tmp/test_pool.XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	f->path = path;
	test(f);
	unlink(path);
	rmdir(dir);
}

static void interrupt_fifo(struct fixture *f)
{
	uint64_t token;

	begin(f, 4);
	assert_int_equal(submit_for(f->pool, 0, job_open_fifo, f), 0);
	AWAIT(f->token != 0);
	token = f->token;
	sleep_ms(20);
	assert_int_equal(f->done, 0);
	AWAIT(!pool_interrupt_slow(f->pool, token) || f->done);
	AWAIT(f->done == 1);
	assert_int_equal(f->result, -EINTR);
	AWAIT(!pool_interrupt_slow(f->pool, token)); /* its name is not the next one's */
	assert_false(pool_interrupt_slow(f->pool, 0));
	assert_false(pool_interrupt_slow(f->pool, 12345));
	end(f);
}

static void a_blocking_open_can_be_interrupted(void **state)
{
	struct fixture f = {.running = 0};

	(void)state;
	with_fifo(&f, interrupt_fifo);
}

static void stop_with_fifo(struct fixture *f)
{
	begin(f, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(submit_for(f->pool, 0, job_open_fifo, f), 0);
	end(f); /* whether or not a thread was made for it by now */
	assert_int_equal(f->done, 4);
	assert_int_equal(f->result, -EINTR);
}

static void stopping_interrupts_what_blocks_and_drops_no_job(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct fixture f = {.running = 0};

		with_fifo(&f, stop_with_fifo);
	}
}

static void stopping_leaves_behind_a_job_that_ignores_it(void **state)
{
	static struct fixture f; /* for good: a thread may come back to it */
	struct pool_stats stats;

	(void)state;
	begin(&f, 4);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), 0);
	AWAIT(f.running == 1);
	pool_stop(f.pool);
	pool_get_stats(f.pool, &stats);
	assert_int_equal(stats.left_behind, 1);
	assert_int_equal(submit_for(f.pool, 0, job_wait, &f), -EAGAIN);
	pool_free(f.pool); /* keeps what it needs: */
	f.release = true;
	AWAIT(f.done == 1);
	AWAIT(count_entries("/proc/self/task") == f.threads);
	kill(f.target.pid, SIGKILL);
	target_wait(&f.target);
	target_done(&f.target);
}

static void stop_with_waiting(struct fixture *f)
{
	struct slow_job job = {.run = job_open_fifo, .arg = f, .may_wait = true};

	begin(f, 4);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pool_submit_slow(f->pool, &job), 0);
	end(f);
	assert_int_equal(f->done, 8);
	assert_int_equal(f->result, -EINTR);
}

static void stopping_runs_what_waits_too(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct fixture f = {.running = 0};

		with_fifo(&f, stop_with_waiting);
	}
}

static void job_short(void *arg, void *local)
{
	struct fixture *f = arg;

	(void)local;
	atomic_store(&f->token, pool_slow_self());
	while (!atomic_load(&f->release))
		sched_yield();
	for (volatile unsigned spin = 0; spin < f->spin; spin++)
		;
	atomic_fetch_add(&f->done, 1);
}

static void job_nap(void *arg, void *local)
{
	struct fixture *f = arg;
	struct timespec nap = {.tv_nsec = 20000};

	(void)local;
	if (nanosleep(&nap, NULL) < 0)
		atomic_fetch_add(&f->interrupted, 1);
	atomic_fetch_add(&f->done, 1);
}

static void a_late_poke_never_hits_the_next_job(void **state)
{
	struct fixture f = {.running = 0};
	uint64_t until = now_ns() + 4000000000u;
	unsigned sent = 0;

	(void)state;
	begin(&f, 1); /* one thread runs them all */
	for (unsigned i = 0; i < 3000 && now_ns() < until; i++) {
		f.token = 0;
		f.done = 0;
		f.release = false;
		while (submit_for(f.pool, 0, job_short, &f))
			sched_yield();
		while (f.token == 0)
			sched_yield();
		f.spin = i * 31 % 3000;
		f.release = true;
		for (volatile unsigned spin = 0; spin < i * 17 % 3000; spin++)
			;
		sent += pool_interrupt_slow(f.pool, f.token);
		while (submit_for(f.pool, 0, job_nap, &f))
			sched_yield();
		while (f.done < 2)
			sched_yield();
	}
	assert_true(sent > 0);
	assert_int_equal(f.interrupted, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(past_the_cap_the_submitter_is_told),
		cmocka_unit_test(one_target_gets_a_quarter),
		cmocka_unit_test(what_may_wait_runs_when_there_is_a_thread),
		cmocka_unit_test(what_waits_for_its_own_holds_up_nobody_else),
		cmocka_unit_test(what_is_awaited_has_threads_of_its_own),
		cmocka_unit_test(a_job_is_confined_whoever_submits_it),
		cmocka_unit_test(a_thread_that_cannot_start_is_tried_again),
		cmocka_unit_test(a_blocking_open_can_be_interrupted),
		cmocka_unit_test(stopping_interrupts_what_blocks_and_drops_no_job),
		cmocka_unit_test(stopping_runs_what_waits_too),
		cmocka_unit_test(stopping_leaves_behind_a_job_that_ignores_it),
		cmocka_unit_test(a_late_poke_never_hits_the_next_job),
	};

	return cmocka_run_group_tests_name("slow", tests, prepare, NULL);
}
