/* SPDX-License-Identifier: Apache-2.0
 * Exit status, what the command finds, the protection of the supervisor, forwarded signals.
 */
#include "launch_harness.h"

/* ---- exit status ---- */

static void ends_with_the_status_of_the_command(void **state)
{
	(void)state;
	ASSERT_EXIT(run_script("exit 0"), 0);
	ASSERT_EXIT(run_script("exit 1"), 1);
	ASSERT_EXIT(run_script("exit 200"), 200);
}

static void dies_of_the_signal_that_killed_the_command(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGKILL, SIGSEGV, SIGABRT, SIGPIPE, SIGUSR1, SIGHUP};
	char script[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		snprintf(script, sizeof(script), "kill -%d $$; sleep 5", signals[i]);
		ASSERT_SIGNAL(run_script(script), signals[i]);
	}
}

static void tells_missing_from_not_executable(void **state)
{
	(void)state;
	ASSERT_EXIT(run_command("no-such-command", start_continuing), 127);
	ASSERT_EXIT(run_command("/no/such/command", start_continuing), 127);
	ASSERT_EXIT(run_command("", start_continuing), 127);
	ASSERT_EXIT(run_command("/etc/passwd", start_continuing), 126);
	ASSERT_EXIT(run_command("/etc", start_continuing), 126);
}

static void gives_up_when_the_workers_do(void **state)
{
	(void)state;
	if (mode.supervise)
		ASSERT_EXIT(run_command("true", refuse_to_start), 125);
}

static void runs_a_script_without_an_interpreter_line(void **state)
{
	char path[] = "/tmp/launch.test.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	dprintf(fd, "exit 7\n");
	fchmod(fd, 0755);
	close(fd);
	ASSERT_EXIT(run_command(path, start_continuing), 7);
	unlink(path);
}

/* ---- what the command finds ---- */

static void hands_down_no_descriptor_but_three(void **state)
{
	struct rlimit old;
	int fds[50], high;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	for (unsigned i = 0; i < 50; i++)
		fds[i] = dup(1); /* not close-on-exec */
	high = fcntl(1, F_DUPFD, 900);
	assert_true(high >= 900);
	ASSERT_EXIT(run_script("test \"$(ls /proc/self/fd | tr '\\n' ' ')\" = '0 1 2 3 '"), 0);
	/* Descriptors above the limit are as open as any. */
	for (unsigned i = 0; i < 44; i++)
		close(fds[i]);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){60, old.rlim_max});
	ASSERT_EXIT(run_script("test ! -e /proc/$$/fd/900"), 0);
	setrlimit(RLIMIT_NOFILE, &old);
	for (unsigned i = 44; i < 50; i++)
		close(fds[i]);
	close(high);
}

static void hands_down_no_listener(void **state)
{
	(void)state;
	ASSERT_EXIT(run_script("ls -l /proc/self/fd /proc/$$/fd >/dev/null || exit 1; "
			       "! ls -l /proc/self/fd /proc/$$/fd | grep -q 'seccomp notify'"), 0);
}

static void hands_down_no_core_limit_and_no_new_rights(void **state)
{
	(void)state;
	ASSERT_EXIT(run_script("test \"$(ulimit -Hc)$(ulimit -Sc)\" = 00"), 0);
	ASSERT_EXIT(run_script("grep -q '^NoNewPrivs:.1$' /proc/self/status"), 0);
	ASSERT_EXIT(run_script("grep -q '^Seccomp:.2$' /proc/self/status"), 0);
	/* Memory pressure should take the command first. */
	ASSERT_EXIT(run_script("test $(cat /proc/self/oom_score_adj) -ge 100"), 0);
}

static void hands_down_the_signal_mask_and_what_is_ignored(void **state)
{
	char masks[2][128] = {"", ""};
	const char *what = "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr '\\n\\t' '  '";
	sigset_t usr2;

	(void)state;
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, NULL);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	for (unsigned i = 0; i < 2; i++) {
		int out[2], saved = dup(1);
		pid_t pid;

		assert_int_equal(pipe(out), 0);
		fflush(stdout);
		dup2(out[1], 1);
		if (i == 0) {
			pid = fork();
			if (pid == 0) {
				execl("/bin/sh", "sh", "-c", what, (char *)NULL);
				_exit(99);
			}
		} else {
			pid = start(what);
		}
		dup2(saved, 1);
		close(saved);
		close(out[1]);
		ASSERT_EXIT(wait_for(pid), 0);
		assert_true(read(out[0], masks[i], sizeof(masks[i]) - 1) > 0);
		close(out[0]);
	}
	sigprocmask(SIG_UNBLOCK, &usr2, NULL);
	signal(SIGUSR1, SIG_DFL);
	assert_string_equal(masks[0], masks[1]);
}

static void lets_the_command_make_a_session(void **state)
{
	(void)state;
	ASSERT_EXIT(run_script("setsid sh -c 'exit 5'"), 5);
	ASSERT_EXIT(run_script("exec setsid -w sh -c 'exit 6'"), 6);
}

/* ---- the supervisor's protection ---- */

static void can_not_be_signalled_by_the_command(void **state)
{
	(void)state;
	/* $PPID is the warden, its parent the supervisor. */
	ASSERT_EXIT(run_script("s=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' /proc/$PPID/stat); "
			       "grep -q sluice-warden /proc/$PPID/comm || exit 9; "
			       "! kill -KILL $PPID 2>/dev/null && ! kill -STOP $s 2>/dev/null && "
			       "kill -0 $$"), 0);
}

static void can_not_be_slowed_by_the_command(void **state)
{
	(void)state;
	if (mode.supervise)
		return; /* the same */
	ASSERT_EXIT(run_script("s=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' /proc/$PPID/stat); "
			       "for v in $s $PPID; do "
			       "renice -n 5 -p $v 2>/dev/null && exit 1; "
			       "ionice -c 3 -p $v 2>/dev/null && exit 2; "
			       "prlimit --pid $v --cpu=1 2>/dev/null && exit 3; "
			       "taskset -p 1 $v >/dev/null 2>&1 && exit 4; done; "
			       "renice -n 5 -p $$ >/dev/null && taskset -p 1 $$ >/dev/null"), 0);
}

/* ---- signals to the supervisor ---- */

static void forwards_what_is_sent_to_the_supervisor(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

	(void)state;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		char script[256], c;
		int out[2], saved = dup(1);
		pid_t pid;

		assert_int_equal(pipe(out), 0);
		fflush(stdout);
		dup2(out[1], 1);
		snprintf(script, sizeof(script), "trap 'exit 42' %d; echo; n=0; while [ $n -lt 400 ]; do sleep 0.05; n=$((n+1)); done",
			 signals[i]);
		pid = start(script);
		dup2(saved, 1);
		close(saved);
		close(out[1]);
		assert_int_equal(read(out[0], &c, 1), 1);
		kill(pid, signals[i]);
		ASSERT_EXIT(wait_for(pid), 42);
		close(out[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_with_the_status_of_the_command),
		cmocka_unit_test(dies_of_the_signal_that_killed_the_command),
		cmocka_unit_test(tells_missing_from_not_executable),
		cmocka_unit_test(gives_up_when_the_workers_do),
		cmocka_unit_test(runs_a_script_without_an_interpreter_line),
		cmocka_unit_test(hands_down_no_descriptor_but_three),
		cmocka_unit_test(hands_down_no_listener),
		cmocka_unit_test(hands_down_no_core_limit_and_no_new_rights),
		cmocka_unit_test(hands_down_the_signal_mask_and_what_is_ignored),
		cmocka_unit_test(lets_the_command_make_a_session),
		cmocka_unit_test(can_not_be_signalled_by_the_command),
		cmocka_unit_test(can_not_be_slowed_by_the_command),
		cmocka_unit_test(forwards_what_is_sent_to_the_supervisor),
	};

	return run_in_all_modes(tests, sizeof(tests) / sizeof(tests[0]));
}
