/* SPDX-License-Identifier: Apache-2.0
 * Two words an entry, in one of two slots that its first word names.
 */
#include "core/resolve/cache.h"

#include "core/clock.h"

#include <sodium/crypto_shorthash.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SETTLE_NS 5000000u
#define EPOCH_NS 8000000000u

static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16, "the key of struct cache");

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

/* An entry of another generation or epoch differs in its second word. 64 bits of each never wrap. */
static uint64_t stamp(struct cache *c, uint64_t now_ns)
{
	/* Pairs with the release in cache_invalidate(): who sees the new paths sees the new stamp. */
	uint64_t generation = atomic_load_explicit(&c->generation, memory_order_acquire);

	return (generation * 0x9e3779b97f4a7c15u) ^ (now_ns / EPOCH_NS * 0xff51afd7ed558ccdu) ^ 1;
}

static size_t first_slot(uint64_t a)
{
	return (a >> 8) % CACHE_SLOTS;
}

static size_t second_slot(uint64_t a)
{
	return (a >> 40) % CACHE_SLOTS;
}

static bool slot_holds(struct cache *c, size_t i, const struct cache_key *k)
{
	return atomic_load_explicit(&c->slots[i].a, memory_order_relaxed) == k->a &&
	       atomic_load_explicit(&c->slots[i].b, memory_order_relaxed) == (k->b ^ k->stamp);
}

static void slot_set(struct cache *c, size_t i, uint64_t a, uint64_t b)
{
	atomic_store_explicit(&c->slots[i].a, a, memory_order_relaxed);
	atomic_store_explicit(&c->slots[i].b, b, memory_order_relaxed);
}

bool cache_key(struct cache *c, enum op op, const struct cache_base *base, const char *path, size_t len,
	       struct cache_key *ret)
{
	unsigned char text[1 + sizeof(*base) + 4096], out[16];
	struct cache_key k;

	*ret = (struct cache_key){0};
	if (len > 4096)
		return false;
	text[0] = (unsigned char)op;
	memcpy(text + 1, base, sizeof(*base));
	memcpy(text + 1 + sizeof(*base), path, len);
	crypto_shorthash_siphashx24(out, text, 1 + sizeof(*base) + len, c->key);
	memcpy(&k.a, out, 8);
	memcpy(&k.b, out + 8, 8);
	k.a |= 1; /* an empty slot matches nothing */
	k.stamp = stamp(c, clock_ns(CLOCK_MONOTONIC_COARSE));
	*ret = k;
	return true;
}

bool cache_is_settled(struct cache *c, const struct cache_key *k, uint64_t longer_ns)
{
	uint64_t settled = atomic_load_explicit(&c->settled_ns, memory_order_relaxed);

	return k->a && clock_ns(CLOCK_MONOTONIC_COARSE) >= settled + longer_ns;
}

bool cache_lookup(struct cache *c, enum op op, const struct cache_base *base, const char *path, size_t len,
		  struct cache_key *ret_key)
{
	struct cache_key k;
	bool hit;

	if (!cache_key(c, op, base, path, len, ret_key))
		return false;
	k = *ret_key;
	hit = slot_holds(c, first_slot(k.a), &k) || slot_holds(c, second_slot(k.a), &k);
	if (op != CACHE_DIRECTORY)
		cache_count(c, hit);
	return hit;
}

void cache_count(struct cache *c, bool hit)
{
	atomic_fetch_add_explicit(hit ? &c->hits : &c->misses, 1, memory_order_relaxed);
}

void cache_count_directory(struct cache *c, bool looked_up)
{
	atomic_fetch_add_explicit(&c->hits, 1, memory_order_relaxed);
	if (looked_up)
		atomic_fetch_sub_explicit(&c->misses, 1, memory_order_relaxed);
}

void cache_learn(struct cache *c, const struct cache_key *k)
{
	uint64_t a, b;
	size_t i, other;

	/* The key carries the stamp of the look-up: what changed since then makes the entry a miss. */
	if (!cache_is_settled(c, k, 0))
		return;
	i = first_slot(k->a);
	a = atomic_load_explicit(&c->slots[i].a, memory_order_relaxed);
	b = atomic_load_explicit(&c->slots[i].b, memory_order_relaxed);
	slot_set(c, i, k->a, k->b ^ k->stamp);
	if (!a || a == k->a)
		return;
	other = first_slot(a) == i ? second_slot(a) : first_slot(a);
	slot_set(c, other, a, b);
}

void cache_invalidate(struct cache *c, bool pending)
{
	if (pending)
		atomic_store_explicit(&c->settled_ns, clock_ns(CLOCK_MONOTONIC_COARSE) + SETTLE_NS, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->generation, 1, memory_order_release);
}
