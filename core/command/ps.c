/* SPDX-License-Identifier: Apache-2.0
 * `sluice ps`: what runs under sluice, by asking each run.
 */
#include "core/ask/protocol.h"
#include "core/cleanup.h"
#include "core/command/command.h"
#include "core/command/help.h"
#include "core/control/client.h"
#include "core/control/show.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_ERROR = 2 };

static void print_json(struct link *links, size_t n)
{
	struct json_object *all = json_object_new_array();

	for (size_t i = 0; i < n; i++) {
		static const char request[] = "{\"type\":\"status\"}";
		const char *why;
		struct json_object *o = link_ask(&links[i], request, strlen(request), "status", &why);

		if (!o)
			continue;
		json_object_object_del(o, "type");
		json_object_array_add(all, o);
	}
	printf("%s\n",
	       json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

static void print_text(struct link *links, size_t n)
{
	struct text out = {0};

	if (n)
		text_puts(&out, "    PID  STARTED   ASKING  REFUSED  COMMAND\n");
	for (size_t i = 0; i < n; i++) {
		static const char request[] = "{\"type\":\"status\"}";
		const char *why, *name, *started;
		struct json_object *o = link_ask(&links[i], request, strlen(request), "status", &why);

		if (!o)
			continue;
		name = protocol_string(o, "name");
		started = protocol_string(o, "started");
		text_printf(&out, "%7lld  ", (long long)protocol_number(o, "pid"));
		show_clock(&out, started);
		text_printf(&out, "  %6lld  %7lld  ", (long long)protocol_number(o, "open_questions"),
			    (long long)protocol_number(o, "refused"));
		if (name) {
			text_escaped(&out, name, strlen(name));
			text_puts(&out, ": ");
		}
		show_argv(&out, o, 200);
		text_puts(&out, "\n");
		protocol_free(o);
	}
	if (out.data && !out.failed)
		fputs(out.data, stdout);
	text_done(&out);
}

int command_ps(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct link *links;
	size_t n;
	int r;

	if (argc > 1 && !json) {
		char shown[200];

		escape_bytes(shown, sizeof(shown), argv[1], strlen(argv[1]));
		fprintf(stderr, "sluice: ps takes nothing but --json, not \"%s\"\n", shown);
		return EXIT_ERROR;
	}
	r = links_open(&links, &n);
	if (r < 0) {
		fprintf(stderr, "sluice: the directory of the control sockets can't be read: %s\n",
			strerror(-r));
		return EXIT_ERROR;
	}
	if (json)
		print_json(links, n);
	else
		print_text(links, n);
	links_close(links, n);
	return fflush(stdout) == 0 ? 0 : EXIT_ERROR;
}
