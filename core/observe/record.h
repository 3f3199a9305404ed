/* SPDX-License-Identifier: Apache-2.0
 * The lines of a record and the statistics, as JSON. POLICY.md section 6.
 */
#pragma once
#include "core/observe/observe.h"
#include "core/observe/text.h"
#include "policy/plan.h"

/* Fields of a `start` line. RUN is this run's own id. */
void record_start(struct text *out, const struct observer_config *config, const char *run);
/* Who: pid, tid, ppid, exe. PPID 0 and EXE NULL: unknown. */
void record_task(struct text *out, pid_t pid, pid_t tid, pid_t ppid, const char *exe);
/* What: the rest of an `access` line. */
void record_access(struct text *out, const struct access_event *e);
/* What an `exec` line holds beside. */
void record_exec(struct text *out, const struct exec_event *e);
/* An `ask` line. */
struct decision;
void record_decision(struct text *out, const struct decision *d);
struct record_ending {
	int wstatus;
	uint64_t accesses, refusals, lost_lines;
	const char *const *lost; /* what was not seen or done, in words; NULL-terminated */
	const char *const *unwatched;
};
/* Was nothing lost, and everything watched? */
bool record_is_all(const struct record_ending *e);
void record_end(struct text *out, const struct record_ending *e);
/* The whole file of --stats. */
void record_stats(struct text *out, const struct observer_config *config, const char *run,
		  const struct record_ending *ending, const struct run_stats *stats);

/* The program that PID runs, from the kernel: its path in BUF, false if it can't be told. */
bool task_exe(pid_t pid, char *buf, size_t size);
/* What PID says that it is: its arguments, with blanks between them, cut to SIZE. False: none. */
bool task_claims(pid_t pid, char *buf, size_t size);
/* Its parent, or 0. */
pid_t task_parent(pid_t pid);
