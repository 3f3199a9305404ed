/* SPDX-License-Identifier: Apache-2.0
 * The lexer: one pass over a line, byte by byte.
 *
 * A word is a list of bytes, each with a flag "bare" (it stood outside of quotes, so it may be a
 * wildcard) and the column that it came from. Values of variables are never bare and never read again:
 * nothing that stands in the environment can become syntax.
 */
#include "policy/word.h"
#include "policy/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_DEPTH_MAX 8 /* ${A:-${B:-...}} */

enum { SCRATCH = 256 };

struct builder {
	struct lexer *lx;
	enum word_kind kind;
	char *bytes; /* the scratch arrays, or the arena's */
	bool *bare;
	int *at;
	size_t len, cap_bytes, cap_bare, cap_at;
	char scratch_bytes[SCRATCH];
	bool scratch_bare[SCRATCH];
	int scratch_at[SCRATCH];
	size_t value_start; /* WORD_VALUE: index behind the '=', or 0 */
	bool all_bare;
	const char *variable;
	unsigned depth; /* of defaults */
	bool live;	/* false inside a default that is not used: checked, not kept */
};

#define SHOWN_MAX 320

static char *shown_buffer(void)
{
	static _Thread_local char buffers[4][SHOWN_MAX];
	static _Thread_local unsigned next;

	return buffers[next++ & 3];
}

const char *shown(const char *s, size_t len)
{
	char *buf = shown_buffer();

	if (escape_bytes(buf, SHOWN_MAX, s, len) >= SHOWN_MAX)
		strcpy(buf + SHOWN_MAX - 4, "...");
	return buf;
}

const char *shown_source(const char *s, size_t len)
{
	char *buf = shown_buffer();

	if (escape_source(buf, SHOWN_MAX, s, len) >= SHOWN_MAX)
		strcpy(buf + SHOWN_MAX - 4, "...");
	return buf;
}

const char *place_shown(const struct place *place)
{
	char *buf = shown_buffer();
	size_t room = SHOWN_MAX - 16, len = escape_bytes(buf, room, place->file, strlen(place->file));

	if (place->line > 0)
		snprintf(buf + (len < room ? len : room - 1), 16, ":%d", place->line);
	return buf;
}

int place_error(struct policy_error *error, const struct place *place, int column, const char *format, ...)
{
	char message[800];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (place->line == 0 || column == 0)
		snprintf(error->text, sizeof(error->text), "%s: %s", place_shown(place), message);
	else
		snprintf(error->text, sizeof(error->text), "%s:%d: %s", place_shown(place), column, message);
	return -EINVAL;
}

static int column_of(const struct lexer *lx, size_t pos)
{
	return lx->column_base + (int)pos;
}

#define fail_at(lx, pos, ...) place_error((lx)->error, &(lx)->place, column_of(lx, pos), __VA_ARGS__)

static void begin(struct builder *b, struct lexer *lx, enum word_kind kind)
{
	b->lx = lx;
	b->kind = kind;
	b->bytes = b->scratch_bytes;
	b->bare = b->scratch_bare;
	b->at = b->scratch_at;
	b->cap_bytes = b->cap_bare = b->cap_at = SCRATCH;
	b->len = b->value_start = 0;
	b->variable = NULL;
	b->depth = 0;
	b->all_bare = b->live = true;
}

static int grow(struct builder *b)
{
	struct arena *a = b->lx->arena;

	b->bytes = arena_grow(a, b->bytes, b->len, &b->cap_bytes, sizeof(*b->bytes));
	b->bare = arena_grow(a, b->bare, b->len, &b->cap_bare, sizeof(*b->bare));
	b->at = arena_grow(a, b->at, b->len, &b->cap_at, sizeof(*b->at));
	return b->bytes && b->bare && b->at ? 0 : -ENOMEM;
}

/* Most words fit the scratch arrays and are copied once, at their end. */
static int end(struct builder *b)
{
	struct arena *a = b->lx->arena;

	if (b->bytes != b->scratch_bytes)
		return 0;
	b->bytes = arena_copy(a, b->bytes, b->len);
	b->bare = (bool *)arena_copy(a, b->bare, b->len * sizeof(*b->bare));
	b->at = (int *)(void *)arena_copy(a, b->at, b->len * sizeof(*b->at));
	return b->bytes && b->bare && b->at ? 0 : -ENOMEM;
}

static int push(struct builder *b, char c, bool bare, size_t pos)
{
	if (!b->live)
		return 0;
	if (b->len == b->cap_bytes && grow(b) < 0)
		return -ENOMEM;
	b->bytes[b->len] = c;
	b->bare[b->len] = bare;
	b->at[b->len++] = column_of(b->lx, pos);
	return 0;
}

static int push_string(struct builder *b, const char *s, size_t pos)
{
	int r = 0;

	for (; *s && r == 0; s++)
		r = push(b, *s, false, pos);
	return r;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_name(char c, bool first)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (!first && c >= '0' && c <= '9');
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A C escape inside quotes; pos is at the byte behind the backslash. */
static int lex_escape(struct builder *b)
{
	static const char from[] = "abefnrtv\\\"'?", to[] = "\a\b\033\f\n\r\t\v\\\"'?";
	struct lexer *lx = b->lx;
	size_t start = lx->pos - 1;
	unsigned value = 0, digits = 0;
	char c = lx->line[lx->pos];
	const char *known = c ? strchr(from, c) : NULL;

	if (known) {
		lx->pos++;
		return push(b, to[known - from], false, start);
	}
	if (c == 'x') {
		lx->pos++;
		while (digits < 2 && lx->pos < lx->len && hex_digit(lx->line[lx->pos]) >= 0) {
			value = value * 16 + (unsigned)hex_digit(lx->line[lx->pos++]);
			digits++;
		}
	} else {
		while (digits < 3 && lx->pos < lx->len && lx->line[lx->pos] >= '0' &&
		       lx->line[lx->pos] <= '7') {
			value = value * 8 + (unsigned)(lx->line[lx->pos++] - '0');
			digits++;
		}
	}
	if (digits == 0)
		return fail_at(lx, start, "unknown escape \"\\%s\": write \\\\ for a backslash in quotes",
			       shown(&c, 1));
	if (value == 0 || value > 255)
		return fail_at(lx, start, "no path holds a byte of this value: remove the escape");
	return push(b, (char)value, false, start);
}

static int lex_quoted(struct builder *b)
{
	struct lexer *lx = b->lx;
	size_t start = lx->pos;
	char quote = lx->line[lx->pos++];

	while (lx->pos < lx->len) {
		char c = lx->line[lx->pos++];
		int r;

		if (c == quote)
			return 0;
		if (c == '\\' && lx->pos < lx->len)
			r = lex_escape(b);
		else if (is_control(c) && c != '\t')
			r = fail_at(lx, lx->pos - 1, "a control byte: write it as an escape, \"\\x%02x\"",
				    (unsigned)c & 0xff);
		else
			r = push(b, c, false, lx->pos - 1);
		if (r < 0)
			return r;
	}
	return fail_at(lx, start, "the quote is not closed on this line: add the second %c", quote);
}

/* What a user would write as the default of a variable that is not set. */
static const char *usual_default(const char *name)
{
	static const char *const usual[][2] = {
		{"CARGO_HOME", "~/.cargo"},
		{"RUSTUP_HOME", "~/.rustup"},
		{"GOPATH", "~/go"},
		{"GOCACHE", "~/.cache/go-build"},
		{"GOMODCACHE", "~/go/pkg/mod"},
		{"PYENV_ROOT", "~/.pyenv"},
		{"NVM_DIR", "~/.nvm"},
		{"CCACHE_DIR", "~/.cache/ccache"},
		{"GNUPGHOME", "~/.gnupg"},
		{"XDG_CACHE_HOME", "~/.cache"},
		{"XDG_CONFIG_HOME", "~/.config"},
		{"XDG_DATA_HOME", "~/.local/share"},
		{"XDG_STATE_HOME", "~/.local/state"},
		{"XDG_RUNTIME_DIR", "/run/user/$UID"},
		{"GITDIR", "$PWD/.git"},
	};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(usual[i][0], name) == 0)
			return usual[i][1];
	return "/a/path";
}

/* Does VALUE count as set at this point of the word? */
static bool value_counts(const struct builder *b, const char *value)
{
	if (!value || !*value)
		return false;
	if (b->kind == WORD_VALUE || *value == '/')
		return true;
	return b->len > 0 && !strchr(value, '/') && strcmp(value, ".") != 0 && strcmp(value, "..") != 0;
}

static int lex_piece(struct builder *b);

/* The default of ${NAME:-DEFAULT}, up to its brace; kept only if USED. */
static int lex_default(struct builder *b, bool used, size_t start)
{
	struct lexer *lx = b->lx;
	bool live = b->live;
	size_t first = b->len;
	int r = 0;

	if (b->depth == DEFAULT_DEPTH_MAX)
		return fail_at(lx, start, "defaults are nested too deep");
	b->depth++;
	b->live = live && used;
	if (b->kind == WORD_PATH && lx->pos < lx->len && lx->line[lx->pos] == '~' && first == 0) {
		const char *home = lx->host->get_variable(lx->host->ctx, "HOME");

		if (lx->pos + 1 < lx->len && lx->line[lx->pos + 1] != '/' && lx->line[lx->pos + 1] != '}')
			return fail_at(lx, lx->pos,
				       "a default knows ~ alone: write the path of the other user's home");
		if (!home && b->live)
			return fail_at(lx, lx->pos, "~ has no meaning here: no home directory is known");
		r = home ? push_string(b, home, lx->pos) : 0;
		lx->pos++;
	}
	while (r == 0) {
		if (lx->pos == lx->len || (is_blank(lx->line[lx->pos]) && !lx->blanks_literal))
			return fail_at(lx, start,
				       "\"${\" is not closed: add the }, and quote blanks in the default");
		if (lx->line[lx->pos] == '}')
			break;
		if (strchr("*?[", lx->line[lx->pos]))
			return fail_at(lx, lx->pos,
				       "a default is literal: put the wildcard behind the }, or quote it");
		r = lex_piece(b);
	}
	if (r < 0)
		return r;
	lx->pos++;
	for (size_t i = first; i < b->len; i++)
		b->bare[i] = false;
	if (b->live && b->len == first)
		return fail_at(lx, start, "the default is empty, and an empty variable counts as unset");
	if (b->live && b->kind == WORD_PATH && first == 0 && b->bytes[0] != '/')
		return fail_at(lx, start, "the default is relative: begin it with / or ~");
	b->live = live;
	b->depth--;
	return 0;
}

static int lex_variable(struct builder *b)
{
	struct lexer *lx = b->lx;
	size_t start = lx->pos++, from, width = 0;
	bool braced = lx->pos < lx->len && lx->line[lx->pos] == '{', has_default = false;
	const char *value;
	char *name;
	int r;

	b->all_bare = false;
	from = lx->pos += braced;
	while (from + width < lx->len && is_name(lx->line[from + width], width == 0))
		width++;
	if (width == 0)
		return fail_at(lx, start, "\"$\" is not followed by a name: write \\$ for the byte itself");
	name = arena_copy(lx->arena, lx->line + from, width);
	if (!name)
		return -ENOMEM;
	lx->pos += width;
	if (braced) {
		has_default = lx->len - lx->pos >= 2 && memcmp(lx->line + lx->pos, ":-", 2) == 0;
		if (!has_default && (lx->pos == lx->len || lx->line[lx->pos] != '}'))
			return fail_at(
				lx, start,
				"\"${%s\" goes on with neither } nor :-: write ${%s} or ${%s:-DEFAULT}", name,
				name, name);
		lx->pos += has_default ? 2 : 1;
	}
	if (strcmp(name, "DNS") == 0)
		return fail_at(lx, start, "$DNS is not supported: network targets are *:* only");
	value = lx->host->get_variable(lx->host->ctx, name);
	if (value_counts(b, value)) {
		if (b->live && !b->variable && strcmp(name, "HOME") != 0)
			b->variable = name;
		r = push_string(b, value, start);
		return r < 0 || !has_default ? r : lex_default(b, false, start);
	}
	if (has_default)
		return lex_default(b, true, start);
	if (!b->live)
		return 0;
	if (value && *value)
		return fail_at(lx, start,
			       "$%s is \"%s\", which is %s and counts as unset: give a default, ${%s:-%s}",
			       name, shown(value, strlen(value)),
			       b->len ? "no single word" : "not an absolute path", name, usual_default(name));
	return fail_at(lx, start, "$%s is not set: give a default, ${%s:-%s}", name, name,
		       usual_default(name));
}

/* `~` or `~user` at the start of a path. */
static int lex_home(struct builder *b)
{
	struct lexer *lx = b->lx;
	const struct policy_host *host = lx->host;
	size_t start = lx->pos++, from = lx->pos;
	const char *home;
	char *user;

	b->all_bare = false;
	while (lx->pos < lx->len && lx->line[lx->pos] != '/' &&
	       (is_name(lx->line[lx->pos], false) || strchr("-.+@", lx->line[lx->pos])))
		lx->pos++;
	if (lx->pos == from) {
		home = host->get_variable(host->ctx, "HOME");
		if (!home || *home != '/')
			return fail_at(lx, start, "~ has no meaning here: no home directory is known");
		return push_string(b, home, start);
	}
	user = arena_copy(lx->arena, lx->line + from, lx->pos - from);
	if (!user)
		return -ENOMEM;
	home = host->home_of ? host->home_of(host->ctx, user) : NULL;
	if (!home || *home != '/')
		return fail_at(lx, start,
			       "there is no user \"%s\": write \\~ if the name of the file begins with ~",
			       shown(user, strlen(user)));
	return push_string(b, home, start);
}

/* One byte or one quoted, escaped or named piece. */
static int lex_piece(struct builder *b)
{
	struct lexer *lx = b->lx;
	char c = lx->line[lx->pos];

	if (c == '"' || c == '\'') {
		b->all_bare = false;
		return lex_quoted(b);
	}
	if (c == '$' && b->kind != WORD_PLAIN)
		return lex_variable(b);
	if (c == '\\') {
		b->all_bare = false;
		if (lx->pos + 1 == lx->len)
			return fail_at(lx, lx->pos,
				       "nothing follows the backslash: a statement ends with its line");
		c = lx->line[lx->pos + 1];
		if (is_control(c) && c != '\t')
			return fail_at(lx, lx->pos + 1, "a control byte: write it in quotes, \"\\x%02x\"",
				       (unsigned)c & 0xff);
		lx->pos += 2;
		return push(b, c, false, lx->pos - 2);
	}
	if (is_control(c) && !is_blank(c))
		return fail_at(lx, lx->pos, "a control byte: write it in quotes, \"\\x%02x\"",
			       (unsigned)c & 0xff);
	if (c == '=' && b->kind == WORD_VALUE && b->value_start == 0) {
		int r = push(b, c, true, lx->pos++);

		b->value_start = b->len;
		if (r == 0 && lx->pos < lx->len && lx->line[lx->pos] == '~')
			r = lex_home(b);
		return r;
	}
	return push(b, c, true, lx->pos++);
}

int lexer_next(struct lexer *lx, enum word_kind kind, struct word *ret)
{
	struct builder b;
	size_t start;
	int r;

	begin(&b, lx, kind);
	while (!lx->blanks_literal && lx->pos < lx->len && is_blank(lx->line[lx->pos]))
		lx->pos++;
	if (lx->pos == lx->len || (lx->line[lx->pos] == '#' && !lx->is_option))
		return 0;
	start = lx->pos;
	if (kind == WORD_PATH && lx->line[lx->pos] == '~') {
		r = lex_home(&b);
		if (r < 0)
			return r;
	}
	while (lx->pos < lx->len && (lx->blanks_literal || !is_blank(lx->line[lx->pos]))) {
		r = lex_piece(&b);
		if (r < 0)
			return r;
	}
	r = push(&b, '\0', false, lx->pos); /* ends the string, and tells the column of the end */
	if (r == 0)
		r = end(&b);
	if (r < 0)
		return r;
	*ret = (struct word){
		.bytes = b.bytes,
		.bare = b.bare,
		.at = b.at,
		.len = b.len - 1,
		.column = column_of(lx, start),
		.raw = lx->line + start,
		.raw_len = lx->pos - start,
		.all_bare = b.all_bare,
		.variable = b.variable,
	};
	return 1;
}

const char *lexer_fold(struct arena *a, const char *line, size_t len, bool is_option)
{
	char *text = arena_alloc(a, len + 1), *out = text;
	char quote = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		char c = line[i];

		if (!quote && is_blank(c)) {
			if (out > text && out[-1] != ' ')
				*out++ = ' ';
			continue;
		}
		if (!quote && c == '#' && !is_option && (out == text || out[-1] == ' '))
			break;
		*out++ = c;
		if (c == '\\' && i + 1 < len)
			*out++ = line[++i];
		else if (c == quote)
			quote = 0;
		else if (!quote && (c == '"' || c == '\''))
			quote = c;
	}
	while (out > text && out[-1] == ' ' && !(out > text + 1 && out[-2] == '\\'))
		out--;
	*out = '\0';
	return text;
}
