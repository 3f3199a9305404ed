/* SPDX-License-Identifier: Apache-2.0
 * The restartable RECV.
 *
 * A camper checks a flag and then blocks in an ioctl. A signal that arrives between the two would be
 * handled and forgotten, and the camper would sleep on. Here the check and the system call form one
 * window that the poke handler (camp.c) knows by address: a signal that lands inside it moves the program
 * counter to camp_recv_abort. At camp_recv_end the kernel has returned and a notification may be in hand,
 * so that address is outside the window.
 *
 *	long camp_recv(const _Atomic int *away, int fd, unsigned long cmd, void *arg);
 *
 * Returns the ioctl's result as the kernel gives it (0 or -errno), -EINTR if *away is set or became set
 * before the kernel was entered.
 */
#ifndef __x86_64__
#error "the restartable RECV is written for x86-64 only"
#endif

	.text
	.globl	camp_recv
	.hidden	camp_recv
	.type	camp_recv, @function
camp_recv:
	.cfi_startproc
	endbr64
	cmpl	$0, (%rdi)
	jne	camp_recv_abort
	movl	%esi, %edi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movl	$16, %eax		/* __NR_ioctl */
	syscall
	.globl	camp_recv_end
	.hidden	camp_recv_end
camp_recv_end:
	ret
	.globl	camp_recv_abort
	.hidden	camp_recv_abort
camp_recv_abort:
	movq	$-4, %rax		/* -EINTR */
	ret
	.cfi_endproc
	.size	camp_recv, . - camp_recv

/* What the kernel returns to from the poke handler; unwinders know it by these exact bytes. */
	.globl	camp_sigreturn
	.hidden	camp_sigreturn
	.type	camp_sigreturn, @function
camp_sigreturn:
	movq	$15, %rax		/* __NR_rt_sigreturn */
	syscall
	.size	camp_sigreturn, . - camp_sigreturn

	.section .note.GNU-stack,"",@progbits
