/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the parser share: parse.c (statements), target.c, option.c.
 *
 * All return 0 or -errno, with the error in the lexer's (the policy's) struct policy_error.
 */
#pragma once
#include "policy/private.h"

/* An error at word W. */
#define fail_word(lx, w, ...) place_error((lx)->error, &(lx)->place, (w)->column, __VA_ARGS__)

/* The statement that a line of rules shares. */
struct statement {
	enum action action;
	opset ops;
	const struct word *ops_word;
	int deny_errno;
	bool quiet, audit;
	const char *text;
};

/* One target: a pattern, or the network. */
struct target {
	struct pattern pattern;
	const char *raw;
	enum net_target net;
	int column;
	const char *variable;
	struct target *next;
};

/* W as a target of ST, in the policy's arena. May rewrite W. */
int parse_target(struct policy *p, struct lexer *lx, const struct statement *st, struct word *w,
		 struct target **ret);
/* Behind the operations: targets and modifiers, each target becomes a rule. */
int parse_targets(struct policy *p, const struct source *source, struct lexer *lx, struct statement *st);
int parse_add_rule(struct policy *p, const struct source *source, const struct lexer *lx,
		   const struct statement *st, const struct target *t);
/* LEN bytes of operations, the first of them at COLUMN. */
int parse_ops(struct lexer *lx, const char *ops, size_t len, int column, opset *ret);
/* All behind the action of a rule. */
int parse_rule(struct policy *p, const struct source *source, struct lexer *lx, enum action action);
/* The value of a setting: one of VALUES, NULL-terminated. */
int parse_setting(const struct source *source, struct lexer *lx, const struct word *keyword,
		  struct setting *settings, const char *const *values);
extern const char *const report_words[];
