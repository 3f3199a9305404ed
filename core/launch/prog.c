/* SPDX-License-Identifier: Apache-2.0
 * Known numbers come in few runs, so a run is two comparisons: much less than a compiler makes of a
 * rule for each, and made in microseconds.
 */
#include "core/launch/prog.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

int prog_add(struct prog *p, const struct sock_filter *insns, size_t n)
{
	if (p->len + n > p->cap) {
		size_t cap = 2 * (p->len + n);
		struct sock_filter *more = realloc(p->insns, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->insns = more;
		p->cap = cap;
	}
	memcpy(p->insns + p->len, insns, n * sizeof(*insns));
	p->len += n;
	return 0;
}

int prog_add_guard(struct prog *p)
{
	static const struct sock_filter guard[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};

	return prog_add(p, guard, sizeof(guard) / sizeof(guard[0]));
}

int prog_add_known(struct prog *p, const bool *known, uint32_t result)
{
	const struct sock_filter unknown = BPF_STMT(BPF_RET | BPF_K, result);
	size_t first = p->len;
	int r;

	for (uint32_t nr = 0, end; nr < PROG_PAST_LAST_CALL; nr = end) {
		for (end = nr + 1; known[nr] && known[end]; end++)
			;
		if (!known[nr])
			continue;
		/* Below the run: nothing further can match. Past its end: on to the next run. Else the
		 * jump out, whose target is filled in below. */
		const struct sock_filter run[] = {
			BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, nr, 1, 0),
			unknown,
			BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, end, 1, 0),
			BPF_STMT(BPF_JMP | BPF_JA, 0),
		};
		r = prog_add(p, run, sizeof(run) / sizeof(run[0]));
		if (r < 0)
			return r;
	}
	r = prog_add(p, &unknown, 1);
	for (size_t i = first; r == 0 && i < p->len; i++)
		if (p->insns[i].code == (BPF_JMP | BPF_JA))
			p->insns[i].k = (uint32_t)(p->len - i - 1);
	return r;
}

int prog_add_only(struct prog *p, const uint32_t *nrs, size_t n, size_t len)
{
	const struct sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	const struct sock_filter past = BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)len);
	int r = n > UINT8_MAX ? -E2BIG : prog_add(p, &load, 1);

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct sock_filter one = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nrs[i], (uint8_t)(n - i), 0);

		r = prog_add(p, &one, 1);
	}
	return r < 0 ? r : prog_add(p, &past, 1);
}

int prog_add_gate(struct prog *p, uint32_t nr, uint64_t ip)
{
	const uint32_t at = offsetof(struct seccomp_data, instruction_pointer); /* little-endian */
	const struct sock_filter gate[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ip, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(ip >> 32), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return prog_add(p, gate, sizeof(gate) / sizeof(gate[0]));
}
