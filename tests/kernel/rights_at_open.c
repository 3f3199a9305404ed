/* SPDX-License-Identifier: Apache-2.0
 * The right to truncate is fixed when a file is opened, by who opens it: a descriptor that an
 * unconfined supervisor opens carries rights that the target's own domain forbids.
 */
#include "kernel.h"

static char file[80];
static int from_outside;

static int confined(void)
{
	int own;

	NEED(enter_domain(landlock_fs_rights(3), 0, 0, file, LL_WRITE_FILE | LL_READ_FILE) == 0);
	own = open(file, O_RDWR);
	NEED(own >= 0);
	FACT(fails_with(ftruncate(own, 0), EACCES), "a file opened inside can't be truncated");
	FACT(ftruncate(from_outside, 0) == 0, "one opened outside can");
	return 0;
}

static int exec_checks(void)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};
	char path[] = "/bin/true";

	/* The program alone is not enough: its loader is executed too. */
	NEED(enter_domain(LL_FS_1, 0, 0, path, LL_EXECUTE | LL_READ_FILE) == 0);
	FACT(fails_with(execv(path, argv), EACCES), "EXECUTE on a program without its loader is no use");
	return 0;
}

int main(void)
{
	const char *dir;

	need_landlock(3);
	dir = scratch();
	snprintf(file, sizeof(file), "%s/file", dir);
	from_outside = open(file, O_CREAT | O_RDWR, 0600);
	NEED(from_outside >= 0);
	FACT(in_child(confined), "");
	FACT(in_child(exec_checks), "");
	NEED(unlink(file) == 0 && rmdir(dir) == 0);
	return 0;
}
