/* SPDX-License-Identifier: Apache-2.0
 * From facts to a policy that a person can read: values in, text out; no system call.
 */
#pragma once
#include "core/facts/facts.h"
#include "core/observe/text.h"
#include "policy/policy.h"

struct learn_input {
	struct facts *facts;
	const struct policy *included; /* what learned policies include: base and credentials */
	const struct policy *danger;   /* of learn_danger_text() */
	const char *home;              /* canonical; may be NULL */
	const char *advice;            /* how to use the file, for its head */
	/* Looks at the machine; any may be NULL. */
	bool (*exists)(const char *path);
	bool (*is_setuid)(const char *path);
};

/* Something the runs did that the policy does not allow on purpose. */
struct learn_result {
	size_t lines;    /* allow lines */
	size_t left_out; /* names */
};

/* The policy. 0 or -ENOMEM. */
int learn_policy(const struct learn_input *in, struct text *out, struct learn_result *ret);

/* How many names of one directory make one line of it. */
enum { LEARN_SIBLINGS = 3 };

/* Rules that refuse what no policy should be taught; line N of it has the reason learn_danger_reason(N). */
const char *learn_danger_text(void);
const char *learn_danger_reason(int line);

/* If the file name NAME holds a date, or, with TEMPORARY, a part made by chance or counted, write NAME with
 * wildcards in its place, as it stands in a policy, into BUF and return its length; else 0. */
size_t learn_pattern(const char *name, size_t len, bool temporary, char *buf, size_t size);

/* What a run needs at a path that the included profiles do not give, and where it may not be folded to. */
opset learn_needs(const struct learn_input *in, const struct fact *fact, const char **ret_reason);
/* Is PATH a .git, or in one, that the runs made themselves? */
bool learn_is_own_repository(const struct learn_input *in, const char *path, size_t len);
/* Is it a .git that they did not make? */
bool learn_is_kept_git(const struct learn_input *in, const char *path, size_t len);
/* Could GLOB, a pattern of learn_pattern() for names in DIR, be the name of something that no line may allow, or
 * of what holds such a thing? */
bool learn_is_dangerous_glob(const struct learn_input *in, const char *dir, size_t len, const char *glob);
bool learn_is_boundary(const struct learn_input *in, const char *dir, size_t len);
