/* SPDX-License-Identifier: Apache-2.0
 * The supervisor or the warden dies, or both, or the command ends: a hostile tree dies with it.
 */
#include "launch_harness.h"

/* Processes whose environment holds the mark of this test. */
static unsigned count_marked(const char *mark)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[300], text[4096];
		int fd;
		ssize_t len;

		if (atoi(e->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, text, sizeof(text));
		close(fd);
		if (len > 0 && memmem(text, (size_t)len, mark, strlen(mark)))
			n++;
	}
	closedir(d);
	return n;
}

static char self[256];

/* Fork and exit: no number lives long enough to be found and killed. */
static int chain(void)
{
	double end = now_s() + 12;

	alarm(0);
	while (now_s() < end) {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
		if (pid < 0)
			usleep(100);
	}
	return 0;
}

/* Daemons in their own sessions, chains that fork and exit, one that is stopped, all deaf to signals;
 * a fork bomb that is held by its depth and by the limit on processes. MARK is in their arguments. */
static void hostile_script(char *buf, size_t size, const char *mark)
{
	snprintf(buf, size,
		 "exec 2>/dev/null; trap '' TERM INT HUP USR1; "
		 "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM INT HUP; "
		 "(setsid sh -c \"trap \\\"\\\" TERM; while :; do sleep 1; done\" %s) & "
		 "while :; do sleep 1; done' %s & done; "
		 "setsid sh -c 'n=0; while [ $n -lt 400 ]; do (sh -c \"sleep 20; :\" %s &); n=$((n+1)); "
		 "[ $n -gt 40 ] && sleep 0.05; done' %s & "
		 "sh -c 'kill -STOP $$; :' %s & "
		 "%s chain %s & setsid %s chain %s & "
		 ": > /tmp/%s; sleep 30; : %s", mark, mark, mark, mark, mark, self, mark, self, mark, mark, mark);
}

static pid_t start_hostile(char *mark, size_t size, const char *name)
{
	static unsigned serial;
	char script[2048], path[128];
	double end = now_s() + 10;
	pid_t pid;

	snprintf(mark, size, "launch-%s-%d-%u", name, getpid(), serial++);
	hostile_script(script, sizeof(script), mark);
	pid = start(script);
	snprintf(path, sizeof(path), "/tmp/%s", mark);
	while (access(path, F_OK) < 0 && now_s() < end)
		usleep(10000);
	assert_int_equal(unlink(path), 0);
	while (count_marked(mark) <= 10 && now_s() < end)
		usleep(10000);
	usleep(300000);
	assert_true(now_s() < end);
	return pid;
}

/* For whoever reads of a failure. */
static void show_survivors(void)
{
	if (system("ps -eo pid,ppid,pgid,stat,wchan:24,args | grep '[l]aunch-\\|[s]luice-' | cut -c1-120 >&2"))
		return;
}

static void assert_gone_within(const char *mark, double seconds)
{
	double end = now_s() + seconds;
	unsigned left;

	while ((left = count_marked(mark)) > 0 && now_s() < end)
		usleep(5000);
	if (left) {
		show_survivors();
		fail_msg("%u of %s live after %.1f s", left, mark, seconds);
	}
}

/* Survivors fall to us, a subreaper: a chain can slip through a look at /proc, but not through this. */
static void assert_no_orphans(double seconds)
{
	double end = now_s() + seconds;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && now_s() < end)
		if (pid == 0)
			usleep(1000);
	if (pid >= 0) {
		show_survivors();
		fail_msg("some of the tree live after %.1f s", seconds);
	}
}

/* The child of SUPERVISOR that calls itself the warden. */
static pid_t warden_of(pid_t supervisor)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while (!found && (e = readdir(d))) {
		char path[300], name[64];
		FILE *f;
		int pid, parent;

		if (atoi(e->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%d (%63[^)]) %*c %d", &pid, name, &parent) == 3 && parent == supervisor &&
		    strcmp(name, "sluice-warden") == 0)
			found = pid;
		fclose(f);
	}
	closedir(d);
	return found;
}

static void tree_dies_with_a_killed_supervisor(void **state)
{
	char mark[64];
	pid_t pid = start_hostile(mark, sizeof(mark), "S");

	(void)state;
	kill(pid, SIGKILL);
	ASSERT_SIGNAL(wait_for(pid), SIGKILL);
	assert_gone_within(mark, SOON);
	assert_no_orphans(SOON);
}

static void tree_dies_with_a_killed_warden(void **state)
{
	char mark[64];
	pid_t pid = start_hostile(mark, sizeof(mark), "K"), warden = warden_of(pid);

	(void)state;
	assert_true(warden > 0);
	kill(warden, SIGKILL);
	assert_gone_within(mark, SOON);
	ASSERT_SIGNAL(wait_for(pid), SIGKILL);
	assert_no_orphans(SOON);
}

/* Only the kernel can do that. */
static void traced_tree_dies_when_both_are_killed_at_once(void **state)
{
	char mark[64];
	pid_t pid, warden;

	(void)state;
	if (!mode.ptrace)
		return;
	pid = start_hostile(mark, sizeof(mark), "B");
	warden = warden_of(pid);
	assert_true(warden > 0);
	kill(warden, SIGSTOP);
	kill(pid, SIGKILL);
	kill(warden, SIGKILL);
	ASSERT_SIGNAL(wait_for(pid), SIGKILL);
	assert_gone_within(mark, SOON);
	assert_no_orphans(SOON);
}

static void tree_dies_while_the_supervisor_is_stopped(void **state)
{
	char mark[64];
	pid_t pid = start_hostile(mark, sizeof(mark), "T");

	(void)state;
	kill(pid, SIGSTOP);
	usleep(50000);
	kill(pid, SIGKILL);
	ASSERT_SIGNAL(wait_for(pid), SIGKILL);
	assert_gone_within(mark, SOON);
	assert_no_orphans(SOON);
}

static void leftovers_end_with_the_command(void **state)
{
	char mark[64], script[2300], hostile[2048];

	(void)state;
	snprintf(mark, sizeof(mark), "launch-left-%d", getpid());
	hostile_script(hostile, sizeof(hostile), mark);
	snprintf(script, sizeof(script), "(%s) & sleep 0.5; rm -f /tmp/%s; exit 4", hostile, mark);
	ASSERT_EXIT(run_script(script), 4);
	assert_int_equal(count_marked(mark), 0);
	assert_no_orphans(0.1);
}

/* Killed before its first instruction, by the object, whatever its name; others run. */
static void traced_programs_are_checked_before_they_run(void **state)
{
	char path[] = "/tmp/launch.exec.XXXXXX", script[256];
	struct stat st;
	int fd;

	(void)state;
	if (!mode.ptrace)
		return;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	snprintf(script, sizeof(script), "cp /bin/echo %s && chmod 755 %s", path, path);
	assert_int_equal(system(script), 0);
	assert_int_equal(stat(path, &st), 0);
	forbidden_program = st.st_ino;
	snprintf(script, sizeof(script), "echo fine; %s no; test $? = 137 && (exec %s no); test $? = 137", path, path);
	ASSERT_EXIT(run_script(script), 0);
	ASSERT_SIGNAL(run_command(path, start_continuing), SIGKILL);
	forbidden_program = 0;
	unlink(path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_dies_with_a_killed_supervisor),
		cmocka_unit_test(tree_dies_with_a_killed_warden),
		cmocka_unit_test(traced_tree_dies_when_both_are_killed_at_once),
		cmocka_unit_test(tree_dies_while_the_supervisor_is_stopped),
		cmocka_unit_test(leftovers_end_with_the_command),
		cmocka_unit_test(traced_programs_are_checked_before_they_run),
	};

	if (argc > 1 && strcmp(argv[1], "chain") == 0)
		return chain();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	return run_in_all_modes(tests, sizeof(tests) / sizeof(tests[0]));
}
