/* SPDX-License-Identifier: Apache-2.0
 * What the user sees of a run: the summary of refusals, the record file, the statistics.
 *
 * observe_access() may be called from any thread at any time between observer_new and
 * observer_finish; it copies what it keeps. It must be cheap when nothing is recorded and the access
 * was allowed (callers skip it then: see observer_wants_allowed).
 */
#pragma once
#include "policy/policy.h"
#include <sys/types.h>

enum observed_by { BY_RULE, BY_DEFAULT, BY_USER, BY_TIMEOUT, BY_ERROR };
enum observed_reply { REPLY_CONTINUE, REPLY_EMULATE, REPLY_ERRNO, REPLY_KERNEL };
enum observed_layer { LAYER_LANDLOCK, LAYER_FILTER, LAYER_SUPERVISOR };

struct access_event {
	pid_t pid, tid;
	const char *call;    /* "openat" */
	enum op op;
	const char *path;    /* canonical, or NULL */
	size_t path_len;
	const char *path2;   /* rename, link */
	size_t path2_len;
	const char *address; /* connect, bind: printable */
	uint32_t flags;
	int exists;          /* 1, 0, -1 unknown */
	bool is_dir;         /* what exists, or is made, is a directory */
	bool allowed;
	struct verdict verdict;
	enum observed_by by;
	enum observed_reply reply;
	enum observed_layer layer;
	int err;             /* positive errno the target saw; 0: unknown or none */
	const char *detail;  /* for BY_ERROR: what went wrong, in words; else NULL */
	uint64_t dur_ns;
};

struct record_line;
typedef void record_listener(void *ctx, const struct record_line *line);

struct observer_config {
	const struct policy *policy;
	const struct plan *plan;
	const char *record_path; /* NULL: none */
	record_listener *listener; /* gets each line as values, beside the file or instead of it; may be NULL */
	void *listener_ctx;
	bool looks;              /* stat and the like are among the accesses */
	const char *tmpdir;      /* of the run; may be NULL */
	const char *stats_path;
	const char *run_name;
	char *const *argv;
	bool verbose, quiet;
};

struct observer;

int observer_new(const struct observer_config *config, struct observer **ret, struct policy_error *ret_error);
/* The name of this run in records: 16 hexadecimal digits. */
const char *observer_run(const struct observer *o);
/* Should allowed accesses be reported too (recording, or an audit rule)? */
bool observer_wants_allowed(const struct observer *o);
void observe_access(struct observer *o, const struct access_event *e);
/* Something was not seen or not done as it should: counted, in the summary, marks records incomplete. */
void observe_lost(struct observer *o, const char *what);
/* A task is about to execute PATH. The words and the directory are its own claim. */
struct exec_event {
	pid_t pid;
	const char *path;
	size_t path_len;
	const char *const *argv; /* NULL-terminated, or NULL */
	bool argv_cut;           /* there is more than is told */
	const char *cwd;         /* NULL: unknown */
};
void observe_exec(struct observer *o, const struct exec_event *e);
/* What became of a question. */
struct decision;
void observe_decision(struct observer *o, const struct decision *d);
/* How many refusals that are not quiet there were so far. */
uint64_t observer_refusals(const struct observer *o);

struct run_stats {
	uint64_t notifications, continued, emulated, refused, asked, gone, promotions, slow_jobs,
		cache_hits, cache_misses, errors;
	unsigned workers;
	uint64_t supervisor_user_us, supervisor_system_us, max_rss_kib, wall_us;
};
/* Write the summary to stderr, the end of the record, the statistics. WSTATUS of the command. */
void observer_finish(struct observer *o, int wstatus, const struct run_stats *stats);
void observer_free(struct observer *o);
