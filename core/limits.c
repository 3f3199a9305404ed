/* SPDX-License-Identifier: Apache-2.0
 * The command must see the limit that sluice was started with, so its process gets it back.
 */
#include "core/limits.h"

#include <stdbool.h>
#include <sys/resource.h>

enum { ENOUGH = 16384 };

static struct rlimit original;
static bool is_raised;

unsigned limits_raise(void)
{
	struct rlimit more;

	if (is_raised || getrlimit(RLIMIT_NOFILE, &original) < 0)
		return 1024;
	more = original;
	if (more.rlim_cur < ENOUGH)
		more.rlim_cur = more.rlim_max < ENOUGH ? more.rlim_max : ENOUGH;
	is_raised = setrlimit(RLIMIT_NOFILE, &more) == 0;
	if (!is_raised)
		more = original;
	return more.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)more.rlim_cur;
}

void limits_restore(void)
{
	if (is_raised)
		setrlimit(RLIMIT_NOFILE, &original);
}
