/* SPDX-License-Identifier: Apache-2.0
 * What the control socket says: one function a message of sluice-protocol(7). Lines without their newline.
 */
#pragma once
#include "core/control/control.h"

#include <time.h>

struct json_object;

struct control_start {
	struct timespec time; /* CLOCK_REALTIME */
};

struct messages {
	const struct control_info *info;
	const struct control_start *start;
	int64_t re; /* the client's number of what is answered, or -1 */
};

void messages_hello(const struct messages *m, struct text *out);
void messages_ok(const struct messages *m, struct text *out);
void messages_error(const struct messages *m, struct text *out, const char *code, const char *text);
/* R as of ask_answer(). */
void messages_answered(const struct messages *m, struct text *out, int r);
void messages_status(const struct messages *m, struct text *out);
void messages_rules(const struct messages *m, struct text *out);
void messages_add(const struct messages *m, struct text *out, struct json_object *o);
void messages_remove(const struct messages *m, struct text *out, struct json_object *o);
