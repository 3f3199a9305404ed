/* SPDX-License-Identifier: Apache-2.0
 * Path patterns: a literal prefix, compared as bytes, and from the first wildcard on a tail of
 * components, matched as an automaton.
 *
 * State i of the automaton means "the first i components of the tail are matched"; a set of states is
 * one 64-bit word. A doublestar keeps its state for every component that it eats; one that is not last
 * may also be passed over for nothing, so its successor is always live with it. The last one must eat
 * at least one component: `dir/` followed by a doublestar is each child of dir, and not dir itself.
 * The first prefix of a path at which the final state is live is the rule's object.
 */
#include "policy/pattern.h"

#include <errno.h>
#include <string.h>

/* A compiled glob: operations of one byte, some with an operand behind. STAR has two bytes: how many
 * bytes all that follows it takes, or STAR_FOLLOWS if another star does. */
enum { GLOB_BYTE = 1, GLOB_ANY, GLOB_STAR, GLOB_SET };
#define SET_BYTES    32
#define STAR_FOLLOWS 0xffff

static bool is_magic(char c)
{
	return c == '*' || c == '?' || c == '[';
}

/* Bytes that a text must escape to mean them literally. */
static bool is_special(char c)
{
	return is_magic(c) || c == ']' || c == '!' || c == '^' || c == '-' || c == '\\';
}

static bool set_has(const unsigned char *set, unsigned char c)
{
	return set[c >> 3] & (1u << (c & 7));
}

static int problem(struct pattern_problem *ret, const char *what, size_t at)
{
	*ret = (struct pattern_problem){.what = what, .at = at};
	return -EINVAL;
}

/* Compile the set whose '[' is at *I of T; leaves *I at its ']'. */
static int compile_set(const struct wordtext *t, size_t *i, unsigned char set[SET_BYTES],
		       struct pattern_problem *ret_problem)
{
	size_t start = *i, k = start + 1;
	bool negated = false, first = true;

	memset(set, 0, SET_BYTES);
	if (k < t->len && t->bare[k] && (t->bytes[k] == '!' || t->bytes[k] == '^')) {
		negated = true;
		k++;
	}
	for (;; first = false) {
		unsigned lo, hi;

		if (k >= t->len)
			return problem(ret_problem, "\"[\" has no \"]\": write \\[ for the byte itself",
				       start);
		if (t->bare[k] && t->bytes[k] == ']' && !first)
			break;
		if (t->bare[k] && t->bytes[k] == '[' && k + 1 < t->len && t->bare[k + 1] &&
		    (t->bytes[k + 1] == ':' || t->bytes[k + 1] == '.' || t->bytes[k + 1] == '='))
			return problem(ret_problem,
				       "named sets like [:alpha:] are not supported: write a-zA-Z", k);
		lo = hi = (unsigned char)t->bytes[k];
		if (k + 2 < t->len && t->bare[k + 1] && t->bytes[k + 1] == '-' &&
		    !(t->bare[k + 2] && t->bytes[k + 2] == ']')) {
			hi = (unsigned char)t->bytes[k + 2];
			if (hi < lo)
				return problem(ret_problem, "a range that runs backwards matches nothing", k);
			k += 2;
		}
		for (unsigned c = lo; c <= hi; c++)
			set[c >> 3] |= (unsigned char)(1u << (c & 7));
		k++;
	}
	if (negated)
		for (int b = 0; b < SET_BYTES; b++)
			set[b] = (unsigned char)~set[b];
	*i = k;
	return 0;
}

static void set_star(char *star, uint16_t width)
{
	if (star)
		memcpy(star + 1, &width, sizeof(width));
}

int glob_compile(struct arena *a, const struct wordtext *t, struct component *ret,
		 struct pattern_problem *ret_problem)
{
	size_t size = 0;
	char *code, *out, *last_star = NULL;
	bool after_star = false;
	uint16_t width = 0; /* behind the last star */

	if (t->len > PATTERN_LEN_MAX) /* widths fit 16 bits */
		return problem(ret_problem, "the word is longer than 4095 bytes", 0);
	for (size_t i = 0; i < t->len; i++)
		size += t->bare[i] && t->bytes[i] == '[' ? 1 + SET_BYTES : 3;
	code = out = arena_alloc(a, size + 1);
	if (!code)
		return -ENOMEM;
	for (size_t i = 0; i < t->len; i++) {
		bool star = t->bare[i] && t->bytes[i] == '*';

		if (star) {
			if (!after_star) {
				set_star(last_star, STAR_FOLLOWS);
				last_star = out;
				*out = GLOB_STAR;
				out += 3;
				width = 0;
			}
		} else if (t->bare[i] && t->bytes[i] == '?') {
			*out++ = GLOB_ANY;
		} else if (t->bare[i] && t->bytes[i] == '[') {
			int r;

			*out++ = GLOB_SET;
			r = compile_set(t, &i, (unsigned char *)out, ret_problem);
			if (r < 0)
				return r;
			out += SET_BYTES;
		} else {
			*out++ = GLOB_BYTE;
			*out++ = t->bytes[i];
		}
		after_star = star;
		width += !star;
	}
	set_star(last_star, width);
	*ret = (struct component){.kind = COMPONENT_GLOB, .text = code, .len = (size_t)(out - code)};
	return 0;
}

/* Only the last star passed needs to be tried again, and the last of all takes all that its followers
 * leave, so the time is bounded by the product of both lengths and mostly linear. */
bool glob_match(const struct component *c, const char *s, size_t len)
{
	const char *code = c->text, *end = code + c->len, *retry_code = NULL;
	size_t i = 0, retry_i = 0;

	for (;;) {
		bool ok = false;
		size_t width = 1;

		if (code == end) {
			if (i == len)
				return true;
		} else if (*code == GLOB_STAR) {
			uint16_t rest;

			memcpy(&rest, code + 1, sizeof(rest));
			code += 3;
			retry_code = rest == STAR_FOLLOWS ? code : NULL;
			retry_i = i;
			if (rest != STAR_FOLLOWS) {
				if (len - i < rest)
					return false;
				i = len - rest;
			}
			continue;
		} else if (i < len) {
			switch (*code) {
			case GLOB_BYTE:
				ok = code[1] == s[i];
				width = 2;
				break;
			case GLOB_ANY:
				ok = true;
				break;
			case GLOB_SET:
				ok = set_has((const unsigned char *)code + 1, (unsigned char)s[i]);
				width = 1 + SET_BYTES;
				break;
			}
		}
		if (ok) {
			code += width;
			i++;
			continue;
		}
		if (!retry_code || retry_i >= len)
			return false;
		code = retry_code;
		i = ++retry_i;
	}
}

static bool component_match(const struct component *c, const char *s, size_t len)
{
	if (c->kind == COMPONENT_LITERAL)
		return c->len == len && memcmp(c->text, s, len) == 0;
	return glob_match(c, s, len);
}

/* ---- matching ---- */

/* Does PREFIX (absolute, "/" or without trailing slash) lead to PATH or equal it? */
static bool prefix_covers(const char *prefix, size_t prefix_len, const char *path, size_t len)
{
	if (prefix_len == 1)
		return true;
	return len >= prefix_len && memcmp(prefix, path, prefix_len) == 0 &&
	       (len == prefix_len || path[prefix_len] == '/');
}

/* Run the automaton over the components of PATH from FROM on. */
static uint64_t run_tail(const struct pattern *p, const char *path, size_t len, size_t from,
			 size_t *ret_object)
{
	const struct component *tail = p->comps + p->n_literal;
	unsigned n = p->n_comps - p->n_literal;
	uint64_t final = 1ULL << n, last_star = p->doublestars & (final >> 1);
	uint64_t passable = p->doublestars & ~last_star;
	uint64_t live = 1 | (passable & 1) << 1;

	*ret_object = 0;
	while (from < len) {
		const char *s = path + from + 1; /* behind the slash */
		const char *slash = memchr(s, '/', len - from - 1);
		size_t width = slash ? (size_t)(slash - s) : len - from - 1;
		uint64_t next = live & passable, try = live & ~p->doublestars;

		if (live & last_star)
			next |= final;
		for (; try; try &= try - 1) {
			unsigned i = (unsigned)__builtin_ctzll(try);

			if (component_match(&tail[i], s, width))
				next |= 1ULL << (i + 1);
		}
		from += 1 + width;
		if (next & final) {
			*ret_object = from;
			return 0;
		}
		live = next | (next & passable) << 1;
		if (!live)
			return 0;
	}
	return live;
}

uint64_t pattern_states(const struct pattern *p, const char *path, size_t len, size_t *ret_object)
{
	*ret_object = 0;
	if (!prefix_covers(p->prefix, p->prefix_len, path, len))
		return prefix_covers(path, len, p->prefix, p->prefix_len) ? PATTERN_ABOVE : 0;
	if (!p->is_glob) {
		*ret_object = p->prefix_len;
		return 0;
	}
	if (len == 1) /* "/" has no components */
		return run_tail(p, path, 0, 0, ret_object);
	return run_tail(p, path, len, p->prefix_len == 1 ? 0 : p->prefix_len, ret_object);
}

/* A name at any depth, the usual floating pattern, without the automaton. */
static size_t find_name(const struct component *name, const char *path, size_t len, size_t from)
{
	while (from < len) {
		const char *s = path + from + 1;
		size_t left = len - from - 1, width = 0;

		while (width < left && s[width] != '/')
			width++;
		from += 1 + width;
		if (component_match(name, s, width))
			return from;
	}
	return 0;
}

size_t pattern_object(const struct pattern *p, const char *path, size_t len)
{
	size_t object;

	if (!prefix_covers(p->prefix, p->prefix_len, path, len))
		return 0;
	if (!p->is_glob)
		return p->prefix_len;
	if (len == 1)
		return 0;
	if (p->doublestars == 1 && p->n_comps == p->n_literal + 2)
		return find_name(&p->comps[p->n_comps - 1], path, len,
				 p->prefix_len == 1 ? 0 : p->prefix_len);
	run_tail(p, path, len, p->prefix_len == 1 ? 0 : p->prefix_len, &object);
	return object;
}

bool pattern_may_match_below(const struct pattern *p, const char *dir, size_t len)
{
	size_t object;

	return pattern_states(p, dir, len, &object) != 0;
}

bool pattern_equal(const struct pattern *p, const struct pattern *q)
{
	if (p->n_comps != q->n_comps)
		return false;
	for (unsigned i = 0; i < p->n_comps; i++) {
		const struct component *c = &p->comps[i], *d = &q->comps[i];

		if (c->kind != d->kind || c->len != d->len || memcmp(c->text, d->text, c->len) != 0)
			return false;
	}
	return true;
}

/* ---- making ---- */

/* Fill in everything that follows from the components, and the text from TAIL_TEXT for the wildcards. */
static int pattern_seal(struct arena *a, struct pattern *p, const char *tail_text)
{
	size_t len = 0;
	unsigned n_tail;
	char *prefix, *out;

	p->n_literal = 0;
	while (p->n_literal < p->n_comps && p->comps[p->n_literal].kind == COMPONENT_LITERAL)
		len += 1 + p->comps[p->n_literal++].len;
	p->is_glob = p->n_literal < p->n_comps;
	n_tail = p->n_comps - p->n_literal;
	if (n_tail > PATTERN_TAIL_MAX || len > PATTERN_LEN_MAX)
		return -EINVAL;
	prefix = out = arena_alloc(a, len + 2);
	if (!prefix)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_literal; i++) {
		*out++ = '/';
		memcpy(out, p->comps[i].text, p->comps[i].len);
		out += p->comps[i].len;
	}
	if (out == prefix)
		*out++ = '/';
	p->prefix = p->text = prefix;
	p->prefix_len = (uint16_t)(out - prefix);
	p->doublestars = 0;
	for (unsigned i = 0; i < n_tail; i++)
		if (p->comps[p->n_literal + i].kind == COMPONENT_DOUBLESTAR)
			p->doublestars |= 1ULL << i;
	if (p->is_glob) {
		char *text = out = arena_alloc(a, 2 * (size_t)p->prefix_len + strlen(tail_text) + 1);

		if (!text)
			return -ENOMEM;
		for (unsigned i = 0; p->n_literal && i < p->prefix_len; i++) {
			if (is_magic(prefix[i]) || prefix[i] == '\\')
				*out++ = '\\';
			*out++ = prefix[i];
		}
		strcpy(out, tail_text);
		p->text = text;
	}
	return 0;
}

/* The part of the text of glob P that belongs to its tail, from the slash on: no wildcard holds one. */
static const char *tail_text_of(const struct pattern *p)
{
	const char *s = p->text + strlen(p->text);

	for (unsigned n = p->n_comps - p->n_literal; n > 0; n -= *s == '/')
		s--;
	return s;
}

/* One component [FROM, TO) of T. */
static int parse_component(struct arena *a, const struct wordtext *t, size_t from, size_t to,
			   struct component *ret, struct pattern_problem *ret_problem)
{
	struct wordtext part = {t->bytes + from, t->bare + from, to - from};
	bool magic = false;
	int r;

	for (size_t i = 0; i < part.len; i++) {
		if (part.bare[i] && is_magic(part.bytes[i]))
			magic = true;
		if (i > 0 && part.bare[i] && part.bytes[i] == '*' && part.bare[i - 1] &&
		    part.bytes[i - 1] == '*' && part.len != 2)
			return problem(ret_problem,
				       "** must be a whole component: write * here, or **/ before it",
				       from + i - 1);
	}
	if (!magic) {
		*ret = (struct component){COMPONENT_LITERAL, arena_copy(a, part.bytes, part.len), part.len};
		return ret->text ? 0 : -ENOMEM;
	}
	if (part.len == 2 && part.bare[0] && part.bare[1] && memcmp(part.bytes, "**", 2) == 0) {
		*ret = (struct component){COMPONENT_DOUBLESTAR, "**", 2};
		return 0;
	}
	r = glob_compile(a, &part, ret, ret_problem);
	if (r == -EINVAL)
		ret_problem->at += from;
	return r;
}

/* "/" and the component, with a backslash before each literal byte that would be a wildcard. */
static char *append_text(char *out, const struct wordtext *t, size_t from, size_t to)
{
	*out++ = '/';
	for (size_t i = from; i < to; i++) {
		if (!t->bare[i] && is_special(t->bytes[i]))
			*out++ = '\\';
		*out++ = t->bytes[i];
	}
	return out;
}

int pattern_parse(struct arena *a, const struct wordtext *t, struct pattern *ret,
		  struct pattern_problem *ret_problem)
{
	struct pattern p = {0};
	size_t cap = 0, i = 0;
	bool tail = false;
	char *tail_text, *out;
	int r;

	if (t->len > PATTERN_LEN_MAX)
		return problem(ret_problem,
			       "the path is longer than 4095 bytes, the most that the kernel takes", 0);
	tail_text = out = arena_alloc(a, 2 * t->len + 2);
	if (!tail_text)
		return -ENOMEM;
	while (i < t->len) {
		struct component c;
		size_t from;

		while (i < t->len && t->bytes[i] == '/')
			i++;
		from = i;
		while (i < t->len && t->bytes[i] != '/')
			i++;
		if (i == from || (i == from + 1 && t->bytes[from] == '.'))
			continue;
		r = parse_component(a, t, from, i, &c, ret_problem);
		if (r < 0)
			return r;
		if (c.kind != COMPONENT_LITERAL)
			tail = true;
		else if (tail && c.len == 2 && memcmp(c.text, "..", 2) == 0)
			return problem(ret_problem,
				       "\"..\" behind a wildcard has no meaning: write the path without it",
				       from);
		if (c.kind == COMPONENT_DOUBLESTAR && p.n_comps > 0 &&
		    p.comps[p.n_comps - 1].kind == COMPONENT_DOUBLESTAR)
			continue; /* two mean what one means */
		p.comps = arena_grow(a, p.comps, p.n_comps, &cap, sizeof(*p.comps));
		if (!p.comps)
			return -ENOMEM;
		p.comps[p.n_comps++] = c;
		if (tail)
			out = append_text(out, t, from, i);
	}
	r = pattern_seal(a, &p, tail_text);
	if (r == -EINVAL)
		return problem(ret_problem, "more than 63 components from the first wildcard on", 0);
	if (r == 0)
		*ret = p;
	return r;
}

/* Split the absolute PATH into literal components; room for EXTRA more. */
static int split(struct arena *a, const char *path, size_t extra, struct component **ret, unsigned *ret_n)
{
	unsigned n = 0, slashes = 0;

	if (path[0] != '/' || strlen(path) > PATTERN_LEN_MAX)
		return -EINVAL;
	for (const char *s = path; *s; s++)
		slashes += *s == '/';
	*ret = arena_alloc(a, (slashes + extra) * sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	while (*path) {
		size_t width;

		while (*path == '/')
			path++;
		width = strcspn(path, "/");
		if (width == 0)
			break;
		(*ret)[n] = (struct component){COMPONENT_LITERAL, arena_copy(a, path, width), width};
		if (!(*ret)[n++].text)
			return -ENOMEM;
		path += width;
	}
	*ret_n = n;
	return 0;
}

int pattern_literal(struct arena *a, const char *path, struct pattern *ret)
{
	static const struct pattern root;

	return pattern_rebase(a, &root, path, ret);
}

int pattern_rebase(struct arena *a, const struct pattern *p, const char *prefix, struct pattern *ret)
{
	unsigned n, n_tail = p->n_comps - p->n_literal;
	struct pattern q = {0};
	int r = split(a, prefix, n_tail, &q.comps, &n);

	if (r < 0)
		return r;
	if (n_tail > 0)
		memcpy(q.comps + n, p->comps + p->n_literal, n_tail * sizeof(*q.comps));
	q.n_comps = (uint16_t)(n + n_tail);
	r = pattern_seal(a, &q, n_tail > 0 ? tail_text_of(p) : "");
	if (r == 0)
		*ret = q;
	return r;
}
