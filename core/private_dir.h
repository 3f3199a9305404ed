/* SPDX-License-Identifier: Apache-2.0
 * The run's own temporary directory ($TMPDIR): made before the policy is read, removed at the end.
 */
#pragma once
#include <stddef.h>

/* Where it is made: $TMPDIR, or /tmp. */
const char *private_dir_parent(void);
/* Its canonical path into BUF. 0 or -errno. */
int private_dir_make(char *buf, size_t size);
/* Remove it with all it holds. Nothing of the tree may run any more. "" is ignored. */
void private_dir_remove(const char *path);
