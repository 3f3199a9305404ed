/* SPDX-License-Identifier: Apache-2.0
 * The gate is a way around the trap on opens, so it is for runs in which that trap decides nothing that the
 * kernel does not: as under `report none`, with the difference that what Landlock refuses comes to the
 * supervisor after all.
 */
#include "core/gate.h"
#include "core/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libsluice-gate.so"

static int refuse(struct policy_error *e, const char *why)
{
	snprintf(e->text, sizeof(e->text), "--gate on: %s", why);
	return -EINVAL;
}

int gate_check(const struct plan *plan, bool recording, bool privileged, struct policy_error *ret_error)
{
	static const char somebodys[] = "/proc/1/environ";
	char path[PATH_MAX];

	if (!(plan->handled_fs & LL_TRUNCATE))
		return refuse(ret_error, "needs Landlock 3 (Linux 6.2), and not --layers emulate");
	if (recording)
		return refuse(ret_error, "what passes through the gate is not seen: leave out --record");
	if (plan->loose_reads)
		return refuse(ret_error, "this policy refuses reads in a directory whose programs may run, which "
					 "only the supervisor can keep: see the rules that `sluice explain --plan` "
					 "marks \"supervisor\"");
	if (privileged && plan_in_baseline(plan, LL_READ_FILE, somebodys, strlen(somebodys), 0, 0))
		return refuse(ret_error, "with root's rights this policy shows the environment of every process: refuse "
					 "\"read /proc/[0-9]*/**\", or start it as an ordinary user");
	if (!gate_find_library(path, sizeof(path)))
		return refuse(ret_error, "its library " LIBRARY " is not installed");
	if (plan_decide(plan, OP_READ, path, strlen(path)).action != ACTION_ALLOW) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "--gate on: a rule refuses to read the library of the gate: --allow read:%s", path);
		return -EINVAL;
	}
	return 0;
}

bool gate_find_library(char *buf, size_t size)
{
	char exe[PATH_MAX], path[PATH_MAX + 128];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return false;
	*slash = '\0';
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_free_ char *real = NULL;

		snprintf(path, sizeof(path), i == 0 ? "%s/" LIBRARY : "%s/../" SLUICE_GATE_LIBDIR "/" LIBRARY, exe);
		real = realpath(path, NULL);
		if (real && strlen(real) < size && access(real, R_OK) == 0) {
			strcpy(buf, real);
			return true;
		}
	}
	return false;
}
