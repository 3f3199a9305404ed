/* SPDX-License-Identifier: Apache-2.0
 * Direct-mapped, two words an entry.
 */
#include "core/resolve/cache.h"

#include <sodium/crypto_shorthash.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SETTLE_NS 20000000u

static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16, "the key of struct cache");

static uint64_t coarse_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct cache *cache_new(void)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (c && getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key)) {
		free(c);
		return NULL;
	}
	return c;
}

void cache_free(struct cache *c)
{
	free(c);
}

/* An entry of another generation or second differs in its second word. 64 bits of each never wrap. */
static uint64_t stamp(struct cache *c, uint64_t now_ns)
{
	/* Pairs with the release in cache_invalidate(): who sees the new paths sees the new stamp. */
	uint64_t generation = atomic_load_explicit(&c->generation, memory_order_acquire);

	return (generation * 0x9e3779b97f4a7c15u) ^ (now_ns / 1000000000u * 0xff51afd7ed558ccdu) ^ 1;
}

bool cache_lookup(struct cache *c, enum op op, const char *path, size_t len, struct cache_key *ret_key)
{
	unsigned char text[1 + 4096], out[16];
	struct cache_key k;
	uint64_t a, b;
	bool hit;

	if (len > 4096) {
		*ret_key = (struct cache_key){0};
		return false;
	}
	text[0] = (unsigned char)op;
	memcpy(text + 1, path, len);
	crypto_shorthash_siphashx24(out, text, len + 1, c->key);
	memcpy(&k.a, out, 8);
	memcpy(&k.b, out + 8, 8);
	k.a |= 1; /* an empty slot matches nothing */
	k.stamp = stamp(c, coarse_ns());
	a = atomic_load_explicit(&c->slots[k.b % CACHE_SLOTS].a, memory_order_relaxed);
	b = atomic_load_explicit(&c->slots[k.b % CACHE_SLOTS].b, memory_order_relaxed);
	hit = a == k.a && b == (k.b ^ k.stamp);
	atomic_fetch_add_explicit(hit ? &c->hits : &c->misses, 1, memory_order_relaxed);
	*ret_key = k;
	return hit;
}

void cache_learn(struct cache *c, const struct cache_key *k)
{
	uint64_t now = coarse_ns();

	/* The key carries the stamp of the look-up: what changed since then makes the entry a miss. */
	if (!k->a || now < atomic_load_explicit(&c->settled_ns, memory_order_relaxed))
		return;
	atomic_store_explicit(&c->slots[k->b % CACHE_SLOTS].a, k->a, memory_order_relaxed);
	atomic_store_explicit(&c->slots[k->b % CACHE_SLOTS].b, k->b ^ k->stamp, memory_order_relaxed);
}

void cache_invalidate(struct cache *c, bool pending)
{
	if (pending)
		atomic_store_explicit(&c->settled_ns, coarse_ns() + SETTLE_NS, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->generation, 1, memory_order_release);
}
