/* SPDX-License-Identifier: Apache-2.0
 * Every byte string is a message of a client or none, and what is an answer is one that a question can be asked to
 * check: its scope and its word are known, its nonce and number fit. For libFuzzer, as
 * `fuzz_protocol tests/fuzz/corpus-protocol`.
 */
#include "core/ask/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_object *o = protocol_parse((const char *)data, size);
	struct protocol_answer a;
	const char *s;

	if (!o)
		return 0;
	REQUIRE(size && !memchr(data, '\0', size));
	s = protocol_string(o, "type");
	REQUIRE(!s || strlen(s) < size);
	REQUIRE(protocol_number(o, "id") >= -1);
	protocol_bool(o, "x");
	if (protocol_answer(o, &a) == 0) {
		REQUIRE(a.reply.answer == ANSWER_YES || a.reply.answer == ANSWER_NO ||
			a.reply.answer == ANSWER_END_TREE);
		REQUIRE((unsigned)a.reply.scope < SCOPE_COUNT);
		REQUIRE(!a.reply.by);
	}
	protocol_free(o);
	return 0;
}
