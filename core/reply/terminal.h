/* SPDX-License-Identifier: Apache-2.0
 * The user's other terminals: pseudo terminals that are neither those of the run nor made by its tree.
 */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>

/* Remember those that we were started on. Once, before threads. */
void terminal_init(void);
/* Is it what makes a pseudo terminal when it is opened (/dev/ptmx)? */
bool terminal_is_master(const struct stat *st);
/* MASTER was opened for the tree, by its name in /dev or /dev/pts, and its terminal is in /dev/pts. Any thread. */
void terminal_made(int master);
/* Is ST another's terminal? Any thread. */
bool terminal_is_foreign(const struct stat *st);
