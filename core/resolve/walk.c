/* SPDX-License-Identifier: Apache-2.0
 * The exact walk: one component at a time by descriptor, links read and followed here, "self" and
 * "thread-self" of any procfs taken as the target's, magic links followed in the target's /proc.
 *
 * Bounded: 40 links, PATH_MAX bytes of pending path. Nothing is opened but with O_PATH.
 */
#include "core/resolve/resolve.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#define MAX_LINKS 40

struct walk {
	pid_t tid;
	unsigned flags;
	int cur;              /* O_PATH of the directory reached */
	struct stat cur_st;
	unsigned links;
	bool no_magic; /* the target wants none of these links */
	bool theirs;
	size_t pos, len;      /* pending path: rest[pos..len) */
	char rest[2 * PATH_MAX];
};

static int walk_to(struct walk *w, int fd)
{
	if (fd < 0)
		return fd;
	cleanup_close(&w->cur);
	w->cur = fd;
	return fstat(fd, &w->cur_st) < 0 ? -errno : 0;
}

static int walk_to_root(struct walk *w)
{
	return walk_to(w, (int)CALL(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)));
}

/* Put TARGET before what is pending. */
static int push(struct walk *w, const char *target, size_t n)
{
	size_t pending = w->len - w->pos;

	if (n + 1 + pending >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n, w->rest + w->pos, pending + 1);
	memcpy(w->rest, target, n);
	w->pos = 0;
	w->len = n + pending;
	return 0;
}

/* In the root of a procfs "self" and "thread-self" are links to whoever looks: the target. */
static int rename_self(struct walk *w, char *comp, size_t size)
{
	struct task_status status;
	int r;

	if (w->cur_st.st_ino != 1 || (strcmp(comp, "self") != 0 && strcmp(comp, "thread-self") != 0) ||
	    !resolve_on_procfs(w->cur, &w->cur_st))
		return 0;
	r = task_read_status(w->tid, &status);
	if (r < 0)
		return r;
	w->theirs = true;
	if (comp[0] == 's')
		snprintf(comp, size, "%d", status.tgid);
	else
		snprintf(comp, size, "%d/task/%d", status.tgid, w->tid);
	return 1;
}

/* fs.protected_symlinks: in a sticky directory that all may write, only the links of the follower and
 * of the directory's owner are followed. */
static bool may_follow(const struct walk *w, const struct stat *link)
{
	if (!resolve_protects_symlinks() || (w->cur_st.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH))
		return true;
	return link->st_uid == (uid_t)syscall(SYS_setfsuid, -1) || link->st_uid == w->cur_st.st_uid;
}

/* Does the link COMP belong to a process of ours, or to none of the tree? The directories of processes
 * may be seen by all, where their links lead may not. In doubt it does. */
static bool own_proc(const struct walk *w, const char *comp)
{
	char link[32], name[PATH_MAX + NAME_MAX + 1];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->cur);
	n = readlink(link, name, PATH_MAX);
	if (n < 0 || n >= PATH_MAX)
		return true;
	name[n] = '\0';
	if (resolve_is_proc_elsewhere(w->cur, &w->cur_st, name, (size_t)n))
		return true;
	n += snprintf(name + n, sizeof(name) - (size_t)n, "/%s", comp);
	return resolve_is_guarded(name, (size_t)n);
}

/* FD is a link found as COMP in w->cur. Follow it: 1 if the walk goes on with the pending path, 2 if
 * an object was reached through a magic link (now in *ret_obj). */
static int follow(struct walk *w, const char *comp, int fd, const struct stat *st, int *ret_obj)
{
	char target[PATH_MAX];
	ssize_t n;
	int r;

	if (++w->links > MAX_LINKS)
		return -ELOOP;
	if (resolve_on_procfs(fd, st)) {
		/* A magic link leads to an object, its text is only for show. */
		r = sys_openat2(w->cur, comp, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
		if (r == -ELOOP) {
			if (w->no_magic)
				return -ELOOP;
			if (own_proc(w, comp))
				return -EACCES;
			r = sys_openat2(w->cur, comp, O_PATH | O_CLOEXEC, 0, 0);
			if (r < 0)
				return r;
			*ret_obj = r;
			w->theirs = true;
			return 2;
		}
		if (r >= 0)
			close(r);
	}
	if (!may_follow(w, st))
		return -EACCES;
	n = CALL(readlinkat(fd, "", target, sizeof(target)));
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ENOENT;
	if ((size_t)n >= sizeof(target))
		return -ENAMETOOLONG;
	r = push(w, target, (size_t)n);
	if (r < 0)
		return r;
	if (target[0] == '/') {
		r = walk_to_root(w);
		if (r < 0)
			return r;
	}
	return 1;
}

static bool more_components(const struct walk *w)
{
	for (size_t i = w->pos; i < w->len; i++)
		if (w->rest[i] != '/')
			return true;
	return false;
}

/* The next component into COMP; false at the end. */
static int next_component(struct walk *w, char *comp)
{
	size_t start, n;

	while (w->pos < w->len && w->rest[w->pos] == '/')
		w->pos++;
	start = w->pos;
	while (w->pos < w->len && w->rest[w->pos] != '/')
		w->pos++;
	n = w->pos - start;
	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(comp, w->rest + start, n);
	comp[n] = '\0';
	return n > 0;
}

/* The walk has reached FD (taken), called COMP in w->cur unless magic. */
static int arrive(struct walk *w, const char *comp, int fd, bool magic, struct resolved *r)
{
	r->obj = fd;
	if (fd >= 0 && fstat(fd, &r->st) < 0)
		return -errno;
	r->magic = magic;
	r->theirs = w->theirs;
	if (!magic && comp && (w->flags & RESOLVE_PARENT)) {
		bool slash = w->pos < w->len;

		snprintf(r->last, sizeof(r->last), "%s%s", comp, slash ? "/" : "");
		r->parent = take_fd(&w->cur);
	}
	if (fd >= 0)
		return resolve_name(fd, r);
	/* Missing: the parent's name and the last component. */
	{
		struct stat keep = w->cur_st;
		size_t n = strlen(comp);
		int e;

		r->st = keep;
		e = resolve_name(r->parent, r);
		if (e < 0)
			return e;
		if (r->unnamed || r->deleted)
			return -ENOENT;
		if (r->name_len > 1)
			r->name[r->name_len++] = '/';
		memcpy(r->name + r->name_len, comp, n + 1);
		r->name_len += n;
	}
	return 0;
}

static int walk_components(struct walk *w, struct resolved *r)
{
	char comp[NAME_MAX + 32];
	int e;

	for (;;) {
		_cleanup_close_ int fd = -EBADF;
		struct stat st;
		bool last, slash;

		/* Before the length of the next name, as the kernel does. */
		if (!S_ISDIR(w->cur_st.st_mode) && more_components(w))
			return -ENOTDIR;
		e = next_component(w, comp);
		if (e < 0)
			return e;
		if (e == 0) {
			/* "/", "a/..", "x/.": the directory itself, which has no name to act on. */
			if (w->flags & RESOLVE_LAST_RAW)
				return -EBUSY;
			return arrive(w, NULL, take_fd(&w->cur), false, r);
		}
		last = !more_components(w);
		slash = w->pos < w->len;
		if (strcmp(comp, ".") == 0 || strcmp(comp, "..") == 0) {
			if (last && (w->flags & RESOLVE_LAST_RAW)) {
				/* The kernel refuses these with the right errno: hand it the name. */
				memcpy(r->last, comp, strlen(comp) + 1);
				r->parent = take_fd(&w->cur);
				r->unnamed = true;
				return 0;
			}
			if (comp[1] == '.' && !resolve_is_root(&w->cur_st))
				e = walk_to(w, sys_openat2(w->cur, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0));
			else
				e = sys_openat2(w->cur, ".", O_PATH | O_CLOEXEC, 0, 0), e = walk_to(w, e);
			if (e < 0)
				return e;
			continue;
		}
		e = rename_self(w, comp, sizeof(comp));
		if (e < 0)
			return e;
		if (e > 0 && !(last && !slash && !(w->flags & RESOLVE_FOLLOW))) {
			/* As many components as the link has: through the ordinary walk. */
			e = push(w, comp, strlen(comp));
			if (e < 0)
				return e;
			if (++w->links > MAX_LINKS)
				return -ELOOP;
			continue;
		}
		if (e > 0)
			memcpy(comp, strchr(comp, '/') ? "thread-self" : "self", strchr(comp, '/') ? 12 : 5);
		fd = sys_openat2(w->cur, comp, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
		if (fd == -ENOENT && last && (w->flags & RESOLVE_PARENT)) {
			return arrive(w, comp, -EBADF, false, r);
		}
		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode) &&
		    (!last || (w->flags & RESOLVE_FOLLOW) || (slash && !(w->flags & RESOLVE_LAST_RAW)))) {
			int obj = -EBADF;

			e = follow(w, comp, fd, &st, &obj);
			if (e < 0)
				return e;
			if (e == 1)
				continue;
			if (last && !slash)
				return arrive(w, comp, obj, true, r);
			e = walk_to(w, obj);
			if (e < 0)
				return e;
			continue;
		}
		if (last) {
			if (slash && !S_ISDIR(st.st_mode) && !(w->flags & RESOLVE_LAST_RAW))
				return -ENOTDIR;
			return arrive(w, comp, take_fd(&fd), false, r);
		}
		e = walk_to(w, take_fd(&fd));
		if (e < 0)
			return e;
	}
}

int resolve_walk(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		 struct resolved *r)
{
	struct walk w = {
		.tid = from->tid, .flags = flags, .cur = -EBADF, .len = len,
		.no_magic = from->how & RESOLVE_NO_MAGICLINKS,
	};
	int e;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(w.rest, path, len + 1);
	if (path[0] == '/') {
		e = walk_to_root(&w);
	} else {
		e = (int)CALL(fcntl(from->base, F_DUPFD_CLOEXEC, 3));
		e = walk_to(&w, e);
	}
	if (e == 0)
		e = walk_components(&w, r);
	cleanup_close(&w.cur);
	return e;
}
