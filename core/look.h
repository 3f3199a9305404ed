/* SPDX-License-Identifier: Apache-2.0
 * lstat() with a memory, for the start of a run: the same few hundred names are looked at when the policy is
 * loaded and again when it is planned for.
 *
 * One thread. What is remembered is a few milliseconds old at most: policy_load() forgets it first, and the
 * kernel's rules are made for the (device, inode) that was seen, or not at all.
 */
#pragma once
#include <sys/stat.h>

/* The object at PATH itself, a final link not followed, no automount. 0 or -errno. */
int look_at(const char *path, struct stat *ret);
/* PATH is known to be missing, since its directory is. */
void look_missing(const char *path);
void look_forget(void);
