/* SPDX-License-Identifier: Apache-2.0
 * The observer: what is counted, what is recorded, where it is written, and what is said of losses.
 */
#include "core/observe/observe.h"
#include "core/observe/outfile.h"
#include "core/observe/text.h"

#include <errno.h>
#include <fcntl.h>
#include <json.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES_MAX = 65536 };

static char dir[] = "/tmp/sluice-test.XXXXXX";
static char said[65536]; /* on stderr */
static struct policy_error error;
static char *lines[LINES_MAX];
static size_t n_lines;
static char *const argv[] = {(char[]){"make"}, (char[]){"a\xff"}, NULL};

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *p = paths[next++ & 3];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *data = NULL;
	size_t size = 0;

	assert_non_null(f);
	if (getdelim(&data, &size, '\0', f) < 0)
		data[0] = '\0';
	fclose(f);
	return data;
}

static struct observer *observe(const char *record, const char *stats)
{
	struct observer_config config = {.record_path = record, .stats_path = stats, .run_name = "n", .argv = argv};
	struct observer *o = NULL;

	if (observer_new(&config, &o, &error) < 0)
		return NULL;
	return o;
}

static void finish(struct observer *o, int wstatus)
{
	struct run_stats stats = {.notifications = 5, .workers = 2, .wall_us = 77};
	int old = dup(2), fd = open(in_dir("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *text;

	dup2(fd, 2);
	observer_finish(o, wstatus, &stats);
	dup2(old, 2);
	close(old);
	close(fd);
	text = slurp(in_dir("stderr"));
	snprintf(said, sizeof(said), "%s", text);
	free(text);
	observer_free(o);
}

static struct access_event event(const char *path, bool allowed)
{
	return (struct access_event){
		.pid = getpid(), .tid = getpid(), .call = "openat", .op = OP_READ, .path = path,
		.path_len = strlen(path), .exists = 1, .allowed = allowed,
		.verdict = {.action = allowed ? ACTION_ALLOW : ACTION_DENY, .err = allowed ? 0 : EACCES},
		.by = BY_DEFAULT, .reply = allowed ? REPLY_CONTINUE : REPLY_ERRNO, .layer = LAYER_SUPERVISOR,
		.err = allowed ? 0 : EACCES, .dur_ns = 12345,
	};
}

static void read_lines(const char *path)
{
	static char *data;

	free(data);
	data = slurp(path);
	n_lines = 0;
	for (char *l = strtok(data, "\n"); l && n_lines < LINES_MAX; l = strtok(NULL, "\n"))
		lines[n_lines++] = l;
}

static json_object *parse(size_t line)
{
	json_object *o = json_tokener_parse(lines[line]);

	if (!o)
		fail_msg("no JSON: %s", lines[line]);
	return o;
}

static const char *text_of(json_object *o, const char *key)
{
	json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

static int64_t number_of(json_object *o, const char *key)
{
	json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : -1;
}

static void a_record_has_a_start_its_accesses_and_an_end(void **state)
{
	struct access_event e = event("/a \"b\"\n", false);
	struct observer *o = observe(in_dir("r"), NULL);
	const char *const words[] = {"cc", "-c", "a\n.c", NULL};
	json_object *j;

	(void)state;
	assert_non_null(o);
	assert_true(observer_wants_allowed(o));
	observe_access(o, &e);
	e = event("/x\xff\xc3\xa4\033\xe2\x80\xae", true);
	observe_access(o, &e);
	observe_exec(o, &(struct exec_event){.pid = getpid(), .path = "/bin/cc", .path_len = 7, .argv = words,
					     .argv_cut = true, .cwd = "/w"});
	finish(o, 2 << 8);
	read_lines(in_dir("r"));
	assert_int_equal(n_lines, 6);
	for (size_t i = 0; i < n_lines; i++) {
		j = parse(i);
		assert_int_equal(number_of(j, "seq"), i + 1);
		assert_int_equal(strlen(text_of(j, "time")), strlen("2025-01-01T00:00:00.000000Z"));
		json_object_put(j);
	}
	j = parse(0);
	assert_string_equal(text_of(j, "type"), "start");
	assert_string_equal(text_of(j, "name"), "n");
	assert_non_null(strstr(lines[0], "\"argv\":[\"make\",\"a\\ufffd\"],\"argv_hex\":[\"6d616b65\",\"61ff\"]"));
	assert_int_equal(number_of(j, "uid"), getuid());
	json_object_put(j);
	j = parse(1);
	assert_string_equal(text_of(j, "type"), "fork");
	assert_int_equal(number_of(j, "pid"), getpid());
	assert_int_equal(number_of(j, "ppid"), getppid());
	json_object_put(j);
	j = parse(2);
	assert_string_equal(text_of(j, "path"), "/a \"b\"\n");
	assert_null(text_of(j, "path_hex"));
	assert_string_equal(text_of(j, "verdict"), "deny");
	assert_string_equal(text_of(j, "rule"), "default");
	assert_int_equal(number_of(j, "errno"), EACCES);
	assert_int_equal(number_of(j, "dur_us"), 12);
	assert_int_equal(number_of(j, "ppid"), getppid());
	assert_non_null(strstr(text_of(j, "exe"), "test_observe"));
	json_object_put(j);
	j = parse(3);
	assert_string_equal(text_of(j, "path_hex"), "2f78ffc3a41be280ae");
	assert_null(strchr(lines[3], '\033'));
	assert_null(strstr(lines[3], "\xe2\x80\xae"));
	json_object_put(j);
	assert_non_null(strstr(lines[4], "\"path\":\"/bin/cc\",\"argv\":[\"cc\",\"-c\",\"a\\n.c\"],\"argv_cut\":true,"
					 "\"cwd\":\"/w\""));
	j = parse(5);
	assert_string_equal(text_of(j, "type"), "end");
	assert_string_equal(text_of(j, "complete"), "true");
	assert_int_equal(number_of(j, "refusals"), 1);
	assert_int_equal(number_of(j, "status"), 2);
	json_object_put(j);
}

static void only_refusals_of_what_exists_are_counted(void **state)
{
	struct observer *o = observe(NULL, NULL);
	struct access_event e = event("/missing", false);

	(void)state;
	assert_false(observer_wants_allowed(o));
	e.exists = 0;
	e.err = ENOENT;
	observe_access(o, &e);
	e = event("/quiet", false);
	e.verdict.quiet = true;
	observe_access(o, &e);
	e = event("/moved", false);
	e.err = EXDEV;
	observe_access(o, &e);
	e = event("/fine", true);
	observe_access(o, &e);
	assert_int_equal(observer_refusals(o), 0);
	e = event("/created", false);
	e.op = OP_CREATE;
	e.exists = 0;
	observe_access(o, &e);
	assert_int_equal(observer_refusals(o), 1);
	finish(o, 1 << 8);
	assert_non_null(strstr(said, "1 access was refused (once)"));
	assert_non_null(strstr(said, "by test_observe\n"));
	assert_non_null(strstr(said, "answered EXDEV once"));
}

static void quiet_runs_say_nothing(void **state)
{
	struct observer_config config = {.argv = argv, .quiet = true};
	struct access_event e = event("/x", false);
	struct observer *o;

	(void)state;
	assert_int_equal(observer_new(&config, &o, &error), 0);
	observe_access(o, &e);
	observe_lost(o, "something");
	finish(o, 1 << 8);
	assert_string_equal(said, "");
}

static void what_was_lost_is_said_and_makes_the_record_incomplete(void **state)
{
	struct observer *o = observe(in_dir("r"), NULL);
	json_object *j;

	(void)state;
	for (int i = 0; i < 3; i++)
		observe_lost(o, "a process hid its memory");
	finish(o, 0);
	assert_string_equal(said, "sluice: not all was seen or done: a process hid its memory (3 times)\n");
	read_lines(in_dir("r"));
	assert_int_equal(n_lines, 5);
	j = parse(1);
	assert_string_equal(text_of(j, "type"), "lost");
	json_object_put(j);
	j = parse(4);
	assert_string_equal(text_of(j, "complete"), "false");
	json_object_put(j);
}

static void a_full_disk_is_counted_and_said(void **state)
{
	struct access_event e = event("/x", false);
	struct observer *o = observe("/dev/full", NULL);

	(void)state;
	assert_non_null(o);
	for (int i = 0; i < 10; i++)
		observe_access(o, &e);
	finish(o, 0);
	assert_non_null(strstr(said, "lines were lost (No space left on device)"));
}

static void a_file_size_limit_leaves_whole_lines(void **state)
{
	struct rlimit old, small;
	struct observer *o;

	(void)state;
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 20000;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	o = observe(in_dir("r"), NULL);
	for (int i = 0; i < 200; i++) {
		struct access_event e = event("/some/path", false);

		observe_access(o, &e);
	}
	usleep(100000); /* the writer has tried by then */
	setrlimit(RLIMIT_FSIZE, &old);
	finish(o, 0);
	read_lines(in_dir("r"));
	assert_true(n_lines > 10 && n_lines < 202);
	for (size_t i = 0; i < n_lines; i++)
		json_object_put(parse(i));
	assert_non_null(strstr(said, "lines were lost (File too large)"));
	assert_non_null(strstr(lines[n_lines - 2], "\"type\":\"lost\""));
	assert_non_null(strstr(lines[n_lines - 1], "\"complete\":false"));
}

static void links_are_not_written_through(void **state)
{
	char *data;
	FILE *f = fopen(in_dir("precious"), "w");

	(void)state;
	fputs("precious", f);
	fclose(f);
	unlink(in_dir("r"));
	assert_int_equal(symlink("precious", in_dir("r")), 0);
	assert_null(observe(in_dir("r"), NULL));
	assert_non_null(strstr(error.text, "symbolic link"));
	assert_null(observe(NULL, in_dir("r")));
	unlink(in_dir("r"));
	assert_int_equal(link(in_dir("precious"), in_dir("r")), 0);
	finish(observe(in_dir("r"), NULL), 0);
	data = slurp(in_dir("precious"));
	assert_string_equal(data, "precious");
	free(data);
	read_lines(in_dir("r"));
	assert_int_equal(n_lines, 2);
}

static void records_are_private_and_replace_older_ones(void **state)
{
	struct stat st;

	(void)state;
	finish(observe(in_dir("r"), NULL), 0);
	finish(observe(in_dir("r"), NULL), 0);
	assert_int_equal(stat(in_dir("r"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	read_lines(in_dir("r"));
	assert_int_equal(n_lines, 2);
}

static void descriptors_and_devices_are_written_as_they_are(void **state)
{
	int fd = open(in_dir("by-number"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char name[32];
	bool regular;
	int other;

	(void)state;
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	finish(observe(name, NULL), 0);
	close(fd);
	read_lines(in_dir("by-number"));
	assert_int_equal(n_lines, 2);
	other = outfile_open("/dev/null", &regular);
	assert_true(other >= 0);
	assert_false(regular);
	close(other);
	assert_int_equal(outfile_open("/dev/fd/987654", &regular), -EBADF);
	assert_true(outfile_open(dir, &regular) < 0);
	assert_int_equal(outfile_open(in_dir("none/r"), &regular), -ENOENT);
}

static void statistics_are_one_object(void **state)
{
	json_object *j;

	(void)state;
	finish(observe(NULL, in_dir("s")), 9);
	read_lines(in_dir("s"));
	assert_int_equal(n_lines, 1);
	j = parse(0);
	assert_int_equal(number_of(j, "notifications"), 5);
	assert_int_equal(number_of(j, "wall_us"), 77);
	assert_int_equal(number_of(j, "signal"), 9);
	assert_string_equal(text_of(j, "name"), "n");
	json_object_put(j);
}

static size_t count_of(const char *type)
{
	char begin[64];
	size_t n = 0;

	snprintf(begin, sizeof(begin), "{\"type\":\"%s\"", type);
	for (size_t i = 0; i < n_lines; i++)
		n += strncmp(lines[i], begin, strlen(begin)) == 0;
	return n;
}

static void *storm(void *arg)
{
	struct observer *o = arg;

	for (int i = 0; i < 2000; i++) {
		char path[32];
		struct access_event e;

		snprintf(path, sizeof(path), "/storm/%d", i % 50);
		e = event(path, i % 2);
		observe_access(o, &e);
	}
	return NULL;
}

static void threads_lose_nothing_and_keep_the_order_of_numbers(void **state)
{
	struct observer *o = observe(in_dir("r"), NULL);
	pthread_t t[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, storm, o), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(observer_refusals(o), 8000);
	finish(o, 1 << 8);
	read_lines(in_dir("r"));
	assert_int_equal(n_lines, 16003);
	assert_int_equal(count_of("fork"), 1);
	for (size_t i = 0; i < n_lines; i += 97) {
		json_object *j = parse(i);

		assert_int_equal(number_of(j, "seq"), i + 1);
		json_object_put(j);
	}
	assert_non_null(strstr(said, "(8000 times)"));
}

static void a_flood_of_kinds_takes_bounded_memory(void **state)
{
	struct observer *o = observe(NULL, NULL);

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char path[64];
		struct access_event e;

		snprintf(path, sizeof(path), "/flood/%d/x", i);
		e = event(path, false);
		observe_access(o, &e);
	}
	finish(o, 1 << 8);
	assert_non_null(strstr(said, "(20000 times)"));
	assert_non_null(strstr(said, "and at least "));
}

static void json_strings_are_exact_or_have_a_twin(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
		bool exact;
	} cases[] = {
		{"a/b", 3, "\"a/b\"", true},
		{"\"\\\n\t\x7f", 5, "\"\\\"\\\\\\n\\u0009\\u007f\"", true},
		{"\0x", 2, "\"\\u0000x\"", true},
		{"\xc3\xa4\xf0\x9f\x98\x80", 6, "\"\xc3\xa4\xf0\x9f\x98\x80\"", true},
		{"\xc2\x9b\xe2\x80\xae", 5, "\"\\u009b\\u202e\"", true},
		{"\xc3", 1, "\"\\ufffd\"", false},
		{"\xc0\xaf", 2, "\"\\ufffd\\ufffd\"", false},
		{"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"", false},
		{"\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", false},
		{"\xe2\x82", 2, "\"\\ufffd\\ufffd\"", false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text t = {0};

		assert_int_equal(json_string(&t, cases[i].in, cases[i].len), cases[i].exact);
		assert_string_equal(t.data, cases[i].out);
		text_done(&t);
	}
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"r", "s", "stderr", "precious", "by-number"};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(in_dir(names[i]));
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_a_start_its_accesses_and_an_end),
		cmocka_unit_test(only_refusals_of_what_exists_are_counted),
		cmocka_unit_test(quiet_runs_say_nothing),
		cmocka_unit_test(what_was_lost_is_said_and_makes_the_record_incomplete),
		cmocka_unit_test(a_full_disk_is_counted_and_said),
		cmocka_unit_test(a_file_size_limit_leaves_whole_lines),
		cmocka_unit_test(links_are_not_written_through),
		cmocka_unit_test(records_are_private_and_replace_older_ones),
		cmocka_unit_test(descriptors_and_devices_are_written_as_they_are),
		cmocka_unit_test(statistics_are_one_object),
		cmocka_unit_test(threads_lose_nothing_and_keep_the_order_of_numbers),
		cmocka_unit_test(a_flood_of_kinds_takes_bounded_memory),
		cmocka_unit_test(json_strings_are_exact_or_have_a_twin),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
