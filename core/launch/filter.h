/* SPDX-License-Identifier: Apache-2.0
 * The seccomp filter of the target, made with libseccomp from policy/syscalls.def and the plan,
 * exported as BPF and installed with the flags that libseccomp does not know yet.
 */
#pragma once
#include "core/features.h"
#include "core/launch/prog.h"
#include "policy/plan.h"
#include <linux/filter.h>

#define FILTER_MAX_PROTECTED 4

struct filter_spec {
	const struct plan *plan;
	const struct features *features;
	const char *const *allowed_calls;
	pid_t supervisor;      /* its pid: kill and its kin on it are refused */
	bool supervise;        /* false: what would be trapped is allowed or refused by registers */
	bool trap_ids;         /* the supervisor is privileged: set*id must be seen */
	bool signals_scoped;   /* Landlock keeps signals inside: kill needs no trap */
	/* Other tasks of ours that no call may name (warden, threads); 0 ends the list. */
	pid_t protected[FILTER_MAX_PROTECTED];
	uint64_t gate;         /* an openat from this instruction pointer is not trapped; 0: none */
	bool refuse_untraced;  /* under ptrace: CLONE_UNTRACED would leave the tree */
};

/* *ret->filter is malloc'ed. 0 or -errno. */
int filter_build(const struct filter_spec *spec, struct sock_fprog *ret);
/* The same in two halves, the first and longer one without the tasks of spec->protected. The caller frees
 * the program's instructions after either. */
int filter_build_begin(const struct filter_spec *spec, struct prog *ret);
int filter_build_finish(const struct filter_spec *spec, struct prog *p, struct sock_fprog *ret);
/* Install on the calling thread. Listener fd (CLOEXEC), 0 without a listener, or -errno. */
int filter_install(const struct sock_fprog *prog, bool listener, bool wait_killable);
/* The filter of the confined workers. */
int filter_install_worker(void);
