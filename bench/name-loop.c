/* SPDX-License-Identifier: Apache-2.0
 * name-loop N DIR [OP]: makes and takes away a name in DIR N times, prints nanoseconds per pair of calls. DIR must
 * be there; names in it begin with "loop.".
 */
#include "bench/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int dir;

static int create_unlink(void)
{
	int fd = openat(dir, "loop.a", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return fd;
	close(fd);
	return unlinkat(dir, "loop.a", 0);
}

static int mkdir_rmdir(void)
{
	return mkdirat(dir, "loop.a", 0755) | unlinkat(dir, "loop.a", AT_REMOVEDIR);
}

static int symlink_unlink(void)
{
	return symlinkat("loop.b", dir, "loop.a") | unlinkat(dir, "loop.a", 0);
}

static int rename_back(void)
{
	return renameat(dir, "loop.f", dir, "loop.a") | renameat(dir, "loop.a", dir, "loop.f");
}

static int chmod_utimens(void)
{
	return fchmodat(dir, "loop.f", 0644, 0) | utimensat(dir, "loop.f", NULL, 0);
}

static int fd = -1;

static int fchmod_futimens(void)
{
	return fchmod(fd, 0644) | futimens(fd, NULL);
}

static const struct {
	const char *name;
	int (*pair)(void);
} ops[] = {
	{"create", create_unlink}, {"mkdir", mkdir_rmdir}, {"symlink", symlink_unlink}, {"rename", rename_back},
	{"chmod", chmod_utimens}, {"fchmod", fchmod_futimens},
};
#define N_OPS (sizeof(ops) / sizeof(ops[0]))

static void run(unsigned long n, int (*pair)(void), const char *name)
{
	for (unsigned long i = 0; i < n; i++)
		if (pair()) {
			perror(name);
			exit(1);
		}
}

int main(int argc, char **argv)
{
	unsigned long n = loop_count(argc, argv, "name-loop N DIR [OP]");

	dir = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = dir < 0 ? dir : openat(dir, "loop.f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		perror(argv[2]);
		return 1;
	}
	/* Relative to the working directory, as programs mostly have it. */
	dir = fchdir(dir) < 0 ? -1 : AT_FDCWD;
	for (size_t i = 0; i < N_OPS; i++) {
		uint64_t start;

		if (argc > 3 && strcmp(argv[3], ops[i].name) != 0)
			continue;
		run(n / 10 + 1, ops[i].pair, ops[i].name); /* warm */
		start = loop_now_ns();
		run(n, ops[i].pair, ops[i].name);
		if (argc == 3)
			printf("%-8s ", ops[i].name);
		loop_print(start, n);
	}
	return unlinkat(dir, "loop.f", 0) < 0;
}
