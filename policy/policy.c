/* SPDX-License-Identifier: Apache-2.0
 * The life of a policy: made, filled, finished, asked.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct policy *policy_new(const struct policy_host *host)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (p)
		p->host = *host;
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	arena_done(&p->arena);
	free(p);
}

void policy_set_exact(struct policy *p)
{
	p->exact = true;
}

struct policy *policy_derive(const struct policy *base)
{
	struct policy *p = policy_new(&base->host);
	size_t n = base->n_rules;

	if (!p)
		return NULL;
	/* Arrays that grow are copied; what they point at is the base's, and immutable. */
	p->rules = arena_alloc(&p->arena, (n + 1) * sizeof(*base->rules));
	p->drafts = arena_alloc(&p->arena, (n + 1) * sizeof(*base->drafts));
	if (!p->rules || !p->drafts) {
		policy_free(p);
		return NULL;
	}
	if (n) {
		memcpy(p->rules, base->rules, n * sizeof(*base->rules));
		memcpy(p->drafts, base->drafts, n * sizeof(*base->drafts));
	}
	p->exact = base->exact;
	p->n_rules = p->n_derived = p->cap_rules = p->cap_drafts = n;
	p->env_entries = base->env_entries;
	p->n_env = p->cap_env = base->n_env;
	p->calls = base->calls;
	p->n_calls = p->cap_calls = base->n_calls;
	p->files = base->files;
	p->n_files = base->n_files;
	p->cap_files = base->n_files + 1;
	p->loaded = base->loaded;
	p->n_loaded = p->cap_loaded = base->n_loaded;
	memcpy(p->report, base->report, sizeof(p->report));
	memcpy(p->exec_holes, base->exec_holes, sizeof(p->exec_holes));
	return p;
}

int policy_result(struct policy *p, int r, struct policy_error *ret_error)
{
	if (r >= 0)
		return 0;
	if (!p->failed && r == -ENOMEM)
		snprintf(p->error.text, sizeof(p->error.text), "policy: out of memory");
	p->failed = true;
	if (ret_error)
		*ret_error = p->error;
	return r;
}

/* What the matcher and the filter are asked about the policy as a whole. */
static void note_operations(struct policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *rule = &p->rules[i];

		p->named |= rule->action == ACTION_ALLOW ? rule->ops & OPBIT(OP_STAT) : rule->ops;
		if (rule->action == ACTION_ASK)
			p->asked |= rule->ops;
	}
}

static int finish(struct policy *p)
{
	int r = policy_resolve_names(p);

	if (r == 0)
		r = env_finish(p);
	if (r == 0)
		r = matcher_build(p);
	if (r == 0)
		r = policy_drop_planted(p);
	if (r == 0)
		r = policy_check_rules(p);
	if (r == 0)
		note_operations(p);
	return r;
}

int policy_finish(struct policy *p, struct policy_error *ret_error)
{
	int r;

	if (p->failed || p->finished)
		return policy_result(p, p->finished && !p->failed ? 0 : -EINVAL, ret_error);
	r = policy_result(p, finish(p), ret_error);
	p->finished = r == 0;
	return r;
}

bool policy_names_op(const struct policy *p, enum op op)
{
	return p->named & OPBIT(op);
}

bool policy_restricts(const struct policy *p, enum op op)
{
	return policy_names_op(p, op) || policy_decide(p, op, "/", 1).action != ACTION_ALLOW;
}

bool policy_asks(const struct policy *p, enum op op)
{
	return p->asked & OPBIT(op);
}

const struct rule *policy_rules(const struct policy *p, size_t *ret_n)
{
	*ret_n = p->n_rules;
	return p->rules;
}

static const char *const no_strings[] = {NULL};

const char *const *policy_notes(const struct policy *p)
{
	return p->notes ? p->notes : no_strings;
}

const char *const *policy_allowed_calls(const struct policy *p)
{
	return p->calls ? p->calls : no_strings;
}

const char *const *policy_files(const struct policy *p)
{
	return p->files ? p->files : no_strings;
}

static int setting_value(const struct setting *settings, int otherwise)
{
	for (int rank = N_RANKS; rank-- > 0;)
		if (settings[rank].set)
			return settings[rank].value;
	return otherwise;
}

enum report_mode policy_report(const struct policy *p)
{
	return (enum report_mode)setting_value(p->report, REPORT_ALL);
}

enum exec_holes policy_exec_holes(const struct policy *p)
{
	return (enum exec_holes)setting_value(p->exec_holes, EXEC_HOLES_STRICT);
}
