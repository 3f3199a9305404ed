/* SPDX-License-Identifier: Apache-2.0
 * What belongs into one question: the same object, or names of one directory.
 */
#include "core/ask/queue.h"

#include <stdlib.h>
#include <string.h>

static bool same_words(const char *x, const char *y)
{
	return x == y || (x && y && strcmp(x, y) == 0);
}

void group_free(struct group *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_paths; i++)
		free(g->paths[i]);
	free(g->paths);
	free(g->objects);
	free((void *)(uintptr_t)g->q.exe);
	free((void *)(uintptr_t)g->q.argv);
	free((void *)(uintptr_t)g->q.ancestors);
	free(g->near);
	free(g);
}

bool group_add_path(struct group *g, const struct question *q)
{
	char **grown = realloc(g->paths, (g->n_paths + 1) * sizeof(*grown));
	struct object *objects;
	char *copy;

	if (!grown)
		return false;
	g->paths = grown;
	objects = realloc(g->objects, (g->n_paths + 1) * sizeof(*objects));
	if (!objects)
		return false;
	g->objects = objects;
	copy = strndup(q->path, q->path_len);
	if (!copy)
		return false;
	g->objects[g->n_paths] = (struct object){q->dev, q->ino};
	g->paths[g->n_paths++] = copy;
	return true;
}

static bool is_path(const struct group *g, size_t i, const char *path, size_t len)
{
	return strlen(g->paths[i]) == len && memcmp(g->paths[i], path, len) == 0;
}

bool group_has_object(const struct group *g, const struct question *q)
{
	for (size_t i = 0; i < g->n_paths; i++)
		if (is_path(g, i, q->path, q->path_len) && g->objects[i].dev == q->dev &&
		    g->objects[i].ino == q->ino)
			return true;
	return false;
}

char *question_near(const struct question *q, const char *home)
{
	size_t len = q->path_len, home_len = home ? strlen(home) : 0;

	if (!q->rule || !len || q->path[0] != '/' || memchr(q->path, '\0', len))
		return NULL;
	if (!q->is_dir)
		while (len > 1 && q->path[len - 1] != '/')
			len--;
	if (!q->is_dir && len > 1)
		len--;
	if (len <= 1 || (home && home_len >= len && memcmp(home, q->path, len) == 0 &&
			 (home_len == len || home[len] == '/')))
		return NULL;
	return strndup(q->path, len);
}

bool question_is_kin(const struct question *x, const struct question *y)
{
	return x->op == y->op && x->makes_dir == y->makes_dir && same_words(x->exe, y->exe);
}

bool group_is_neighbour(const struct group *g, const struct question *q, const char *near)
{
	return near && g->near && !q->is_dir && !g->q.is_dir && question_is_kin(&g->q, q) && g->q.rule == q->rule &&
	       strcmp(g->near, near) == 0;
}
