/* SPDX-License-Identifier: Apache-2.0
 * The run's own temporary directory ($TMPDIR): made before the policy is read, removed at the end, or, if the run was
 * killed, at the end of another one of the same user.
 *
 * Who lives holds a read lock (F_OFD_SETLK) on his directory; where there is none, he is dead.
 */
#pragma once
#include <stddef.h>

/* Where it is made: $TMPDIR, or /tmp. */
const char *private_dir_parent(void);
/* Its canonical path into BUF. *RET_LOCK: the lock, to be kept open; negative where the file system has none. 0 or
 * -errno. */
int private_dir_make(char *buf, size_t size, int *ret_lock);
/* Remove it with all it holds. Nothing of the tree may run any more. "" is ignored. */
void private_dir_remove(const char *path);
/* Remove, with all they hold, the directories beside PATH that dead runs of this user left; to a bound, the rest is for
 * the next one. "" is ignored. */
void private_dir_sweep(const char *path);
