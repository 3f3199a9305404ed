/* SPDX-License-Identifier: Apache-2.0
 * One question on the terminal. While it is shown it may be answered elsewhere, its callers may die, and the
 * terminal may be taken by others: all of that ends the dialogue.
 */
#include "core/ask/prompt.h"
#include "core/ask/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { GUARD_MS = 250 }; /* keys pressed before anyone could have read the question */

struct dialog {
	struct asker *a;
	struct group *g;
	int64_t deadline;
	const char *names[ASK_NAMES_MAX];
	struct text lines;
	struct ask_view v;
	char pending; /* 'a' or 'A': wants to be pressed once more */
};

static void show(const struct dialog *d, const char *words)
{
	terminal_write(d->a->terminal, words, strlen(words));
}

static void show_text(const struct dialog *d, struct text *out)
{
	if (!out->failed)
		terminal_write(d->a->terminal, out->data, out->len);
	text_done(out);
}

static unsigned seconds_left(const struct dialog *d)
{
	int64_t left = d->deadline - ask_now_ms();

	return left > 0 ? (unsigned)((left + 999) / 1000) : 0;
}

/* Nobody can have read yet what was just shown, so keys do not count. */
static void guard(const struct dialog *d)
{
	struct pollfd none = {.fd = -1};

	poll(&none, 1, GUARD_MS);
	terminal_flush(d->a->terminal);
}

static void open_prompt(struct dialog *d)
{
	struct text out = {0};

	d->pending = '\0';
	prompt_question(&out, &d->v, seconds_left(d));
	show_text(d, &out);
	guard(d);
}

static void show_help(struct dialog *d)
{
	struct text out = {0};

	prompt_help(&out, &d->v);
	prompt_keys(&out, &d->v, seconds_left(d));
	show_text(d, &out);
}

/* The line that KEY would write; it is written when KEY comes again. */
static void offer_always(struct dialog *d, char key)
{
	struct text out = {0};

	d->pending = key;
	prompt_always(&out, key == 'a' ? d->v.yes_line : d->v.no_line, d->a->config.answers, key);
	show_text(d, &out);
	guard(d);
}

/* Answer with REPLY; WORDS say so. False: it goes on. */
static bool reply(struct dialog *d, const struct ask_reply *reply, const char *words)
{
	int r = ask_answer(d->a, d->v.number, d->v.nonce, reply);
	struct text out = {0};

	if (r == -ENOENT) /* somebody else was faster: said at the end */
		return true;
	if (r >= 0) {
		show(d, r == 0 ? words
			       : reply->answer == ANSWER_YES
				       ? "yes, for this run; not written: the file would be no policy then\n"
				       : "no, for this run; not written: the file would be no policy then\n");
		return true;
	}
	text_printf(&out, "\n  that can't be: %s\n",
		    r == -EEXIST ? "the file says the opposite by now" : strerror(-r));
	prompt_keys(&out, &d->v, seconds_left(d));
	show_text(d, &out);
	return false;
}

static const struct {
	char key;
	enum answer answer;
	enum ask_scope scope;
	const char *words;
} keys[] = {
	{'y', ANSWER_YES, SCOPE_ONCE, "yes\n"},
	{'r', ANSWER_YES, SCOPE_RUN, "yes, for this run\n"},
	{'d', ANSWER_YES, SCOPE_DIR, "yes, for this run and directory\n"},
	{'a', ANSWER_YES, SCOPE_ALWAYS, "yes, always: written\n"},
	{'n', ANSWER_NO, SCOPE_ONCE, "no\n"},
	{'N', ANSWER_NO, SCOPE_RUN, "no, for this run\n"},
	{'D', ANSWER_NO, SCOPE_DIR, "no, for this run and directory\n"},
	{'A', ANSWER_NO, SCOPE_ALWAYS, "no, always: written\n"},
	{'k', ANSWER_END_TREE, SCOPE_ONCE, "ending the command\n"},
};

/* Act on KEY. True: that was the answer. */
static bool decide_key(struct dialog *d, int key)
{
	bool again = d->pending && key == d->pending;

	if (d->pending && !again) {
		struct text out = {0};

		d->pending = '\0';
		text_puts(&out, "not written\n");
		prompt_keys(&out, &d->v, seconds_left(d));
		show_text(d, &out);
		return false;
	}
	if (key == '?') {
		show_help(d);
		return false;
	}
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct ask_reply r = {.answer = keys[i].answer,
				      .scope = keys[i].scope,
				      .by = "terminal",
				      .n_paths = d->v.n_paths};

		if (keys[i].key != key)
			continue;
		if (!prompt_offers(&d->v, r.answer, r.scope))
			return false;
		if (r.scope == SCOPE_ALWAYS && !again) {
			offer_always(d, (char)key);
			return false;
		}
		r.line = r.answer == ANSWER_YES ? d->v.yes_line : d->v.no_line;
		d->pending = '\0';
		return reply(d, &r, keys[i].words);
	}
	return false;
}

static bool is_over(struct dialog *d, bool *ret_stop)
{
	bool settled;

	pthread_mutex_lock(&d->a->lock);
	settled = d->g->settled;
	*ret_stop = d->a->stop;
	pthread_mutex_unlock(&d->a->lock);
	return settled || *ret_stop;
}

/* Why it ended without us. */
static void show_outcome(const struct dialog *d)
{
	const struct decision *o = &d->g->outcome;
	struct text out = {0};

	if (!d->g->settled || !o->by || (o->answer != ANSWER_YES && o->answer != ANSWER_NO)) {
		text_puts(&out, "(no longer needed)\n");
	} else {
		text_printf(&out, "(%s: ", ask_answer_words[o->answer]);
		text_escaped(&out, o->by, strlen(o->by));
		text_puts(&out, ")\n");
	}
	show_text(d, &out);
}

/* The dialogue on the borrowed terminal. False: the terminal went away, and the question is still open. */
static bool converse(struct dialog *d)
{
	static const struct ask_reply late = {.answer = ANSWER_TIMEOUT};
	int64_t last = ask_now_ms();
	bool stop;

	open_prompt(d);
	for (;;) {
		int64_t now = ask_now_ms();
		int key;

		if (now - last >
		    4 * TICK_MS + GUARD_MS) /* stopped (^Z) in between: the user could not answer */
			d->deadline += now - last;
		last = now;
		if (is_over(d, &stop)) {
			show_outcome(d);
			return true;
		}
		if (now >= d->deadline) {
			show(d, "no answer: no\n");
			queue_settle(d->a, d->g, &late);
			return true;
		}
		key = terminal_key(d->a->terminal, d->a->wake_fd,
				   d->deadline - now < TICK_MS ? (int)(d->deadline - now) : TICK_MS);
		if (key > 0 && decide_key(d, key)) {
			if (is_over(d, &stop) &&
			    !(d->g->outcome.by && strcmp(d->g->outcome.by, "terminal") == 0))
				show_outcome(d);
			return true;
		}
		if (key == -EAGAIN)
			queue_withdraw_gone(d->a);
		if (key == -EINTR) {
			ask_clear_wake(d->a);
			continue;
		}
		/* After ^Z and fg the shell may have set the modes anew. */
		if (key == -EAGAIN && terminal_is_free(d->a->terminal) &&
		    terminal_borrow(d->a->terminal) == 0)
			open_prompt(d);
		if (key == -EIO || (key < 0 && !terminal_is_ours(d->a->terminal)))
			return false;
	}
}

static void set_shown(struct asker *a, struct group *g, bool shown)
{
	pthread_mutex_lock(&a->lock);
	g->shown = shown;
	pthread_mutex_unlock(&a->lock);
}

bool dialog_run(struct asker *a, struct group *g)
{
	struct dialog d = {.a = a, .g = g};
	unsigned timeout_s = a->config.timeout_s ? a->config.timeout_s : TIMEOUT_DEFAULT_S;
	unsigned least_s = timeout_s < TIMEOUT_LEAST_S ? timeout_s : TIMEOUT_LEAST_S;
	int64_t least = ask_now_ms() + least_s * 1000LL;
	bool done;

	if (!terminal_is_free(a->terminal))
		return false;
	set_shown(a, g, true); /* from here on no name is added to it */
	if (terminal_borrow(a->terminal) < 0) {
		set_shown(a, g, false);
		return false;
	}
	pthread_mutex_lock(&a->lock);
	queue_view(a, g, d.names, &d.lines, &d.v);
	d.deadline = queue_deadline(a, g);
	pthread_mutex_unlock(&a->lock);
	if (d.deadline < least)
		d.deadline = least;
	done = converse(&d);
	terminal_give_back(a->terminal);
	set_shown(a, g, false);
	text_done(&d.lines);
	return done;
}
