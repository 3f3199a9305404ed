/* SPDX-License-Identifier: Apache-2.0
 * What `sluice run` does before its command runs: probe, load, plan, filter, ruleset.
 */
#include "bench/micro_stages.h"

int main(int argc, char **argv)
{
	return stages_main(argc, argv, STAGE_START);
}
