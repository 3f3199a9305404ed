/* SPDX-License-Identifier: Apache-2.0
 * Binding a socket file by the target's own string, which getsockname shows for ever.
 */
#pragma once
#include "core/supervisor.h"

#include <sys/socket.h>

/* bind(q->fd, ADDR) so that nothing can be made but in the pinned directory at[0].parent. The caller has
 * taken the umask; the thread's cwd is changed. 0 or -errno; -EOPNOTSUPP: it can't be done safely here,
 * and nothing was done. Any thread that owns the request. */
long bind_by_name(const struct request *q, const struct sockaddr *addr, uint32_t addr_len);
