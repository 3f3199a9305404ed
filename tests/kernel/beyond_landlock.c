/* SPDX-License-Identifier: Apache-2.0
 * What a domain that grants nothing still lets its tasks do: why these calls are trapped or refused.
 */
#include "kernel.h"

#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/xattr.h>

static char dir[64], file[80];
static int inherited;

static int names_and_meta(void)
{
	struct stat st;
	int fd;

	NEED(enter_domain(landlock_fs_rights(landlock_abi()), 0, 0, NULL, 0) == 0);
	FACT(fails_with(open(file, O_RDONLY), EACCES), "opening is refused");
	FACT(stat(file, &st) == 0 && access(file, R_OK) == 0, "stat and access are not");
	FACT(chmod(file, 0600) == 0, "nor chmod");
	FACT(utimensat(AT_FDCWD, file, NULL, 0) == 0, "nor setting times");
	FACT(setxattr(file, "user.x", "1", 1, 0) == 0 || errno == EOPNOTSUPP, "nor extended attributes");
	FACT(chdir(dir) == 0, "nor chdir");
	FACT((fd = open(file, O_PATH)) >= 0, "nor an O_PATH open");
	FACT(fchmod(inherited, 0640) == 0, "nor fchmod of a descriptor that is open for reading only");
	return 0;
}

static int watching(void)
{
	char buf[4096];
	char name[100];
	int fd = inotify_init1(IN_NONBLOCK), made;

	NEED(fd >= 0);
	snprintf(name, sizeof(name), "%s/secret-name", dir);
	made = open(name, O_CREAT | O_WRONLY, 0600);
	NEED(made >= 0);
	NEED(enter_domain(landlock_fs_rights(landlock_abi()), 0, 0, NULL, 0) == 0);
	FACT(fails_with(open(dir, O_RDONLY | O_DIRECTORY), EACCES), "listing is refused");
	FACT(inotify_add_watch(fd, dir, IN_ALL_EVENTS) >= 0, "watching is not");
	NEED(write(made, "x", 1) == 1);
	ssize_t n = read(fd, buf, sizeof(buf));
	FACT(n > 0 && memmem(buf, (size_t)n, "secret-name", 11), "and tells names");
	return 0;
}

static int other_tasks(void)
{
	pid_t victim = getppid();
	struct rlimit l;
	cpu_set_t cpus;

	NEED(enter_domain(landlock_fs_rights(landlock_abi()), 0, landlock_abi() >= 6 ? LL_SCOPE_SIGNAL : 0,
			  NULL, 0) == 0);
	NEED(prlimit(victim, RLIMIT_NOFILE, NULL, &l) == 0);
	FACT(prlimit(victim, RLIMIT_NOFILE, &l, NULL) == 0, "prlimit on a task outside of the domain works");
	NEED(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	FACT(sched_setaffinity(victim, sizeof(cpus), &cpus) == 0, "and its affinity can be set");
	FACT(setpriority(PRIO_PROCESS, (id_t)victim, getpriority(PRIO_PROCESS, (id_t)victim)) == 0,
	     "and its priority");
	return 0;
}

static int renaming(void)
{
	char a[100], b[100];

	snprintf(a, sizeof(a), "%s/denied", dir);
	snprintf(b, sizeof(b), "%s/other", dir);
	close(open(a, O_CREAT | O_WRONLY, 0600));
	NEED(enter_domain(LL_FS_1, 0, 0, dir,
			  LL_MAKE_REG | LL_REMOVE_FILE) == 0);
	FACT(fails_with(open(a, O_RDONLY), EACCES), "a file may be unreadable");
	FACT(rename(a, b) == 0, "and be renamed within its directory, without REFER");
	FACT(link(b, a) == 0, "and linked");
	return 0;
}

static int tmpfile_needs_no_create(void)
{
	int fd;

	NEED(enter_domain(LL_FS_1, 0, 0, dir, LL_WRITE_FILE | LL_READ_FILE) == 0);
	FACT(fails_with(open(file, O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST), "");
	fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 && errno == EOPNOTSUPP)
		return 0;
	FACT(fd >= 0, "O_TMPFILE needs no create right");
	return 0;
}

int main(void)
{
	need_landlock(1);
	snprintf(dir, sizeof(dir), "%s", scratch());
	snprintf(file, sizeof(file), "%s/file", dir);
	close(open(file, O_CREAT | O_WRONLY, 0640));
	inherited = open(file, O_RDONLY);
	NEED(inherited >= 0);
	FACT(in_child(names_and_meta), "");
	FACT(in_child(watching), "");
	FACT(in_child(other_tasks), "");
	FACT(in_child(renaming), "");
	FACT(in_child(tmpfile_needs_no_create), "");
	NEED(chdir("/tmp") == 0);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}
