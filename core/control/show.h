/* SPDX-License-Identifier: Apache-2.0
 * Pieces of messages as people read them, escaped.
 */
#pragma once
#include "core/observe/text.h"

struct json_object;

/* The argv of O, quoted where a shell would need it, cut at about MAX bytes. */
void show_argv(struct text *out, struct json_object *o, size_t max);
/* The local time of day of a UTC time as in messages. */
void show_clock(struct text *out, const char *utc);
