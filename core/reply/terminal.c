/* SPDX-License-Identifier: Apache-2.0
 * A built-in rule lets commands have terminals; what the user types into another window is not among
 * them (ATTACKS.md M16), be it older or younger than the run. The run's own terminals are those that it was
 * started on, and those whose masters the supervisor opened for the tree.
 *
 * Numbers are used again, so what is kept is a handle of the terminal's name. The kernel removes the name with
 * the master, which leaves the handle without a link; there is never more than one name with a number.
 */
#include "core/reply/terminal.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#define FIRST_MAJOR 136
#define LAST_MAJOR 143
#define MOST 256 /* descriptors that the tree can make us keep; terminals beyond that can't be opened by name */

static struct {
	int handle; /* O_PATH, 0: none */
	dev_t dev;
	ino_t ino;
} own[MOST]; /* under lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The number in /dev/pts, or -1. */
static long number_of(const struct stat *st)
{
	unsigned m = major(st->st_rdev);

	if (!S_ISCHR(st->st_mode) || m < FIRST_MAJOR || m > LAST_MAJOR)
		return -1;
	return (long)(m - FIRST_MAJOR) * 256 + minor(st->st_rdev);
}

static bool is_gone(int handle)
{
	struct stat st;

	return fstat(handle, &st) < 0 || st.st_nlink == 0;
}

/* The terminal at PATH, a link to follow or not, is ours. Called with the lock, or before there are threads. */
static void add_own(const char *path, int flags)
{
	_cleanup_close_ int handle = open(path, O_PATH | O_CLOEXEC | flags);
	struct stat st;

	if (handle <= 0 || fstat(handle, &st) < 0 || number_of(&st) < 0)
		return;
	for (unsigned i = 0; i < MOST; i++) {
		if (own[i].handle && !is_gone(own[i].handle))
			continue;
		if (own[i].handle)
			close(own[i].handle);
		own[i].dev = st.st_dev;
		own[i].ino = st.st_ino;
		own[i].handle = take_fd(&handle);
		return;
	}
}

static void add_number(long n)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/pts/%ld", n);
	add_own(path, O_NOFOLLOW);
}

/* The number of our controlling terminal, by /proc/self/stat (opening /dev/tty would not tell). */
static long controlling(void)
{
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	const char *p;
	int tty = 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %d", &tty) != 1)
		return -1;
	return number_of(&(struct stat){.st_mode = S_IFCHR, .st_rdev = (dev_t)(unsigned)tty});
}

void terminal_init(void)
{
	char path[32];

	for (int fd = 0; fd < 3; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		add_own(path, 0);
	}
	add_number(controlling());
}

bool terminal_is_master(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(5, 2);
}

void terminal_made(int master)
{
	unsigned n;

	if (ioctl(master, TIOCGPTN, &n) < 0)
		return;
	pthread_mutex_lock(&lock);
	add_number((long)n);
	pthread_mutex_unlock(&lock);
}

bool terminal_is_foreign(const struct stat *st)
{
	bool is_own = false;

	if (number_of(st) < 0)
		return false;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MOST && !is_own; i++)
		is_own = own[i].handle && own[i].ino == st->st_ino && own[i].dev == st->st_dev &&
			 !is_gone(own[i].handle);
	pthread_mutex_unlock(&lock);
	return !is_own;
}
