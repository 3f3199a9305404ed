/* SPDX-License-Identifier: Apache-2.0
 * A file tree in memory for the planner's tests, and a policy from a text over it.
 *
 * The tree is a text of entries: "d /a/b" directory, "f" file, "c" device, "l PATH TARGET" symlink,
 * "h PATH OTHER" another link of OTHER, "m PATH OTHER" a mount that shows OTHER at PATH. Parents come by
 * themselves.
 */
#pragma once
#include "policy/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TREE_MAX 4096

struct entry {
	char path[128], target[128];
	struct node_info node;
};

struct tree {
	struct entry entries[TREE_MAX];
	unsigned n;
	struct {
		char at[128], shows[128];
	} mounts[16];
	unsigned n_mounts;
	unsigned lists, lookups;
};

static struct entry *tree_find(struct tree *t, const char *path)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strcmp(t->entries[i].path, path) == 0)
			return &t->entries[i];
	return NULL;
}

static struct entry *tree_add(struct tree *t, enum node_kind kind, const char *path)
{
	struct entry *e = tree_find(t, path);
	char parent[128];

	if (e)
		return e;
	snprintf(parent, sizeof(parent), "%s", path);
	if (strcmp(path, "/") != 0) {
		char *slash = strrchr(parent, '/');

		*(slash == parent ? slash + 1 : slash) = '\0';
		tree_add(t, NODE_DIR, parent);
	}
	assert_true(t->n < TREE_MAX);
	e = &t->entries[t->n++];
	snprintf(e->path, sizeof(e->path), "%s", path);
	e->node = (struct node_info){
		.kind = kind, .dev = 7, .ino = 100 + t->n, .nlink = kind == NODE_DIR ? 2 : 1};
	return e;
}

static __attribute__((unused)) struct tree *tree_new(const char *text)
{
	struct tree *t = calloc(1, sizeof(*t));
	char kind, path[128], other[128];

	tree_add(t, NODE_DIR, "/");
	tree_add(t, NODE_DIR, "/proc");
	for (const char *line = text; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		struct entry *e, *o;
		int n = sscanf(line, " %c %127s %127s", &kind, path, other);

		if (n < 2)
			continue;
		switch (kind) {
		case 'd':
			tree_add(t, NODE_DIR, path);
			break;
		case 'f':
			tree_add(t, NODE_FILE, path);
			break;
		case 'c':
			tree_add(t, NODE_DEVICE, path);
			break;
		case 'l':
			e = tree_add(t, NODE_SYMLINK, path);
			snprintf(e->target, sizeof(e->target), "%s", other);
			break;
		case 'h':
			e = tree_add(t, NODE_FILE, path);
			o = tree_find(t, other);
			o->node.nlink = 2;
			e->node = o->node;
			break;
		case 'm':
			tree_add(t, NODE_DIR, path);
			snprintf(t->mounts[t->n_mounts].at, 128, "%s", path);
			snprintf(t->mounts[t->n_mounts++].shows, 128, "%s", other);
			break;
		default:
			fail_msg("what is \"%c\"", kind);
		}
	}
	return t;
}

static int tree_lookup(void *ctx, const char *path, struct node_info *ret)
{
	struct tree *t = ctx;
	struct entry *e = tree_find(t, path);

	t->lookups++;
	*ret = e ? e->node : (struct node_info){.kind = NODE_MISSING};
	return 0;
}

static int tree_list(void *ctx, const char *dir, size_t max, char ***ret_names)
{
	struct tree *t = ctx;
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir), n = 0;
	char **names = calloc(TREE_MAX + 1, sizeof(*names));

	t->lists++;
	for (unsigned i = 0; i < t->n; i++) {
		const char *p = t->entries[i].path;

		if (strncmp(p, dir, len) == 0 && p[len] == '/' && p[len + 1] && !strchr(p + len + 1, '/'))
			names[n++] = strdup(p + len + 1);
	}
	if (n > max) {
		for (size_t i = 0; i < n; i++)
			free(names[i]);
		free(names);
		return -E2BIG;
	}
	*ret_names = names;
	return 0;
}

static bool tree_beneath(const char *dir, const char *path)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(dir, path, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static int tree_aliases(void *ctx, const char *path, struct plan_alias **ret, size_t *ret_n)
{
	struct tree *t = ctx;
	struct plan_alias *a = calloc(2 * t->n_mounts + 1, sizeof(*a));
	size_t n = 0;

	for (unsigned i = 0; i < 2 * t->n_mounts; i++) {
		const char *at = i % 2 ? t->mounts[i / 2].shows : t->mounts[i / 2].at;
		const char *shows = i % 2 ? t->mounts[i / 2].at : t->mounts[i / 2].shows;
		char other[256];

		if (tree_beneath(shows, path)) {
			snprintf(other, sizeof(other), "%s%s", at, path + strlen(shows));
			a[n++] = (struct plan_alias){strdup(other), strdup(path)};
		} else if (tree_beneath(path, shows)) {
			a[n++] = (struct plan_alias){strdup(at), strdup(shows)};
		}
	}
	*ret = a;
	*ret_n = n;
	return 0;
}

static const char *tree_variable(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "HOME") == 0     ? "/home/u"
	       : strcmp(name, "PWD") == 0    ? "/home/u/proj"
	       : strcmp(name, "TMPDIR") == 0 ? "/tmp/t"
					     : NULL;
}

static const char *tree_home(void *ctx, const char *user)
{
	(void)ctx;
	(void)user;
	return "/home/u";
}

static int tree_resolve(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	struct entry *e = tree_find(ctx, path);

	*ret_link = *ret_links = NULL;
	*ret_path = strdup(path);
	if (e && e->node.kind == NODE_SYMLINK) {
		*ret_link = *ret_path;
		*ret_path = strdup(e->target);
	}
	return 0;
}

static const char *const *tree_profiles(void *ctx)
{
	static const char *const none[] = {NULL};

	(void)ctx;
	return none;
}

static int tree_no_file(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	(void)ctx;
	(void)path;
	(void)ret_data;
	(void)ret_len;
	return -ENOENT;
}

static int tree_no_profile(void *ctx, const char *name, char **ret_path, bool *ret_builtin)
{
	(void)ctx;
	(void)name;
	(void)ret_path;
	(void)ret_builtin;
	return -ENOENT;
}

/* BUILTIN may be NULL. NULL is returned if the policy is refused. */
static __attribute__((unused)) struct policy *tree_policy(struct tree *t, const char *builtin,
							  const char *text)
{
	static struct policy_host host = {.read_file = tree_no_file,
					  .find_profile = tree_no_profile,
					  .get_variable = tree_variable,
					  .home_of = tree_home,
					  .resolve = tree_resolve,
					  .profile_names = tree_profiles};
	struct policy_error error = {""};
	struct policy *p;
	int r = 0;

	host.ctx = t;
	p = policy_new(&host);
	assert_non_null(p);
	if (builtin)
		r = policy_add_text(p, "built", RANK_BUILTIN, builtin, strlen(builtin), &error);
	if (r == 0)
		r = policy_add_text(p, "my.policy", RANK_USER, text, strlen(text), &error);
	if (r == 0)
		r = policy_finish(p, &error);
	if (r < 0) {
		if (getenv("VERBOSE"))
			printf("%s\n", error.text);
		policy_free(p);
		return NULL;
	}
	return p;
}

static __attribute__((unused)) int tree_plan(struct tree *t, const struct policy *policy, int abi,
					     struct plan **ret, struct policy_error *ret_error)
{
	struct plan_host host = {.ctx = t, .lookup = tree_lookup, .list = tree_list, .aliases = tree_aliases};
	struct plan_caps caps = {.landlock_abi = abi, .supervisor = true, .lines = true, .ptrace_exec = true};

	return plan_build(policy, &host, &caps, ret, ret_error);
}
