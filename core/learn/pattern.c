/* SPDX-License-Identifier: Apache-2.0
 * Names that are another one in each run. In all that is made or removed: a date, with the time that follows
 * it. In what is made and taken away again, too: the last run of letters and digits that looks made by chance
 * (six or more, with a digit beside a letter or with small and capital letters) or counted (three or more
 * digits, as a process id).
 *
 * Chance of known length becomes as many "?"; what is longer becomes "*", dates and numbers "[0-9]*". At least
 * two characters must stay, or the pattern would mean too much.
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

/* A year, a month and a day, with or without separators: where they begin and, with the time behind them, end. */
static bool find_date(const char *s, size_t len, size_t *ret_start, size_t *ret_end)
{
	for (size_t i = 0; i + 8 <= len; i++) {
		size_t at = i + 4;

		if ((i > 0 && is_digit(s[i - 1])) || !all_digits(s + i, 4) ||
		    (strncmp(s + i, "19", 2) != 0 && strncmp(s + i, "20", 2) != 0))
			continue;
		at += strchr("-_.", s[at]) != NULL;
		if (at + 2 > len || !all_digits(s + at, 2) || s[at] > '1')
			continue;
		at += 2;
		at += at < len && strchr("-_.", s[at]);
		if (at + 2 > len || !all_digits(s + at, 2) || s[at] > '3')
			continue;
		at += 2;
		for (size_t k = at; k < len && (is_digit(s[k]) || strchr("TZ-_.", s[k])); k++)
			if (is_digit(s[k]))
				at = k + 1;
		*ret_start = i;
		*ret_end = at;
		return true;
	}
	return false;
}

/* The part that is made by chance or counted. */
static bool find_chance(const char *name, size_t len, size_t *ret_start, size_t *ret_end, bool *ret_counted)
{
	for (size_t end = len, start;; end = start) {
		while (end > 0 && !is_digit(name[end - 1]) && !is_lower(name[end - 1]) && !is_upper(name[end - 1]))
			end--;
		start = end;
		while (start > 0 &&
		       (is_digit(name[start - 1]) || is_lower(name[start - 1]) || is_upper(name[start - 1])))
			start--;
		if (end == 0)
			return false;
		*ret_counted = all_digits(name + start, end - start) && end - start >= DIGITS_MIN;
		if (!*ret_counted && !looks_random(name + start, end - start))
			continue;
		*ret_start = *ret_counted ? start : start + known_prefix(name + start, end - start);
		*ret_end = end;
		return true;
	}
}

size_t learn_pattern(const char *name, size_t len, bool temporary, char *buf, size_t size)
{
	size_t end, start;
	bool counted = true;
	char wild[RANDOM_FIXED + 1];
	int n;

	if (!is_plain(name, len))
		return 0;
	if (!find_date(name, len, &start, &end) &&
	    !(temporary && find_chance(name, len, &start, &end, &counted)))
		return 0;
	if (start + (len - end) < LITERAL_MIN)
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
