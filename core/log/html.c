/* SPDX-License-Identifier: Apache-2.0
 * The page around the tables, and how bytes of a record get into it.
 *
 * Nothing in the page is loaded, and only one script runs: the policy in its head allows nothing but the
 * style and the script with the hashes that stand there. Bytes of a record are first escaped as on a
 * terminal (no control or direction characters, no broken UTF-8), then for HTML.
 */
#include "core/log/page.h"
#include "core/observe/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void html_printable(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		switch (s[i]) {
		case '&':
			text_puts(out, "&amp;");
			break;
		case '<':
			text_puts(out, "&lt;");
			break;
		case '>':
			text_puts(out, "&gt;");
			break;
		case '"':
			text_puts(out, "&quot;");
			break;
		case '\'':
			text_puts(out, "&#39;");
			break;
		default:
			text_add(out, s + i, 1);
		}
	}
}

void html_escaped(struct text *out, const char *s, size_t len)
{
	struct text shown = {0};

	text_escaped(&shown, s, len);
	if (shown.failed)
		out->failed = true;
	html_printable(out, shown.data ? shown.data : "", shown.len);
	text_done(&shown);
}

void html_path(const struct page_run *r, struct text *out, const char *path, size_t len)
{
	size_t home = r->places.home ? strlen(r->places.home) : 0;

	if (home && len >= home && memcmp(path, r->places.home, home) == 0 &&
	    (len == home || path[home] == '/')) {
		text_puts(out, "~");
		path += home;
		len -= home;
	}
	html_escaped(out, path, len);
}

void html_string(const struct page_run *r, struct text *out, uint32_t number)
{
	html_escaped(out, r->strings.keys[number].data, r->strings.keys[number].len);
}

void html_string_path(const struct page_run *r, struct text *out, uint32_t number)
{
	html_path(r, out, r->strings.keys[number].data, r->strings.keys[number].len);
}

void html_program(const struct page_run *r, struct text *out, uint32_t exe)
{
	struct record_bytes s = r->strings.keys[exe];
	const char *name = strrchr(s.data, '/');

	if (!s.len)
		text_puts(out, "?");
	name = name ? name + 1 : s.data;
	s.len -= (size_t)(name - s.data);
	if (s.len > 10 && strcmp(name + s.len - 10, " (deleted)") == 0)
		s.len -= 10;
	html_escaped(out, name, s.len);
}

void html_number(struct text *out, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);

	for (int i = 0; i < len; i++)
		text_printf(out, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
}

void html_span(struct text *out, int64_t us)
{
	if (us < 0)
		text_puts(out, "?");
	else if (us < 1000000)
		text_printf(out, "%lld ms", (long long)(us / 1000));
	else if (us < 60000000)
		text_printf(out, "%.2f s", (double)us / 1e6);
	else if (us < 3600000000)
		text_printf(out, "%lld min %lld s", (long long)(us / 60000000),
			    (long long)(us / 1000000 % 60));
	else
		text_printf(out, "%lld h %lld min", (long long)(us / 3600000000),
			    (long long)(us / 60000000 % 60));
}

static void put_hash(struct text *out, const char *s)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char base64[sodium_base64_ENCODED_LEN(sizeof(hash), sodium_base64_VARIANT_ORIGINAL)];

	crypto_hash_sha256(hash, (const unsigned char *)s, strlen(s));
	sodium_bin2base64(base64, sizeof(base64), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
	text_printf(out, "'sha256-%s'", base64);
}

static void put_command_name(const struct page_run *r, struct text *out)
{
	const char *argv = r ? r->strings.keys[r->argv].data : "";
	size_t len = strcspn(argv, " ");
	const char *slash = memrchr(argv, '/', len);

	if (!len)
		text_puts(out, "the command");
	else if (slash)
		html_escaped(out, slash + 1, len - (size_t)(slash + 1 - argv));
	else
		html_escaped(out, argv, len);
}

static void put_head(const struct log_page *p, struct text *out)
{
	text_puts(out,
		  "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src ");
	put_hash(out, page_css);
	text_puts(out, "; script-src ");
	put_hash(out, page_js);
	text_puts(out, "; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'\">\n"
		       "<meta name=\"referrer\" content=\"no-referrer\">\n"
		       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		       "<meta name=\"color-scheme\" content=\"light dark\">\n<title>sluice log: ");
	put_command_name(p->n_runs ? p->runs[0] : NULL, out);
	text_puts(out, "</title>\n<style>");
	text_puts(out, page_css);
	text_puts(out, "</style>\n</head>\n<body>\n<main>\n");
}

/* How the command ended, as a badge. */
static void put_outcome(const struct page_run *r, struct text *out)
{
	const char *abbrev = r->signal ? sigabbrev_np(r->signal) : NULL;
	bool good = r->has_end && !r->signal && r->status == 0;

	text_printf(out, "<span class=\"badge %s\">", good ? "good" : r->has_end ? "bad" : "warn");
	put_command_name(r, out);
	if (!r->has_end)
		text_puts(out, ": no end, it still ran or was killed with sluice");
	else if (abbrev)
		text_printf(out, " was killed by SIG%s", abbrev);
	else if (r->signal)
		text_printf(out, " was killed by signal %d", r->signal);
	else if (good)
		text_puts(out, " succeeded");
	else
		text_printf(out, " ended with status %d", r->status);
	text_puts(out, "</span> ");
	if (r->refused) {
		text_puts(out, "<span class=\"badge bad\">");
		html_number(out, r->refused);
		text_puts(out, r->refused == 1 ? " access refused</span> " : " accesses refused</span> ");
	} else {
		text_puts(out, "<span class=\"badge good\">no refusal among what is shown</span> ");
	}
	if (r->has_end && r->complete == 1)
		text_puts(out, "<span class=\"badge good\">complete record</span>");
	else
		text_puts(out, "<span class=\"badge warn\">record not complete</span>");
	text_puts(out, "\n");
}

static void put_when(struct text *out, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char when[64];

	if (us >= 0 && localtime_r(&seconds, &tm) && strftime(when, sizeof(when), "%F %H:%M:%S %Z", &tm))
		text_puts(out, when);
	else
		text_puts(out, "?");
}

static void put_facts(const struct page_run *r, struct text *out)
{
	text_puts(out, "<dl class=\"facts\"><div><dt>started</dt><dd>");
	put_when(out, r->start_us);
	text_puts(out, "</dd></div><div><dt>in</dt><dd><code>");
	html_string_path(r, out, r->cwd);
	text_puts(out, "</code></dd></div>");
	if (r->name) {
		text_puts(out, "<div><dt>name</dt><dd>");
		html_string(r, out, r->name);
		text_puts(out, "</dd></div>");
	}
	text_puts(out, "<div><dt>run</dt><dd>");
	html_string(r, out, r->run_id);
	text_puts(out, ", sluice ");
	html_string(r, out, r->sluice);
	text_puts(out, ", Linux ");
	html_string(r, out, r->kernel);
	if (r->uid >= 0)
		text_printf(out, ", uid %lld", (long long)r->uid);
	text_puts(out, "</dd></div>");
	if (r->policies.len) {
		text_puts(out, "<div><dt>policy</dt><dd>");
		text_add(out, r->policies.data, r->policies.len);
		text_puts(out, "</dd></div>");
	}
	text_puts(out, "</dl>\n");
}

static void put_notice(struct text *out, const char *before, const struct text *items)
{
	text_printf(out, "<div class=\"notice\">%s<ul>", before);
	text_add(out, items->data, items->len);
	text_puts(out, "</ul></div>\n");
}

static void put_notices(const struct log_page *p, const struct page_run *r, struct text *out)
{
	if (r->unwatched.len)
		put_notice(out, "The kernel decided these alone; they are not in the record:", &r->unwatched);
	if (r->lost.len)
		put_notice(out, "Not all was seen or done:", &r->lost);
	if (r->lost_lines) {
		text_puts(out, "<div class=\"notice\">");
		html_number(out, r->lost_lines);
		text_puts(out, " lines of the record were lost.</div>\n");
	}
	if (log_filter_is_set(p->filter)) {
		text_puts(out, "<div class=\"notice\">A filter was given: ");
		html_number(out, r->matching);
		text_puts(out, " of ");
		html_number(out, r->lines);
		text_puts(out, " lines match, and only those are counted here. The process tree has all "
			       "processes.</div>\n");
	}
	if (r->moves) {
		text_puts(out, "<div class=\"notice\">");
		html_number(out, r->moves);
		text_puts(out, " renames to where other rules hold were answered EXDEV, as across file "
			       "systems; they "
			       "count as no refusal.</div>\n");
	}
}

static void put_tile(struct text *out, const char *class, const char *label, uint64_t n)
{
	text_printf(out, "<div class=\"tile%s\"><b>", class);
	html_number(out, n);
	text_printf(out, "</b><span>%s</span></div>", label);
}

static void put_tiles(const struct page_run *r, struct text *out)
{
	const opset changes = OPBIT(OP_WRITE) | OPBIT(OP_CREATE);
	uint64_t read = 0, written = 0, deleted = 0, executed = 0, processes = r->more_processes;

	for (size_t i = 0; i < r->path_keys.n; i++) {
		read += (r->paths[i].done & OPBIT(OP_READ)) != 0;
		written += (r->paths[i].done & changes) != 0;
		deleted += (r->paths[i].done & OPBIT(OP_DELETE)) != 0;
		executed += (r->paths[i].done & OPBIT(OP_EXEC)) != 0;
	}
	for (size_t i = 0; i < r->n_processes; i++)
		processes += r->processes[i].seen;
	text_puts(out, "<div class=\"tiles\"><div class=\"tile\"><b>");
	html_span(out, r->start_us >= 0 ? r->last_us - r->start_us : -1);
	text_puts(out, "</b><span>by the record</span></div>");
	put_tile(out, "", "processes", processes);
	put_tile(out, "", "accesses", r->accesses);
	put_tile(out, r->refused ? " bad" : "", "refused", r->refused);
	put_tile(out, "", "names read", read);
	put_tile(out, "", "names written", written);
	put_tile(out, "", "deleted", deleted);
	put_tile(out, "", "programs run", executed);
	put_tile(out, "", "not found", r->missing);
	text_puts(out, "</div>\n");
	if (r->more_paths) {
		text_puts(out, "<p class=\"note\">Names are counted up to ");
		html_number(out, PAGE_PATHS_MAX);
		text_puts(out, "; there were more.</p>\n");
	}
}

static void put_run(const struct log_page *p, struct page_run *r, struct text *out)
{
	page_sum_up(r);
	text_puts(out, "<section class=\"run\">\n<header><p class=\"brand\">sluice</p><h1><code>");
	if (r->argv)
		html_string(r, out, r->argv);
	else
		text_puts(out, "(the beginning of this record is missing)");
	text_puts(out, "</code></h1>\n<p class=\"outcome\">");
	put_outcome(r, out);
	text_puts(out, "</p>\n");
	put_facts(r, out);
	put_notices(p, r, out);
	text_puts(out, "</header>\n");
	put_tiles(r, out);
	html_denials(r, out);
	html_questions(r, out);
	html_timeline(r, out);
	html_tree(r, out);
	html_directories(r, out);
	html_addresses(r, out);
	html_rows(r, out);
	text_puts(out, "</section>\n");
}

static void put_files(const struct log_page *p, struct text *out)
{
	for (size_t i = 0; i < p->n_files; i++) {
		char trouble[512];

		if (!record_trouble(&p->files[i].state, trouble, sizeof(trouble)))
			continue;
		text_puts(out, "<div class=\"notice bad\"><strong>This record is not whole.</strong> <code>");
		html_escaped(out, p->files[i].name, strlen(p->files[i].name));
		text_puts(out, "</code>: ");
		html_escaped(out, trouble, strlen(trouble));
		text_puts(out, ". It was read as far as it goes.</div>\n");
	}
	if (p->more_runs) {
		text_puts(out, "<div class=\"notice bad\">Only the first ");
		html_number(out, PAGE_RUNS_MAX);
		text_puts(out, " runs are shown.</div>\n");
	}
	if (!p->n_runs)
		text_puts(out, "<h1>No record</h1>\n");
}

void log_page_render(struct log_page *p, struct text *out)
{
	put_head(p, out);
	put_files(p, out);
	for (size_t i = 0; i < p->n_runs; i++)
		put_run(p, p->runs[i], out);
	text_puts(out, "<footer>Made by <code>sluice log --html</code> from ");
	for (size_t i = 0; i < p->n_files && i < PAGE_RUNS_MAX; i++) {
		text_puts(out, i ? ", <code>" : "<code>");
		html_escaped(out, p->files[i].name, strlen(p->files[i].name));
		text_puts(out, "</code>");
	}
	text_puts(out, ". Times are local. What a process claims of itself (its arguments) may be a lie; the "
		       "rest comes "
		       "from the kernel.</footer>\n</main>\n<script>");
	text_puts(out, page_js);
	text_puts(out, "</script>\n</body>\n</html>\n");
}

int log_page_write(struct log_page *p, const char *out)
{
	struct text page = {0};
	int r;

	log_page_render(p, &page);
	if (page.failed)
		r = -ENOMEM;
	else if (strcmp(out, "-") == 0)
		r = fwrite(page.data, 1, page.len, stdout) == page.len && fflush(stdout) == 0 ? 0 : -errno;
	else /* as private as the record */
		r = outfile_replace(out, page.data, page.len, 0600);
	text_done(&page);
	return r;
}
