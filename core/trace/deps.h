/* SPDX-License-Identifier: Apache-2.0
 * A list of declared inputs: what a compiler writes for make or ninja, or one name a line.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct deps;

/* Read FILE ("-": standard input); more than one may be read into the same *DEPS, which begins as NULL.
 * "depfile:" or "list:" before the name says what it is; else its first rule does, a word that ends in a
 * colon. Relative names start from CWD. 0, or -errno with a line for the user in ERROR. */
int deps_read(const char *file, const char *cwd, struct deps **deps, char *error, size_t error_size);
/* FILE without such a word. */
const char *deps_file(const char *file);
/* Is PATH (canonical) declared, or a directory above it? */
bool deps_has(struct deps *d, const char *path);
void deps_free(struct deps *d);

/* The names of TEXT (LEN bytes), as they stand there: for tests. Calls NAME for each. */
int deps_parse(const char *text, size_t len, bool depfile, int (*name)(void *ctx, const char *s, size_t len),
	       void *ctx);
/* Does TEXT look like rules of make? */
bool deps_is_depfile(const char *text, size_t len);
