/* SPDX-License-Identifier: Apache-2.0
 * Acting with a target's credentials: for a privileged supervisor whose targets changed their ids.
 * Per thread, by raw system calls (libc's wrappers would change every thread).
 */
#pragma once
#include "core/target/task.h"

/* May a task that this process starts change its ids, or look where only a capability lets it? In doubt it may. */
bool creds_privileged(void);

/* Remember what this thread is. Call once per thread before creds_enter. */
void creds_init(void);

/* Are the target's credentials those that this thread acts with anyway? */
bool creds_same(const struct task_status *status);

/* Take the target's file-system ids, groups and effective capabilities. 0, or -EPERM when they can't be
 * taken; then nothing has changed. Pairs with creds_leave() on the same thread. */
int creds_enter(const struct task_status *status);
/* The same with its effective ids: what the peer of a unix socket is told of who connects or listens. */
int creds_enter_as_peer(const struct task_status *status);
/* After either. */
void creds_leave(void);
