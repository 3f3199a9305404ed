/* SPDX-License-Identifier: Apache-2.0
 * `sluice explain` in two halves: a verdict on one path (explain.c), the plan as a whole
 * (explain_plan.c).
 */
#pragma once
#include "core/observe/remedy.h"
#include "policy/plan.h"

struct explain {
	struct policy *policy;
	struct plan *plan;
	struct places places;
	bool verbose;
};

/* Add "FILE:LINE" of RULE, or the option that it came from. */
void explain_where(struct text *out, const struct rule *rule);
/* Would the call that needs OP be trapped, so that a refusal can be reported? */
bool explain_is_trapped(const struct plan *plan, enum op op);
/* The whole of --plan. */
void explain_plan(const struct explain *e, struct text *out);
