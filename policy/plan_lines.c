/* SPDX-License-Identifier: Apache-2.0
 * The rows of `explain --plan`: rule by rule which layer enforces it, why, and what it costs.
 *
 * The rows read the finished plan, not the walk's intentions: what a row calls Landlock's is granted.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COST_NONE     "none"
#define COST_LANDLOCK "about 1 us an open"
#define COST_REPORT   "about 10 us a call"
#define COST_EMULATE  "15 to 50 us a call"
#define COST_ASK      "15 to 50 us a call, and the answer"
#define COST_EXEC     "about 50 us an exec"

/* Text that grows; a failed allocation is found at the end. */
struct text {
	char *s;
	size_t len;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	char *piece = NULL, *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&piece, fmt, ap);
	va_end(ap);
	s = n < 0 ? NULL : realloc(t->s, t->len + (size_t)n + 1);
	if (s) {
		memcpy(s + t->len, piece, (size_t)n + 1);
		t->s = s;
		t->len += (size_t)n;
	} else {
		t->failed = true;
	}
	if (n >= 0)
		free(piece);
}

static const char *separator(const struct text *t)
{
	return t->len ? "; " : "";
}

static const char *shown(opset ops, char buf[64])
{
	size_t at = 0;

	buf[0] = '\0';
	for (int op = 0; op < OP_COUNT; op++)
		if (ops & OPBIT(op))
			at += (size_t)snprintf(buf + at, 64 - at, "%s%s", at ? "," : "", op_names[op]);
	return buf;
}

/* Takes WHY. */
static int line_add(struct planner *p, const struct rule *rule, const char *layer, struct text *why,
		    const char *cost)
{
	struct plan_line *l;

	if (p->n_lines == p->cap_lines) {
		void *lines = plan_grow(p->lines, p->n_lines, &p->cap_lines, sizeof(*p->lines));

		if (!lines) {
			free(why->s);
			return -ENOMEM;
		}
		p->lines = lines;
	}
	l = &p->lines[p->n_lines];
	*l = (struct plan_line){.rule = rule,
				.layer = strdup(layer),
				.cost = strdup(cost),
				.why = why->s ? why->s : strdup("")};
	p->n_lines++;
	return l->layer && l->cost && l->why && !why->failed ? 0 : -ENOMEM;
}

void plan_lines_free(struct plan_line *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(lines[i].layer);
		free(lines[i].why);
		free(lines[i].cost);
	}
	free(lines);
}

/* Where the operations of an allow end up. */
struct shares {
	opset landlock, gap, missing, unknown, glob, emulated, per_process;
	const struct gap *in;
};

static const struct gap *gap_of(const struct planner *p, const struct name *n, enum op op)
{
	for (size_t i = 0; i < p->n_gaps; i++) {
		const struct gap *g = &p->gaps[i];

		if (g->ops & OPBIT(op) && path_at_or_beneath(n->path, n->len, g->path, strlen(g->path)))
			return g;
	}
	return NULL;
}

static bool is_granted(const struct planner *p, const struct name *n, enum op op)
{
	bool dir = n->node.kind == NODE_DIR;
	uint64_t need = plan_op_rights(p->plan, op, dir);

	if (op == OP_WRITE)
		need &= p->plan->handled_fs; /* what is missing of it is said apart */
	return plan_in_baseline(p->plan, need, n->path, n->len, n->node.dev, n->node.ino);
}

static void share_name(const struct planner *p, const struct name *n, struct shares *s)
{
	for (int op = 0; op < OP_COUNT; op++) {
		opset bit = n->ops & OPBIT(op);
		const struct gap *gap;

		if (!bit)
			continue;
		gap = gap_of(p, n, op);
		if (plan_op_rights(p->plan, op, true) & ~p->plan->handled_fs && op != OP_WRITE)
			s->unknown |= bit;
		else if (n->pattern)
			s->glob |= bit;
		else if (path_is_volatile(n->path, n->len))
			s->per_process |= bit;
		else if (n->node.kind == NODE_MISSING)
			s->missing |= bit;
		else if (n->node.kind == NODE_SYMLINK) /* its other name has the rights */
			continue;
		else if (is_granted(p, n, op))
			s->landlock |= bit;
		else if (gap) {
			s->gap |= bit;
			s->in = s->in ? s->in : gap;
		} else if (n->node.kind == NODE_DIR || op != OP_LIST)
			s->emulated |= bit; /* of a file, its name: that belongs to the directory */
	}
}

static int allow_line(struct planner *p, const struct rule *rule)
{
	struct shares s = {0};
	struct text why = {0};
	char ops[64], where[256];
	opset supervised;
	const char *layer;

	for (size_t i = 0; i < p->literals.n; i++)
		if (p->literals.items[i].rule == rule && !p->literals.items[i].alias)
			share_name(p, &p->literals.items[i], &s);
	for (size_t i = 0; i < p->globs.n; i++)
		if (p->globs.items[i].rule == rule)
			share_name(p, &p->globs.items[i], &s);
	/* stat is trapped for other rules only; asking for it here costs nothing. */
	if (!p->plan->trap[CALL_STAT])
		s.unknown &= (opset)~OPBIT(OP_STAT);
	supervised = s.gap | s.missing | s.unknown | s.glob | s.emulated | s.per_process;
	if (s.landlock)
		text_add(&why, "%s granted whole", shown(s.landlock, ops));
	if (s.gap) {
		if (s.in->cause)
			rule_where(s.in->cause, where, sizeof(where));
		else
			snprintf(where, sizeof(where), "a hole");
		text_add(&why, "%s%s around %s", separator(&why), shown(s.gap, ops), where);
		if (s.in->too_many)
			text_add(&why, " (too many names in %s)", s.in->path);
	}
	if (s.missing)
		text_add(&why, "%s%s: does not exist yet%s", separator(&why), shown(s.missing, ops),
			 s.missing & OPBIT(OP_EXEC) && s.missing & OPBIT(OP_CREATE)
				 ? " (what is made there runs from the next run on)"
				 : "");
	if (s.per_process)
		text_add(&why, "%s%s: another one for each process", separator(&why),
			 shown(s.per_process, ops));
	if (s.glob)
		text_add(&why, "%s%s: a pattern", separator(&why), shown(s.glob, ops));
	if (s.emulated)
		text_add(&why, "%s%s: emulated", separator(&why), shown(s.emulated, ops));
	if (s.unknown)
		text_add(&why, "%s%s: no right in %s", separator(&why), shown(s.unknown, ops),
			 p->plan->landlock_abi ? "this Landlock" : "force");
	if (rule->audit)
		text_add(&why, "%srecorded", separator(&why));
	if (s.missing && supervised == s.missing && !s.landlock && rule->rank == RANK_BUILTIN &&
	    !(s.missing & OPBIT(OP_CREATE)))
		return line_add(p, rule, "none", &why, COST_NONE); /* and nobody here may make it */
	if (!supervised)
		layer = p->plan->opens == TRAP_OPENS_ALL ||
					(p->plan->trap[CALL_NAME] && s.landlock & OPBIT(OP_WRITE))
				? "landlock+report"
				: "landlock";
	else
		layer = s.landlock || s.gap ? "landlock+supervisor" : "supervisor";
	return line_add(p, rule, layer, &why,
			supervised		    ? COST_EMULATE
			: strcmp(layer, "landlock") ? COST_REPORT
						    : COST_LANDLOCK);
}

/* Does RULE make a difference in a tree that is allowed otherwise? */
static const struct gap *gap_for(const struct planner *p, const struct rule *rule, opset *ret_ops)
{
	const struct gap *found = NULL;

	*ret_ops = 0;
	for (int pass = 0; pass < 2; pass++) {
		const struct name_list *l = pass ? &p->globs : &p->literals;

		for (size_t i = 0; i < l->n; i++) {
			const struct name *n = &l->items[i];

			for (size_t k = 0; n->rule == rule && k < p->n_gaps; k++) {
				const struct gap *g = &p->gaps[k];
				size_t len = strlen(g->path);

				if (!(g->ops & n->ops) ||
				    !(path_at_or_beneath(g->path, len, n->path, n->len) ||
				      (n->pattern && path_at_or_beneath(n->path, n->len, g->path, len))))
					continue;
				*ret_ops |= g->ops & n->ops;
				/* The nearest directory above the hole. */
				if (!found || len > strlen(found->path))
					found = g;
			}
		}
	}
	return found;
}

/* In a tree where an op that Landlock does not know is allowed otherwise. */
static opset unknown_holes(const struct planner *p, const struct rule *rule)
{
	opset unknown = OPBIT(OP_META) | OPBIT(OP_STAT), holes = 0;

	if (!(p->plan->handled_fs & LL_RESOLVE_UNIX))
		unknown |= OPBIT(OP_CONNECT);
	for (size_t i = 0; i < p->literals.n; i++) {
		const struct name *n = &p->literals.items[i];
		char *dir;
		struct verdicts v;

		if (n->rule != rule || n->alias || !(n->holes & unknown))
			continue;
		dir = path_parent(n->path, n->len);
		if (!dir)
			continue;
		planner_verdicts(p, dir, strlen(dir), &v);
		free(dir);
		holes |= n->holes & unknown & planner_plain_ops(p, &v);
	}
	for (size_t i = 0; i < p->globs.n; i++)
		if (p->globs.items[i].rule == rule)
			holes |= p->globs.items[i].holes & unknown & OPBIT(OP_STAT);
	return holes;
}

static bool compares_exec(const struct planner *p, const struct rule *rule)
{
	for (int pass = 0; pass < 2; pass++) {
		const struct name_list *l = pass ? &p->globs : &p->literals;

		for (size_t i = 0; i < l->n; i++)
			if (l->items[i].rule == rule && l->items[i].compared &&
			    planner_exec_hole(p, &l->items[i]))
				return p->plan->exec_checked;
	}
	return false;
}

static int refusal_line(struct planner *p, const struct rule *rule)
{
	opset effective = rule_effective_ops(rule), gap_ops, unknown = unknown_holes(p, rule);
	const struct gap *gap = gap_for(p, rule, &gap_ops);
	struct text why = {0};
	char ops[64];
	bool checked_exec = compares_exec(p, rule);

	if (rule->action == ACTION_ASK) {
		text_add(&why, "pinned, asked about, handed over; only the caller waits");
		return line_add(p, rule, "supervisor", &why, COST_ASK);
	}
	if (!p->plan->landlock_abi) {
		text_add(&why, effective & OPBIT(OP_EXEC) ? "emulated; exec by name only, not against races"
							  : "emulated");
		return line_add(p, rule, "supervisor", &why, COST_EMULATE);
	}
	if (checked_exec)
		text_add(&why, "exec: what was executed is compared before its first instruction");
	if (gap && gap->too_many) {
		text_add(&why, "%s%s: too many names in %s, all of it is emulated", separator(&why),
			 shown(gap_ops, ops), gap->path);
	} else if (gap && gap->granted) {
		text_add(&why, "%s%s: left out; %u %s of %s granted one by one", separator(&why),
			 shown(gap_ops, ops), gap->granted, gap->granted == 1 ? "child" : "children",
			 gap->path);
		text_add(&why, gap_ops == OPBIT(OP_EXEC) ? ", nothing new there runs"
			       : gap_ops & (OPBIT(OP_EXEC) | OPBIT(OP_READ))
				       ? ", new names there are emulated and do not run"
				       : ", new names there are emulated");
	} else if (gap) {
		text_add(&why, "%s%s: beneath %s all is emulated", separator(&why), shown(gap_ops, ops),
			 gap->path);
	}
	if (unknown)
		text_add(&why, "%s%s: no right in this Landlock", separator(&why), shown(unknown, ops));
	if (!why.len) {
		text_add(&why, "nothing there is allowed otherwise");
		return line_add(p, rule, p->plan->opens == TRAP_OPENS_ALL ? "landlock+report" : "landlock",
				&why, COST_NONE);
	}
	if (gap_ops == OPBIT(OP_EXEC) && !unknown && !checked_exec)
		return line_add(p, rule, "landlock", &why, COST_NONE);
	return line_add(p, rule, gap && gap->granted ? "landlock+supervisor" : "supervisor", &why,
			checked_exec && !gap && !unknown ? COST_EXEC : COST_EMULATE);
}

static int net_line(struct planner *p, const struct rule *rule)
{
	struct text why = {0};
	uint64_t both = p->plan->handled_net;

	if (rule->action == ACTION_ASK) {
		text_add(&why, "asked about at each call");
		return line_add(p, rule, "supervisor", &why, COST_ASK);
	}
	if (rule->action == ACTION_ALLOW)
		text_add(&why, "inet sockets may be made");
	else
		text_add(&why, p->plan->inet_sockets ? "refused at the call%s" : "no inet sockets%s",
			 both ? "; TCP by Landlock too" : "");
	return line_add(p, rule, "filter", &why, COST_NONE);
}

__attribute__((format(printf, 2, 3))) static int remark(struct planner *p, const char *fmt, ...)
{
	struct text why = {0};
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&why.s, fmt, ap) < 0)
		why = (struct text){.failed = true};
	va_end(ap);
	return line_add(p, NULL, "", &why, "");
}

static int remarks(struct planner *p)
{
	const struct plan *plan = p->plan;
	int abi = plan->landlock_abi, r = 0;
	char ops[64], where[256];

	if (!abi)
		return remark(p, "No Landlock: every call is trapped and emulated. What can't be (exec, "
				 "chdir, /dev/tty) is "
				 "judged by name and then done by the kernel, which reads the name again.");
	if (p->lost) {
		int op = __builtin_ctz(p->lost);

		rule_where(p->lost_by[op], where, sizeof(where));
		r = remark(p,
			   "%s: emulated everywhere, since a file that %s names, or that lies in what it "
			   "names, has another "
			   "name (a hard link) that may lie anywhere.",
			   shown(p->lost, ops), where);
	}
	if (r == 0 && plan->loose_reads)
		r = remark(p,
			   "Reading is kept by the supervisor alone, which opens every file itself: Landlock "
			   "executes only what may be read, and a pattern can't be kept out of that.");
	if (r == 0 && p->scan_cut)
		r = remark(p,
			   "More than %d files lie beneath what never names: not all were looked at for "
			   "other names.",
			   PLAN_SCAN_MAX);
	if (r == 0 && abi < 2)
		r = remark(p, "Landlock ABI %d can't allow renames between directories: those are emulated.",
			   abi);
	if (r == 0 && abi < 3)
		r = remark(p, "Landlock ABI %d does not see truncation: opening to write is emulated.", abi);
	if (r == 0 && abi < 6)
		r = remark(p,
			   "Landlock ABI %d has no scopes: signals to outside are refused by the supervisor.",
			   abi);
	return r;
}

/* Which of several rules to blame: refusals before allows, what the user wrote before what is implied. */
static int blame(const struct rule *rule)
{
	return (rule->action != ACTION_ALLOW ? 1 : 0) + (rule->line || rule->rank == RANK_OPTION ? 2 : 0);
}

/* Nothing may wait for a supervisor that there is not. */
static int check_unsupervised(struct planner *p)
{
	const struct rule *rule = NULL;

	if (p->caps->supervisor)
		return 0;
	for (size_t i = 0; i < p->n_lines; i++) {
		const struct rule *r = p->lines[i].rule;

		if (r && strstr(p->lines[i].layer, "supervisor") && (!rule || blame(r) > blame(rule)))
			rule = r;
	}
	if (!rule)
		return 0;
	return planner_refuse(p, rule,
			      "needs a supervisor (%s), and %s remove the rules that `sluice explain --plan` "
			      "marks \"supervisor\"",
			      rule->text,
			      p->caps->unsupervised ? p->caps->unsupervised :
				      "this process already has one (a container runtime or another sluice): run "
				      "sluice outside of it, or");
}

int planner_lines(struct planner *p)
{
	size_t n;
	const struct rule *rules = policy_rules(p->policy, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (rules[i].net != NET_NONE)
			r = net_line(p, &rules[i]);
		else if (rules[i].action == ACTION_ALLOW)
			r = allow_line(p, &rules[i]);
		else
			r = refusal_line(p, &rules[i]);
	}
	if (r == 0)
		r = remarks(p);
	return r < 0 ? r : check_unsupervised(p);
}
