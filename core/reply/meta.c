/* SPDX-License-Identifier: Apache-2.0
 * Changing metadata: modes, owners, times, extended attributes; by path and by descriptor. Landlock knows
 * none of these, so every one is done here, on the pinned object or on a duplicate of the target's own
 * descriptor.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/memory.h"
#include "policy/syscall_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

#define XATTR_NAME 256
#define XATTR_MOST 65536

/* What the call carries besides its object, copied once. */
struct meta {
	bool by_fd;       /* q->fd is a duplicate of the target's own descriptor */
	bool nofollow;
	bool has_times;
	struct timespec times[2];
	char name[XATTR_NAME];
	uint32_t xattr_flags;
	size_t size;
	char value[];     /* size bytes */
};

static struct meta *meta_new(struct request *q, size_t size)
{
	struct meta *m = calloc(1, sizeof(*m) + size);

	if (m)
		m->size = size;
	free(q->extra);
	q->extra = m;
	return m;
}

/* utime, utimes, futimesat and utimensat each have a layout of their own. A NULL pointer is "now". */
static int copy_times(struct request *q, struct meta *m, uint64_t addr)
{
	struct utimbuf old;
	struct timeval tv[2];
	int r;

	if (!addr)
		return 0;
	m->has_times = true;
	if (q->call->nr == SYS_utime) {
		r = target_read(q->tid, addr, &old, sizeof(old));
		m->times[0].tv_sec = r < 0 ? 0 : old.actime;
		m->times[1].tv_sec = r < 0 ? 0 : old.modtime;
		return r;
	}
	if (q->call->nr == SYS_utimensat)
		return target_read(q->tid, addr, m->times, sizeof(m->times));
	r = target_read(q->tid, addr, tv, sizeof(tv));
	for (unsigned i = 0; r == 0 && i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		m->times[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
	}
	return r;
}

/* Name, value and flags of a set; the kernel's order: flags, name, size, value. */
static int copy_xattr(struct request *q, uint64_t name, uint64_t value, uint64_t size, uint32_t flags, bool set)
{
	struct meta *m;
	ssize_t n;

	if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	m = meta_new(q, set && size <= XATTR_MOST ? size : 0);
	if (!m)
		return -ENOMEM;
	n = target_read_string(q->tid, name, m->name, sizeof(m->name));
	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	if (n < 0)
		return (int)n;
	m->xattr_flags = flags;
	if (!set)
		return 0;
	if (size > XATTR_MOST)
		return -E2BIG;
	return size ? target_read(q->tid, value, m->value, size) : 0;
}

/* struct xattr_args of setxattrat. */
static int copy_xattrat(struct request *q)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args;
	int r;

	if (q->args[5] < sizeof(args))
		return -EINVAL;
	if (q->args[5] > 4096)
		return -E2BIG;
	r = target_read(q->tid, q->args[4], &args, sizeof(args));
	return r < 0 ? r : copy_xattr(q, q->args[3], args.value, args.size, args.flags, true);
}

/* Everything but the path. */
static int copy_arguments(struct request *q)
{
	uint32_t at_flags = (uint32_t)request_arg(q, q->call->flags);
	struct meta *m;

	switch (q->call->nr) {
	case SYS_setxattr:
	case SYS_lsetxattr:
	case SYS_fsetxattr:
		return copy_xattr(q, q->args[1], q->args[2], q->args[3], (uint32_t)q->args[4], true);
	case SYS_removexattr:
	case SYS_lremovexattr:
	case SYS_fremovexattr:
		return copy_xattr(q, q->args[1], 0, 0, 0, false);
	case __NR_setxattrat:
		if (at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
			return -EINVAL;
		return copy_xattrat(q);
	case __NR_removexattrat:
		if (at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
			return -EINVAL;
		return copy_xattr(q, q->args[3], 0, 0, 0, false);
	case __NR_file_setattr:
		return -EOPNOTSUPP;
	default:
		break;
	}
	m = meta_new(q, 0);
	if (!m)
		return -ENOMEM;
	switch (q->call->nr) {
	case __NR_fchmodat2:
	case SYS_fchownat:
		return at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? -EINVAL : 0;
	case SYS_utime:
	case SYS_utimes:
		return copy_times(q, m, q->args[1]);
	case SYS_futimesat:
		return copy_times(q, m, q->args[2]);
	case SYS_utimensat: {
		int r = copy_times(q, m, q->args[2]);

		return r < 0 ? r : at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ? -EINVAL : 0;
	}
	default:
		return 0;
	}
}

static bool is_nofollow(const struct request *q)
{
	switch (q->call->nr) {
	case SYS_lchown:
	case SYS_lsetxattr:
	case SYS_lremovexattr:
		return true;
	case SYS_fchownat:
	case SYS_utimensat:
	case __NR_fchmodat2:
	case __NR_setxattrat:
	case __NR_removexattrat:
		return (uint32_t)request_arg(q, q->call->flags) & AT_SYMLINK_NOFOLLOW;
	default:
		return false;
	}
}

/* By the target's own descriptor: its open mode counts (an O_PATH one is EBADF). */
static long act_on_fd(const struct request *q, const struct meta *m)
{
	switch (q->call->nr) {
	case SYS_fchmod:
		return CALL(fchmod(q->at[0].obj, (mode_t)q->args[1]));
	case SYS_fchown:
		return CALL(fchown(q->at[0].obj, (uid_t)q->args[1], (gid_t)q->args[2]));
	case SYS_fsetxattr:
		return CALL(fsetxattr(q->at[0].obj, m->name, m->value, m->size, (int)m->xattr_flags));
	case SYS_fremovexattr:
		return CALL(fremovexattr(q->at[0].obj, m->name));
	case SYS_utimensat:
	case SYS_futimesat:
		return CALL(syscall(SYS_utimensat, q->at[0].obj, NULL, m->has_times ? m->times : NULL, 0));
	default:
		return -EBADF;
	}
}

static long act_on_object(const struct request *q, const struct meta *m)
{
	const struct resolved *at = &q->at[0];
	char link[32];

	/* Through this link a path call reaches exactly the pinned object, a symlink included. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", at->obj);
	switch (q->call->nr) {
	case SYS_chmod:
		return CALL(fchmodat(resolve_fds(), link + strlen("/proc/self/fd/"), (mode_t)q->args[1], 0));
	case SYS_fchmodat:
	case __NR_fchmodat2:
		if (S_ISLNK(at->st.st_mode))
			return -EOPNOTSUPP;
		return CALL(fchmodat(resolve_fds(), link + strlen("/proc/self/fd/"), (mode_t)q->args[2], 0));
	case SYS_chown:
	case SYS_lchown:
		return CALL(fchownat(at->obj, "", (uid_t)q->args[1], (gid_t)q->args[2], AT_EMPTY_PATH));
	case SYS_fchownat:
		return CALL(fchownat(at->obj, "", (uid_t)q->args[2], (gid_t)q->args[3], AT_EMPTY_PATH));
	case SYS_utime:
	case SYS_utimes:
	case SYS_futimesat:
	case SYS_utimensat:
		return CALL(utimensat(at->obj, "", m->has_times ? m->times : NULL, AT_EMPTY_PATH));
	case SYS_setxattr:
	case SYS_lsetxattr:
	case __NR_setxattrat:
		return CALL(setxattr(link, m->name, m->value, m->size, (int)m->xattr_flags));
	case SYS_removexattr:
	case SYS_lremovexattr:
	case __NR_removexattrat:
		return CALL(removexattr(link, m->name));
	default:
		return -ENOSYS;
	}
}

static void perform_meta(struct request *q)
{
	const struct meta *m = q->extra;

	reply_result(q, m->by_fd ? act_on_fd(q, m) : act_on_object(q, m));
}

static int prepare_by_fd(struct request *q, struct meta *m, int fd)
{
	int r = task_get_fd(q->tid, fd);

	if (r < 0)
		return r == -ESRCH ? -ESRCH : -EBADF;
	m->by_fd = true;
	/* The call acts on the very descriptor that is named and compared. */
	r = resolve_fd(r, &q->at[0]);
	return reply_still_valid(q) ? r : -ESRCH;
}

int meta_prepare(struct request *q)
{
	uint32_t at_flags = (uint32_t)request_arg(q, q->call->flags);
	struct meta *m;
	int r = copy_arguments(q);

	if (r < 0)
		return r;
	m = q->extra;
	q->perform = perform_meta;
	/* Both times to be left alone: nothing is looked at, and nothing done. */
	if (q->call->nr == SYS_utimensat && m->has_times && m->times[0].tv_nsec == UTIME_OMIT &&
	    m->times[1].tv_nsec == UTIME_OMIT) {
		reply_value(q, 0);
		return 1;
	}
	if (q->call->fd) {
		r = prepare_by_fd(q, m, (int)(uint32_t)request_arg(q, q->call->fd));
	} else if (request_arg(q, q->call->path) == 0 &&
		   (q->call->nr == SYS_utimensat || q->call->nr == SYS_futimesat)) {
		int fd = request_dirfd(q, q->call->dirfd);

		if (fd == AT_FDCWD)
			return -EFAULT;
		if (at_flags)
			return -EINVAL;
		r = prepare_by_fd(q, m, fd);
	} else {
		r = request_copy_path(q, 0, q->call->path, request_dirfd(q, q->call->dirfd));
		if (r < 0)
			return r;
		if (q->path[0].len == 0 && (at_flags & AT_EMPTY_PATH) && q->call->flags)
			r = request_resolve_fd(q, 0, request_dirfd(q, q->call->dirfd));
		else
			r = request_resolve(q, 0, is_nofollow(q) ? 0 : RESOLVE_FOLLOW);
	}
	if (r < 0)
		return r;
	request_need(q, OP_META, 0);
	return 0;
}
