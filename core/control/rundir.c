/* SPDX-License-Identifier: Apache-2.0
 * A directory that is somebody else's, or that others may write, is not used: whoever can put a socket there
 * could answer for sluice.
 */
#include "core/control/rundir.h"

#include "core/cleanup.h"
#include "core/resolve_literal.h"
#include "core/sys.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

static bool is_own_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

static void add(char **dirs, size_t *n, const char *parent, const char *name)
{
	char *real = realpath(parent, NULL), *path;

	if (asprintf(&path, "%s%s", real ? real : parent, name) < 0)
		path = NULL;
	free(real);
	for (size_t i = 0; path && i < *n; i++) {
		if (strcmp(dirs[i], path) == 0) {
			free(path);
			path = NULL;
		}
	}
	if (path)
		dirs[(*n)++] = path;
}

const char *const *rundir_all(void)
{
	static char *dirs[RUNDIRS_MAX + 1];
	_cleanup_free_ char *home = NULL;
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char user[64];
	size_t n = 0;

	if (dirs[0])
		return (const char *const *)dirs;
	if (xdg && xdg[0] == '/' && is_own_dir(xdg))
		add(dirs, &n, xdg, "/sluice");
	snprintf(user, sizeof(user), "/run/user/%u", (unsigned)geteuid());
	if (is_own_dir(user))
		add(dirs, &n, user, "/sluice");
	if (geteuid() == 0) {
		add(dirs, &n, "/run", "/sluice");
	} else {
		home = home_directory();
		if (home)
			add(dirs, &n, home, "/.config/sluice/run");
	}
	return (const char *const *)dirs;
}

int rundir_open(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() && geteuid() != 0)
		return -EPERM;
	return st.st_mode & 022 ? -EPERM : take_fd(&fd);
}

/* DIR and what lacks above it, ours alone. */
static int make_dirs(const char *dir)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int rundir_make(void)
{
	const char *dir = rundir_all()[0];
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int r;

	if (!dir)
		return -ENOENT;
	r = make_dirs(dir);
	if (r < 0)
		return r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_mode & 0777) != 0700 && fchmod(fd, 0700) < 0)
		return -errno;
	return take_fd(&fd);
}
