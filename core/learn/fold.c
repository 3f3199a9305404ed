/* SPDX-License-Identifier: Apache-2.0
 * From items to lines. The rule, the same for each class of operations (reading, executing, writing, metadata,
 * connecting): a directory in which three names or more need it, whatever is beneath them, becomes one line for
 * the directory; the highest such directory is taken that is no boundary. Other names stay alone.
 */
#include "core/learn/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fold {
	const struct learn_input *in;
	struct learned *l;
	enum learn_class class;
	int error;
};

static void add_line(struct fold *f, const struct line *line)
{
	struct learned *l = f->l;

	if (l->n_lines == l->cap_lines) {
		size_t cap = l->cap_lines ? l->cap_lines * 2 : 128;
		struct line *grown = realloc(l->lines, cap * sizeof(*grown));

		if (!grown) {
			f->error = -ENOMEM;
			return;
		}
		l->lines = grown;
		l->cap_lines = cap;
	}
	l->lines[l->n_lines++] = *line;
}

static void emit_alone(struct fold *f, const struct item *item)
{
	struct line line = {
		.path = item->path, .len = item->len, .pattern = item->pattern, .beneath = item->whole[f->class],
		.dir = item->dir,
		.exact = item->exact, .tally = item->tally,
	};

	line.classes[f->class] = true;
	add_line(f, &line);
}

/* The directory DIR_LEN bytes long of ITEM's name, for all of lo..hi. */
static void emit_directory(struct fold *f, size_t lo, size_t hi, size_t dir_len)
{
	struct line line = {.path = f->l->items[lo].path, .len = dir_len, .beneath = true, .dir = true};

	line.classes[f->class] = true;
	for (size_t i = lo; i < hi; i++)
		if (f->l->items[i].classes[f->class])
			tally_merge(&line.tally, &f->l->items[i].tally);
	add_line(f, &line);
}

/* Where the items end that have the same component behind DIR_LEN as item AT. */
static size_t end_of_child(const struct fold *f, size_t at, size_t hi, size_t dir_len, size_t *ret_len)
{
	const struct item *first = &f->l->items[at];
	size_t start = dir_len == 1 ? 1 : dir_len + 1, len = start;

	while (len < first->len && first->path[len] != '/')
		len++;
	*ret_len = len;
	for (at++; at < hi; at++) {
		const struct item *item = &f->l->items[at];

		if (item->len < len || memcmp(item->path, first->path, len) != 0 ||
		    (item->len > len && item->path[len] != '/'))
			break;
	}
	return at;
}

static bool has_class(const struct fold *f, size_t lo, size_t hi)
{
	for (size_t i = lo; i < hi; i++)
		if (f->l->items[i].classes[f->class])
			return true;
	return false;
}

/* Whoever may write beneath a directory could write in a repository there: also in those that no record names. */
static bool may_stand_for_all(const struct fold *f, const char *dir, size_t len)
{
	bool changes = f->class == LEARN_WRITE || f->class == LEARN_META;

	return f->class != LEARN_CONNECT && !learn_is_boundary(f->in, dir, len) &&
	       !(changes && learned_keeps(f->l, dir, len));
}

/* Items lo..hi are at or beneath the directory that is the first DIR_LEN bytes of their names. */
static void fold(struct fold *f, size_t lo, size_t hi, size_t dir_len)
{
	const struct item *own = f->l->items[lo].len == dir_len && dir_len > 1 ? &f->l->items[lo] : NULL;
	size_t children = 0, child_len;

	if (own && own->whole[f->class] && own->classes[f->class]) {
		emit_directory(f, lo, hi, dir_len);
		return;
	}
	for (size_t i = lo + (own != NULL), end; i < hi; i = end) {
		end = end_of_child(f, i, hi, dir_len, &child_len);
		children += has_class(f, i, end);
	}
	if (children >= LEARN_SIBLINGS && may_stand_for_all(f, f->l->items[lo].path, dir_len)) {
		emit_directory(f, lo, hi, dir_len);
		return;
	}
	if (own && own->classes[f->class])
		emit_alone(f, own);
	for (size_t i = lo + (own != NULL), end; i < hi && !f->error; i = end) {
		end = end_of_child(f, i, hi, dir_len, &child_len);
		if (has_class(f, i, end))
			fold(f, i, end, child_len);
	}
}

static int by_place(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return learn_path_order(x->path, x->len, y->path, y->len);
}

/* Lines of different classes and one name become one. */
static void merge_lines(struct learned *l)
{
	size_t kept = 0;

	if (!l->n_lines)
		return;
	qsort(l->lines, l->n_lines, sizeof(*l->lines), by_place);
	for (size_t i = 0; i < l->n_lines; i++) {
		struct line *last = kept ? &l->lines[kept - 1] : NULL, *line = &l->lines[i];
		struct tally_of tally;

		if (!last || by_place(last, line) != 0) {
			l->lines[kept++] = *line;
			continue;
		}
		for (unsigned c = 0; c < LEARN_CLASSES; c++)
			last->classes[c] |= line->classes[c];
		last->exact |= line->exact;
		last->beneath |= line->beneath;
		last->dir |= line->dir;
		/* Both count the same names: the larger says more. */
		tally = last->tally.names >= line->tally.names ? last->tally : line->tally;
		tally_merge(&tally, last->tally.names >= line->tally.names ? &line->tally : &last->tally);
		tally.names = last->tally.names > line->tally.names ? last->tally.names : line->tally.names;
		tally.count = last->tally.count > line->tally.count ? last->tally.count : line->tally.count;
		last->tally = tally;
	}
	l->n_lines = kept;
}

/* Is all that LINE gives given by a directory above it already? */
static bool is_covered(const struct learned *l, const struct line *line)
{
	for (size_t i = 0; i < l->n_lines; i++) {
		const struct line *above = &l->lines[i];
		bool all = true;

		if (above->pattern || !above->beneath || above->len >= line->len || line->path[above->len] != '/' ||
		    memcmp(above->path, line->path, above->len) != 0)
			continue;
		for (unsigned c = 0; c < LEARN_CLASSES; c++)
			all &= !line->classes[c] || above->classes[c] ||
			       (c == LEARN_READ && (above->classes[LEARN_WRITE] || above->classes[LEARN_EXEC])) ||
			       (c == LEARN_META && above->classes[LEARN_WRITE]);
		if (all)
			return true;
	}
	return false;
}

int learn_fold(const struct learn_input *in, struct learned *l)
{
	struct fold f = {.in = in, .l = l};
	size_t kept = 0;

	for (f.class = 0; f.class < LEARN_CLASSES && l->n_items && !f.error; f.class++)
		fold(&f, 0, l->n_items, 1);
	if (f.error)
		return f.error;
	merge_lines(l);
	for (size_t i = 0; i < l->n_lines; i++) {
		struct line line = l->lines[i];

		if (!is_covered(l, &line))
			l->lines[kept++] = line;
	}
	l->n_lines = kept;
	return 0;
}

void learned_done(struct learned *l)
{
	for (size_t i = 0; i < l->n_items; i++)
		free(l->items[i].path);
	for (size_t i = 0; i < l->n_repositories; i++)
		free(l->repositories[i].path);
	free(l->repositories);
	free(l->items);
	free(l->lines);
	free(l->dangers);
	*l = (struct learned){0};
}
