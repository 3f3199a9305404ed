/* SPDX-License-Identifier: Apache-2.0
 * The inside of a policy: what the parser collects, what policy_finish() makes of it.
 *
 *   policy_add_*  ->  drafts (rules with unresolved patterns), settings, env rules
 *   policy_finish ->  names resolved, contradictions refused, index built
 *   policy_decide ->  reads the index and nothing else
 */
#pragma once
#include "policy/arena.h"
#include "policy/pattern.h"
#include "policy/policy.h"
#include "policy/word.h"

#define RULES_MAX	  16384 /* an index fits 16 bits; keeps the checks of pairs short */
#define FILE_SIZE_MAX	  (1u << 20)
#define INCLUDE_DEPTH_MAX 32

/* What is known of a rule before its names are resolved; drafts[i] belongs to rules[i]. */
struct draft {
	struct pattern written; /* unset for a network target */
	const char *raw;	/* the target as it stands in the line */
	int column;
	const char *variable; /* the first that stands in the target */
	const char *links;    /* on the way to what it names, as policy_host has them; NULL: none */
	bool implicit;	      /* policy_add_protected() */
};

/* A policy that was read by a name that leads through links. */
struct file_link {
	const char *file, *links;
};

/* A file being read; the innermost first. */
struct source {
	const struct source *outer;
	const char *path; /* what includes are relative to; NULL: text without a file */
	const char *shown;
	enum rank rank;
	unsigned depth;
};

/* A file that was read: once for each rank that it was asked for. */
struct loaded {
	const char *path;
	enum rank rank;
};

/* A setting with where it was made, one for each rank. */
struct setting {
	bool set;
	int value;
	struct place place;
};
#define N_RANKS (RANK_ANSWER + 1)

struct env_entry {
	struct env_rule rule;
	struct component glob; /* unset, keep */
	bool is_glob;
	struct place place;
};

struct matcher; /* match.c */

struct policy {
	struct arena arena;
	struct policy_host host;
	struct policy_error error; /* the first one is final */
	bool failed, finished;
	bool exact; /* policy_set_exact() */

	struct rule *rules;
	struct draft *drafts;
	size_t n_rules, cap_rules, cap_drafts;
	size_t n_derived; /* the first so many rules are a finished policy's: resolved, and judged as a start */

	struct env_entry *env_entries;
	struct env_rule *env;
	size_t n_env, cap_env, n_env_rules;

	const char **calls;
	size_t n_calls, cap_calls;

	const char **files;
	size_t n_files, cap_files;
	struct file_link *file_links;
	size_t n_file_links, cap_file_links;
	struct loaded *loaded;
	size_t n_loaded, cap_loaded;

	struct setting report[N_RANKS], exec_holes[N_RANKS];
	opset named, asked; /* by a rule that is no allow (stat: by any); by an ask */

	struct matcher *matcher;

	const char **notes; /* made by policy_finish() */
	size_t n_notes;
};

/* Copy the first error out, when the policy has failed; otherwise record R (<0) as the first. */
int policy_result(struct policy *p, int r, struct policy_error *ret_error);

/* parse.c: the lines of one text. Errors go to p->error. */
int policy_parse_text(struct policy *p, const struct source *source, const char *text, size_t len);
/* include.c: the word of an include statement. */
int policy_include(struct policy *p, const struct source *source, const struct place *place,
		   const struct word *w);
/* env.c */
int env_parse(struct policy *p, const struct source *source, struct lexer *lx);
int env_finish(struct policy *p);
/* resolve.c: LINKS as policy_host has them into the arena, NULL if there are none. 0 or -ENOMEM. */
int policy_keep_links(struct policy *p, const char *links, const char **ret);
/* Names of all rules. */
int policy_resolve_names(struct policy *p);
/* check.c: rules that can't act. After matcher_build(). */
int policy_check_rules(struct policy *p);
/* planted.c: what links lead to that the command may make is not allowed. After matcher_build(), which it may do
 * again. */
int policy_drop_planted(struct policy *p);
/* match.c */
int matcher_build(struct policy *p);

/* Which of two rules of one object counts, or is named: stricter first, then an order of their contents
 * that does not depend on the order of lines. < 0: A. */
int rule_compare(const struct rule *a, const struct rule *b);
