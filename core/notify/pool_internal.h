/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the pool share: pool.c (life cycle, workers), monitor.c (promotion, growth), slow.c
 * (jobs that may block).
 *
 * Threads. The thread that calls pool_prepare() makes the first workers and the monitor. All others are made
 * by the monitor, because a thread inherits its maker's Landlock domain, seccomp filters, credentials and
 * fs_struct: a worker may have changed its own by then, and pool_submit_slow() may be called on a thread
 * that is not confined at all.
 */
#pragma once
#include "core/notify/camp.h"
#include "core/notify/pool.h"

#include <pthread.h>
#include <stdatomic.h>

/* In ordinary use when the caller does not say. One owner serves; the others stand by. */
#define POOL_WORKERS_DEFAULT 4u
#define POOL_WORKERS_START 2u
/* A worker that is busy with one notification for so long is stuck and does not count any more. */
#define POOL_STUCK_NS 1000000000ull
#define POOL_STUCK_MAX 60u
#define POOL_SLOW_DEFAULT 256u
#define POOL_SLOW_KEPT 16u /* one of so many threads is for jobs that are awaited */
#define POOL_STOP_NS 1000000000ull

struct worker {
	/* atomic */
	_Alignas(64) struct camp camp;
	_Atomic uint64_t served, gone;   /* written by the worker alone */
	_Atomic uint64_t demoted_at_ns;  /* written by the monitor alone */
	_Atomic bool ended;
	_Atomic pid_t tid;               /* 0 until the thread has begun */
	_Atomic int init_result;         /* futex; 1: not there yet */
	/* immutable once started */
	struct pool *pool;
	unsigned index;
	pthread_t thread;
	void *local;
};

struct slow;
struct slow_waiting;

struct pool {
	/* immutable once opened */
	struct pool_config config;
	unsigned max_workers, cap;
	struct worker **workers; /* cap slots, the first n_workers of them in use */
	pthread_t monitor;
	bool monitor_started;
	int kick_fd; /* eventfd: the monitor is to look */
	/* atomic */
	_Atomic bool stopping, ended, monitor_leave;
	_Atomic unsigned n_workers;
	_Atomic uint64_t promotions, pokes, slow_jobs, spawn_errors;
	_Atomic unsigned left_behind, n_slow_alive, n_slow_waiting;
	_Atomic int error;
	_Atomic int monitor_result; /* futex; 1: not there yet */
	_Atomic int opened;         /* futex; 1: there is no listener yet; < 0: there won't be one */
	/* slow_lock */
	pthread_mutex_t slow_lock;
	struct slow *slow; /* max_slow slots */
	struct slow_waiting *slow_first, **slow_last; /* in their order */
	bool slow_stopping;
};

uint64_t pool_now_ns(void);
/* Monitor, and pool_prepare() before it. */
int pool_spawn_worker(struct pool *p);
int pool_spawn_thread(struct worker *w, size_t stack_size, void *(*body)(void *));
/* On a new thread: attach, worker_init, publish the result. False: init failed. */
bool pool_thread_begin(struct worker *w);
void pool_thread_end(struct worker *w);
/* The monitor is to look again. Any thread. */
void pool_kick(struct pool *p);
/* Monitor, or pool_stop() where there is none. */
void pool_call_all_away(struct pool *p);
/* Busy with one notification for so long that it does not count as a worker any more. */
bool worker_is_stuck(const struct worker *w, uint64_t now_ns);
void *monitor_main(void *pool);
/* A result that another thread waits for: 1 until it is there. */
void pool_tell(_Atomic int *result, int value);
int pool_await(_Atomic int *result);

int slow_init(struct pool *p);
/* Monitor: make the threads that are wanted. False: some could not be made, try again. */
bool slow_spawn_wanted(struct pool *p);
/* No more submissions; the threads end after the jobs that were accepted. */
void slow_stop(struct pool *p);
/* Interrupt whatever blocks in a job. */
void slow_poke_all(struct pool *p);
/* Nothing accepted is left undone and all threads are at their end. */
bool slow_done(struct pool *p);
/* Returns how many threads could not be joined until DEADLINE (CLOCK_REALTIME). */
unsigned slow_join(struct pool *p, const struct timespec *deadline);
void slow_free(struct pool *p);
