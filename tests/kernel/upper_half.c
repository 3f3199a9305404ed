/* SPDX-License-Identifier: Apache-2.0
 * An argument that the kernel takes as int: the upper half of its register reaches the filter, and is
 * ignored by the call. So a rule on 64 bits can be walked around.
 */
#include "kernel.h"

static int body(void)
{
	struct sock_filter insns[] = {
		/* socket with the whole of the first argument equal to AF_UNIX: refused. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {sizeof(insns) / sizeof(insns[0]), insns};

	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	NEED(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0);
	FACT(fails_with(syscall(SYS_socket, (long)AF_UNIX, SOCK_STREAM, 0), EPERM), "the rule works on a clean register");
	FACT(syscall(SYS_socket, 0xdead00000000L | AF_UNIX, SOCK_STREAM, 0) >= 0,
	     "and is walked around with a dirty one");
	return 0;
}

int main(void)
{
	FACT(in_child(body), "");
	return 0;
}
