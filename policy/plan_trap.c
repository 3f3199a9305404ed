/* SPDX-License-Identifier: Apache-2.0
 * Which calls the filter must trap: those that Landlock can't decide exactly as the policy does, and
 * those whose refusals are to be recorded. And what can't be kept at all, which is an error.
 *
 * "Free" is an operation that the policy allows everywhere: nothing to decide, so nothing to trap.
 */
#include "policy/planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the rules want beside plain verdicts. */
struct wishes {
	opset asked, audited;
	opset free;
};

static opset free_ops(const struct planner *p)
{
	struct verdicts root;
	struct beneath b;

	planner_verdicts(p, "/", 1, &root);
	planner_beneath(p, "/", 1, 0, &root, &b);
	return planner_plain_ops(p, &root) & (opset)~b.holes;
}

/* A refusal or question about exec that lies in a tree where exec is allowed. */
bool planner_exec_hole(const struct planner *p, const struct name *n)
{
	struct verdicts v;
	char *dir;

	if (!n->rule || !(n->ops & OPBIT(OP_EXEC)))
		return false;
	if (n->rule->action == ACTION_ASK)
		return true;
	if (n->rule->action != ACTION_DENY)
		return false;
	if (n->pattern)
		return true;
	if ((n->verdicts.of[OP_EXEC] & ~VERDICT_AUDIT) == ACTION_ALLOW)
		return false;
	dir = path_parent(n->path, n->len);
	if (!dir)
		return true;
	planner_verdicts(p, dir, strlen(dir), &v);
	free(dir);
	return planner_plain(p, v.of[OP_EXEC], OP_EXEC);
}

/* What is kept by comparing what was executed, under ptrace: exec-holes checked, and patterns. */
static int check_exec(struct planner *p, const struct name *n)
{
	bool strict = policy_exec_holes(p->policy) == EXEC_HOLES_STRICT;

	if (!planner_exec_hole(p, n))
		return 0;
	if (strict && n->rule->action == ACTION_ASK)
		return planner_refuse(p, n->rule,
				      "\"%s\" can't ask about exec: Landlock alone decides it; write "
				      "exec-holes checked, or make it a deny",
				      n->rule->text);
	if (strict && (!n->compared || (!p->caps->ptrace_exec && !p->plan->landlock_abi)))
		return 0;
	if (!p->caps->ptrace_exec && strict)
		return planner_refuse(p, n->rule,
				      "\"%s\" refuses exec by a pattern, which needs ptrace, and that is "
				      "refused here: leave exec out of it, or name the programs",
				      n->rule->text);
	if (!p->caps->ptrace_exec)
		return planner_refuse(p, n->rule,
				      "\"%s\" with exec-holes checked needs ptrace, which is refused here: "
				      "write exec-holes strict",
				      n->rule->text);
	if (n->node.kind == NODE_FILE && p->host->is_script && p->host->is_script(p->host->ctx, n->path))
		return planner_refuse(
			p, n->rule,
			"%s is a script: exec-holes checked compares binaries only; write exec-holes strict",
			n->path);
	p->plan->exec_checked = true;
	return 0;
}

/* Landlock executes only what it lets be read as well. */
static int check_exec_alone(struct planner *p, const struct name *n)
{
	struct beneath b;

	if (!p->plan->landlock_abi || !n->rule || n->rule->action != ACTION_ALLOW ||
	    !(n->ops & OPBIT(OP_EXEC)) || n->alias ||
	    (n->node.kind != NODE_FILE && n->node.kind != NODE_DIR) ||
	    !planner_plain(p, n->verdicts.of[OP_EXEC], OP_EXEC) ||
	    (n->verdicts.of[OP_READ] & ~VERDICT_AUDIT) == ACTION_ALLOW)
		return 0;
	planner_beneath(p, n->path, n->len, path_depth(n->path, n->len), &n->verdicts, &b);
	if (n->node.kind == NODE_DIR && b.allowed & OPBIT(OP_READ))
		return 0;
	return planner_refuse(p, n->rule,
			      "\"%s\" can't act: the kernel executes only what may be read too; write rx",
			      n->rule->text);
}

static int check_all_exec(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; i < p->literals.n && r == 0; i++)
		r = check_exec_alone(p, &p->literals.items[i]);
	for (size_t i = 0; i < p->literals.n && r == 0; i++)
		r = check_exec(p, &p->literals.items[i]);
	for (size_t i = 0; i < p->globs.n && r == 0; i++)
		r = check_exec(p, &p->globs.items[i]);
	if (r < 0 || !p->plan->landlock_abi)
		return r;
	if (!p->exec_problem && p->lost & OPBIT(OP_EXEC) && p->lost_by[OP_EXEC]) {
		p->exec_problem = p->lost_by[OP_EXEC];
		p->exec_problem_what =
			"names a file that has other names (hard links), which could be executed";
	}
	if (p->exec_problem)
		return planner_refuse(
			p, p->exec_problem, "\"%s\" %s: %s", p->exec_problem->text, p->exec_problem_what,
			p->exec_problem->action == ACTION_NEVER
				? "make it a deny, with exec-holes checked"
				: "write exec-holes checked, or name the programs that may run");
	return 0;
}

static void collect(const struct name_list *l, struct wishes *w)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct rule *rule = l->items[i].rule;

		if (!rule)
			continue;
		if (rule->action == ACTION_ASK)
			w->asked |= l->items[i].ops;
		if (rule->audit)
			w->audited |= rule->ops;
	}
}

/* What a glob allows and no grant covers appears and goes as names do. */
static void globs_are_inexact(struct planner *p)
{
	for (size_t i = 0; i < p->globs.n; i++) {
		const struct name *g = &p->globs.items[i];
		uint64_t have = grant_list_rights(&p->baseline, g->path, g->len);

		if (g->rule->action != ACTION_ALLOW)
			continue;
		for (int op = 0; op < OP_COUNT; op++) {
			uint64_t need = plan_op_rights(p->plan, op, true) & p->plan->handled_fs;

			if (g->ops & OPBIT(op) && op != OP_EXEC && (!need || need & ~have))
				p->inexact |= OPBIT(op);
		}
	}
}

static void net_traps(struct planner *p, const struct wishes *w)
{
	struct plan *plan = p->plan;
	enum action connect = policy_decide_net(p->policy, OP_CONNECT).action;
	enum action bind = policy_decide_net(p->policy, OP_BIND).action;
	bool inet = connect <= ACTION_ASK || bind <= ACTION_ASK;

	plan->inet_sockets = inet;
	plan->inet_connects = connect == ACTION_ALLOW;
	plan->inet_binds = bind == ACTION_ALLOW;
	/* What is asked about is done by a worker, which has the same domain. */
	if (plan->landlock_abi >= 4)
		plan->handled_net = (connect > ACTION_ASK ? LL_NET_CONNECT_TCP : 0) |
				    (bind > ACTION_ASK ? LL_NET_BIND_TCP : 0);
	if (plan->landlock_abi >= 6)
		plan->scoped = LL_SCOPE_SIGNAL | (w->free & OPBIT(OP_CONNECT) ? 0 : LL_SCOPE_ABSTRACT_UNIX);
	/* Landlock knows ports of TCP and no address; a socket made inside the domain passes
	 * RESOLVE_UNIX at any path. */
	plan->trap[CALL_CONNECT] = !(w->free & OPBIT(OP_CONNECT)) || (inet && connect != ACTION_ALLOW);
	plan->trap[CALL_BIND] = (p->inexact & OPBIT(OP_CREATE)) || (inet && bind != ACTION_ALLOW);
}

static void set_traps(struct planner *p, const struct wishes *w)
{
	struct plan *plan = p->plan;
	enum report_mode report = p->caps->supervisor ? policy_report(p->policy) : REPORT_NONE;
	bool all = report == REPORT_ALL || !plan->landlock_abi, writes = all || report == REPORT_WRITES;
	/* Landlock before ABI 3 does not see truncation. */
	bool truncate = plan->landlock_abi < 3 && !(w->free & OPBIT(OP_WRITE));
	opset inexact = p->inexact;

	net_traps(p, w);
	if (all || plan->loose_reads || inexact & (OPBIT(OP_READ) | OPBIT(OP_LIST)))
		plan->opens = TRAP_OPENS_ALL;
	else if (writes || truncate || inexact & (OPBIT(OP_WRITE) | OPBIT(OP_CREATE)))
		plan->opens = TRAP_OPENS_WRITES;
	plan->trap[CALL_OPEN] = plan->opens != TRAP_OPENS_NONE;
	plan->trap[CALL_NAME] = writes || inexact & OPS_NAMES || p->refer_missing;
	plan->trap[CALL_TRUNCATE] = writes || truncate || inexact & OPBIT(OP_WRITE);
	plan->trap[CALL_EXEC] = writes || plan->exec_checked || w->audited & OPBIT(OP_EXEC);
	plan->trap[CALL_META] = !(w->free & OPBIT(OP_META));
	plan->trap[CALL_STAT] = plan->stat_decided = !(w->free & OPBIT(OP_STAT));
	/* A watch on a directory tells its names. */
	plan->trap[CALL_WATCH] = !(w->free & OPBIT(OP_STAT)) || !(w->free & OPBIT(OP_LIST));
	plan->trap[CALL_BIND] |= writes;
	plan->trap[CALL_IDS] = plan->trap[CALL_CONFINE] = plan->trap[CALL_PID] = true;
	if (!plan->landlock_abi)
		plan->trap[CALL_META] = plan->trap[CALL_STAT] = plan->trap[CALL_WATCH] =
			plan->trap[CALL_CONNECT] = plan->trap[CALL_BIND] = true;
}

static void see(struct plan *plan, enum call_class class)
{
	plan->seen_only[class] = !plan->trap[class];
	plan->trap[class] = true;
}

/* Beside what has to be decided: what a record is to hold. Where such a class is not trapped already, all
 * that it can do is allowed everywhere. */
static void set_traps_for_record(struct planner *p)
{
	static const enum call_class looks[] = {CALL_STAT, CALL_WATCH, CALL_CHDIR};

	if (!p->caps->supervisor)
		return;
	if (p->caps->record) {
		see(p->plan, CALL_META);
		see(p->plan, CALL_CONNECT);
	}
	for (unsigned i = 0; p->caps->record_stat && i < sizeof(looks) / sizeof(looks[0]); i++)
		see(p->plan, looks[i]);
}

int planner_traps(struct planner *p)
{
	struct wishes w = {.free = free_ops(p)};
	int r = check_all_exec(p);

	if (r < 0)
		return r;
	collect(&p->literals, &w);
	collect(&p->globs, &w);
	if (p->plan->landlock_abi)
		globs_are_inexact(p);
	p->inexact |= w.asked | w.audited;
	set_traps(p, &w);
	set_traps_for_record(p);
	return 0;
}
