/* SPDX-License-Identifier: Apache-2.0
 * Opening and writing what the user asked for (ATTACKS.md D12: planted symlinks).
 */
#include "core/observe/outfile.h"
#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_TRIES = 8, STUCK_MS = 5000 };

/* "/dev/fd/63", as bash makes for >(...): the number, else -1. */
static int descriptor_of(const char *path)
{
	char *end;
	long n;

	if (strncmp(path, "/dev/fd/", 8) != 0 || path[8] < '0' || path[8] > '9')
		return -1;
	n = strtol(path + 8, &end, 10);
	return *end || n > 1 << 20 ? -1 : (int)n;
}

static int replace(const char *path, const struct stat *st)
{
	if (st->st_uid != geteuid())
		return -EPERM;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int outfile_open(const char *path, bool *ret_regular)
{
	int fd = descriptor_of(path), r = 0;
	struct stat st;

	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		*ret_regular = false;
		return fd;
	}
	for (int i = 0; i < OPEN_TRIES && r == 0; i++) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd >= 0) {
			*ret_regular = true;
			return fd;
		}
		if (errno != EEXIST)
			return -errno;
		if (lstat(path, &st) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			r = replace(path, &st);
		else
			break;
	}
	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_APPEND);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode)) { /* swapped in between */
		close(fd);
		return -EEXIST;
	}
	*ret_regular = false;
	return fd;
}

int outfile_write(int fd, bool regular, const char *data, size_t len, size_t *ret_written)
{
	size_t done = 0, chunk = regular ? SIZE_MAX : PIPE_BUF;
	int r = 0;

	while (done < len && r == 0) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		if (poll(&p, 1, STUCK_MS) == 0) {
			r = -ETIMEDOUT;
			break;
		}
		/* A pipe that poll calls writable takes PIPE_BUF without blocking. */
		n = write(fd, data + done, len - done > chunk ? chunk : len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			r = -ENOSPC;
		else if (errno != EINTR && errno != EAGAIN)
			r = -errno;
	}
	*ret_written = done;
	return r;
}

static int write_all(int fd, const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(fd, s, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_beside(const char *path, const char *data, size_t len, mode_t mode)
{
	_cleanup_free_ char *beside = NULL;
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (asprintf(&beside, "%s.XXXXXX", path) < 0) {
		beside = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(beside, path) < 0))
		r = -errno;
	if (r < 0)
		unlink(beside);
	return r;
}

int outfile_replace(const char *path, const char *data, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -EBADF;
	bool systems = strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0; /* links as /dev/stdout */
	struct stat st;

	if (lstat(path, &st) < 0 || S_ISREG(st.st_mode) || (S_ISLNK(st.st_mode) && !systems))
		return write_beside(path, data, len, mode);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : write_all(fd, data, len);
}

/* The directory that PATH's last name is in, and that name. */
static bool place_of(const char *path, struct stat *ret_dir, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	*ret_name = slash ? slash + 1 : path;
	return dir && stat(dir, ret_dir) == 0;
}

bool outfile_same(const char *a, const char *b)
{
	struct stat at, bt;
	const char *a_name, *b_name;

	/* Two names of a device or a pipe are no harm: nothing in it is replaced. */
	if (stat(a, &at) == 0 && stat(b, &bt) == 0)
		return S_ISREG(at.st_mode) && at.st_dev == bt.st_dev && at.st_ino == bt.st_ino;
	return place_of(a, &at, &a_name) && place_of(b, &bt, &b_name) && at.st_dev == bt.st_dev &&
	       at.st_ino == bt.st_ino && strcmp(a_name, b_name) == 0;
}
