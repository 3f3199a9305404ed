/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *language, *word;
} table[] = {
	{"de", "Guten Tag"},
	{"en", "Hello"},
	{"fr", "Bonjour"},
	{"it", "Buongiorno"},
};

const char *table_lookup(const char *language)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].language, language) == 0)
			return table[i].word;
	return NULL;
}
