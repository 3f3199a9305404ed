/* SPDX-License-Identifier: Apache-2.0
 * Landlock lets a file be executed only where both EXECUTE and READ_FILE are granted, if both are
 * handled: the kernel opens what it executes for reading. So where reading can't be granted, exec can't.
 */
#include "core/launch/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0: it ran; else the errno of execve. */
static int run_with(uint64_t rights)
{
	struct plan plan = {.handled_fs = LL_EXECUTE | LL_READ_FILE};
	struct grant usr = {.path = (char[]){"/usr"}, .len = 4, .rights = rights, .is_dir = true};
	int status;
	pid_t child = fork();

	if (child == 0) {
		int fd = landlock_ruleset(&plan, &usr, 1);

		if (fd < 0 || landlock_enter(fd) < 0)
			_exit(255);
		execl("/usr/bin/true", "true", (char *)NULL);
		_exit(errno);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 255;
	return WEXITSTATUS(status);
}

int main(void)
{
	if (!landlock_abi()) {
		puts("no Landlock");
		return 77;
	}
	if (run_with(LL_EXECUTE | LL_READ_FILE) != 0) {
		puts("can't execute with both rights");
		return 1;
	}
	if (run_with(LL_EXECUTE) != EACCES) {
		puts("EXECUTE alone is enough");
		return 1;
	}
	return 0;
}
