/* SPDX-License-Identifier: Apache-2.0
 * steps [STAGE N]: does a stage N times; without arguments lists the stages. For counting instructions
 * (perf/instructions): the difference between two N is what a turn takes.
 */
#include "bench/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int turns(const struct stage *s, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		int r = s->turn();

		if (r < 0) {
			fprintf(stderr, "steps: %s: %s\n", s->name, strerror(-r));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int r = 2;

	if (argc == 1) {
		for (size_t i = 0; i < n_stages; i++)
			printf("%-18s %s\n", stages[i].name, stages[i].what);
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: steps [STAGE N]\n");
		return 2;
	}
	r = stages_init();
	if (r < 0) {
		fprintf(stderr, "steps: %s\n", strerror(-r));
		stages_done();
		return 1;
	}
	r = 2;
	for (size_t i = 0; i < n_stages; i++)
		if (strcmp(stages[i].name, argv[1]) == 0)
			r = turns(&stages[i], strtoul(argv[2], NULL, 10));
	if (r == 2)
		fprintf(stderr, "steps: there is no stage %s\n", argv[1]);
	stages_done();
	return r;
}
