/* SPDX-License-Identifier: Apache-2.0
 * /proc as seen by somebody who acts for another: every spelling of "self" must mean the target, and
 * nothing of the supervisor may be named through it.
 */
#include "tests/integration/attack/attack.h"

#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* Our own name, which nobody else has. */
static const char my_name[] = "attack-self";

/* Is what FD shows (comm or status) ours? A control looks at its parent. */
static bool is_mine(int fd)
{
	char text[512] = "";

	if (fd < 0)
		return true; /* refused: nothing was shown */
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	return strstr(text, my_name) != NULL;
}

static enum outcome self_is_somebody_else(void)
{
	static const char *const ways[] = {
		"/proc/self/comm", "/proc/thread-self/comm", "/proc/./self/comm", "/proc//self/./comm",
		"/proc/self/task/../comm", "/dev/../proc/self/comm", "/proc/self/root/proc/self/comm", "/dev/fd/../comm",
		"/proc/mounts/../comm", "/proc/net/../comm", "/proc/self/cwd/link-to-self", "link-to-self",
		"link-to-proc/self/comm", "link-to-proc-self/comm", "ok/../link-to-self",
	};
	struct open_how in_root = {.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT};
	int proc, dir;
	char pid_path[64];

	prctl(PR_SET_NAME, my_name);
	symlink("/proc/self/comm", "link-to-self");
	symlink("/proc", "link-to-proc");
	symlink("/proc/self", "link-to-proc-self");
	if (is_control()) {
		snprintf(pid_path, sizeof(pid_path), "/proc/%d/comm", getppid());
		return is_mine(open(pid_path, O_RDONLY | O_CLOEXEC)) ? held("ours") : escaped("the parent's comm");
	}
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (!is_mine(open(ways[i], O_RDONLY | O_CLOEXEC)))
			return escaped("%s is not ours", ways[i]);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!is_mine(openat(proc, "self/comm", O_RDONLY | O_CLOEXEC)))
		return escaped("self/comm by a descriptor is not ours");
	if (!is_mine((int)syscall(SYS_openat2, proc, "self/comm", &in_root, sizeof(in_root))))
		return escaped("self/comm in a root is not ours");
	if (!is_mine((int)syscall(SYS_openat2, proc, "/self/comm", &in_root, sizeof(in_root))))
		return escaped("/self/comm in a root is not ours");
	dir = openat(proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!is_mine(openat(dir, "comm", O_RDONLY | O_CLOEXEC)))
		return escaped("comm by a descriptor of self is not ours");
	if (chdir("/proc") == 0 && !is_mine(open("self/comm", O_RDONLY | O_CLOEXEC)))
		return escaped("self/comm below /proc is not ours");
	if (chdir("/proc/self") == 0 && !is_mine(open("comm", O_RDONLY | O_CLOEXEC)))
		return escaped("comm in /proc/self is not ours");
	return held("all are ours");
}

static int grandchild(void)
{
	return (int)self_is_somebody_else();
}

static int child(void)
{
	return in_child(grandchild);
}

static enum outcome self_in_a_grandchild(void)
{
	return (enum outcome)in_child(child);
}

static void *in_thread(void *arg)
{
	char text[64] = "", want[64];
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	char status[2048] = "";

	*(enum outcome *)arg = self_is_somebody_else();
	prctl(PR_SET_NAME, my_name);
	if (readlink("/proc/thread-self", text, sizeof(text) - 1) > 0) {
		snprintf(want, sizeof(want), "%d/task/%ld", getpid(), syscall(SYS_gettid));
		if (strcmp(text, want) != 0)
			*(enum outcome *)arg = escaped("thread-self is %s, not %s", text, want);
	}
	(void)!read(fd, status, sizeof(status) - 1);
	snprintf(want, sizeof(want), "\nPid:\t%ld\n", syscall(SYS_gettid));
	if (fd >= 0 && !strstr(status, want))
		*(enum outcome *)arg = escaped("thread-self/status is another's");
	return NULL;
}

static enum outcome self_in_a_thread(void)
{
	enum outcome o = HELD;
	pthread_t t;

	prctl(PR_SET_NAME, my_name);
	if (pthread_create(&t, NULL, in_thread, &o))
		return cannot("no thread");
	pthread_join(t, NULL);
	return o;
}

/* The test hands sluice an environment that this program has not: SLUICE_SECRET. */
static enum outcome environment_of_the_supervisor(void)
{
	static const char *const ways[] = {"/proc/self/environ", "/proc/thread-self/environ", "/proc/self/task/../environ"};
	char path[64], text[65536];

	for (pid_t pid = 0; pid < 4; pid++) {
		ssize_t n;
		int fd;

		if (pid < 3)
			strcpy(path, ways[pid]);
		else
			snprintf(path, sizeof(path), "/proc/%d/environ", getppid());
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		if (fd >= 0)
			close(fd);
		for (ssize_t i = 0; i < n; i += (ssize_t)strnlen(text + i, (size_t)(n - i)) + 1)
			if (strncmp(text + i, "PARENTS_SECRET=", 15) == 0)
				return escaped("the parent's environment as %s", path);
	}
	return held("not shown");
}

/* Numbers that are not open here may be in the supervisor. */
static enum outcome descriptors_of_the_supervisor(void)
{
	static const char *const forms[] = {"/proc/self/fd", "/dev/fd", "/proc/thread-self/fd"};
	static const int flags[] = {O_RDONLY | O_NONBLOCK, O_WRONLY | O_NONBLOCK, O_PATH};
	char path[64];

	close_range(3, ~0U, 0);
	if (is_control())
		dup2(0, 20);
	for (int n = 3; n < 64; n++)
		for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
			for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
				snprintf(path, sizeof(path), "%s/%d", forms[i], n);
				if (open(path, flags[j] | O_CLOEXEC) >= 0)
					return escaped("opened %s", path);
				if (access(path, F_OK) == 0)
					return escaped("%s is there", path);
			}
	return held("none");
}

static enum outcome memory_of_the_parent(void)
{
	static const char *const files[] = {"mem", "maps", "environ", "fd/0", "fd/3", "cwd/.", "root/etc/passwd", "exe",
					    "syscall", "stack", "auxv", "fd", "map_files"};
	static const int flags[] = {O_RDONLY | O_NONBLOCK, O_RDWR | O_NONBLOCK};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			int fd;

			snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), files[i]);
			fd = open(path, flags[j] | O_CLOEXEC);
			if (fd < 0)
				continue;
			close(fd);
			return escaped("opened %s of the parent", files[i]);
		}
	return held("refused");
}

static enum outcome secret_through_own_proc(void)
{
	static const char *const ways[] = {
		"/proc/self/cwd/no/secret", "/proc/thread-self/cwd/no/secret", "/proc/self/task/../cwd/no/secret",
	};
	char where[4096], path[5000];
	int dir;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (path_gives_secret(ways[i]))
			return escaped("the secret as %s", ways[i]);
	if (!getcwd(where, sizeof(where)))
		return cannot("no working directory");
	snprintf(path, sizeof(path), "/proc/self/root%s/no/secret", where);
	if (path_gives_secret(path))
		return escaped("the secret through /proc/self/root");
	dir = open("no", O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/secret", dir);
	if (path_gives_secret(path))
		return escaped("the secret through /proc/self/fd");
	snprintf(path, sizeof(path), "/dev/fd/%d/../no/secret", dir);
	return path_gives_secret(path) ? escaped("the secret through /dev/fd") : held("refused");
}

/* One who makes itself unreadable gets nothing more for it. */
static enum outcome undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	if (path_gives_secret("no/secret"))
		return escaped("the secret");
	if (open("ro/file", O_WRONLY | O_CLOEXEC) >= 0 || mkdir("later", 0755) == 0)
		return escaped("a change");
	return held("refused");
}

const struct attack attacks[] = {
	{"self_is_somebody_else", self_is_somebody_else},
	{"self_in_a_grandchild", self_in_a_grandchild},
	{"self_in_a_thread", self_in_a_thread},
	{"environment_of_the_supervisor", environment_of_the_supervisor},
	{"descriptors_of_the_supervisor", descriptors_of_the_supervisor},
	{"memory_of_the_parent", memory_of_the_parent},
	{"secret_through_own_proc", secret_through_own_proc},
	{"undumpable", undumpable},
	{NULL, NULL},
};
