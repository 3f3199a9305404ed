/* SPDX-License-Identifier: Apache-2.0
 * Depth first by descriptor: the path of the tree may be longer than PATH_MAX, its names never are.
 */
#include "core/remove_tree.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define MOST_DEEP 32u
#define HOW (RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
#define FLAGS (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* By descriptor: chmod by name follows a link that takes the directory's place. */
int remove_tree_open(int parent, const char *name)
{
	_cleanup_close_ int path = -EBADF;
	char link[32];
	int fd = sys_openat2(parent, name, O_RDONLY | FLAGS, 0, HOW);

	if (fd != -EACCES)
		return fd;
	path = sys_openat2(parent, name, O_PATH | FLAGS, 0, HOW);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path);
	if (path < 0 || chmod(link, 0700) < 0)
		return -EACCES;
	return sys_openat2(path, ".", O_RDONLY | FLAGS, 0, HOW);
}

struct removal {
	int top; /* the root of what is removed */
	unsigned long *left;
};

/* What lies too deep is moved up to the top and met again there, so that a tree of any depth takes few
 * descriptors and little stack. */
static bool move_up(const struct removal *rm, int dirfd, const char *name)
{
	static unsigned n;
	_cleanup_close_ int fd = remove_tree_open(dirfd, name);
	char up[32];

	if (fd >= 0)
		fchmod(fd, 0700); /* its ".." is written */
	do
		snprintf(up, sizeof(up), "deep.%u", n++);
	while (renameat2(dirfd, name, rm->top, up, RENAME_NOREPLACE) < 0 && errno == EEXIST);
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* Takes FD. */
static void remove_below(const struct removal *rm, int fd, unsigned depth);

/* Is it gone? */
static bool remove_one(const struct removal *rm, int fd, const char *name, unsigned depth)
{
	int below;

	if (unlinkat(fd, name, 0) == 0)
		return true;
	if (depth == MOST_DEEP)
		return move_up(rm, fd, name);
	below = remove_tree_open(fd, name);
	if (below >= 0)
		remove_below(rm, below, depth + 1);
	return unlinkat(fd, name, AT_REMOVEDIR) == 0;
}

static void remove_below(const struct removal *rm, int fd, unsigned depth)
{
	struct dirent *e;
	bool again = true;
	DIR *dir;

	fchmod(fd, 0700);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	/* Some file systems lose their place when entries go: read again until nothing more goes. */
	while (again) {
		again = false;
		rewinddir(dir);
		while (*rm->left && (e = readdir(dir))) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
			    !remove_one(rm, fd, e->d_name, depth))
				continue;
			again = true;
			if (*rm->left)
				--*rm->left;
		}
	}
	closedir(dir);
}

void remove_tree_below(int dirfd, unsigned long *left)
{
	const struct removal rm = {.top = dirfd, .left = left};
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		remove_below(&rm, fd, 0);
}
