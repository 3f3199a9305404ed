/* SPDX-License-Identifier: Apache-2.0
 * Where the lines of a recorded run go: into a file as JSON, to a listener as values, or both.
 *
 * journal_start first and journal_end last, on the leader thread; the others from any thread. The listener is
 * called for one line at a time, in an order in which a process's own lines follow each other as they happened.
 */
#pragma once
#include "core/observe/observe.h"
#include "core/observe/record.h"
#include "core/observe/tasks.h"

struct journal;

/* To the file PATH (NULL: none) and to LISTENER (may be NULL). *RET is NULL if there is neither. -errno of PATH. */
int journal_new(const char *path, record_listener *listener, void *ctx, struct journal **ret);
void journal_free(struct journal *j);

void journal_start(struct journal *j, const struct observer_config *config, const char *run);
void journal_access(struct journal *j, const struct access_event *e, const struct task_view *task);
void journal_exec(struct journal *j, const struct exec_event *e, const struct task_view *task);
/* `fork`, and `exit` with the wait status CODE (-1: unknown). EXE may be NULL. */
void journal_task(struct journal *j, const char *type, pid_t pid, pid_t ppid, const char *exe, int code);
void journal_decision(struct journal *j, const struct decision *d);
void journal_lost(struct journal *j, const char *what);
/* The last line; sets the lost_lines of ENDING. The positive errno of the last failed write, or 0. */
int journal_end(struct journal *j, struct record_ending *ending);
