/* SPDX-License-Identifier: Apache-2.0
 * The observer: every access that is worth a word comes here and is tallied, recorded, or both.
 *
 * Invariants: an allowed access that nobody records costs one comparison; nothing that a target chose
 * is shown or written without being escaped; what was lost is counted and said.
 */
#include "core/observe/observe.h"
#include "core/observe/journal.h"
#include "core/observe/outfile.h"
#include "core/observe/record.h"
#include "core/observe/summary.h"
#include "core/observe/tasks.h"
#include "core/run.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { LOSSES_MAX = 16, LINES_MAX = 2 * LOSSES_MAX + 8, STDERR_STUCK_MS = 2000 };

struct loss {
	char what[120];
	uint64_t count;
};

struct observer {
	/* immutable after observer_new */
	struct observer_config config;
	struct places places;
	struct journal *journal; /* NULL: nothing is recorded */
	struct tasks *tasks;     /* with a journal */
	int stats_fd;
	bool stats_regular;
	char run[24];

	/* locked inside */
	struct tally *tally;

	/* atomic counters, relaxed: read when all threads are done, or as a hint */
	_Atomic uint64_t accesses, refusals, moves;

	/* under loss_lock */
	pthread_mutex_t loss_lock;
	struct loss losses[LOSSES_MAX];
	size_t n_losses;
	uint64_t more_losses;
};

static int open_error(struct policy_error *e, const char *option, const char *path, int err)
{
	char shown[512];

	escape_bytes(shown, sizeof(shown), path, strlen(path));
	if (err == -ELOOP)
		snprintf(e->text, sizeof(e->text),
			 "%s %s: is a symbolic link, which the command could have planted: name the file itself",
			 option, shown);
	else if (err == -EPERM)
		snprintf(e->text, sizeof(e->text), "%s %s: is another user's file: name a new one", option, shown);
	else
		snprintf(e->text, sizeof(e->text), "%s %s: %s", option, shown, strerror(-err));
	return err;
}

int observer_new(const struct observer_config *config, struct observer **ret, struct policy_error *ret_error)
{
	struct observer *o = calloc(1, sizeof(*o));
	uint64_t id = 0;
	int r = -ENOMEM;

	if (!o)
		return -ENOMEM;
	o->config = *config;
	o->stats_fd = -EBADF;
	pthread_mutex_init(&o->loss_lock, NULL);
	if (getrandom(&id, sizeof(id), 0) < 0)
		id = (uint64_t)getpid();
	snprintf(o->run, sizeof(o->run), "%016llx", (unsigned long long)id);
	o->tally = tally_new();
	if (!o->tally || places_init(&o->places, config->policy) < 0) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		goto fail;
	}
	if (config->stats_path) {
		o->stats_fd = r = outfile_open(config->stats_path, &o->stats_regular);
		if (r < 0) {
			open_error(ret_error, "--stats", config->stats_path, r);
			goto fail;
		}
	}
	r = journal_new(config->record_path, config->listener, config->listener_ctx, &o->journal);
	if (r < 0) {
		open_error(ret_error, "--record", config->record_path ? config->record_path : "", r);
		goto fail;
	}
	if (o->journal) {
		journal_start(o->journal, &o->config, o->run);
		r = tasks_new(o->journal, &o->tasks);
		if (r < 0) {
			open_error(ret_error, "--record", "processes can't be followed", r);
			goto fail;
		}
	}
	*ret = o;
	return 0;
fail:
	observer_free(o);
	return r;
}

const char *observer_run(const struct observer *o)
{
	return o->run;
}

bool observer_wants_allowed(const struct observer *o)
{
	return o->journal != NULL;
}

/* A missing file is missing under any policy: no refusal. */
static bool is_missing(const struct access_event *e)
{
	return e->err == ENOENT && e->exists == 0;
}

/* Who it was, for a line of the record. */
static void look(struct observer *o, pid_t tid, struct task_view *ret)
{
	tasks_look(o->tasks, tid, ret);
	if (ret->lost)
		observe_lost(o, "processes: too many to follow at once");
}

void observe_access(struct observer *o, const struct access_event *e)
{
	bool refused = !e->allowed && !is_missing(e), known;
	struct task_view task;

	if (!refused && !o->journal)
		return;
	atomic_fetch_add_explicit(&o->accesses, 1, memory_order_relaxed);
	if (o->journal) {
		look(o, e->tid, &task);
		journal_access(o->journal, e, &task);
		known = task.exe[0];
	} else {
		known = task_exe(e->pid, task.exe, sizeof(task.exe));
	}
	if (!refused || e->verdict.quiet)
		return;
	if (e->err == EXDEV) { /* who renames copies then, and each copy is judged by itself */
		atomic_fetch_add_explicit(&o->moves, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&o->refusals, 1, memory_order_relaxed);
	tally_add(o->tally, e, known ? task.exe : NULL);
}

static void count_loss(struct observer *o, const char *what)
{
	for (size_t i = 0; i < o->n_losses; i++) {
		if (strncmp(o->losses[i].what, what, sizeof(o->losses[i].what) - 1) == 0) {
			o->losses[i].count++;
			return;
		}
	}
	if (o->n_losses == LOSSES_MAX) {
		o->more_losses++;
		return;
	}
	snprintf(o->losses[o->n_losses].what, sizeof(o->losses[0].what), "%s", what);
	o->losses[o->n_losses++].count = 1;
}

void observe_lost(struct observer *o, const char *what)
{
	pthread_mutex_lock(&o->loss_lock);
	count_loss(o, what);
	pthread_mutex_unlock(&o->loss_lock);
	if (o->journal)
		journal_lost(o->journal, what);
}

void observe_exec(struct observer *o, const struct exec_event *e)
{
	struct task_view task;

	if (!o->journal)
		return;
	look(o, e->pid, &task);
	tasks_executes(o->tasks, e->pid);
	journal_exec(o->journal, e, &task);
}

void observe_decision(struct observer *o, const struct decision *d)
{
	if (o->journal)
		journal_decision(o->journal, d);
}

uint64_t observer_refusals(const struct observer *o)
{
	return atomic_load_explicit(&o->refusals, memory_order_relaxed);
}

/* All at once, never killed by a reader that went away, never held up by a terminal for long. */
static void write_stderr(const char *s, size_t len)
{
	struct timespec none = {0};
	sigset_t pipe, pending, old;
	bool was_pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	while (len) {
		ssize_t n = write(STDERR_FILENO, s, len);
		struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (poll(&p, 1, STDERR_STUCK_MS) <= 0)
				break;
		} else if (n == 0 || errno != EINTR) {
			break;
		}
	}
	if (!was_pending)
		while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Words for the end of the record: what was lost, from STORE. */
static void list_losses(const struct observer *o, char store[LINES_MAX][160], const char **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_losses; i++) {
		struct text shown = {0};

		text_escaped(&shown, o->losses[i].what, strlen(o->losses[i].what));
		snprintf(store[n], sizeof(store[n]), "%s (%llu times)", shown.data ? shown.data : "",
			 (unsigned long long)o->losses[i].count);
		text_done(&shown);
		ret[n] = store[n];
		n++;
	}
	if (o->more_losses) {
		snprintf(store[n], sizeof(store[n]), "other things (%llu times)",
			 (unsigned long long)o->more_losses);
		ret[n] = store[n];
		n++;
	}
	ret[n] = NULL;
}

static void write_stats(const struct observer *o, const struct record_ending *ending,
			const struct run_stats *stats, char *ret_remark, size_t size)
{
	struct text t = {0};
	size_t written;
	int r = -ENOMEM;

	record_stats(&t, &o->config, o->run, ending, stats);
	if (!t.failed)
		r = outfile_write(o->stats_fd, o->stats_regular, t.data, t.len, &written);
	text_done(&t);
	if (r < 0)
		snprintf(ret_remark, size, "--stats: %s: the file is not complete", strerror(-r));
}

static void end_record(struct observer *o, struct record_ending *ending, char *ret_remark, size_t size)
{
	int err;

	tasks_drain(o->tasks);
	err = journal_end(o->journal, ending);
	if (ending->lost_lines)
		snprintf(ret_remark, size, "--record: %llu lines were lost (%s): the record is not complete",
			 (unsigned long long)ending->lost_lines, err ? strerror(err) : "no memory");
}

void observer_finish(struct observer *o, int wstatus, const struct run_stats *stats)
{
	char losses[LINES_MAX][160], remark_record[160] = "", remark_stats[160] = "";
	char remarks_store[LINES_MAX][200];
	const char *lost[LINES_MAX], *unwatched[9] = {NULL}, *remarks[LINES_MAX];
	struct record_ending ending = {
		.wstatus = wstatus,
		.accesses = atomic_load_explicit(&o->accesses, memory_order_relaxed),
		.refusals = observer_refusals(o),
		.lost = lost,
		.unwatched = unwatched,
	};
	struct summary_input in = {
		.places = &o->places,
		.plan = o->config.plan,
		.command = o->config.argv && o->config.argv[0] ? o->config.argv[0] : "the command",
		.wstatus = wstatus,
		.verbose = o->config.verbose,
		.moves_refused = atomic_load_explicit(&o->moves, memory_order_relaxed),
		.remarks = remarks,
	};
	struct text out = {0};
	size_t n = 0;

	list_losses(o, losses, lost);
	if (o->config.plan)
		unwatched[unwatched_list(o->config.plan, unwatched, 8)] = NULL;
	if (o->journal)
		end_record(o, &ending, remark_record, sizeof(remark_record));
	if (o->stats_fd >= 0)
		write_stats(o, &ending, stats, remark_stats, sizeof(remark_stats));
	for (size_t i = 0; lost[i]; i++) {
		snprintf(remarks_store[n], sizeof(remarks_store[n]), "not all was seen or done: %s", lost[i]);
		remarks[n] = remarks_store[n];
		n++;
	}
	if (*remark_record)
		remarks[n++] = remark_record;
	if (*remark_stats)
		remarks[n++] = remark_stats;
	remarks[n] = NULL;
	if (o->config.quiet)
		return;
	in.refusals = tally_kinds(o->tally, &in.n_refusals, &in.others);
	summary_write(&in, &out);
	if (out.len)
		write_stderr(out.data, out.len);
	text_done(&out);
}

void observer_free(struct observer *o)
{
	if (!o)
		return;
	tasks_free(o->tasks);
	journal_free(o->journal);
	if (o->stats_fd >= 0)
		close(o->stats_fd);
	tally_free(o->tally);
	places_done(&o->places);
	pthread_mutex_destroy(&o->loss_lock);
	free(o);
}
