/* SPDX-License-Identifier: Apache-2.0
 * What is needed at a name, what of it is dangerous, and the directories that no line may name.
 */
#include "core/learn/learn.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The name that rules have for it: a process's own directory is /proc/self. */
static const char *rule_name(const struct fact *f, char buf[PATH_MAX], size_t *ret_len)
{
	const char *rest;

	*ret_len = f->len;
	if (strncmp(f->path, "/proc/", 6) != 0 || f->path[6] < '1' || f->path[6] > '9')
		return f->path;
	rest = strchr(f->path + 6, '/');
	*ret_len = (size_t)snprintf(buf, PATH_MAX, "/proc/self%s", rest ? rest : "");
	return *ret_len < PATH_MAX ? buf : f->path;
}

static const char *danger_of(const struct learn_input *in, const struct fact *f, enum op op, const char *name,
			     size_t len)
{
	const opset changes = OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META);
	struct verdict v = policy_decide(in->danger, op, name, len);

	/* A repository that the command made itself is its own. */
	if (v.action != ACTION_ALLOW && v.rule && !learn_is_own_repository(in, f->path, f->len))
		return learn_danger_reason(v.rule->line);
	if (changes & OPBIT(op) && learn_is_kept_git(in, f->path, f->len))
		return "another repository could take its place";
	v = policy_decide(in->included, op, name, len);
	if (v.action != ACTION_ALLOW && v.rule)
		return "credentials, or a service that acts with more rights";
	return NULL;
}

opset learn_needs(const struct learn_input *in, const struct fact *fact, const char **ret_reason)
{
	const opset looks = OPBIT(OP_STAT) | OPBIT(OP_BIND);
	opset needs = fact->done & (opset)~looks;
	char buf[PATH_MAX];
	size_t len;
	const char *name = rule_name(fact, buf, &len);

	*ret_reason = NULL;
	for (enum op op = 0; op < OP_COUNT; op++) {
		if (!(needs & OPBIT(op)))
			continue;
		if (policy_decide(in->included, op, name, len).action == ACTION_ALLOW)
			needs &= (opset)~OPBIT(op);
		else if (!*ret_reason)
			*ret_reason = danger_of(in, fact, op, name, len);
	}
	if (needs & OPBIT(OP_EXEC) && !*ret_reason && in->is_setuid && in->is_setuid(fact->path))
		*ret_reason = "it runs with another user's rights (set-user-ID)";
	return needs;
}

static bool is_above(const char *dir, size_t len, const char *path)
{
	size_t n = path ? strlen(path) : 0;

	return n > len && memcmp(dir, path, len) == 0 && (path[len] == '/' || len == 1);
}

static bool is_same(const char *dir, size_t len, const char *path)
{
	return path && strlen(path) == len && memcmp(dir, path, len) == 0;
}

/* Does POLICY refuse something at a literal name beneath DIR? */
static bool refuses_beneath(const struct policy *policy, const char *dir, size_t len)
{
	size_t n;
	const struct rule *rules = policy_rules(policy, &n);

	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < rules[i].n_names && rules[i].action != ACTION_ALLOW; k++)
			if (rules[i].names[k].text[0] == '/' && (is_above(dir, len, rules[i].names[k].prefix) ||
								  is_same(dir, len, rules[i].names[k].prefix)))
				return true;
	return false;
}

/* Outside of the home directory: "/", what is in it, and places that many programs share. */
static bool is_common(const char *dir, size_t len)
{
	static const char *const shared[] = {"/var/", "/home/", "/run/", "/tmp/", "/dev/", "/proc/", "/sys/", "/srv/",
					     "/mnt/", "/media/"};
	const char *second = memchr(dir + 1, '/', len - 1);

	if (!second)
		return true;
	if (memchr(second + 1, '/', len - (size_t)(second + 1 - dir)))
		return false;
	for (unsigned i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (strncmp(dir, shared[i], strlen(shared[i])) == 0)
			return strcmp(shared[i], "/tmp/") != 0;
	return false;
}

bool learn_is_boundary(const struct learn_input *in, const char *dir, size_t len)
{
	size_t n;
	const struct fact_run *runs = facts_runs(in->facts, &n);
	bool here = false;

	if (len <= 1)
		return true;
	for (size_t i = 0; i < n; i++) {
		if (is_above(dir, len, runs[i].cwd) || is_above(dir, len, runs[i].home) ||
		    is_same(dir, len, runs[i].home))
			return true;
		here |= is_same(dir, len, runs[i].cwd);
	}
	if (is_above(dir, len, in->home) || is_same(dir, len, in->home))
		return true;
	if (!here && is_common(dir, len))
		return true;
	return refuses_beneath(in->included, dir, len) || refuses_beneath(in->danger, dir, len);
}

static bool refuses_at(const struct policy *policy, const char *path, size_t len)
{
	for (enum op op = 0; op < OP_COUNT; op++) {
		struct verdict v = policy_decide(policy, op, path, len);

		if (v.action != ACTION_ALLOW && v.rule)
			return true;
	}
	return refuses_beneath(policy, path, len);
}

/* Every component that a rule names is tried in DIR. */
static bool is_dangerous_for(const struct policy *policy, const struct pattern *name, const char *dir, size_t len,
			     const char *glob)
{
	char path[PATH_MAX + NAME_MAX + 2], *last = path + len + 1;

	if (!name->is_glob && !is_above(dir, len, name->prefix))
		return false;
	memcpy(path, dir, len);
	path[len] = '/';
	for (unsigned i = 0; i < name->n_comps; i++) {
		const struct component *c = &name->comps[i];

		/* Two patterns are not compared: it does for a name that one could be in the directory of the other. */
		if (c->kind == COMPONENT_GLOB && i == name->n_literal && is_same(dir, len, name->prefix))
			return true;
		if (c->kind != COMPONENT_LITERAL || c->len > NAME_MAX)
			continue;
		memcpy(last, c->text, c->len);
		last[c->len] = '\0';
		if (fnmatch(glob, last, 0) == 0 &&
		    (i > name->n_literal || refuses_at(policy, path, len + 1 + c->len)))
			return true;
	}
	return false;
}

/* Does GLOB in DIR stand for PATH or for what is above it? */
static bool stands_for(const char *dir, size_t len, const char *glob, const char *path)
{
	char name[NAME_MAX + 1];
	size_t n;

	if (!path || !is_above(dir, len, path))
		return false;
	n = strcspn(path + len + 1, "/");
	if (n > NAME_MAX)
		return true;
	memcpy(name, path + len + 1, n);
	name[n] = '\0';
	return fnmatch(glob, name, 0) == 0;
}

bool learn_is_dangerous_glob(const struct learn_input *in, const char *dir, size_t len, const char *glob)
{
	const struct policy *const policies[] = {in->included, in->danger};
	size_t n_runs;
	const struct fact_run *runs = facts_runs(in->facts, &n_runs);

	if (len >= PATH_MAX || stands_for(dir, len, glob, in->home))
		return true;
	for (size_t i = 0; i < n_runs; i++)
		if (stands_for(dir, len, glob, runs[i].cwd) || stands_for(dir, len, glob, runs[i].home))
			return true;
	for (unsigned p = 0; p < 2; p++) {
		size_t n;
		const struct rule *rules = policy_rules(policies[p], &n);

		for (size_t i = 0; i < n; i++)
			for (unsigned k = 0; k < rules[i].n_names && rules[i].action != ACTION_ALLOW; k++)
				if (is_dangerous_for(policies[p], &rules[i].names[k], dir, len, glob))
					return true;
	}
	return false;
}
