/* SPDX-License-Identifier: Apache-2.0
 * Walking a literal path by components, since realpath() has no form for what does not exist yet.
 *
 * One openat2() tells at once of a path that exists and has no link in it; only the others are
 * walked.
 */
#include "core/resolve_literal.h"
#include "core/cleanup.h"
#include "core/look.h"
#include "core/sys.h"

#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINKS_MAX = 40 };

/* Done so far, and still to walk. */
struct walk {
	char done[PATH_MAX]; /* canonical, no trailing slash; empty is the root */
	size_t len;
	char rest[PATH_MAX];
	size_t own; /* so many bytes at the end of REST are the path's own, not a link's target */
	unsigned links;
	bool missing; /* nothing beneath DONE can exist */
	FILE *met;    /* the links that were, each with a NUL; or NULL */
};

static void pop_component(struct walk *w)
{
	while (w->len && w->done[--w->len] != '/')
		;
	w->done[w->len] = '\0';
	w->missing = false; /* the parent may exist */
}

static int push_component(struct walk *w, const char *name, size_t len)
{
	if (w->len + 1 + len >= sizeof(w->done))
		return -ENAMETOOLONG;
	w->done[w->len] = '/';
	memcpy(w->done + w->len + 1, name, len);
	w->len += 1 + len;
	w->done[w->len] = '\0';
	return 0;
}

static bool is_beneath(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || !path[len]);
}

/* What DONE leads to if it is a link: its length, 0 if it is none or must not be followed. */
static ssize_t read_link(struct walk *w, char *target, size_t size)
{
	ssize_t n;

	/* Links beneath lead to what this process has open, or to its own ids. */
	if (is_beneath(w->done, "/proc/self") || is_beneath(w->done, "/proc/thread-self")) {
		w->missing = true;
		return 0;
	}
	n = readlink(w->done, target, size - 1);
	if (n < 0) {
		w->missing = errno != EINVAL; /* EINVAL: there, and no link */
		return 0;
	}
	if ((size_t)n >= size - 1)
		return -ENAMETOOLONG;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	target[n] = '\0';
	return n;
}

/* Walk TARGET before what is still to walk. */
static int prepend(struct walk *w, const char *target)
{
	size_t n = strlen(target), rest = strlen(w->rest);

	if (n + 1 + rest >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n + 1, w->rest, rest + 1);
	memcpy(w->rest, target, n);
	w->rest[n] = '/';
	return 0;
}

/* Could somebody with our ids have put DONE there? Not into a directory that we neither own nor may write. */
static bool could_be_ours(const struct walk *w)
{
	char dir[PATH_MAX];
	size_t len = (size_t)(strrchr(w->done, '/') - w->done);
	struct stat st;

	memcpy(dir, w->done, len);
	strcpy(dir + len, len ? "" : "/");
	return stat(dir, &st) < 0 || st.st_uid == geteuid() || faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) == 0;
}

static int walk_path(struct walk *w, char **ret_link)
{
	char target[PATH_MAX];

	for (;;) {
		char *name = w->rest + strspn(w->rest, "/");
		size_t len = strcspn(name, "/");
		bool own = strlen(name) <= w->own, last = name[len + strspn(name + len, "/")] == '\0';
		ssize_t n = 0;
		int r;

		if (!len)
			return 0;
		if (len == 2 && name[0] == '.' && name[1] == '.') {
			pop_component(w);
		} else if (len != 1 || name[0] != '.') {
			r = push_component(w, name, len);
			if (r < 0)
				return r;
			n = w->missing ? 0 : read_link(w, target, sizeof(target));
			if (n < 0)
				return (int)n;
		}
		memmove(w->rest, name + len, strlen(name + len) + 1);
		if (strlen(w->rest) < w->own)
			w->own = strlen(w->rest);
		if (n == 0)
			continue;
		if (w->met && could_be_ours(w))
			fwrite(w->done, 1, w->len + 1, w->met);
		if (own && last) {
			*ret_link = strdup(w->done);
			if (!*ret_link)
				return -ENOMEM;
		}
		if (target[0] == '/')
			w->done[w->len = 0] = '\0';
		else
			pop_component(w);
		r = prepend(w, target);
		if (r < 0)
			return r;
	}
}

/* What is known of a directory of that very name. */
enum dir_state { DIR_UNKNOWN, DIR_PLAIN /* there, no link on the way */, DIR_MISSING /* as far as it is there, no link */,
		 DIR_WALK /* links, or not to be searched */ };

enum { DIRS_KEPT = 256, DIR_LONGEST = 120 };

/* Profiles name hundreds of files in a few dozen directories. One thread loads policies. */
static struct {
	char path[DIR_LONGEST];
	enum dir_state state;
} dirs[DIRS_KEPT];

static enum dir_state look_at_dir(const char *dir)
{
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
					     RESOLVE_NO_SYMLINKS);

	return fd >= 0 ? DIR_PLAIN : fd == -ENOENT ? DIR_MISSING : DIR_WALK;
}

static enum dir_state dir_state(const char *path, size_t len)
{
	char dir[DIR_LONGEST];
	unsigned h = 5381;

	if (len == 0)
		return DIR_PLAIN; /* the root */
	if (len >= sizeof(dir))
		return DIR_WALK;
	memcpy(dir, path, len);
	dir[len] = '\0';
	for (size_t i = 0; i < len; i++)
		h = h * 33 + (unsigned char)dir[i];
	h %= DIRS_KEPT;
	if (strcmp(dirs[h].path, dir) != 0) {
		dirs[h].state = look_at_dir(dir);
		memcpy(dirs[h].path, dir, len + 1);
	}
	return dirs[h].state;
}

/* Absolute, no empty, "." or ".." components, no trailing slash. */
static bool is_clean(const char *path)
{
	for (const char *c = path; *c == '/'; c += strcspn(c, "/")) {
		size_t len = strcspn(++c, "/");

		if (len == 0 || (c[0] == '.' && (len == 1 || (len == 2 && c[1] == '.'))))
			return false;
	}
	return true;
}

/* Is PATH its own canonical name, whether it is there or not? Two system calls for a directory and one for
 * each name in it. */
static bool is_canonical(const char *path)
{
	struct stat st;
	int r;

	if (!is_clean(path) || strncmp(path, "/proc/", 6) == 0)
		return false;
	switch (dir_state(path, (size_t)(strrchr(path, '/') - path))) {
	case DIR_PLAIN:
		r = look_at(path, &st);
		return r == 0 ? !S_ISLNK(st.st_mode) : r == -ENOENT;
	case DIR_MISSING:
		look_missing(path);
		return true;
	default:
		return false;
	}
}

void resolve_literal_forget(void)
{
	memset(dirs, 0, sizeof(dirs));
	look_forget();
}

static int check_length(const char *path)
{
	if (path[0] != '/')
		return -EINVAL;
	return strlen(path) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static struct walk *walk_new(const char *path)
{
	struct walk *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	w->done[0] = '\0';
	w->len = w->links = 0;
	w->missing = false;
	w->met = NULL;
	w->own = strlen(path);
	memcpy(w->rest, path, w->own + 1);
	return w;
}

int resolve_literal(const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	_cleanup_free_ struct walk *w = NULL;
	_cleanup_free_ char *link = NULL, *links = NULL;
	size_t len;
	int r;

	r = check_length(path);
	if (r < 0)
		return r;
	*ret_link = NULL;
	if (ret_links)
		*ret_links = NULL;
	if (is_canonical(path)) {
		*ret_path = strdup(path);
		return *ret_path ? 0 : -ENOMEM;
	}
	w = walk_new(path);
	if (!w)
		return -ENOMEM;
	if (ret_links) {
		w->met = open_memstream(&links, &len);
		if (!w->met)
			return -ENOMEM;
	}
	r = walk_path(w, &link);
	if (w->met && fclose(w->met) != 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	*ret_path = strdup(w->len ? w->done : "/");
	if (!*ret_path)
		return -ENOMEM;
	*ret_link = link;
	link = NULL;
	if (ret_links) {
		*ret_links = links; /* which ends with one NUL more */
		links = NULL;
	}
	return 0;
}

/* The first line of FILE into BUF, without its end. */
static bool read_line(const char *file, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

/* FILE is the .git file of a worktree: REPOSITORY/worktrees/NAME must name it in turn. */
static char *worktree_gitdir(const char *file)
{
	_cleanup_free_ char *admin = NULL;
	char line[PATH_MAX], back[PATH_MAX], name[2 * PATH_MAX], *slash;
	struct stat st;

	if (!read_line(file, line, sizeof(line)) || strncmp(line, "gitdir: /", 9) != 0)
		return NULL;
	admin = realpath(line + 8, NULL);
	if (!admin)
		return NULL;
	snprintf(name, sizeof(name), "%s/gitdir", admin);
	if (!read_line(name, back, sizeof(back)) || strcmp(back, file) != 0)
		return NULL;
	slash = strrchr(admin, '/');
	*slash = '\0';
	slash = strrchr(admin, '/');
	if (!slash || slash == admin || strcmp(slash, "/worktrees") != 0)
		return NULL;
	*slash = '\0';
	if (stat(admin, &st) < 0 || st.st_uid != geteuid())
		return NULL;
	return strdup(admin);
}

char *find_gitdir(const char *pwd)
{
	char dir[PATH_MAX], git[PATH_MAX + 8];
	struct stat st;

	if (strlen(pwd) >= sizeof(dir))
		return NULL;
	strcpy(dir, pwd);
	for (;;) {
		char *slash = strrchr(dir, '/');

		snprintf(git, sizeof(git), "%s/.git", dir);
		if (lstat(git, &st) == 0) {
			if (st.st_uid != geteuid())
				return NULL;
			if (S_ISDIR(st.st_mode))
				return strdup(git);
			return S_ISREG(st.st_mode) ? worktree_gitdir(git) : NULL;
		}
		if (!slash || slash == dir)
			return NULL;
		*slash = '\0';
	}
}

char *home_directory(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (home && home[0] == '/')
		return strdup(home);
	pw = getpwuid(getuid());
	return pw && pw->pw_dir && pw->pw_dir[0] == '/' ? strdup(pw->pw_dir) : NULL;
}

char *home_canonical(void)
{
	char *home = home_directory(), *real = home ? realpath(home, NULL) : NULL;

	if (!real)
		return home;
	free(home);
	return real;
}
