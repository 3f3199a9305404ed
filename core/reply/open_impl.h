/* SPDX-License-Identifier: Apache-2.0
 * What the two halves of the open family share: open.c decides what an open needs, open_perform.c does it.
 */
#pragma once
#include "core/request.h"

#include "core/sys.h"

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* Resolve path[0] into at[0] as the flags want it. 0 or -errno. */
int open_look(struct request *q);
/* What at[0] has to be allowed, and whether opening it may block. */
void open_state_needs(struct request *q);
/* The request's perform. */
void open_perform(struct request *q);
