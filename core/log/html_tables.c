/* SPDX-License-Identifier: Apache-2.0
 * Tables of a page: refusals with what would allow them, directories, addresses, all accesses.
 */
#include "core/log/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIBLINGS_MIN = 3 };

static void put_time(const struct page_run *r, struct text *out, int64_t us)
{
	if (us < 0 || r->start_us < 0)
		text_puts(out, "<td class=\"num\">?</td>");
	else
		text_printf(out, "<td class=\"num\" data-v=\"%lld\">+%.6f</td>", (long long)us,
			    (double)(us - r->start_us) / 1e6);
}

static void put_count(struct text *out, uint64_t n)
{
	text_printf(out, "<td class=\"num\" data-v=\"%llu\">", (unsigned long long)n);
	if (n)
		html_number(out, n);
	text_puts(out, "</td>");
}

static void put_errno(struct text *out, int err)
{
	const char *name = err ? strerrorname_np(err) : NULL;

	if (name)
		text_puts(out, name);
	else if (err)
		text_printf(out, "error %d", err);
}

static void begin_table(struct text *out, const char *head)
{
	text_printf(out, "<div class=\"scroll\"><table>\n<thead><tr>%s</tr></thead>\n<tbody>\n", head);
}

static void end_table(struct text *out)
{
	text_puts(out, "</tbody></table></div>\n");
}

/* ---- refusals ---- */

static int by_count(const void *a, const void *b)
{
	const struct page_kind *x = a, *y = b;

	if (x->folded != y->folded)
		return x->folded ? 1 : -1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->first_us < y->first_us ? -1 : x->first_us > y->first_us;
}

static const char *string(const struct page_run *r, uint32_t n)
{
	return r->strings.keys[n].data;
}

static bool is_word(const struct page_run *r, uint32_t n, const char *word)
{
	return strcmp(string(r, n), word) == 0;
}

/* The option that would have allowed it. A rule of the record is of the command line if it is named by its
 * option: another option does not lift that one. */
static void put_remedy(const struct page_run *r, struct text *out, const struct page_kind *k)
{
	struct record_bytes target = r->strings.keys[k->target];
	struct text option = {0};

	if (is_word(r, k->by, "error"))
		return;
	if (strncmp(string(r, k->rule_text), "never ", 6) == 0) {
		text_puts(out, "<span class=\"note\">no option lifts a never</span>");
		return;
	}
	if (strncmp(string(r, k->rule), "--", 2) == 0) {
		if (strncmp(string(r, k->rule), "--ask ", 6) != 0)
			text_puts(out, "<span class=\"note\">leave out the option</span>");
		return;
	}
	if (k->is_address) {
		if (strncmp(target.data, "unix:", 5) != 0 && (k->op == OP_CONNECT || k->op == OP_BIND))
			remedy_option_net(&option, k->op);
	} else if (k->op < OP_COUNT && target.len && target.data[0] == '/') {
		if (!r->checks.policy)
			return;
		if (!page_may_offer(r, target.data, target.len, k->n_names)) {
			text_puts(out, "<span class=\"note\">too wide for an option</span>");
			return;
		}
		remedy_option(&r->places, &option, k->op, target.data, target.len);
	}
	if (option.len) {
		text_puts(out, "<code class=\"copy\">");
		html_printable(out, option.data, option.len);
		text_puts(out, "</code>");
		if (strncmp(string(r, k->rule), "credentials:", 12) == 0)
			text_puts(out, " <span class=\"note warn\">may hold secrets</span>");
	}
	text_done(&option);
}

static void put_why(const struct page_run *r, struct text *out, const struct page_kind *k)
{
	if (k->detail) {
		html_string(r, out, k->detail);
		text_puts(out, "; ");
	}
	if (k->rule && !is_word(r, k->rule, "default")) {
		text_puts(out, "<code title=\"");
		html_string(r, out, k->rule_text);
		text_puts(out, "\">");
		html_string(r, out, k->rule);
		text_puts(out, "</code>");
		if (strncmp(string(r, k->rule), "--", 2) != 0) {
			text_puts(out, " <span class=\"rule\">");
			html_string(r, out, k->rule_text);
			text_puts(out, "</span>");
		}
	} else {
		text_puts(out, "no rule names it");
	}
	if (k->by && !is_word(r, k->by, "rule") && !is_word(r, k->by, "default")) {
		text_puts(out, ", by ");
		html_string(r, out, k->by);
	}
	if (k->err) {
		text_puts(out, " <span class=\"errno\">");
		put_errno(out, k->err);
		text_puts(out, "</span>");
	}
}

/* Where no rule spoke, and an option may name the directory, it has an effect on all beneath. */
static size_t folding_dir(const struct page_run *r, const struct page_kind *k)
{
	struct record_bytes target = r->strings.keys[k->target];
	size_t len;

	if (k->is_address || !target.len || target.data[0] != '/' || !is_word(r, k->rule, "default") ||
	    !is_word(r, k->by, "default"))
		return 0;
	len = log_dir_len(target.data, target.len);
	return page_may_offer(r, target.data, len, true) ? len : 0;
}

static void fold(struct page_kind *into, struct page_kind *k)
{
	const uint32_t exes[] = {k->exe, k->exe2};

	into->count += k->count;
	into->first_us = k->first_us < into->first_us ? k->first_us : into->first_us;
	into->more_exes |= k->more_exes;
	for (size_t i = 0; i < 2; i++) {
		if (!exes[i] || exes[i] == into->exe || exes[i] == into->exe2)
			continue;
		if (into->exe2)
			into->more_exes = true;
		else
			into->exe2 = exes[i];
	}
	k->folded = true;
}

/* Three and more of one directory become one, as in the summary of a run. The number of what is left; all
 * others stand behind it. */
static size_t fold_kinds(struct page_run *r)
{
	struct log_table dirs = {0};
	size_t n = r->kind_keys.n, left = n, *firsts = calloc(n + 1, sizeof(*firsts)), *sizes;
	int64_t *group = calloc(n + 1, sizeof(*group));

	sizes = calloc(n + 1, sizeof(*sizes));
	for (size_t i = 0; firsts && group && sizes && i < n; i++) {
		struct page_kind *k = &r->kinds[i];
		size_t len = folding_dir(r, k);
		struct text key = {0};

		group[i] = -1;
		if (!len)
			continue;
		text_printf(&key, "%u %u %d ", k->op, k->detail, k->err);
		text_add(&key, r->strings.keys[k->target].data, len);
		group[i] = key.failed ? -1 : log_table_add(&dirs, key.data, key.len);
		text_done(&key);
		if (group[i] >= 0 && !sizes[group[i]]++)
			firsts[group[i]] = i;
	}
	for (size_t i = 0; dirs.n && i < n; i++) {
		struct page_kind *k = &r->kinds[i], *first = group[i] < 0 ? k : &r->kinds[firsts[group[i]]];
		struct record_bytes target = r->strings.keys[k->target];
		int64_t dir;

		if (group[i] < 0 || sizes[group[i]] < SIBLINGS_MIN)
			continue;
		if (k != first) {
			fold(first, k);
			left--;
			continue;
		}
		dir = log_table_add(&r->strings, target.data, log_dir_len(target.data, target.len));
		if (dir < 0)
			break;
		k->target = (uint32_t)dir;
		k->n_names = (unsigned)sizes[group[i]];
	}
	log_table_done(&dirs);
	free(firsts);
	free(sizes);
	free(group);
	return left;
}

void html_denials(struct page_run *r, struct text *out)
{
	size_t n = fold_kinds(r), shown = n < PAGE_DENIALS_SHOWN ? n : PAGE_DENIALS_SHOWN;
	uint64_t rest = r->more_kinds;

	if (!n)
		return;
	qsort(r->kinds, r->kind_keys.n, sizeof(*r->kinds), by_count);
	text_puts(out, "<h2>What was refused</h2>\n");
	begin_table(out, "<th class=\"num\">times</th><th>operation</th><th>what</th><th>by</th><th>why</th>"
			 "<th>what would allow it</th>");
	for (size_t i = 0; i < shown; i++) {
		const struct page_kind *k = &r->kinds[i];

		text_puts(out, "<tr>");
		put_count(out, k->count);
		text_printf(out, "<td>%s</td><td class=\"path\">", k->op < OP_COUNT ? op_names[k->op] : "?");
		html_string_path(r, out, k->target);
		if (k->n_names)
			text_printf(out, "/ <span class=\"note\">(%u names)</span>", k->n_names);
		text_puts(out, "</td><td>");
		html_program(r, out, k->exe);
		if (k->exe2) {
			text_puts(out, ", ");
			html_program(r, out, k->exe2);
		}
		text_puts(out, k->more_exes ? " and others</td><td>" : "</td><td>");
		put_why(r, out, k);
		text_puts(out, "</td><td>");
		put_remedy(r, out, k);
		text_puts(out, "</td></tr>\n");
	}
	end_table(out);
	for (size_t i = shown; i < n; i++)
		rest += r->kinds[i].count;
	if (rest) {
		text_puts(out, "<p class=\"note\">The most frequent ");
		html_number(out, shown);
		text_puts(out, " kinds; others were refused ");
		html_number(out, rest);
		text_puts(out,
			  " times. <code>sluice log --verdict deny --group path</code> counts all.</p>\n");
	}
}

/* ---- questions ---- */

void html_questions(struct page_run *r, struct text *out)
{
	if (!r->n_questions)
		return;
	text_puts(out, "<h2>What was asked</h2>\n");
	begin_table(out, "<th class=\"num\">time</th><th>operation</th><th>what</th><th>by</th><th>rule</th>"
			 "<th>answer</th><th>for</th><th>from</th><th class=\"num\">waited</th>"
			 "<th class=\"num\">callers</th>");
	for (size_t i = 0; i < r->n_questions; i++) {
		const struct page_question *q = &r->questions[i];

		text_puts(out, is_word(r, q->answer, "yes") ? "<tr>" : "<tr class=\"deny\">");
		put_time(r, out, q->time_us);
		text_puts(out, "<td>");
		html_string(r, out, q->op_word);
		text_puts(out, "</td><td class=\"path\">");
		html_string_path(r, out, q->path);
		text_puts(out, "</td><td>");
		html_program(r, out, q->exe);
		text_puts(out, "</td><td>");
		html_string(r, out, q->rule);
		text_puts(out, "</td><td>");
		html_string(r, out, q->answer);
		text_puts(out, "</td><td>");
		html_string(r, out, q->scope);
		text_puts(out, "</td><td>");
		html_string(r, out, q->by);
		text_printf(out, "</td><td class=\"num\" data-v=\"%lld\">", (long long)q->waited_us);
		html_span(out, q->waited_us);
		text_puts(out, "</td>");
		put_count(out, q->callers);
		text_puts(out, "</tr>\n");
	}
	end_table(out);
	if (r->more_questions) {
		text_puts(out, "<p class=\"note\">");
		html_number(out, r->more_questions);
		text_puts(out, " more; <code>sluice log --type ask</code> shows all.</p>\n");
	}
}

/* ---- directories ---- */

struct dir {
	uint32_t number;
	uint64_t read, listed, written, deleted, executed, refused, missing, used;
};

static int by_use_of(const void *a, const void *b)
{
	const struct dir *x = a, *y = b;

	if (!x->refused != !y->refused)
		return x->refused ? -1 : 1;
	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	if (x->missing != y->missing)
		return x->missing > y->missing ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void count_in_dir(struct dir *d, const struct page_path *p)
{
	d->used += p->done != 0;
	d->read += (p->done & OPBIT(OP_READ)) != 0;
	d->listed += (p->done & OPBIT(OP_LIST)) != 0;
	d->written += (p->done & (OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_META))) != 0;
	d->deleted += (p->done & OPBIT(OP_DELETE)) != 0;
	d->executed += (p->done & OPBIT(OP_EXEC)) != 0;
	d->refused += p->refused != 0;
	d->missing += p->missing;
}

/* The directories of all names: their number, in *RET; -ENOMEM. */
static int64_t make_dirs(const struct page_run *r, struct log_table *keys, struct dir **ret)
{
	struct dir *dirs = calloc(r->path_keys.n + 1, sizeof(*dirs));

	if (!dirs)
		return -ENOMEM;
	for (size_t i = 0; i < r->path_keys.n; i++) {
		struct record_bytes path = r->path_keys.keys[i];
		/* what is a directory itself stands for itself */
		bool own = r->paths[i].done & OPBIT(OP_LIST);
		int64_t n;

		if (!path.len || path.data[0] != '/')
			continue;
		n = log_table_add(keys, path.data, own ? path.len : log_dir_len(path.data, path.len));
		if (n < 0) {
			free(dirs);
			return n;
		}
		dirs[n].number = (uint32_t)n;
		count_in_dir(&dirs[n], &r->paths[i]);
	}
	qsort(dirs, keys->n, sizeof(*dirs), by_use_of);
	*ret = dirs;
	return (int64_t)keys->n;
}

void html_directories(struct page_run *r, struct text *out)
{
	struct log_table keys = {0};
	struct dir *dirs = NULL;
	int64_t n = make_dirs(r, &keys, &dirs), shown = n < PAGE_DIRS_SHOWN ? n : PAGE_DIRS_SHOWN;

	if (n < 0)
		out->failed = true;
	if (n <= 0)
		goto out;
	text_puts(out, "<h2>By directory</h2>\n<p class=\"note\">Names, each counted once.</p>\n");
	begin_table(
		out,
		"<th>directory</th><th class=\"num\">read</th><th class=\"num\">listed</th>"
		"<th class=\"num\">written</th><th class=\"num\">deleted</th><th class=\"num\">executed</th>"
		"<th class=\"num\">not there</th><th class=\"num\">refused</th>");
	for (int64_t i = 0; i < shown; i++) {
		const struct dir *d = &dirs[i];

		text_puts(out,
			  d->refused ? "<tr class=\"deny\"><td class=\"path\">" : "<tr><td class=\"path\">");
		html_path(r, out, keys.keys[d->number].data, keys.keys[d->number].len);
		text_puts(out, keys.keys[d->number].len > 1 ? "/</td>" : "</td>");
		put_count(out, d->read);
		put_count(out, d->listed);
		put_count(out, d->written);
		put_count(out, d->deleted);
		put_count(out, d->executed);
		put_count(out, d->missing);
		put_count(out, d->refused);
		text_puts(out, "</tr>\n");
	}
	end_table(out);
	if (shown < n) {
		text_puts(out, "<p class=\"note\">");
		html_number(out, (uint64_t)(n - shown));
		text_puts(out, " more directories; <code>sluice log --group dir</code> counts all.</p>\n");
	}
out:
	free(dirs);
	log_table_done(&keys);
}

/* ---- addresses ---- */

static int by_use(const void *a, const void *b)
{
	const struct page_address *x = a, *y = b;
	uint64_t n = x->allowed + x->refused, m = y->allowed + y->refused;

	if (!x->refused != !y->refused)
		return x->refused ? -1 : 1;
	return n > m ? -1 : n < m;
}

void html_addresses(struct page_run *r, struct text *out)
{
	size_t n = r->address_keys.n, shown = n < PAGE_ADDRESSES_SHOWN ? n : PAGE_ADDRESSES_SHOWN;

	if (!n)
		return;
	qsort(r->addresses, n, sizeof(*r->addresses), by_use);
	text_puts(out, "<h2>Addresses</h2>\n");
	begin_table(out, "<th>address</th><th>operation</th><th>by</th><th class=\"num\">allowed</th>"
			 "<th class=\"num\">refused</th>");
	for (size_t i = 0; i < shown; i++) {
		const struct page_address *a = &r->addresses[i];

		text_puts(out,
			  a->refused ? "<tr class=\"deny\"><td class=\"path\">" : "<tr><td class=\"path\">");
		html_string(r, out, a->address);
		text_printf(out, "</td><td>%s</td><td>", a->op < OP_COUNT ? op_names[a->op] : "?");
		html_program(r, out, a->exe);
		text_puts(out, "</td>");
		put_count(out, a->allowed);
		put_count(out, a->refused);
		text_puts(out, "</tr>\n");
	}
	end_table(out);
	if (shown < n || r->more_addresses)
		text_puts(out, "<p class=\"note\">There are more; <code>sluice log --op connect,bind</code> "
			       "shows all.</p>\n");
}

/* ---- all accesses ---- */

static int by_time(const void *a, const void *b)
{
	const struct page_row *x = a, *y = b;

	return x->time_us < y->time_us ? -1 : x->time_us > y->time_us;
}

static void put_row(const struct page_run *r, struct text *out, const struct page_row *row)
{
	static const char *const classes[] = {
		[LOG_ALLOW] = "allow",
		[LOG_DENY] = "deny",
		[LOG_MISSING] = "missing",
		[LOG_UNDECIDED] = "allow",
	};
	const char *word = log_verdict_words[row->verdict];

	text_printf(out, "<tr class=\"%s\">", classes[row->verdict]);
	put_time(r, out, row->time_us);
	text_printf(out, "<td%s>%s</td><td title=\"", row->verdict == LOG_DENY ? " class=\"verdict\"" : "",
		    word ? word : "?");
	html_string(r, out, row->syscall);
	text_puts(out, "\">");
	html_string(r, out, row->op_word);
	text_puts(out, "</td><td class=\"path\">");
	html_string_path(r, out, row->target);
	if (row->target2) {
		text_puts(out, " <span class=\"note\">to</span> ");
		html_string_path(r, out, row->target2);
	}
	text_puts(out, "</td><td>");
	if (row->process < r->n_processes) {
		html_program(r, out, r->processes[row->process].exe);
		text_printf(out, " <span class=\"pid\">%d</span>", r->processes[row->process].pid);
	}
	text_puts(out, "</td><td>");
	html_string(r, out, row->rule);
	text_puts(out, "</td><td>");
	put_errno(out, row->err);
	text_puts(out, "</td>");
	put_count(out, row->count);
	text_puts(out, "</tr>\n");
}

void html_rows(struct page_run *r, struct text *out)
{
	size_t n = r->row_keys.n, shown = 0;

	if (!n)
		return;
	qsort(r->rows, n, sizeof(*r->rows), by_time);
	text_puts(out, "<h2>All accesses</h2>\n<p class=\"note\">");
	if (r->more_rows) {
		html_number(out, r->accesses - r->more_rows);
		text_puts(out, " of ");
		html_number(out, r->accesses);
		text_puts(out, " accesses: a page holds the first ");
		html_number(out, PAGE_REFUSED_ROWS);
		text_puts(out, " refused and the first ");
		html_number(out, PAGE_OTHER_ROWS);
		text_puts(out, " others that differ. <code>sluice log FILE</code> shows all of them. ");
	}
	text_puts(out, "The same access of one process is one row. Seconds are from the start.</p>\n<div "
		       "class=\"filter\">"
		       "</div>\n");
	begin_table(
		out,
		"<th class=\"num\">time</th><th>verdict</th><th>operation</th><th>what</th><th>process</th>"
		"<th>rule</th><th>errno</th><th class=\"num\">times</th>");
	for (; shown < n && out->len < PAGE_BYTES_MAX; shown++)
		put_row(r, out, &r->rows[shown]);
	end_table(out);
	if (shown < n) {
		text_puts(out, "<p class=\"note\">The page is full: ");
		html_number(out, n - shown);
		text_puts(out, " rows are left out.</p>\n");
	}
}
