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
#include <sys/types.h>

struct pool;
struct worker; /* one thread; unshared */

struct pool_config {
	int listener;
	unsigned max_workers;   /* in ordinary use; 0: 4. Workers that hang are replaced beyond it */
	unsigned max_slow;      /* cap of slow threads; 0: default 256 */
	bool use_uring;         /* else epoll */
	const struct features *features;
	/* Serve one notification: reply exactly once, now or later. Called by the owner. */
	void (*serve)(void *ctx, struct worker *w, const struct seccomp_notif *notif);
	/* Thread start and end hooks (unshare(CLONE_FS), arenas). ret_local is kept per worker. */
	int (*worker_init)(void *ctx, struct worker *w, void **ret_local);
	void (*worker_done)(void *ctx, void *local);
	void *ctx;
};

/* Call on the confined thread: all threads of the pool inherit its Landlock domain, filters, credentials
 * and fs_struct as they are now. Blocks all signals in them but the poke signal. They get ready while the
 * caller does other things, and serve nobody yet: config->listener is not looked at. 0 or -errno. */
int pool_prepare(const struct pool_config *config, struct pool **ret);
/* Waits until they are ready and serves LISTENER, which stays the caller's. Once, on the same thread. On
 * -errno the pool is still there, for pool_stop() and pool_free(). */
int pool_open(struct pool *p, int listener);
/* Both at once; on -errno there is nothing left. */
int pool_start(const struct pool_config *config, struct pool **ret);
/* No new notifications; join all threads but those stuck in the kernel (waits about 1 s for them at most).
 * Slow jobs that were accepted are run to their end, interrupted (EINTR) where they block. Any thread but
 * the pool's own, once. */
void pool_stop(struct pool *p);
/* After pool_stop(). Where threads were left behind (see the statistics) the memory stays, and so must
 * CTX: they may come back to it. */
void pool_free(struct pool *p);

void *worker_local(const struct worker *w);
unsigned worker_index(const struct worker *w);
struct pool *worker_pool(const struct worker *w);

/* A job for a slow thread. At most a quarter of the cap (one at least) runs for one KEY, say a thread group: no target
 * can take the slow threads from the others. KEY 0: uncounted. */
struct slow_job {
	void (*run)(void *arg, void *local); /* LOCAL is the thread's own worker_init result */
	void *arg;
	pid_t key;
	bool may_wait; /* past a cap it waits for a thread: as many as there are threads, and a quarter for one KEY */
	bool awaited;  /* somebody has just said yes to it: it may take the threads that are kept for such jobs */
};
/* -EAGAIN past the caps. Any thread, confined or not. */
int pool_submit_slow(struct pool *p, const struct slow_job *job);
/* In a job: its name for pool_interrupt_slow(), never 0. */
uint64_t pool_slow_self(void);
/* Any thread: make the call that the job blocks in return EINTR. The job may not have reached its call
 * yet, so repeat while it lasts. False: the job has ended. */
bool pool_interrupt_slow(struct pool *p, uint64_t job);
/* The one signal that is not blocked in workers and slow threads. */
int pool_poke_signal(void);

struct pool_stats {
	uint64_t notifications, gone, promotions, pokes, slow_jobs;
	uint64_t spawn_errors;      /* threads that could not be made at the first attempt */
	unsigned workers;           /* made so far; they end with the pool */
	unsigned slow_threads;      /* there now */
	unsigned slow_waiting;      /* jobs that have no thread yet */
	unsigned stuck;             /* workers that hang with a notification right now */
	unsigned left_behind;       /* threads that pool_stop() could not join */
	int error;                  /* -errno that ended the service of the listener, else 0 */
	bool ended;                 /* the last target is gone */
};
void pool_get_stats(const struct pool *p, struct pool_stats *ret);
