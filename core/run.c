/* SPDX-License-Identifier: Apache-2.0 */
#include "core/run.h"

#include <stdio.h>

int run_command(const struct run_options *options)
{
	fprintf(stderr, "sluice: %s: not built\n", options->argv[0]);
	return 125;
}
