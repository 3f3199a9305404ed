/* SPDX-License-Identifier: Apache-2.0
 * Path patterns: parsing, objects, what may match beneath, and the cost of hostile inputs.
 */
#include "policy/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static int parse(const char *text, struct pattern *ret, struct pattern_problem *problem)
{
	size_t len = strlen(text);
	bool *bare = arena_alloc(&arena, len + 1);
	char *bytes = arena_alloc(&arena, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++, n++) { /* '\' takes the next byte literally */
		bare[n] = text[i] != '\\';
		bytes[n] = text[i] == '\\' ? text[++i] : text[i];
	}
	return pattern_parse(&arena, &(struct wordtext){bytes, bare, n}, ret, problem);
}

static struct pattern pattern(const char *text)
{
	struct pattern p;
	struct pattern_problem problem;

	assert_int_equal(parse(text, &p, &problem), 0);
	return p;
}

static void finds_the_shortest_matching_prefix(void **state)
{
	static const struct {
		const char *pattern, *path;
		size_t object;
	} rows[] = {
		{"/", "/", 1},
		{"/", "/a/b", 1},
		{"/usr", "/usr", 4},
		{"/usr", "/usr/bin", 4},
		{"/usr", "/usr2", 0},
		{"/usr", "/us", 0},
		{"/usr", "/", 0},
		{"//usr/.//bin/", "/usr/bin/cc", 8},
		{"/h/*", "/h", 0},
		{"/h/*", "/h/a", 4},
		{"/h/*", "/h/a/b", 4},
		{"/h/.*", "/h/a", 0},
		{"/h/*", "/h/.a", 5},
		{"/*", "/", 0},
		{"/*", "/a/b", 2},
		{"/**", "/", 0},
		{"/**", "/a/b", 2},
		{"/d/**", "/d", 0},
		{"/d/**", "/d/x", 4},
		{"/d/**", "/d/x/y", 4},
		{"/d/**", "/dx/y", 0},
		{"**/.env", "/.env", 5},
		{"**/.env", "/a/.env", 7},
		{"**/.env", "/a/b/.env/x", 9},
		{"**/.env", "/a/.env/b/.env", 7},
		{"**/.env", "/a/.envx", 0},
		{"/p/**/k", "/p/k", 4},
		{"/p/**/k", "/p/a/b/k/c", 8},
		{"/p/**/k", "/p/a/b/c", 0},
		{"/p/**/**/k", "/p/k", 4},
		{"/p/**/**", "/p", 0},
		{"/p/**/**", "/p/x", 4},
		{"/p/a*/b?/[0-9]", "/p/ax/by/7/z", 10},
		{"/p/a*/b?/[0-9]", "/p/ax/b/7", 0},
		{"/p/[!0-9]", "/p/7", 0},
		{"/p/[^0-9]", "/p/x", 4},
		{"/p/[]]", "/p/]", 4},
		{"/p/[a\\]b]", "/p/]", 4},
		{"/p/[a-]", "/p/-", 4},
		{"/p/[a\\-z]", "/p/m", 0},
		{"/p/\\*", "/p/*", 4},
		{"/p/\\*", "/p/x", 0},
		{"/p/{a,b}", "/p/{a,b}", 8},
		{"/p/!x", "/p/!x", 5},
		{"/p/*.c", "/p/a.c", 6},
		{"/p/*.c", "/p/a.c.c", 8},
		{"/p/*.c", "/p/a.co", 0},
		{"/p/a*b*c", "/p/aXbYbZc", 10},
		{"/p/*x*", "/p/x", 4},
		{"**/a/**/b", "/a/b", 4},
		{"**/a/**/b", "/x/a/y/a/z/b/q", 12},
		{"**/a/**", "/a", 0},
		{"**/a/**", "/x/a/y/z", 6},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern p = pattern(rows[i].pattern);
		size_t object = pattern_object(&p, rows[i].path, strlen(rows[i].path));

		if (object != rows[i].object)
			fail_msg("%s on %s: %zu instead of %zu", rows[i].pattern, rows[i].path, object,
				 rows[i].object);
	}
}

static void tells_what_may_match_beneath(void **state)
{
	static const struct {
		const char *pattern, *dir;
		bool may;
	} rows[] = {
		{"/a/b", "/", true},	    {"/a/b", "/a", true},     {"/a/b", "/a/b", false},
		{"/a/b", "/a/b/c", false},  {"/a/b", "/ab", false},   {"/a/*", "/a", true},
		{"/a/*", "/a/x", false},    {"/a/*/c", "/a/x", true}, {"/a/x*/c", "/a/y", false},
		{"**/.env", "/", true},	    {"**/.env", "/a", true},  {"**/.env", "/a/.env", false},
		{"/d/**", "/d", true},	    {"/d/**", "/d/x", false}, {"/p/**/k", "/p/q", true},
		{"/p/**/k", "/p/k", false}, {"/", "/", false},	      {"/**", "/", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern p = pattern(rows[i].pattern);

		if (pattern_may_match_below(&p, rows[i].dir, strlen(rows[i].dir)) != rows[i].may)
			fail_msg("%s below %s", rows[i].pattern, rows[i].dir);
	}
}

static void normalises_and_keeps_the_prefix(void **state)
{
	struct pattern p = pattern("//usr/.//lib/"), q;

	(void)state;
	assert_false(p.is_glob);
	assert_string_equal(p.text, "/usr/lib");
	assert_string_equal(p.prefix, "/usr/lib");
	p = pattern("/home/u/*.c");
	assert_true(p.is_glob);
	assert_string_equal(p.prefix, "/home/u");
	assert_string_equal(p.text, "/home/u/*.c");
	p = pattern("**/a\\*b?");
	assert_string_equal(p.prefix, "/");
	assert_string_equal(p.text, "/**/a\\*b?");
	assert_int_equal(pattern_rebase(&arena, &p, "/x/y", &q), 0);
	assert_string_equal(q.text, "/x/y/**/a\\*b?");
	assert_int_equal(pattern_object(&q, "/x/y/z/a*bc", 11), 11);
	p = pattern("/l/../m/*");
	assert_int_equal(pattern_rebase(&arena, &p, "/m", &q), 0);
	assert_string_equal(q.text, "/m/*");
	p = pattern("/");
	assert_string_equal(p.text, "/");
	assert_int_equal(p.n_comps, 0);
}

static void refuses_patterns_without_a_meaning(void **state)
{
	static const struct {
		const char *pattern;
		size_t at;
	} rows[] = {
		{"/a/x**", 4},	 {"/a/**x", 3},		{"/a/***", 3},	  {"/a/[b", 3}, {"/a/[b/c]", 3},
		{"/a/[z-a]", 4}, {"/a/[[:alpha:]]", 4}, {"/a/*/../b", 5}, {"**/..", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pattern p;
		struct pattern_problem problem = {0};

		if (parse(rows[i].pattern, &p, &problem) != -EINVAL || problem.at != rows[i].at)
			fail_msg("%s: %s at %zu", rows[i].pattern, problem.what, problem.at);
	}
}

/* A matcher that backtracks would not come back within the life of the universe. */
static void costs_no_more_than_lengths_multiplied(void **state)
{
	char text[400] = "/", path[4096] = "";
	struct pattern p;
	struct pattern_problem problem;
	char deep[1024] = "";

	(void)state;
	for (int i = 0; i < 60; i++)
		strcat(text, "a*");
	strcat(text, "b");
	path[0] = '/';
	memset(path + 1, 'a', 255);
	p = pattern(text);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pattern_object(&p, path, 256), 0);
	for (int i = 0; i < 30; i++)
		strcat(deep, "**/a/");
	strcat(deep, "b");
	p = pattern(deep);
	for (int i = 0; i + 1 < 4094; i += 2)
		memcpy(path + i, "/a", 2);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pattern_object(&p, path, 4094), 0);
	strcat(deep, "/**/a/**/b");
	assert_int_equal(parse(deep, &p, &problem), -EINVAL);
}

static int done(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_shortest_matching_prefix),
		cmocka_unit_test(tells_what_may_match_beneath),
		cmocka_unit_test(normalises_and_keeps_the_prefix),
		cmocka_unit_test(refuses_patterns_without_a_meaning),
		cmocka_unit_test(costs_no_more_than_lengths_multiplied),
	};

	return cmocka_run_group_tests(tests, NULL, done);
}
