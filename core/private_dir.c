/* SPDX-License-Identifier: Apache-2.0
 * A 0700 directory of its own, and whose it is.
 *
 * Who lives holds a read lock of the open file description: the command can neither hold nor give it up, and its own
 * flock on $TMPDIR is not in the way. Who begins and who sweeps keep each other out by flock, shared and exclusive,
 * for a moment: a run that finds its new directory locked, or removed once it has the lock, makes another one.
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
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* As short as it can be: what a command makes in it has a name of 4095 bytes at most. */
#define NAME "sluice."
#define BOOT_DIGITS 3u /* of this boot's, so that nobody else's name is taken for one of ours */
#define OWN_DIGITS 3u
#define MOST_TRIES 1000
#define MOST_SWEPT 10000u /* names; so many are looked at in the parent, too */

const char *private_dir_parent(void)
{
	const char *dir = getenv("TMPDIR");
	struct stat st;

	return dir && dir[0] == '/' && stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? dir : "/tmp";
}

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void put_digits(char *ret, unsigned n, uint32_t value)
{
	for (unsigned i = 0; i < n; i++, value /= sizeof(digits) - 1)
		ret[i] = digits[value % (sizeof(digits) - 1)];
	ret[n] = '\0';
}

/* What all names of this boot begin with. */
static void name_start(char ret[sizeof(NAME) + BOOT_DIGITS])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char id[9] = "";

	if (fd >= 0 && read(fd, id, sizeof(id) - 1) < 0)
		id[0] = '\0';
	memcpy(ret, NAME, sizeof(NAME) - 1);
	put_digits(ret + sizeof(NAME) - 1, BOOT_DIGITS, (uint32_t)strtoul(id, NULL, 16));
}

static int open_parent(const char *path, int flags, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;

	if (!parent)
		return -EINVAL;
	*ret_name = slash + 1;
	return (int)CALL(open(parent, flags | O_DIRECTORY | O_CLOEXEC));
}

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

/* While a flock is held, which the sweeper can't have then. -EAGAIN: it was swept. */
static int lock(int fd)
{
	struct flock living = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	struct stat st;

	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (fcntl(fd, F_OFD_SETLK, &living) < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return -EAGAIN;
	return flock(fd, LOCK_UN) < 0 ? -errno : 0;
}

/* -EAGAIN: it was swept. */
static int hold(const char *path, int *ret_lock)
{
	_cleanup_close_ int parent = -EBADF, fd = -EBADF;
	const char *name;
	int r;

	fd = (int)CALL(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd == -EACCES) { /* the umask forbids it */
		parent = open_parent(path, O_PATH, &name);
		fd = parent < 0 ? parent : remove_tree_open(parent, name);
	}
	if (fd < 0)
		return fd == -ENOENT ? -EAGAIN : fd;
	r = lock(fd);
	if (r < 0 && r != -EAGAIN && !locks_are_seen(fd))
		return 0; /* it has none, and nothing is swept there */
	if (r == 0)
		*ret_lock = take_fd(&fd);
	return r;
}

int private_dir_make(char *buf, size_t size, int *ret_lock)
{
	char parent[PATH_MAX], start[sizeof(NAME) + BOOT_DIGITS], own[OWN_DIGITS + 1];
	uint32_t number;
	int r = -EAGAIN;

	buf[0] = '\0';
	*ret_lock = -EBADF;
	if (!realpath(private_dir_parent(), parent))
		return -errno;
	name_start(start);
	for (int tries = MOST_TRIES; r == -EAGAIN && tries > 0; tries--) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = (uint32_t)(getpid() + tries);
		put_digits(own, OWN_DIGITS, number);
		r = -ENAMETOOLONG;
		if ((size_t)snprintf(buf, size, "%s/%s%s", strcmp(parent, "/") == 0 ? "" : parent, start, own) >= size)
			break;
		if (mkdir(buf, 0700) < 0) {
			r = errno == EEXIST ? -EAGAIN : -errno;
			continue;
		}
		r = hold(buf, ret_lock);
		if (r < 0)
			rmdir(buf);
	}
	if (r < 0)
		buf[0] = '\0';
	return r;
}

void private_dir_remove(const char *path)
{
	_cleanup_close_ int parent = -EBADF, fd = -EBADF;
	unsigned long left = ULONG_MAX;
	const char *name;

	parent = open_parent(path, O_PATH, &name);
	if (parent < 0)
		return;
	fd = remove_tree_open(parent, name);
	if (fd >= 0)
		remove_tree_below(fd, &left);
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* ---- what dead runs left ---- */

/* Where others may rename what is ours, a name says nothing. */
static bool names_are_safe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       (!(st.st_mode & 022) || st.st_mode & S_ISVTX);
}

static bool is_private_name(const char *name, const char *start)
{
	size_t len = strlen(start);

	if (strncmp(name, start, len) != 0 || strlen(name + len) != OWN_DIGITS)
		return false;
	for (name += len; *name; name++)
		if (!isalnum((unsigned char)*name))
			return false;
	return true;
}

static bool is_of_the_living(int fd)
{
	struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &asked) < 0 || asked.l_type != F_UNLCK;
}

/* The directory NAME, locked, if it is ours and its run is dead. Else negative, and its mode is what it was (but for
 * a moment, where it could not be read). */
static int seize(int parent, const char *name)
{
	_cleanup_close_ int path = sys_openat2(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
					       RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	_cleanup_close_ int fd = -EBADF;
	struct stat before, st;

	if (path < 0 || fstat(path, &before) < 0 || before.st_uid != geteuid())
		return -EPERM;
	fd = remove_tree_open(parent, name);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != before.st_ino)
		return -EPERM;
	/* Asked once more when nobody can begin with it any more. */
	if (!is_of_the_living(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0 && !is_of_the_living(fd))
		return take_fd(&fd);
	if (st.st_mode != before.st_mode)
		fchmod(fd, before.st_mode & 07777);
	return -EWOULDBLOCK;
}

static void sweep_one(int parent, const char *name, unsigned long *left)
{
	_cleanup_close_ int fd = seize(parent, name);

	if (fd < 0)
		return;
	remove_tree_below(fd, left);
	unlinkat(parent, name, AT_REMOVEDIR); /* while it is locked: it may be that of a run that has just begun */
	*left -= *left > 0;
}

void private_dir_sweep(const char *path)
{
	char start[sizeof(NAME) + BOOT_DIGITS];
	const char *name;
	int parent = open_parent(path, O_RDONLY, &name);
	DIR *dir = parent < 0 ? NULL : fdopendir(parent);
	unsigned long left = MOST_SWEPT, looked = 0;
	struct dirent *e;

	if (!dir) {
		cleanup_close(&parent);
		return;
	}
	name_start(start);
	if (locks_are_seen(parent) && names_are_safe(parent))
		while (left && looked++ < MOST_SWEPT && (e = readdir(dir)))
			if (is_private_name(e->d_name, start))
				sweep_one(parent, e->d_name, &left);
	closedir(dir);
}
