/* SPDX-License-Identifier: Apache-2.0
 * Which lines pass.
 */
#include "core/log/log.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PIDS_MAX = 1 << 22 }; /* the kernel's bound */

const char *const log_verdict_words[] = {
	[LOG_ALLOW] = "allow",
	[LOG_DENY] = "deny",
	[LOG_MISSING] = "missing",
	[LOG_UNDECIDED] = NULL,
};

enum log_verdict log_verdict_of(const struct record_line *line)
{
	if (line->verdict == RECORD_UNDECIDED)
		return LOG_UNDECIDED;
	if (line->err == ENOENT && line->exists == 0)
		return LOG_MISSING;
	return line->verdict == RECORD_ALLOW ? LOG_ALLOW : LOG_DENY;
}

bool log_filter_is_set(const struct log_filter *f)
{
	return f->types || f->verdicts || f->ops || f->n_paths || f->n_exes || f->n_rules ||
	       f->n_pids || f->since.set || f->until.set;
}

void log_filter_done(struct log_filter *f)
{
	arena_done(&f->arena);
	free(f->family);
	f->family = NULL;
}

static bool in_family(const struct log_filter *f, pid_t pid)
{
	return pid > 0 && pid < PIDS_MAX && f->family && f->family[pid / 8] >> pid % 8 & 1;
}

static void set_family(struct log_filter *f, pid_t pid, bool in)
{
	if (pid <= 0 || pid >= PIDS_MAX)
		return;
	if (!f->family)
		f->family = calloc(PIDS_MAX / 8, 1);
	if (!f->family)
		return;
	if (in)
		f->family[pid / 8] |= (unsigned char)(1u << pid % 8);
	else
		f->family[pid / 8] &= (unsigned char)~(1u << pid % 8);
}

/* Who belongs to the processes that were asked for: each child of one that does. */
static void learn_family(struct log_filter *f, const struct record_line *line)
{
	if (!f->descendants)
		return;
	if (line->type == RECORD_START && f->family)
		memset(f->family, 0, PIDS_MAX / 8);
	if (line->type == RECORD_START || !line->pid)
		return;
	if (line->type == RECORD_FORK) /* whoever had the number before is gone */
		set_family(f, line->pid, false);
	for (size_t i = 0; i < f->n_pids; i++)
		if (f->pids[i] == line->pid)
			set_family(f, line->pid, true);
	if (in_family(f, line->ppid))
		set_family(f, line->pid, true);
}

static bool has_pid(const struct log_filter *f, const struct record_line *line)
{
	for (size_t i = 0; i < f->n_pids; i++)
		if (f->pids[i] == line->pid || (line->tid && f->pids[i] == line->tid))
			return true;
	return f->descendants && in_family(f, line->pid);
}

static bool is_path_of(const struct pattern *p, struct record_bytes path)
{
	return path.len && path.data[0] == '/' && path.len < PATH_MAX &&
	       pattern_object(p, path.data, path.len);
}

static bool has_path(const struct log_filter *f, const struct record_line *line)
{
	for (size_t i = 0; i < f->n_paths; i++)
		if (is_path_of(&f->paths[i], line->path) || is_path_of(&f->paths[i], line->path2))
			return true;
	return false;
}

/* A pattern with a slash is of the whole name, another of its last component. */
static bool has_exe(const struct log_filter *f, struct record_bytes exe)
{
	const char *last = exe.data ? strrchr(exe.data, '/') : NULL;

	for (size_t i = 0; exe.data && i < f->n_exes; i++) {
		const char *name = last && !strchr(f->exes[i], '/') ? last + 1 : exe.data;

		if (strcmp(f->exes[i], name) == 0 || fnmatch(f->exes[i], name, 0) == 0)
			return true;
	}
	return false;
}

/* "FILE:LINE", or FILE alone for all of its lines. */
static bool has_rule(const struct log_filter *f, struct record_bytes rule)
{
	for (size_t i = 0; rule.data && i < f->n_rules; i++) {
		size_t len = strlen(f->rules[i]);

		if (strncmp(rule.data, f->rules[i], len) != 0)
			continue;
		if (!rule.data[len] || (rule.data[len] == ':' &&
					strspn(rule.data + len + 1, "0123456789") == rule.len - len - 1))
			return true;
	}
	return false;
}

static bool in_time(const struct log_filter *f, const struct record_line *line)
{
	int64_t since = f->since.us + (f->since.from_start ? f->start_us : 0);
	int64_t until = f->until.us + (f->until.from_start ? f->start_us : 0);

	return line->time_us >= 0 && (!f->since.set || line->time_us >= since) &&
	       (!f->until.set || line->time_us <= until);
}

bool log_filter_match(struct log_filter *f, const struct record_line *line)
{
	if (line->type == RECORD_START || line->run != f->run || f->start_us < 0)
		f->start_us = line->time_us;
	f->run = line->run;
	learn_family(f, line);
	return (!f->types || f->types & 1u << line->type) &&
	       (!f->verdicts || f->verdicts & 1u << log_verdict_of(line)) &&
	       (!f->ops || (line->op < OP_COUNT && f->ops & OPBIT(line->op))) &&
	       (!f->n_paths || has_path(f, line)) && (!f->n_exes || has_exe(f, line->exe)) &&
	       (!f->n_rules || has_rule(f, line->rule)) && (!f->n_pids || has_pid(f, line)) &&
	       ((!f->since.set && !f->until.set) || in_time(f, line));
}
