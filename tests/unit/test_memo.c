/* SPDX-License-Identifier: Apache-2.0
 * The memo: what is recalled, and what has to be looked at anew.
 */
#include "core/resolve/memo.h"
#include "core/sys.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
/* after the above */
#include <cmocka.h>

static char dir[64];
static struct cache *cache;
static struct memo *memo;

static int begin(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sluice-memo.XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(resolve_init(), 0);
	cache = cache_new();
	memo = memo_new();
	return cache && memo ? 0 : -1;
}

static int end(void **state)
{
	char cmd[128];

	(void)state;
	memo_free(memo);
	cache_free(cache);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) != 0;
}

/* Entries end with the epoch: start early in one. */
static void early_in_an_epoch(void)
{
	struct timespec t;

	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec % 8 == 7 && t.tv_nsec > 500000000);
}

static const char *at(const char *name)
{
	static char path[2][PATH_MAX];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[0]), "%s/%s", dir, name);
	return path[turn];
}

static void make(const char *name)
{
	int fd = open(at(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int recall(const char *path, bool follow, struct resolved *ret, struct cache_key *ret_key)
{
	static const struct cache_base base;
	const struct memo_question question = {
		.cache = cache, .base = &base, .tid = getpid(), .dirfd = AT_FDCWD, .path = path, .len = strlen(path),
		.op = OP_STAT, .follow = follow,
	};

	return memo_recall(memo, &question, ret, ret_key);
}

/* As a request does: ACCESS is what it found out of permissions, or -1. */
static void learn(const char *path, const struct cache_key *key, int access)
{
	const struct resolve_from from = {.tid = getpid(), .base = -EBADF};
	struct resolved r;

	assert_int_equal(resolve_path(&from, path, strlen(path), RESOLVE_FOLLOW, &r), 0);
	r.access = access;
	memo_learn(memo, cache, key, &r);
	resolved_done(&r);
}

static void recalls_the_object_and_its_name(void **state)
{
	char canonical[PATH_MAX];
	struct cache_key key;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	make("file");
	assert_int_equal(symlink("file", at("link")), 0);
	snprintf(canonical, sizeof(canonical), "%s", at("file"));
	assert_int_equal(recall(at("link"), true, &r, &key), 1);
	learn(at("link"), &key, -1);
	assert_int_equal(recall(at("link"), true, &r, &key), 0);
	assert_string_equal(r.name, canonical);
	assert_int_equal(r.name_len, strlen(canonical));
	assert_true(r.recalled && resolved_exists(&r) && S_ISREG(r.st.st_mode) && r.obj < 0);
	assert_int_equal(recall(at("link"), false, &r, &key), 1);
	assert_int_equal(recall(at("file"), true, &r, &key), 1);
}

static void another_object_is_looked_at_anew(void **state)
{
	struct cache_key key;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	make("one");
	make("two");
	assert_int_equal(recall(at("one"), true, &r, &key), 1);
	learn(at("one"), &key, -1);
	assert_int_equal(recall(at("one"), true, &r, &key), 0);
	assert_int_equal(rename(at("two"), at("one")), 0);
	assert_int_equal(recall(at("one"), true, &r, &key), 1);
	assert_false(r.recalled);
	assert_int_equal(unlink(at("one")), 0);
	assert_int_equal(recall(at("one"), true, &r, &key), 1);
}

static void what_is_missing_has_its_name_until_it_is_there(void **state)
{
	struct cache_key key;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	assert_int_equal(recall(at("none"), true, &r, &key), 1);
	memo_learn_missing(memo, cache, &key, "/a/name", 7);
	assert_int_equal(recall(at("none"), true, &r, &key), -ENOENT);
	assert_string_equal(r.name, "/a/name");
	assert_true(r.recalled && !resolved_exists(&r));
	make("none");
	assert_int_equal(recall(at("none"), true, &r, &key), 1);
}

static void a_change_of_links_or_directories_ends_it(void **state)
{
	struct cache_key key, old;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	make("kept");
	assert_int_equal(recall(at("kept"), true, &r, &key), 1);
	learn(at("kept"), &key, -1);
	old = key;
	cache_invalidate(cache, false);
	assert_int_equal(recall(at("kept"), true, &r, &key), 1);
	learn(at("kept"), &old, -1);
	assert_int_equal(recall(at("kept"), true, &r, &key), 1);
}

static void permissions_count_for_as_long_as_nothing_changed(void **state)
{
	struct cache_key key;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	assert_int_equal(recall("/etc/passwd", true, &r, &key), 1);
	learn("/etc/passwd", &key, EACCES);
	assert_int_equal(recall("/etc/passwd", true, &r, &key), 0);
	assert_int_equal(r.access, EACCES);
	/* Changed just now: the next change may leave the same time. */
	make("new");
	assert_int_equal(recall(at("new"), true, &r, &key), 1);
	learn(at("new"), &key, 0);
	assert_int_equal(recall(at("new"), true, &r, &key), 1);
}

static void what_means_another_thing_to_each_is_not_kept(void **state)
{
	struct cache_key key;
	struct resolved r;

	(void)state;
	early_in_an_epoch();
	assert_int_equal(recall("/proc/version", true, &r, &key), 1);
	learn("/proc/version", &key, -1);
	assert_int_equal(recall("/proc/version", true, &r, &key), 1);
	assert_int_equal(recall("/proc/self/exe", true, &r, &key), 1);
	learn("/proc/self/exe", &key, -1);
	assert_int_equal(recall("/proc/self/exe", true, &r, &key), 1);
}

static void names_that_share_a_place_make_room(void **state)
{
	struct cache_key key;
	struct resolved r;
	unsigned hits = 0;
	char path[64];

	(void)state;
	early_in_an_epoch();
	for (unsigned i = 0; i < 40000; i++) {
		snprintf(path, sizeof(path), "/nothing-here/%u", i);
		recall(path, true, &r, &key);
		memo_learn_missing(memo, cache, &key, path, strlen(path));
	}
	for (unsigned i = 0; i < 40000; i++) {
		snprintf(path, sizeof(path), "/nothing-here/%u", i);
		if (recall(path, true, &r, &key) != -ENOENT)
			continue;
		assert_string_equal(r.name, path);
		hits++;
	}
	assert_in_range(hits, 0, 16384);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recalls_the_object_and_its_name),
		cmocka_unit_test(another_object_is_looked_at_anew),
		cmocka_unit_test(what_is_missing_has_its_name_until_it_is_there),
		cmocka_unit_test(a_change_of_links_or_directories_ends_it),
		cmocka_unit_test(permissions_count_for_as_long_as_nothing_changed),
		cmocka_unit_test(what_means_another_thing_to_each_is_not_kept),
		cmocka_unit_test(names_that_share_a_place_make_room),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
