/* SPDX-License-Identifier: Apache-2.0
 * The open family: what an open needs, and what is known of its path already. Done: open_perform.c; plain reads take a
 * shorter way: open_at_once.c.
 */
#include "core/reply/open_impl.h"

#include "core/cleanup.h"
#include "core/reply/reply.h"
#include "core/target/memory.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define KNOWN_FLAGS                                                                                            \
	(O_RDONLY | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	 O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
	 O_TMPFILE)
#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define OPEN_HOW_MAX 4096

/* struct open_how as the kernel takes it: sizes and unknown tails first. */
static int copy_open_how(struct request *q)
{
	uint64_t size = q->args[3];
	char raw[OPEN_HOW_MAX];
	struct open_how how;
	int r;

	if (size < sizeof(how))
		return -EINVAL;
	if (size > OPEN_HOW_MAX)
		return -E2BIG;
	r = target_read(q->tid, q->args[2], raw, size);
	if (r < 0)
		return r;
	for (size_t i = sizeof(how); i < size; i++)
		if (raw[i])
			return -E2BIG;
	memcpy(&how, raw, sizeof(how));
	q->open_flags = how.flags;
	q->open_mode = how.mode;
	q->open_resolve = how.resolve;
	return 0;
}

/* openat2 is strict where open is not. The kernel's own word, from a call that can do nothing. */
static int check_open_how(const struct request *q)
{
	struct open_how how = {.flags = q->open_flags, .mode = q->open_mode, .resolve = q->open_resolve};
	long r = CALL(syscall(SYS_openat2, -1, "", &how, sizeof(how)));

	return r == -EINVAL || r == -EAGAIN ? (int)r : 0;
}

static int decode(struct request *q)
{
	uint64_t flags;
	int r;

	if (q->call->nr == SYS_openat2) {
		r = copy_open_how(q);
		return r < 0 ? r : check_open_how(q);
	}
	if (q->call->nr == SYS_creat)
		flags = O_CREAT | O_WRONLY | O_TRUNC;
	else
		flags = (uint32_t)request_arg(q, q->call->flags);
	flags &= KNOWN_FLAGS;
	if (flags & O_PATH)
		flags &= PATH_FLAGS;
	q->open_flags = flags;
	if (flags & (O_CREAT | TMPFILE_BIT))
		q->open_mode = request_arg(q, q->call->mode) & 07777;
	if (flags & TMPFILE_BIT) {
		if ((flags & (O_TMPFILE | O_CREAT)) != O_TMPFILE || (flags & O_ACCMODE) == O_RDONLY)
			return -EINVAL;
	} else if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
		return -EINVAL;
	}
	return 0;
}

/* What the mode of access asks for. Mode 3 is read and write, however little it yields. */
static void need_access(struct request *q, bool is_dir)
{
	unsigned mode = q->open_flags & O_ACCMODE;

	if (mode == O_RDONLY || mode == O_RDWR || mode == 3)
		request_need(q, is_dir ? OP_LIST : OP_READ, 0);
	if (mode != O_RDONLY || (q->open_flags & O_TRUNC))
		request_need(q, OP_WRITE, 0);
}

/* May opening it wait for somebody? Memory devices and pseudo terminals never do. */
static bool may_block(const struct stat *st)
{
	unsigned m = major(st->st_rdev);

	if (S_ISCHR(st->st_mode))
		return !(m == 1 || (m == 5 && minor(st->st_rdev) == 2) || (m >= 136 && m <= 143));
	return S_ISFIFO(st->st_mode) || S_ISBLK(st->st_mode);
}

void open_state_needs(struct request *q)
{
	struct resolved *at = &q->at[0];

	q->n_needs = 0;
	q->creates = !resolved_exists(at);
	if (q->open_flags & TMPFILE_BIT) {
		request_need(q, OP_CREATE, 0);
		need_access(q, false);
	} else if (q->creates) {
		request_need(q, OP_CREATE, 0);
		need_access(q, false);
	} else {
		need_access(q, S_ISDIR(at->st.st_mode));
	}
	q->slow = at->obj >= 0 && may_block(&at->st);
}

/* Resolve anew: for the first time, or because the name changed under a creation. */
int open_look(struct request *q)
{
	bool creat = q->open_flags & O_CREAT;
	bool nofollow = (q->open_flags & O_NOFOLLOW) || (creat && (q->open_flags & O_EXCL));
	bool slash = q->path[0].len > 0 && q->path[0].bytes[q->path[0].len - 1] == '/';
	bool excl = (q->open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	unsigned flags = (nofollow ? 0 : RESOLVE_FOLLOW) | (creat || nofollow ? RESOLVE_PARENT : 0) |
			 (excl && !q->open_resolve ? RESOLVE_UNSEEN : 0);
	int r = request_resolve(q, 0, creat && slash ? RESOLVE_PARENT | RESOLVE_LAST_RAW : flags);

	/* Whatever is there, once its directory has been reached; "." and "/" are known to be there. */
	if (creat && slash && (r == 0 || r == -EBUSY))
		return (q->open_flags & O_EXCL) && (r == -EBUSY || q->at[0].unnamed) ? -EEXIST : -EISDIR;
	if (r < 0)
		return r;
	if (q->at[0].obj < 0 && !creat)
		return -ENOENT;
	if (creat && q->at[0].obj >= 0 && S_ISDIR(q->at[0].st.st_mode))
		return q->open_flags & O_EXCL ? -EEXIST : -EISDIR;
	return 0;
}

/* The leading "." and ".." of PATH (a compiler's "./stdio.h", "../include/x.h"), from the directory of canonical NAME,
 * which ends in a slash and whose length *N they change. What is left of PATH. */
static const char *walk_dots(const char *path, const char *name, size_t *n)
{
	for (;;) {
		if (strncmp(path, "../", 3) == 0) {
			path += 3;
			*n -= *n > 1;
			while (name[*n - 1] != '/')
				(*n)--;
		} else if (strncmp(path, "./", 2) == 0) {
			path += 2;
		} else {
			return path;
		}
		path += strspn(path, "/");
	}
}

/* The canonical name that path[0] would have if it were there: no link is on the way, as far as there is
 * one. Its length, or 0. */
static size_t missing_name(const struct request *q, char *name, size_t size)
{
	const char *path = q->path[0].bytes;
	_cleanup_close_ int base = -EBADF, found = -EBADF;
	size_t n = 0, left;
	char link[32];
	ssize_t r;

	if (path[0] != '/') {
		base = task_open_dir(q->tid, q->path[0].dirfd);
		if (base < 0 || !request_is_cached_base(q, base))
			return 0;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", base);
		r = readlink(link, name, size - 1);
		if (r <= 0 || name[0] != '/')
			return 0;
		n = (size_t)r;
		if (n > 1)
			name[n++] = '/';
		path = walk_dots(path, name, &n);
	}
	left = strlen(path);
	if (n + left >= size)
		return 0;
	memcpy(name + n, path, left + 1);
	n += left;
	if (!resolve_is_clean(name, n))
		return 0;
	found = sys_openat2(AT_FDCWD, name, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS);
	return found == -ENOENT ? n : 0;
}

/* May whatever file or directory appears at this name be read, as far as the kernel is asked? */
static bool is_readable_name(const struct plan *plan, const char *name, size_t len)
{
	return plan_in_baseline(plan, plan_op_rights(plan, OP_READ, false), name, len, 0, 0) &&
	       plan_in_baseline(plan, plan_op_rights(plan, OP_LIST, true), name, len, 0, 0);
}

/* A missing file where everything may be read: whatever file or directory appears there, CONTINUE stays
 * right; and if a link does, the cache is told. */
static void note_missing(struct request *q)
{
	char name[2 * PATH_MAX];
	const struct resolved *at = &q->at[0];
	size_t len;

	if (q->open_flags & (O_ACCMODE | O_CREAT | O_TRUNC))
		return;
	if (q->cache_key.a) {
		len = missing_name(q, name, sizeof(name));
		q->is_readable_there = len && is_readable_name(q->rules->plan, name, len);
		if (q->is_readable_there)
			request_learn(q);
	} else if (at->recalled && !at->theirs) {
		q->is_readable_there = is_readable_name(q->rules->plan, at->name, at->name_len);
	}
}

/* For records: an O_PATH open is a look at a name. */
static void see_lookup(struct request *q)
{
	int r;

	if (!q->sup->wants_allowed)
		return;
	r = request_recall(q, OP_STAT, !(q->open_flags & O_NOFOLLOW));
	if (r == 1)
		r = open_look(q);
	if (r < 0) {
		request_observe_failed(q, -r, REPLY_CONTINUE);
		return;
	}
	request_need(q, OP_STAT, 0);
	request_observe_allowed(q, REPLY_CONTINUE);
}

/* Plain reads, the most of all opens, and plain writes. With O_CREAT an entry is for a device, which stays
 * where it is. */
static bool cache_op(const struct request *q, enum op *ret)
{
	if (q->call->nr == SYS_openat2 || (q->open_flags & (O_EXCL | O_NOFOLLOW | O_PATH | TMPFILE_BIT)))
		return false;
	if (!(q->open_flags & (O_ACCMODE | O_CREAT | O_TRUNC)))
		*ret = OP_READ;
	else if ((q->open_flags & O_ACCMODE) == O_WRONLY)
		*ret = q->open_flags & O_CREAT ? OP_CREATE : OP_WRITE;
	else
		return false;
	return true;
}

/* While everything is recorded: as open_look(), if it is known what the path leads to. 1: it is not. */
static int recall_open(struct request *q)
{
	enum op op = OP_READ;
	int r = cache_op(q, &op) ? request_recall(q, op, true) : 1;

	if (op == OP_CREATE && r <= 0 && (r == -ENOENT || !S_ISCHR(q->at[0].st.st_mode))) {
		resolved_init(&q->at[0]);
		return 1;
	}
	return r;
}

/* Reads and lists, and nothing else: what a directory's entry in the cache is for. */
static bool reads_only(const struct request *q)
{
	return q->call->nr != SYS_openat2 &&
	       !(q->open_flags & (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_PATH | TMPFILE_BIT));
}

int open_glance(struct request *q)
{
	enum op op = OP_READ;
	int r = decode(q);

	if (r < 0)
		return r;
	r = request_copy_path(q, 0, q->call->path, request_dirfd(q, q->call->dirfd));
	if (r < 0)
		return r;
	/* The bytes may be of a target that is gone: then the reply goes nowhere. */
	if (cache_op(q, &op) && request_cached(q, op)) {
		reply_continue(q);
		return 1;
	}
	if (reads_only(q) && request_dir_cached(q, !(q->open_flags & O_NOFOLLOW))) {
		reply_continue(q);
		request_learn(q);
		return 1;
	}
	return 0;
}

int open_prepare(struct request *q)
{
	struct resolved *at = &q->at[0];
	int r;

	q->boundable = true;
	q->perform = open_perform;
	/* O_PATH opens nothing: that the name is there is all it tells, and what is done with the descriptor later is
	 * judged. Flags are in a register, so the kernel will see the same. */
	if ((q->open_flags & O_PATH) && q->call->nr != SYS_openat2) {
		see_lookup(q);
		reply_continue(q);
		return 1;
	}
	r = recall_open(q);
	if (r == 1) {
		r = open_at_once(q);
		if (r == 1) {
			open_state_needs(q);
			return 0;
		}
		if (r == 0)
			r = open_look(q);
	}
	if (r == 0 && at->obj < 0 && (q->open_flags & O_EXCL)) {
		open_state_needs(q);
		if (!request_may_act_unseen(q))
			r = resolve_look(at);
	}
	if (r == -ENOENT)
		note_missing(q);
	/* Natively the lack of a descriptor is found before the path is walked. */
	if (r < 0 && r != -ESRCH && !request_fails_again(q, -r) && task_fds_exhausted(q->tid))
		return -EMFILE;
	if (r < 0)
		return r;
	if ((q->open_flags & O_CREAT) && (at->obj < 0 || !S_ISCHR(at->st.st_mode)))
		q->cache_key.a = 0;
	/* A descriptor of this kind can't be handed over (ADDFD: EBADF), and without a baseline the flags,
	 * which lie in memory, must not be read again. Callers of openat2 know how to do without. */
	if (q->open_flags & O_PATH)
		return request_is_bounded(q) ? 0 : -ENOSYS;
	if (at->obj >= 0 && S_ISLNK(at->st.st_mode))
		return q->open_flags & O_DIRECTORY ? -ENOTDIR
		       : (q->open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? -EEXIST : -ELOOP;
	if (at->obj >= 0 && (q->open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	open_state_needs(q);
	return 0;
}
