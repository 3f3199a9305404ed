/* SPDX-License-Identifier: Apache-2.0
 * `sluice run`: the command line, then run_command().
 */
#include "core/command/command.h"
#include "core/command/help.h"
#include "core/command/options.h"

#include <stdio.h>

int command_run(int argc, char **argv)
{
	struct policy_error error;
	struct run_options options;
	int r;

	(void)argc;
	r = run_options_parse(argv, &options, &error);
	if (r < 0) {
		fprintf(stderr, "sluice: %s\n", error.text);
		return 125;
	}
	if (r == RUN_HELP)
		help_print(stdout, "run");
	else if (r == RUN_VERSION)
		printf("sluice %s\n", SLUICE_VERSION);
	r = r == RUN_PARSED ? run_command(&options) : 0;
	run_options_done(&options);
	return r;
}
