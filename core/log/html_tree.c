/* SPDX-License-Identifier: Apache-2.0
 * The two pictures of a page: when things happened, and who started whom.
 */
#include "core/log/page.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	WIDTH = 1100,
	LEFT = 130,
	RIGHT = 10,
	PLOT = WIDTH - LEFT - RIGHT,
	HISTOGRAM = 90,
	BAR = 14,
	LABEL_MAX = 17,
	TICKS = 6
};

/* ---- timeline ---- */

static int64_t span_of(const struct page_run *r)
{
	int64_t span = r->start_us >= 0 ? r->last_us - r->start_us : 0;

	return span > 0 ? span : 1;
}

static double x_of(const struct page_run *r, int64_t us)
{
	double x = (double)(us - r->start_us) / (double)span_of(r);

	return LEFT + PLOT * (x < 0 ? 0 : x > 1 ? 1 : x);
}

static void put_axis(const struct page_run *r, struct text *out, int height)
{
	for (int i = 0; i <= TICKS; i++) {
		double x = LEFT + (double)PLOT * i / TICKS;

		text_printf(out,
			    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\"/><text "
			    "class=\"axis\" x=\"%.1f\" "
			    "y=\"%d\" text-anchor=\"%s\">",
			    x, x, height, x, height + 13,
			    !i		 ? "start"
			    : i == TICKS ? "end"
					 : "middle");
		html_span(out, span_of(r) * i / TICKS);
		text_puts(out, "</text>");
	}
	text_puts(out, "\n");
}

static void put_histogram(const struct page_run *r, struct text *out)
{
	const struct page_buckets *b = &r->buckets;
	uint64_t most = 1;
	double width = PLOT * (double)b->width_us / (double)span_of(r);

	for (size_t i = 0; i < PAGE_BUCKETS; i++)
		if ((uint64_t)b->allowed[i] + b->refused[i] > most)
			most = (uint64_t)b->allowed[i] + b->refused[i];
	text_printf(out,
		    "<text class=\"axis\" x=\"%d\" y=\"12\" text-anchor=\"end\">accesses,</text>"
		    "<text class=\"axis\" x=\"%d\" y=\"26\" text-anchor=\"end\">up to ",
		    LEFT - 8, LEFT - 8);
	html_number(out, most);
	text_printf(out, "</text><text class=\"axis\" x=\"%d\" y=\"40\" text-anchor=\"end\">in ", LEFT - 8);
	html_span(out, b->width_us);
	text_puts(out, "</text>\n");
	for (size_t i = 0; i < PAGE_BUCKETS; i++) {
		double x = LEFT + width * (double)i, high = HISTOGRAM - 4;
		double refused = high * b->refused[i] / (double)most,
		       allowed = high * b->allowed[i] / (double)most;
		double w = x + width > LEFT + PLOT ? LEFT + PLOT - x : width;

		if ((!b->allowed[i] && !b->refused[i]) || w <= 0)
			continue;
		if (b->refused[i] && refused < 3)
			refused = 3; /* to be seen */
		text_printf(out, "<g><title>+");
		html_span(out, b->width_us * (int64_t)i);
		text_printf(out, ": %u accesses, %u refused</title>", b->allowed[i] + b->refused[i],
			    b->refused[i]);
		if (allowed > 0)
			text_printf(
				out,
				"<rect class=\"ok\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
				x, HISTOGRAM - refused - allowed, w, allowed);
		if (refused > 0)
			text_printf(
				out,
				"<rect class=\"no\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"/>",
				x, HISTOGRAM - refused, w < 2 ? 2 : w, refused);
		text_puts(out, "</g>\n");
	}
}

/* The processes that are worth a bar: those with refusals, then the longest. */
static int by_weight(const void *a, const void *b)
{
	const struct page_process *x = *(const struct page_process *const *)a,
				  *y = *(const struct page_process *const *)b;
	int64_t n = x->last_us - x->first_us, m = y->last_us - y->first_us;

	if (!x->refused != !y->refused)
		return x->refused ? -1 : 1;
	return n > m ? -1 : n < m ? 1 : x < y ? -1 : x > y;
}

static int by_start(const void *a, const void *b)
{
	const struct page_process *x = *(const struct page_process *const *)a,
				  *y = *(const struct page_process *const *)b;

	return x->first_us < y->first_us ? -1 : x->first_us > y->first_us ? 1 : x < y ? -1 : x > y;
}

static size_t choose_bars(const struct page_run *r, const struct page_process **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_processes; i++)
		if (r->processes[i].first_us >= 0)
			ret[n++] = &r->processes[i];
	qsort(ret, n, sizeof(*ret), by_weight);
	n = n < PAGE_BARS_SHOWN ? n : PAGE_BARS_SHOWN;
	qsort(ret, n, sizeof(*ret), by_start);
	return n;
}

/* A program's name where there is room for LABEL_MAX bytes: its end tells more. */
static void put_label(const struct page_run *r, struct text *out, uint32_t exe)
{
	struct text name = {0};
	size_t from = 0;

	html_program(r, &name, exe);
	if (name.len > LABEL_MAX && !memchr(name.data, '&', name.len)) {
		from = name.len - LABEL_MAX + 1;
		while (from < name.len && (name.data[from] & 0xc0) == 0x80)
			from++;
		text_puts(out, "\xe2\x80\xa6");
	}
	if (name.len)
		text_add(out, name.data + from, name.len - from);
	text_done(&name);
}

static void put_bar(const struct page_run *r, struct text *out, const struct page_process *p, int y)
{
	double from = x_of(r, p->first_us), to = x_of(r, p->last_us);

	text_printf(out, "<g><title>");
	html_program(r, out, p->exe);
	text_printf(out, " %d", p->pid);
	if (p->args && *p->args) {
		text_puts(out, " ");
		html_escaped(out, p->args, strlen(p->args));
	}
	text_puts(out, ": ");
	html_span(out, p->last_us - p->first_us);
	text_puts(out, ", ");
	html_number(out, p->accesses);
	text_puts(out, " accesses, ");
	html_number(out, p->refused);
	text_printf(out, " refused</title><text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"end\">",
		    LEFT - 8, y + 9);
	put_label(r, out, p->exe);
	text_printf(
		out,
		"</text><rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/></g>\n",
		p->refused ? "bar no" : "bar", from, y, to - from < 2 ? 2 : to - from, BAR - 4);
}

static void put_refusals(const struct page_run *r, struct text *out, int height)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->row_keys.n && n < 200; i++) {
		if (r->rows[i].verdict != LOG_DENY || r->rows[i].time_us < 0)
			continue;
		text_printf(out, "<line class=\"mark\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
			    x_of(r, r->rows[i].time_us), x_of(r, r->rows[i].time_us), HISTOGRAM, height);
		n++;
	}
}

void html_timeline(struct page_run *r, struct text *out)
{
	const struct page_process **bars = calloc(r->n_processes + 1, sizeof(*bars));
	size_t n = bars ? choose_bars(r, bars) : 0;
	int height = HISTOGRAM + 8 + BAR * (int)n;

	if (r->start_us >= 0 && (n || r->accesses)) {
		text_printf(out,
			    "<h2>Timeline</h2>\n<div class=\"scroll\"><svg class=\"timeline\" viewBox=\"0 0 "
			    "%d %d\" width=\"%d\" "
			    "height=\"%d\" role=\"img\" aria-label=\"accesses and processes over time\">\n",
			    WIDTH, height + 18, WIDTH, height + 18);
		put_axis(r, out, height);
		put_histogram(r, out);
		for (size_t i = 0; i < n; i++)
			put_bar(r, out, bars[i], HISTOGRAM + 6 + BAR * (int)i);
		put_refusals(r, out, height);
		text_puts(out, "</svg></div>\n<p class=\"note\"><i class=\"key ok\"></i> allowed <i "
			       "class=\"key no\"></i> refused. "
			       "A bar reaches from the first to the last that was seen of a process");
		if (n < r->n_processes) {
			text_puts(out, "; ");
			html_number(out, n);
			text_puts(out, " of ");
			html_number(out, r->n_processes + r->more_processes);
			text_puts(out, " are drawn, those with refusals and the longest");
		}
		text_puts(out, ".</p>\n");
	}
	free(bars);
}

/* ---- process tree ---- */

/* Sums over what hangs beneath; who starts another is there until then. A parent may have a higher number
 * than its child, so by depth. */
void page_sum_up(struct page_run *r)
{
	for (size_t i = 0; i < r->n_processes; i++) {
		r->processes[i].tree_refused = r->processes[i].refused;
		r->processes[i].tree_processes = 1;
	}
	for (unsigned depth = PAGE_DEPTH_MAX; depth-- > 1;) {
		for (size_t i = 0; i < r->n_processes; i++) {
			const struct page_process *p = &r->processes[i];

			if (p->depth != depth || p->parent < 0)
				continue;
			if (p->first_us > r->processes[p->parent].last_us &&
			    r->processes[p->parent].first_us >= 0)
				r->processes[p->parent].last_us = p->first_us;
			r->processes[p->parent].tree_refused += p->tree_refused;
			r->processes[p->parent].tree_processes += p->tree_processes;
		}
	}
}

static void put_ending(struct text *out, const struct page_process *p)
{
	const char *abbrev = p->signal ? sigabbrev_np(p->signal) : NULL;

	if (!p->exited || (!p->signal && p->status <= 0))
		return;
	if (abbrev)
		text_printf(out, " <span class=\"badge bad\">SIG%s</span>", abbrev);
	else if (p->signal)
		text_printf(out, " <span class=\"badge bad\">signal %d</span>", p->signal);
	else
		text_printf(out, " <span class=\"badge warn\">status %d</span>", p->status);
}

static void put_process(const struct page_run *r, struct text *out, const struct page_process *p)
{
	text_puts(out, "<span class=\"exe\" title=\"");
	for (unsigned i = 0; i < p->n_earlier; i++) {
		html_string_path(r, out, p->earlier[i]);
		text_puts(out, ", then ");
	}
	html_string_path(r, out, p->exe);
	text_puts(out, "\">");
	if (p->seen)
		html_program(r, out, p->exe);
	else
		text_puts(out, "not seen");
	text_printf(out, "</span> <span class=\"pid\">%d</span>", p->pid);
	if (p->args && *p->args) {
		text_puts(out, " <span class=\"args\">");
		html_escaped(out, p->args, strlen(p->args));
		text_puts(out, "</span>");
	}
	put_ending(out, p);
	if (p->refused) {
		text_puts(out, " <span class=\"badge bad\">");
		html_number(out, p->refused);
		text_puts(out, " refused</span>");
	} else if (p->tree_refused) {
		text_puts(out, " <span class=\"badge soft\">");
		html_number(out, p->tree_refused);
		text_puts(out, " refused beneath</span>");
	}
	if (p->accesses) {
		text_puts(out, " <span class=\"quiet\">");
		html_number(out, p->accesses);
		text_puts(out, "</span>");
	}
}

/* The list from I on. *LEFT processes may still be shown. */
static void put_list(const struct page_run *r, struct text *out, int32_t i, unsigned *left)
{
	text_puts(out, "<ul>\n");
	for (; i >= 0; i = r->processes[i].next) {
		const struct page_process *p = &r->processes[i];
		bool open = p->tree_refused || p->depth < 2 || p->tree_processes <= 4;

		if (!*left || out->len > PAGE_BYTES_MAX)
			break;
		--*left;
		if (p->first_child < 0) {
			text_puts(out, "<li class=\"leaf\">");
			put_process(r, out, p);
			text_puts(out, "</li>\n");
			continue;
		}
		text_printf(out, "<li><details%s><summary>", open ? " open" : "");
		put_process(r, out, p);
		text_puts(out, "</summary>");
		put_list(r, out, p->first_child, left);
		text_puts(out, "</details></li>\n");
	}
	text_puts(out, "</ul>\n");
}

void html_tree(struct page_run *r, struct text *out)
{
	unsigned left = PAGE_TREE_MAX;

	if (!r->n_processes)
		return;
	text_puts(out, "<h2>Processes</h2>\n<div class=\"tree\">");
	put_list(r, out, r->first_root, &left);
	text_puts(out, "</div>\n");
	if (r->n_processes > PAGE_TREE_MAX - left || r->more_processes) {
		text_puts(out, "<p class=\"note\">The first ");
		html_number(out, PAGE_TREE_MAX - left);
		text_puts(out, " of ");
		html_number(out, r->n_processes + r->more_processes);
		text_puts(out, " processes.</p>\n");
	}
}
