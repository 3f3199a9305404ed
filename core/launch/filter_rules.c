/* SPDX-License-Identifier: Apache-2.0
 * The filter's parts that refuse, by name or by registers. Default allow.
 *
 * Arguments that the kernel takes as int are compared in their lower half only: the upper one is
 * ignored by the call, so a rule on 64 bits could be walked around (CVE-2019-7303). Where a range
 * has to be refused the whole register is compared, upwards: that errs on the refusing side.
 *
 * Rules of one call may overlap within a part only if they have the same errno. Two parts say what is allowed, and
 * all else of their calls is refused: FILTER_SOCKETS and FILTER_PERMITS.
 */
#include "core/cleanup.h"
#include "core/launch/filter_parts.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <assert.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define ERR(e) SCMP_ACT_ERRNO(e)
#define TRY(expr) do { int r_ = (expr); if (r_ < 0) return r_; } while (0)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SOCK_TYPE_BITS 0xfU
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define SET_DELEGATION 1040 /* F_SETDELEG, Linux 6.19 */
#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif

static int eq32(scmp_filter_ctx ctx, int err, int nr, unsigned arg, uint32_t value)
{
	return filter_rule1(ctx, ERR(err), nr, arg, LOW32, value);
}

static int permit_without(scmp_filter_ctx ctx, int nr, unsigned arg, uint32_t bits)
{
	return filter_rule1(ctx, SCMP_ACT_ALLOW, nr, arg, bits, 0);
}

static int permit(scmp_filter_ctx ctx, int nr, unsigned arg, uint32_t value)
{
	return filter_rule1(ctx, SCMP_ACT_ALLOW, nr, arg, LOW32, value);
}

/* ioctls whose numbers begin with FIRST, which has its last log2(LEN) bits clear: but the N numbers SPARED. */
static int refuse_ioctls(scmp_filter_ctx ctx, uint32_t first, uint32_t len, uint32_t mask, const uint32_t *spared,
			 size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any || (spared[i] >= first && spared[i] < first + len);
	if (!any)
		return filter_rule1(ctx, ERR(EPERM), __NR_ioctl, 1, mask & ~(len - 1), first);
	if (len == 1)
		return 0;
	TRY(refuse_ioctls(ctx, first, len / 2, mask, spared, n));
	return refuse_ioctls(ctx, first + len / 2, len / 2, mask, spared, n);
}

/* Requests that type into the user's terminal, load line disciplines, reach namespaces, make or
 * remove names on file systems without a call that shows a path, or answer notifications. */
static int refuse_ioctl(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	static const uint32_t always[] = {
		0x5412, /* TIOCSTI */
		0x541c, /* TIOCLINUX */
		0x541d, /* TIOCCONS */
		0x5423, /* TIOCSETD */
		0xb701, 0xb702, 0xb703, 0xb704, /* NS_GET_USERNS, _PARENT, _NSTYPE, _OWNER_UID */
		0xc028660f, /* EXT4_IOC_MOVE_EXT */
		0xc0502100, 0xc0182101, 0x40082102, 0x40182103, 0x40082104, /* SECCOMP_IOCTL_NOTIF_* */
	};
	static const uint32_t meta[] = {
		0x40086602, 0x40046602, /* FS_IOC_SETFLAGS, and its 32-bit form */
		0x40087602, 0x40047602, /* FS_IOC_SETVERSION */
		0x401c5820, /* FS_IOC_FSSETXATTR */
		0x40806685, /* FS_IOC_ENABLE_VERITY */
		0x800c6613, /* FS_IOC_SET_ENCRYPTION_POLICY */
		0xc0506617, 0xc0406618, 0xc0406619, /* FS_IOC_ADD/REMOVE_ENCRYPTION_KEY(_ALL_USERS) */
		0x40047211, /* FAT_IOCTL_SET_ATTRIBUTES */
	};
	static const uint32_t not_pidfds[] = {0xff00, 0xff0b, 0xff0c, 0xff0d, 0xff0e, 0xff0f};
	static const uint32_t btrfs_spared[] = {0x9409, 0x940d, 0x9431, 0x9436};

	for (size_t i = 0; i < COUNT(always); i++)
		TRY(eq32(ctx, EPERM, __NR_ioctl, 1, always[i]));
	if (spec->plan->trap[CALL_META])
		for (size_t i = 0; i < COUNT(meta); i++)
			TRY(eq32(ctx, EPERM, __NR_ioctl, 1, meta[i]));
	/* PIDFD_GET_*_NAMESPACE: 1 to 10 */
	TRY(refuse_ioctls(ctx, 0xff00, 16, LOW32, not_pidfds, COUNT(not_pidfds)));
	/* All of btrfs (snapshots, subvolumes, send, search), 0 to 63, but reading the label and cloning ranges
	 * between open files. */
	return refuse_ioctls(ctx, 0x9400, 64, 0xffff, btrfs_spared, COUNT(btrfs_spared));
}

/* Leases; and a descriptor's owner (F_SETOWN, FIOSETOWN, any thread's id) is sent a signal of the caller's choice. */
static int refuse_fcntl(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	/* Who breaks a lease waits for its holder, 45 s by default: with a lease on each of a few dozen files
	 * that it opens, the tree would hold up every worker. "Somebody has the file open" is what holders
	 * must expect. F_SETDELEG is the same for directories. */
	if (spec->supervise) {
		TRY(eq32(ctx, EAGAIN, __NR_fcntl, 1, F_SETLEASE));
		TRY(eq32(ctx, EAGAIN, __NR_fcntl, 1, SET_DELEGATION));
	}
	if (!spec->signals_scoped)
		TRY(filter_rules_on_signals(ctx, ERR(EPERM), __NR_fcntl, 2, F_SETSIG));
	return 0;
}

static int refuse_prctl(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	TRY(eq32(ctx, EPERM, __NR_prctl, 0, PR_SET_MM));
	TRY(eq32(ctx, EPERM, __NR_prctl, 0, PR_SCHED_CORE));
	/* An undumpable task can't be read by an unprivileged supervisor, which then could only refuse.
	 * Answered 0 and not done. */
	if (spec->supervise && !spec->trap_ids)
		TRY(filter_rule2(ctx, ERR(0), __NR_prctl, 0, LOW32, PR_SET_DUMPABLE, 1, LOW32, 0));
	return 0;
}

/* EBUSY is what the kernel says below a listener. Without one of ours a listener of the target would
 * let it answer calls before our filter's errors, so the same holds. */
static int refuse_seccomp(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	(void)spec;
	return filter_rule1(ctx, ERR(EBUSY), __NR_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* inet: TCP and UDP, and UDP only where any peer is allowed: a datagram takes its peer with each sendmsg, behind a
 * pointer. All that is refused by register, so that a module is never loaded for it. */
static int permit_inet(scmp_filter_ctx ctx, uint32_t family, const struct plan *plan)
{
	static const uint32_t types[] = {SOCK_STREAM, SOCK_DGRAM}, protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
	size_t n_types = plan->inet_connects ? 2 : 1;

	if (!plan->inet_sockets)
		return eq32(ctx, EACCES, __NR_socket, 0, family);
	if (!plan->inet_connects)
		TRY(filter_rule2(ctx, ERR(EACCES), __NR_socket, 0, LOW32, family, 1, SOCK_TYPE_BITS, SOCK_DGRAM));
	for (size_t t = 0; t < n_types; t++)
		for (size_t p = 0; p < COUNT(protocols); p++) {
			const struct scmp_arg_cmp cmp[] = {
				SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, LOW32, family),
				SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, SOCK_TYPE_BITS, types[t]),
				SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, LOW32, protocols[p]),
			};

			TRY(seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, __NR_socket, COUNT(cmp), cmp));
		}
	return 0;
}

static int permit_sockets(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	TRY(permit(ctx, __NR_socket, 0, AF_UNIX));
	/* NETLINK_ROUTE is 0. */
	TRY(filter_rule2(ctx, SCMP_ACT_ALLOW, __NR_socket, 0, LOW32, AF_NETLINK, 2, LOW32, NETLINK_ROUTE));
	TRY(permit_inet(ctx, AF_INET, spec->plan));
	return permit_inet(ctx, AF_INET6, spec->plan);
}

/* May the tree not connect to each and every socket file? (Calls can be trapped without that.) */
static bool peers_restricted(const struct filter_spec *spec)
{
	const struct policy *policy = spec->plan->policy;

	/* A plan of its own, in tests. */
	return policy ? policy_restricts(policy, OP_CONNECT) : spec->plan->trap[CALL_CONNECT];
}

/* A datagram socket takes its peer with each sendmsg, behind a pointer that the filter can't see. */
static int refuse_unix_datagrams(scmp_filter_ctx ctx, int nr)
{
	TRY(filter_rule2(ctx, ERR(EACCES), nr, 0, LOW32, AF_UNIX, 1, SOCK_TYPE_BITS, SOCK_DGRAM));
	/* SOCK_RAW is another name for it. */
	return filter_rule2(ctx, ERR(EACCES), nr, 0, LOW32, AF_UNIX, 1, SOCK_TYPE_BITS, SOCK_RAW);
}

static int refuse_socket(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	return peers_restricted(spec) ? refuse_unix_datagrams(ctx, __NR_socket) : 0;
}

/* The kernel looks for a family's module before it finds that it has no pairs. */
static int permit_socketpairs(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	(void)spec;
	return permit(ctx, __NR_socketpair, 0, AF_UNIX);
}

static int refuse_socketpair(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	return peers_restricted(spec) ? refuse_unix_datagrams(ctx, __NR_socketpair) : 0;
}

/* A connect that no connect shows. */
static int refuse_fastopen(scmp_filter_ctx ctx, const struct filter_spec *spec, int nr, unsigned arg)
{
	if (spec->plan->inet_connects)
		return 0;
	return filter_rule1(ctx, ERR(EOPNOTSUPP), nr, arg, MSG_FASTOPEN, MSG_FASTOPEN);
}

static int refuse_sendmsg(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	return refuse_fastopen(ctx, spec, __NR_sendmsg, 2);
}

static int refuse_sendmmsg(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	return refuse_fastopen(ctx, spec, __NR_sendmmsg, 3);
}

static int refuse_sendto(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	return refuse_fastopen(ctx, spec, __NR_sendto, 3);
}

#define NEW_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static int permit_clone(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	/* The low byte is the exit signal here, so there is no CLONE_NEWTIME. */
	return permit_without(ctx, __NR_clone, 0,
			      (uint32_t)NEW_NAMESPACES | (spec->refuse_untraced ? (uint32_t)CLONE_UNTRACED : 0));
}

static int permit_unshare(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	(void)spec;
	return permit_without(ctx, __NR_unshare, 0, (uint32_t)NEW_NAMESPACES | CLONE_NEWTIME);
}

/* 0, ADDR_NO_RANDOMIZE (debuggers) and the query 0xffffffff. */
static int permit_personality(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	const uint32_t no_randomize = 0x0040000;

	(void)spec;
	TRY(permit_without(ctx, __NR_personality, 0, ~no_randomize));
	return permit(ctx, __NR_personality, 0, 0xffffffff);
}

/* The mark of a task's domain travels as RLIMIT_LOCKS. The core limit is 0: a core is a file that the
 * kernel writes without any call; who has the right to raise it is answered 0, and nothing is done. */
static int refuse_setrlimit(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	TRY(eq32(ctx, EPERM, __NR_setrlimit, 0, RLIMIT_LOCKS));
	return spec->trap_ids ? eq32(ctx, 0, __NR_setrlimit, 0, RLIMIT_CORE) : 0;
}

static int refuse_prlimit(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	const struct scmp_arg_cmp locks[] = {
		SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, LOW32, RLIMIT_LOCKS),
		SCMP_CMP64(2, SCMP_CMP_NE, 0),
	};
	const struct scmp_arg_cmp core[] = {
		SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, LOW32, RLIMIT_CORE),
		SCMP_CMP64(2, SCMP_CMP_NE, 0),
	};

	TRY(seccomp_rule_add_exact_array(ctx, ERR(EPERM), __NR_prlimit64, COUNT(locks), locks));
	if (spec->trap_ids)
		TRY(seccomp_rule_add_exact_array(ctx, ERR(0), __NR_prlimit64, COUNT(core), core));
	return 0;
}

/* Permission events would let the target hold up every open of a file system, the supervisor's too. Events that come
 * with a descriptor of the file, or of who opened it, would hand over what may not be opened: so they must say by a
 * handle which file it was, as for who has no privilege anyway. */
static int permit_fanotify(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	const uint32_t never = 0x4 | 0x8 | 0x80; /* FAN_CLASS_CONTENT, _PRE_CONTENT, FAN_REPORT_PIDFD */
	const uint32_t fid = 0x200, dir_fid = 0x400;

	(void)spec;
	TRY(filter_rule1(ctx, SCMP_ACT_ALLOW, __NR_fanotify_init, 0, never | fid, fid));
	return filter_rule1(ctx, SCMP_ACT_ALLOW, __NR_fanotify_init, 0, never | dir_fid, dir_fid);
}

/* By group or user these reach the supervisor, which shares the target's process group and user. */
static int permit_setpriority(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	(void)spec;
	return permit(ctx, __NR_setpriority, 0, PRIO_PROCESS);
}

static int refuse_ioprio(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	(void)spec;
	TRY(eq32(ctx, EPERM, __NR_ioprio_set, 0, 2)); /* IOPRIO_WHO_PGRP */
	return eq32(ctx, EPERM, __NR_ioprio_set, 0, 3); /* IOPRIO_WHO_USER */
}

/* Nobody judges the named task: at least it must not be one of ours, nor everybody. */
static int refuse_our_tasks(scmp_filter_ctx ctx, const struct filter_spec *spec, const struct call_desc *call)
{
	if (filter_refuses_task_call(spec, call))
		return seccomp_rule_add_exact(ctx, ERR(EPERM), call->nr, 0);
	if (!call->pid || filter_traps_pid(spec, call))
		return 0;
	if (spec->supervisor > 0) {
		TRY(eq32(ctx, EPERM, call->nr, call->pid - 1U, (uint32_t)spec->supervisor));
		if (call->nr == __NR_kill)
			TRY(eq32(ctx, EPERM, call->nr, 0, (uint32_t)-spec->supervisor));
	}
	for (size_t i = 0; i < FILTER_MAX_PROTECTED && spec->protected[i]; i++)
		TRY(eq32(ctx, EPERM, call->nr, call->pid - 1U, (uint32_t)spec->protected[i]));
	if (call->nr == __NR_kill && !spec->signals_scoped)
		TRY(eq32(ctx, EPERM, call->nr, 0, (uint32_t)-1));
	return 0;
}

static const struct {
	int nr;
	int (*add)(scmp_filter_ctx ctx, const struct filter_spec *spec);
	enum filter_group group;
} by_registers[] = {
	{__NR_ioctl, refuse_ioctl, FILTER_IOCTL},
	{__NR_socket, permit_sockets, FILTER_SOCKETS},
	{__NR_socketpair, permit_socketpairs, FILTER_SOCKETS},
	{__NR_clone, permit_clone, FILTER_PERMITS},
	{__NR_unshare, permit_unshare, FILTER_PERMITS},
	{__NR_personality, permit_personality, FILTER_PERMITS},
	{__NR_fanotify_init, permit_fanotify, FILTER_PERMITS},
	{__NR_setpriority, permit_setpriority, FILTER_PERMITS},
	{__NR_socket, refuse_socket, FILTER_MISC},
	{__NR_fcntl, refuse_fcntl, FILTER_MISC},
	{__NR_prctl, refuse_prctl, FILTER_MISC},
	{__NR_seccomp, refuse_seccomp, FILTER_MISC},
	{__NR_socketpair, refuse_socketpair, FILTER_MISC},
	{__NR_sendmsg, refuse_sendmsg, FILTER_MISC},
	{__NR_sendmmsg, refuse_sendmmsg, FILTER_MISC},
	{__NR_sendto, refuse_sendto, FILTER_MISC},
	{__NR_setrlimit, refuse_setrlimit, FILTER_MISC},
	{__NR_prlimit64, refuse_prlimit, FILTER_MISC},
	{__NR_ioprio_set, refuse_ioprio, FILTER_MISC},
};

static_assert(COUNT(by_registers) <= FILTER_MOST_CALLS, "the callers of filter_default_errno() have room");

static int refuse_by_name(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *call = &call_table[i];

		if (call->class == CALL_REFUSE && call->err != ENOSYS && !filter_call_lifted(spec, call->name))
			TRY(seccomp_rule_add_exact(ctx, ERR((uint32_t)call->err), call->nr, 0));
	}
	return 0;
}

static int refuse_tasks(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	for (unsigned i = 0; i < call_table_len; i++)
		if (call_table[i].class == CALL_PID)
			TRY(refuse_our_tasks(ctx, spec, &call_table[i]));
	return 0;
}

int filter_default_errno(enum filter_group group, const struct filter_spec *spec, uint32_t *ret_nrs, size_t *ret_n)
{
	*ret_n = 0;
	if (group != FILTER_SOCKETS && group != FILTER_PERMITS)
		return 0;
	for (size_t i = 0; i < COUNT(by_registers); i++)
		if (by_registers[i].group == group &&
		    !filter_call_lifted(spec, call_by_nr(by_registers[i].nr)->name))
			ret_nrs[(*ret_n)++] = (uint32_t)by_registers[i].nr;
	return group == FILTER_SOCKETS ? EAFNOSUPPORT : EPERM;
}

int filter_add_refusals(scmp_filter_ctx ctx, const struct filter_spec *spec, enum filter_group group)
{
	if (group == FILTER_BY_NAME)
		return refuse_by_name(ctx, spec);
	if (group == FILTER_TASKS)
		TRY(refuse_tasks(ctx, spec));
	for (size_t i = 0; i < COUNT(by_registers); i++)
		if (by_registers[i].group == group &&
		    !filter_call_lifted(spec, call_by_nr(by_registers[i].nr)->name))
			TRY(by_registers[i].add(ctx, spec));
	return 0;
}
