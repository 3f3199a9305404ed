/* SPDX-License-Identifier: Apache-2.0
 * The file of answers for always: what a line means, that no sequence of answers spoils it, and what can't be written.
 */
#include "tests/unit/ask_queue_harness.h"

static char dir[64], file[96];

static void make_dir(void)
{
	strcpy(dir, "/tmp/test_ask_answers.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/sub/answers.policy", dir);
}

static void remove_dir(void)
{
	static const char *const names[] = {"/sub/answers.policy", "/sub/answers.policy.lock", "/sub"};
	char path[128];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, names[i]);
		remove(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static int append(struct answers *a, const struct question *q, bool yes)
{
	return answers_append(a, q, yes, answers_ops(a, q, yes), "x\ny");
}

static void a_line_reads_back_as_the_very_name(void **state)
{
	static const char *const names[] = {
		"/home/u/plain", "/home/u/with blank", "/x/*", "/x/[a]?", "/x/\"q\"",	 "/x/new\nline",
		"/x/#c",	 "/x/$HOME",	       "/x/~", "/x/\\b",  "/x/\xff\xfe", "/x/\xe2\x80\xae",
		"/x/tab\t",	 "/x/{a,b}",	       "/x/!", "/home/u", "/home/us/er",
	};
	char *warning;

	(void)state;
	make_dir();
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct answers *a, *b;
		struct question q = about(OP_READ, names[i]);
		struct known_answer known;

		assert_int_equal(answers_new(file, "/home/u", &a, &warning), 0);
		assert_null(warning);
		assert_int_equal(append(a, &q, i % 2), 0);
		assert_int_equal(append(a, &q, i % 2), 0); /* twice is once */
		assert_int_equal(append(a, &q, !(i % 2)), -EEXIST);
		assert_int_equal(answers_new(file, "/home/u", &b, &warning), 0);
		assert_null(warning);
		assert_true(answers_find(b, &q, &known));
		assert_int_equal(known.yes, i % 2);
		q.path = "/x/b";
		q.path_len = 4;
		assert_false(answers_find(b, &q, &known));
		answers_free(a);
		answers_free(b);
	}
	remove_dir();
}

static struct answers *load(void)
{
	struct answers *a;
	char *warning;

	assert_int_equal(answers_new(file, "/home/u", &a, &warning), 0);
	if (warning)
		fail_msg("%s", warning);
	return a;
}

/* 1: yes, 0: no, -1: nothing is known. */
static int known(const struct answers *a, enum op op, const char *path)
{
	struct question q = about(op, path);
	struct known_answer k;

	return answers_find(a, &q, &k) ? k.yes : -1;
}

static void write_file(const char *text)
{
	char sub[80];
	FILE *f;

	snprintf(sub, sizeof(sub), "%s/sub", dir);
	mkdir(sub, 0700);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* In each order and each mixture of yes and no, in one run (which knows what it said) or each in one of its own. */
static void answers_to_two_operations_on_one_name_hold_both(void **state)
{
	static const enum op ops[] = {OP_LIST, OP_WRITE, OP_CREATE, OP_DELETE};
	enum { N = sizeof(ops) / sizeof(ops[0]) };

	(void)state;
	for (unsigned i = 0; i < N * N * 8; i++) {
		enum op first = ops[i / 8 % N], second = ops[i / 8 / N];
		struct question q = about(first, "/d/f"), r = about(second, "/d/f");
		bool yes = i & 1, too = i & 2, fills = first == OP_CREATE && yes && second == OP_WRITE;
		struct answers *a;

		if (first == second)
			continue;
		make_dir();
		a = load();
		assert_int_equal(append(a, &q, yes), 0);
		if (i & 4) {
			answers_remember(a, &q, NULL, SCOPE_ALWAYS, yes);
		} else {
			answers_free(a);
			a = load();
		}
		assert_int_equal(append(a, &r, too), fills && !too ? -EEXIST : 0);
		answers_free(a);
		a = load();
		assert_int_equal(known(a, first, "/d/f"), yes);
		assert_int_equal(known(a, second, "/d/f"), too || fills);
		answers_free(a);
		remove_dir();
	}
}

static void an_answer_for_always_is_for_its_name_alone(void **state)
{
	static const enum op ops[] = {OP_LIST, OP_CREATE, OP_DELETE, OP_META};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct question q = about(ops[i / 2], "/d/new");
		struct answers *a;

		make_dir();
		a = load();
		q.makes_dir = q.op == OP_CREATE;
		assert_int_equal(append(a, &q, i % 2), 0);
		answers_free(a);
		a = load();
		assert_int_equal(known(a, q.op, "/d/new"), i % 2);
		for (unsigned op = 0; op < OP_COUNT; op++) {
			assert_int_equal(known(a, (enum op)op, "/d/new/sub"), -1);
			assert_int_equal(known(a, (enum op)op, "/d/new/sub/f"), -1);
			if (op != q.op)
				assert_int_equal(known(a, (enum op)op, "/d/new"), -1);
		}
		answers_free(a);
		remove_dir();
	}
}

static void what_lies_beneath_can_be_said_by_hand(void **state)
{
	struct answers *a;

	(void)state;
	make_dir();
	write_file("allow read /d/**\ndeny read /d/secret\n");
	a = load();
	assert_int_equal(known(a, OP_READ, "/d/e/f"), 1);
	assert_int_equal(known(a, OP_READ, "/d/secret"), 0);
	assert_int_equal(known(a, OP_READ, "/d"), -1);
	answers_free(a);
	remove_dir();
}

/* What is said of each operation on each name. */
enum { NAMES = 6, RUNS = 3 };
struct model {
	int said[OP_COUNT][NAMES];
};

static const char *const names_of_model[NAMES] = {"/d", "/d/e", "/d/e/f", "/d/e/f/g", "/home/u", "/home/u/*"};

static void answer_at_random(struct answers *a, struct model *m, unsigned dice)
{
	unsigned name = dice % NAMES;
	struct question q = about((enum op)(dice / NAMES % OP_BIND), names_of_model[name]);
	bool yes = dice & 1 << 20, opposite = false;
	opset ops;
	int r;

	q.makes_dir = dice & 1 << 21;
	ops = answers_ops(a, &q, yes);
	assert_true(ops & OPBIT(q.op));
	for (unsigned op = 0; op < OP_COUNT; op++)
		opposite |= ops & OPBIT(op) && m->said[op][name] == !yes;
	r = append(a, &q, yes);
	assert_int_equal(r, opposite ? -EEXIST : 0);
	for (unsigned op = 0; r == 0 && op < OP_COUNT; op++) {
		if (!(ops & OPBIT(op)))
			continue;
		q.op = (enum op)op;
		answers_remember(a, &q, NULL, SCOPE_ALWAYS, yes);
		m->said[op][name] = yes;
	}
}

/* Runs come and go, several at once, each with what the file said when it began. */
static void any_sequence_of_answers_for_always_loads_and_holds(void **state)
{
	struct answers *runs[RUNS], *a;

	(void)state;
	srandom(7);
	for (unsigned round = 0; round < 4; round++) {
		struct model m;

		memset(&m, -1, sizeof(m));
		make_dir();
		for (unsigned i = 0; i < RUNS; i++)
			runs[i] = load();
		for (unsigned step = 0; step < 80; step++) {
			unsigned run = (unsigned)random() % RUNS;

			if (random() % 4 == 0) {
				answers_free(runs[run]);
				runs[run] = load();
			}
			answer_at_random(runs[run], &m, (unsigned)random());
			a = load();
			for (unsigned op = 0; op < OP_COUNT; op++)
				for (unsigned name = 0; name < NAMES; name++)
					assert_int_equal(known(a, (enum op)op, names_of_model[name]),
							 m.said[op][name]);
			answers_free(a);
		}
		for (unsigned i = 0; i < RUNS; i++)
			answers_free(runs[i]);
		remove_dir();
	}
}

/* Lines by hand that no line can be added to: the answer holds for the run, and the file stays what it is. */
static void a_line_that_would_make_it_no_policy_is_not_written(void **state)
{
	static const char *const files[] = {
		"allow reed /x\n",				   /* is none */
		"ask read /d/f\n",				   /* would make the line idle */
		"never read /d/f\nallow read /d/f\n",		   /* is none */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct ask_reply r = {.answer = ANSWER_YES, .scope = SCOPE_ALWAYS, .by = "test"};
		struct caller c[2];
		struct views v;
		struct asker *a;
		char text[256];
		FILE *f;

		make_dir();
		write_file(files[i]);
		a = make(file);
		submit(a, &c[0], OP_READ, "/d/f");
		v = look(a);
		r.line = v.yes[0];
		assert_int_equal(ask_answer(a, v.v[0].number, v.v[0].nonce, &r), 1);
		assert_told(&c[0], ANSWER_YES);
		submit(a, &c[1], OP_READ, "/d/f");
		assert_told(&c[1], ANSWER_YES);
		asker_free(a);
		f = fopen(file, "r");
		assert_non_null(f);
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		assert_string_equal(text, files[i]);
		remove_dir();
	}
}

/* A file that is as large as it may be stays what it is, too. */
static void a_full_file_gets_no_line(void **state)
{
	struct question q = about(OP_READ, "/d/f");
	struct answers *a;
	struct stat st;
	FILE *f;

	(void)state;
	make_dir();
	write_file("");
	f = fopen(file, "w");
	assert_non_null(f);
	for (unsigned i = 0; i < (1 << 20) - 10; i++)
		fputc(i % 100 ? '#' : '\n', f);
	fclose(f);
	a = load();
	assert_int_equal(append(a, &q, true), -EBADMSG);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, (1 << 20) - 10);
	answers_free(a);
	a = load();
	answers_free(a);
	remove_dir();
}

static void always_is_written_only_with_the_line_that_was_shown(void **state)
{
	struct asker *a;
	struct caller c;
	struct views v;
	struct ask_reply r = {.answer = ANSWER_YES, .scope = SCOPE_ALWAYS, .by = "test"};

	(void)state;
	make_dir();
	a = make(file);
	submit(a, &c, OP_READ, "/d/f");
	v = look(a);
	assert_string_equal(v.yes[0], "allow read /d/f");
	assert_int_equal(ask_answer(a, v.v[0].number, v.v[0].nonce, &r), -EINVAL);
	r.line = "allow read /";
	assert_int_equal(ask_answer(a, v.v[0].number, v.v[0].nonce, &r), -EINVAL);
	assert_int_equal(access(file, F_OK), -1);
	r.line = "allow read /d/f";
	assert_int_equal(ask_answer(a, v.v[0].number, v.v[0].nonce, &r), 0);
	assert_told(&c, ANSWER_YES);
	asker_free(a);
	remove_dir();
}

static void an_answer_that_cant_be_written_leaves_the_question_open(void **state)
{
	struct ask_reply r = {.answer = ANSWER_YES, .scope = SCOPE_ALWAYS, .line = "allow read /d/f"};
	struct asker *a = make("/proc/nowhere/answers.policy");
	struct caller c;
	struct views v;

	(void)state;
	submit(a, &c, OP_READ, "/d/f");
	v = look(a);
	assert_true(ask_answer(a, v.v[0].number, v.v[0].nonce, &r) < 0);
	assert_int_equal(atomic_load(&c.told), 0);
	assert_int_equal(reply(a, &v.v[0], ANSWER_NO, SCOPE_ONCE), 0);
	assert_told(&c, ANSWER_NO);
	asker_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_reads_back_as_the_very_name),
		cmocka_unit_test(answers_to_two_operations_on_one_name_hold_both),
		cmocka_unit_test(an_answer_for_always_is_for_its_name_alone),
		cmocka_unit_test(what_lies_beneath_can_be_said_by_hand),
		cmocka_unit_test(any_sequence_of_answers_for_always_loads_and_holds),
		cmocka_unit_test(a_line_that_would_make_it_no_policy_is_not_written),
		cmocka_unit_test(a_full_file_gets_no_line),
		cmocka_unit_test(always_is_written_only_with_the_line_that_was_shown),
		cmocka_unit_test(an_answer_that_cant_be_written_leaves_the_question_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
