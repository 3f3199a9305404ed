/* SPDX-License-Identifier: Apache-2.0
 * Lines to a recorder and to a listener. A line that can't be made for want of memory is told as lost where that
 * is possible, and makes the record incomplete.
 */
#include "core/observe/journal.h"

#include "core/cleanup.h"
#include "core/observe/recorder.h"
#include "core/observe/text.h"
#include "core/record/reader.h"
#include "core/resolve_literal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST_MAX = 128 };

struct journal {
	/* immutable */
	struct recorder *recorder; /* NULL: none */
	record_listener *listener; /* NULL: none */
	void *ctx;

	atomic_uint_fast64_t failed; /* lines for which there was no memory */

	/* under lock: the calls of the listener */
	pthread_mutex_t lock;
};

int journal_new(const char *path, record_listener *listener, void *ctx, struct journal **ret)
{
	struct journal *j;
	int r = 0;

	*ret = NULL;
	if (!path && !listener)
		return 0;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	pthread_mutex_init(&j->lock, NULL);
	j->listener = listener;
	j->ctx = ctx;
	if (path)
		r = recorder_new(path, &j->recorder);
	if (r < 0) {
		journal_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	recorder_free(j->recorder);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

static void add(struct journal *j, const char *type, struct text *line)
{
	if (line->failed)
		atomic_fetch_add_explicit(&j->failed, 1, memory_order_relaxed);
	else
		recorder_add(j->recorder, type, line->data ? line->data : "", line->len);
	text_done(line);
}

static void tell(struct journal *j, const struct record_line *line)
{
	pthread_mutex_lock(&j->lock);
	j->listener(j->ctx, line);
	pthread_mutex_unlock(&j->lock);
}

static struct record_bytes bytes(const char *s, size_t len)
{
	return (struct record_bytes){s, s ? len : 0};
}

static struct record_bytes word(const char *s)
{
	return bytes(s, s ? strlen(s) : 0);
}

/* LIST (NULL-terminated) in STORE, as far as it fits. */
static struct record_list list_of(const char *const *list, struct record_bytes store[LIST_MAX])
{
	size_t n = 0;

	for (; list && list[n] && n < LIST_MAX; n++)
		store[n] = word(list[n]);
	return (struct record_list){store, n};
}

static struct record_line line_of(enum record_type type, pid_t pid, pid_t tid, pid_t ppid, const char *exe)
{
	return (struct record_line){
		.type = type, .pid = pid, .tid = tid, .ppid = ppid, .exe = word(exe), .op = OP_COUNT, .exists = -1,
		.dir = -1, .looks = -1, .count = 1, .uid = -1, .status = -1, .complete = -1, .time_us = -1,
	};
}

void journal_start(struct journal *j, const struct observer_config *config, const char *run)
{
	if (j->recorder) {
		struct text line = {0};

		record_start(&line, config, run);
		add(j, "start", &line);
	}
	if (j->listener) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0), *home = home_canonical();
		struct record_line line = line_of(RECORD_START, 0, 0, 0, NULL);
		struct record_bytes store[LIST_MAX];

		line.run_id = word(run);
		line.name = word(config->run_name);
		line.argv = list_of((const char *const *)config->argv, store);
		line.cwd = word(cwd);
		line.home = word(home);
		line.tmpdir = word(config->tmpdir);
		line.looks = config->looks;
		line.uid = getuid();
		tell(j, &line);
	}
}

static const char *exe_of(const struct task_view *task)
{
	return task->exe[0] ? task->exe : NULL;
}

void journal_access(struct journal *j, const struct access_event *e, const struct task_view *task)
{
	if (j->recorder) {
		struct text line = {0};

		record_task(&line, task->pid, e->tid, task->ppid, exe_of(task));
		record_access(&line, e);
		add(j, "access", &line);
	}
	if (j->listener) {
		struct record_line line = line_of(RECORD_ACCESS, task->pid, e->tid, task->ppid, exe_of(task));

		line.syscall = word(e->call);
		line.op = e->op;
		line.path = bytes(e->path, e->path_len);
		line.path2 = bytes(e->path2, e->path2_len);
		line.address = word(e->address);
		line.flags = e->flags;
		line.exists = e->exists;
		line.dir = e->is_dir;
		line.verdict = e->allowed ? RECORD_ALLOW : RECORD_DENY;
		line.err = e->err;
		tell(j, &line);
	}
}

void journal_exec(struct journal *j, const struct exec_event *e, const struct task_view *task)
{
	if (j->recorder) {
		struct text line = {0};

		record_task(&line, task->pid, e->pid, task->ppid, exe_of(task));
		record_exec(&line, e);
		add(j, "exec", &line);
	}
	if (j->listener) {
		struct record_line line = line_of(RECORD_EXEC, task->pid, e->pid, task->ppid, exe_of(task));
		struct record_bytes store[LIST_MAX];

		line.path = bytes(e->path, e->path_len);
		line.argv = list_of(e->argv, store);
		line.cwd = word(e->cwd);
		tell(j, &line);
	}
}

void journal_task(struct journal *j, const char *type, pid_t pid, pid_t ppid, const char *exe, int code)
{
	bool killed = code >= 0 && WIFSIGNALED(code);

	if (j->recorder) {
		struct text line = {0};

		record_task(&line, pid, pid, ppid, exe);
		if (code >= 0)
			json_field_u64(&line, killed ? "signal" : "status",
				       (uint64_t)(killed ? WTERMSIG(code) : WEXITSTATUS(code)));
		add(j, type, &line);
	}
	if (j->listener) {
		struct record_line line = line_of(strcmp(type, "fork") == 0 ? RECORD_FORK : RECORD_EXIT, pid, pid, ppid,
						  exe);

		line.status = code < 0 || killed ? -1 : WEXITSTATUS(code);
		line.signal = killed ? WTERMSIG(code) : 0;
		tell(j, &line);
	}
}

void journal_decision(struct journal *j, const struct decision *d)
{
	struct text line = {0};

	if (!j->recorder)
		return;
	record_decision(&line, d);
	add(j, "ask", &line);
}

void journal_lost(struct journal *j, const char *what)
{
	if (j->recorder) {
		struct text line = {0};

		json_field_u64(&line, "count", 1);
		json_field_puts(&line, "what", what);
		add(j, "lost", &line);
	}
	if (j->listener) {
		struct record_line line = line_of(RECORD_LOST, 0, 0, 0, NULL);

		line.what = word(what);
		tell(j, &line);
	}
}

int journal_end(struct journal *j, struct record_ending *ending)
{
	int err = 0;

	ending->lost_lines = atomic_load_explicit(&j->failed, memory_order_relaxed);
	if (j->recorder) {
		struct text line = {0};

		recorder_drain(j->recorder);
		ending->lost_lines += recorder_lost(j->recorder, &err);
		record_end(&line, ending);
		add(j, "end", &line);
		recorder_drain(j->recorder);
		ending->lost_lines = recorder_lost(j->recorder, &err) +
				     atomic_load_explicit(&j->failed, memory_order_relaxed);
	}
	if (j->listener) {
		struct record_line line = line_of(RECORD_END, 0, 0, 0, NULL);
		struct record_bytes lost[LIST_MAX], unwatched[LIST_MAX];

		line.status = WIFSIGNALED(ending->wstatus) ? -1 : WEXITSTATUS(ending->wstatus);
		line.signal = WIFSIGNALED(ending->wstatus) ? WTERMSIG(ending->wstatus) : 0;
		line.accesses = ending->accesses;
		line.refusals = ending->refusals;
		line.lost_lines = ending->lost_lines;
		line.lost = list_of(ending->lost, lost);
		line.unwatched = list_of(ending->unwatched, unwatched);
		line.complete = record_is_all(ending);
		tell(j, &line);
	}
	return err;
}
