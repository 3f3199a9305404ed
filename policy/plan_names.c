/* SPDX-License-Identifier: Apache-2.0
 * What the rules name in this file tree: literals and their other names, globs, the verdicts there.
 *
 * All questions of the walk come down to one: what do rules say strictly beneath a directory? A
 * pattern that matches the directory or an ancestor has its object there, so it speaks of everything
 * beneath in the same way; only patterns that begin to match further down can make a difference. For
 * literals those are a range of a sorted array; for globs pattern_may_match_below() tells, and may say
 * yes too often, which costs speed and nothing else.
 *
 * Invariant: when planner_names() has returned, the aliases of the plan are complete, and every
 * verdict in the lists was taken with them.
 */
#include "policy/planner.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

opset rule_effective_ops(const struct rule *rule)
{
	opset ops = rule->ops;

	if (rule->action != ACTION_ALLOW && ops & OPBIT(OP_WRITE))
		ops |= OPS_NAMES;
	return ops;
}

bool path_is_volatile(const char *path, size_t len)
{
	static const char self[] = "/proc/self", thread[] = "/proc/thread-self";

	if (path_at_or_beneath(self, sizeof(self) - 1, path, len) ||
	    path_at_or_beneath(thread, sizeof(thread) - 1, path, len))
		return true;
	return len > 6 && memcmp(path, "/proc/", 6) == 0 && path[6] >= '0' && path[6] <= '9';
}

/* Components of a glob before the first doublestar that is not the last; UINT_MAX: there is none. */
static unsigned deep_from(const struct pattern *pattern)
{
	for (unsigned i = 0; i + 1 < pattern->n_comps; i++)
		if (pattern->comps[i].kind == COMPONENT_DOUBLESTAR)
			return i;
	return UINT_MAX;
}

static bool is_checked(const struct planner *p)
{
	return policy_exec_holes(p->policy) == EXEC_HOLES_CHECKED;
}

bool planner_plain(const struct planner *p, uint8_t verdict, enum op op)
{
	enum action action = verdict & ~VERDICT_AUDIT;

	if (op == OP_EXEC) /* recorded when trapped, asked about before it is continued */
		return action == ACTION_ALLOW || (action == ACTION_ASK && is_checked(p));
	return verdict == ACTION_ALLOW;
}

opset planner_plain_ops(const struct planner *p, const struct verdicts *v)
{
	opset ops = 0;

	for (int op = 0; op < OP_COUNT; op++)
		if (planner_plain(p, v->of[op], op))
			ops |= OPBIT(op);
	return ops;
}

void planner_verdicts(const struct planner *p, const char *path, size_t len, struct verdicts *ret)
{
	struct verdict v[OP_COUNT];

	plan_decide_all(p->plan, path, len, v);
	for (int op = 0; op < OP_COUNT; op++)
		ret->of[op] = (uint8_t)(v[op].action | (v[op].audit ? VERDICT_AUDIT : 0));
}

/* Is a refusal of exec by RULE kept by comparing what was executed? Then it is no hole for Landlock. By the
 * user's wish, or because a pattern that may match at any depth leaves Landlock nothing to grant. `never`
 * is always strict. */
static bool is_compared(const struct planner *p, const struct rule *rule, const struct pattern *pattern)
{
	if (!rule || rule->action == ACTION_NEVER)
		return false;
	return is_checked(p) || (rule->action == ACTION_DENY && pattern && deep_from(pattern) != UINT_MAX);
}

static struct name *name_add(struct name_list *l, const struct rule *rule, const char *path, opset ops)
{
	struct name *n;

	if (l->n == l->cap) {
		void *items = plan_grow(l->items, l->n, &l->cap, sizeof(*l->items));

		if (!items)
			return NULL;
		l->items = items;
	}
	n = &l->items[l->n];
	*n = (struct name){
		.rule = rule, .path = strdup(path), .len = strlen(path), .ops = ops, .star = UINT_MAX};
	if (!n->path)
		return NULL;
	l->n++;
	return n;
}

static int alias_add(struct planner *p, const char *path, const char *original)
{
	struct plan *plan = p->plan;
	struct plan_alias *a;

	for (size_t i = 0; i < plan->n_aliases; i++)
		if (strcmp(plan->aliases[i].path, path) == 0 &&
		    strcmp(plan->aliases[i].original, original) == 0)
			return 0;
	a = realloc(plan->aliases, (plan->n_aliases + 1) * sizeof(*a));
	if (!a)
		return -ENOMEM;
	plan->aliases = a;
	a = &a[plan->n_aliases];
	*a = (struct plan_alias){.path = strdup(path), .original = strdup(original)};
	plan->n_aliases++;
	return a->path && a->original ? 0 : -ENOMEM;
}

/* Names that mounts give to PATH, where RULE sees a hole. Beneath the other name of a glob's prefix
 * the glob itself can't be found: the whole of it is closed. */
static int add_mount_aliases(struct planner *p, const struct rule *rule, const char *path,
			     const struct pattern *glob)
{
	struct plan_alias *aliases = NULL;
	size_t n = 0;
	int r = p->host->aliases ? p->host->aliases(p->host->ctx, path, &aliases, &n) : 0;

	for (size_t i = 0; i < n; i++) {
		struct name *name;

		if (r == 0)
			r = alias_add(p, aliases[i].path, aliases[i].original);
		if (r == 0) {
			name = name_add(&p->literals, rule, aliases[i].path, rule_effective_ops(rule));
			if (name) {
				name->alias = true;
				name->closed = glob != NULL;
				name->compared = is_compared(p, rule, glob);
			} else {
				r = -ENOMEM;
			}
		}
		free(aliases[i].path);
		free(aliases[i].original);
	}
	free(aliases);
	return r;
}

static int add_pattern(struct planner *p, const struct rule *rule, const struct pattern *pattern)
{
	opset ops = rule_effective_ops(rule);
	const char *path = pattern->is_glob ? pattern->prefix : pattern->text;
	struct name *n;

	if (pattern->is_glob) {
		n = name_add(&p->globs, rule, path, ops);
		if (!n || !name_add(&p->literals, NULL, path, 0))
			return -ENOMEM;
		n->pattern = pattern;
		n->first_glob = path_depth(path, n->len);
		n->star = deep_from(pattern);
		n->compared = is_compared(p, rule, pattern);
		if (rule->action != ACTION_ALLOW || rule->audit)
			n->holes = ops;
		if (n->compared)
			n->holes &= (opset)~OPBIT(OP_EXEC);
		if (rule->action == ACTION_ALLOW)
			n->holes &= (opset)~OPBIT(OP_EXEC);
	} else {
		n = name_add(&p->literals, rule, path, ops);
		if (!n)
			return -ENOMEM;
		n->compared = is_compared(p, rule, NULL);
	}
	if (rule->action == ACTION_ALLOW)
		return 0;
	return add_mount_aliases(p, rule, path, pattern->is_glob ? pattern : NULL);
}

static int compare_names(const void *x, const void *y)
{
	const struct name *a = x, *b = y;

	return path_order(a->path, a->len, b->path, b->len);
}

static void judge_literals(struct planner *p)
{
	struct name_list *l = &p->literals;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), compare_names);
	for (size_t i = 0; i < l->n; i++) {
		struct name *n = &l->items[i];

		if (i > 0 && strcmp(n->path, n[-1].path) == 0)
			n->verdicts = n[-1].verdicts;
		else
			planner_verdicts(p, n->path, n->len, &n->verdicts);
		n->holes = n->closed ? n->ops : n->ops & (opset)~planner_plain_ops(p, &n->verdicts);
		if (n->compared)
			n->holes &= (opset)~OPBIT(OP_EXEC);
	}
}

static int look_up_literals(struct planner *p)
{
	for (size_t i = 0; i < p->literals.n; i++) {
		struct name *n = &p->literals.items[i];
		int r = 0;

		/* What such a path leads to now is ours, not the target's. */
		if (!path_is_volatile(n->path, n->len))
			r = planner_lookup(p, n->path, &n->node);
		if (r < 0)
			return r;
	}
	return 0;
}

static int named_add(struct planner *p, const struct node_info *node, const char *path)
{
	struct plan *plan = p->plan;
	struct named_object *items;

	for (size_t i = 0; i < plan->n_named; i++)
		if (plan->named[i].dev == node->dev && plan->named[i].ino == node->ino) {
			/* One object, two rules: who decides for the one name asks for the other too. */
			if (strcmp(plan->named[i].path, path) == 0)
				return 0;
			return alias_add(p, plan->named[i].path, path);
		}
	items = realloc(plan->named, (plan->n_named + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	plan->named = items;
	items[plan->n_named] =
		(struct named_object){.dev = node->dev, .ino = node->ino, .path = strdup(path)};
	plan->n_named++;
	return items[plan->n_named - 1].path ? 0 : -ENOMEM;
}

static bool same_inode(const struct node_info *a, const struct node_info *b)
{
	return a->kind != NODE_MISSING && b->kind != NODE_MISSING && a->dev == b->dev && a->ino == b->ino;
}

/* No grant may carry what is a hole at N. */
static void lose(struct planner *p, const struct name *n)
{
	for (int op = 0; op < OP_COUNT; op++)
		if (n->holes & OPBIT(op) && !(p->lost & OPBIT(op))) {
			p->lost |= OPBIT(op);
			p->lost_by[op] = n->rule;
		}
}

/* The object of N has several links. Those beside it are found by looking (perl and perl5.36 are one
 * file in one directory) and become holes like N; an unknown one may lie in any tree, so no grant may
 * carry the operation then. */
static int find_links(struct planner *p, size_t index)
{
	struct name n = p->literals.items[index];
	char *parent = path_parent(n.path, n.len), **children = NULL;
	nlink_t found = 1;
	int r;

	if (!parent)
		return -ENOMEM;
	for (size_t i = 0; i < p->literals.n; i++) {
		const struct name *m = &p->literals.items[i];

		if (m->rule && !m->alias && (m->holes & n.holes) == n.holes &&
		    same_inode(&m->node, &n.node) && strcmp(m->path, n.path) != 0)
			found += i == 0 || strcmp(p->literals.items[i - 1].path, m->path) != 0;
	}
	r = p->host->list(p->host->ctx, parent, PLAN_EXEC_CHILDREN_MAX, &children);
	for (char **c = children; r == 0 && c && *c; c++) {
		char *path = path_join(parent, strlen(parent), *c);
		struct node_info node = {0};
		struct name *sibling;
		size_t first;

		if (!path)
			r = -ENOMEM;
		else
			r = planner_lookup(p, path, &node);
		if (r == 0 && same_inode(&node, &n.node) &&
		    planner_names_at(p, path, strlen(path), &first) == first) {
			r = alias_add(p, path, n.path);
			sibling = r == 0 ? name_add(&p->literals, n.rule, path, n.ops) : NULL;
			if (sibling) {
				sibling->alias = true;
				sibling->compared = n.compared;
				sibling->node = node;
				/* Keep the order that planner_names_at() needs. */
				qsort(p->literals.items, p->literals.n, sizeof(*p->literals.items),
				      compare_names);
			} else {
				r = -ENOMEM;
			}
			found++;
		}
		free(path);
	}
	strv_free(children);
	free(parent);
	if (r == -ENOMEM)
		return r;
	if (found < n.node.nlink)
		lose(p, &n);
	return 0;
}

/* A file with several links that was met beneath a `never` directory. */
struct linked {
	struct node_info node;
	nlink_t seen;
	char *path;
};

struct scan {
	size_t looked, n, cap;
	struct linked *linked;
};

static int scan_meets(struct scan *s, const struct node_info *node, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (same_inode(&s->linked[i].node, node)) {
			s->linked[i].seen++;
			return 0;
		}
	if (s->n == s->cap) {
		void *items = plan_grow(s->linked, s->n, &s->cap, sizeof(*s->linked));

		if (!items)
			return -ENOMEM;
		s->linked = items;
	}
	s->linked[s->n] = (struct linked){.node = *node, .seen = 1, .path = strdup(path)};
	return s->linked[s->n++].path ? 0 : -ENOMEM;
}

static int scan_tree(struct planner *p, struct scan *s, const char *dir, unsigned depth)
{
	char **children = NULL;
	int r = p->host->list(p->host->ctx, dir, PLAN_SCAN_MAX, &children);

	if (r == -E2BIG || depth > 64)
		p->scan_cut = true;
	for (char **c = children; r == 0 && c && *c && !p->scan_cut; c++) {
		char *path = path_join(dir, strlen(dir), *c);
		struct node_info node = {0};

		if (!path)
			r = -ENOMEM;
		else if (++s->looked > PLAN_SCAN_MAX)
			p->scan_cut = true;
		else if (p->host->lookup(p->host->ctx, path, &node) < 0)
			; /* what we can't look at, the target can't reach by this name either */
		else if (node.kind == NODE_FILE && node.nlink > 1)
			r = scan_meets(s, &node, path);
		else if (node.kind == NODE_DIR)
			r = scan_tree(p, s, path, depth + 1);
		free(path);
	}
	strv_free(children);
	return r == -ENOMEM ? r : 0;
}

/* Files with names beneath a `never` directory and names elsewhere, perhaps in an allowed tree. */
static int scan_never(struct planner *p, const struct name *root)
{
	struct scan s = {0};
	int r = scan_tree(p, &s, root->path, 0);

	for (size_t i = 0; i < s.n; i++) {
		const struct linked *l = &s.linked[i];

		if (r == 0 && l->seen < l->node.nlink) {
			r = named_add(p, &l->node, l->path);
			lose(p, root);
		}
		free(l->path);
	}
	free(s.linked);
	return r;
}

static int compare_named(const void *x, const void *y)
{
	const struct named_object *a = x, *b = y;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

/* Must the object be known whatever name leads to it? A refusal of exec that is compared is no hole for
 * Landlock, but what is compared has to be the object, too. */
static bool names_object(const struct name *n)
{
	return n->holes || (n->compared && n->ops & OPBIT(OP_EXEC));
}

/* The objects that exist behind holes. */
static int name_objects(struct planner *p)
{
	size_t n = p->literals.n;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct name *name = &p->literals.items[i];

		if (name->rule && name->rule->action != ACTION_ALLOW && names_object(name) && !name->alias &&
		    name->node.kind != NODE_MISSING)
			r = named_add(p, &name->node, name->path);
	}
	/* find_links() adds names and sorts: go by path, not by index. */
	for (size_t i = 0; i < p->plan->n_named && r == 0; i++) {
		size_t first, end;
		const char *path = p->plan->named[i].path;

		end = planner_names_at(p, path, strlen(path), &first);
		for (size_t k = first; k < end; k++) {
			const struct name *name = &p->literals.items[k];

			if (name->holes && !name->alias && name->node.kind == NODE_FILE &&
			    name->node.nlink > 1) {
				r = find_links(p, k);
				break;
			}
		}
	}
	for (size_t i = 0; i < p->literals.n && r == 0; i++) {
		const struct name *root = &p->literals.items[i];

		if (root->rule && root->rule->action == ACTION_NEVER && root->node.kind == NODE_DIR &&
		    root->holes && !root->alias)
			r = scan_never(p, root);
	}
	if (p->plan->n_named)
		qsort(p->plan->named, p->plan->n_named, sizeof(*p->plan->named), compare_named);
	return r;
}

int planner_names(struct planner *p)
{
	size_t n_rules;
	const struct rule *rules = policy_rules(p->policy, &n_rules);
	int r = 0;
	size_t n, n_aliases;

	for (size_t i = 0; i < n_rules && r == 0; i++)
		for (unsigned k = 0; k < rules[i].n_names && r == 0; k++)
			r = add_pattern(p, &rules[i], &rules[i].names[k]);
	if (r == 0)
		r = look_up_literals(p);
	if (r < 0)
		return r;
	judge_literals(p);
	n = p->literals.n;
	n_aliases = p->plan->n_aliases;
	r = name_objects(p);
	if (p->literals.n > n || p->plan->n_aliases > n_aliases)
		judge_literals(p);
	return r;
}

void planner_names_done(struct planner *p)
{
	for (size_t i = 0; i < p->literals.n; i++)
		free(p->literals.items[i].path);
	for (size_t i = 0; i < p->globs.n; i++)
		free(p->globs.items[i].path);
	free(p->literals.items);
	free(p->globs.items);
}

size_t planner_names_from(const struct planner *p, const char *path, size_t len)
{
	size_t lo = 0, hi = p->literals.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (path_order(p->literals.items[mid].path, p->literals.items[mid].len, path, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t planner_names_at(const struct planner *p, const char *path, size_t len, size_t *ret_first)
{
	size_t i = planner_names_from(p, path, len);

	*ret_first = i;
	while (i < p->literals.n &&
	       path_order(p->literals.items[i].path, p->literals.items[i].len, path, len) == 0)
		i++;
	return i;
}

static bool glob_differs(const struct name *g, const struct verdicts *v)
{
	uint8_t verdict = (uint8_t)(g->rule->action | (g->rule->audit ? VERDICT_AUDIT : 0));

	for (int op = 0; op < OP_COUNT; op++)
		if (g->ops & OPBIT(op) && v->of[op] != verdict)
			return true;
	return false;
}

static void note_holes(struct beneath *b, const struct name *n, bool differs)
{
	b->holes |= n->holes;
	for (int op = 0; op < OP_COUNT; op++)
		if (n->holes & OPBIT(op) && !b->cause[op])
			b->cause[op] = n->rule;
	if (differs && !b->differs_cause)
		b->differs_cause = n->rule;
	b->differs |= differs;
}

void planner_beneath(const struct planner *p, const char *dir, size_t len, unsigned depth,
		     const struct verdicts *v, struct beneath *ret)
{
	size_t first, i = planner_names_at(p, dir, len, &first);

	*ret = (struct beneath){0};
	for (size_t k = first; k < i; k++) { /* another name of a glob's prefix */
		const struct name *n = &p->literals.items[k];

		if (n->closed) {
			note_holes(ret, n, true);
			ret->deep |= n->holes;
			ret->differs_deep = true;
		}
	}
	for (; i < p->literals.n; i++) {
		const struct name *n = &p->literals.items[i];

		if (!path_at_or_beneath(dir, len, n->path, n->len))
			break;
		note_holes(ret, n, n->closed || memcmp(&n->verdicts, v, sizeof(*v)) != 0);
		ret->allowed |= n->ops & planner_plain_ops(p, &n->verdicts);
		ret->devices |= n->node.kind == NODE_DEVICE;
	}
	for (i = 0; i < p->globs.n; i++) {
		const struct name *g = &p->globs.items[i];
		bool deep = depth >= g->star, differs = glob_differs(g, v);

		if (!pattern_may_match_below(g->pattern, dir, len))
			continue;
		note_holes(ret, g, differs);
		if (deep) {
			ret->deep |= g->holes;
			ret->differs_deep |= differs;
			if (g->holes & OPBIT(OP_EXEC))
				ret->exec_glob = g->rule;
		}
		if (g->rule->action == ACTION_ALLOW) {
			ret->allowed |= g->ops;
			if (!deep && depth >= g->first_glob)
				ret->scattered |= g->ops;
		}
	}
}
