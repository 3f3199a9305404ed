/* SPDX-License-Identifier: Apache-2.0
 * bare [-t open,exec] [--] CMD...: runs CMD under the bare supervisor, the floor of what supervision costs.
 */
#include "bench/bare_supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct bare_call calls[16];
	const char *names = "open";
	int n, option, listener, status = 0, r;
	pid_t pid;

	while ((option = getopt(argc, argv, "+t:")) != -1)
		names = option == 't' ? optarg : "";
	n = bare_calls(names, calls, sizeof(calls) / sizeof(calls[0]));
	if (n < 0 || optind == argc) {
		fprintf(stderr, "usage: bare [-t open,exec] [--] CMD...\n");
		return 125;
	}
	r = bare_start(calls, (size_t)n, argv + optind, &pid, &listener);
	if (r < 0) {
		fprintf(stderr, "bare: %s\n", strerror(-r));
		return 125;
	}
	bare_serve(listener, calls, (size_t)n);
	if (waitpid(pid, &status, 0) < 0)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
