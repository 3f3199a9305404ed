/* SPDX-License-Identifier: Apache-2.0
 * Calls about tasks: ids, a target that confines itself, and calls that name another task.
 * All of them carry their meaning in registers, so what is continued is what was judged.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/launch/launch.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <limits.h>
#include <linux/ioprio.h>
#include <signal.h>
#include <sys/resource.h>

int pass_prepare(struct request *q)
{
	reply_continue(q);
	return 1;
}

/* Trapped for records only: a directory is looked for. Every later use of the cwd is judged. */
int chdir_prepare(struct request *q)
{
	int r;

	if (q->call->nr != SYS_chdir)
		return pass_prepare(q);
	r = request_copy_path(q, 0, q->call->path, AT_FDCWD);
	if (r == 0 && !reply_still_valid(q))
		r = -ESRCH;
	if (r == 0)
		r = request_resolve(q, 0, RESOLVE_FOLLOW);
	if (r < 0)
		return r;
	request_need(q, OP_STAT, 0);
	return 0;
}

/* Does every id that the registers name stay what it is, or become OURS? (-1 keeps it, or is an error.) */
static bool names_only(const struct request *q, unsigned n_args, uid_t ours)
{
	for (unsigned i = 0; i < n_args; i++)
		if ((uint32_t)q->args[i] != ours && (uint32_t)q->args[i] != (uint32_t)-1)
			return false;
	return true;
}

/* Shells and others "drop" to the ids that they have already. As long as nobody's ids have ever differed
 * from ours, whoever asks for ours changes nothing. */
static bool keeps_ids(const struct request *q)
{
	switch (q->call->nr) {
	case SYS_setuid:
	case SYS_setfsuid:
		return names_only(q, 1, q->sup->uid);
	case SYS_setreuid:
		return names_only(q, 2, q->sup->uid);
	case SYS_setresuid:
		return names_only(q, 3, q->sup->uid);
	case SYS_setgid:
	case SYS_setfsgid:
		return names_only(q, 1, q->sup->gid);
	case SYS_setregid:
		return names_only(q, 2, q->sup->gid);
	case SYS_setresgid:
		return names_only(q, 3, q->sup->gid);
	default: /* groups, capabilities */
		return false;
	}
}

/* set*id, capset, and the prctl calls that let capabilities fall at the next exec. The flag is up before
 * the ids change: no request can be served with the wrong ones. */
int ids_prepare(struct request *q)
{
	if (!q->sup->own_ids_equal || !keeps_ids(q))
		atomic_store_explicit(&q->sup->ids_changed, true, memory_order_release);
	reply_continue(q);
	return 1;
}

/* From now on nothing is done on behalf of this process and its children: its own domain forbids what we
 * can't see. The mark is inherited, and the filter refuses to change it. */
int confine_prepare(struct request *q)
{
	const struct rlimit mark = {CONFINED_MARK, CONFINED_MARK};

	if (prlimit(q->tid, RLIMIT_LOCKS, &mark, NULL) < 0)
		return -EPERM;
	if (!reply_still_valid(q))
		return -ESRCH;
	atomic_store_explicit(&q->sup->some_confined, true, memory_order_release);
	reply_continue(q);
	return 1;
}

/* The task behind our descriptor FD, by the kernel's word; 0: it names none, -1: it is gone. */
static pid_t pid_of_fd(int fd)
{
	char path[64], text[1024];
	_cleanup_close_ int info = -EBADF;
	const char *line;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return 0;
	n = read(info, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "\nPid:");
	return line ? atoi(line + 5) : 0;
}

/* setpriority and ioprio_set can mean a group or a user: then others may be among them. */
static bool names_one_task(const struct request *q)
{
	if (q->call->nr == SYS_setpriority)
		return (uint32_t)q->args[0] == PRIO_PROCESS;
	if (q->call->nr == SYS_ioprio_set)
		return (uint32_t)q->args[0] == IOPRIO_WHO_PROCESS;
	return true;
}

static int refuse_task(struct request *q)
{
	q->verdict = (struct verdict){.action = ACTION_DENY, .err = EPERM};
	atomic_fetch_add_explicit(&q->sup->refused, 1, memory_order_relaxed);
	return -EPERM;
}

/* A descriptor of a foreign task can be had (SO_PEERPIDFD, a directory of /proc) and be put in the place of this one
 * once it was looked at: so the signal is sent here, through the one that was looked at. */
static int pidfd_signal(struct request *q)
{
	pid_t pid;
	int r = task_get_fd(q->tid, (int)(uint32_t)q->args[0]);

	if (r < 0)
		return -EBADF;
	q->fd = r;
	pid = pid_of_fd(q->fd);
	if (pid <= 0)
		return pid ? -ESRCH : -EBADF;
	if (!launch_in_tree(q->sup->warden, pid) || q->acts_as_target)
		return refuse_task(q);
	if (!reply_still_valid(q))
		return -ESRCH;
	reply_result(q, CALL(syscall(SYS_pidfd_send_signal, q->fd, (int)q->args[1], NULL, (unsigned)q->args[3])));
	return 1;
}

int pid_prepare(struct request *q)
{
	int pid;

	if (q->call->nr == SYS_pidfd_send_signal)
		return pidfd_signal(q);
	if (!names_one_task(q))
		return -EPERM;
	pid = (int)(uint32_t)request_arg(q, q->call->pid);
	if (pid == -1)
		return -EPERM;
	if (pid == 0 || pid == q->tid)
		return pass_prepare(q);
	/* A group: the supervisor shares the command's own. Only groups of the tree's making pass. */
	if (pid < 0 && pid != INT_MIN && launch_in_tree(q->sup->warden, -pid))
		return pass_prepare(q);
	if (launch_in_tree(q->sup->warden, pid))
		return pass_prepare(q);
	return pid == INT_MIN || (kill(pid, 0) < 0 && errno == ESRCH) ? -ESRCH : refuse_task(q);
}
