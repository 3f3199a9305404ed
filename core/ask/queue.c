/* SPDX-License-Identifier: Apache-2.0
 * The questions that wait, and how they end.
 *
 * What the target can do to the user's attention is bounded: identical questions are one, names of one
 * directory become one (group.c), past GROUPS_MAX different ones that wait every further one is refused at once and
 * counted, and so is, on a terminal, what comes faster than one a second. Callbacks run without the lock.
 */
#include "core/ask/queue.h"
#include "core/ask/prompt.h"
#include "core/cleanup.h"
#include "core/target/task.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

const char *const ask_scope_words[] = {
	[SCOPE_ONCE] = "once",
	[SCOPE_RUN] = "run",
	[SCOPE_DIR] = "directory",
	[SCOPE_ALWAYS] = "always",
};
const char *const ask_answer_words[] = {
	[ANSWER_NO] = "no",	      [ANSWER_YES] = "yes",
	[ANSWER_TIMEOUT] = "timeout", [ANSWER_NO_TERMINAL] = "nobody",
	[ANSWER_END_TREE] = "end",    [ANSWER_FLOOD] = "flood",
	[ANSWER_AGAIN] = "again",     [ANSWER_GONE] = "withdrawn",
};

/* What happened under the lock and is to be told without it. */
struct outcome {
	struct waiter *waiters;
	struct group *settled; /* linked by next; each with the queue's reference */
	bool end;
};

static void wake(const struct asker *a)
{
	uint64_t one = 1;

	while (write(a->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Front ends look again. */
static void tell(const struct asker *a)
{
	wake(a);
	if (a->config.changed)
		a->config.changed(a->config.ctx);
}

/* ---- groups in the queue ---- */

static struct group *group_new(struct asker *a, const struct question *q, bool folded)
{
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->q = *q;
	g->q.exe = q->exe ? strdup(q->exe) : NULL;
	g->q.argv = q->argv ? strdup(q->argv) : NULL;
	g->q.ancestors = q->ancestors ? strdup(q->ancestors) : NULL;
	g->near = question_near(q, a->config.home);
	g->folded = folded;
	if (!group_add_path(g, q) || (q->exe && !g->q.exe) || (q->argv && !g->q.argv) ||
	    getrandom(&g->nonce, sizeof(g->nonce), 0) != sizeof(g->nonce)) {
		group_free(g);
		return NULL;
	}
	g->q.path = g->paths[0];
	g->number = ++a->last_number;
	g->submitted_ms = ask_now_ms();
	g->refs = 1; /* the queue's */
	*a->tail = g;
	a->tail = &g->next;
	a->n_groups++;
	return g;
}

/* Under the lock: G is no longer in the queue; its reference goes to the caller. */
static void unlink_group(struct asker *a, struct group *g)
{
	struct group **at = &a->queue;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	if (!g->next)
		a->tail = at;
	g->next = NULL;
	a->n_groups--;
}

void queue_unref(struct asker *a, struct group *g)
{
	bool last;

	pthread_mutex_lock(&a->lock);
	last = --g->refs == 0;
	pthread_mutex_unlock(&a->lock);
	if (last)
		group_free(g);
}

struct group *queue_next(struct asker *a)
{
	struct group *g;

	pthread_mutex_lock(&a->lock);
	for (g = a->queue; g && (g->shown || g->busy);)
		g = g->next;
	if (g)
		g->refs++;
	pthread_mutex_unlock(&a->lock);
	return g;
}

int64_t queue_deadline(const struct asker *a, const struct group *g)
{
	return g->submitted_ms + (a->config.timeout_s ? a->config.timeout_s : TIMEOUT_DEFAULT_S) * 1000LL;
}

/* ---- settling ---- */

static void remember_past(struct asker *a, const struct decision *d)
{
	struct past *p = &a->past[d->seq % DECISIONS_MAX];

	free(p->path);
	free(p->exe);
	free(p->dir);
	*p = (struct past){.d = *d};
	p->path = strndup(d->q.path, d->q.path_len);
	p->exe = d->q.exe ? strdup(d->q.exe) : NULL;
	p->dir = d->dir ? strdup(d->dir) : NULL;
	if (!p->path)
		p->d.q.path_len = 0;
	p->d.q.path = p->path;
	p->d.q.exe = p->exe;
	p->d.q.argv = p->d.q.ancestors = NULL;
	p->d.q.rule = NULL;
	p->d.dir = p->dir;
	if (d->by) {
		snprintf(p->by, sizeof(p->by), "%s", d->by);
		p->d.by = p->by;
	}
}

static void count_decision(struct asker *a, enum answer answer)
{
	a->stats.asked += answer != ANSWER_NO_TERMINAL && answer != ANSWER_FLOOD && answer != ANSWER_AGAIN &&
			  answer != ANSWER_GONE;
	a->stats.no_terminal += answer == ANSWER_NO_TERMINAL;
	a->stats.timeouts += answer == ANSWER_TIMEOUT;
}

/* Under the lock: G, which is open, is over. */
static void settle(struct asker *a, struct group *g, const struct ask_reply *reply, struct outcome *out)
{
	unlink_group(a, g);
	g->settled = true;
	snprintf(g->by, sizeof(g->by), "%s", reply->by ? reply->by : "");
	g->outcome = (struct decision){
		.seq = ++a->last_seq,
		.question = g->number,
		.q = g->q,
		.dir = g->folded ? g->near : NULL,
		.answer = reply->answer,
		.scope = reply->scope,
		.by = reply->by ? g->by : NULL,
		.waited_us = (uint64_t)(ask_now_ms() - g->submitted_ms) * 1000,
	};
	for (struct waiter *w = g->waiters, *next; w; w = next) {
		next = w->next;
		w->answer = reply->answer;
		w->next = out->waiters;
		out->waiters = w;
		a->n_waiters--;
		g->outcome.callers++;
	}
	g->waiters = NULL;
	remember_past(a, &g->outcome);
	count_decision(a, reply->answer);
	g->next = out->settled;
	out->settled = g;
}

/* Under the lock: what an answer for longer says of the other questions. */
static void settle_known(struct asker *a, struct outcome *out)
{
	struct known_answer known;

	for (struct group *g = a->queue, *next; g; g = next) {
		struct ask_reply reply = {.scope = SCOPE_ONCE, .by = known.by};

		next = g->next;
		if (g->busy || g->folded || !answers_find(a->answers, &g->q, &known))
			continue;
		reply.answer = known.yes ? ANSWER_YES : ANSWER_NO;
		settle(a, g, &reply, out);
	}
	/* One for a directory is known when each of its names is. */
	for (struct group *g = a->queue, *next; g; g = next) {
		struct ask_reply reply = {.scope = SCOPE_ONCE, .by = known.by};
		struct question q = g->q;
		bool all = !g->busy && g->folded, yes = true;

		next = g->next;
		for (size_t i = 0; all && i < g->n_paths; i++) {
			q.path = g->paths[i];
			q.path_len = strlen(q.path);
			all = answers_find(a->answers, &q, &known) && (i == 0 || known.yes == yes);
			yes = known.yes;
		}
		if (!all)
			continue;
		reply.answer = yes ? ANSWER_YES : ANSWER_NO;
		settle(a, g, &reply, out);
	}
}

static void settle_rest(struct asker *a, const struct ask_reply *reply, struct outcome *out)
{
	while (a->queue)
		settle(a, a->queue, reply, out);
}

/* Without the lock. */
static void announce(struct asker *a, struct outcome *out)
{
	if (out->end && a->config.end_tree)
		a->config.end_tree(a->config.ctx);
	while (out->waiters) {
		struct waiter *w = out->waiters;

		out->waiters = w->next;
		w->callback(w->ctx, w->answer);
		free(w);
	}
	if (out->settled)
		tell(a);
	while (out->settled) {
		struct group *g = out->settled;

		out->settled = g->next;
		if (a->config.decided)
			a->config.decided(a->config.ctx, &g->outcome);
		queue_unref(a, g);
	}
}

/* Under the lock. */
static void remember(struct asker *a, const struct group *g, const struct ask_reply *reply)
{
	bool yes = reply->answer == ANSWER_YES;
	opset ops = reply->scope == SCOPE_ALWAYS ? g->ops : OPBIT(g->q.op);

	if (reply->scope == SCOPE_ONCE || (reply->answer != ANSWER_YES && reply->answer != ANSWER_NO))
		return;
	for (size_t i = 0; i < g->n_paths; i++) {
		struct question q = g->q;

		q.path = g->paths[i];
		q.path_len = strlen(q.path);
		for (q.op = 0; q.op < OP_COUNT; q.op++)
			if (ops & OPBIT(q.op))
				answers_remember(a->answers, &q, NULL, reply->scope, yes);
	}
	if (reply->scope == SCOPE_DIR)
		answers_remember(a->answers, &g->q, g->near, reply->scope, yes);
}

int queue_settle(struct asker *a, struct group *g, const struct ask_reply *reply)
{
	struct outcome out = {0};

	pthread_mutex_lock(&a->lock);
	if (g->settled) {
		pthread_mutex_unlock(&a->lock);
		return -ENOENT;
	}
	g->busy = false;
	remember(a, g, reply);
	settle(a, g, reply, &out);
	if (reply->answer == ANSWER_END_TREE) {
		a->ended = out.end = true;
		settle_rest(a, reply, &out);
	} else if (reply->scope != SCOPE_ONCE) {
		settle_known(a, &out);
	}
	pthread_mutex_unlock(&a->lock);
	announce(a, &out);
	return 0;
}

/* Under the lock: may REPLY be given to G? */
static int check_reply(const struct asker *a, const struct group *g, const struct ask_reply *reply)
{
	unsigned offered = queue_offered(a, g);
	struct text line = {0};
	int r = 0;

	if (reply->answer == ANSWER_END_TREE)
		return 0;
	if (reply->answer != ANSWER_YES && reply->answer != ANSWER_NO)
		return -EINVAL;
	/* A no is always there. */
	if (reply->answer == ANSWER_NO && reply->scope == SCOPE_ONCE)
		return 0;
	if ((unsigned)reply->scope >= SCOPE_COUNT || !(offered & 1u << reply->scope))
		return -EINVAL;
	if (reply->scope == SCOPE_ONCE && g->folded && reply->n_paths != g->n_paths)
		return -ESTALE;
	if (reply->scope != SCOPE_ALWAYS)
		return 0;
	if (!reply->line || !answers_line(a->answers, &line, &g->q, reply->answer == ANSWER_YES) ||
	    strcmp(line.data, reply->line) != 0)
		r = -EINVAL;
	text_done(&line);
	return r;
}

int ask_answer(struct asker *a, uint64_t number, uint64_t nonce, const struct ask_reply *reply)
{
	struct ask_reply for_run = *reply;
	struct group *g;
	int r = -ENOENT, settled;

	pthread_mutex_lock(&a->lock);
	for (g = a->queue; g && g->number != number;)
		g = g->next;
	if (g)
		r = g->nonce != nonce ? -EACCES : g->busy ? -EBUSY : check_reply(a, g, reply);
	if (r == 0) {
		g->refs++;
		g->busy = reply->scope == SCOPE_ALWAYS;
		g->ops = answers_ops(a->answers, &g->q, reply->answer == ANSWER_YES);
	}
	pthread_mutex_unlock(&a->lock);
	if (r < 0)
		return r;
	if (reply->scope == SCOPE_ALWAYS) {
		r = answers_append(a->answers, &g->q, reply->answer == ANSWER_YES, g->ops, a->config.command);
		if (r == -EBADMSG) {
			for_run.scope = SCOPE_RUN;
			reply = &for_run;
			r = 1;
		}
		if (r < 0) {
			pthread_mutex_lock(&a->lock);
			g->busy = false;
			pthread_mutex_unlock(&a->lock);
		}
	}
	if (r >= 0) {
		settled = queue_settle(a, g, reply);
		r = settled < 0 ? settled : r;
	}
	queue_unref(a, g);
	return r;
}

/* ---- submitting ---- */

/* Under the lock. True: *RET is the answer, given at once. */
static bool answer_at_once(struct asker *a, const struct question *q, enum answer *ret)
{
	struct known_answer known;

	if (a->ended || a->stop) {
		*ret = a->ended ? ANSWER_END_TREE : ANSWER_NO;
		return true;
	}
	if (a->config.front != ASK_NOBODY && answers_find(a->answers, q, &known)) {
		*ret = known.yes ? ANSWER_YES : ANSWER_NO;
		return true;
	}
	if (a->config.front == ASK_NOBODY ||
	    (a->config.front == ASK_TERMINAL && !a->terminal && !a->n_clients)) {
		a->stats.no_terminal++;
		*ret = ANSWER_NO_TERMINAL;
		return true;
	}
	return false;
}

bool ask_is_known(struct asker *a, const struct question *q, bool *ret_yes)
{
	struct known_answer known;
	bool found;

	pthread_mutex_lock(&a->lock);
	found = a->config.front != ASK_NOBODY && !a->ended && answers_find(a->answers, q, &known);
	pthread_mutex_unlock(&a->lock);
	if (found)
		*ret_yes = known.yes;
	return found;
}

static bool take_token(struct asker *a)
{
	int64_t now = ask_now_ms(), n = (now - a->refilled_ms) / REFILL_MS;

	/* A program, or what is behind the socket, may well answer a hundred a second. */
	if (a->config.front != ASK_TERMINAL)
		return true;
	if (n > 0) {
		a->tokens = a->tokens + n > TOKENS_MAX ? TOKENS_MAX : (unsigned)(a->tokens + n);
		a->refilled_ms += n * REFILL_MS;
	}
	if (!a->tokens)
		return false;
	a->tokens--;
	return true;
}

/* Move all that waits at FROM to TO, which asks about its name as well. */
static bool fold_into(struct asker *a, struct group *to, struct group *from)
{
	struct waiter **end = &to->waiters;
	struct decision gone = {.question = from->number, .q = from->q, .answer = ANSWER_GONE};

	if (!group_add_path(to, &from->q))
		return false; /* both stay */
	gone.seq = ++a->last_seq;
	remember_past(a, &gone);
	while (*end)
		end = &(*end)->next;
	*end = from->waiters;
	from->waiters = NULL;
	from->settled = true;
	unlink_group(a, from);
	if (from->submitted_ms < to->submitted_ms)
		to->submitted_ms = from->submitted_ms;
	if (--from->refs == 0)
		group_free(from);
	return true;
}

/* Under the lock: the group of the directory that Q joins, or NULL. */
static struct group *fold(struct asker *a, const struct question *q)
{
	_cleanup_free_ char *near = question_near(q, a->config.home);
	struct group *folded = NULL;
	unsigned n = 1;

	if (!near)
		return NULL;
	for (struct group *g = a->queue; g; g = g->next) {
		if (g->shown || g->busy || !group_is_neighbour(g, q, near))
			continue;
		if (g->folded && g->n_paths < PATHS_MAX)
			return group_add_path(g, q) ? g : NULL;
		n += !g->folded;
	}
	if (n < FOLD_AT)
		return NULL;
	folded = group_new(a, q, true);
	for (struct group *g = folded ? a->queue : NULL, *next; g; g = next) {
		next = g->next;
		if (g != folded && !g->folded && !g->shown && !g->busy && group_is_neighbour(g, q, near))
			fold_into(a, folded, g);
	}
	return folded;
}

/* Under the lock: put W behind the group of its question. False: too many wait. */
static bool enqueue(struct asker *a, const struct question *q, struct waiter *w)
{
	struct group *g = a->queue;

	if (a->n_waiters >= WAITERS_MAX || (a->config.most_waiting && a->n_waiters >= a->config.most_waiting))
		return false;
	while (g && (g->busy || !question_is_kin(&g->q, q) || !group_has_object(g, q)))
		g = g->next;
	if (!g)
		g = fold(a, q);
	if (!g && (a->n_groups >= GROUPS_MAX || !take_token(a) || !(g = group_new(a, q, false))))
		return false;
	w->next = g->waiters;
	g->waiters = w;
	a->n_waiters++;
	return true;
}

void ask_submit(struct asker *a, const struct question *q, void (*callback)(void *ctx, enum answer a),
		void *ctx)
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
		answer = ANSWER_FLOOD;
		done = true;
	}
	pthread_mutex_unlock(&a->lock);
	if (done) {
		free(w);
		callback(ctx, answer);
	} else {
		tell(a);
	}
}

/* ---- withdrawing ---- */

void ask_withdraw(struct asker *a, pid_t tid)
{
	static const struct ask_reply nobody = {.answer = ANSWER_GONE};
	struct outcome out = {0};

	pthread_mutex_lock(&a->lock);
	for (struct group *g = a->queue, *next; g; g = next) {
		next = g->next;
		for (struct waiter **at = &g->waiters; *at;) {
			struct waiter *w = *at;

			if (w->tid != tid) {
				at = &w->next;
				continue;
			}
			*at = w->next;
			w->answer = ANSWER_NO;
			w->next = out.waiters;
			out.waiters = w;
			a->n_waiters--;
		}
		if (!g->waiters && !g->busy)
			settle(a, g, &nobody, &out);
	}
	pthread_mutex_unlock(&a->lock);
	announce(a, &out);
}

/* What ends a process unless it says otherwise. */
static bool is_deadly(int sig)
{
	return sig != SIGCHLD && sig != SIGCONT && sig != SIGURG && sig != SIGWINCH && sig != SIGSTOP &&
	       sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU;
}

/* Has the thread ended, reaped or not, or would it if it were answered? One that is traced has a signal that ends it
 * wait until then, unless that is KILL. One that reuses its number counts as alive: asked in vain. */
static bool is_gone(pid_t tid)
{
	struct task_status s;
	uint64_t signals;
	int r = task_read_status(tid, &s);

	if (r < 0)
		return r == -ESRCH;
	signals = (s.sig_pending | s.shared_pending) & ~s.sig_blocked & ~s.sig_ignored & ~s.sig_caught;
	for (int sig = 1; signals; sig++, signals >>= 1)
		if (signals & 1 && is_deadly(sig))
			return true;
	return s.state == 'Z' || s.state == 'X';
}

void queue_withdraw_gone(struct asker *a)
{
	pid_t tids[128];
	size_t n = 0;

	pthread_mutex_lock(&a->lock);
	for (const struct group *g = a->queue; g; g = g->next)
		for (const struct waiter *w = g->waiters; w && n < sizeof(tids) / sizeof(tids[0]);
		     w = w->next)
			tids[n++] = w->tid;
	pthread_mutex_unlock(&a->lock);
	while (n--)
		if (is_gone(tids[n]))
			ask_withdraw(a, tids[n]);
}

void ask_again(struct asker *a)
{
	static const struct ask_reply again = {.answer = ANSWER_AGAIN};
	struct outcome out = {0};

	pthread_mutex_lock(&a->lock);
	for (struct group *g = a->queue, *next; g; g = next) {
		next = g->next;
		if (!g->busy)
			settle(a, g, &again, &out);
	}
	pthread_mutex_unlock(&a->lock);
	announce(a, &out);
}

void ask_set_clients(struct asker *a, unsigned n)
{
	pthread_mutex_lock(&a->lock);
	a->n_clients = n;
	pthread_mutex_unlock(&a->lock);
	wake(a);
}
