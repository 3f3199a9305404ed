/* SPDX-License-Identifier: Apache-2.0
 * landlock-grants POLICY TMPDIR: the arguments with which landlock-launch applies the rules that
 * `sluice run -p POLICY` gives its command, $TMPDIR being TMPDIR, each ended by a zero byte.
 */
#include "core/features.h"
#include "core/launch/landlock.h"
#include "core/run.h"
#include "core/target/creds.h"

#include <stdio.h>

static void print_number(uint64_t n)
{
	printf("%llx%c", (unsigned long long)n, 0);
}

int main(int argc, char **argv)
{
	const char *const protect[] = {NULL};
	const char *policies[] = {argc > 1 ? argv[1] : NULL};
	struct policy_options options = {.policies = policies, .n_policies = 1};
	struct plan_caps caps = {.landlock_abi = landlock_abi(), .supervisor = true, .ptrace_exec = true,
				 .privileged = creds_privileged()};
	struct policy_error error = {0};
	struct policy *policy;
	struct plan *plan;

	if (argc != 3) {
		fprintf(stderr, "usage: landlock-grants POLICY TMPDIR\n");
		return 2;
	}
	if (policy_load(&options, argv[2], protect, &policy, &error) < 0 ||
	    policy_plan(policy, &caps, &plan, &error) < 0) {
		fprintf(stderr, "landlock-grants: %s\n", error.text);
		return 1;
	}
	print_number(plan->handled_fs);
	print_number(plan->handled_net);
	print_number(plan->scoped);
	for (size_t i = 0; i < plan->n_baseline; i++) {
		const struct grant *g = &plan->baseline[i];

		printf("%llx:%s%c", (unsigned long long)(g->is_dir ? g->rights : g->rights & LL_FILE_RIGHTS),
		       g->path, 0);
	}
	plan_free(plan);
	policy_free(policy);
	return 0;
}
