/* SPDX-License-Identifier: Apache-2.0
 * What the paths of rules name on this machine, at this moment: symlinks and ".." gone.
 *
 * A literal path is resolved whole, and if its last component is a symlink, the rule gets two names:
 * the link and what it leads to. Of a glob the literal prefix is resolved. What leads into the supervisor's
 * own /proc/PID was written by way of "self" and is named /proc/self, as the matcher sees a target's own.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool leads_into(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && (path[len] == '/' || !path[len]);
}

/* Length of "/proc/NUMBER" at the start of PATH, or 0. */
static size_t proc_pid_len(const char *path)
{
	size_t digits;

	if (strncmp(path, "/proc/", 6) != 0)
		return 0;
	digits = strspn(path + 6, "0123456789");
	return digits > 0 && (path[6 + digits] == '/' || !path[6 + digits]) ? 6 + digits : 0;
}

/* Names that lead through magic links: what they are for the task that opens them. */
static const char *own_name(struct policy *p, const char *path)
{
	static const char *const names[][2] = {
		{"/dev/fd", "/proc/self/fd"},
		{"/dev/stdin", "/proc/self/fd/0"},
		{"/dev/stdout", "/proc/self/fd/1"},
		{"/dev/stderr", "/proc/self/fd/2"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i][0]), own_len = strlen(names[i][1]);
		char *own;

		if (!leads_into(path, names[i][0]))
			continue;
		own = arena_alloc(&p->arena, own_len + strlen(path) - len + 1);
		if (own) {
			memcpy(own, names[i][1], own_len);
			strcpy(own + own_len, path + len);
		}
		return own;
	}
	return path;
}

int policy_keep_links(struct policy *p, const char *links, const char **ret)
{
	size_t len = 0;

	while (links && links[len])
		len += strlen(links + len) + 1;
	*ret = NULL;
	if (len == 0)
		return 0;
	*ret = arena_copy(&p->arena, links, len); /* which adds a NUL */
	return *ret ? 0 : -ENOMEM;
}

/* The canonical form of PATH, and of its last component as a link (else NULL); what it led through. In the arena. */
static int resolve(struct policy *p, const char *path, const char **ret_path, const char **ret_link,
		   const char **ret_links)
{
	const char *own = own_name(p, path);
	char *real = NULL, *link = NULL, *links = NULL;
	size_t pid_len;
	int r;

	if (!own)
		return -ENOMEM;
	*ret_links = NULL;
	*ret_link = own != path ? path : NULL;
	*ret_path = own;
	if (own != path || leads_into(path, "/proc/self") || !p->host.resolve)
		return 0;
	r = p->host.resolve(p->host.ctx, path, &real, &link, &links);
	if (r < 0)
		return r;
	*ret_path = arena_copy(&p->arena, real, strlen(real));
	if (link)
		*ret_link = arena_copy(&p->arena, link, strlen(link));
	r = *ret_path && (!link || *ret_link) ? policy_keep_links(p, links, ret_links) : -ENOMEM;
	free(real);
	free(link);
	free(links);
	if (r < 0)
		return r;
	pid_len = proc_pid_len(*ret_path);
	if (pid_len > 0 && proc_pid_len(path) == 0) {
		char *self = arena_alloc(&p->arena, sizeof("/proc/self") + strlen(*ret_path + pid_len));

		if (!self)
			return -ENOMEM;
		strcpy(self, "/proc/self");
		strcat(self, *ret_path + pid_len);
		*ret_path = self;
	}
	return 0;
}

static bool has_dotdot(const struct pattern *p)
{
	for (unsigned i = 0; i < p->n_literal; i++)
		if (p->comps[i].len == 2 && memcmp(p->comps[i].text, "..", 2) == 0)
			return true;
	return false;
}

static int resolve_rule(struct policy *p, struct rule *rule, struct draft *draft)
{
	const struct pattern *written = &draft->written;
	struct place place = {rule->file, rule->line};
	const char *path, *link = NULL;
	int r;

	if (leads_into(written->prefix, "/proc/thread-self"))
		return place_error(&p->error, &place, draft->column,
				   "\"/proc/thread-self\" is another directory for each thread: write "
				   "/proc/self, or /proc/self/task/*");
	r = resolve(p, written->prefix, &path, &link, &draft->links);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return place_error(&p->error, &place, draft->column, "\"%s\" can't be resolved: %s",
				   shown(written->text, strlen(written->text)), strerror(-r));
	rule->names = arena_alloc(&p->arena, 2 * sizeof(*rule->names));
	if (!rule->names)
		return -ENOMEM;
	r = pattern_rebase(&p->arena, written, path, &rule->names[0]);
	if (r == 0 && link && !written->is_glob && strcmp(link, path) != 0) {
		rule->names[1] = rule->names[0];
		r = pattern_literal(&p->arena, link, &rule->names[0]);
		rule->n_names = 1;
	}
	rule->n_names++;
	if (r == -EINVAL)
		return place_error(&p->error, &place, draft->column,
				   "\"%s\" leads to a path of more than 4095 bytes",
				   shown(written->text, strlen(written->text)));
	if (r == 0 && has_dotdot(&rule->names[rule->n_names - 1]))
		return place_error(&p->error, &place, draft->column,
				   "\"%s\" goes up from a directory that does not exist: "
				   "write the path without \"..\"",
				   shown(written->text, strlen(written->text)));
	return r;
}

/* Where DIR is too much to hand over: what to call it, or NULL. */
static const char *judge_dir(struct policy *p, const char *dir)
{
	const char *home = p->host.get_variable(p->host.ctx, "HOME"), *real, *link, *links;

	if (strcmp(dir, "/") == 0)
		return "/";
	if (!home || *home != '/')
		return NULL;
	if (resolve(p, home, &real, &link, &links) < 0)
		real = home;
	return strcmp(dir, real) == 0  ? "your home directory"
	       : leads_into(real, dir) ? "above your home directory"
				       : NULL;
}

/* Built-in profiles hand over what a variable names only where it is less than the home directory: the
 * working directory must be a project. */
static int check_variables(struct policy *p)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct rule *rule = &p->rules[i];
		const struct draft *draft = &p->drafts[i];
		struct place place = {rule->file, rule->line};
		const char *where;

		if (rule->rank != RANK_BUILTIN || rule->action != ACTION_ALLOW || !draft->variable ||
		    rule->n_names == 0)
			continue;
		where = judge_dir(p, rule->names[rule->n_names - 1].prefix);
		if (!where)
			continue;
		if (strcmp(draft->variable, "PWD") != 0)
			return place_error(&p->error, &place, draft->column,
					   "$%s leads to %s, and \"%s\" would open everything in "
					   "it: unset it, or give it a directory of its own",
					   draft->variable, where,
					   shown_source(rule->text, strlen(rule->text)));
		return place_error(
			&p->error, &place, 0,
			"the working directory is %s, and \"%s\" would let the command "
			"change everything in it: go into a project, or say which part: -p base --allow "
			"all:~/thing",
			where, shown_source(rule->text, strlen(rule->text)));
	}
	return 0;
}

int policy_resolve_names(struct policy *p)
{
	int r = 0;

	for (size_t i = p->n_derived; i < p->n_rules && r == 0; i++)
		if (p->rules[i].net == NET_NONE)
			r = resolve_rule(p, &p->rules[i], &p->drafts[i]);
	return r < 0 || p->n_derived ? r : check_variables(p);
}
