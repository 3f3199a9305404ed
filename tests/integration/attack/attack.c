/* SPDX-License-Identifier: Apache-2.0
 * The common part of the attack programs.
 */
#include "tests/integration/attack/attack.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

bool is_control(void)
{
	return getenv("ATTACK_CONTROL") != NULL;
}

static void say(const char *word, const char *fmt, va_list ap)
{
	printf("%s: ", word);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
}

enum outcome escaped(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("escaped", fmt, ap);
	va_end(ap);
	return ESCAPED;
}

enum outcome cannot(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("cannot", fmt, ap);
	va_end(ap);
	return CANNOT;
}

enum outcome held(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("held", fmt, ap);
	va_end(ap);
	return HELD;
}

bool fd_gives_secret(int fd)
{
	char buf[6];
	bool gives;

	if (fd < 0)
		return false;
	gives = pread(fd, buf, sizeof(buf), 0) == sizeof(buf) && memcmp(buf, "SECRET", sizeof(buf)) == 0;
	close(fd);
	return gives;
}

bool path_gives_secret(const char *path)
{
	return fd_gives_secret(open(path, O_RDONLY | O_CLOEXEC));
}

static struct timespec race_end;
static pthread_t racers[8];
static unsigned n_racers;
static _Atomic bool over;

static bool past(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > t->tv_sec || (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

void race_begin(void)
{
	const char *ms = getenv("ATTACK_RACE_MS");
	long len = ms ? atol(ms) : 800;

	clock_gettime(CLOCK_MONOTONIC, &race_end);
	race_end.tv_sec += len / 1000;
	race_end.tv_nsec += len % 1000 * 1000000;
	if (race_end.tv_nsec >= 1000000000) {
		race_end.tv_sec++;
		race_end.tv_nsec -= 1000000000;
	}
	over = false;
}

bool race_over(void)
{
	if (!over && past(&race_end))
		over = true;
	return over;
}

void race_against(void *(*fn)(void *), void *arg)
{
	if (n_racers == ARRAY_SIZE(racers) || pthread_create(&racers[n_racers], NULL, fn, arg) != 0)
		abort();
	n_racers++;
}

void race_join(void)
{
	over = true;
	while (n_racers)
		pthread_join(racers[--n_racers], NULL);
}

static const char *const victims[] = {"no", "no/secret", "no/plain0", "no/victim", "ro", "ro/file", "tree/inner"};
static struct stat noted[ARRAY_SIZE(victims)];

void victims_note(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(victims); i++)
		if (lstat(victims[i], &noted[i]) < 0)
			memset(&noted[i], 0, sizeof(noted[i]));
}

bool victims_untouched(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(victims); i++) {
		const struct stat *was = &noted[i];
		struct stat st;

		if (lstat(victims[i], &st) < 0)
			memset(&st, 0, sizeof(st));
		if (st.st_ino != was->st_ino || st.st_mode != was->st_mode || st.st_size != was->st_size ||
		    st.st_nlink != was->st_nlink || st.st_mtim.tv_nsec != was->st_mtim.tv_nsec ||
		    st.st_ctim.tv_sec != was->st_ctim.tv_sec || st.st_ctim.tv_nsec != was->st_ctim.tv_nsec) {
			printf("changed: %s\n", victims[i]);
			return false;
		}
	}
	return true;
}

int in_child(int (*fn)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (const struct attack *a = attacks; a->name; a++)
			puts(a->name);
		return 0;
	}
	if (argc != 3 || chdir(argv[2]) < 0) {
		fprintf(stderr, "usage: %s CASE DIR | --list\n", argv[0]);
		return 2;
	}
	umask(022);
	alarm(20);
	for (const struct attack *a = attacks; a->name; a++)
		if (strcmp(a->name, argv[1]) == 0)
			return (int)a->run();
	fprintf(stderr, "there is no attack \"%s\"\n", argv[1]);
	return 2;
}
