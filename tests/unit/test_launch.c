/* SPDX-License-Identifier: Apache-2.0
 * Launching, with a supervisor that answers CONTINUE to everything: exit status, descriptors, signals,
 * job control, death. Each case runs a small sluice in a child, under a plan that allows all files;
 * with all classes trapped or none, with Landlock's scopes or without, as root and as an ordinary user.
 */
#include "core/launch/launch.h"
#include "core/sys.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include <cmocka.h>

#define USER "sluicetest"
/* Milliseconds on an idle machine; tests share theirs. */
#define SOON 4.0

/* How a case is run. */
struct mode {
	const char *name;
	bool trap_all, landlock, supervise, ptrace, as_user;
};
static struct mode mode;
/* A program that the tracer does not let run; 0: no execs are checked. */
static ino_t forbidden_program;

/* ---- a sluice without a policy ---- */

static void *continue_all(void *arg)
{
	int listener = (int)(intptr_t)arg;

	for (;;) {
		struct seccomp_notif notif = {0};
		struct seccomp_notif_resp resp = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return NULL;
		}
		resp.id = notif.id;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	}
}

static int start_continuing(void *ctx, int listener, pid_t target, pid_t warden)
{
	pthread_t thread;

	(void)ctx;
	if (target <= 0 || warden <= 0 || pthread_create(&thread, NULL, continue_all, (void *)(intptr_t)listener))
		return -EAGAIN;
	return 0;
}

static int refuse_to_start(void *ctx, int listener, pid_t target, pid_t warden)
{
	(void)ctx, (void)listener, (void)target, (void)warden;
	return -EIO;
}

static bool may_execute(void *ctx, pid_t pid, pid_t former)
{
	char path[40];
	struct stat st;

	(void)ctx, (void)former;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) == 0 && st.st_ino != forbidden_program;
}

static _Noreturn void small_sluice(char *const *argv, int (*confined_main)(void *, int, pid_t, pid_t))
{
	extern char **environ;
	struct features features;
	struct stat st;
	struct plan plan = {.inet_sockets = true, .opens = mode.trap_all ? TRAP_OPENS_ALL : TRAP_OPENS_WRITES};
	struct grant root = {.path = (char *)(uintptr_t)"/", .len = 1, .is_dir = true};
	struct launch_config config = {.argv = argv, .envp = environ, .plan = &plan, .features = &features,
				       .supervise = mode.supervise, .die_by_ptrace = mode.ptrace,
				       .may_execute = forbidden_program ? may_execute : NULL,
				       .confined_main = confined_main};
	struct launch_error error;
	struct launch *l;
	int wstatus;

	if (features_probe_quick(&features) < 0 || stat("/", &st) < 0)
		_exit(99);
	for (unsigned i = 0; i < CALL_CLASS_COUNT; i++)
		plan.trap[i] = mode.trap_all && i != CALL_CONNECT;
	root.dev = st.st_dev;
	root.ino = st.st_ino;
	if (mode.landlock && features.landlock_abi >= 6) {
		plan.landlock_abi = features.landlock_abi;
		plan.handled_fs = root.rights = (1ULL << 16) - 1;
		plan.scoped = LL_SCOPE_SIGNAL | LL_SCOPE_ABSTRACT_UNIX;
		plan.baseline = plan.upper = &root;
		plan.n_baseline = plan.n_upper = 1;
	}
	if (launch_start(&config, &l, &error) < 0) {
		fprintf(stderr, "sluice: %s\n", error.text);
		_exit(error.exit_code);
	}
	if (launch_wait(l, &wstatus) < 0)
		_exit(98);
	launch_free(l);
	launch_exit_like(wstatus);
}

static void become_user(void)
{
	const struct passwd *pw = getpwnam(USER);

	if (!pw || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    chdir("/") < 0)
		_exit(97);
}

static pid_t start_with(char *const *argv, int (*confined_main)(void *, int, pid_t, pid_t))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		if (mode.as_user)
			become_user();
		small_sluice(argv, confined_main);
	}
	return pid;
}

static pid_t start(const char *script)
{
	char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)script, NULL};

	return start_with(argv, start_continuing);
}

static int wait_for(pid_t pid)
{
	int wstatus = -1;

	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	return wstatus;
}

static int run_script(const char *script)
{
	return wait_for(start(script));
}

#define ASSERT_EXIT(wstatus, code) do { \
	int ws_ = (wstatus); \
	assert_true(WIFEXITED(ws_)); \
	assert_int_equal(WEXITSTATUS(ws_), code); \
} while (0)
#define ASSERT_SIGNAL(wstatus, sig) do { \
	int ws_ = (wstatus); \
	assert_true(WIFSIGNALED(ws_)); \
	assert_int_equal(WTERMSIG(ws_), sig); \
} while (0)

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

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

static int run_command(const char *name, int (*confined_main)(void *, int, pid_t, pid_t))
{
	char *const argv[] = {(char *)(uintptr_t)name, NULL};
	pid_t pid;
	int saved = dup(2), null = open("/dev/null", O_WRONLY), r;

	dup2(null, 2);
	pid = start_with(argv, confined_main);
	dup2(saved, 2);
	close(saved);
	close(null);
	r = wait_for(pid);
	return r;
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

/* ---- death ---- */

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

/* ---- a terminal ---- */

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

/* ---- */

static const struct mode modes[] = {
	{"all trapped, Landlock", .trap_all = true, .landlock = true, .supervise = true},
	{"writes trapped, Landlock", .landlock = true, .supervise = true},
	{"all trapped, no Landlock", .trap_all = true, .supervise = true},
	{"no supervisor, Landlock", .landlock = true},
	{"no supervisor, no Landlock", .landlock = false},
	{"traced, Landlock", .landlock = true, .supervise = true, .ptrace = true},
	{"traced, no Landlock", .trap_all = true, .supervise = true, .ptrace = true},
};

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = {
		T(ends_with_the_status_of_the_command),
		T(dies_of_the_signal_that_killed_the_command),
		T(tells_missing_from_not_executable),
		T(gives_up_when_the_workers_do),
		T(runs_a_script_without_an_interpreter_line),
		T(hands_down_no_descriptor_but_three),
		T(hands_down_no_listener),
		T(hands_down_no_core_limit_and_no_new_rights),
		T(hands_down_the_signal_mask_and_what_is_ignored),
		T(lets_the_command_make_a_session),
		T(can_not_be_signalled_by_the_command),
		T(can_not_be_slowed_by_the_command),
		T(tree_dies_with_a_killed_supervisor),
		T(tree_dies_with_a_killed_warden),
		T(tree_dies_while_the_supervisor_is_stopped),
		T(traced_tree_dies_when_both_are_killed_at_once),
		T(traced_programs_are_checked_before_they_run),
		T(leftovers_end_with_the_command),
		T(forwards_what_is_sent_to_the_supervisor),
		T(stops_and_resumes_with_its_job),
		T(passes_an_interrupt_once_and_dies_of_it),
		T(leaves_the_terminal_to_the_command),
		T(suspends_an_interactive_shell),
	};
	const char *only = getenv("LAUNCH_MODE");
	bool root = geteuid() == 0 && getpwnam(USER);
	int failed = 0;

	if (getenv("LAUNCH_TEST"))
		cmocka_set_test_filter(getenv("LAUNCH_TEST"));
	if (argc > 1 && strcmp(argv[1], "chain") == 0)
		return chain();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* nothing of a test is left behind */
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		for (int as_user = 0; as_user <= root; as_user++) {
			char name[128];

			mode = modes[i];
			mode.as_user = as_user;
			snprintf(name, sizeof(name), "%s, %s", mode.name, as_user ? "user" : "caller");
			if (only && !strstr(name, only))
				continue;
			failed += _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof(tests[0]), NULL,
							  NULL);
		}
	}
	return failed;
}
