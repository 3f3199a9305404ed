/* SPDX-License-Identifier: Apache-2.0
 * Job control: the terminal, the shell and the command see each other as if sluice were not there.
 */
#include "launch_harness.h"

struct pty {
	int master;
	pid_t shell;
};

/* A session with a terminal of its own, whose leader runs BODY. */
static struct pty with_pty(void (*body)(void))
{
	struct pty p = {.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	const char *name;

	assert_true(p.master >= 0 && grantpt(p.master) == 0 && unlockpt(p.master) == 0);
	name = ptsname(p.master);
	fflush(NULL);
	p.shell = fork();
	if (p.shell == 0) {
		int fd;

		alarm(30);
		setsid();
		fd = open(name, O_RDWR);
		if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
			_exit(96);
		if (mode.as_user && chown(name, getpwnam(USER)->pw_uid, (gid_t)-1) < 0)
			_exit(95);
		for (int i = 0; i < 3; i++)
			dup2(fd, i);
		body();
		fflush(stdout);
		_exit(0);
	}
	return p;
}

/* As a shell starts a foreground job. */
static pid_t foreground_job(const char *script)
{
	pid_t pid;

	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
				      (char *)(uintptr_t)script, NULL};

		setpgid(0, 0);
		tcsetpgrp(0, getpid());
		signal(SIGTTOU, SIG_DFL);
		if (mode.as_user)
			become_user();
		small_sluice(argv, start_continuing);
	}
	setpgid(pid, pid);
	return pid;
}

static int output_until(struct pty *p, const char *word, double seconds)
{
	static char text[8192];
	size_t len = 0;
	double end = now_s() + seconds;

	while (now_s() < end && len < sizeof(text) - 1) {
		struct pollfd pf = {.fd = p->master, .events = POLLIN};
		ssize_t n;

		if (poll(&pf, 1, 100) <= 0)
			continue;
		n = read(p->master, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		if (strstr(text, word))
			return 0;
	}
	fprintf(stderr, "wanted %s, got: %s\n", word, text);
	return -1;
}

static void suspend_and_resume(void)
{
	pid_t pid = foreground_job("echo begin; read line; echo resumed-$line; exit 3");
	int wstatus;

	if (waitpid(pid, &wstatus, WUNTRACED) != pid || !WIFSTOPPED(wstatus) || WSTOPSIG(wstatus) != SIGTSTP) {
		printf("no stop: %x\n", wstatus);
		_exit(1);
	}
	tcsetpgrp(0, getpgrp());
	printf("stopped\n");
	fflush(stdout);
	usleep(100000);
	tcsetpgrp(0, pid);
	kill(-pid, SIGCONT);
	printf("continued\n");
	fflush(stdout);
	if (waitpid(pid, &wstatus, WUNTRACED) != pid || !WIFEXITED(wstatus) || WEXITSTATUS(wstatus) != 3) {
		printf("bad end: %x\n", wstatus);
		_exit(1);
	}
	printf("all-well\n");
}

static void stops_and_resumes_with_its_job(void **state)
{
	struct pty p = with_pty(suspend_and_resume);

	(void)state;
	assert_int_equal(output_until(&p, "begin", 5), 0);
	usleep(100000);
	assert_int_equal(write(p.master, "\032", 1), 1); /* ^Z */
	assert_int_equal(output_until(&p, "continued", 5), 0);
	assert_int_equal(write(p.master, "x\n", 2), 2);
	assert_int_equal(output_until(&p, "all-well", 5), 0);
	ASSERT_EXIT(wait_for(p.shell), 0);
	close(p.master);
}

static void interrupted(void)
{
	int wstatus;
	pid_t pid = foreground_job("trap 'n=$((n+1))' INT; n=0; echo begin; sleep 0.4; sleep 0.4; echo got-$n; "
				   "trap - INT; echo now; sleep 5; sleep 5");

	if (waitpid(pid, &wstatus, WUNTRACED) != pid || !WIFSIGNALED(wstatus) || WTERMSIG(wstatus) != SIGINT)
		_exit(1);
	tcsetpgrp(0, getpgrp());
	printf("died-of-it\n");
}

static void passes_an_interrupt_once_and_dies_of_it(void **state)
{
	struct pty p = with_pty(interrupted);

	(void)state;
	assert_int_equal(output_until(&p, "begin", 5), 0);
	usleep(200000);
	assert_int_equal(write(p.master, "\003", 1), 1);
	assert_int_equal(output_until(&p, "got-1", 5), 0);
	usleep(200000);
	assert_int_equal(write(p.master, "\003", 1), 1);
	assert_int_equal(output_until(&p, "died-of-it", 5), 0);
	ASSERT_EXIT(wait_for(p.shell), 0);
	close(p.master);
}

static void terminal_untouched(void)
{
	int wstatus;
	/* A program that asks: it is in the foreground, and its own group has the terminal. */
	pid_t pid = foreground_job("test $(ps -o tpgid= -p $$) -eq $(ps -o pgid= -p $$) && "
				   "test $(ps -o sid= -p $$) -ne $$ && "
				   "test -t 0 && : < /dev/tty && echo mine");

	if (waitpid(pid, &wstatus, 0) != pid || tcgetpgrp(0) != pid || wstatus)
		_exit(1);
	tcsetpgrp(0, getpgrp());
	printf("untouched\n");
}

static void leaves_the_terminal_to_the_command(void **state)
{
	struct pty p = with_pty(terminal_untouched);

	(void)state;
	assert_int_equal(output_until(&p, "untouched", 10), 0);
	ASSERT_EXIT(wait_for(p.shell), 0);
	close(p.master);
}

/* An interactive shell is in a process group of its own; it can be suspended only if that group is not
 * orphaned, which is why the warden stays in the session. */
static void shell_in_shell(void)
{
	int wstatus;
	pid_t pid = foreground_job("PS1='inner> ' exec bash --norc --noprofile --noediting -i");

	if (waitpid(pid, &wstatus, WUNTRACED) != pid || !WIFSTOPPED(wstatus))
		_exit(1);
	tcsetpgrp(0, getpgrp());
	printf("outer-again\n");
	fflush(stdout);
	tcsetpgrp(0, pid);
	kill(-pid, SIGCONT);
	if (waitpid(pid, &wstatus, WUNTRACED) != pid || !WIFEXITED(wstatus) || WEXITSTATUS(wstatus) != 8) {
		printf("bad end: %x\n", wstatus);
		return;
	}
	tcsetpgrp(0, getpgrp());
	printf("inner-ended\n");
}

static void suspends_an_interactive_shell(void **state)
{
	struct pty p = with_pty(shell_in_shell);

	(void)state;
	assert_int_equal(output_until(&p, "inner>", 5), 0);
	dprintf(p.master, "sleep 50 &\nkill %%1; echo jobs-$((1+1))\n");
	assert_int_equal(output_until(&p, "jobs-2", 5), 0);
	dprintf(p.master, "suspend -f\n");
	assert_int_equal(output_until(&p, "outer-again", 5), 0);
	usleep(200000);
	dprintf(p.master, "exit 8\n");
	assert_int_equal(output_until(&p, "inner-ended", 5), 0);
	ASSERT_EXIT(wait_for(p.shell), 0);
	close(p.master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_and_resumes_with_its_job),
		cmocka_unit_test(passes_an_interrupt_once_and_dies_of_it),
		cmocka_unit_test(leaves_the_terminal_to_the_command),
		cmocka_unit_test(suspends_an_interactive_shell),
	};

	return run_in_all_modes(tests, sizeof(tests) / sizeof(tests[0]));
}
