/* SPDX-License-Identifier: Apache-2.0
 * Names that are another one in each run: the last run of letters and digits in them that looks made by
 * chance (six or more, with a digit beside a letter or with small and capital letters) or counted (three or
 * more digits, as a process id).
 *
 * Chance of known length becomes as many "?"; what is longer or counted becomes "*". At least two characters
 * must stay, or the pattern would mean too much.
 */
#include "core/learn/learn.h"

#include <stdio.h>
#include <string.h>

enum { RANDOM_MIN = 6, RANDOM_FIXED = 12, DIGITS_MIN = 3, LITERAL_MIN = 2 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_plain(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_digit(name[i]) && !is_lower(name[i]) && !is_upper(name[i]) && !strchr("._-+,@%=", name[i]))
			return false;
	return true;
}

static bool looks_random(const char *s, size_t len)
{
	bool digit = false, lower = false, upper = false, mixed = false;

	for (size_t i = 0; i < len; i++) {
		digit |= is_digit(s[i]);
		lower |= is_lower(s[i]);
		upper |= is_upper(s[i]);
		/* A capital within, as words do not have it. */
		mixed |= i > 0 && is_upper(s[i]);
	}
	return len >= RANDOM_MIN && ((digit && (lower || upper)) || (lower && upper && mixed));
}

static bool all_digits(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_digit(s[i]))
			return false;
	return len > 0;
}

/* What programs put before six characters of chance without a separator. */
static size_t known_prefix(const char *s, size_t len)
{
	static const char *const words[] = {"cc", "tmp", "temp", "conftest", "core"};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		if (len >= n + RANDOM_MIN && strncmp(s, words[i], n) == 0)
			return n;
	}
	return 0;
}

size_t learn_pattern(const char *name, size_t len, char *buf, size_t size)
{
	size_t end = len, start = 0, literal;
	bool counted = false;
	char wild[RANDOM_FIXED + 1];
	int n;

	if (!is_plain(name, len))
		return 0;
	for (;; end = start) {
		while (end > 0 && !is_digit(name[end - 1]) && !is_lower(name[end - 1]) && !is_upper(name[end - 1]))
			end--;
		start = end;
		while (start > 0 &&
		       (is_digit(name[start - 1]) || is_lower(name[start - 1]) || is_upper(name[start - 1])))
			start--;
		if (end == 0)
			return 0;
		counted = all_digits(name + start, end - start) && end - start >= DIGITS_MIN;
		if (counted || looks_random(name + start, end - start))
			break;
	}
	if (!counted)
		start += known_prefix(name + start, end - start);
	literal = start + (len - end);
	if (literal < LITERAL_MIN)
		return 0;
	if (counted || end - start > RANDOM_FIXED) {
		strcpy(wild, counted ? "[0-9]*" : "*");
	} else {
		memset(wild, '?', end - start);
		wild[end - start] = '\0';
	}
	n = snprintf(buf, size, "%.*s%s%.*s", (int)start, name, wild, (int)(len - end), name + end);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}
