/* SPDX-License-Identifier: Apache-2.0
 * A growing buffer, and JSON that is written into it as a stream.
 *
 * Unshared. A failed allocation makes the text `failed` and empty from there on: who writes checks
 * once, at the end. text_done() takes zeroed and failed ones.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *data;
	size_t len, size;
	bool failed;
};

void text_add(struct text *t, const char *s, size_t len);
void text_puts(struct text *t, const char *s);
void text_add_u64(struct text *t, uint64_t value);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *t, const char *format, ...);
/* S as escape_bytes() shows it. */
void text_escaped(struct text *t, const char *s, size_t len);
/* Columns that the bytes from FROM to the end take on a terminal, one for each character. */
size_t text_columns(const struct text *t, size_t from);
void text_reset(struct text *t);
void text_done(struct text *t);

/* A JSON string of S. Bytes that are no UTF-8 become U+FFFD: false then. Control and direction
 * characters are written as \uXXXX, so that a record can be shown on a terminal as it is. */
bool json_string(struct text *t, const char *s, size_t len);
/* `,"KEY":"S"`, and `,"KEY_hex":"..."` beside it if the string is not exact. NULL writes nothing. */
void json_field(struct text *t, const char *key, const char *s, size_t len);
void json_field_puts(struct text *t, const char *key, const char *s);
/* The same of one of our own words, in which nothing has to be escaped. */
void json_field_word(struct text *t, const char *key, const char *word);
void json_field_u64(struct text *t, const char *key, uint64_t value);
void json_field_bool(struct text *t, const char *key, bool value);
/* `,"KEY":["A","B"]` of a NULL-terminated list; inexact elements have KEY_hex as a list beside. */
void json_field_list(struct text *t, const char *key, const char *const *list);
