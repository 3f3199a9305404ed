/* SPDX-License-Identifier: Apache-2.0
 * bare [-t open,exec] [-e two-step|send] [--] CMD...: runs CMD under the bare supervisor, the floor of what
 * supervision costs. With -e it opens the files itself.
 */
#include "bench/bare_supervisor.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct command {
	pid_t pid;
	int status;
};

/* Before Linux 6.11 a task counts as there until it is reaped, and so its filter. */
static void *reap(void *arg)
{
	struct command *c = arg;

	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	struct command command = {0};
	pthread_t reaper;
	struct bare_call calls[16];
	const char *names = "open", *form = NULL;
	int n, option, listener, r;

	while ((option = getopt(argc, argv, "+t:e:")) != -1) {
		if (option == 'e')
			form = optarg;
		else
			names = option == 't' ? optarg : "";
	}
	n = bare_calls(names, calls, sizeof(calls) / sizeof(calls[0]));
	if (n < 0 || optind == argc || (form && strcmp(form, "two-step") != 0 && strcmp(form, "send") != 0)) {
		fprintf(stderr, "usage: bare [-t open,exec,look] [-e two-step|send] [--] CMD...\n");
		return 125;
	}
	r = bare_start(calls, (size_t)n, argv + optind, &command.pid, &listener);
	if (r == 0)
		r = -pthread_create(&reaper, NULL, reap, &command);
	if (r < 0) {
		fprintf(stderr, "bare: %s\n", strerror(-r));
		return 125;
	}
	if (form)
		bare_serve_opens(listener, strcmp(form, "send") == 0 ? BARE_SEND : BARE_TWO_STEP);
	else
		bare_serve(listener, calls, (size_t)n);
	pthread_join(reaper, NULL);
	return WIFEXITED(command.status) ? WEXITSTATUS(command.status) : 128 + WTERMSIG(command.status);
}
