/* SPDX-License-Identifier: Apache-2.0
 * A line's JSON to a struct record_line.
 *
 * The tables below name each known field once, with its kind and its place. A known field of another kind,
 * a string with a NUL, a hex twin that is no hex, a negative pid: damaged.
 */
#include "core/record/line.h"
#include "policy/arena.h"

#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NESTING_MAX = 8 };

struct line_parser {
	struct json_tokener *tokener;
	struct json_object *root; /* of the last line */
	struct arena arena;	  /* of the last line: decoded hex, lists */
	int64_t version;
};

const char *const record_type_words[RECORD_TYPES] = {
	[RECORD_START] = "start", [RECORD_ACCESS] = "access", [RECORD_EXEC] = "exec", [RECORD_FORK] = "fork",
	[RECORD_EXIT] = "exit",	  [RECORD_ASK] = "ask",	      [RECORD_LOST] = "lost", [RECORD_END] = "end",
};

#define PLACE(member) offsetof(struct record_line, member)

static const struct {
	const char *key;
	size_t place; /* of a struct record_bytes */
} strings[] = {
	{"time", PLACE(time)},
	{"exe", PLACE(exe)},
	{"domain", PLACE(domain)},
	{"syscall", PLACE(syscall)},
	{"op", PLACE(op_word)},
	{"path", PLACE(path)},
	{"path2", PLACE(path2)},
	{"address", PLACE(address)},
	{"by", PLACE(by)},
	{"reply", PLACE(reply)},
	{"rule", PLACE(rule)},
	{"rule_text", PLACE(rule_text)},
	{"layer", PLACE(layer)},
	{"detail", PLACE(detail)},
	{"cwd", PLACE(cwd)},
	{"run", PLACE(run_id)},
	{"name", PLACE(name)},
	{"sluice", PLACE(sluice)},
	{"kernel", PLACE(kernel)},
	{"what", PLACE(what)},
	{"answer", PLACE(answer)},
	{"scope", PLACE(scope)},
	{"answered_by", PLACE(answered_by)},
};

static const struct {
	const char *key;
	size_t place; /* of an int */
	int min, max;
} ints[] = {
	{"pid", PLACE(pid), 0, INT_MAX}, {"tid", PLACE(tid), 0, INT_MAX},   {"ppid", PLACE(ppid), 0, INT_MAX},
	{"errno", PLACE(err), 0, 4095},	 {"status", PLACE(status), 0, 255}, {"signal", PLACE(signal), 0, 255},
};

static const struct {
	const char *key;
	size_t place; /* of a uint64_t */
} counts[] = {
	{"seq", PLACE(seq)},
	{"flags", PLACE(flags)},
	{"count", PLACE(count)},
	{"dur_us", PLACE(dur_us)},
	{"accesses", PLACE(accesses)},
	{"refusals", PLACE(refusals)},
	{"lost_lines", PLACE(lost_lines)},
	{"callers", PLACE(callers)},
};

static const struct {
	const char *key;
	size_t place; /* of an int */
} flags[] = {
	{"exists", PLACE(exists)},
	{"complete", PLACE(complete)},
};

static const struct {
	const char *key;
	size_t place; /* of a struct record_list */
} lists[] = {
	{"argv", PLACE(argv)},
	{"unwatched", PLACE(unwatched)},
};

static void *place_in(struct record_line *line, size_t place)
{
	return (char *)line + place;
}

struct line_parser *line_parser_new(void)
{
	struct line_parser *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->tokener = json_tokener_new_ex(NESTING_MAX);
	if (!p->tokener) {
		free(p);
		return NULL;
	}
	json_tokener_set_flags(p->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return p;
}

static void forget(struct line_parser *p)
{
	json_object_put(p->root);
	p->root = NULL;
	arena_done(&p->arena);
}

void line_parser_free(struct line_parser *p)
{
	if (!p)
		return;
	forget(p);
	json_tokener_free(p->tokener);
	free(p);
}

int64_t line_version(const struct line_parser *p)
{
	return p->version;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_string(struct json_object *o, struct record_bytes *ret)
{
	const char *s = json_object_get_string(o);
	int len = json_object_get_string_len(o);

	if (!json_object_is_type(o, json_type_string) || len < 0 || memchr(s, 0, (size_t)len))
		return -EINVAL;
	*ret = (struct record_bytes){s, (size_t)len};
	return 0;
}

static int take_hex(struct line_parser *p, struct json_object *o, struct record_bytes *ret)
{
	struct record_bytes hex;
	char *bytes;

	if (take_string(o, &hex) < 0 || hex.len % 2)
		return -EINVAL;
	bytes = arena_alloc(&p->arena, hex.len / 2 + 1);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < hex.len / 2; i++) {
		int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);

		if (high < 0 || low < 0 || !(high | low))
			return -EINVAL;
		bytes[i] = (char)(high << 4 | low);
	}
	*ret = (struct record_bytes){bytes, hex.len / 2};
	return 0;
}

static struct json_object *twin_of(const struct json_object *parent, const char *key)
{
	struct json_object *o = NULL;
	char name[32];

	snprintf(name, sizeof(name), "%s_hex", key);
	json_object_object_get_ex(parent, name, &o);
	return o;
}

/* KEY of PARENT, exact. A null is as if it were absent. */
static int take_bytes(struct line_parser *p, const struct json_object *parent, const char *key,
		      struct record_bytes *ret)
{
	struct json_object *o = NULL, *twin;
	int r;

	if (!json_object_object_get_ex(parent, key, &o) || !o)
		return 0;
	r = take_string(o, ret);
	if (r < 0)
		return r;
	twin = memmem(ret->data, ret->len, "\xef\xbf\xbd", 3) ? twin_of(parent, key) : NULL;
	return twin ? take_hex(p, twin, ret) : 0;
}

static int take_list(struct line_parser *p, const struct json_object *parent, const char *key,
		     struct record_list *ret)
{
	struct json_object *o = NULL, *twin;
	struct record_bytes *items;
	size_t n;

	if (!json_object_object_get_ex(parent, key, &o) || !o)
		return 0;
	if (!json_object_is_type(o, json_type_array))
		return -EINVAL;
	n = json_object_array_length(o);
	twin = twin_of(parent, key);
	if (twin && (!json_object_is_type(twin, json_type_array) || json_object_array_length(twin) != n))
		return -EINVAL;
	items = arena_alloc(&p->arena, (n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = twin ? take_hex(p, json_object_array_get_idx(twin, i), &items[i])
			     : take_string(json_object_array_get_idx(o, i), &items[i]);

		if (r < 0)
			return r;
	}
	*ret = (struct record_list){items, n};
	return 0;
}

static int take_number(const struct json_object *parent, const char *key, int64_t min, int64_t max,
		       int64_t *ret)
{
	struct json_object *o = NULL;
	int64_t n;

	if (!json_object_object_get_ex(parent, key, &o) || !o)
		return 0;
	if (!json_object_is_type(o, json_type_int))
		return -EINVAL;
	n = json_object_get_int64(o);
	if (n < min || n > max)
		return -EINVAL;
	*ret = n;
	return 1;
}

static int take_items(struct line_parser *p, const struct json_object *parent, const char *key,
		      const struct record_item **ret, size_t *ret_n)
{
	struct json_object *o = NULL;
	struct record_item *items;
	size_t n;

	if (!json_object_object_get_ex(parent, key, &o) || !o)
		return 0;
	if (!json_object_is_type(o, json_type_array))
		return -EINVAL;
	n = json_object_array_length(o);
	items = arena_alloc(&p->arena, (n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(o, i);
		int64_t fd = -1;
		int r;

		if (!json_object_is_type(item, json_type_object))
			return -EINVAL;
		r = take_bytes(p, item, "path", &items[i].path);
		if (r == 0)
			r = take_bytes(p, item, "sha256", &items[i].sha256);
		if (r == 0)
			r = take_number(item, "fd", 0, INT_MAX, &fd);
		if (r < 0)
			return r;
		items[i].fd = (int)fd;
	}
	*ret = items;
	*ret_n = n;
	return 0;
}

/* "2026-01-02T03:04:05.678901Z"; -1: not understood. */
static int64_t parse_time(struct record_bytes s)
{
	struct tm tm = {0};
	const char *end = s.data ? strptime(s.data, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t seconds, us = 0;

	if (!end)
		return -1;
	seconds = timegm(&tm);
	if (*end == '.') {
		int64_t unit = 100000;

		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			us += (*end - '0') * unit;
	}
	if (end[0] != 'Z' || end[1] || seconds < 0)
		return -1;
	return seconds * 1000000 + us;
}

static int take_scalars(struct line_parser *p, struct record_line *line)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		int r = take_bytes(p, p->root, strings[i].key, place_in(line, strings[i].place));

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
		int64_t n;
		int r = take_number(p->root, ints[i].key, ints[i].min, ints[i].max, &n);

		if (r < 0)
			return r;
		if (r)
			*(int *)place_in(line, ints[i].place) = (int)n;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int64_t n;
		int r = take_number(p->root, counts[i].key, 0, INT64_MAX, &n);

		if (r < 0)
			return r;
		if (r)
			*(uint64_t *)place_in(line, counts[i].place) = (uint64_t)n;
	}
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct json_object *o = NULL;

		if (!json_object_object_get_ex(p->root, flags[i].key, &o) || !o)
			continue;
		if (!json_object_is_type(o, json_type_boolean))
			return -EINVAL;
		*(int *)place_in(line, flags[i].place) = json_object_get_boolean(o);
	}
	return take_number(p->root, "uid", 0, UINT32_MAX, &line->uid);
}

static int take_lists(struct line_parser *p, struct record_line *line)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < sizeof(lists) / sizeof(lists[0]); i++)
		r = take_list(p, p->root, lists[i].key, place_in(line, lists[i].place));
	if (r >= 0 && line->type == RECORD_END)
		r = take_list(p, p->root, "lost", &line->lost);
	if (r >= 0 && line->type == RECORD_START)
		r = take_items(p, p->root, "policies", &line->policies, &line->n_policies);
	if (r >= 0 && line->type == RECORD_START)
		r = take_items(p, p->root, "descriptors", &line->descriptors, &line->n_descriptors);
	return r;
}

static bool is_word(struct record_bytes s, const char *word)
{
	return s.data && strcmp(s.data, word) == 0;
}

/* Words that have a number here. */
static int take_words(struct line_parser *p, struct record_line *line)
{
	struct record_bytes verdict = {0};
	int r = take_bytes(p, p->root, "verdict", &verdict);

	if (r < 0)
		return r;
	if (verdict.data)
		line->verdict = is_word(verdict, "allow")  ? RECORD_ALLOW
				: is_word(verdict, "deny") ? RECORD_DENY
							   : RECORD_UNDECIDED;
	for (unsigned op = 0; op < OP_COUNT; op++)
		if (is_word(line->op_word, op_names[op]))
			line->op = op;
	return 0;
}

static int check_version(struct line_parser *p)
{
	int r;

	p->version = -1;
	r = take_number(p->root, "v", INT64_MIN, INT64_MAX, &p->version);
	return r <= 0 ? -EINVAL : p->version == RECORD_MAJOR ? 0 : -EPROTO;
}

/* JSON has none in its strings, which the parser lets pass. */
static bool has_controls(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 && s[i] != '\t' && s[i] != '\r')
			return true;
	return false;
}

/* Of a type that a later version may write: its other fields may be of any kind. */
static int take_common(struct line_parser *p, struct record_line *line)
{
	int64_t seq = 0;
	int r = take_bytes(p, p->root, "time", &line->time);

	if (r >= 0)
		r = take_number(p->root, "seq", 0, INT64_MAX, &seq);
	line->seq = (uint64_t)seq;
	return r;
}

static int take_all(struct line_parser *p, struct record_line *line)
{
	int r = line->type == RECORD_START ? check_version(p) : 0;

	if (r >= 0)
		r = take_scalars(p, line);
	if (r >= 0)
		r = take_lists(p, line);
	return r < 0 ? r : take_words(p, line);
}

int line_parse(struct line_parser *p, const char *s, size_t len, struct record_line *ret)
{
	struct record_line line = {.raw = {s, len},
				   .op = OP_COUNT,
				   .exists = -1,
				   .complete = -1,
				   .status = -1,
				   .uid = -1,
				   .count = 1};
	struct record_bytes type = {0};
	int r;

	forget(p);
	if (len > INT_MAX || has_controls(s, len))
		return -EINVAL;
	json_tokener_reset(p->tokener);
	p->root = json_tokener_parse_ex(p->tokener, s, (int)len);
	if (!p->root || json_tokener_get_parse_end(p->tokener) != len ||
	    !json_object_is_type(p->root, json_type_object))
		return -EINVAL;
	r = take_bytes(p, p->root, "type", &type);
	if (r < 0 || !type.data)
		return r < 0 ? r : -EINVAL;
	for (unsigned i = RECORD_START; i < RECORD_TYPES; i++)
		if (is_word(type, record_type_words[i]))
			line.type = i;
	if (line.type == RECORD_OTHER)
		r = take_common(p, &line);
	else
		r = take_all(p, &line);
	if (r < 0)
		return r;
	line.time_us = parse_time(line.time);
	line.json = p->root;
	*ret = line;
	return 0;
}
