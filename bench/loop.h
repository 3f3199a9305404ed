/* SPDX-License-Identifier: Apache-2.0
 * What the loops share: a clock, and a number from the command line.
 */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t loop_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline unsigned long loop_count(int argc, char **argv, const char *usage)
{
	unsigned long n = argc >= 3 ? strtoul(argv[1], NULL, 10) : 0;

	if (n > 0)
		return n;
	fprintf(stderr, "usage: %s\n", usage);
	exit(2);
}

static inline void loop_print(uint64_t since_ns, unsigned long n)
{
	printf("%.1f\n", (double)(loop_now_ns() - since_ns) / (double)n);
}
