/* SPDX-License-Identifier: Apache-2.0
 * Inside the filter only: the parts of which it is made.
 *
 * libseccomp picks among overlapping rules of one call by its own order, and a call that matches none
 * of its rules gets the filter's default. So each part is a filter of its own, with rules that need
 * no order, and filter.c chains them: a part's "allow" goes on to the next part.
 */
#pragma once
#include "core/launch/filter.h"
#include <seccomp.h>

#define LOW32 0xffffffffU /* of an argument that the kernel takes for an int */

/* What `allow call` lifts. */
bool filter_call_lifted(const struct filter_spec *spec, const char *name);
/* Is a task that a call names judged by the supervisor (else: only ours are refused)? */
bool filter_traps_pid(const struct filter_spec *spec, const struct call_desc *call);
/* ACTION for each signal that our threads don't block (but KILL by kill: see filter_traps_pid()), in argument ARG of call
 * NR; with CMD, if not 0, in the argument before it. 0 or -errno. */
int filter_rules_on_signals(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg, uint32_t cmd);
/* Is it refused outright, because nothing bounds it and it can't be judged? */
bool filter_refuses_task_call(const struct filter_spec *spec, const struct call_desc *call);

/* Parts that refuse. libseccomp's time grows with the square of the rules: so they are small, and where less is
 * allowed than is refused the rules say what is allowed. Only FILTER_TASKS looks at filter_spec.protected. */
enum filter_group {
	FILTER_BY_NAME, FILTER_IOCTL, FILTER_SOCKETS, FILTER_PERMITS, FILTER_MISC, FILTER_TASKS, FILTER_GROUPS
};
#define FILTER_MOST_CALLS 32
/* The errno of what the rules of a part don't allow, and in RET_NRS (FILTER_MOST_CALLS) the numbers of the only
 * calls that the part is for; 0: the default is allow, for all calls. */
int filter_default_errno(enum filter_group group, const struct filter_spec *spec, uint32_t *ret_nrs, size_t *ret_n);
int filter_add_refusals(scmp_filter_ctx ctx, const struct filter_spec *spec, enum filter_group group);
/* The part that traps, default allow. */
int filter_add_traps(scmp_filter_ctx ctx, const struct filter_spec *spec);

/* One rule with one or two comparisons of the lower 32 bits of an argument, which is all that the
 * kernel looks at where the argument is an int. 0 or -errno. */
int filter_rule1(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg, uint32_t mask, uint32_t value);
int filter_rule2(scmp_filter_ctx ctx, uint32_t action, int nr, unsigned arg_a, uint32_t mask_a,
		 uint32_t value_a, unsigned arg_b, uint32_t mask_b, uint32_t value_b);
