/* SPDX-License-Identifier: Apache-2.0
 * Memory of one policy: only grows, freed at once. Not for several threads.
 *
 * All allocations are zeroed. NULL means out of memory; callers pass -ENOMEM on.
 */
#pragma once
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	char *free; /* within the newest chunk */
	size_t left;
};

void *arena_alloc(struct arena *a, size_t size);
/* N bytes of DATA and a NUL. */
char *arena_copy(struct arena *a, const void *data, size_t n);
void arena_done(struct arena *a);

/* Room for one element more in ARRAY of N elements with capacity *CAP: the array, moved if it had to
 * grow (the old one stays in the arena), or NULL. */
void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t element_size);
