/* SPDX-License-Identifier: Apache-2.0
 * inotify_add_watch and fanotify_mark: they take a path, and a watch on a directory tells the names in it,
 * which Landlock does not know of. So a watch needs `stat`, and on a directory `list` too.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/reply.h"
#include "core/sys.h"

#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>

static void perform_inotify(struct request *q)
{
	uint32_t mask = (uint32_t)q->args[2] & ~(uint32_t)IN_DONT_FOLLOW;
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", q->at[0].obj);
	reply_result(q, CALL(inotify_add_watch(q->fd, link, mask)));
}

static void perform_fanotify(struct request *q)
{
	unsigned flags = (unsigned)q->args[1] & ~(unsigned)FAN_MARK_DONT_FOLLOW;
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", q->at[0].obj);
	reply_result(q, CALL(fanotify_mark(q->fd, flags, q->args[2], AT_FDCWD, link)));
}

int watch_prepare(struct request *q)
{
	bool inotify = q->call->nr == SYS_inotify_add_watch;
	uint32_t mask = (uint32_t)q->args[2];
	bool follow = inotify ? !(mask & IN_DONT_FOLLOW) : !((unsigned)q->args[1] & FAN_MARK_DONT_FOLLOW);
	int dirfd = inotify ? AT_FDCWD : (int)(uint32_t)q->args[3];
	int r;

	if (inotify && mask == 0)
		return -EINVAL;
	/* Marks on whole mounts and file systems see beyond any rule. */
	if (!inotify && ((unsigned)q->args[1] & (FAN_MARK_MOUNT | FAN_MARK_FILESYSTEM)))
		return -EPERM;
	r = task_get_fd(q->tid, (int)(uint32_t)q->args[0]);
	if (r < 0)
		return -EBADF;
	q->fd = r;
	if (!inotify && q->args[4] == 0) {
		r = request_resolve_fd(q, 0, dirfd);
	} else {
		r = request_copy_path(q, 0, inotify ? 2 : 5, dirfd);
		if (r < 0)
			return r;
		r = request_resolve(q, 0, follow ? RESOLVE_FOLLOW : 0);
	}
	if (r < 0)
		return r;
	request_need(q, OP_STAT, 0);
	if (S_ISDIR(q->at[0].st.st_mode))
		request_need(q, OP_LIST, 0);
	q->perform = inotify ? perform_inotify : perform_fanotify;
	return 0;
}
