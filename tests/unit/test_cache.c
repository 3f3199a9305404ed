/* SPDX-License-Identifier: Apache-2.0
 * The path cache: what hits, what never does, and what ends a hit.
 */
#include "core/resolve/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
/* after the above */
#include <cmocka.h>

static bool hit(struct cache *c, enum op op, const char *path, struct cache_key *k)
{
	return cache_lookup(c, op, path, strlen(path), k);
}

/* Entries end with the second: start early in one. */
static void early_in_a_second(void)
{
	struct timespec t;

	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_nsec > 500000000);
}

static void hits_only_what_was_learned(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k;

	(void)state;
	early_in_a_second();
	assert_false(hit(c, OP_READ, "/a", &k));
	cache_learn(c, &k);
	assert_true(hit(c, OP_READ, "/a", &k));
	assert_false(hit(c, OP_EXEC, "/a", &k));
	assert_false(hit(c, OP_READ, "/b", &k));
	assert_false(hit(c, OP_READ, "/a/", &k));
	cache_free(c);
}

static void invalidation_ends_every_hit(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k, old;

	(void)state;
	early_in_a_second();
	hit(c, OP_READ, "/a", &k);
	cache_learn(c, &k);
	hit(c, OP_READ, "/b", &old);
	cache_invalidate(c, false);
	assert_false(hit(c, OP_READ, "/a", &k));
	/* What was looked up before the change must not be learned as if after. */
	cache_learn(c, &old);
	assert_false(hit(c, OP_READ, "/b", &k));
	cache_free(c);
}

static void nothing_is_learned_while_a_change_is_pending(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k;

	(void)state;
	early_in_a_second();
	cache_invalidate(c, true);
	hit(c, OP_READ, "/a", &k);
	cache_learn(c, &k);
	assert_false(hit(c, OP_READ, "/a", &k));
	cache_free(c);
}

static void memory_is_bounded_and_old_entries_make_room(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k;
	char path[32];
	unsigned hits = 0;

	(void)state;
	early_in_a_second();
	for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++) {
		snprintf(path, sizeof(path), "/f%u", i);
		hit(c, OP_READ, path, &k);
		cache_learn(c, &k);
	}
	for (unsigned i = 0; i < 4 * CACHE_SLOTS; i++) {
		snprintf(path, sizeof(path), "/f%u", i);
		hits += hit(c, OP_READ, path, &k);
	}
	assert_in_range(hits, 1, CACHE_SLOTS);
	cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_only_what_was_learned),
		cmocka_unit_test(invalidation_ends_every_hit),
		cmocka_unit_test(nothing_is_learned_while_a_change_is_pending),
		cmocka_unit_test(memory_is_bounded_and_old_entries_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
