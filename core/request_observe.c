/* SPDX-License-Identifier: Apache-2.0
 * From a request to the lines of a record: refusals, what was allowed need by need, and names that were
 * looked for in vain.
 *
 * A line is written before the call is done, and what a CONTINUE does is the kernel's affair anyway. Where the
 * pinned object tells that it will fail (permissions, a directory opened for writing), that errno is recorded: a
 * prediction.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <stdio.h>

#define NAME_BYTES (PATH_MAX + NAME_MAX + 2)

static struct access_event event_of(const struct request *q, enum op op)
{
	return (struct access_event){
		.pid = q->tid, .tid = q->tid, .call = q->call->name, .op = op,
		.address = q->address[0] ? q->address : NULL, .flags = (uint32_t)q->open_flags, .exists = -1,
		.dur_ns = q->began_ns ? clock_ns(CLOCK_MONOTONIC) - q->began_ns : 0,
	};
}

static void name_objects(const struct request *q, unsigned which, struct access_event *e)
{
	const struct resolved *at = &q->at[which], *other = &q->at[!which];
	bool two = q->call->path2 && other->name_len;

	if (at->name_len) {
		e->path = at->name;
		e->path_len = at->name_len;
	}
	if (two) {
		e->path2 = other->name;
		e->path2_len = other->name_len;
	}
	e->exists = resolved_exists(at);
	e->is_dir = e->exists && S_ISDIR(at->st.st_mode);
}

static enum observed_layer layer_of(enum observed_reply reply)
{
	return reply == REPLY_CONTINUE || reply == REPLY_KERNEL ? LAYER_LANDLOCK : LAYER_SUPERVISOR;
}

void request_observe(struct request *q, bool allowed, enum observed_by by, enum observed_reply reply, int err,
		     const char *detail)
{
	struct access_event e = event_of(q, q->decisive.op);

	name_objects(q, q->decisive.which, &e);
	if (!e.path && !e.address && q->path[0].len) {
		e.path = q->path[0].bytes;
		e.path_len = q->path[0].len;
	}
	e.allowed = allowed;
	e.verdict = q->verdict;
	e.by = by;
	e.reply = reply;
	e.layer = reply == REPLY_CONTINUE ? LAYER_LANDLOCK : LAYER_SUPERVISOR;
	e.err = err;
	e.detail = detail;
	observe_access(q->sup->observer, &e);
}

static int may(int fd, int mode)
{
	return fd < 0 ? 0 : (int)-CALL(syscall(__NR_faccessat2, fd, "", mode, AT_EACCESS | 0x1000 /* AT_EMPTY_PATH */));
}

/* The same of the object, if it is not known already. */
static int object_may(struct resolved *at, int mode)
{
	if (!at->recalled)
		at->access = may(at->obj, mode);
	return at->access;
}

/* The errno that the kernel will give, as far as the pinned object tells; 0: none that we know of. */
static int predict(struct request *q, const struct need *need)
{
	struct resolved *at = &q->at[need->which];
	bool is_dir = resolved_exists(at) && S_ISDIR(at->st.st_mode);

	/* Permissions are those of whoever looks. */
	if (q->acts_as_target || at->unnamed)
		return 0;
	/* O_TMPFILE: the object is the directory in which a file without a name is made. */
	if (q->call->class == CALL_OPEN && (q->open_flags & O_TMPFILE) == O_TMPFILE)
		return need->op == OP_CREATE ? may(at->obj, W_OK | X_OK) : 0;
	switch (need->op) {
	case OP_READ:
	case OP_LIST:
		if (q->open_flags & O_DIRECTORY && !is_dir)
			return ENOTDIR;
		return object_may(at, R_OK);
	case OP_WRITE:
		return is_dir ? EISDIR : object_may(at, W_OK);
	case OP_EXEC:
		return is_dir ? EACCES : object_may(at, X_OK);
	case OP_CREATE:
	case OP_DELETE:
		return may(at->parent, W_OK | X_OK);
	default:
		return 0;
	}
}

static void observe_need(struct request *q, const struct need *need, enum observed_reply reply)
{
	struct access_event e = event_of(q, need->op);

	name_objects(q, need->which, &e);
	e.is_dir |= request_makes_dir(q, need->op);
	e.allowed = true;
	e.verdict = request_decide(q, need);
	e.by = e.verdict.rule ? BY_RULE : BY_DEFAULT;
	e.reply = reply;
	e.layer = layer_of(reply);
	e.err = predict(q, need);
	observe_access(q->sup->observer, &e);
}

/* For the next request of the same that is continued. What several needs were asked of is not for one of them. */
static void memorize(const struct request *q, enum observed_reply reply)
{
	const struct resolved *at = &q->at[0];
	bool needs_access = q->call->class == CALL_EXEC || (q->call->class == CALL_OPEN && !(q->open_flags & O_PATH));

	if (!q->memo_key.a || reply != REPLY_CONTINUE || at->recalled || q->n_needs != 1)
		return;
	if ((needs_access && at->access < 0) || (q->open_flags & O_CREAT && !S_ISCHR(at->st.st_mode)))
		return;
	memo_learn(q->sup->memo, q->sup->cache, &q->memo_key, at);
}

void request_observe_allowed(struct request *q, enum observed_reply reply)
{
	/* stat of a descriptor looks at no name. */
	if (q->call->class == CALL_STAT && q->path[0].len == 0)
		return;
	for (unsigned i = 0; i < q->n_needs; i++)
		observe_need(q, &q->needs[i], reply);
	memorize(q, reply);
	if (q->call->class == CALL_EXEC)
		request_observe_exec(q);
	/* To an address, not a name: judged by its family. */
	if (q->n_needs == 0 && q->address[0]) {
		struct access_event e = event_of(q, q->call->class == CALL_BIND ? OP_BIND : OP_CONNECT);

		e.allowed = true;
		e.verdict = policy_decide_net(q->rules->policy, e.op);
		e.by = e.verdict.rule ? BY_RULE : BY_DEFAULT;
		e.reply = reply;
		e.layer = layer_of(reply);
		observe_access(q->sup->observer, &e);
	}
}

/* Errors that say something about a name; others are about arguments, memory, descriptors. */
static bool is_about_names(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case EACCES:
	case EPERM:
	case EEXIST:
	case EISDIR:
	case ELOOP:
	case ENAMETOOLONG:
	case EXDEV:
	case EBUSY:
	case ENOTEMPTY:
	case EROFS:
	case ECONNREFUSED:
	case EADDRINUSE:
		return true;
	}
	return false;
}

/* What the call would have needed first, on which of its names; does a final link count as itself? */
static enum op failed_need(const struct request *q, unsigned *ret_which, bool *ret_follow)
{
	unsigned mode = q->open_flags & O_ACCMODE;

	*ret_which = 0;
	*ret_follow = true;
	switch (q->call->class) {
	case CALL_OPEN:
		*ret_follow = !(q->open_flags & O_NOFOLLOW) &&
			      (q->open_flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
		if (q->open_flags & O_PATH)
			return OP_STAT;
		if (q->open_flags & O_CREAT)
			return OP_CREATE;
		return mode == O_WRONLY ? OP_WRITE : q->open_flags & O_DIRECTORY ? OP_LIST : OP_READ;
	case CALL_EXEC:
		return OP_EXEC;
	case CALL_NAME:
		*ret_follow = false;
		switch (q->call->nr) {
		case SYS_unlink:
		case SYS_unlinkat:
		case SYS_rmdir:
			return OP_DELETE;
		case SYS_link:
		case SYS_linkat:
			*ret_which = resolved_exists(&q->at[0]);
			return *ret_which ? OP_CREATE : OP_STAT;
		case SYS_rename:
		case SYS_renameat:
		case SYS_renameat2:
			*ret_which = resolved_exists(&q->at[0]);
			return *ret_which ? OP_CREATE : OP_DELETE;
		default:
			return OP_CREATE;
		}
	case CALL_TRUNCATE:
		return OP_WRITE;
	case CALL_META:
		return OP_META;
	case CALL_CONNECT:
		return OP_CONNECT;
	case CALL_BIND:
		*ret_follow = false;
		return OP_CREATE;
	case CALL_STAT:
		*ret_follow = q->call->nr != SYS_lstat && q->call->nr != SYS_readlink &&
			      q->call->nr != SYS_readlinkat;
		return OP_STAT;
	default:
		return OP_STAT;
	}
}

/* REST follows the canonical directory DIR, where its first component is not to be found. Names with dots in
 * them end there: what they mean is not known. */
static size_t join(char *out, const char *dir, size_t dir_len, const char *rest, size_t rest_len)
{
	size_t n = dir_len, start = 0;

	memcpy(out, dir, dir_len);
	while (n > 1 && out[n - 1] == '/')
		n--;
	while (start < rest_len) {
		size_t end;

		while (start < rest_len && rest[start] == '/')
			start++;
		end = start;
		while (end < rest_len && rest[end] != '/')
			end++;
		if (end == start || (rest[start] == '.' && (end - start == 1 || (end - start == 2 &&
										rest[start + 1] == '.'))))
			break;
		if (n + 1 + (end - start) >= NAME_BYTES)
			break;
		if (n != 1 || out[0] != '/')
			out[n++] = '/';
		memcpy(out + n, rest + start, end - start);
		n += end - start;
		start = end;
	}
	out[n] = '\0';
	return n;
}

/* Resolve the first CUT bytes of path[WHICH] as a directory. */
static int try_prefix(struct request *q, unsigned which, size_t cut)
{
	struct path_arg *p = &q->path[which];
	size_t len = p->len;
	char kept = p->bytes[cut];
	int r;

	resolved_done(&q->at[which]);
	p->bytes[cut] = '\0';
	p->len = cut;
	r = request_resolve(q, which, RESOLVE_FOLLOW);
	p->bytes[cut] = kept;
	p->len = len;
	return r;
}

enum { NEAR = 3 };

/* The longest part of path[WHICH] that ends in a slash and can be resolved, now in at[WHICH]; 0: none. Most names
 * lack their last components only; beyond those the place is found by halves, so that thousands cost little. */
static size_t resolve_prefix(struct request *q, unsigned which)
{
	const struct path_arg *p = &q->path[which];
	uint16_t cuts[PATH_MAX / 2 + 1];
	int n = 0, found = -1, failed;

	for (size_t i = 1; i < p->len; i++)
		if (p->bytes[i - 1] == '/' && p->bytes[i] != '/')
			cuts[n++] = (uint16_t)i;
	for (failed = n; failed > 0 && failed > n - NEAR; failed--)
		if (try_prefix(q, which, cuts[failed - 1]) == 0)
			return cuts[failed - 1];
	while (failed - found > 1) {
		int middle = found + (failed - found) / 2;

		if (try_prefix(q, which, cuts[middle]) == 0)
			found = middle;
		else
			failed = middle;
	}
	return found >= 0 && try_prefix(q, which, cuts[found]) == 0 ? cuts[found] : 0;
}

/* The canonical name of path[WHICH], which can't be resolved: of the longest part that can be, and the rest.
 * The request is not needed for anything else any more, so its own room is used. Its length, or 0. */
static size_t name_in_vain(struct request *q, unsigned which, bool follow, char out[NAME_BYTES])
{
	const struct path_arg *p = &q->path[which];
	struct resolved *at = &q->at[which];
	size_t cut;
	int r;

	resolved_done(at);
	r = request_resolve(q, which, RESOLVE_PARENT | (follow ? RESOLVE_FOLLOW : 0));
	if (r == 0 && at->name_len)
		return join(out, at->name, at->name_len, "", 0);
	cut = resolve_prefix(q, which);
	if (cut)
		return at->unnamed ? 0 : join(out, at->name, at->name_len, p->bytes + cut, p->len - cut);
	resolved_done(at);
	if (p->bytes[0] == '/')
		return join(out, "/", 1, p->bytes, p->len);
	/* Relative to a directory that has a name, whatever is beneath. */
	if (request_resolve_fd(q, which, p->dirfd) < 0 || at->unnamed)
		return 0;
	return join(out, at->name, at->name_len, p->bytes, p->len);
}

void request_observe_failed(struct request *q, int err, enum observed_reply reply)
{
	char name[NAME_BYTES];
	struct access_event e;
	unsigned which;
	bool follow;
	enum op op;

	if (!q->sup->wants_allowed || !is_about_names(err))
		return;
	op = failed_need(q, &which, &follow);
	if (q->path[which].len == 0)
		return;
	e = event_of(q, op);
	if (q->at[which].recalled && err == ENOENT) {
		name_objects(q, which, &e);
	} else if (q->at[which].obj >= 0 && q->at[which].name_len) {
		name_objects(q, which, &e);
		e.path2 = NULL;
	} else {
		e.path_len = name_in_vain(q, which, follow, name);
		if (e.path_len) {
			e.path = name;
			if (err == ENOENT && q->memo_key.a && !q->at[which].theirs)
				memo_learn_missing(q->sup->memo, q->sup->cache, &q->memo_key, name, e.path_len);
		} else {
			e.path = q->path[which].bytes;
			e.path_len = q->path[which].len;
		}
		e.exists = err == ENOENT || err == ENOTDIR ? 0 : -1;
	}
	/* No refusal: it fails under any policy. */
	e.allowed = true;
	e.by = BY_DEFAULT;
	e.reply = reply;
	e.layer = layer_of(reply);
	e.err = err;
	observe_access(q->sup->observer, &e);
}
