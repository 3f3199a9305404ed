/* SPDX-License-Identifier: Apache-2.0
 * One watcher thread looks at all blocked calls every few milliseconds: is the notification still valid,
 * has the target a signal that it would handle? Then it interrupts the slow thread, again at every tick
 * until the call is left: an interrupt just before the call is entered costs a tick and loses nothing.
 */
#include "core/reply/block.h"

#include "core/reply/reply.h"
#include "core/request.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "core/target/task.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define TICK_NS 5000000L
#define CALLS_A_TICK 16 /* more make the ticks longer: each costs a look at the target's status */

struct blocked {
	struct request *q;
	uint64_t job; /* of the pool */
	bool wanted; /* the target is gone or has a signal to handle */
	struct blocked *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static struct blocked *all; /* under lock */
static bool watching;       /* under lock */

/* Of the signals SHARED, sent to a process, those that its first thread leaves to the others: the kernel wakes the
 * first one that may take them, beginning with it. */
static uint64_t left_by_leader(pid_t leader, uint64_t shared)
{
	struct task_status s;

	return task_read_status(leader, &s) < 0 || strchr("ZXTt", s.state) ? shared : shared & s.sig_blocked;
}

/* Would the target leave a blocking call of its own now? */
static bool has_signal(pid_t tid)
{
	struct task_status s;
	uint64_t shared;

	if (task_read_status(tid, &s) < 0)
		return true;
	shared = s.shared_pending & ~s.sig_blocked & ~s.sig_ignored;
	if (shared && s.tgid != tid)
		shared = left_by_leader(s.tgid, shared);
	return shared || (s.sig_pending & ~s.sig_blocked & ~s.sig_ignored);
}

static void *watch(void *arg)
{
	struct timespec tick = {.tv_nsec = TICK_NS};
	unsigned n;

	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!all)
			pthread_cond_wait(&some, &lock);
		n = 0;
		for (struct blocked *b = all; b; b = b->next) {
			n++;
			if (!b->wanted)
				b->wanted = !reply_still_valid(b->q) || has_signal(b->q->tid);
			if (b->wanted)
				pool_interrupt_slow(b->q->sup->pool, b->job);
		}
		pthread_mutex_unlock(&lock);
		tick.tv_nsec = TICK_NS * (1 + n / CALLS_A_TICK);
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&lock);
	}
	return NULL;
}

static void enter(struct blocked *b, struct request *q)
{
	pthread_t thread;

	*b = (struct blocked){.q = q, .job = pool_slow_self()};
	pthread_mutex_lock(&lock);
	if (!watching && pthread_create(&thread, NULL, watch, NULL) == 0) {
		pthread_detach(thread);
		watching = true;
	}
	b->next = all;
	all = b;
	pthread_cond_signal(&some);
	pthread_mutex_unlock(&lock);
}

static void leave(struct blocked *b)
{
	pthread_mutex_lock(&lock);
	for (struct blocked **p = &all; *p; p = &(*p)->next)
		if (*p == b) {
			*p = b->next;
			break;
		}
	pthread_mutex_unlock(&lock);
}

/* Who stops a thread must have more rights than that thread, whose ids we may have taken. False: keep waiting. */
static bool restart_as_ourselves(struct request *q)
{
	if (!q->acts_as_target)
		return reply_restart(q);
	creds_leave();
	if (!reply_restart(q)) {
		if (request_take_ids(q) == 0)
			return false;
		reply_errno(q, EPERM);
	}
	q->acts_as_target = false; /* nothing is left to be given back */
	return true;
}

/* The call was interrupted because the target should look at a signal. true: answered. */
static bool answer_interrupted(struct request *q)
{
	if (!reply_still_valid(q)) {
		q->answered = true; /* gone */
		return true;
	}
	return has_signal(q->tid) && restart_as_ourselves(q);
}

void block_open(struct request *q, uint64_t flags)
{
	char link[32];
	struct open_how how = {
		.flags = (flags & ~(uint64_t)(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_CLOEXEC | O_NOCTTY,
	};
	struct blocked b;
	long fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", q->at[0].obj);
	for (;;) {
		enter(&b, q);
		fd = CALL(syscall(SYS_openat2, AT_FDCWD, link, &how, sizeof(how)));
		leave(&b);
		if (fd != -EINTR)
			break;
		if (answer_interrupted(q))
			return;
	}
	if (fd < 0)
		reply_errno(q, (int)-fd);
	else
		reply_fd(q, (int)fd, flags & O_CLOEXEC);
}

void block_connect(struct request *q, int fd, const void *addr, uint32_t addr_len)
{
	struct blocked b;
	long r;

	for (;;) {
		enter(&b, q);
		r = CALL(connect(fd, addr, addr_len));
		leave(&b);
		if (r != -EINTR && r != -ERESTART)
			break;
		if (answer_interrupted(q))
			return;
	}
	reply_result(q, r);
}
