/* SPDX-License-Identifier: Apache-2.0
 * The baseline: a walk down from the root that grants each operation at the highest directory where
 * nothing beneath says otherwise.
 *
 * Landlock's rights go down: what is granted on a directory holds for all that ever appears beneath.
 * So an operation that is allowed at a directory is granted there if it has no hole beneath; if it has
 * one, the directory's children are tried one by one, and names that appear in it later belong to the
 * supervisor.
 *
 * Names move: rename and link within one directory need no right beyond removing and making. Those are
 * granted only where no operation at all has another verdict beneath, so that no name there is worth
 * more than another. Between two such trees a move needs REFER on both, and Landlock refuses it if the
 * object would gain a right that Landlock knows. What Landlock does not know (meta, stat, what is
 * emulated) it can't compare, and a directory must keep its verdicts wherever it goes: REFER is granted
 * only to trees that have the same ones.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is granted on the way down, and where a directory stands. */
struct place {
	const char *path;
	size_t len;
	unsigned depth;
	struct verdicts verdicts;
	opset done; /* ops that an ancestor's grant carries in full */
	bool loose; /* an ancestor's grant lets the kernel read, for exec */
};

static const uint64_t dir_rights[OP_COUNT] = {
	[OP_READ] = LL_READ_RIGHTS,	[OP_LIST] = LL_READ_DIR,	[OP_WRITE] = LL_WRITE_RIGHTS,
	[OP_CREATE] = LL_MAKE_RIGHTS,	[OP_DELETE] = LL_REMOVE_RIGHTS, [OP_EXEC] = LL_EXECUTE,
	[OP_CONNECT] = LL_RESOLVE_UNIX,
};

/* What no kernel's Landlock knows is neither granted nor looked for. */
#define OPS_LANDLOCK                                                                                         \
	((opset)(OPBIT(OP_READ) | OPBIT(OP_LIST) | OPBIT(OP_WRITE) | OPS_NAMES | OPBIT(OP_EXEC) |            \
		 OPBIT(OP_CONNECT)))

static opset grantable_ops(const struct planner *p)
{
	opset ops = OPS_LANDLOCK & (opset)~p->lost;

	if (!(p->plan->handled_fs & LL_RESOLVE_UNIX))
		ops &= (opset)~OPBIT(OP_CONNECT);
	return ops;
}

static uint64_t rights_of(const struct planner *p, opset ops, bool is_dir)
{
	uint64_t rights = 0;

	for (int op = 0; op < OP_COUNT; op++)
		if (ops & OPBIT(op))
			rights |= dir_rights[op];
	if (is_dir && ops & OPBIT(OP_CREATE) && p->open_to_all)
		rights |= LL_MAKE_DEVICES;
	return (is_dir ? rights : rights & LL_FILE_RIGHTS) & p->plan->handled_fs;
}

/* May ioctl of devices be granted at PATH: does a rule that allows reading or writing name it? */
static bool names_devices(const struct planner *p, const struct place *at, const struct node_info *node)
{
	size_t first, end = planner_names_at(p, at->path, at->len, &first);
	opset use = planner_plain_ops(p, &at->verdicts) & (OPBIT(OP_READ) | OPBIT(OP_WRITE));

	if (!use || (node->kind != NODE_DEVICE && !path_at_or_beneath("/dev", 4, at->path, at->len)))
		return false;
	for (size_t i = first; i < end; i++) {
		const struct name *n = &p->literals.items[i];

		if (n->rule && n->rule->action == ACTION_ALLOW && n->ops & use)
			return true;
	}
	return false;
}

static struct gap *gap_add(struct planner *p, const struct place *at, opset ops, const struct rule *cause)
{
	struct gap *g;

	if (p->n_gaps == p->cap_gaps) {
		void *gaps = plan_grow(p->gaps, p->n_gaps, &p->cap_gaps, sizeof(*p->gaps));

		if (!gaps)
			return NULL;
		p->gaps = gaps;
	}
	g = &p->gaps[p->n_gaps];
	*g = (struct gap){.path = strndup(at->path, at->len), .ops = ops, .cause = cause};
	if (!g->path)
		return NULL;
	p->n_gaps++;
	return g;
}

static void exec_problem(struct planner *p, const struct rule *rule, const char *what)
{
	if (!p->exec_problem && rule) {
		p->exec_problem = rule;
		p->exec_problem_what = what;
	}
}

static int visit(struct planner *p, const struct place *at, const struct node_info *node);

/* Go to DIR/NAME. INHERIT: no rule speaks of it in another way than of the directory. */
static int visit_child(struct planner *p, const struct place *dir, const char *name, size_t name_len,
		       bool inherit)
{
	size_t dir_len = path_norm(dir->len), len = dir_len + 1 + name_len, first;
	char *path = malloc(len + 1);
	struct place at = {
		.path = path, .len = len, .depth = dir->depth + 1, .done = dir->done, .loose = dir->loose};
	struct node_info node;
	int r = -ENOMEM;

	if (path) {
		memcpy(path, dir->path, dir_len);
		path[dir_len] = '/';
		memcpy(path + dir_len + 1, name, name_len);
		path[len] = '\0';
		if (planner_names_at(p, path, len, &first) > first) {
			at.verdicts = p->literals.items[first].verdicts;
			node = p->literals.items[first].node;
			r = 0;
		} else {
			if (inherit)
				at.verdicts = dir->verdicts;
			else
				planner_verdicts(p, path, len, &at.verdicts);
			r = planner_lookup(p, path, &node);
		}
	}
	if (r == 0)
		r = visit(p, &at, &node);
	free(path);
	return r;
}

/* Is there something to grant at this name that an ancestor's grant does not carry? */
static bool is_worth_a_visit(const struct planner *p, const struct name *n, opset done)
{
	return !n->rule || n->node.kind == NODE_DEVICE ||
	       planner_plain_ops(p, &n->verdicts) & OPS_LANDLOCK & (opset)~done;
}

/* The children that rules name. */
static int visit_named_children(struct planner *p, const struct place *dir)
{
	size_t first, i = planner_names_at(p, dir->path, dir->len, &first), dir_len = path_norm(dir->len);
	int r = 0;

	while (r == 0 && i < p->literals.n) {
		const struct name *n = &p->literals.items[i];
		size_t len, child_len;
		bool worth = false;

		if (!path_at_or_beneath(dir->path, dir->len, n->path, n->len))
			break;
		for (len = 0; n->path[dir_len + 1 + len] && n->path[dir_len + 1 + len] != '/'; len++)
			;
		child_len = dir_len + 1 + len;
		for (; i < p->literals.n; i++) {
			const struct name *m = &p->literals.items[i];

			if (!path_at_or_beneath(n->path, child_len, m->path, m->len))
				break;
			worth |= is_worth_a_visit(p, m, dir->done);
		}
		if (worth)
			r = visit_child(p, dir, n->path + dir_len + 1, len, false);
	}
	return r;
}

/* Each child by itself: -E2BIG if there are too many for EXPAND. */
static int visit_all_children(struct planner *p, const struct place *dir, opset expand,
			      const struct rule *cause)
{
	size_t max = expand & OPBIT(OP_EXEC) ? PLAN_EXEC_CHILDREN_MAX : PLAN_CHILDREN_MAX, n = 0;
	struct place in = *dir;
	char **children = NULL;
	bool globs = false;
	int r;

	if (p->lookups >= PLAN_LOOKUPS_MAX)
		return -E2BIG;
	r = p->host->list(p->host->ctx, dir->path, max, &children);
	if (r == -ENOMEM || r == -E2BIG)
		return r;
	if (r < 0) { /* can't be read: nothing in it is granted */
		if (expand & OPBIT(OP_EXEC))
			exec_problem(p, cause, "is in a directory that can't be listed to allow the others");
		return 0;
	}
	for (char **c = children; c && *c; c++)
		n++;
	/* So many for the sake of exec: nothing else is granted there. */
	if (n > PLAN_CHILDREN_MAX)
		in.done |= OPS_ALL & (opset)~OPBIT(OP_EXEC);
	for (size_t i = 0; i < p->globs.n && !globs; i++)
		globs = pattern_may_match_below(p->globs.items[i].pattern, dir->path, dir->len);
	for (char **c = children; c && *c; c++) {
		if (r == 0)
			r = visit_child(p, &in, *c, strlen(*c), !globs);
		free(*c);
	}
	free(children);
	if (r == 0 && n > PLAN_CHILDREN_MAX)
		r = -E2BIG;
	return r;
}

/* The kernel executes only what Landlock lets be read. Where exec is granted and reading is allowed, but
 * can't be granted for a reason that would leave nothing to run, it is granted for exec's sake: DEEP, a
 * hole that is everywhere, or any hole where new programs may appear beside it. */
/* May something be made here, and run? A build that leaves its program beside a file that it may not
 * read, say. */
static bool new_programs(const struct planner *p, const struct place *at)
{
	return policy_exec_holes(p->policy) == EXEC_HOLES_CHECKED ||
	       (at->verdicts.of[OP_CREATE] & ~VERDICT_AUDIT) == ACTION_ALLOW;
}

static bool wants_loose_read(const struct planner *p, const struct place *at, opset have, opset deep)
{
	enum action read = at->verdicts.of[OP_READ] & ~VERDICT_AUDIT;

	if (at->loose || !(have & OPBIT(OP_EXEC)) || have & OPBIT(OP_READ) || read != ACTION_ALLOW)
		return false;
	return (deep | p->lost) & OPBIT(OP_READ) || at->verdicts.of[OP_READ] & VERDICT_AUDIT;
}

static int grant_place(struct planner *p, const struct place *at, uint64_t rights, bool loose,
		       const struct node_info *node)
{
	int r = grant_add(&p->baseline, at->path, rights | (loose ? LL_READ_FILE : 0), node);

	if (r == 0 && loose) {
		p->baseline.items[p->baseline.n - 1].loose = LL_READ_FILE;
		p->plan->loose_reads = true;
	}
	return r;
}

static const struct rule *cause_of(const struct beneath *b, opset ops)
{
	for (int op = 0; op < OP_COUNT; op++)
		if (ops & OPBIT(op) && b->cause[op])
			return b->cause[op];
	return b->differs_cause;
}

/* The environment, the maps and the like of processes outside of the tree: with CAP_PERFMON the kernel shows them
 * to who may read the file, so the supervisor opens what is in /proc. (What may be executed may be read.) */
#define SHOWS_OTHERS (OPBIT(OP_READ) | OPBIT(OP_EXEC))

static int visit_dir(struct planner *p, const struct place *at, const struct node_info *node)
{
	opset plain = planner_plain_ops(p, &at->verdicts) & OPS_LANDLOCK, grant, expand, later;
	struct place in = *at;
	struct beneath b;
	uint64_t rights;
	size_t before;
	bool loose;
	int r;

	if (p->caps->privileged && strcmp(at->path, "/proc") == 0) {
		p->inexact |= plain & SHOWS_OTHERS & OPBIT(OP_READ) & (opset)~at->done;
		plain &= (opset)~SHOWS_OTHERS;
	}
	planner_beneath(p, at->path, at->len, at->depth, &at->verdicts, &b);
	if (p->caps->privileged && strcmp(at->path, "/") == 0)
		b.holes |= SHOWS_OTHERS; /* /proc */
	grant = plain & (opset) ~(b.holes | at->done) & grantable_ops(p);
	if (b.differs)
		grant &= (opset)~OPS_NAMES;
	rights = rights_of(p, grant, true);
	if (names_devices(p, at, node))
		rights |= LL_IOCTL_DEV & p->plan->handled_fs;
	loose = wants_loose_read(p, at, grant | at->done, new_programs(p, at) ? b.holes : b.deep);
	r = grant_place(p, at, rights, loose, node);
	if (r < 0)
		return r;
	in.done |= grant;
	in.loose |= loose;

	later = plain & (opset)~in.done; /* allowed here, and not granted */
	expand = later & (opset) ~(b.deep | p->lost) & grantable_ops(p);
	if (b.differs_deep)
		expand &= (opset)~OPS_NAMES;
	p->inexact |= later;
	if (later & b.deep & OPBIT(OP_EXEC) && b.exec_glob)
		exec_problem(p, b.exec_glob, "would leave nothing in an allowed directory executable");
	before = p->baseline.n;
	if (later) {
		struct gap *g = gap_add(p, at, later, cause_of(&b, later));

		if (!g)
			return -ENOMEM;
	}
	if (expand || b.scattered & OPS_LANDLOCK & (opset)~in.done) {
		size_t gap = p->n_gaps - 1;

		r = visit_all_children(p, &in, expand, b.cause[OP_EXEC]);
		if (r == -E2BIG) {
			if (later)
				p->gaps[gap].too_many = true;
			if (expand & OPBIT(OP_EXEC) && p->baseline.n == before)
				exec_problem(
					p, b.cause[OP_EXEC],
					"is in a directory with too many files to allow each of the others");
			r = visit_named_children(p, &in);
		} else if (later) {
			p->gaps[gap].granted = (unsigned)(p->baseline.n - before);
		}
	} else if (b.allowed & OPS_LANDLOCK & (opset)~in.done || b.devices) {
		r = visit_named_children(p, &in);
	}
	return r;
}

static opset for_own_terminals(const struct planner *p, const struct place *at)
{
	opset ops = 0;

	for (enum op op = 0; op < OP_COUNT; op++)
		if ((op == OP_READ || op == OP_WRITE) &&
		    rule_means_own_terminals(policy_decide(p->policy, op, at->path, at->len).rule))
			ops |= OPBIT(op);
	return ops;
}

static int visit_file(struct planner *p, const struct place *at, const struct node_info *node)
{
	opset plain = planner_plain_ops(p, &at->verdicts),
	      own = node->kind == NODE_DEVICE ? for_own_terminals(p, at) : 0,
	      grant = plain & grantable_ops(p) & (opset) ~(at->done | own);
	uint64_t rights = rights_of(p, grant, false);
	size_t first, end = planner_names_at(p, at->path, at->len, &first);

	p->inexact |= plain & own & (opset)~at->done;
	if (node->kind == NODE_DEVICE && names_devices(p, at, node))
		rights |= LL_IOCTL_DEV & p->plan->handled_fs;
	for (size_t i = first; i < end; i++)
		if (p->literals.items[i].closed)
			return 0;
	/* Its name may be given to another file, which has no grant then. Nobody replaces devices. */
	if (plain & OPS_NAMES && node->kind != NODE_DEVICE)
		p->inexact |= plain & (opset)~at->done & (opset)~OPBIT(OP_EXEC);
	return grant_place(p, at, rights, wants_loose_read(p, at, grant | at->done, 0), node);
}

static int visit(struct planner *p, const struct place *at, const struct node_info *node)
{
	opset plain = planner_plain_ops(p, &at->verdicts);

	/* The supervisor's own view of these is not the target's. */
	if (path_is_volatile(at->path, at->len)) {
		p->inexact |= plain & (opset)~at->done;
		return 0;
	}
	switch (node->kind) {
	case NODE_DIR:
		return visit_dir(p, at, node);
	case NODE_FILE:
	case NODE_DEVICE:
	case NODE_OTHER:
		return visit_file(p, at, node);
	case NODE_MISSING:
		/* Only the target itself is expected to make it. */
		if (plain & OPBIT(OP_CREATE))
			p->inexact |= plain & (opset)~at->done & (opset)~OPBIT(OP_EXEC);
		return 0;
	case NODE_SYMLINK: /* never opened itself; what it leads to is judged by its own name */
		break;
	}
	return 0;
}

struct tree {
	struct grant *grant;
	struct verdicts verdicts;
	uint64_t rights;
};

static int compare_trees(const void *x, const void *y)
{
	const struct tree *a = x, *b = y;
	int na = __builtin_popcountll(a->rights), nb = __builtin_popcountll(b->rights);

	return na != nb ? nb - na : path_order(a->grant->path, a->grant->len, b->grant->path, b->grant->len);
}

/* Rename and link between directories: for as many trees as go together, the widest first. */
static int grant_refer(struct planner *p)
{
	uint64_t names = LL_MAKE_RIGHTS | LL_REMOVE_RIGHTS;
	struct tree *trees = calloc(p->baseline.n + 1, sizeof(*trees));
	size_t n = 0, kept = 0;

	if (!trees)
		return -ENOMEM;
	for (size_t i = 0; i < p->baseline.n; i++) {
		struct grant *g = &p->baseline.items[i];

		if (g->is_dir && g->rights & names) {
			struct tree *t = &trees[n++];

			t->grant = g;
			t->rights = grant_list_rights(&p->baseline, g->path, g->len);
			planner_verdicts(p, g->path, g->len, &t->verdicts);
		}
	}
	qsort(trees, n, sizeof(*trees), compare_trees);
	if (!(p->plan->handled_fs & LL_REFER))
		p->refer_missing = n > 0;
	for (size_t i = 0; i < n && !p->refer_missing; i++) {
		/* A file could move to where less is allowed. A directory could not: a worker may hold it
		 * open for a call that was judged by its old place. */
		if (kept && memcmp(&trees[0].verdicts, &trees[i].verdicts, sizeof(trees[0].verdicts)) != 0)
			continue;
		trees[kept++] = trees[i];
	}
	for (size_t i = 0; i < kept; i++)
		trees[i].grant->rights |= LL_REFER;
	p->refer_missing |= kept < n;
	free(trees);
	return 0;
}

int planner_baseline(struct planner *p)
{
	struct place root = {.path = "/", .len = 1};
	struct node_info node;
	struct beneath b;
	int r;

	if (!p->plan->landlock_abi) {
		p->inexact = OPS_ALL;
		return 0;
	}
	r = planner_lookup(p, "/", &node);
	if (r < 0)
		return r;
	node.kind = NODE_DIR;
	planner_verdicts(p, "/", 1, &root.verdicts);
	planner_beneath(p, "/", 1, 0, &root.verdicts, &b);
	p->open_to_all = !b.differs && planner_plain(p, root.verdicts.of[OP_READ], OP_READ) &&
			 planner_plain(p, root.verdicts.of[OP_WRITE], OP_WRITE);
	r = visit(p, &root, &node);
	if (r < 0)
		return r;
	grant_list_settle(&p->baseline);
	return grant_refer(p);
}
