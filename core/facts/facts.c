/* SPDX-License-Identifier: Apache-2.0
 * The table of names, and what each line of a record changes in it.
 */
#include "core/facts/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (1 << 20)
/* Whoever floods the table with names makes the result incomplete, not the memory full. */
#define NAMES_MAX (4u << 20)
#define MOVES_MAX (1u << 20)

struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

/* Facts in the order in which they came, and a hash table of them. */
struct table {
	struct fact **items;
	size_t n, cap;
	struct fact **slots; /* open addressing */
	size_t n_slots;
	const struct fact **sorted;
	bool is_sorted;
};

struct facts {
	struct table names, addresses;
	struct chunk *chunks;
	struct fact_run *runs;
	size_t n_runs;
	struct fact_move *moves;
	size_t n_moves, cap_moves;
	const char **programs;
	size_t n_programs, cap_programs;
	const char **losses;
	size_t n_losses;
};

struct facts *facts_new(void)
{
	return calloc(1, sizeof(struct facts));
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->items[i]);
	free(t->items);
	free(t->slots);
	free(t->sorted);
}

void facts_free(struct facts *f)
{
	if (!f)
		return;
	table_free(&f->names);
	table_free(&f->addresses);
	for (struct chunk *c = f->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	for (size_t i = 0; i < f->n_runs; i++)
		free(f->runs[i].argv);
	free(f->runs);
	free(f->moves);
	free(f->programs);
	free(f->losses);
	free(f);
}

/* A copy that lives as long as F. */
static char *keep(struct facts *f, const char *s, size_t len)
{
	struct chunk *c = f->chunks;
	char *copy;

	if (!c || c->size - c->used <= len) {
		size_t size = len + 1 > CHUNK ? len + 1 : CHUNK;

		c = malloc(sizeof(*c) + size);
		if (!c)
			return NULL;
		*c = (struct chunk){.next = f->chunks, .size = size};
		f->chunks = c;
	}
	copy = c->bytes + c->used;
	memcpy(copy, s, len);
	copy[len] = '\0';
	c->used += len + 1;
	return copy;
}

static size_t slot_of(const struct table *t, const char *path, size_t len)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 1099511628211ULL;
	h ^= h >> 32;
	for (size_t i = h & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1)) {
		const struct fact *at = t->slots[i];

		if (!at || (at->len == len && memcmp(at->path, path, len) == 0))
			return i;
	}
}

static int grow(struct table *t)
{
	size_t n_slots = t->n_slots ? t->n_slots * 2 : 1024;
	struct fact **items = realloc(t->items, n_slots / 2 * sizeof(struct fact *));
	struct fact **slots;

	if (!items)
		return -ENOMEM;
	t->items = items;
	t->cap = n_slots / 2;
	slots = calloc(n_slots, sizeof(struct fact *));
	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	for (size_t i = 0; i < t->n; i++)
		slots[slot_of(t, t->items[i]->path, t->items[i]->len)] = t->items[i];
	return 0;
}

static struct fact *table_get(struct facts *f, struct table *t, const char *path, size_t len)
{
	struct fact *fact;
	size_t slot;

	if (t->n == t->cap && grow(t) < 0)
		return NULL;
	slot = slot_of(t, path, len);
	if (t->slots[slot])
		return t->slots[slot];
	fact = calloc(1, sizeof(*fact));
	if (!fact)
		return NULL;
	fact->path = keep(f, path, len);
	if (!fact->path) {
		free(fact);
		return NULL;
	}
	fact->len = len;
	t->slots[slot] = t->items[t->n++] = fact;
	t->is_sorted = false;
	return fact;
}

const struct fact *facts_find(const struct facts *f, const char *path, size_t len)
{
	return f->names.n_slots ? f->names.slots[slot_of(&f->names, path, len)] : NULL;
}

static int program_index(struct facts *f, const struct record_bytes *exe)
{
	for (size_t i = f->n_programs; i-- > 0;)
		if (strcmp(f->programs[i], exe->data) == 0)
			return (int)i;
	if (f->n_programs == f->cap_programs) {
		size_t cap = f->cap_programs ? f->cap_programs * 2 : 64;
		const char **grown = cap > UINT16_MAX ? NULL : realloc(f->programs, cap * sizeof(*grown));

		if (!grown)
			return -1;
		f->programs = grown;
		f->cap_programs = cap;
	}
	f->programs[f->n_programs] = keep(f, exe->data, exe->len);
	return f->programs[f->n_programs] ? (int)f->n_programs++ : -1;
}

static void touch(struct facts *f, struct fact *fact, const struct record_line *line)
{
	int program = line->exe.data ? program_index(f, &line->exe) : -1;

	fact->count += line->count;
	if (fact->last_run != f->n_runs) {
		fact->last_run = (unsigned)f->n_runs;
		fact->runs++;
	}
	if (program < 0)
		return;
	for (unsigned i = 0; i < fact->n_programs; i++)
		if (fact->programs[i] == program)
			return;
	if (fact->n_programs < FACT_PROGRAMS)
		fact->programs[fact->n_programs++] = (uint16_t)program;
	else
		fact->more_programs++;
}

static bool is_below(const char *path, size_t len, const char *dir)
{
	size_t n = dir ? strlen(dir) : 0;

	return n > 1 && len >= n && memcmp(path, dir, n) == 0 && (len == n || path[n] == '/');
}

static bool begins(const struct record_bytes *b, const char *with)
{
	return b->data && strncmp(b->data, with, strlen(with)) == 0;
}

static int add_loss(struct facts *f, const struct record_bytes *what);

static int too_many(struct facts *f)
{
	static const char what[] = "names beyond the first four million";

	return add_loss(f, &(struct record_bytes){what, sizeof(what) - 1});
}

/* What was made beneath a directory moves along with it. */
static int move_beneath(struct facts *f, const struct record_line *line)
{
	size_t n = f->names.n, from_len = line->path.len;
	char *path;

	for (size_t i = 0; i < n; i++) {
		struct fact *old = f->names.items[i], *new;
		size_t len = old->len - from_len + line->path2.len;

		if (f->names.n >= NAMES_MAX)
			return too_many(f);
		if (old->len <= from_len || old->gone || !is_below(old->path, old->len, line->path.data))
			continue;
		path = malloc(len + 1);
		if (!path)
			return -ENOMEM;
		memcpy(path, line->path2.data, line->path2.len);
		memcpy(path + line->path2.len, old->path + from_len, old->len - from_len);
		new = table_get(f, &f->names, path, len);
		free(path);
		if (!new)
			return -ENOMEM;
		old = f->names.items[i];
		if (old->made) {
			new->made = new->ever_made = true;
			old->temporary = true;
		}
		new->gone = false;
		new->dir |= old->dir;
		touch(f, new, line);
		old->made = false;
		old->gone = true;
	}
	return 0;
}

static int remember_move(struct facts *f, const struct record_line *line, const struct fact *from, bool is_dir)
{
	struct fact *to;

	if (f->names.n >= NAMES_MAX || f->n_moves >= MOVES_MAX)
		return too_many(f);
	to = table_get(f, &f->names, line->path2.data, line->path2.len);
	if (!to)
		return -ENOMEM;
	to->moved_in |= !from->made;
	to->dir |= is_dir; /* the line about the new name tells of what was there */
	if (f->n_moves == f->cap_moves) {
		size_t cap = f->cap_moves ? f->cap_moves * 2 : 64;
		struct fact_move *grown = realloc(f->moves, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		f->moves = grown;
		f->cap_moves = cap;
	}
	f->moves[f->n_moves++] = (struct fact_move){from, to};
	return 0;
}

static int deleted(struct facts *f, struct fact *fact, const struct record_line *line, bool is_dir)
{
	bool moved = begins(&line->syscall, "rename") && line->path2.data && line->path2.data[0] == '/';
	int r = 0;

	fact->temporary |= fact->made;
	fact->removed |= !fact->made;
	fact->moved = moved;
	fact->moved_out |= moved && !fact->made;
	if (moved)
		r = remember_move(f, line, fact, is_dir);
	if (r == 0 && moved && is_dir)
		r = move_beneath(f, line);
	fact->made = false;
	fact->gone = true;
	return r;
}

static void created(const struct facts *f, struct fact *fact, const struct record_line *line, bool is_dir)
{
	bool renamed = begins(&line->syscall, "rename");

	if (is_dir && line->exists == 1 && !renamed) {
		fact->holds_new = true; /* O_TMPFILE: the name is that of the directory */
		return;
	}
	/* Of $TMPDIR there are no facts: what comes out of it may have been put there. */
	fact->moved_in |= renamed && line->path2.data && f->n_runs &&
			  is_below(line->path2.data, line->path2.len, f->runs[f->n_runs - 1].tmpdir);
	fact->replaced |= line->exists == 1 && !fact->made;
	fact->made = fact->ever_made = true;
	fact->gone = false;
}

static int add_done(struct facts *f, struct fact *fact, const struct record_line *line, bool is_dir)
{
	fact->done |= OPBIT(line->op);
	fact->dir |= is_dir;
	if (line->op == OP_CREATE)
		created(f, fact, line, is_dir);
	else if (line->op == OP_DELETE)
		return deleted(f, fact, line, is_dir);
	else if (!fact->made)
		fact->input |= OPBIT(line->op);
	return 0;
}

static void failed(struct fact *fact, const struct record_line *line)
{
	fact->failed |= OPBIT(line->op);
	if (line->err == EACCES || line->err == EPERM)
		fact->forbidden |= OPBIT(line->op);
}

static int add_access(struct facts *f, const struct record_line *line)
{
	struct fact_run *run = f->n_runs ? &f->runs[f->n_runs - 1] : NULL;
	const struct record_bytes *name = line->path.data ? &line->path : &line->address;
	struct table *t = line->path.data ? &f->names : &f->addresses;
	struct fact *fact;

	if (run)
		run->accesses += line->count;
	if (!name->data || line->op == OP_COUNT || (t == &f->names && name->data[0] != '/'))
		return 0; /* pipes, sockets: no name of the file system */
	if (run && is_below(name->data, name->len, run->tmpdir)) {
		run->temporary_uses += line->count;
		return 0;
	}
	if (t->n >= NAMES_MAX && !t->slots[slot_of(t, name->data, name->len)])
		return too_many(f);
	fact = table_get(f, t, name->data, name->len);
	if (!fact)
		return -ENOMEM;
	touch(f, fact, line);
	if (line->verdict == RECORD_DENY)
		fact->refused |= OPBIT(line->op);
	else if ((line->err == ENOENT || line->err == ENOTDIR) && line->exists != 1)
		fact->missing |= !fact->made && !fact->ever_made && line->op != OP_CREATE;
	else if (line->err)
		failed(fact, line);
	else
		return add_done(f, fact, line, line->dir == 1);
	return 0;
}

static char *keep_bytes(struct facts *f, const struct record_bytes *b)
{
	return b->data ? keep(f, b->data, b->len) : NULL;
}

static int add_start(struct facts *f, const struct record_line *line)
{
	struct fact_run *grown = realloc(f->runs, (f->n_runs + 1) * sizeof(*grown)), *run;

	if (!grown)
		return -ENOMEM;
	f->runs = grown;
	run = &grown[f->n_runs++];
	*run = (struct fact_run){.uid = line->uid, .status = -1, .complete = -1, .started = 1};
	run->argv = calloc(line->argv.n + 1, sizeof(char *));
	if (!run->argv)
		return -ENOMEM;
	for (size_t i = 0; i < line->argv.n; i++)
		run->argv[i] = keep(f, line->argv.items[i].data, line->argv.items[i].len);
	run->cwd = keep_bytes(f, &line->cwd);
	run->id = keep_bytes(f, &line->run_id);
	run->home = keep_bytes(f, &line->home);
	run->tmpdir = keep_bytes(f, &line->tmpdir);
	run->looks = line->looks == 1;
	return 0;
}

static int add_loss(struct facts *f, const struct record_bytes *what)
{
	const char **grown;

	for (size_t i = 0; i < f->n_losses; i++)
		if (strcmp(f->losses[i], what->data) == 0)
			return 0;
	grown = realloc(f->losses, (f->n_losses + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->losses = grown;
	grown[f->n_losses] = keep(f, what->data, what->len);
	return grown[f->n_losses] ? (f->n_losses++, 0) : -ENOMEM;
}

static int add_end(struct facts *f, struct fact_run *run, const struct record_line *line)
{
	int r = 0;

	run->ended++;
	run->status = line->status;
	run->signal = line->signal;
	run->complete = line->complete;
	for (size_t i = 0; i < line->lost.n && r == 0; i++)
		r = add_loss(f, &line->lost.items[i]);
	for (size_t i = 0; i < line->unwatched.n && r == 0; i++)
		r = add_loss(f, &line->unwatched.items[i]);
	return r;
}

int facts_add(struct facts *f, const struct record_line *line)
{
	struct fact_run *run = f->n_runs ? &f->runs[f->n_runs - 1] : NULL;

	switch (line->type) {
	case RECORD_START:
		return add_start(f, line);
	case RECORD_ACCESS:
		return add_access(f, line);
	case RECORD_FORK:
		if (run)
			run->processes++;
		return 0;
	case RECORD_LOST:
		if (run)
			run->lost += line->count;
		return 0; /* the end line says it again, summed up */
	case RECORD_END:
		return run ? add_end(f, run, line) : 0;
	default:
		return 0;
	}
}

static int by_path(const void *a, const void *b)
{
	const struct fact *x = *(const struct fact *const *)a, *y = *(const struct fact *const *)b;

	return strcmp(x->path, y->path);
}

static const struct fact *const *sorted(struct table *t, size_t *ret_n)
{
	*ret_n = t->n;
	if (!t->is_sorted && t->n) {
		free(t->sorted);
		t->sorted = malloc(t->n * sizeof(*t->sorted));
		if (!t->sorted) {
			*ret_n = 0;
			return NULL;
		}
		memcpy(t->sorted, t->items, t->n * sizeof(*t->sorted));
		qsort(t->sorted, t->n, sizeof(*t->sorted), by_path);
		t->is_sorted = true;
	}
	return t->sorted;
}

const struct fact *const *facts_sorted(struct facts *f, size_t *ret_n)
{
	return sorted(&f->names, ret_n);
}

const struct fact *const *facts_addresses(struct facts *f, size_t *ret_n)
{
	return sorted(&f->addresses, ret_n);
}

const struct fact_move *facts_moves(const struct facts *f, size_t *ret_n)
{
	*ret_n = f->n_moves;
	return f->moves;
}

const struct fact_run *facts_runs(const struct facts *f, size_t *ret_n)
{
	*ret_n = f->n_runs;
	return f->runs;
}

const char *facts_program(const struct facts *f, unsigned index)
{
	return f->programs[index];
}

const char *const *facts_losses(const struct facts *f, size_t *ret_n)
{
	*ret_n = f->n_losses;
	return f->losses;
}

bool fact_is_kernels(const struct fact *fact)
{
	static const char *const places[] = {"/dev/", "/proc/", "/sys/"};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strncmp(fact->path, places[i], strlen(places[i])) == 0 && strncmp(fact->path, "/dev/shm/", 9) != 0)
			return true;
	return false;
}
