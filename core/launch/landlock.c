/* SPDX-License-Identifier: Apache-2.0
 * Landlock's three calls. Debian's headers know ABI 3 at most, so the structures are our own; the
 * kernel takes a larger one as long as the tail that it does not know is zero.
 *
 * A grant that can't be given (its object vanished, was replaced, or lies on a file system that
 * Landlock does not take) is left out: that only narrows the domain.
 */
#include "core/launch/landlock.h"
#include "core/cleanup.h"
#include "core/sys.h"

#include <sys/prctl.h>
#include <sys/stat.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION (1U << 0)
#define RULE_PATH_BENEATH 1

struct ruleset_attr {
	uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath_attr {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
	long r = CALL(syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION));

	return r < 0 ? 0 : (int)r;
}

/* The object that the planner saw under this name, or -errno. A name that is now a link, or leads
 * through one, is another object. */
static int open_grant(const struct grant *g)
{
	_cleanup_close_ int fd = sys_openat2(AT_FDCWD, g->path, O_PATH | O_CLOEXEC | O_NOFOLLOW, 0,
					     RESOLVE_NO_SYMLINKS);
	struct stat st;

	if (fd == -ENOSYS || fd == -EPERM) /* before 5.6, or refused by an outer filter */
		fd = (int)CALL(open(g->path, O_PATH | O_CLOEXEC | O_NOFOLLOW));
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((g->ino || g->dev) && (st.st_ino != g->ino || st.st_dev != g->dev))
		return -ESTALE;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (g->is_dir != S_ISDIR(st.st_mode))
		return -ESTALE;
	return take_fd(&fd);
}

static int make_ruleset(const struct plan *plan)
{
	const struct ruleset_attr attr = {plan->handled_fs, plan->handled_net, plan->scoped};

	return (int)CALL(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
}

/* What of G a rule of this plan can hold. */
static uint64_t rights_of(const struct plan *plan, const struct grant *g)
{
	uint64_t rights = g->rights & plan->handled_fs;

	return g->is_dir ? rights : rights & LL_FILE_RIGHTS;
}

static int add_rule(int ruleset, int fd, uint64_t rights)
{
	const struct path_beneath_attr rule = {rights, fd};
	int r;

	if (!rights)
		return 0;
	r = (int)CALL(syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0));
	return r == -EBADFD ? 0 : r; /* a kernel-internal file system */
}

int landlock_ruleset(const struct plan *plan, const struct grant *grants, size_t n)
{
	_cleanup_close_ int ruleset = make_ruleset(plan);

	if (ruleset < 0)
		return ruleset;
	for (size_t i = 0; i < n; i++) {
		uint64_t rights = rights_of(plan, &grants[i]);
		_cleanup_close_ int fd = rights ? open_grant(&grants[i]) : -EBADF;
		int r = fd < 0 ? 0 : add_rule(ruleset, fd, rights);

		if (r < 0)
			return r;
	}
	return take_fd(&ruleset);
}

static bool same_grant(const struct grant *a, const struct grant *b)
{
	return a->is_dir == b->is_dir && a->dev == b->dev && a->ino == b->ino && a->len == b->len &&
	       memcmp(a->path, b->path, a->len) == 0;
}

/* The grant of the baseline on the object of G, which comes at *NEXT or after; -1: there is none. */
static ssize_t find_same(const struct plan *plan, const struct grant *g, size_t next)
{
	for (size_t i = next; i < plan->n_baseline; i++)
		if (same_grant(g, &plan->baseline[i]))
			return (ssize_t)i;
	return -1;
}

/* Baseline grants FROM to END, of which the upper bound has none of their own. */
static int add_baseline(const struct plan *plan, int ruleset, size_t from, size_t end)
{
	int r = 0;

	for (size_t i = from; i < end && r == 0; i++) {
		const struct grant *g = &plan->baseline[i];
		_cleanup_close_ int fd = open_grant(g);

		r = fd < 0 ? 0 : add_rule(ruleset, fd, rights_of(plan, g));
	}
	return r;
}

int landlock_rulesets(const struct plan *plan, int *ret_upper, int *ret_baseline)
{
	_cleanup_close_ int upper = make_ruleset(plan), baseline = make_ruleset(plan);
	size_t next = 0;
	int r = 0;

	if (upper < 0 || baseline < 0)
		return upper < 0 ? upper : baseline;
	for (size_t i = 0; i < plan->n_upper && r == 0; i++) {
		const struct grant *g = &plan->upper[i];
		_cleanup_close_ int fd = open_grant(g);
		ssize_t same = find_same(plan, g, next);

		r = fd < 0 ? 0 : add_rule(upper, fd, rights_of(plan, g));
		if (r < 0 || same < 0)
			continue;
		r = add_baseline(plan, baseline, next, (size_t)same);
		if (r == 0 && fd >= 0)
			r = add_rule(baseline, fd, rights_of(plan, &plan->baseline[same]));
		next = (size_t)same + 1;
	}
	if (r == 0)
		r = add_baseline(plan, baseline, next, plan->n_baseline);
	if (r < 0)
		return r;
	*ret_upper = take_fd(&upper);
	*ret_baseline = take_fd(&baseline);
	return 0;
}

int landlock_beneath(int dir, uint64_t handled, uint64_t rights)
{
	const struct ruleset_attr attr = {.handled_fs = handled};
	const struct path_beneath_attr rule = {rights, dir};
	_cleanup_close_ int ruleset =
		(int)CALL(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
	int r;

	if (ruleset < 0)
		return ruleset;
	r = (int)CALL(syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0));
	return r < 0 ? r : take_fd(&ruleset);
}

int landlock_enter(int ruleset_fd)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_landlock_restrict_self, ruleset_fd, 0));
}
