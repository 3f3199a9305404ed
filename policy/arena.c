/* SPDX-License-Identifier: Apache-2.0
 * Memory of one policy: a list of chunks, each twice the size of the one before up to a limit.
 */
#include "policy/arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN 4096u
#define CHUNK_MAX (1u << 20)
#define ALIGN	  16u

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	_Alignas(ALIGN) char data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	char *p;

	if (need < size)
		return NULL;
	if (need > a->left) {
		size_t room = a->chunks ? a->chunks->size * 2 : CHUNK_MIN;
		struct arena_chunk *c;

		if (room > CHUNK_MAX)
			room = CHUNK_MAX;
		if (room < need)
			room = need;
		c = calloc(1, sizeof(*c) + room);
		if (!c)
			return NULL;
		c->size = room;
		c->next = a->chunks;
		a->chunks = c;
		a->free = c->data;
		a->left = room;
	}
	p = a->free;
	a->free += need;
	a->left -= need;
	return p;
}

char *arena_copy(struct arena *a, const void *data, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p && n > 0)
		memcpy(p, data, n);
	return p;
}

void arena_done(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	a->free = NULL;
	a->left = 0;
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t element_size)
{
	size_t more = *cap ? *cap * 2 : 8;
	void *p;

	if (n < *cap)
		return array;
	p = arena_alloc(a, more * element_size);
	if (!p)
		return NULL;
	if (n > 0 && array)
		memcpy(p, array, n * element_size);
	*cap = more;
	return p;
}
