/* SPDX-License-Identifier: Apache-2.0
 * Rules that are added to a run and removed from it: `sluice rule`.
 *
 * They have the highest rank. What the kernel enforces was fixed when the run started and stays: a new
 * refusal holds for all that the supervisor decides, a new grant for what the confined workers can do; a rule
 * that can't act is refused, and what it can't take back is said.
 *
 * One thread, unconfined, calls all of this while the workers run.
 */
#pragma once
#include "core/observe/text.h"
#include "core/supervisor.h"

struct runtime;

/* BASE is what the run started with; CAPS as for its plan. All must outlive the runtime. */
int runtime_new(struct supervisor *sup, const struct ruleset *base, const struct plan_caps *caps,
		struct runtime **ret);
/* When no worker runs any more. */
void runtime_free(struct runtime *rt);

/* Add the rule in LINE, as in a policy. *RET_NUMBER names it; NOTES gets lines about what it can't do. 0 or
 * -errno with the reason in words. */
int runtime_add(struct runtime *rt, const char *line, unsigned *ret_number, struct text *notes,
		struct policy_error *ret_error);
/* 0 or -ENOENT. */
int runtime_remove(struct runtime *rt, unsigned number, struct policy_error *ret_error);
void runtime_each(const struct runtime *rt, void (*each)(void *ctx, unsigned number, const char *line),
		  void *ctx);
