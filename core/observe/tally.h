/* SPDX-License-Identifier: Apache-2.0
 * Refusals counted by kind: operation, object, rule, who decided, program.
 *
 * Any thread, under its own lock; bounded: past TALLY_KINDS_MAX kinds only their number grows.
 */
#pragma once
#include "core/observe/observe.h"
#include "core/observe/text.h"

enum { TALLY_KINDS_MAX = 4096 };

struct refusal {
	enum op op;
	const char *target; /* a path, or an address */
	size_t target_len;
	bool is_address;
	const struct rule *rule;
	enum action action;
	enum observed_by by;
	const char *detail; /* or NULL */
	const char *exe;    /* the program's path, or "" if it could not be told */
	int err;
	uint64_t count, first; /* FIRST: place in the order of first sight */
};

struct tally;

struct tally *tally_new(void);
/* Count EVENT, refused for the program EXE. */
void tally_add(struct tally *t, const struct access_event *event, const char *exe);
/* No thread may add any more: the kinds, and how many times refusals were of none of them. */
const struct refusal *tally_kinds(const struct tally *t, size_t *ret_n, uint64_t *ret_others);
void tally_free(struct tally *t);
