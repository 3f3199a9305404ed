/* SPDX-License-Identifier: Apache-2.0
 * Where the gate is: one page with one openat, in every process that has loaded gate.c. The filter lets an
 * openat through that comes from this instruction; README.md says why that gives nothing away.
 */
#pragma once
#include <stdint.h>

#define GATE_PAGE 0x1d0000000000ULL
#define GATE_PAGE_SIZE 4096

/* openat(dirfd, path, flags, mode), called as a C function: the fourth argument of a call travels in r10. */
#define GATE_CODE                                       \
	{                                               \
		0x49, 0x89, 0xca,             /* mov %rcx, %r10 */  \
		0xb8, 0x01, 0x01, 0x00, 0x00, /* mov $257, %eax */  \
		0x0f, 0x05,                   /* syscall */         \
		0xc3,                         /* ret */             \
	}
/* What the kernel reports as the instruction pointer: behind the syscall. */
#define GATE_IP (GATE_PAGE + 10)
