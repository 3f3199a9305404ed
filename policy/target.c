/* SPDX-License-Identifier: Apache-2.0
 * Targets of a rule: a path pattern or the network, and what to say about words that are neither.
 */
#include "policy/parse.h"

#include <errno.h>
#include <string.h>

static bool starts_path(const struct word *w)
{
	if (w->len >= 3 && w->bare[0] && w->bare[1] && memcmp(w->bytes, "**/", 3) == 0)
		return true;
	return w->bytes[0] == '/';
}

/* "10.0.0.0/8", "fe80::/10": an address and a mask. */
static bool is_masked_address(const char *s)
{
	const char *slash = strrchr(s, '/');
	size_t len = strspn(s, "0123456789abcdefABCDEF.:");

	return slash && s + len == slash && (memchr(s, '.', len) || memchr(s, ':', len)) && slash[1] &&
	       strspn(slash + 1, "0123456789") == strlen(slash + 1);
}

bool policy_is_no_path(const char *word, opset ops)
{
	const opset net = OPBIT(OP_CONNECT) | OPBIT(OP_BIND);

	return *word && ops && !(ops & ~net) && (!strchr(word, '/') || is_masked_address(word));
}

/* Does it look like a network target rather than a relative path? */
static bool looks_like_network(const struct word *w)
{
	const char *colon = strrchr(w->bytes, ':'), *port;

	if (strncmp(w->bytes, "tcp:", 4) == 0 || strncmp(w->bytes, "udp:", 4) == 0 ||
	    strncmp(w->bytes, "unix:", 5) == 0)
		return true;
	if (!colon || memchr(w->bytes, '/', (size_t)(colon - w->bytes)) == w->bytes)
		return false;
	port = colon + 1;
	return *port && strspn(port, "0123456789-*") == strlen(port);
}

static int parse_network(struct lexer *lx, const struct statement *st, const struct word *w,
			 struct target *ret)
{
	const opset net = OPBIT(OP_CONNECT) | OPBIT(OP_BIND);

	if (st->ops & ~net)
		return fail_word(lx, w,
				 "\"%s\" is a network target, and only connect and bind take one: "
				 "write a line of its own, \"%s connect %s\"",
				 shown(w->bytes, w->len), action_names[st->action], shown(w->bytes, w->len));
	if (strcmp(w->bytes, "*:*") != 0)
		return fail_word(
			lx, w,
			"\"%s\" is not supported: the one network target is *:*, every address and port%s",
			shown(w->bytes, w->len),
			strncmp(w->bytes, "unix:", 5) == 0 ? "; a socket file is written as its path" : "");
	if (st->action == ACTION_ASK)
		return fail_word(lx, w, "\"ask\" is not supported for *:*: write allow or deny");
	ret->net = NET_ANY;
	return 0;
}

static int relative_error(struct lexer *lx, const struct statement *st, const struct word *w)
{
	const char *base = strrchr(w->raw, '/'), *end = w->raw + w->raw_len;

	if (w->len == 0)
		return fail_word(lx, w, "an empty word names nothing: remove it, or write the path");
	if (!w->bare[0] && (w->bytes[0] == '$' || w->bytes[0] == '~') && w->raw[0] != '\\')
		return fail_word(lx, w,
				 "\"%c\" is an ordinary byte in quotes: leave what it begins outside, as in "
				 "$HOME\"/x y\"",
				 w->bytes[0]);
	if (policy_is_no_path(w->bytes, st->ops))
		return fail_word(lx, w,
				 "\"%s\" has no port and is no path: write *:* for every address and port, "
				 "or the %s of a socket file",
				 shown(w->bytes, w->len), lx->is_option ? "path, with a /," : "absolute path");
	if (strcmp(w->bytes, "**") == 0)
		return fail_word(lx, w, "\"**\" alone names no place: write / or $PWD");
	for (base = end; base > w->raw && base[-1] != '/'; base--)
		;
	if (base == end)
		return fail_word(lx, w, "\"%s\" is relative: write $PWD/%s", shown_source(w->raw, w->raw_len),
				 shown_source(w->raw, w->raw_len));
	return fail_word(lx, w, "\"%s\" is relative: write $PWD/%s, or **/%s for any place",
			 shown_source(w->raw, w->raw_len), shown_source(w->raw, w->raw_len),
			 shown_source(base, (size_t)(end - base)));
}

/* On the command line: W as it stands in the working directory. */
static int put_behind_pwd(struct policy *p, struct lexer *lx, struct word *w)
{
	const char *pwd = p->host.get_variable(p->host.ctx, "PWD");
	size_t head;
	char *bytes;
	bool *bare;
	int *at;

	if (!pwd || *pwd != '/')
		return fail_word(
			lx, w,
			"\"%s\" is relative, and the working directory has no path: write an absolute path",
			shown(w->bytes, w->len));
	head = strlen(pwd) + 1;
	bytes = arena_alloc(&p->arena, head + w->len + 1);
	bare = arena_alloc(&p->arena, head + w->len + 1);
	at = arena_alloc(&p->arena, (head + w->len + 1) * sizeof(*at));
	if (!bytes || !bare || !at)
		return -ENOMEM;
	memcpy(bytes, pwd, head - 1);
	bytes[head - 1] = '/';
	memcpy(bytes + head, w->bytes, w->len);
	memcpy(bare + head, w->bare, w->len * sizeof(*bare));
	w->bytes = bytes;
	w->bare = bare;
	w->at = at;
	w->len += head;
	return 0;
}

int parse_target(struct policy *p, struct lexer *lx, const struct statement *st, struct word *w,
		 struct target **ret)
{
	struct target *t = arena_alloc(&p->arena, sizeof(*t));
	struct pattern_problem problem;
	int r;

	if (!t)
		return -ENOMEM;
	t->column = w->column;
	t->variable = w->variable;
	t->raw = arena_copy(&p->arena, w->raw, w->raw_len);
	if (!t->raw)
		return -ENOMEM;
	*ret = t;
	if (!starts_path(w)) {
		if (looks_like_network(w))
			return parse_network(lx, st, w, t);
		if (!lx->is_option || w->len == 0 || policy_is_no_path(w->bytes, st->ops))
			return relative_error(lx, st, w);
		r = put_behind_pwd(p, lx, w);
		if (r < 0)
			return r;
	}
	if (st->ops & OPBIT(OP_BIND))
		return fail_word(lx, st->ops_word,
				 "\"bind\" takes network targets: binding a socket file is \"create\"");
	r = pattern_parse(&p->arena, &(struct wordtext){w->bytes, w->bare, w->len}, &t->pattern, &problem);
	if (r == -EINVAL)
		return place_error(lx->error, &lx->place, w->at[problem.at], "%s", problem.what);
	return r;
}
