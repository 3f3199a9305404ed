/* SPDX-License-Identifier: Apache-2.0
 * Lists of declared inputs, as compilers and people write them.
 */
#include "core/trace/deps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char names[4096];

static int collect(void *ctx, const char *s, size_t len)
{
	(void)ctx;
	snprintf(names + strlen(names), sizeof(names) - strlen(names), "[%.*s]", (int)len, s);
	return 0;
}

static const char *parsed(const char *text, bool depfile)
{
	names[0] = '\0';
	assert_int_equal(deps_parse(text, strlen(text), depfile, collect, NULL), 0);
	return names;
}

static void depfiles_are_read_as_make_does(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{"a.o: a.c a.h\n", "[a.c][a.h]"},
		{"a.o: a.c \\\n  b.h \\\n c.h\n", "[a.c][b.h][c.h]"},
		{"a.o:\\\n a.c\n", "[a.c]"},
		{"a.o: a.c \\\r\n  b.h\r\n", "[a.c][b.h]"},
		{"a.o b.o : a.c\n", "[a.c]"},
		{"a.o: a\\ b.c x\\#y $$z\n", "[a b.c][x#y][$z]"},
		{"a.o: a.c\n\nb.h:\nc.h:\n", "[a.c]"},
		{"# comment: no\na.o: a.c # rest\n", "[a.c]"},
		{"out: in1 | order\n", "[in1][order]"},
		{"C:\\x\\a.o: C:\\x\\a.c\n", "[C:\\x\\a.c]"},
		{"a.o:a.c\n", ""},
		{"a.o:", ""},
		{"", ""},
		{":", ""},
		{"a.o: b\\", "[b\\]"},
		{"a.o: \\\\ b\n", "[\\][b]"},
		{"a.o:: b\n", "[b]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(parsed(cases[i].text, true), cases[i].names);
}

static void lists_have_a_name_a_line(void **state)
{
	(void)state;
	assert_string_equal(parsed("a b\n# no\n\n/x/y: z\r\nlast", false), "[a b][/x/y: z][last]");
}

static void what_a_file_is_tells_its_first_word(void **state)
{
	(void)state;
	assert_true(deps_is_depfile("a.o: b", 6));
	assert_true(deps_is_depfile("# x\n\n  a.o: b", 14));
	assert_true(deps_is_depfile("a.o: \\\n b", 9));
	assert_false(deps_is_depfile("a.c\nb.c\n", 8));
	assert_false(deps_is_depfile("a:b\n", 4));
	assert_false(deps_is_depfile("", 0));
	assert_false(deps_is_depfile("#", 1));
}

static void directories_cover_what_is_beneath(void **state)
{
	char file[] = "/tmp/sluice-deps-XXXXXX", error[256];
	struct deps *d = NULL;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "sub/\nx/../y\n/usr/bin/\n", 22), 22);
	close(fd);
	assert_int_equal(deps_read(file, "/nowhere/w", &d, error, sizeof(error)), 0);
	assert_true(deps_has(d, "/nowhere/w/sub"));
	assert_true(deps_has(d, "/nowhere/w/sub/deep/er"));
	assert_false(deps_has(d, "/nowhere/w/subx"));
	assert_false(deps_has(d, "/nowhere/w"));
	assert_true(deps_has(d, "/usr/bin/cc"));
	assert_int_equal(deps_read("/nowhere/list", "/", &d, error, sizeof(error)), -2);
	assert_non_null(strstr(error, "/nowhere/list"));
	deps_free(d);
	unlink(file);
}

/* Any bytes give some names and no crash; sanitizers look on. */
static void any_bytes_are_taken(void **state)
{
	static const char alphabet[] = "ab:\\ \n\r\t#$|/";
	unsigned seed = 1;
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		size_t len = (size_t)(rand_r(&seed) % (int)sizeof(text));

		for (size_t k = 0; k < len; k++)
			text[k] = alphabet[rand_r(&seed) % (int)(sizeof(alphabet) - 1)];
		names[0] = '\0';
		deps_parse(text, len, true, collect, NULL);
		names[0] = '\0';
		deps_parse(text, len, false, collect, NULL);
		deps_is_depfile(text, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(depfiles_are_read_as_make_does),
		cmocka_unit_test(lists_have_a_name_a_line),
		cmocka_unit_test(what_a_file_is_tells_its_first_word),
		cmocka_unit_test(directories_cover_what_is_beneath),
		cmocka_unit_test(any_bytes_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
