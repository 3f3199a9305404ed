/* SPDX-License-Identifier: Apache-2.0
 * Directories that fold: "key" and "KEY" are one entry there (vfat, exfat, cifs; ext4, f2fs and tmpfs with +F).
 *
 * A rule speaks of one spelling. What it refuses could be had by another, of which no rule speaks, and whose name
 * the kernel may even give back to us. So a plan whose refusals could be met in such a directory is no plan.
 *
 * Which directories those are is known from the rules alone: a directory matters to a refused name beneath it if other
 * names there are judged more mildly. Of most refusals none does, for nothing around them is allowed; the others cost
 * a look or two each. Whether it folds shows by trying: the known entry in other
 * letters is there, and no entry of its own. Only where there is nothing to try is the file system asked.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A directory that was asked about. */
struct dir {
	char *path;
	size_t len;
	bool collides; /* rules name two entries in it that are one if it folds */
	bool judged;
	bool looked; /* and found not to fold */
	struct verdicts verdicts; /* its own, and those of names in it that no rule speaks of */
};

struct folds {
	struct planner *p;
	struct dir *dirs;
	size_t n, cap;
};

/* Another name for PATH in a directory that folds: letters from START on in the other case. False: it has none. */
static bool respell(char *path, size_t start)
{
	bool any = false;

	for (char *c = path + start; *c; c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')) {
			*c ^= 0x20;
			any = true;
		}
	return any;
}

/* Names come sorted, so the last ones are asked about again. NULL: no memory, for one not asked about before. The
 * pointer is good until the next call. */
static struct dir *dir_at(struct folds *f, const char *path, size_t len)
{
	struct dir *d;

	for (size_t i = f->n; i--;)
		if (f->dirs[i].len == len && memcmp(f->dirs[i].path, path, len) == 0)
			return &f->dirs[i];
	if (f->n == f->cap) {
		void *items = plan_grow(f->dirs, f->n, &f->cap, sizeof(*f->dirs));

		if (!items)
			return NULL;
		f->dirs = items;
	}
	d = &f->dirs[f->n];
	*d = (struct dir){.path = strndup(path, len), .len = len};
	if (!d->path)
		return NULL;
	f->n++;
	return d;
}

/* ---- what the rules say ---- */

static unsigned char folded(char c)
{
	return c == '/' ? 0 : c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

static int compare_folded(const void *x, const void *y)
{
	const char *a = (*(const struct name *const *)x)->path, *b = (*(const struct name *const *)y)->path;

	for (; *a && *b && folded(*a) == folded(*b); a++, b++)
		;
	return !*a || !*b ? (*a != 0) - (*b != 0) : folded(*a) - folded(*b);
}

/* The directory in which A and B go by two names that differ in case: the length of its own, or 0. */
static size_t collision(const char *a, const char *b)
{
	size_t slash = 0, differs = 0;

	for (size_t i = 0; a[i] && b[i] && folded(a[i]) == folded(b[i]); i++) {
		if (a[i] == '/')
			slash = i;
		if (a[i] != b[i] && !differs)
			differs = slash ? slash : 1;
		if (differs && (!a[i + 1] || a[i + 1] == '/') && (!b[i + 1] || b[i + 1] == '/'))
			return differs;
	}
	return 0;
}

/* In folded order all names that are beneath one directory in some spelling stand together: where two spellings
 * meet, they are neighbours. */
static int find_collisions(struct folds *f)
{
	size_t n = f->p->literals.n;
	const struct name **sorted = n ? malloc(n * sizeof(*sorted)) : NULL;
	int r = sorted || !n ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		sorted[i] = &f->p->literals.items[i];
	if (r == 0 && n)
		qsort(sorted, n, sizeof(*sorted), compare_folded);
	for (size_t i = 1; r == 0 && i < n; i++) {
		size_t len = collision(sorted[i - 1]->path, sorted[i]->path);
		struct dir *d = len ? dir_at(f, sorted[i]->path, len) : NULL;

		if (d)
			d->collides = true;
		else if (len)
			r = -ENOMEM;
	}
	free(sorted);
	return r;
}

/* Refused is refused. */
static enum action action_of(const struct verdicts *v, unsigned op)
{
	enum action action = v->of[op] & (uint8_t)~VERDICT_AUDIT;

	return action == ACTION_NEVER ? ACTION_DENY : action;
}

/* Is something that N refuses, at the verdicts OWN, judged more mildly by OTHER? */
static bool is_milder(const struct name *n, const struct verdicts *own, const struct verdicts *other)
{
	for (unsigned op = 0; op < OP_COUNT; op++)
		if ((n->ops & OPBIT(op)) && action_of(other, op) < action_of(own, op))
			return true;
	return false;
}

/* May a pattern allow names in DIR? */
static bool pattern_is_milder(const struct planner *p, const struct name *n, const struct verdicts *own,
			      const char *dir, size_t len)
{
	for (size_t i = 0; i < p->globs.n; i++) {
		const struct name *g = &p->globs.items[i];

		if (!path_at_or_beneath(g->path, g->len, dir, len) || !pattern_may_match_below(g->pattern, dir, len))
			continue;
		for (unsigned op = 0; op < OP_COUNT; op++)
			if ((n->ops & g->ops & OPBIT(op)) && g->rule->action < action_of(own, op))
				return true;
	}
	return false;
}

/* Would what N refuses be open to another spelling of its name in the directory DIR? 0, 1 or -ENOMEM. */
static int is_open(struct folds *f, const struct name *n, const struct verdicts *own, const char *dir, size_t len)
{
	struct dir *d = dir_at(f, dir, len);

	if (!d)
		return -ENOMEM;
	if (!d->judged)
		planner_verdicts(f->p, dir, len, &d->verdicts);
	d->judged = true;
	return d->collides || is_milder(n, own, &d->verdicts) || pattern_is_milder(f->p, n, own, dir, len);
}

/* ---- what the file system does ---- */

static bool has(char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* In the directory DIR something answers to NAME. And to the name in other letters? Then they are one, but for a
 * directory that lists both. FOLDING_UNKNOWN: it has no letters. */
static int try_entry(struct planner *p, const char *dir, const char *name, enum folding *ret)
{
	char *path = path_join(dir, strlen(dir), name), **names = NULL;
	size_t start = path_norm(strlen(dir)) + 1;
	struct node_info node = {0};
	int r = path ? 0 : -ENOMEM;

	*ret = FOLDING_UNKNOWN;
	if (r == 0 && respell(path, start)) {
		r = planner_lookup(p, path, &node);
		*ret = node.kind == NODE_MISSING ? FOLDING_NO : FOLDING_YES;
	}
	if (r == 0 && *ret == FOLDING_YES) {
		r = p->host->list(p->host->ctx, dir, PLAN_SCAN_MAX, &names);
		if (r == 0 && has(names, name) && has(names, path + start))
			*ret = FOLDING_NO;
		if (r == 0)
			strv_free(names);
	}
	free(path);
	return r == -ENOMEM ? r : 0;
}

/* By the first entry that has letters. */
static int try_any_entry(struct planner *p, const char *dir, enum folding *ret)
{
	char **names = NULL;
	int r = p->host->list(p->host->ctx, dir, PLAN_SCAN_MAX, &names);

	*ret = FOLDING_UNKNOWN;
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (char **c = names; r == 0 && c && *c && *ret == FOLDING_UNKNOWN; c++)
		r = try_entry(p, dir, *c, ret);
	strv_free(names);
	return r;
}

/* Does DIR, which exists, fold? ENTRY: a name in it, or NULL. */
static int look_at_dir(struct planner *p, const char *dir, const struct node_info *node, const char *entry,
		       enum folding *ret)
{
	struct node_info above = {0};
	char *parent;
	int r = 0;

	*ret = FOLDING_UNKNOWN;
	if (entry)
		r = try_entry(p, dir, entry, ret);
	if (r == 0 && *ret == FOLDING_UNKNOWN)
		*ret = p->host->folding(p->host->ctx, dir, node->dev);
	if (r == 0 && *ret == FOLDING_UNKNOWN)
		r = try_any_entry(p, dir, ret);
	if (r < 0 || *ret != FOLDING_UNKNOWN || strcmp(dir, "/") == 0)
		return r;
	/* Where the file system does not tell, it does the same everywhere. */
	parent = path_parent(dir, strlen(dir));
	r = parent ? planner_lookup(p, parent, &above) : -ENOMEM;
	if (r == 0 && above.kind == NODE_DIR && above.dev == node->dev)
		r = look_at_dir(p, parent, &above, strrchr(dir, '/') + 1, ret);
	free(parent);
	return r;
}

/* The nearest directory at or above *DIR that exists, in its place: what is made in a directory takes after it. */
static int climb(struct planner *p, char **dir, struct node_info *ret)
{
	int r = planner_lookup(p, *dir, ret);

	while (r == 0 && ret->kind == NODE_MISSING && strcmp(*dir, "/") != 0) {
		char *parent = path_parent(*dir, strlen(*dir));

		if (!parent)
			return -ENOMEM;
		free(*dir);
		*dir = parent;
		r = planner_lookup(p, parent, ret);
	}
	return r;
}

/* Does DIR fold? NEXT: a name that may be in it, or NULL. */
static int look(struct planner *p, const char *dir, const struct node_info *node, const char *next, enum folding *ret)
{
	char *entry = next ? path_join(dir, strlen(dir), next) : NULL;
	struct node_info there = {0};
	int r = next && !entry ? -ENOMEM : 0;

	if (entry)
		r = planner_lookup(p, entry, &there);
	if (r == 0)
		r = look_at_dir(p, dir, node, there.kind == NODE_MISSING ? NULL : next, ret);
	free(entry);
	return r;
}

/* ---- both ---- */

static int refuse(struct folds *f, const struct name *n, const char *dir, enum folding folding)
{
	char text[256], shown[400];

	escape_bytes(text, sizeof(text), n->rule->text, strlen(n->rule->text));
	escape_bytes(shown, sizeof(shown), dir, strlen(dir));
	if (folding == FOLDING_YES)
		return planner_refuse(f->p, n->rule,
				      "\"%s\" can't be kept: in %s upper and lower case are one name, and another "
				      "spelling of it would not be refused: use a directory of a file system that "
				      "tells them apart, or a policy that refuses nothing within what it allows there",
				      text, shown);
	return planner_refuse(f->p, n->rule,
			      "\"%s\" can't be kept if upper and lower case are one name in %s, and nothing tells, for "
			      "there is no file to try it with: make one (touch %s/x)",
			      text, shown, shown);
}

/* The directory AT, or one that will be made in it, may not fold, for the sake of N. */
static int check_folding(struct folds *f, const struct name *n, const char *at, const struct node_info *node,
			 const char *next)
{
	struct dir *d = dir_at(f, at, strlen(at));
	enum folding folding;
	int r;

	if (!d)
		return -ENOMEM;
	if (d->looked || node->kind != NODE_DIR)
		return 0;
	r = look(f->p, at, node, next, &folding);
	if (r == 0 && folding != FOLDING_NO)
		r = refuse(f, n, at, folding);
	d->looked = r == 0;
	return r;
}

/* N refuses something beneath DIR, by way of NEXT in it unless that is NULL. */
static int check_dir(struct folds *f, const struct name *n, const struct verdicts *own, const char *dir, size_t len,
		     const char *next)
{
	int r = path_is_volatile(dir, len) ? 0 : is_open(f, n, own, dir, len);
	struct node_info node = {0};
	char *at;

	if (r <= 0 || dir_at(f, dir, len)->looked)
		return r < 0 ? r : 0;
	at = strndup(dir, len);
	r = at ? climb(f->p, &at, &node) : -ENOMEM;
	if (r == 0)
		r = check_folding(f, n, at, &node, strlen(at) == len ? next : NULL);
	if (r == 0)
		dir_at(f, dir, len)->looked = true;
	free(at);
	return r;
}

static int check_above(struct folds *f, const struct name *n, const struct verdicts *own)
{
	char *path = strdup(n->path);
	int r = path ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i + 1 < n->len; i++) {
		size_t end = i + 1 + strcspn(n->path + i + 1, "/");

		if (path[i] != '/')
			continue;
		path[end] = '\0';
		r = check_dir(f, n, own, path, i ? i : 1, path + i + 1);
		path[end] = n->path[end];
	}
	free(path);
	return r;
}

/* A pattern may match in any directory beneath its prefix: those that rules name are looked at. */
static int check_beneath(struct folds *f, const struct name *g, const struct verdicts *own, const struct name_list *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct name *n = &l->items[i];

		if (n->rule && (n->ops & g->ops) && n->rule->action < g->rule->action &&
		    path_at_or_beneath(g->path, g->len, n->path, n->len) &&
		    pattern_may_match_below(g->pattern, n->path, n->len))
			r = check_dir(f, g, own, n->path, n->len, NULL);
	}
	return r;
}

static int check_pattern(struct folds *f, const struct name *g)
{
	struct verdicts own = {{0}};
	int r;

	for (unsigned op = 0; op < OP_COUNT; op++)
		own.of[op] = (uint8_t)g->rule->action;
	r = check_above(f, g, &own);
	if (r == 0)
		r = check_dir(f, g, &own, g->path, g->len, NULL);
	if (r == 0)
		r = check_beneath(f, g, &own, &f->p->literals);
	if (r == 0)
		r = check_beneath(f, g, &own, &f->p->globs);
	return r;
}

int planner_folds(struct planner *p)
{
	struct folds f = {.p = p};
	int r = 0;

	if (!p->host->folding)
		return 0;
	r = find_collisions(&f);
	for (size_t i = 0; r == 0 && i < p->literals.n; i++) {
		const struct name *n = &p->literals.items[i];

		if (n->rule && n->rule->action != ACTION_ALLOW)
			r = check_above(&f, n, &n->verdicts);
	}
	for (size_t i = 0; r == 0 && i < p->globs.n; i++)
		if (p->globs.items[i].rule->action != ACTION_ALLOW)
			r = check_pattern(&f, &p->globs.items[i]);
	for (size_t i = 0; i < f.n; i++)
		free(f.dirs[i].path);
	free(f.dirs);
	return r;
}
