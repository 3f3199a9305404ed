/* SPDX-License-Identifier: Apache-2.0
 * A 0700 directory of its own; removal never follows a link and gets past modes and depths that the command
 * left.
 */
#include "core/private_dir.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

const char *private_dir_parent(void)
{
	const char *dir = getenv("TMPDIR");
	struct stat st;

	return dir && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? dir : "/tmp";
}

int private_dir_make(char *buf, size_t size)
{
	char parent[PATH_MAX];

	buf[0] = '\0';
	if (!realpath(private_dir_parent(), parent))
		return -errno;
	if ((size_t)snprintf(buf, size, "%s/sluice.XXXXXX", strcmp(parent, "/") == 0 ? "" : parent) >= size) {
		buf[0] = '\0';
		return -ENAMETOOLONG;
	}
	if (!mkdtemp(buf)) {
		buf[0] = '\0';
		return -errno;
	}
	return 0;
}

#define MOST_DEEP 32u

/* What lies too deep is moved up to TOP and met again there, so that a tree of any depth takes few
 * descriptors and little stack. */
static bool move_up(int dirfd, const char *name, int top)
{
	static unsigned n;
	char up[32];

	(void)!fchmodat(dirfd, name, 0700, 0); /* its ".." is written */
	do
		snprintf(up, sizeof(up), "deep.%u", n++);
	while (renameat2(dirfd, name, top, up, RENAME_NOREPLACE) < 0 && errno == EEXIST);
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* Depth first by descriptor. The path of the tree may be longer than PATH_MAX, its names never are. TOP
 * is the root of what is removed, -1 at the root itself. */
static void remove_below(int dirfd, const char *name, int top, unsigned depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	bool again = true;
	DIR *dir;

	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
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
		while ((e = readdir(dir))) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			if (unlinkat(fd, e->d_name, 0) == 0) {
				again = true;
				continue;
			}
			if (depth == MOST_DEEP) {
				again |= move_up(fd, e->d_name, top);
				continue;
			}
			remove_below(fd, e->d_name, top < 0 ? fd : top, depth + 1);
			again |= unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0;
		}
	}
	closedir(dir);
}

void private_dir_remove(const char *path)
{
	if (!path[0])
		return;
	remove_below(AT_FDCWD, path, -1, 0);
	rmdir(path);
}
