/* SPDX-License-Identifier: Apache-2.0
 * crowd TASKS N FILE: among TASKS - 1 sleeping processes, opens and closes FILE N times and prints nanoseconds
 * per pair. What a supervisor keeps for each task, or looks through, shows here.
 */
#include "bench/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_often(unsigned long n, const char *path)
{
	for (unsigned long i = 0; i < n; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			perror(path);
			exit(1);
		}
		close(fd);
	}
}

/* They die with us, and all at once when their group is killed. */
static pid_t sleeper(pid_t group)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, group);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	unsigned long tasks = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long n = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	pid_t group = 0;
	uint64_t start;

	if (tasks == 0 || n == 0) {
		fprintf(stderr, "usage: crowd TASKS N FILE\n");
		return 2;
	}
	for (unsigned long i = 1; i < tasks; i++) {
		pid_t pid = sleeper(group);

		if (pid < 0) {
			fprintf(stderr, "crowd: process %lu: %s\n", i, strerror(errno));
			if (group)
				kill(-group, SIGKILL);
			return 1;
		}
		setpgid(pid, group ? group : pid);
		if (!group)
			group = pid;
	}
	open_often(n / 10 + 1, argv[3]); /* warm */
	start = loop_now_ns();
	open_often(n, argv[3]);
	loop_print(start, n);
	if (group) {
		kill(-group, SIGKILL);
		while (waitpid(-group, NULL, 0) > 0)
			;
	}
	return 0;
}
