/* SPDX-License-Identifier: Apache-2.0
 * A change makes a whole new policy and plan, which take the place of the old ones at once; a request that
 * has begun goes on with those that it started with, but is judged anew before it acts late. Old ones are
 * kept until the end of the run: refusals in the summary and questions point into them. So changes are
 * counted.
 *
 * The new plan has the grants and traps of the first: those are in the kernel. Where a rule refuses what a
 * grant gives, no call may be continued any more (ruleset.loosened): the target could race it to the refused
 * place. All is then emulated, as without Landlock, until the rule is removed.
 */
#include "core/runtime.h"

#include "core/ask/ask.h"
#include "core/command/explain.h"
#include "core/resolve_literal.h"
#include "core/run.h"
#include "core/sys.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHANGES_MAX = 400, LINES_MAX = 200 };
#define RUNTIME_FILE "runtime"

struct generation {
	struct generation *older;
	struct ruleset rules;
	struct policy *policy;
	struct plan *plan;
};

struct runtime {
	struct supervisor *sup;
	const struct ruleset *base;
	struct plan_caps caps;
	struct generation *newest;
	char **lines; /* rule N is lines[N - 1], NULL when it was removed */
	unsigned n_lines, n_changes;
};

int runtime_new(struct supervisor *sup, const struct ruleset *base, const struct plan_caps *caps,
		struct runtime **ret)
{
	struct runtime *rt = calloc(1, sizeof(*rt));

	if (!rt)
		return -ENOMEM;
	rt->sup = sup;
	rt->base = base;
	rt->caps = *caps;
	rt->caps.lines = false;
	/* Of a new plan only the names count: what the kernel could have been told does not matter any more,
	 * and what it could not be told is no reason to refuse. */
	rt->caps.landlock_abi = 0;
	*ret = rt;
	return 0;
}

static void generation_free(struct generation *g)
{
	if (!g)
		return;
	if (g->plan) { /* the first plan's */
		g->plan->baseline = g->plan->upper = NULL;
		g->plan->n_baseline = g->plan->n_upper = 0;
	}
	plan_free(g->plan);
	policy_free(g->policy);
	free(g);
}

void runtime_free(struct runtime *rt)
{
	if (!rt)
		return;
	for (struct generation *g = rt->newest, *older; g; g = older) {
		older = g->older;
		generation_free(g);
	}
	for (unsigned i = 0; i < rt->n_lines; i++)
		free(rt->lines[i]);
	free(rt->lines);
	free(rt);
}

/* ---- what a rule can do ---- */

static bool is_at_or_beneath(const char *dir, size_t dir_len, const char *path, size_t len)
{
	if (dir_len == 1)
		return true;
	return len >= dir_len && memcmp(dir, path, dir_len) == 0 && (len == dir_len || path[dir_len] == '/');
}

/* Rights that OP can need, on whatever kind of object. */
static uint64_t rights_of(const struct plan *plan, enum op op)
{
	return plan_op_rights(plan, op, false) | plan_op_rights(plan, op, true);
}

/* Does a grant give some of RIGHTS somewhere where NAME speaks? In doubt yes. */
static bool meets_grant(const struct grant *grants, size_t n, uint64_t rights, const struct pattern *name)
{
	for (size_t i = 0; i < n; i++) {
		const struct grant *g = &grants[i];

		if ((g->rights & rights) &&
		    (is_at_or_beneath(g->path, g->len, name->prefix, name->prefix_len) ||
		     is_at_or_beneath(name->prefix, name->prefix_len, g->path, g->len)))
			return true;
	}
	return false;
}

/* Do grants give all of RIGHTS on the whole of what NAME can match? */
static bool is_granted(const struct grant *grants, size_t n, uint64_t rights, const struct pattern *name)
{
	for (size_t i = 0; i < n && rights; i++)
		if (is_at_or_beneath(grants[i].path, grants[i].len, name->prefix, name->prefix_len))
			rights &= ~grants[i].rights;
	return !rights;
}

static int refuse(struct policy_error *e, const char *line, enum op op, const char *why)
{
	char shown[300];

	escape_bytes(shown, sizeof(shown), line, strlen(line));
	snprintf(e->text, sizeof(e->text), "%s: can't act on %s: %s", shown, op_names[op], why);
	return -EINVAL;
}

struct check {
	const struct plan *plan; /* the first */
	const char *line;
	struct text *notes;
	struct policy_error *error;
	bool gate; /* opens in the baseline are not seen */
	bool loosens, exec_noted, datagrams_noted;
	opset strict; /* what all rules so far refuse or ask about */
};

/* A rule that refuses or asks. */
static int check_strict(struct check *c, enum op op, const struct pattern *name)
{
	const struct plan *plan = c->plan;
	uint64_t rights = rights_of(plan, op);
	bool known = plan->landlock_abi && !(rights & LL_NO_SUCH_RIGHT);
	bool granted = known && meets_grant(plan->baseline, plan->n_baseline, rights, name);
	uint64_t names = rights_of(plan, OP_CREATE) | rights_of(plan, OP_DELETE);
	bool watched = explain_is_trapped(plan, op) && (op != OP_STAT || plan->stat_decided);

	if (!watched && (granted || !known))
		return refuse(c->error, c->line, op,
			      known ? "the kernel has granted it to the command, and this run does not watch "
				      "it: start it "
				      "anew with this rule"
				    : "this run does not watch such calls: start it anew with this rule");
	/* What is refused at a name must not leave it unseen. */
	if (!plan->trap[CALL_NAME] && meets_grant(plan->baseline, plan->n_baseline, names, name))
		return refuse(c->error, c->line, op,
			      "the command could move it to another name, and this run does not watch names: "
			      "start it anew with this rule");
	/* The filter let datagram sockets be made when nothing was refused. */
	if (op == OP_CONNECT && !policy_restricts(plan->policy, op) && !c->datagrams_noted) {
		c->datagrams_noted = true;
		text_puts(c->notes, "datagrams to socket files are not watched\n");
	}
	if (!granted)
		return 0;
	if (c->gate && (op == OP_READ || op == OP_LIST || op == OP_WRITE || op == OP_CREATE))
		return refuse(c->error, c->line, op,
			      "the kernel has granted it to the command, which opens it unseen (--gate on): start it "
			      "anew with this rule");
	if (op != OP_EXEC) {
		c->loosens = true;
	} else if (!c->exec_noted) {
		c->exec_noted = true;
		text_puts(c->notes, "the kernel lets the command execute there by itself: an exec that is "
				    "seen is refused, "
				    "but a command that swaps names while it asks can get past\n");
	}
	return 0;
}

/* A rule that allows, or asks whether to. */
static int check_grant(struct check *c, enum op op, const struct pattern *name, bool asks)
{
	const struct plan *plan = c->plan;
	uint64_t rights = rights_of(plan, op);
	bool known = plan->landlock_abi && !(rights & LL_NO_SUCH_RIGHT);
	uint64_t least = plan_op_rights(plan, op, false);

	if (known && op == OP_EXEC && !is_granted(plan->baseline, plan->n_baseline, least, name))
		return refuse(c->error, c->line, op,
			      "the kernel lets the command execute only what could be executed when the run "
			      "started");
	if (known && op != OP_EXEC && !is_granted(plan->upper, plan->n_upper, least, name))
		return refuse(c->error, c->line, op,
			      "it lies beyond what sluice's own workers were confined to when the run "
			      "started: start it "
			      "anew with this rule");
	if (!asks && known && !explain_is_trapped(plan, op) &&
	    !is_granted(plan->baseline, plan->n_baseline, least, name))
		return refuse(c->error, c->line, op,
			      "the kernel refuses it, and this run does not watch it: start it anew with "
			      "this rule");
	return 0;
}

static int check_net(struct check *c, const struct rule *rule)
{
	for (unsigned op = OP_CONNECT; op <= OP_BIND; op++) {
		if (!(rule->ops & OPBIT(op)))
			continue;
		if (!c->plan->inet_sockets && rule->action == ACTION_ALLOW)
			return refuse(c->error, c->line, op,
				      "the kernel lets the command make no internet sockets: start it anew "
				      "with this rule");
		if (rule->action == ACTION_ALLOW && op == OP_CONNECT && !c->plan->inet_connects)
			text_puts(c->notes, "the kernel lets the command make no UDP sockets\n");
		/* Datagrams, and ports that nobody binds. */
		if (rule->action != ACTION_ALLOW && (op == OP_CONNECT ? c->plan->inet_connects : c->plan->inet_binds))
			return refuse(c->error, c->line, op,
				      "this run does not watch all such calls: start it anew with this rule");
		if (rule->action != ACTION_ALLOW && c->plan->inet_sockets)
			text_puts(c->notes, "connections that exist stay\n");
	}
	return 0;
}

static int check_rule(struct check *c, const struct rule *rule)
{
	opset ops = rule->ops;
	int r = 0;

	if (rule->action != ACTION_ALLOW && ops & OPBIT(OP_WRITE))
		ops |= OPBIT(OP_CREATE) | OPBIT(OP_DELETE);
	c->strict |= rule->action == ACTION_ALLOW ? 0 : ops;
	if (rule->net != NET_NONE)
		return check_net(c, rule);
	if (rule->action == ACTION_ALLOW && rule->n_names > 1) {
		snprintf(c->error->text, sizeof(c->error->text),
			 "%s: is a symbolic link: name what it leads to", c->line);
		return -EINVAL;
	}
	for (unsigned i = 0; i < rule->n_names && r == 0; i++) {
		const struct pattern *name = &rule->names[i];

		for (unsigned op = 0; op < OP_COUNT && r == 0; op++) {
			if (!(ops & OPBIT(op)))
				continue;
			if (rule->action != ACTION_ALLOW)
				r = check_strict(c, op, name);
			if (r == 0 && (rule->action == ACTION_ALLOW || rule->action == ACTION_ASK))
				r = check_grant(c, op, name, rule->action == ACTION_ASK);
		}
		text_puts(c->notes, "it names ");
		text_escaped(c->notes, name->text, strlen(name->text));
		text_puts(c->notes, "\n");
	}
	return r;
}

/* ---- a new generation ---- */

/* All rules as one text, in which rule N is on line N: so a refusal names it. */
static void put_lines(const struct runtime *rt, struct text *out)
{
	for (unsigned i = 0; i < rt->n_lines; i++) {
		if (rt->lines[i])
			text_puts(out, rt->lines[i]);
		text_puts(out, "\n");
	}
}

static struct policy *make_policy(const struct runtime *rt, struct policy_error *ret_error)
{
	struct policy *p = policy_derive(rt->base->policy);
	struct text text = {0};
	int r = -ENOMEM;

	snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
	put_lines(rt, &text);
	resolve_literal_forget();
	if (p && !text.failed)
		r = policy_add_text(p, RUNTIME_FILE, RANK_ANSWER, text.data ? text.data : "", text.len,
				    ret_error);
	if (r == 0)
		r = policy_finish(p, ret_error);
	text_done(&text);
	if (r == 0)
		return p;
	policy_free(p);
	return NULL;
}

static int compare_named(const void *a, const void *b)
{
	const struct named_object *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* The objects that the first plan knows stay known, whatever lies under their names by now. Those of the plan
 * before, LAST or NULL, are held open already. */
static int merge_named(struct plan *plan, const struct plan *base, const struct plan *last)
{
	struct named_object *all = malloc((plan->n_named + base->n_named + 1) * sizeof(*all));
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < base->n_named; i++) {
		all[n] = base->named[i];
		all[n].path = strdup(base->named[i].path);
		if (!all[n++].path)
			goto fail;
	}
	for (size_t i = 0; i < plan->n_named; i++) {
		if (plan_named(base, plan->named[i].dev, plan->named[i].ino)) {
			free(plan->named[i].path);
			continue;
		}
		if (!last || !plan_named(last, plan->named[i].dev, plan->named[i].ino))
			plan_pin(&plan->named[i]);
		all[n++] = plan->named[i];
	}
	qsort(all, n, sizeof(*all), compare_named);
	free(plan->named);
	plan->named = all;
	plan->n_named = n;
	return 0;
fail:
	while (n--)
		free(all[n].path);
	free(all);
	return -ENOMEM;
}

static void take_grants(struct plan *plan, const struct plan *base)
{
	for (size_t i = 0; i < plan->n_baseline; i++)
		free(plan->baseline[i].path);
	for (size_t i = 0; i < plan->n_upper; i++)
		free(plan->upper[i].path);
	free(plan->baseline);
	free(plan->upper);
	plan->baseline = base->baseline;
	plan->n_baseline = base->n_baseline;
	plan->upper = base->upper;
	plan->n_upper = base->n_upper;
	memcpy(plan->trap, base->trap, sizeof(plan->trap));
	plan->landlock_abi = base->landlock_abi;
	memcpy(plan->seen_only, base->seen_only, sizeof(plan->seen_only));
	plan->stat_decided = base->stat_decided;
	plan->opens = base->opens;
	plan->loose_reads = base->loose_reads;
	plan->inet_sockets = base->inet_sockets;
	plan->inet_connects = base->inet_connects;
	plan->inet_binds = base->inet_binds;
	plan->exec_checked = base->exec_checked;
	plan->handled_fs = base->handled_fs;
	plan->handled_net = base->handled_net;
	plan->scoped = base->scoped;
}

/* What was trapped for the record alone is judged from now on, where the rules refuse OPS. */
static void judge_what_is_seen(struct plan *plan, opset ops)
{
	static const struct {
		enum op op;
		enum call_class class;
	} calls[] = {
		{OP_READ, CALL_OPEN},	{OP_LIST, CALL_OPEN},	    {OP_LIST, CALL_WATCH},
		{OP_WRITE, CALL_OPEN},	{OP_WRITE, CALL_TRUNCATE},  {OP_CREATE, CALL_OPEN},
		{OP_CREATE, CALL_NAME}, {OP_CREATE, CALL_BIND},	    {OP_DELETE, CALL_NAME},
		{OP_EXEC, CALL_EXEC},	{OP_META, CALL_META},	    {OP_STAT, CALL_STAT},
		{OP_STAT, CALL_WATCH},	{OP_CONNECT, CALL_CONNECT}, {OP_BIND, CALL_BIND},
	};

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (ops & OPBIT(calls[i].op))
			plan->seen_only[calls[i].class] = false;
}

static void publish(struct runtime *rt, struct generation *g)
{
	g->older = rt->newest;
	rt->newest = g;
	g->rules.policy = g->policy;
	g->rules.plan = g->plan;
	rt->n_changes++;
	/* Pairs with the acquire in request_init(). Then the cache, as request_learn() relies on. */
	atomic_store_explicit(&rt->sup->rules, &g->rules, memory_order_release);
	if (rt->sup->cache)
		cache_invalidate(rt->sup->cache, false);
	if (rt->sup->asker)
		ask_again(rt->sup->asker);
}

/* Check the rules as they are in RT now, and put them into force. CHECKED: the number of the one whose notes
 * are wanted, or 0. */
static int renew(struct runtime *rt, unsigned checked, struct text *notes, struct policy_error *ret_error)
{
	struct check c = {.plan = rt->base->plan, .error = ret_error, .gate = rt->sup->gate};
	struct generation *g = calloc(1, sizeof(*g));
	const struct rule *rules;
	struct text ignored = {0};
	size_t n, first;
	int r = -ENOMEM;

	policy_rules(rt->base->policy, &first);
	if (rt->n_changes == CHANGES_MAX) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "the rules of this run were changed %d times, that is all "
			 "that is possible: start it anew with the rules that it should have",
			 CHANGES_MAX);
		r = -ENOSPC;
	} else if (g && (g->policy = make_policy(rt, ret_error))) {
		r = 0;
	}
	rules = r == 0 ? policy_rules(g->policy, &n) : NULL;
	for (size_t i = first; r == 0 && i < n; i++) {
		c.line = rules[i].text;
		c.notes = (unsigned)rules[i].line == checked ? notes : &ignored;
		c.exec_noted = false;
		r = check_rule(&c, &rules[i]);
	}
	if (r == 0)
		r = policy_plan(g->policy, &rt->caps, &g->plan, ret_error);
	if (r == 0) {
		take_grants(g->plan, rt->base->plan);
		judge_what_is_seen(g->plan, c.strict);
		r = merge_named(g->plan, rt->base->plan, rt->newest ? rt->newest->plan : NULL);
	}
	text_done(&ignored);
	if (r < 0) {
		generation_free(g);
		return r;
	}
	for (unsigned op = 0; op < OP_COUNT && rt->sup->asker; op++)
		if (policy_asks(g->policy, op))
			r = asker_begin(rt->sup->asker);
	if (r < 0) {
		snprintf(ret_error->text, sizeof(ret_error->text), "nobody can be asked: %s", strerror(-r));
		generation_free(g);
		return r;
	}
	g->rules.loosened = c.loosens;
	if (c.loosens && checked)
		text_puts(notes, "the kernel grants some of it to the command: what is open stays open, and "
				 "from now on "
				 "sluice carries out the calls that it watches itself, which is slower\n");
	publish(rt, g);
	return 0;
}

/* One rule, and nothing else that a policy can say. */
static int check_line(const char *line, struct policy_error *e)
{
	size_t len = strcspn(line, " \t");
	const char *rest = line + len + strspn(line + len, " \t");

	if (strchr(line, '\n') || strchr(line, '\r') || strlen(line) > 8192) {
		snprintf(e->text, sizeof(e->text), "a rule is one line");
		return -EINVAL;
	}
	for (unsigned i = 0; i < ACTION_COUNT; i++) {
		if (strlen(action_names[i]) != len || memcmp(line, action_names[i], len) != 0)
			continue;
		if (strncmp(rest, "call", 4) == 0 && (!rest[4] || rest[4] == ' ' || rest[4] == '\t')) {
			snprintf(e->text, sizeof(e->text),
				 "the filter is in force already: allow call is for the start of a run");
			return -EINVAL;
		}
		return 0;
	}
	snprintf(e->text, sizeof(e->text),
		 "a rule begins with allow, ask, deny or never, as in: deny read ~/.netrc");
	return -EINVAL;
}

int runtime_add(struct runtime *rt, const char *line, unsigned *ret_number, struct text *notes,
		struct policy_error *ret_error)
{
	char **grown;
	int r = check_line(line, ret_error);

	if (r < 0)
		return r;
	if (rt->n_lines == LINES_MAX) {
		snprintf(ret_error->text, sizeof(ret_error->text), "%d rules were added already", LINES_MAX);
		return -ENOSPC;
	}
	grown = realloc(rt->lines, (rt->n_lines + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	rt->lines = grown;
	rt->lines[rt->n_lines] = strdup(line);
	if (!rt->lines[rt->n_lines])
		return -ENOMEM;
	rt->n_lines++;
	r = renew(rt, rt->n_lines, notes, ret_error);
	if (r < 0) {
		free(rt->lines[--rt->n_lines]);
		return r;
	}
	*ret_number = rt->n_lines;
	return 0;
}

int runtime_remove(struct runtime *rt, unsigned number, struct policy_error *ret_error)
{
	struct text notes = {0};
	char *line;
	int r;

	if (number == 0 || number > rt->n_lines || !rt->lines[number - 1]) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "there is no rule %u: sluice rule list shows them", number);
		return -ENOENT;
	}
	line = rt->lines[number - 1];
	rt->lines[number - 1] = NULL;
	r = renew(rt, 0, &notes, ret_error);
	text_done(&notes);
	if (r < 0) {
		rt->lines[number - 1] = line;
		return r;
	}
	free(line);
	return 0;
}

void runtime_each(const struct runtime *rt, void (*each)(void *ctx, unsigned number, const char *line),
		  void *ctx)
{
	for (unsigned i = 0; i < rt->n_lines; i++)
		if (rt->lines[i])
			each(ctx, i + 1, rt->lines[i]);
}
