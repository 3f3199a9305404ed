/* SPDX-License-Identifier: Apache-2.0
 * Does a move widen? Landlock and the kernel let an object take another name; its verdicts change then.
 *
 * Beneath a directory infinitely many names are possible, but verdicts change only where a rule speaks.
 * Let both names see the same globs beneath (their automata are in the same state). Then the verdicts at
 * the two names of a thing beneath can differ only by literal rules, and those are the nodes of the tree
 * beneath either name: comparing at each of them, and at the directory, is exact. Where a glob's states
 * differ we don't search for a witness but say yes. Operations that nothing restricts at or beneath the
 * old name can't widen and cost nothing. In an exact policy what is allowed at the old name need not be beneath it,
 * so no operation is left out there.
 */
#include "policy/matcher.h"

#define PATH_ROOM (2 * (PATTERN_LEN_MAX + 1))

struct move {
	const struct matcher *m;
	const char *old, *new;
	size_t old_len, new_len;
	opset ops; /* those that could widen */
};

static bool widens_at(const struct matcher *m, opset ops, const char *old, size_t old_len, const char *new,
		      size_t new_len)
{
	size_t object;

	for (unsigned op = 0; op < OP_COUNT; op++)
		if ((ops & OPBIT(op)) && matcher_decide(m, op, old, old_len, &object).action >
						 matcher_decide(m, op, new, new_len, &object).action)
			return true;
	return false;
}

/* Operations that some rule asks about or refuses at OLD or beneath. */
static opset restricted_ops(const struct move *mv)
{
	const struct node *node = matcher_find(mv->m, mv->old, mv->old_len);
	opset ops = node ? node->strict_below : 0;
	size_t object;

	for (unsigned op = 0; op < OP_COUNT; op++)
		if (op != OP_BIND &&
		    (mv->m->exact ||
		     matcher_decide(mv->m, op, mv->old, mv->old_len, &object).action != ACTION_ALLOW))
			ops |= OPBIT(op);
	for (uint32_t i = 0; i < mv->m->n_globs; i++) {
		const struct glob_ref *g = &mv->m->globs[i];

		if (mv->m->rules[g->rule - 1].action != ACTION_ALLOW && (g->ops & (opset)~ops) &&
		    pattern_may_match_below(g->pattern, mv->old, mv->old_len))
			ops |= g->ops;
	}
	return ops & (opset)~OPBIT(OP_BIND);
}

static bool globs_differ(const struct move *mv)
{
	for (uint32_t i = 0; i < mv->m->n_globs; i++) {
		const struct glob_ref *g = &mv->m->globs[i];
		uint64_t old, new;
		size_t object;

		if (!(g->ops & mv->ops))
			continue;
		old = pattern_states(g->pattern, mv->old, mv->old_len, &object);
		new = pattern_states(g->pattern, mv->new, mv->new_len, &object);
		if (old != new || old == PATTERN_ABOVE)
			return true;
	}
	return false;
}

/* DIR and the path from BASE down to NODE. Returns its length. */
static size_t name_beneath(const struct matcher *m, const struct node *node, const struct node *base,
			   const char *dir, size_t dir_len, char buf[PATH_ROOM])
{
	size_t base_len = base == m->nodes ? 0 : base->path_len, head = dir_len == 1 ? 0 : dir_len;
	size_t len = head + (node->path_len - base_len), end = len;

	memcpy(buf, dir, head);
	for (; node != base; node = &m->nodes[node->parent]) {
		end -= node->name_len;
		memcpy(buf + end, node->name, node->name_len);
		buf[--end] = '/';
	}
	return len;
}

/* The next node beneath BASE in depth-first order, or NULL. */
static const struct node *next_beneath(const struct matcher *m, const struct node *node,
				       const struct node *base)
{
	if (node->first_child)
		return &m->nodes[node->first_child];
	while (node != base && !node->next_sibling)
		node = &m->nodes[node->parent];
	return node == base ? NULL : &m->nodes[node->next_sibling];
}

/* Compare at each node beneath BASE, which is the node of the old or of the new name. */
static bool widens_beneath(const struct move *mv, const struct node *base)
{
	char old[PATH_ROOM], new[PATH_ROOM];

	if (!base)
		return false;
	for (const struct node *n = next_beneath(mv->m, base, base); n; n = next_beneath(mv->m, n, base)) {
		size_t old_len = name_beneath(mv->m, n, base, mv->old, mv->old_len, old);
		size_t new_len = name_beneath(mv->m, n, base, mv->new, mv->new_len, new);

		if (widens_at(mv->m, mv->ops, old, old_len, new, new_len))
			return true;
	}
	return false;
}

bool policy_move_widens(const struct policy *p, const char *old, size_t old_len, const char *new,
			size_t new_len, bool is_dir)
{
	struct move mv = {p->matcher, old, new, old_len, new_len, 0};

	if (!p->matcher || old_len == 0 || new_len == 0 || old[0] != '/' || new[0] != '/' ||
	    old_len > PATTERN_LEN_MAX || new_len > PATTERN_LEN_MAX)
		return true;
	mv.ops = (opset)((1u << OP_COUNT) - 1) & (opset)~OPBIT(OP_BIND);
	if (widens_at(mv.m, mv.ops, old, old_len, new, new_len))
		return true;
	if (!is_dir)
		return false;
	mv.ops = restricted_ops(&mv);
	return mv.ops && (globs_differ(&mv) || widens_beneath(&mv, matcher_find(mv.m, old, old_len)) ||
			  widens_beneath(&mv, matcher_find(mv.m, new, new_len)));
}

bool policy_closes_beneath(const struct policy *p, const char *path, size_t len)
{
	/* A name that no rule speaks of, in the same directory. */
	static const char nobody[] = "\1nobody";
	char sibling[PATTERN_LEN_MAX + sizeof(nobody) + 1];
	struct move mv = {p->matcher, path, sibling, len, len, 0};

	if (!p->matcher || len == 0 || path[0] != '/' || len > PATTERN_LEN_MAX)
		return true;
	memcpy(sibling, path, len);
	while (sibling[mv.new_len - 1] != '/')
		mv.new_len--;
	memcpy(sibling + mv.new_len, nobody, sizeof(nobody));
	mv.new_len += sizeof(nobody) - 1;
	mv.ops = (opset)(OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE));
	for (uint32_t i = 0; i < p->matcher->n_globs; i++) {
		const struct glob_ref *g = &p->matcher->globs[i];
		size_t object;

		if (g->ops & mv.ops && p->matcher->rules[g->rule - 1].action != ACTION_ALLOW &&
		    pattern_may_match_below(g->pattern, path, len) &&
		    pattern_states(g->pattern, path, len, &object) !=
			    pattern_states(g->pattern, sibling, mv.new_len, &object))
			return true;
	}
	return widens_beneath(&mv, matcher_find(p->matcher, path, len));
}
