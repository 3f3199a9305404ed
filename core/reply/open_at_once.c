/* SPDX-License-Identifier: Apache-2.0
 * A plain read of what is known to be harmless to open: opened in one step, the descriptor checked after.
 *
 * Pinning first and opening through the pin costs two more system calls. They are spared where the open itself
 * can do nothing that a refusal would have to take back: the name is clean and no link is on the way, so that it is
 * canonical whatever object bears it; the policy allows that name before anything is opened; and the object is a
 * file or a directory. If a FIFO or the like takes its place in between, O_NONBLOCK keeps us from waiting for it.
 * Where the kernel may open that very object, it is not even opened here.
 *
 * A relative path is opened by the name that its directory has, if that leads to the object that the path itself
 * leads to: two names of one object, of which the judged one is opened.
 *
 * That the bytes were the target's is not asked for on its own: the kernel takes the descriptor only while the
 * notification stands, and nothing else is done with what was found, unless somebody is told (act()).
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/sys.h"

#define FLAGS (O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_LARGEFILE | O_NOCTTY)

/* The canonical name, if no link is on the way, in at[0].name. */
static bool take_name(struct request *q)
{
	const struct path_arg *p = &q->path[0];
	struct resolved *at = &q->at[0];
	ssize_t dir = 0;

	if (p->bytes[0] != '/') {
		dir = task_read_dir_name(q->tid, p->dirfd, at->name, sizeof(at->name));
		if (dir <= 0)
			return false;
		if (dir > 1)
			at->name[dir++] = '/';
	}
	if ((size_t)dir + p->len >= sizeof(at->name))
		return false;
	memcpy(at->name + dir, p->bytes, p->len + 1);
	at->name_len = (size_t)dir + p->len;
	return resolve_is_clean(at->name, at->name_len) && !resolve_leads_through_self(at->name);
}

/* Not where the kernel may do it itself, nor where a path means another thing to each process. */
static bool is_plain_read(struct request *q)
{
	const struct resolved *at = &q->at[0];
	const struct plan *plan = q->rules->plan;

	if (q->call->nr == SYS_openat2 || (q->open_flags & ~(uint64_t)FLAGS) || q->acts_as_target)
		return false;
	if (q->path[0].len == 0 || !take_name(q))
		return false;
	return !request_is_bounded(q) ||
	       !plan_in_baseline(plan, plan_op_rights(plan, OP_READ, false), at->name, at->name_len, 0, 0);
}

static bool is_harmless(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode);
}

/* By its name alone; what other names the object has is judged when it is open. */
static bool may_bear_name(struct request *q, mode_t mode)
{
	q->n_needs = 0;
	request_need(q, S_ISDIR(mode) ? OP_LIST : OP_READ, 0);
	request_judge(q);
	return q->verdict.action == ACTION_ALLOW;
}

/* FOUND is what the path led to. */
static int open_checked(const struct request *q, const struct stat *found, struct stat *ret)
{
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, q->at[0].name,
					     q->open_flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0,
					     RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	bool is_relative = q->path[0].bytes[0] != '/';

	if (fd < 0 || fstat(fd, ret) < 0 || (ret->st_mode & S_IFMT) != (found->st_mode & S_IFMT))
		return -EBADF;
	if (is_relative && (ret->st_dev != found->st_dev || ret->st_ino != found->st_ino))
		return -EBADF;
	if (!(q->open_flags & O_NONBLOCK) && fcntl(fd, F_SETFL, (int)q->open_flags) < 0)
		return -EBADF;
	return take_fd(&fd);
}

/* A file with a grant of its own, as those of /etc are that programs read at every start: while it bears its name the
 * kernel may open it. That is looked up each time, since by a rename the name becomes another file's. */
static bool is_granted_itself(struct request *q, const struct stat *st)
{
	const struct plan *plan = q->rules->plan;
	struct resolved *at = &q->at[0];
	bool is_dir = S_ISDIR(st->st_mode);

	/* A record wants to know of links on the way. */
	if (q->insists || q->sup->wants_allowed || !request_is_bounded(q) ||
	    !plan_in_baseline(plan, plan_op_rights(plan, is_dir ? OP_LIST : OP_READ, is_dir), at->name, at->name_len,
			      st->st_dev, st->st_ino))
		return false;
	at->st = *st;
	at->seen = at->recalled = true;
	return true;
}

static bool look(const struct request *q, struct stat *ret)
{
	const struct path_arg *p = &q->path[0];

	return task_lstat(q->tid, p->dirfd, p->bytes, ret) == 0 && is_harmless(ret->st_mode);
}

static int open_or_not(struct request *q)
{
	struct resolved *at = &q->at[0];
	struct stat st;
	int r;

	if (!is_plain_read(q) || !look(q, &st))
		return 0;
	if (is_granted_itself(q, &st))
		return 1;
	r = request_confirm_path(q);
	if (r < 0)
		return r;
	if (r == 1 && (!is_plain_read(q) || !look(q, &st)))
		return 0;
	if (may_bear_name(q, st.st_mode))
		at->obj = open_checked(q, &st, &at->st);
	q->is_open = at->obj >= 0;
	return q->is_open;
}

int open_at_once(struct request *q)
{
	int r = open_or_not(q);

	if (r != 1) {
		resolved_init(&q->at[0]);
		q->n_needs = 0;
	}
	return r;
}
