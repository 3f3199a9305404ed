/* SPDX-License-Identifier: Apache-2.0
 * Entry point: picks the command.
 */
#include "core/command/command.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"run", command_run},
	{"explain", command_explain},
	{"doctor", command_doctor},
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	fprintf(stderr, "usage: sluice run|explain|doctor ...\n");
	return 125;
}
