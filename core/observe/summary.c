/* SPDX-License-Identifier: Apache-2.0
 * From kinds of refusals to rows, from rows to text.
 *
 * Kinds that differ in the program alone become one row; three rows and more of one directory, with
 * the same rule and operation, become one row of the directory, if an option may name that directory
 * and would have an effect on all of them.
 */
#include "core/observe/summary.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SIBLINGS_MIN = 3, TARGET_COLUMNS_MAX = 56, RULE_COLUMNS_MAX = 36, INDENT = 14 };

struct row {
	const struct refusal *kind; /* the first of them */
	const char *exe2;           /* a second program, or NULL */
	bool more_exes;
	size_t target_len;          /* of the directory if N_NAMES */
	unsigned n_names;           /* folded siblings; 0: one object */
	uint64_t count;
	bool dead;                  /* merged into another */
};

static bool same_object(const struct refusal *a, const struct refusal *b)
{
	return a->target_len == b->target_len && a->is_address == b->is_address &&
	       memcmp(a->target, b->target, a->target_len) == 0;
}

static bool same_decision(const struct refusal *a, const struct refusal *b)
{
	return a->op == b->op && a->rule == b->rule && a->by == b->by && a->action == b->action &&
	       (a->detail == b->detail || (a->detail && b->detail && strcmp(a->detail, b->detail) == 0));
}

static void add_exe(struct row *row, const char *exe)
{
	if (!exe || !*exe || strcmp(exe, row->kind->exe) == 0 || (row->exe2 && strcmp(exe, row->exe2) == 0))
		return;
	if (row->exe2)
		row->more_exes = true;
	else
		row->exe2 = exe;
}

static void merge(struct row *into, struct row *from)
{
	into->count += from->count;
	add_exe(into, from->kind->exe);
	add_exe(into, from->exe2);
	into->more_exes |= from->more_exes;
	from->dead = true;
}

static size_t parent_len(const struct row *row)
{
	size_t len = row->target_len;

	if (row->kind->is_address)
		return 0;
	while (len && row->kind->target[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

static int by_object(const void *a, const void *b)
{
	const struct refusal *x = ((const struct row *)a)->kind, *y = ((const struct row *)b)->kind;
	size_t len = x->target_len < y->target_len ? x->target_len : y->target_len;
	int r = memcmp(x->target, y->target, len);

	if (r)
		return r;
	if (x->target_len != y->target_len)
		return x->target_len < y->target_len ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_count(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->dead != y->dead)
		return x->dead ? 1 : -1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->kind->first < y->kind->first ? -1 : x->kind->first > y->kind->first;
}

/* Rows are sorted by object: those of one object stand together. */
static void merge_programs(struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n && same_object(rows[i].kind, rows[j].kind); j++)
			if (!rows[i].dead && !rows[j].dead && same_decision(rows[i].kind, rows[j].kind))
				merge(&rows[i], &rows[j]);
}

static bool is_sibling(const struct row *a, const struct row *b, size_t dir_len)
{
	return !a->dead && !a->n_names && same_decision(a->kind, b->kind) && parent_len(a) == dir_len &&
	       memcmp(a->kind->target, b->kind->target, dir_len) == 0;
}

static bool dir_has_effect(const struct row *row, size_t dir_len)
{
	return remedy_has_effect(row->kind->rule, row->kind->target, row->kind->target_len, dir_len);
}

/* Could one option for its directory replace those of this row and its siblings? */
static bool may_fold(const struct places *places, const struct row *row, size_t dir_len)
{
	const struct refusal *k = row->kind;

	return dir_len && k->by != BY_ERROR && k->by != BY_USER && k->action != ACTION_NEVER &&
	       dir_has_effect(row, dir_len) && remedy_may_name_dir(places, k->target, dir_len);
}

/* Fold the N rows from FIRST on that lie in its directory into it, if they are enough. */
static void fold_row(const struct places *places, struct row *first, size_t n)
{
	size_t dir_len = parent_len(first), siblings = 0, end = 1;

	if (first->dead || first->n_names || !may_fold(places, first, dir_len))
		return;
	/* Sorted by object: once the common directory is left, it stays left. */
	while (end < n && first[end].kind->target_len > dir_len &&
	       memcmp(first[end].kind->target, first->kind->target, dir_len) == 0)
		end++;
	for (size_t i = 0; i < end; i++)
		siblings += is_sibling(&first[i], first, dir_len) && dir_has_effect(&first[i], dir_len);
	if (siblings < SIBLINGS_MIN)
		return;
	for (size_t i = 1; i < end; i++)
		if (is_sibling(&first[i], first, dir_len) && dir_has_effect(&first[i], dir_len))
			merge(first, &first[i]);
	first->n_names = (unsigned)siblings;
	first->target_len = dir_len;
}

static size_t make_rows(const struct summary_input *in, struct row **ret)
{
	struct row *rows = calloc(in->n_refusals + 1, sizeof(*rows));
	size_t n = 0;

	if (!rows)
		return 0;
	for (size_t i = 0; i < in->n_refusals; i++)
		rows[i] = (struct row){.kind = &in->refusals[i], .target_len = in->refusals[i].target_len,
				       .count = in->refusals[i].count};
	qsort(rows, in->n_refusals, sizeof(*rows), by_object);
	merge_programs(rows, in->n_refusals);
	for (size_t i = 0; i < in->n_refusals; i++)
		fold_row(in->places, &rows[i], in->n_refusals - i);
	qsort(rows, in->n_refusals, sizeof(*rows), by_count);
	while (n < in->n_refusals && !rows[n].dead)
		n++;
	*ret = rows;
	return n;
}

static void put_program(struct text *out, const char *exe)
{
	const char *name = strrchr(exe, '/');
	size_t len;

	name = name ? name + 1 : exe;
	len = strlen(name);
	if (len > 10 && strcmp(name + len - 10, " (deleted)") == 0)
		len -= 10;
	text_escaped(out, name, len);
}

static void put_target(const struct summary_input *in, struct text *out, const struct row *row)
{
	if (row->kind->is_address)
		text_escaped(out, row->kind->target, row->target_len);
	else
		places_show(in->places, out, row->kind->target, row->target_len);
	if (row->n_names)
		text_printf(out, "%s (%u names)", row->target_len > 1 ? "/" : "", row->n_names);
}

/* The rule as it stands in its file; a long list of targets is cut down to the one that speaks. */
static void put_rule(const struct places *places, struct text *out, const struct rule *rule)
{
	size_t start = out->len;
	char ops[64];

	text_escaped(out, rule->text, strlen(rule->text));
	if (text_columns(out, start) <= RULE_COLUMNS_MAX || !rule->n_names)
		return;
	out->len = start;
	opset_format(rule->ops, ops, sizeof(ops));
	text_printf(out, "%s %s ", action_names[rule->action], ops);
	places_show(places, out, rule->names[0].text, strlen(rule->names[0].text));
	text_puts(out, " ...");
}

static void put_reason(const struct places *places, struct text *out, const struct refusal *k)
{
	const struct rule *rule = k->rule;

	if (k->by == BY_ERROR) {
		text_puts(out, "could not be decided: ");
		text_puts(out, k->detail ? k->detail : "an error of sluice");
		return;
	}
	if (!rule) {
		text_puts(out, k->detail ? k->detail : "no rule names it");
		return;
	}
	text_escaped(out, rule->file, strlen(rule->file));
	if (rule->line) {
		text_printf(out, ":%d  ", rule->line);
		put_rule(places, out, rule);
	}
	if (k->by == BY_USER)
		text_printf(out, ": %s", k->detail ? k->detail : "the answer was no");
	else if (k->by == BY_TIMEOUT)
		text_printf(out, ": %s", k->detail ? k->detail : "not answered");
	else if (k->detail)
		text_printf(out, ": %s", k->detail);
}

static void put_remedy(const struct summary_input *in, struct text *out, const struct row *row)
{
	const struct refusal *k = row->kind;

	if (k->by == BY_ERROR || k->err == EXDEV)
		return;
	if (k->action == ACTION_NEVER || (k->rule && k->rule->action == ACTION_NEVER)) {
		text_puts(out, "(no option lifts a never)");
		return;
	}
	if (k->is_address) {
		/* An abstract socket is none of the network's. */
		if (strncmp(k->target, "unix:", 5) != 0 && (k->op == OP_CONNECT || k->op == OP_BIND))
			remedy_option_net(out, k->op);
		return;
	}
	if (!k->target_len || !remedy_has_effect(k->rule, k->target, k->target_len, row->target_len))
		return;
	if (!row->n_names && !remedy_may_name_object(in->places, k->target, k->target_len)) {
		text_puts(out, "(too wide for an option)");
		return;
	}
	remedy_option(in->places, out, k->op, k->target, row->target_len);
	if (rule_keeps_secrets(k->rule))
		text_puts(out, "   (may hold secrets)");
}

static void pad(struct text *out, size_t from, size_t columns)
{
	size_t used = text_columns(out, from);

	text_printf(out, "%*s", (int)(used < columns ? columns - used : 2), "");
}

/* The columns of the left half: the widest that is not too wide. */
static size_t left_columns(const struct summary_input *in, const struct row *rows, size_t n)
{
	size_t widest = 0;
	struct text t = {0};

	for (size_t i = 0; i < 2 * n; i++) {
		size_t columns;

		text_reset(&t);
		if (i % 2)
			put_reason(in->places, &t, rows[i / 2].kind);
		else
			put_target(in, &t, &rows[i / 2]);
		columns = text_columns(&t, 0);
		if (columns > widest && columns <= TARGET_COLUMNS_MAX)
			widest = columns;
	}
	text_done(&t);
	return widest + 1;
}

static void put_row(const struct summary_input *in, struct text *out, const struct row *row, size_t columns)
{
	size_t start;

	text_printf(out, "%3llux  %-7s ", (unsigned long long)row->count, op_names[row->kind->op]);
	start = out->len;
	put_target(in, out, row);
	if (*row->kind->exe) {
		pad(out, start, columns);
		text_puts(out, "by ");
		put_program(out, row->kind->exe);
		if (row->exe2) {
			text_puts(out, row->more_exes ? ", " : " and ");
			put_program(out, row->exe2);
		}
		if (row->more_exes)
			text_puts(out, " and others");
	}
	text_printf(out, "\n%*s", INDENT, "");
	start = out->len;
	put_reason(in->places, out, row->kind);
	pad(out, start, columns);
	put_remedy(in, out, row);
	while (out->len && out->data[out->len - 1] == ' ')
		out->len--;
	text_puts(out, "\n");
}

static void put_ending(const struct summary_input *in, struct text *out)
{
	const char *name = strrchr(in->command, '/');

	name = name ? name + 1 : in->command;
	text_escaped(out, name, strlen(name));
	if (WIFSIGNALED(in->wstatus)) {
		const char *abbrev = sigabbrev_np(WTERMSIG(in->wstatus));

		if (abbrev)
			text_printf(out, " was killed by SIG%s", abbrev);
		else
			text_printf(out, " was killed by signal %d", WTERMSIG(in->wstatus));
	} else if (WEXITSTATUS(in->wstatus)) {
		text_printf(out, " ended with status %d", WEXITSTATUS(in->wstatus));
	} else {
		text_puts(out, " succeeded");
	}
}

static void put_times(struct text *out, uint64_t n)
{
	if (n == 1)
		text_puts(out, "once");
	else
		text_printf(out, "%llu times", (unsigned long long)n);
}

size_t unwatched_list(const struct plan *plan, const char **ret, size_t size)
{
	const struct {
		const char *what;
		bool watched;
	} all[] = {
		{"reads", plan->opens == TRAP_OPENS_ALL},
		{"writes", plan->opens != TRAP_OPENS_NONE},
		{"names that come and go", plan->trap[CALL_NAME]},
		{"executions", plan->trap[CALL_EXEC]},
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && n < size; i++)
		if (!all[i].watched)
			ret[n++] = all[i].what;
	return n;
}

static const char *report_word(const struct policy *policy)
{
	static const char *const words[] = {
		[REPORT_ALL] = "all", [REPORT_WRITES] = "writes", [REPORT_NONE] = "none",
	};

	return policy ? words[policy_report(policy)] : "all";
}

/* Someone ended it: no wonder why it failed. */
static bool was_interrupted(int wstatus)
{
	int sig = WIFSIGNALED(wstatus) ? WTERMSIG(wstatus) : 0;

	return sig == SIGINT || sig == SIGTERM || sig == SIGHUP;
}

/* Only what was looked at can be said to have been refused or not. */
static void put_unwatched(const struct summary_input *in, struct text *out)
{
	const char *list[8];
	size_t n = in->plan ? unwatched_list(in->plan, list, 8) : 0;
	bool failed = in->wstatus != 0 && !was_interrupted(in->wstatus);

	if (n && (failed || in->verbose)) {
		const char *report = report_word(in->places->policy);

		text_puts(out, "sluice: ");
		for (size_t i = 0; i < n; i++)
			text_printf(out, "%s%s", !i ? "" : i + 1 < n ? ", " : " and ", list[i]);
		text_printf(out, " were not watched (report %s)", report);
		if (strcmp(report, "all") != 0)
			text_puts(out, ": --report all watches them");
		text_puts(out, "\n");
	}
	if (in->plan && !in->plan->inet_sockets && failed)
		text_puts(out, "sluice: the network was refused and not watched: --allow 'connect:*:*' opens it\n");
}

static void put_moves(const struct summary_input *in, struct text *out)
{
	if (!in->moves_refused)
		return;
	text_puts(out, "sluice: renames to where other rules hold were answered EXDEV ");
	put_times(out, in->moves_refused);
	text_puts(out, ", as across file systems\n");
}

void summary_write(const struct summary_input *in, struct text *out)
{
	struct row *rows = NULL;
	size_t n = make_rows(in, &rows), columns, shown = in->verbose ? SUMMARY_ROWS_VERBOSE : SUMMARY_ROWS;
	bool whole = in->wstatus != 0 || in->verbose;
	uint64_t total = in->others, rest = in->others;

	for (size_t i = 0; i < n; i++)
		total += rows[i].count;
	if (total) {
		text_printf(out, "sluice: %zu access%s refused (", n, n == 1 ? " was" : "es were");
		put_times(out, total);
		text_puts(out, "), ");
		put_ending(in, out);
		text_puts(out, whole ? "\n" : " (-v shows them)\n");
	}
	if (shown > n)
		shown = n;
	columns = left_columns(in, rows, shown);
	for (size_t i = 0; i < shown && whole; i++)
		put_row(in, out, &rows[i], columns);
	for (size_t i = shown; i < n; i++)
		rest += rows[i].count;
	if (rest && whole) {
		text_printf(out, "  and %s%zu more, refused ", in->others ? "at least " : "", n - shown + !!in->others);
		put_times(out, rest);
		text_puts(out, " (--record FILE keeps all)\n");
	}
	if (whole)
		put_moves(in, out);
	put_unwatched(in, out);
	for (size_t i = 0; in->remarks && in->remarks[i]; i++)
		text_printf(out, "sluice: %s\n", in->remarks[i]);
	free(rows);
}
