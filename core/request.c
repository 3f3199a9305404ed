/* SPDX-License-Identifier: Apache-2.0
 * A request from its notification to its pinned objects.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/reply/reply.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "core/target/memory.h"
#include "policy/syscall_numbers.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define FIRST_PAGE 4096 /* nothing is ever there: such an address is a mistake */

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
	q->base = -EBADF;
	q->is_valid = false;
	q->n_needs = 0;
	q->verdict = (struct verdict){.action = ACTION_DENY, .err = EACCES};
	q->decisive = (struct need){0};
	q->asked = q->may_wait = q->answered = q->creates = q->is_open = q->slow = q->baseline_only = false;
	q->open_flags = q->open_mode = q->open_resolve = 0;
	q->extra = NULL;
	q->extra_len = 0;
	q->address[0] = '\0';
	q->fd = -EBADF;
	q->cache_key = q->dir_key = q->memo_key = (struct cache_key){0};
	q->insists = q->is_hint = false;
	q->cache_based = false;
	q->perform = NULL;
	q->again = AGAIN_NOT;
	q->repeats = 0;
	q->boundable = q->must_be_file = q->is_readable_there = false;
	q->acts_as_target = q->as_peer = false;
	q->began_ns = sup->wants_allowed ? clock_ns(CLOCK_MONOTONIC) : 0;
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
	cleanup_close(&q->base);
	cleanup_close(&q->fd);
	q->base = q->fd = -EBADF;
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
	q->base = q->fd = -EBADF;
	q->extra = NULL;
	q->answered = true;
	return copy;
}

bool request_makes_dir(const struct request *q, enum op op)
{
	return op == OP_CREATE && (q->call->nr == SYS_mkdir || q->call->nr == SYS_mkdirat);
}

int request_dirfd(const struct request *q, unsigned position)
{
	return position ? (int)(uint32_t)request_arg(q, position) : AT_FDCWD;
}

/* Opens are many, looks at names too where they are recorded, and most end with the kernel's own reading of the path;
 * but executions have to be seen. */
static bool may_keep_memory(const struct request *q)
{
	const struct plan *plan = q->rules->plan;

	if (!plan->trap[CALL_EXEC])
		return false;
	return q->call->class == CALL_STAT ? plan->seen_only[CALL_STAT]
					   : q->call->class == CALL_OPEN && request_is_bounded(q);
}

/* N is what a reading at ADDR returned. */
static int take_path(struct request *q, struct path_arg *p, uint64_t addr, ssize_t n)
{
	q->is_valid = false;
	if (n < 0) {
		/* The target itself may be able to read it (memfd_secret), and the kernel then does what it says. */
		if (n == -EFAULT && addr >= FIRST_PAGE && q->sup->wants_allowed)
			observe_lost(q->sup->observer, "a path in memory that only its process may read");
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

int request_copy_path(struct request *q, unsigned which, unsigned position, int dirfd)
{
	struct path_arg *p = &q->path[which];
	uint64_t addr = request_arg(q, position);

	p->dirfd = dirfd;
	q->is_hint = may_keep_memory(q);
	return take_path(q, p, addr,
			 q->is_hint ? target_read_string_often(q->tid, addr, p->bytes, sizeof(p->bytes))
				    : target_read_string(q->tid, addr, p->bytes, sizeof(p->bytes)));
}

int request_confirm_path(struct request *q)
{
	struct path_arg *p = &q->path[0], *again = &q->path[1];
	uint64_t addr = request_arg(q, q->call->path);
	size_t len = p->len;
	int r;

	if (!q->is_hint)
		return 0;
	q->is_hint = false;
	r = take_path(q, again, addr, target_read_string(q->tid, addr, again->bytes, sizeof(again->bytes)));
	if (r == 0 && !request_is_valid(q))
		r = -ESRCH;
	if (r < 0 || (again->len == len && memcmp(again->bytes, p->bytes, len) == 0))
		return r;
	target_forget();
	memcpy(p->bytes, again->bytes, again->len + 1);
	p->len = again->len;
	request_forget_keys(q);
	return 1;
}

void request_forget_keys(struct request *q)
{
	q->cache_key = q->dir_key = q->memo_key = (struct cache_key){0};
	q->cache_based = false;
}

bool request_is_valid(struct request *q)
{
	if (!q->is_valid)
		q->is_valid = reply_still_valid(q);
	if (!q->is_valid)
		target_forget();
	return q->is_valid;
}

/* The directory that the path starts from, in q->base. Absolute ones need none. */
static int open_base(struct request *q, unsigned which)
{
	const struct path_arg *p = &q->path[which];
	int r;

	if (q->base >= 0 && q->base_dirfd == p->dirfd)
		return 0;
	r = task_open_dir(q->tid, p->dirfd);
	if (r < 0)
		return r;
	/* The other path's own one may be its parent. */
	if (q->base >= 0 && q->at[0].borrowed)
		q->at[0].borrowed = false;
	else
		cleanup_close(&q->base);
	q->base = r;
	q->base_dirfd = p->dirfd;
	/* What was opened by a thread id is the target's only if the notification still stands. */
	q->is_valid = false;
	return 0;
}

/* The two paths of a call that start at one directory and are written with the same way to the last name: there
 * is one parent. */
static bool are_beside(const struct request *q)
{
	return q->at[0].parent >= 0 && q->at[0].dir_len && q->path[0].dirfd == q->path[1].dirfd &&
	       resolve_same_dir(q->path[0].bytes, q->path[1].bytes);
}

int request_resolve(struct request *q, unsigned which, unsigned flags)
{
	const struct path_arg *p = &q->path[which];
	bool relative = p->bytes[0] != '/' || q->open_resolve;
	struct resolve_from from = {
		.tid = q->tid, .how = q->open_resolve, .exact = request_tells_errors(q), .lends = true,
	};
	int r = 0;

	if (p->len == 0)
		return -ENOENT;
	if (relative)
		r = open_base(q, which);
	/* Nothing of what was read and opened has been used but for the first byte. */
	if (!request_is_valid(q))
		return -ESRCH;
	if (r < 0)
		return r;
	from.base = relative ? q->base : -EBADF;
	if (which == 1 && from.how == 0 && are_beside(q))
		from.beside = &q->at[0];
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

int request_take_ids(const struct request *q)
{
	return (q->as_peer ? creds_enter_as_peer : creds_enter)(&q->status);
}

int request_take_umask(const struct request *q)
{
	static _Thread_local int own = -1; /* this thread's, which nobody else sets */
	int r = task_read_umask(q->tid);

	if (r < 0)
		return r;
	if (r != own)
		umask((mode_t)r);
	own = r;
	return 0;
}

/* Which directory path[0] starts from, if it is relative at the price of one system call. */
static bool find_base(struct request *q)
{
	const struct path_arg *p = &q->path[0];
	struct statx st;

	if (q->cache_based)
		return true;
	q->cache_base = (struct cache_base){0};
	if (p->bytes[0] != '/') {
		if (task_identify_dir(q->tid, p->dirfd, &st) < 0)
			return false;
		q->cache_base.dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
		q->cache_base.ino = st.stx_ino;
		if (st.stx_mask & STATX_BTIME)
			q->cache_base.born_ns =
				(uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
	}
	q->cache_based = true;
	return true;
}

int request_recall(struct request *q, enum op op, bool follow)
{
	const struct path_arg *p = &q->path[0];
	struct memo_question question = {
		.cache = q->sup->cache, .base = &q->cache_base, .tid = q->tid, .dirfd = p->dirfd, .path = p->bytes,
		.len = p->len, .op = op, .follow = follow,
	};
	int r;

	/* With the target's ids the way may be closed to it, or its object. */
	if (!q->sup->memo || q->insists || q->acts_as_target || q->open_resolve || p->len == 0)
		return 1;
	/* What is only seen ends with a CONTINUE anyway. */
	if ((q->call->class != CALL_STAT && !request_is_bounded(q)) || !find_base(q))
		return 1;
	r = memo_recall(q->sup->memo, &question, &q->at[0], &q->memo_key);
	return r != 1 && !request_is_valid(q) ? -ESRCH : r;
}

bool request_cached(struct request *q, enum op op)
{
	const struct path_arg *p = &q->path[0];

	/* Where nothing bounds what the kernel reads in place of these bytes, no entry counts. */
	if (!q->sup->cache || q->sup->wants_allowed || !request_is_bounded(q) || p->len == 0)
		return false;
	/* A creation is learned for devices only, and nobody opens those by relative paths. */
	if ((p->bytes[0] != '/' && op == OP_CREATE) || !find_base(q))
		return false;
	return cache_lookup(q->sup->cache, op, &q->cache_base, p->bytes, p->len, &q->cache_key);
}

bool request_dir_cached(struct request *q, bool follow)
{
	const struct path_arg *p = &q->path[0];
	size_t dir = p->len;
	struct stat st;
	int r;

	if (!q->sup->cache || q->sup->wants_allowed || !request_is_bounded(q))
		return false;
	while (dir > 0 && p->bytes[dir - 1] != '/')
		dir--;
	/* The last name must be one, and not lead on by itself. */
	if (dir == p->len || strcmp(p->bytes + dir, ".") == 0 || strcmp(p->bytes + dir, "..") == 0)
		return false;
	if (!find_base(q) ||
	    !cache_lookup(q->sup->cache, CACHE_DIRECTORY, &q->cache_base, p->bytes, dir, &q->dir_key))
		return false;
	if (follow) {
		r = task_lstat(q->tid, p->dirfd, p->bytes, &st);
		if (r != -ENOENT && (r < 0 || S_ISLNK(st.st_mode)))
			return false;
	}
	cache_count_directory(q->sup->cache, q->cache_key.a);
	return true;
}

bool request_is_cached_base(const struct request *q, int base)
{
	const struct cache_base *known = &q->cache_base;
	struct stat st;

	return fstat(base, &st) == 0 && st.st_nlink > 0 && st.st_ino == known->ino &&
	       known->dev == ((uint64_t)major(st.st_dev) << 32 | minor(st.st_dev));
}

void request_learn(struct request *q)
{
	if (q->path[0].bytes[0] != '/' && q->base >= 0 && !request_is_cached_base(q, q->base))
		return;
	/* New rules are published before the generation of the cache is raised: if these are still in force now, the
	 * key carries a stamp from before any change to come. */
	if (q->cache_key.a && request_is_bounded(q) &&
	    atomic_load_explicit(&q->sup->rules, memory_order_acquire) == q->rules)
		cache_learn(q->sup->cache, &q->cache_key);
}

/* Everything right in the directory may be read or listed by a CONTINUE: Landlock's grants hold beneath it, too. */
void request_learn_dir(struct request *q)
{
	const struct resolved *at = &q->at[0];
	const struct plan *plan = q->rules->plan;
	uint64_t rights = plan_op_rights(plan, OP_READ, false) | plan_op_rights(plan, OP_LIST, true);
	size_t len = at->dir_len > 1 ? at->dir_len - 1 : at->dir_len;

	if (!q->dir_key.a || len == 0 || at->unnamed || at->theirs || resolve_is_guarded_dir(at->name, len) ||
	    !plan_in_baseline(plan, rights, at->name, len, 0, 0))
		return;
	q->cache_key = q->dir_key;
	request_learn(q);
}
