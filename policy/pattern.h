/* SPDX-License-Identifier: Apache-2.0
 * Making patterns; the functions that read them are in policy/rule.h.
 *
 * Pure functions over values in an arena. Matching is linear in the path for each component of the
 * pattern and uses no memory: components are matched as an automaton whose live states are the bits
 * of one word, so a pattern holds at most PATTERN_TAIL_MAX components from its first wildcard on.
 */
#pragma once
#include "policy/arena.h"
#include "policy/rule.h"

#define PATTERN_TAIL_MAX 63
#define PATTERN_LEN_MAX	 4095 /* PATH_MAX without its NUL */

/* Bytes of a word after quotes, escapes and variables are gone. BARE tells which bytes stood outside
 * of quotes: only those can be wildcards. */
struct wordtext {
	const char *bytes;
	const bool *bare;
	size_t len;
};

/* What is wrong with a pattern, and at which byte of the text. */
struct pattern_problem {
	const char *what;
	size_t at;
};

/* Parse T, which must begin with '/' or with a bare "**" component. Repeated and trailing slashes and
 * "." go; ".." stays where only literal components stand before it (pattern_rebase replaces those)
 * and is an error after a wildcard. 0, -ENOMEM, or -EINVAL with *ret_problem filled. */
int pattern_parse(struct arena *a, const struct wordtext *t, struct pattern *ret,
		  struct pattern_problem *ret_problem);

/* A literal pattern for the absolute path PATH, taken as it is. 0, -ENOMEM or -EINVAL (too long). */
int pattern_literal(struct arena *a, const char *path, struct pattern *ret);

/* P with its literal prefix replaced by the absolute path PREFIX. 0, -ENOMEM or -EINVAL (too long). */
int pattern_rebase(struct arena *a, const struct pattern *p, const char *prefix, struct pattern *ret);

/* Do both patterns have the same components? */
bool pattern_equal(const struct pattern *p, const struct pattern *q);

/* A glob of one component (also for names of environment variables), compiled into the arena. */
int glob_compile(struct arena *a, const struct wordtext *t, struct component *ret,
		 struct pattern_problem *ret_problem);
bool glob_match(const struct component *c, const char *s, size_t len);

/* The live states of a glob pattern after it has read the components of PATH, none of which completed
 * it; *ret_object is 0 then. If the pattern matches PATH or an ancestor: 0, and *ret_object is the
 * length of the object. Two directories with equal states see the same matches beneath. A path that is
 * still above the prefix has a state of its own: PATTERN_ABOVE. */
#define PATTERN_ABOVE (1ULL << 63 | 1)
uint64_t pattern_states(const struct pattern *p, const char *path, size_t len, size_t *ret_object);
