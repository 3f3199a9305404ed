/* SPDX-License-Identifier: Apache-2.0
 * One run, from options to exit status: policy, plan, the parts that watch, launch, wait, summary.
 */
#include "core/run.h"

#include "core/ask/answers.h"
#include "core/cleanup.h"
#include "core/control/control.h"
#include "core/control/rundir.h"
#include "core/environment.h"
#include "core/exec_check.h"
#include "core/features.h"
#include "core/gate.h"
#include "core/launch/launch.h"
#include "core/limits.h"
#include "core/observe/observe.h"
#include "core/private_dir.h"
#include "core/reply/terminal.h"
#include "core/resolve_literal.h"
#include "core/supervisor.h"
#include "core/sys.h"
#include "core/target/creds.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define EXIT_NOT_STARTED 125

/* Everything a run holds; done in the opposite order. */
struct run {
	const struct run_options *options;
	struct features_probe *probe; /* while it is under way */
	struct features features;
	char tmpdir[PATH_MAX];
	const char *gate_library; /* NULL without --gate on */
	struct policy *policy;
	struct plan *plan;
	char **envp;
	struct observer *observer;
	struct asker *asker;
	struct control *control; /* NULL: no place for its socket */
	struct runtime *runtime;
	struct plan_caps caps;
	struct ruleset rules;
	struct supervisor sup;
	struct launch *launch;
	unsigned most_open; /* descriptors of this process */
	char *home, *answers;
	uint64_t started_us;
};

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

static void say_error(const char *text)
{
	fprintf(stderr, "sluice: %s\n", text);
}

/* The objects of denials are known by their inode: held open, no other file can get it when they are
 * removed. The descriptors live as long as the run. */
static void pin_named_objects(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_named; i++)
		plan_pin(&plan->named[i]);
}

static bool can_supervise(const struct features *f)
{
	return f->user_notif && !f->listener_busy && (f->process_vm_readv || f->proc_mem);
}

/* For plan_caps. NULL: there is a listener in force already, or nothing is missing. */
static const char *why_unsupervised(const struct features *f)
{
	if (f->listener_busy)
		return NULL;
	if (!f->user_notif)
		return "seccomp user notification is not there (before Linux 5.9) or forbidden here:";
	if (!f->process_vm_readv && !f->proc_mem)
		return "a command's memory can't be read here (Yama, or a container's seccomp profile):";
	return NULL;
}

static struct features_probe *take_probe(struct run *run)
{
	struct features_probe *p = run->probe;

	run->probe = NULL;
	return p;
}

/* What every program of the command loads under --gate on, or NULL. */
static const char *gate_library(const struct run_options *o)
{
	static char path[PATH_MAX];

	return o->gate && gate_find_library(path, sizeof(path)) ? path : NULL;
}

/* The program that answers runs outside of it all, and many look for parts of themselves where they lie: a Python
 * script imports what is beside it first. So nothing may be made there. */
static int check_program(const struct run *run, const char *program)
{
	_cleanup_free_ char *real = realpath(program, NULL), *beside = NULL;
	char *slash = real ? strrchr(real, '/') : NULL;
	struct verdict v;
	int n;

	if (!slash) {
		fprintf(stderr, "sluice: --prompt exec:%s: %s\n", program, strerror(errno));
		return -EINVAL;
	}
	*slash = '\0';
	n = asprintf(&beside, "%s/beside", real);
	if (n < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	v = policy_decide(run->policy, OP_CREATE, beside, (size_t)n);
	if (v.action >= ACTION_DENY)
		return 0;
	fprintf(stderr,
		"sluice: --prompt exec:%s: the command may make files beside it, which it could take for parts of "
		"itself: put it into a directory that is not the command's, or add --never 'w:%s'\n",
		program, real);
	return -EINVAL;
}

/* The kernel is probed meanwhile: its child needs a millisecond to get ready. */
static int load(struct run *run)
{
	struct policy_options policy;
	const struct run_options *o = run->options;
	const char *protect[4] = {NULL};
	struct policy_error error;
	unsigned n = 0;

	/* By number: a pipe, or a terminal that the command writes to as well. */
	if (o->record && strncmp(o->record, "/dev/fd/", 8) != 0)
		protect[n++] = o->record;
	if (o->stats)
		protect[n++] = o->stats;
	if (o->prompt_program)
		protect[n++] = o->prompt_program;
	policy = o->policy;
	policy.own_file = run->gate_library = gate_library(o);
	if (policy_load(&policy, run->tmpdir, protect, &run->policy, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -EINVAL;
	}
	if (o->prompt_program && check_program(run, o->prompt_program) < 0)
		return -EINVAL;
	features_probe_finish(take_probe(run), &run->features);
	if (!run->features.openat2) {
		say_error("openat2 is not there (before Linux 5.6), or a container's seccomp profile forbids it: "
			  "no name can be resolved safely");
		return -ENOSYS;
	}
	run->caps = (struct plan_caps){
		.landlock_abi = o->policy.emulate ? 0 : run->features.landlock_abi,
		.supervisor = can_supervise(&run->features),
		.unsupervised = why_unsupervised(&run->features),
		.ptrace_exec = run->features.ptrace, .privileged = creds_privileged(),
		.record = o->record || o->listener, .record_stat = o->record_stat,
	};
	if (policy_plan(run->policy, &run->caps, &run->plan, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -EINVAL;
	}
	pin_named_objects(run->plan);
	return 0;
}

static void end_tree(void *ctx)
{
	struct run *run = ctx;

	if (run->launch)
		launch_kill_tree(run->launch);
}

static bool asks_anything(const struct policy *policy)
{
	for (unsigned op = 0; op < OP_COUNT; op++)
		if (policy_asks(policy, op))
			return true;
	return false;
}

static void on_change(void *ctx)
{
	const struct run *run = ctx;

	control_wake(run->control);
}

static void on_decision(void *ctx, const struct decision *d)
{
	const struct run *run = ctx;

	observe_decision(run->observer, d);
}

static int watchers(struct run *run)
{
	static const enum ask_front fronts[] = {
		[PROMPT_TTY] = ASK_TERMINAL, [PROMPT_SOCKET] = ASK_CLIENTS, [PROMPT_NONE] = ASK_NOBODY,
		[PROMPT_EXEC] = ASK_PROGRAM,
	};
	const struct run_options *o = run->options;
	struct observer_config observer = {
		.policy = run->policy, .plan = run->plan, .record_path = o->record, .stats_path = o->stats,
		.listener = o->listener, .listener_ctx = o->ctx, .looks = o->record_stat,
		.tmpdir = run->tmpdir, .run_name = o->name, .argv = o->argv, .verbose = o->verbose,
		.quiet = o->quiet,
	};
	struct asker_config asker = {
		.timeout_s = o->prompt_timeout_s, .front = fronts[o->prompt], .program = o->prompt_program,
		.command = o->argv[0], .end_tree = end_tree, .changed = on_change, .decided = on_decision, .ctx = run,
		.later = !asks_anything(run->policy),
	};
	struct policy_error error;

	if (observer_new(&observer, &run->observer, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -EINVAL;
	}
	answers_where(&run->answers, &run->home);
	/* A call that waits holds five descriptors at most; some are for everybody else. */
	asker.most_waiting = run->most_open > 1024 ? (run->most_open - 512) / 5 : run->most_open / 10;
	asker.answers = run->answers;
	asker.home = run->home;
	return asker_new(&asker, &run->asker);
}

/* `allow call` of one of these lets a target see other mounts or another root. */
static bool view_may_differ(const struct policy *policy)
{
	static const char *const calls[] = {"chroot", "unshare", "setns", "clone", "clone3", "mount", "umount2",
					    "pivot_root", "move_mount", "open_tree", "fsmount"};

	for (const char *const *c = policy_allowed_calls(policy); c && *c; c++)
		for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			if (strcmp(*c, calls[i]) == 0)
				return true;
	return false;
}

/* On the confined thread: from here on everything that serves the target is started. */
static int prepare_workers(void *ctx, pid_t warden)
{
	struct run *run = ctx;
	struct supervisor *sup = &run->sup;
	struct stat ns;
	struct pool_config config = {
		.max_workers = run->options->workers,
		.use_uring = run->options->backend == BACKEND_URING ||
			     (run->options->backend == BACKEND_AUTO && run->features.io_uring),
		.features = &run->features, .serve = supervise_notification,
		.worker_init = supervise_worker_init, .worker_done = supervise_worker_done, .ctx = sup,
	};

	sup->warden = warden;
	sup->self = getpid();
	sup->mnt_ns = stat("/proc/self/ns/mnt", &ns) == 0 ? ns.st_ino : 0;
	/* Landlock keeps the tree from other processes' secrets, but for those who may look at the
	 * performance of all (CAP_PERFMON), the kernel lets them read environ, maps and the like. */
	resolve_guard(sup->self, warden, !sup->landlock || sup->privileged);
	return pool_prepare(&config, &sup->pool);
}

static int serve(void *ctx, int listener, pid_t target, pid_t warden)
{
	struct run *run = ctx;

	(void)target;
	(void)warden;
	run->sup.listener = listener;
	return pool_open(run->sup.pool, listener);
}

static bool may_execute(void *ctx, pid_t pid, pid_t former)
{
	const struct run *run = ctx;

	return exec_check(&run->sup, pid, former);
}

static void own_ids(struct supervisor *sup)
{
	uid_t u, eu, su;
	gid_t g, eg, sg;

	sup->own_ids_equal = getresuid(&u, &eu, &su) == 0 && getresgid(&g, &eg, &sg) == 0 && u == eu && eu == su &&
			     g == eg && eg == sg;
	sup->uid = geteuid();
	sup->gid = getegid();
}

static int start(struct run *run)
{
	const struct run_options *o = run->options;
	struct launch_config config = {
		.argv = o->argv, .envp = run->envp, .plan = run->plan, .features = &run->features,
		.allowed_calls = policy_allowed_calls(run->policy),
		.supervise = can_supervise(&run->features), .gate = o->gate,
		.may_execute = run->plan->exec_checked ? may_execute : NULL,
		.die_by_ptrace = o->die_by_ptrace, .confined_prepare = prepare_workers,
		.confined_main = serve, .ctx = run,
	};
	struct launch_error error;
	int r;

	config.orphaned = asker_terminal_orphaned;
	config.keep = run->asker ? asker_terminal(run->asker) : -EBADF;
	run->rules = (struct ruleset){.policy = run->policy, .plan = run->plan};
	run->sup = (struct supervisor){
		.rules = &run->rules, .features = &run->features,
		.observer = run->observer, .asker = run->asker, .landlock = run->plan->landlock_abi > 0,
		.privileged = creds_privileged(), .view_may_differ = view_may_differ(run->policy),
		.wants_allowed = observer_wants_allowed(run->observer), .gate = o->gate,
	};
	own_ids(&run->sup);
	/* Names must be trapped for the cache to see what makes it stale, and records want every access. */
	if (run->sup.landlock && run->plan->trap[CALL_NAME] && !run->sup.wants_allowed)
		run->sup.cache = cache_new();
	terminal_init();
	resolve_hide(rundir_all());
	r = resolve_init();
	if (r < 0) {
		fprintf(stderr, "sluice: %s\n", strerror(-r));
		return EXIT_NOT_STARTED;
	}
	if (launch_start(&config, &run->launch, &error) < 0) {
		say_error(error.text);
		return error.exit_code;
	}
	return 0;
}

/* Where clients find this run. Only --prompt socket can't do without. A run that decides nothing, as one below another
 * sluice, has nothing to say. */
static int open_control(struct run *run)
{
	int r = can_supervise(&run->features) ? control_new(&run->control) : 0;

	if (r == 0 || run->options->prompt != PROMPT_SOCKET)
		return 0;
	fprintf(stderr, "sluice: --prompt socket: no directory for the control socket: %s\n", strerror(-r));
	return r;
}

static int start_control(struct run *run)
{
	static const char *const prompts[] = {
		[PROMPT_TTY] = "tty", [PROMPT_SOCKET] = "socket", [PROMPT_NONE] = "none", [PROMPT_EXEC] = "exec",
	};
	struct control_info info = {
		.run = observer_run(run->observer), .name = run->options->name, .argv = run->options->argv,
		.prompt = prompts[run->options->prompt], .sup = &run->sup, .warden = run->sup.warden,
		.end_tree = end_tree, .ctx = run,
	};
	int r = 0;

	if (!run->control)
		return 0;
	if (run->sup.pool)
		r = runtime_new(&run->sup, &run->rules, &run->caps, &run->runtime);
	info.runtime = run->runtime;
	return r < 0 ? r : control_start(run->control, &info);
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
		.max_rss_kib = (uint64_t)usage.ru_maxrss, .wall_us = now_us() - run->started_us,
	};
}

static void run_done(struct run *run)
{
	struct pool_stats pool = {0};

	features_probe_drop(take_probe(run));
	if (run->sup.pool) {
		pool_stop(run->sup.pool);
		pool_get_stats(run->sup.pool, &pool);
	}
	control_stop(run->control);
	/* A thread that hangs in the kernel may come back to all of this; the process ends anyway. */
	if (pool.left_behind) {
		private_dir_remove(run->tmpdir);
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
	cache_free(run->sup.cache);
	environment_free(run->envp);
	runtime_free(run->runtime);
	plan_free(run->plan);
	policy_free(run->policy);
	private_dir_remove(run->tmpdir);
	free(run->answers);
	free(run->home);
}

/* Is --gate on right for this run? */
static int check_gate(const struct run *run)
{
	struct policy_error error;

	if (!run->options->gate ||
	    gate_check(run->plan, observer_wants_allowed(run->observer), creds_privileged(), &error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error.text);
	return -EINVAL;
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
	r = private_dir_make(run->tmpdir, sizeof(run->tmpdir));
	if (r < 0) {
		fprintf(stderr, "sluice: no private temporary directory in %s: %s\n", private_dir_parent(),
			strerror(-r));
		return EXIT_NOT_STARTED;
	}
	if (load(run) < 0 || open_control(run) < 0 || watchers(run) < 0)
		return EXIT_NOT_STARTED;
	if (check_gate(run) < 0)
		return EXIT_NOT_STARTED;
	run->envp = environment_make(run->policy, run->tmpdir, run->gate_library);
	if (!run->envp)
		return EXIT_NOT_STARTED;
	r = start(run);
	if (r)
		return r;
	if (start_control(run) < 0 && run->options->prompt == PROMPT_SOCKET) {
		say_error("--prompt socket: the control socket can't be made");
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
	static struct run run;
	int wstatus = 0, code;

	run.options = options;
	run.started_us = now_us();
	code = run_all(&run, &wstatus);
	run_done(&run);
	if (WIFSIGNALED(wstatus))
		launch_exit_like(wstatus);
	return code;
}
