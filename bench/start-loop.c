/* SPDX-License-Identifier: Apache-2.0
 * start-loop N [PREFIX...]: runs itself N times below PREFIX, one after the other; prints nanoseconds from the start
 * of PREFIX to the first instructions of its command's main, the median. What PREFIX does when the command has ended
 * is not in it.
 */
#include "bench/loop.h"

#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "start-loop: %s: %s\n", what, why);
	exit(1);
}

/* What the command prints: when it ran. */
static uint64_t stamp(char **args)
{
	posix_spawn_file_actions_t actions;
	char text[32] = "";
	int ends[2], status, r;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(ends) < 0)
		die("pipe", "no descriptors left");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, ends[0]);
	posix_spawn_file_actions_addclose(&actions, ends[1]);
	r = posix_spawnp(&pid, args[0], &actions, NULL, args, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		die(args[0], strerror(r));
	close(ends[1]);
	while (n < sizeof(text) - 1 && (got = read(ends[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0 || n == 0)
		die(args[0], "failed");
	return strtoull(text, NULL, 10);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	static char stamp_word[] = "--stamp", self[PATH_MAX];
	uint64_t now = loop_now_ns(), *taken;
	unsigned long n;
	char **args;

	if (argc == 2 && strcmp(argv[1], stamp_word) == 0) {
		printf("%llu\n", (unsigned long long)now);
		return 0;
	}
	n = argc >= 2 ? strtoul(argv[1], NULL, 10) : 0;
	if (n == 0 || n > 1000000) {
		fprintf(stderr, "usage: start-loop N [PREFIX...]\n");
		return 2;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe", "can't be read");
	args = calloc((size_t)argc + 1, sizeof(*args));
	taken = calloc(n, sizeof(*taken));
	if (!args || !taken)
		die("memory", "used up");
	memcpy(args, argv + 2, (size_t)(argc - 2) * sizeof(*args));
	args[argc - 2] = self;
	args[argc - 1] = stamp_word;
	stamp(args); /* warm */
	for (unsigned long i = 0; i < n; i++) {
		uint64_t start = loop_now_ns();

		taken[i] = stamp(args) - start;
	}
	qsort(taken, n, sizeof(*taken), by_size);
	printf("%.1f\n", (double)taken[n / 2]);
	free(args);
	free(taken);
	return 0;
}
