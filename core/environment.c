/* SPDX-License-Identifier: Apache-2.0
 * Built once before the command starts.
 */
#include "core/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct list {
	char **items;
	size_t n;
	bool failed;
};

static void append(struct list *l, char *item)
{
	char **grown = item && !l->failed ? reallocarray(l->items, l->n + 2, sizeof(*grown)) : NULL;

	if (!grown) {
		free(item);
		l->failed = true;
		return;
	}
	l->items = grown;
	l->items[l->n++] = item;
	l->items[l->n] = NULL;
}

static void append_pair(struct list *l, const char *name, const char *value)
{
	char *item;

	append(l, asprintf(&item, "%s=%s", name, value) < 0 ? NULL : item);
}

/* The value that the policy sets NAME to at the highest rank, or NULL. */
static const char *set_value(const struct env_rule *rules, size_t n, const char *name, size_t len)
{
	const struct env_rule *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (rules[i].action == ENV_SET && strlen(rules[i].name) == len &&
		    strncmp(rules[i].name, name, len) == 0 && (!best || rules[i].rank >= best->rank))
			best = &rules[i];
	return best ? best->value : NULL;
}

/* Before those that are preloaded anyway. */
static void prepend_preload(struct list *l, const char *path)
{
	static const char name[] = "LD_PRELOAD=";
	char *item;

	for (size_t i = 0; i < l->n; i++) {
		if (strncmp(l->items[i], name, sizeof(name) - 1) != 0)
			continue;
		if (asprintf(&item, "%s%s:%s", name, path, l->items[i] + sizeof(name) - 1) < 0) {
			l->failed = true;
			return;
		}
		free(l->items[i]);
		l->items[i] = item;
		return;
	}
	append_pair(l, "LD_PRELOAD", path);
}

char **environment_make(const struct policy *policy, const char *tmpdir, const char *preload)
{
	struct list l = {0};
	const struct env_rule *rules;
	size_t n_rules;

	rules = policy_env(policy, &n_rules);
	for (char **e = environ; e && *e; e++) {
		size_t len = strcspn(*e, "=");
		char *name = strndup(*e, len);

		/* Nothing that the command could use to speak to us in our name (ATTACKS.md S20). */
		if (name && strncmp(name, "SLUICE_", 7) != 0 && strcmp(name, "TMPDIR") != 0 &&
		    !set_value(rules, n_rules, name, len) && !policy_env_unset(policy, name))
			append(&l, strdup(*e));
		l.failed |= !name;
		free(name);
	}
	for (size_t i = 0; i < n_rules; i++)
		if (rules[i].action == ENV_SET &&
		    set_value(rules, n_rules, rules[i].name, strlen(rules[i].name)) == rules[i].value)
			append_pair(&l, rules[i].name, rules[i].value);
	if (!set_value(rules, n_rules, "TMPDIR", 6))
		append_pair(&l, "TMPDIR", tmpdir);
	if (preload)
		prepend_preload(&l, preload);
	if (!l.failed)
		return l.items;
	environment_free(l.items);
	fprintf(stderr, "sluice: no memory for the environment\n");
	return NULL;
}

void environment_free(char **envp)
{
	for (char **e = envp; e && *e; e++)
		free(*e);
	free(envp);
}
