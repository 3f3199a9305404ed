/* SPDX-License-Identifier: Apache-2.0
 * Repositories of git: which of them the runs made themselves, and which are to be kept from what is learned.
 *
 * Known are those that the records name or that are there now in a directory that the records name. None is looked for:
 * a repository in a directory of which no record speaks is not known.
 */
#include "core/learn/lines.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { GIT_LEN = sizeof("/.git") - 1 };

static bool names_git(const char *path, size_t len)
{
	return len >= GIT_LEN && memcmp(path + len - GIT_LEN, "/.git", GIT_LEN) == 0;
}

/* Did the runs make what is at PATH, and is it not what was there before in another guise? A rename of a directory
 * above it could have made room for it, or have brought another one. */
static bool is_made(const struct learn_input *in, const char *path, size_t len)
{
	const struct fact *f = NULL;

	for (size_t i = 1; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		f = facts_find(in->facts, path, i);
		if (f && (f->replaced || f->moved_in || f->moved_out))
			return false;
	}
	return f && f->ever_made && !f->removed && (f->made || !in->exists || !in->exists(f->path));
}

bool learn_is_own_repository(const struct learn_input *in, const char *path, size_t len)
{
	bool own = false;

	for (size_t i = 1; i <= len; i++) {
		if ((i < len && path[i] != '/') || !names_git(path, i))
			continue;
		own = is_made(in, path, i);
		if (!own)
			break;
	}
	return own;
}

bool learn_is_kept_git(const struct learn_input *in, const char *path, size_t len)
{
	return names_git(path, len) && !learn_is_own_repository(in, path, len);
}

static int keep(struct learned *l, const char *dir, size_t len)
{
	struct repository *kept = l->repositories + l->n_repositories;

	/* As for all the names in it. */
	if (l->n_repositories && kept[-1].len == len + GIT_LEN && memcmp(kept[-1].path, dir, len) == 0)
		return 0;
	if (l->n_repositories == l->cap_repositories) {
		size_t cap = l->cap_repositories ? l->cap_repositories * 2 : 32;

		kept = realloc(l->repositories, cap * sizeof(*kept));
		if (!kept)
			return -ENOMEM;
		l->repositories = kept;
		l->cap_repositories = cap;
		kept += l->n_repositories;
	}
	*kept = (struct repository){.path = malloc(len + GIT_LEN + 1), .len = len + GIT_LEN};
	if (!kept->path)
		return -ENOMEM;
	memcpy(kept->path, dir, len);
	memcpy(kept->path + len, "/.git", GIT_LEN + 1);
	l->n_repositories++;
	return 0;
}

/* The repository of the directory that is the first LEN bytes of F's name. */
static int look_in(const struct learn_input *in, struct learned *l, const struct fact *f, size_t len)
{
	const size_t git_len = len + GIT_LEN;
	char git[PATH_MAX];
	bool known;

	if (git_len >= sizeof(git))
		return 0;
	memcpy(git, f->path, len);
	memcpy(git + len, "/.git", GIT_LEN + 1);
	known = f->done && f->len >= git_len && memcmp(f->path, git, git_len) == 0 &&
		(f->len == git_len || f->path[git_len] == '/');
	if (!known && !(in->exists && in->exists(git)))
		return 0;
	return learn_is_own_repository(in, git, git_len) ? 0 : keep(l, f->path, len);
}

static int by_path(const void *a, const void *b)
{
	const struct repository *x = a, *y = b;

	return learn_path_order(x->path, x->len, y->path, y->len);
}

static void unique(struct learned *l)
{
	size_t kept = 0;

	if (l->n_repositories)
		qsort(l->repositories, l->n_repositories, sizeof(*l->repositories), by_path);
	for (size_t i = 0; i < l->n_repositories; i++) {
		if (kept && by_path(&l->repositories[kept - 1], &l->repositories[i]) == 0)
			free(l->repositories[i].path);
		else
			l->repositories[kept++] = l->repositories[i];
	}
	l->n_repositories = kept;
}

int learn_repositories(const struct learn_input *in, struct learned *l)
{
	const opset changes = OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META);
	size_t n, seen;
	const struct fact *const *all = facts_sorted(in->facts, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct fact *f = all[i], *last = i ? all[i - 1] : NULL;

		/* What is above the last name, too, was looked into; but F may be in its .git. */
		for (seen = 0; last && seen < f->len && seen < last->len && f->path[seen] == last->path[seen];)
			seen++;
		for (size_t len = 0; len < f->len && r == 0; len++)
			if (f->path[len] == '/' && (len >= seen || strncmp(f->path + len, "/.git", GIT_LEN) == 0))
				r = look_in(in, l, f, len);
		if (r == 0 && (f->dir || f->done & changes))
			r = look_in(in, l, f, f->len);
	}
	unique(l);
	return r;
}

struct repository *learned_repositories(const struct learned *l, const char *dir, size_t len, size_t *ret_n)
{
	size_t low = 0, high = l->n_repositories, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct repository *at = &l->repositories[middle];

		if (learn_path_order(at->path, at->len, dir, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < l->n_repositories; end++) {
		const struct repository *at = &l->repositories[end];

		if (at->len < len || memcmp(at->path, dir, len) != 0 || (at->len > len && at->path[len] != '/'))
			break;
	}
	*ret_n = end - low;
	return l->repositories + low;
}

bool learned_keeps(const struct learned *l, const char *dir, size_t len)
{
	size_t n;
	const struct repository *kept = learned_repositories(l, dir, len, &n);

	return n > 1 || (n == 1 && kept->len != len + GIT_LEN);
}
