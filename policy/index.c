/* SPDX-License-Identifier: Apache-2.0
 * Building the index of policy/matcher.h from the rules.
 */
#include "policy/matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tree ---- */

static size_t count_names(const struct policy *p, size_t *ret_comps, size_t *ret_globs)
{
	size_t n = 0;

	*ret_comps = *ret_globs = 0;
	for (size_t i = 0; i < p->n_rules; i++)
		for (unsigned k = 0; k < p->rules[i].n_names; k++, n++) {
			*ret_comps += p->rules[i].names[k].n_literal;
			*ret_globs += p->rules[i].names[k].is_glob;
		}
	return n;
}

static uint32_t add_child(struct matcher *m, uint32_t parent, const struct component *c)
{
	uint32_t child = matcher_child(m, parent, c->text, c->len), slot;
	struct node *n;

	if (child)
		return child;
	child = m->n_nodes++;
	n = &m->nodes[child];
	n->name = c->text;
	n->name_len = (uint32_t)c->len;
	n->parent = parent;
	n->next_sibling = m->nodes[parent].first_child;
	n->path_len = (uint16_t)(parent == 0 ? c->len + 1 : m->nodes[parent].path_len + 1 + c->len);
	m->nodes[parent].first_child = child;
	slot = matcher_hash(parent, c->text, c->len);
	while (m->slots[slot & m->slot_mask])
		slot++;
	m->slots[slot & m->slot_mask] = child;
	return child;
}

static void add_name(struct matcher *m, const struct pattern *pattern, const struct rule *rule,
		     uint16_t number)
{
	uint32_t node = 0;

	for (unsigned i = 0; i < pattern->n_literal; i++)
		node = add_child(m, node, &pattern->comps[i]);
	if (pattern->is_glob) {
		m->globs[m->n_globs++] = (struct glob_ref){pattern, node, rule->ops, number};
		return;
	}
	m->refs[m->n_refs] = (struct node_ref){m->nodes[node].first_ref, number};
	m->nodes[node].first_ref = ++m->n_refs;
}

/* ---- what literal rules come to ---- */

static void take_rule(struct matcher *m, struct node *node, enum op op, uint16_t number)
{
	const struct rule *rule = &m->rules[number - 1], *other;
	struct node_op *here = &node->ops[op];
	/* What was inherited is farther away and gives way. */
	uint16_t *place = rule->action == ACTION_NEVER ? &here->never : &here->rule;
	bool own = false;

	for (uint32_t i = node->first_ref; i && *place; i = m->refs[i - 1].next)
		own |= m->refs[i - 1].rule == *place;
	if (own) {
		other = &m->rules[*place - 1];
		if (rule->action != ACTION_NEVER && rule->rank != other->rank) {
			if (rule->rank < other->rank)
				return;
		} else if (rule_compare(rule, other) >= 0) {
			return;
		}
	}
	*place = number;
	if (rule->action != ACTION_NEVER)
		here->object_len = node->path_len;
}

/* Parents come before their children in the array. */
static void settle(struct matcher *m)
{
	for (uint32_t i = 0; i < m->n_nodes; i++) {
		struct node *node = &m->nodes[i];

		if (i > 0 && !m->exact)
			memcpy(node->ops, m->nodes[node->parent].ops, sizeof(node->ops));
		for (uint32_t k = node->first_ref; k; k = m->refs[k - 1].next)
			for (unsigned op = 0; op < OP_COUNT; op++)
				if (m->rules[m->refs[k - 1].rule - 1].ops & OPBIT(op))
					take_rule(m, node, op, m->refs[k - 1].rule);
	}
	for (uint32_t i = m->n_nodes; i-- > 1;) {
		struct node *node = &m->nodes[i], *parent = &m->nodes[node->parent];

		parent->strict_below |= node->strict_below;
		for (uint32_t k = node->first_ref; k; k = m->refs[k - 1].next) {
			const struct rule *rule = &m->rules[m->refs[k - 1].rule - 1];

			if (rule->action != ACTION_ALLOW)
				parent->strict_below |= rule->ops;
		}
	}
}

/* ---- the rest ---- */

static int compare_globs(const void *a, const void *b)
{
	const struct glob_ref *x = a, *y = b;

	return x->node != y->node ? (x->node < y->node ? -1 : 1) : (int)x->rule - (int)y->rule;
}

static void attach_globs(struct matcher *m)
{
	if (m->n_globs > 0)
		qsort(m->globs, m->n_globs, sizeof(*m->globs), compare_globs);
	for (uint32_t i = m->n_globs; i-- > 0;) {
		struct node *node = &m->nodes[m->globs[i].node];

		node->first_glob = i;
		node->n_globs++;
	}
	for (uint32_t i = 1; i < m->n_nodes; i++) { /* parents come first */
		uint32_t parent = m->nodes[i].parent;

		m->nodes[i].globs_above = m->nodes[parent].n_globs > 0 ? parent : m->nodes[parent].globs_above;
	}
}

/* "A right to create P includes mkdir of P's missing parents." */
static void note_parents(struct matcher *m, const struct pattern *pattern, uint16_t number)
{
	const struct node *at = matcher_find(m, pattern->prefix, pattern->prefix_len);
	uint32_t node = (uint32_t)(at - m->nodes);
	size_t object;

	if (!pattern->is_glob) {
		if (matcher_decide(m, OP_CREATE, pattern->text, pattern->prefix_len, &object).action !=
		    ACTION_ALLOW)
			return;
		node = at->parent;
	}
	for (;; node = m->nodes[node].parent) {
		uint16_t *place = &m->nodes[node].mkdir_rule;

		if (!*place || rule_compare(&m->rules[number - 1], &m->rules[*place - 1]) < 0)
			*place = number;
		if (node == 0)
			break;
	}
}

static void decide_net(struct matcher *m, size_t n_rules, enum op op)
{
	const struct rule *best = NULL, *never = NULL;

	for (size_t i = 0; i < n_rules; i++) {
		const struct rule *rule = &m->rules[i];

		if (rule->net != NET_ANY || !(rule->ops & OPBIT(op)))
			continue;
		if (rule->action == ACTION_NEVER)
			never = !never || rule_compare(rule, never) < 0 ? rule : never;
		else if (!best || rule->rank > best->rank ||
			 (rule->rank == best->rank && rule_compare(rule, best) < 0))
			best = rule;
	}
	m->net[op] = never  ? matcher_verdict(never)
		     : best ? matcher_verdict(best)
			    : (struct verdict){.action = ACTION_DENY, .err = EACCES};
}

int matcher_build(struct policy *p)
{
	size_t comps, globs, names = count_names(p, &comps, &globs), slots = 16;
	struct matcher *m = arena_alloc(&p->arena, sizeof(*m));

	while (slots < 2 * (comps + 1))
		slots *= 2;
	if (!m)
		return -ENOMEM;
	m->exact = p->exact;
	m->rules = p->rules;
	m->nodes = arena_alloc(&p->arena, (comps + 1) * sizeof(*m->nodes));
	m->slots = arena_alloc(&p->arena, slots * sizeof(*m->slots));
	m->slot_mask = (uint32_t)(slots - 1);
	m->globs = arena_alloc(&p->arena, (globs + 1) * sizeof(*m->globs));
	m->refs = arena_alloc(&p->arena, (names + 1) * sizeof(*m->refs));
	if (!m->nodes || !m->slots || !m->globs || !m->refs)
		return -ENOMEM;
	m->n_nodes = 1;
	m->nodes[0].path_len = 1;
	for (size_t i = 0; i < p->n_rules; i++)
		for (unsigned k = 0; k < p->rules[i].n_names; k++)
			add_name(m, &p->rules[i].names[k], &p->rules[i], (uint16_t)(i + 1));
	attach_globs(m);
	settle(m);
	for (size_t i = 0; i < p->n_rules; i++)
		for (unsigned k = 0; k < p->rules[i].n_names; k++)
			if (p->rules[i].action == ACTION_ALLOW && (p->rules[i].ops & OPBIT(OP_CREATE)))
				note_parents(m, &p->rules[i].names[k], (uint16_t)(i + 1));
	decide_net(m, p->n_rules, OP_CONNECT);
	decide_net(m, p->n_rules, OP_BIND);
	p->matcher = m;
	return 0;
}
