/* SPDX-License-Identifier: Apache-2.0
 * Building a plan: names, their spellings, baseline, upper bound, traps, rows for the user, in this order.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *plan_grow(void *items, size_t n, size_t *cap, size_t size)
{
	size_t more = n ? 2 * n : 16;
	void *grown = realloc(items, more * size);

	if (grown)
		*cap = more;
	return grown;
}

void rule_where(const struct rule *rule, char *buf, size_t size)
{
	if (rule->line)
		snprintf(buf, size, "%s:%d", rule->file, rule->line);
	else
		snprintf(buf, size, "%s", rule->file);
}

int planner_refuse(struct planner *p, const struct rule *rule, const char *fmt, ...)
{
	size_t at;
	va_list ap;

	rule_where(rule, p->error->text, sizeof(p->error->text) / 2);
	at = strlen(p->error->text);
	at += (size_t)snprintf(p->error->text + at, sizeof(p->error->text) - at, ": ");
	va_start(ap, fmt);
	vsnprintf(p->error->text + at, sizeof(p->error->text) - at, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

char *path_parent(const char *path, size_t len)
{
	while (len > 1 && path[len - 1] != '/')
		len--;
	return len <= 1 ? strdup("/") : strndup(path, len - 1);
}

char *path_join(const char *dir, size_t dir_len, const char *name)
{
	char *path = malloc(path_norm(dir_len) + strlen(name) + 2);

	if (path) {
		memcpy(path, dir, path_norm(dir_len));
		path[path_norm(dir_len)] = '/';
		strcpy(path + path_norm(dir_len) + 1, name);
	}
	return path;
}

void strv_free(char **v)
{
	for (char **s = v; s && *s; s++)
		free(*s);
	free(v);
}

int planner_lookup(struct planner *p, const char *path, struct node_info *ret)
{
	int r;

	p->lookups++;
	*ret = (struct node_info){.kind = NODE_MISSING};
	r = p->host->lookup(p->host->ctx, path, ret);
	if (r == -ENOMEM)
		return r;
	if (r < 0) /* not to be seen: no grant, and nothing that a rule on it could hide */
		ret->kind = NODE_MISSING;
	return 0;
}

int grant_add(struct grant_list *l, const char *path, uint64_t rights, const struct node_info *node)
{
	struct grant *g;

	if (!rights)
		return 0;
	if (l->n == l->cap) {
		void *items = plan_grow(l->items, l->n, &l->cap, sizeof(*l->items));

		if (!items)
			return -ENOMEM;
		l->items = items;
	}
	g = &l->items[l->n];
	memset(g, 0, sizeof(*g));
	g->path = strdup(path);
	if (!g->path)
		return -ENOMEM;
	g->len = strlen(path);
	g->rights = rights;
	g->is_dir = node->kind == NODE_DIR;
	g->parent = -1;
	g->dev = node->dev;
	g->ino = node->ino;
	atomic_init(&g->gone, false);
	l->n++;
	return 0;
}

static int compare_grants(const void *x, const void *y)
{
	const struct grant *a = x, *b = y;

	return path_order(a->path, a->len, b->path, b->len);
}

void grant_list_settle(struct grant_list *l)
{
	size_t kept = 0;

	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), compare_grants);
	for (size_t i = 0; i < l->n; i++) {
		struct grant *g = &l->items[i];
		int parent = (int)kept - 1;
		uint64_t above = 0;

		if (kept && strcmp(l->items[kept - 1].path, g->path) == 0) {
			l->items[kept - 1].loose = (l->items[kept - 1].loose | g->loose) &
						   ~(l->items[kept - 1].rights & ~l->items[kept - 1].loose) &
						   ~(g->rights & ~g->loose);
			l->items[kept - 1].rights |= g->rights;
			free(g->path);
			continue;
		}
		while (parent >= 0 &&
		       !path_at_or_beneath(l->items[parent].path, l->items[parent].len, g->path, g->len))
			parent = l->items[parent].parent;
		for (int a = parent; a >= 0; a = l->items[a].parent)
			above |= l->items[a].rights;
		g->parent = parent;
		if (!(g->rights & ~above)) {
			free(g->path);
			continue;
		}
		l->items[kept++] = *g;
	}
	l->n = kept;
}

uint64_t grant_list_rights(const struct grant_list *l, const char *path, size_t len)
{
	uint64_t rights = 0;

	for (size_t i = 0; i < l->n; i++)
		if (path_at_or_beneath(l->items[i].path, l->items[i].len, path, len))
			rights |= l->items[i].rights;
	return rights;
}

static int plan_all(struct planner *p)
{
	int r = planner_names(p);

	if (r == 0)
		r = planner_folds(p);
	if (r == 0)
		r = planner_baseline(p);
	if (r == 0)
		r = planner_upper(p);
	if (r == 0)
		r = planner_traps(p);
	/* The lists become the plan's own before the rows are made: those ask the plan. */
	p->plan->baseline = p->baseline.items;
	p->plan->n_baseline = p->baseline.n;
	p->plan->upper = p->upper.items;
	p->plan->n_upper = p->upper.n;
	/* The rows also tell which rule needs a supervisor that there is not. */
	if (r == 0 && (p->caps->lines || !p->caps->supervisor))
		r = planner_lines(p);
	p->plan->lines = p->lines;
	p->plan->n_lines = p->n_lines;
	return r;
}

int plan_build(const struct policy *policy, const struct plan_host *host, const struct plan_caps *caps,
	       struct plan **ret, struct policy_error *ret_error)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct planner p = {.policy = policy, .host = host, .caps = caps, .plan = plan, .error = ret_error};
	int r = -ENOMEM;

	ret_error->text[0] = '\0';
	if (plan) {
		plan->policy = policy;
		plan->landlock_abi = caps->landlock_abi;
		plan->handled_fs = landlock_fs_rights(caps->landlock_abi);
		r = plan_all(&p);
	}
	planner_names_done(&p);
	for (size_t i = 0; i < p.n_gaps; i++)
		free(p.gaps[i].path);
	free(p.gaps);
	if (r < 0) {
		if (!ret_error->text[0])
			snprintf(ret_error->text, sizeof(ret_error->text), "can't plan the layers: %s",
				 strerror(-r));
		plan_free(plan);
		return r;
	}
	*ret = plan;
	return 0;
}

static void grants_free(struct grant *grants, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(grants[i].path);
	free(grants);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	grants_free(plan->baseline, plan->n_baseline);
	grants_free(plan->upper, plan->n_upper);
	for (size_t i = 0; i < plan->n_named; i++)
		free(plan->named[i].path);
	free(plan->named);
	for (size_t i = 0; i < plan->n_aliases; i++) {
		free(plan->aliases[i].path);
		free(plan->aliases[i].original);
	}
	free(plan->aliases);
	plan_lines_free(plan->lines, plan->n_lines);
	free(plan);
}
