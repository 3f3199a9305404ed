/* SPDX-License-Identifier: Apache-2.0
 * A rename that moves no directory and no link, whatever has the name by the time it is done.
 */
#pragma once
#include "core/supervisor.h"

/* renameat2() from the last name of FROM to that of TO, in their pinned parents. 0; -EXDEV: what was a file is none
 * any more; or -errno. Any thread that owns the request; the move has its credentials. */
long move_file(const struct resolved *from, const struct resolved *to, unsigned flags);
