/* SPDX-License-Identifier: Apache-2.0
 * The identity of /proc/PID/exe is the kernel's own word. It is judged by its name and by the named
 * objects; what has no name (a memfd) may not run where executions are checked. A denial at this point is
 * SIGKILL, for there is no call left to fail.
 *
 * An approval is good for one exec of one object by one thread; the table is small, and one that was pushed
 * out by newer ones is a denial.
 */
#include "core/exec_check.h"

#include "core/sys.h"

#include <pthread.h>
#include <stdio.h>

#define MAX_APPROVALS 64

static struct approval {
	pid_t tid;
	dev_t dev;
	ino_t ino;
} approvals[MAX_APPROVALS]; /* under lock */
static unsigned next_approval;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void exec_check_approve(const struct request *q)
{
	pthread_mutex_lock(&lock);
	approvals[next_approval++ % MAX_APPROVALS] =
		(struct approval){q->tid, q->at[0].st.st_dev, q->at[0].st.st_ino};
	pthread_mutex_unlock(&lock);
}

static bool take_approval(pid_t tid, const struct stat *st)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_APPROVALS; i++) {
		struct approval *a = &approvals[i];

		if (a->tid != tid)
			continue;
		found |= a->dev == st->st_dev && a->ino == st->st_ino;
		*a = (struct approval){0};
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void exec_check_forget(pid_t tid)
{
	take_approval(tid, &(struct stat){0});
}

bool exec_check(const struct supervisor *sup, pid_t pid, pid_t former)
{
	static struct request q; /* the tracer is one thread */
	bool allowed = false;
	char link[32];
	int fd;

	request_init(&q, (struct supervisor *)(uintptr_t)sup, &(struct seccomp_notif){.pid = (uint32_t)pid});
	q.call = call_by_name("execve");
	q.answered = true; /* there is no call to answer */
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	fd = open(link, O_PATH | O_CLOEXEC);
	if (fd < 0) /* killed meanwhile, or not to be seen: it does not run */
		return false;
	if (resolve_fd(fd, &q.at[0]) == 0 && !q.at[0].unnamed) {
		request_need(&q, OP_EXEC, 0);
		request_judge(&q);
		allowed = q.verdict.action == ACTION_ALLOW ||
			  (q.verdict.action == ACTION_ASK && take_approval(former, &q.at[0].st));
	}
	if (!allowed) {
		q.verdict.action = q.verdict.action == ACTION_ALLOW ? ACTION_DENY : q.verdict.action;
		request_observe(&q, false, q.verdict.rule ? BY_RULE : BY_DEFAULT, REPLY_KERNEL, 0,
				"another file than the call named was executed, and killed");
	}
	request_done(&q);
	return allowed;
}
