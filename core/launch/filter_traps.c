/* SPDX-License-Identifier: Apache-2.0
 * The filter's last part: which calls become notifications, and with which registers.
 *
 * Never trapped under any plan: what the table calls ALLOW or REFUSE, and sendmsg: the target hands
 * its listener over with it.
 */
#include "core/launch/filter_parts.h"
#include "core/notify/camp.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <signal.h>
#include <sys/prctl.h>

#define TMPFILE_BIT 020000000U /* __O_TMPFILE without O_DIRECTORY */

/* O_PATH makes the kernel ignore all that asks for more; such an open needs nothing, unless it is a
 * way to ask whether a name exists. */
static int add_open(scmp_filter_ctx ctx, const struct filter_spec *spec, const struct call_desc *call)
{
	static const struct {
		uint32_t mask, value;
	} writes[] = {
		{O_ACCMODE, O_WRONLY},      {O_ACCMODE, O_RDWR},    {O_ACCMODE, O_ACCMODE},
		{O_CREAT, O_CREAT},         {O_TRUNC, O_TRUNC},     {TMPFILE_BIT, TMPFILE_BIT},
	};
	const uint32_t o_path = spec->plan->trap[CALL_STAT] ? 0 : O_PATH;
	unsigned arg;

	if (spec->plan->opens == TRAP_OPENS_NONE)
		return 0;
	if (!call->flags || (spec->plan->opens == TRAP_OPENS_ALL && !o_path))
		return seccomp_rule_add_exact(ctx, SCMP_ACT_NOTIFY, call->nr, 0);
	arg = call->flags - 1U;
	if (spec->plan->opens == TRAP_OPENS_ALL)
		return filter_rule1(ctx, SCMP_ACT_NOTIFY, call->nr, arg, o_path, 0);
	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		int r = filter_rule1(ctx, SCMP_ACT_NOTIFY, call->nr, arg, writes[i].mask | o_path,
				     writes[i].value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Is there something in Landlock that keeps this call inside the tree? */
static bool pid_covered(const struct filter_spec *spec, int nr)
{
	switch (nr) {
	case __NR_kill:
	case __NR_tkill:
	case __NR_tgkill:
	case __NR_rt_sigqueueinfo:
	case __NR_rt_tgsigqueueinfo:
	case __NR_pidfd_open:
	case __NR_pidfd_send_signal:
		return spec->signals_scoped;
	case __NR_ptrace:
	case __NR_process_vm_readv:
	case __NR_process_vm_writev:
	case __NR_kcmp:
	case __NR_get_robust_list:
	case __NR_migrate_pages:
	case __NR_move_pages:
	case __NR_pidfd_getfd:
	case __NR_process_madvise:
	case __NR_process_mrelease:
		/* A domain may trace its own and nested ones only. */
		return spec->plan->handled_fs || spec->plan->handled_net || spec->plan->scoped;
	}
	return false;
}

static bool sends_signal(int nr)
{
	return nr == __NR_kill || nr == __NR_tkill || nr == __NR_rt_sigqueueinfo || nr == __NR_pidfd_send_signal;
}

int filter_rules_on_signals(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg, uint32_t cmd)
{
	const struct {
		uint32_t mask, value;
	} harmful[] = {
		{~3U, SIGILL}, /* ILL, TRAP, ABRT, BUS */
		{LOW32, SIGFPE},
		{~1U, 32},     /* the C library's own, which it takes out of every mask */
		{LOW32, SIGSEGV}, {LOW32, SIGSTOP}, {LOW32, SIGSYS}, {LOW32, (uint32_t)camp_signal()},
	};
	int r = 0;

	if (nr != __NR_kill)
		r = cmd ? filter_rule2(ctx, action, nr, arg, LOW32, SIGKILL, arg - 1, LOW32, cmd)
			: filter_rule1(ctx, action, nr, arg, LOW32, SIGKILL);
	for (size_t i = 0; i < sizeof(harmful) / sizeof(harmful[0]) && r == 0; i++)
		r = cmd ? filter_rule2(ctx, action, nr, arg, harmful[i].mask, harmful[i].value, arg - 1, LOW32, cmd)
			: filter_rule1(ctx, action, nr, arg, harmful[i].mask, harmful[i].value);
	return r;
}

/* kill is never interrupted natively, and if it were trapped the death of one child would interrupt the kill of
 * the next one (EINTR, before RECV). So what the filter knows by a number it refuses itself (tgkill and its like
 * need the process's own number), and only signals that could harm us are trapped, without a scope: any
 * thread's id does for the process, and those of our threads are in no filter. Not KILL by kill(2), which comes in
 * rows: by a thread's id that ends the run, tree and all. */
bool filter_traps_pid(const struct filter_spec *spec, const struct call_desc *call)
{
	if (!spec->supervise || pid_covered(spec, call->nr) || sends_signal(call->nr))
		return false;
	return call->nr != __NR_tgkill && call->nr != __NR_rt_tgsigqueueinfo && call->nr != __NR_pidfd_open;
}

/* Where no domain bounds them, refused outright (filter_rules.c): descriptors that name tasks can be
 * swapped between the look and the call (but signals by pidfd are worth a look), and kcmp names two. */
bool filter_refuses_task_call(const struct filter_spec *spec, const struct call_desc *call)
{
	if (call->class != CALL_PID || pid_covered(spec, call->nr))
		return false;
	return call->nr == __NR_kcmp || (!call->pid && call->nr != __NR_pidfd_send_signal);
}

static int add_pid(scmp_filter_ctx ctx, const struct filter_spec *spec, const struct call_desc *call)
{
	if (sends_signal(call->nr) && !pid_covered(spec, call->nr))
		return filter_rules_on_signals(ctx, SCMP_ACT_NOTIFY, call->nr, 1, 0);
	if (!filter_traps_pid(spec, call) || filter_refuses_task_call(spec, call))
		return 0;
	if (!call->pid)
		return seccomp_rule_add_exact(ctx, SCMP_ACT_NOTIFY, call->nr, 0);
	/* A pid of 0 is the caller. Dirty upper halves are trapped too, and mean nothing. */
	return seccomp_rule_add_exact(ctx, SCMP_ACT_NOTIFY, call->nr, 1,
				      SCMP_CMP64(call->pid - 1U, SCMP_CMP_NE, 0));
}

/* By these the capabilities of a privileged task fall at its next exec, with no call about ids. */
static int add_prctl(scmp_filter_ctx ctx, const struct filter_spec *spec, const struct call_desc *call)
{
	static const uint32_t drops[] = {PR_CAPBSET_DROP, PR_SET_SECUREBITS};
	int r = 0;

	for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]) && r == 0 && spec->trap_ids; i++)
		r = filter_rule1(ctx, SCMP_ACT_NOTIFY, call->nr, 0, 0xffffffffU, drops[i]);
	return r;
}

static int add_class(scmp_filter_ctx ctx, const struct filter_spec *spec, const struct call_desc *call)
{
	const bool *trap = spec->plan->trap;

	switch (call->class) {
	case CALL_ARGS:
		return call->nr == __NR_prctl ? add_prctl(ctx, spec, call) : 0;
	case CALL_ALLOW:
	case CALL_REFUSE:
	case CALL_CLASS_COUNT:
		return 0;
	case CALL_OPEN:
		return add_open(ctx, spec, call);
	case CALL_PID:
		return add_pid(ctx, spec, call);
	case CALL_IDS:
		if (!trap[CALL_IDS] && !spec->trap_ids)
			return 0;
		break;
	case CALL_STAT:
		if (!trap[CALL_STAT] || (call->fd && !spec->plan->stat_decided))
			return 0;
		break;
	case CALL_CONFINE:
		break; /* always: what the caller forbids itself must not be given back by us */
	case CALL_CONNECT:
		if (!trap[CALL_CONNECT])
			return 0;
		if (call->nr == __NR_sendto) /* only with an address: the pointer is not NULL */
			return seccomp_rule_add_exact(ctx, SCMP_ACT_NOTIFY, call->nr, 1,
						      SCMP_CMP64(call->addr - 1U, SCMP_CMP_NE, 0));
		break;
	case CALL_BIND:
		/* No listen of another family binds: not trapped where internet sockets may. */
		if (!trap[CALL_BIND] || (call->nr == __NR_listen && (!spec->plan->inet_sockets || spec->plan->inet_binds)))
			return 0;
		break;
	default:
		if (!trap[call->class])
			return 0;
		break;
	}
	return seccomp_rule_add_exact(ctx, SCMP_ACT_NOTIFY, call->nr, 0);
}

int filter_add_traps(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	for (unsigned i = 0; spec->supervise && i < call_table_len; i++) {
		int r = add_class(ctx, spec, &call_table[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
