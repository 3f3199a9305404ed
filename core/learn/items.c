/* SPDX-License-Identifier: Apache-2.0
 * From facts to items: what is dangerous is put aside, names made by chance become patterns, a directory that
 * the runs made stands for all that is beneath it, and names that a rename joins need the same (else the move
 * would change verdicts, and be refused with EXDEV).
 */
#include "core/learn/lines.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int learn_path_order(const char *a, size_t a_len, const char *b, size_t b_len)
{
	for (size_t i = 0; i < a_len && i < b_len; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		if (x != y)
			return x == '/' ? -1 : y == '/' ? 1 : x < y ? -1 : 1;
	}
	return a_len < b_len ? -1 : a_len > b_len;
}

void tally_merge(struct tally_of *to, const struct tally_of *from)
{
	to->count += from->count;
	to->names += from->names;
	to->more_programs |= from->more_programs;
	for (unsigned i = 0; i < from->n_programs; i++) {
		unsigned k = 0;

		while (k < to->n_programs && to->programs[k] != from->programs[i])
			k++;
		if (k < to->n_programs)
			continue;
		if (to->n_programs < FACT_PROGRAMS)
			to->programs[to->n_programs++] = from->programs[i];
		else
			to->more_programs = true;
	}
}

static void classify(struct item *item, opset needs, bool dir)
{
	item->exact |= needs;
	item->dir |= dir;
	item->classes[LEARN_READ] |= needs & (OPBIT(OP_READ) | OPBIT(OP_LIST));
	item->classes[LEARN_EXEC] |= needs & OPBIT(OP_EXEC);
	item->classes[LEARN_WRITE] |= needs & (OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE));
	item->classes[LEARN_META] |= needs & OPBIT(OP_META);
	item->classes[LEARN_CONNECT] |= needs & OPBIT(OP_CONNECT);
}

static int add_item(struct learned *l, const struct item *item)
{
	if (l->n_items == l->cap_items) {
		size_t cap = l->cap_items ? l->cap_items * 2 : 256;
		struct item *grown = realloc(l->items, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->items = grown;
		l->cap_items = cap;
	}
	l->items[l->n_items++] = *item;
	return 0;
}

static int put_aside(struct learned *l, const struct fact *f)
{
	if (l->n_dangers == l->cap_dangers) {
		size_t cap = l->cap_dangers ? l->cap_dangers * 2 : 32;
		const struct fact **grown = realloc(l->dangers, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->dangers = grown;
		l->cap_dangers = cap;
	}
	l->dangers[l->n_dangers++] = f;
	return 0;
}

/* The outermost directory at or above F that the runs made; its length, or that of F. */
static size_t made_above(const struct learn_input *in, const struct fact *f, const struct fact **ret)
{
	*ret = NULL;
	for (size_t i = 1; i <= f->len; i++) {
		const struct fact *dir;

		if (i < f->len && f->path[i] != '/')
			continue;
		dir = facts_find(in->facts, f->path, i);
		if (dir && dir->ever_made && dir->dir && !dir->replaced && !learn_is_boundary(in, f->path, i) &&
		    !learn_is_kept_git(in, f->path, i)) {
			*ret = dir;
			return i;
		}
	}
	return f->len;
}

static const struct fact *joined(const struct learn_input *in, const struct fact *f)
{
	size_t len;
	const struct fact *dir;

	len = made_above(in, f, &dir);
	(void)len;
	return dir ? dir : f;
}

/* PATH up to LEN, its last component as a pattern if the runs made or removed OF, which has that name, and if no
 * dangerous name could be meant by that: a record may have been made for it. */
static int name_item(const struct learn_input *in, struct item *item, const char *path, size_t len,
		     const struct fact *of)
{
	bool temporary = of && of->temporary && of->gone;
	size_t start = len;
	char pattern[2 * NAME_MAX + 8];
	size_t n = 0;

	while (start > 0 && path[start - 1] != '/')
		start--;
	if (of && (of->ever_made || of->removed))
		n = learn_pattern(path + start, len - start, temporary, pattern, sizeof(pattern));
	if (n && learn_is_dangerous_glob(in, path, start - 1, pattern))
		n = 0;
	item->path = malloc(len + n + 1);
	if (!item->path)
		return -ENOMEM;
	memcpy(item->path, path, n ? start : len);
	memcpy(item->path + (n ? start : len), pattern, n);
	item->len = n ? start + n : len;
	item->path[item->len] = '\0';
	item->pattern = n ? start : 0;
	return 0;
}

/* The nearest directory above F that was there before the runs; its length. */
static size_t old_directory(const struct learn_input *in, const struct fact *f)
{
	size_t len = f->len;

	while (len > 1) {
		const struct fact *dir;

		while (len > 1 && f->path[len - 1] != '/')
			len--;
		if (len > 1)
			len--;
		dir = facts_find(in->facts, f->path, len);
		if (!dir || !dir->ever_made || dir->replaced)
			break;
	}
	return len;
}

/* The kernel can be told what may be executed only of what is there at the start: for a program that the runs
 * made, that is a directory above it. */
static int add_new_program(const struct learn_input *in, struct learned *l, const struct fact *f)
{
	size_t len = old_directory(in, f);
	struct item item = {.len = len, .tally = {.count = f->count, .names = 1}};
	int r;

	if (learn_is_boundary(in, f->path, len))
		return put_aside(l, f);
	r = name_item(in, &item, f->path, len, NULL);
	if (r < 0)
		return r;
	item.tally.n_programs = f->n_programs;
	memcpy(item.tally.programs, f->programs, sizeof(f->programs));
	classify(&item, OPBIT(OP_EXEC), true);
	item.whole[LEARN_EXEC] = true;
	r = add_item(l, &item);
	if (r < 0)
		free(item.path);
	return r;
}

static int add_fact(const struct learn_input *in, struct learned *l, const struct fact *f, opset needs)
{
	const struct fact *made;
	size_t len = made_above(in, f, &made);
	struct item item = {0};
	int r = name_item(in, &item, f->path, len, made ? made : f);

	if (r < 0)
		return r;
	for (unsigned c = 0; c < LEARN_CLASSES; c++)
		item.whole[c] = made != NULL;
	item.tally = (struct tally_of){.count = f->count, .names = 1, .more_programs = f->more_programs > 0};
	item.tally.n_programs = f->n_programs;
	memcpy(item.tally.programs, f->programs, sizeof(f->programs));
	classify(&item, needs, f->dir || made);
	if (made)
		classify(&item, OPBIT(OP_CREATE), true);
	r = add_item(l, &item);
	if (r < 0)
		free(item.path);
	return r;
}

static int by_path(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = learn_path_order(x->path, x->len, y->path, y->len);

	return r ? r : (x->pattern > y->pattern) - (x->pattern < y->pattern);
}

/* Equal names become one item. */
static void merge_items(struct learned *l)
{
	size_t kept = 0;

	if (!l->n_items)
		return;
	qsort(l->items, l->n_items, sizeof(*l->items), by_path);
	for (size_t i = 0; i < l->n_items; i++) {
		struct item *last = kept ? &l->items[kept - 1] : NULL, *item = &l->items[i];

		if (!last || by_path(last, item) != 0) {
			l->items[kept++] = *item;
			continue;
		}
		for (unsigned c = 0; c < LEARN_CLASSES; c++) {
			last->classes[c] |= item->classes[c];
			last->whole[c] |= item->whole[c];
		}
		last->exact |= item->exact;
		last->dir |= item->dir;
		tally_merge(&last->tally, &item->tally);
		free(item->path);
	}
	l->n_items = kept;
}

static struct item *find_item(struct learned *l, const struct learn_input *in, const struct fact *f)
{
	struct item key = {0};
	const struct fact *at = joined(in, f);
	struct item *found = NULL;

	if (name_item(in, &key, at->path, at->len, at) < 0)
		return NULL;
	if (l->n_items)
		found = bsearch(&key, l->items, l->n_items, sizeof(key), by_path);
	free(key.path);
	return found;
}

static bool take_over(struct item *to, const struct item *from)
{
	bool changed = false;

	for (unsigned c = 0; c < LEARN_CLASSES; c++) {
		changed |= from->classes[c] && !to->classes[c];
		to->classes[c] |= from->classes[c];
	}
	to->exact |= from->exact;
	return changed;
}

/* What is renamed takes the verdicts of its new name: they must not be looser. For a directory they must be
 * the same. */
static void join_moves(const struct learn_input *in, struct learned *l)
{
	size_t n;
	const struct fact_move *moves = facts_moves(in->facts, &n);
	bool changed = true;

	for (unsigned round = 0; changed && round < 8; round++) {
		changed = false;
		for (size_t i = 0; i < n; i++) {
			struct item *from = find_item(l, in, moves[i].from), *to = find_item(l, in, moves[i].to);

			if (!from || !to || from == to)
				continue;
			changed |= take_over(from, to);
			if (moves[i].from->dir)
				changed |= take_over(to, from);
		}
	}
}

static bool is_beneath(const struct fact *f, const struct fact *dir)
{
	return f->len > dir->len && memcmp(f->path, dir->path, dir->len) == 0 && f->path[dir->len] == '/';
}

/* A directory that no line may name. Whoever may create something in it may make it. */
static int add_boundary(const struct learn_input *in, struct learned *l, size_t i, opset needs)
{
	const opset changes = OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META);
	size_t n;
	const struct fact *const *all = facts_sorted(in->facts, &n);
	const struct fact *dir = all[i];

	for (size_t k = i + 1; k < n && needs & OPBIT(OP_CREATE) && strncmp(all[k]->path, dir->path, dir->len) == 0; k++)
		if (is_beneath(all[k], dir) && all[k]->ever_made)
			needs &= (opset)~OPBIT(OP_CREATE);
	if (needs & changes)
		return put_aside(l, dir);
	return needs ? add_fact(in, l, dir, needs) : 0;
}

int learn_items(const struct learn_input *in, struct learned *l)
{
	size_t n;
	const struct fact *const *all = facts_sorted(in->facts, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *reason;
		opset needs = learn_needs(in, all[i], &reason);

		if (!needs)
			continue;
		if (!reason && needs & OPBIT(OP_EXEC) && all[i]->ever_made) {
			r = add_new_program(in, l, all[i]);
			needs &= (opset)~OPBIT(OP_EXEC);
		}
		if (r == 0 && !reason && all[i]->dir && learn_is_boundary(in, all[i]->path, all[i]->len))
			r = add_boundary(in, l, i, needs);
		else if (r == 0)
			r = reason ? put_aside(l, all[i]) : needs ? add_fact(in, l, all[i], needs) : 0;
	}
	if (r < 0)
		return r;
	merge_items(l);
	join_moves(in, l);
	return 0;
}
