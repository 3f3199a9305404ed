/* SPDX-License-Identifier: Apache-2.0
 * Rules that can't act are refused before the start: a policy that reads as if it did something, and
 * does not, is worse than an error.
 *
 * A rule is judged operation by operation; it is refused when all of them are idle. What lies whole under
 * a never of its own or a lower rank is idle (one of a higher rank is meant to override it). So is a rule
 * whose objects another of its rank names too, more strictly or as its equal.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Is all that NAME can match covered by OTHER? */
static bool name_covered(const struct policy *p, const struct pattern *name, const struct pattern *other)
{
	if (name->is_glob && pattern_equal(name, other))
		return true;
	if (p->exact && !other->is_glob)
		return !name->is_glob && pattern_equal(name, other);
	return pattern_object(other, name->prefix, name->prefix_len) > 0;
}

static bool rule_covered(const struct policy *p, const struct rule *rule, const struct rule *other)
{
	if (rule->net != other->net)
		return false;
	for (unsigned i = 0; i < rule->n_names; i++) {
		bool covered = false;

		for (unsigned k = 0; k < other->n_names && !covered; k++)
			covered = name_covered(p, &rule->names[i], &other->names[k]);
		if (!covered)
			return false;
	}
	return true;
}

static int never_error(struct policy *p, const struct rule *rule, const struct rule *never, bool implicit)
{
	struct place at = {rule->file, rule->line}, other = {never->file, never->line};

	if (implicit)
		return place_error(
			&p->error, &at, 0,
			"has no effect, the file is in use by sluice itself (%s): remove that line",
			shown_source(never->text, strlen(never->text)));
	if (rule->n_names == 0 || pattern_equal(&rule->names[0], &never->names[0]))
		return place_error(&p->error, &at, 0, "has no effect, %s says \"%s\": remove one of the two",
				   place_shown(&other), shown_source(never->text, strlen(never->text)));
	return place_error(
		&p->error, &at, 0,
		"has no effect, %s says \"%s\": remove that line, or make it \"deny%s\", which "
		"a nearer allow does lift",
		place_shown(&other), shown_source(never->text, strlen(never->text)),
		shown_source(never->text + strlen("never"), strlen(never->text) - strlen("never")));
}

/* Rules that lie whole under nevers. */
static int check_under_never(struct policy *p)
{
	size_t n_nevers = 0, *nevers = arena_alloc(&p->arena, (p->n_rules + 1) * sizeof(*nevers));

	if (!nevers)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].action == ACTION_NEVER)
			nevers[n_nevers++] = i;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *rule = &p->rules[i];
		opset left = rule->ops;
		size_t first = SIZE_MAX;

		if (rule->action == ACTION_NEVER)
			continue;
		for (size_t k = 0; k < n_nevers && left; k++) {
			const struct rule *never = &p->rules[nevers[k]];
			bool implicit = p->drafts[nevers[k]].implicit;
			bool counts = implicit ? rule->rank > RANK_BUILTIN && rule->action != ACTION_DENY
				      : rule->action == ACTION_DENY ? never->rank == rule->rank
								    : never->rank <= rule->rank;

			if (counts && (left & never->ops) && rule_covered(p, rule, never)) {
				left &= (opset)~never->ops;
				if (first == SIZE_MAX)
					first = nevers[k];
			}
		}
		if (!left)
			return never_error(p, rule, &p->rules[first], p->drafts[first].implicit);
	}
	return 0;
}

/* ---- rules of one rank with one object ---- */

/* A name of a rule: literals and globs by text. */
struct named {
	const struct pattern *name;
	size_t rule;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int d = strcmp(x->name->text, y->name->text);

	if (d == 0)
		d = (int)x->name->is_glob - (int)y->name->is_glob;
	return d ? d : (x->rule > y->rule) - (x->rule < y->rule);
}

/* Operations of RULE that OTHER, which has the same object, takes over. */
static opset taken_over(const struct policy *p, size_t rule, size_t other)
{
	const struct rule *r = &p->rules[rule], *o = &p->rules[other];

	if (rule == other || r->rank != o->rank || r->net != o->net || p->drafts[rule].implicit ||
	    p->drafts[other].implicit)
		return 0;
	if (o->action > r->action)
		return r->ops & o->ops;
	/* Two equal rules: the same text twice is refused; two links or variables that lead to one place are
	 * not, since on another machine they lead to two. */
	if (o->action == r->action && strcmp(p->drafts[rule].raw, p->drafts[other].raw) == 0 &&
	    (r->ops & o->ops) == r->ops)
		return r->ops;
	return 0;
}

/* What is known while rules are compared: operations of each name that nothing took over yet. */
struct idleness {
	opset left[2];
	size_t taken_by;
};

static void compare_group(const struct policy *p, struct idleness *idle, const struct named *group, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			size_t rule = group[i].rule;
			unsigned which =
				p->rules[rule].n_names > 1 && group[i].name == &p->rules[rule].names[1];
			opset taken = taken_over(p, rule, group[k].rule);

			idle[rule].left[which] &= (opset)~taken;
			if (taken && idle[rule].taken_by == SIZE_MAX)
				idle[rule].taken_by = group[k].rule;
			if (!idle[rule].left[which])
				break;
		}
}

/* Rules that others of their rank make idle. */
static int check_idle(struct policy *p)
{
	struct named *named = arena_alloc(&p->arena, (2 * p->n_rules + 1) * sizeof(*named));
	struct idleness *idle = arena_alloc(&p->arena, (p->n_rules + 1) * sizeof(*idle));
	/* Network rules have one object and no name. */
	static const struct pattern everywhere = {.text = ""};
	size_t n = 0;

	if (!named || !idle)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *rule = &p->rules[i];

		for (unsigned k = 0; k < rule->n_names; k++)
			named[n++] = (struct named){&rule->names[k], i};
		if (rule->net == NET_ANY)
			named[n++] = (struct named){&everywhere, i};
		idle[i] = (struct idleness){{rule->ops, rule->n_names > 1 ? rule->ops : 0}, SIZE_MAX};
	}
	if (n > 0)
		qsort(named, n, sizeof(*named), compare_named);
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n; to++)
			if (strcmp(named[to].name->text, named[from].name->text) != 0 ||
			    named[to].name->is_glob != named[from].name->is_glob)
				break;
		compare_group(p, idle, named + from, to - from);
	}
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *rule = &p->rules[i], *other;
		struct place at = {rule->file, rule->line}, by;

		if (idle[i].left[0] || idle[i].left[1])
			continue;
		other = &p->rules[idle[i].taken_by];
		by = (struct place){other->file, other->line};
		return place_error(&p->error, &at, p->drafts[i].column,
				   "has no effect, %s says \"%s\": remove one of the two", place_shown(&by),
				   shown_source(other->text, strlen(other->text)));
	}
	return 0;
}

int policy_check_rules(struct policy *p)
{
	int r = check_under_never(p);

	return r < 0 ? r : check_idle(p);
}
