/* SPDX-License-Identifier: Apache-2.0
 * Where the control sockets of this user's runs are: $XDG_RUNTIME_DIR/sluice, else /run/user/UID/sluice, else
 * /run/sluice for root and ~/.config/sluice/run for others. Mode 0700, one socket a run, its name the run's.
 */
#pragma once
#include <stddef.h>

enum { RUNDIRS_MAX = 4 };

/* All places where this user's runs may have theirs, this run's first; NULL-terminated. Made at the first
 * call, on one thread; lasts as long as the process. */
const char *const *rundir_all(void);
/* Make the first of them. A descriptor (O_PATH) of the directory, ours and nobody else's, or -errno. */
int rundir_make(void);
/* Open one of them, to look for sockets. A descriptor that can be listed, or -errno. */
int rundir_open(const char *dir);
