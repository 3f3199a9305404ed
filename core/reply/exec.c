/* SPDX-License-Identifier: Apache-2.0
 * execve and execveat. An exec can't be done for another process, only let through: Landlock's EXECUTE
 * binds it, this verdict only gives the refusal its errno and its line in the record.
 */
#include "core/exec_check.h"
#include "core/request.h"

#include "core/reply/reply.h"
#include "core/sys.h"

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

/* Safe: with a baseline, EXECUTE is granted for exactly what the policy lets run. Without one, exec is
 * outside of I1, as the documentation lists it. */
static void perform_exec(struct request *q)
{
	if (q->rules->plan->exec_checked && q->verdict.action == ACTION_ASK)
		exec_check_approve(q);
	reply_continue(q);
}

int exec_prepare(struct request *q)
{
	bool at = q->call->nr == SYS_execveat;
	uint32_t flags = at ? (uint32_t)q->args[4] : 0;
	int r;

	if (q->rules->plan->exec_checked)
		exec_check_forget(q->tid);
	r = request_copy_path(q, 0, q->call->path, request_dirfd(q, q->call->dirfd));
	if (r < 0)
		return r;
	if (!(flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) && request_cached(q, OP_EXEC)) {
		reply_continue(q);
		return 1;
	}
	if (!request_is_valid(q))
		return -ESRCH;
	if (q->path[0].len == 0 && (flags & AT_EMPTY_PATH))
		r = request_resolve_fd(q, 0, q->path[0].dirfd);
	else
		r = request_recall(q, OP_EXEC, !(flags & AT_SYMLINK_NOFOLLOW));
	if (r == 1)
		r = request_resolve(q, 0, flags & AT_SYMLINK_NOFOLLOW ? 0 : RESOLVE_FOLLOW);
	if (r == -ESRCH)
		return r;
	if (r < 0) {
		/* The kernel's errno (a PATH search asks for many that are missing). */
		request_observe_failed(q, -r, REPLY_CONTINUE);
		reply_continue(q);
		return 1;
	}
	request_need(q, OP_EXEC, 0);
	q->boundable = true;
	q->perform = perform_exec;
	return 0;
}
