/* SPDX-License-Identifier: Apache-2.0
 * A 0700 directory of its own, and whose it is.
 *
 * The lock needs no order between who makes a directory and who sweeps: the sweeper removes under an exclusive lock, so
 * a run that finds its new directory locked, or removed once it has the lock, makes another one.
 */
#include "core/private_dir.h"

#include "core/cleanup.h"
#include "core/remove_tree.h"
#include "core/sys.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NAME "sluice.run."
#define RANDOM "XXXXXX" /* mkdtemp makes letters and digits of them */
#define MOST_TRIES 10
#define MOST_SWEPT 10000u /* names; so many are looked at in the parent, too */

const char *private_dir_parent(void)
{
	const char *dir = getenv("TMPDIR");
	struct stat st;

	return dir && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? dir : "/tmp";
}

/* -EAGAIN: it was swept. */
static int hold(const char *path, int *ret_lock)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int fd = open(path, flags);
	struct stat st;

	if (fd < 0 && errno == EACCES && chmod(path, 0700) == 0) /* the umask forbids it */
		fd = open(path, flags);
	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : 0;
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return -EAGAIN;
	*ret_lock = take_fd(&fd);
	return 0;
}

int private_dir_make(char *buf, size_t size, int *ret_lock)
{
	char parent[PATH_MAX];
	int r = -EAGAIN;

	buf[0] = '\0';
	*ret_lock = -EBADF;
	if (!realpath(private_dir_parent(), parent))
		return -errno;
	for (int tries = MOST_TRIES; r == -EAGAIN && tries > 0; tries--) {
		r = -ENAMETOOLONG;
		if ((size_t)snprintf(buf, size, "%s/" NAME RANDOM, strcmp(parent, "/") == 0 ? "" : parent) >= size)
			break;
		r = mkdtemp(buf) ? hold(buf, ret_lock) : -errno;
	}
	if (r < 0)
		buf[0] = '\0';
	return r;
}

static int open_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;

	if (!parent)
		return -EINVAL;
	*ret_name = slash + 1;
	return (int)CALL(open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

void private_dir_remove(const char *path)
{
	_cleanup_close_ int parent = -EBADF, fd = -EBADF;
	unsigned long left = ULONG_MAX;
	const char *name;

	parent = open_parent(path, &name);
	if (parent < 0)
		return;
	fd = remove_tree_open(parent, name);
	if (fd >= 0)
		remove_tree_below(fd, &left);
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* ---- what dead runs left ---- */

/* Elsewhere another machine may hold a lock that is not seen here. */
static bool locks_are_seen(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	switch ((unsigned long)fs.f_type) {
	case TMPFS_MAGIC:
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* Where others may rename what is ours, a name says nothing. */
static bool names_are_safe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       (!(st.st_mode & 022) || st.st_mode & S_ISVTX);
}

static bool is_private_name(const char *name)
{
	size_t len = strlen(NAME);

	if (strncmp(name, NAME, len) != 0 || strlen(name + len) != strlen(RANDOM))
		return false;
	for (name += len; *name; name++)
		if (!isalnum((unsigned char)*name))
			return false;
	return true;
}

/* The directory NAME, locked, if it is ours and its run is dead. Else negative, and nothing has changed. */
static int seize(int parent, const char *name)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat before, st;

	if (fstatat(parent, name, &before, AT_SYMLINK_NOFOLLOW) < 0 || before.st_uid != geteuid())
		return -EPERM;
	fd = remove_tree_open(parent, name);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != before.st_ino)
		return -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return take_fd(&fd);
	if (st.st_mode != before.st_mode) /* as its command wants it: only to be looked at, it was made readable */
		fchmod(fd, before.st_mode & 07777);
	return -EWOULDBLOCK;
}

static void sweep_one(int parent, const char *name, unsigned long *left)
{
	_cleanup_close_ int fd = is_private_name(name) ? seize(parent, name) : -EBADF;

	if (fd < 0)
		return;
	remove_tree_below(fd, left);
	unlinkat(parent, name, AT_REMOVEDIR); /* while it is locked: it may be that of a run that has just begun */
	*left -= *left > 0;
}

void private_dir_sweep(const char *path)
{
	const char *name;
	int parent = open_parent(path, &name);
	DIR *dir = parent < 0 ? NULL : fdopendir(parent);
	unsigned long left = MOST_SWEPT, looked = 0;
	struct dirent *e;

	if (!dir) {
		cleanup_close(&parent);
		return;
	}
	if (locks_are_seen(parent) && names_are_safe(parent))
		while (left && looked++ < MOST_SWEPT && (e = readdir(dir)))
			sweep_one(parent, e->d_name, &left);
	closedir(dir);
}
