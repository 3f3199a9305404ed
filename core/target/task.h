/* SPDX-License-Identifier: Apache-2.0
 * What the kernel knows of a target's thread, always by thread id: cwd, descriptors, umask and
 * credentials are per thread (ATTACKS.md T11, T12). Any worker thread.
 *
 * A thread id is only as good as the notification that names it: callers check ID_VALID after.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define TASK_MAX_GROUPS 64

struct task_status {
	pid_t tgid, ppid;
	mode_t umask;
	uid_t uid[4]; /* real, effective, saved, file system */
	gid_t gid[4];
	gid_t groups[TASK_MAX_GROUPS];
	unsigned n_groups; /* TASK_MAX_GROUPS + 1: too many to hold */
	uint64_t cap_effective, cap_permitted;
	uint64_t sig_pending, shared_pending, sig_blocked, sig_ignored, sig_caught;
	char state;
};

/* From now on this thread keeps what it opened in /proc of the task that it looked at last: targets make many calls
 * in a row. task_keep_done() before the thread ends. */
void task_keep(void);
void task_keep_done(void);

/* /proc/TID/status, parsed. 0 or -errno (-ESRCH: gone). About 20 µs, kept 10. */
int task_read_status(pid_t tid, struct task_status *ret);
/* Its umask alone, or -errno. */
int task_read_umask(pid_t tid);

/* O_PATH descriptor of the directory that a relative path starts from: DIRFD of the target, or its
 * cwd for AT_FDCWD. -EBADF if it has no such descriptor. */
int task_open_dir(pid_t tid, int dirfd);
/* The same directory's identity, unopened: device, inode, and when it was made. 0 or -errno. */
int task_identify_dir(pid_t tid, int dirfd, struct statx *ret);
/* The name that the kernel has for it, without a zero. Its length; -ENOENT: it has none, or one that is no path; or
 * -errno. */
ssize_t task_read_dir_name(pid_t tid, int dirfd, char *name, size_t size);
/* statx() of a path that starts from it (or is absolute), by the supervisor's own rights. 0 or -errno. */
int task_statx(pid_t tid, int dirfd, const char *path, int flags, unsigned mask, struct statx *ret);
/* lstat() of a path that starts from it (or is absolute), by the supervisor's own rights. 0 or -errno. */
int task_lstat(pid_t tid, int dirfd, const char *path, struct stat *ret);

/* A duplicate of the target's descriptor FD: the same open file description. -EBADF if none. */
int task_get_fd(pid_t tid, int fd);

/* Would another descriptor not fit? Natively that EMFILE comes before anything else. */
bool task_fds_exhausted(pid_t tid);
/* The device of its controlling terminal, 0 if it has none. */
dev_t task_terminal(pid_t tid);
