/* SPDX-License-Identifier: Apache-2.0
 * A target's thread as /proc shows it.
 */
#include "core/target/task.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int proc_open(pid_t tid, const char *what, int flags)
{
	char name[64];

	if (tid <= 0)
		return -ESRCH;
	snprintf(name, sizeof(name), "/proc/%d/%s", tid, what);
	return (int)CALL(open(name, flags | O_CLOEXEC | O_NOCTTY));
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
	_cleanup_close_ int fd = proc_open(tid, "status", O_RDONLY);
	struct task_status s = {0};
	const char *v;
	ssize_t n;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	n = CALL(read(fd, text, sizeof(text) - 1));
	if (n <= 0)
		return n < 0 ? (int)n : -ESRCH;
	text[n] = '\0';
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

int task_open_dir(pid_t tid, int dirfd)
{
	char what[32] = "cwd";
	int r;

	if (dirfd != AT_FDCWD) {
		if (dirfd < 0)
			return -EBADF;
		snprintf(what, sizeof(what), "fd/%d", dirfd);
	}
	r = proc_open(tid, what, O_PATH);
	return r == -ENOENT && dirfd != AT_FDCWD ? -EBADF : r;
}

int task_get_fd(pid_t tid, int fd)
{
	_cleanup_close_ int pidfd = -EBADF;

	if (fd < 0 || tid <= 0)
		return -EBADF;
	/* By thread where the kernel can: after unshare(CLONE_FILES) the leader's table is another. */
	pidfd = sys_pidfd_open(tid, PIDFD_THREAD);
	if (pidfd == -EINVAL)
		pidfd = sys_pidfd_open(tid, 0);
	if (pidfd < 0)
		return pidfd;
	return sys_pidfd_getfd(pidfd, fd);
}

bool task_fds_exhausted(pid_t tid)
{
	char name[32];
	struct rlimit limit;
	struct stat st;

	snprintf(name, sizeof(name), "/proc/%d/fd", tid);
	/* st_size is the number of descriptors since 6.2, 0 before: then ADDFD finds out. */
	if (stat(name, &st) < 0 || prlimit(tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		return false;
	return st.st_size > 0 && (rlim_t)st.st_size >= limit.rlim_cur;
}
