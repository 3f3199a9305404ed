/* SPDX-License-Identifier: Apache-2.0
 * Which files make up a policy: profiles by name, files by path, each read once.
 *
 * A file is known by its canonical path. Being met again is nothing; being met while it is still being
 * read is a cycle, and an error that prints the chain.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is to be read, and who asked. */
struct request {
	const struct source *outer; /* NULL: the command line */
	struct place place;
	int column;
	const char *path, *shown;
	enum rank rank;
};

#define fail_request(p, rq, ...) place_error(&(p)->error, &(rq)->place, (rq)->column, __VA_ARGS__)

static char *join(struct policy *p, const char *dir, size_t dir_len, const char *name)
{
	char *path = arena_alloc(&p->arena, dir_len + strlen(name) + 2);

	if (path) {
		memcpy(path, dir, dir_len);
		path[dir_len] = '/';
		strcpy(path + dir_len + 1, name);
	}
	return path;
}

/* The path by which a file is known, and the links that lead there. */
static int canonical(struct policy *p, const char *path, const char **ret, const char **ret_links)
{
	const char *pwd = p->host.get_variable(p->host.ctx, "PWD");
	char *real, *link = NULL, *links = NULL;
	int r;

	if (*path != '/' && pwd) {
		path = join(p, pwd, strlen(pwd), path);
		if (!path)
			return -ENOMEM;
	}
	*ret = path;
	*ret_links = NULL;
	if (!p->host.resolve || *path != '/')
		return 0;
	r = p->host.resolve(p->host.ctx, path, &real, &link, &links);
	if (r < 0)
		return r;
	*ret = arena_copy(&p->arena, real, strlen(real));
	free(real);
	free(link);
	r = *ret ? policy_keep_links(p, links, ret_links) : -ENOMEM;
	free(links);
	return r;
}

static int cycle_error(struct policy *p, const struct request *rq, const char *key)
{
	const struct source *chain[INCLUDE_DEPTH_MAX + 1];
	char text[600] = "";
	size_t n = 0, len = 0;

	for (const struct source *s = rq->outer; s && n <= INCLUDE_DEPTH_MAX; s = s->outer) {
		chain[n++] = s;
		if (s->path && strcmp(s->path, key) == 0)
			break;
	}
	for (size_t i = n; i-- > 0;) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s > ",
					shown(chain[i]->shown, strlen(chain[i]->shown)));
		if (len >= sizeof(text))
			len = sizeof(text) - 1;
	}
	return fail_request(p, rq, "the files include each other, %s%s: remove one of the includes", text,
			    shown(chain[n - 1]->shown, strlen(chain[n - 1]->shown)));
}

static int load(struct policy *p, const struct request *rq)
{
	struct source source = {
		.outer = rq->outer,
		.shown = rq->shown,
		.rank = rq->rank,
		.depth = rq->outer ? rq->outer->depth + 1 : 0,
	};
	const char *links = NULL;
	size_t len;
	char *data;
	int r = canonical(p, rq->path, &source.path, &links);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		source.path = rq->path;
	for (const struct source *s = rq->outer; s; s = s->outer)
		if (s->path && strcmp(s->path, source.path) == 0)
			return cycle_error(p, rq, source.path);
	for (size_t i = 0; i < p->n_loaded; i++)
		if (p->loaded[i].rank == rq->rank && strcmp(p->loaded[i].path, source.path) == 0)
			return 0;
	if (source.depth == INCLUDE_DEPTH_MAX)
		return fail_request(
			p, rq, "files include each other more than %d deep: put the rules into fewer files",
			INCLUDE_DEPTH_MAX);
	r = p->host.read_file ? p->host.read_file(p->host.ctx, source.path, &data, &len) : -ENOENT;
	if (r < 0)
		return fail_request(p, rq, "\"%s\" can't be read: %s", shown(rq->path, strlen(rq->path)),
				    strerror(-r));
	p->loaded = arena_grow(&p->arena, p->loaded, p->n_loaded, &p->cap_loaded, sizeof(*p->loaded));
	p->files = arena_grow(&p->arena, p->files, p->n_files + 1, &p->cap_files, sizeof(*p->files));
	p->file_links =
		arena_grow(&p->arena, p->file_links, p->n_file_links, &p->cap_file_links, sizeof(*p->file_links));
	if (!p->loaded || !p->files || !p->file_links) {
		free(data);
		return -ENOMEM;
	}
	if (links)
		p->file_links[p->n_file_links++] = (struct file_link){rq->shown, links};
	p->loaded[p->n_loaded++] = (struct loaded){source.path, rq->rank};
	p->files[p->n_files++] = source.path;
	p->files[p->n_files] = NULL;
	if (len > FILE_SIZE_MAX)
		r = fail_request(p, rq, "\"%s\" is larger than 1 MiB: no policy needs that",
				 shown(rq->path, strlen(rq->path)));
	else
		r = policy_parse_text(p, &source, data, len);
	free(data);
	return r;
}

static int load_profile(struct policy *p, struct request *rq, const char *name)
{
	static const char *const none[] = {NULL};
	const char *near;
	bool builtin = false;
	char *path, *kept;
	int r = p->host.find_profile ? p->host.find_profile(p->host.ctx, name, &path, &builtin) : -ENOENT;

	if (r == -EEXIST)
		return fail_request(
			p, rq,
			"\"%s\" is a built-in profile, and ~/.config/sluice/%s.policy has the same name: "
			"rename your file",
			name, name);
	if (r == -ENOENT) {
		near = suggest(name, p->host.profile_names ? p->host.profile_names(p->host.ctx) : none);
		if (near)
			return fail_request(p, rq, "there is no profile \"%s\": did you mean \"%s\"?",
					    shown(name, strlen(name)), near);
		return fail_request(
			p, rq,
			"there is no profile \"%s\": for a file, write its path with a slash, as in ./%s",
			shown(name, strlen(name)), shown(name, strlen(name)));
	}
	if (r < 0)
		return fail_request(p, rq, "profile \"%s\" can't be read: %s", shown(name, strlen(name)),
				    strerror(-r));
	kept = arena_copy(&p->arena, path, strlen(path));
	free(path);
	rq->path = kept;
	rq->shown = builtin ? arena_copy(&p->arena, name, strlen(name)) : kept;
	rq->rank = builtin ? RANK_BUILTIN : RANK_USER;
	return rq->path && rq->shown ? load(p, rq) : -ENOMEM;
}

int policy_include(struct policy *p, const struct source *source, const struct place *place,
		   const struct word *w)
{
	struct request rq = {.outer = source, .place = *place, .column = w->column, .rank = source->rank};
	const char *slash, *base;

	if (w->len == 0)
		return fail_request(p, &rq, "an empty word names no file");
	for (size_t i = 0; i < w->len; i++)
		if (w->bare[i] && strchr("*?[", w->bytes[i]))
			return place_error(&p->error, place, w->at[i],
					   "an include names one file: no wildcards here");
	if (!strchr(w->bytes, '/'))
		return load_profile(p, &rq, w->bytes);
	rq.path = rq.shown = w->bytes;
	if (w->bytes[0] != '/' && source->path) {
		base = w->bytes;
		while (strncmp(base, "./", 2) == 0)
			base += 2;
		slash = strrchr(source->path, '/');
		rq.path = rq.shown = join(p, source->path, slash ? (size_t)(slash - source->path) : 0, base);
		/* Shown as the including file is: beside it. */
		slash = strrchr(source->shown, '/');
		if (slash)
			rq.shown = join(p, source->shown, (size_t)(slash - source->shown), base);
		else if (source->rank == RANK_USER)
			rq.shown = base;
		if (!rq.path || !rq.shown)
			return -ENOMEM;
	}
	return load(p, &rq);
}

static int add_policy(struct policy *p, const char *name)
{
	struct request rq = {.rank = RANK_USER};
	char *argument = arena_alloc(&p->arena, strlen(name) + 4);

	if (!argument)
		return -ENOMEM;
	sprintf(argument, "-p %s", name);
	rq.place.file = argument;
	if (!*name)
		return fail_request(p, &rq,
				    "an empty word names no policy: write a profile, or the path of a file");
	if (strcmp(name, "none") == 0)
		return 0;
	if (!strchr(name, '/'))
		return load_profile(p, &rq, name);
	rq.path = rq.shown = argument + 3;
	while (strncmp(rq.shown, "./", 2) == 0 && rq.shown[2])
		rq.shown += 2;
	return load(p, &rq);
}

int policy_add_policy(struct policy *p, const char *name_or_path, struct policy_error *ret_error)
{
	return policy_result(p, p->failed ? -EINVAL : add_policy(p, name_or_path), ret_error);
}

int policy_add_text(struct policy *p, const char *shown_name, enum rank rank, const char *text, size_t len,
		    struct policy_error *ret_error)
{
	struct source source = {.rank = rank};

	if (p->failed)
		return policy_result(p, -EINVAL, ret_error);
	source.shown = arena_copy(&p->arena, shown_name, strlen(shown_name));
	if (!source.shown)
		return policy_result(p, -ENOMEM, ret_error);
	return policy_result(p, policy_parse_text(p, &source, text, len), ret_error);
}
