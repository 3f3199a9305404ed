/* SPDX-License-Identifier: Apache-2.0
 * What the request path asks of a finished plan. No lock, no allocation, no system call.
 *
 * Grants are sorted so that a directory is followed by everything beneath it. The last grant that is
 * not after PATH is then PATH's own, an ancestor's, or lies beneath PATH's nearest granted ancestor:
 * climbing its parents meets every grant that covers PATH.
 */
#include "policy/planner.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

uint64_t landlock_fs_rights(int abi)
{
	static const uint64_t since[] = {
		[1] = (LL_MAKE_SYM << 1) - 1, /* EXECUTE to MAKE_SYM */
		[2] = LL_REFER,
		[3] = LL_TRUNCATE,
		[5] = LL_IOCTL_DEV,
		[9] = LL_RESOLVE_UNIX,
	};
	uint64_t rights = 0;

	for (int i = 1; i < (int)(sizeof(since) / sizeof(since[0])) && i <= abi; i++)
		rights |= since[i];
	return rights;
}

uint64_t plan_op_rights(const struct plan *plan, enum op op, bool is_dir)
{
	(void)plan;
	switch (op) {
	case OP_READ:
		return LL_READ_RIGHTS;
	case OP_LIST:
		return LL_READ_DIR;
	case OP_WRITE:
		return LL_WRITE_RIGHTS;
	case OP_CREATE:
		return is_dir ? LL_MAKE_DIR : LL_MAKE_REG;
	case OP_DELETE:
		return is_dir ? LL_REMOVE_DIR : LL_REMOVE_FILE;
	case OP_EXEC:
		return LL_EXECUTE | LL_READ_FILE;
	case OP_CONNECT:
		return LL_RESOLVE_UNIX;
	case OP_META:
	case OP_STAT:
	case OP_BIND:
	case OP_COUNT:
		break;
	}
	return LL_NO_SUCH_RIGHT;
}

int path_order(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n, i = 0;

	a_len = path_norm(a_len);
	b_len = path_norm(b_len);
	n = a_len < b_len ? a_len : b_len;
	for (; i + 8 <= n; i += 8) {
		uint64_t x, y;

		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		if (x != y)
			break;
	}
	while (i < n && a[i] == b[i])
		i++;
	if (i < n) {
		unsigned x = a[i] == '/' ? 0 : (unsigned char)a[i], y = b[i] == '/' ? 0 : (unsigned char)b[i];

		return x < y ? -1 : 1;
	}
	return a_len < b_len ? -1 : a_len > b_len;
}

bool path_at_or_beneath(const char *dir, size_t dir_len, const char *path, size_t len)
{
	dir_len = path_norm(dir_len);
	len = path_norm(len);
	return len >= dir_len && memcmp(dir, path, dir_len) == 0 && (len == dir_len || path[dir_len] == '/');
}

unsigned path_depth(const char *path, size_t len)
{
	unsigned depth = 0;

	for (size_t i = 0, n = path_norm(len); i < n; i++)
		depth += path[i] == '/';
	return depth;
}

/* Index of the last grant that is not after PATH, or -1. */
static int last_not_after(const struct grant *grants, size_t n, const char *path, size_t len)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (path_order(grants[mid].path, grants[mid].len, path, len) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int)lo - 1;
}

bool plan_in_baseline(const struct plan *plan, uint64_t rights, const char *path, size_t len, dev_t dev,
		      ino_t ino)
{
	const struct grant *g = plan->baseline;
	uint64_t missing = rights;

	if (rights == 0 || rights & ~plan->handled_fs)
		return false;
	/* An open to list, continued, could be made one that reads: the flags are the same. */
	if (plan->loose_reads && rights & (LL_READ_FILE | LL_READ_DIR) && !(rights & LL_EXECUTE))
		return false;
	for (int i = last_not_after(g, plan->n_baseline, path, len); i >= 0; i = g[i].parent) {
		if (!path_at_or_beneath(g[i].path, g[i].len, path, len))
			continue;
		/* Relaxed: a mark that is seen late costs a wrong hint, and Landlock then refuses. */
		if (atomic_load_explicit(&g[i].gone, memory_order_relaxed))
			continue;
		if (!g[i].is_dir &&
		    (path_norm(g[i].len) != path_norm(len) || !ino || g[i].ino != ino || g[i].dev != dev))
			continue;
		missing &= ~g[i].rights;
		if (!missing)
			return true;
	}
	return false;
}

/* The grants at or beneath PATH are [*ret_first, return). */
static size_t grants_beneath(const struct plan *plan, const char *path, size_t len, size_t *ret_first)
{
	const struct grant *g = plan->baseline;
	int before = last_not_after(g, plan->n_baseline, path, len);
	size_t i = (size_t)(before + 1);

	if (before >= 0 && path_norm(g[before].len) == path_norm(len) &&
	    path_at_or_beneath(path, len, g[before].path, g[before].len))
		i = (size_t)before;
	*ret_first = i;
	while (i < plan->n_baseline && path_at_or_beneath(path, len, g[i].path, g[i].len))
		i++;
	return i;
}

void plan_forget(const struct plan *plan, const char *path, size_t len)
{
	size_t first, end = grants_beneath(plan, path, len, &first);

	for (size_t i = first; i < end; i++)
		atomic_store_explicit(&plan->baseline[i].gone, true, memory_order_relaxed);
}

bool plan_has_grant(const struct plan *plan, const char *path, size_t len, dev_t dev, ino_t ino)
{
	size_t first, end = grants_beneath(plan, path, len, &first);

	for (size_t i = 0; i < plan->n_baseline; i++) {
		const struct grant *g = &plan->baseline[i];

		/* A grant that is gone from its name lives on in Landlock with its inode. */
		if (ino && g->ino == ino && g->dev == dev)
			return true;
		if (i >= first && i < end && !atomic_load_explicit(&g->gone, memory_order_relaxed))
			return true;
	}
	return false;
}

const struct named_object *plan_named(const struct plan *plan, dev_t dev, ino_t ino)
{
	size_t lo = 0, hi = plan->n_named;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct named_object *n = &plan->named[mid];

		if (n->dev == dev && n->ino == ino)
			return n;
		if (n->dev < dev || (n->dev == dev && n->ino < ino))
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* The other name that ALIAS gives to PATH, which lies at or beneath it: its length, 0 if it is too long. */
static size_t other_name(const struct plan_alias *alias, const char *path, size_t len, char buf[PATH_MAX])
{
	size_t alias_len = path_norm(strlen(alias->path)), original_len = path_norm(strlen(alias->original));
	size_t rest = path_norm(len) - alias_len;

	if (original_len + rest >= PATH_MAX)
		return 0;
	memcpy(buf, alias->original, original_len);
	memcpy(buf + original_len, path + alias_len, rest);
	if (original_len + rest)
		return original_len + rest;
	buf[0] = '/';
	return 1;
}

struct verdict plan_decide(const struct plan *plan, enum op op, const char *path, size_t len)
{
	struct verdict strictest = policy_decide(plan->policy, op, path, len);

	static_assert(ACTION_ALLOW < ACTION_ASK && ACTION_ASK < ACTION_DENY && ACTION_DENY < ACTION_NEVER,
		      "actions rise in strictness");
	for (size_t i = 0; i < plan->n_aliases; i++) {
		const struct plan_alias *a = &plan->aliases[i];
		char other[PATH_MAX];
		struct verdict v;
		size_t n;

		if (!path_at_or_beneath(a->path, strlen(a->path), path, len))
			continue;
		n = other_name(a, path, len, other);
		if (!n)
			return (struct verdict){.action = ACTION_DENY, .err = EACCES};
		v = policy_decide(plan->policy, op, other, n);
		/* Silence about the other name is no opinion. */
		if (v.rule && (v.action > strictest.action ||
			       (v.action == strictest.action && v.audit && !strictest.audit)))
			strictest = v;
	}
	return strictest;
}

void plan_decide_all(const struct plan *plan, const char *path, size_t len, struct verdict ret[OP_COUNT])
{
	bool other_names = false;

	for (size_t i = 0; i < plan->n_aliases && !other_names; i++)
		other_names = path_at_or_beneath(plan->aliases[i].path, strlen(plan->aliases[i].path), path, len);
	if (!other_names)
		return policy_decide_all(plan->policy, path, len, ret);
	for (int op = 0; op < OP_COUNT; op++)
		ret[op] = plan_decide(plan, (enum op)op, path, len);
}

bool plan_move_widens(const struct plan *plan, const char *old, size_t old_len, const char *new,
		      size_t new_len, bool is_dir)
{
	if (policy_move_widens(plan->policy, old, old_len, new, new_len, is_dir))
		return true;
	for (size_t i = 0; i < plan->n_aliases; i++) {
		const struct plan_alias *a = &plan->aliases[i];
		char other[PATH_MAX];
		size_t n;

		/* With OLD the alias itself would move, and we would look for it in the old place. */
		if (path_at_or_beneath(old, old_len, a->path, strlen(a->path)))
			return true;
		if (!path_at_or_beneath(a->path, strlen(a->path), old, old_len))
			continue;
		n = other_name(a, old, old_len, other);
		if (!n || policy_move_widens(plan->policy, other, n, new, new_len, is_dir))
			return true;
	}
	return false;
}
