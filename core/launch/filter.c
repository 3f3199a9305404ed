/* SPDX-License-Identifier: Apache-2.0
 * The target's filter: parts chained into one program.
 *
 *   guard      another architecture than x86-64: the process is killed
 *   known      a number that is not in the table (x32 too): ENOSYS
 *   refusals   by name or by registers, an errno; several parts, each made by libseccomp
 *   gate       with --gate on: an openat from one instruction is allowed
 *   traps      a notification, made by libseccomp; what is left is allowed
 *
 * So an errno always wins over a notification, as it would between stacked filters, but the kernel
 * runs one program only, and keeps calls that no register decides in its bitmap of allowed calls.
 * Chaining replaces each "return allow" of a part by a jump to the next part; all other jumps stay
 * inside their part, and every part loads its own registers.
 */
#include "core/launch/filter.h"
#include "core/cleanup.h"
#include "core/launch/filter_parts.h"
#include "core/launch/prog.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <sys/mman.h>
#include <sys/prctl.h>

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

/* What is not in the table is answered ENOSYS: unknown and future calls, x32, and what is refused as if
 * it did not exist. */
static int add_known(struct prog *p, const struct filter_spec *spec)
{
	bool known[PROG_PAST_LAST_CALL + 1] = {false};

	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *call = &call_table[i];

		if (call->class == CALL_REFUSE && call->err == ENOSYS && !filter_call_lifted(spec, call->name))
			continue;
		if (call->nr < 0 || call->nr >= PROG_PAST_LAST_CALL)
			return -ERANGE;
		known[call->nr] = true;
	}
	return prog_add_known(p, known, SECCOMP_RET_ERRNO | ENOSYS);
}

/* Where libseccomp writes its programs to, one behind the other. */
struct parts {
	int fd;
	off_t end;
};

/* What CTX compiles to; malloc'ed. Unless it is the last, "return allow" becomes a jump past its end. */
static int compile(struct parts *parts, scmp_filter_ctx ctx, bool last, struct sock_filter **ret, size_t *ret_n)
{
	_cleanup_free_ struct sock_filter *insns = NULL;
	int r = seccomp_export_bpf(ctx, parts->fd);
	off_t end;
	ssize_t size;
	size_t n;

	if (r < 0)
		return r;
	end = lseek(parts->fd, 0, SEEK_CUR);
	size = end - parts->end;
	insns = malloc((size_t)size);
	if (!insns)
		return -ENOMEM;
	if (pread(parts->fd, insns, (size_t)size, parts->end) != size)
		return -EIO;
	parts->end = end;
	n = (size_t)size / sizeof(*insns);
	for (size_t i = 0; i < n && !last; i++)
		if (insns[i].code == (BPF_RET | BPF_K) && insns[i].k == SECCOMP_RET_ALLOW)
			insns[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)(n - i - 1));
	*ret = insns;
	insns = NULL;
	*ret_n = n;
	return 0;
}

static int add_part(struct prog *p, struct parts *parts, const struct filter_spec *spec, enum filter_group group)
{
	bool last = group == FILTER_GROUPS;
	uint32_t nrs[FILTER_MOST_CALLS];
	size_t n_nrs = 0, n = 0;
	int err = last ? 0 : filter_default_errno(group, spec, nrs, &n_nrs);
	_cleanup_ctx_ scmp_filter_ctx ctx = NULL;
	_cleanup_free_ struct sock_filter *insns = NULL;
	int r;

	if (err && n_nrs == 0)
		return 0; /* all of its calls are lifted */
	ctx = seccomp_init(err ? SCMP_ACT_ERRNO((uint32_t)err) : SCMP_ACT_ALLOW);
	if (!ctx)
		return -ENOMEM;
	/* x32 is "bad architecture" to libseccomp; it was answered before. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	if (r == 0)
		r = last ? filter_add_traps(ctx, spec) : filter_add_refusals(ctx, spec, group);
	if (r == 0)
		r = compile(parts, ctx, last, &insns, &n);
	if (r == 0 && err)
		r = prog_add_only(p, nrs, n_nrs, n);
	return r < 0 ? r : prog_add(p, insns, n);
}

int filter_build_begin(const struct filter_spec *spec, struct prog *ret)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct parts parts = {.fd = fd};
	int r = fd < 0 ? -errno : prog_add_guard(ret);

	if (r == 0)
		r = add_known(ret, spec);
	for (enum filter_group g = 0; r == 0 && g < FILTER_TASKS; g++)
		r = add_part(ret, &parts, spec, g);
	return r;
}

int filter_build_finish(const struct filter_spec *spec, struct prog *p, struct sock_fprog *ret)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	struct parts parts = {.fd = fd};
	int r = fd < 0 ? -errno : add_part(p, &parts, spec, FILTER_TASKS);

	/* Behind all that refuses, before what traps. */
	if (r == 0 && spec->gate)
		r = prog_add_gate(p, __NR_openat, spec->gate);
	if (r == 0)
		r = add_part(p, &parts, spec, FILTER_GROUPS);
	if (r == 0 && p->len > BPF_MAXINSNS)
		r = -E2BIG;
	if (r < 0)
		return r;
	*ret = (struct sock_fprog){(unsigned short)p->len, p->insns};
	p->insns = NULL;
	return 0;
}

int filter_build(const struct filter_spec *spec, struct sock_fprog *ret)
{
	struct prog p = {0};
	int r = filter_build_begin(spec, &p);

	if (r == 0)
		r = filter_build_finish(spec, &p, ret);
	free(p.insns);
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
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog));
}
