/* SPDX-License-Identifier: Apache-2.0
 * The processes of a recorded run: which process a thread belongs to, its parent, its program, and the lines
 * `fork` and `exit`.
 *
 * Nothing is trapped for this. A process is known from its first call that is seen, and its end from a pidfd:
 * so one that makes no such call has no line, `fork` comes late, and its parent is the one of that moment.
 * What is remembered is dropped when the pidfd says that the task ended, before its number can be given away.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct tasks;

struct task_view {
	pid_t pid, ppid;      /* ppid 0: unknown */
	char exe[PATH_MAX];   /* "": unknown */
	bool lost;            /* could not be followed: there are too many at once */
};

/* Lines go to JOURNAL, which must outlive it. 0 or -errno. */
struct journal;
int tasks_new(struct journal *journal, struct tasks **ret);
/* What is known of the thread TID, from any thread; a `fork` line if its process is new. */
void tasks_look(struct tasks *t, pid_t tid, struct task_view *ret);
/* TID is about to execute something: its program has to be looked at again. */
void tasks_executes(struct tasks *t, pid_t tid);
/* Write the `exit` lines of all that ended by now. Leader thread, when the run is over: the last call. */
void tasks_drain(struct tasks *t);
void tasks_free(struct tasks *t);
