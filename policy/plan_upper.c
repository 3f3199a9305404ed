/* SPDX-License-Identifier: Apache-2.0
 * The upper bound U of the workers: hierarchical over all that the policy allows or asks about. A
 * mistake of the matcher can't reach beyond it; holes inside it are the matcher's alone.
 *
 * Landlock follows inodes, so what is made anew must be covered by a directory that exists: the parent
 * of a file that may be replaced, the nearest existing ancestor of what is missing. A directory that is
 * allowed as a whole is not covered by its parent unless the policy lets the parent be read (a build
 * directory in a project: yes; ~/.cargo in a home that is closed: no), since that would widen the bound
 * to the whole parent. Removing such a root is then refused by Landlock, so nothing breaks later.
 *
 * The target's baseline is stacked on U: a right that U lacks is one that the target lacks.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t upper_rights(const struct planner *p, opset ops)
{
	uint64_t rights = 0;

	if (ops & OPBIT(OP_READ))
		rights |= LL_READ_RIGHTS;
	if (ops & OPBIT(OP_LIST))
		rights |= LL_READ_DIR;
	if (ops & OPBIT(OP_WRITE))
		rights |= LL_WRITE_RIGHTS;
	if (ops & OPBIT(OP_CREATE))
		rights |= LL_MAKE_RIGHTS | LL_REFER | (p->open_to_all ? LL_MAKE_DEVICES : 0);
	if (ops & OPBIT(OP_DELETE))
		rights |= LL_REMOVE_RIGHTS | LL_REFER;
	if (ops & OPBIT(OP_EXEC))
		rights |= LL_EXECUTE;
	if (ops & OPBIT(OP_CONNECT))
		rights |= LL_RESOLVE_UNIX;
	return rights & p->plan->handled_fs;
}

/* The ops of N that are allowed or asked about there. */
static opset wanted_ops(const struct name *n)
{
	opset ops = 0;

	for (int op = 0; op < OP_COUNT; op++)
		if (n->ops & OPBIT(op) && (n->verdicts.of[op] & ~VERDICT_AUDIT) <= ACTION_ASK)
			ops |= OPBIT(op);
	return ops;
}

static int add_ancestor(struct planner *p, const char *path, size_t len, uint64_t rights)
{
	struct node_info node = {0};
	char *dir = path_parent(path, len);
	int r = dir ? 0 : -ENOMEM;

	while (r == 0) {
		char *up;

		r = planner_lookup(p, dir, &node);
		if (r < 0 || node.kind == NODE_DIR || strcmp(dir, "/") == 0)
			break;
		up = path_parent(dir, strlen(dir));
		free(dir);
		dir = up;
		r = dir ? 0 : -ENOMEM;
	}
	if (r == 0) {
		node.kind = NODE_DIR;
		r = grant_add(&p->upper, dir, rights, &node);
	}
	free(dir);
	return r;
}

/* May what the policy says of PATH's parent be part of the bound? */
static int parent_is_open(const struct planner *p, const char *path, size_t len)
{
	char *dir = path_parent(path, len);
	struct verdict v;

	if (!dir)
		return -ENOMEM;
	v = plan_decide(p->plan, OP_READ, dir, strlen(dir));
	free(dir);
	return v.action == ACTION_ALLOW;
}

static int add_literal(struct planner *p, const struct name *n)
{
	opset ops = wanted_ops(n);
	uint64_t rights = upper_rights(p, ops);
	bool replaceable = ops & OPBIT(OP_CREATE);
	int r;

	if (!rights)
		return 0;
	if (path_is_volatile(n->path, n->len)) {
		struct node_info proc;

		r = planner_lookup(p, "/proc", &proc);
		return r < 0 || proc.kind != NODE_DIR ? r : grant_add(&p->upper, "/proc", rights, &proc);
	}
	switch (n->node.kind) {
	case NODE_SYMLINK: /* the link itself: only its name can be removed or made */
		return ops & OPS_NAMES ? add_ancestor(p, n->path, n->len, upper_rights(p, ops & OPS_NAMES))
				       : 0;
	case NODE_MISSING:
		/* What the policy brings along for any machine and nobody may make here does not widen
		 * the bound; what the user names may appear. */
		if (!replaceable && n->rule->rank == RANK_BUILTIN)
			return 0;
		return add_ancestor(p, n->path, n->len, rights);
	case NODE_DIR:
		if (path_at_or_beneath("/dev", 4, n->path, n->len))
			rights |= LL_IOCTL_DEV & p->plan->handled_fs;
		r = grant_add(&p->upper, n->path, rights, &n->node);
		if (r == 0 && replaceable && strcmp(n->path, "/") != 0) {
			r = parent_is_open(p, n->path, n->len);
			if (r > 0)
				r = add_ancestor(p, n->path, n->len, rights & ~LL_IOCTL_DEV);
		}
		return r;
	case NODE_DEVICE:
		rights |= LL_IOCTL_DEV & p->plan->handled_fs;
		break;
	case NODE_FILE:
	case NODE_OTHER:
		break;
	}
	r = grant_add(&p->upper, n->path, rights & LL_FILE_RIGHTS, &n->node);
	if (r == 0 && ops & OPS_NAMES && n->node.kind != NODE_DEVICE) {
		/* Replaced by a rename, the new file is known to its directory only. */
		if (!replaceable)
			rights &= LL_REMOVE_RIGHTS | LL_REFER;
		r = add_ancestor(p, n->path, n->len, rights & ~LL_IOCTL_DEV);
	}
	return r;
}

int planner_upper(struct planner *p)
{
	struct node_info proc;
	int r;

	if (!p->plan->landlock_abi)
		return 0;
	/* Workers read the status of their targets. */
	r = planner_lookup(p, "/proc", &proc);
	if (r == 0 && proc.kind == NODE_DIR)
		r = grant_add(&p->upper, "/proc", LL_READ_FILE | LL_READ_DIR, &proc);
	for (size_t i = 0; i < p->literals.n && r == 0; i++) {
		const struct name *n = &p->literals.items[i];

		if (n->rule && !n->alias && n->rule->action <= ACTION_ASK)
			r = add_literal(p, n);
	}
	for (size_t i = 0; i < p->globs.n && r == 0; i++) {
		const struct name *g = &p->globs.items[i];
		struct node_info node;
		uint64_t rights = upper_rights(p, g->ops);

		if (g->rule->action > ACTION_ASK)
			continue;
		r = planner_lookup(p, g->path, &node);
		if (r == 0 && path_at_or_beneath("/dev", 4, g->path, g->len))
			rights |= LL_IOCTL_DEV & p->plan->handled_fs;
		if (r == 0 && node.kind == NODE_DIR)
			r = grant_add(&p->upper, g->path, rights, &node);
		else if (r == 0)
			r = add_ancestor(p, g->path, g->len, rights & ~LL_IOCTL_DEV);
	}
	grant_list_settle(&p->upper);
	return r;
}
