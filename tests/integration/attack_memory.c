/* SPDX-License-Identifier: Apache-2.0
 * The path lies in memory that can't be read just when the supervisor looks, and is another path, which can
 * be, when the kernel would look again. Whoever lets a call go on because its arguments could not be read
 * gives the secret away.
 */
#include "tests/integration/attack/attack.h"

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

static enum outcome open_while(void *(*disturb)(void *))
{
	bool got = false;

	if (!map_twice())
		return cannot("no shared page: %s", strerrorname_np(errno));
	strcpy(alias, "ok/plain0");
	race_begin();
	race_against(disturb, NULL);
	while (!race_over() && !got)
		got = fd_gives_secret(open(page, O_RDONLY | O_CLOEXEC));
	race_join();
	return got ? escaped("the secret") : held("never");
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

const struct attack attacks[] = {
	{"path_in_protected_memory", path_in_protected_memory},
	{"path_in_unmapped_memory", path_in_unmapped_memory},
	{"path_that_runs_into_a_hole", path_that_runs_into_a_hole},
	{NULL, NULL},
};
