/* SPDX-License-Identifier: Apache-2.0
 * The table of policy/syscalls.def, and look-ups in it.
 */
#include "policy/syscalls.h"
#include "policy/syscall_numbers.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ARG(n) ((n) + 1) /* arguments count from 0 in the kernel's table, from 1 in ours */
#define SYSCALL(name_, class_, ...) {.name = #name_, .nr = __NR_##name_, .class = CALL_##class_, __VA_ARGS__},

const struct call_desc call_table[] = {
#include "policy/syscalls.def"
};
const unsigned call_table_len = sizeof(call_table) / sizeof(call_table[0]);

const char *const call_class_names[] = {
	[CALL_ALLOW] = "allow", [CALL_REFUSE] = "refuse", [CALL_ARGS] = "registers", [CALL_OPEN] = "open",
	[CALL_EXEC] = "exec", [CALL_NAME] = "name", [CALL_TRUNCATE] = "truncate", [CALL_META] = "meta",
	[CALL_STAT] = "stat", [CALL_WATCH] = "watch", [CALL_CONNECT] = "connect", [CALL_BIND] = "bind",
	[CALL_CHDIR] = "chdir", [CALL_IDS] = "ids", [CALL_CONFINE] = "confine", [CALL_PID] = "pid",
};
static_assert(sizeof(call_class_names) / sizeof(call_class_names[0]) == CALL_CLASS_COUNT, "one name a class");

const struct call_desc *call_by_nr(int nr)
{
	/* Filled on first use; racing threads write the same values. */
	static const struct call_desc *by_nr[1024];
	static int ready;

	if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < call_table_len; i++)
			if (call_table[i].nr >= 0 && call_table[i].nr < 1024)
				__atomic_store_n(&by_nr[call_table[i].nr], &call_table[i], __ATOMIC_RELAXED);
		__atomic_store_n(&ready, 1, __ATOMIC_RELEASE); /* pairs with the acquire above */
	}
	return nr >= 0 && nr < 1024 ? by_nr[nr] : NULL;
}

const struct call_desc *call_by_name(const char *name)
{
	for (unsigned i = 0; i < call_table_len; i++)
		if (strcmp(call_table[i].name, name) == 0)
			return &call_table[i];
	return NULL;
}
