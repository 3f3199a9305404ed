/* SPDX-License-Identifier: Apache-2.0
 * The words of a line: quotes, escapes, `~` and variables (POLICY.md section 1).
 */
#pragma once
#include "policy/pattern.h"
#include "policy/policy.h"

/* Where a statement stands, for messages. LINE 0: an option, FILE is all that there is to show. */
struct place {
	const char *file;
	int line;
};

enum word_kind {
	WORD_PLAIN, /* keywords, operations: '$' and '~' are ordinary */
	WORD_PATH,  /* `~` at the start; a variable at the start must be an absolute path */
	WORD_VALUE, /* NAME=VALUE: variables of any kind, `~` right behind the '=' */
};

struct word {
	const char *bytes; /* NUL-terminated; holds no NUL itself */
	const bool *bare;
	const int *at; /* column of each byte's source, and of the end */
	size_t len;
	int column;	 /* of its first byte in the line, from 1 */
	const char *raw; /* as written, RAW_LEN bytes of the line */
	size_t raw_len;
	bool all_bare;	      /* no quote, escape, variable or `~` */
	const char *variable; /* the first that gave it a value, NULL if none did; $HOME does not count */
};

struct lexer {
	struct arena *arena;
	const struct policy_host *host;
	struct place place;
	const char *line;
	size_t len, pos;
	int column_base;     /* column of line[0], 1 usually */
	bool is_option;	     /* no comments */
	bool blanks_literal; /* the rest is one word */
	struct policy_error *error;
};

/* The next word. 1, 0 at the end of the statement, or -errno with the error written. */
int lexer_next(struct lexer *lx, enum word_kind kind, struct word *ret);

/* The statement with comments gone and blanks outside of words folded. NULL: out of memory. */
const char *lexer_fold(struct arena *a, const char *line, size_t len, bool is_option);

/* Write "FILE:LINE:COL: " and the message; COLUMN 0 leaves it out. Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) int place_error(struct policy_error *error, const struct place *place,
						      int column, const char *format, ...);
/* "FILE:LINE", or FILE alone for an option: how a message names another line. As shown(). */
const char *place_shown(const struct place *place);
/* S escaped and cut to what an error can show; valid for the next three calls on this thread. */
const char *shown(const char *s, size_t len);
/* The same for text of the policy, whose backslashes are escapes already. */
const char *shown_source(const char *s, size_t len);
