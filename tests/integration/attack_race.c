/* SPDX-License-Identifier: Apache-2.0
 * Races: what the supervisor looked at is changed before it, or the kernel, acts. Each loops for the
 * time of a race and looks at effects.
 */
#include "tests/integration/attack/attack.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

/* A path whose first two bytes flip between "ok" and "no". */
static _Atomic uint16_t *flip_at;
static const uint16_t two_ok = 'o' | 'k' << 8, two_no = 'n' | 'o' << 8;

static void *flip(void *arg)
{
	(void)arg;
	while (!race_over())
		for (int i = 0; i < 1000; i++) {
			atomic_store_explicit(flip_at, two_no, memory_order_relaxed);
			for (volatile int j = 0; j < (i & 63); j++)
				;
			atomic_store_explicit(flip_at, two_ok, memory_order_relaxed);
		}
	return NULL;
}

static char *flipping(void *memory, const char *rest)
{
	char *path = memory;

	memcpy(path, "ok", 2);
	strcpy(path + 2, rest);
	flip_at = memory;
	return path;
}

static enum outcome open_until_secret(const char *path)
{
	unsigned long tries = 0, opened = 0;

	while (!race_over()) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		tries++;
		opened += fd >= 0;
		if (fd_gives_secret(fd)) {
			race_join();
			return escaped("the secret after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries, %lu opened", tries, opened);
}

static enum outcome path_bytes_flip(void)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/plain0");

	race_begin();
	race_against(flip, NULL);
	return open_until_secret(path);
}

/* What is looked for in vain time and again is worth remembering, and then not looked at. */
static enum outcome path_bytes_flip_where_nothing_is(void)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/secret");

	unlink(path);
	race_begin();
	race_against(flip, NULL);
	return open_until_secret(path);
}

/* A terminal may become its opener's own, so it is tempting to let the kernel open it. */
static enum outcome path_of_a_terminal_flips(void)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/secret");
	int pty = posix_openpt(O_RDWR | O_NOCTTY);

	if (pty < 0 || unlockpt(pty) < 0)
		return cannot("no pseudo terminals");
	unlink(path);
	if (symlink(ptsname(pty), path) < 0)
		return cannot("no symlink");
	race_begin();
	race_against(flip, NULL);
	return open_until_secret(path);
}

/* The writer is no thread: /proc says that this process has one thread only. */
static enum outcome path_bytes_flip_from_another_process(void)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *path = flipping(memory, "/plain0");
	enum outcome o;
	pid_t pid;

	race_begin();
	pid = fork();
	if (pid == 0) {
		flip(NULL);
		_exit(0);
	}
	o = open_until_secret(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return o;
}

static char stack[65536];

static int flip_process(void *arg)
{
	flip(arg);
	return 0;
}

static enum outcome path_bytes_flip_from_a_process_that_shares_memory(void)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/plain0");
	enum outcome o;
	pid_t pid;

	race_begin();
	pid = clone(flip_process, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		return cannot("clone: %s", strerrorname_np(errno));
	o = open_until_secret(path);
	waitpid(pid, NULL, 0);
	return o;
}

/* The same flip at every call that takes a path and changes something. */
static void change_by(unsigned which, const char *path)
{
	static const char value[] = "v";

	switch (which) {
	case 0:
		close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
		break;
	case 1: {
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd >= 0) {
			(void)!pwrite(fd, "SECRET", 6, 0);
			close(fd);
		}
		break;
	}
	case 2:
		truncate(path, 7);
		break;
	case 3:
		chmod(path, 0644);
		break;
	case 4:
		chown(path, (uid_t)-1, getegid());
		break;
	case 5:
		utimensat(AT_FDCWD, path, NULL, 0);
		break;
	case 6:
		setxattr(path, "user.x", value, 1, 0);
		break;
	case 7:
		if (link(path, "ok/linked") == 0)
			unlink("ok/linked");
		break;
	case 8:
		if (rename(path, "ok/moved") == 0)
			rename("ok/moved", path);
		break;
	case 9:
		if (unlink(path) == 0)
			close(open("ok/plain0", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		break;
	case 10:
		if (symlink("x", path) == 0)
			unlink("ok/plain0");
		break;
	default:
		break;
	}
}

static enum outcome changes_flip(unsigned which)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/plain0");
	unsigned long tries = 0;

	victims_note();
	race_begin();
	race_against(flip, NULL);
	while (!race_over()) {
		change_by(which, path);
		if (++tries % 16 == 0 && !victims_untouched()) {
			race_join();
			return escaped("after %lu tries", tries);
		}
	}
	race_join();
	return victims_untouched() ? held("%lu tries", tries) : escaped("after %lu tries", tries);
}

#define CHANGE(name, n)                      \
	static enum outcome name(void)       \
	{                                    \
		return changes_flip(n);      \
	}
CHANGE(path_of_truncating_open_flips, 0)
CHANGE(path_of_writing_open_flips, 1)
CHANGE(path_of_truncate_flips, 2)
CHANGE(path_of_chmod_flips, 3)
CHANGE(path_of_chown_flips, 4)
CHANGE(path_of_utimensat_flips, 5)
CHANGE(path_of_setxattr_flips, 6)
CHANGE(path_of_link_flips, 7)
CHANGE(path_of_rename_flips, 8)
CHANGE(path_of_unlink_flips, 9)

/* New names below the denied directory. */
static enum outcome path_of_creation_flips(void)
{
	static _Alignas(16) char memory[64];
	char *path = flipping(memory, "/made");
	unsigned long tries = 0;

	race_begin();
	race_against(flip, NULL);
	while (!race_over()) {
		switch (tries++ % 5) {
		case 0: mkdir(path, 0700); rmdir("ok/made"); break;
		case 1: mknod(path, S_IFREG | 0600, 0); break;
		case 2: symlink("x", path); break;
		case 3: close(open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)); break;
		default: mkfifo(path, 0600); break;
		}
		unlink("ok/made");
		if (faccessat(AT_FDCWD, "no/made", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			race_join();
			return escaped("made a name after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries", tries);
}

/* A descriptor number that flips between two directories. */
static int two_dirs[2];

static void *flip_descriptor(void *arg)
{
	(void)arg;
	while (!race_over())
		for (int i = 0; i < 100; i++)
			dup2(two_dirs[i & 1], 50);
	return NULL;
}

static enum outcome directory_descriptor_flips(void)
{
	unsigned long tries = 0;

	two_dirs[0] = open("ok", O_PATH | O_DIRECTORY);
	two_dirs[1] = open("no", O_PATH | O_DIRECTORY);
	if (two_dirs[0] < 0 || two_dirs[1] < 0)
		return cannot("no descriptor of the directories: %s", strerrorname_np(errno));
	dup2(two_dirs[0], 50);
	race_begin();
	race_against(flip_descriptor, NULL);
	while (!race_over()) {
		tries++;
		if (fd_gives_secret(openat(50, "plain0", O_RDONLY | O_CLOEXEC))) {
			race_join();
			return escaped("the secret after %lu tries", tries);
		}
		if (renameat(50, "plain0", AT_FDCWD, "ok/stolen") == 0) {
			if (path_gives_secret("ok/stolen")) {
				race_join();
				return escaped("moved the secret after %lu tries", tries);
			}
			rename("ok/stolen", "ok/plain0");
		}
		if (linkat(50, "plain0", AT_FDCWD, "ok/stolen", 0) == 0) {
			if (path_gives_secret("ok/stolen")) {
				race_join();
				return escaped("linked the secret after %lu tries", tries);
			}
			unlink("ok/stolen");
		}
	}
	race_join();
	return held("%lu tries", tries);
}

static void *flip_cwd(void *arg)
{
	(void)arg;
	while (!race_over())
		for (int i = 0; i < 100; i++)
			if (fchdir(two_dirs[i & 1]) < 0)
				return NULL;
	return NULL;
}

static enum outcome working_directory_flips(void)
{
	int home = open(".", O_PATH | O_DIRECTORY);
	enum outcome o;

	two_dirs[0] = open("ok", O_PATH | O_DIRECTORY);
	two_dirs[1] = open("no", O_PATH | O_DIRECTORY);
	race_begin();
	race_against(flip_cwd, NULL);
	o = open_until_secret("plain0");
	fchdir(home);
	return o;
}

static void *swap_names(void *arg)
{
	const char *const *names = arg;

	while (!race_over())
		for (int i = 0; i < 50; i++)
			if (renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) < 0)
				return NULL;
	return NULL;
}

/* The last component is now a file, now a link to the secret. */
static enum outcome file_and_link_swap(void)
{
	static const char *names[] = {"ok/here", "ok/there"};

	if (link("ok/plain0", "ok/here") || symlink("../no/secret", "ok/there"))
		return cannot("set up: %s", strerrorname_np(errno));
	race_begin();
	race_against(swap_names, names);
	return open_until_secret("ok/here");
}

/* One on the way is now a directory, now a link to the denied one. */
static enum outcome directory_and_link_swap(void)
{
	static const char *names[] = {"ok/d", "ok/dl"};

	if (mkdir("ok/d", 0755) || link("ok/plain0", "ok/d/plain0") || symlink("../no", "ok/dl"))
		return cannot("set up: %s", strerrorname_np(errno));
	race_begin();
	race_against(swap_names, names);
	return open_until_secret("ok/d/plain0");
}

/* The same for calls that change what they find at the end of the way. */
static enum outcome directory_and_link_swap_under_changes(void)
{
	static const char *names[] = {"ok/d", "ok/dl"};
	unsigned long tries = 0;

	if (mkdir("ok/d", 0755) || link("ok/plain0", "ok/d/plain0") || symlink("../no", "ok/dl"))
		return cannot("set up: %s", strerrorname_np(errno));
	victims_note();
	race_begin();
	race_against(swap_names, names);
	while (!race_over()) {
		const char *path = "ok/d/plain0";

		chmod(path, 0644);
		truncate(path, 7);
		utimensat(AT_FDCWD, path, NULL, 0);
		close(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
		close(open("ok/d/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		unlink("ok/d/new");
		if (rename(path, "ok/d/moved") == 0)
			rename("ok/d/moved", path);
		mkdir("ok/d/sub", 0700);
		rmdir("ok/d/sub");
		tries++;
		if (!victims_untouched()) {
			race_join();
			return escaped("after %lu tries", tries);
		}
	}
	race_join();
	return victims_untouched() ? held("%lu tries", tries) : escaped("after %lu tries", tries);
}

/* Two steps up from a directory that meanwhile moves one level up. A long stay in it gives it time. */
static enum outcome directory_moves_under_dotdot(void)
{
	static const char *names[] = {"ok/a/b", "ok/e"};
	char path[1600] = "ok/a/b/";
	unsigned long tries = 0;

	if (mkdir("ok/a", 0755) || mkdir("ok/a/b", 0755) || mkdir("ok/a/b/c", 0755) || mkdir("ok/e", 0755) ||
	    mkdir("ok/e/c", 0755))
		return cannot("set up: %s", strerrorname_np(errno));
	for (int i = 0; i < 250; i++)
		strcat(path, "c/../");
	strcat(path, "../../no/secret");
	race_begin();
	race_against(swap_names, names);
	while (!race_over()) {
		tries++;
		if (path_gives_secret(path)) {
			race_join();
			return escaped("the secret after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries", tries);
}

static void *plant_link(void *arg)
{
	(void)arg;
	while (!race_over())
		for (int i = 0; i < 50; i++) {
			symlink("../no/created", "ok/new");
			unlink("ok/new");
		}
	return NULL;
}

/* The name was free when looked at; when the file is made it is a link into the denied directory. */
static enum outcome link_planted_before_creation(void)
{
	unsigned long tries = 0;

	race_begin();
	race_against(plant_link, NULL);
	while (!race_over()) {
		int fd = open("ok/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		tries++;
		if (fd >= 0)
			close(fd);
		if (faccessat(AT_FDCWD, "no/created", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
			race_join();
			return escaped("created a file after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries", tries);
}

/* A thread with a working directory of its own: asking for the leader's is wrong. */
static enum outcome thread_result;
static _Atomic int step;

static void *own_cwd(void *arg)
{
	bool away = unshare(CLONE_FS) == 0 && chdir("no") == 0;

	(void)arg;
	step = 1;
	while (step != 2)
		usleep(100);
	if (!away)
		thread_result = cannot("unshare: %s", strerrorname_np(errno));
	else if (fd_gives_secret(open("plain0", O_RDONLY | O_CLOEXEC)))
		thread_result = escaped("the secret by a relative name");
	else if (mkdir("made", 0700) == 0 || truncate("victim", 1) == 0)
		thread_result = escaped("changed the denied directory by a relative name");
	else
		thread_result = held("all refused");
	return NULL;
}

static enum outcome thread_has_its_own_working_directory(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, own_cwd, NULL))
		return cannot("no thread");
	while (step != 1)
		usleep(100);
	/* The leader is in ok, where the same names are harmless; the thread is in no. */
	chdir("ok");
	step = 2;
	pthread_join(t, NULL);
	chdir("..");
	return thread_result;
}

static void *own_descriptors(void *arg)
{
	int no;

	(void)arg;
	if (unshare(CLONE_FILES)) {
		thread_result = cannot("unshare: %s", strerrorname_np(errno));
		return NULL;
	}
	no = open("no", O_PATH | O_DIRECTORY);
	dup2(no, 50);
	if (fd_gives_secret(openat(50, "plain0", O_RDONLY | O_CLOEXEC)))
		thread_result = escaped("the secret by the thread's own descriptor");
	else
		thread_result = held("refused");
	return NULL;
}

static enum outcome thread_has_its_own_descriptors(void)
{
	int ok = open("ok", O_PATH | O_DIRECTORY);
	pthread_t t;

	dup2(ok, 50);
	if (pthread_create(&t, NULL, own_descriptors, NULL))
		return cannot("no thread");
	pthread_join(t, NULL);
	return thread_result;
}

const struct attack attacks[] = {
	{"path_bytes_flip", path_bytes_flip},
	{"path_bytes_flip_where_nothing_is", path_bytes_flip_where_nothing_is},
	{"path_of_a_terminal_flips", path_of_a_terminal_flips},
	{"path_bytes_flip_from_another_process", path_bytes_flip_from_another_process},
	{"path_bytes_flip_from_a_process_that_shares_memory", path_bytes_flip_from_a_process_that_shares_memory},
	{"path_of_truncating_open_flips", path_of_truncating_open_flips},
	{"path_of_writing_open_flips", path_of_writing_open_flips},
	{"path_of_truncate_flips", path_of_truncate_flips},
	{"path_of_chmod_flips", path_of_chmod_flips},
	{"path_of_chown_flips", path_of_chown_flips},
	{"path_of_utimensat_flips", path_of_utimensat_flips},
	{"path_of_setxattr_flips", path_of_setxattr_flips},
	{"path_of_link_flips", path_of_link_flips},
	{"path_of_rename_flips", path_of_rename_flips},
	{"path_of_unlink_flips", path_of_unlink_flips},
	{"path_of_creation_flips", path_of_creation_flips},
	{"directory_descriptor_flips", directory_descriptor_flips},
	{"working_directory_flips", working_directory_flips},
	{"file_and_link_swap", file_and_link_swap},
	{"directory_and_link_swap", directory_and_link_swap},
	{"directory_and_link_swap_under_changes", directory_and_link_swap_under_changes},
	{"directory_moves_under_dotdot", directory_moves_under_dotdot},
	{"link_planted_before_creation", link_planted_before_creation},
	{"thread_has_its_own_working_directory", thread_has_its_own_working_directory},
	{"thread_has_its_own_descriptors", thread_has_its_own_descriptors},
	{NULL, NULL},
};
