/* SPDX-License-Identifier: Apache-2.0
 * bare [-t open,exec,look] [-e two-step|send] [-s FILE] [--] CMD...: runs CMD under the bare supervisor, the floor
 * of what supervision costs. With -e it opens the files itself. With -s FILE it says at the end what it used, in
 * members of `sluice run --stats`.
 */
#include "bench/bare_supervisor.h"

#include "core/peak_memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static long long us(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

static int write_stats(const char *path, uint64_t served)
{
	FILE *f = fopen(path, "we");
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	if (!f)
		return -errno;
	fprintf(f,
		"{\"notifications\": %llu, \"supervisor_user_us\": %lld, \"supervisor_system_us\": %lld, "
		"\"max_rss_kib\": %llu}\n",
		(unsigned long long)served, us(u.ru_utime), us(u.ru_stime),
		(unsigned long long)peak_memory_kib());
	return fclose(f) == 0 ? 0 : -errno;
}

int main(int argc, char **argv)
{
	struct command command = {0};
	pthread_t reaper;
	struct bare_call calls[16];
	const char *names = "open", *form = NULL, *stats = NULL;
	uint64_t served;
	int n, option, listener, r;

	while ((option = getopt(argc, argv, "+t:e:s:")) != -1) {
		if (option == 'e')
			form = optarg;
		else if (option == 's')
			stats = optarg;
		else
			names = option == 't' ? optarg : "";
	}
	n = bare_calls(names, calls, sizeof(calls) / sizeof(calls[0]));
	if (n < 0 || optind == argc || (form && strcmp(form, "two-step") != 0 && strcmp(form, "send") != 0)) {
		fprintf(stderr, "usage: bare [-t open,exec,look] [-e two-step|send] [-s FILE] [--] CMD...\n");
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
		served = bare_serve_opens(listener, strcmp(form, "send") == 0 ? BARE_SEND : BARE_TWO_STEP);
	else
		served = bare_serve(listener, calls, (size_t)n);
	pthread_join(reaper, NULL);
	r = stats ? write_stats(stats, served) : 0;
	if (r < 0) {
		fprintf(stderr, "bare: %s: %s\n", stats, strerror(-r));
		return 125;
	}
	return WIFEXITED(command.status) ? WEXITSTATUS(command.status) : 128 + WTERMSIG(command.status);
}
