/* SPDX-License-Identifier: Apache-2.0
 * exec-loop N PROGRAM [ARG...]: runs PROGRAM N times, one after the other, prints nanoseconds from
 * start to end.
 */
#include "bench/loop.h"

#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static void run(unsigned long n, char **args)
{
	for (unsigned long i = 0; i < n; i++) {
		int status, r;
		pid_t pid;

		r = posix_spawnp(&pid, args[0], NULL, NULL, args, environ);
		if (r != 0) {
			fprintf(stderr, "exec-loop: %s: %s\n", args[0], strerror(r));
			exit(1);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "exec-loop: %s failed\n", args[0]);
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long n = loop_count(argc, argv, "exec-loop N PROGRAM [ARG...]");
	uint64_t start;

	run(n / 10 + 1, argv + 2); /* warm */
	start = loop_now_ns();
	run(n, argv + 2);
	loop_print(start, n);
	return 0;
}
