/* SPDX-License-Identifier: Apache-2.0
 * What a line of the record holds.
 */
#include "core/observe/record.h"
#include "core/ask/ask.h"
#include "core/cleanup.h"
#include "core/resolve_literal.h"
#include "core/run.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD_VERSION = 1 };

static const char *const by_words[] = {
	[BY_RULE] = "rule", [BY_DEFAULT] = "default", [BY_USER] = "user", [BY_TIMEOUT] = "timeout",
	[BY_ERROR] = "error",
};
static_assert(sizeof(by_words) / sizeof(by_words[0]) == BY_ERROR + 1, "one word each");

static const char *const reply_words[] = {
	[REPLY_CONTINUE] = "continue", [REPLY_EMULATE] = "emulate", [REPLY_ERRNO] = "errno",
	[REPLY_KERNEL] = "kernel",
};
static_assert(sizeof(reply_words) / sizeof(reply_words[0]) == REPLY_KERNEL + 1, "one word each");

static const char *const layer_words[] = {
	[LAYER_LANDLOCK] = "landlock", [LAYER_FILTER] = "filter", [LAYER_SUPERVISOR] = "supervisor",
};
static_assert(sizeof(layer_words) / sizeof(layer_words[0]) == LAYER_SUPERVISOR + 1, "one word each");

bool task_exe(pid_t pid, char *buf, size_t size)
{
	char name[40];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
	n = pid > 0 ? readlink(name, buf, size - 1) : -1;
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

bool task_claims(pid_t pid, char *buf, size_t size)
{
	_cleanup_close_ int fd = -EBADF;
	char name[40];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/cmdline", (int)pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	while (n > 0 && !buf[n - 1])
		n--;
	if (n <= 0)
		return false;
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = ' ';
	buf[n] = '\0';
	return true;
}

pid_t task_parent(pid_t pid)
{
	_cleanup_close_ int fd = -EBADF;
	char name[40], stat[512];
	const char *end;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return 0;
	stat[n] = '\0';
	end = strrchr(stat, ')'); /* the name in parentheses is the task's own choice */
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static void put_policies(struct text *out, const struct policy *policy)
{
	const char *const *files = policy ? policy_files(policy) : NULL;

	text_puts(out, ",\"policies\":[");
	for (size_t i = 0; files && files[i]; i++) {
		const char *hash = policy_file_hash(files[i]);

		text_printf(out, "%s{\"sha256\":", i ? "," : "");
		if (hash)
			json_string(out, hash, strlen(hash));
		else
			text_puts(out, "null");
		json_field_puts(out, "path", files[i]);
		text_puts(out, "}");
	}
	text_puts(out, "]");
}

/* The command inherits its standard descriptors, the rest is closed. */
static void put_descriptors(struct text *out)
{
	bool first = true;

	text_puts(out, ",\"descriptors\":[");
	for (int fd = 0; fd < 3; fd++) {
		char name[40], target[PATH_MAX];
		ssize_t n;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, target, sizeof(target));
		if (n < 0)
			continue;
		text_printf(out, "%s{\"fd\":%d", first ? "" : ",", fd);
		json_field(out, "path", target, (size_t)n);
		text_puts(out, "}");
		first = false;
	}
	text_puts(out, "]");
}

static void put_run(struct text *out, const struct observer_config *config, const char *run)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	json_field_u64(out, "v", RECORD_VERSION);
	json_field_puts(out, "run", run);
	json_field_puts(out, "name", config->run_name);
	json_field_puts(out, "sluice", SLUICE_VERSION);
	json_field_list(out, "argv", (const char *const *)config->argv);
	json_field_puts(out, "cwd", cwd);
}

void record_start(struct text *out, const struct observer_config *config, const char *run)
{
	_cleanup_free_ char *home = home_canonical();
	struct utsname uts;

	put_run(out, config, run);
	if (uname(&uts) == 0)
		json_field_puts(out, "kernel", uts.release);
	if (config->plan)
		json_field_u64(out, "landlock_abi", (uint64_t)config->plan->landlock_abi);
	json_field_u64(out, "uid", getuid());
	json_field_puts(out, "home", home);
	json_field_puts(out, "tmpdir", config->tmpdir);
	json_field_bool(out, "looks", config->looks);
	put_policies(out, config->policy);
	put_descriptors(out);
}

void record_task(struct text *out, pid_t pid, pid_t tid, pid_t ppid, const char *exe)
{
	json_field_u64(out, "pid", (uint64_t)pid);
	json_field_u64(out, "tid", (uint64_t)tid);
	if (ppid > 0)
		json_field_u64(out, "ppid", (uint64_t)ppid);
	json_field_puts(out, "exe", exe);
}

static void put_place(struct text *out, const struct rule *rule)
{
	char where[512];

	snprintf(where, sizeof(where), "%s:%d", rule->file, rule->line);
	json_field_puts(out, "rule", where);
}

void record_access(struct text *out, const struct access_event *e)
{
	const struct rule *rule = e->verdict.rule;

	json_field_word(out, "syscall", e->call);
	json_field_word(out, "op", op_names[e->op]);
	json_field(out, "path", e->path, e->path_len);
	json_field(out, "path2", e->path2, e->path2_len);
	json_field_puts(out, "address", e->address);
	json_field_u64(out, "flags", e->flags);
	if (e->exists >= 0)
		json_field_bool(out, "exists", e->exists > 0);
	if (e->is_dir)
		json_field_bool(out, "dir", true);
	json_field_word(out, "verdict", e->allowed ? "allow" : "deny");
	json_field_word(out, "by", by_words[e->by]);
	json_field_word(out, "reply", reply_words[e->reply]);
	if (e->err)
		json_field_u64(out, "errno", (uint64_t)e->err);
	if (rule && rule->line) {
		put_place(out, rule);
		json_field_puts(out, "rule_text", rule->text);
	} else {
		json_field_puts(out, "rule", rule ? rule->file : "default");
		json_field_puts(out, "rule_text", rule ? rule->text : NULL);
	}
	json_field_word(out, "layer", layer_words[e->layer]);
	json_field_puts(out, "detail", e->detail);
	json_field_u64(out, "count", 1);
	json_field_u64(out, "dur_us", e->dur_ns / 1000);
}

void record_exec(struct text *out, const struct exec_event *e)
{
	json_field(out, "path", e->path, e->path_len);
	json_field_list(out, "argv", e->argv);
	if (e->argv_cut)
		json_field_bool(out, "argv_cut", true);
	json_field_puts(out, "cwd", e->cwd);
}

void record_decision(struct text *out, const struct decision *d)
{
	const struct rule *rule = d->q.rule;

	record_task(out, d->q.pid, d->q.tid, task_parent(d->q.pid), d->q.exe);
	json_field_u64(out, "question", d->question);
	json_field_word(out, "op", op_names[d->q.op]);
	json_field(out, "path", d->dir ? d->dir : d->q.path, d->dir ? strlen(d->dir) : d->q.path_len);
	json_field_bool(out, "directory", d->dir != NULL);
	json_field_bool(out, "exists", d->q.exists);
	if (rule && rule->line) {
		put_place(out, rule);
		json_field_puts(out, "rule_text", rule->text);
	} else if (rule) {
		json_field_puts(out, "rule", rule->file);
	}
	json_field_word(out, "answer", ask_answer_words[d->answer]);
	json_field_word(out, "scope", ask_scope_words[d->scope]);
	json_field_puts(out, "answered_by", d->by);
	json_field_u64(out, "callers", d->callers);
	json_field_u64(out, "dur_us", d->waited_us);
}

static void put_status(struct text *out, int wstatus)
{
	if (WIFSIGNALED(wstatus))
		json_field_u64(out, "signal", (uint64_t)WTERMSIG(wstatus));
	else
		json_field_u64(out, "status", (uint64_t)WEXITSTATUS(wstatus));
}

bool record_is_all(const struct record_ending *e)
{
	return !e->lost_lines && !e->lost[0] && !e->unwatched[0];
}

void record_end(struct text *out, const struct record_ending *e)
{
	put_status(out, e->wstatus);
	json_field_u64(out, "accesses", e->accesses);
	json_field_u64(out, "refusals", e->refusals);
	json_field_u64(out, "lost_lines", e->lost_lines);
	json_field_list(out, "lost", e->lost);
	json_field_list(out, "unwatched", e->unwatched);
	json_field_bool(out, "complete", record_is_all(e));
}

void record_stats(struct text *out, const struct observer_config *config, const char *run,
		  const struct record_ending *ending, const struct run_stats *stats)
{
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{"notifications", stats->notifications}, {"continued", stats->continued},
		{"emulated", stats->emulated}, {"refused", stats->refused}, {"asked", stats->asked},
		{"gone", stats->gone}, {"promotions", stats->promotions}, {"slow_jobs", stats->slow_jobs},
		{"cache_hits", stats->cache_hits}, {"cache_misses", stats->cache_misses},
		{"errors", stats->errors}, {"workers", stats->workers},
		{"supervisor_user_us", stats->supervisor_user_us},
		{"supervisor_system_us", stats->supervisor_system_us},
		{"max_rss_kib", stats->max_rss_kib}, {"wall_us", stats->wall_us},
	};

	text_puts(out, "{\"type\":\"stats\"");
	put_run(out, config, run);
	record_end(out, ending);
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		json_field_u64(out, counters[i].name, counters[i].value);
	text_puts(out, "}\n");
}
