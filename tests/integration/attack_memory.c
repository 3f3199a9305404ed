/* SPDX-License-Identifier: Apache-2.0
 * The path lies in memory that can't be read just when the supervisor looks, and is another path, which can
 * be, when the kernel would look again. Whoever lets a call go on because its arguments could not be read
 * gives the secret away.
 */
#include "tests/integration/attack/attack.h"

#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static char *page;  /* what the calls name */
static char *alias; /* the same memory, always writable */

/* Two maps of one page: its bytes can be changed while it is not accessible at PAGE. */
static bool map_twice(void)
{
	int fd = memfd_create("path", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return false;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	alias = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page != MAP_FAILED && alias != MAP_FAILED;
}

static void *protect(void *arg)
{
	(void)arg;
	while (!race_over()) {
		strcpy(alias, "ok/plain0");
		mprotect(page, 4096, PROT_NONE);
		strcpy(alias, "no/secret");
		mprotect(page, 4096, PROT_READ);
	}
	return NULL;
}

static void *discard(void *arg)
{
	(void)arg;
	while (!race_over()) {
		munmap(page, 4096);
		strcpy(alias, "no/secret");
		if (mremap(alias, 0, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page) == MAP_FAILED)
			break;
		strcpy(alias, "ok/plain0");
	}
	return NULL;
}

/* Until the race that has begun is over. */
static enum outcome open_until_secret(const char *path)
{
	bool got = false;

	while (!race_over() && !got)
		got = fd_gives_secret(open(path, O_RDONLY | O_CLOEXEC));
	race_join();
	return got ? escaped("the secret") : held("never");
}

static enum outcome open_while(void *(*disturb)(void *))
{
	if (!map_twice())
		return cannot("no shared page: %s", strerrorname_np(errno));
	strcpy(alias, "ok/plain0");
	race_begin();
	race_against(disturb, NULL);
	return open_until_secret(page);
}

static enum outcome path_in_protected_memory(void)
{
	return open_while(protect);
}

static enum outcome path_in_unmapped_memory(void)
{
	return open_while(discard);
}

/* The string runs into a hole: nothing that was not read as a whole is a name. */
static enum outcome path_that_runs_into_a_hole(void)
{
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *path;

	if (two == MAP_FAILED)
		return cannot("no memory");
	path = two + 4096 - strlen("no/secret");
	memcpy(path, "no/secret", strlen("no/secret"));
	if (is_control())
		return path_gives_secret(strndup(path, strlen("no/secret"))) ? escaped("readable") : held("not");
	mprotect(two + 4096, 4096, PROT_NONE);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || errno != EFAULT)
		return escaped("not EFAULT");
	return held("EFAULT");
}

static char growing[PATH_MAX + 1]; /* a path, or too long for one */

static void *grow_and_shrink(void *arg)
{
	volatile char *end = growing + strlen(growing);

	(void)arg;
	while (!race_over())
		for (int i = 0; i < 1000; i++) {
			*end = 'x';
			for (volatile int j = 0; j < (i & 127); j++)
				;
			*end = '\0';
			for (volatile int j = 0; j < (i & 31); j++)
				;
		}
	return NULL;
}

/* This thread reads no file any more. */
static bool give_up_reading(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	bool done = fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;

	close(fd);
	return done;
}

/* Nor with the ids that this thread takes: the file is its maker's alone. */
static bool give_up_ids(void)
{
	return syscall(SYS_setresuid, 65534, 65534, 65534) == 0;
}

/* What a thread gave up, nobody does for it. The path is none at first, which answers the call at once, and is read
 * again to be sure of that. The file is new: Landlock does not grant it, so the supervisor would open it. */
static enum outcome open_a_path_that_grows(bool (*give_up)(void))
{
	int fd = open("fresh", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	bool made = fd >= 0 && write(fd, "SECRET\n", 7) == 7;

	close(fd);
	memset(growing, 'x', sizeof(growing));
	strcpy(growing, "./fresh");
	if (!made || !path_gives_secret(growing))
		return cannot("set up: %s", strerrorname_np(errno));
	race_begin();
	race_against(grow_and_shrink, NULL);
	if (!is_control() && !give_up()) {
		race_join();
		return cannot("giving up: %s", strerrorname_np(errno));
	}
	return open_until_secret(growing);
}

/* A sandbox within the sandbox. */
static enum outcome path_of_a_confined_thread_grows(void)
{
	return open_a_path_that_grows(give_up_reading);
}

static enum outcome path_of_a_thread_with_other_ids_grows(void)
{
	return geteuid() == 0 ? open_a_path_that_grows(give_up_ids) : cannot("needs root");
}

const struct attack attacks[] = {
	{"path_in_protected_memory", path_in_protected_memory},
	{"path_in_unmapped_memory", path_in_unmapped_memory},
	{"path_that_runs_into_a_hole", path_that_runs_into_a_hole},
	{"path_of_a_confined_thread_grows", path_of_a_confined_thread_grows},
	{"path_of_a_thread_with_other_ids_grows", path_of_a_thread_with_other_ids_grows},
	{NULL, NULL},
};
