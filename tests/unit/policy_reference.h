/* SPDX-License-Identifier: Apache-2.0
 * A second implementation of POLICY.md section 3 that follows its text and shares nothing with the first:
 * rules as text, patterns matched by plain recursion, every step a filter over the list of rules.
 */
#pragma once
#include "policy/rule.h"

#include <string.h>

struct reference_rule {
	enum action action;
	opset ops;
	char pattern[64]; /* "/a/" and so on; a floating one begins with a doublestar; or a network target */
	enum rank rank;
};

/* ---- patterns: text against text, component by component ---- */

static inline bool reference_component(const char *p, size_t pl, const char *s, size_t sl)
{
	if (pl == 0)
		return sl == 0;
	if (*p == '*')
		return reference_component(p + 1, pl - 1, s, sl) ||
		       (sl > 0 && reference_component(p, pl, s + 1, sl - 1));
	if (sl == 0)
		return false;
	if (*p == '[') {
		const char *end = memchr(p, ']', pl);
		bool in = memchr(p + 1, *s, (size_t)(end - p - 1)) != NULL;

		return in && reference_component(end + 1, pl - (size_t)(end + 1 - p), s + 1, sl - 1);
	}
	return (*p == '?' || *p == *s) && reference_component(p + 1, pl - 1, s + 1, sl - 1);
}

/* Does the pattern match exactly the path? Both are lists of components behind slashes. */
static inline bool reference_match(const char *p, const char *s)
{
	size_t pl, sl;

	while (*p == '/')
		p++;
	while (*s == '/')
		s++;
	if (!*p)
		return !*s;
	pl = strcspn(p, "/");
	sl = strcspn(s, "/");
	if (pl == 2 && memcmp(p, "**", 2) == 0) {
		if (!p[pl] || !p[pl + 1]) /* at the end: one or more */
			return *s != '\0';
		return reference_match(p + pl, s) || (*s && reference_match(p, s + sl));
	}
	return *s && reference_component(p, pl, s, sl) && reference_match(p + pl, s + sl);
}

/* The shortest prefix of PATH that the pattern matches: its length, or 0. */
static inline size_t reference_object(const char *pattern, const char *path)
{
	char prefix[256];
	size_t len = strlen(path);

	if (reference_match(pattern, "/"))
		return 1;
	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		memcpy(prefix, path, i);
		prefix[i] = '\0';
		if (reference_match(pattern, prefix))
			return i;
	}
	return 0;
}

static inline bool reference_is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

/* ---- precedence ---- */

struct reference_verdict {
	enum action action;
	size_t object;	/* 0: the default */
	enum rank rank; /* of the rule that decides */
};

/* EXACT: as after policy_set_exact(). */
static inline struct reference_verdict reference_decide(const struct reference_rule *rules, size_t n, enum op op,
							const char *path, bool exact)
{
	struct reference_verdict v = {op == OP_STAT && !exact ? ACTION_ALLOW : ACTION_DENY, 0, RANK_BUILTIN};
	size_t object[64], longest = 0;
	bool speaks[64], literal = false;
	int rank = -1;

	for (size_t i = 0; i < n; i++) {
		opset ops = rules[i].ops;

		/* a refusal of write refuses replacement */
		if (!exact && rules[i].action != ACTION_ALLOW && (ops & OPBIT(OP_WRITE)))
			ops |= OPBIT(OP_CREATE) | OPBIT(OP_DELETE);
		object[i] = ops & OPBIT(op) ? reference_object(rules[i].pattern, path) : 0;
		speaks[i] = object[i] > 0;
		/* a name is that name */
		if (exact && !reference_is_glob(rules[i].pattern))
			speaks[i] = speaks[i] && object[i] == strlen(path);
	}
	for (size_t i = 0; i < n; i++) /* 1 */
		if (speaks[i] && rules[i].action == ACTION_NEVER)
			return (struct reference_verdict){ACTION_NEVER, object[i], rules[i].rank};
	for (size_t i = 0; i < n; i++) /* 2 */
		if (speaks[i] && object[i] > longest)
			longest = object[i];
	if (longest == 0) /* 6 */
		return v;
	for (size_t i = 0; i < n; i++)
		speaks[i] = speaks[i] && object[i] == longest;
	for (size_t i = 0; i < n; i++) /* 3 */
		if (speaks[i] && (int)rules[i].rank > rank)
			rank = (int)rules[i].rank;
	for (size_t i = 0; i < n; i++) /* 4 */
		literal |= speaks[i] && (int)rules[i].rank == rank && !reference_is_glob(rules[i].pattern);
	v = (struct reference_verdict){ACTION_ALLOW, longest, (enum rank)rank};
	for (size_t i = 0; i < n; i++) { /* 5 */
		if (!speaks[i])
			continue;
		if (literal && ((int)rules[i].rank != rank || reference_is_glob(rules[i].pattern)))
			continue;
		if (rules[i].action > v.action) {
			v.action = rules[i].action;
			v.rank = rules[i].rank;
		}
	}
	return v;
}
