/* SPDX-License-Identifier: Apache-2.0
 * The pool's life, and what a worker does: follow, camp, serve.
 *
 * A worker that owns the listener stays in worker_own() until somebody else was promoted over it, the last
 * target is gone, or it is called away. Nothing on that path wakes another thread.
 */
#include "core/notify/pool.h"
#include "core/notify/pool_internal.h"

#include "core/clock.h"
#include "core/sys.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#define STACK_SIZE ((size_t)1 << 20)

void *worker_local(const struct worker *w)
{
	return w->local;
}

unsigned worker_index(const struct worker *w)
{
	return w->index;
}

struct pool *worker_pool(const struct worker *w)
{
	return w->pool;
}

int pool_poke_signal(void)
{
	return camp_signal();
}

void pool_kick(struct pool *p)
{
	uint64_t one = 1;

	/* Full is as good as written. */
	while (write(p->kick_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void pool_tell(_Atomic int *result, int value)
{
	atomic_store(result, value);
	syscall(SYS_futex, result, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

int pool_await(_Atomic int *result)
{
	while (atomic_load(result) == 1)
		syscall(SYS_futex, result, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	return atomic_load(result);
}

bool pool_thread_begin(struct worker *w)
{
	const struct pool_config *config = &w->pool->config;
	int r = 0;

	atomic_store_explicit(&w->tid, (pid_t)syscall(SYS_gettid), memory_order_relaxed);
	camp_attach(&w->camp);
	if (config->worker_init)
		r = config->worker_init(config->ctx, w, &w->local);
	pool_tell(&w->init_result, r);
	return r == 0;
}

void pool_thread_end(struct worker *w)
{
	const struct pool_config *config = &w->pool->config;

	if (atomic_load(&w->init_result) == 0 && config->worker_done)
		config->worker_done(config->ctx, w->local);
	camp_detach();
	atomic_store(&w->ended, true);
	pool_kick(w->pool);
}

/* HUP: no task uses the filter any more, and none ever will. */
static bool listener_hung_up(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLNVAL));
}

/* By the only writer. */
static void count(_Atomic uint64_t *counter)
{
	uint64_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + 1, memory_order_relaxed);
}

/* The owner found out that nobody needs an owner any more. */
static void worker_end_all(struct worker *w, int error)
{
	atomic_store(&w->pool->error, error);
	atomic_store(&w->pool->ended, true);
	camp_leave(&w->camp);
	pool_kick(w->pool);
}

static void worker_own(struct worker *w)
{
	struct pool *p = w->pool;
	struct seccomp_notif notif;

	do {
		int r;

		memset(&notif, 0, sizeof(notif)); /* or EINVAL */
		r = camp_recv_one(&w->camp, p->config.listener, &notif);
		switch (r) {
		case 0:
			count(&w->served);
			p->config.serve(p->config.ctx, w, &notif);
			break;
		case -EINTR:
			if (!camp_is_away(&w->camp))
				break;
			camp_leave(&w->camp);
			return;
		case -ENOENT: /* this caller is gone; perhaps it was the last one */
			if (listener_hung_up(p->config.listener)) {
				worker_end_all(w, 0);
				return;
			}
			count(&w->gone);
			break;
		default: /* no listener, or one of another layout: nobody can serve it */
			worker_end_all(w, r);
			return;
		}
	} while (camp_again(&w->camp));
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	prctl(PR_SET_NAME, "sluice-worker");
	if (pool_thread_begin(w))
		while (camp_follow(&w->camp))
			worker_own(w);
	pool_thread_end(w);
	return NULL;
}

int pool_spawn_thread(struct worker *w, size_t stack_size, void *(*body)(void *))
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	if (pthread_attr_init(&attr))
		return -ENOMEM;
	pthread_attr_setstacksize(&attr, stack_size);
	atomic_store(&w->init_result, 1);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited */
	r = pthread_create(&w->thread, &attr, body, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int pool_spawn_worker(struct pool *p)
{
	unsigned n = atomic_load(&p->n_workers);
	struct worker *w;
	int r;

	if (n == p->cap)
		return -EAGAIN;
	w = aligned_alloc(_Alignof(struct worker), sizeof(*w));
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	camp_init(&w->camp, false, NULL);
	w->pool = p;
	w->index = n;
	r = pool_spawn_thread(w, STACK_SIZE, worker_main);
	if (r) {
		free(w);
		return r;
	}
	p->workers[n] = w;
	atomic_store_explicit(&p->n_workers, n + 1, memory_order_release);
	return 0;
}

static int pool_check(const struct pool_config *config)
{
	struct seccomp_notif_sizes sizes = {0};

	if (!config->serve)
		return -EINVAL;
	/* The size is part of RECV's number. */
	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return -errno;
	if (sizes.seccomp_notif != sizeof(struct seccomp_notif))
		return -EOPNOTSUPP;
	return 0;
}

static struct pool *pool_new(const struct pool_config *config)
{
	struct pool *p = aligned_alloc(64, (sizeof(*p) + 63) & ~(size_t)63);

	if (!p)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->config = *config;
	p->max_workers = config->max_workers ? config->max_workers : POOL_WORKERS_DEFAULT;
	p->cap = p->max_workers + POOL_STUCK_MAX;
	if (!p->config.max_slow)
		p->config.max_slow = POOL_SLOW_DEFAULT;
	p->config.listener = -EBADF;
	atomic_store(&p->opened, 1);
	p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->workers = calloc(p->cap, sizeof(struct worker *));
	if (p->kick_fd < 0 || !p->workers || slow_init(p) < 0) {
		pool_free(p);
		return NULL;
	}
	return p;
}

static int start_monitor(struct pool *p)
{
	sigset_t all, old;
	int r;

	atomic_store(&p->monitor_result, 1);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&p->monitor, NULL, monitor_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return r;
	p->monitor_started = true;
	return 0;
}

int pool_prepare(const struct pool_config *config, struct pool **ret)
{
	struct pool *p;
	int r = pool_check(config);

	if (r)
		return r;
	r = camp_install();
	if (r)
		return r;
	p = pool_new(config);
	if (!p)
		return -ENOMEM;
	/* All at once: they get ready side by side. */
	for (unsigned i = 0; r == 0 && i < POOL_WORKERS_START && i < p->max_workers; i++)
		r = pool_spawn_worker(p);
	if (r == 0)
		r = start_monitor(p);
	if (r) {
		pool_stop(p);
		pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int pool_open(struct pool *p, int listener)
{
	unsigned spawned = atomic_load(&p->n_workers);
	int r;

	if (listener < 0)
		return -EINVAL;
	r = pool_await(&p->monitor_result);
	for (unsigned i = 0; i < spawned; i++) {
		int ready = pool_await(&p->workers[i]->init_result);

		r = r ? r : ready;
	}
	if (r)
		return r;
	if (p->config.features && p->config.features->sync_wake_up)
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	p->config.listener = listener;
	camp_promote(&p->workers[0]->camp);
	pool_tell(&p->opened, 0); /* to the monitor, whose part promoting is from now on */
	return 0;
}

int pool_start(const struct pool_config *config, struct pool **ret)
{
	struct pool *p;
	int r = config->listener < 0 ? -EINVAL : pool_prepare(config, &p);

	if (r)
		return r;
	r = pool_open(p, config->listener);
	if (r) {
		pool_stop(p);
		pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

uint64_t pool_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

bool worker_is_stuck(const struct worker *w, uint64_t now_ns)
{
	return camp_role(camp_look(&w->camp)) == CAMP_DEMOTED &&
	       now_ns - atomic_load(&w->demoted_at_ns) > POOL_STUCK_NS;
}

static struct timespec deadline_in(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / 1000000000u);
	t.tv_nsec = (long)(ns % 1000000000u);
	return t;
}

static bool deadline_passed(const struct timespec *deadline)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (t.tv_sec != deadline->tv_sec)
		return t.tv_sec > deadline->tv_sec;
	return t.tv_nsec >= deadline->tv_nsec;
}

void pool_call_all_away(struct pool *p)
{
	unsigned n = atomic_load(&p->n_workers);

	for (unsigned i = 0; i < n; i++)
		if (camp_call_away(&p->workers[i]->camp))
			atomic_fetch_add(&p->pokes, 1);
}

/* The monitor ends after everybody for whom it makes threads, and it alone makes them: what is there after
 * it has ended is all there will be. */
static void stop_monitor(struct pool *p, const struct timespec *deadline)
{
	struct timespec pause = {.tv_nsec = 1000000};

	if (!p->monitor_started)
		return;
	if (atomic_load(&p->opened) == 1)
		pool_tell(&p->opened, -ECANCELED);
	pool_kick(p); /* it calls the workers away */
	while (!slow_done(p) && !deadline_passed(deadline)) {
		slow_poke_all(p);
		nanosleep(&pause, NULL);
	}
	atomic_store(&p->monitor_leave, true);
	pool_kick(p);
	pthread_join(p->monitor, NULL);
}

void pool_stop(struct pool *p)
{
	struct timespec deadline = deadline_in(POOL_STOP_NS), grace;
	unsigned n, left = 0;

	if (!p || atomic_exchange(&p->stopping, true))
		return;
	slow_stop(p);
	stop_monitor(p, &deadline);
	pool_call_all_away(p); /* nothing new where the monitor has done it */
	/* A slow job may have used the time up; who only has to notice still gets a moment. */
	grace = deadline_in(POOL_STOP_NS / 10);
	if (deadline_passed(&deadline))
		deadline = grace;
	n = atomic_load(&p->n_workers);
	for (unsigned i = 0; i < n; i++) {
		if (pthread_timedjoin_np(p->workers[i]->thread, NULL, &deadline) == 0)
			continue;
		pthread_detach(p->workers[i]->thread);
		left++;
	}
	left += slow_join(p, &deadline);
	atomic_store(&p->left_behind, left);
}

void pool_free(struct pool *p)
{
	if (!p || atomic_load(&p->left_behind))
		return; /* a thread that hangs in the kernel may come back to this memory */
	for (unsigned i = 0; p->workers && i < p->n_workers; i++)
		free(p->workers[i]);
	free(p->workers);
	slow_free(p);
	if (p->kick_fd >= 0)
		close(p->kick_fd);
	free(p);
}

void pool_get_stats(const struct pool *p, struct pool_stats *ret)
{
	uint64_t now = pool_now_ns();
	unsigned n = atomic_load_explicit(&p->n_workers, memory_order_acquire);

	*ret = (struct pool_stats){
		.promotions = p->promotions,
		.pokes = p->pokes,
		.slow_jobs = p->slow_jobs,
		.spawn_errors = p->spawn_errors,
		.left_behind = p->left_behind,
		.error = p->error,
		.ended = p->ended,
		.slow_threads = p->n_slow_alive,
		.slow_waiting = p->n_slow_waiting,
		.workers = n,
	};
	for (unsigned i = 0; i < n; i++) {
		const struct worker *w = p->workers[i];

		ret->notifications += w->served;
		ret->gone += w->gone;
		ret->stuck += worker_is_stuck(w, now);
	}
}
