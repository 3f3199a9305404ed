/* SPDX-License-Identifier: Apache-2.0
 * One run, from options to exit status: policy, plan, the parts that watch, launch, wait, summary.
 */
#include "core/run_impl.h"

#include "core/cleanup.h"
#include "core/environment.h"
#include "core/limits.h"
#include "core/peak_memory.h"
#include "core/private_dir.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t tv_us(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

void run_say_error(const char *text)
{
	fprintf(stderr, "sluice: %s\n", text);
}

static void collect(const struct run *run, struct run_stats *ret)
{
	const struct supervisor *sup = &run->sup;
	struct pool_stats pool = {0};
	struct rusage usage;

	if (sup->pool)
		pool_get_stats(sup->pool, &pool);
	getrusage(RUSAGE_SELF, &usage);
	*ret = (struct run_stats){
		.notifications = pool.notifications, .continued = sup->continued, .emulated = sup->emulated,
		.refused = sup->refused, .asked = sup->asked, .gone = pool.gone, .promotions = pool.promotions,
		.cache_hits = sup->cache ? sup->cache->hits : 0,
		.cache_misses = sup->cache ? sup->cache->misses : 0,
		.slow_jobs = pool.slow_jobs, .errors = sup->errors, .workers = pool.workers,
		.supervisor_user_us = tv_us(usage.ru_utime), .supervisor_system_us = tv_us(usage.ru_stime),
		.max_rss_kib = peak_memory_kib(), .wall_us = now_us() - run->started_us,
	};
}

static void drop_probe(struct run *run)
{
	features_probe_drop(run->probe);
	run->probe = NULL;
}

static void drop_tmpdir(struct run *run)
{
	private_dir_remove(run->tmpdir);
	if (run->tmpdir_lock >= 0)
		close(take_fd(&run->tmpdir_lock));
	private_dir_sweep(run->tmpdir);
}

static void run_done(struct run *run)
{
	struct pool_stats pool = {0};

	drop_probe(run);
	if (run->sup.pool) {
		pool_stop(run->sup.pool);
		pool_get_stats(run->sup.pool, &pool);
	}
	control_stop(run->control);
	/* A thread that hangs in the kernel may come back to all of this; the process ends anyway. */
	if (pool.left_behind) {
		drop_tmpdir(run);
		return;
	}
	if (run->sup.pool)
		pool_free(run->sup.pool);
	if (run->launch)
		launch_free(run->launch);
	if (run->asker)
		asker_free(run->asker);
	control_free(run->control);
	if (run->observer)
		observer_free(run->observer);
	memo_free(run->sup.memo);
	cache_free(run->sup.cache);
	environment_free(run->envp);
	runtime_free(run->runtime);
	plan_free(run->plan);
	policy_free(run->policy);
	drop_tmpdir(run);
	free(run->answers);
	free(run->program);
	free(run->home);
}

/* The exit code, or the signal in *RET_WSTATUS that sluice has to die of. */
static int run_all(struct run *run, int *ret_wstatus)
{
	struct run_stats stats;
	uint64_t refusals;
	int r, wstatus = 0;

	run->most_open = limits_raise();
	r = features_probe_begin(&run->probe);
	if (r < 0) {
		fprintf(stderr, "sluice: this kernel can't be examined: %s\n", strerror(-r));
		return EXIT_NOT_STARTED;
	}
	r = private_dir_make(run->tmpdir, sizeof(run->tmpdir), &run->tmpdir_lock);
	if (r < 0) {
		fprintf(stderr, "sluice: no private temporary directory in %s: %s\n", private_dir_parent(),
			strerror(-r));
		return EXIT_NOT_STARTED;
	}
	/* What may be refused before what may be written over. */
	if (run_load(run) < 0 || run_check_gate(run) < 0 || run_open_control(run) < 0 || run_make_watchers(run) < 0)
		return EXIT_NOT_STARTED;
	run->envp = environment_make(run->policy, run->tmpdir, run->gate_library);
	if (!run->envp)
		return EXIT_NOT_STARTED;
	r = run_start(run);
	drop_probe(run);
	if (r)
		return r;
	if (run_start_control(run) < 0 && run->options->prompt == PROMPT_SOCKET) {
		run_say_error("--prompt socket: the control socket can't be made");
		launch_kill_tree(run->launch);
	}
	r = launch_wait(run->launch, &wstatus);
	if (r < 0) {
		fprintf(stderr, "sluice: the command is lost: %s\n", strerror(-r));
		return EXIT_NOT_STARTED;
	}
	if (run->asker)
		asker_stop(run->asker); /* its thread observes, too */
	if (run->sup.pool)
		pool_stop(run->sup.pool);
	control_stop(run->control);
	collect(run, &stats);
	refusals = observer_refusals(run->observer);
	observer_finish(run->observer, wstatus, &stats);
	if (run->options->ended)
		run->options->ended(run->options->ctx, wstatus);
	*ret_wstatus = wstatus;
	if (WIFSIGNALED(wstatus))
		return 128 + WTERMSIG(wstatus);
	if (WEXITSTATUS(wstatus) == 0 && refusals && run->options->fail_denied)
		return 1;
	return WEXITSTATUS(wstatus);
}

int run_command(const struct run_options *options)
{
	static struct run run = {.tmpdir_lock = -EBADF};
	int wstatus = 0, code;

	mallopt(M_ARENA_MAX, 1); /* threads rarely allocate, and each would map one more first */
	run.options = options;
	run.started_us = now_us();
	code = run_all(&run, &wstatus);
	run_done(&run);
	if (WIFSIGNALED(wstatus))
		launch_exit_like(wstatus);
	return code;
}
