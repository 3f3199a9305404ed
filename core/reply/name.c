/* SPDX-License-Identifier: Apache-2.0
 * Calls that make, remove and move names: mkdir, mknod, symlink, link, unlink, rmdir, rename.
 *
 * They act on a pinned parent directory and a last name, and are judged by that name. A name that moves
 * takes the verdicts of its new place: if any would be looser, the move is refused (EXDEV, from which
 * callers fall back to copying; EPERM for a link), whatever the object is at that moment.
 *
 * A directory moves only where no verdict changes at all, stricter ones included: another worker may hold
 * it open for a call that was judged by the old place, and it would bring whatever it holds to names that
 * may not be made. A symlink may not stand above a name that may not be written: who goes by that name
 * would be led elsewhere.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/reply/move_file.h"
#include "core/reply/reply.h"
#include "core/sys.h"

#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>

enum name_kind { NAME_MKDIR, NAME_MKNOD, NAME_SYMLINK, NAME_LINK, NAME_UNLINK, NAME_RMDIR, NAME_RENAME };

static enum name_kind kind_of(const struct request *q)
{
	switch (q->call->nr) {
	case SYS_mkdir:
	case SYS_mkdirat:
		return NAME_MKDIR;
	case SYS_mknod:
	case SYS_mknodat:
		return NAME_MKNOD;
	case SYS_symlink:
	case SYS_symlinkat:
		return NAME_SYMLINK;
	case SYS_link:
	case SYS_linkat:
		return NAME_LINK;
	case SYS_rmdir:
		return NAME_RMDIR;
	case SYS_unlink:
		return NAME_UNLINK;
	case SYS_unlinkat:
		return (uint32_t)q->args[2] & AT_REMOVEDIR ? NAME_RMDIR : NAME_UNLINK;
	default:
		return NAME_RENAME;
	}
}

/* Argument errors that the kernel finds before it looks at any path. */
static int check_flags(const struct request *q)
{
	uint32_t flags = (uint32_t)request_arg(q, q->call->flags);

	switch (q->call->nr) {
	case SYS_unlinkat:
		return flags & ~(uint32_t)AT_REMOVEDIR ? -EINVAL : 0;
	case SYS_linkat:
		return flags & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) ? -EINVAL : 0;
	case SYS_renameat2:
		if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
			return -EINVAL;
		return (flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) ? -EINVAL : 0;
	default:
		return 0;
	}
}

static bool is_dot(const struct resolved *at)
{
	return at->unnamed && (strcmp(at->last, ".") == 0 || strcmp(at->last, "..") == 0);
}

static const char *parent_of(const struct resolved *at, size_t *ret_len)
{
	size_t n = at->name_len;

	while (n > 1 && at->name[n - 1] != '/')
		n--;
	*ret_len = n;
	return at->name;
}

static bool same_parent(const struct request *q)
{
	size_t a, b;
	const char *x = parent_of(&q->at[0], &a), *y = parent_of(&q->at[1], &b);

	return a == b && memcmp(x, y, a) == 0;
}

static bool is_dir(const struct request *q, unsigned which)
{
	return resolved_exists(&q->at[which]) && S_ISDIR(q->at[which].st.st_mode);
}

static bool widens(const struct request *q, unsigned from, unsigned to)
{
	const struct resolved *a = &q->at[from], *b = &q->at[to];
	const struct ask_move move = {a->name, b->name, a->name_len, b->name_len, is_dir(q, from)};

	/* As if it were a directory: what is there may have changed since we looked. */
	return plan_move_widens(q->rules->plan, a->name, a->name_len, b->name, b->name_len, true) ||
	       (q->sup->asker && ask_move_widens(q->sup->asker, q->rules->policy, &move));
}

/* Answers beneath a name count only if a directory moves there. */
static bool asks_anything(const struct request *q)
{
	bool asks = false;

	for (unsigned op = 0; op < OP_COUNT; op++)
		asks |= policy_asks(q->rules->policy, op);
	return asks;
}

/* Landlock's grants go with the inode. What is moved into a directory later would have the rights of the
 * place that it came from; of a file only its own rights go along, and must be those of the new name. */
static bool takes_grants_along(const struct request *q, unsigned from, unsigned to)
{
	const struct resolved *a = &q->at[from];

	if (!plan_has_grant(q->rules->plan, a->name, a->name_len, a->st.st_dev, a->st.st_ino))
		return false;
	return S_ISDIR(a->st.st_mode) || widens(q, to, from);
}

/* Is what would stand at WHICH a link, and does some rule speak of what is beneath that name? */
static bool leads_around(const struct request *q, bool is_link, unsigned which)
{
	return is_link && policy_closes_beneath(q->rules->policy, q->at[which].name, q->at[which].name_len);
}

static void forget(const struct request *q, unsigned which)
{
	if (!q->at[which].unnamed)
		plan_forget(q->rules->plan, q->at[which].name, q->at[which].name_len);
}

static bool has_grant(const struct request *q, unsigned which)
{
	const struct resolved *at = &q->at[which];

	return resolved_exists(at) && !at->unnamed &&
	       plan_has_grant(q->rules->plan, at->name, at->name_len, at->st.st_dev, at->st.st_ino);
}

static bool is_link(const struct request *q, unsigned which)
{
	return resolved_exists(&q->at[which]) && S_ISLNK(q->at[which].st.st_mode);
}

/* After this call, may a path that led to something in the baseline lead to something outside of it? A file
 * or an empty directory that comes or goes changes nothing: a name in the baseline stays there, whatever
 * file it is of. Links and what is in directories lead on; and a grant on an object goes with the object. */
static bool redirects(const struct request *q)
{
	switch (kind_of(q)) {
	case NAME_MKDIR:
		return q->sup->memo; /* the name of what was looked for in vain may go on there */
	case NAME_MKNOD:
		return false;
	case NAME_SYMLINK:
		return true;
	case NAME_LINK:
		return is_link(q, 0);
	case NAME_RMDIR:
		if (q->sup->memo)
			return true;
		__attribute__((fallthrough));
	case NAME_UNLINK:
		return is_link(q, 0) || has_grant(q, 0);
	case NAME_RENAME:
		break;
	}
	for (unsigned i = 0; i < 2; i++)
		if (is_link(q, i) || is_dir(q, i) || has_grant(q, i))
			return true;
	return false;
}

static void tell_cache(const struct request *q, bool pending)
{
	if (q->sup->cache && redirects(q))
		cache_invalidate(q->sup->cache, pending);
}

/* Did it wait, for an answer or a thread? Then rules and answers may be others than when it was looked at. */
static bool has_waited(const struct request *q)
{
	return q->asked || q->rules != q->rules_seen;
}

static void perform_make(struct request *q)
{
	const struct resolved *at = &q->at[0];
	mode_t mode = (mode_t)q->open_mode;
	long r = 0;

	if (has_waited(q) && leads_around(q, kind_of(q) == NAME_SYMLINK, 0))
		r = -EACCES;
	else if (kind_of(q) != NAME_SYMLINK)
		r = request_take_umask(q);
	if (r == 0) {
		if (kind_of(q) == NAME_MKDIR)
			r = CALL(mkdirat(at->parent, at->last, mode));
		else if (kind_of(q) == NAME_MKNOD)
			r = CALL(mknodat(at->parent, at->last, mode, (dev_t)(uint32_t)q->args[q->call->mode]));
		else
			r = CALL(symlinkat(q->path[1].bytes, at->parent, at->last));
	}
	if (r == 0)
		tell_cache(q, false);
	reply_result(q, r);
}

static void perform_remove(struct request *q)
{
	const struct resolved *at = &q->at[0];
	long r = CALL(unlinkat(at->parent, at->last, kind_of(q) == NAME_RMDIR ? AT_REMOVEDIR : 0));

	if (r == 0) {
		tell_cache(q, false);
		forget(q, 0);
	}
	reply_result(q, r);
}

/* "." and ".." as last names are always an error, and the kernel knows which: it is asked with the very
 * names, and nothing needs to be judged. */
static bool has_dots(const struct request *q)
{
	return is_dot(&q->at[0]) || is_dot(&q->at[1]);
}

static bool is_exchange(const struct request *q)
{
	return q->call->nr == SYS_renameat2 && ((uint32_t)q->args[4] & RENAME_EXCHANGE);
}

/* May what is at the first name take the second one, as far as rules and answers of now say? */
static bool may_rename(struct request *q)
{
	bool exchange = is_exchange(q), narrows = widens(q, 1, 0);

	if (widens(q, 0, 1) || (narrows && (exchange || S_ISDIR(q->at[0].st.st_mode))) ||
	    takes_grants_along(q, 0, 1) || (exchange && takes_grants_along(q, 1, 0)))
		return false;
	if (leads_around(q, S_ISLNK(q->at[0].st.st_mode), 1) ||
	    leads_around(q, exchange && S_ISLNK(q->at[1].st.st_mode), 0))
		return false;
	q->must_be_file = (narrows || asks_anything(q)) && !S_ISLNK(q->at[0].st.st_mode) && !is_dir(q, 0);
	return true;
}

static bool may_link(const struct request *q)
{
	/* What has no name yet (O_TMPFILE) came from a directory where it may be created. */
	if (!q->at[0].unnamed && !(q->at[0].deleted && q->at[0].st.st_nlink == 0 && q->at[0].magic) &&
	    (widens(q, 0, 1) || takes_grants_along(q, 0, 1)))
		return false;
	return !leads_around(q, S_ISLNK(q->at[0].st.st_mode), 1);
}

static void perform_rename(struct request *q)
{
	const struct resolved *from = &q->at[0], *to = &q->at[1];
	uint32_t flags = q->call->nr == SYS_renameat2 ? (uint32_t)q->args[4] : 0;
	long r;

	if (has_waited(q) && !has_dots(q) && !may_rename(q))
		r = -EXDEV;
	else if (q->must_be_file)
		r = move_file(from, to, flags);
	else
		r = CALL(syscall(SYS_renameat2, from->parent, from->last, to->parent, to->last, flags));
	if (r == 0) {
		tell_cache(q, false);
		forget(q, 0);
		forget(q, 1);
	}
	reply_result(q, r);
}

static void perform_link(struct request *q)
{
	char link[16];
	long r = -EPERM;

	snprintf(link, sizeof(link), "%d", q->at[0].obj);
	if (!has_waited(q) || may_link(q))
		r = CALL(linkat(resolve_fds(), link, q->at[1].parent, q->at[1].last, AT_SYMLINK_FOLLOW));
	if (r == 0)
		tell_cache(q, false);
	reply_result(q, r);
}

/* A move that would loosen a verdict. */
static int refuse_move(struct request *q, int err)
{
	q->verdict = (struct verdict){.action = ACTION_DENY, .err = err};
	reply_errno(q, err);
	return 1;
}

static int prepare_make(struct request *q)
{
	enum name_kind kind = kind_of(q);
	unsigned path_arg = kind == NAME_SYMLINK ? q->call->path2 : q->call->path;
	unsigned dirfd_arg = kind == NAME_SYMLINK ? q->call->dirfd2 : q->call->dirfd;
	bool around, slash;
	int r;

	if (kind == NAME_MKNOD) {
		mode_t type = (mode_t)request_arg(q, q->call->mode) & S_IFMT;

		if (type == S_IFDIR)
			return -EPERM;
		/* A node of one's own reaches any disk or port: for those who may make one (root), only
		 * where everything may be created. */
		if ((type == S_IFCHR || type == S_IFBLK) &&
		    policy_decide(q->rules->policy, OP_CREATE, "/", 1).action != ACTION_ALLOW) {
			q->boundable = false;
			return -EPERM;
		}
		if (type && type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
		    type != S_IFSOCK)
			return -EINVAL;
	}
	if (kind == NAME_SYMLINK) {
		r = request_copy_path(q, 1, q->call->path, AT_FDCWD);
		if (r < 0)
			return r;
		if (q->path[1].len == 0)
			return -ENOENT;
	}
	r = request_copy_path(q, 0, path_arg, request_dirfd(q, dirfd_arg));
	if (r < 0)
		return r;
	q->open_mode = (uint32_t)request_arg(q, q->call->mode);
	r = request_resolve(q, 0, RESOLVE_PARENT | RESOLVE_LAST_RAW | RESOLVE_UNSEEN);
	if (r == -EBUSY) /* "/" and the like exist */
		return -EEXIST;
	if (r < 0)
		return r;
	q->perform = perform_make;
	if (has_dots(q))
		return 0;
	q->creates = true;
	request_need(q, OP_CREATE, 0);
	q->needs[0].parent_too = kind == NAME_MKDIR;
	around = leads_around(q, kind == NAME_SYMLINK, 0);
	slash = kind != NAME_MKDIR && q->at[0].last[strlen(q->at[0].last) - 1] == '/';
	/* What is there already makes it an error, whatever is allowed. Where it is, the call itself says so. */
	if (around || slash || !request_may_act_unseen(q)) {
		if (q->at[0].obj < 0)
			r = resolve_look(&q->at[0]);
		if (r < 0)
			return r;
		if (q->at[0].obj >= 0)
			return -EEXIST;
		if (around)
			return refuse_move(q, EACCES);
		if (slash)
			return -ENOENT;
	} else if (q->at[0].obj >= 0) {
		return -EEXIST;
	}
	return 0;
}

static int prepare_remove(struct request *q)
{
	int r = request_copy_path(q, 0, q->call->path, request_dirfd(q, q->call->dirfd));

	if (r < 0)
		return r;
	r = request_resolve(q, 0, RESOLVE_PARENT | RESOLVE_LAST_RAW | RESOLVE_GLANCE);
	if (r == -EBUSY)
		return kind_of(q) == NAME_RMDIR ? -EBUSY : -EISDIR;
	if (r < 0)
		return r;
	q->perform = perform_remove;
	if (has_dots(q))
		return 0;
	request_need(q, OP_DELETE, 0);
	if (!request_may_act_unseen(q))
		r = resolve_look(&q->at[0]);
	if (r == 0 && !resolved_exists(&q->at[0]))
		r = -ENOENT;
	return r;
}

static int copy_two(struct request *q)
{
	int r = request_copy_path(q, 0, q->call->path, request_dirfd(q, q->call->dirfd));

	if (r == 0)
		r = request_copy_path(q, 1, q->call->path2, request_dirfd(q, q->call->dirfd2));
	return r;
}

static void need_rename(struct request *q, bool exchange)
{
	q->n_needs = 0;
	request_need(q, OP_DELETE, 0);
	request_need(q, OP_CREATE, 1);
	if (resolved_exists(&q->at[1]))
		request_need(q, OP_DELETE, 1);
	if (exchange)
		request_need(q, OP_CREATE, 0);
	if (q->call->nr == SYS_renameat2 && ((uint32_t)q->args[4] & RENAME_WHITEOUT))
		request_need(q, OP_CREATE, 0);
}

static int prepare_rename(struct request *q)
{
	bool exchange = is_exchange(q);
	int r = copy_two(q);

	for (unsigned i = 0; r == 0 && i < 2; i++)
		r = request_resolve(q, i, RESOLVE_PARENT | RESOLVE_LAST_RAW | RESOLVE_GLANCE);
	if (r < 0)
		return r;
	q->perform = perform_rename;
	if (has_dots(q))
		return 0;
	need_rename(q, exchange);
	/* Who is asked, and who writes down, is told of what is held. */
	if (!request_may_act_unseen(q)) {
		r = resolve_look(&q->at[0]);
		if (r == 0)
			r = resolve_look(&q->at[1]);
		if (r < 0)
			return r;
		need_rename(q, exchange);
	}
	if (!resolved_exists(&q->at[0]) || (exchange && !resolved_exists(&q->at[1])))
		return -ENOENT;
	/* Refusals of the names themselves come first: they are what the user is told about. */
	request_judge(q);
	if (q->verdict.action > ACTION_ASK)
		return 0;
	if (!may_rename(q))
		return refuse_move(q, EXDEV);
	/* Across directories Landlock compares all rights of both: ours to do, exactly. */
	q->boundable = same_parent(q);
	return 0;
}

static int prepare_link(struct request *q)
{
	uint32_t flags = q->call->nr == SYS_linkat ? (uint32_t)q->args[4] : 0;
	int r = copy_two(q);

	if (r < 0)
		return r;
	if (q->path[0].len == 0 && (flags & AT_EMPTY_PATH))
		r = request_resolve_fd(q, 0, q->path[0].dirfd);
	else
		r = request_resolve(q, 0, flags & AT_SYMLINK_FOLLOW ? RESOLVE_FOLLOW : 0);
	if (r < 0)
		return r;
	r = request_resolve(q, 1, RESOLVE_PARENT | RESOLVE_LAST_RAW);
	if (r == -EBUSY)
		return -EEXIST;
	if (r < 0)
		return r;
	if (has_dots(q))
		return -EEXIST;
	if (q->at[1].obj >= 0)
		return -EEXIST;
	if (q->at[1].last[strlen(q->at[1].last) - 1] == '/')
		return -ENOENT;
	if (S_ISDIR(q->at[0].st.st_mode))
		return refuse_move(q, EPERM);
	q->perform = perform_link;
	q->creates = true;
	request_need(q, OP_CREATE, 1);
	request_judge(q);
	if (q->verdict.action > ACTION_ASK)
		return 0;
	if (!may_link(q))
		return refuse_move(q, EPERM);
	q->boundable = !q->at[0].magic && same_parent(q);
	return 0;
}

int name_prepare(struct request *q)
{
	int r = check_flags(q);

	if (r < 0)
		return r;
	q->boundable = true;
	switch (kind_of(q)) {
	case NAME_MKDIR:
	case NAME_MKNOD:
	case NAME_SYMLINK:
		r = prepare_make(q);
		break;
	case NAME_LINK:
		r = prepare_link(q);
		break;
	case NAME_UNLINK:
	case NAME_RMDIR:
		r = prepare_remove(q);
		break;
	case NAME_RENAME:
		r = prepare_rename(q);
		break;
	}
	/* Before the call is continued: from then on paths may lead elsewhere. */
	if (r == 0)
		tell_cache(q, true);
	return r;
}
