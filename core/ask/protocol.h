/* SPDX-License-Identifier: Apache-2.0
 * The messages of sluice-protocol(7) about questions, as JSON: written by hand, so that every string is
 * escaped as in records; read by json-c, strictly and with bounds.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/observe/text.h"

#include <stddef.h>

enum { PROTOCOL_VERSION = 1, PROTOCOL_LINE_MAX = 65536 };

struct json_object;

/* Without a newline. */
void protocol_question(struct text *out, const struct ask_view *v);
void protocol_decision(struct text *out, const struct decision *d);

/* The one object that the LEN bytes are, or NULL. Blanks around it are fine, anything else is not. */
struct json_object *protocol_parse(const char *s, size_t len);
/* The same for what sluice itself sends, which may be longer. */
struct json_object *protocol_parse_long(const char *s, size_t len);
void protocol_free(struct json_object *o);
/* Fields of it: NULL, -1 or false if it is not there or is something else. */
const char *protocol_string(struct json_object *o, const char *key);
int64_t protocol_number(struct json_object *o, const char *key);
bool protocol_bool(struct json_object *o, const char *key);

struct protocol_answer {
	uint64_t question, nonce; /* 0: not given */
	struct ask_reply reply;	  /* strings are those of the object */
};
/* 0, or -EINVAL. */
int protocol_answer(struct json_object *o, struct protocol_answer *ret);
