/* SPDX-License-Identifier: Apache-2.0
 * The words of a question, the same for all front ends. What the kernel says and what the process says of
 * itself stand apart, and every string that the target chose is escaped and shown whole.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/observe/text.h"

/* SECONDS are left to answer. */
void prompt_question(struct text *out, const struct ask_view *v, unsigned seconds);
/* Only what is asked, without the keys. */
void prompt_body(struct text *out, const struct ask_view *v);
void prompt_keys(struct text *out, const struct ask_view *v, unsigned seconds);
void prompt_help(struct text *out, const struct ask_view *v);
/* LINE is about to go into FILE, when KEY is pressed again. */
void prompt_always(struct text *out, const char *line, const char *file, char key);
/* Is this answer one of those that V offers? */
bool prompt_offers(const struct ask_view *v, enum answer answer, enum ask_scope scope);
/* ", started by make (12), by sh (9)": the kernel's word, read now. */
void prompt_ancestors(struct text *out, pid_t pid);
/* "read", "execute", "change the attributes of". */
const char *prompt_verb(enum op op);
