/* SPDX-License-Identifier: Apache-2.0
 * bind_race swap: let d and l, a directory and a link, change places until killed.
 * bind_race DIR: meanwhile bind sockets by the path d/planted. Exit status 1 if one was made in DIR, which
 * the link leads to, 0 if not in RACE_MS.
 *
 * The one who swaps is a helper outside of the sandbox: inside, its calls would queue behind the binds.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RACE_MS 4000

static void swap(void)
{
	for (;;)
		syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "l", RENAME_EXCHANGE);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	const struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "d/planted"};
	char planted[4096];
	struct stat st;
	int found = 0;
	long end = now_ms() + RACE_MS;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "swap") == 0)
		swap();
	snprintf(planted, sizeof(planted), "%s/planted", argv[1]);
	while (!found && now_ms() < end) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (fd < 0)
			return 2;
		bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
		close(fd);
		found = lstat(planted, &st) == 0;
		unlink("d/planted");
		unlink("l/planted");
	}
	return found;
}
