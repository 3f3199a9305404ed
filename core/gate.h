/* SPDX-License-Identifier: Apache-2.0
 * `--gate on`: may this run have the gate (gate/README.md), and where is its library?
 */
#pragma once
#include "policy/plan.h"

/* Is all that this plan decides about opens either in its baseline, and then the kernel's to decide, or refused
 * there? 0, or -EINVAL with *RET_ERROR. RECORDING: every access is wanted. PRIVILEGED: creds_privileged(). */
int gate_check(const struct plan *plan, bool recording, bool privileged, struct policy_error *ret_error);
/* The library's path: beside this program, as in a build tree, else where `cmake --install` puts it. False: there is none. */
bool gate_find_library(char *buf, size_t size);
