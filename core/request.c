/* SPDX-License-Identifier: Apache-2.0
 * A request from its notification to its pinned objects.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "core/target/memory.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void request_init(struct request *q, struct supervisor *sup, const struct seccomp_notif *notif)
{
	q->sup = sup;
	/* Pairs with the release in runtime.c: who sees the new rules sees them whole. */
	q->rules = atomic_load_explicit(&sup->rules, memory_order_acquire);
	q->rules_seen = q->rules;
	q->call = call_by_nr(notif->data.nr);
	q->id = notif->id;
	q->tid = (pid_t)notif->pid;
	memcpy(q->args, notif->data.args, sizeof(q->args));
	q->path[0].len = q->path[1].len = 0;
	q->path[0].bytes[0] = q->path[1].bytes[0] = '\0';
	resolved_init(&q->at[0]);
	resolved_init(&q->at[1]);
	q->n_needs = 0;
	q->verdict = (struct verdict){.action = ACTION_DENY, .err = EACCES};
	q->decisive = (struct need){0};
	q->asked = q->answered = q->creates = q->slow = q->baseline_only = false;
	q->open_flags = q->open_mode = q->open_resolve = 0;
	q->extra = NULL;
	q->extra_len = 0;
	q->address[0] = '\0';
	q->fd = -EBADF;
	q->cache_key = (struct cache_key){0};
	q->perform = NULL;
	q->boundable = q->must_be_file = false;
	q->acts_as_target = false;
	q->began_ns = sup->wants_allowed ? now_ns() : 0;
}

void request_done(struct request *q)
{
	/* Whatever path led here: no target is left waiting, and silence is a refusal (I3). */
	if (!q->answered) {
		atomic_fetch_add_explicit(&q->sup->errors, 1, memory_order_relaxed);
		reply_errno(q, EACCES);
	}
	resolved_done(&q->at[0]);
	resolved_done(&q->at[1]);
	cleanup_close(&q->fd);
	q->fd = -EBADF;
	free(q->extra);
	q->extra = NULL;
}

struct request *request_detach(struct request *q)
{
	struct request *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *q;
	for (unsigned i = 0; i < 2; i++)
		resolved_init(&q->at[i]);
	q->fd = -EBADF;
	q->extra = NULL;
	q->answered = true;
	return copy;
}

int request_dirfd(const struct request *q, unsigned position)
{
	return position ? (int)(uint32_t)request_arg(q, position) : AT_FDCWD;
}

int request_copy_path(struct request *q, unsigned which, unsigned position, int dirfd)
{
	struct path_arg *p = &q->path[which];
	ssize_t n = target_read_string(q->tid, request_arg(q, position), p->bytes, sizeof(p->bytes));

	p->dirfd = dirfd;
	if (n < 0) {
		/* Memory that can't be read: fail closed, and say so if it is not the target's mistake. */
		if (n != -EFAULT && n != -ENAMETOOLONG && n != -ESRCH) {
			observe_lost(q->sup->observer, "a path in memory that can't be read");
			return -EACCES;
		}
		return (int)n;
	}
	p->len = (size_t)n;
	return 0;
}

/* The directory that the path starts from. -EBADF for absolute ones, which need none. */
static int open_base(const struct request *q, unsigned which, int *ret_base)
{
	const struct path_arg *p = &q->path[which];
	int r;

	if (p->bytes[0] == '/' && q->open_resolve == 0) {
		*ret_base = -EBADF;
		return 0;
	}
	r = task_open_dir(q->tid, p->dirfd);
	if (r < 0)
		return r;
	*ret_base = r;
	return 0;
}

int request_resolve(struct request *q, unsigned which, unsigned flags)
{
	const struct path_arg *p = &q->path[which];
	_cleanup_close_ int base = -EBADF;
	struct resolve_from from = {
		.tid = q->tid, .how = q->open_resolve, .exact = !request_is_bounded(q),
	};
	int r;

	if (p->len == 0)
		return -ENOENT;
	r = open_base(q, which, &base);
	if (r < 0)
		return r;
	/* What was opened by a thread id is the target's only if the notification still stands. */
	if (base >= 0 && !reply_still_valid(q))
		return -ESRCH;
	from.base = base;
	/* /proc/TID is opened as ourselves; the walk needs the target's search permissions. */
	if (q->acts_as_target && creds_enter(&q->status) < 0)
		return -EACCES;
	r = resolve_path(&from, p->bytes, p->len, flags, &q->at[which]);
	if (q->acts_as_target)
		creds_leave();
	return r;
}

int request_resolve_fd(struct request *q, unsigned which, int fd)
{
	int r;

	resolved_init(&q->at[which]);
	r = task_open_dir(q->tid, fd);
	if (r < 0)
		return r;
	r = resolve_fd(r, &q->at[which]);
	if (r == 0 && !reply_still_valid(q))
		return -ESRCH;
	return r;
}

void request_need(struct request *q, enum op op, unsigned which)
{
	if (q->n_needs < MAX_NEEDS)
		q->needs[q->n_needs++] = (struct need){.op = op, .which = (uint8_t)which};
}

int request_take_umask(const struct request *q)
{
	struct task_status status;
	int r = task_read_status(q->tid, &status);

	if (r < 0)
		return r;
	umask(status.umask);
	return 0;
}

/* Which directory a relative path starts from, at the price of one system call. */
static bool base_identity(const struct request *q, int dirfd, struct cache_base *ret)
{
	char name[48];
	struct stat st;

	if (dirfd == AT_FDCWD)
		snprintf(name, sizeof(name), "/proc/%d/cwd", q->tid);
	else
		snprintf(name, sizeof(name), "/proc/%d/fd/%d", q->tid, dirfd);
	if ((dirfd < 0 && dirfd != AT_FDCWD) || stat(name, &st) < 0)
		return false;
	*ret = (struct cache_base){st.st_dev, st.st_ino};
	return true;
}

bool request_cached(struct request *q, enum op op)
{
	const struct path_arg *p = &q->path[0];
	struct cache_base base = {0};

	/* Where nothing bounds what the kernel reads in place of these bytes, no entry counts. */
	if (!q->sup->cache || !request_is_bounded(q) || p->len == 0)
		return false;
	if (p->bytes[0] != '/' && !base_identity(q, p->dirfd, &base))
		return false;
	return cache_lookup(q->sup->cache, op, &base, p->bytes, p->len, &q->cache_key);
}

void request_learn(struct request *q)
{
	/* New rules are published before the generation of the cache is raised: if these are still in force now, the
	 * key carries a stamp from before any change to come. */
	if (q->cache_key.a && request_is_bounded(q) &&
	    atomic_load_explicit(&q->sup->rules, memory_order_acquire) == q->rules)
		cache_learn(q->sup->cache, &q->cache_key);
}
