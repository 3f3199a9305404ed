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
