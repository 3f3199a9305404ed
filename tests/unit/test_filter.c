/* SPDX-License-Identifier: Apache-2.0
 * The target's filter, decided by an interpreter of the program that filter_build() makes: nothing is
 * installed. test_filter_live.c asks the kernel.
 */
#include "core/launch/filter.h"
#include "policy/syscall_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#define ALLOWED SECCOMP_RET_ALLOW
#define TRAPPED SECCOMP_RET_USER_NOTIF
#define ERR(e) (SECCOMP_RET_ERRNO | (uint32_t)(e))
#define DIRTY (0xdeadbeefULL << 32) /* what a call with an int argument ignores */
#define SUPERVISOR 4242
#define WARDEN 4243

/* What seccomp runs: classic BPF over struct seccomp_data. */
static uint32_t run(const struct sock_fprog *p, const struct seccomp_data *d)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = {0};

	for (unsigned pc = 0; pc < p->len; pc++) {
		const struct sock_filter *i = &p->filter[pc];
		bool taken;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k % 4 == 0 && i->k < sizeof(*d));
			memcpy(&a, (const char *)d + i->k, sizeof(a));
			continue;
		case BPF_LD | BPF_IMM:
			a = i->k;
			continue;
		case BPF_LD | BPF_MEM:
			a = mem[i->k];
			continue;
		case BPF_ST:
			mem[i->k] = a;
			continue;
		case BPF_MISC | BPF_TAX:
			x = a;
			continue;
		case BPF_MISC | BPF_TXA:
			a = x;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = a > i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = a & i->k;
			break;
		default:
			fail_msg("instruction 0x%x", i->code);
			return 0;
		}
		pc += taken ? i->jt : i->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static struct plan plan;
static struct features features;
static struct filter_spec spec;
static struct sock_fprog prog;

static void build(void)
{
	free(prog.filter);
	prog.filter = NULL;
	assert_int_equal(filter_build(&spec, &prog), 0);
}

/* A supervised run under Landlock 7, writes reported, nothing else trapped. */
static int setup(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	plan.landlock_abi = 7;
	plan.handled_fs = 0xffff;
	plan.scoped = LL_SCOPE_SIGNAL | LL_SCOPE_ABSTRACT_UNIX;
	plan.opens = TRAP_OPENS_WRITES;
	plan.inet_sockets = plan.inet_connects = plan.inet_binds = true;
	memset(&spec, 0, sizeof(spec));
	spec.plan = &plan;
	spec.features = &features;
	spec.supervisor = SUPERVISOR;
	spec.protected[0] = WARDEN;
	spec.supervise = true;
	spec.signals_scoped = true;
	build();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(prog.filter);
	prog.filter = NULL;
	return 0;
}

static uint32_t decide(int nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	const struct seccomp_data d = {nr, AUDIT_ARCH_X86_64, 0, {a0, a1, a2, a3, a4, 0}};

	return run(&prog, &d);
}

#define DECIDE_(nr, a0, a1, a2, a3, a4, ...) \
	decide(nr, (uint64_t)(a0), (uint64_t)(a1), (uint64_t)(a2), (uint64_t)(a3), (uint64_t)(a4))
#define DECIDE(...) DECIDE_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void answers_unknown_calls_enosys(void **state)
{
	static const int unknown[] = {337, 423, 470, 511, 512, 547, 1000, 1 << 20, 0x7fffffff, -1};

	(void)state;
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(DECIDE(unknown[i]), ERR(ENOSYS));
}

static void answers_x32_enosys(void **state)
{
	(void)state;
	for (int nr = 0; nr < 600; nr++)
		assert_int_equal(DECIDE(nr | 0x40000000), ERR(ENOSYS));
}

static void kills_foreign_architectures(void **state)
{
	struct seccomp_data d = {__NR_read, AUDIT_ARCH_I386, 0, {0}};

	(void)state;
	assert_int_equal(run(&prog, &d), SECCOMP_RET_KILL_PROCESS);
	d.arch = AUDIT_ARCH_AARCH64;
	assert_int_equal(run(&prog, &d), SECCOMP_RET_KILL_PROCESS);
}

static void decides_each_call_of_the_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *c = &call_table[i];
		uint32_t r = DECIDE(c->nr);

		if (c->class == CALL_REFUSE)
			assert_int_equal(r, ERR(c->err));
		else if (c->class == CALL_ALLOW)
			assert_int_equal(r, ALLOWED);
		else
			assert_true(r == ALLOWED || r == TRAPPED || (r & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO);
	}
}

/* Whatever the plan, what the hand-over of the listener needs stays free, and calls that nobody
 * retries after EINTR. */
static void never_traps_what_the_hand_over_needs(void **state)
{
	static const int free_calls[] = {
		__NR_sendmsg, __NR_recvmsg, __NR_close, __NR_dup, __NR_dup2, __NR_dup3, __NR_fork, __NR_vfork,
		__NR_wait4, __NR_waitid, __NR_exit, __NR_exit_group, __NR_futex, __NR_read, __NR_write,
		__NR_poll, __NR_ppoll, __NR_rt_sigprocmask, __NR_rt_sigaction, __NR_rt_sigreturn, __NR_mmap,
		__NR_munmap, __NR_brk, __NR_getpid, __NR_clone, __NR_close_range,
	};

	(void)state;
	for (unsigned i = 0; i < CALL_CLASS_COUNT; i++)
		plan.trap[i] = true;
	plan.opens = TRAP_OPENS_ALL;
	plan.landlock_abi = 0;
	plan.handled_fs = plan.handled_net = plan.scoped = 0;
	spec.signals_scoped = false;
	spec.trap_ids = true;
	build();
	for (unsigned i = 0; i < sizeof(free_calls) / sizeof(free_calls[0]); i++)
		assert_int_equal(DECIDE(free_calls[i]), ALLOWED);
	for (unsigned i = 0; i < call_table_len; i++)
		if (call_table[i].class == CALL_ALLOW)
			assert_int_equal(DECIDE(call_table[i].nr, 1, 1, 1, 1, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_execve), TRAPPED);
	assert_int_equal(DECIDE(__NR_stat), TRAPPED);
}

static void traps_opens_that_may_write(void **state)
{
	static const struct {
		int flags;
		uint32_t decision;
	} cases[] = {
		{O_RDONLY, ALLOWED},
		{O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW, ALLOWED},
		{O_WRONLY, TRAPPED},
		{O_RDWR, TRAPPED},
		{O_ACCMODE, TRAPPED},
		{O_RDONLY | O_CREAT, TRAPPED},
		{O_RDONLY | O_TRUNC, TRAPPED},
		{O_TMPFILE, TRAPPED},
		{020000000, TRAPPED}, /* __O_TMPFILE without O_DIRECTORY */
		{O_PATH, ALLOWED},
		{O_PATH | O_RDWR | O_CREAT | O_TRUNC, ALLOWED}, /* the kernel drops all but O_PATH */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(DECIDE(__NR_open, 1, cases[i].flags), cases[i].decision);
		assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, cases[i].flags), cases[i].decision);
		assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, DIRTY | (uint32_t)cases[i].flags),
				 cases[i].decision);
	}
	assert_int_equal(DECIDE(__NR_creat, 1), TRAPPED);
	assert_int_equal(DECIDE(__NR_openat2, AT_FDCWD, 1, 1), TRAPPED);
}

static void traps_reads_and_then_paths_when_told(void **state)
{
	(void)state;
	plan.opens = TRAP_OPENS_ALL;
	build();
	assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, O_RDONLY), TRAPPED);
	assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, O_PATH), ALLOWED);
	plan.trap[CALL_STAT] = true; /* an O_PATH descriptor tells whether a name exists */
	build();
	assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, O_PATH), TRAPPED);
	plan.opens = TRAP_OPENS_NONE;
	build();
	assert_int_equal(DECIDE(__NR_openat, AT_FDCWD, 1, O_RDWR), ALLOWED);
	assert_int_equal(DECIDE(__NR_openat2, AT_FDCWD, 1, 1), ALLOWED);
}

static void traps_classes_as_the_plan_says(void **state)
{
	static const enum call_class classes[] = {CALL_EXEC, CALL_NAME, CALL_TRUNCATE, CALL_META, CALL_STAT,
						  CALL_WATCH, CALL_BIND, CALL_CHDIR};

	(void)state;
	plan.inet_binds = false;
	for (unsigned k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
		for (int on = 0; on < 2; on++) {
			plan.trap[classes[k]] = plan.stat_decided = on;
			build();
			for (unsigned i = 0; i < call_table_len; i++)
				if (call_table[i].class == classes[k])
					assert_int_equal(DECIDE(call_table[i].nr), on ? TRAPPED : ALLOWED);
		}
		plan.trap[classes[k]] = false;
	}
	/* A listen binds internet sockets only. */
	plan.trap[CALL_BIND] = plan.inet_binds = true;
	build();
	assert_int_equal(DECIDE(__NR_listen, 3, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_bind, 3, 1, 16), TRAPPED);
	plan.inet_binds = plan.inet_sockets = false;
	build();
	assert_int_equal(DECIDE(__NR_listen, 3, 1), ALLOWED);
}

static void traps_looks_at_descriptors_where_they_are_judged(void **state)
{
	(void)state;
	plan.trap[CALL_STAT] = true; /* for a record, or for want of Landlock */
	build();
	assert_int_equal(DECIDE(__NR_fstat, 3), ALLOWED);
	assert_int_equal(DECIDE(__NR_stat, 1), TRAPPED);
	plan.stat_decided = true;
	build();
	assert_int_equal(DECIDE(__NR_fstat, 3), TRAPPED);
}

static void traps_nothing_without_a_supervisor(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CALL_CLASS_COUNT; i++)
		plan.trap[i] = true;
	plan.opens = TRAP_OPENS_ALL;
	spec.supervise = false;
	spec.trap_ids = true;
	build();
	for (unsigned i = 0; i < call_table_len; i++)
		assert_int_not_equal(DECIDE(call_table[i].nr, 1, 1, 1, 1, 1), TRAPPED);
}

static void always_traps_a_target_that_confines_itself(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_landlock_restrict_self), TRAPPED);
	assert_int_equal(DECIDE(__NR_setuid, 0), ALLOWED);
	spec.trap_ids = true;
	build();
	assert_int_equal(DECIDE(__NR_setuid, 0), TRAPPED);
	assert_int_equal(DECIDE(__NR_capset, 0), TRAPPED);
}

static void traps_sendto_only_with_an_address(void **state)
{
	(void)state;
	plan.trap[CALL_CONNECT] = true;
	plan.inet_connects = false;
	build();
	assert_int_equal(DECIDE(__NR_sendto, 3, 1, 1, 0, 0), ALLOWED);
	assert_int_equal(DECIDE(__NR_sendto, 3, 1, 1, 0, 0x1000), TRAPPED);
	assert_int_equal(DECIDE(__NR_sendto, 3, 1, 1, 0, 1ULL << 40), TRAPPED);
	assert_int_equal(DECIDE(__NR_connect, 3, 1, 16), TRAPPED);
	assert_int_equal(DECIDE(__NR_sendto, 3, 1, 1, MSG_FASTOPEN, 0), ERR(EOPNOTSUPP));
	assert_int_equal(DECIDE(__NR_sendmsg, 3, 1, MSG_FASTOPEN | MSG_NOSIGNAL), ERR(EOPNOTSUPP));
	assert_int_equal(DECIDE(__NR_sendmmsg, 3, 1, 1, MSG_FASTOPEN), ERR(EOPNOTSUPP));
	assert_int_equal(DECIDE(__NR_sendmsg, 3, 1, MSG_NOSIGNAL), ALLOWED);
	/* A record traps connects that are allowed. */
	plan.inet_connects = true;
	build();
	assert_int_equal(DECIDE(__NR_sendmsg, 3, 1, MSG_FASTOPEN), ALLOWED);
}

static void lets_a_task_name_itself_and_judges_others(void **state)
{
	static const int by_first[] = {__NR_prlimit64, __NR_sched_setaffinity, __NR_sched_setscheduler,
				       __NR_sched_setparam, __NR_sched_setattr};

	(void)state;
	for (unsigned i = 0; i < sizeof(by_first) / sizeof(by_first[0]); i++) {
		assert_int_equal(DECIDE(by_first[i], 0), ALLOWED);
		assert_int_equal(DECIDE(by_first[i], 7), TRAPPED);
		assert_int_equal(DECIDE(by_first[i], DIRTY | 7), TRAPPED);
	}
	assert_int_equal(DECIDE(__NR_setpriority, 0, 0, 5), ALLOWED);
	assert_int_equal(DECIDE(__NR_setpriority, 0, 7, 5), TRAPPED);
	/* By group or by user they would reach the supervisor. */
	assert_int_equal(DECIDE(__NR_setpriority, 1, 0, 5), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_setpriority, DIRTY | 2, 0, 5), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_ioprio_set, 1, 0, 5), ALLOWED);
	assert_int_equal(DECIDE(__NR_ioprio_set, 1, 7, 5), TRAPPED);
	assert_int_equal(DECIDE(__NR_ioprio_set, 2, 0, 5), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_ioprio_set, 3, 0, 5), ERR(EPERM));
}

static void leaves_signals_and_tracing_to_landlock(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_kill, 7, 9), ALLOWED);
	assert_int_equal(DECIDE(__NR_ptrace, 16, 7), ALLOWED);
	assert_int_equal(DECIDE(__NR_pidfd_getfd, 3, 7), ALLOWED);
	spec.signals_scoped = false; /* Landlock before ABI 6 */
	build();
	assert_int_equal(DECIDE(__NR_kill, 0, SIGTERM), ALLOWED);
	assert_int_equal(DECIDE(__NR_kill, 7, SIGTERM), ALLOWED); /* a trapped kill could be interrupted */
	assert_int_equal(DECIDE(__NR_kill, -1, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_kill, SUPERVISOR, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_kill, DIRTY | WARDEN, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_tgkill, SUPERVISOR, 4711, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_pidfd_open, WARDEN, 0), ERR(EPERM));
	/* A worker's id is in no filter: so what a worker does not block is trapped. */
	for (unsigned i = 0; i < 4; i++) {
		static const int calls[] = {__NR_kill, __NR_tkill, __NR_rt_sigqueueinfo, __NR_pidfd_send_signal};
		static const int harmful[] = {SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
					      SIGTRAP, SIGSYS,	SIGABRT, 32,	 33,	 37};
		unsigned trapped = 0;

		for (unsigned s = 0; s < sizeof(harmful) / sizeof(harmful[0]); s++)
			assert_int_equal(DECIDE(calls[i], 7, DIRTY | (unsigned)harmful[s]), TRAPPED);
		/* A kill in a row of them would be interrupted by the death before. */
		assert_int_equal(DECIDE(calls[i], 7, SIGKILL), calls[i] == __NR_kill ? ALLOWED : TRAPPED);
		for (int sig = 0; sig <= 64; sig++)
			trapped += DECIDE(calls[i], 7, sig) == TRAPPED;
		assert_int_equal(trapped, sizeof(harmful) / sizeof(harmful[0]) + (calls[i] != __NR_kill));
	}
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETOWN, SUPERVISOR), ALLOWED);
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETSIG, SIGIO), ALLOWED);
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETSIG, DIRTY | SIGKILL), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETSIG, SIGSTOP), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_ptrace, 16, 7), ALLOWED);
	plan.handled_fs = plan.handled_net = plan.scoped = 0; /* none */
	build();
	assert_int_equal(DECIDE(__NR_ptrace, 16, 7), TRAPPED);
	assert_int_equal(DECIDE(__NR_ptrace, 0, 0), ALLOWED); /* PTRACE_TRACEME */
	assert_int_equal(DECIDE(__NR_process_vm_writev, 7), TRAPPED);
	assert_int_equal(DECIDE(__NR_pidfd_getfd, 3, 7), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_kcmp, 0, 0), ERR(EPERM)); /* it names two tasks */
}

static void protects_our_tasks_without_a_supervisor(void **state)
{
	(void)state;
	spec.supervise = false;
	spec.signals_scoped = false;
	plan.handled_fs = plan.handled_net = plan.scoped = 0;
	build();
	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *c = &call_table[i];
		uint64_t args[6] = {0};

		if (!c->pid || c->nr == __NR_kcmp)
			continue;
		args[c->pid - 1] = DIRTY | SUPERVISOR;
		assert_int_equal(decide(c->nr, args[0], args[1], args[2], args[3], args[4]), ERR(EPERM));
		args[c->pid - 1] = WARDEN;
		assert_int_equal(decide(c->nr, args[0], args[1], args[2], args[3], args[4]), ERR(EPERM));
		args[c->pid - 1] = 7;
		assert_int_equal(decide(c->nr, args[0], args[1], args[2], args[3], args[4]), ALLOWED);
	}
	assert_int_equal(DECIDE(__NR_kill, -1, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_kill, -SUPERVISOR, 9), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETSIG, SIGKILL), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_fcntl, 3, F_SETSIG, SIGUSR1), ALLOWED);
}

static void refuses_requests_by_the_lower_half(void **state)
{
	static const uint64_t tiocsti[] = {0x5412, DIRTY | 0x5412, 0x5412 | 1ULL << 32};

	(void)state;
	for (unsigned i = 0; i < sizeof(tiocsti) / sizeof(tiocsti[0]); i++)
		assert_int_equal(DECIDE(__NR_ioctl, 0, tiocsti[i]), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x541c), ERR(EPERM));     /* TIOCLINUX */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x5413), ALLOWED);        /* TIOCGWINSZ */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x5401), ALLOWED);        /* TCGETS */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x50009417), ERR(EPERM)); /* BTRFS_IOC_SNAP_CREATE_V2 */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x40049409), ALLOWED);    /* FICLONE */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x4020940d), ALLOWED);    /* FICLONERANGE */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0xc0189436), ALLOWED);    /* FIDEDUPERANGE */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0xb701), ERR(EPERM));     /* NS_GET_USERNS */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0xff04), ERR(EPERM));     /* PIDFD_GET_*_NAMESPACE */
	for (uint32_t nr = 0; nr < 256; nr++) {
		const bool spared = nr == 9 || nr == 13 || nr == 49 || nr == 54 || nr >= 64;

		assert_int_equal(DECIDE(__NR_ioctl, 0, 0xc0009400 | nr), spared ? ALLOWED : ERR(EPERM));
		assert_int_equal(DECIDE(__NR_ioctl, 0, 0xff00 | nr), nr >= 1 && nr <= 10 ? ERR(EPERM) : ALLOWED);
		assert_int_equal(DECIDE(__NR_ioctl, 0, 0xc000ff00 | nr), ALLOWED);
	}
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0xc0182101), ERR(EPERM)); /* SECCOMP_IOCTL_NOTIF_SEND */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x40086602), ALLOWED);    /* FS_IOC_SETFLAGS: meta is free */
	plan.trap[CALL_META] = true;
	build();
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x40086602), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x401c5820), ERR(EPERM)); /* FS_IOC_FSSETXATTR */
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x80086601), ALLOWED);    /* FS_IOC_GETFLAGS */
}

static void refuses_new_namespaces_and_keeps_threads(void **state)
{
	const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
				CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	static const uint64_t spaces[] = {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
					  CLONE_NEWNET, 0x02000000};

	(void)state;
	for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
		assert_int_equal(DECIDE(__NR_clone, spaces[i] | 17), ERR(EPERM));
		assert_int_equal(DECIDE(__NR_clone, DIRTY | spaces[i] | thread), ERR(EPERM));
		assert_int_equal(DECIDE(__NR_unshare, spaces[i]), ERR(EPERM));
	}
	assert_int_equal(DECIDE(__NR_unshare, 0x80), ERR(EPERM)); /* CLONE_NEWTIME */
	assert_int_equal(DECIDE(__NR_clone, thread), ALLOWED);
	assert_int_equal(DECIDE(__NR_clone, 17), ALLOWED);
	assert_int_equal(DECIDE(__NR_clone, CLONE_VM | CLONE_VFORK | 17), ALLOWED);
	assert_int_equal(DECIDE(__NR_clone, CLONE_UNTRACED | 17), ALLOWED);
	assert_int_equal(DECIDE(__NR_clone3, 1, 88), ERR(ENOSYS));
	assert_int_equal(DECIDE(__NR_unshare, CLONE_FILES | CLONE_FS | CLONE_SYSVSEM), ALLOWED);
	spec.refuse_untraced = true;
	build();
	assert_int_equal(DECIDE(__NR_clone, CLONE_UNTRACED | 17), ERR(EPERM));
}

static void allows_four_socket_families_and_two_protocols(void **state)
{
	(void)state;
	for (uint32_t family = 0; family < 256; family++) {
		bool known = family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;

		assert_int_equal(DECIDE(__NR_socket, family, SOCK_STREAM, 0), known ? ALLOWED : ERR(EAFNOSUPPORT));
		assert_int_equal(DECIDE(__NR_socket, DIRTY | family, SOCK_STREAM, 0),
				 known ? ALLOWED : ERR(EAFNOSUPPORT));
		assert_int_equal(DECIDE(__NR_socketpair, DIRTY | family, SOCK_STREAM, 0),
				 family == AF_UNIX ? ALLOWED : ERR(EAFNOSUPPORT));
	}
	assert_int_equal(DECIDE(__NR_socket, -1, SOCK_STREAM, 0), ERR(EAFNOSUPPORT));
	for (int family = AF_INET; family <= AF_INET6; family += AF_INET6 - AF_INET) {
		for (uint32_t type = 0; type < 16; type++) {
			bool known = type == SOCK_STREAM || type == SOCK_DGRAM;

			assert_int_equal(DECIDE(__NR_socket, family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
					 known ? ALLOWED : ERR(EAFNOSUPPORT));
		}
		for (uint32_t proto = 0; proto < 600; proto++) {
			bool known = proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_UDP;

			assert_int_equal(DECIDE(__NR_socket, family, SOCK_STREAM, proto),
					 known ? ALLOWED : ERR(EAFNOSUPPORT));
		}
	}
	assert_int_equal(DECIDE(__NR_socket, AF_NETLINK, SOCK_RAW, 0), ALLOWED);
	assert_int_equal(DECIDE(__NR_socket, AF_NETLINK, SOCK_RAW, 9), ERR(EAFNOSUPPORT)); /* audit */
	assert_int_equal(DECIDE(__NR_socket, AF_NETLINK, SOCK_RAW, 16), ERR(EAFNOSUPPORT)); /* generic */
}

static void refuses_inet_where_no_rule_allows_it(void **state)
{
	(void)state;
	plan.inet_connects = plan.inet_binds = false;
	build();
	for (int family = AF_INET; family <= AF_INET6; family += AF_INET6 - AF_INET)
		for (uint32_t proto = 0; proto < 300; proto++) {
			bool known = proto == 0 || proto == IPPROTO_TCP || proto == IPPROTO_UDP;

			assert_int_equal(DECIDE(__NR_socket, DIRTY | family, SOCK_STREAM | SOCK_CLOEXEC, proto),
					 known ? ALLOWED : ERR(EAFNOSUPPORT));
			assert_int_equal(DECIDE(__NR_socket, DIRTY | family, SOCK_DGRAM | SOCK_NONBLOCK, proto), ERR(EACCES));
		}
	plan.inet_sockets = false;
	build();
	assert_int_equal(DECIDE(__NR_socket, AF_INET, SOCK_STREAM, 0), ERR(EACCES));
	assert_int_equal(DECIDE(__NR_socket, DIRTY | AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 17), ERR(EACCES));
	assert_int_equal(DECIDE(__NR_socket, AF_UNIX, SOCK_STREAM, 0), ALLOWED);
	assert_int_equal(DECIDE(__NR_socket, AF_NETLINK, SOCK_RAW, 0), ALLOWED);
}

static void refuses_datagrams_whose_peer_it_cannot_see(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_socket, AF_UNIX, SOCK_DGRAM, 0), ALLOWED);
	plan.trap[CALL_CONNECT] = true;
	build();
	assert_int_equal(DECIDE(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ERR(EACCES));
	assert_int_equal(DECIDE(__NR_socket, AF_UNIX, SOCK_RAW, 0), ERR(EACCES)); /* the same in disguise */
	assert_int_equal(DECIDE(__NR_socketpair, AF_UNIX, SOCK_DGRAM, 0), ERR(EACCES));
	assert_int_equal(DECIDE(__NR_socketpair, AF_UNIX, SOCK_STREAM, 0), ALLOWED);
	assert_int_equal(DECIDE(__NR_socket, AF_UNIX, SOCK_SEQPACKET, 0), ALLOWED);
}

static void keeps_prctl_but_for_what_blinds_or_steals(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_prctl, PR_SET_NAME, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_prctl, PR_SET_DUMPABLE, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_prctl, PR_SET_DUMPABLE, 0), ERR(0)); /* said to be done */
	assert_int_equal(DECIDE(__NR_prctl, DIRTY | PR_SET_MM, 1), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_prctl, 62, 1), ERR(EPERM));
	spec.trap_ids = true; /* a privileged supervisor can read it all the same */
	build();
	assert_int_equal(DECIDE(__NR_prctl, PR_SET_DUMPABLE, 0), ALLOWED);
}

static void refuses_a_listener_below_ours(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_seccomp, 1, 0, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_seccomp, 1, SECCOMP_FILTER_FLAG_TSYNC, 1), ALLOWED);
	assert_int_equal(DECIDE(__NR_seccomp, 1, DIRTY | SECCOMP_FILTER_FLAG_NEW_LISTENER | 1, 1), ERR(EBUSY));
}

static void keeps_the_mark_and_the_core_limit(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_setrlimit, RLIMIT_LOCKS, 1), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_LOCKS, 1, 0), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_prlimit64, 7, DIRTY | RLIMIT_LOCKS, 1, 0), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_LOCKS, 0, 1), ALLOWED); /* reading */
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_CORE, 1, 0), ALLOWED);  /* hard 0: the kernel refuses */
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_NOFILE, 1, 0), ALLOWED);
	spec.trap_ids = true;
	build();
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_CORE, 1, 0), ERR(0));
	assert_int_equal(DECIDE(__NR_setrlimit, RLIMIT_CORE, 1), ERR(0));
	assert_int_equal(DECIDE(__NR_prlimit64, 0, RLIMIT_CORE, 0, 1), ALLOWED);
}

static void knows_three_personalities(void **state)
{
	(void)state;
	assert_int_equal(DECIDE(__NR_personality, 0), ALLOWED);
	assert_int_equal(DECIDE(__NR_personality, 0xffffffff), ALLOWED);
	assert_int_equal(DECIDE(__NR_personality, DIRTY | 0xffffffff), ALLOWED);
	assert_int_equal(DECIDE(__NR_personality, 0x0040000), ALLOWED);
	assert_int_equal(DECIDE(__NR_personality, 0x0400000), ERR(EPERM)); /* READ_IMPLIES_EXEC */
	assert_int_equal(DECIDE(__NR_personality, 0x0440000), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_personality, 0x0100000), ERR(EPERM)); /* MMAP_PAGE_ZERO */
	assert_int_equal(DECIDE(__NR_personality, 8), ERR(EPERM));         /* PER_LINUX32 */
	assert_int_equal(DECIDE(__NR_personality, 0x80000000), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_personality, 0xfffffffe), ERR(EPERM));
}

static void lifts_a_refusal_that_the_policy_names(void **state)
{
	static const char *const allowed[] = {"io_uring_setup", "keyctl", "personality", "ioctl", "clone3", NULL};

	(void)state;
	spec.allowed_calls = allowed;
	build();
	assert_int_equal(DECIDE(__NR_io_uring_setup), ALLOWED);
	assert_int_equal(DECIDE(__NR_io_uring_enter), ERR(ENOSYS));
	assert_int_equal(DECIDE(__NR_keyctl), ALLOWED);
	assert_int_equal(DECIDE(__NR_add_key), ERR(EPERM));
	assert_int_equal(DECIDE(__NR_personality, 8), ALLOWED);
	assert_int_equal(DECIDE(__NR_ioctl, 0, 0x5412), ALLOWED);
	assert_int_equal(DECIDE(__NR_clone3), ALLOWED);
	assert_int_equal(DECIDE(__NR_prlimit64, 7), TRAPPED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(answers_unknown_calls_enosys),
		T(answers_x32_enosys),
		T(kills_foreign_architectures),
		T(decides_each_call_of_the_table),
		T(never_traps_what_the_hand_over_needs),
		T(traps_opens_that_may_write),
		T(traps_reads_and_then_paths_when_told),
		T(traps_classes_as_the_plan_says),
		T(traps_looks_at_descriptors_where_they_are_judged),
		T(traps_nothing_without_a_supervisor),
		T(always_traps_a_target_that_confines_itself),
		T(traps_sendto_only_with_an_address),
		T(lets_a_task_name_itself_and_judges_others),
		T(leaves_signals_and_tracing_to_landlock),
		T(protects_our_tasks_without_a_supervisor),
		T(refuses_requests_by_the_lower_half),
		T(refuses_new_namespaces_and_keeps_threads),
		T(allows_four_socket_families_and_two_protocols),
		T(refuses_inet_where_no_rule_allows_it),
		T(refuses_datagrams_whose_peer_it_cannot_see),
		T(keeps_prctl_but_for_what_blinds_or_steals),
		T(refuses_a_listener_below_ours),
		T(keeps_the_mark_and_the_core_limit),
		T(knows_three_personalities),
		T(lifts_a_refusal_that_the_policy_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
