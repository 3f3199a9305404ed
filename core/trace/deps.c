/* SPDX-License-Identifier: Apache-2.0
 * Depfiles and lists. Of make's syntax that which compilers write: rules over several lines with "\", names
 * with "\ ", "\#", "\\" before those, and "$$"; what stands before a colon is made, what stands behind is read.
 */
#include "core/trace/deps.h"

#include "core/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MOST (256u << 20)

struct deps {
	char **names; /* absolute, without a slash at the end; sorted when asked */
	size_t n, cap;
	bool sorted;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A backslash that joins the next line. */
static bool continues(const char *text, size_t len, size_t i)
{
	return i + 1 < len && text[i] == '\\' &&
	       (text[i + 1] == '\n' || (text[i + 1] == '\r' && i + 2 < len && text[i + 2] == '\n'));
}

/* One word from *AT on, unescaped into WORD; true if it ended in a colon that ends the targets. */
static size_t take_word(const char *text, size_t len, size_t *at, char *word, bool *ret_colon)
{
	size_t i = *at, n = 0;

	*ret_colon = false;
	while (i < len && !is_blank(text[i]) && text[i] != '\n') {
		char c = text[i];

		if (continues(text, len, i))
			break;
		if (c == '\\' && i + 1 < len && strchr(" \t#\\:", text[i + 1])) {
			/* A backslash that escapes nothing stays: names of other systems. */
			if (text[i + 1] == '\\' && !(i + 2 < len && strchr(" \t#", text[i + 2]))) {
				word[n++] = c;
				i++;
				continue;
			}
			c = text[++i];
		} else if (c == '$' && i + 1 < len && text[i + 1] == '$') {
			i++;
		} else if (c == ':' && (i + 1 == len || is_blank(text[i + 1]) || text[i + 1] == '\n' ||
					text[i + 1] == ':' || continues(text, len, i + 1))) {
			*ret_colon = true;
			i++;
			break;
		}
		word[n++] = c;
		i++;
	}
	*at = i;
	return n;
}

static int parse_rules(const char *text, size_t len, int (*name)(void *ctx, const char *s, size_t len), void *ctx)
{
	_cleanup_free_ char *word = malloc(len + 1);
	bool inputs = false;
	int r = 0;

	if (!word)
		return -ENOMEM;
	for (size_t i = 0; i < len && r == 0;) {
		bool colon;
		size_t n;

		if (text[i] == '\n') {
			inputs = false;
			i++;
		} else if (text[i] == '\\' && i + 1 < len && text[i + 1] == '\n') {
			i += 2;
		} else if (text[i] == '\\' && i + 2 < len && text[i + 1] == '\r' && text[i + 2] == '\n') {
			i += 3;
		} else if (is_blank(text[i])) {
			i++;
		} else if (text[i] == '#') {
			while (i < len && text[i] != '\n')
				i++;
		} else {
			n = take_word(text, len, &i, word, &colon);
			if (inputs && n && !(n == 1 && word[0] == '|')) {
				word[n] = '\0';
				r = name(ctx, word, n);
			}
			inputs |= colon;
			if (n == 0 && !colon)
				i++;
		}
	}
	return r;
}

static int parse_lines(const char *text, size_t len, int (*name)(void *ctx, const char *s, size_t len), void *ctx)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0;) {
		const char *end = memchr(text + i, '\n', len - i);
		size_t n = end ? (size_t)(end - text) - i : len - i;

		if (n && text[i] != '#')
			r = name(ctx, text + i, n - (n > 1 && text[i + n - 1] == '\r'));
		i += n + 1;
	}
	return r;
}

int deps_parse(const char *text, size_t len, bool depfile, int (*name)(void *ctx, const char *s, size_t len),
	       void *ctx)
{
	return depfile ? parse_rules(text, len, name, ctx) : parse_lines(text, len, name, ctx);
}

bool deps_is_depfile(const char *text, size_t len)
{
	bool colon = false;
	size_t i = 0;
	char *word;

	while (i < len && (text[i] == '\n' || is_blank(text[i])))
		i++;
	if (i < len && text[i] == '#') {
		const char *end = memchr(text + i, '\n', len - i);

		return end && deps_is_depfile(end, len - (size_t)(end - text));
	}
	word = malloc(len + 1);
	if (word)
		take_word(text, len, &i, word, &colon);
	free(word);
	return colon;
}

static int add(struct deps *d, char *name)
{
	size_t len = strlen(name);

	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 256;
		char **grown = realloc(d->names, cap * sizeof(*grown));

		if (!grown) {
			free(name);
			return -ENOMEM;
		}
		d->names = grown;
		d->cap = cap;
	}
	while (len > 1 && name[len - 1] == '/')
		name[--len] = '\0';
	d->names[d->n++] = name;
	d->sorted = false;
	return 0;
}

struct reading {
	struct deps *deps;
	const char *cwd;
};

/* The name as it is written, and what it leads to if it is there: a trace has the latter. */
static int add_name(void *ctx, const char *s, size_t len)
{
	const struct reading *reading = ctx;
	char *name = NULL, *real;
	int r;

	if (memchr(s, '\0', len))
		return 0;
	r = s[0] == '/' ? asprintf(&name, "%.*s", (int)len, s) : asprintf(&name, "%s/%.*s", reading->cwd, (int)len, s);
	if (r < 0)
		return -ENOMEM;
	real = realpath(name, NULL);
	r = add(reading->deps, name);
	if (r == 0 && real)
		return add(reading->deps, real);
	free(real);
	return r;
}

static int read_all(FILE *f, char **ret, size_t *ret_len)
{
	size_t size = 0, len = 0;
	char *data = NULL;

	for (;;) {
		size_t n;

		if (len == size) {
			char *grown;

			size = size ? size * 2 : 65536;
			grown = size > FILE_MOST ? NULL : realloc(data, size);
			if (!grown) {
				free(data);
				return size > FILE_MOST ? -EFBIG : -ENOMEM;
			}
			data = grown;
		}
		n = fread(data + len, 1, size - len, f);
		len += n;
		if (n == 0)
			break;
	}
	if (ferror(f)) {
		free(data);
		return -EIO;
	}
	*ret = data;
	*ret_len = len;
	return 0;
}

const char *deps_file(const char *file)
{
	if (strncmp(file, "depfile:", 8) == 0)
		return file + 8;
	return strncmp(file, "list:", 5) == 0 ? file + 5 : file;
}

int deps_read(const char *file, const char *cwd, struct deps **deps, char *error, size_t error_size)
{
	bool depfile = strncmp(file, "depfile:", 8) == 0, list = strncmp(file, "list:", 5) == 0;
	const char *path = deps_file(file);
	_cleanup_free_ char *text = NULL;
	struct reading reading = {.cwd = cwd};
	size_t len = 0;
	FILE *f;
	int r;

	if (!*deps)
		*deps = calloc(1, sizeof(**deps));
	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	r = !f ? -errno : !*deps ? -ENOMEM : read_all(f, &text, &len);
	if (f && f != stdin)
		fclose(f);
	reading.deps = *deps;
	if (r == 0)
		r = deps_parse(text, len, depfile || (!list && deps_is_depfile(text, len)), add_name, &reading);
	if (r < 0)
		snprintf(error, error_size, "%s: %s", path, strerror(-r));
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool deps_has(struct deps *d, const char *path)
{
	char above[PATH_MAX + NAME_MAX + 2];
	const char *key = above;

	if (!d->sorted && d->n) {
		qsort(d->names, d->n, sizeof(*d->names), by_name);
		d->sorted = true;
	}
	snprintf(above, sizeof(above), "%s", path);
	while (*above) {
		char *slash;

		if (d->n && bsearch(&key, d->names, d->n, sizeof(*d->names), by_name))
			return true;
		slash = strrchr(above, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return false;
}

void deps_free(struct deps *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++)
		free(d->names[i]);
	free(d->names);
	free(d);
}
