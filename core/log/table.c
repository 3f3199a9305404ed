/* SPDX-License-Identifier: Apache-2.0
 * A set of strings that numbers them in the order of their first sight. Open addressing, SipHash.
 */
#include "core/log/log.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(((struct log_table *)0)->seed) == crypto_shorthash_KEYBYTES, "a key of SipHash");

static size_t slot_of(const struct log_table *t, const char *key, size_t len)
{
	uint64_t h;

	crypto_shorthash((unsigned char *)&h, (const unsigned char *)key, len, t->seed);
	for (size_t i = h % t->n_slots;; i = (i + 1) % t->n_slots) {
		const struct record_bytes *k = t->slots[i] ? &t->keys[t->slots[i] - 1] : NULL;

		if (!k || (k->len == len && memcmp(k->data, key, len) == 0))
			return i;
	}
}

static int grow(struct log_table *t)
{
	size_t n = t->n_slots ? 2 * t->n_slots : 256;
	struct record_bytes *keys = realloc(t->keys, n / 2 * sizeof(*keys));
	uint32_t *slots;

	if (!keys)
		return -ENOMEM;
	t->keys = keys;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (!t->n_slots)
		randombytes_buf(t->seed, sizeof(t->seed));
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	t->cap = n / 2;
	for (size_t i = 0; i < t->n; i++)
		t->slots[slot_of(t, t->keys[i].data, t->keys[i].len)] = (uint32_t)i + 1;
	return 0;
}

int64_t log_table_add(struct log_table *t, const char *key, size_t len)
{
	size_t slot;
	char *copy;

	if (t->n == t->cap && (t->n >= UINT32_MAX / 4 || grow(t) < 0))
		return -ENOMEM;
	slot = slot_of(t, key, len);
	if (t->slots[slot])
		return t->slots[slot] - 1;
	copy = arena_copy(&t->arena, key, len);
	if (!copy)
		return -ENOMEM;
	t->keys[t->n++] = (struct record_bytes){copy, len};
	t->slots[slot] = (uint32_t)t->n;
	return (int64_t)t->n - 1;
}

int64_t log_table_find(const struct log_table *t, const char *key, size_t len)
{
	size_t slot = t->n_slots ? slot_of(t, key, len) : 0;

	return t->n_slots && t->slots[slot] ? (int64_t)t->slots[slot] - 1 : -ENOENT;
}

void log_table_done(struct log_table *t)
{
	free(t->keys);
	free(t->slots);
	arena_done(&t->arena);
	*t = (struct log_table){0};
}
