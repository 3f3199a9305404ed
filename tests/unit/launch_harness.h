/* SPDX-License-Identifier: Apache-2.0
 * A small sluice for the tests of launching: its supervisor answers CONTINUE to everything, its plan
 * allows all files. Every case runs in each mode: all classes trapped or only writes, with Landlock's
 * scopes or without, with a supervisor or without, traced or not, as the caller and as an ordinary user.
 */
#pragma once
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

#define UNUSED __attribute__((unused))

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
static UNUSED ino_t forbidden_program;

/* ---- a sluice without a policy ---- */

static UNUSED void *continue_all(void *arg)
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

static UNUSED int start_continuing(void *ctx, int listener, pid_t target, pid_t warden)
{
	pthread_t thread;

	(void)ctx;
	if (target <= 0 || warden <= 0 || pthread_create(&thread, NULL, continue_all, (void *)(intptr_t)listener))
		return -EAGAIN;
	return 0;
}

static UNUSED int refuse_to_start(void *ctx, int listener, pid_t target, pid_t warden)
{
	(void)ctx, (void)listener, (void)target, (void)warden;
	return -EIO;
}

static UNUSED bool may_execute(void *ctx, pid_t pid, pid_t former)
{
	char path[40];
	struct stat st;

	(void)ctx, (void)former;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) == 0 && st.st_ino != forbidden_program;
}

static UNUSED _Noreturn void small_sluice(char *const *argv, int (*confined_main)(void *, int, pid_t, pid_t))
{
	extern char **environ;
	struct features features;
	struct stat st;
	struct plan plan = {.inet_sockets = true, .inet_connects = true, .inet_binds = true,
			    .opens = mode.trap_all ? TRAP_OPENS_ALL : TRAP_OPENS_WRITES};
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

static UNUSED void become_user(void)
{
	const struct passwd *pw = getpwnam(USER);

	if (!pw || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
	    chdir("/") < 0)
		_exit(97);
}

static UNUSED pid_t start_with(char *const *argv, int (*confined_main)(void *, int, pid_t, pid_t))
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

static UNUSED pid_t start(const char *script)
{
	char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)script, NULL};

	return start_with(argv, start_continuing);
}

static UNUSED int wait_for(pid_t pid)
{
	int wstatus = -1;

	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	return wstatus;
}

static UNUSED int run_script(const char *script)
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

static UNUSED double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static UNUSED int run_command(const char *name, int (*confined_main)(void *, int, pid_t, pid_t))
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

static const struct mode modes[] = {
	{"all trapped, Landlock", .trap_all = true, .landlock = true, .supervise = true},
	{"writes trapped, Landlock", .landlock = true, .supervise = true},
	{"all trapped, no Landlock", .trap_all = true, .supervise = true},
	{"no supervisor, Landlock", .landlock = true},
	{"no supervisor, no Landlock", .landlock = false},
	{"traced, Landlock", .landlock = true, .supervise = true, .ptrace = true},
	{"traced, no Landlock", .trap_all = true, .supervise = true, .ptrace = true},
};


/* Run the N TESTS in each mode. LAUNCH_MODE and LAUNCH_TEST pick some. Returns how many failed. */
static int run_in_all_modes(const struct CMUnitTest *tests, size_t n)
{
	const char *only = getenv("LAUNCH_MODE");
	bool root = geteuid() == 0 && getpwnam(USER);
	int failed = 0;

	if (getenv("LAUNCH_TEST"))
		cmocka_set_test_filter(getenv("LAUNCH_TEST"));
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* nothing of a test is left behind */
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		for (int as_user = 0; as_user <= root; as_user++) {
			char name[128];

			mode = modes[i];
			mode.as_user = as_user;
			snprintf(name, sizeof(name), "%s, %s", mode.name, as_user ? "user" : "caller");
			if (!only || strstr(name, only))
				failed += _cmocka_run_group_tests(name, tests, n, NULL, NULL);
		}
	}
	return failed;
}
