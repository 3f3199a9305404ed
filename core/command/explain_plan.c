/* SPDX-License-Identifier: Apache-2.0
 * `sluice explain --plan`: each rule with its layer, cost and reason; what is trapped; what the workers
 * can reach at most.
 */
#include "core/command/explain.h"

#include <string.h>

void explain_where(struct text *out, const struct rule *rule)
{
	text_escaped(out, rule->file, strlen(rule->file));
	if (rule->line)
		text_printf(out, ":%d", rule->line);
}

bool explain_is_trapped(const struct plan *plan, enum op op)
{
	switch (op) {
	case OP_READ:
	case OP_LIST:
		return plan->opens == TRAP_OPENS_ALL;
	case OP_WRITE:
		return plan->opens != TRAP_OPENS_NONE;
	case OP_CREATE:
	case OP_DELETE:
		return plan->trap[CALL_NAME];
	case OP_EXEC:
		return plan->trap[CALL_EXEC];
	case OP_META:
		return plan->trap[CALL_META];
	case OP_STAT:
		return plan->trap[CALL_STAT];
	case OP_CONNECT:
		return plan->trap[CALL_CONNECT];
	case OP_BIND:
		return plan->trap[CALL_BIND];
	case OP_COUNT:
		break;
	}
	return false;
}

/* Spaces up to COLUMN, counted from byte FROM of OUT; one at least. */
static void pad(struct text *out, size_t from, size_t column)
{
	do
		text_puts(out, " ");
	while (!out->failed && text_columns(out, from) < column);
}

static bool same_statement(const struct plan_line *a, const struct plan_line *b)
{
	return a->rule && b->rule && a->rule->line == b->rule->line &&
	       strcmp(a->rule->file, b->rule->file) == 0 && strcmp(a->rule->text, b->rule->text) == 0;
}

static bool same_row(const struct plan_line *a, const struct plan_line *b)
{
	return strcmp(a->layer, b->layer) == 0 && strcmp(a->cost, b->cost) == 0 &&
	       strcmp(a->why, b->why) == 0;
}

/* The row of LINES[0] for all targets of the statement of N lines that have the same one. */
static void print_row(struct text *out, const struct explain *e, const struct plan_line *lines, size_t n,
		      bool targets)
{
	size_t from = out->len;
	const char *comma = "";

	text_puts(out, "    ");
	text_puts(out, lines[0].layer);
	pad(out, from, 26);
	text_puts(out, lines[0].cost);
	pad(out, from, 50);
	for (size_t i = 0; targets && i < n; i++) {
		const struct rule *rule = lines[i].rule;

		if (!same_row(&lines[0], &lines[i]) || !rule->n_names)
			continue;
		text_puts(out, comma);
		places_show(&e->places, out, rule->names[0].text, strlen(rule->names[0].text));
		comma = ", ";
	}
	text_puts(out, *comma ? ": " : "");
	text_escaped(out, lines[0].why, strlen(lines[0].why));
	text_puts(out, "\n");
}

/* A statement of the policy has a rule for each of its targets: N of LINES. */
static void print_statement(struct text *out, const struct explain *e, const struct plan_line *lines,
			    size_t n, size_t width)
{
	size_t from = out->len;
	bool alike = true;

	explain_where(out, lines[0].rule);
	pad(out, from, width);
	text_escaped(out, lines[0].rule->text, strlen(lines[0].rule->text));
	text_puts(out, "\n");
	for (size_t i = 1; i < n; i++)
		alike = alike && same_row(&lines[0], &lines[i]);
	for (size_t i = 0; i < n; i++) {
		bool printed = false;

		for (size_t k = 0; k < i; k++)
			printed |= same_row(&lines[k], &lines[i]);
		if (!printed)
			print_row(out, e, lines + i, n - i, !alike);
	}
}

static size_t where_width(const struct plan *plan)
{
	struct text t = {0};
	size_t width = 0;

	for (size_t i = 0; i < plan->n_lines; i++) {
		if (!plan->lines[i].rule)
			continue;
		text_reset(&t);
		explain_where(&t, plan->lines[i].rule);
		if (text_columns(&t, 0) > width)
			width = text_columns(&t, 0);
	}
	text_done(&t);
	return (width > 32 ? 32 : width) + 2;
}

static void print_traps(struct text *out, const struct plan *plan)
{
	static const struct {
		enum call_class class;
		const char *what;
	} shown[] = {
		{CALL_EXEC, "exec"},	     {CALL_NAME, "names (mkdir, unlink, rename, ...)"},
		{CALL_TRUNCATE, "truncate"}, {CALL_META, "meta (chmod, utime, ...)"},
		{CALL_STAT, "stat"},	     {CALL_WATCH, "watches"},
		{CALL_CONNECT, "connect"},   {CALL_BIND, "bind"},
	};
	static const char *const opens[] = {
		[TRAP_OPENS_NONE] = "",
		[TRAP_OPENS_WRITES] = "opens to write",
		[TRAP_OPENS_ALL] = "all opens",
	};
	const char *comma = *opens[plan->opens] ? ", " : "";

	text_printf(out, "\nTrapped: %s", opens[plan->opens]);
	for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (plan->trap[shown[i].class]) {
			text_printf(out, "%s%s", comma, shown[i].what);
			comma = ", ";
		}
	text_printf(out, "%s\n", *comma ? "" : "nothing");
	text_printf(out, "Network: %s\n",
		    !plan->inet_sockets						  ? "no inet sockets"
		    : plan->handled_net == (LL_NET_BIND_TCP | LL_NET_CONNECT_TCP) ? "inet sockets, no TCP"
		    : plan->handled_net & LL_NET_BIND_TCP
			    ? "inet sockets may connect, not listen on a port of their choice"
		    : plan->handled_net & LL_NET_CONNECT_TCP ? "inet sockets may listen, not connect"
							     : "inet sockets");
	if (plan->inet_sockets && !plan->inet_connects)
		text_puts(out, "         UDP sockets can't be made: where they send shows in no call\n");
}

static void print_rights(struct text *out, const struct plan *plan, uint64_t rights)
{
	static const struct {
		uint64_t rights;
		const char *word;
	} words[] = {
		{LL_READ_FILE, "read"},	      {LL_READ_DIR, "list"},	  {LL_WRITE_FILE, "write"},
		{LL_MAKE_REG, "create"},      {LL_REMOVE_FILE, "delete"}, {LL_EXECUTE, "exec"},
		{LL_RESOLVE_UNIX, "connect"}, {LL_IOCTL_DEV, "ioctl"},	  {LL_MAKE_CHAR, "mknod"},
	};
	const char *space = "";

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (rights & plan->handled_fs & words[i].rights) {
			text_printf(out, "%s%s", space, words[i].word);
			space = " ";
		}
}

static void print_grants(struct text *out, const struct explain *e, const struct grant *grants, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t line = out->len;

		text_puts(out, "    ");
		print_rights(out, e->plan, grants[i].rights);
		pad(out, line, 50);
		places_show(&e->places, out, grants[i].path, grants[i].len);
		text_puts(out, grants[i].is_dir && grants[i].len > 1 ? "/\n" : "\n");
	}
}

void explain_plan(const struct explain *e, struct text *out)
{
	const struct plan *plan = e->plan;
	size_t width = where_width(plan);

	if (plan->landlock_abi)
		text_printf(out, "Landlock ABI %d\n\n", plan->landlock_abi);
	else
		text_puts(out, "without Landlock\n\n");
	for (size_t i = 0, n; i < plan->n_lines; i += n) {
		for (n = 1; i + n < plan->n_lines && same_statement(&plan->lines[i], &plan->lines[i + n]);
		     n++)
			;
		if (plan->lines[i].rule)
			print_statement(out, e, plan->lines + i, n, width);
	}
	for (size_t i = 0; i < plan->n_lines; i++)
		if (!plan->lines[i].rule)
			text_printf(out, "\n%s\n", plan->lines[i].why);
	print_traps(out, plan);
	if (!plan->landlock_abi)
		return;
	text_printf(out, "\nThe command's own Landlock domain has %zu grants%s\n", plan->n_baseline,
		    e->verbose ? ":" : " (-v lists them).");
	if (e->verbose)
		print_grants(out, e, plan->baseline, plan->n_baseline);
	text_puts(out, "\nThe supervisor's workers can reach at most:\n");
	print_grants(out, e, plan->upper, plan->n_upper);
}
