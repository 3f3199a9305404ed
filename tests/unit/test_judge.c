/* SPDX-License-Identifier: Apache-2.0
 * Which calls may be left to the kernel: those whose outcome the target's Landlock domain bounds, whatever the
 * kernel reads in the target's memory. (Races that would show a wrong answer need kernels of that age:
 * bench/kernels --tests test_attacks.)
 */
#include "core/request.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
/* after the above */
#include <cmocka.h>

static bool bounded(int abi, long nr, uint64_t flags, bool loosened)
{
	struct plan plan = {.landlock_abi = abi, .handled_fs = landlock_fs_rights(abi)};
	const struct ruleset rules = {.plan = &plan, .loosened = loosened};
	struct supervisor sup = {.landlock = abi > 0};
	static struct request q; /* large */

	memset(&q, 0, sizeof(q));
	q.sup = &sup;
	q.rules = &rules;
	q.call = call_by_nr((int)nr);
	q.open_flags = flags;
	return request_is_bounded(&q);
}

static void nothing_is_without_landlock(void **state)
{
	(void)state;
	assert_false(bounded(0, SYS_openat, O_RDONLY, false));
	assert_true(bounded(7, SYS_openat, O_RDONLY, false));
}

static void nothing_is_once_a_rule_refuses_what_is_granted(void **state)
{
	(void)state;
	assert_false(bounded(7, SYS_openat, O_RDONLY, true));
	assert_false(bounded(7, SYS_unlink, 0, true));
}

static void no_truncation_is_before_abi_3(void **state)
{
	static const uint64_t truncating[] = {O_RDONLY | O_TRUNC, O_ACCMODE | O_TRUNC, O_RDONLY | O_TRUNC | O_CREAT};

	(void)state;
	for (int abi = 1; abi <= 4; abi++) {
		bool knows = abi >= 3;

		assert_int_equal(bounded(abi, SYS_truncate, 0, false), knows);
		assert_int_equal(bounded(abi, SYS_openat2, O_RDONLY, false), knows); /* its flags may change */
		for (size_t i = 0; i < sizeof(truncating) / sizeof(truncating[0]); i++) {
			assert_int_equal(bounded(abi, SYS_open, truncating[i], false), knows);
			assert_int_equal(bounded(abi, SYS_openat, truncating[i], false), knows);
		}
	}
}

static void what_the_right_to_write_bounds_is_at_every_abi(void **state)
{
	(void)state;
	for (int abi = 1; abi <= 4; abi++) {
		assert_true(bounded(abi, SYS_openat, O_RDONLY, false));
		assert_true(bounded(abi, SYS_openat, O_WRONLY | O_TRUNC, false));
		assert_true(bounded(abi, SYS_openat, O_RDWR | O_TRUNC | O_CREAT, false));
		assert_true(bounded(abi, SYS_unlink, 0, false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_without_landlock),
		cmocka_unit_test(nothing_is_once_a_rule_refuses_what_is_granted),
		cmocka_unit_test(no_truncation_is_before_abi_3),
		cmocka_unit_test(what_the_right_to_write_bounds_is_at_every_abi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
