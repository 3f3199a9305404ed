/* SPDX-License-Identifier: Apache-2.0
 * Which option would have allowed what was refused.
 *
 * The narrowest that is of use: the object itself, or the directory of three siblings and more; never
 * one that lies above the home directory, the working directory or what holds credentials, and never
 * one that would change nothing.
 */
#pragma once
#include "core/observe/text.h"
#include "policy/policy.h"

struct places {
	const struct policy *policy;
	char *home, *pwd; /* canonical, or NULL */
};

int places_init(struct places *p, const struct policy *policy);
void places_done(struct places *p);

/* PATH as the user would type it: ~ for the home directory, escaped. */
void places_show(const struct places *p, struct text *out, const char *path, size_t len);

/* May an option that allows all beneath DIR be offered? */
bool remedy_may_name_dir(const struct places *p, const char *dir, size_t len);
/* The same for the refused object itself: it may be the working directory or what holds credentials,
 * but nothing above them. */
bool remedy_may_name_object(const struct places *p, const char *path, size_t len);
/* Would an allow option for TARGET (PATH or its ancestor of LEN bytes) outdo RULE at PATH? */
bool remedy_has_effect(const struct rule *rule, const char *path, size_t path_len, size_t len);
/* `--allow OPS:PATH`, quoted so that it can be pasted into a shell. */
void remedy_option(const struct places *p, struct text *out, enum op op, const char *path, size_t len);
/* The same for a network address. */
void remedy_option_net(struct text *out, enum op op);
/* Does RULE keep something that may hold secrets? */
bool rule_keeps_secrets(const struct rule *rule);
