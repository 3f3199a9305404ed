/* SPDX-License-Identifier: Apache-2.0
 * Jobs that may block: opens of FIFOs and devices, answers of asks, memory that hangs.
 *
 * A slot is a thread and at most one job. A job is accepted if a slot can take it at once; past the caps it waits, if
 * it may, and a thread that has done its job takes the first that fits, else the submitter is told. So nothing that
 * waits could have a thread. Threads are made by the monitor (pool_internal.h says why), reused, and end after a while
 * without work.
 *
 *   NONE     no thread, no job          -> WANTED by a submission, IDLE never
 *   WANTED   a job, and no thread yet   -> RUNNING by the new thread
 *   IDLE     a thread waits             -> RUNNING by a submission, NONE after a while
 *   RUNNING  a thread has a job         -> IDLE, or RUNNING with one that waits
 */
#include "core/notify/pool_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define STACK_SIZE ((size_t)1 << 18)
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
	struct slow_job job;
	pthread_cond_t wake;
};

struct slow_waiting {
	struct slow_job job;
	struct slow_waiting *next;
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
	p->slow_last = &p->slow_first;
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

static bool slow_is_busy(const struct slow *s)
{
	return s->state == SLOW_RUNNING || s->state == SLOW_WANTED;
}

/* Of the threads, and of the places to wait. */
static unsigned most_of_key(const struct pool *p)
{
	return p->config.max_slow / 4 ? p->config.max_slow / 4 : 1;
}

/* May one more thread have JOB? */
static bool slow_fits(const struct pool *p, const struct slow_job *job)
{
	unsigned of_key = 0, busy = 0, most = p->config.max_slow;

	for (unsigned i = 0; i < p->config.max_slow; i++) {
		busy += slow_is_busy(&p->slow[i]);
		of_key += slow_is_busy(&p->slow[i]) && p->slow[i].job.key == job->key;
	}
	if (!job->awaited)
		most -= most / POOL_SLOW_KEPT;
	return busy < most && (!job->key || of_key < most_of_key(p));
}

static bool slow_queue(struct pool *p, const struct slow_job *job)
{
	unsigned of_key = 0;
	struct slow_waiting *w;

	for (w = p->slow_first; w; w = w->next)
		of_key += w->job.key == job->key;
	/* What is awaited is bounded by the questions. */
	if (!job->awaited && (p->n_slow_waiting >= p->config.max_slow || (job->key && of_key >= most_of_key(p))))
		return false;
	w = malloc(sizeof(*w));
	if (!w)
		return false;
	*w = (struct slow_waiting){.job = *job};
	*p->slow_last = w;
	p->slow_last = &w->next;
	atomic_fetch_add(&p->n_slow_waiting, 1);
	return true;
}

/* After a job: the first of those that wait that fits. */
static void slow_take(struct pool *p, struct slow *s)
{
	struct slow_waiting **at = &p->slow_first, *w;

	while (*at && !slow_fits(p, &(*at)->job))
		at = &(*at)->next;
	w = *at;
	if (!w)
		return;
	*at = w->next;
	if (!*at)
		p->slow_last = at;
	s->job = w->job;
	s->state = SLOW_RUNNING;
	free(w);
	atomic_fetch_sub(&p->n_slow_waiting, 1);
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
		s->job.run(s->job.arg, s->worker.local);
		pthread_mutex_lock(&p->slow_lock);
		camp_settle(&s->worker.camp); /* a poke for this job must not hit the next one */
		s->state = SLOW_IDLE;
		s->generation++;
		slow_take(p, s);
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
static struct slow *slow_pick(struct pool *p, const struct slow_job *job)
{
	struct slow *empty = NULL;

	if (!slow_fits(p, job))
		return NULL;
	for (unsigned i = 0; i < p->config.max_slow; i++) {
		if (p->slow[i].state == SLOW_IDLE)
			return &p->slow[i];
		if (p->slow[i].state == SLOW_NONE && !empty)
			empty = &p->slow[i];
	}
	return empty;
}

int pool_submit_slow(struct pool *p, const struct slow_job *job)
{
	struct slow *s = NULL;
	bool kick = false, accepted = false;

	pthread_mutex_lock(&p->slow_lock);
	if (!p->slow_stopping) {
		s = slow_pick(p, job);
		accepted = s || (job->may_wait && slow_queue(p, job));
	}
	if (s) {
		s->job = *job;
		kick = s->state == SLOW_NONE;
		s->state = kick ? SLOW_WANTED : SLOW_RUNNING;
		if (!kick)
			pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&p->slow_lock);
	if (!accepted)
		return -EAGAIN;
	atomic_fetch_add(&p->slow_jobs, 1);
	if (kick)
		pool_kick(p);
	return 0;
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
	s->has_thread = pool_spawn_thread(&s->worker, STACK_SIZE, slow_main) == 0;
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
	bool done;

	pthread_mutex_lock(&p->slow_lock);
	done = !p->slow_first;
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
