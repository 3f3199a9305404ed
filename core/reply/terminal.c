/* SPDX-License-Identifier: Apache-2.0
 * A built-in rule lets commands have terminals; what the user types into another window is not among
 * them (ATTACKS.md M16). /dev/pts is read once at the start; the run's own terminals are those that it was
 * started on.
 */
#include "core/reply/terminal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FIRST_MAJOR 136
#define LAST_MAJOR 143
#define MOST 65536u /* more pseudo terminals than a system has by default */

static unsigned char foreign[MOST / 8];

/* The number in /dev/pts, or -1. */
static long number_of(const struct stat *st)
{
	unsigned m = major(st->st_rdev);

	if (!S_ISCHR(st->st_mode) || m < FIRST_MAJOR || m > LAST_MAJOR)
		return -1;
	return (long)(m - FIRST_MAJOR) * 256 + minor(st->st_rdev);
}

static void set_foreign(long n, bool yes)
{
	if (n < 0 || n >= (long)MOST)
		return;
	if (yes)
		foreign[n / 8] |= (unsigned char)(1u << n % 8);
	else
		foreign[n / 8] &= (unsigned char)~(1u << n % 8);
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
	DIR *dir = opendir("/dev/pts");
	struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			set_foreign(atol(e->d_name), true);
	if (dir)
		closedir(dir);
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &st) == 0)
			set_foreign(number_of(&st), false);
	set_foreign(controlling(), false);
}

bool terminal_is_foreign(const struct stat *st)
{
	long n = number_of(st);

	return n >= 0 && (n >= (long)MOST || foreign[n / 8] & 1u << n % 8);
}
