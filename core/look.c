/* SPDX-License-Identifier: Apache-2.0
 * A hash table with a bound; past it nothing more is remembered.
 */
#include "core/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, MOST = SLOTS / 2 };

static struct seen {
	char *path;
	int err; /* 0 or -errno */
	struct stat st;
} *seen[SLOTS];
static unsigned n_seen;

/* Where PATH is, or would be. */
static struct seen **slot_of(const char *path)
{
	unsigned h = 5381;

	for (const char *c = path; *c; c++)
		h = h * 33 + (unsigned char)*c;
	while (seen[h % SLOTS] && strcmp(seen[h % SLOTS]->path, path) != 0)
		h++;
	return &seen[h % SLOTS];
}

static void remember(struct seen **slot, const char *path, int err, const struct stat *st)
{
	size_t len = strlen(path) + 1;
	struct seen *s = n_seen < MOST ? malloc(sizeof(*s) + len) : NULL;

	if (!s)
		return;
	s->path = memcpy(s + 1, path, len);
	s->err = err;
	if (st)
		s->st = *st;
	*slot = s;
	n_seen++;
}

int look_at(const char *path, struct stat *ret)
{
	struct seen **slot = slot_of(path);
	int err = 0;

	if (*slot) {
		if ((*slot)->err == 0)
			*ret = (*slot)->st;
		return (*slot)->err;
	}
	if (fstatat(AT_FDCWD, path, ret, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		err = -errno;
	remember(slot, path, err, err ? NULL : ret);
	return err;
}

void look_missing(const char *path)
{
	struct seen **slot = slot_of(path);

	if (!*slot)
		remember(slot, path, -ENOENT, NULL);
}

void look_forget(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		free(seen[i]);
		seen[i] = NULL;
	}
	n_seen = 0;
}
