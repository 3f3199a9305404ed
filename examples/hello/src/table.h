/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The word of greeting in LANGUAGE, or NULL. */
const char *table_lookup(const char *language);
