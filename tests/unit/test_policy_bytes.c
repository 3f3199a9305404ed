/* SPDX-License-Identifier: Apache-2.0
 * Totality without a fuzzer: the corpus, random bytes, random words of the language, and the built-in
 * profiles with bytes changed, each through tests/fuzz/fuzz_policy.c, which aborts on a breach.
 */
#include "tests/fuzz/fuzz_policy.c"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t seed;

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static char *read_whole(const char *dir, const char *name, size_t *ret_len)
{
	char path[512], *data = malloc(1 << 18);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(data);
	*ret_len = fread(data, 1, 1 << 18, f);
	fclose(f);
	return data;
}

static unsigned each_file(const char *dir, void (*use)(char *data, size_t len))
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			size_t len;
			char *data = read_whole(dir, e->d_name, &len);

			use(data, len);
			free(data);
			n++;
		}
	closedir(d);
	return n;
}

static void use_as_it_is(char *data, size_t len)
{
	LLVMFuzzerTestOneInput((uint8_t *)data, len);
}

static void takes_the_corpus(void **state)
{
	(void)state;
	assert_true(each_file(SLUICE_SOURCE_PROFILE_DIR "/../tests/fuzz/corpus", use_as_it_is) > 5);
}

static void takes_random_bytes(void **state)
{
	uint8_t data[300];

	(void)state;
	seed = 11;
	for (int round = 0; round < 20000; round++) {
		size_t len = random_below(round % 10 ? 24 : sizeof(data));

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)random_below(256);
		LLVMFuzzerTestOneInput(data, len);
	}
}

static void takes_random_words(void **state)
{
	static const char *const words[] = {
		"allow ",   "deny ",  "never ",	     "ask ",	    "read ",	   "rw ",	 "all,stat ",
		"connect ", "~",      "/a",	     "/b/",	    "/usr/lib",	   "*",		 "**",
		"**/",	    "?",      "[a-z]",	     "[",	    "]",	   "\"",	 "'",
		"\\",	    "$HOME",  "${X:-",	     "}",	    "$PWD",	   "..",	 "/",
		" ",	    "\n",     "\n",	     "\n",	    "#",	   "as ENOENT ", "quiet ",
		"audit ",   "*:* ",   "include ./",  "/x/p",	    "base",	   "env ",	 "unset ",
		"keep ",    "set A=", "report none", "exec-holes ", "call ptrace", ":",		 ",",
		"\t",	    "\r",     "a",	     "=",
	};
	char text[600];

	(void)state;
	seed = 12;
	for (int round = 0; round < 20000; round++) {
		unsigned n = random_below(20);

		text[0] = '\0';
		for (unsigned i = 0; i < n; i++)
			strcat(text, words[random_below(sizeof(words) / sizeof(words[0]))]);
		LLVMFuzzerTestOneInput((const uint8_t *)text, strlen(text));
	}
}

/* Lines of a profile at random, some with a byte changed. */
static void mutate(char *data, size_t len)
{
	char text[4096];

	for (int round = 0; round < 300; round++) {
		size_t n = 0;

		for (unsigned lines = random_below(6) + 1; lines > 0; lines--) {
			size_t at = random_below((unsigned)len);

			while (at > 0 && data[at - 1] != '\n')
				at--;
			while (at < len && n + 1 < sizeof(text)) {
				text[n++] = data[at++];
				if (text[n - 1] == '\n')
					break;
			}
		}
		if (random_below(2))
			text[random_below((unsigned)n)] = (char)random_below(256);
		LLVMFuzzerTestOneInput((uint8_t *)text, n);
	}
}

static void takes_profiles_with_bytes_changed(void **state)
{
	(void)state;
	seed = 13;
	assert_true(each_file(SLUICE_SOURCE_PROFILE_DIR, mutate) >= 4);
}

static void takes_very_long_lines_and_many_rules(void **state)
{
	size_t len = 900000, n = 0;
	char *text = malloc(len + 64);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', len);
	LLVMFuzzerTestOneInput((uint8_t *)text, len);
	memcpy(text, "deny read /", 11);
	LLVMFuzzerTestOneInput((uint8_t *)text, len);
	for (size_t i = 11; i < len; i += 2)
		text[i] = '/';
	LLVMFuzzerTestOneInput((uint8_t *)text, len);
	for (int i = 0; n < len - 32; i++)
		n += (size_t)sprintf(text + n, "never read /%x/x\nallow w /%x/*\n", i, i);
	LLVMFuzzerTestOneInput((uint8_t *)text, n);
	n = 0;
	for (int i = 0; i < 7000; i++)
		n += (size_t)sprintf(text + n, "never read /%x/x\nallow w /%x/*\n", i, i);
	LLVMFuzzerTestOneInput((uint8_t *)text, n);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_corpus),
		cmocka_unit_test(takes_random_bytes),
		cmocka_unit_test(takes_random_words),
		cmocka_unit_test(takes_profiles_with_bytes_changed),
		cmocka_unit_test(takes_very_long_lines_and_many_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
