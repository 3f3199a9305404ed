/* SPDX-License-Identifier: Apache-2.0
 * The filter of the confined workers: what a supervisor's thread never needs is refused, so that a
 * mistake in emulation can't become another program, another process or another kernel.
 *
 * It is made from the same table: no exec, no process (a clone must make a thread), nothing of what
 * is refused to targets but io_uring and a changed root, no call that is not in the table. Filters and
 * domains of its own a worker may add: they only narrow.
 */
#include "core/cleanup.h"
#include "core/launch/filter.h"
#include "core/launch/prog.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <sched.h>
#include <sys/prctl.h>

static bool worker_needs(const struct call_desc *call)
{
	switch (call->nr) {
	case __NR_io_uring_setup: /* the ring; its calls are restricted when it is made */
	case __NR_io_uring_enter:
	case __NR_io_uring_register:
	case __NR_chroot: /* a target's root, privileged supervisors only */
		return true;
	case __NR_fork:
	case __NR_vfork:
	case __NR_modify_ldt:
	case __NR_personality:
		return false;
	}
	return call->class != CALL_REFUSE && call->class != CALL_EXEC;
}

/* SPEC_ALLOW: older kernels slow a filtered thread down against speculation, and our own code is no
 * hostile code. */
static int install(const struct sock_fprog *prog)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, prog));
}

int filter_install_worker(void)
{
	static const struct sock_filter threads[] = {
		/* libc falls back to clone, whose flags can be seen. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	bool known[PROG_PAST_LAST_CALL + 1] = {false};
	struct prog p = {0};
	int r;

	for (unsigned i = 0; i < call_table_len; i++)
		known[call_table[i].nr] = worker_needs(&call_table[i]);
	r = prog_add_guard(&p);
	if (r == 0)
		r = prog_add(&p, threads, sizeof(threads) / sizeof(threads[0]));
	if (r == 0)
		r = prog_add_known(&p, known, SECCOMP_RET_ERRNO | EPERM);
	if (r == 0)
		r = prog_add(&p, &allow, 1);
	if (r == 0)
		r = install(&(struct sock_fprog){(unsigned short)p.len, p.insns});
	free(p.insns);
	return r;
}
