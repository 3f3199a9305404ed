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
	static const struct cache_base base;

	return cache_lookup(c, op, &base, path, strlen(path), k);
}

/* Entries end with the epoch: start early in one. */
static void early_in_an_epoch(void)
{
	struct timespec t;

	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec % 8 == 7 && t.tv_nsec > 500000000);
}

static void hits_only_what_was_learned(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k;

	(void)state;
	early_in_an_epoch();
	assert_false(hit(c, OP_READ, "/a", &k));
	cache_learn(c, &k);
	assert_true(hit(c, OP_READ, "/a", &k));
	assert_false(hit(c, OP_EXEC, "/a", &k));
	assert_false(hit(c, OP_READ, "/b", &k));
	assert_false(hit(c, OP_READ, "/a/", &k));
	cache_free(c);
}

static void the_same_word_in_another_directory_is_another_path(void **state)
{
	static const struct cache_base here = {1, 2, 3}, there = {1, 3, 3}, elsewhere = {2, 2, 3};
	static const struct cache_base later = {1, 2, 4};
	struct cache *c = cache_new();
	struct cache_key k;

	(void)state;
	early_in_an_epoch();
	assert_false(cache_lookup(c, OP_READ, &here, "a", 1, &k));
	cache_learn(c, &k);
	assert_true(cache_lookup(c, OP_READ, &here, "a", 1, &k));
	assert_false(cache_lookup(c, OP_READ, &there, "a", 1, &k));
	assert_false(cache_lookup(c, OP_READ, &elsewhere, "a", 1, &k));
	assert_false(cache_lookup(c, OP_READ, &later, "a", 1, &k));
	assert_false(cache_lookup(c, CACHE_DIRECTORY, &here, "a", 1, &k));
	cache_free(c);
}

static void invalidation_ends_every_hit(void **state)
{
	struct cache *c = cache_new();
	struct cache_key k, old;

	(void)state;
	early_in_an_epoch();
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
	early_in_an_epoch();
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
	early_in_an_epoch();
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
		cmocka_unit_test(the_same_word_in_another_directory_is_another_path),
		cmocka_unit_test(invalidation_ends_every_hit),
		cmocka_unit_test(nothing_is_learned_while_a_change_is_pending),
		cmocka_unit_test(memory_is_bounded_and_old_entries_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
