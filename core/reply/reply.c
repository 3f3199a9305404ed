/* SPDX-License-Identifier: Apache-2.0
 * SEND and ADDFD. Descriptors go in two steps: ADDFD, close ours, SEND. Our copy is closed before the
 * target runs, which keeps ETXTBSY, EOF and locks as they would be; and a signal can't turn a finished
 * ADDFD into a return of 0.
 */
#include "core/reply/reply.h"

#include "core/cleanup.h"
#include "core/launch/launch.h"
#include "core/sys.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#define ERESTARTSYS 512

static void send(struct request *q, struct seccomp_notif_resp *resp)
{
	long r;

	if (q->answered)
		return;
	q->answered = true;
	resp->id = q->id;
	do
		r = CALL(ioctl(q->sup->listener, SECCOMP_IOCTL_NOTIF_SEND, resp));
	while (r == -EINTR);
	/* ENOENT: the target is gone. Anything else is our mistake, and the target waits for ever: say
	 * so and fail its call. */
	if (r < 0 && r != -ENOENT) {
		struct seccomp_notif_resp refuse = {.id = q->id, .error = -EPERM};

		atomic_fetch_add_explicit(&q->sup->errors, 1, memory_order_relaxed);
		observe_lost(q->sup->observer, "a reply the kernel did not take");
		ioctl(q->sup->listener, SECCOMP_IOCTL_NOTIF_SEND, &refuse);
	}
}

bool reply_still_valid(const struct request *q)
{
	/* Anything but success means no grant (ATTACKS.md S15). */
	return ioctl(q->sup->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &q->id) == 0;
}

void reply_errno(struct request *q, int err)
{
	struct seccomp_notif_resp resp = {.error = -err};

	send(q, &resp);
}

void reply_value(struct request *q, int64_t value)
{
	struct seccomp_notif_resp resp = {.val = value};

	send(q, &resp);
}

void reply_result(struct request *q, long result)
{
	if (result < 0)
		reply_errno(q, (int)-result);
	else
		reply_value(q, result);
}

void reply_continue(struct request *q)
{
	struct seccomp_notif_resp resp = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	atomic_fetch_add_explicit(&q->sup->continued, 1, memory_order_relaxed);
	send(q, &resp);
}

void reply_fd(struct request *q, int fd, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = q->id, .srcfd = (uint32_t)fd, .newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	long r;

	/* All signals but the poke are blocked here, and the poke never meets this ioctl. */
	do
		r = CALL(ioctl(q->sup->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	while (r == -EINTR);
	close(fd);
	/* EMFILE and the like leave the target waiting: the error is its answer, never a CONTINUE. */
	reply_result(q, r);
}

bool reply_restart(struct request *q)
{
	int status, r;

	/* -512 turns into EINTR or a restart only in a thread that handles a signal on its way out;
	 * in any other it would leak as errno 512. So that very thread is made to stop there. */
	r = launch_interrupt(q->tid);
	if (r == 0)
		reply_errno(q, ERESTARTSYS);
	if (r != -ENOSYS)
		return r == 0;
	if (ptrace(PTRACE_SEIZE, q->tid, 0, 0) < 0)
		return false;
	if (ptrace(PTRACE_INTERRUPT, q->tid, 0, 0) < 0) {
		ptrace(PTRACE_DETACH, q->tid, 0, 0);
		return false;
	}
	reply_errno(q, ERESTARTSYS);
	if (waitpid(q->tid, &status, __WALL) == q->tid && WIFSTOPPED(status)) {
		int sig = status >> 16 == 0 ? WSTOPSIG(status) : 0;

		ptrace(PTRACE_DETACH, q->tid, 0, sig);
	}
	return true;
}
