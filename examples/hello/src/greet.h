/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdio.h>

/* Print a greeting for NAME in LANGUAGE; -1 if there is none. */
int greet(FILE *out, const char *language, const char *name);
