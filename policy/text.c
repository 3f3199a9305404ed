/* SPDX-License-Identifier: Apache-2.0
 * Text in both directions: bytes that are safe to show, sets of operations, suggestions.
 *
 * What is shown may come from the target: a file name can hold an escape sequence for the terminal, or
 * characters that reorder or hide their neighbours. escape_bytes() leaves none of those.
 */
#include "policy/text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- output into a buffer that may be too small ---- */

struct out {
	char *buf;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_hex(struct out *o, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	put(o, '\\');
	put(o, 'x');
	put(o, digits[c >> 4]);
	put(o, digits[c & 15]);
}

static size_t finish(struct out *o)
{
	if (o->size > 0)
		o->buf[o->len < o->size ? o->len : o->size - 1] = '\0';
	return o->len;
}

/* Length of the valid UTF-8 sequence at S (1 to 4), or 0. */
static unsigned utf8_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned n = s[0] < 0x80		   ? 1
		     : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		     : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		     : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						   : 0;
	uint32_t c;

	if (n == 0 || n > len)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

/* Characters that move the cursor, reorder text or can't be seen. */
static bool is_deceptive(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x34f || c == 0x61c || c == 0x180e ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0x3164 || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* Append S; EXTRA are bytes that get a backslash too. */
static void put_escaped(struct out *o, const char *s, size_t len, const char *extra)
{
	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		unsigned n = utf8_decode((const unsigned char *)s + i, len - i, &c);

		if (n == 0 || is_deceptive(c)) {
			n = n ? n : 1;
			if (s[i] == '\n' || s[i] == '\t') {
				put(o, '\\');
				put(o, s[i] == '\n' ? 'n' : 't');
			} else {
				for (unsigned k = 0; k < n; k++)
					put_hex(o, (unsigned char)s[i + k]);
			}
		} else {
			if (n == 1 && strchr(extra, s[i]))
				put(o, '\\');
			for (unsigned k = 0; k < n; k++)
				put(o, s[i + k]);
		}
		i += n;
	}
}

size_t escape_bytes(char *buf, size_t size, const char *s, size_t len)
{
	struct out o = {buf, size, 0};

	put_escaped(&o, s, len, "\\");
	return finish(&o);
}

size_t escape_source(char *buf, size_t size, const char *s, size_t len)
{
	struct out o = {buf, size, 0};

	put_escaped(&o, s, len, "");
	return finish(&o);
}

size_t policy_format_word(char *buf, size_t size, const char *path, size_t len, const char *home)
{
	struct out o = {buf, size, 0};
	size_t home_len = home ? strlen(home) : 0;
	bool plain = len > 0;

	if (home_len > 1 && len >= home_len && memcmp(path, home, home_len) == 0 &&
	    (len == home_len || path[home_len] == '/')) {
		put(&o, '~');
		path += home_len;
		len -= home_len;
		if (len == 0)
			return finish(&o);
		put(&o, '/');
		path++;
		len--;
		plain = true;
	}
	for (size_t i = 0; i < len; i++)
		if (!((path[i] >= 'a' && path[i] <= 'z') || (path[i] >= 'A' && path[i] <= 'Z') ||
		      (path[i] >= '0' && path[i] <= '9') || strchr("/._-+,:@%=", path[i])))
			plain = false;
	if (!plain)
		put(&o, '"');
	put_escaped(&o, path, len, plain ? "" : "\\\"");
	if (!plain)
		put(&o, '"');
	return finish(&o);
}

/* ---- suggestions ---- */

#define SUGGEST_MAX 64

/* Edit distance with transpositions, or a large number for words that are too long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][SUGGEST_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_MAX || m > SUGGEST_MAX)
		return 1000;
	for (unsigned j = 0; j <= m; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= m; j++) {
			unsigned d = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < d)
				d = last[j] + 1;
			if (row[j - 1] + 1 < d)
				d = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			row[j] = d;
		}
	}
	return rows[n % 3][m];
}

const char *suggest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned best_distance = 1000;

	for (; *names; names++) {
		unsigned d = distance(word, *names);

		if (d < best_distance) {
			best_distance = d;
			best = *names;
		}
	}
	return best && best_distance <= 1 + strlen(word) / 4 && best_distance < strlen(best) ? best : NULL;
}

/* ---- sets of operations ---- */

#define OPS_RO (OPBIT(OP_READ) | OPBIT(OP_LIST))
#define OPS_W  (OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META))

static const struct {
	const char *name;
	opset ops;
} groups[] = {
	/* the widest first, for opset_format() */
	{"all", OPS_RO | OPS_W | OPBIT(OP_EXEC) | OPBIT(OP_CONNECT)},
	{"rw", OPS_RO | OPS_W},
	{"rx", OPS_RO | OPBIT(OP_EXEC)},
	{"ro", OPS_RO},
	{"w", OPS_W},
};
#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

const char *const opset_words[OP_COUNT + N_GROUPS + 1] = {
	"read",	   "list", "write", "create", "delete", "exec", "meta", "stat",
	"connect", "bind", "all",   "rw",     "rx",	"ro",	"w",	NULL,
};

static opset word_ops(const char *word, size_t len)
{
	for (unsigned op = 0; op < OP_COUNT; op++)
		if (strlen(op_names[op]) == len && memcmp(op_names[op], word, len) == 0)
			return OPBIT(op);
	for (unsigned i = 0; i < N_GROUPS; i++)
		if (strlen(groups[i].name) == len && memcmp(groups[i].name, word, len) == 0)
			return groups[i].ops;
	return 0;
}

int opset_parse_at(const char *text, size_t len, opset *ret, size_t *ret_at, size_t *ret_len)
{
	opset all = 0;
	size_t from = 0;

	for (;;) {
		const char *comma = memchr(text + from, ',', len - from);
		size_t width = comma ? (size_t)(comma - text) - from : len - from;
		opset ops = word_ops(text + from, width);

		if (!ops) {
			*ret_at = from;
			*ret_len = width;
			return -EINVAL;
		}
		all |= ops;
		if (!comma)
			break;
		from += width + 1;
	}
	*ret = all;
	return 0;
}

int opset_parse(const char *text, size_t len, opset *ret)
{
	size_t at, width;

	return opset_parse_at(text, len, ret, &at, &width);
}

void opset_format(opset ops, char *buf, size_t size)
{
	struct out o = {buf, size, 0};
	const char *names[OP_COUNT];
	unsigned n = 0;

	for (unsigned i = 0; i < N_GROUPS; i++)
		if ((ops & groups[i].ops) == groups[i].ops) {
			names[n++] = groups[i].name;
			ops &= (opset)~groups[i].ops;
		}
	for (unsigned op = 0; op < OP_COUNT; op++)
		if (ops & OPBIT(op))
			names[n++] = op_names[op];
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			put(&o, ',');
		for (const char *s = names[i]; *s; s++)
			put(&o, *s);
	}
	finish(&o);
}

/* ---- errno names ---- */

/* clang-format off */
static const struct {
	const char *name;
	int number;
} errnos[] = {
	{"EPERM", EPERM}, {"ENOENT", ENOENT}, {"EIO", EIO}, {"ENXIO", ENXIO}, {"EACCES", EACCES},
	{"EBUSY", EBUSY}, {"EEXIST", EEXIST}, {"EXDEV", EXDEV}, {"ENODEV", ENODEV},
	{"ENOTDIR", ENOTDIR}, {"EISDIR", EISDIR}, {"EINVAL", EINVAL}, {"EMFILE", EMFILE},
	{"ETXTBSY", ETXTBSY}, {"EFBIG", EFBIG}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
	{"EMLINK", EMLINK}, {"ENAMETOOLONG", ENAMETOOLONG}, {"ENOSYS", ENOSYS}, {"ELOOP", ELOOP},
	{"EOVERFLOW", EOVERFLOW}, {"EOPNOTSUPP", EOPNOTSUPP}, {"EAFNOSUPPORT", EAFNOSUPPORT},
	{"EADDRINUSE", EADDRINUSE}, {"EADDRNOTAVAIL", EADDRNOTAVAIL}, {"ENETDOWN", ENETDOWN},
	{"ENETUNREACH", ENETUNREACH}, {"ECONNRESET", ECONNRESET}, {"ECONNREFUSED", ECONNREFUSED},
	{"ETIMEDOUT", ETIMEDOUT}, {"EHOSTDOWN", EHOSTDOWN}, {"EHOSTUNREACH", EHOSTUNREACH},
	{"EDQUOT", EDQUOT},
};
/* clang-format on */
#define N_ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

int errno_by_name(const char *name)
{
	for (unsigned i = 0; i < N_ERRNOS; i++)
		if (strcmp(errnos[i].name, name) == 0)
			return errnos[i].number;
	return 0;
}

const char *errno_suggest(const char *name)
{
	const char *names[N_ERRNOS + 1];

	for (unsigned i = 0; i < N_ERRNOS; i++)
		names[i] = errnos[i].name;
	names[N_ERRNOS] = NULL;
	return suggest(name, names);
}
