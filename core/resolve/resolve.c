/* SPDX-License-Identifier: Apache-2.0
 * The fast ways of resolving, and the names of descriptors.
 */
#include "core/resolve/resolve.h"

#include "core/cleanup.h"
#include "core/launch/launch.h"
#include "core/sys.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static struct {
	dev_t root_dev;
	ino_t root_ino;
	bool protected_symlinks;
	pid_t guarded[2];
	bool guard_outsiders;
	const char *const *control; /* directories of control sockets */
	int fds; /* /proc/self/fd */
} world = {.fds = -EBADF};

int resolve_init(void)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	char c = '1';

	if (stat("/", &st) < 0)
		return -errno;
	world.root_dev = st.st_dev;
	world.root_ino = st.st_ino;
	fd = open("/proc/sys/fs/protected_symlinks", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '1';
	world.protected_symlinks = c != '0';
	world.fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return world.fds < 0 ? -errno : 0;
}

int resolve_fds(void)
{
	return world.fds;
}

void resolve_guard(pid_t supervisor, pid_t warden, bool outsiders)
{
	world.guarded[0] = supervisor;
	world.guarded[1] = warden;
	world.guard_outsiders = outsiders;
}

void resolve_guard_control(const char *const *dirs)
{
	world.control = dirs;
}

bool resolve_is_control(const char *name, size_t len)
{
	for (const char *const *dir = world.control; dir && *dir; dir++) {
		size_t dir_len = strlen(*dir);

		if (len >= dir_len && memcmp(name, *dir, dir_len) == 0 && (len == dir_len || name[dir_len] == '/'))
			return true;
	}
	return false;
}

bool resolve_is_guarded_dir(const char *name, size_t len)
{
	return len >= 5 && memcmp(name, "/proc", 5) == 0 && (len == 5 || name[5] == '/');
}

/* What anybody may see of any process: the directory itself, and these in it. */
static bool is_public(const char *rest, size_t len)
{
	static const char *const names[] = {"", "/", "/stat", "/statm", "/status", "/cmdline", "/comm", "/cgroup",
					    "/task"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && memcmp(rest, names[i], len) == 0)
			return true;
	return false;
}

bool resolve_is_guarded(const char *name, size_t len)
{
	char path[64], *rest;
	pid_t pid;

	if (len < 7 || strncmp(name, "/proc/", 6) != 0 || name[6] < '1' || name[6] > '9')
		return false;
	pid = (pid_t)strtol(name + 6, &rest, 10);
	if (is_public(rest, len - (size_t)(rest - name)))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		if (world.guarded[i] <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d", world.guarded[i], pid);
		if (pid == world.guarded[i] || access(path, F_OK) == 0)
			return true;
	}
	return world.guard_outsiders && !launch_in_tree(world.guarded[1], pid);
}

bool resolve_is_proc_elsewhere(int fd, const struct stat *st, const char *name, size_t len)
{
	bool at_home = len >= 5 && strncmp(name, "/proc", 5) == 0 && (len == 5 || name[5] == '/');

	return !at_home && resolve_on_procfs(fd, st);
}

bool resolved_is_proc_elsewhere(const struct resolved *r)
{
	return resolved_exists(r) && r->st.st_dev != r->plain_dev &&
	       resolve_is_proc_elsewhere(r->obj >= 0 ? r->obj : r->parent, &r->st, r->name, r->name_len);
}

bool resolve_is_root(const struct stat *st)
{
	return st->st_dev == world.root_dev && st->st_ino == world.root_ino;
}

bool resolve_protects_symlinks(void)
{
	return world.protected_symlinks;
}

bool resolve_on_procfs(int fd, const struct stat *st)
{
	struct statfs fs;

	/* procfs has no block device: its st_dev has major 0, which most files are spared by. */
	return major(st->st_dev) == 0 && fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

void resolved_init(struct resolved *r)
{
	r->parent = r->obj = -EBADF;
	r->last[0] = r->name[0] = '\0';
	r->name_len = r->dir_len = 0;
	r->plain_dev = 0;
	r->unnamed = r->deleted = r->magic = r->theirs = r->borrowed = r->seen = r->recalled = false;
	r->access = -1;
}

void resolved_done(struct resolved *r)
{
	if (!r->borrowed)
		cleanup_close(&r->parent);
	cleanup_close(&r->obj);
	r->parent = r->obj = -EBADF;
	r->borrowed = false;
}

static bool bears_name(const struct resolved *r)
{
	struct stat st;

	return lstat(r->name, &st) == 0 && st.st_dev == r->st.st_dev && st.st_ino == r->st.st_ino;
}

int resolve_name(int fd, struct resolved *r)
{
	static const char deleted[] = " (deleted)";
	char number[16];
	bool has_tail;
	ssize_t n;

	snprintf(number, sizeof(number), "%d", fd);
	n = CALL(readlinkat(world.fds, number, r->name, PATH_MAX));
	if (n < 0)
		return (int)n;
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	r->name[n] = '\0';
	r->name_len = (size_t)n;
	r->unnamed = r->name[0] != '/';
	/* What is unlinked is shown with a tail, which a live name may have as well. The link count tells but for files
	 * that have another name: those must bear the one that is shown. A removed directory's is 0. */
	has_tail = r->name_len > sizeof(deleted) - 1 &&
		   strcmp(r->name + r->name_len - (sizeof(deleted) - 1), deleted) == 0;
	if (!r->unnamed && (r->st.st_nlink == 0 || (has_tail && !bears_name(r)))) {
		r->deleted = true;
		if (has_tail) {
			r->name_len -= sizeof(deleted) - 1;
			r->name[r->name_len] = '\0';
		}
		/* Kernel-internal mounts have no root to start from: "/memfd:x", "/SYSV0001". */
		if (S_ISREG(r->st.st_mode) && memchr(r->name + 1, '/', r->name_len - 1) == NULL &&
		    (strncmp(r->name, "/memfd:", 7) == 0 || strncmp(r->name, "/SYSV", 5) == 0))
			r->unnamed = true;
	}
	/* Outside of the root ("(unreachable)/x") it begins with no slash and counts as unnamed; but it
	 * is a file with a name elsewhere: refuse. */
	if (r->unnamed && strncmp(r->name, "(unreachable)", 13) == 0)
		return -EACCES;
	return 0;
}

int resolve_fd(int fd, struct resolved *r)
{
	r->obj = fd;
	if (fstat(fd, &r->st) < 0)
		return -errno;
	r->magic = true;
	return resolve_name(fd, r);
}

bool resolve_is_clean(const char *path, size_t len)
{
	if (path[0] != '/')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (path[i] != '/')
			continue;
		if (i + 1 == len)
			return len == 1;
		if (path[i + 1] == '/')
			return false;
		if (path[i + 1] == '.' && (i + 2 == len || path[i + 2] == '/' ||
					   (path[i + 2] == '.' && (i + 3 == len || path[i + 3] == '/'))))
			return false;
	}
	return true;
}

bool resolve_leads_through_self(const char *path)
{
	return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
}

static uint64_t open_flags(unsigned flags)
{
	return O_PATH | O_CLOEXEC | (flags & RESOLVE_FOLLOW ? 0 : O_NOFOLLOW);
}

/* How much of the name of what PATH leads to, without a link, names its directory. */
static size_t dir_of_name(const char *path, size_t len, const struct resolved *r)
{
	size_t start = len, n = r->name_len;

	while (start > 0 && path[start - 1] != '/')
		start--;
	len -= start;
	path += start;
	if (len == 0 || r->unnamed || r->deleted || strcmp(path, ".") == 0 || strcmp(path, "..") == 0)
		return 0;
	if (n <= len || r->name[n - len - 1] != '/' || memcmp(r->name + n - len, path, len) != 0)
		return 0;
	return n - len;
}

/* The object with a fast openat2, or -ELOOP when the walk has to decide. */
static int fast_object(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		       struct resolved *r)
{
	uint64_t how = from->how | RESOLVE_NO_MAGICLINKS;
	bool clean = resolve_is_clean(path, len) && from->how == 0, linkless = from->how == 0;
	int r_obj = -ELOOP, e;

	if (linkless) {
		r_obj = sys_openat2(from->base, path, open_flags(flags), 0, how | RESOLVE_NO_SYMLINKS);
		if (r_obj < 0 && r_obj != -ELOOP && clean)
			return r_obj;
	}
	if (r_obj < 0) {
		clean = linkless = false;
		r_obj = sys_openat2(from->base, path, open_flags(flags), 0, how);
		if (r_obj == -EAGAIN && !(from->how & RESOLVE_CACHED))
			return -ELOOP;
		/* A link may have led through our own "self", where there is less than in the target's. */
		if (r_obj < 0 && from->how == 0 && (from->exact || resolve_leads_through_self(path)))
			return -ELOOP;
		if (r_obj < 0)
			return r_obj;
	}
	r->obj = r_obj;
	if (fstat(r->obj, &r->st) < 0)
		return -errno;
	/* Without a link on the way a path is the name. In other letters, too, where a directory folds: the planner
	 * lets no refusal lie there (policy/plan_fold.c). */
	if (clean) {
		memcpy(r->name, path, len + 1);
		r->name_len = len;
		r->dir_len = dir_of_name(path, len, r);
		return 0;
	}
	/* A plain link may have led through "self": that was us, not the target. */
	if (resolve_on_procfs(r->obj, &r->st))
		return -ELOOP;
	r->plain_dev = r->st.st_dev;
	e = resolve_name(r->obj, r);
	if (e == 0 && linkless)
		r->dir_len = dir_of_name(path, len, r);
	return e;
}

/* Split PATH into the directory part (copied to DIR) and the last component with its slashes. */
static bool split(const char *path, size_t len, char *dir, char *last)
{
	size_t end = len, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (end == start || end - start > NAME_MAX)
		return false;
	if (path[start] == '.' && (end - start == 1 || (end - start == 2 && path[start + 1] == '.')))
		return false;
	memcpy(last, path + start, end - start);
	last[end - start] = '\0';
	if (end < len)
		memcpy(last + (end - start), "/", 2);
	if (start == 0) {
		memcpy(dir, ".", 2);
	} else {
		memcpy(dir, path, start);
		dir[start] = '\0';
	}
	return true;
}

/* A clean path without links names its directory as it is written. Not where "self" may stand. 0: done, 1: another
 * way, or -errno. */
static int clean_parent(const char *dir, const char *path, size_t len, struct resolved *r)
{
	int fd;

	if (resolve_leads_through_self(path) || !resolve_is_clean(path, len))
		return 1;
	fd = sys_openat2(AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd == -ELOOP ? 1 : fd;
	r->parent = fd;
	r->name_len = strlen(dir);
	memcpy(r->name, dir, r->name_len + 1);
	return 0;
}

/* The directory part of a path, whatever links are in it, and the kernel's name for what it leads to. */
static int kernel_parent(const struct resolve_from *from, const char *dir, const char *path, struct resolved *r)
{
	bool is_base = from->lends && from->how == 0 && strcmp(dir, ".") == 0;
	int fd = from->base;

	if (!is_base)
		fd = sys_openat2(from->base, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
				 from->how | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 && from->how == 0 && (from->exact || resolve_leads_through_self(path)))
		return -ELOOP;
	if (fd < 0)
		return fd == -EAGAIN && !(from->how & RESOLVE_CACHED) ? -ELOOP : fd;
	r->parent = fd;
	r->borrowed = is_base;
	if (fstat(fd, &r->st) < 0)
		return -errno;
	/* (The walk has the right errno for what is no directory.) */
	if (!S_ISDIR(r->st.st_mode) || resolve_on_procfs(fd, &r->st))
		return -ELOOP;
	r->plain_dev = r->st.st_dev;
	fd = resolve_name(r->parent, r);
	if (fd < 0)
		return fd;
	if (r->deleted || r->unnamed)
		return -ENOENT;
	if (r->name_len > 1)
		r->name[r->name_len++] = '/';
	return 0;
}

static int find_parent(const struct resolve_from *from, const char *dir, const char *path, size_t len,
		       struct resolved *r)
{
	const struct resolved *beside = from->beside;
	int e = 1;

	if (beside) {
		r->parent = beside->parent;
		r->borrowed = true;
		r->plain_dev = beside->plain_dev;
		r->name_len = beside->dir_len;
		memcpy(r->name, beside->name, beside->dir_len);
		return 0;
	}
	if (from->how == 0)
		e = clean_parent(dir, path, len, r);
	return e == 1 ? kernel_parent(from, dir, path, r) : e;
}

/* The bare name, without its slash. */
static void bare_name(const struct resolved *r, char bare[NAME_MAX + 2])
{
	size_t n = strlen(r->last);

	memcpy(bare, r->last, n + 1);
	if (n > 1 && bare[n - 1] == '/')
		bare[n - 1] = '\0';
}

static int glance(struct resolved *r)
{
	char bare[NAME_MAX + 2];
	int e;

	bare_name(r, bare);
	e = (int)CALL(fstatat(r->parent, bare, &r->st, AT_SYMLINK_NOFOLLOW));
	r->seen = e == 0;
	return e == -ENOENT ? 0 : e;
}

int resolve_look(struct resolved *r)
{
	char bare[NAME_MAX + 2];
	int fd;

	if (r->obj >= 0)
		return 0;
	r->seen = false;
	bare_name(r, bare);
	fd = sys_openat2(r->parent, bare, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	r->obj = fd;
	return fstat(fd, &r->st) < 0 ? -errno : 0;
}

/* The parent in one openat2, then the last name in it. -ELOOP: walk. */
static int fast_parent(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		       struct resolved *r)
{
	char dir[PATH_MAX];
	size_t last_len;
	int e;

	if (!split(path, len, dir, r->last))
		return -ELOOP;
	last_len = strlen(r->last);
	if (r->last[last_len - 1] == '/' && !(flags & RESOLVE_LAST_RAW))
		return -ELOOP;
	e = find_parent(from, dir, path, len, r);
	if (e < 0)
		return e;
	r->dir_len = r->name_len;
	if (r->last[last_len - 1] == '/')
		last_len--;
	memcpy(r->name + r->name_len, r->last, last_len);
	r->name_len += last_len;
	r->name[r->name_len] = '\0';
	if (flags & RESOLVE_UNSEEN)
		return 0;
	if (flags & RESOLVE_GLANCE)
		return glance(r);
	e = resolve_look(r);
	if (e == 0 && r->obj >= 0 && S_ISLNK(r->st.st_mode) && (flags & RESOLVE_FOLLOW))
		return -ELOOP;
	return e;
}

bool resolve_same_dir(const char *a, const char *b)
{
	char dir[2][PATH_MAX], last[NAME_MAX + 2];

	return split(a, strlen(a), dir[0], last) && split(b, strlen(b), dir[1], last) && strcmp(dir[0], dir[1]) == 0;
}

int resolve_path(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		 struct resolved *r)
{
	int e;

	resolved_init(r);
	e = flags & RESOLVE_PARENT ? fast_parent(from, path, len, flags, r)
				   : fast_object(from, path, len, flags, r);
	if (e != -ELOOP)
		return e;
	resolved_done(r);
	resolved_init(r);
	/* What the target's own RESOLVE_* bits mean only the kernel knows, and its answer stands: but for the bit that
	 * is about nothing but magic links. */
	if (from->how & ~(uint64_t)RESOLVE_NO_MAGICLINKS)
		return -ELOOP;
	return resolve_walk(from, path, len, flags, r);
}
