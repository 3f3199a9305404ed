/* SPDX-License-Identifier: Apache-2.0
 * The filter of the confined workers: what a supervisor's thread never needs is refused, so that a
 * mistake in emulation can't become another program, another process or another kernel.
 *
 * It is made from the same table: no exec, no process (a clone must make a thread), nothing of what
 * is refused to targets but io_uring and a changed root, no call that is not in the table.
 */
#include "core/launch/filter.h"
#include "core/cleanup.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <sched.h>
#include <seccomp.h>

#define TRY(expr) do { r = (expr); if (r < 0) goto out; } while (0)

static bool worker_needs(const struct call_desc *call)
{
	switch (call->nr) {
	case __NR_io_uring_setup: /* the ring; its calls are restricted when it is made */
	case __NR_io_uring_enter:
	case __NR_io_uring_register:
	case __NR_chroot: /* a target's root (section 4, resolving), privileged only */
		return true;
	case __NR_fork:
	case __NR_vfork:
	case __NR_clone: /* by its flags, below */
	case __NR_seccomp:
	case __NR_landlock_create_ruleset:
	case __NR_landlock_add_rule:
	case __NR_memfd_secret:
	case __NR_modify_ldt:
		return false;
	}
	return call->class != CALL_REFUSE && call->class != CALL_EXEC;
}

int filter_install_worker(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = 0;

	if (!ctx)
		return -ENOMEM;
	TRY(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
	TRY(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1));
	for (unsigned i = 0; i < call_table_len; i++)
		if (worker_needs(&call_table[i]))
			TRY(seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, call_table[i].nr, 0));
	TRY(seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, __NR_clone, 1,
				   SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
	/* libc falls back to clone, whose flags can be seen. */
	TRY(seccomp_rule_add_exact(ctx, SCMP_ACT_ERRNO(ENOSYS), __NR_clone3, 0));
	TRY(seccomp_load(ctx));
out:
	seccomp_release(ctx);
	return r;
}
