/* SPDX-License-Identifier: Apache-2.0
 * Who is told of what happens and who is asked: observer, asker, the control socket.
 */
#include "core/run_impl.h"

#include "core/ask/answers.h"
#include "core/control/rundir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int run_make_watchers(struct run *run)
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
		.timeout_s = o->prompt_timeout_s, .front = fronts[o->prompt], .program = run->program,
		.command = o->argv[0], .end_tree = end_tree, .changed = on_change, .decided = on_decision, .ctx = run,
		.later = !asks_anything(run->policy),
	};
	struct policy_error error;
	int r = o->begin ? o->begin(o->ctx) : 0;

	if (r < 0)
		return r;
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

/* Where clients find this run. Only --prompt socket can't do without. A run that decides nothing, as one below another
 * sluice, has nothing to say. */
int run_open_control(struct run *run)
{
	int r = run_can_supervise(run) ? control_new(&run->control) : 0;

	if (r == 0 || run->options->prompt != PROMPT_SOCKET)
		return 0;
	fprintf(stderr, "sluice: --prompt socket: no directory for the control socket: %s\n", strerror(-r));
	return r;
}

int run_start_control(struct run *run)
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

