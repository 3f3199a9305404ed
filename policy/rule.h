/* SPDX-License-Identifier: Apache-2.0
 * Rules and patterns: the values that the parser makes, the matcher and the planner read.
 *
 * Everything here is immutable once policy_finish() has returned; any thread may read it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op {
	OP_READ, OP_LIST, OP_WRITE, OP_CREATE, OP_DELETE, OP_EXEC, OP_META, OP_STAT,
	OP_CONNECT, OP_BIND,
	OP_COUNT
};
typedef uint16_t opset; /* bit (1 << op) */
#define OPBIT(op) ((opset)(1u << (op)))
extern const char *const op_names[OP_COUNT];

enum action { ACTION_ALLOW, ACTION_ASK, ACTION_DENY, ACTION_NEVER, ACTION_COUNT };
extern const char *const action_names[ACTION_COUNT];

/* Rising authority; several -p files and the user's includes share RANK_USER. */
enum rank { RANK_BUILTIN, RANK_USER, RANK_OPTION, RANK_ANSWER };

enum component_kind { COMPONENT_LITERAL, COMPONENT_GLOB, COMPONENT_DOUBLESTAR };

struct component {
	enum component_kind kind;
	const char *text; /* literal: the bytes; glob: compiled form, private to pattern.c */
	size_t len;
};

/* An absolute path pattern. "/" has no components. A floating pattern begins with a doublestar. */
struct pattern {
	bool is_glob; /* some component is no literal */
	uint16_t n_comps;
	struct component *comps;
	const char *text;   /* normalised, printable by escape_bytes() */
	const char *prefix; /* the longest literal directory prefix, "/" at least, no trailing slash;
			     * for a pattern that is no glob the whole path, equal to text */
	uint16_t prefix_len;
	uint16_t n_literal; /* components before the first that is no literal */
	uint64_t doublestars; /* private to pattern.c: bit i: component n_literal + i is one */
};

/* What `connect`/`bind` rules may name besides paths. */
enum net_target { NET_NONE, NET_ANY /* *:* of both protocols */ };

struct rule {
	enum action action;
	opset ops;
	int deny_errno; /* positive; 0: the default of the action */
	bool quiet, audit;
	enum rank rank;
	const char *file; /* as shown: "my.policy", "build", or "--allow read:~/x" */
	int line;         /* 0 on the command line */
	const char *text; /* the statement with blanks folded, for rule_text */
	enum net_target net;
	/* One or two names: a last component that is a symlink is named as the link and as what it
	 * leads to. Empty for a network target. */
	uint16_t n_names;
	struct pattern *names;
};

/* A built-in pattern that allows terminals means those of the run, which only the supervisor tells from others: by
 * their objects, when they are opened. */
static inline bool rule_means_own_terminals(const struct rule *rule)
{
	return rule && rule->rank == RANK_BUILTIN && rule->action == ACTION_ALLOW && rule->n_names &&
	       rule->names[0].is_glob;
}

/* Length of the shortest prefix of PATH (absolute, canonical) that the pattern matches: the
 * "object" of POLICY.md section 3. 0 if the pattern matches neither PATH nor an ancestor
 * ("/" has length 1). */
size_t pattern_object(const struct pattern *p, const char *path, size_t len);

/* May the pattern match something strictly beneath DIR that it does not cover already at DIR? */
bool pattern_may_match_below(const struct pattern *p, const char *dir, size_t len);
