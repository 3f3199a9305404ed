/* SPDX-License-Identifier: Apache-2.0
 * Strings from another task's memory, also through what is kept of tasks that ask often.
 */
#include "core/target/memory.h"
#include "core/sys.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
/* after the above */
#include <cmocka.h>

enum { OFTEN = 20, PAGE = 4096, STACK = 65536 };

static char text[] = "of the test";
static int told[2];

static ssize_t read_often(pid_t pid, const void *at, char buf[PAGE])
{
	ssize_t n = 0;

	for (unsigned i = 0; i < OFTEN; i++)
		n = target_read_string_often(pid, (uintptr_t)at, buf, PAGE);
	return n;
}

static int wait_forever(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

/* Its memory is this program's until it is told to execute another one. */
static int execute_when_told(void *arg)
{
	char c;

	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(told[0], &c, 1) == 1)
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
	_exit(127);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
}

static void reads_what_is_there_now(void **state)
{
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), buf[PAGE];
	pid_t pid;

	(void)state;
	assert_true(shared != MAP_FAILED);
	pid = fork();
	if (pid == 0)
		wait_forever(NULL);
	for (unsigned i = 0; i < OFTEN; i++) {
		int n = sprintf(shared, "%u", i * i);

		assert_int_equal(target_read_string_often(pid, (uintptr_t)shared, buf, sizeof(buf)), n);
		assert_string_equal(buf, shared);
	}
	assert_int_equal(target_read_string_often(pid, 16, buf, sizeof(buf)), -EFAULT);
	assert_int_equal(read_often(pid, text, buf), sizeof(text) - 1);
	end(pid);
	assert_int_equal(target_read_string_often(pid, (uintptr_t)text, buf, sizeof(buf)), -ESRCH);
	munmap(shared, PAGE);
}

/* The bytes are of the program that runs now; of that before, if nobody told (which shows that there is a danger). */
static void after_an_execution(bool tell)
{
	char *stack = malloc(STACK), buf[PAGE];
	pid_t pid = clone(execute_when_told, stack + STACK, CLONE_VM | SIGCHLD, NULL);
	char exe[64], name[PAGE];
	ssize_t n;

	assert_true(pid > 0);
	assert_int_equal(read_often(pid, text, buf), sizeof(text) - 1);
	if (tell)
		target_executes(pid);
	assert_int_equal(write(told[1], "x", 1), 1);
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	do {
		n = readlink(exe, name, sizeof(name) - 1);
		assert_true(n > 0);
		name[n] = '\0';
	} while (!strstr(name, "sleep"));
	n = target_read_string_often(pid, (uintptr_t)text, buf, sizeof(buf));
	if (tell)
		assert_int_equal(n, -EFAULT);
	else
		assert_string_equal(buf, text);
	end(pid);
	free(stack);
	target_forget();
}

static void control_what_is_kept_is_the_memory_of_before(void **state)
{
	(void)state;
	after_an_execution(false);
}

static void an_execution_that_is_told_of_ends_it(void **state)
{
	(void)state;
	after_an_execution(true);
}

static int set_up(void **state)
{
	(void)state;
	return pipe2(told, O_CLOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_is_there_now),
		cmocka_unit_test(control_what_is_kept_is_the_memory_of_before),
		cmocka_unit_test(an_execution_that_is_told_of_ends_it),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
