/* SPDX-License-Identifier: Apache-2.0
 * The queue of questions and the thread that asks them.
 *
 * A question with the callers that wait for its answer is a group. Life of a group:
 *
 *	submitted -> queued -> shown -> answered
 *	                 \-> forgotten, when all its callers are gone
 *
 * Only the asker's thread removes groups, so the one that is shown stays valid without the lock; the
 * list of its callers does not. Callbacks run without the lock.
 *
 * What the target can do to the user's attention is bounded: identical questions are one, past
 * GROUPS_MAX different ones that wait every further one is refused at once and counted.
 */
#include "core/ask/ask.h"
#include "core/ask/prompt.h"
#include "core/ask/terminal.h"
#include "core/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
	TIMEOUT_DEFAULT_S = 60,
	TIMEOUT_LEAST_S = 15,  /* for one that has waited behind others all its time */
	GROUPS_MAX = 20,
	WAITERS_MAX = 1024,
	ANSWERS_MAX = 4096,
	GUARD_MS = 250,        /* keys pressed before anyone could have read the question */
	TICK_MS = 250,
};

struct waiter {
	struct waiter *next;
	void (*callback)(void *ctx, enum answer answer);
	void *ctx;
	pid_t tid;
};

struct group {
	struct group *next;
	struct question q; /* strings are its own */
	struct waiter *waiters;
	int64_t submitted_ms;
};

/* An answer for the run, by operation and path. */
struct remembered {
	enum op op;
	char *path;
	size_t len;
	bool yes;
};

struct asker {
	/* immutable after asker_new */
	struct asker_config config;
	struct terminal *terminal; /* NULL: none */
	int wake_fd;
	pthread_t thread;
	bool has_thread;

	/* under lock */
	pthread_mutex_t lock;
	struct group *queue, **tail;
	struct waiter *withdrawn;
	size_t n_groups, n_waiters;
	struct remembered *answers;
	size_t n_answers;
	bool stop, ended;
	struct asker_stats stats;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wake(const struct asker *a)
{
	uint64_t one = 1;

	while (write(a->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void clear_wake(const struct asker *a)
{
	uint64_t n;

	while (read(a->wake_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

static bool same_words(const char *x, const char *y)
{
	return x == y || (x && y && strcmp(x, y) == 0);
}

/* A yes is for the program that the user saw: another's question is another one. */
static bool is_same_question(const struct question *x, const struct question *y)
{
	return x->op == y->op && x->path_len == y->path_len && memcmp(x->path, y->path, x->path_len) == 0 &&
	       same_words(x->exe, y->exe);
}

static const struct remembered *find_answer(const struct asker *a, const struct question *q)
{
	for (size_t i = 0; i < a->n_answers; i++)
		if (a->answers[i].op == q->op && a->answers[i].len == q->path_len &&
		    memcmp(a->answers[i].path, q->path, q->path_len) == 0)
			return &a->answers[i];
	return NULL;
}

/* Not remembered if memory is short: asked again then. */
static void remember(struct asker *a, const struct question *q, bool yes)
{
	struct remembered *grown;
	char *path;

	if (a->n_answers == ANSWERS_MAX || find_answer(a, q))
		return;
	grown = realloc(a->answers, (a->n_answers + 1) * sizeof(*grown));
	if (!grown)
		return;
	a->answers = grown;
	path = malloc(q->path_len + 1);
	if (!path)
		return;
	memcpy(path, q->path, q->path_len);
	path[q->path_len] = '\0';
	a->answers[a->n_answers++] =
		(struct remembered){.op = q->op, .path = path, .len = q->path_len, .yes = yes};
}

static void group_free(struct group *g)
{
	if (!g)
		return;
	free((void *)(uintptr_t)g->q.path);
	free((void *)(uintptr_t)g->q.exe);
	free((void *)(uintptr_t)g->q.argv);
	free(g);
}

static struct group *group_new(const struct question *q)
{
	struct group *g = calloc(1, sizeof(*g));
	char *path;

	if (!g)
		return NULL;
	g->q = *q;
	g->q.path = path = malloc(q->path_len + 1);
	g->q.exe = q->exe ? strdup(q->exe) : NULL;
	g->q.argv = q->argv ? strdup(q->argv) : NULL;
	if (!path || (q->exe && !g->q.exe) || (q->argv && !g->q.argv)) {
		group_free(g);
		return NULL;
	}
	memcpy(path, q->path, q->path_len);
	path[q->path_len] = '\0';
	g->submitted_ms = now_ms();
	return g;
}

/* Under the lock. True: *RET is the answer, given at once. */
static bool answer_at_once(struct asker *a, const struct question *q, enum answer *ret)
{
	const struct remembered *known;

	if (a->ended || a->stop) {
		*ret = a->ended ? ANSWER_END_TREE : ANSWER_NO;
		return true;
	}
	known = find_answer(a, q);
	if (known) {
		*ret = known->yes ? ANSWER_YES : ANSWER_NO;
		return true;
	}
	if (!a->terminal) {
		a->stats.no_terminal++;
		*ret = ANSWER_NO_TERMINAL;
		return true;
	}
	return false;
}

/* Under the lock: put W behind the group of its question. False: too many wait. */
static bool enqueue(struct asker *a, const struct question *q, struct waiter *w)
{
	struct group *g = a->queue;

	if (a->n_waiters == WAITERS_MAX)
		return false;
	while (g && !is_same_question(&g->q, q))
		g = g->next;
	if (!g) {
		if (a->n_groups == GROUPS_MAX)
			return false;
		g = group_new(q);
		if (!g)
			return false;
		*a->tail = g;
		a->tail = &g->next;
		a->n_groups++;
	}
	w->next = g->waiters;
	g->waiters = w;
	a->n_waiters++;
	return true;
}

void ask_submit(struct asker *a, const struct question *q, void (*callback)(void *ctx, enum answer a), void *ctx)
{
	struct waiter *w = calloc(1, sizeof(*w));
	enum answer answer = ANSWER_NO;
	bool done;

	if (!w) {
		callback(ctx, ANSWER_NO);
		return;
	}
	*w = (struct waiter){.callback = callback, .ctx = ctx, .tid = q->tid};
	pthread_mutex_lock(&a->lock);
	done = answer_at_once(a, q, &answer);
	if (!done && !enqueue(a, q, w)) {
		a->stats.flooded++;
		answer = ANSWER_TIMEOUT;
		done = true;
	}
	pthread_mutex_unlock(&a->lock);
	if (done) {
		free(w);
		callback(ctx, answer);
	} else {
		wake(a);
	}
}

void ask_withdraw(struct asker *a, pid_t tid)
{
	bool found = false;

	pthread_mutex_lock(&a->lock);
	for (struct group *g = a->queue; g; g = g->next) {
		for (struct waiter **at = &g->waiters; *at;) {
			struct waiter *w = *at;

			if (w->tid != tid) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			w->next = a->withdrawn;
			a->withdrawn = w;
			a->n_waiters--;
			found = true;
		}
	}
	pthread_mutex_unlock(&a->lock);
	if (found)
		wake(a);
}

static void call_all(struct waiter *w, enum answer answer)
{
	while (w) {
		struct waiter *next = w->next;

		w->callback(w->ctx, answer);
		free(w);
		w = next;
	}
}

static void call_withdrawn(struct asker *a)
{
	struct waiter *w;

	pthread_mutex_lock(&a->lock);
	w = a->withdrawn;
	a->withdrawn = NULL;
	pthread_mutex_unlock(&a->lock);
	call_all(w, ANSWER_NO);
}

/* Has the thread ended, reaped or not? One that reuses its number counts as alive: asked in vain. */
static bool is_gone(pid_t tid)
{
	_cleanup_close_ int fd = -EBADF;
	char name[40], stat[512];
	const char *state;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return n < 0 && errno == ESRCH;
	stat[n] = '\0';
	state = strrchr(stat, ')'); /* behind the name, which is the task's own choice */
	return state && (state[1] == ' ') && (state[2] == 'Z' || state[2] == 'X');
}

/* Withdraw the questions of callers that died: nobody tells of a SIGKILL. */
static void withdraw_gone(struct asker *a, const struct group *g)
{
	pid_t tids[64];
	size_t n = 0;

	pthread_mutex_lock(&a->lock);
	for (const struct waiter *w = g->waiters; w && n < sizeof(tids) / sizeof(tids[0]); w = w->next)
		tids[n++] = w->tid;
	pthread_mutex_unlock(&a->lock);
	while (n--)
		if (is_gone(tids[n]))
			ask_withdraw(a, tids[n]);
}

/* Is nobody left to whom the answer to G matters? */
static bool is_moot(struct asker *a, const struct group *g)
{
	bool moot;

	pthread_mutex_lock(&a->lock);
	moot = !g->waiters || a->stop;
	pthread_mutex_unlock(&a->lock);
	return moot;
}

static void show(const struct asker *a, const char *words)
{
	terminal_write(a->terminal, words, strlen(words));
}

static void show_question(const struct asker *a, const struct question *q, int64_t left_ms)
{
	struct text out = {0};

	prompt_question(&out, q, (unsigned)((left_ms + 999) / 1000));
	if (!out.failed)
		terminal_write(a->terminal, out.data, out.len);
	text_done(&out);
}

static void show_help(const struct asker *a, int64_t left_ms)
{
	struct text out = {0};

	prompt_help(&out);
	prompt_keys(&out, (unsigned)((left_ms + 999) / 1000));
	if (!out.failed)
		terminal_write(a->terminal, out.data, out.len);
	text_done(&out);
}

/* Show the question; then nobody can have read it yet, so keys do not count. */
static void open_prompt(const struct asker *a, const struct question *q, int64_t left_ms)
{
	struct pollfd none = {.fd = -1};

	show_question(a, q, left_ms);
	poll(&none, 1, GUARD_MS);
	terminal_flush(a->terminal);
}

struct decision {
	enum answer answer;
	bool for_run;
};

/* The answer that KEY is. False: it is none. */
static bool decide_key(const struct asker *a, int key, int64_t left_ms, struct decision *ret)
{
	switch (key) {
	case 'y':
		*ret = (struct decision){ANSWER_YES, false};
		show(a, "yes\n");
		return true;
	case 'r':
		*ret = (struct decision){ANSWER_YES, true};
		show(a, "yes, for this run\n");
		return true;
	case 'n':
		*ret = (struct decision){ANSWER_NO, false};
		show(a, "no\n");
		return true;
	case 'N':
		*ret = (struct decision){ANSWER_NO, true};
		show(a, "no, for this run\n");
		return true;
	case 'k':
		*ret = (struct decision){ANSWER_END_TREE, false};
		show(a, "ending the command\n");
		return true;
	case '?':
		show_help(a, left_ms);
		return false;
	default:
		return false;
	}
}

/* The dialogue about G on a borrowed terminal. */
static struct decision converse(struct asker *a, const struct group *g, int64_t deadline)
{
	struct decision d = {ANSWER_NO, false};
	int64_t last = now_ms();

	open_prompt(a, &g->q, deadline - last);
	for (;;) {
		int64_t now = now_ms();
		int key;

		if (now - last > 4 * TICK_MS) /* stopped (^Z) in between: the user could not answer */
			deadline += now - last;
		last = now;
		if (is_moot(a, g)) {
			show(a, "(no longer needed)\n");
			return d;
		}
		if (now >= deadline) {
			show(a, "no answer: no\n");
			d.answer = ANSWER_TIMEOUT;
			return d;
		}
		key = terminal_key(a->terminal, a->wake_fd,
				   deadline - now < TICK_MS ? (int)(deadline - now) : TICK_MS);
		if (key > 0 && decide_key(a, key, deadline - now, &d))
			return d;
		if (key == -EAGAIN)
			withdraw_gone(a, g);
		if (key == -EINTR) {
			clear_wake(a);
			call_withdrawn(a);
			continue;
		}
		/* After ^Z and fg the shell may have set the modes anew. */
		if (key == -EAGAIN && terminal_is_free(a->terminal)) {
			if (terminal_borrow(a->terminal) == 0)
				open_prompt(a, &g->q, deadline - now);
		}
		if (key == -EIO || (key < 0 && !terminal_is_ours(a->terminal))) {
			d.answer = ANSWER_NO_TERMINAL;
			return d;
		}
	}
}

static struct decision ask_user(struct asker *a, const struct group *g)
{
	struct decision d = {ANSWER_NO_TERMINAL, false};
	unsigned timeout_s = a->config.timeout_s ? a->config.timeout_s : TIMEOUT_DEFAULT_S;
	unsigned least_s = timeout_s < TIMEOUT_LEAST_S ? timeout_s : TIMEOUT_LEAST_S;
	int64_t deadline = g->submitted_ms + timeout_s * 1000LL, least = now_ms() + least_s * 1000LL;

	if (!terminal_is_free(a->terminal) || terminal_borrow(a->terminal) < 0)
		return d;
	d = converse(a, g, deadline > least ? deadline : least);
	terminal_give_back(a->terminal);
	return d;
}

/* Under the lock: the answer that was given for the run meanwhile, else false. */
static bool is_answered(struct asker *a, const struct group *g, struct decision *ret)
{
	const struct remembered *known = find_answer(a, &g->q);

	if (a->ended)
		*ret = (struct decision){ANSWER_END_TREE, false};
	else if (known)
		*ret = (struct decision){known->yes ? ANSWER_YES : ANSWER_NO, false};
	else if (!g->waiters || a->stop)
		*ret = (struct decision){ANSWER_NO, false};
	else
		return false;
	return true;
}

static void count_decision(struct asker *a, const struct decision *d)
{
	a->stats.asked += d->answer != ANSWER_NO_TERMINAL;
	a->stats.no_terminal += d->answer == ANSWER_NO_TERMINAL;
	a->stats.timeouts += d->answer == ANSWER_TIMEOUT;
}

/* Serve the head of the queue. */
static void serve_group(struct asker *a, struct group *g)
{
	struct decision d;
	struct waiter *waiters;
	bool answered, end;

	withdraw_gone(a, g);
	pthread_mutex_lock(&a->lock);
	answered = is_answered(a, g, &d);
	pthread_mutex_unlock(&a->lock);
	if (!answered)
		d = ask_user(a, g);
	end = !answered && d.answer == ANSWER_END_TREE;

	pthread_mutex_lock(&a->lock);
	if (!answered)
		count_decision(a, &d);
	if (d.for_run)
		remember(a, &g->q, d.answer == ANSWER_YES);
	if (end)
		a->ended = true;
	a->queue = g->next;
	if (!a->queue)
		a->tail = &a->queue;
	a->n_groups--;
	waiters = g->waiters;
	for (struct waiter *w = waiters; w; w = w->next)
		a->n_waiters--;
	pthread_mutex_unlock(&a->lock);

	if (end && a->config.end_tree)
		a->config.end_tree(a->config.ctx);
	call_all(waiters, d.answer);
	group_free(g);
}

static void *asker_main(void *arg)
{
	struct asker *a = arg;

	for (;;) {
		struct pollfd p = {.fd = a->wake_fd, .events = POLLIN};
		struct group *g;
		bool stop;

		call_withdrawn(a);
		pthread_mutex_lock(&a->lock);
		g = a->queue;
		stop = a->stop;
		pthread_mutex_unlock(&a->lock);
		if (g) {
			serve_group(a, g);
			continue;
		}
		if (stop)
			return NULL;
		if (poll(&p, 1, -1) > 0)
			clear_wake(a);
	}
}

int asker_new(const struct asker_config *config, struct asker **ret)
{
	struct asker *a = calloc(1, sizeof(*a));
	sigset_t all, old;
	int r;

	if (!a)
		return -ENOMEM;
	a->config = *config;
	a->tail = &a->queue;
	pthread_mutex_init(&a->lock, NULL);
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->wake_fd < 0) {
		r = -errno;
		asker_free(a);
		return r;
	}
	if (config->terminal)
		terminal_open(&a->terminal); /* none: every question gets ANSWER_NO_TERMINAL */
	if (a->terminal) {
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &old);
		r = pthread_create(&a->thread, NULL, asker_main, a);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (r) {
			asker_free(a);
			return -r;
		}
		a->has_thread = true;
	}
	*ret = a;
	return 0;
}

void asker_get_stats(struct asker *a, struct asker_stats *ret)
{
	pthread_mutex_lock(&a->lock);
	*ret = a->stats;
	pthread_mutex_unlock(&a->lock);
}

void asker_restore_terminal(void)
{
	terminal_restore();
}

void asker_stop(struct asker *a)
{
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_mutex_unlock(&a->lock);
	if (!a->has_thread)
		return;
	wake(a);
	pthread_join(a->thread, NULL);
	a->has_thread = false;
	terminal_restore();
}

void asker_free(struct asker *a)
{
	if (!a)
		return;
	asker_stop(a);
	terminal_close(a->terminal);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	for (size_t i = 0; i < a->n_answers; i++)
		free(a->answers[i].path);
	free(a->answers);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
