/* SPDX-License-Identifier: Apache-2.0
 * Names that mean the caller: /proc/self and its kin, /dev/fd, magic links, reopened descriptors.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Does FILE of /proc, opened by PATH relative to DIRFD, tell this process? */
static void tells_me(int dirfd, const char *path, const char *shown)
{
	char text[512] = "", want[32];
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		report(fd, "%s", shown);
		return;
	}
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	close(fd);
	snprintf(want, sizeof(want), "%d (", getpid());
	line("%s: %s", shown, strncmp(text, want, strlen(want)) == 0 ? "me" : "NOT ME");
}

static void shows(const char *path, const char *needle)
{
	char text[8192] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		report(fd, "%s", path);
		return;
	}
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0)
		for (ssize_t i = 0; i < n; i++)
			if (!text[i])
				text[i] = '\n';
	close(fd);
	line("%s: %s \"%s\"", path, strstr(text, needle) ? "has" : "LACKS", needle);
}

static void links_of_self(void)
{
	static const char *const files[] = {"self", "thread-self", "self/cwd", "self/root", "self/exe", "self/fd/0",
					    "self/fd/99", "self/ns/mnt", "mounts", "net", "self/nothing"};
	char text[4096], want[32], cwd[4096];
	struct stat st, mine;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s", files[i]);
		n = readlink(path, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = 0;
		if (n < 0)
			report(n, "readlink(%s)", path);
		else if (i == 0)
			line("readlink(%s): %s", path, atoi(text) == getpid() ? "me" : "NOT ME");
		else if (i == 1) {
			snprintf(want, sizeof(want), "%d/task/%d", getpid(), getpid());
			line("readlink(%s): %s", path, strcmp(text, want) == 0 ? "me" : "NOT ME");
		} else if (i == 2)
			line("readlink(%s): %s", path, getcwd(cwd, sizeof(cwd)) && !strcmp(text, cwd) ? "cwd" : "OTHER");
		else if (i == 4)
			line("readlink(%s): %s", path, strrchr(text, '/') ? strrchr(text, '/') : text);
		else if (i == 3 || i >= 8)
			line("readlink(%s): %s", path, text);
		else
			line("readlink(%s): %s", path, n > 0 ? "something" : "nothing");
		report(stat(path, &st), "stat(%s)", path);
		report(access(path, R_OK), "access(%s)", path);
	}
	fstat(0, &mine);
	report(stat("/dev/stdin", &st), "stat(/dev/stdin)");
	line("/dev/stdin is %s", st.st_dev == mine.st_dev && st.st_ino == mine.st_ino ? "mine" : "NOT MINE");
}

static void grandchild(void)
{
	tells_me(AT_FDCWD, "/proc/self/stat", "    in a grandchild");
}

static void child(void)
{
	tells_me(AT_FDCWD, "/proc/self/stat", "  in a child");
	in_child("  a grandchild's own self", grandchild);
}

static void ways_to_self(void)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), self, cwd;
	char path[64];

	tells_me(AT_FDCWD, "/proc/self/stat", "/proc/self/stat");
	tells_me(AT_FDCWD, "/proc/thread-self/stat", "/proc/thread-self/stat");
	tells_me(AT_FDCWD, "/proc/./self/../self/stat", "/proc/./self/../self/stat");
	tells_me(AT_FDCWD, "/dev/../proc/self/stat", "/dev/../proc/self/stat");
	tells_me(AT_FDCWD, "/dev/fd/../stat", "/dev/fd/../stat");
	tells_me(proc, "self/stat", "self/stat from a descriptor of /proc");
	self = openat(proc, "self", O_PATH | O_DIRECTORY);
	tells_me(self, "stat", "stat from a descriptor of /proc/self");
	close(self);
	self = openat(proc, "self", O_PATH | O_NOFOLLOW);
	report(readlinkat(self, "", path, sizeof(path)) > 0 ? 0 : -1, "readlinkat of the link self");
	close(self);
	symlink("/proc/self/stat", "mine");
	tells_me(AT_FDCWD, "mine", "a link to /proc/self/stat");
	symlink("/proc/self", "proc-self");
	tells_me(AT_FDCWD, "proc-self/stat", "through a link to /proc/self");
	cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	report(chdir("/proc"), "chdir(/proc)");
	tells_me(AT_FDCWD, "self/stat", "self/stat with /proc as working directory");
	report(chdir("/proc/self"), "chdir(/proc/self)");
	tells_me(AT_FDCWD, "stat", "stat with /proc/self as working directory");
	report(fchdir(cwd), "fchdir back");
	snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
	tells_me(AT_FDCWD, path, "/proc/PID/stat");
	close(proc);
	close(cwd);
	in_child("a child's own self", child);
}

static void *thread_self(void *arg)
{
	char text[64], want[64];
	ssize_t n = readlink("/proc/thread-self", text, sizeof(text) - 1);

	(void)arg;
	text[n > 0 ? n : 0] = 0;
	snprintf(want, sizeof(want), "%d/task/%ld", getpid(), syscall(SYS_gettid));
	line("thread-self in a thread: %s", strcmp(text, want) == 0 ? "me" : "NOT ME");
	tells_me(AT_FDCWD, "/proc/self/stat", "self in a thread");
	prctl(PR_SET_NAME, "my-thread");
	shows("/proc/thread-self/comm", "my-thread");
	return NULL;
}

static void contents(void)
{
	pthread_t t;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[8] = "";
	int fd;

	prctl(PR_SET_NAME, "fidelity-comm");
	shows("/proc/self/comm", "fidelity-comm");
	shows("/proc/self/status", "fidelity-comm");
	shows("/proc/self/cmdline", "fidelity\nproc\n");
	shows("/proc/self/environ", "FIDELITY=1");
	shows("/proc/self/maps", "fidelity");
	shows("/proc/self/limits", "Max open files");
	shows("/proc/mounts", " / ");
	shows("/proc/sys/kernel/ostype", "Linux");
	if (pthread_create(&t, NULL, thread_self, NULL) == 0)
		pthread_join(t, NULL);
	/* One's own memory by file. */
	strcpy(page, "secret");
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	report(pread(fd, buf, 6, (off_t)(uintptr_t)page), "read of own memory");
	line("  %s", buf);
	report(pwrite(fd, "S", 1, (off_t)(uintptr_t)page), "write of own memory");
	line("  %s", page);
	close(fd);
	fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
	report(write(fd, "renamed", 7), "write to own comm");
	close(fd);
	shows("/proc/self/comm", "renamed");
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	report(write(fd, "500", 3), "write to own oom_score_adj");
	close(fd);
	shows("/proc/self/oom_score_adj", "500");
	report_fd(open("/proc/self/fd", O_RDONLY | O_DIRECTORY), "open(/proc/self/fd)");
	report_fd(open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open(/proc/self/task)");
	report_fd(open("/proc/self/ns/mnt", O_RDONLY), "open(/proc/self/ns/mnt)");
	report_fd(open("/proc/self/exe", O_RDONLY), "open(/proc/self/exe)");
	report_fd(open("/proc/self/exe", O_WRONLY), "open(/proc/self/exe) for writing");
	report_fd(open("/proc/self/nothing", O_RDONLY | O_CREAT, 0600), "creat in /proc/self");
	report_fd(open("/proc/999999999/stat", O_RDONLY), "open(/proc/999999999/stat)");
	munmap(page, 4096);
}

/* Descriptors named by path: the flags are those of the new open, the position is its own. */
static void reopened(void)
{
	static const int flags[] = {
		O_RDONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDONLY | O_CLOEXEC | O_NONBLOCK, O_PATH,
		O_PATH | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_CREAT, O_RDONLY | O_DIRECTORY,
		O_WRONLY | O_CREAT | O_EXCL,
	};
	static const char *const forms[] = {"/proc/self/fd/9", "/dev/fd/9", "/proc/thread-self/fd/9"};
	const char *const kinds[] = {"file read-only", "file read-write", "O_PATH file", "O_PATH link", "directory",
				     "pipe", "socket", "memfd", "deleted file", "fifo", "nothing"};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t f = 0; f < ARRAY_SIZE(forms); f++)
			for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
				int fd = -1, other = -1, pair[2];

				switch (k) {
				case 0: fd = open("reg", O_RDONLY); break;
				case 1: fd = open("reg", O_RDWR); break;
				case 2: fd = open("reg", O_PATH); break;
				case 3: fd = open("link", O_PATH | O_NOFOLLOW); break;
				case 4: fd = open("dir", O_RDONLY); break;
				case 5:
					if (pipe(pair) == 0) {
						fd = pair[0];
						other = pair[1];
					}
					break;
				case 6: fd = (int)syscall(SYS_socket, 1, 1, 0); break;
				case 7: fd = memfd_create("m", 0); break;
				case 8:
					fd = open("gone", O_RDWR | O_CREAT, 0600);
					unlink("gone");
					break;
				case 9: fd = open("fifo", O_RDWR); break;
				default: break;
				}
				if (fd >= 0 && fd != 9) {
					dup2(fd, 9);
					close(fd);
				}
				report_fd(open(forms[f], flags[i] | O_NONBLOCK, 0600), "%s as %s with %#o", kinds[k],
					  forms[f], (unsigned)flags[i]);
				close(9);
				if (other >= 0)
					close(other);
				fixture_after_call();
			}
}

static void by_magic_link(void)
{
	struct stat st;
	int fd = open("reg", O_RDONLY), dir = open("dir", O_PATH | O_DIRECTORY);
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	report(chmod(path, 0611), "chmod through /proc/self/fd");
	report(truncate(path, 2), "truncate through /proc/self/fd");
	report(stat(path, &st), "stat through /proc/self/fd");
	line("  mode %o size %ld", st.st_mode, (long)st.st_size);
	report(lstat(path, &st), "lstat of /proc/self/fd/N");
	line("  type %o", st.st_mode & S_IFMT);
	report(unlink(path), "unlink of /proc/self/fd/N");
	report(rename(path, "new"), "rename of /proc/self/fd/N");
	report(link(path, "new"), "link of /proc/self/fd/N itself");
	report(readlink(path, text, sizeof(text)) > 0 ? 0 : -1, "readlink of /proc/self/fd/N");
	fixture_after_call();
	snprintf(path, sizeof(path), "/proc/self/fd/%d/in", dir);
	report_fd(open(path, O_RDONLY), "open below a directory's descriptor");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/../reg", dir);
	report_fd(open(path, O_RDONLY), "open beside a directory's descriptor");
	snprintf(path, sizeof(path), "/dev/fd/%d/new", dir);
	report(mkdir(path, 0700), "mkdir below a directory's descriptor");
	report_fd(open("/proc/self/cwd/reg", O_RDONLY), "open(/proc/self/cwd/reg)");
	report_fd(open("/proc/self/root/proc/self/comm", O_RDONLY | O_CLOEXEC), "open through /proc/self/root");
	report(mkdir("/proc/self/cwd/made", 0700), "mkdir(/proc/self/cwd/made)");
	close(fd);
	close(dir);
	fixture_after_call();
}

static void devices(void)
{
	static const char *const paths[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/tty",
					    "/dev/nothing", "/dev/stdin", "/dev/stdout"};
	char b = 0;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		report_fd(open(paths[i], O_RDWR | O_NONBLOCK), "open(%s)", paths[i]);
	fd = open("/dev/full", O_WRONLY);
	report(write(fd, &b, 1), "write to /dev/full");
	close(fd);
	fd = open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	report(write(fd, &b, 1), "write to /dev/null opened with O_CREAT and O_TRUNC");
	close(fd);
	fd = posix_openpt(O_RDWR | O_NOCTTY);
	line("pseudo-terminal %s", fd >= 0 ? "made" : strerrorname_np(errno));
	if (fd >= 0) {
		grantpt(fd);
		unlockpt(fd);
		report_fd(open(ptsname(fd), O_RDWR | O_NOCTTY), "open of its slave");
		close(fd);
	}
}

void section_proc(void)
{
	fixture();
	links_of_self();
	ways_to_self();
	unlink("mine");
	unlink("proc-self");
	contents();
	fixture_after_call();
	reopened();
	by_magic_link();
	devices();
}
