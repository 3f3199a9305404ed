/* SPDX-License-Identifier: Apache-2.0
 * Answers that outlive their question: those for the run, and the file of those for always.
 *
 * An answer speaks only where the policy asks. It lifts no deny and no never, and opens nothing where a
 * policy does not ask: whoever removes the `ask` rule has removed the answers to it.
 *
 * Not locked: its owner does that.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/observe/text.h"

struct answers;

/* Where this user's file of answers is, and the canonical home directory that its lines are written by: both malloc'ed,
 * or NULL without a home directory. */
void answers_where(char **ret_file, char **ret_home);

/* FILE may be NULL. What it holds is read; a file that can't be used is said so in *RET_WARNING (malloc'ed or
 * NULL), and counts as empty. */
int answers_new(const char *file, const char *home, struct answers **ret, char **ret_warning);
void answers_free(struct answers *a);

struct known_answer {
	bool yes;
	char by[64]; /* "answers.policy:3", "an earlier answer" */
};
bool answers_find(const struct answers *a, const struct question *q, struct known_answer *ret);

/* Remember for the run, and that it was said for always if so: for this path, or, with DIR, for all beneath it that
 * RULE asks about. Not remembered if memory is short: asked again then. */
void answers_remember(struct answers *a, const struct question *q, const char *dir, enum ask_scope scope, bool yes);
void answers_each(const struct answers *a, void (*each)(void *ctx, unsigned number, const char *line),
		  void *ctx);
int answers_forget(struct answers *a, unsigned number);

/* Might a yes speak for something beneath the directory FROM that does not now, if it took the name TO? */
bool answers_move_widens(const struct answers *a, const char *from, size_t from_len, const char *to,
			 size_t to_len);

/* The operations on its path that an answer to Q for always is for. */
opset answers_ops(const struct answers *a, const struct question *q, bool yes);
/* The line that answers Q for always. False: it can't be written as one. */
bool answers_line(const struct answers *a, struct text *out, const struct question *q, bool yes);
/* Append that line, but for what the file says already, atomically: a new file takes the old one's place. OPS is
 * answers_ops() as it was when the line was shown. 0 or -errno; -EEXIST: the file says the opposite by now; -EBADMSG:
 * it is no policy, or would be none that says so. Reads nothing but the immutable part of A, so no lock is needed. */
int answers_append(const struct answers *a, const struct question *q, bool yes, opset ops, const char *command);
