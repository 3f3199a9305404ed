/* SPDX-License-Identifier: Apache-2.0
 * Accesses counted by path, directory, program, operation or rule.
 */
#include "core/log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sum {
	uint64_t accesses, refused, missing, dur_us;
	opset ops;
	uint32_t number; /* of its key */
};

struct log_groups {
	enum log_group by;
	struct log_table table;
	struct sum *sums;
	size_t cap;
};

static const char *const group_words[] = {
	[GROUP_PATH] = "path", [GROUP_DIR] = "dir",   [GROUP_EXE] = "exe",
	[GROUP_OP] = "op",     [GROUP_RULE] = "rule",
};

size_t log_dir_len(const char *path, size_t len)
{
	while (len > 1 && path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

struct log_groups *log_groups_new(enum log_group by)
{
	struct log_groups *g = calloc(1, sizeof(*g));

	if (g)
		g->by = by;
	return g;
}

void log_groups_free(struct log_groups *g)
{
	if (!g)
		return;
	log_table_done(&g->table);
	free(g->sums);
	free(g);
}

/* A rule's key is its place, a tab and its text. */
static struct record_bytes rule_key(const struct record_line *line, struct text *store)
{
	text_puts(store, line->rule.data ? line->rule.data : "default");
	text_puts(store, "\t");
	text_puts(store, line->rule_text.data ? line->rule_text.data : "");
	return (struct record_bytes){store->data, store->len};
}

static struct record_bytes key_of(enum log_group by, const struct record_line *line, struct text *store)
{
	struct record_bytes key = line->path.data ? line->path : line->address;

	switch (by) {
	case GROUP_DIR:
		if (line->path.data && key.len && key.data[0] == '/')
			key.len = log_dir_len(key.data, key.len);
		return key;
	case GROUP_EXE:
		return line->exe.data ? line->exe : (struct record_bytes){"", 0};
	case GROUP_OP:
		return line->op_word;
	case GROUP_RULE:
		return rule_key(line, store);
	case GROUP_NONE:
	case GROUP_PATH:
		return key;
	}
	return key;
}

static int add_key(struct log_groups *g, struct record_bytes key, const struct record_line *line)
{
	size_t n = g->table.n;
	int64_t i = log_table_add(&g->table, key.data, key.len);
	enum log_verdict v = log_verdict_of(line);
	struct sum *s;

	if (i < 0)
		return (int)i;
	if ((size_t)i >= g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 256;
		struct sum *grown = realloc(g->sums, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		g->sums = grown;
		g->cap = cap;
	}
	s = &g->sums[i];
	if ((size_t)i == n)
		*s = (struct sum){.number = (uint32_t)i};
	s->accesses += line->count;
	s->refused += v == LOG_DENY ? line->count : 0;
	s->missing += v == LOG_MISSING ? line->count : 0;
	s->dur_us += line->dur_us;
	if (line->op < OP_COUNT)
		s->ops |= OPBIT(line->op);
	return 0;
}

int log_groups_add(struct log_groups *g, const struct record_line *line)
{
	struct text store = {0};
	struct record_bytes key;
	int r = 0;

	if (line->type != RECORD_ACCESS)
		return 0;
	key = key_of(g->by, line, &store);
	if (store.failed)
		r = -ENOMEM;
	else if (key.data)
		r = add_key(g, key, line);
	text_done(&store);
	return r;
}

static int by_count(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->accesses != y->accesses)
		return x->accesses > y->accesses ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static void put_key(const struct log_groups *g, const struct log_view *v, struct text *out,
		    struct record_bytes key)
{
	const char *tab = g->by == GROUP_RULE ? memchr(key.data, '\t', key.len) : NULL;

	if (tab) {
		text_escaped(out, key.data, (size_t)(tab - key.data));
		if (tab[1])
			text_puts(out, "  ");
		text_escaped(out, tab + 1, key.len - (size_t)(tab + 1 - key.data));
	} else if ((g->by == GROUP_PATH || g->by == GROUP_DIR) && key.len && key.data[0] == '/') {
		places_show(&v->places, out, key.data, key.len);
		if (g->by == GROUP_DIR && key.len > 1)
			text_puts(out, "/");
	} else {
		text_escaped(out, key.data, key.len);
	}
}

static void put_text(const struct log_groups *g, const struct log_view *v, struct text *out,
		     const struct sum *s)
{
	char ops[128];

	text_printf(out, "%8llu ", (unsigned long long)s->accesses);
	if (v->color && s->refused)
		text_puts(out, "\033[1;31m");
	text_printf(out, "%8llu", (unsigned long long)s->refused);
	if (v->color && s->refused)
		text_puts(out, "\033[0m");
	text_printf(out, " %8llu %10.3f  ", (unsigned long long)s->missing, (double)s->dur_us / 1000);
	if (g->by != GROUP_OP) {
		opset_format(s->ops, ops, sizeof(ops));
		text_printf(out, "%-12s ", ops);
	}
	put_key(g, v, out, g->table.keys[s->number]);
	text_puts(out, "\n");
}

static void put_json(const struct log_groups *g, struct text *out, const struct sum *s)
{
	struct record_bytes key = g->table.keys[s->number];
	const char *tab = g->by == GROUP_RULE ? memchr(key.data, '\t', key.len) : NULL;
	const char *words[OP_COUNT + 1];
	size_t n = 0;

	for (unsigned op = 0; op < OP_COUNT; op++)
		if (s->ops & OPBIT(op))
			words[n++] = op_names[op];
	words[n] = NULL;
	text_printf(out, "{\"type\":\"group\",\"by\":\"%s\"", group_words[g->by]);
	json_field(out, group_words[g->by], key.data, tab ? (size_t)(tab - key.data) : key.len);
	if (tab)
		json_field(out, "rule_text", tab + 1, key.len - (size_t)(tab + 1 - key.data));
	json_field_u64(out, "accesses", s->accesses);
	json_field_u64(out, "refused", s->refused);
	json_field_u64(out, "missing", s->missing);
	json_field_u64(out, "dur_us", s->dur_us);
	json_field_list(out, "ops", words);
	text_puts(out, "}\n");
}

int log_groups_write(const struct log_groups *g, const struct log_view *v, bool json, FILE *f)
{
	struct sum *sorted = calloc(g->table.n + 1, sizeof(*sorted)), total = {0};
	struct text out = {0};
	bool failed = !sorted;

	if (sorted && g->table.n) {
		memcpy(sorted, g->sums, g->table.n * sizeof(*sorted));
		qsort(sorted, g->table.n, sizeof(*sorted), by_count);
	}
	if (!json && g->table.n)
		fprintf(f, "accesses  refused  missing         ms  %s%s\n",
			g->by == GROUP_OP ? "" : "ops          ", group_words[g->by]);
	for (size_t i = 0; sorted && i < g->table.n; i++) {
		text_reset(&out);
		if (json)
			put_json(g, &out, &sorted[i]);
		else
			put_text(g, v, &out, &sorted[i]);
		failed |= out.failed;
		if (!out.failed)
			fwrite(out.data, 1, out.len, f);
		total.accesses += sorted[i].accesses;
		total.refused += sorted[i].refused;
		total.missing += sorted[i].missing;
		total.dur_us += sorted[i].dur_us;
	}
	if (!json && g->table.n > 1)
		fprintf(f, "%8llu %8llu %8llu %10.3f  in all, %zu groups\n",
			(unsigned long long)total.accesses, (unsigned long long)total.refused,
			(unsigned long long)total.missing, (double)total.dur_us / 1000, g->table.n);
	text_done(&out);
	free(sorted);
	return failed ? -ENOMEM : 0;
}
