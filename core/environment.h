/* SPDX-License-Identifier: Apache-2.0
 * The environment that the command gets: ours, less what `env unset` names and SLUICE_*, with what
 * `env set` names and the run's TMPDIR.
 */
#pragma once
#include "policy/policy.h"

/* PRELOAD: a library that comes first in LD_PRELOAD, or NULL. NULL-terminated, malloc'ed; NULL: no memory (said on stderr). */
char **environment_make(const struct policy *policy, const char *tmpdir, const char *preload);
void environment_free(char **envp);
