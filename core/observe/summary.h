/* SPDX-License-Identifier: Apache-2.0
 * The summary of a run, as POLICY.md section 5 draws it. Values in, text out.
 */
#pragma once
#include "core/observe/remedy.h"
#include "core/observe/tally.h"
#include "policy/plan.h"

enum { SUMMARY_ROWS = 10, SUMMARY_ROWS_VERBOSE = 200 };

struct summary_input {
	const struct places *places;
	const struct plan *plan; /* NULL: unknown, nothing is said of what was not watched */
	const char *command;     /* argv[0] of the command */
	int wstatus;
	bool verbose;
	const struct refusal *refusals;
	size_t n_refusals;
	uint64_t others;         /* refusals of kinds past the tally's bound */
	uint64_t moves_refused;  /* renames answered EXDEV */
	const char *const *remarks; /* further lines, NULL-terminated */
};

/* Nothing worth a line: OUT stays empty. */
void summary_write(const struct summary_input *in, struct text *out);
/* What the kernel alone decided, unseen, as words: "reads". At most SIZE of them; their number. */
size_t unwatched_list(const struct plan *plan, const char **ret, size_t size);
