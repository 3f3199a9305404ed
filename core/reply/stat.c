/* SPDX-License-Identifier: Apache-2.0
 * Looking at metadata: stat, access, readlink, statfs, getxattr and listxattr families. Trapped only
 * where a rule names `stat`. Done on the pinned object; the result goes back with the target's own page
 * protections in force.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "core/target/memory.h"
#include "policy/syscall_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#define XATTR_MOST 65536
#define XATTR_NAME_MAX_BYTES 256
#define STAT_AT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

/* A result on its way to the target: after it our thread is itself again, which writing needs. */
static void reply_bytes(struct request *q, uint64_t addr, const void *bytes, size_t len, long value)
{
	int r;

	if (q->acts_as_target) {
		creds_leave();
		q->acts_as_target = false;
	}
	r = target_write(q->tid, addr, bytes, len);
	if (r < 0)
		reply_errno(q, EFAULT);
	else
		reply_value(q, value);
}

static void object_link(const struct request *q, char *buf, size_t size)
{
	snprintf(buf, size, "/proc/self/fd/%d", q->at[0].obj);
}

static void perform_stat(struct request *q)
{
	struct stat st;
	bool at = q->call->nr == SYS_newfstatat;
	long r = CALL(fstat(q->at[0].obj, &st));

	if (r < 0)
		reply_result(q, r);
	else
		reply_bytes(q, q->args[at ? 2 : 1], &st, sizeof(st), 0);
}

static void perform_statx(struct request *q)
{
	struct statx stx;
	int flags = (int)(uint32_t)q->args[2] & (AT_STATX_SYNC_TYPE | AT_NO_AUTOMOUNT);
	long r = CALL(statx(q->at[0].obj, "", flags | AT_EMPTY_PATH, (unsigned)q->args[3], &stx));

	if (r < 0)
		reply_result(q, r);
	else
		reply_bytes(q, q->args[4], &stx, sizeof(stx), 0);
}

/* access() asks for the real user, from the walk on; ours is the supervisor's. The same as the kernel
 * does to the caller's credentials, to be taken by creds_enter(). */
static void act_as_real_user(struct task_status *s)
{
	s->uid[3] = s->uid[0];
	s->gid[3] = s->gid[0];
	s->cap_effective = s->uid[0] == 0 ? s->cap_permitted : 0;
}

static void perform_access(struct request *q)
{
	bool at = q->call->nr != SYS_access;
	int mode = (int)(uint32_t)q->args[at ? 2 : 1];
	int flags = q->call->nr == __NR_faccessat2 ? (int)(uint32_t)q->args[3] & AT_EACCESS : 0;

	if (q->acts_as_target)
		flags |= AT_EACCESS; /* the file-system ids that we have taken */
	reply_result(q, CALL(syscall(__NR_faccessat2, q->at[0].obj, "", mode, flags | AT_EMPTY_PATH)));
}

/* The text of procfs's "self" and "thread-self" for the target. */
static bool self_text(const struct request *q, char *buf, size_t size, ssize_t *ret_len)
{
	const struct resolved *at = &q->at[0];
	const char *base = strrchr(at->name, '/');
	struct task_status status;

	if (!base || (strcmp(base, "/self") != 0 && strcmp(base, "/thread-self") != 0) ||
	    !S_ISLNK(at->st.st_mode) || !resolve_on_procfs(at->obj, &at->st) ||
	    task_read_status(q->tid, &status) < 0)
		return false;
	if (base[1] == 's')
		*ret_len = snprintf(buf, size, "%d", status.tgid);
	else
		*ret_len = snprintf(buf, size, "%d/task/%d", status.tgid, q->tid);
	return true;
}

static void perform_readlink(struct request *q)
{
	bool at = q->call->nr == SYS_readlinkat;
	uint64_t addr = q->args[at ? 2 : 1];
	int size = (int)(uint32_t)q->args[at ? 3 : 2];
	char text[PATH_MAX];
	ssize_t n;

	if (self_text(q, text, sizeof(text), &n)) {
		/* "self" is whoever looks: the target. */
	} else if (q->at[0].magic) {
		/* The text of a magic link is the name of what it leads to. */
		n = (ssize_t)q->at[0].name_len;
		memcpy(text, q->at[0].name, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text));
	} else {
		n = CALL(readlinkat(q->at[0].obj, "", text, sizeof(text)));
	}
	if (n == -ENOENT && q->path[0].len)
		n = -EINVAL;
	if (n < 0) {
		reply_result(q, n);
		return;
	}
	if (n > size)
		n = size;
	reply_bytes(q, addr, text, (size_t)n, n);
}

static void perform_statfs(struct request *q)
{
	struct statfs fs;
	long r = CALL(fstatfs(q->at[0].obj, &fs));

	if (r < 0)
		reply_result(q, r);
	else
		reply_bytes(q, q->args[1], &fs, sizeof(fs), 0);
}

/* getxattr(path, name, value, size) and listxattr(path, list, size), and the l and f forms of both. */
static void perform_xattr(struct request *q)
{
	bool get = q->call->nr == SYS_getxattr || q->call->nr == SYS_lgetxattr || q->call->nr == SYS_fgetxattr;
	uint64_t addr = q->args[get ? 2 : 1], size = q->args[get ? 3 : 2];
	_cleanup_free_ char *value = NULL;
	char link[32];
	ssize_t n;

	if (size > XATTR_MOST)
		size = XATTR_MOST;
	value = malloc(size ? size : 1);
	if (!value) {
		reply_errno(q, ENOMEM);
		return;
	}
	object_link(q, link, sizeof(link));
	if (q->call->fd) /* its own descriptor: not with O_PATH */
		n = get ? CALL(fgetxattr(q->at[0].obj, q->extra, value, size))
			: CALL(flistxattr(q->at[0].obj, value, size));
	else
		n = get ? CALL(getxattr(link, q->extra, value, size)) : CALL(listxattr(link, value, size));
	if (n <= 0 || size == 0)
		reply_result(q, n);
	else
		reply_bytes(q, addr, value, (size_t)n, n);
}

static int prepare_xattr_name(struct request *q)
{
	ssize_t n;

	q->extra = calloc(1, XATTR_NAME_MAX_BYTES);
	if (!q->extra)
		return -ENOMEM;
	n = target_read_string(q->tid, q->args[1], q->extra, XATTR_NAME_MAX_BYTES);
	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

/* Which way to do it, whether a final link is followed, and flags that are errors. */
static int decode(struct request *q, bool *ret_follow)
{
	uint32_t flags = (uint32_t)request_arg(q, q->call->flags);

	*ret_follow = true;
	switch (q->call->nr) {
	case SYS_lstat:
		*ret_follow = false;
		__attribute__((fallthrough));
	case SYS_fstat:
	case SYS_stat:
		q->perform = perform_stat;
		return 0;
	case SYS_newfstatat:
		q->perform = perform_stat;
		*ret_follow = !(flags & AT_SYMLINK_NOFOLLOW);
		return flags & ~(uint32_t)STAT_AT_FLAGS ? -EINVAL : 0;
	case SYS_statx:
		q->perform = perform_statx;
		*ret_follow = !(flags & AT_SYMLINK_NOFOLLOW);
		if ((uint32_t)q->args[3] & 0x80000000u || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
			return -EINVAL;
		return flags & ~(uint32_t)(STAT_AT_FLAGS | AT_STATX_SYNC_TYPE) ? -EINVAL : 0;
	case SYS_access:
	case SYS_faccessat:
	case __NR_faccessat2: {
		uint32_t mode = (uint32_t)q->args[q->call->nr == SYS_access ? 1 : 2];
		bool two = q->call->nr == __NR_faccessat2;

		q->perform = perform_access;
		if (mode & ~(uint32_t)(R_OK | W_OK | X_OK))
			return -EINVAL;
		if (q->acts_as_target && !(two && flags & AT_EACCESS))
			act_as_real_user(&q->status);
		if (!two)
			return 0;
		*ret_follow = !(flags & AT_SYMLINK_NOFOLLOW);
		return flags & ~(uint32_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? -EINVAL : 0;
	}
	case SYS_readlink:
	case SYS_readlinkat:
		q->perform = perform_readlink;
		*ret_follow = false;
		return (int)(uint32_t)q->args[q->call->nr == SYS_readlink ? 2 : 3] <= 0 ? -EINVAL : 0;
	case SYS_fstatfs:
	case SYS_statfs:
		q->perform = perform_statfs;
		return 0;
	case SYS_lgetxattr:
		*ret_follow = false;
		__attribute__((fallthrough));
	case SYS_fgetxattr:
	case SYS_getxattr:
		q->perform = perform_xattr;
		return prepare_xattr_name(q);
	case SYS_llistxattr:
		*ret_follow = false;
		__attribute__((fallthrough));
	case SYS_flistxattr:
	case SYS_listxattr:
		q->perform = perform_xattr;
		return 0;
	default:
		/* Younger relatives (getxattrat, file_getattr, ...): callers fall back on these. Where they are
		 * only seen the kernel does them; name_to_handle_at follows when told to. */
		*ret_follow = q->call->nr == SYS_name_to_handle_at ? flags & AT_SYMLINK_FOLLOW
								   : !(flags & AT_SYMLINK_NOFOLLOW);
		return q->rules->plan->seen_only[CALL_STAT] ? 0 : -ENOSYS;
	}
}

/* The target's own descriptor FD, not only what it leads to. */
static int take_descriptor(struct request *q, int fd)
{
	int r = task_get_fd(q->tid, fd);

	if (r < 0)
		return r == -EBADF || r == -ESRCH ? r : -EACCES;
	r = resolve_fd(r, &q->at[0]);
	return r == 0 && !reply_still_valid(q) ? -ESRCH : r;
}

int stat_prepare(struct request *q)
{
	uint32_t flags = (uint32_t)request_arg(q, q->call->flags);
	int dirfd = request_dirfd(q, q->call->dirfd);
	bool follow;
	int r = decode(q, &follow);

	if (r < 0)
		return r;
	/* statx(fd, NULL, AT_EMPTY_PATH) and readlinkat(fd, "") are about the descriptor. */
	if (q->call->fd) {
		r = take_descriptor(q, (int)(uint32_t)request_arg(q, q->call->fd));
		q->at[0].magic = false;
		if (r == 0)
			request_need(q, OP_STAT, 0);
		return r;
	}
	if (request_arg(q, q->call->path) == 0 && (flags & AT_EMPTY_PATH) && q->call->flags) {
		r = 0;
		q->path[0].len = 0;
	} else {
		r = request_copy_path(q, 0, q->call->path, dirfd);
	}
	if (r < 0)
		return r;
	if (!request_is_valid(q))
		return -ESRCH;
	/* Of a descriptor, not a name: nothing to be seen. */
	if (q->path[0].len == 0 && q->rules->plan->seen_only[CALL_STAT])
		return 1;
	if (q->path[0].len == 0 && ((q->call->flags && (flags & AT_EMPTY_PATH)) ||
				    (q->call->nr == SYS_readlinkat && dirfd != AT_FDCWD))) {
		r = request_resolve_fd(q, 0, dirfd);
		q->at[0].magic = false;
	} else {
		/* What has to be done on the object needs it. */
		r = q->rules->plan->seen_only[CALL_STAT] ? request_recall(q, OP_STAT, follow) : 1;
		if (r == 1)
			r = request_resolve(q, 0, follow ? RESOLVE_FOLLOW : 0);
	}
	if (r < 0)
		return r;
	request_need(q, OP_STAT, 0);
	return 0;
}
