/* SPDX-License-Identifier: Apache-2.0
 * Statements: one line each, read from left to right, every word with its column.
 *
 * The parser is total: whatever the bytes, a line is understood whole or is one error. It keeps nothing
 * between lines, so their order can't matter; what depends on other lines is decided in policy_finish().
 */
#include "policy/parse.h"
#include "policy/syscalls.h"
#include "policy/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool word_is(const struct word *w, const char *keyword)
{
	return w->all_bare && strcmp(w->bytes, keyword) == 0;
}

static int unknown_word(struct lexer *lx, const struct word *w, const char *what, const char *const *names)
{
	const char *near = suggest(w->bytes, names);

	if (near)
		return fail_word(lx, w, "unknown %s \"%s\": did you mean \"%s\"?", what,
				 shown(w->bytes, w->len), near);
	return 0;
}

/* ---- rules ---- */

int parse_add_rule(struct policy *p, const struct source *source, const struct lexer *lx,
		   const struct statement *st, const struct target *t)
{
	struct rule *rule;

	if (p->n_rules == RULES_MAX)
		return place_error(lx->error, &lx->place, 0, "more than %d rules: use fewer, wider ones",
				   RULES_MAX);
	p->rules = arena_grow(&p->arena, p->rules, p->n_rules, &p->cap_rules, sizeof(*p->rules));
	p->drafts = arena_grow(&p->arena, p->drafts, p->n_rules, &p->cap_drafts, sizeof(*p->drafts));
	if (!p->rules || !p->drafts)
		return -ENOMEM;
	p->drafts[p->n_rules] = (struct draft){
		.written = t->pattern,
		.raw = t->raw,
		.column = t->column,
		.variable = t->variable,
	};
	rule = &p->rules[p->n_rules++];
	*rule = (struct rule){
		.action = st->action,
		.ops = st->ops,
		.deny_errno = st->deny_errno,
		.quiet = st->quiet,
		.audit = st->audit,
		.rank = source->rank,
		.file = lx->place.file,
		.line = lx->place.line,
		.text = st->text,
		.net = t->net,
	};
	/* What may be removed or renamed over can be rewritten. */
	if (!p->exact && st->action != ACTION_ALLOW && (st->ops & OPBIT(OP_WRITE)))
		rule->ops |= OPBIT(OP_CREATE) | OPBIT(OP_DELETE);
	return 0;
}

int parse_ops(struct lexer *lx, const char *ops, size_t len, int column, opset *ret)
{
	size_t at, width;
	const char *near;
	char word[32];

	if (opset_parse_at(ops, len, ret, &at, &width) == 0)
		return 0;
	if (width == 0)
		return place_error(lx->error, &lx->place, column + (int)at,
				   "an operation is missing: write them as in \"read,list\"");
	snprintf(word, sizeof(word), "%.*s", (int)(width < 31 ? width : 31), ops + at);
	near = suggest(word, opset_words);
	if (near)
		return place_error(lx->error, &lx->place, column + (int)at,
				   "unknown operation \"%s\": did you mean \"%s\"?", shown(ops + at, width),
				   near);
	return place_error(lx->error, &lx->place, column + (int)at,
			   "unknown operation \"%s\": there are read list write create delete exec meta stat "
			   "connect bind, "
			   "and ro rx rw w all",
			   shown(ops + at, width));
}

/* `as ERRNO`, `quiet`, `audit`. 1: W was one of them, 0: it is something else. */
static int parse_modifier(struct lexer *lx, struct statement *st, const struct word *w)
{
	struct word name;
	const char *near;
	int r;

	if (word_is(w, "quiet") || word_is(w, "audit")) {
		if (st->quiet || st->audit)
			return fail_word(lx, w, "one of \"quiet\" and \"audit\" is enough: remove this one");
		if (w->bytes[0] == 'q') {
			st->quiet = true;
			return 1;
		}
		if (st->action != ACTION_ALLOW && st->action != ACTION_ASK)
			return fail_word(
				lx, w,
				"\"audit\" records what a rule allows, and %s allows nothing: remove it",
				action_names[st->action]);
		st->audit = true;
		return 1;
	}
	if (!word_is(w, "as"))
		return 0;
	if (st->action != ACTION_DENY && st->action != ACTION_NEVER)
		return fail_word(lx, w, "\"as\" names the errno of a refusal, and %s is none: remove it",
				 action_names[st->action]);
	if (st->deny_errno)
		return fail_word(lx, w, "\"as\" stands here twice: remove one");
	r = lexer_next(lx, WORD_PLAIN, &name);
	if (r < 0)
		return r;
	if (r == 0)
		return fail_word(lx, w, "an errno is missing: write it as in \"as ENOENT\"");
	st->deny_errno = errno_by_name(name.bytes);
	if (st->deny_errno)
		return 1;
	near = errno_suggest(name.bytes);
	if (near)
		return fail_word(lx, &name, "unknown errno \"%s\": did you mean \"%s\"?",
				 shown(name.bytes, name.len), near);
	return fail_word(lx, &name, "unknown errno \"%s\": write one as in \"as ENOENT\"",
			 shown(name.bytes, name.len));
}

/* Behind the operations: targets, then modifiers. */
int parse_targets(struct policy *p, const struct source *source, struct lexer *lx, struct statement *st)
{
	struct target *targets = NULL, **next = &targets;
	bool modifiers = false;
	struct word w;
	int r;

	while ((r = lexer_next(lx, WORD_PATH, &w)) > 0) {
		r = lx->blanks_literal ? 0 : parse_modifier(lx, st, &w);
		if (r < 0)
			return r;
		if (r > 0) {
			modifiers = true;
			continue;
		}
		if (modifiers)
			return fail_word(lx, &w,
					 "\"%s\" stands behind the end of the rule: put targets before "
					 "\"as\", \"quiet\" "
					 "and \"audit\"",
					 shown_source(w.raw, w.raw_len));
		r = parse_target(p, lx, st, &w, next);
		if (r < 0)
			return r;
		next = &(*next)->next;
	}
	if (r < 0)
		return r;
	if (!targets)
		return place_error(lx->error, &lx->place, lx->column_base + (int)lx->pos,
				   "the rule names no target: write a path, as in \"%s %s ~/dir\"",
				   action_names[st->action], shown(st->ops_word->bytes, st->ops_word->len));
	for (const struct target *t = targets; t; t = t->next) {
		r = parse_add_rule(p, source, lx, st, t);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- statements ---- */

static int compare_calls(const char *a, const char *b)
{
	return strcmp(a, b);
}

/* `allow call NAME...` */
static int parse_calls(struct policy *p, struct lexer *lx, enum action action, const struct word *keyword)
{
	struct word w;
	bool any = false;
	int r;

	if (action != ACTION_ALLOW)
		return fail_word(
			lx, keyword,
			"only \"allow\" goes with \"call\": what is not allowed by name is refused anyway");
	while ((r = lexer_next(lx, WORD_PLAIN, &w)) > 0) {
		const struct call_desc *call = call_by_name(w.bytes);
		const char **names;
		size_t at = 0;

		if (!call) {
			names = arena_alloc(&p->arena, (call_table_len + 1) * sizeof(*names));
			if (!names)
				return -ENOMEM;
			for (unsigned i = 0; i < call_table_len; i++)
				names[i] = call_table[i].name;
			r = unknown_word(lx, &w, "system call", names);
			return r < 0 ? r
				     : fail_word(lx, &w,
						 "unknown system call \"%s\": sluice allows only calls that "
						 "it knows",
						 shown(w.bytes, w.len));
		}
		if (call->class != CALL_REFUSE && call->class != CALL_ARGS)
			return fail_word(lx, &w, "\"%s\" is not refused by name: remove it%s", call->name,
					 call->path || call->dirfd || call->addr
						 ? ", and write a rule for its paths"
						 : "");
		any = true;
		p->calls = arena_grow(&p->arena, p->calls, p->n_calls + 1, &p->cap_calls, sizeof(*p->calls));
		if (!p->calls)
			return -ENOMEM;
		/* Sorted and once each, so that the order of lines does not show. */
		while (at < p->n_calls && compare_calls(p->calls[at], call->name) < 0)
			at++;
		if (at < p->n_calls && compare_calls(p->calls[at], call->name) == 0)
			continue;
		memmove(p->calls + at + 1, p->calls + at, (p->n_calls - at) * sizeof(*p->calls));
		p->calls[at] = call->name;
		p->calls[++p->n_calls] = NULL;
	}
	if (r == 0 && !any)
		return fail_word(lx, keyword,
				 "no call is named: write it as in \"allow call io_uring_setup\"");
	return r;
}

int parse_rule(struct policy *p, const struct source *source, struct lexer *lx, enum action action)
{
	struct statement st = {.action = action};
	struct word ops;
	int r = lexer_next(lx, WORD_PLAIN, &ops);

	if (r < 0)
		return r;
	if (r == 0)
		return place_error(lx->error, &lx->place, lx->column_base + (int)lx->pos,
				   "the rule names no operation: write it as in \"%s read ~/file\"",
				   action_names[action]);
	if (word_is(&ops, "call"))
		return parse_calls(p, lx, action, &ops);
	r = parse_ops(lx, ops.bytes, ops.len, ops.column, &st.ops);
	if (r < 0)
		return r;
	st.ops_word = &ops;
	st.text = lexer_fold(&p->arena, lx->line, lx->len, lx->is_option);
	if (!st.text)
		return -ENOMEM;
	return parse_targets(p, source, lx, &st);
}

int parse_setting(const struct source *source, struct lexer *lx, const struct word *keyword,
		  struct setting *settings, const char *const *values)
{
	struct setting *s = &settings[source->rank];
	struct word w, more;
	int value = 0, r = lexer_next(lx, WORD_PLAIN, &w);

	if (r < 0)
		return r;
	if (r == 0)
		return fail_word(lx, keyword, "\"%s\" needs a value: write \"%s %s\"", keyword->bytes,
				 keyword->bytes, values[0]);
	while (values[value] && strcmp(values[value], w.bytes) != 0)
		value++;
	if (!values[value]) {
		r = unknown_word(lx, &w, "value", values);
		return r < 0 ? r
			     : fail_word(lx, &w, "unknown value \"%s\": write \"%s %s\" or \"%s %s\"",
					 shown(w.bytes, w.len), keyword->bytes, values[0], keyword->bytes,
					 values[1]);
	}
	r = lexer_next(lx, WORD_PLAIN, &more);
	if (r < 0)
		return r;
	if (r > 0)
		return fail_word(lx, &more, "\"%s\" stands behind the end of the statement: remove it",
				 shown(more.bytes, more.len));
	if (s->set && s->value != value)
		return fail_word(lx, keyword, "\"%s %s\", but %s says \"%s %s\": remove one of the two",
				 keyword->bytes, values[value], place_shown(&s->place), keyword->bytes,
				 values[s->value]);
	if (!s->set)
		*s = (struct setting){true, value, lx->place};
	return 0;
}

const char *const report_words[] = {"all", "writes", "none", NULL};
static const char *const exec_holes_words[] = {"strict", "checked", NULL};
static const char *const statement_words[] = {"include", "allow",  "ask",	 "deny",   "never",
					      "env",	 "report", "exec-holes", "domain", NULL};

static int parse_include(struct policy *p, const struct source *source, struct lexer *lx,
			 const struct word *keyword)
{
	struct word w, more;
	int r = lexer_next(lx, WORD_PATH, &w);

	if (r < 0)
		return r;
	if (r == 0)
		return fail_word(lx, keyword,
				 "nothing is named: write \"include NAME\" or \"include ./FILE\"");
	r = lexer_next(lx, WORD_PATH, &more);
	if (r < 0)
		return r;
	if (r > 0)
		return fail_word(lx, &more,
				 "one include names one file: write \"include %s\" on a line of its own",
				 shown_source(more.raw, more.raw_len));
	return policy_include(p, source, &lx->place, &w);
}

static int parse_statement(struct policy *p, const struct source *source, struct lexer *lx)
{
	struct word w;
	int r = lexer_next(lx, WORD_PLAIN, &w);

	if (r <= 0)
		return r;
	for (unsigned action = 0; action < ACTION_COUNT; action++)
		if (strcmp(w.bytes, action_names[action]) == 0)
			return parse_rule(p, source, lx, action);
	if (strcmp(w.bytes, "include") == 0)
		return parse_include(p, source, lx, &w);
	if (strcmp(w.bytes, "env") == 0)
		return env_parse(p, source, lx);
	if (strcmp(w.bytes, "report") == 0)
		return parse_setting(source, lx, &w, p->report, report_words);
	if (strcmp(w.bytes, "exec-holes") == 0)
		return parse_setting(source, lx, &w, p->exec_holes, exec_holes_words);
	if (strcmp(w.bytes, "domain") == 0)
		return fail_word(
			lx, &w,
			"\"domain\" blocks are not supported: write rules that hold for the whole run");
	r = unknown_word(lx, &w, "statement", statement_words);
	return r < 0 ? r
		     : fail_word(lx, &w,
				 "unknown statement \"%s\": a line begins with allow, ask, deny, never, "
				 "include, "
				 "env, report or exec-holes",
				 shown(w.bytes, w.len));
}

int policy_parse_text(struct policy *p, const struct source *source, const char *text, size_t len)
{
	int line = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* the mark that some editors leave */
		text += 3;
		len -= 3;
	}
	while (len > 0) {
		const char *newline = memchr(text, '\n', len);
		size_t width = newline ? (size_t)(newline - text) : len;
		struct lexer lx = {
			.arena = &p->arena,
			.host = &p->host,
			.place = {source->shown, ++line},
			.line = text,
			.len = width,
			.column_base = 1,
			.error = &p->error,
		};
		int r;

		if (width > 0 && text[width - 1] == '\r')
			lx.len--;
		r = parse_statement(p, source, &lx);
		if (r < 0)
			return r;
		width += newline != NULL;
		text += width;
		len -= width;
	}
	return 0;
}
