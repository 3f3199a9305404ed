/* SPDX-License-Identifier: Apache-2.0
 * From facts to text. All names are escaped but in lists that end in NULs.
 */
#include "core/trace/report.h"

#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 16 };

bool trace_is_input(const struct fact *f)
{
	return (f->input & (OPBIT(OP_READ) | OPBIT(OP_EXEC))) && !fact_is_kernels(f) && !f->dir;
}

bool trace_is_output(const struct fact *f)
{
	if (f->gone || fact_is_kernels(f))
		return false;
	if (f->holds_new && !f->ever_made)
		return f->done & OPBIT(OP_META);
	return f->ever_made || (f->done & (OPBIT(OP_WRITE) | OPBIT(OP_META)));
}

bool trace_is_missing(const struct fact *f)
{
	return f->missing && !f->ever_made && !f->done;
}

bool trace_is_system(const char *path)
{
	static const char *const places[] = {
		"/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/opt/", "/etc/ld.so.",
		"/etc/locale.", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group",
	};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(path, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

static bool is_listed(const struct fact *f)
{
	return (f->input & OPBIT(OP_LIST)) && !fact_is_kernels(f);
}

/* There, looked at, and nothing else. */
static bool is_looked_at(const struct fact *f)
{
	return f->done == OPBIT(OP_STAT) && !fact_is_kernels(f);
}

static bool is_executed(const struct fact *f)
{
	return f->done & OPBIT(OP_EXEC);
}

static bool is_connected(const struct fact *f)
{
	return f->done & (OPBIT(OP_CONNECT) | OPBIT(OP_BIND));
}

static bool is_temporary(const struct fact *f)
{
	return f->temporary && f->gone && !f->moved;
}

static bool is_removed(const struct fact *f)
{
	return f->removed && f->gone;
}

static bool is_failed(const struct fact *f)
{
	return f->failed && !f->done && !fact_is_kernels(f);
}

static bool is_refused(const struct fact *f)
{
	return f->refused;
}

static bool is_undeclared(const struct fact *f, const struct trace_report *how)
{
	return trace_is_input(f) && how->declared && !deps_has(how->declared, f->path) &&
	       (how->system || !trace_is_system(f->path));
}

static void put_list_name(struct text *out, const struct trace_report *how, const char *kind, const struct fact *f)
{
	if (how->zero) {
		text_add(out, f->path, f->len);
		text_add(out, "", 1);
	} else if (how->json) {
		text_printf(out, "{\"type\":\"%s\"", kind);
		json_field(out, "path", f->path, f->len);
		if (f->dir)
			json_field_bool(out, "dir", true);
		json_field_u64(out, "count", f->count);
		text_puts(out, "}\n");
	} else {
		text_escaped(out, f->path, f->len);
		text_puts(out, "\n");
	}
}

static void put_lists(struct facts *facts, const struct trace_report *how, struct text *out)
{
	size_t n;
	const struct fact *const *all = facts_sorted(facts, &n);
	const struct {
		unsigned list;
		const char *kind, *title;
	} lists[] = {
		{TRACE_INPUTS, "input", "inputs"}, {TRACE_UNDECLARED, "undeclared", "undeclared"},
		{TRACE_OUTPUTS, "output", "outputs"}, {TRACE_MISSING, "missing", "missing"},
	};
	/* Several lists in one text need to be told apart. */
	bool titles = (how->lists & (how->lists - 1)) && !how->json && !how->zero;

	for (unsigned l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
		if (!(how->lists & lists[l].list))
			continue;
		if (titles)
			text_printf(out, "%s:\n", lists[l].title);
		for (size_t i = 0; i < n; i++) {
			const struct fact *f = all[i];
			bool wanted = lists[l].list == TRACE_INPUTS ? trace_is_input(f)
				      : lists[l].list == TRACE_OUTPUTS ? trace_is_output(f)
				      : lists[l].list == TRACE_MISSING ? trace_is_missing(f) && !fact_is_kernels(f)
				      : is_undeclared(f, how);

			if (wanted)
				put_list_name(out, how, lists[l].kind, f);
		}
	}
}

static void put_count(struct text *out, uint64_t n)
{
	if (n < 1000) {
		text_printf(out, "%llu", (unsigned long long)n);
		return;
	}
	put_count(out, n / 1000);
	text_printf(out, ",%03llu", (unsigned long long)n % 1000);
}

/* As the user would type it in the directory where the run was started. */
static void put_name(struct text *out, const struct trace_report *how, const char *cwd, const struct fact *f)
{
	size_t c = cwd ? strlen(cwd) : 0, h = how->home ? strlen(how->home) : 0;

	if (c > 1 && f->len == c && memcmp(f->path, cwd, c) == 0) {
		text_puts(out, "./");
		return;
	}
	if (c > 1 && f->len > c && memcmp(f->path, cwd, c) == 0 && f->path[c] == '/') {
		text_escaped(out, f->path + c + 1, f->len - c - 1);
	} else if (h > 1 && f->len > h && memcmp(f->path, how->home, h) == 0 && f->path[h] == '/') {
		text_puts(out, "~");
		text_escaped(out, f->path + h, f->len - h);
	} else {
		text_escaped(out, f->path, f->len);
	}
	if (f->dir && f->len > 1)
		text_puts(out, "/");
}

struct section {
	const char *title;
	bool (*has)(const struct fact *f);
	bool fold_system; /* files of the system are only counted */
	const char *list; /* the option that shows them all */
};

static bool is_here(const struct fact_run *run, const struct fact *f)
{
	size_t n = run && run->cwd ? strlen(run->cwd) : 0;

	return n > 1 && strncmp(f->path, run->cwd, n) == 0 && (f->path[n] == '/' || !f->path[n]);
}

static void put_section(struct text *out, const struct trace_report *how, const struct fact_run *run,
			const struct fact *const *all, size_t n, const struct section *s)
{
	size_t own = 0, folded = 0, shown = 0;
	size_t most = how->verbose ? SIZE_MAX : SHOWN;

	for (size_t i = 0; i < n; i++) {
		if (!s->has(all[i]))
			continue;
		if (s->fold_system && trace_is_system(all[i]->path) && !how->verbose)
			folded++;
		else
			own++;
	}
	if (!own && !folded)
		return;
	text_printf(out, "%s: ", s->title);
	put_count(out, own);
	if (folded) {
		text_puts(out, ", and ");
		put_count(out, folded);
		text_puts(out, " of the system");
	}
	text_puts(out, "\n");
	/* What lies in the working directory first. */
	for (size_t i = 0; i < 2 * n && shown < most; i++) {
		const struct fact *f = all[i % n];

		if (!s->has(f) || (s->fold_system && trace_is_system(f->path) && !how->verbose) ||
		    is_here(run, f) != (i < n))
			continue;
		text_puts(out, "  ");
		put_name(out, how, run ? run->cwd : NULL, f);
		text_puts(out, "\n");
		shown++;
	}
	if (own > shown) {
		text_puts(out, "  ... and ");
		put_count(out, own - shown);
		text_printf(out, " more (%s)\n", s->list ? s->list : "-v");
	}
}

static bool all_complete(const struct fact_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (runs[i].complete != 1)
			return false;
	return n > 0;
}

static void put_head(struct text *out, const struct trace_report *how, struct facts *facts)
{
	size_t n, n_losses;
	const struct fact_run *runs = facts_runs(facts, &n);
	const char *const *losses = facts_losses(facts, &n_losses);
	uint64_t accesses = 0, processes = 0;

	for (size_t i = 0; i < n; i++) {
		accesses += runs[i].accesses;
		processes += runs[i].processes;
	}
	text_puts(out, "sluice trace: ");
	if (n == 1 && runs[0].argv && runs[0].argv[0])
		text_escaped(out, runs[0].argv[0], strlen(runs[0].argv[0]));
	else
		text_printf(out, "%zu runs", n);
	if (n == 1 && runs[0].signal)
		text_printf(out, " was killed by signal %d", runs[0].signal);
	else if (n == 1 && runs[0].status >= 0)
		text_printf(out, " ended with status %d", runs[0].status);
	text_puts(out, "; ");
	put_count(out, accesses);
	text_puts(out, accesses == 1 ? " access by " : " accesses by ");
	put_count(out, processes);
	text_puts(out, processes == 1 ? " process" : " processes");
	if (all_complete(runs, n) && !how->trouble && !n_losses) {
		text_puts(out, "; complete\n");
		return;
	}
	text_puts(out, "; INCOMPLETE");
	if (how->trouble)
		text_printf(out, ": %s", how->trouble);
	for (size_t i = 0; i < n_losses; i++) {
		text_puts(out, i || how->trouble ? ", " : ": ");
		text_escaped(out, losses[i], strlen(losses[i]));
	}
	text_puts(out, "\n");
}

static void put_addresses(struct text *out, struct facts *facts)
{
	size_t n, shown = 0;
	const struct fact *const *all = facts_addresses(facts, &n);

	if (!n)
		return;
	text_printf(out, "addresses: %zu\n", n);
	for (size_t i = 0; i < n && shown < SHOWN; i++, shown++) {
		text_puts(out, "  ");
		text_escaped(out, all[i]->path, all[i]->len);
		text_puts(out, all[i]->done & OPBIT(OP_BIND) ? " (bound)\n"
			       : all[i]->refused	     ? " (refused)\n"
							     : "\n");
	}
	if (n > shown)
		text_printf(out, "  ... and %zu more\n", n - shown);
}

static void put_moves(struct text *out, const struct trace_report *how, const struct fact_run *run, struct facts *facts)
{
	size_t n, shown = 0;
	const struct fact_move *moves = facts_moves(facts, &n);

	if (!n)
		return;
	text_puts(out, "renamed: ");
	put_count(out, n);
	text_puts(out, "\n");
	for (; shown < n && (how->verbose || shown < SHOWN); shown++) {
		text_puts(out, "  ");
		put_name(out, how, run ? run->cwd : NULL, moves[shown].from);
		text_puts(out, " to ");
		put_name(out, how, run ? run->cwd : NULL, moves[shown].to);
		text_puts(out, "\n");
	}
	if (n > shown) {
		text_puts(out, "  ... and ");
		put_count(out, n - shown);
		text_puts(out, " more (-v)\n");
	}
}

static void put_digest(struct facts *facts, const struct trace_report *how, struct text *out)
{
	static const struct section sections[] = {
		{"inputs", trace_is_input, true, "--inputs"},
		{"directories listed", is_listed, true, "-v"},
		{"outputs", trace_is_output, false, "--outputs"},
		{"removed", is_removed, false, "-v"},
		{"looked for in vain", trace_is_missing, true, "--missing"},
		{"failed otherwise", is_failed, false, "-v"},
		{"refused", is_refused, false, "-v"},
		{"only looked at", is_looked_at, true, "-v"},
		{"executed", is_executed, false, "-v"},
		{"sockets connected to", is_connected, false, "-v"},
	};
	size_t n, n_runs, temporary = 0;
	const struct fact *const *all = facts_sorted(facts, &n);
	const struct fact_run *runs = facts_runs(facts, &n_runs);

	put_head(out, how, facts);
	for (unsigned i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		put_section(out, how, n_runs ? &runs[0] : NULL, all, n, &sections[i]);
	put_moves(out, how, n_runs ? &runs[0] : NULL, facts);
	put_addresses(out, facts);
	for (size_t i = 0; i < n; i++)
		temporary += is_temporary(all[i]);
	if (temporary)
		text_printf(out, "made and taken away again: %zu\n", temporary);
	for (size_t i = 0; i < n_runs; i++)
		if (!runs[i].looks) {
			text_puts(out, "not recorded: stat and other looks at names (sluice trace records them)\n");
			break;
		}
}

void trace_report(struct facts *f, const struct trace_report *how, struct text *out, size_t *ret_undeclared)
{
	size_t n;
	const struct fact *const *all = facts_sorted(f, &n);

	*ret_undeclared = 0;
	for (size_t i = 0; i < n && how->declared; i++)
		*ret_undeclared += is_undeclared(all[i], how);
	if (how->lists)
		put_lists(f, how, out);
	else
		put_digest(f, how, out);
}
