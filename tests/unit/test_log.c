/* SPDX-License-Identifier: Apache-2.0
 * What `sluice log` makes of lines: the corpus and thousands of broken and hostile records through
 * tests/fuzz/fuzz_log.c, which aborts on a breach; the filter; the table that numbers strings.
 */
#include "tests/fuzz/fuzz_log.c"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static const char *pick(const char *const *words, size_t n)
{
	return words[random_below((unsigned)n)];
}

#define PICK(words) pick(words, sizeof(words) / sizeof(words[0]))

static const char *const strings[] = {
	"\"/w/a\"",
	"\"\"",
	"\"/\"",
	"\"//\"",
	"\"a\\nb\"",
	"\"/\\u001b[2J\"",
	"\"/<script>alert(1)</script>\"",
	"\"/\\\"><img src=x onerror=alert(1)>\"",
	"\"/']]>-->\"",
	"\"/\\ufffd\",\"path_hex\":\"2fff\"",
	"\"/\\u009b2J\"",
	"\"/\\u202e\"",
	"\"/w/a (deleted)\"",
	"\"\\t\\t\"",
	"\"/w/b\"",
	"\"unix:@x\"",
	"\"10.0.0.1:80\"",
	"\"/bin/sh\"",
	"\"/usr/bin/cc1\"",
	"\"--allow read:/x\"",
	"\"never all /x\"",
	"\"credentials:7\"",
	"\"default\"",
	"\"error\"",
	"\"--deny read:/w\"",
	"null",
	"\"\xc3\xa9\xf0\x9f\x98\x80\"",
};
static const char *const numbers[] = {"0",
				      "1",
				      "2",
				      "7",
				      "10",
				      "11",
				      "13",
				      "18",
				      "2147483647",
				      "255",
				      "4095",
				      "4194303",
				      "9223372036854775807",
				      "null"};
static const char *const string_keys[] = {"path",   "path2",  "address",    "exe",     "rule",	"rule_text",
					  "by",	    "detail", "domain",	    "syscall", "cwd",	"name",
					  "run",    "sluice", "kernel",	    "what",    "layer", "reply",
					  "answer", "scope",  "answered_by"};
static const char *const number_keys[] = {"pid",      "tid",	  "ppid",	"errno", "status",
					  "signal",   "count",	  "dur_us",	"flags", "seq",
					  "accesses", "refusals", "lost_lines", "uid"};
static const char *const others[] = {
	"\"exists\":false",
	"\"exists\":true",
	"\"complete\":true",
	"\"complete\":false",
	"\"verdict\":\"deny\"",
	"\"verdict\":\"allow\"",
	"\"verdict\":\"maybe\"",
	"\"op\":\"read\"",
	"\"op\":\"connect\"",
	"\"op\":\"<b>\"",
	"\"op\":\"exec\"",
	"\"argv\":[\"a\",\"</title>\",\"\\u0007\"]",
	"\"lost\":[\"<i>\",\"\\u001b\"]",
	"\"unwatched\":[\"reads\"]",
	"\"policies\":[{\"path\":\"/<p>\",\"sha256\":\"'\\\"><script>\"}]",
	"\"time\":\"2026-01-02T03:04:05.000001Z\"",
	"\"time\":\"2026-01-02T03:14:05.5Z\"",
	"\"time\":\"x\"",
	"\"time\":\"1969-01-01T00:00:00Z\"",
	"\"time\":\"9999-12-31T23:59:60Z\"",
};
static const char *const types[] = {"start\",\"v\":1,\"x\":\"",
				    "access",
				    "access",
				    "access",
				    "access",
				    "exec",
				    "fork",
				    "exit",
				    "lost",
				    "end",
				    "ask",
				    "other"};

static void put_line(struct text *t)
{
	unsigned fields = random_below(12);

	text_printf(t, "{\"type\":\"%s\"", PICK(types));
	for (unsigned i = 0; i < fields; i++) {
		if (random_below(3) == 0)
			text_printf(t, ",%s", PICK(others));
		else if (random_below(2) == 0)
			text_printf(t, ",\"%s\":%s", PICK(string_keys), PICK(strings));
		else
			text_printf(t, ",\"%s\":%s", PICK(number_keys), PICK(numbers));
	}
	text_puts(t, "}\n");
}

static void random_records_are_shown_safely(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct text t = {0};
		unsigned lines = random_below(40);

		for (unsigned k = 0; k < lines; k++)
			put_line(&t);
		if (t.len && random_below(4) == 0)
			t.data[random_below((unsigned)t.len)] = (char)random_below(256);
		LLVMFuzzerTestOneInput((uint8_t *)t.data, t.len - (t.len ? random_below(2) : 0));
		text_done(&t);
	}
}

static void a_table_numbers_each_string_once(void **state)
{
	struct log_table t = {0};
	char key[32];

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 5000; i++) {
			int len = snprintf(key, sizeof(key), "%u", i * 7919);

			assert_int_equal(log_table_add(&t, key, (size_t)len), i);
		}
	assert_int_equal(log_table_add(&t, "", 0), 5000);
	assert_int_equal(log_table_add(&t, "a\0b", 3), 5001);
	assert_int_equal(log_table_add(&t, "a\0c", 3), 5002);
	assert_int_equal(t.n, 5003);
	assert_string_equal(t.keys[1].data, "7919");
	log_table_done(&t);
}

static struct record_line line_of(pid_t pid, pid_t ppid, enum record_type type)
{
	return (struct record_line){
		.type = type, .pid = pid, .ppid = ppid, .op = OP_COUNT, .run = 1, .time_us = 5};
}

static bool passes(struct log_filter *f, pid_t pid, pid_t ppid, enum record_type type)
{
	struct record_line line = line_of(pid, ppid, type);

	return log_filter_match(f, &line);
}

static void descendants_are_followed_through_generations(void **state)
{
	pid_t pid = 10;
	struct log_filter f = {.pids = &pid, .n_pids = 1, .descendants = true, .start_us = -1};

	(void)state;
	assert_false(passes(&f, 0, 0, RECORD_START));
	assert_false(passes(&f, 9, 1, RECORD_ACCESS));
	assert_true(passes(&f, 10, 9, RECORD_ACCESS));
	assert_true(passes(&f, 11, 10, RECORD_FORK));
	assert_true(passes(&f, 12, 11, RECORD_EXEC));
	assert_false(passes(&f, 13, 9, RECORD_ACCESS));
	assert_true(passes(&f, 12, 1, RECORD_ACCESS)); /* its parent is gone */
	assert_false(passes(&f, 12, 9, RECORD_FORK));  /* another one with its number */
	assert_false(passes(&f, 12, 9, RECORD_ACCESS));
	assert_false(passes(&f, 2147483647, 10, RECORD_ACCESS));
	assert_false(passes(&f, 0, 0, RECORD_START)); /* another run */
	assert_false(passes(&f, 11, 9, RECORD_ACCESS));
	log_filter_done(&f);
}

static void columns_are_those_of_a_terminal(void **state)
{
	struct text t = {0};

	(void)state;
	text_puts(&t, "ab\xc3\xa9");
	assert_int_equal(log_columns(&t, 0), 3);
	text_puts(&t, "\xe6\xbc\xa2\xf0\x9f\x98\x80"); /* two wide ones */
	assert_int_equal(log_columns(&t, 0), 7);
	text_puts(&t, "e\xcc\x81"); /* a combining one */
	assert_int_equal(log_columns(&t, 0), 8);
	text_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_records_are_shown_safely),
		cmocka_unit_test(a_table_numbers_each_string_once),
		cmocka_unit_test(descendants_are_followed_through_generations),
		cmocka_unit_test(columns_are_those_of_a_terminal),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
