/* SPDX-License-Identifier: Apache-2.0
 * The inside of the planner, shared by policy/plan_*.c. One thread, once, before the start.
 *
 *	plan_names.c   what the rules name in this file tree, what differs beneath a directory
 *	plan_fold.c    names that have other spellings where case does not count: an error
 *	plan_walk.c    the baseline: grants by subtree, around holes
 *	plan_upper.c   the upper bound of the workers
 *	plan_trap.c    which calls must be seen; what can't be kept is an error
 *	plan_lines.c   the rows of `explain --plan`
 *	plan.c         the order of these; plan_lookup.c what the request path calls
 *
 * A hole is a name at which some operation is not plainly allowed. "Plainly" means that nothing is to
 * be asked or recorded either.
 */
#pragma once
#include "policy/plan.h"

#include <stdarg.h>

/* Past these a directory is left to the supervisor. */
#define PLAN_CHILDREN_MAX      300   /* in a directory that is granted child by child */
#define PLAN_EXEC_CHILDREN_MAX 4096  /* the same for exec, which nobody else can allow */
#define PLAN_LOOKUPS_MAX       20000 /* in all */
#define PLAN_SCAN_MAX	       20000 /* entries beneath `never` objects, for files with several names */

#define LL_READ_RIGHTS	 (LL_READ_FILE)
#define LL_WRITE_RIGHTS	 (LL_WRITE_FILE | LL_TRUNCATE)
#define LL_MAKE_RIGHTS	 (LL_MAKE_DIR | LL_MAKE_REG | LL_MAKE_SOCK | LL_MAKE_FIFO | LL_MAKE_SYM)
#define LL_MAKE_DEVICES	 (LL_MAKE_CHAR | LL_MAKE_BLOCK)
#define LL_REMOVE_RIGHTS (LL_REMOVE_DIR | LL_REMOVE_FILE)

#define OPS_ALL	  ((opset)((1u << OP_COUNT) - 1))
#define OPS_NAMES ((opset)(OPBIT(OP_CREATE) | OPBIT(OP_DELETE)))

/* One word for each operation's verdict at a name; equal words: a move changes nothing. */
struct verdicts {
	uint8_t of[OP_COUNT]; /* enum action, VERDICT_AUDIT */
};
#define VERDICT_AUDIT 0x80

/* One name of a rule in this tree, or another name that a mount or a hard link gives it. */
struct name {
	const struct rule *rule;       /* NULL: only a place to go through (the prefix of a glob) */
	const struct pattern *pattern; /* NULL: literal */
	char *path;		       /* the literal, or the literal prefix */
	size_t len;
	opset ops;     /* what the rule speaks of, with what a refusal of write implies */
	opset holes;   /* of these, not plainly allowed here */
	bool closed;   /* the holes are here and everywhere beneath, whatever verdicts say */
	bool compared; /* exec: kept by comparing what was executed, no hole */
	bool alias;
	unsigned star; /* pattern: components before the first doublestar that is not last; else UINT_MAX */
	unsigned first_glob; /* pattern: components before the first that is no literal */
	struct verdicts verdicts;
	struct node_info node;
};

struct name_list {
	struct name *items;
	size_t n, cap;
};

struct grant_list {
	struct grant *items;
	size_t n, cap;
};

/* A directory that is allowed but for a hole. */
struct gap {
	char *path;
	opset ops;
	unsigned granted;	  /* children that have a grant of their own */
	bool too_many;		  /* children: nothing is granted there */
	const struct rule *cause; /* the first hole's */
};

struct planner {
	const struct policy *policy;
	const struct plan_host *host;
	const struct plan_caps *caps;
	struct plan *plan;
	struct policy_error *error;
	struct name_list literals; /* sorted by path_order */
	struct name_list globs;
	struct grant_list baseline, upper;
	struct gap *gaps;
	size_t n_gaps, cap_gaps;
	struct plan_line *lines;
	size_t n_lines, cap_lines;
	size_t lookups;
	bool scan_cut;	  /* a never tree was too large to look through */
	bool open_to_all; /* read and write of everything: device nodes may be made as well */
	bool exec_checked;
	opset lost;    /* no grant may carry these: a named object has other names we can't find */
	opset inexact; /* the baseline grants less than the policy allows */
	bool refer_missing;
	const struct rule *lost_by[OP_COUNT];
	const struct rule *exec_problem;
	const char *exec_problem_what;
};

/* plan_names.c */
int planner_names(struct planner *p);
void planner_names_done(struct planner *p);
void planner_verdicts(const struct planner *p, const char *path, size_t len, struct verdicts *ret);
/* No question, no record: what Landlock may let through. */
bool planner_plain(const struct planner *p, uint8_t verdict, enum op op);
opset planner_plain_ops(const struct planner *p, const struct verdicts *v);

/* What rules say strictly beneath a directory with the verdicts V. */
struct beneath {
	opset holes;   /* ops with a hole */
	opset deep;    /* of these, at any depth: no child is free of it */
	opset allowed; /* ops that some rule allows */
	bool differs;  /* some name has another verdict for some op: moves would tell */
	bool differs_deep;
	opset scattered;		    /* a glob allows children that only a listing finds */
	bool devices;			    /* names of devices */
	const struct rule *cause[OP_COUNT]; /* of the first hole */
	const struct rule *differs_cause;
	const struct rule *exec_glob; /* of a deep hole of exec */
};
void planner_beneath(const struct planner *p, const char *dir, size_t len, unsigned depth,
		     const struct verdicts *v, struct beneath *ret);
/* The literal names at PATH: [*ret_first, return). */
size_t planner_names_at(const struct planner *p, const char *path, size_t len, size_t *ret_first);
/* The first literal name at or after PATH in order. */
size_t planner_names_from(const struct planner *p, const char *path, size_t len);
/* Is PATH, or what is beneath it, different for each process (/proc/self, /proc/PID)? */
bool path_is_volatile(const char *path, size_t len);

/* plan_fold.c */
int planner_folds(struct planner *p);

/* plan_walk.c */
int planner_baseline(struct planner *p);
/* plan_upper.c */
int planner_upper(struct planner *p);
/* plan_trap.c */
int planner_traps(struct planner *p);
/* A refusal or question about exec that lies in a tree where exec is allowed. */
bool planner_exec_hole(const struct planner *p, const struct name *n);
/* plan_lines.c */
int planner_lines(struct planner *p);
void plan_lines_free(struct plan_line *lines, size_t n);

/* plan.c */
int planner_lookup(struct planner *p, const char *path, struct node_info *ret);
int grant_add(struct grant_list *l, const char *path, uint64_t rights, const struct node_info *node);
/* Sort, join equal paths, set parents, drop what an ancestor grants already. */
void grant_list_settle(struct grant_list *l);
/* All rights that the grants of L give on PATH (a directory, or a file by its own identity). */
uint64_t grant_list_rights(const struct grant_list *l, const char *path, size_t len);
void *plan_grow(void *items, size_t n, size_t *cap, size_t size);
/* "FILE:LINE: text", and -EINVAL. */
__attribute__((format(printf, 3, 4))) int planner_refuse(struct planner *p, const struct rule *rule,
							 const char *fmt, ...);
void rule_where(const struct rule *rule, char *buf, size_t size);
opset rule_effective_ops(const struct rule *rule);
/* Malloc'ed; NULL: no memory. */
char *path_parent(const char *path, size_t len);
char *path_join(const char *dir, size_t dir_len, const char *name);
void strv_free(char **v);

/* plan_lookup.c: paths without a trailing slash; the root is "/" and counts as length 0. */
static inline size_t path_norm(size_t len)
{
	return len == 1 ? 0 : len;
}
/* Byte order with '/' lowest: a directory comes right before all that is beneath it. */
int path_order(const char *a, size_t a_len, const char *b, size_t b_len);
bool path_at_or_beneath(const char *dir, size_t dir_len, const char *path, size_t len);
unsigned path_depth(const char *path, size_t len);
