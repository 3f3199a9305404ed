/* SPDX-License-Identifier: Apache-2.0
 * What `sluice trace` tells: a digest for a person, or lists for a build tool.
 */
#pragma once
#include "core/facts/facts.h"
#include "core/observe/text.h"
#include "core/trace/deps.h"

enum trace_lists {
	TRACE_INPUTS = 1, TRACE_OUTPUTS = 2, TRACE_MISSING = 4, TRACE_UNDECLARED = 8,
};

struct trace_report {
	unsigned lists;           /* 0: the digest */
	struct deps *declared; /* with TRACE_UNDECLARED */
	bool json, zero;          /* lists as JSON lines, or exact names that end in a NUL */
	bool system;              /* undeclared: files of the system as well */
	bool verbose;             /* the digest shows all names */
	const char *home;         /* shown as ~; may be NULL */
	const char *trouble;      /* what is wrong with the record itself; may be NULL */
};

/* Append it to OUT. *RET_UNDECLARED is the number of undeclared inputs, 0 without a list. */
void trace_report(struct facts *f, const struct trace_report *how, struct text *out, size_t *ret_undeclared);

/* Inputs are files that were read or executed and that the run had not made itself. */
bool trace_is_input(const struct fact *fact);
/* Outputs are files, links and directories that the run made or changed, and that are there at its end. */
bool trace_is_output(const struct fact *fact);
/* Looked for in vain, and not made by the run itself. */
bool trace_is_missing(const struct fact *fact);
/* Does it belong to the installed system: /usr and its like, the caches of the loader? */
bool trace_is_system(const char *path);
