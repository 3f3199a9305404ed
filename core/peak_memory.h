/* SPDX-License-Identifier: Apache-2.0
 * The peak of this process's resident memory, since its program began: ru_maxrss is that of whoever started
 * it, if that was more.
 */
#pragma once
#include <inttypes.h>
#include <stdio.h>

/* KiB, or 0 if /proc can't be read. Any thread. */
static inline uint64_t peak_memory_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	uint64_t kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}
