/* SPDX-License-Identifier: Apache-2.0
 * The user's other terminals: pseudo terminals that were there before the run and are not its own.
 */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>

/* Remember what is there now. Once, before threads. */
void terminal_init(void);
/* Is ST another's terminal? One made since is the tree's as far as we know. Any thread. */
bool terminal_is_foreign(const struct stat *st);
