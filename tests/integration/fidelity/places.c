/* SPDX-License-Identifier: Apache-2.0
 * Where a path starts: working directory, directory descriptors, deep trees, deleted places; and the
 * limits and threads that have an opinion of their own.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void working_directory(void)
{
	char text[PATH_MAX], start[PATH_MAX];
	int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (!getcwd(start, sizeof(start)))
		line("getcwd: %s", strerrorname_np(errno));
	report(chdir("dir"), "chdir(dir)");
	report_fd(open("in", O_RDONLY), "open(in) in dir");
	report_fd(open("../reg", O_RDONLY), "open(../reg) in dir");
	report(chdir("../linkdir"), "chdir through a link");
	line("getcwd ends %s", getcwd(text, sizeof(text)) ? strrchr(text, '/') : "nowhere");
	report(chdir(".."), "chdir(..)");
	report(chdir("reg"), "chdir to a file");
	report(chdir("missing"), "chdir to nothing");
	report(chdir("loop"), "chdir to a loop");
	report(fchdir(-1), "fchdir(-1)");
	report(chdir("/"), "chdir(/)");
	report(access("..", F_OK), "access(..) above the root");
	report_fd(open("../../../proc/self/comm", O_RDONLY | O_CLOEXEC), "open above the root");
	report(fchdir(home), "fchdir home");
	report(chdir("empty"), "chdir(empty)");
	report(rmdir("../empty"), "rmdir of the working directory");
	report_fd(open("new", O_CREAT | O_RDWR, 0600), "creat in a removed directory");
	report(mkdir("new", 0700), "mkdir in a removed directory");
	report_fd(open(".", O_RDONLY), "open(.) in a removed directory");
	report_fd(open("..", O_RDONLY | O_DIRECTORY), "open(..) in a removed directory");
	report(symlink("x", "new"), "symlink in a removed directory");
	report(fchdir(home), "fchdir home");
	fixture_after_call();
	/* A moved working directory keeps being it. */
	report(chdir("dir"), "chdir(dir)");
	report(rename("../dir", "../moved"), "rename of the working directory");
	report_fd(open("in", O_RDONLY), "open(in) after it moved");
	report_fd(open("../moved/in", O_RDONLY), "open(../moved/in)");
	report(fchdir(home), "fchdir home");
	close(home);
	fixture_after_call();
}

/* A tree deeper than PATH_MAX: only relative steps reach its end. */
static void deep(void)
{
	int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[201], path[PATH_MAX];

	memset(name, 'd', 200);
	name[200] = 0;
	for (int i = 0; i < 25; i++)
		if (mkdir(name, 0700) < 0 || chdir(name) < 0) {
			line("deep: level %d: %s", i, strerrorname_np(errno));
			break;
		}
	report_fd(open("bottom", O_CREAT | O_RDWR, 0600), "creat 5000 bytes deep");
	report(mkdir("under", 0700), "mkdir 5000 bytes deep");
	report(rename("bottom", "under/b"), "rename 5000 bytes deep");
	report(chmod("under/b", 0640), "chmod 5000 bytes deep");
	report(unlink("under/b"), "unlink 5000 bytes deep");
	report(rmdir("under"), "rmdir 5000 bytes deep");
	report(getcwd(path, sizeof(path)) ? 0 : -1, "getcwd 5000 bytes deep");
	for (int i = 0; i < 25; i++)
		if (chdir("..") < 0 || rmdir(name) < 0) {
			line("deep: way up from level %d: %s", i, strerrorname_np(errno));
			break;
		}
	report(fchdir(home), "fchdir home");
	close(home);
}

/* 40 links are followed, 41 are not. */
static void link_chains(void)
{
	for (int n = 1; n <= 42; n++) {
		char from[16], to[16];

		snprintf(from, sizeof(from), "chain%d", n);
		snprintf(to, sizeof(to), n == 1 ? "reg" : "chain%d", n - 1);
		symlink(to, from);
	}
	report_fd(open("chain39", O_RDONLY), "39 links");
	report_fd(open("chain40", O_RDONLY), "40 links");
	report_fd(open("chain41", O_RDONLY), "41 links");
	report_fd(open("chain41", O_RDONLY | O_NOFOLLOW), "41 links, not followed");
	fixture();
}

static void descriptors_as_places(void)
{
	int dir = open("dir", O_RDONLY | O_DIRECTORY), gone;

	report_fd(openat(dir, "in", O_RDONLY), "openat(dir, in)");
	report(mkdirat(dir, "sub", 0700), "mkdirat(dir, sub)");
	report(renameat(dir, "in", AT_FDCWD, "out"), "renameat(dir, in) to out");
	report(linkat(AT_FDCWD, "out", dir, "back", 0), "linkat back");
	report(symlinkat("back", dir, "soft"), "symlinkat");
	report(unlinkat(dir, "sub", AT_REMOVEDIR), "unlinkat(dir, sub)");
	report_fd(openat(dir, "soft", O_RDWR), "openat(dir, soft)");
	close(dir);
	fixture_after_call();
	gone = open("empty", O_RDONLY | O_DIRECTORY);
	rmdir("empty");
	report(mkdirat(gone, "x", 0700), "mkdirat in a removed directory");
	report_fd(openat(gone, "x", O_RDONLY), "openat in a removed directory");
	report_fd(openat(gone, "../reg", O_RDONLY), "openat out of a removed directory");
	close(gone);
	fixture_after_call();
}

void section_places(void)
{
	fixture();
	working_directory();
	link_chains();
	descriptors_as_places();
}

void section_deep(void)
{
	fixture();
	deep();
}

static void no_descriptor_left(void)
{
	struct rlimit few = {8, 8};

	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		line("limits: %s", strerrorname_np(errno));
	while (dup(0) >= 0)
		;
	report(open("reg", O_RDONLY), "open without a free descriptor");
	report(open("missing", O_RDONLY), "open of nothing without a free descriptor");
	report(open("new", O_CREAT | O_RDWR, 0600), "creat without a free descriptor");
	report(access("new", F_OK), "  what it left");
	report(open("reg", O_WRONLY | O_TRUNC), "O_TRUNC without a free descriptor");
	report(access("reg", F_OK), "  reg");
	report(syscall(SYS_open, 8L, O_RDONLY), "open of a bad pointer without a free descriptor");
	report(open("fifo", O_RDONLY), "open of a fifo without a free descriptor");
	report(mkdir("new", 0700), "mkdir without a free descriptor");
	report(rename("new", "newer"), "rename without a free descriptor");
	report(chmod("newer", 0711), "chmod without a free descriptor");
	report(rmdir("newer"), "rmdir without a free descriptor");
	close(7);
	report(open("reg", O_RDONLY), "open with one free descriptor");
}

static void size_limit(void)
{
	struct rlimit small = {1000, 1000};

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &small) < 0)
		line("limits: %s", strerrorname_np(errno));
	report(truncate("reg", 999), "truncate below the size limit");
	report(truncate("reg", 1001), "truncate above the size limit");
	report(truncate("reg", 2), "truncate to less");
}

static void size_limit_kills(void)
{
	struct rlimit small = {1000, 1000};

	signal(SIGXFSZ, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	setrlimit(RLIMIT_FSIZE, &small);
	fflush(stdout);
	report(truncate("reg", 1001), "truncate above the size limit");
}

void section_limits(void)
{
	fixture();
	in_child("no descriptor left", no_descriptor_left);
	fixture_after_call();
	in_child("size limit, ignored", size_limit);
	fixture_after_call();
	in_child("size limit, deadly", size_limit_kills);
	fixture_after_call();
}

/* Threads that share less than threads do: each has a working directory, a umask, a descriptor table. */
static void *own_place(void *arg)
{
	(void)arg;
	report(unshare(CLONE_FS), "unshare(CLONE_FS)");
	report(chdir("dir"), "chdir in the thread");
	umask(077);
	report_fd(open("in", O_RDONLY | O_CLOEXEC), "open relative in the thread");
	report(mkdir("made", 0777), "mkdir in the thread");
	report_fd(open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0666), "creat in the thread");
	return NULL;
}

static void *own_descriptors(void *arg)
{
	int *sync = arg, dir;

	(void)sync;
	report(unshare(CLONE_FILES), "unshare(CLONE_FILES)");
	dir = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dup2(dir, 20);
	report_fd(openat(20, "in", O_RDONLY), "openat by the thread's own descriptor");
	report(mkdirat(20, "fresh", 0700), "mkdirat by the thread's own descriptor");
	report_fd(open("/proc/thread-self/fd/20", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "thread-self/fd/20");
	report_fd(open("/proc/self/fd/20", O_RDONLY | O_CLOEXEC), "self/fd/20, which is the leader's");
	return NULL;
}

static void *many_opens(void *arg)
{
	long *bad = arg;
	char path[32];

	snprintf(path, sizeof(path), "dir/t%ld", syscall(SYS_gettid));
	for (int i = 0; i < 200; i++) {
		int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
		struct stat st;

		if (fd < 0 || fstat(fd, &st) < 0 || stat(path, &st) < 0 || unlink(path) < 0)
			(*bad)++;
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

void section_threads(void)
{
	pthread_t t[8];
	long bad[8] = {0}, sum = 0;
	int root;

	fixture();
	if (pthread_create(&t[0], NULL, own_place, NULL) == 0)
		pthread_join(t[0], NULL);
	report_fd(open("reg", O_RDONLY), "open relative in the leader");
	report(mkdir("leader", 0777), "mkdir in the leader");
	fixture_after_call();
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dup2(root, 20);
	if (pthread_create(&t[0], NULL, own_descriptors, NULL) == 0)
		pthread_join(t[0], NULL);
	close(20);
	close(root);
	fixture_after_call();
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, many_opens, &bad[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], NULL);
		sum += bad[i];
	}
	line("8 threads that create and unlink: %ld failed", sum);
	fixture_after_call();
}
