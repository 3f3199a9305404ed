/* SPDX-License-Identifier: Apache-2.0
 * A growing buffer and JSON streamed into it.
 */
#include "core/observe/text.h"
#include "policy/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 1024, DIGITS_MAX = 20 };

static bool text_grow(struct text *t, size_t more)
{
	size_t size = t->size ? t->size : FIRST_SIZE;
	char *grown;

	if (t->failed)
		return false;
	while (size - t->len <= more)
		size *= 2;
	grown = realloc(t->data, size);
	if (!grown) {
		t->failed = true;
		t->len = 0;
		return false;
	}
	t->data = grown;
	t->size = size;
	return true;
}

/* Room for MORE bytes and a NUL. A text that failed has none, however much it has. */
static inline bool text_reserve(struct text *t, size_t more)
{
	return (more < t->size - t->len && !t->failed) || text_grow(t, more);
}

void text_add(struct text *t, const char *s, size_t len)
{
	if (!text_reserve(t, len))
		return;
	memcpy(t->data + t->len, s, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n < 0 || !text_reserve(t, (size_t)n))
		return;
	va_start(ap, format);
	vsnprintf(t->data + t->len, (size_t)n + 1, format, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void text_escaped(struct text *t, const char *s, size_t len)
{
	size_t n = escape_bytes(NULL, 0, s, len);

	if (!text_reserve(t, n))
		return;
	escape_bytes(t->data + t->len, n + 1, s, len);
	t->len += n;
}

size_t text_columns(const struct text *t, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < t->len; i++)
		n += ((unsigned char)t->data[i] & 0xc0) != 0x80;
	return n;
}

void text_reset(struct text *t)
{
	t->len = 0;
	t->failed = false;
	if (t->data)
		t->data[0] = '\0';
}

void text_done(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

/* The UTF-8 character at S: its length, 0 if there is none. */
static size_t utf8_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t min[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0] & (n == 1 ? 0x7f : 0x7f >> n);

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < min[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Would it move a terminal's cursor, or turn the direction of what is beside it? */
static bool is_active(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The bytes at S that stand for themselves, the most of all names by far. */
static size_t plain_run(const unsigned char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

bool json_string(struct text *t, const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t plain = plain_run(u, len);
	bool exact = true;

	text_add(t, "\"", 1);
	text_add(t, s, plain);
	for (size_t i = plain; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_decode(u + i, len - i, &c);

		if (n == 0) {
			text_puts(t, "\\ufffd");
			exact = false;
			n = 1;
		} else if (c == '"' || c == '\\') {
			text_printf(t, "\\%c", (int)c);
		} else if (c == '\n') {
			text_puts(t, "\\n");
		} else if (is_active(c)) {
			text_printf(t, "\\u%04x", (unsigned)c);
		} else {
			text_add(t, s + i, n);
		}
		i += n;
	}
	text_add(t, "\"", 1);
	return exact;
}

static void json_hex(struct text *t, const char *s, size_t len)
{
	text_add(t, "\"", 1);
	for (size_t i = 0; i < len; i++)
		text_printf(t, "%02x", (unsigned char)s[i]);
	text_add(t, "\"", 1);
}

/* `,"KEY":` and WORD as it is, or between quotes. */
static void put_field(struct text *t, const char *key, const char *word, size_t len, bool quoted)
{
	size_t key_len = strlen(key);
	char *at;

	if (!text_reserve(t, key_len + len + 6))
		return;
	at = t->data + t->len;
	*at++ = ',';
	*at++ = '"';
	at = mempcpy(at, key, key_len);
	*at++ = '"';
	*at++ = ':';
	*at = '"';
	at = mempcpy(at + quoted, word, len);
	*at = '"';
	at += quoted;
	*at = '\0';
	t->len = (size_t)(at - t->data);
}

static void put_key(struct text *t, const char *key)
{
	put_field(t, key, "", 0, false);
}

void json_field(struct text *t, const char *key, const char *s, size_t len)
{
	if (!s)
		return;
	put_key(t, key);
	if (json_string(t, s, len))
		return;
	text_printf(t, ",\"%s_hex\":", key);
	json_hex(t, s, len);
}

void json_field_puts(struct text *t, const char *key, const char *s)
{
	json_field(t, key, s, s ? strlen(s) : 0);
}

/* VALUE in STORE, at the end of it. */
static const char *digits_of(uint64_t value, char store[DIGITS_MAX], size_t *ret_len)
{
	size_t at = DIGITS_MAX;

	do {
		store[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	*ret_len = DIGITS_MAX - at;
	return store + at;
}

void text_add_u64(struct text *t, uint64_t value)
{
	char store[DIGITS_MAX];
	size_t len;
	const char *digits = digits_of(value, store, &len);

	text_add(t, digits, len);
}

void json_field_word(struct text *t, const char *key, const char *word)
{
	if (word)
		put_field(t, key, word, strlen(word), true);
}

void json_field_u64(struct text *t, const char *key, uint64_t value)
{
	char store[DIGITS_MAX];
	size_t len;
	const char *digits = digits_of(value, store, &len);

	put_field(t, key, digits, len, false);
}

void json_field_bool(struct text *t, const char *key, bool value)
{
	put_field(t, key, value ? "true" : "false", value ? 4 : 5, false);
}

void json_field_list(struct text *t, const char *key, const char *const *list)
{
	bool exact = true;

	if (!list)
		return;
	put_key(t, key);
	text_puts(t, "[");
	for (size_t i = 0; list[i]; i++) {
		text_puts(t, i ? "," : "");
		exact &= json_string(t, list[i], strlen(list[i]));
	}
	text_puts(t, "]");
	if (exact)
		return;
	text_printf(t, ",\"%s_hex\":[", key);
	for (size_t i = 0; list[i]; i++) {
		text_puts(t, i ? "," : "");
		json_hex(t, list[i], strlen(list[i]));
	}
	text_puts(t, "]");
}
