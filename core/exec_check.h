/* SPDX-License-Identifier: Apache-2.0
 * exec-holes checked: what was really executed, compared with the policy before its first instruction.
 */
#pragma once
#include "core/request.h"

/* The user was asked about this exec and said yes: the object in at[0], by this thread, once. Any thread. */
void exec_check_approve(const struct request *q);
/* TID executes something else: what was approved before and did not come about is void. Any thread. */
void exec_check_forget(pid_t tid);
/* may_execute of struct launch_config. SUP as ctx. The tracer's thread. */
bool exec_check(const struct supervisor *sup, pid_t pid, pid_t former);
