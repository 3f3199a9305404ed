/* SPDX-License-Identifier: Apache-2.0
 * The target's filter: three libseccomp filters chained into one program.
 *
 *   guard    another architecture than x86-64: the process is killed
 *   part 1   known?    default ENOSYS (x32 too); known calls go on
 *   part 2   refused?  by name or by registers: an errno; default goes on
 *   part 3   trapped?  a notification; default allow
 *
 * So an errno always wins over a notification, as it would between stacked filters, but the kernel
 * runs one program only, and keeps calls that no register decides in its bitmap of allowed calls.
 * Chaining replaces each "return allow" of a part by a jump to the next part; all other jumps stay
 * inside their part, and every part loads its own registers.
 */
#include "core/launch/filter.h"
#include "core/cleanup.h"
#include "core/launch/filter_parts.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <linux/audit.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define N_PARTS 3

static void release_ctx(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}
#define _cleanup_ctx_ __attribute__((cleanup(release_ctx)))

bool filter_call_lifted(const struct filter_spec *spec, const char *name)
{
	for (size_t i = 0; spec->allowed_calls && spec->allowed_calls[i]; i++)
		if (strcmp(spec->allowed_calls[i], name) == 0)
			return true;
	return false;
}

int filter_rule1(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg, uint32_t mask, uint32_t value)
{
	const struct scmp_arg_cmp cmp = SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value);

	return seccomp_rule_add_exact_array(ctx, action, nr, 1, &cmp);
}

int filter_rule2(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg_a, uint32_t mask_a,
		 uint32_t value_a, unsigned arg_b, uint32_t mask_b, uint32_t value_b)
{
	const struct scmp_arg_cmp cmp[] = {
		SCMP_CMP64(arg_a, SCMP_CMP_MASKED_EQ, mask_a, value_a),
		SCMP_CMP64(arg_b, SCMP_CMP_MASKED_EQ, mask_b, value_b),
	};

	return seccomp_rule_add_exact_array(ctx, action, nr, 2, cmp);
}

/* Part 1: what is in the table, less what is answered ENOSYS. */
static int add_known(scmp_filter_ctx ctx, const struct filter_spec *spec)
{
	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *call = &call_table[i];
		int r;

		if (call->class == CALL_REFUSE && call->err == ENOSYS && !filter_call_lifted(spec, call->name))
			continue;
		r = seccomp_rule_add_exact(ctx, SCMP_ACT_ALLOW, call->nr, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_part(unsigned part, const struct filter_spec *spec, struct sock_filter **ret_insns, size_t *ret_n)
{
	_cleanup_ctx_ scmp_filter_ctx ctx = seccomp_init(part == 0 ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ struct sock_filter *insns = NULL;
	struct stat st;
	int r;

	if (!ctx)
		return -ENOMEM;
	/* x32 is "bad architecture" to libseccomp. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	if (r == 0)
		r = part == 0 ? add_known(ctx, spec) :
		    part == 1 ? filter_add_refusals(ctx, spec) : filter_add_traps(ctx, spec);
	if (r < 0)
		return r;
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	insns = malloc((size_t)st.st_size);
	if (!insns)
		return -ENOMEM;
	if (pread(fd, insns, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	*ret_insns = insns;
	*ret_n = (size_t)st.st_size / sizeof(*insns);
	insns = NULL;
	return 0;
}

int filter_build(const struct filter_spec *spec, struct sock_fprog *ret)
{
	static const struct sock_filter guard[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const size_t n_guard = sizeof(guard) / sizeof(guard[0]);
	struct sock_filter *parts[N_PARTS] = {0};
	struct sock_filter *all = NULL;
	size_t len[N_PARTS] = {0}, total = n_guard, at = n_guard;
	int r = 0;

	for (unsigned i = 0; i < N_PARTS && r == 0; i++) {
		r = make_part(i, spec, &parts[i], &len[i]);
		total += len[i];
	}
	if (r == 0 && total > BPF_MAXINSNS)
		r = -E2BIG;
	if (r == 0 && !(all = malloc(total * sizeof(*all))))
		r = -ENOMEM;
	if (r == 0) {
		memcpy(all, guard, sizeof(guard));
		for (unsigned i = 0; i < N_PARTS; i++) {
			memcpy(all + at, parts[i], len[i] * sizeof(*all));
			for (size_t k = 0; i + 1 < N_PARTS && k < len[i]; k++)
				if (parts[i][k].code == (BPF_RET | BPF_K) &&
				    parts[i][k].k == SECCOMP_RET_ALLOW)
					all[at + k] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
										   (uint32_t)(len[i] - k - 1));
			at += len[i];
		}
		*ret = (struct sock_fprog){(unsigned short)total, all};
	}
	for (unsigned i = 0; i < N_PARTS; i++)
		free(parts[i]);
	return r;
}

int filter_install(const struct sock_fprog *prog, bool listener, bool wait_killable)
{
	unsigned long flags = 0;

	if (listener)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	if (listener && wait_killable)
		flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog));
}
