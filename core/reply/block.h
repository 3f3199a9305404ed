/* SPDX-License-Identifier: Apache-2.0
 * Calls on behalf that may block: on slow threads only. The thread is interrupted when the target
 * dies or has a signal to handle; then the target's call is restarted or ends with EINTR, as its own
 * would.
 */
#pragma once
#include "core/supervisor.h"

/* Open the pinned object at[0] with FLAGS and answer. */
void block_open(struct request *q, uint64_t flags);
/* connect(FD, ADDR) on a duplicate of the target's socket, and answer. */
void block_connect(struct request *q, int fd, const void *addr, uint32_t addr_len);
