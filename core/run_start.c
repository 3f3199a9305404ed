/* SPDX-License-Identifier: Apache-2.0
 * The supervisor, its workers, and the command.
 */
#include "core/run_impl.h"

#include "core/ask/ask.h"
#include "core/control/rundir.h"
#include "core/exec_check.h"
#include "core/reply/terminal.h"
#include "core/sys.h"
#include "core/target/creds.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
		/* As many calls again may wait, and each may hold some descriptors. */
		.max_slow = run->most_open / 16 < 64 ? 64 : run->most_open / 16 < 256 ? run->most_open / 16 : 256,
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

int run_start(struct run *run)
{
	const struct run_options *o = run->options;
	struct launch_config config = {
		.argv = o->argv, .envp = run->envp, .plan = run->plan, .features = &run->features,
		.allowed_calls = policy_allowed_calls(run->policy),
		.supervise = run_can_supervise(run), .gate = o->gate,
		.may_execute = run->plan->exec_checked ? may_execute : NULL,
		.die_by_ptrace = o->die_by_ptrace, .confined_prepare = prepare_workers,
		.confined_main = serve, .ctx = run, .lock = run->tmpdir_lock,
	};
	struct launch_error error;
	int r;

	config.orphaned = asker_terminal_orphaned;
	config.lent = asker_terminal_lent;
	config.keep = run->asker ? asker_terminal(run->asker) : -EBADF;
	run->rules = (struct ruleset){.policy = run->policy, .plan = run->plan};
	run->sup = (struct supervisor){
		.rules = &run->rules, .features = &run->features,
		.observer = run->observer, .asker = run->asker, .landlock = run->plan->landlock_abi > 0,
		.privileged = creds_privileged(), .view_may_differ = view_may_differ(run->policy),
		.wants_allowed = observer_wants_allowed(run->observer), .gate = o->gate,
	};
	own_ids(&run->sup);
	/* Names must be trapped for the cache to see what makes it stale. Records want every access, with its name. */
	if (run->sup.landlock && run->plan->trap[CALL_NAME])
		run->sup.cache = cache_new();
	if (run->sup.cache && run->sup.wants_allowed)
		run->sup.memo = memo_new();
	terminal_init();
	resolve_guard_control(rundir_all());
	r = resolve_init();
	if (r < 0) {
		fprintf(stderr, "sluice: %s\n", strerror(-r));
		return EXIT_NOT_STARTED;
	}
	if (launch_start(&config, &run->launch, &error) < 0) {
		run_say_error(error.text);
		return error.exit_code;
	}
	return 0;
}

