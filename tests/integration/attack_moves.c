/* SPDX-License-Identifier: Apache-2.0
 * What moves takes more along than itself: grants, names beneath, calls that others have begun.
 *
 * DIR is laid out by test_moves.py: everything is allowed but
 *   priv/       may not be read; priv/secret holds "SECRET\n"
 *   .git/hooks  may not be written; .git does not exist
 * c/x, h/hooks/run, d/ and f are there, and may move.
 */
#include "tests/integration/attack/attack.h"

#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char path[64];

static void *flip(void *to)
{
	while (!race_over()) {
		memcpy(path, to, strlen(to) + 1);
		for (volatile int i = 0; i < 300; i++)
			;
		memcpy(path, "d", 2);
		for (volatile int i = 0; i < 300; i++)
			;
	}
	return NULL;
}

/* The supervisor sees a name that may be continued, the kernel another. */
static bool race_gives_secret(char *secret)
{
	bool gives = false;

	memcpy(path, "d", 2);
	race_begin();
	race_against(flip, secret);
	while (!gives && !race_over())
		gives = path_gives_secret(path);
	race_join();
	return gives;
}

/* A grant follows its directory: what comes into it would be as open as what it held. */
static enum outcome grant_of_a_directory(void)
{
	static char secret[] = "priv/c/secret";

	rename("c", "priv/c");
	rename("priv/secret", secret);
	return path_gives_secret(secret) || race_gives_secret(secret) ? escaped("a directory kept its grant")
								      : held("the grant stayed behind");
}

static enum outcome read_kept_file(void)
{
	static char secret[] = "priv/f";
	int fd = open(secret, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	if (fd >= 0) {
		write(fd, "SECRET\n", 7);
		close(fd);
	}
	return path_gives_secret(secret) || race_gives_secret(secret) ? escaped("a file kept its grant")
								      : held("the grant stayed behind");
}

static enum outcome grant_of_a_file(void)
{
	rename("f", "priv/f");
	return read_kept_file();
}

/* By a name that it has only now. */
static enum outcome grant_of_a_file_moved_twice(void)
{
	rename("f", "f2");
	rename("f2", "priv/f");
	return read_kept_file();
}

static enum outcome grant_of_a_linked_file(void)
{
	if (link("f", "priv/f") == 0)
		unlink("f");
	return read_kept_file();
}

/* Another thread moves the directory that a call has already reached. */
static void *move_directory(void *arg)
{
	(void)arg;
	while (!race_over()) {
		mkdir("m", 0755);
		if (rename("m", "priv/m") == 0) {
			rename("priv/secret", "priv/m/x");
			rename("priv/m/x", "priv/secret");
			rmdir("priv/m");
			rename("priv/m", "m");
		}
	}
	return NULL;
}

static enum outcome move_under_an_open(void)
{
	bool gives = false;

	race_begin();
	race_against(move_directory, NULL);
	while (!gives && !race_over())
		gives = fd_gives_secret(open("m/x", O_RDONLY | O_NOFOLLOW)) || path_gives_secret("out") ||
			(rename("m/x", "out") == 0 && path_gives_secret("out"));
	race_join();
	if (is_control()) /* a race that need not be won: what it rests on is enough */
		return rename("h", "priv/h") == 0 ? escaped("directories move") : HELD;
	return gives ? escaped("a directory moved under a call") : held("directories stay");
}

static enum outcome planted(void)
{
	return access(".git/hooks/run", F_OK) == 0 ? escaped("a hook was planted") : held("nothing was planted");
}

static enum outcome plant_by_directory(void)
{
	rename("h", ".git");
	return planted();
}

static enum outcome plant_by_exchange(void)
{
	mkdir(".git", 0755);
	syscall(SYS_renameat2, AT_FDCWD, "h", AT_FDCWD, ".git", RENAME_EXCHANGE);
	return planted();
}

static enum outcome plant_by_symlink(void)
{
	symlink("h", ".git");
	return planted();
}

static enum outcome plant_by_moved_symlink(void)
{
	symlink("h", "l");
	rename("l", ".git");
	return planted();
}

static enum outcome plant_by_linked_symlink(void)
{
	symlink("h", "l");
	linkat(AT_FDCWD, "l", AT_FDCWD, ".git", 0);
	return planted();
}

static enum outcome plant_by_exchanged_symlink(void)
{
	symlink("h", "l");
	mkdir(".git", 0755);
	syscall(SYS_renameat2, AT_FDCWD, ".git", AT_FDCWD, "l", RENAME_EXCHANGE);
	return planted();
}

/* Who lists a great directory keeps it locked; what is to change names in it queues up in the order it comes. */
#define CROWD 3000
#define STEP_US 100

static pthread_barrier_t together;

static void *list_all(void *unused)
{
	static char entries[2 << 20];
	int dir = open("d", O_RDONLY | O_DIRECTORY);

	(void)unused;
	pthread_barrier_wait(&together);
	syscall(SYS_getdents64, dir, entries, sizeof(entries));
	close(dir);
	return NULL;
}

static void *exchange_with_directory(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&together);
	usleep(STEP_US);
	syscall(SYS_renameat2, AT_FDCWD, "d/t", AT_FDCWD, "d/h", RENAME_EXCHANGE);
	return NULL;
}

static void *move_the_file(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&together);
	usleep(2 * STEP_US);
	rename("d/t", ".git");
	return NULL;
}

/* What a move back would have to go to. */
static void *take_the_old_name(void *unused)
{
	(void)unused;
	pthread_barrier_wait(&together);
	usleep(3 * STEP_US);
	mkdir("d/t", 0755);
	return NULL;
}

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
}

/* It is a file when it is judged, and a directory when it moves. */
static enum outcome plant_by_a_race(void)
{
	static void *(*const steps[])(void *) = {
		list_all, exchange_with_directory, move_the_file, take_the_old_name,
	};
	pthread_t threads[ARRAY_SIZE(steps)];
	char name[64];

	mkdir("d/h", 0755);
	mkdir("d/h/hooks", 0755);
	make_file("d/h/hooks/run");
	if (is_control())
		return rename("d/h", ".git") == 0 ? escaped("directories move") : HELD;
	for (int i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "d/one-of-a-crowd-of-files-%d", i);
		make_file(name);
	}
	pthread_barrier_init(&together, NULL, ARRAY_SIZE(steps));
	race_begin();
	while (!race_over()) {
		make_file("d/t");
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
			if (pthread_create(&threads[i], NULL, steps[i], NULL))
				return cannot("no thread");
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
			pthread_join(threads[i], NULL);
		if (access(".git/hooks/run", F_OK) == 0)
			return escaped("a directory was planted in a file's place");
		unlink(".git");
		rmdir("d/t");
		rename("d/t", "d/h");
	}
	return held("only files took the name");
}

const struct attack attacks[] = {
	{"grant_of_a_directory", grant_of_a_directory},
	{"grant_of_a_file", grant_of_a_file},
	{"grant_of_a_file_moved_twice", grant_of_a_file_moved_twice},
	{"grant_of_a_linked_file", grant_of_a_linked_file},
	{"move_under_an_open", move_under_an_open},
	{"plant_by_directory", plant_by_directory},
	{"plant_by_exchange", plant_by_exchange},
	{"plant_by_symlink", plant_by_symlink},
	{"plant_by_moved_symlink", plant_by_moved_symlink},
	{"plant_by_linked_symlink", plant_by_linked_symlink},
	{"plant_by_exchanged_symlink", plant_by_exchanged_symlink},
	{"plant_by_a_race", plant_by_a_race},
	{NULL, NULL},
};
