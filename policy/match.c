/* SPDX-License-Identifier: Apache-2.0
 * Verdicts: POLICY.md section 3 on an index that is built once.
 *
 * On the way down the tree nothing is compared but names; what the literal rules say is read at the end,
 * already settled by nearness, rank and strictness. Of the globs that speak, only those with the longest
 * object are kept, as two values: their highest rank, and the strictest of them. At the end there are
 * three cases: a literal object that is longer, a glob object that is longer (then only globs are left),
 * or both equal (the one slow case, which reads the list of the node).
 */
#include "policy/matcher.h"

#include <errno.h>
#include <string.h>

int rule_compare(const struct rule *a, const struct rule *b)
{
	int d;

	if (a->action != b->action)
		return (int)b->action - (int)a->action;
	if (a->rank != b->rank)
		return (int)b->rank - (int)a->rank;
	if (a->deny_errno != b->deny_errno)
		return a->deny_errno - b->deny_errno;
	if (a->quiet != b->quiet)
		return (int)a->quiet - (int)b->quiet;
	if (a->audit != b->audit)
		return (int)b->audit - (int)a->audit;
	d = strcmp(a->text, b->text);
	if (d == 0)
		d = strcmp(a->file, b->file);
	return d ? d : a->line - b->line;
}

/* ---- verdicts ---- */

struct verdict matcher_verdict(const struct rule *rule)
{
	struct verdict v = {.action = rule->action, .quiet = rule->quiet, .audit = rule->audit, .rule = rule};

	if (rule->action == ACTION_DENY)
		v.err = rule->deny_errno ? rule->deny_errno : EACCES;
	else if (rule->action == ACTION_NEVER)
		v.err = rule->deny_errno ? rule->deny_errno : EPERM;
	return v;
}

static struct verdict verdict_default(const struct matcher *m, enum op op)
{
	return op == OP_STAT && !m->exact ? (struct verdict){.action = ACTION_ALLOW}
					  : (struct verdict){.action = ACTION_DENY, .err = EACCES};
}

/* ---- walking ---- */

/* Length of the component at S, of LEFT bytes: components are short, a loop beats memchr(). */
static size_t component_len(const char *s, size_t left)
{
	size_t n = 0;

	while (n < left && s[n] != '/')
		n++;
	return n;
}

const struct node *matcher_find(const struct matcher *m, const char *path, size_t len)
{
	uint32_t node = 0;
	size_t from = 1;

	while (from < len) {
		size_t width = component_len(path + from, len - from);

		node = matcher_child(m, node, path + from, width);
		if (node == 0)
			return NULL;
		from += width + 1;
	}
	return &m->nodes[node];
}

/* ---- deciding ---- */

/* The globs that speak, as far as they matter. */
struct spoken {
	size_t object; /* the longest, and of those with it: */
	const struct rule *strictest;
	enum rank rank; /* the highest */
	size_t never_object;
	const struct rule *never;
};

static void listen_glob(struct spoken *s, const struct rule *rule, size_t object)
{
	if (rule->action == ACTION_NEVER) {
		if (object > s->never_object ||
		    (object == s->never_object && rule_compare(rule, s->never) < 0)) {
			s->never_object = object;
			s->never = rule;
		}
	} else if (object > s->object) {
		s->object = object;
		s->strictest = rule;
		s->rank = rule->rank;
	} else if (object == s->object) {
		if (rule->rank > s->rank)
			s->rank = rule->rank;
		if (rule_compare(rule, s->strictest) < 0)
			s->strictest = rule;
	}
}

static void listen_globs(const struct matcher *m, const struct node *node, opset bit, const char *path,
			 size_t len, struct spoken *s)
{
	for (uint32_t i = node->first_glob, end = i + node->n_globs; i < end; i++) {
		const struct glob_ref *g = &m->globs[i];
		size_t object;

		if (!(g->ops & bit))
			continue;
		object = pattern_object(g->pattern, path, len);
		if (object > 0)
			listen_glob(s, &m->rules[g->rule - 1], object);
	}
}

/* Globs of a higher rank and literals of a lower one have the same object: the strictest of all. */
static const struct rule *strictest_of_object(const struct matcher *m, const struct node *node, opset bit,
					      const struct rule *strictest)
{
	for (uint32_t i = node->first_ref; i; i = m->refs[i - 1].next) {
		const struct rule *rule = &m->rules[m->refs[i - 1].rule - 1];

		if ((rule->ops & bit) && rule->action != ACTION_NEVER && rule_compare(rule, strictest) < 0)
			strictest = rule;
	}
	return strictest;
}

/* The last node on the way to PATH that the tree knows. */
static const struct node *walk(const struct matcher *m, const char *path, size_t len)
{
	const struct node *node = m->nodes;
	size_t from = 1;

	while (node->first_child != 0 && from < len) {
		size_t width = component_len(path + from, len - from);
		uint32_t child = matcher_child(m, (uint32_t)(node - m->nodes), path + from, width);

		if (child == 0)
			break;
		node = &m->nodes[child];
		from += width + 1;
	}
	return node;
}

/* NODE is where walk() ended. */
static struct verdict settle(const struct matcher *m, const struct node *node, enum op op, const char *path,
			     size_t len, size_t *ret_object)
{
	static const struct node_op silent;
	struct spoken spoken = {0};
	opset bit = OPBIT(op);
	const struct node_op *literal;
	const struct rule *rule;

	for (const struct node *n = node;; n = &m->nodes[n->globs_above]) {
		if (n->n_globs > 0)
			listen_globs(m, n, bit, path, len, &spoken);
		if (n == m->nodes)
			break;
	}
	literal = m->exact && node->path_len != len ? &silent : &node->ops[op];
	*ret_object = 0;
	if (literal->never || spoken.never) {
		rule = literal->never ? &m->rules[literal->never - 1] : NULL;
		if (!rule || (spoken.never && rule_compare(spoken.never, rule) < 0))
			rule = spoken.never;
		return matcher_verdict(rule);
	}
	if (!literal->rule && !spoken.strictest)
		return verdict_default(m, op);
	if (literal->object_len > spoken.object) {
		*ret_object = literal->object_len;
		return matcher_verdict(&m->rules[literal->rule - 1]);
	}
	*ret_object = spoken.object;
	if (literal->object_len < spoken.object)
		return matcher_verdict(spoken.strictest);
	rule = &m->rules[literal->rule - 1];
	if (rule->rank >= spoken.rank)
		return matcher_verdict(rule);
	while (node->path_len != literal->object_len)
		node = &m->nodes[node->parent];
	return matcher_verdict(strictest_of_object(m, node, bit, spoken.strictest));
}

struct verdict matcher_decide(const struct matcher *m, enum op op, const char *path, size_t len,
			      size_t *ret_object)
{
	return settle(m, walk(m, path, len), op, path, len, ret_object);
}

void policy_decide_all(const struct policy *p, const char *path, size_t len, struct verdict ret[OP_COUNT])
{
	const struct matcher *m = p->matcher;
	const struct node *node = m && len > 0 && path[0] == '/' ? walk(m, path, len) : NULL;
	size_t object;

	for (int op = 0; op < OP_COUNT; op++)
		ret[op] = node ? settle(m, node, (enum op)op, path, len, &object)
			       : policy_decide(p, (enum op)op, path, len);
}

struct verdict policy_decide(const struct policy *p, enum op op, const char *path, size_t len)
{
	size_t object;

	if (!p->matcher || len == 0 ||
	    path[0] != '/') /* no caller does this; if one does, nothing is granted */
		return (struct verdict){.action = ACTION_DENY, .err = EACCES};
	return matcher_decide(p->matcher, op, path, len, &object);
}

struct verdict policy_decide_mkdir(const struct policy *p, const char *path, size_t len)
{
	const struct node *node;
	struct verdict v;
	size_t object;

	if (!p->matcher || len == 0 || path[0] != '/')
		return (struct verdict){.action = ACTION_DENY, .err = EACCES};
	v = matcher_decide(p->matcher, OP_CREATE, path, len, &object);
	/* A rule whose object is this very directory means it; one that only reaches here from above gives
	 * way to the right to create something beneath. */
	if (v.action == ACTION_ALLOW || v.action == ACTION_NEVER || object == len)
		return v;
	node = matcher_find(p->matcher, path, len);
	return node && node->mkdir_rule ? matcher_verdict(&p->matcher->rules[node->mkdir_rule - 1]) : v;
}

struct verdict policy_decide_net(const struct policy *p, enum op op)
{
	return p->matcher ? p->matcher->net[op] : (struct verdict){.action = ACTION_DENY, .err = EACCES};
}
