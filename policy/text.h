/* SPDX-License-Identifier: Apache-2.0
 * Words of the language: sets of operations with the place of a mistake, errno names. What others need
 * of policy/text.c is in policy/policy.h. Pure functions.
 */
#pragma once
#include "policy/policy.h"

/* All words that may stand in OPS, NULL-terminated, for suggestions. */
extern const char *const opset_words[];

/* opset_parse() that tells which word is unknown: *ret_len bytes at *ret_at. */
int opset_parse_at(const char *text, size_t len, opset *ret, size_t *ret_at, size_t *ret_len);

/* Text of a policy, which has its own escapes: escape_bytes() but for backslashes. */
size_t escape_source(char *buf, size_t size, const char *s, size_t len);

/* The number of an errno that may follow `as`, or 0. */
int errno_by_name(const char *name);
const char *errno_suggest(const char *name);
