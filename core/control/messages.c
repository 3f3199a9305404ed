/* SPDX-License-Identifier: Apache-2.0
 * Values in, JSON out; add and remove do what they say.
 */
#include "core/control/messages.h"

#include "core/ask/ask.h"
#include "core/ask/protocol.h"
#include "core/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(const struct messages *m, struct text *out, const char *type)
{
	text_printf(out, "{\"type\":\"%s\"", type);
	if (m->re >= 0)
		json_field_u64(out, "re", (uint64_t)m->re);
}

void messages_ok(const struct messages *m, struct text *out)
{
	begin(m, out, "ok");
	text_puts(out, "}");
}

void messages_error(const struct messages *m, struct text *out, const char *code, const char *text)
{
	begin(m, out, "error");
	json_field_puts(out, "code", code);
	json_field_puts(out, "text", text);
	text_puts(out, "}");
}

static void put_time(struct text *out, const struct timespec *t)
{
	struct tm tm;
	char s[40];

	gmtime_r(&t->tv_sec, &tm);
	strftime(s, sizeof(s), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_field_puts(out, "started", s);
}

static void put_run(const struct messages *m, struct text *out)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	json_field_u64(out, "protocol", PROTOCOL_VERSION);
	json_field_puts(out, "sluice", SLUICE_VERSION);
	json_field_puts(out, "run", m->info->run);
	json_field_puts(out, "name", m->info->name);
	json_field_u64(out, "pid", (uint64_t)getpid());
	json_field_list(out, "argv", (const char *const *)m->info->argv);
	json_field_puts(out, "cwd", cwd);
	put_time(out, &m->start->time);
	json_field_puts(out, "prompt", m->info->prompt);
}

void messages_hello(const struct messages *m, struct text *out)
{
	begin(m, out, "hello");
	put_run(m, out);
	text_puts(out, "}");
}

void messages_answered(const struct messages *m, struct text *out, int r)
{
	switch (r) {
	case 0:
		messages_ok(m, out);
		return;
	case 1:
		begin(m, out, "ok");
		json_field_puts(out, "scope", ask_scope_words[SCOPE_RUN]);
		text_puts(out, "}");
		return;
	case -ENOENT:
		messages_error(m, out, "gone", "there is no such question, or it was answered");
		return;
	case -EACCES:
		messages_error(m, out, "nonce", "this is not the question's nonce");
		return;
	case -EINVAL:
		messages_error(m, out, "not-offered", "this answer is not offered");
		return;
	case -ESTALE:
		messages_error(m, out, "stale", "there are more names by now");
		return;
	case -EBUSY:
		messages_error(m, out, "busy", "another answer is just being written");
		return;
	}
	messages_error(m, out, "failed",
		       r == -EEXIST ? "the file of answers says the opposite" : strerror(-r));
}

static void count_question(void *ctx, const struct ask_view *v)
{
	(void)v;
	++*(unsigned *)ctx;
}

void messages_status(const struct messages *m, struct text *out)
{
	const struct supervisor *sup = m->info->sup;
	struct asker_stats asked = {0};
	struct pool_stats pool = {0};
	unsigned open = 0;

	if (sup->pool)
		pool_get_stats(sup->pool, &pool);
	if (sup->asker) {
		asker_get_stats(sup->asker, &asked);
		ask_each(sup->asker, 0, count_question, &open);
	}
	begin(m, out, "status");
	put_run(m, out);
	json_field_u64(out, "open_questions", open);
	json_field_u64(out, "asked", asked.asked);
	json_field_u64(out, "timeouts", asked.timeouts);
	json_field_u64(out, "flooded", asked.flooded);
	json_field_u64(out, "notifications", pool.notifications);
	json_field_u64(out, "continued", sup->continued);
	json_field_u64(out, "emulated", sup->emulated);
	json_field_u64(out, "refused", sup->refused);
	json_field_bool(out, "loosened", atomic_load(&sup->rules)->loosened);
	text_puts(out, "}");
}

struct list {
	struct text *out;
	const char *source;
	bool any;
};

static void put_rule(void *ctx, unsigned number, const char *line)
{
	struct list *l = ctx;

	text_printf(l->out, "%s{\"source\":\"%s\",\"id\":\"%c%u\"", l->any ? "," : "", l->source,
		    l->source[0], number);
	json_field_puts(l->out, "rule", line);
	text_puts(l->out, "}");
	l->any = true;
}

void messages_rules(const struct messages *m, struct text *out)
{
	const struct policy *policy = atomic_load(&m->info->sup->rules)->policy;
	struct list l = {.out = out, .source = "rule"};
	size_t n;
	const struct rule *rules = policy_rules(policy, &n);

	begin(m, out, "rules");
	text_puts(out, ",\"rules\":[");
	if (m->info->runtime)
		runtime_each(m->info->runtime, put_rule, &l);
	l.source = "answer";
	if (m->info->sup->asker)
		ask_each_answer(m->info->sup->asker, put_rule, &l);
	for (size_t i = 0; i < n; i++) {
		char where[512];

		/* A line with several targets is several rules. */
		if (rules[i].rank == RANK_ANSWER || (i && rules[i].file == rules[i - 1].file &&
						     rules[i].line && rules[i].line == rules[i - 1].line))
			continue;
		snprintf(where, sizeof(where), rules[i].line ? "%s:%d" : "%s", rules[i].file, rules[i].line);
		text_printf(out, "%s{\"source\":\"policy\"", l.any ? "," : "");
		json_field_puts(out, "where", where);
		json_field_puts(out, "rule", rules[i].text);
		text_puts(out, "}");
		l.any = true;
	}
	text_puts(out, "]}");
}

static void put_notes(struct text *out, struct text *notes)
{
	char *line = notes->data, *end;
	bool first = true;

	text_puts(out, ",\"notes\":[");
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		text_puts(out, first ? "" : ",");
		json_string(out, line, (size_t)(end - line));
		first = false;
	}
	text_puts(out, "]");
}

void messages_add(const struct messages *m, struct text *out, struct json_object *o)
{
	const char *line = protocol_string(o, "rule");
	struct policy_error error = {""};
	struct text notes = {0};
	unsigned number;
	char id[16];
	int r;

	if (!line || !m->info->runtime) {
		messages_error(m, out, line ? "refused" : "bad-message",
			       line ? "this run has no supervisor: its rules can't be changed"
				    : "add has a \"rule\"");
		return;
	}
	r = runtime_add(m->info->runtime, line, &number, &notes, &error);
	if (r < 0) {
		messages_error(m, out, "refused", error.text[0] ? error.text : strerror(-r));
	} else {
		begin(m, out, "added");
		snprintf(id, sizeof(id), "r%u", number);
		json_field_puts(out, "id", id);
		put_notes(out, &notes);
		text_puts(out, "}");
	}
	text_done(&notes);
}

void messages_remove(const struct messages *m, struct text *out, struct json_object *o)
{
	const char *id = protocol_string(o, "rule");
	struct policy_error error = {"there is no such rule"};
	unsigned number;
	char kind, rest;
	int r = -EINVAL;

	if (id && sscanf(id, "%c%u%c", &kind, &number, &rest) == 2 && (kind == 'r' || kind == 'a')) {
		if (kind == 'r' && m->info->runtime)
			r = runtime_remove(m->info->runtime, number, &error);
		else if (kind == 'a' && m->info->sup->asker)
			r = ask_forget(m->info->sup->asker, number);
	}
	if (r < 0)
		messages_error(m, out, "refused", error.text);
	else
		messages_ok(m, out);
}
