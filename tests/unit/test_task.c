/* SPDX-License-Identifier: Apache-2.0
 * What is kept of the task seen last is that task's, and never another one's that has its number.
 */
#include "core/target/task.h"
#include "core/sys.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
/* after the above */
#include <cmocka.h>

static int ready[2];

/* A child in DIR that waits. */
static pid_t start(mode_t mask, const char *dir)
{
	pid_t pid = fork();
	char c = 'r';

	if (pid == 0) {
		umask(mask);
		if (chdir(dir) < 0 || write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool is_in(pid_t pid, const char *dir)
{
	struct stat there, st = {0};
	int fd = task_open_dir(pid, AT_FDCWD);

	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
	}
	assert_int_equal(stat(dir, &there), 0);
	return fd >= 0 && st.st_dev == there.st_dev && st.st_ino == there.st_ino;
}

static bool identity_is(pid_t pid, const char *dir)
{
	struct statx stx;
	struct stat there;

	assert_int_equal(stat(dir, &there), 0);
	return task_identify_dir(pid, AT_FDCWD, &stx) == 0 && stx.stx_ino == there.st_ino;
}

static bool name_is(pid_t pid, const char *dir)
{
	char name[4096];
	ssize_t n = task_read_dir_name(pid, AT_FDCWD, name, sizeof(name));

	return n == (ssize_t)strlen(dir) && memcmp(name, dir, (size_t)n) == 0;
}

/* The next fork gets PID, if nobody else forks meanwhile. False: not allowed. */
static bool next_is(pid_t pid)
{
	FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	bool ok = f && fprintf(f, "%d", pid - 1) > 0;

	return f && fclose(f) == 0 && ok;
}

static void each_task_is_itself(void **state)
{
	pid_t a = start(077, "/usr"), b = start(02, "/etc");

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		pid_t pid = i / 2 % 2 ? b : a;

		assert_int_equal(task_read_umask(pid), pid == a ? 077 : 02);
		assert_true(is_in(pid, pid == a ? "/usr" : "/etc"));
		assert_true(identity_is(pid, pid == a ? "/usr" : "/etc"));
		assert_false(task_fds_exhausted(pid));
	}
	end(a);
	end(b);
}

static void nothing_is_found_of_a_task_that_is_gone(void **state)
{
	pid_t a = start(077, "/usr");
	struct task_status s;
	struct statx stx;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int fd = task_get_fd(a, ready[0]);

		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(task_read_umask(a), 077);
		assert_true(is_in(a, "/usr"));
		assert_true(name_is(a, "/usr"));
	}
	end(a);
	assert_int_equal(task_get_fd(a, ready[0]), -ESRCH);
	assert_int_equal(task_read_umask(a), -ESRCH);
	assert_int_equal(task_read_status(a, &s), -ESRCH);
	assert_true(task_open_dir(a, AT_FDCWD) < 0);
	assert_true(task_identify_dir(a, AT_FDCWD, &stx) < 0);
	assert_false(name_is(a, "/usr"));
}

static void a_directory_that_is_gone_has_no_name(void **state)
{
	char dir[] = "/tmp/sluice-test-XXXXXX", name[4096];
	pid_t a;

	(void)state;
	assert_non_null(mkdtemp(dir));
	a = start(077, dir);
	assert_true(name_is(a, dir));
	assert_int_equal(task_read_dir_name(a, AT_FDCWD, name, strlen(dir)), -ENAMETOOLONG);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(task_read_dir_name(a, AT_FDCWD, name, sizeof(name)), -ENOENT);
	end(a);
}

static void a_number_that_another_task_has_now_is_that_one(void **state)
{
	unsigned tries = 0;

	(void)state;
	for (unsigned done = 0; done < 4 && tries < 200; tries++) {
		pid_t a = start(077, "/usr"), b;
		struct task_status s;
		int fd;

		for (unsigned i = 0; i < 3; i++) {
			fd = task_get_fd(a, ready[0]);
			assert_true(fd >= 0);
			close(fd);
			assert_int_equal(task_read_umask(a), 077);
			assert_true(is_in(a, "/usr"));
		}
		end(a);
		if (!next_is(a))
			skip();
		b = start(02, "/etc");
		if (b == a) {
			/* Each kept thing is the first to be asked in one of the rounds. */
			if (done == 0)
				assert_int_equal(task_read_umask(b), 02);
			if (done == 1)
				assert_true(is_in(b, "/etc"));
			if (done == 2)
				assert_true(identity_is(b, "/etc"));
			fd = task_get_fd(b, ready[1]);
			assert_true(fd >= 0);
			close(fd);
			assert_int_equal(task_read_status(b, &s), 0);
			assert_int_equal(s.umask, 02);
			assert_true(is_in(b, "/etc"));
			done++;
		}
		end(b);
	}
	assert_true(tries < 200);
}

static int keep(void **state)
{
	(void)state;
	task_keep();
	return pipe2(ready, O_CLOEXEC);
}

static int keep_done(void **state)
{
	(void)state;
	task_keep_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_task_is_itself),
		cmocka_unit_test(nothing_is_found_of_a_task_that_is_gone),
		cmocka_unit_test(a_directory_that_is_gone_has_no_name),
		cmocka_unit_test(a_number_that_another_task_has_now_is_that_one),
	};

	return cmocka_run_group_tests(tests, keep, keep_done);
}
