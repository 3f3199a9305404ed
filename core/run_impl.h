/* SPDX-License-Identifier: Apache-2.0
 * Inside a run only: what its parts share. run.c is the order of things and their end, run_load.c what is known
 * before anything is started, run_watch.c who is told and asked, run_start.c the supervisor and the command.
 */
#pragma once
#include "core/run.h"

#include "core/control/control.h"
#include "core/features.h"
#include "core/launch/launch.h"
#include "core/observe/observe.h"
#include "core/runtime.h"
#include "core/supervisor.h"

#include <limits.h>

#define EXIT_NOT_STARTED 125

/* Everything a run holds; done in the opposite order. */
struct run {
	const struct run_options *options;
	struct features_probe *probe; /* until it is known to have ended */
	struct features features;
	char tmpdir[PATH_MAX];
	int tmpdir_lock; /* negative: none */
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
	char *program; /* of --prompt exec, by its canonical name */
	uint64_t started_us;
};

/* Policy, features of the kernel, plan. 0 or -errno; what is wrong has been said. */
int run_load(struct run *run);
/* Is --gate on right for this run? 0 or -errno, said. */
int run_check_gate(const struct run *run);
bool run_can_supervise(const struct run *run);

/* The directory of the control socket; then observer and asker. 0 or -errno, said. */
int run_open_control(struct run *run);
int run_make_watchers(struct run *run);
/* Once the command runs. 0 or -errno. */
int run_start_control(struct run *run);

/* Start the command and all that serves it. 0, or an exit code; what is wrong has been said. */
int run_start(struct run *run);

void run_say_error(const char *text);
