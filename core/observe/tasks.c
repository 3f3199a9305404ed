/* SPDX-License-Identifier: Apache-2.0
 * Tasks by their number, each held by a pidfd, and a thread that waits for their ends.
 *
 * A number in the table is good: a task leaves the table when its pidfd becomes readable, and the kernel gives
 * numbers away in a circle, so it takes all others before it comes again.
 */
#include "core/observe/tasks.h"

#include "core/observe/journal.h"
#include "core/sys.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUCKETS = 4096, EVENTS = 64, FDS_LEFT = 512 };

/* linux/pidfd.h of Linux 6.15; older kernels answer ENOTTY, or leave the bit of the mask out. */
struct pidfd_info_v0 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT_BIT (1ULL << 3)

struct task {
	struct task *next;
	pid_t tid, pid, ppid;
	int pidfd;
	char *exe;     /* NULL: look again */
	bool threaded; /* of a process: others of its threads were seen */
};

struct tasks {
	/* immutable */
	struct journal *journal;
	int epoll, stop;
	size_t most;
	pthread_t thread;
	bool running; /* leader thread */

	/* under lock */
	pthread_mutex_t lock;
	size_t n;
	struct task *buckets[BUCKETS];
};

static struct task **place(struct tasks *t, pid_t tid)
{
	struct task **at = &t->buckets[(uint32_t)tid % BUCKETS];

	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	return at;
}

/* What the kernel says of the task behind PIDFD; false: not on this kernel, or it is gone. */
static bool ask(int pidfd, struct pidfd_info_v0 *ret, uint64_t more)
{
	*ret = (struct pidfd_info_v0){.mask = 1 | more};
	return ioctl(pidfd, PIDFD_GET_INFO_V0, ret) == 0;
}

/* The wait status from field 52 of a zombie's stat file. */
static int code_of_zombie(pid_t pid)
{
	char name[40], stat[1024];
	const char *at;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	stat[n] = '\0';
	at = strrchr(stat, ')');
	if (!at || at[1] != ' ' || at[2] != 'Z')
		return -1;
	at = strrchr(stat, ' ');
	return at ? atoi(at + 1) : -1;
}

/* Most are reaped by now, and their pidfd knows. The stat file of one that is not may be gone when it is opened. */
static int code_of(const struct task *task)
{
	struct pidfd_info_v0 info;

	for (int turn = 0; turn < 2; turn++) {
		int code;

		if (ask(task->pidfd, &info, PIDFD_INFO_EXIT_BIT) && info.mask & PIDFD_INFO_EXIT_BIT)
			return info.exit_code;
		code = code_of_zombie(task->pid);
		if (code >= 0)
			return code;
	}
	return -1;
}

/* Under the lock. */
static void end_task(struct tasks *t, pid_t tid)
{
	struct task **at = place(t, tid), *task = *at;

	if (!task)
		return;
	if (task->tid == task->pid)
		journal_task(t->journal, "exit", task->pid, task->ppid, task->exe, code_of(task));
	*at = task->next;
	t->n--;
	close(task->pidfd);
	free(task->exe);
	free(task);
}

/* Ends that are known by now; false: somebody wants this to stop. */
static bool take_ends(struct tasks *t, int timeout_ms, bool *ret_none)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(t->epoll, events, EVENTS, timeout_ms);
	bool go_on = true;

	if (n < 0)
		n = 0;
	pthread_mutex_lock(&t->lock);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64)
			end_task(t, (pid_t)events[i].data.u64);
		else
			go_on = false;
	}
	pthread_mutex_unlock(&t->lock);
	*ret_none = n == 0;
	return go_on;
}

static void *ends_main(void *arg)
{
	struct tasks *t = arg;
	bool none;

	while (take_ends(t, -1, &none))
		;
	return NULL;
}

int tasks_new(struct journal *journal, struct tasks **ret)
{
	struct epoll_event stop = {.events = EPOLLIN};
	struct tasks *t = calloc(1, sizeof(*t));
	struct rlimit limit = {.rlim_cur = 1024};
	sigset_t all, old;
	int r;

	if (!t)
		return -ENOMEM;
	t->journal = journal;
	/* The rest is for what requests hold open. */
	getrlimit(RLIMIT_NOFILE, &limit);
	t->most = limit.rlim_cur > 2 * FDS_LEFT ? limit.rlim_cur - FDS_LEFT : limit.rlim_cur / 2;
	pthread_mutex_init(&t->lock, NULL);
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->stop = eventfd(0, EFD_CLOEXEC);
	if (t->epoll < 0 || t->stop < 0 || epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->stop, &stop) < 0) {
		r = -errno;
		goto fail;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = -pthread_create(&t->thread, NULL, ends_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0) {
		t->running = true;
		*ret = t;
		return 0;
	}
fail:
	if (t->epoll >= 0)
		close(t->epoll);
	if (t->stop >= 0)
		close(t->stop);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return r;
}

/* The process of a thread that is not its first. */
static pid_t process_of(pid_t tid, int pidfd)
{
	struct pidfd_info_v0 info;
	char name[40], line[128];
	pid_t pid = 0;
	FILE *f;

	if (pidfd >= 0 && ask(pidfd, &info, 0) && info.tgid)
		return (pid_t)info.tgid;
	snprintf(name, sizeof(name), "/proc/%d/status", tid);
	f = fopen(name, "re");
	while (f && !pid && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &pid) != 1)
			pid = 0;
	if (f)
		fclose(f);
	return pid ? pid : tid;
}

/* Remember TID. Under the lock. NULL: it is gone, or can't be followed. */
static struct task *begin_task(struct tasks *t, pid_t tid, int *ret_error)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)tid};
	struct pidfd_info_v0 info;
	struct task *task, **at;
	int fd = t->n < t->most ? sys_pidfd_open(tid, 0) : -EMFILE;
	bool leader = fd >= 0;

	if (fd == -EINVAL || fd == -ENOENT)
		fd = sys_pidfd_open(tid, PIDFD_THREAD);
	*ret_error = fd < 0 ? fd : -ENOMEM;
	task = fd >= 0 ? calloc(1, sizeof(*task)) : NULL;
	if (!task) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	*task = (struct task){.tid = tid, .pidfd = fd, .pid = leader ? tid : process_of(tid, fd)};
	if (leader)
		task->ppid = ask(fd, &info, 0) && info.ppid ? (pid_t)info.ppid : task_parent(tid);
	if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		*ret_error = -errno;
		close(fd);
		free(task);
		return NULL;
	}
	at = place(t, tid);
	task->next = *at;
	*at = task;
	t->n++;
	return task;
}

/* A process that has just been seen. NULL stays NULL. */
static struct task *introduce(struct tasks *t, struct task *process)
{
	char exe[PATH_MAX];

	if (process) {
		process->exe = task_exe(process->pid, exe, sizeof(exe)) ? strdup(exe) : NULL;
		journal_task(t->journal, "fork", process->pid, process->ppid, process->exe, -1);
	}
	return process;
}

/* The process of TID, with what is known of it. Under the lock. */
static struct task *find(struct tasks *t, pid_t tid, int *ret_error)
{
	struct task *task = *place(t, tid), *process;
	pid_t pid;

	if (!task) {
		task = begin_task(t, tid, ret_error);
		/* Most are their process's first thread. */
		if (task && task->pid == tid)
			return introduce(t, task);
		if (!task && *ret_error == -ESRCH)
			return NULL;
	}
	pid = task ? task->pid : process_of(tid, -1);
	if (pid == tid)
		return task;
	process = *place(t, pid);
	if (!process)
		process = introduce(t, begin_task(t, pid, ret_error));
	if (process)
		process->threaded = true;
	return process;
}

void tasks_look(struct tasks *t, pid_t tid, struct task_view *ret)
{
	int err = 0;
	struct task *p;

	ret->pid = tid;
	ret->ppid = 0;
	ret->lost = false;
	pthread_mutex_lock(&t->lock);
	p = find(t, tid, &err);
	if (p) {
		ret->pid = p->pid;
		ret->ppid = p->ppid;
		/* Of several threads any may execute, and which of them is seen next tells nothing. */
		if (p->threaded) {
			free(p->exe);
			p->exe = NULL;
		}
		if (p->exe)
			memcpy(ret->exe, p->exe, strlen(p->exe) + 1); /* it came from here */
		else if (!task_exe(tid, ret->exe, sizeof(ret->exe)))
			ret->exe[0] = '\0';
		if (!p->exe && ret->exe[0])
			p->exe = strdup(ret->exe);
	} else {
		ret->lost = err != -ESRCH;
		if (!task_exe(tid, ret->exe, sizeof(ret->exe)))
			ret->exe[0] = '\0';
	}
	pthread_mutex_unlock(&t->lock);
}

void tasks_executes(struct tasks *t, pid_t tid)
{
	int err;
	struct task *p;

	pthread_mutex_lock(&t->lock);
	p = find(t, tid, &err);
	if (p) {
		free(p->exe);
		p->exe = NULL;
	}
	pthread_mutex_unlock(&t->lock);
}

static void stop(struct tasks *t)
{
	uint64_t one = 1;

	if (!t->running || write(t->stop, &one, sizeof(one)) < 0)
		return;
	pthread_join(t->thread, NULL);
	t->running = false;
}

void tasks_drain(struct tasks *t)
{
	bool none = false;

	stop(t);
	epoll_ctl(t->epoll, EPOLL_CTL_DEL, t->stop, NULL);
	while (!none)
		take_ends(t, 0, &none);
}

void tasks_free(struct tasks *t)
{
	if (!t)
		return;
	stop(t);
	for (size_t i = 0; i < BUCKETS; i++) {
		struct task *next;

		for (struct task *task = t->buckets[i]; task; task = next) {
			next = task->next;
			close(task->pidfd);
			free(task->exe);
			free(task);
		}
	}
	close(t->epoll);
	close(t->stop);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
