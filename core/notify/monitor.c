/* SPDX-License-Identifier: Apache-2.0
 * The monitor: sees that the owner is busy too long while callers wait, and promotes a follower; makes
 * threads; ends the service when the last target is gone.
 *
 * Hot, it looks at the owner's word every tick, a load and a compare. When the word has not changed, either
 * nobody calls or the owner hangs with one caller: in both cases the next caller is the next thing of
 * interest, and it sleeps in the ring until the listener is readable. So an idle run costs no wake-ups, and
 * a busy one some 60 to 120 a second (each costs 20 to 60 us of a virtual CPU): one every 16 ms, and a second 0.2 ms
 * after one that found the owner busy. So the first owner to hang holds up the others for 16 ms at most; then there is
 * reason to expect the next, and for a quarter of a second it ticks every 0.2 ms.
 *
 * It never touches a target, so it can't be made to hang by one.
 */
#include "core/notify/pool_internal.h"
#include "core/sys.h"
#include "iouring/ring.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define TICK_NS 16000000ll
#define TICK_TROUBLE_NS 200000ll
#define TROUBLE_NS 250000000ull /* so long after a promotion over an owner that hung */
#define TICK_SHORT_NS 5000000ll  /* no worker left to promote, or a thread could not be made */
#define QUIET_TICKS 2u
#define BUSY_NS 150000u          /* what is shorter is no reason to promote */

enum { TOKEN_KICK, TOKEN_LISTENER };

struct monitor {
	struct pool *pool;
	struct ring *ring;
	unsigned owner;
	uint32_t word;   /* of the owner, when last looked at */
	uint64_t word_at_ns; /* since when it is that */
	unsigned quiet;  /* ticks without a change of it */
	bool hot, armed; /* ticking; the listener is watched */
	bool suspects;   /* the owner was just seen busy: is it still, soon? */
	bool short_of;   /* workers or threads */
	bool called_away;
	uint64_t trouble_until_ns;
};

static bool listener_readable(const struct pool *p)
{
	struct pollfd pfd = {.fd = p->config.listener, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLIN);
}

/* A follower whose thread is ready, or NULL. */
static struct worker *find_follower(const struct pool *p)
{
	unsigned n = atomic_load(&p->n_workers);

	for (unsigned i = 0; i < n; i++) {
		struct worker *w = p->workers[i];

		if (camp_role(camp_look(&w->camp)) == CAMP_FOLLOW && atomic_load(&w->init_result) == 0 &&
		    !atomic_load(&w->ended))
			return w;
	}
	return NULL;
}

/* One more worker if those that are not stuck are fewer than they should be. */
static void grow(struct monitor *m)
{
	struct pool *p = m->pool;
	uint64_t now = pool_now_ns();
	unsigned n = atomic_load(&p->n_workers), useful = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct worker *w = p->workers[i];

		if (atomic_load(&w->init_result) == 1)
			return; /* one is on its way */
		if (i == m->owner && now - m->word_at_ns > POOL_STUCK_NS)
			continue; /* stuck too, though nobody could take its place yet */
		useful += !atomic_load(&w->ended) && !worker_is_stuck(w, now);
	}
	if (useful < p->max_workers && n < p->cap && pool_spawn_worker(p) < 0)
		atomic_fetch_add(&p->spawn_errors, 1);
}

static void note_word(struct monitor *m, uint32_t word)
{
	m->word = word;
	m->word_at_ns = pool_now_ns();
	m->quiet = 0;
}

/* Does W hang in the kernel? Else it only waits for a processor, as everybody does on a loaded machine. */
static bool worker_hangs(const struct worker *w)
{
	char name[64], text[256];
	const char *state;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", (int)atomic_load(&w->tid));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return true;
	text[n] = '\0';
	state = strrchr(text, ')');
	return !state || strncmp(state, ") R", 3) != 0;
}

/* The owner was busy with the same notification a tick ago, and callers wait. */
static void promote(struct monitor *m)
{
	struct pool *p = m->pool;
	struct worker *old = p->workers[m->owner], *follower = find_follower(p);
	bool hangs;

	if (!follower) {
		m->short_of = true;
		grow(m);
		return;
	}
	/* Before the word says so: who reads DEMOTED reads this time. */
	atomic_store(&old->demoted_at_ns, pool_now_ns());
	hangs = worker_hangs(old);
	if (!camp_demote(&old->camp, m->word))
		return; /* it came back by itself */
	/* Only this thread takes anybody out of FOLLOW while the pool lives, so this can't fail. */
	camp_promote(&follower->camp);
	m->owner = follower->index;
	note_word(m, camp_look(&follower->camp));
	if (hangs)
		m->trouble_until_ns = m->word_at_ns + TROUBLE_NS;
	atomic_fetch_add(&p->promotions, 1);
	if (!find_follower(p))
		grow(m); /* ahead of need */
}

static void watch_owner(struct monitor *m)
{
	uint32_t word = camp_look(&m->pool->workers[m->owner]->camp);
	bool looked_twice = m->suspects;

	m->short_of = m->suspects = false;
	m->hot = true;
	if (word != m->word) {
		note_word(m, word);
		m->suspects = !looked_twice && camp_role(word) == CAMP_BUSY;
		return;
	}
	m->quiet++;
	if (camp_role(word) == CAMP_BUSY) {
		if (pool_now_ns() - m->word_at_ns < BUSY_NS)
			return; /* a kick, or the listener, woke us early */
		if (listener_readable(m->pool))
			promote(m);
		else
			m->hot = false;
	} else if (m->quiet > QUIET_TICKS) {
		m->hot = false;
	}
}

static int64_t next_wait(struct monitor *m)
{
	if (m->called_away)
		return m->short_of ? TICK_SHORT_NS : -1;
	if (m->short_of)
		return TICK_SHORT_NS;
	if (m->hot)
		return m->suspects || pool_now_ns() < m->trouble_until_ns ? TICK_TROUBLE_NS : TICK_NS;
	if (!m->armed)
		m->armed = ring_watch(m->ring, m->pool->config.listener, POLLIN, TOKEN_LISTENER,
				      RING_ONESHOT) == 0;
	return m->armed ? -1 : TICK_SHORT_NS;
}

static void drain_kick(const struct pool *p)
{
	uint64_t n;

	while (read(p->kick_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

static void take_events(struct monitor *m, const struct ring_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		if (events[i].token == TOKEN_KICK) {
			drain_kick(m->pool);
			continue;
		}
		m->armed = false;
		/* Kernels before 6.11 do not wake a blocked RECV for this. */
		if (events[i].events & POLLHUP)
			atomic_store(&m->pool->ended, true);
	}
}

static void monitor_loop(struct monitor *m)
{
	struct pool *p = m->pool;
	struct ring_event events[4];

	while (!atomic_load(&p->monitor_leave)) {
		int n = ring_wait(m->ring, events, sizeof(events) / sizeof(events[0]), next_wait(m));

		if (n < 0)
			nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL); /* no ring: tick without */
		take_events(m, events, n);
		if (!m->called_away && (atomic_load(&p->stopping) || atomic_load(&p->ended))) {
			pool_call_all_away(p);
			m->called_away = true;
			m->hot = m->short_of = false;
		}
		if (!m->called_away)
			watch_owner(m);
		if (!slow_spawn_wanted(p))
			m->short_of = true;
	}
}

void *monitor_main(void *pool)
{
	struct monitor m = {.pool = pool};
	const struct pool_config *config = &m.pool->config;
	bool uring = config->use_uring && (!config->features || config->features->io_uring);

	int r;

	prctl(PR_SET_NAME, "sluice-monitor");
	prctl(PR_SET_TIMERSLACK, 1);
	r = ring_new(uring ? RING_AUTO : RING_EPOLL, &m.ring);
	if (r == 0)
		r = ring_watch(m.ring, m.pool->kick_fd, POLLIN, TOKEN_KICK, 0);
	pool_tell(&m.pool->monitor_result, r);
	if (r == 0 && pool_await(&m.pool->opened) == 0)
		monitor_loop(&m);
	ring_free(m.ring);
	return NULL;
}
