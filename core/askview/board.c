/* SPDX-License-Identifier: Apache-2.0
 * Messages in, lists out.
 */
#include "core/askview/board.h"

#include "core/ask/protocol.h"
#include "core/cleanup.h"
#include "core/control/show.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RUNS_MAX = 256, QUESTIONS_MAX = 4096 };

static char *copy_string(struct json_object *o, const char *key)
{
	const char *s = protocol_string(o, key);

	return s ? strdup(s) : NULL;
}

static void question_done(struct open_question *q)
{
	free(q->words);
	free(q->title);
	free(q->yes_line);
	free(q->no_line);
	free(q->near);
}

static void remove_question(struct board *b, struct open_question *q)
{
	question_done(q);
	memmove(q, q + 1, (size_t)(b->questions + b->n_questions - (q + 1)) * sizeof(*q));
	b->n_questions--;
}

struct open_question *board_find(struct board *b, unsigned run, uint64_t number)
{
	for (size_t i = 0; i < b->n_questions; i++)
		if (b->questions[i].run == run && b->questions[i].number == number)
			return &b->questions[i];
	return NULL;
}

/* ---- what runs say ---- */

static unsigned parse_offers(struct json_object *o)
{
	struct json_object *offers;
	unsigned bits = 0;

	if (!json_object_object_get_ex(o, "offers", &offers) || !json_object_is_type(offers, json_type_array))
		return 0;
	for (size_t i = 0; i < json_object_array_length(offers); i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(offers, i));

		for (unsigned scope = 0; word && scope < SCOPE_COUNT; scope++)
			if (strcmp(word, ask_scope_words[scope]) == 0)
				bits |= 1u << scope;
	}
	return bits;
}

static char *title_of(struct json_object *o)
{
	const char *op = protocol_string(o, "op"), *path = protocol_string(o, "path"),
		   *exe = protocol_string(o, "exe");
	const char *slash = exe ? strrchr(exe, '/') : NULL;
	struct text t = {0};

	exe = slash ? slash + 1 : exe;
	if (exe)
		text_escaped(&t, exe, strlen(exe));
	text_printf(&t, "  %s  ", op ? op : "?");
	if (path)
		text_escaped(&t, path, strlen(path));
	return t.data;
}

static void take_question(struct board *b, unsigned run, struct json_object *o)
{
	int64_t number = protocol_number(o, "question"), left = protocol_number(o, "left_ms");
	int64_t count = protocol_number(o, "count");
	const char *nonce = protocol_string(o, "nonce");
	struct open_question q = {.run = run, .number = (uint64_t)number}, *at, *grown;

	if (number <= 0 || !nonce || strlen(nonce) != 16)
		return;
	memcpy(q.nonce, nonce, sizeof(q.nonce));
	q.words = copy_string(o, "words");
	q.title = title_of(o);
	q.yes_line = copy_string(o, "yes_line");
	q.no_line = copy_string(o, "no_line");
	q.near = copy_string(o, "directory");
	q.offers = parse_offers(o);
	q.count = count > 0 ? (unsigned)count : 1;
	q.deadline_ms = ask_now_ms() + (left > 0 ? left : 0);
	at = board_find(b, run, q.number);
	if (at) { /* more names */
		question_done(at);
		*at = q;
		return;
	}
	grown = b->n_questions < QUESTIONS_MAX ? realloc(b->questions, (b->n_questions + 1) * sizeof(*grown))
					       : NULL;
	if (!grown) {
		question_done(&q);
		return;
	}
	b->questions = grown;
	grown[b->n_questions++] = q;
}

static void add_decided(struct board *b, const struct text *line)
{
	char **place = &b->decided[b->n_decided % DECIDED_MAX];

	if (line->failed || !line->data)
		return;
	free(*place);
	*place = strdup(line->data);
	b->n_decided++;
}

static void take_decision(struct board *b, unsigned run, struct json_object *o)
{
	struct open_question *q = board_find(b, run, (uint64_t)protocol_number(o, "question"));
	const char *answer = protocol_string(o, "answer"), *scope = protocol_string(o, "scope");
	const char *by = protocol_string(o, "by");
	_cleanup_free_ char *title = title_of(o);
	struct text line = {0};
	struct tm tm;
	time_t now = time(NULL);

	if (q)
		remove_question(b, q);
	if (!answer || !title || strcmp(answer, "withdrawn") == 0 || strcmp(answer, "again") == 0)
		return;
	localtime_r(&now, &tm);
	text_printf(&line, "%02d:%02d:%02d  ", tm.tm_hour, tm.tm_min, tm.tm_sec);
	text_escaped(&line, answer, strlen(answer));
	if (scope && strcmp(scope, "once") != 0) {
		text_puts(&line, ", ");
		text_escaped(&line, scope, strlen(scope));
	}
	text_printf(&line, "  %s", title);
	if (by) {
		text_puts(&line, "  (");
		text_escaped(&line, by, strlen(by));
		text_puts(&line, ")");
	}
	add_decided(b, &line);
	text_done(&line);
}

/* Some decisions were missed: only these questions are open. */
static void take_lost(struct board *b, unsigned run, struct json_object *o)
{
	struct json_object *open;

	if (!json_object_object_get_ex(o, "open", &open) || !json_object_is_type(open, json_type_array))
		return;
	for (size_t i = b->n_questions; i-- > 0;) {
		bool found = b->questions[i].run != run;

		for (size_t k = 0; k < json_object_array_length(open) && !found; k++)
			found = (uint64_t)json_object_get_int64(json_object_array_get_idx(open, k)) ==
				b->questions[i].number;
		if (!found)
			remove_question(b, &b->questions[i]);
	}
}

static void take_message(struct board *b, unsigned run, struct json_object *o)
{
	const char *type = protocol_string(o, "type"), *text = protocol_string(o, "text");
	struct text shown = {0};

	if (!type)
		return;
	if (strcmp(type, "question") == 0) {
		take_question(b, run, o);
	} else if (strcmp(type, "decision") == 0) {
		take_decision(b, run, o);
	} else if (strcmp(type, "lost") == 0) {
		take_lost(b, run, o);
	} else if (strcmp(type, "error") == 0 && text) {
		text_escaped(&shown, text, strlen(text));
		snprintf(b->note, sizeof(b->note), "not taken: %s", shown.data ? shown.data : "");
		text_done(&shown);
	}
}

void board_read(struct board *b, unsigned run)
{
	struct run_row *r = &b->runs[run];
	struct json_object *o;
	int n = 0;

	for (int left = 1000; left > 0 && !r->gone && (n = link_recv(&r->link, 0, &o)) == 1; left--) {
		take_message(b, run, o);
		protocol_free(o);
	}
	r->gone |= n < 0;
}

/* ---- runs ---- */

static void run_done(struct run_row *r)
{
	link_done(&r->link);
	free(r->title);
}

static void remove_run(struct board *b, unsigned run)
{
	for (size_t i = b->n_questions; i-- > 0;) {
		if (b->questions[i].run == run)
			remove_question(b, &b->questions[i]);
		else if (b->questions[i].run > run)
			b->questions[i].run--;
	}
	run_done(&b->runs[run]);
	memmove(&b->runs[run], &b->runs[run + 1], (b->n_runs - run - 1) * sizeof(*b->runs));
	b->n_runs--;
}

static bool is_known(void *ctx, const char *id)
{
	const struct board *b = ctx;

	for (size_t i = 0; i < b->n_runs; i++)
		if (strcmp(b->runs[i].link.id, id) == 0)
			return true;
	return false;
}

static void add_run(struct board *b, struct link *l)
{
	static const char attach[] = "{\"type\":\"attach\",\"id\":1}";
	const char *name = protocol_string(l->hello, "name");
	struct run_row *grown =
		b->n_runs < RUNS_MAX ? realloc(b->runs, (b->n_runs + 1) * sizeof(*grown)) : NULL;
	struct text title = {0};

	if (!grown || link_send(l, attach, strlen(attach)) < 0) {
		link_done(l);
		b->runs = grown ? grown : b->runs;
		return;
	}
	if (name) {
		text_escaped(&title, name, strlen(name));
		text_puts(&title, ": ");
	}
	show_argv(&title, l->hello, 300);
	b->runs = grown;
	grown[b->n_runs++] =
		(struct run_row){.link = *l, .title = title.data, .pid = protocol_number(l->hello, "pid")};
	*l = (struct link){.fd = -EBADF};
}

void board_scan(struct board *b)
{
	struct link *links;
	size_t n;

	for (unsigned i = (unsigned)b->n_runs; i-- > 0;)
		if (b->runs[i].gone)
			remove_run(b, i);
	b->error = links_open_new(&links, &n, is_known, b);
	if (b->error < 0)
		return;
	for (size_t i = 0; i < n; i++)
		add_run(b, &links[i]);
	free(links);
}

void board_done(struct board *b)
{
	for (size_t i = 0; i < b->n_questions; i++)
		question_done(&b->questions[i]);
	for (size_t i = 0; i < b->n_runs; i++)
		run_done(&b->runs[i]);
	for (size_t i = 0; i < DECIDED_MAX; i++)
		free(b->decided[i]);
	free(b->questions);
	free(b->runs);
	*b = (struct board){0};
}

/* ---- answers ---- */

bool board_offers(const struct open_question *q, enum answer answer, enum ask_scope scope)
{
	if (answer == ANSWER_END_TREE || (answer == ANSWER_NO && scope == SCOPE_ONCE))
		return true;
	if (scope == SCOPE_ALWAYS && !(answer == ANSWER_YES ? q->yes_line : q->no_line))
		return false;
	return q->offers & 1u << scope;
}

bool board_answer(struct board *b, const struct open_question *q, enum answer answer, enum ask_scope scope)
{
	struct run_row *r = &b->runs[q->run];
	struct text t = {0};

	text_printf(&t,
		    "{\"type\":\"answer\",\"id\":2,\"question\":%llu,\"nonce\":\"%s\",\"answer\":\"%s\","
		    "\"scope\":\"%s\","
		    "\"count\":%u",
		    (unsigned long long)q->number, q->nonce, ask_answer_words[answer], ask_scope_words[scope],
		    q->count);
	if (scope == SCOPE_ALWAYS)
		json_field_puts(&t, "line", answer == ANSWER_YES ? q->yes_line : q->no_line);
	text_puts(&t, "}");
	b->note[0] = '\0';
	r->gone |= t.failed || link_send(&r->link, t.data, t.len) < 0;
	text_done(&t);
	return !r->gone;
}
