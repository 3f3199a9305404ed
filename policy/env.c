/* SPDX-License-Identifier: Apache-2.0
 * Rules about the environment: unset and keep take patterns of names, set gives one a value.
 *
 * `unset` takes inherited variables away; a `keep` of a higher rank lifts that; then `set` of the highest
 * rank that has one gives each name its value. Names are patterns whether quoted or not, since the shell
 * has taught everyone to quote them, and no variable has a wildcard in its name.
 */
#include "policy/parse.h"

#include <errno.h>
#include <string.h>

static const char *const env_words[] = {"unset", "keep", "set", NULL};

static int add_entry(struct policy *p, const struct env_entry *entry)
{
	if (p->n_env == RULES_MAX)
		return place_error(&p->error, &entry->place, 0,
				   "more than %d names of variables: use patterns", RULES_MAX);
	p->env_entries =
		arena_grow(&p->arena, p->env_entries, p->n_env, &p->cap_env, sizeof(*p->env_entries));
	if (!p->env_entries)
		return -ENOMEM;
	p->env_entries[p->n_env++] = *entry;
	return 0;
}

/* One pattern behind unset or keep. */
static int parse_pattern(struct policy *p, struct lexer *lx, const struct word *w, struct env_entry *entry)
{
	struct pattern_problem problem;
	bool *bare;
	int r;

	if (w->len == 0)
		return fail_word(lx, w, "an empty word names no variable: remove it");
	if (strchr(w->bytes, '='))
		return fail_word(lx, w, "a name holds no \"=\": write \"env set %s\" to give it a value",
				 shown_source(w->raw, w->raw_len));
	bare = arena_alloc(&p->arena, w->len);
	if (!bare)
		return -ENOMEM;
	for (size_t i = 0; i < w->len; i++)
		bare[i] = true;
	r = glob_compile(&p->arena, &(struct wordtext){w->bytes, bare, w->len}, &entry->glob, &problem);
	if (r == -EINVAL)
		return place_error(lx->error, &lx->place, w->at[problem.at], "%s", problem.what);
	entry->is_glob = strpbrk(w->bytes, "*?[") != NULL;
	entry->rule.name = w->bytes;
	return r < 0 ? r : add_entry(p, entry);
}

static int parse_set(struct policy *p, struct lexer *lx, const struct word *keyword, struct env_entry *entry)
{
	const char *equals;
	struct word w, more;
	int r = lexer_next(lx, WORD_VALUE, &w);

	if (r < 0)
		return r;
	if (r == 0)
		return fail_word(lx, keyword, "nothing is set: write \"env set NAME=VALUE\"");
	equals = strchr(w.bytes, '=');
	if (!equals || equals == w.bytes)
		return fail_word(lx, &w, "\"%s\" has no %s: write \"env set NAME=VALUE\"",
				 shown_source(w.raw, w.raw_len), equals ? "name" : "\"=\"");
	r = lexer_next(lx, WORD_VALUE, &more);
	if (r < 0)
		return r;
	if (r > 0)
		return fail_word(
			lx, &more,
			"a second value: quote blanks, or write another \"env set\" on a line of its own");
	entry->rule.name = arena_copy(&p->arena, w.bytes, (size_t)(equals - w.bytes));
	entry->rule.value = equals + 1;
	return entry->rule.name ? add_entry(p, entry) : -ENOMEM;
}

int env_parse(struct policy *p, const struct source *source, struct lexer *lx)
{
	struct env_entry entry = {.rule.rank = source->rank, .place = lx->place};
	struct word keyword, w;
	bool any = false;
	const char *near;
	int r = lexer_next(lx, WORD_PLAIN, &keyword);

	if (r < 0)
		return r;
	if (r == 0)
		return place_error(lx->error, &lx->place, lx->column_base + (int)lx->pos,
				   "nothing is said about the environment: write unset, keep or set");
	if (strcmp(keyword.bytes, "set") == 0) {
		entry.rule.action = ENV_SET;
		return parse_set(p, lx, &keyword, &entry);
	}
	if (strcmp(keyword.bytes, "unset") == 0)
		entry.rule.action = ENV_UNSET;
	else if (strcmp(keyword.bytes, "keep") == 0)
		entry.rule.action = ENV_KEEP;
	else {
		near = suggest(keyword.bytes, env_words);
		return near ? fail_word(lx, &keyword, "unknown word \"%s\": did you mean \"%s\"?",
					shown(keyword.bytes, keyword.len), near)
			    : fail_word(lx, &keyword, "unknown word \"%s\": write unset, keep or set",
					shown(keyword.bytes, keyword.len));
	}
	while ((r = lexer_next(lx, WORD_PLAIN, &w)) > 0) {
		any = true;
		r = parse_pattern(p, lx, &w, &entry);
		if (r < 0)
			return r;
	}
	if (r == 0 && !any)
		return fail_word(lx, &keyword, "no variable is named: write \"env %s NAME\"", keyword.bytes);
	return r;
}

static bool entry_matches(const struct env_entry *e, const char *name, size_t len)
{
	return glob_match(&e->glob, name, len);
}

/* A `keep` of one name that an unset of the same or a higher rank takes away all the same. */
static int check_keep(struct policy *p, const struct env_entry *keep)
{
	for (size_t i = 0; i < p->n_env; i++) {
		const struct env_entry *e = &p->env_entries[i];

		if (e->rule.action == ENV_UNSET && e->rule.rank >= keep->rule.rank &&
		    entry_matches(e, keep->rule.name, strlen(keep->rule.name)))
			return place_error(
				&p->error, &keep->place, 0,
				"\"env keep %s\" has no effect, %s says \"env unset %s\", "
				"and only a keep of a higher rank lifts that: remove one of the two",
				shown(keep->rule.name, strlen(keep->rule.name)), place_shown(&e->place),
				shown(e->rule.name, strlen(e->rule.name)));
	}
	return 0;
}

/* Is SET the one that counts for its name? 1, 0, or -EINVAL with the error written. */
static int check_set(struct policy *p, size_t index)
{
	const struct env_entry *set = &p->env_entries[index];

	for (size_t i = 0; i < p->n_env; i++) {
		const struct env_entry *e = &p->env_entries[i];

		if (i == index || e->rule.action != ENV_SET || strcmp(e->rule.name, set->rule.name) != 0)
			continue;
		if (e->rule.rank > set->rule.rank || (e->rule.rank == set->rule.rank && i < index)) {
			if (e->rule.rank == set->rule.rank && strcmp(e->rule.value, set->rule.value) != 0)
				return place_error(&p->error, &set->place, 0,
						   "sets %s to another value than %s: remove one of the two",
						   shown(set->rule.name, strlen(set->rule.name)),
						   place_shown(&e->place));
			return 0;
		}
	}
	return 1;
}

int env_finish(struct policy *p)
{
	size_t n = 0;

	p->env = arena_alloc(&p->arena, (p->n_env + 1) * sizeof(*p->env));
	if (!p->env)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_env; i++) {
		const struct env_entry *e = &p->env_entries[i];
		int r = 1;

		if (e->rule.action == ENV_KEEP && !e->is_glob)
			r = check_keep(p, e);
		else if (e->rule.action == ENV_SET)
			r = check_set(p, i);
		if (r < 0)
			return r;
		if (r > 0 || e->rule.action != ENV_SET)
			p->env[n++] = e->rule;
	}
	p->n_env_rules = n;
	return 0;
}

const struct env_rule *policy_env(const struct policy *p, size_t *ret_n)
{
	*ret_n = p->n_env_rules;
	return p->env;
}

bool policy_env_unset(const struct policy *p, const char *name)
{
	int unset = -1, keep = -1; /* highest rank */
	size_t len = strlen(name);

	for (size_t i = 0; i < p->n_env; i++) {
		const struct env_entry *e = &p->env_entries[i];

		if (e->rule.action == ENV_SET || !entry_matches(e, name, len))
			continue;
		if (e->rule.action == ENV_UNSET && (int)e->rule.rank > unset)
			unset = (int)e->rule.rank;
		if (e->rule.action == ENV_KEEP && (int)e->rule.rank > keep)
			keep = (int)e->rule.rank;
	}
	return unset >= 0 && unset >= keep;
}
