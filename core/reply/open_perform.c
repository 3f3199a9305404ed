/* SPDX-License-Identifier: Apache-2.0
 * Opens that the supervisor does.
 *
 * What exists is opened through the pinned object (/proc/self/fd/N), so that what was judged is what is
 * handed over; what does not exist is created in the pinned parent with O_EXCL, and if somebody else was
 * faster, everything is judged anew. O_NOFOLLOW stays visible in F_GETFL, so an open that has it goes by
 * parent and name and the descriptor is compared.
 */
#include "core/reply/open_impl.h"

#include "core/cleanup.h"
#include "core/reply/block.h"
#include "core/reply/reply.h"
#include "core/reply/terminal.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define STALE (-ESTALE - 4096) /* the name means something else by now; no errno of the kernel */
#define MAX_RACES 16 /* creations that others were faster at: by chance, or in step with us */
#define MAX_RACES_SLOWLY 4096 /* where nobody else waits for this thread */

static bool same_object(int fd, const struct stat *st)
{
	struct stat now;

	return fstat(fd, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Does the name in the pinned parent still mean the pinned object? */
static bool still_bears_name(const struct resolved *at)
{
	struct stat now;

	return fstatat(at->parent, at->last, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == at->st.st_dev &&
	       now.st_ino == at->st.st_ino;
}

/* A file or a directory by its name in the pinned parent. If a FIFO has taken its place, O_NONBLOCK keeps this worker
 * from waiting for it. */
static int open_by_name(const struct resolved *at, uint64_t flags)
{
	_cleanup_close_ int fd = sys_openat2(at->parent, at->last, flags | O_NONBLOCK, 0, RESOLVE_NO_SYMLINKS);
	int r = fd;

	if (fd >= 0 && !same_object(fd, &at->st))
		return STALE;
	if (fd >= 0 && !(flags & O_NONBLOCK))
		r = (int)CALL(fcntl(fd, F_SETFL, (int)flags));
	if (r < 0)
		return still_bears_name(at) ? r : STALE;
	return take_fd(&fd);
}

/* Open the pinned object itself. STALE: the name means something else by now. */
static int open_object(const struct request *q)
{
	const struct resolved *at = &q->at[0];
	uint64_t not_ours = q->open_flags & TMPFILE_BIT ? O_CREAT : O_CREAT | O_EXCL;
	uint64_t flags = (q->open_flags & ~not_ours) | O_CLOEXEC | O_NOCTTY;
	char link[16];
	int fd;

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
		fd = open_by_name(at, flags);
		if (fd != -EAGAIN || (flags & O_NONBLOCK))
			return fd;
		flags &= ~(uint64_t)O_NOFOLLOW; /* somebody's lease, which has to be waited for */
	}
	snprintf(link, sizeof(link), "%d", at->obj);
	return sys_openat2(resolve_fds(), link, flags, q->open_flags & TMPFILE_BIT ? q->open_mode : 0, 0);
}

/* The level of fs.protected_WHAT; the strictest if that can't be read. */
static char protection(const char *what)
{
	char path[48], level;
	_cleanup_close_ int fd = -EBADF;

	snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, &level, 1) == 1 ? level : '2';
}

/* In a sticky directory that others may write, O_CREAT on what another one put there is refused: files and FIFOs as
 * far as fs.protected_regular and fs.protected_fifos say, all else where the world may write. The kernel does so by the
 * name; the object is opened without it. */
static int check_sticky(const struct request *q)
{
	const struct resolved *at = &q->at[0];
	bool is_file = S_ISREG(at->st.st_mode), is_fifo = S_ISFIFO(at->st.st_mode);
	struct stat dir;
	char level;

	if (!(q->open_flags & O_CREAT) || at->parent < 0 || fstat(at->parent, &dir) < 0 ||
	    !(dir.st_mode & S_ISVTX) || !(dir.st_mode & (S_IWOTH | S_IWGRP)) || S_ISDIR(at->st.st_mode))
		return 0;
	if (at->st.st_uid == dir.st_uid || at->st.st_uid == (uid_t)syscall(SYS_setfsuid, -1))
		return 0;
	level = is_file ? protection("regular") : is_fifo ? protection("fifos") : '1';
	return level >= '2' || (level == '1' && dir.st_mode & S_IWOTH) ? -EACCES : 0;
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

/* The object is another than the one that was judged: resolve and judge again. 0: go on. An answer was about the other
 * object, if there was one: about this one the caller asks. */
static int start_over(struct request *q)
{
	resolved_done(&q->at[0]);
	{
		bool acts = q->acts_as_target;
		int r;

		/* This thread acts as the target already. */
		q->acts_as_target = false;
		r = open_look(q);
		q->acts_as_target = acts;
		if (r < 0)
			return r;
	}
	if (q->at[0].obj >= 0 && S_ISLNK(q->at[0].st.st_mode))
		return -ELOOP;
	if (q->at[0].obj >= 0 && (q->open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	open_state_needs(q);
	request_judge(q);
	if (q->verdict.action == ACTION_ASK && q->repeats++ < MAX_RACES) {
		atomic_fetch_add_explicit(&q->sup->asked, 1, memory_order_relaxed);
		q->again = AGAIN_ASK;
		return -EAGAIN;
	}
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

/* What makes terminals has given one. Where another name leads to another /dev/pts, its numbers are not ours. */
static void note_terminal(const struct request *q, int fd)
{
	const struct resolved *at = &q->at[0];

	if (fd >= 0 && at->obj >= 0 && terminal_is_master(&at->st) &&
	    (strcmp(at->name, "/dev/ptmx") == 0 || strcmp(at->name, "/dev/pts/ptmx") == 0))
		terminal_made(fd);
}

void open_perform(struct request *q)
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
		finish(q, fd < 0 ? fd : open_object(q));
		return;
	}
	for (unsigned races = 1; races <= (q->may_wait ? MAX_RACES_SLOWLY : MAX_RACES); races++) {
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
				fd = open_object(q);
			if (fd != STALE)
				break;
		}
		r = start_over(q);
		if (r == 0 && !q->may_wait && (q->slow || races == MAX_RACES))
			q->again = AGAIN_SLOWLY;
		if (q->again)
			return;
		if (r < 0) {
			fd = r;
			break;
		}
	}
	note_terminal(q, fd);
	if (fd == STALE || (fd == -EEXIST && !(q->open_flags & O_EXCL)))
		fd = -EACCES;
	finish(q, fd);
}
