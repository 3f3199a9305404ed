/* SPDX-License-Identifier: Apache-2.0
 * Jobs that may block: opens of FIFOs and devices, answers of asks, memory that hangs.
 *
 * A slot is a thread and at most one job. A job is accepted only if a slot can take it at once, so no job
 * ever waits behind one that blocks; past the cap the submitter is told. Threads are made by the monitor
 * (pool_internal.h says why), reused, and end after a while without work.
 *
 *   NONE     no thread, no job          -> WANTED by a submission, IDLE never
 *   WANTED   a job, and no thread yet   -> RUNNING by the new thread
 *   IDLE     a thread waits             -> RUNNING by a submission, NONE after a while
 *   RUNNING  a thread has a job         -> IDLE
 */
#include "core/notify/pool_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define IDLE_S 2
#define RETRY_NS 10000000u /* after a thread could not be made */

enum slow_state { SLOW_NONE, SLOW_WANTED, SLOW_IDLE, SLOW_RUNNING };

struct slow {
	struct worker worker;
	/* slow_lock */
	enum slow_state state;
	bool has_thread; /* alive, or ended and not joined yet */
	bool alive;
	uint32_t generation;
	uint64_t retry_at_ns;
	pid_t key;
	void (*job)(void *arg, void *local);
	void *arg;
	pthread_cond_t wake;
};

static _Thread_local uint64_t self;

static uint64_t slow_token(const struct slow *s)
{
	return (uint64_t)s->generation << 32 | (s->worker.index + 1);
}

uint64_t pool_slow_self(void)
{
	return self;
}

int slow_init(struct pool *p)
{
	size_t size = p->config.max_slow * sizeof(struct slow);
	pthread_condattr_t attr;

	pthread_mutex_init(&p->slow_lock, NULL);
	p->slow = aligned_alloc(_Alignof(struct slow), size);
	if (!p->slow)
		return -ENOMEM;
	memset(p->slow, 0, size);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (unsigned i = 0; i < p->config.max_slow; i++) {
		struct slow *s = &p->slow[i];

		camp_init(&s->worker.camp, false, NULL);
		s->worker.pool = p;
		s->worker.index = i;
		pthread_cond_init(&s->wake, &attr);
	}
	pthread_condattr_destroy(&attr);
	return 0;
}

void slow_free(struct pool *p)
{
	for (unsigned i = 0; p->slow && i < p->config.max_slow; i++)
		pthread_cond_destroy(&p->slow[i].wake);
	free(p->slow);
	pthread_mutex_destroy(&p->slow_lock);
}

static void slow_set_alive(struct pool *p, struct slow *s, bool alive)
{
	s->alive = alive;
	atomic_fetch_add(&p->n_slow_alive, alive ? 1u : -1u);
}

static void slow_failed(struct pool *p, struct slow *s)
{
	s->retry_at_ns = pool_now_ns() + RETRY_NS;
	atomic_fetch_add(&p->spawn_errors, 1);
}

/* Sleep until there is a job. False: none comes, the thread is to end. */
static bool slow_wait(struct pool *p, struct slow *s)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_S;
	while (s->state == SLOW_IDLE && !p->slow_stopping && r == 0)
		r = pthread_cond_timedwait(&s->wake, &p->slow_lock, &until);
	return s->state == SLOW_RUNNING;
}

static void *slow_main(void *arg)
{
	struct slow *s = arg;
	struct pool *p = s->worker.pool;
	bool ready;

	prctl(PR_SET_NAME, "sluice-slow");
	ready = pool_thread_begin(&s->worker);
	pthread_mutex_lock(&p->slow_lock);
	if (ready)
		s->state = SLOW_RUNNING; /* else it stays wanted, and the monitor tries again */
	while (ready && (s->state == SLOW_RUNNING || slow_wait(p, s))) {
		self = slow_token(s);
		pthread_mutex_unlock(&p->slow_lock);
		s->job(s->arg, s->worker.local);
		pthread_mutex_lock(&p->slow_lock);
		camp_settle(&s->worker.camp); /* a poke for this job must not hit the next one */
		s->state = SLOW_IDLE;
		s->generation++;
	}
	if (ready)
		s->state = SLOW_NONE;
	else
		slow_failed(p, s);
	slow_set_alive(p, s, false);
	pthread_mutex_unlock(&p->slow_lock);
	pool_thread_end(&s->worker);
	return NULL;
}

/* The slot for one more job, or NULL. */
static struct slow *slow_pick(struct pool *p, pid_t key)
{
	unsigned of_key = 0, most = p->config.max_slow / 4 ? p->config.max_slow / 4 : 1;
	struct slow *idle = NULL, *empty = NULL;

	for (unsigned i = 0; i < p->config.max_slow; i++) {
		struct slow *s = &p->slow[i];

		if (s->state == SLOW_IDLE && !idle)
			idle = s;
		else if (s->state == SLOW_NONE && !empty)
			empty = s;
		else if ((s->state == SLOW_RUNNING || s->state == SLOW_WANTED) && s->key == key)
			of_key++;
	}
	if (key && of_key >= most)
		return NULL;
	return idle ? idle : empty;
}

int pool_submit_slow_for(struct pool *p, pid_t key, void (*job)(void *arg, void *local), void *arg)
{
	struct slow *s;
	bool kick = false;

	pthread_mutex_lock(&p->slow_lock);
	s = p->slow_stopping ? NULL : slow_pick(p, key);
	if (s) {
		s->job = job;
		s->arg = arg;
		s->key = key;
		kick = s->state == SLOW_NONE;
		s->state = kick ? SLOW_WANTED : SLOW_RUNNING;
		if (!kick)
			pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&p->slow_lock);
	if (!s)
		return -EAGAIN;
	atomic_fetch_add(&p->slow_jobs, 1);
	if (kick)
		pool_kick(p);
	return 0;
}

int pool_submit_slow(struct pool *p, void (*job)(void *arg, void *local), void *arg)
{
	return pool_submit_slow_for(p, 0, job, arg);
}

bool pool_interrupt_slow(struct pool *p, uint64_t job)
{
	uint32_t index = (uint32_t)job - 1;
	bool there = false;

	if (index >= p->config.max_slow)
		return false;
	pthread_mutex_lock(&p->slow_lock);
	if (p->slow[index].state == SLOW_RUNNING && slow_token(&p->slow[index]) == job) {
		camp_poke(&p->slow[index].worker.camp);
		there = true;
	}
	pthread_mutex_unlock(&p->slow_lock);
	return there;
}

static bool slow_spawn(struct pool *p, struct slow *s)
{
	if (s->retry_at_ns > pool_now_ns())
		return false;
	if (s->has_thread)
		pthread_join(s->worker.thread, NULL); /* the slot's former one, at its end */
	s->worker.ended = false;
	s->has_thread = pool_spawn_thread(&s->worker, slow_main) == 0;
	if (s->has_thread)
		slow_set_alive(p, s, true);
	else
		slow_failed(p, s);
	return s->has_thread;
}

bool slow_spawn_wanted(struct pool *p)
{
	bool all = true;

	pthread_mutex_lock(&p->slow_lock);
	for (unsigned i = 0; i < p->config.max_slow; i++)
		if (p->slow[i].state == SLOW_WANTED && !p->slow[i].alive)
			all &= slow_spawn(p, &p->slow[i]);
	pthread_mutex_unlock(&p->slow_lock);
	return all;
}

void slow_stop(struct pool *p)
{
	pthread_mutex_lock(&p->slow_lock);
	p->slow_stopping = true;
	for (unsigned i = 0; i < p->config.max_slow; i++)
		pthread_cond_signal(&p->slow[i].wake);
	pthread_mutex_unlock(&p->slow_lock);
}

void slow_poke_all(struct pool *p)
{
	pthread_mutex_lock(&p->slow_lock);
	for (unsigned i = 0; i < p->config.max_slow; i++)
		if (p->slow[i].state == SLOW_RUNNING)
			camp_poke(&p->slow[i].worker.camp);
	pthread_mutex_unlock(&p->slow_lock);
}

bool slow_done(struct pool *p)
{
	bool done = true;

	pthread_mutex_lock(&p->slow_lock);
	for (unsigned i = 0; i < p->config.max_slow; i++)
		done &= p->slow[i].state == SLOW_NONE && !p->slow[i].alive;
	pthread_mutex_unlock(&p->slow_lock);
	return done;
}

unsigned slow_join(struct pool *p, const struct timespec *deadline)
{
	unsigned left = 0;

	for (unsigned i = 0; i < p->config.max_slow; i++) {
		struct slow *s = &p->slow[i];

		if (!s->has_thread)
			continue;
		if (pthread_timedjoin_np(s->worker.thread, NULL, deadline) == 0) {
			s->has_thread = false;
			continue;
		}
		pthread_detach(s->worker.thread);
		left++;
	}
	return left;
}
