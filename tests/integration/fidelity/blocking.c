/* SPDX-License-Identifier: Apache-2.0
 * Calls that wait: fifos with and without a partner, and signals that arrive meanwhile. And exec.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static void after_ms(int ms, int interval_ms)
{
	struct itimerval it = {.it_value = {.tv_usec = ms * 1000}, .it_interval = {.tv_usec = interval_ms * 1000}};

	setitimer(ITIMER_REAL, &it, NULL);
}

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0)
		;
}

/* A partner that opens the fifo after a while. */
static pid_t partner(int flags)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int fd;

		sleep_ms(100);
		fd = open("fifo", flags);
		if (fd >= 0 && (flags & O_ACCMODE) == O_WRONLY)
			(void)!write(fd, "ping", 4);
		sleep_ms(50);
		_exit(fd < 0);
	}
	return pid;
}

static void fifos(void)
{
	char buf[8] = "";
	int fd, status;
	pid_t pid;

	report_fd(open("fifo", O_WRONLY | O_NONBLOCK), "fifo for writing, nobody reads, O_NONBLOCK");
	report_fd(open("fifo", O_RDWR), "fifo for both");
	pid = partner(O_WRONLY);
	fd = open("fifo", O_RDONLY);
	report(read(fd, buf, 4), "fifo for reading, then read");
	line("  %s", buf);
	report(read(fd, buf, 4), "read after the writer has gone");
	report_fd(fd, "fifo for reading");
	waitpid(pid, &status, 0);
	pid = partner(O_RDONLY);
	fd = open("fifo", O_WRONLY);
	report(write(fd, "x", 1), "fifo for writing, then write");
	waitpid(pid, &status, 0);
	signal(SIGPIPE, SIG_IGN);
	report(write(fd, "x", 1), "write after the reader has gone");
	close(fd);
	signal(SIGPIPE, SIG_DFL);
}

/* A signal without SA_RESTART ends the wait with EINTR; with it the wait goes on. */
static void interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	pid_t pid;
	int status;

	sigaction(SIGALRM, &sa, NULL);
	after_ms(100, 0);
	report_fd(open("fifo", O_RDONLY), "fifo, a signal without SA_RESTART");
	line("  handled %d", (int)alarms);
	alarms = 0;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	pid = partner(O_WRONLY);
	after_ms(30, 0);
	report_fd(open("fifo", O_RDONLY), "fifo, a signal with SA_RESTART");
	line("  handled %d", (int)alarms);
	waitpid(pid, &status, 0);
}

static void *open_fifo(void *arg)
{
	long *r = arg;

	*r = open("fifo", O_RDONLY | O_CLOEXEC);
	return NULL;
}

/* A thread that waits for the FIFO's other end; *RET is what it gets. */
static bool start_waiting(pthread_t *t, long *ret)
{
	*ret = -2;
	if (pthread_create(t, NULL, open_fifo, ret) != 0)
		return false;
	sleep_ms(50);
	return true;
}

/* While one thread waits, the others work. */
static void others_go_on(void)
{
	pthread_t t;
	long waiting;
	int fd;

	if (!start_waiting(&t, &waiting))
		return;
	report_fd(open("reg", O_RDONLY), "open while a thread waits");
	report(mkdir("new", 0700), "mkdir while a thread waits");
	fd = open("fifo", O_WRONLY | O_CLOEXEC);
	pthread_join(t, NULL);
	line("the thread got %s", waiting >= 0 ? "a descriptor" : "nothing");
	close(fd);
	close((int)waiting);
	fixture_after_call();
}

/* A signal to the process is the first thread's to handle, and ends its wait. The other's goes on. */
static void one_of_two_is_interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	pthread_t t;
	long waiting;
	int fd;

	if (!start_waiting(&t, &waiting))
		return;
	alarms = 0;
	sigaction(SIGALRM, &sa, NULL);
	after_ms(50, 0);
	fd = open("fifo", O_RDONLY | O_CLOEXEC);
	line("two wait, a signal: the first got %s", fd >= 0 ? "a descriptor" : strerrorname_np(errno));
	line("  handled %d, the other got %ld", (int)alarms, waiting);
	close(fd);
	fd = open("fifo", O_WRONLY | O_CLOEXEC);
	pthread_join(t, NULL);
	line("the other got %s", waiting >= 0 ? "a descriptor" : "nothing");
	close(fd);
	close((int)waiting);
}

/* Calls that never return EINTR natively must not under a storm of signals. (Natively trapped calls
 * that are hit between trap and receipt can; those are retried by the kernel with SA_RESTART.) */
static void storm(void)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int bad = 0;

	sigaction(SIGALRM, &sa, NULL);
	alarms = 0;
	after_ms(1, 1);
	for (int i = 0; i < 3000; i++) {
		int fd = open("storm", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600), read_fd;
		char c;

		/* A descriptor must not be lost on its way: then 0 is returned, or it is another file's. */
		read_fd = open("reg", O_RDONLY | O_CLOEXEC);
		if (read_fd < 3 || read(read_fd, &c, 1) != 1 || close(read_fd) < 0)
			bad++;
		if (fd < 0 || close(fd) < 0 || rename("storm", "storm2") < 0 || mkdir("d", 0700) < 0 ||
		    rmdir("d") < 0 || unlink("storm2") < 0) {
			if (bad++ < 3)
				report(-1, "storm, round %d", i);
			unlink("storm");
			unlink("storm2");
			rmdir("d");
		}
	}
	after_ms(0, 0);
	line("storm of signals: %d failed", bad);
	fixture_after_call();
}

static void killed_while_waiting(void)
{
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		open("fifo", O_RDONLY);
		_exit(0);
	}
	sleep_ms(50);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	line("killed while it waits: signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	sleep_ms(200); /* for who opens in its place to notice */
	report_fd(open("fifo", O_WRONLY | O_NONBLOCK), "its fifo has no reader");
	pid = fork();
	if (pid == 0) {
		open("fifo", O_RDONLY);
		_exit(0);
	}
	sleep_ms(50);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	line("terminated while it waits: signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	sleep_ms(200); /* for who opens in its place to notice */
	report_fd(open("fifo", O_WRONLY | O_NONBLOCK), "its fifo has no reader");
}

void section_blocking(void)
{
	fixture();
	fifos();
	interrupted();
	others_go_on();
	one_of_two_is_interrupted();
	storm();
	killed_while_waiting();
}

static char *const no_env[] = {NULL};

static void run_program(const char *name, const char *path, const char *arg)
{
	char *argv[] = {(char[]){"prog"}, (char *)(uintptr_t)arg, NULL};
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execve(path, argv, no_env);
		report(-1, "%s", name);
		fflush(stdout);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		line("%s: signal %d", name, WTERMSIG(status));
	else
		line("%s: exit %d", name, WEXITSTATUS(status));
}

static void scripts(void)
{
	put("script", "#!/bin/sh\nexit 7\n", 0755);
	put("argscript", "#!/bin/sh -e\ntest \"$0\" = ./argscript && exit 8\n", 0755);
	put("nointerp", "#!/nonexistent/sh\n", 0755);
	put("badinterp", "#!./reg\n", 0755);
	put("garbage", "\x7f" "ELF, but not really", 0755);
	put("plain", "exit 9\n", 0755);
	put("notexec", "#!/bin/sh\nexit 7\n", 0644);
	put("nested", "#!./script\n", 0755);
	symlink("script", "softscript");
	run_program("script", "./script", NULL);
	run_program("script with an argument", "./argscript", NULL);
	run_program("script through a link", "softscript", NULL);
	run_program("script without interpreter", "./nointerp", NULL);
	run_program("script with a bad interpreter", "./badinterp", NULL);
	run_program("script whose interpreter is a script", "./nested", NULL);
	run_program("garbage", "./garbage", NULL);
	run_program("text without #!", "./plain", NULL);
	run_program("not executable", "./notexec", NULL);
	run_program("missing", "./missing", NULL);
	run_program("a directory", "./dir", NULL);
	run_program("a dangling link", "./dangling", NULL);
	run_program("a fifo", "./fifo", NULL);
	fixture();
}

static void copy_program(const char *from, const char *to)
{
	static char buf[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			line("exec: copy: %s", strerrorname_np(errno));
	close(in);
	close(out);
}

static void fresh_programs(void)
{
	int fd, bad = 0, status;
	pid_t pid;

	copy_program("/bin/true", "mytrue");
	run_program("a program just written", "./mytrue", NULL);
	fd = open("mytrue", O_WRONLY | O_CLOEXEC);
	run_program("a program open for writing", "./mytrue", NULL);
	close(fd);
	run_program("a program no longer open", "./mytrue", NULL);
	/* Write, close, run at once: nobody may still hold it open. */
	for (int i = 0; i < 50; i++) {
		copy_program("/bin/true", "again");
		pid = fork();
		if (pid == 0) {
			execl("./again", "again", (char *)NULL);
			_exit(99);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			bad++;
		unlink("again");
	}
	line("written and run at once: %d of 50 failed", bad);
	copy_program("/bin/sleep", "mysleep");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		execl("./mysleep", "mysleep", "10", (char *)NULL);
		_exit(99);
	}
	sleep_ms(100);
	report_fd(open("mysleep", O_WRONLY), "write to a running program");
	report(truncate("mysleep", 0), "truncate of a running program");
	report(unlink("mysleep"), "unlink of a running program");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	fixture();
}

static void by_descriptor(void)
{
	char *argv[] = {(char[]){"true"}, NULL};
	int status = 0;

	for (int way = 0; way < 4; way++) {
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			int fd = open(way == 3 ? "/bin" : "/bin/true", O_PATH | O_CLOEXEC);

			if (way == 0)
				syscall(SYS_execveat, fd, "", argv, no_env, AT_EMPTY_PATH);
			else if (way == 1)
				syscall(SYS_execveat, fd, "", argv, no_env, 0);
			else if (way == 2)
				syscall(SYS_execveat, AT_FDCWD, "link", argv, no_env, AT_SYMLINK_NOFOLLOW);
			else
				syscall(SYS_execveat, fd, "true", argv, no_env, 0);
			report(-1, "execveat, way %d", way);
			fflush(stdout);
			_exit(99);
		}
		waitpid(pid, &status, 0);
		line("execveat, way %d: exit %d", way, WEXITSTATUS(status));
	}
}

/* Descriptors: those without close-on-exec live on, the others do not. */
static void kept_descriptors(void)
{
	put("show", "#!/bin/sh\nfor i in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$i ] && echo \"  has $i\"; done\nexit 0\n",
	    0755);
	int a = open("reg", O_RDONLY), b = open("reg", O_RDONLY | O_CLOEXEC), c = open("hard", O_RDONLY);

	dup2(a, 7);
	run_program("descriptors over exec", "/bin/sh", "show");
	close(a);
	close(b);
	close(c);
	close(7);
	fixture();
}

void section_exec(void)
{
	fixture();
	scripts();
	fresh_programs();
	by_descriptor();
	kept_descriptors();
}
