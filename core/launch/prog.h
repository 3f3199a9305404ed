/* SPDX-License-Identifier: Apache-2.0
 * A BPF program that grows: the pieces that need no compiler.
 */
#pragma once
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROG_PAST_LAST_CALL 1024

struct prog {
	struct sock_filter *insns; /* malloc'ed */
	size_t len, cap;
};

/* All return 0 or -errno. */
/* Allow the call NR that comes from the instruction pointer IP; all else goes on behind this. */
int prog_add_gate(struct prog *p, uint32_t nr, uint64_t ip);
int prog_add(struct prog *p, const struct sock_filter *insns, size_t n);
/* Kill the process if it came through another architecture's entry; the call's number is loaded. */
int prog_add_guard(struct prog *p);
/* What follows, of LEN instructions, is for the N calls NRS: all others go on behind it. */
int prog_add_only(struct prog *p, const uint32_t *nrs, size_t n, size_t len);
/* RESULT for each number that is not KNOWN (an array of PROG_PAST_LAST_CALL + 1, the last false). Wants
 * the number loaded. */
int prog_add_known(struct prog *p, const bool *known, uint32_t result);
