/* SPDX-License-Identifier: Apache-2.0 */
#include "greet.h"
#include "table.h"

int greet(FILE *out, const char *language, const char *name)
{
	const char *word = table_lookup(language);

	if (!word) {
		fprintf(stderr, "hello: no greeting in \"%s\"\n", language);
		return -1;
	}
	return fprintf(out, "%s, %s!\n", word, name) < 0 ? -1 : 0;
}
