/* SPDX-License-Identifier: Apache-2.0
 * proc_race PID MARK: read /proc/PID/stat, whose path another thread turns into /proc/PID/environ and back all the
 * time. Exit status 1 if MARK was read, 0 if not in RACE_MS.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RACE_MS 3000

/* 8 bytes before the last component, which is 8 bytes itself, so one store changes it. */
static _Alignas(8) char path[64];
static char *last;

static void *flip(void *arg)
{
	uint64_t words[2];

	memcpy(&words[0], "stat\0\0\0", 8);
	memcpy(&words[1], "environ", 8);
	for (unsigned i = 0;; i++)
		atomic_store_explicit((_Atomic uint64_t *)(void *)last, words[i & 1], memory_order_relaxed);
	return arg;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	char prefix[32], text[65536];
	long end = now_ms() + RACE_MS;
	pthread_t thread;
	size_t n;

	if (argc != 3)
		return 2;
	/* As many slashes as put the last component on a multiple of eight. */
	n = (size_t)snprintf(prefix, sizeof(prefix), "/proc/%s/", argv[1]);
	memset(path, '/', sizeof(path) / 2);
	last = path + (n + 7) / 8 * 8;
	memcpy(last - n, prefix, n);
	memcpy(last, "stat\0\0\0", 8);
	if (pthread_create(&thread, NULL, flip, NULL))
		return 2;
	while (now_ms() < end) {
		int fd = open(last - n, O_RDONLY);
		ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text));

		if (fd >= 0)
			close(fd);
		if (got > 0 && memmem(text, (size_t)got, argv[2], strlen(argv[2])))
			return 1;
	}
	return 0;
}
