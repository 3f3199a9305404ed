/* SPDX-License-Identifier: Apache-2.0
 * The file that the kernel takes to run a program: the interpreter of a script, or the loader of an ELF file. Read from
 * the program once and kept by its identity: a program that is changed, or put in its place, is another one.
 */
#pragma once
#include "core/resolve/resolve.h"

/* Its path as the program names it, in BUF: the length, 0 if it has none or can't be read. From any thread. */
size_t program_interpreter(const struct resolved *program, char buf[PATH_MAX], bool *ret_script);
