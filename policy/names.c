/* SPDX-License-Identifier: Apache-2.0
 * The words of the language for operations and actions.
 */
#include "policy/rule.h"

#include <assert.h>

const char *const op_names[] = {
	[OP_READ] = "read", [OP_LIST] = "list", [OP_WRITE] = "write", [OP_CREATE] = "create",
	[OP_DELETE] = "delete", [OP_EXEC] = "exec", [OP_META] = "meta", [OP_STAT] = "stat",
	[OP_CONNECT] = "connect", [OP_BIND] = "bind",
};
static_assert(sizeof(op_names) / sizeof(op_names[0]) == OP_COUNT, "one word an operation");

const char *const action_names[] = {
	[ACTION_ALLOW] = "allow", [ACTION_ASK] = "ask", [ACTION_DENY] = "deny", [ACTION_NEVER] = "never",
};
static_assert(sizeof(action_names) / sizeof(action_names[0]) == ACTION_COUNT, "one word an action");
