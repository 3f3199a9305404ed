/* SPDX-License-Identifier: Apache-2.0
 * without CALL[=ERRNO][,CALL...] CMD...: runs CMD as on a kernel that lacks these calls, or where
 * a container's profile forbids them. A filter without a listener answers ENOSYS, or ERRNO.
 */
#include <errno.h>
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

static const struct {
	const char *name;
	unsigned nr;
} calls[] = {
	{"landlock_create_ruleset", 444},
	{"io_uring_setup", SYS_io_uring_setup},
	{"process_vm_readv", SYS_process_vm_readv},
	{"pidfd_getfd", SYS_pidfd_getfd},
	{"pidfd_open", SYS_pidfd_open},
	{"openat2", SYS_openat2},
	{"ptrace", SYS_ptrace},
	{"seccomp", SYS_seccomp},
	{"kcmp", SYS_kcmp},
};

static int call_number(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return (int)calls[i].nr;
	return -1;
}

static int errno_number(const char *name)
{
	for (int e = 1; e < 134; e++)
		if (strerrorname_np(e) && strcmp(strerrorname_np(e), name) == 0)
			return e;
	return -1;
}

int main(int argc, char **argv)
{
	struct sock_filter insns[2 * MAX_CALLS + 5] = {
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
		int nr, e = ENOSYS;

		if (with) {
			*with = 0;
			e = errno_number(with + 1);
		}
		nr = call_number(word);
		if (nr < 0 || e < 0 || prog.len > 2 * MAX_CALLS) {
			fprintf(stderr, "without: unknown call or error: %s\n", word);
			return 125;
		}
		insns[prog.len++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1);
		insns[prog.len++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)e);
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
