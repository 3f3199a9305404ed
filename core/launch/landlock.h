/* SPDX-License-Identifier: Apache-2.0
 * Landlock's three calls, and a ruleset from a list of grants. Calling thread only.
 */
#pragma once
#include "policy/plan.h"

int landlock_abi(void); /* 0 if there is none */
/* A ruleset fd from GRANTS masked to what this plan handles, or -errno. A path that vanished is
 * skipped. */
int landlock_ruleset(const struct plan *plan, const struct grant *grants, size_t n);
/* Two at once, of lists that name much the same objects and are sorted as the plan's are: each is opened once.
 * 0 with both descriptors, or -errno. */
int landlock_rulesets(const struct plan *plan, int *ret_upper, int *ret_baseline);
/* A ruleset fd that of what it handles grants RIGHTS, and those beneath DIR (any descriptor of it) only, or -errno. */
int landlock_beneath(int dir, uint64_t handled, uint64_t rights);
/* no_new_privs and restrict_self on the calling thread. 0 or -errno. */
int landlock_enter(int ruleset_fd);
