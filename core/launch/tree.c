/* SPDX-License-Identifier: Apache-2.0
 * The target tree: who belongs to it, and how it is ended.
 *
 * The warden is the subreaper of all that descends from it, so a task is in the tree if and only if
 * its chain of parents leads to the warden: a daemon that loses its parents falls to the warden.
 *
 * Ending it: with the signal scope proved, kill(-1) reaches exactly the tree, and no fork can outrun
 * it, since the kernel walks all tasks under the lock that fork needs. Else /proc is walked until no
 * child is left; each task is held by a pidfd and looked at again before it is killed, because its
 * number may have gone to a stranger in between. A chain of tasks that fork and exit is faster than such
 * a walk, but each link of it becomes our own child at once: those are listed by one read, and can be
 * killed by number, since only we can reap them.
 */
#include "core/cleanup.h"
#include "core/launch/parts.h"
#include "core/sys.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_DEPTH 100000 /* of a chain of parents; a longer one is no tree of ours */
#define TURNS_A_WALK 100
#define REAPED_A_TURN 16 /* so that reaping a fork bomb does not keep us from killing it */

struct task {
	pid_t pid, parent, group;
	unsigned long long start; /* clock ticks since boot: with the pid, an identity */
};

/* Parent, group and start time of PID from /proc/PID/stat (also for a thread id). 0 or -errno. */
static int task_read(pid_t pid, struct task *ret)
{
	_cleanup_close_ int fd = -EBADF;
	char path[40], buf[512], *s;
	long n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = (int)CALL(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd;
	n = CALL(read(fd, buf, sizeof(buf) - 1));
	if (n <= 0)
		return n ? (int)n : -ESRCH;
	buf[n] = '\0';
	s = strrchr(buf, ')'); /* the name before it may hold anything */
	ret->pid = pid;
	if (!s || sscanf(s + 1, " %*c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			 &ret->parent, &ret->group, &ret->start) != 3)
		return -EPROTO;
	return 0;
}

/* 1 if the chain of parents from PID leads to ROOT, 0 if not, -EAGAIN if it broke on the way. */
static int descends(pid_t root, pid_t pid)
{
	struct task t;

	if (pid == root)
		return 0;
	for (unsigned depth = 0; depth < MAX_DEPTH; depth++) {
		int r = task_read(pid, &t);

		if (r < 0)
			return depth ? -EAGAIN : 0;
		if (t.parent == root)
			return 1;
		if (t.parent <= 1)
			return 0;
		pid = t.parent;
	}
	return 0;
}

/* A group is of the tree if it has members and all are. */
static bool group_in_tree(pid_t warden, pid_t group)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	bool any = false, all = true;

	while (d && all && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);
		struct task t;

		if (pid <= 0 || task_read(pid, &t) < 0 || t.group != group)
			continue;
		any = true;
		all = descends(warden, pid) == 1;
	}
	if (d)
		closedir(d);
	return any && all;
}

bool launch_in_tree(pid_t warden, pid_t pid)
{
	struct task t;

	if (pid <= 0)
		return false;
	if (task_read(pid, &t) < 0)
		return group_in_tree(warden, pid);
	/* A parent that dies while we climb hands its children to the warden: climb again. */
	for (unsigned tries = 0; tries < 8; tries++) {
		int r = descends(warden, pid);

		if (r >= 0)
			return r == 1;
	}
	return false;
}

/* Kill PID if it still is the task T that was found to be in the tree. */
static bool kill_task(pid_t root, const struct task *t)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(t->pid, 0);
	struct task now;

	if (pidfd == -ENOSYS) /* before 5.3: there is no listener worth having either */
		return kill(t->pid, SIGKILL) == 0;
	if (pidfd < 0 || task_read(t->pid, &now) < 0 || now.start != t->start)
		return false;
	if (now.parent != t->parent && descends(root, t->pid) != 1)
		return false;
	return sys_pidfd_send_signal(pidfd, SIGKILL) == 0;
}

/* Kill what is our own child at this moment; LIST is /proc/self/task/LEADER/children, to whom orphans
 * fall. */
static void kill_children(int list)
{
	char buf[4096], *s = buf, *end;
	long n = pread(list, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return;
	buf[n] = '\0'; /* a number that was cut off is followed by no blank, and left out */
	for (long pid = strtol(s, &end, 10); end != s && *end == ' '; pid = strtol(s, &end, 10)) {
		kill((pid_t)pid, SIGKILL);
		s = end;
	}
}

/* Needs CONFIG_PROC_CHILDREN; without it there are walks alone. */
static int open_children(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct task *)a)->pid, y = ((const struct task *)b)->pid;

	return (x > y) - (x < y);
}

/* ROOT's descendants among the N tasks sorted by pid. */
static bool task_below(const struct task *tasks, size_t n, const struct task *t, pid_t root)
{
	for (unsigned depth = 0; t && depth < MAX_DEPTH; depth++) {
		struct task key = {.pid = t->parent};

		if (t->parent == root)
			return true;
		t = bsearch(&key, tasks, n, sizeof(*tasks), by_pid);
	}
	return false;
}

unsigned tree_kill_descendants(pid_t root)
{
	struct task *tasks = NULL;
	size_t n = 0, cap = 0;
	unsigned killed = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t pid = atoi(e->d_name);

		if (pid <= 0)
			continue;
		if (n == cap) {
			struct task *more = realloc(tasks, (cap ? 2 * cap : 256) * sizeof(*tasks));

			if (!more)
				break; /* the rest in the next round */
			tasks = more;
			cap = cap ? 2 * cap : 256;
		}
		if (task_read(pid, &tasks[n]) == 0)
			n++;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(tasks, n, sizeof(*tasks), by_pid);
	for (size_t i = 0; i < n; i++)
		if (tasks[i].pid != root && task_below(tasks, n, &tasks[i], root))
			killed += kill_task(root, &tasks[i]);
	free(tasks);
	return killed;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool tree_end(bool scoped, int timeout_ms, void (*reaped)(void *ctx, pid_t pid, int wstatus), void *ctx)
{
	const int64_t end = now_ms() + timeout_ms;
	_cleanup_close_ int children = scoped ? -EBADF : open_children();

	for (unsigned turn = 0; now_ms() < end; turn++) {
		int wstatus;
		pid_t pid = 1;

		if (scoped)
			kill(-1, SIGKILL);
		else if (children < 0 || turn % TURNS_A_WALK == 0)
			tree_kill_descendants(getpid());
		else
			kill_children(children);
		for (unsigned i = 0; i < REAPED_A_TURN && (pid = waitpid(-1, &wstatus, WNOHANG)) > 0; i++)
			if (reaped)
				reaped(ctx, pid, wstatus);
		if (pid < 0 && errno == ECHILD)
			return true;
		if (pid == 0 && (scoped || children < 0))
			nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
	}
	return false;
}
