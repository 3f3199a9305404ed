/* SPDX-License-Identifier: Apache-2.0
 * Pieces of messages as people read them.
 */
#include "core/control/show.h"

#include "policy/policy.h"

#include <json-c/json.h>
#include <string.h>
#include <time.h>

static bool is_plain(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^") ==
			     strlen(s);
}

void show_argv(struct text *out, struct json_object *o, size_t max)
{
	struct json_object *argv;
	size_t from = out->len;

	if (!json_object_object_get_ex(o, "argv", &argv) || !json_object_is_type(argv, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(argv); i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(argv, i));
		size_t len = word ? strlen(word) : 0;

		if (!word)
			continue;
		text_puts(out, i ? " " : "");
		if (out->len - from > max) {
			text_puts(out, "...");
			return;
		}
		text_puts(out, is_plain(word) ? "" : "'");
		text_escaped(out, word, len > max ? max : len);
		text_puts(out, is_plain(word) ? "" : "'");
	}
}

void show_clock(struct text *out, const char *utc)
{
	struct tm tm = {0}, local;
	time_t t;

	if (!utc || !strptime(utc, "%Y-%m-%dT%H:%M:%SZ", &tm)) {
		text_puts(out, "        ");
		return;
	}
	t = timegm(&tm);
	localtime_r(&t, &local);
	text_printf(out, "%02d:%02d:%02d", local.tm_hour, local.tm_min, local.tm_sec);
}
