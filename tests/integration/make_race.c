/* SPDX-License-Identifier: Apache-2.0
 * make_race DIR ROUNDS: threads make the same directories, files and links in DIR at once, each with its parents if they
 * are missing, and remove them again, as package managers do. Each step may fail for the reason that another one was
 * faster, and for no other. Prints each other error, and how often each expected one was seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 4

static const char *top;
static int rounds;
static pthread_barrier_t together;
static atomic_int missing, existing, odd;

static void report(const char *what, const char *path)
{
	int err = errno;

	if (err == ENOENT) {
		atomic_fetch_add(&missing, 1);
	} else if (err == EEXIST || err == ENOTEMPTY || err == EISDIR || err == ENOTDIR) {
		atomic_fetch_add(&existing, 1);
	} else {
		atomic_fetch_add(&odd, 1);
		printf("%s %s: %s\n", what, path, strerror(err));
	}
}

/* With its parents. */
static void make_all(char *path)
{
	for (int tries = 0; tries < 20; tries++) {
		char *slash = strrchr(path, '/');

		if (mkdir(path, 0777) == 0)
			return;
		report("mkdir", path);
		if (access(path, F_OK) == 0 || !slash || slash == path)
			return;
		*slash = '\0';
		make_all(path);
		*slash = '/';
	}
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0666);

	if (fd < 0)
		report("open to create", path);
	else
		close(fd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		report("open", path);
	else
		close(fd);
}

static void *work(void *arg)
{
	int me = (int)(long)arg;
	char path[4096], link[4096];

	for (int i = 0; i < rounds; i++) {
		pthread_barrier_wait(&together);
		snprintf(path, sizeof(path), "%s/r%d/a/b/c%d", top, i, me % 2);
		snprintf(link, sizeof(link), "%s/r%d/a/link", top, i);
		if (me == 3) {
			make_file(path);
			if (symlink("b", link) < 0)
				report("symlink", link);
		} else {
			make_all(path);
		}
		strcat(path, "/file");
		make_file(path);
		if (unlink(path) < 0)
			report("unlink", path);
		*strrchr(path, '/') = '\0';
		if (rmdir(path) < 0)
			report("rmdir", path);
		if (unlink(link) < 0)
			report("unlink", link);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	if (argc != 3)
		return 2;
	top = argv[1];
	rounds = atoi(argv[2]);
	pthread_barrier_init(&together, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("missing %d, existing %d, odd %d\n", missing, existing, odd);
	return odd > 0;
}
