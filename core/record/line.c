/* SPDX-License-Identifier: Apache-2.0
 * A line's JSON to a struct record_line.
 *
 * The table below names each known field once, with its kind and its place; a small hash of its own finds
 * them, since a line has some twenty. A known field of another kind, a string with a NUL, a hex twin that is
 * no hex, a negative pid: damaged.
 */
#include "core/record/line.h"
#include "policy/arena.h"

#include <assert.h>
#include <errno.h>
#include <json.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NESTING_MAX = 8 };

const char *const record_type_words[RECORD_TYPES] = {
	[RECORD_START] = "start", [RECORD_ACCESS] = "access", [RECORD_EXEC] = "exec", [RECORD_FORK] = "fork",
	[RECORD_EXIT] = "exit",	  [RECORD_ASK] = "ask",	      [RECORD_LOST] = "lost", [RECORD_END] = "end",
};

/* What a known field is, and where it goes. */
enum kind {
	STRING, /* struct record_bytes */
	NUMBER, /* int */
	COUNT,	/* uint64_t */
	FLAG,	/* int: 1, 0 */
	LIST,	/* struct record_list */
};

#define FIELD(kind, member, ...) kind, offsetof(struct record_line, member), __VA_ARGS__

static const struct field {
	const char *key;
	enum kind kind;
	size_t place;
	int min, max; /* of a NUMBER */
} fields[] = {
	{"time", FIELD(STRING, time)},
	{"exe", FIELD(STRING, exe)},
	{"domain", FIELD(STRING, domain)},
	{"syscall", FIELD(STRING, syscall)},
	{"op", FIELD(STRING, op_word)},
	{"path", FIELD(STRING, path)},
	{"path2", FIELD(STRING, path2)},
	{"address", FIELD(STRING, address)},
	{"verdict", FIELD(STRING, verdict_word)},
	{"by", FIELD(STRING, by)},
	{"reply", FIELD(STRING, reply)},
	{"rule", FIELD(STRING, rule)},
	{"rule_text", FIELD(STRING, rule_text)},
	{"layer", FIELD(STRING, layer)},
	{"detail", FIELD(STRING, detail)},
	{"cwd", FIELD(STRING, cwd)},
	{"run", FIELD(STRING, run_id)},
	{"name", FIELD(STRING, name)},
	{"sluice", FIELD(STRING, sluice)},
	{"kernel", FIELD(STRING, kernel)},
	{"what", FIELD(STRING, what)},
	{"answer", FIELD(STRING, answer)},
	{"scope", FIELD(STRING, scope)},
	{"answered_by", FIELD(STRING, answered_by)},
	{"pid", FIELD(NUMBER, pid, 0, INT_MAX)},
	{"tid", FIELD(NUMBER, tid, 0, INT_MAX)},
	{"ppid", FIELD(NUMBER, ppid, 0, INT_MAX)},
	{"errno", FIELD(NUMBER, err, 0, 4095)},
	{"status", FIELD(NUMBER, status, 0, 255)},
	{"signal", FIELD(NUMBER, signal, 0, 255)},
	{"seq", FIELD(COUNT, seq)},
	{"flags", FIELD(COUNT, flags)},
	{"count", FIELD(COUNT, count)},
	{"dur_us", FIELD(COUNT, dur_us)},
	{"accesses", FIELD(COUNT, accesses)},
	{"refusals", FIELD(COUNT, refusals)},
	{"lost_lines", FIELD(COUNT, lost_lines)},
	{"callers", FIELD(COUNT, callers)},
	{"exists", FIELD(FLAG, exists)},
	{"dir", FIELD(FLAG, dir)},
	{"looks", FIELD(FLAG, looks)},
	{"home", FIELD(STRING, home)},
	{"tmpdir", FIELD(STRING, tmpdir)},
	{"complete", FIELD(FLAG, complete)},
	{"argv", FIELD(LIST, argv)},
	{"unwatched", FIELD(LIST, unwatched)},
};

enum { SLOTS = 256 };
static_assert(2 * sizeof(fields) / sizeof(fields[0]) <= SLOTS, "few collisions");

struct line_parser {
	struct json_tokener *tokener;
	struct json_object *root; /* of the last line */
	struct arena arena;	  /* of the last line: decoded hex, lists */
	int64_t version;
	uint8_t slots[SLOTS]; /* the number of a field plus one */
};

static void *place_in(struct record_line *line, size_t place)
{
	return (char *)line + place;
}

/* The slot of KEY, or the free one where it would be. */
static uint8_t *slot_of(struct line_parser *p, const char *key)
{
	uint32_t h = 0;

	for (const char *c = key; *c; c++)
		h = h * 33 + (unsigned char)*c;
	for (;; h++) {
		uint8_t *slot = &p->slots[h % SLOTS];

		if (!*slot || strcmp(fields[*slot - 1].key, key) == 0)
			return slot;
	}
}

struct line_parser *line_parser_new(void)
{
	struct line_parser *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*slot_of(p, fields[i].key) = (uint8_t)(i + 1);
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

/* O, which is KEY of PARENT, exact. */
static int take_exact(struct line_parser *p, const struct json_object *parent, const char *key,
		      struct json_object *o, struct record_bytes *ret)
{
	struct json_object *twin;
	int r = take_string(o, ret);

	if (r < 0)
		return r;
	twin = memmem(ret->data, ret->len, "\xef\xbf\xbd", 3) ? twin_of(parent, key) : NULL;
	return twin ? take_hex(p, twin, ret) : 0;
}

/* The same of a KEY that may be absent; a null is as if it were. */
static int take_bytes(struct line_parser *p, const struct json_object *parent, const char *key,
		      struct record_bytes *ret)
{
	struct json_object *o = NULL;

	return json_object_object_get_ex(parent, key, &o) && o ? take_exact(p, parent, key, o, ret) : 0;
}

static int take_list(struct line_parser *p, const char *key, struct json_object *o, struct record_list *ret)
{
	struct json_object *twin = twin_of(p->root, key);
	struct record_bytes *items;
	size_t n;

	if (!json_object_is_type(o, json_type_array))
		return -EINVAL;
	n = json_object_array_length(o);
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

static int take_int(struct json_object *o, int64_t min, int64_t max, int64_t *ret)
{
	int64_t n;

	if (!json_object_is_type(o, json_type_int))
		return -EINVAL;
	n = json_object_get_int64(o);
	if (n < min || n > max)
		return -EINVAL;
	*ret = n;
	return 1;
}

/* KEY of PARENT: 1, 0 if it is absent or null. */
static int take_number(const struct json_object *parent, const char *key, int64_t min, int64_t max,
		       int64_t *ret)
{
	struct json_object *o = NULL;

	return json_object_object_get_ex(parent, key, &o) && o ? take_int(o, min, max, ret) : 0;
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

static int take_field(struct line_parser *p, const struct field *f, struct json_object *o,
		      struct record_line *line)
{
	void *place = place_in(line, f->place);
	int64_t n;
	int r;

	switch (f->kind) {
	case STRING:
		return take_exact(p, p->root, f->key, o, place);
	case NUMBER:
		r = take_int(o, f->min, f->max, &n);
		if (r > 0)
			*(int *)place = (int)n;
		return r;
	case COUNT:
		r = take_int(o, 0, INT64_MAX, &n);
		if (r > 0)
			*(uint64_t *)place = (uint64_t)n;
		return r;
	case FLAG:
		if (!json_object_is_type(o, json_type_boolean))
			return -EINVAL;
		*(int *)place = json_object_get_boolean(o);
		return 0;
	case LIST:
		return take_list(p, f->key, o, place);
	}
	return -EINVAL;
}

static int take_fields(struct line_parser *p, struct record_line *line)
{
	json_object_object_foreach(p->root, key, value)
	{
		const uint8_t *slot = slot_of(p, key);
		int r = *slot && value ? take_field(p, &fields[*slot - 1], value, line) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* What has a meaning in lines of one type only. */
static int take_of_type(struct line_parser *p, struct record_line *line)
{
	struct json_object *o = NULL;
	int r = 0;

	if (line->type == RECORD_END && json_object_object_get_ex(p->root, "lost", &o) && o)
		return take_list(p, "lost", o, &line->lost);
	if (line->type != RECORD_START)
		return 0;
	r = take_items(p, p->root, "policies", &line->policies, &line->n_policies);
	if (r >= 0)
		r = take_items(p, p->root, "descriptors", &line->descriptors, &line->n_descriptors);
	return r < 0 ? r : take_number(p->root, "uid", 0, UINT32_MAX, &line->uid);
}

static bool is_word(struct record_bytes s, const char *word)
{
	return s.data && strcmp(s.data, word) == 0;
}

/* Words that have a number here. */
static void take_words(struct record_line *line)
{
	if (is_word(line->verdict_word, "allow"))
		line->verdict = RECORD_ALLOW;
	if (is_word(line->verdict_word, "deny"))
		line->verdict = RECORD_DENY;
	for (unsigned op = 0; line->op_word.data && op < OP_COUNT; op++)
		if (is_word(line->op_word, op_names[op]))
			line->op = op;
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
		r = take_fields(p, line);
	if (r >= 0)
		r = take_of_type(p, line);
	take_words(line);
	return r;
}

int line_parse(struct line_parser *p, const char *s, size_t len, struct record_line *ret)
{
	struct record_line line = {.raw = {s, len},
				   .op = OP_COUNT,
				   .exists = -1, .dir = -1, .looks = -1,
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
