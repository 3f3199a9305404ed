/* SPDX-License-Identifier: Apache-2.0
 * From records to policies: what folds, what does not, and that the result allows what was done. What is kept from it:
 * test_learn_danger.c.
 */
#include "tests/unit/learn_harness.h"

static void three_siblings_are_a_directory_two_are_not(void **state)
{
	(void)state;
	begin();
	did("read", "/home/u/proj/src/a.c");
	did("read", "/home/u/proj/src/b.c");
	assert_string_equal(rules(), "allow read $PWD/src/a.c\nallow read $PWD/src/b.c\n");
	allows_all();
	begin();
	did("read", "/home/u/proj/src/a.c");
	did("read", "/home/u/proj/src/b.c");
	did("read", "/home/u/proj/src/deep/er/c.c");
	assert_string_equal(rules(), "allow ro $PWD/src\n");
	allows_all();
	/* The working directory is no boundary. */
	begin();
	did("read", "/home/u/proj/a");
	did("read", "/home/u/proj/b");
	did("list", "/home/u/proj/c");
	made("/home/u/proj/o");
	assert_string_equal(rules(), "allow ro $PWD\nallow rw $PWD/o\n");
	allows_all();
}

static void no_line_is_at_or_above_a_boundary(void **state)
{
	static const char *const dirs[] = {"/home/u", "/home", "/", "/etc", "/var/lib", "/home/u/.config", "/run/u"};

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[128];

		begin();
		for (char c = 'a'; c < 'f'; c++) {
			snprintf(path, sizeof(path), "%s/%c", strcmp(dirs[i], "/") == 0 ? "" : dirs[i], c);
			did("read", path);
		}
		assert_null(strstr(rules(), "allow ro"));
		assert_non_null(strstr(rules(), "allow read"));
		allows_all();
	}
	/* What lies deeper is none. */
	begin();
	for (char c = 'a'; c < 'f'; c++)
		did("read", (char[]){'/', 'v', 'a', 'r', '/', 'l', 'i', 'b', '/', 'x', '/', c, 0});
	assert_string_equal(rules(), "allow ro /var/lib/x\n");
}

static void what_profiles_give_has_no_line(void **state)
{
	(void)state;
	begin();
	did("exec", "/usr/bin/cc");
	did("read", "/usr/include/stdio.h");
	did("write", "/dev/null");
	did("stat", "/anything");
	did("write", "/proc/7/comm");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "include base\ninclude credentials\n"));
}

static void what_the_command_makes_is_one_line(void **state)
{
	struct policy *p;

	(void)state;
	begin();
	made_dir("/home/u/proj/build");
	made_dir("/home/u/proj/build/x");
	made("/home/u/proj/build/x/o");
	did("read", "/home/u/proj/build/x/o");
	assert_string_equal(rules(), "allow rw $PWD/build\n");
	allows_all();
	/* Programs in it need a directory that is there at the start. */
	begin();
	made_dir("/home/u/proj/build");
	made("/home/u/proj/build/prog");
	did("exec", "/home/u/proj/build/prog");
	assert_string_equal(rules(), "allow rx $PWD\nallow rw $PWD/build\n");
	allows_all();
	/* A boundary that is made is no line. */
	begin();
	made_dir("/home/u/.config");
	made("/home/u/.config/tool");
	assert_string_equal(rules(), "allow rw ~/.config/tool\n");
	p = policy_of(result.data);
	assert_int_equal(policy_decide_mkdir(p, "/home/u/.config", 15).action, ACTION_ALLOW);
	policy_free(p);
	begin();
	access_line("chmod", "meta", "/home/u", ",\"exists\":true,\"dir\":true");
	made_dir("/home/u/.config");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "allow meta ~ "));
}

static void names_by_chance_become_patterns(void **state)
{
	static const struct {
		const char *name, *pattern;
		bool temporary;
	} cases[] = {
		{"tmp_obj_aB3dE1", "tmp_obj_??????", true}, {"ccAb3xY9.o", "cc??????.o", true},
		{"lock.12345", "lock.[0-9]*", true}, {"x.cpython-311.pyc.140234", "x.cpython-311.pyc.[0-9]*", true},
		{"a-0123456789abcdef0123", "a-*", true}, {"plain.txt", NULL, true}, {"README", NULL, true},
		{"aB3dE1", NULL, true}, {"Makefile", NULL, true}, {"sp ace123456a", NULL, true},
		{"tmp_obj_aB3dE1", NULL, false}, {"2026-11-24T14_33_54_714Z-debug-0.log", "[0-9]*Z-debug-0.log", false},
		{"log.20261124", "log.[0-9]*", false}, {"v1.2.3", NULL, false}, {"2026", NULL, false},
		{"99999999x", NULL, false}, {"*[?]123456", NULL, true}, {"", NULL, true}, {"CamelCaseName", "*", false},
	};
	char buf[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = learn_pattern(cases[i].name, strlen(cases[i].name), cases[i].temporary, buf, sizeof(buf));

		if (i == sizeof(cases) / sizeof(cases[0]) - 1)
			break; /* only a temporary one would be looked at for capitals */
		if (!cases[i].pattern)
			assert_int_equal(n, 0);
		else
			assert_string_equal(n ? buf : "", cases[i].pattern);
	}
	begin();
	made("/home/u/proj/obj/tmp_obj_aB3dE1");
	removed("/home/u/proj/obj/tmp_obj_aB3dE1");
	made("/home/u/proj/obj/tmp_obj_zZ9dE2");
	removed("/home/u/proj/obj/tmp_obj_zZ9dE2");
	assert_string_equal(rules(), "allow rw $PWD/obj/tmp_obj_??????\n");
	allows_all();
}

static void renamed_names_get_the_same(void **state)
{
	struct policy *p;

	(void)state;
	begin();
	made("/home/u/proj/out/data.tmp.1234");
	moved("/home/u/proj/out/data.tmp.1234", "/home/u/proj/out/data");
	did("read", "/home/u/proj/out/data");
	assert_string_equal(rules(), "allow rw $PWD/out/data\nallow rw $PWD/out/data.tmp.[0-9]*\n");
	allows_all();
	p = policy_of(result.data);
	assert_false(policy_move_widens(p, "/home/u/proj/out/data.tmp.77", 28, "/home/u/proj/out/data", 21, false));
	policy_free(p);
}

static void hostile_names_stay_words(void **state)
{
	static const char *const names[] = {
		"/home/u/proj/x\nallow all /", "/home/u/proj/# allow", "/home/u/proj/$HOME", "/home/u/proj/~", "/home/u/proj/*",
		"/home/u/proj/\\", "/home/u/proj/\"", "/home/u/proj/a b", "/home/u/proj/\xff\x01", "/srv/x/{}\r\nnever all /",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin();
		did("read", names[i]);
		made(names[i]);
		assert_null(strstr(rules(), "\nallow all"));
		allows_all();
		assert_null(strstr(result.data, "\nnever"));
	}
}

static void the_same_facts_give_the_same_text(void **state)
{
	char *first;

	(void)state;
	begin();
	did("read", "/srv/x/b");
	did("read", "/srv/x/a");
	made("/home/u/proj/o");
	first = strdup(learned());
	begin();
	made("/home/u/proj/o");
	did("read", "/srv/x/a");
	did("read", "/srv/x/b");
	assert_string_equal(learned(), first);
	free(first);
}

static void refusals_and_failures_are_told(void **state)
{
	(void)state;
	begin();
	text_puts(&record, "{\"type\":\"access\",\"syscall\":\"openat\",\"op\":\"read\",\"path\":\"/srv/no\","
			   "\"exists\":true,\"verdict\":\"deny\",\"errno\":13}\n");
	access_line("openat", "read", "/srv/closed", ",\"exists\":true,\"errno\":13");
	access_line("openat", "read", "/srv/missing", ",\"exists\":false,\"errno\":2");
	assert_string_equal(rules(), "deny read /srv/closed quiet\n");
	assert_non_null(strstr(result.data, "Refused when it was recorded"));
	assert_null(strstr(result.data, "/srv/missing"));
}

static void facts_follow_the_order_of_things(void **state)
{
	const struct fact *f;

	(void)state;
	begin();
	made("/w/o");
	did("read", "/w/o");
	did("read", "/w/in");
	did("write", "/w/in");
	access_line("stat", "stat", "/w/later", ",\"exists\":false,\"errno\":2");
	made("/w/later");
	made("/w/t");
	removed("/w/t");
	made_dir("/w/d");
	made("/w/d/x");
	access_line("rename", "delete", "/w/d", ",\"path2\":\"/w/e\",\"exists\":true,\"dir\":true");
	access_line("rename", "create", "/w/e", ",\"path2\":\"/w/d\",\"exists\":false");
	did("read", "/w/e/x");
	removed("/w/old");
	made_dir("/w/own");
	moved_dir("/w/own", "/w/own2");
	moved_dir("/w/theirs", "/w/theirs2");
	moved("/tmp/sluice-1/x", "/w/x");
	read_facts();
	f = facts_find(facts, "/w/o", 4);
	assert_true(f->made && !(f->input & OPBIT(OP_READ)));
	f = facts_find(facts, "/w/in", 5);
	assert_true(f->input & OPBIT(OP_READ) && !f->ever_made);
	f = facts_find(facts, "/w/later", 8);
	assert_true(f->missing && f->ever_made && !f->gone);
	f = facts_find(facts, "/w/t", 4);
	assert_true(f->temporary && f->gone);
	f = facts_find(facts, "/w/d/x", 6);
	assert_true(f->gone);
	f = facts_find(facts, "/w/e/x", 6);
	assert_true(f->made && !f->gone && !(f->input & OPBIT(OP_READ)));
	f = facts_find(facts, "/w/old", 6);
	assert_true(f->removed && f->gone && !f->temporary);
	f = facts_find(facts, "/w/own2", 7);
	assert_true(f->made && f->dir && !f->moved_in && !facts_find(facts, "/w/own", 6)->moved_out);
	f = facts_find(facts, "/w/theirs2", 10);
	assert_true(f->made && f->dir && f->moved_in && facts_find(facts, "/w/theirs", 9)->moved_out);
	assert_true(facts_find(facts, "/w/x", 4)->moved_in);
	assert_null(facts_find(facts, "/w", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_siblings_are_a_directory_two_are_not),
		cmocka_unit_test(no_line_is_at_or_above_a_boundary),
		cmocka_unit_test(what_profiles_give_has_no_line),
		cmocka_unit_test(what_the_command_makes_is_one_line),
		cmocka_unit_test(names_by_chance_become_patterns),
		cmocka_unit_test(renamed_names_get_the_same),
		cmocka_unit_test(hostile_names_stay_words),
		cmocka_unit_test(the_same_facts_give_the_same_text),
		cmocka_unit_test(refusals_and_failures_are_told),
		cmocka_unit_test(facts_follow_the_order_of_things),
	};

	return cmocka_run_group_tests(tests, learn_begin, learn_end);
}
