/* SPDX-License-Identifier: Apache-2.0
 * Inside core/ask only: the questions that wait, shared by the asker's thread and those that answer.
 *
 * A question with the callers that wait for its answer is a group. Life of a group:
 *
 *	submitted -> open -> settled: out of the queue, its callers told
 *	               \-> folded into the one for its directory
 *
 * A group lives as long as somebody holds a reference: the queue, a dialogue, a program that was run for it.
 * What is under the lock may be read without it only by who was the last to change it.
 */
#pragma once
#include "core/ask/answers.h"
#include "core/ask/ask.h"
#include "core/ask/terminal.h"

#include <pthread.h>

enum {
	GROUPS_MAX = 20,
	PATHS_MAX = 1024, /* of one question for a directory */
	WAITERS_MAX = 2048,
	FOLD_AT = 3, /* so many names of one directory become one question */
	DECISIONS_MAX = 64,
	TIMEOUT_DEFAULT_S = 60,
	TIMEOUT_LEAST_S = 15, /* for one that has waited behind others all its time */
	TICK_MS = 250,
	TOKENS_MAX = 60, /* questions at once; then one each REFILL_MS */
	REFILL_MS = 1000,
};

/* What a name led to. */
struct object {
	dev_t dev;
	ino_t ino;
};

struct waiter {
	struct waiter *next;
	void (*callback)(void *ctx, enum answer answer);
	void *ctx;
	pid_t tid;
	enum answer answer; /* once settled */
};

struct group {
	/* immutable */
	uint64_t number, nonce;
	int64_t submitted_ms;
	struct question q; /* of the first caller; strings are its own */
	char *near;	   /* the directory that may be offered, or NULL */
	bool folded;
	/* under lock */
	struct group *next;
	unsigned refs;
	char **paths; /* the names that are asked about; [0] is q.path */
	struct object *objects; /* what was there */
	size_t n_paths;
	struct waiter *waiters;
	bool settled, shown, busy; /* busy: an answer is just being written to a file */
	opset ops;		   /* while busy and after it: those that it is for */
	struct decision outcome;   /* once settled; strings are by[] and the group's own */
	char by[64];
};

/* A decision that is over. */
struct past {
	struct decision d;
	char *path, *exe, *dir, by[64];
};

struct asker {
	/* immutable after asker_new */
	struct asker_config config;
	char *command;
	struct terminal *terminal; /* NULL: none */
	int wake_fd;
	pthread_t thread;
	bool has_thread;

	/* the asker's thread */
	struct program *programs;

	/* under lock */
	pthread_mutex_t lock;
	struct group *queue, **tail;
	size_t n_groups, n_waiters;
	struct answers *answers;
	uint64_t last_number, last_seq;
	struct past past[DECISIONS_MAX]; /* that of seq is at seq % DECISIONS_MAX */
	unsigned n_clients, tokens;
	int64_t refilled_ms;
	bool stop, ended;
	struct asker_stats stats;
};

/* group.c. Under the lock of the queue where G may be seen by others. */
void group_free(struct group *g);
/* The name in Q and what is there. False: no memory. */
bool group_add_path(struct group *g, const struct question *q);
/* Is the very object that Q is about asked about? Another one that took its name since is another question:
 * the user was shown what the first is, and an answer hands over what waits. */
bool group_has_object(const struct group *g, const struct question *q);
/* May Q be one of the names that are asked about with G? NEAR is question_near() of Q. */
bool group_is_neighbour(const struct group *g, const struct question *q, const char *near);
/* A yes is for the program that the user saw, and for a file or a directory: another's question is another one. */
bool question_is_kin(const struct question *x, const struct question *y);
/* The directory that an answer to Q may be stretched to; malloc'ed, or NULL: nothing so wide as HOME. */
char *question_near(const struct question *q, const char *home);

/* Take out the wake-up that came. */
void ask_clear_wake(const struct asker *a);

/* The oldest that waits and is not SHOWN, with a reference, or NULL. */
struct group *queue_next(struct asker *a);
void queue_unref(struct asker *a, struct group *g);
/* Answer G: 0, or -ENOENT if it is settled. */
int queue_settle(struct asker *a, struct group *g, const struct ask_reply *reply);
/* views.c: what front ends show of it. Under the lock. */
void queue_view(struct asker *a, const struct group *g, const char **names, struct text *lines,
		struct ask_view *ret);
unsigned queue_offered(const struct asker *a, const struct group *g);
/* Withdraw what dead callers asked. */
void queue_withdraw_gone(struct asker *a);
int64_t queue_deadline(const struct asker *a, const struct group *g);

/* dialog.c: the dialogue about G on the terminal. Settles it, unless somebody else does; false: the terminal
 * can't be had. */
bool dialog_run(struct asker *a, struct group *g);

/* program.c: run the program for what waits, look at those that run; the asker's thread only. */
struct pollfd;
void programs_start(struct asker *a);
unsigned programs_poll(struct asker *a, struct pollfd *p, unsigned max); /* how many were filled in */
void programs_serve(struct asker *a);
void programs_end(struct asker *a);
