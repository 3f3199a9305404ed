/* SPDX-License-Identifier: Apache-2.0
 * The stages of a run and of a request, each as something that can be done again and again: for
 * micro_stages.cc and micro_start.cc, which time them, and for `steps`, whose instructions are counted.
 *
 * Plain C types: the core's headers are no C++. One thread.
 */
#pragma once
#include <stddef.h>

enum stage_kind {
	STAGE_REQUEST, /* a step of one notification */
	STAGE_START,   /* a step of `sluice run` before the command is there */
};

struct stage {
	const char *name;
	enum stage_kind kind;
	const char *what;
	int (*turn)(void); /* 0 or -errno */
};

extern const struct stage stages[];
extern const size_t n_stages;

/* Once, before any turn: a scratch tree, a target, a policy and its plan. 0 or -errno. */
int stages_init(void);
void stages_done(void);
