/* SPDX-License-Identifier: Apache-2.0
 * Questions and answers as JSON.
 */
#include "core/ask/protocol.h"

#include "core/ask/prompt.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *kind_of(const struct question *q)
{
	if (!q->exists)
		return "missing";
	switch (q->mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFLNK:
		return "link";
	}
	return q->is_dir ? "directory" : "file";
}

static void put_object(struct text *out, const struct question *q)
{
	json_field_puts(out, "kind", kind_of(q));
	if (!q->exists)
		return;
	json_field_u64(out, "size", q->size);
	json_field_u64(out, "owner", q->owner);
	text_printf(out, ",\"mode\":\"%04o\"", (unsigned)q->mode & 07777);
}

static void put_rule(struct text *out, const struct rule *rule)
{
	char where[512];

	if (!rule)
		return;
	if (rule->line)
		snprintf(where, sizeof(where), "%s:%d", rule->file, rule->line);
	json_field_puts(out, "rule", rule->line ? where : rule->file);
	json_field_puts(out, "rule_text", rule->text);
}

static void put_offers(struct text *out, const struct ask_view *v)
{
	bool first = true;

	text_puts(out, ",\"offers\":[");
	for (unsigned scope = 0; scope < SCOPE_COUNT; scope++) {
		if (!prompt_offers(v, ANSWER_YES, scope))
			continue;
		text_printf(out, "%s\"%s\"", first ? "" : ",", ask_scope_words[scope]);
		first = false;
	}
	text_puts(out, "]");
	json_field_puts(out, "yes_line", v->yes_line);
	json_field_puts(out, "no_line", v->no_line);
}

void protocol_question(struct text *out, const struct ask_view *v)
{
	const struct question *q = &v->q;
	struct text words = {0};

	text_printf(out, "{\"type\":\"question\",\"question\":%llu,\"nonce\":\"%016llx\"",
		    (unsigned long long)v->number, (unsigned long long)v->nonce);
	json_field_puts(out, "op", op_names[q->op]);
	json_field(out, "path", v->dir ? v->dir : q->path, v->dir ? strlen(v->dir) : q->path_len);
	if (v->dir) {
		json_field_puts(out, "kind", "names");
		json_field_u64(out, "count", v->n_paths);
		text_puts(out, ",\"names\":[");
		for (unsigned i = 0; i < v->n_names; i++) {
			text_puts(out, i ? "," : "");
			json_string(out, v->names[i], strlen(v->names[i]));
		}
		text_puts(out, "]");
	} else {
		put_object(out, q);
	}
	json_field_puts(out, "makes", q->makes_dir ? "directory" : NULL);
	json_field_puts(out, "directory", v->near);
	json_field_puts(out, "exe", q->exe);
	json_field_u64(out, "pid", (uint64_t)q->pid);
	json_field_puts(out, "claims", q->argv);
	put_rule(out, q->rule);
	put_offers(out, v);
	json_field_u64(out, "left_ms", v->left_ms > 0 ? (uint64_t)v->left_ms : 0);
	prompt_body(&words, v);
	if (!words.failed)
		json_field(out, "words", words.data, words.len);
	text_done(&words);
	text_puts(out, "}");
}

void protocol_decision(struct text *out, const struct decision *d)
{
	text_printf(out, "{\"type\":\"decision\",\"seq\":%llu,\"question\":%llu", (unsigned long long)d->seq,
		    (unsigned long long)d->question);
	json_field_puts(out, "op", op_names[d->q.op]);
	json_field(out, "path", d->dir ? d->dir : d->q.path, d->dir ? strlen(d->dir) : d->q.path_len);
	json_field_puts(out, "exe", d->q.exe);
	json_field_u64(out, "pid", (uint64_t)d->q.pid);
	json_field_puts(out, "answer", ask_answer_words[d->answer]);
	json_field_puts(out, "scope", ask_scope_words[d->scope]);
	json_field_puts(out, "by", d->by);
	json_field_u64(out, "waited_ms", d->waited_us / 1000);
	json_field_u64(out, "callers", d->callers);
	text_puts(out, "}");
}

struct json_object *protocol_parse(const char *s, size_t len)
{
	return len <= PROTOCOL_LINE_MAX ? protocol_parse_long(s, len) : NULL;
}

struct json_object *protocol_parse_long(const char *s, size_t len)
{
	struct json_tokener *t = json_tokener_new_ex(8);
	struct json_object *o = NULL;

	while (len && s[len - 1] && strchr(" \t\r\n", s[len - 1]))
		len--;
	if (t && len && len < INT_MAX && !memchr(s, '\0', len)) {
		json_tokener_set_flags(t, JSON_TOKENER_STRICT);
		o = json_tokener_parse_ex(t, s, (int)len);
		if (o &&
		    (json_tokener_get_parse_end(t) != len || !json_object_is_type(o, json_type_object))) {
			json_object_put(o);
			o = NULL;
		}
	}
	json_tokener_free(t);
	return o;
}

void protocol_free(struct json_object *o)
{
	json_object_put(o);
}

const char *protocol_string(struct json_object *o, const char *key)
{
	struct json_object *v;

	/* A NUL inside would make two readers see two strings. */
	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string) ||
	    strlen(json_object_get_string(v)) != (size_t)json_object_get_string_len(v))
		return NULL;
	return json_object_get_string(v);
}

int64_t protocol_number(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int) ||
	    json_object_get_int64(v) < 0)
		return -1;
	return json_object_get_int64(v);
}

bool protocol_bool(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_boolean) &&
	       json_object_get_boolean(v);
}

static int word_index(const char *word, const char *const *words, int n)
{
	for (int i = 0; word && i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return -1;
}

static bool parse_nonce(const char *s, uint64_t *ret)
{
	if (!s || strlen(s) != 16 || strspn(s, "0123456789abcdef") != 16)
		return false;
	*ret = strtoull(s, NULL, 16);
	return true;
}

int protocol_answer(struct json_object *o, struct protocol_answer *ret)
{
	const char *scope = protocol_string(o, "scope");
	int answer = word_index(protocol_string(o, "answer"), ask_answer_words, ANSWER_COUNT);
	int reach = scope ? word_index(scope, ask_scope_words, SCOPE_COUNT) : SCOPE_ONCE;
	int64_t question = protocol_number(o, "question"), count = protocol_number(o, "count");

	*ret = (struct protocol_answer){0};
	if ((answer != ANSWER_YES && answer != ANSWER_NO && answer != ANSWER_END_TREE) || reach < 0)
		return -EINVAL;
	if (json_object_object_get(o, "nonce") && !parse_nonce(protocol_string(o, "nonce"), &ret->nonce))
		return -EINVAL;
	ret->question = question > 0 ? (uint64_t)question : 0;
	ret->reply = (struct ask_reply){
		.answer = (enum answer)answer,
		.scope = (enum ask_scope)reach,
		.line = protocol_string(o, "line"),
		.n_paths = count > 0 ? (unsigned)count : 0,
	};
	return 0;
}
