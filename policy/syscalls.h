/* SPDX-License-Identifier: Apache-2.0
 * One table of all system calls: policy/syscalls.def. A call that is not in it is answered ENOSYS.
 */
#pragma once
#include <stdint.h>

enum call_class {
	CALL_ALLOW,    /* never trapped: no path, no address, no power over others */
	CALL_REFUSE,   /* refused by the filter with .err unless `allow call` names it */
	CALL_ARGS,     /* the filter decides by registers: ioctl, prctl, socket, clone, ... */
	CALL_OPEN,     /* open, openat, openat2, creat */
	CALL_EXEC,     /* execve, execveat */
	CALL_NAME,     /* mkdir, mknod, symlink, link, unlink, rmdir, rename families */
	CALL_TRUNCATE, /* truncate by path */
	CALL_META,     /* chmod, chown, utime, xattr by path, and by descriptor (.fd set) */
	CALL_STAT,     /* stat, access, readlink, statfs families, and by descriptor (.fd set) */
	CALL_WATCH,    /* inotify_add_watch, fanotify_mark */
	CALL_CONNECT,  /* connect; sendto with an address */
	CALL_BIND,     /* bind; listen, which binds an internet socket that is not bound */
	CALL_CHDIR,    /* chdir, fchdir, chroot: change what a cached fact meant */
	CALL_IDS,      /* set*id, capset, setgroups */
	CALL_CONFINE,  /* landlock_restrict_self */
	CALL_PID,      /* names another task: kill family, prlimit, sched_*, ptrace, process_vm_* */
	CALL_CLASS_COUNT
};

/* Positions of arguments count from 1; 0 means that the call has none such. */
struct call_desc {
	const char *name;
	int nr;
	enum call_class class;
	uint8_t dirfd, path, dirfd2, path2;
	uint8_t flags, mode; /* flags: open flags, or AT_*; for renameat2 RENAME_* */
	uint8_t fd;          /* a descriptor that is the object itself (fchmod, bind, ...) */
	uint8_t addr, addrlen;
	uint8_t pid;         /* CALL_PID: the argument that names a task */
	int err;             /* positive: errno of a refusal (CALL_REFUSE), else 0 = EACCES */
};

extern const struct call_desc call_table[];
extern const unsigned call_table_len;
/* NULL for an unknown number. */
const struct call_desc *call_by_nr(int nr);
const struct call_desc *call_by_name(const char *name);
extern const char *const call_class_names[CALL_CLASS_COUNT];
