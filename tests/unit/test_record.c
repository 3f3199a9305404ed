/* SPDX-License-Identifier: Apache-2.0
 * The reader of records: what it makes of whole, damaged, cut off and hostile ones.
 */
#include "core/observe/text.h"
#include "tests/fuzz/fuzz_record.c"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define START "{\"type\":\"start\",\"seq\":1,\"time\":\"2026-01-02T03:04:05.000006Z\",\"v\":1,\"run\":\"ab\""
#define END(n)                                                                                               \
	"{\"type\":\"end\",\"seq\":" n ",\"status\":0,\"complete\":true,\"lost\":[],\"unwatched\":[]}\n"

static struct record_reader *reader;
static struct record_line line;

static int memory_file(const void *data, size_t len)
{
	int fd = memfd_create("record", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void open_bytes(const void *data, size_t len)
{
	record_free(reader);
	assert_int_equal(record_open_fd(memory_file(data, len), false, &reader), 0);
}

static void open_text(const char *text)
{
	open_bytes(text, strlen(text));
}

static int close_reader(void **state)
{
	(void)state;
	record_free(reader);
	reader = NULL;
	return 0;
}

static const char *trouble(void)
{
	static char words[512];

	record_trouble(record_state(reader), words, sizeof(words));
	return words;
}

static void assert_bytes(struct record_bytes s, const char *expected)
{
	assert_non_null(s.data);
	assert_int_equal(s.len, strlen(expected));
	assert_memory_equal(s.data, expected, s.len);
}

static void a_whole_record_is_read_with_its_values(void **state)
{
	(void)state;
	open_text(
		START
		",\"name\":\"n\",\"argv\":[\"make\",\"a b\"],\"cwd\":\"/w\",\"uid\":1000,"
		"\"policies\":[{\"sha256\":null,\"path\":\"/p\"}],\"descriptors\":[{\"fd\":2,\"path\":\"/dev/"
		"null\"}],"
		"\"later\":{\"a\":[1]}}\n"
		"{\"type\":\"access\",\"seq\":2,\"time\":\"2026-01-02T03:04:05.5Z\",\"pid\":7,\"tid\":8,"
		"\"ppid\":6,"
		"\"exe\":\"/bin/x\",\"domain\":\"d\",\"syscall\":\"openat\",\"op\":\"write\",\"path\":\"/w/"
		"f\","
		"\"flags\":577,\"exists\":false,\"verdict\":\"deny\",\"by\":\"default\",\"reply\":\"errno\","
		"\"errno\":13,"
		"\"rule\":\"default\",\"layer\":\"supervisor\",\"count\":3,\"dur_us\":9}\n"
		"{\"type\":\"exec\",\"seq\":3,\"pid\":7,\"path\":\"/bin/y\",\"argv\":[\"y\"],\"cwd\":\"/\"}\n"
		"{\"type\":\"new\",\"seq\":4,\"pid\":\"whatever\",\"path\":7}\n"
		"{\"type\":\"lost\",\"seq\":5,\"count\":2,\"what\":\"w\"}\n"
		"{\"type\":\"end\",\"seq\":6,\"signal\":9,\"accesses\":3,\"refusals\":1,\"lost_lines\":0,"
		"\"lost\":[\"l\"],\"unwatched\":[\"reads\"],\"complete\":false}\n");
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_START);
	assert_int_equal(line.time_us, 1767323045000006);
	assert_int_equal(line.argv.n, 2);
	assert_bytes(line.argv.items[1], "a b");
	assert_bytes(line.cwd, "/w");
	assert_int_equal(line.uid, 1000);
	assert_bytes(line.policies[0].path, "/p");
	assert_null(line.policies[0].sha256.data);
	assert_int_equal(line.descriptors[0].fd, 2);
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_ACCESS);
	assert_int_equal(line.time_us, 1767323045500000);
	assert_int_equal(line.pid, 7);
	assert_int_equal(line.tid, 8);
	assert_int_equal(line.ppid, 6);
	assert_bytes(line.exe, "/bin/x");
	assert_bytes(line.domain, "d");
	assert_int_equal(line.op, OP_WRITE);
	assert_bytes(line.path, "/w/f");
	assert_int_equal(line.flags, 577);
	assert_int_equal(line.exists, 0);
	assert_int_equal(line.verdict, RECORD_DENY);
	assert_int_equal(line.err, EACCES);
	assert_int_equal(line.count, 3);
	assert_int_equal(line.dur_us, 9);
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_EXEC);
	assert_bytes(line.argv.items[0], "y");
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_OTHER);
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_LOST);
	assert_bytes(line.what, "w");
	assert_int_equal(record_next(reader, &line), 1);
	assert_int_equal(line.type, RECORD_END);
	assert_int_equal(line.signal, 9);
	assert_int_equal(line.status, -1);
	assert_bytes(line.lost.items[0], "l");
	assert_bytes(line.unwatched.items[0], "reads");
	assert_int_equal(line.complete, 0);
	assert_int_equal(record_next(reader, &line), 0);
	assert_string_equal(trouble(), "");
	assert_false(record_is_complete(record_state(reader)));
}

static void what_the_recorder_writes_comes_back_exactly(void **state)
{
	static const char *const names[] = {
		"/a\nb",	 "/\033[2J",	  "/<script>",	       "/]]>\"'\\",	"/\xff\xfe/x",
		"/\xef\xbf\xbd", "/\xe2\x80\xae", "/\xf0\x9f\x98\x80", "/\x7f\xc2\x9b", "/\xed\xa0\x80"};
	const char *argv[] = {"good", names[4], NULL};
	struct text t = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text_puts(&t, "{\"type\":\"access\"");
		json_field_puts(&t, "path", names[i]);
		json_field_list(&t, "argv", argv);
		text_puts(&t, "}\n");
	}
	open_bytes(t.data, t.len);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(record_next(reader, &line), 1);
		assert_bytes(line.path, names[i]);
		assert_bytes(line.argv.items[0], "good");
		assert_bytes(line.argv.items[1], names[4]);
	}
	assert_int_equal(record_next(reader, &line), 0);
	text_done(&t);
}

static void damaged_lines_are_counted_and_skipped(void **state)
{
	static const char *const bad[] = {
		"", /* an empty line is none */
		"x",
		"{",
		"[]",
		"7",
		"null",
		"\"a\"",
		"{}",
		"{\"type\":7}",
		"{\"type\":null}",
		"{\"type\":\"a\\u0000b\"}",
		"{\"type\":\"access\"}}",
		"{\"type\":\"access\"} {}",
		"{'type':'access'}",
		"{\"type\":\"access\",}",
		"{\"type\":\"access\",\"path\":7}",
		"{\"type\":\"access\",\"path\":\"a\\u0000b\"}",
		"{\"type\":\"access\",\"path\":[\"a\"]}",
		"{\"type\":\"access\",\"pid\":\"1\"}",
		"{\"type\":\"access\",\"pid\":-1}",
		"{\"type\":\"access\",\"pid\":4294967296}",
		"{\"type\":\"access\",\"pid\":1.5}",
		"{\"type\":\"access\",\"exists\":1}",
		"{\"type\":\"access\",\"path\":\"\\ufffd\",\"path_hex\":\"f\"}",
		"{\"type\":\"access\",\"path\":\"\\ufffd\",\"path_hex\":\"fg\"}",
		"{\"type\":\"access\",\"path\":\"\\ufffd\",\"path_hex\":\"6100\"}",
		"{\"type\":\"access\",\"path\":\"\\ufffd\",\"path_hex\":7}",
		"{\"type\":\"exec\",\"argv\":\"a\"}",
		"{\"type\":\"exec\",\"argv\":[7]}",
		"{\"type\":\"exec\",\"argv\":[null]}",
		"{\"type\":\"exec\",\"argv\":[\"\\ufffd\"],\"argv_hex\":[]}",
		"{\"type\":\"access\",\"path\":\"\xff\"}",
		"{\"type\":\"access\",\"path\":\"a\033b\"}",
		"{\"type\":\"end\",\"lost\":[[]]}",
		"{\"type\":\"end\",\"complete\":\"true\"}",
		"{\"type\":\"start\"}",
		"{\"type\":\"start\",\"v\":\"1\"}",
		"{\"type\":\"start\",\"v\":1,\"policies\":[7]}",
		"{\"type\":\"access\",\"x\":[[[[[[[[[[[[]]]]]]]]]]]]}",
		"\xef\xbb\xbf{\"type\":\"access\"}",
	};
	const size_t n = sizeof(bad) / sizeof(bad[0]);
	struct text t = {0};

	(void)state;
	for (size_t i = 0; i < n; i++) {
		text_puts(&t, bad[i]);
		text_puts(&t, "\n{\"type\":\"access\",\"path\":\"/good\"}\n");
	}
	text_add(&t, "{\"type\":\"acc\0ess\"}\n", 19);
	open_bytes(t.data, t.len);
	text_done(&t);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(record_next(reader, &line), 1);
		if (!line.path.data || strcmp(line.path.data, "/good") != 0)
			fail_msg("taken: %.*s", (int)line.raw.len, line.raw.data);
		assert_int_equal(line.number, 2 * i + 2);
	}
	assert_int_equal(record_next(reader, &line), 0);
	assert_int_equal(record_state(reader)->damaged, n);
	assert_int_equal(record_state(reader)->first_damaged, 3);
}

static void a_cut_off_record_is_read_as_far_as_it_goes(void **state)
{
	static const char text[] = START "}\n" END("2");

	(void)state;
	for (size_t len = 0; len <= strlen(text); len++) {
		uint64_t n = 0;

		open_bytes(text, len);
		while (record_next(reader, &line) > 0)
			n++;
		assert_int_equal(record_state(reader)->damaged, 0);
		if (len >= strlen(text) - 1) { /* only a newline is missing */
			assert_int_equal(n, 2);
			assert_true(record_is_complete(record_state(reader)));
			assert_string_equal(trouble(), "");
			continue;
		}
		assert_false(record_is_complete(record_state(reader)));
		assert_int_equal(n, len >= strlen(START "}"));
		assert_int_equal(record_state(reader)->truncated,
				 len && len != strlen(START "}") && len != strlen(START "}\n"));
		assert_string_not_equal(trouble(), "");
	}
}

static void missing_lines_are_noticed(void **state)
{
	(void)state;
	open_text(START "}\n{\"type\":\"access\",\"seq\":2}\n{\"type\":\"access\",\"seq\":5}\nx\n" END("6"));
	while (record_next(reader, &line) > 0)
		;
	assert_int_equal(record_state(reader)->missing, 2);
	assert_string_equal(trouble(), "line 4 is damaged and was skipped; 2 lines are missing");
	open_text("{\"type\":\"access\",\"seq\":1}\n");
	while (record_next(reader, &line) > 0)
		;
	assert_string_equal(trouble(), "its beginning is missing");
	open_text("");
	assert_int_equal(record_next(reader, &line), 0);
	assert_string_equal(trouble(), "it holds no record");
}

static void another_version_is_an_error_that_says_so(void **state)
{
	(void)state;
	open_text("{\"type\":\"start\",\"seq\":1,\"v\":2,\"argv\":7}\n{\"type\":\"access\"}\n");
	assert_int_equal(record_next(reader, &line), -EPROTO);
	assert_non_null(strstr(record_error(reader), "line 1: version 2 "));
	assert_int_equal(record_next(reader, &line), -EPROTO);
}

static void records_in_a_row_are_told_apart(void **state)
{
	(void)state;
	open_text(START "}\n" END("2") START "}\n{\"type\":\"access\",\"seq\":2}\n" END("3"));
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(record_next(reader, &line), 1);
		assert_int_equal(line.run, i < 2 ? 1 : 2);
	}
	assert_int_equal(record_next(reader, &line), 0);
	assert_true(record_is_complete(record_state(reader)));
}

static void lines_beyond_the_bound_are_dropped_and_memory_stays_bounded(void **state)
{
	struct text t = {0};

	(void)state;
	text_puts(&t, "{\"type\":\"access\",\"path\":\"");
	while (t.len < 3u * RECORD_LINE_MAX)
		text_puts(&t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			      "aaaaaaaaaaaaaaaaaa");
	text_puts(&t, "\"}\n{\"type\":\"access\",\"path\":\"/good\"}\n{\"type\":\"");
	open_bytes(t.data, t.len);
	assert_int_equal(record_next(reader, &line), 1);
	assert_bytes(line.path, "/good");
	assert_int_equal(line.number, 2);
	assert_int_equal(record_next(reader, &line), 0);
	assert_int_equal(record_state(reader)->damaged, 1);
	assert_true(record_state(reader)->truncated);
	open_bytes(t.data, 2u * RECORD_LINE_MAX); /* cut off within the long one */
	assert_int_equal(record_next(reader, &line), 0);
	assert_true(record_state(reader)->truncated);
	text_done(&t);
}

static void *write_slowly(void *arg)
{
	static const char text[] = START "}\n{\"type\":\"access\",\"path\":\"/x\"}\n" END("2");
	int fd = *(int *)arg;

	for (const char *s = text; *s; s += 7) {
		size_t left = strlen(s), n = left < 7 ? left : 7;

		if (write(fd, s, n) != (ssize_t)n)
			break;
		usleep(300);
		if (left <= 7)
			break;
	}
	close(fd);
	return NULL;
}

static void a_pipe_is_read_as_its_writer_writes(void **state)
{
	pthread_t thread;
	int fds[2], n = 0;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_slowly, &fds[1]), 0);
	assert_int_equal(record_open_fd(fds[0], false, &reader), 0);
	while (record_next(reader, &line) > 0)
		n++;
	pthread_join(thread, NULL);
	assert_int_equal(n, 3);
}

static void a_file_that_grows_is_followed(void **state)
{
	static const char text[] = START "}\n" END("2");
	int fd = memory_file("", 0), n = 0;

	(void)state;
	assert_int_equal(record_open_fd(fd, true, &reader), 0);
	for (size_t i = 0; i < strlen(text); i++) {
		assert_int_equal(pwrite(fd, text + i, 1, (off_t)i), 1);
		while (record_next(reader, &line) > 0)
			n++;
		assert_int_equal(n, (i >= strlen(START "}")) + (i == strlen(text) - 1));
		assert_false(record_state(reader)->truncated);
	}
	assert_true(record_is_complete(record_state(reader)));
}

static void errors_are_those_of_the_file(void **state)
{
	(void)state;
	assert_int_equal(record_open("/nowhere/at/all", false, &reader), -ENOENT);
	assert_int_equal(record_open("/tmp", false, &reader), 0);
	assert_int_equal(record_next(reader, &line), -EISDIR);
	assert_string_equal(record_error(reader), "Is a directory");
}

static void any_bytes_are_read_to_their_end(void **state)
{
	static const char seed[] = START ",\"argv\":[\"a\",\"\\ufffd\"],\"argv_hex\":[\"61\",\"ff\"]}\n"
					 "{\"type\":\"access\",\"seq\":2,\"pid\":7,\"path\":\"/"
					 "\\ufffd\",\"path_hex\":\"2fff\",\"exists\":true}\n"
					 "{\"type\":\"exec\",\"path\":\"/b\",\"argv\":[\"y\"]}\n" END("4");
	uint64_t random = 88172645463325252u;
	uint8_t bytes[sizeof(seed) - 1];

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(bytes, seed, sizeof(bytes));
		for (unsigned k = 0; k <= i % 4; k++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			bytes[random % sizeof(bytes)] = "\"\\{}[]:,u0\n\xff\x00 -1"[random >> 32 & 15];
		}
		LLVMFuzzerTestOneInput(bytes, sizeof(bytes) - random % 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_whole_record_is_read_with_its_values, close_reader),
		cmocka_unit_test_teardown(what_the_recorder_writes_comes_back_exactly, close_reader),
		cmocka_unit_test_teardown(damaged_lines_are_counted_and_skipped, close_reader),
		cmocka_unit_test_teardown(a_cut_off_record_is_read_as_far_as_it_goes, close_reader),
		cmocka_unit_test_teardown(missing_lines_are_noticed, close_reader),
		cmocka_unit_test_teardown(another_version_is_an_error_that_says_so, close_reader),
		cmocka_unit_test_teardown(records_in_a_row_are_told_apart, close_reader),
		cmocka_unit_test_teardown(lines_beyond_the_bound_are_dropped_and_memory_stays_bounded,
					  close_reader),
		cmocka_unit_test_teardown(a_pipe_is_read_as_its_writer_writes, close_reader),
		cmocka_unit_test_teardown(a_file_that_grows_is_followed, close_reader),
		cmocka_unit_test_teardown(errors_are_those_of_the_file, close_reader),
		cmocka_unit_test(any_bytes_are_read_to_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
