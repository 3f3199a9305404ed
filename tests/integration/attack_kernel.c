/* SPDX-License-Identifier: Apache-2.0
 * Side entrances of the kernel: foreign call tables, calls without a path, namespaces, listeners of
 * one's own, dirty registers.
 */
#include "tests/integration/attack/attack.h"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>

static enum outcome io_uring(void)
{
	struct io_uring_params p = {0};
	long fd = syscall(SYS_io_uring_setup, 4, &p);

	if (fd < 0 && is_control())
		return cannot("io_uring is off here: %s", strerrorname_np(errno));
	if (fd >= 0)
		return escaped("a ring");
	return errno == ENOSYS ? held("ENOSYS") : escaped("%s, which programs don't fall back from", strerrorname_np(errno));
}

/* The 32-bit call table by int $0x80: openat is 295 there. */
static int by_int80(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long fd;

	if (low == MAP_FAILED)
		return CANNOT;
	strcpy(low, "no/secret");
	__asm__ volatile("int $0x80"
			 : "=a"(fd)
			 : "a"(295L), "b"((long)AT_FDCWD), "c"((long)(uintptr_t)low), "d"(0L), "S"(0L)
			 : "memory", "r8", "r9", "r10", "r11");
	return fd >= 0 && fd_gives_secret((int)fd) ? ESCAPED : HELD;
}

static enum outcome calls_of_i386(void)
{
	int r = in_child(by_int80);

	if (is_control() && r != ESCAPED)
		return cannot("no 32-bit calls here (%d)", r);
	return r == ESCAPED ? escaped("the secret by int $0x80") : held("%s", r < 0 ? "killed" : "refused");
}

static int by_x32(void)
{
	long fd = syscall(0x40000000L | SYS_openat, AT_FDCWD, "no/secret", O_RDONLY, 0);

	return fd >= 0 && fd_gives_secret((int)fd) ? ESCAPED : HELD;
}

static enum outcome calls_of_x32(void)
{
	int r = in_child(by_x32);

	if (is_control() && r != ESCAPED)
		return cannot("no x32 calls here");
	return r == ESCAPED ? escaped("the secret by an x32 call") : held("%s", r < 0 ? "killed" : "refused");
}

/* The upper halves of registers are no part of an int. */
static enum outcome dirty_registers(void)
{
	long high = 0x1234567800000000L;
	long fd = syscall(SYS_openat, high | (unsigned)AT_FDCWD, "no/secret", high | O_RDONLY, 0);

	if (fd >= 0)
		return escaped("the secret");
	if (syscall(SYS_socket, high | AF_NETLINK, high | SOCK_RAW, high | 15) >= 0)
		return escaped("a netlink socket");
	if (syscall(SYS_openat, high | (unsigned)AT_FDCWD, "ro/file", high | O_WRONLY, 0) >= 0)
		return escaped("a writable descriptor");
	return held("refused");
}

static enum outcome socket_families(void)
{
	static const int families[][3] = {
		{AF_NETLINK, SOCK_RAW, 15 /* uevents */}, {AF_NETLINK, SOCK_RAW, 9 /* audit */},
		{AF_PACKET, SOCK_RAW, 0},                 {AF_ALG, SOCK_SEQPACKET, 0},
		{AF_VSOCK, SOCK_STREAM, 0},               {AF_INET, SOCK_RAW, 1},
		{AF_KEY, SOCK_RAW, 2},                    {AF_XDP, SOCK_RAW, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (socket(families[i][0], families[i][1] | SOCK_CLOEXEC, families[i][2]) >= 0)
			return escaped("family %d, protocol %d", families[i][0], families[i][2]);
	return held("refused");
}

/* By a pair, a family's module is loaded too; few have any. */
static enum outcome pairs_of_other_families(void)
{
	static const int families[] = {AF_TIPC, AF_VSOCK, AF_ALG, AF_XDP, AF_PACKET, AF_RDS, AF_INET};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, SOCK_RDM};
	int pair[2];

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (size_t t = 0; t < ARRAY_SIZE(types); t++)
			if (socketpair(families[i], types[t] | SOCK_CLOEXEC, 0, pair) == 0 || errno != EAFNOSUPPORT)
				return escaped("family %d reached the kernel: %s", families[i], strerrorname_np(errno));
	return held("refused");
}

/* Numbers of no call, now or yet. */
static enum outcome unknown_numbers(void)
{
	static const long numbers[] = {-1, 0x7fffffff, 600, 1000, 340, 400, 0x3fffffff, 512, 547, -1000000};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (syscall(numbers[i], 0, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS)
			return escaped("%ld is no ENOSYS but %s", numbers[i], strerrorname_np(errno));
	if (is_control() && syscall(SYS_getpid) > 0)
		return escaped("(a known number is one)");
	return held("ENOSYS");
}

static enum outcome listener_of_ones_own(void)
{
	struct sock_filter notify = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &notify};
	static const unsigned flags[] = {
		SECCOMP_FILTER_FLAG_NEW_LISTENER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
	};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], &prog) >= 0)
			return escaped("a listener");
	return held("%s", strerrorname_np(errno));
}

/* A filter of one's own must not turn trapped calls into grants. */
static enum outcome filter_of_ones_own(void)
{
	static const uint32_t actions[] = {SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW};

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			struct sock_filter f[] = {
				BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
				BPF_STMT(BPF_RET | BPF_K, actions[i]),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
			};
			struct sock_fprog prog = {ARRAY_SIZE(f), f};

			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
			_exit(path_gives_secret("no/secret") ? ESCAPED : HELD);
		}
		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == ESCAPED)
			return escaped("the secret with action %#x", actions[i]);
	}
	return held("refused");
}

static enum outcome new_namespaces(void)
{
	static const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
				    CLONE_NEWCGROUP, 0x80 /* time */, CLONE_NEWUSER | CLONE_NEWNS};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			_exit(unshare(flags[i]) == 0 ? ESCAPED : HELD);
		waitpid(pid, &status, 0);
		if (status != 0)
			return escaped("unshare(%#x)", (unsigned)flags[i]);
		if (flags[i] == 0x80) /* not by clone: those bits are its signal */
			continue;
		pid = (pid_t)syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			_exit(0);
		if (pid > 0) {
			waitpid(pid, &status, 0);
			return escaped("clone(%#x)", (unsigned)flags[i]);
		}
	}
	return held("refused");
}

/* The flags of clone3 are in memory, where no filter looks. */
static enum outcome clone3(void)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	} args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid > 0) {
		waitpid((pid_t)pid, NULL, 0);
		return escaped("a child");
	}
	return errno == ENOSYS ? held("ENOSYS") : escaped("%s, which libc doesn't fall back from", strerrorname_np(errno));
}

static enum outcome change_of_root(void)
{
	if (chroot("ok") == 0)
		return escaped("chroot");
	if (unshare(CLONE_NEWUSER) == 0 && chroot("ok") == 0)
		return escaped("chroot in a user namespace");
	if (is_control())
		return cannot("no chroot here");
	return held("refused");
}

static enum outcome joining_namespaces(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -1 : setns(fd, 0);

	if (r == 0)
		return escaped("setns");
	if (is_control())
		return cannot("setns: %s", strerrorname_np(errno));
	return held("refused");
}

static enum outcome core_files(void)
{
	struct rlimit core = {0, 0}, want = {1 << 20, 1 << 20};

	getrlimit(RLIMIT_CORE, &core);
	if (core.rlim_cur != 0 || core.rlim_max != 0)
		return escaped("the core limit is not 0");
	/* What counts is the limit: a privileged caller may be told that it was set. */
	if (setrlimit(RLIMIT_CORE, &want) == 0 &&
	    (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0 || core.rlim_max != 0))
		return escaped("raised the core limit");
	if (is_control())
		return cannot("core files are off here");
	return held("0");
}

static enum outcome new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? held("no_new_privs") : escaped("no_new_privs is not set");
}

static enum outcome stuffed_input(void)
{
	static const unsigned long commands[] = {TIOCSTI, 0xffffffff00000000UL | TIOCSTI, TIOCLINUX,
						 0x100000000UL | TIOCLINUX};
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char c = 6;

	if (fd < 0)
		return is_control() ? cannot("no pseudo-terminal") : held("no pseudo-terminal");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (syscall(SYS_ioctl, fd, commands[i], &c) == 0)
			return escaped("ioctl %#lx", commands[i]);
		if (errno != EPERM && errno != EACCES && !is_control())
			return escaped("ioctl %#lx is answered by the kernel: %s", commands[i], strerrorname_np(errno));
	}
	return is_control() ? escaped("(the kernel answers)") : held("refused");
}

/* Calls with an effect beyond any path: each must be refused with an error of the filter's. */
static enum outcome refused_calls(void)
{
	static const struct {
		const char *name;
		long nr, args[6];
	} calls[] = {
		{"userfaultfd", SYS_userfaultfd, {1}},
		{"keyctl", SYS_keyctl, {0, -3, 0}},
		{"add_key", SYS_add_key, {(long)"user", (long)"x", (long)"x", 1, -3}},
		{"open_tree", 428, {AT_FDCWD, (long)"ok", 0}},
		{"fsopen", 430, {(long)"tmpfs", 0}},
		{"personality", SYS_personality, {READ_IMPLIES_EXEC}},
		{"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
		{"io_uring_register", 427, {-1, 0, 0, 0}},
		{"bpf", SYS_bpf, {0, 0, 0}},
		{"mount", SYS_mount, {(long)"x", (long)"ok", (long)"no-such-type", 0, 0}},
		{"umount2", SYS_umount2, {(long)"ok", 0}},
		{"pivot_root", SYS_pivot_root, {(long)"ok", (long)"ok"}},
		{"swapon", SYS_swapon, {(long)"/nonexistent", 0}},
		{"acct", SYS_acct, {(long)"/nonexistent"}},
		{"quotactl", SYS_quotactl, {0, (long)"ok", 0, 0}},
		{"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
		{"init_module", SYS_init_module, {0, 0, (long)""}},
		{"PR_SET_MM", SYS_prctl, {PR_SET_MM, PR_SET_MM_BRK, 0}},
	};
	enum outcome o = HELD;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		long r = syscall(calls[i].nr, calls[i].args[0], calls[i].args[1], calls[i].args[2], calls[i].args[3],
				 calls[i].args[4], 0);

		if (r != -1)
			o = escaped("%s returned %ld", calls[i].name, r);
		else if (errno != EPERM && errno != EACCES && errno != ENOSYS && !is_control())
			o = escaped("%s is answered by the kernel: %s", calls[i].name, strerrorname_np(errno));
	}
	if (o == ESCAPED)
		return o;
	return is_control() ? cannot("nothing of this is allowed here") : held("refused");
}

const struct attack attacks[] = {
	{"io_uring", io_uring},
	{"calls_of_i386", calls_of_i386},
	{"calls_of_x32", calls_of_x32},
	{"dirty_registers", dirty_registers},
	{"socket_families", socket_families},
	{"pairs_of_other_families", pairs_of_other_families},
	{"unknown_numbers", unknown_numbers},
	{"listener_of_ones_own", listener_of_ones_own},
	{"filter_of_ones_own", filter_of_ones_own},
	{"new_namespaces", new_namespaces},
	{"clone3", clone3},
	{"change_of_root", change_of_root},
	{"joining_namespaces", joining_namespaces},
	{"core_files", core_files},
	{"new_privileges", new_privileges},
	{"stuffed_input", stuffed_input},
	{"refused_calls", refused_calls},
	{NULL, NULL},
};
