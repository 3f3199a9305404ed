/* SPDX-License-Identifier: Apache-2.0
 * Questions without a terminal: how they are joined, folded, answered and remembered, and that each caller is
 * told exactly once whatever happens at the same time.
 */
#include "tests/unit/ask_queue_harness.h"

static void identical_questions_are_one(void **state)
{
	struct asker *a = make(NULL);
	struct caller c[3];
	struct views v;

	(void)state;
	for (int i = 0; i < 3; i++)
		submit(a, &c[i], OP_READ, "/d/f");
	v = look(a);
	assert_int_equal(v.n, 1);
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), 0);
	for (int i = 0; i < 3; i++)
		assert_told(&c[i], ANSWER_YES);
	assert_int_equal(reply(a, &v.v[0], ANSWER_NO, SCOPE_ONCE), -ENOENT);
	asker_free(a);
}

static void another_operation_or_program_is_another_question(void **state)
{
	struct asker *a = make(NULL);
	struct question q = about(OP_READ, "/d/f");
	struct caller c[3];

	(void)state;
	ask_submit(a, &q, take, &c[0]);
	q.op = OP_WRITE;
	ask_submit(a, &q, take, &c[1]);
	q.exe = "/bin/y";
	ask_submit(a, &q, take, &c[2]);
	assert_int_equal(look(a).n, 3);
	asker_free(a);
}

static void a_new_directory_is_another_question_than_a_new_file(void **state)
{
	struct asker *a = make(NULL);
	struct question q = about(OP_CREATE, "/d/f");
	struct caller c[2];

	(void)state;
	q.exists = false;
	ask_submit(a, &q, take, &c[0]);
	q.makes_dir = true;
	ask_submit(a, &q, take, &c[1]);
	assert_int_equal(look(a).n, 2);
	asker_free(a);
}

static void three_names_of_a_directory_become_one_question(void **state)
{
	struct asker *a = make(NULL);
	struct caller c[5];
	struct views v;
	char path[32];

	(void)state;
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/d/f%d", i);
		submit(a, &c[i], OP_READ, path);
	}
	v = look(a);
	assert_int_equal(v.n, 1);
	assert_string_equal(v.path[0], "/d");
	assert_int_equal(v.v[0].n_paths, 5);
	assert_false(v.v[0].offered & (1u << SCOPE_RUN | 1u << SCOPE_ALWAYS));
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ALWAYS), -EINVAL);
	v.v[0].n_paths = 4; /* a name fewer than there are was seen */
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), -ESTALE);
	v.v[0].n_paths = 5;
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), 0);
	for (int i = 0; i < 5; i++)
		assert_told(&c[i], ANSWER_YES);
	asker_free(a);
}

static void more_names_than_can_be_read_are_not_allowed_once(void **state)
{
	struct asker *a = make(NULL);
	struct caller c[20];
	struct views v;
	char path[32];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/d/f%d", i);
		submit(a, &c[i], OP_READ, path);
	}
	v = look(a);
	assert_int_equal(v.n, 1);
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), -EINVAL);
	assert_int_equal(reply(a, &v.v[0], ANSWER_NO, SCOPE_ONCE), 0);
	for (int i = 0; i < 20; i++)
		assert_told(&c[i], ANSWER_NO);
	asker_free(a);
}

static void a_directory_is_no_wider_than_that(void **state)
{
	static const char *const wide[] = {"/f", "/home/f", "/home/u/f"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct asker *a = make(NULL);
		struct caller c;
		struct views v;

		submit(a, &c, OP_READ, wide[i]);
		v = look(a);
		assert_false(v.v[0].offered & 1u << SCOPE_DIR);
		assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_DIR), -EINVAL);
		asker_free(a);
	}
}

static bool is_known(struct asker *a, const struct rule *by, const char *path, bool *ret_yes)
{
	struct question q = about(OP_READ, path);

	q.rule = by;
	return ask_is_known(a, &q, ret_yes);
}

static void an_answer_for_a_directory_is_for_its_rule_and_what_lies_beneath(void **state)
{
	struct asker *a = make(NULL);
	struct caller c;
	struct views v;
	bool yes = false;

	(void)state;
	submit(a, &c, OP_READ, "/d/f");
	v = look(a);
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_DIR), 0);
	assert_true(is_known(a, &rule, "/d/e/g", &yes) && yes);
	assert_false(is_known(a, &other_rule, "/d/e/g", &yes));
	assert_false(is_known(a, &rule, "/dd", &yes));
	assert_false(is_known(a, &rule, "/d", &yes));
	asker_free(a);
}

static void an_answer_for_the_run_settles_what_waits(void **state)
{
	struct asker *a = make(NULL);
	struct question q = about(OP_READ, "/d/f");
	struct caller c[2];
	struct views v;

	(void)state;
	ask_submit(a, &q, take, memset(&c[0], 0, sizeof(c[0])));
	q.exe = "/bin/y"; /* another program's question about the same */
	ask_submit(a, &q, take, memset(&c[1], 0, sizeof(c[1])));
	v = look(a);
	assert_int_equal(reply(a, &v.v[0], ANSWER_NO, SCOPE_RUN), 0);
	assert_told(&c[0], ANSWER_NO);
	assert_told(&c[1], ANSWER_NO);
	assert_int_equal(look(a).n, 0);
	asker_free(a);
}

static void a_wrong_nonce_or_number_answers_nothing(void **state)
{
	struct asker *a = make(NULL);
	struct caller c;
	struct views v;

	(void)state;
	submit(a, &c, OP_READ, "/d/f");
	v = look(a);
	v.v[0].nonce ^= 1;
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), -EACCES);
	v.v[0].nonce ^= 1;
	v.v[0].number++;
	assert_int_equal(reply(a, &v.v[0], ANSWER_YES, SCOPE_ONCE), -ENOENT);
	assert_int_equal(atomic_load(&c.told), 0);
	asker_free(a);
	assert_told(&c, ANSWER_NO); /* the end of the run */
}

static void other_rules_send_everybody_back(void **state)
{
	struct asker *a = make(NULL);
	struct caller c[2];

	(void)state;
	submit(a, &c[0], OP_READ, "/d/f");
	submit(a, &c[1], OP_WRITE, "/e/f");
	ask_again(a);
	assert_told(&c[0], ANSWER_AGAIN);
	assert_told(&c[1], ANSWER_AGAIN);
	asker_free(a);
}

/* ---- all at once ---- */

enum { THREADS = 4, ROUNDS = 3000 };

struct stress {
	struct asker *a;
	struct caller *callers; /* THREADS * ROUNDS */
	unsigned thread;
	atomic_bool *over;
};

static void *submitter(void *arg)
{
	struct stress *s = arg;
	char path[32];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct question q;

		snprintf(path, sizeof(path), "/d%u/f%u", i % 5, i % 7);
		q = about(i % 3 ? OP_READ : OP_WRITE, path);
		q.tid = (pid_t)(1000000000 + s->thread * ROUNDS +
				i); /* nobody: found to be gone now and then */
		ask_submit(s->a, &q, take, &s->callers[s->thread * ROUNDS + i]);
		if (i % 16 == 0)
			ask_withdraw(s->a, q.tid);
		if (i % 64 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
	}
	return NULL;
}

static void *answerer(void *arg)
{
	struct stress *s = arg;

	for (unsigned i = 0; !atomic_load(s->over); i++) {
		struct views v = look(s->a);

		for (unsigned k = 0; k < v.n; k++)
			reply(s->a, &v.v[k], k % 2 ? ANSWER_YES : ANSWER_NO, SCOPE_ONCE);
		if (i % 32 == 0)
			ask_again(s->a);
		ask_set_clients(s->a, i % 3);
	}
	return NULL;
}

static void each_caller_is_told_exactly_once(void **state)
{
	struct asker *a = make(NULL);
	struct caller *callers = calloc(THREADS * ROUNDS, sizeof(*callers));
	struct stress s[THREADS + 2];
	pthread_t t[THREADS + 2];
	atomic_bool over = false;

	(void)state;
	assert_non_null(callers);
	for (unsigned i = 0; i < THREADS + 2; i++) {
		s[i] = (struct stress){a, callers, i, &over};
		assert_int_equal(pthread_create(&t[i], NULL, i < THREADS ? submitter : answerer, &s[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = THREADS; i < THREADS + 2; i++)
		pthread_join(t[i], NULL);
	asker_free(a);
	for (unsigned i = 0; i < THREADS * ROUNDS; i++)
		assert_int_equal(atomic_load(&callers[i].told), 1);
	free(callers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identical_questions_are_one),
		cmocka_unit_test(another_operation_or_program_is_another_question),
		cmocka_unit_test(a_new_directory_is_another_question_than_a_new_file),
		cmocka_unit_test(three_names_of_a_directory_become_one_question),
		cmocka_unit_test(more_names_than_can_be_read_are_not_allowed_once),
		cmocka_unit_test(a_directory_is_no_wider_than_that),
		cmocka_unit_test(an_answer_for_a_directory_is_for_its_rule_and_what_lies_beneath),
		cmocka_unit_test(an_answer_for_the_run_settles_what_waits),
		cmocka_unit_test(a_wrong_nonce_or_number_answers_nothing),
		cmocka_unit_test(other_rules_send_everybody_back),
		cmocka_unit_test(each_caller_is_told_exactly_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
