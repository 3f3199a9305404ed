/* SPDX-License-Identifier: Apache-2.0
 * What one notification needs, step by step: read, resolve, look up, match. How it comes and goes:
 * micro_notify and micro_targets.
 */
#include "bench/micro_stages.h"

int main(int argc, char **argv)
{
	return stages_main(argc, argv, STAGE_REQUEST);
}
