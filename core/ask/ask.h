/* SPDX-License-Identifier: Apache-2.0
 * Asking the user: on the controlling terminal, through clients of the control socket, or by a program
 * that is run for each question. Identical questions are asked once, many below one directory become one
 * that offers the directory. Time-out, nobody to ask, a crash: deny.
 *
 * asker_new on the leader thread. ask_submit from any thread; the callback is called exactly once, at once
 * or later from a thread that is not confined (the asker's own, or one that answers).
 */
#pragma once
#include "policy/policy.h"
#include <sys/types.h>

enum answer {
	ANSWER_NO,
	ANSWER_YES,
	ANSWER_TIMEOUT,
	ANSWER_NO_TERMINAL, /* nobody could be asked */
	ANSWER_END_TREE,
	ANSWER_FLOOD, /* too many questions */
	ANSWER_AGAIN, /* the rules are others now: judge anew */
	ANSWER_GONE,  /* only of decisions: nobody waits any more, or it became part of another question */
	ANSWER_COUNT
};

/* How far an answer reaches. */
enum ask_scope { SCOPE_ONCE, SCOPE_RUN, SCOPE_DIR, SCOPE_ALWAYS, SCOPE_COUNT };
extern const char *const ask_scope_words[SCOPE_COUNT];
extern const char *const ask_answer_words[ANSWER_COUNT];

struct question {
	enum op op;
	const char *path;
	size_t path_len;
	const struct rule *rule;
	pid_t pid, tid;
	const char *exe, *argv; /* kernel's word and the process's own claim; may be NULL */
	const char *ancestors;	/* ", started by make (12)", escaped; NULL: found when it is first needed */
	bool exists, is_dir;
	bool makes_dir; /* it does not exist, and will be a directory */
	uint64_t size;
	uid_t owner;
	mode_t mode;
	dev_t dev; /* which object it is; 0: it does not exist */
	ino_t ino;
};

/* What became of a question. */
struct decision {
	uint64_t seq;	   /* counts from 1 */
	uint64_t question; /* its number */
	struct question q; /* valid during the call */
	const char *dir;   /* of a question for a directory, else NULL */
	enum answer answer;
	enum ask_scope scope;
	const char *by; /* "terminal", "program", "client, pid 7", "answers.policy:3"; NULL: nobody */
	uint64_t waited_us;
	unsigned callers;
};

enum ask_front { ASK_NOBODY, ASK_TERMINAL, ASK_CLIENTS, ASK_PROGRAM };

struct asker;
struct asker_config {
	unsigned timeout_s;    /* 0: the default of 60 */
	unsigned most_waiting; /* calls that may wait; 0: as many as ever */
	enum ask_front front;  /* terminal: clients may answer as well */
	const char *program;   /* ASK_PROGRAM: an absolute path */
	const char *answers;   /* the file of answers that hold always, or NULL */
	const char *home;      /* for the lines in it, or NULL */
	const char *command;   /* argv[0] of the command: goes into the comment there */
	bool later;	       /* nothing asks yet: no thread, no terminal before asker_begin() */
	void (*end_tree)(void *ctx);
	/* Something to tell clients: a question, or what became of one. Any thread, no lock is held. */
	void (*changed)(void *ctx);
	/* For the record: once for each question. Any thread, no lock is held. */
	void (*decided)(void *ctx, const struct decision *d);
	void *ctx;
};
int asker_new(const struct asker_config *config, struct asker **ret);
/* A rule that asks was added. From an unconfined thread. 0 or -errno. */
int asker_begin(struct asker *a);
/* Copies the question. CALLBACK(ctx, answer) later, or at once if it is answered for the run. */
void ask_submit(struct asker *a, const struct question *q, void (*callback)(void *ctx, enum answer a),
		void *ctx);
/* Is the answer to this known, for the run or always? */
bool ask_is_known(struct asker *a, const struct question *q, bool *ret_yes);
/* If what is at FROM took the name TO: would an answer that was given, or that a question asks for, then
 * speak for it that does not now? (moves.c) */
struct ask_move {
	const char *from, *to;
	size_t from_len, to_len;
	bool is_dir;
};
bool ask_move_widens(struct asker *a, const struct policy *policy, const struct ask_move *move);
/* The caller died: its question is withdrawn (its callback gets ANSWER_NO). While questions wait the
 * asker looks for that itself, too, and for callers that have a signal to die of. */
void ask_withdraw(struct asker *a, pid_t tid);
/* No more questions: what still waits is answered with ANSWER_NO, and so is, at once, what comes
 * later. After it no callback runs on the asker's thread any more, and the terminal is given back. */
void asker_stop(struct asker *a);
void asker_free(struct asker *a);
/* Give the terminal back as it was, in the middle of a question too: for every way in which the
 * process may end that passes no asker_free() nor exit(). Async-signal-safe. */
void asker_restore_terminal(void);

/* The same for the warden, which outlives a SIGKILL of ours: the descriptor that it has to keep, or -EBADF.
 */
int asker_terminal(const struct asker *a);
void asker_terminal_orphaned(int fd);
bool asker_terminal_lent(void); /* is it in another mode than it was found in? */

struct asker_stats {
	uint64_t asked, timeouts, no_terminal, flooded; /* flooded: refused, too many questions */
};
void asker_get_stats(struct asker *a, struct asker_stats *ret);

/* ---- for front ends: threads that are not confined ---- */

/* Of a clock that never jumps. */
int64_t ask_now_ms(void);

enum { ASK_NAMES_MAX = 8, ASK_LINE_MAX = 20000 };

/* A question as front ends show it. Strings are valid during the call. */
struct ask_view {
	uint64_t number, nonce;
	struct question q;
	const char *dir;	  /* one question for many names of this directory, or NULL */
	const char *near;	  /* the directory that SCOPE_DIR reaches */
	const char *const *names; /* of them, without the directory: the first ASK_NAMES_MAX */
	unsigned n_names, n_paths;
	unsigned offered;		/* bits (1 << enum ask_scope) */
	const char *yes_line, *no_line; /* the rule that `always` writes; NULL if it is not offered */
	int64_t left_ms;		/* until it is a no */
};

/* Each question that waits and has a number above AFTER, oldest first. */
void ask_each(struct asker *a, uint64_t after, void (*each)(void *ctx, const struct ask_view *v), void *ctx);
/* Each decision after AFTER that is still known, oldest first; how many were forgotten already. */
uint64_t ask_each_decision(struct asker *a, uint64_t after, void (*each)(void *ctx, const struct decision *d),
			   void *ctx);
/* Each answer that holds for the run, as a rule's line. */
void ask_each_answer(struct asker *a, void (*each)(void *ctx, unsigned number, const char *line), void *ctx);
/* Forget it. 0 or -ENOENT. */
int ask_forget(struct asker *a, unsigned number);

struct ask_reply {
	enum answer answer; /* yes, no or end */
	enum ask_scope scope;
	const char *line; /* SCOPE_ALWAYS: the line that the user saw */
	unsigned n_paths; /* once, for a directory: how many names the user saw */
	const char *by;
};
/* Answer a question. -ENOENT: there is no such question (any more); -EACCES: not its nonce; -EINVAL: this
 * answer is not offered; -ESTALE: there are more names by now; -EBUSY: somebody else's is just being written;
 * else what prevented the writing. 1: an answer for always that holds for the run, since with its line the file would
 * not be one of answers any more. */
int ask_answer(struct asker *a, uint64_t number, uint64_t nonce, const struct ask_reply *reply);
/* How many clients would answer. */
void ask_set_clients(struct asker *a, unsigned n);
/* The rules have changed: every question that waits is judged anew by who asked it. */
void ask_again(struct asker *a);
