/* SPDX-License-Identifier: Apache-2.0
 * A host for policies that exists in tables: variables, files, profiles, symlinks.
 */
#pragma once
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fake_pair {
	const char *name, *value;
};

struct fake_world {
	const struct fake_pair *variables; /* all end with a NULL name */
	const struct fake_pair *files;	   /* path, content */
	const struct fake_pair *profiles;  /* name, path; built in if the path begins with /profiles/ */
	const struct fake_pair *links;	   /* canonical name of a symlink, canonical target */
};

static inline const char *fake_find(const struct fake_pair *pairs, const char *name)
{
	for (; pairs && pairs->name; pairs++)
		if (strcmp(pairs->name, name) == 0)
			return pairs->value;
	return NULL;
}

static inline int fake_read_file(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	const struct fake_world *w = ctx;
	const char *text = fake_find(w->files, path);

	if (!text)
		return -ENOENT;
	*ret_data = strdup(text);
	*ret_len = strlen(text);
	return 0;
}

static inline int fake_find_profile(void *ctx, const char *name, char **ret_path, bool *ret_builtin)
{
	const struct fake_world *w = ctx;
	const char *path = fake_find(w->profiles, name);

	if (!path)
		return -ENOENT;
	if (strcmp(path, "twice") == 0)
		return -EEXIST;
	*ret_path = strdup(path);
	*ret_builtin = strncmp(path, "/profiles/", 10) == 0;
	return 0;
}

static inline const char *fake_get_variable(void *ctx, const char *name)
{
	const struct fake_world *w = ctx;

	return fake_find(w->variables, name);
}

static inline const char *fake_home_of(void *ctx, const char *user)
{
	(void)ctx;
	return strcmp(user, "eve") == 0 ? "/home/eve" : NULL;
}

/* Components are taken one by one; a link is replaced by its target; ".." goes up. */
static inline int fake_resolve(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	const struct fake_world *w = ctx;
	char *out = calloc(1, 8192), *link = NULL, *links = calloc(1, 8192);
	size_t n_links = 0;

	for (const char *s = path; *s;) {
		size_t width, len = strlen(out);
		const char *target;

		while (*s == '/')
			s++;
		width = strcspn(s, "/");
		if (width == 0)
			break;
		free(link);
		link = NULL;
		if (width == 2 && memcmp(s, "..", 2) == 0) {
			char *slash = strrchr(out, '/');

			if (slash)
				*slash = '\0';
		} else if (!(width == 1 && *s == '.')) {
			out[len] = '/';
			memcpy(out + len + 1, s, width);
			out[len + 1 + width] = '\0';
			target = fake_find(w->links, out);
			if (target) {
				link = strdup(out);
				strcpy(links + n_links, out);
				n_links += strlen(out) + 1;
				strcpy(out, target);
			}
		}
		s += width;
	}
	if (!*out)
		strcpy(out, "/");
	*ret_path = out;
	*ret_link = link;
	*ret_links = links;
	return 0;
}

static inline const char *const *fake_profile_names(void *ctx)
{
	static const char *const names[] = {"base", "build", "credentials", "npm", "open", NULL};

	(void)ctx;
	return names;
}

static inline struct policy_host fake_host(const struct fake_world *world)
{
	union {
		const void *in;
		void *out;
	} ctx = {.in = world};

	return (struct policy_host){
		.ctx = ctx.out,
		.read_file = fake_read_file,
		.find_profile = fake_find_profile,
		.get_variable = fake_get_variable,
		.home_of = fake_home_of,
		.resolve = fake_resolve,
		.profile_names = fake_profile_names,
	};
}

static const struct fake_pair usual_variables[] = {
	{"HOME", "/home/u"}, {"PWD", "/home/u/proj"}, {"UID", "1000"}, {"TMPDIR", "/tmp/sluice-1"},
	{NULL, NULL},
};
