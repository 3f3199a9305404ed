/* SPDX-License-Identifier: Apache-2.0
 * Before anything is started: the policy, what this kernel can do, and the plan of both.
 */
#include "core/run_impl.h"

#include "core/cleanup.h"
#include "core/gate.h"
#include "core/resolve_literal.h"
#include "core/target/creds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The objects of denials are known by their inode: held open, no other file can get it when they are
 * removed. The descriptors live as long as the run. */
static void pin_named_objects(const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_named; i++)
		plan_pin(&plan->named[i]);
}

bool run_can_supervise(const struct run *run)
{
	const struct features *f = &run->features;

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

/* What every program of the command loads under --gate on, or NULL. */
static const char *gate_library(const struct run_options *o)
{
	static char path[PATH_MAX];

	return o->gate && gate_find_library(path, sizeof(path)) ? path : NULL;
}

/* The program that answers runs outside of it all, and many look for parts of themselves where they lie: a Python
 * script imports what is beside it first. So nothing may be made there, and it is started by the name that it has
 * without links, which the command could replace. */
static int check_program(struct run *run, const char *program)
{
	_cleanup_free_ char *beside = NULL;
	const char *real = run->program = realpath(program, NULL);
	int dir_len = real ? (int)(strrchr(real, '/') - real) : 0, n;
	struct verdict v;

	if (!real) {
		fprintf(stderr, "sluice: --prompt exec:%s: %s\n", program, strerror(errno));
		return -EINVAL;
	}
	n = asprintf(&beside, "%.*s/beside", dir_len, real);
	if (n < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	v = policy_decide(run->policy, OP_CREATE, beside, (size_t)n);
	if (v.action >= ACTION_DENY)
		return 0;
	fprintf(stderr,
		"sluice: --prompt exec:%s: the command may make files beside it, which it could take for parts of "
		"itself: put it into a directory that is not the command's, or add --never 'w:%.*s'\n",
		program, dir_len, real);
	return -EINVAL;
}

/* A pipe, or a terminal that the command writes to as well. */
static bool is_number(const char *path)
{
	return strncmp(path, "/dev/fd/", 8) == 0;
}

/* What stands at the end of a link that the command put there would be written over, and not be seen to be. */
static int check_output(const struct run *run, const char *option, const char *path)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0), *whole = NULL, *real = NULL, *link = NULL, *links = NULL;
	char shown[2][512];
	const char *planted;
	int r;

	if (!path || is_number(path))
		return 0;
	if (asprintf(&whole, "%s%s%s", path[0] == '/' || !cwd ? "" : cwd, path[0] == '/' ? "" : "/", path) < 0) {
		whole = NULL;
		return -ENOMEM;
	}
	r = resolve_literal(whole, &real, &link, &links);
	if (r < 0) {
		escape_bytes(shown[0], sizeof(shown[0]), path, strlen(path));
		fprintf(stderr, "sluice: %s %s: %s\n", option, shown[0], strerror(-r));
		return r;
	}
	planted = policy_planted_link(run->policy, links);
	if (!planted)
		return 0;
	escape_bytes(shown[0], sizeof(shown[0]), path, strlen(path));
	escape_bytes(shown[1], sizeof(shown[1]), planted, strlen(planted));
	fprintf(stderr,
		"sluice: %s %s: leads through the link %s, which the command could have put there: write the name "
		"without links\n",
		option, shown[0], shown[1]);
	return -EINVAL;
}

/* The kernel is probed meanwhile: its child needs a millisecond to get ready. */
int run_load(struct run *run)
{
	struct policy_options policy;
	const struct run_options *o = run->options;
	const char *protect[5] = {NULL};
	struct policy_error error;
	unsigned n = 0;

	if (o->record && !is_number(o->record))
		protect[n++] = o->record;
	if (o->output && !is_number(o->output))
		protect[n++] = o->output;
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
	for (const char *const *note = policy_notes(run->policy); *note && !o->quiet; note++)
		fprintf(stderr, "sluice: %s\n", *note);
	if (check_output(run, "--record", o->record) < 0 || check_output(run, "--stats", o->stats) < 0 ||
	    check_output(run, "-o", o->output) < 0)
		return -EINVAL;
	if (o->prompt_program && check_program(run, o->prompt_program) < 0)
		return -EINVAL;
	features_probe_finish(run->probe, &run->features);
	if (!run->features.openat2) {
		run_say_error("openat2 is not there (before Linux 5.6), or a container's seccomp profile forbids it: "
			  "no name can be resolved safely");
		return -ENOSYS;
	}
	run->caps = (struct plan_caps){
		.landlock_abi = o->policy.emulate ? 0 : run->features.landlock_abi,
		.supervisor = run_can_supervise(run),
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

/* Is --gate on right for this run? */
int run_check_gate(const struct run *run)
{
	struct policy_error error;

	if (!run->options->gate ||
	    gate_check(run->plan, run->caps.record, creds_privileged(), &error) == 0)
		return 0;
	fprintf(stderr, "%s\n", error.text);
	return -EINVAL;
}

