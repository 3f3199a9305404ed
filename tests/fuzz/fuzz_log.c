/* SPDX-License-Identifier: Apache-2.0
 * Every byte string, shown as `sluice log` would: text and groups hold nothing that a terminal obeys, JSON
 * neither, and a page has the tags that sluice writes and no others. For libFuzzer, as
 * `fuzz_log tests/fuzz/corpus-record`; unit/test_log runs it too.
 */
#include "core/log/html.h"
#include "core/log/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* Whole lines without control characters, C1 ones in UTF-8 included. TABS: those of the page's own. */
static void check_text(const struct text *t, bool tabs)
{
	REQUIRE(!t->failed);
	for (size_t i = 0; i < t->len; i++) {
		unsigned char c = (unsigned char)t->data[i];

		REQUIRE(c == '\n' || (tabs && c == '\t') || (c >= 0x20 && c != 0x7f));
		REQUIRE(c != 0xc2 || (unsigned char)t->data[i + 1] >= 0xa0);
	}
	REQUIRE(!t->len || t->data[t->len - 1] == '\n');
}

static void check_json(const struct text *t)
{
	for (size_t i = 0; i < t->len; i++) /* blanks between values are the record's own */
		REQUIRE((unsigned char)t->data[i] >= 0x20 || strchr("\n\t\r", t->data[i]));
	REQUIRE(t->len && t->data[t->len - 1] == '\n');
}

static bool is_tag(const char *s)
{
	static const char *const tags[] = {
		"!DOCTYPE html>",
		"html",
		"head",
		"meta",
		"title",
		"style>",
		"body",
		"main",
		"section",
		"header",
		"footer",
		"p",
		"h1",
		"h2",
		"code",
		"span",
		"strong",
		"dl",
		"div",
		"dt",
		"dd",
		"ul",
		"li",
		"b",
		"table",
		"thead",
		"tbody",
		"tr",
		"th",
		"td",
		"svg",
		"g",
		"line",
		"rect",
		"text",
		"details",
		"summary",
		"script>",
		"br",
		"i",
		NULL,
	};

	s += *s == '/';
	for (const char *const *t = tags; *t; t++) {
		size_t len = strlen(*t);

		if (strncmp(s, *t, len) == 0 && ((*t)[len - 1] == '>' || strchr(" >", s[len])))
			return true;
	}
	return false;
}

static unsigned count_of(const char *s, const char *part)
{
	unsigned n = 0;

	while ((s = strstr(s, part))) {
		n++;
		s += strlen(part);
	}
	return n;
}

static void check_page(const struct text *page)
{
	const char *script = strstr(page->data, "<script>"), *style = strstr(page->data, "<style>");
	const char *end_style = strstr(page->data, "</style>");

	check_text(page, true);
	REQUIRE(strlen(page->data) == page->len);
	REQUIRE(script && style && end_style && count_of(page->data, "<script") == 1);
	REQUIRE(count_of(page->data, "</script") == 1 && count_of(page->data, "<style") == 1);
	for (const char *s = page->data; s < script; s++) {
		if (s == style)
			s = end_style;
		if (*s == '<')
			REQUIRE(is_tag(s + 1));
	}
	REQUIRE(count_of(page->data, "<ul>") == count_of(page->data, "</ul>"));
	REQUIRE(count_of(page->data, "<details") == count_of(page->data, "</details>"));
	REQUIRE(count_of(page->data, "<tr") == count_of(page->data, "</tr>"));
}

static void check_groups(struct log_groups *g, const struct log_view *v)
{
	struct text t = {0};
	char *data = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&data, &size);

	REQUIRE(f && log_groups_write(g, v, false, f) == 0 && log_groups_write(g, v, true, f) == 0);
	REQUIRE(fclose(f) == 0);
	text_add(&t, data, size);
	check_text(&t, false);
	text_done(&t);
	free(data);
}

struct shown {
	struct log_filter filter;
	struct log_view view;
	struct log_groups *groups[GROUP_RULE + 1];
	struct log_page *page;
	struct text line;
};

static void show_line(struct shown *s, const struct record_line *line)
{
	bool matches = log_filter_match(&s->filter, line);

	log_view_learn(&s->view, line);
	text_reset(&s->line);
	log_text_line(&s->view, &s->line, line);
	check_text(&s->line, false);
	REQUIRE(s->line.len ? count_of(s->line.data, "\n") == 1 : line->type == RECORD_OTHER);
	text_reset(&s->line);
	log_json_line(&s->line, line);
	check_json(&s->line);
	for (unsigned by = GROUP_PATH; by <= GROUP_RULE; by++)
		REQUIRE(log_groups_add(s->groups[by], line) == 0);
	REQUIRE(log_page_add(s->page, line, matches) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct shown s = {.filter = {.start_us = -1}};
	struct text page = {0};
	struct record_reader *r;
	struct record_line line;
	pid_t pids[] = {7, 10};
	int fd = memfd_create("record", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	REQUIRE(record_open_fd(fd, false, &r) == 0);
	if (size % 2) {
		s.filter.pids = pids;
		s.filter.n_pids = 2;
		s.filter.descendants = true;
	}
	for (unsigned by = GROUP_PATH; by <= GROUP_RULE; by++)
		REQUIRE((s.groups[by] = log_groups_new(by)));
	REQUIRE((s.page = log_page_new(&s.filter, NULL)));
	while (record_next(r, &line) > 0)
		show_line(&s, &line);
	REQUIRE(log_page_end_file(s.page, "<f>\033", record_state(r)) == 0);
	log_page_render(s.page, &page);
	check_page(&page);
	for (unsigned by = GROUP_PATH; by <= GROUP_RULE; by++) {
		check_groups(s.groups[by], &s.view);
		log_groups_free(s.groups[by]);
	}
	log_page_free(s.page);
	log_view_done(&s.view);
	log_filter_done(&s.filter);
	record_free(r);
	text_done(&s.line);
	text_done(&page);
	return 0;
}
