/* SPDX-License-Identifier: Apache-2.0
 * struct launch, shared by launch.c (starting) and jobs.c (signals, job control, the end).
 */
#pragma once
#include "core/launch/parts.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct launch {
	/* immutable once the confined thread runs */
	struct launch_config config;
	struct exec_plan exec;
	int upper;                   /* ruleset, or -1 */
	int leash, leash_warden, ready, wake, null_fd;
	sigset_t old_mask;
	struct sigaction old_child_action;
	/* the confined thread's until it has written `ready`, the leader's after */
	struct target_config target; /* its .gate is the target's end */
	int gate;
	struct gate_msg failed;
	int confined_err;
	_Atomic pid_t warden;        /* 0: not there yet; the leader may look at any time */
	pid_t target_pid, confined_tid;
	/* the leader's until `begun`, the confined thread's after */
	struct filter_spec spec;
	struct prog prog;
	int program_err;
	sem_t begun;                 /* leader -> confined thread */
	/* leader */
	int signals, target_pidfd;
	int fork_err;                /* the warden could not start the target */
	bool is_ready, exec_done, signals_blocked, have_thread;
	bool target_ended, target_stopped, warden_done, warden_lost, ended;
	bool own_job;                /* a job-control shell waits for us alone */
	int wstatus;
	/* atomic */
	atomic_bool stop;
	bool scoped;                 /* proved by the warden; written by the leader before `wake` */
	pthread_t confined;
};

static inline bool is_traced(const struct launch_config *config)
{
	return config->die_by_ptrace || config->may_execute;
}

void launch_init(struct launch *l, const struct launch_config *config);

enum until { UNTIL_EXEC, UNTIL_END };
/* The leader's loop. UNTIL_EXEC: until the exec is done or has failed, or the target is gone. */
void jobs_serve(struct launch *l, enum until until);
void jobs_block_signals(struct launch *l);
void jobs_restore_signals(struct launch *l);
