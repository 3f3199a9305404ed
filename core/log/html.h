/* SPDX-License-Identifier: Apache-2.0
 * `sluice log --html`: a page that holds all it needs.
 *
 * log_page_new, log_page_add for each line in order, log_page_end_file after each file, log_page_write or
 * log_page_render once.
 * The page has a bounded size whatever the record's is; where the bound cuts, the page says what is left out.
 */
#pragma once
#include "core/log/log.h"

struct log_page;

/* FILTER is named in the page. CREDENTIALS is the profile of that name, for this user, or NULL: then no
 * options are offered. Both stay the caller's. */
struct log_page *log_page_new(const struct log_filter *filter, const struct policy *credentials);
/* MATCHES: does the filter let it pass? Others only tell which processes there were. 0 or -errno. */
int log_page_add(struct log_page *p, const struct record_line *line, bool matches);
int log_page_end_file(struct log_page *p, const char *file, const struct record_state *state);
/* The page as bytes, appended to OUT, which is `failed` if memory was out. Once. */
void log_page_render(struct log_page *p, struct text *out);
/* The same to the file OUT, which is replaced at once when all is written ("-": standard output). 0 or
 * -errno. */
int log_page_write(struct log_page *p, const char *out);
void log_page_free(struct log_page *p);
