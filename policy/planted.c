/* SPDX-License-Identifier: Apache-2.0
 * Rules that allow something behind a link which the command itself may put there.
 *
 * A profile lets a build make ~/.ccache. One that makes it a link to ~ would have the next run take the home
 * directory for a cache: what a rule names is looked up when a run starts, and an earlier one has left the link. So
 * what lies behind a link is not allowed by a rule whose link the policy lets the command make. Nobody can tell such a
 * link from one of the user's own, and so it is said what to write: the name without the link.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool may_be_made(const struct policy *p, const char *name)
{
	return policy_decide(p, OP_CREATE, name, strlen(name)).action <= ACTION_ASK;
}

const char *policy_planted_link(const struct policy *p, const char *links)
{
	for (const char *name = links; name && *name; name += strlen(name) + 1)
		if (may_be_made(p, name))
			return name;
	return NULL;
}

static const struct pattern *resolved_name(const struct rule *rule)
{
	return &rule->names[rule->n_names - 1];
}

static bool allows_behind_link(const struct policy *p, size_t i)
{
	const struct rule *rule = &p->rules[i];

	return rule->net == NET_NONE && rule->action <= ACTION_ASK &&
	       strcmp(resolved_name(rule)->prefix, p->drafts[i].written.prefix) != 0 &&
	       strncmp(resolved_name(rule)->prefix, "/proc/self", 10) != 0;
}

/* Without what lies behind the link, is the same allowed at NAME? */
static bool is_allowed_anyway(const struct policy *p, const struct rule *rule, const struct pattern *name)
{
	for (enum op op = 0; op < OP_COUNT; op++)
		if (rule->ops & OPBIT(op) &&
		    policy_decide(p, op, name->prefix, name->prefix_len).action > rule->action)
			return false;
	return true;
}

/* An error, but of a profile, which names what most people don't have: a note. None says how to open what a stranger
 * may have chosen. */
static int tell(struct policy *p, size_t i, const char *link, const struct pattern *name)
{
	struct place place = {p->rules[i].file, p->rules[i].line};
	struct policy_error e;

	place_error(&e, &place, p->drafts[i].column,
		    "\"%s\" leads to %s by the link %s, which the command could have put there: %s",
		    shown_source(p->drafts[i].raw, strlen(p->drafts[i].raw)), shown(name->text, strlen(name->text)),
		    shown(link, strlen(link)),
		    p->rules[i].rank == RANK_BUILTIN ? "it is not followed" : "write the name without links");
	if (p->rules[i].rank != RANK_BUILTIN) {
		p->error = e;
		return -EINVAL;
	}
	p->notes[p->n_notes] = arena_copy(&p->arena, e.text, strlen(e.text));
	return p->notes[p->n_notes++] ? 0 : -ENOMEM;
}

int policy_drop_planted(struct policy *p)
{
	const char **links;
	struct pattern *names;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < p->n_file_links; i++) {
		const char *file = p->file_links[i].file, *link = policy_planted_link(p, p->file_links[i].links);

		if (link)
			return place_error(&p->error, &(struct place){.file = file}, 0,
					   "leads through the link %s, which the command could have put there, or "
					   "could put another one: name the policy without links",
					   shown(link, strlen(link)));
	}
	links = arena_alloc(&p->arena, (p->n_rules + 1) * sizeof(*links));
	names = arena_alloc(&p->arena, (p->n_rules + 1) * sizeof(*names));
	p->notes = arena_alloc(&p->arena, (p->n_rules + 1) * sizeof(*p->notes));
	if (!links || !names || !p->notes)
		return -ENOMEM;
	memset(p->notes, 0, (p->n_rules + 1) * sizeof(*p->notes));
	for (size_t i = p->n_derived; i < p->n_rules; i++) {
		links[i] = allows_behind_link(p, i) ? policy_planted_link(p, p->drafts[i].links) : NULL;
		any |= links[i] != NULL;
	}
	if (!any)
		return 0;
	for (size_t i = p->n_derived; i < p->n_rules; i++) {
		struct rule *rule = &p->rules[i];

		if (!links[i])
			continue;
		names[i] = *resolved_name(rule);
		if (rule->n_names > 1)
			rule->n_names--;
		else
			rule->names[0] = p->drafts[i].written;
	}
	r = matcher_build(p);
	for (size_t i = p->n_derived; i < p->n_rules && r == 0; i++)
		if (links[i] && !is_allowed_anyway(p, &p->rules[i], &names[i]))
			r = tell(p, i, links[i], &names[i]);
	return r;
}
