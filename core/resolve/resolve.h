/* SPDX-License-Identifier: Apache-2.0
 * From a path that a target passed to the object it means, pinned, and its canonical name.
 *
 * The supervisor resolves in the target's own view: from its cwd or descriptor, with /proc/self and
 * its like meaning the target. Links and ".." are followed by walking, never by editing the string.
 * Two fast ways are tried first (one openat2 without links; one with plain links and the kernel's
 * name for the result); the walk in walk.c is exact and handles the rest.
 *
 * Everything is by O_PATH descriptor, which has no effect on what it opens. The caller acts on these
 * descriptors, never on the string again (I2).
 */
#pragma once
#include "core/target/task.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum resolve_flags {
	RESOLVE_FOLLOW = 1, /* a final symlink is followed */
	RESOLVE_PARENT = 2, /* the parent directory and last name are wanted, the object may be missing */
	RESOLVE_LAST_RAW = 4, /* with PARENT: calls that act on the name itself (unlink, rename, mkdir) */
	RESOLVE_GLANCE = 16, /* with PARENT: the object need not be held, it may be `seen` only */
	RESOLVE_UNSEEN = 8, /* with PARENT: whether the object is there need not be known, obj may be missing for it */
};

struct resolved {
	int parent; /* O_PATH, or -EBADF: not asked for, or no parent (/, a magic link, a descriptor) */
	bool borrowed; /* parent is somebody else's, who lives longer */
	int obj;    /* O_PATH, or -EBADF: missing */
	dev_t plain_dev; /* a device that was found to be no procfs on the way; 0: none was looked at */
	bool seen;  /* it was there, and is not held: what acts on names needs no more */
	bool recalled; /* by the memo (memo.h), without descriptors: good for a line and a CONTINUE only */
	int access; /* the errno of what the operation needs of obj, or 0; -1: nobody asked */
	struct stat st;              /* of obj */
	char last[NAME_MAX + 2];     /* in parent; with the trailing slash that the target wrote */
	size_t name_len;
	size_t dir_len; /* of name: what the path leads to without its last component, with a slash; 0: not known */
	char name[PATH_MAX + NAME_MAX + 2]; /* canonical, absolute; "pipe:[1]" for what has no path */
	bool unnamed; /* no path leads to it: pipe, socket, memfd, deleted without a name */
	bool deleted; /* unlinked since: `name` is the one it had */
	bool magic;   /* reached through a magic link of procfs */
	bool theirs;  /* the path means this for this task alone: through "self" or a magic link, anywhere on the way */
};

struct resolve_from {
	pid_t tid;
	int base;           /* O_PATH of the directory that relative paths start from; -EBADF if absolute */
	bool exact;         /* errors count too: the kernel does not have the last word */
	uint64_t how;       /* RESOLVE_* bits of a target's own openat2, 0 otherwise */
	bool lends;         /* base may become the result's parent: it lives longer */
	const struct resolved *beside; /* resolved from the same base and directory part: its parent is ours; or NULL */
};

void resolved_init(struct resolved *r);
void resolved_done(struct resolved *r);

/* Resolve PATH (LEN bytes, not empty). 0 with *r filled, or the errno that the kernel would give:
 * -ENOENT when the object is missing and RESOLVE_PARENT was not asked for. */
int resolve_path(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		 struct resolved *r);

/* Do two paths have the same directory part, as they are written? */
bool resolve_same_dir(const char *a, const char *b);
static inline bool resolved_exists(const struct resolved *r)
{
	return r->obj >= 0 || r->seen;
}

/* After RESOLVE_UNSEEN or GLANCE: hold the object if it is there, not following a link. 0 or -errno. */
int resolve_look(struct resolved *r);

/* The object behind a descriptor that we hold: its name by the kernel's word. Takes FD. */
int resolve_fd(int fd, struct resolved *r);

/* The exact walk; resolve_path() uses it. Same contract. */
int resolve_walk(const struct resolve_from *from, const char *path, size_t len, unsigned flags,
		 struct resolved *r);

/* The kernel's name for FD, verified: fills name, name_len, unnamed, deleted from st. */
int resolve_name(int fd, struct resolved *r);

/* Our /proc/self/fd, O_PATH: what is called "7" in it is what descriptor 7 holds, a link not followed. */
int resolve_fds(void);

/* Absolute, no "//", ".", "..", no trailing slash but in "/": a canonical name if no link is on the way. */
bool resolve_is_clean(const char *path, size_t len);

/* Is PATH one where links to "self" stand by custom? */
bool resolve_leads_through_self(const char *path);

/* Once, before threads: identities of / and procfs, fs.protected_symlinks. */
int resolve_init(void);
/* No path of a target may lead through what the kernel shows only to a debugger in the /proc directories of
 * the supervisor's own processes (ATTACKS.md M07). OUTSIDERS: nor of other processes outside of the tree. (With
 * Landlock the kernel sees to that itself.) */
void resolve_guard(pid_t supervisor, pid_t warden, bool outsiders);
/* No target may connect to what lies in DIRS (NULL-terminated, lasting). Before the first request. */
void resolve_guard_control(const char *const *dirs);
bool resolve_is_control(const char *name, size_t len);
/* Is NAME guarded so? */
bool resolve_is_guarded(const char *name, size_t len);
/* Is NAME a directory in which something may be guarded? */
bool resolve_is_guarded_dir(const char *name, size_t len);
/* Does it lie on a procfs that is mounted at another place than /proc? Its names tell no process. */
bool resolve_is_proc_elsewhere(int fd, const struct stat *st, const char *name, size_t len);
bool resolved_is_proc_elsewhere(const struct resolved *r);
bool resolve_is_root(const struct stat *st);
bool resolve_on_procfs(int fd, const struct stat *st);
bool resolve_protects_symlinks(void);
