/* SPDX-License-Identifier: Apache-2.0
 * The words of a question. What the kernel says and what the process says of itself stand apart, and
 * every string that the target chose is escaped and shown whole.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/observe/text.h"

/* SECONDS are left to answer. */
void prompt_question(struct text *out, const struct question *q, unsigned seconds);
void prompt_keys(struct text *out, unsigned seconds);
void prompt_help(struct text *out);
