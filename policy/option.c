/* SPDX-License-Identifier: Apache-2.0
 * Rules that come from the command line and not from a file: --allow and its kin, --report, and the
 * protection of files in use.
 */
#include "policy/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int option_parse(struct policy *p, enum action action, const char *argument)
{
	size_t len = strlen(argument), name_len = strlen(action_names[action]);
	size_t ops_len =
		strspn(argument, "abcdefghijklmnopqrstuvwxyz,-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	char *shown_name = arena_alloc(&p->arena, len + name_len + 4);
	char *line = arena_alloc(&p->arena, len + name_len + 2);
	struct source source = {.rank = RANK_OPTION};
	struct lexer lx = {
		.arena = &p->arena,
		.host = &p->host,
		.line = line,
		.column_base = 1,
		.is_option = true,
		.error = &p->error,
	};
	struct statement st = {.action = action};
	struct word ops;
	int r;

	if (!shown_name || !line)
		return -ENOMEM;
	sprintf(shown_name, "--%s %s", action_names[action], argument);
	sprintf(line, "%s %s", action_names[action], argument);
	lx.place.file = source.shown = shown_name;
	lx.len = name_len + 1 + len;
	lx.pos = name_len + 1;
	if (ops_len == 0 ||
	    (argument[ops_len] != ':' && argument[ops_len] != ' ' && argument[ops_len] != '\t'))
		return place_error(lx.error, &lx.place, 0,
				   "names no %s: write OPS:TARGET, as in --%s read:~/file",
				   ops_len ? "target" : "operation", action_names[action]);
	if (argument[ops_len] != ':')
		return parse_rule(p, &source, &lx, action);
	line[name_len + 1 + ops_len] = ' '; /* the statement reads as on a line */
	r = parse_ops(&lx, argument, ops_len, 1, &st.ops);
	if (r < 0)
		return r;
	ops = (struct word){.bytes = arena_copy(&p->arena, argument, ops_len), .len = ops_len};
	st.ops_word = &ops;
	st.text = arena_copy(&p->arena, line, lx.len);
	if (!ops.bytes || !st.text)
		return -ENOMEM;
	lx.pos += ops_len + 1;
	lx.blanks_literal = true;
	return parse_targets(p, &source, &lx, &st);
}

int policy_add_option(struct policy *p, enum action action, const char *argument,
		      struct policy_error *ret_error)
{
	return policy_result(p, p->failed ? -EINVAL : option_parse(p, action, argument), ret_error);
}

static int protect(struct policy *p, const char *path)
{
	static const char ops[] = "w";
	static const struct source source = {.shown = "files in use", .rank = RANK_OPTION};
	struct lexer lx = {.place = {source.shown, 0}, .error = &p->error};
	struct statement st = {.action = ACTION_NEVER};
	const char *pwd = p->host.get_variable(p->host.ctx, "PWD");
	size_t size = strlen(path) + (pwd ? strlen(pwd) : 0) + 2, text_size = size + sizeof(ops) + 8;
	char *absolute = arena_alloc(&p->arena, size), *text = arena_alloc(&p->arena, text_size);
	struct target t = {.raw = path};
	int r;

	if (!absolute || !text)
		return -ENOMEM;
	if (*path != '/' && !pwd)
		return place_error(lx.error, &lx.place, 0,
				   "\"%s\" is relative, and the working directory has no path",
				   shown(path, strlen(path)));
	snprintf(absolute, size, "%s%s%s", *path == '/' ? "" : pwd, *path == '/' ? "" : "/", path);
	snprintf(text, text_size, "never %s %s", ops, absolute);
	st.text = text;
	r = opset_parse(ops, sizeof(ops) - 1, &st.ops);
	if (r == 0)
		r = pattern_literal(&p->arena, absolute, &t.pattern);
	if (r == -EINVAL)
		return place_error(lx.error, &lx.place, 0, "\"%s\" is longer than 4095 bytes",
				   shown(path, strlen(path)));
	if (r == 0)
		r = parse_add_rule(p, &source, &lx, &st, &t);
	if (r == 0)
		p->drafts[p->n_rules - 1].implicit = true;
	return r;
}

int policy_add_protected(struct policy *p, const char *path, struct policy_error *ret_error)
{
	return policy_result(p, p->failed ? -EINVAL : protect(p, path), ret_error);
}

int policy_set_report(struct policy *p, const char *word, struct policy_error *ret_error)
{
	static const struct source source = {.shown = "--report", .rank = RANK_OPTION};
	static const struct word keyword = {.bytes = "report", .len = 6, .column = 1};
	struct lexer lx = {
		.arena = &p->arena,
		.host = &p->host,
		.place = {source.shown, 0},
		.line = word,
		.len = strlen(word),
		.column_base = 1,
		.is_option = true,
		.error = &p->error,
	};

	return policy_result(
		p, p->failed ? -EINVAL : parse_setting(&source, &lx, &keyword, p->report, report_words),
		ret_error);
}
