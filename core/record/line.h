/* SPDX-License-Identifier: Apache-2.0
 * One line of a record. Private to this folder.
 */
#pragma once
#include "core/record/reader.h"

struct line_parser;

struct line_parser *line_parser_new(void);
void line_parser_free(struct line_parser *p);
/* S, LEN bytes, as a line; it must stay until the next call, as what *RET points to does. 0; -EPROTO: a
 * `start` line of another version; -ENOMEM; -EINVAL: damaged. */
int line_parse(struct line_parser *p, const char *s, size_t len, struct record_line *ret);
/* Of the last line that was -EPROTO. */
int64_t line_version(const struct line_parser *p);
