/* SPDX-License-Identifier: Apache-2.0
 * The table of system calls is complete and consistent.
 */
#include "policy/syscall_numbers.h"
#include "policy/syscalls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A number that is not sorted into a class is a hole nobody looked at: the list comes from the C
 * library's own header. */
static void knows_every_call_of_the_headers(void **state)
{
	static const char *const headers[] = {
		"/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h",
	};
	FILE *f = NULL;
	char line[256], name[128];
	unsigned n = 0;
	int nr;

	(void)state;
	for (unsigned i = 0; !f && i < sizeof(headers) / sizeof(headers[0]); i++)
		f = fopen(headers[i], "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define __NR_%127s %d", name, &nr) != 2)
			continue;
		n++;
		if (!call_by_nr(nr) || strcmp(call_by_nr(nr)->name, name) != 0)
			fail_msg("%s (%d) is not in policy/syscalls.def", name, nr);
	}
	fclose(f);
	assert_true(n > 300);
}

static void knows_every_number_up_to_linux_6_18(void **state)
{
	(void)state;
	for (int nr = 0; nr <= 336; nr++)
		assert_non_null(call_by_nr(nr));
	for (int nr = 424; nr <= 469; nr++)
		assert_non_null(call_by_nr(nr));
	for (int nr = 337; nr < 424; nr++)
		assert_null(call_by_nr(nr));
	assert_null(call_by_nr(470));
	assert_null(call_by_nr(-1));
	assert_null(call_by_nr(1 << 30));
}

static void has_each_call_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < call_table_len; i++) {
		assert_ptr_equal(call_by_nr(call_table[i].nr), &call_table[i]);
		assert_ptr_equal(call_by_name(call_table[i].name), &call_table[i]);
	}
	assert_null(call_by_name("no_such_call"));
}

static void has_positions_that_fit_the_class(void **state)
{
	(void)state;
	for (unsigned i = 0; i < call_table_len; i++) {
		const struct call_desc *c = &call_table[i];
		const uint8_t all[] = {c->dirfd, c->path, c->dirfd2, c->path2, c->flags, c->mode, c->fd,
				       c->addr, c->addrlen, c->pid};

		for (unsigned k = 0; k < sizeof(all); k++)
			assert_in_range(all[k], 0, 6);
		switch (c->class) {
		case CALL_OPEN:
		case CALL_EXEC:
		case CALL_NAME:
		case CALL_TRUNCATE:
		case CALL_WATCH:
			assert_true(c->path);
			break;
		case CALL_STAT:
		case CALL_META:
		case CALL_CHDIR:
			assert_true(c->path || c->fd);
			break;
		case CALL_CONNECT:
		case CALL_BIND:
			assert_true(c->fd && (c->nr == __NR_listen || (c->addr && c->addrlen)));
			break;
		case CALL_PID:
			assert_true(c->pid || c->fd);
			break;
		case CALL_REFUSE:
			assert_true(c->err > 0);
			break;
		default:
			assert_false(c->path || c->fd || c->addr || c->pid || c->err);
		}
		assert_non_null(call_class_names[c->class]);
	}
}

/* Two halves of a pair must be in one class, or one is a way around the other. */
static void sorts_twins_alike(void **state)
{
	static const char *const twins[][2] = {
		{"open", "creat"},           {"open", "openat2"},       {"rename", "renameat2"},
		{"utime", "utimensat"},      {"utimes", "futimesat"},   {"chown", "lchown"},
		{"chmod", "fchmodat2"},      {"mknod", "mknodat"},      {"access", "faccessat2"},
		{"setxattr", "setxattrat"},  {"getxattr", "getxattrat"},{"listxattr", "listxattrat"},
		{"removexattr", "removexattrat"}, {"stat", "statx"},    {"unlink", "rmdir"},
		{"kill", "pidfd_send_signal"}, {"execve", "execveat"},  {"setrlimit", "prctl"},
		{"chmod", "file_setattr"},   {"stat", "file_getattr"},  {"connect", "sendto"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(twins) / sizeof(twins[0]); i++)
		assert_int_equal(call_by_name(twins[i][0])->class, call_by_name(twins[i][1])->class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_every_call_of_the_headers),
		cmocka_unit_test(knows_every_number_up_to_linux_6_18),
		cmocka_unit_test(has_each_call_once),
		cmocka_unit_test(has_positions_that_fit_the_class),
		cmocka_unit_test(sorts_twins_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
