/* SPDX-License-Identifier: Apache-2.0
 * A target's thread as /proc shows it.
 *
 * What is kept of the task seen last is its own for good: a directory of /proc, its files and a pidfd are bound to
 * the task, not to its number. Once the task is gone nothing is found through them, though another one may have
 * the number by then; so an error makes us look again by number.
 */
#include "core/target/task.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

static _Thread_local struct {
	bool keeps;
	pid_t tid;	/* the task seen last, 0: none */
	int dir;	/* /proc/TID, O_PATH */
	int status;	/* /proc/TID/status */
	int pidfd;
} last = {.dir = -EBADF, .status = -EBADF, .pidfd = -EBADF};

static void forget(void)
{
	cleanup_close(&last.dir);
	cleanup_close(&last.status);
	cleanup_close(&last.pidfd);
	last.dir = last.status = last.pidfd = -EBADF;
	last.tid = 0;
}

void task_keep(void)
{
	last.keeps = true;
}

void task_keep_done(void)
{
	forget();
	last.keeps = false;
}

/* Was TID seen last? If not, it is from now on. */
static bool is_last(pid_t tid)
{
	if (!last.keeps || tid <= 0)
		return false;
	if (last.tid == tid)
		return true;
	forget();
	last.tid = tid;
	return false;
}

/* /proc/TID of a task that was seen before: who makes one call and ends costs no more than without. -EBADF: none. */
static int kept_dir(pid_t tid)
{
	char name[32];

	if (!is_last(tid))
		return -EBADF;
	if (last.dir < 0) {
		snprintf(name, sizeof(name), "/proc/%d", tid);
		last.dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return last.dir < 0 ? -EBADF : last.dir;
}

static int proc_open(pid_t tid, const char *what, int flags)
{
	char name[64];
	int dir = kept_dir(tid);

	flags |= O_CLOEXEC | O_NOCTTY;
	if (dir >= 0) {
		int r = (int)CALL(openat(dir, what, flags));

		if (r != -ENOENT && r != -ESRCH)
			return r;
		forget();
	}
	if (tid <= 0)
		return -ESRCH;
	snprintf(name, sizeof(name), "/proc/%d/%s", tid, what);
	return (int)CALL(open(name, flags));
}

static int proc_statx(pid_t tid, const char *what, unsigned mask, struct statx *ret)
{
	char name[64];
	int dir = kept_dir(tid);

	if (dir >= 0) {
		if (statx(dir, what, 0, mask, ret) == 0)
			return 0;
		forget();
	}
	snprintf(name, sizeof(name), "/proc/%d/%s", tid, what);
	return (int)CALL(statx(AT_FDCWD, name, 0, mask, ret));
}

/* All of /proc/TID/status as a string. Its length or -errno. */
static ssize_t read_status(pid_t tid, char *text, size_t size)
{
	bool kept = is_last(tid) && last.status >= 0;
	ssize_t n = -ESRCH;
	int fd;

	if (kept)
		n = CALL(pread(last.status, text, size - 1, 0));
	if (n <= 0) {
		if (kept)
			forget();
		fd = proc_open(tid, "status", O_RDONLY);
		if (fd < 0)
			return fd == -ENOENT ? -ESRCH : fd;
		n = CALL(pread(fd, text, size - 1, 0));
		if (n > 0 && is_last(tid) && last.status < 0)
			last.status = fd;
		else
			close(fd);
	}
	if (n <= 0)
		return n < 0 ? n : -ESRCH;
	text[n] = '\0';
	return n;
}

/* The value of the line that begins with KEY, or NULL. */
static const char *field(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, key, n) == 0)
			return p + n;
	return NULL;
}

static unsigned long long number(const char *text, const char *key, int base)
{
	const char *v = field(text, key);

	return v ? strtoull(v, NULL, base) : 0;
}

static void parse_groups(const char *v, struct task_status *s)
{
	while (v && *v && *v != '\n') {
		char *end;

		while (*v == ' ' || *v == '\t')
			v++;
		if (*v < '0' || *v > '9')
			return;
		if (s->n_groups == TASK_MAX_GROUPS) {
			s->n_groups++;
			return;
		}
		s->groups[s->n_groups++] = (gid_t)strtoul(v, &end, 10);
		v = end;
	}
}

int task_read_status(pid_t tid, struct task_status *ret)
{
	char text[4096];
	struct task_status s = {0};
	const char *v;
	ssize_t n = read_status(tid, text, sizeof(text));

	if (n < 0)
		return (int)n;
	s.tgid = (pid_t)number(text, "Tgid:", 10);
	s.ppid = (pid_t)number(text, "PPid:", 10);
	s.umask = (mode_t)number(text, "Umask:", 8);
	v = field(text, "State:");
	if (!v || s.tgid <= 0 || sscanf(v, " %c", &s.state) != 1)
		return -EIO;
	v = field(text, "Uid:");
	if (!v || sscanf(v, "%u %u %u %u", &s.uid[0], &s.uid[1], &s.uid[2], &s.uid[3]) != 4)
		return -EIO;
	v = field(text, "Gid:");
	if (!v || sscanf(v, "%u %u %u %u", &s.gid[0], &s.gid[1], &s.gid[2], &s.gid[3]) != 4)
		return -EIO;
	parse_groups(field(text, "Groups:"), &s);
	s.cap_effective = number(text, "CapEff:", 16);
	s.cap_permitted = number(text, "CapPrm:", 16);
	s.sig_pending = number(text, "SigPnd:", 16);
	s.shared_pending = number(text, "ShdPnd:", 16);
	s.sig_blocked = number(text, "SigBlk:", 16);
	s.sig_ignored = number(text, "SigIgn:", 16);
	s.sig_caught = number(text, "SigCgt:", 16);
	*ret = s;
	return 0;
}

int task_read_umask(pid_t tid)
{
	char text[4096];
	ssize_t n = read_status(tid, text, sizeof(text));
	const char *v = n < 0 ? NULL : field(text, "Umask:");

	/* A task on its way out has none, and makes nothing any more. */
	return n < 0 ? (int)n : v ? (int)strtoul(v, NULL, 8) : -ESRCH;
}

dev_t task_terminal(pid_t tid)
{
	char text[1024];
	_cleanup_close_ int fd = proc_open(tid, "stat", O_RDONLY);
	const char *p;
	ssize_t n;
	int tty;

	n = fd < 0 ? fd : CALL(read(fd, text, sizeof(text) - 1));
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name before it may hold anything */
	return p && sscanf(p + 1, " %*c %*d %*d %*d %d", &tty) == 1 ? (dev_t)(unsigned)tty : 0;
}

/* In /proc/TID. False: the target has no such descriptor. */
static bool name_dir(int dirfd, char *what, size_t size)
{
	if (dirfd < 0 && dirfd != AT_FDCWD)
		return false;
	if (dirfd == AT_FDCWD)
		snprintf(what, size, "cwd");
	else
		snprintf(what, size, "fd/%d", dirfd);
	return true;
}

int task_open_dir(pid_t tid, int dirfd)
{
	char what[32];
	int r;

	if (!name_dir(dirfd, what, sizeof(what)))
		return -EBADF;
	r = proc_open(tid, what, O_PATH);
	return r == -ENOENT && dirfd != AT_FDCWD ? -EBADF : r;
}

int task_identify_dir(pid_t tid, int dirfd, struct statx *ret)
{
	char what[32];

	return name_dir(dirfd, what, sizeof(what)) ? proc_statx(tid, what, STATX_INO | STATX_BTIME, ret) : -EBADF;
}

ssize_t task_read_dir_name(pid_t tid, int dirfd, char *name, size_t size)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	int dir = kept_dir(tid);
	char what[32], link[64];
	ssize_t n;

	if (!name_dir(dirfd, what, sizeof(what)))
		return -EBADF;
	snprintf(link, sizeof(link), "/proc/%d/%s", tid, what);
	n = dir >= 0 ? CALL(readlinkat(dir, what, name, size)) : -ESRCH;
	if (dir >= 0 && n < 0)
		forget();
	if (n < 0)
		n = CALL(readlink(link, name, size));
	if (n < 0 || (size_t)n == size)
		return n < 0 ? n : -ENAMETOOLONG;
	if (name[0] != '/' || ((size_t)n > tail && memcmp(name + n - tail, deleted, tail) == 0))
		return -ENOENT;
	return n;
}

/* PATH as we reach it: from the descriptor *RET_DIR, in NAME or as it is. 0 or -EBADF. */
static int reach(pid_t tid, int dirfd, const char *path, int *ret_dir, char *name, size_t size, const char **ret)
{
	char what[32];

	*ret_dir = AT_FDCWD;
	*ret = path;
	if (path[0] == '/')
		return 0;
	if (!name_dir(dirfd, what, sizeof(what)))
		return -EBADF;
	*ret = name;
	*ret_dir = kept_dir(tid);
	if (*ret_dir >= 0) {
		snprintf(name, size, "%s/%s", what, path);
		return 0;
	}
	*ret_dir = AT_FDCWD;
	snprintf(name, size, "/proc/%d/%s/%s", tid, what, path);
	return 0;
}

int task_statx(pid_t tid, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret)
{
	char store[PATH_MAX + 64];
	const char *name;
	int dir, r = reach(tid, dirfd, path, &dir, store, sizeof(store), &name);

	return r < 0 ? r : (int)CALL(statx(dir, name, flags, mask, ret));
}

int task_lstat(pid_t tid, int dirfd, const char *path, struct stat *ret)
{
	char store[PATH_MAX + 64];
	const char *name;
	int dir, r = reach(tid, dirfd, path, &dir, store, sizeof(store), &name);

	return r < 0 ? r : (int)CALL(fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW));
}

/* Before Linux 6.9 a pidfd is a whole process's and leads to the descriptors of its leader, the first thread. They are
 * TID's own as long as the two share their table. Who leaves it (unshare, close_range, an end) never comes back to it,
 * so they shared it if they still do after the descriptor was taken: TID waits in its call meanwhile, and the leader's
 * number is nobody else's while TID lives. Where the kernel does not tell (no kcmp), nothing else does: files can be
 * the same and their descriptions not, and all inotify groups have one inode. */
static int get_fd_of_leader(pid_t tid, int fd)
{
	_cleanup_close_ int pidfd = -EBADF, got = -EBADF;
	struct task_status s;
	int r = task_read_status(tid, &s);

	if (r < 0)
		return r;
	pidfd = sys_pidfd_open(s.tgid, 0);
	got = pidfd < 0 ? pidfd : sys_pidfd_getfd(pidfd, fd);
	if (got < 0)
		return got == -ESRCH ? -EBADF : got; /* the leader has ended, not TID */
	return sys_kcmp(tid, s.tgid, KCMP_FILES) == 0 ? take_fd(&got) : -EBADF;
}

int task_get_fd(pid_t tid, int fd)
{
	int pidfd, r;

	if (fd < 0 || tid <= 0)
		return -EBADF;
	if (is_last(tid) && last.pidfd >= 0) {
		r = sys_pidfd_getfd(last.pidfd, fd);
		if (r != -ESRCH)
			return r;
		forget();
	}
	/* By thread where the kernel can: after unshare(CLONE_FILES) the leader's table is another. */
	pidfd = sys_pidfd_open(tid, PIDFD_THREAD);
	if (pidfd == -EINVAL)
		pidfd = sys_pidfd_open(tid, 0);
	if (pidfd == -EINVAL || pidfd == -ENOENT) /* no leader */
		return get_fd_of_leader(tid, fd);
	if (pidfd < 0)
		return pidfd;
	r = sys_pidfd_getfd(pidfd, fd);
	if (r >= 0 && is_last(tid) && last.pidfd < 0)
		last.pidfd = pidfd;
	else
		close(pidfd);
	return r;
}

bool task_fds_exhausted(pid_t tid)
{
	struct rlimit limit;
	struct statx st;

	/* The size is the number of descriptors since 6.2, 0 before: then ADDFD finds out. */
	if (proc_statx(tid, "fd", STATX_SIZE, &st) < 0 || prlimit(tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		return false;
	return st.stx_size > 0 && (rlim_t)st.stx_size >= limit.rlim_cur;
}
