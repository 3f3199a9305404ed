/* SPDX-License-Identifier: Apache-2.0
 * open-loop N FILE: opens and closes FILE N times, prints nanoseconds per pair.
 */
#include "bench/loop.h"

#include <fcntl.h>
#include <unistd.h>

static void run(unsigned long n, const char *path)
{
	for (unsigned long i = 0; i < n; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			perror(path);
			exit(1);
		}
		close(fd);
	}
}

int main(int argc, char **argv)
{
	unsigned long n = loop_count(argc, argv, "open-loop N FILE");
	uint64_t start;

	run(n / 10 + 1, argv[2]); /* warm */
	start = loop_now_ns();
	run(n, argv[2]);
	loop_print(start, n);
	return 0;
}
