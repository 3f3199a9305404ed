/* SPDX-License-Identifier: Apache-2.0
 * The open family.
 *
 * What exists is opened through the pinned object (/proc/self/fd/N), so that what was judged is what is
 * handed over; what does not exist is created in the pinned parent with O_EXCL, and if somebody else was
 * faster, everything is judged anew. O_NOFOLLOW stays visible in F_GETFL, so an open that has it goes by
 * parent and name and the descriptor is compared. Plain reads take a shorter way: open_at_once.c.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/block.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/memory.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define KNOWN_FLAGS                                                                                            \
	(O_RDONLY | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	 O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
	 O_TMPFILE)
#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define OPEN_HOW_MAX 4096
#define STALE (-ESTALE - 4096) /* the name means something else by now; no errno of the kernel */
#define MAX_RACES 16 /* creations that others were faster at */

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

static void perform_open(struct request *q);

/* May opening it wait for somebody? Memory devices and pseudo terminals never do. */
static bool may_block(const struct stat *st)
{
	unsigned m = major(st->st_rdev);

	if (S_ISCHR(st->st_mode))
		return !(m == 1 || (m == 5 && minor(st->st_rdev) == 2) || (m >= 136 && m <= 143));
	return S_ISFIFO(st->st_mode) || S_ISBLK(st->st_mode);
}

static void state_needs(struct request *q)
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
static int resolve_open(struct request *q)
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

/* The canonical name that path[0] would have if it were there: no link is on the way, as far as there is
 * one. Its length, or 0. */
static size_t missing_name(const struct request *q, char *name, size_t size)
{
	const struct path_arg *p = &q->path[0];
	_cleanup_close_ int base = -EBADF;
	char link[32];
	ssize_t n = 0;

	if (p->bytes[0] != '/') {
		base = task_open_dir(q->tid, p->dirfd);
		if (base < 0)
			return 0;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", base);
		n = readlink(link, name, size - 1);
		if (n <= 0 || name[0] != '/')
			return 0;
		if (n > 1)
			name[n++] = '/';
	}
	if ((size_t)n + p->len >= size)
		return 0;
	memcpy(name + n, p->bytes, p->len + 1);
	n += (ssize_t)p->len;
	return resolve_is_clean(name, (size_t)n) &&
	       sys_openat2(AT_FDCWD, name, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS) == -ENOENT ? (size_t)n : 0;
}

/* A missing file where everything may be read: whatever file or directory appears there, CONTINUE stays
 * right; and if a link does, the cache is told. */
static void learn_missing(struct request *q)
{
	char name[2 * PATH_MAX];
	size_t len = missing_name(q, name, sizeof(name));

	if (len && plan_in_baseline(q->rules->plan, plan_op_rights(q->rules->plan, OP_READ, false), name, len, 0, 0) &&
	    plan_in_baseline(q->rules->plan, plan_op_rights(q->rules->plan, OP_LIST, true), name, len, 0, 0))
		request_learn(q);
}

/* For records: an O_PATH open is a look at a name. */
static void see_lookup(struct request *q)
{
	int r;

	if (!q->sup->wants_allowed)
		return;
	r = request_recall(q, OP_STAT, !(q->open_flags & O_NOFOLLOW));
	if (r == 1)
		r = resolve_open(q);
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

/* While everything is recorded: as resolve_open(), if it is known what the path leads to. 1: it is not. */
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
	q->perform = perform_open;
	/* O_PATH opens nothing: what is done with the descriptor later is judged. Flags are in a register,
	 * so the kernel will see the same. */
	if ((q->open_flags & O_PATH) && q->call->nr != SYS_openat2) {
		see_lookup(q);
		reply_continue(q);
		return 1;
	}
	r = recall_open(q);
	if (r == 1) {
		r = open_at_once(q);
		if (r == 1) {
			state_needs(q);
			return 0;
		}
		if (r == 0)
			r = resolve_open(q);
	}
	if (r == 0 && at->obj < 0 && (q->open_flags & O_EXCL)) {
		state_needs(q);
		if (!request_may_act_unseen(q))
			r = resolve_look(at);
	}
	if (r == -ENOENT && q->cache_key.a && !(q->open_flags & O_ACCMODE))
		learn_missing(q);
	/* Natively the lack of a descriptor is found before the path is walked. */
	if (r < 0 && r != -ESRCH && !request_is_bounded(q) && task_fds_exhausted(q->tid))
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
	state_needs(q);
	return 0;
}

static bool same_object(int fd, const struct stat *st)
{
	struct stat now;

	return fstat(fd, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Open the pinned object itself. STALE: the name means something else by now. */
static int open_object(const struct request *q, bool nonblock)
{
	const struct resolved *at = &q->at[0];
	uint64_t not_ours = q->open_flags & TMPFILE_BIT ? O_CREAT : O_CREAT | O_EXCL;
	uint64_t flags = (q->open_flags & ~not_ours) | O_CLOEXEC | O_NOCTTY;
	char link[16];
	int fd;

	if (nonblock)
		flags |= O_NONBLOCK;
	if ((flags & O_NOFOLLOW) && at->parent >= 0) {
		/* Only where the object's kind makes opening it harmless; O_TRUNC must not hit another. */
		if (!S_ISREG(at->st.st_mode) && !S_ISDIR(at->st.st_mode))
			flags &= ~(uint64_t)O_NOFOLLOW;
		else if (flags & O_TRUNC)
			flags &= ~(uint64_t)O_NOFOLLOW;
	} else if ((flags & O_NOFOLLOW) && S_ISDIR(at->st.st_mode)) {
		fd = sys_openat2(at->obj, ".", flags, 0, 0);
		if (fd != -EACCES)
			return fd;
		flags &= ~(uint64_t)O_NOFOLLOW;
	} else {
		flags &= ~(uint64_t)O_NOFOLLOW;
	}
	if (flags & O_NOFOLLOW) {
		fd = sys_openat2(at->parent, at->last, flags, 0, RESOLVE_NO_SYMLINKS);
		if (fd >= 0 && !same_object(fd, &at->st)) {
			close(fd);
			return STALE;
		}
		return fd == -ELOOP ? STALE : fd;
	}
	snprintf(link, sizeof(link), "%d", at->obj);
	return sys_openat2(resolve_fds(), link, flags, q->open_flags & TMPFILE_BIT ? q->open_mode : 0, 0);
}

/* In a sticky directory that others may write, O_CREAT on what exists has rules of its own
 * (fs.protected_regular, fs.protected_fifos): the kernel applies them by the name. */
static int check_sticky(const struct request *q)
{
	const struct resolved *at = &q->at[0];
	struct stat dir;
	int fd;

	if (!(q->open_flags & O_CREAT) || at->parent < 0 || fstat(at->parent, &dir) < 0 ||
	    !(dir.st_mode & S_ISVTX) || !(dir.st_mode & (S_IWOTH | S_IWGRP)) || S_ISDIR(at->st.st_mode))
		return 0;
	/* Asked with the mode that opens least; of a FIFO only without waiting. O_CREAT can't create: the
	 * file system would have to lose the object first, and then the flags below make nothing but an
	 * error of it. */
	if (at->st.st_uid == dir.st_uid || at->st.st_uid == (uid_t)syscall(SYS_setfsuid, -1))
		return 0;
	fd = open("/proc/sys/fs/protected_regular", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		char level = '0';
		ssize_t n = read(fd, &level, 1);

		close(fd);
		if (n == 1 && ((dir.st_mode & S_IWOTH && level >= '1') || (dir.st_mode & S_IWGRP && level >= '2')))
			return -EACCES;
	}
	return 0;
}

/* Create in the pinned parent. -EEXIST: somebody else did. */
static int create_object(const struct request *q)
{
	const struct resolved *at = &q->at[0];
	uint64_t flags = q->open_flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY;
	int r = request_take_umask(q);

	if (r < 0)
		return r;
	return sys_openat2(at->parent, at->last, flags, q->open_mode, RESOLVE_NO_SYMLINKS);
}

/* The object is another than the one that was judged: resolve and judge again. 0: go on. */
static int start_over(struct request *q)
{
	resolved_done(&q->at[0]);
	{
		bool acts = q->acts_as_target;
		int r;

		/* This thread acts as the target already. */
		q->acts_as_target = false;
		r = resolve_open(q);
		q->acts_as_target = acts;
		if (r < 0)
			return r;
	}
	if (q->at[0].obj >= 0 && S_ISLNK(q->at[0].st.st_mode))
		return -ELOOP;
	if (q->at[0].obj >= 0 && (q->open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	state_needs(q);
	request_judge(q);
	/* A question would have to be asked about the new object: no longer possible here. */
	if (q->verdict.action != ACTION_ALLOW) {
		request_observe(q, false, BY_RULE, REPLY_ERRNO, q->verdict.err ? q->verdict.err : EACCES, NULL);
		return -(q->verdict.err ? q->verdict.err : EACCES);
	}
	return 0;
}

static void finish(struct request *q, int fd)
{
	if (fd < 0)
		reply_errno(q, -fd);
	else
		reply_fd(q, fd, q->open_flags & O_CLOEXEC);
}

/* /dev/tty is whoever opens it: not in the baseline, the device is opened that the target has as its
 * controlling terminal. (Other terminals don't become its own when they are opened for it; programs ask
 * for that by ioctl.) CONTINUE would let it put any other path in the place of this one. */
static int open_own_terminal(const struct request *q)
{
	dev_t tty = task_terminal(q->tid);
	const uint64_t not_ours = O_CREAT | O_EXCL | O_NOFOLLOW | O_TRUNC;
	uint64_t flags = (q->open_flags & ~not_ours) | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	char name[32];
	int fd;

	if (major(tty) >= 136 && major(tty) <= 143)
		snprintf(name, sizeof(name), "/dev/pts/%u", (major(tty) - 136) * 256 + minor(tty));
	else if (major(tty) == 4 && minor(tty) < 64)
		snprintf(name, sizeof(name), "/dev/tty%u", minor(tty));
	else
		return -ENXIO;
	fd = sys_openat2(AT_FDCWD, name, flags, 0, RESOLVE_NO_SYMLINKS);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != tty)) {
		close(fd);
		return -ENXIO;
	}
	return fd < 0 ? -ENXIO : fd;
}

static void perform_open(struct request *q)
{
	int fd = STALE;

	if (q->is_open) {
		finish(q, take_fd(&q->at[0].obj));
		return;
	}
	if (q->at[0].obj >= 0 && S_ISCHR(q->at[0].st.st_mode) && q->at[0].st.st_rdev == makedev(5, 0)) {
		finish(q, open_own_terminal(q));
		return;
	}
	/* Natively the lack of a descriptor comes before any effect, and before any wait. */
	if ((q->slow || (q->open_flags & (O_CREAT | O_TRUNC | TMPFILE_BIT))) && task_fds_exhausted(q->tid)) {
		reply_errno(q, EMFILE);
		return;
	}
	if ((q->open_flags & TMPFILE_BIT)) {
		fd = request_take_umask(q);
		finish(q, fd < 0 ? fd : open_object(q, false));
		return;
	}
	for (unsigned race = 0; race < MAX_RACES; race++) {
		int r;

		if (q->at[0].obj < 0) {
			fd = create_object(q);
			if (fd != -EEXIST || (q->open_flags & O_EXCL))
				break;
		} else if (q->slow) {
			r = check_sticky(q);
			if (r < 0) {
				reply_errno(q, -r);
				return;
			}
			block_open(q, q->open_flags);
			return;
		} else {
			fd = check_sticky(q);
			if (fd == 0)
				fd = open_object(q, false);
			if (fd != STALE)
				break;
		}
		r = start_over(q);
		if (r < 0) {
			fd = r;
			break;
		}
		if (q->slow) {
			/* It has become something that may block, on a thread that must not. */
			fd = -EINTR;
			break;
		}
	}
	finish(q, fd == STALE ? -EACCES : fd);
}
