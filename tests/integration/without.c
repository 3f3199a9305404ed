/* SPDX-License-Identifier: Apache-2.0
 * without CALL[=ERRNO][,CALL...] CMD...: runs CMD as on a kernel that lacks these calls, or where
 * a container's profile forbids them. A filter without a listener answers ENOSYS, or ERRNO.
 * pidfd_thread is pidfd_open with PIDFD_THREAD alone: with EINVAL, a kernel before 6.9.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_CALLS 16
#define INSNS_A_CALL 5 /* at most */

static const struct {
	const char *name;
	unsigned nr;
	unsigned flags; /* 0, or one of these in the second argument is what is lacking */
} calls[] = {
	{"landlock_create_ruleset", 444},
	{"io_uring_setup", SYS_io_uring_setup},
	{"process_vm_readv", SYS_process_vm_readv},
	{"pidfd_getfd", SYS_pidfd_getfd},
	{"pidfd_open", SYS_pidfd_open},
	{"pidfd_thread", SYS_pidfd_open, O_EXCL},
	{"openat2", SYS_openat2},
	{"ptrace", SYS_ptrace},
	{"seccomp", SYS_seccomp},
	{"kcmp", SYS_kcmp},
};

static int call_index(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int errno_number(const char *name)
{
	for (int e = 1; e < 134; e++)
		if (strerrorname_np(e) && strcmp(strerrorname_np(e), name) == 0)
			return e;
	return -1;
}

/* The number is loaded, and will be after it. */
static void add_call(struct sock_fprog *prog, unsigned nr, unsigned flags, unsigned e)
{
	const struct sock_filter lacking = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | e);
	const struct sock_filter whole[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		lacking,
	}, with_flags[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
		lacking,
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	const struct sock_filter *from = flags ? with_flags : whole;
	size_t size = flags ? sizeof(with_flags) : sizeof(whole);

	memcpy(prog->filter + prog->len, from, size);
	prog->len += (unsigned short)(size / sizeof(*from));
}

int main(int argc, char **argv)
{
	struct sock_filter insns[INSNS_A_CALL * MAX_CALLS + 5] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = {.len = 4, .filter = insns};

	if (argc < 3) {
		fprintf(stderr, "usage: without CALL[=ERRNO][,CALL...] CMD...\n");
		return 125;
	}
	for (char *save = NULL, *word = strtok_r(argv[1], ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		char *with = strchr(word, '=');
		int call, e = ENOSYS;

		if (with) {
			*with = 0;
			e = errno_number(with + 1);
		}
		call = call_index(word);
		if (call < 0 || e < 0 || prog.len > INSNS_A_CALL * (MAX_CALLS - 1)) {
			fprintf(stderr, "without: unknown call or error: %s\n", word);
			return 125;
		}
		add_call(&prog, calls[call].nr, calls[call].flags, (unsigned)e);
	}
	insns[prog.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
		perror("without: filter");
		return 125;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
