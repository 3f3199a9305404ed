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

int landlock_ruleset(const struct plan *plan, const struct grant *grants, size_t n)
{
	const struct ruleset_attr attr = {plan->handled_fs, plan->handled_net, plan->scoped};
	_cleanup_close_ int ruleset =
		(int)CALL(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));

	if (ruleset < 0)
		return ruleset;
	for (size_t i = 0; i < n; i++) {
		uint64_t rights = grants[i].rights & plan->handled_fs;
		_cleanup_close_ int fd = -EBADF;
		struct path_beneath_attr rule;
		int r;

		if (!grants[i].is_dir)
			rights &= LL_FILE_RIGHTS;
		if (!rights)
			continue;
		fd = open_grant(&grants[i]);
		if (fd < 0)
			continue;
		rule = (struct path_beneath_attr){rights, fd};
		r = (int)CALL(syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0));
		if (r < 0 && r != -EBADFD) /* EBADFD: a kernel-internal file system */
			return r;
	}
	return take_fd(&ruleset);
}

int landlock_beneath(int dir, uint64_t rights)
{
	const struct ruleset_attr attr = {.handled_fs = rights};
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
