/* SPDX-License-Identifier: Apache-2.0
 * truncate by path. (ftruncate acts on a descriptor whose right was fixed when it was opened.)
 */
#include "core/request.h"

#include "core/reply/reply.h"
#include "core/sys.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

static void perform_truncate(struct request *q)
{
	off_t length = (off_t)q->args[1];
	struct rlimit limit;
	char link[32];

	/* The limit is the target's, and so is the signal. */
	if (length > q->at[0].st.st_size && prlimit(q->tid, RLIMIT_FSIZE, NULL, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY && (rlim_t)length > limit.rlim_cur) {
		struct task_status status;

		if (task_read_status(q->tid, &status) == 0)
			syscall(SYS_tgkill, status.tgid, q->tid, SIGXFSZ);
		reply_errno(q, EFBIG);
		return;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", q->at[0].obj);
	reply_result(q, CALL(truncate(link, length)));
}

int truncate_prepare(struct request *q)
{
	int r;

	q->boundable = true;
	if ((int64_t)q->args[1] < 0)
		return -EINVAL;
	r = request_copy_path(q, 0, q->call->path, AT_FDCWD);
	if (r < 0)
		return r;
	r = request_resolve(q, 0, RESOLVE_FOLLOW);
	if (r < 0)
		return r;
	if (S_ISDIR(q->at[0].st.st_mode))
		return -EISDIR;
	if (!S_ISREG(q->at[0].st.st_mode))
		return -EINVAL;
	request_need(q, OP_WRITE, 0);
	q->perform = perform_truncate;
	return 0;
}
