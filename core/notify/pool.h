/* SPDX-License-Identifier: Apache-2.0
 * Who receives: workers take turns as the one owner of the listener; a monitor promotes a follower
 * when the owner is busy too long and the listener is readable. DESIGN.md section 4.
 *
 * The pool also runs "slow jobs" (opens that may block, answers of asks) on threads of their own
 * that are confined like the workers: never on a worker.
 */
#pragma once
#include "core/features.h"
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;
struct worker; /* one thread; unshared */

struct pool_config {
	int listener;
	unsigned max_workers;   /* 0: a default by the number of CPUs */
	unsigned max_slow;      /* cap of slow threads; 0: default 64 */
	bool use_uring;         /* else epoll */
	const struct features *features;
	/* Serve one notification: reply exactly once, now or later. Called by the owner. */
	void (*serve)(void *ctx, struct worker *w, const struct seccomp_notif *notif);
	/* Thread start and end hooks (unshare(CLONE_FS), arenas). ret_local is kept per worker. */
	int (*worker_init)(void *ctx, struct worker *w, void **ret_local);
	void (*worker_done)(void *ctx, void *local);
	void *ctx;
};

/* Call on the confined thread. 0 or -errno. */
int pool_start(const struct pool_config *config, struct pool **ret);
/* No new notifications; join all threads but those stuck in the kernel (waits at most 1 s). */
void pool_stop(struct pool *p);
void pool_free(struct pool *p);

void *worker_local(const struct worker *w);
unsigned worker_index(const struct worker *w);
struct pool *worker_pool(const struct worker *w);

/* Run JOB on a slow thread. LOCAL is that thread's own worker_init result. -EAGAIN past the cap. */
int pool_submit_slow(struct pool *p, void (*job)(void *arg, void *local), void *arg);

struct pool_stats {
	uint64_t notifications, gone, promotions, pokes, slow_jobs;
	unsigned workers, slow_threads;
};
void pool_get_stats(const struct pool *p, struct pool_stats *ret);
