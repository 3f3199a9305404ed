/* SPDX-License-Identifier: Apache-2.0 */
#include "greet.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *language = "en";
	const char *name = "world";

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc)
			language = argv[++i];
		else
			name = argv[i];
	}
	return greet(stdout, language, name) == 0 ? 0 : 1;
}
