/* SPDX-License-Identifier: Apache-2.0
 * `sluice rule list|add|remove`: the rules of a run that is on.
 */
#include "core/ask/protocol.h"
#include "core/cleanup.h"
#include "core/command/command.h"
#include "core/command/help.h"
#include "core/control/client.h"
#include "core/observe/text.h"
#include "policy/policy.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_ERROR = 2 };

static int complain(const char *text)
{
	fprintf(stderr, "sluice: %s\n", text);
	return EXIT_ERROR;
}

/* The answer to TEXT, if it is of TYPE; else NULL with the reason printed. Takes TEXT. */
static struct json_object *request(struct link *l, struct text *text, const char *type)
{
	const char *why = "out of memory", *is;
	struct json_object *o = text->failed ? NULL : link_ask(l, text->data, text->len, type, &why);

	text_done(text);
	if (!o) {
		fprintf(stderr, "sluice: the run with pid %lld: %s\n",
			(long long)protocol_number(l->hello, "pid"), why);
		return NULL;
	}
	is = protocol_string(o, "type");
	if (strcmp(is, type) == 0)
		return o;
	is = protocol_string(o, "text");
	if (is) { /* it may quote what was typed, and more: escaped by who made it, but for line ends */
		struct text shown = {0};

		text_escaped(&shown, is, strlen(is));
		fprintf(stderr, "sluice: %s\n", shown.data ? shown.data : "");
		text_done(&shown);
	}
	protocol_free(o);
	return NULL;
}

static void print_field(struct text *out, struct json_object *o, const char *key, int width)
{
	const char *s = protocol_string(o, key);
	size_t from = out->len;

	if (s)
		text_escaped(out, s, strlen(s));
	for (size_t n = text_columns(out, from); n < (size_t)width; n++)
		text_puts(out, " ");
}

static int list(struct link *l, bool json)
{
	struct text text = {0}, out = {0};
	struct json_object *o, *rules;

	text_puts(&text, "{\"type\":\"rules\"}");
	o = request(l, &text, "rules");
	if (!o)
		return EXIT_ERROR;
	if (!json_object_object_get_ex(o, "rules", &rules) || !json_object_is_type(rules, json_type_array)) {
		protocol_free(o);
		return complain("the answer holds no rules");
	}
	if (json) {
		printf("%s\n", json_object_to_json_string_ext(rules, JSON_C_TO_STRING_PRETTY |
									     JSON_C_TO_STRING_NOSLASHESCAPE));
		protocol_free(o);
		return 0;
	}
	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);
		bool has_id = protocol_string(rule, "id") != NULL;

		print_field(&out, rule, has_id ? "id" : "where", 18);
		text_puts(&out, "  ");
		print_field(&out, rule, "rule", 0);
		text_puts(&out, "\n");
	}
	protocol_free(o);
	if (out.data && !out.failed)
		fputs(out.data, stdout);
	text_done(&out);
	return 0;
}

static void print_notes(struct json_object *o)
{
	struct json_object *notes;

	if (!json_object_object_get_ex(o, "notes", &notes) || !json_object_is_type(notes, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(notes); i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(notes, i));
		struct text shown = {0};

		if (s)
			text_escaped(&shown, s, strlen(s));
		printf("  %s\n", shown.data ? shown.data : "");
		text_done(&shown);
	}
}

/* The words of a rule, or one argument with all of them, as one line. A path of the shell's working directory
 * is made absolute: the run's is another. */
static bool put_rule(struct text *out, char **words)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	opset ops = 0;

	if (words[0] && words[1] && opset_parse(words[1], strlen(words[1]), &ops) < 0)
		ops = 0;
	for (int i = 0; words[i]; i++) {
		const char *w = words[i];

		text_puts(out, i ? " " : "");
		if (i < 2 || strchr("/~$*\"\\'", w[0]) || !cwd || strncmp(w, "**/", 3) == 0 ||
		    (strchr(w, ':') && !strchr(w, '/')) || policy_is_no_path(w, ops) || strcmp(w, "as") == 0 ||
		    strcmp(words[i - 1], "as") == 0 || strcmp(w, "quiet") == 0 || strcmp(w, "audit") == 0) {
			text_puts(out, w);
		} else {
			size_t n = policy_format_word(NULL, 0, cwd, strlen(cwd), NULL);
			_cleanup_free_ char *dir = malloc(n + 1);

			if (!dir)
				return false;
			policy_format_word(dir, n + 1, cwd, strlen(cwd), NULL);
			text_printf(out, "%s/%s", dir, strncmp(w, "./", 2) == 0 ? w + 2 : w);
		}
	}
	return !out->failed;
}

static int add(struct link *l, char **words)
{
	struct text text = {0}, rule = {0};
	struct json_object *o;

	if (!put_rule(&rule, words))
		return complain("out of memory");
	text_puts(&text, "{\"type\":\"add\"");
	json_field(&text, "rule", rule.data, rule.len);
	text_puts(&text, "}");
	o = request(l, &text, "added");
	if (o)
		printf("%s  %s\n", protocol_string(o, "id"), rule.data);
	if (o)
		print_notes(o);
	protocol_free(o);
	text_done(&rule);
	return o ? 0 : EXIT_ERROR;
}

static int drop(struct link *l, const char *id)
{
	struct text text = {0};
	struct json_object *o;

	text_puts(&text, "{\"type\":\"remove\"");
	json_field_puts(&text, "rule", id);
	text_puts(&text, "}");
	o = request(l, &text, "ok");
	protocol_free(o);
	return o ? 0 : EXIT_ERROR;
}

static bool is_action(const char *word)
{
	for (unsigned i = 0; word && i < ACTION_COUNT; i++) {
		size_t len = strlen(action_names[i]);

		if (strncmp(word, action_names[i], len) == 0 && (!word[len] || word[len] == ' '))
			return true;
	}
	return false;
}

static int act(char **argv, struct link *links, size_t n)
{
	const char *verb = argv[1];
	char **rest = argv + 2;
	struct link *l;
	bool json = false;

	if (strcmp(verb, "list") == 0) {
		if (*rest && strcmp(*rest, "--json") == 0) {
			json = true;
			rest++;
		}
		if (*rest && rest[1])
			return complain("list takes one run: sluice rule list [--json] [RUN]");
		l = links_pick(links, n, *rest);
		return l ? list(l, json) : EXIT_ERROR;
	}
	if (strcmp(verb, "add") == 0) {
		const char *run = is_action(*rest) ? NULL : *rest;

		rest += run != NULL;
		if (!is_action(*rest))
			return complain(
				"add takes a rule as in a policy: sluice rule add [RUN] deny read ~/.netrc");
		l = links_pick(links, n, run);
		return l ? add(l, rest) : EXIT_ERROR;
	}
	if (strcmp(verb, "remove") == 0) {
		const char *run = *rest && rest[1] ? *rest++ : NULL;

		if (!*rest || rest[1])
			return complain("remove takes the id of a rule: sluice rule remove [RUN] r1");
		l = links_pick(links, n, run);
		return l ? drop(l, *rest) : EXIT_ERROR;
	}
	return complain("rule is followed by list, add or remove: see sluice help rule");
}

int command_rule(int argc, char **argv)
{
	struct link *links;
	size_t n;
	int r;

	if (argc < 2) {
		help_print(stderr, "rule");
		return EXIT_ERROR;
	}
	r = links_open(&links, &n);
	if (r < 0) {
		fprintf(stderr, "sluice: the directory of the control sockets can't be read: %s\n",
			strerror(-r));
		return EXIT_ERROR;
	}
	r = act(argv, links, n);
	links_close(links, n);
	return r;
}
