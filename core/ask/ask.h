/* SPDX-License-Identifier: Apache-2.0
 * Asking the user on the controlling terminal. One question at a time is shown; the rest wait.
 * Identical questions (same op, same path) are asked once. Time-out, no terminal, crash: deny.
 *
 * asker_new on the leader thread. ask_submit from any thread; the callback runs on the asker's
 * thread, exactly once.
 */
#pragma once
#include "policy/policy.h"
#include <sys/types.h>

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_TIMEOUT, ANSWER_NO_TERMINAL, ANSWER_END_TREE };

struct question {
	enum op op;
	const char *path;
	size_t path_len;
	const struct rule *rule;
	pid_t pid, tid;
	const char *exe, *argv; /* kernel's word and the process's own claim; may be NULL */
	bool exists, is_dir;
	uint64_t size;
	uid_t owner;
	mode_t mode;
};

struct asker;
struct asker_config {
	unsigned timeout_s;    /* 0: the default of 60 */
	bool terminal;         /* --prompt tty; false: none, every ask is denied */
	void (*end_tree)(void *ctx);
	void *ctx;
};
int asker_new(const struct asker_config *config, struct asker **ret);
/* Copies the question. CALLBACK(ctx, answer) later, or at once if it is answered for the run. */
void ask_submit(struct asker *a, const struct question *q, void (*callback)(void *ctx, enum answer a),
		void *ctx);
/* The caller died: its question is withdrawn (its callback gets ANSWER_NO). While a question is shown
 * the asker looks for that itself, too. */
void ask_withdraw(struct asker *a, pid_t tid);
/* No more questions: what still waits is answered with ANSWER_NO, and so is, at once, what comes
 * later. After it no callback runs on the asker's thread any more, and the terminal is given back. */
void asker_stop(struct asker *a);
void asker_free(struct asker *a);
/* Give the terminal back as it was, in the middle of a question too: for every way in which the
 * process may end that passes no asker_free() nor exit(). Async-signal-safe. */
void asker_restore_terminal(void);

struct asker_stats {
	uint64_t asked, timeouts, no_terminal, flooded; /* flooded: refused, too many waited */
};
void asker_get_stats(struct asker *a, struct asker_stats *ret);
