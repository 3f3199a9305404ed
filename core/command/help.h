/* SPDX-License-Identifier: Apache-2.0
 * The texts of --help. They and the man pages change together.
 */
#pragma once
#include <stdbool.h>
#include <stdio.h>

/* The help of COMMAND ("run", ...), or of sluice as a whole for NULL. False: no such command. */
bool help_print(FILE *f, const char *command);
