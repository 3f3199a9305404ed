/* SPDX-License-Identifier: Apache-2.0
 * The text of a learned policy. The same facts give the same text, byte by byte.
 */
#include "core/learn/lines.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { PROGRAMS_SHOWN = 3, COLUMN = 44, ADDRESSES_SHOWN = 8, DANGERS_SHOWN = 40, WORD_BYTES = 3 * 4096 + 64 };

/* Where the runs were started, if that was one place. */
static const char *common_cwd(const struct learn_input *in)
{
	size_t n;
	const struct fact_run *runs = facts_runs(in->facts, &n);
	const char *cwd = n ? runs[0].cwd : NULL;

	for (size_t i = 1; i < n && cwd; i++)
		if (!runs[i].cwd || strcmp(runs[i].cwd, cwd) != 0)
			cwd = NULL;
	return cwd && strlen(cwd) > 1 && (!in->home || strcmp(cwd, in->home) != 0) ? cwd : NULL;
}

static bool is_at(const char *path, size_t len, const char *dir)
{
	size_t n = dir ? strlen(dir) : 0;

	return n > 1 && len >= n && memcmp(path, dir, n) == 0 && (len == n || path[n] == '/');
}

/* A name as a word of the policy: $PWD and ~ where they fit. */
static void put_word(struct text *out, const struct learn_input *in, const char *path, size_t len, size_t pattern)
{
	const char *cwd = common_cwd(in);
	size_t literal = pattern ? pattern : len, skip = 0;
	char word[WORD_BYTES];

	if (is_at(path, literal > 1 && path[literal - 1] == '/' ? literal - 1 : literal, cwd)) {
		text_puts(out, "$PWD");
		skip = strlen(cwd);
	}
	if (literal > skip) {
		policy_format_word(word, sizeof(word), path + skip, literal - skip, skip ? NULL : in->home);
		text_puts(out, word);
	}
	if (pattern)
		text_add(out, path + pattern, len - pattern);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void put_programs(struct text *out, const struct learn_input *in, const struct tally_of *t)
{
	const char *names[FACT_PROGRAMS];
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_programs; i++) {
		const char *name = base_name(facts_program(in->facts, t->programs[i]));
		unsigned at = n;

		for (unsigned k = 0; k < n; k++)
			if (strcmp(names[k], name) == 0)
				at = UINT32_MAX;
		if (at == UINT32_MAX)
			continue;
		/* By name, so that it does not matter who came first. */
		for (; at > 0 && strcmp(names[at - 1], name) > 0; at--)
			names[at] = names[at - 1];
		names[at] = name;
		n++;
	}
	for (unsigned i = 0; i < n && i < PROGRAMS_SHOWN; i++) {
		text_puts(out, i ? ", " : ", by ");
		text_escaped(out, names[i], strlen(names[i]));
	}
	if (n > PROGRAMS_SHOWN || t->more_programs)
		text_puts(out, " and others");
}

static void put_tally(struct text *out, const struct learn_input *in, const struct tally_of *t)
{
	if (t->names > 1)
		text_printf(out, "%u names, ", t->names);
	text_printf(out, "%llux", (unsigned long long)t->count);
	put_programs(out, in, t);
}

static void pad(struct text *out, size_t from)
{
	size_t n = text_columns(out, from);

	do
		text_puts(out, " ");
	while (++n < COLUMN);
}

/* Writing stands for all of create, delete and metadata, and for reading; executing for reading. */
static opset ops_of(const struct line *line)
{
	const opset write = OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META);
	const opset read = OPBIT(OP_READ) | OPBIT(OP_LIST);
	opset ops = 0;

	if (line->classes[LEARN_WRITE] &&
	    (line->beneath || line->exact & (OPBIT(OP_WRITE) | OPBIT(OP_CREATE))))
		ops |= write | read;
	else if (line->classes[LEARN_WRITE])
		ops |= OPBIT(OP_DELETE);
	if (line->classes[LEARN_EXEC])
		ops |= OPBIT(OP_EXEC) | read;
	if (line->classes[LEARN_READ])
		ops |= line->beneath || ops & (OPBIT(OP_EXEC) | OPBIT(OP_WRITE)) ? read : line->exact & read;
	if (line->classes[LEARN_META])
		ops |= OPBIT(OP_META);
	if (line->classes[LEARN_CONNECT])
		ops |= OPBIT(OP_CONNECT);
	return ops;
}

static void put_ops(struct text *out, opset ops)
{
	const opset rwx = OPBIT(OP_READ) | OPBIT(OP_LIST) | OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) |
			  OPBIT(OP_META) | OPBIT(OP_EXEC);
	char word[128];

	if ((ops & rwx) == rwx) {
		text_puts(out, ops & OPBIT(OP_CONNECT) ? "rw,exec,connect" : "rw,exec");
		return;
	}
	opset_format(ops, word, sizeof(word));
	text_puts(out, word);
}

static void put_line(struct text *out, const struct learn_input *in, const struct line *line)
{
	size_t from = out->len;

	text_puts(out, "allow ");
	put_ops(out, ops_of(line));
	text_puts(out, " ");
	put_word(out, in, line->path, line->len, line->pattern);
	pad(out, from);
	text_puts(out, "# ");
	put_tally(out, in, &line->tally);
	text_puts(out, "\n");
}

/* "deny w", or "allow" and what LINE does of that, for names beneath DIR: from their first "*" on they are patterns. */
static void put_guards(struct text *out, const struct learn_input *in, const struct line *line, bool allow,
		       const char *dir, const char *names)
{
	const opset w = OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE) | OPBIT(OP_META);

	text_puts(out, allow ? "allow " : "deny ");
	put_ops(out, allow ? ops_of(line) & w : w);
	for (size_t len; *names; names += len + strspn(names + len, " ")) {
		char path[8192];
		size_t literal;
		int n;

		len = strcspn(names, " ");
		n = snprintf(path, sizeof(path), "%s/%.*s", dir, (int)len, names);
		literal = strlen(dir) + 1 + strcspn(names, " *");
		text_puts(out, " ");
		put_word(out, in, path, (size_t)n, literal < (size_t)n ? literal : 0);
	}
	text_puts(out, "   # git runs what is named there\n");
}

/* What is behind the last component .git of PATH, or NULL. */
static const char *within_git(const char *path)
{
	const char *rest = NULL;

	for (const char *c = path; (c = strstr(c, "/.git")); c += 5)
		if (c[5] == '/' || !c[5])
			rest = c + 5;
	return rest;
}

#define BESIDE(dir) dir "hooks " dir "config " dir "config.worktree " dir "commondir"

static void put_worktrees(struct text *out, const struct learn_input *in, const struct line *line, const char *dir)
{
	put_guards(out, in, line, false, dir, "*");
	put_guards(out, in, line, true, dir, "*/*");
	put_guards(out, in, line, false, dir, BESIDE("*/") " */modules");
}

/* What git runs of the repository whose .git is at DIR, which has room for more, and that this stays its .git. The same
 * as in the profile build. */
static void put_repository(struct text *out, const struct learn_input *in, const struct line *line, char *dir)
{
	size_t parent = strlen(dir) - strlen("/.git");

	dir[parent] = '\0';
	put_guards(out, in, line, false, dir, ".git");
	dir[parent] = '/';
	put_guards(out, in, line, true, dir, "*");
	put_guards(out, in, line, false, dir, BESIDE(""));
	put_guards(out, in, line, false, dir, BESIDE("modules/**/"));
	put_worktrees(out, in, line, strcat(dir, "/worktrees"));
}

/* LINE names something within a .git: REST is the name there. */
static void put_within(struct text *out, const struct learn_input *in, const struct line *line, const char *dir,
		       const char *rest)
{
	if (strcmp(rest, "/modules") == 0 || strncmp(rest, "/modules/", 9) == 0)
		put_guards(out, in, line, false, dir, BESIDE("**/"));
	else if (strncmp(rest, "/worktrees/", 11) == 0 && !strchr(rest + 11, '/'))
		put_guards(out, in, line, false, dir, BESIDE("") " modules");
	else if (strcmp(rest, "/worktrees") == 0)
		put_worktrees(out, in, line, dir);
}

/* Where a command starts, none may be planted: the next git to run there would believe it. */
static bool may_be_planted(const struct learn_input *in, const char *dir, size_t len, const char *git)
{
	size_t n;
	const struct fact_run *runs = facts_runs(in->facts, &n);

	for (size_t i = 0; i < n; i++)
		if (runs[i].cwd && strlen(runs[i].cwd) == len && memcmp(runs[i].cwd, dir, len) == 0)
			return !learn_is_own_repository(in, git, strlen(git));
	return false;
}

/* What must be kept of the repositories that are in a directory that may be written, or of the one that it lies in. */
static void put_guard(struct text *out, const struct learn_input *in, const struct learned *l, const struct line *line)
{
	char dir[PATH_MAX + sizeof("/.git/worktrees")];
	const char *rest;
	struct repository *kept;
	bool has_own = false;
	size_t n;

	if (!(line->classes[LEARN_WRITE] || line->classes[LEARN_META]) || line->pattern || line->len >= PATH_MAX)
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)line->len, line->path);
	rest = within_git(dir);
	if (rest) {
		if (line->dir && !learn_is_own_repository(in, dir, line->len))
			put_within(out, in, line, dir, rest);
		return;
	}
	kept = learned_repositories(l, line->path, line->len, &n);
	for (size_t i = 0; i < n; i++) {
		has_own |= kept[i].len == line->len + strlen("/.git");
		if (kept[i].guarded)
			continue;
		kept[i].guarded = true;
		snprintf(dir, sizeof(dir), "%s", kept[i].path);
		put_repository(out, in, line, dir);
	}
	snprintf(dir, sizeof(dir), "%.*s", (int)line->len, line->path);
	strcat(dir, "/.git");
	if (line->beneath && !has_own && may_be_planted(in, line->path, line->len, dir)) {
		dir[line->len] = '\0';
		put_guards(out, in, line, false, dir, ".git");
	}
}

struct place {
	const char *title, *dir; /* NULL: the rest */
};

static bool belongs(const struct line *line, const struct place *places, unsigned n, unsigned at)
{
	for (unsigned i = 0; i < n; i++)
		if (!places[i].dir || is_at(line->path, line->len, places[i].dir))
			return i == at;
	return false;
}

static size_t put_lines(struct text *out, const struct learn_input *in, const struct learned *l)
{
	const struct place places[] = {
		{"The working directory", common_cwd(in)}, {"The home directory", in->home}, {"Elsewhere", NULL},
	};
	size_t n = 0;

	for (unsigned p = 0; p < 3; p++) {
		bool titled = false;

		if (p < 2 && !places[p].dir)
			continue;
		for (size_t i = 0; i < l->n_lines; i++) {
			bool mine = places[0].dir ? belongs(&l->lines[i], places, 3, p)
						  : belongs(&l->lines[i], places + 1, 2, p - 1);

			if (!mine)
				continue;
			if (!titled)
				text_printf(out, "\n# %s\n", places[p].title);
			titled = true;
			put_line(out, in, &l->lines[i]);
			put_guard(out, in, l, &l->lines[i]);
			n++;
		}
	}
	return n;
}

static bool is_internet(const struct fact *address)
{
	return strncmp(address->path, "unix:", 5) != 0 && strncmp(address->path, "family ", 7) != 0 &&
	       address->done & (OPBIT(OP_CONNECT) | OPBIT(OP_BIND));
}

static size_t put_network(struct text *out, const struct learn_input *in)
{
	size_t n, shown = 0, lines = 0;
	const struct fact *const *all = facts_addresses(in->facts, &n);
	opset ops = 0;

	for (size_t i = 0; i < n; i++)
		if (is_internet(all[i]))
			ops |= all[i]->done & (OPBIT(OP_CONNECT) | OPBIT(OP_BIND));
	if (!ops)
		return 0;
	text_puts(out, "\n# The network:");
	for (size_t i = 0; i < n && shown < ADDRESSES_SHOWN; i++) {
		if (!is_internet(all[i]))
			continue;
		text_printf(out, "%s %llux ", shown ? "," : "", (unsigned long long)all[i]->count);
		text_escaped(out, all[i]->path, all[i]->len);
		shown++;
	}
	text_puts(out, shown == ADDRESSES_SHOWN ? " and others\n" : "\n");
	text_printf(out, "allow %s *:*\n", ops == OPBIT(OP_CONNECT) ? "connect" : ops == OPBIT(OP_BIND) ? "bind"
													 : "connect,bind");
	lines++;
	return lines;
}

static size_t put_dangers(struct text *out, const struct learn_input *in, const struct learned *l)
{
	if (!l->n_dangers)
		return 0;
	text_puts(out, "\n# Left out, since no record should decide about it. If the command may do it, write the line yourself:\n");
	for (size_t i = 0; i < l->n_dangers && i < DANGERS_SHOWN; i++) {
		const struct fact *f = l->dangers[i];
		struct tally_of tally = {.count = f->count, .n_programs = f->n_programs,
					 .more_programs = f->more_programs > 0};
		const char *reason;
		size_t from = out->len;
		opset needs = learn_needs(in, f, &reason);

		memcpy(tally.programs, f->programs, sizeof(f->programs));
		text_puts(out, "#   allow ");
		put_ops(out, needs);
		text_puts(out, " ");
		put_word(out, in, f->path, f->len, 0);
		pad(out, from);
		text_printf(out, "# %s; ", reason ? reason : "a line would allow it for much that the command did not touch");
		put_tally(out, in, &tally);
		text_puts(out, "\n");
	}
	if (l->n_dangers > DANGERS_SHOWN)
		text_printf(out, "#   ... and %zu more\n", l->n_dangers - DANGERS_SHOWN);
	return l->n_dangers;
}

/* What a policy refused when it was recorded is not allowed by being tried. */
static size_t put_refused(struct text *out, const struct learn_input *in)
{
	size_t n, count = 0;
	const struct fact *const *all = facts_sorted(in->facts, &n);

	for (size_t i = 0; i < n; i++) {
		size_t from;

		if (!all[i]->refused)
			continue;
		if (!count++)
			text_puts(out, "\n# Refused when it was recorded, so not allowed here:\n");
		if (count > DANGERS_SHOWN)
			continue;
		from = out->len;
		text_puts(out, "#   ");
		put_ops(out, all[i]->refused);
		text_puts(out, " ");
		put_word(out, in, all[i]->path, all[i]->len, 0);
		pad(out, from);
		text_printf(out, "# %llux\n", (unsigned long long)all[i]->count);
	}
	if (count > DANGERS_SHOWN)
		text_printf(out, "#   ... and %zu more\n", count - DANGERS_SHOWN);
	return count;
}

/* Permissions refuse these anyway: a line keeps the summary quiet. */
static void put_forbidden(struct text *out, const struct learn_input *in)
{
	size_t n, count = 0;
	const struct fact *const *all = facts_sorted(in->facts, &n);

	for (size_t i = 0; i < n; i++) {
		opset ops = all[i]->forbidden & (opset)~(all[i]->done | OPBIT(OP_STAT) | OPBIT(OP_EXEC));

		if (!ops || all[i]->path[0] != '/' || strncmp(all[i]->path, "/proc/", 6) == 0)
			continue;
		if (!count++)
			text_puts(out, "\n# Fails anyway, for want of permission\n");
		text_puts(out, "deny ");
		put_ops(out, ops);
		text_puts(out, " ");
		put_word(out, in, all[i]->path, all[i]->len, 0);
		text_puts(out, " quiet\n");
	}
}

static void put_command(struct text *out, char *const *argv)
{
	size_t from = out->len;

	for (; argv && *argv && out->len - from < 120; argv++) {
		text_puts(out, out->len > from ? " " : "");
		text_escaped(out, *argv, strlen(*argv));
	}
	if (argv && *argv)
		text_puts(out, " ...");
}

static void put_head(struct text *out, const struct learn_input *in)
{
	size_t n;
	const struct fact_run *runs = facts_runs(in->facts, &n);

	text_puts(out, "# Learned by sluice learn from what was recorded of:\n");
	for (size_t i = 0; i < n; i++) {
		char cwd[WORD_BYTES] = "?";

		text_puts(out, "#   ");
		put_command(out, runs[i].argv);
		if (runs[i].cwd)
			policy_format_word(cwd, sizeof(cwd), runs[i].cwd, strlen(runs[i].cwd), in->home);
		text_printf(out, "   in %s%s\n", cwd, runs[i].complete == 1 ? "" : "   (INCOMPLETE)");
	}
	text_puts(out, "# Read it before you use it");
	if (in->advice)
		text_printf(out, ": %s", in->advice);
	text_puts(out, "\n\n# Programs, libraries and public settings of the system; no credentials\n"
		       "include base\ninclude credentials\n");
}

int learn_policy(const struct learn_input *in, struct text *out, struct learn_result *ret)
{
	struct learned l = {0};
	uint64_t temporary = 0;
	size_t n;
	const struct fact_run *runs = facts_runs(in->facts, &n);
	int r = learn_repositories(in, &l);

	if (r == 0)
		r = learn_items(in, &l);
	if (r == 0)
		r = learn_fold(in, &l);
	if (r == 0) {
		*ret = (struct learn_result){0};
		put_head(out, in);
		for (size_t i = 0; i < n; i++)
			temporary += runs[i].temporary_uses;
		if (temporary) {
			text_puts(out, "\n# The run's own temporary directory\n");
			text_printf(out, "allow rw,exec $TMPDIR                       # %llux\n",
				    (unsigned long long)temporary);
			ret->lines++;
		}
		ret->lines += put_lines(out, in, &l);
		ret->lines += put_network(out, in);
		put_forbidden(out, in);
		ret->left_out = put_dangers(out, in, &l);
		ret->left_out += put_refused(out, in);
		r = out->failed ? -ENOMEM : 0;
	}
	learned_done(&l);
	return r;
}
