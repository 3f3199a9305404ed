/* SPDX-License-Identifier: Apache-2.0
 * Properties over random policies, with fixed seeds: agreement with the reference, the promises of
 * POLICY.md section 3, moves against brute force. The names are few so that rules meet each other.
 */
#include "tests/unit/policy_host.h"
#include "tests/unit/policy_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define RULES_MAX 14
#define PATHS_MAX 400
#define SEEDS	  240

static const struct fake_world world = {.variables = usual_variables};

static uint64_t seed;
static bool exact; /* policies are */

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static void random_pattern(char *out, bool globs)
{
	static const char *const names[] = {"a", "b", "ab", "c"};
	static const char *const wild[] = {"*", "a*", "?", "[ab]", "*b", "**"};
	unsigned depth = random_below(4);
	bool floating = globs && random_below(10) == 0, star = false;

	out[0] = '\0';
	if (floating)
		strcat(out, "**");
	if (depth == 0 && random_below(3))
		depth = 1;
	if (floating && depth == 0)
		depth = 1;
	for (unsigned i = 0; i < depth; i++) {
		const char *name = globs && random_below(4) == 0 ? wild[random_below(star ? 5 : 6)]
								 : names[random_below(4)];

		star = strcmp(name, "**") == 0;
		if (floating && i == 0 && star)
			name = "a";
		strcat(out, "/");
		strcat(out, name);
	}
	if (depth == 0 && !floating)
		strcat(out, "/");
}

static struct reference_rule random_rule(bool globs)
{
	static const opset ops[] = {OPBIT(OP_READ),
				    OPBIT(OP_WRITE),
				    OPBIT(OP_READ) | OPBIT(OP_LIST),
				    OPBIT(OP_CREATE) | OPBIT(OP_DELETE),
				    OPBIT(OP_STAT),
				    OPBIT(OP_CONNECT),
				    OPBIT(OP_READ) | OPBIT(OP_WRITE) | OPBIT(OP_CREATE) | OPBIT(OP_DELETE)};
	struct reference_rule rule = {.ops = ops[random_below(7)], .rank = random_below(3)};
	unsigned dice = random_below(20);

	rule.action = dice < 9	  ? ACTION_ALLOW
		      : dice < 16 ? ACTION_DENY
		      : dice < 19 ? ACTION_ASK
				  : ACTION_NEVER;
	random_pattern(rule.pattern, globs);
	return rule;
}

/* The policy, or NULL if it is refused. SHIFT permutes lines and files. */
static struct policy *build(const struct reference_rule *rules, size_t n, unsigned shift)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error;
	int r = 0;

	assert_non_null(p);
	if (exact)
		policy_set_exact(p);
	for (unsigned k = 0; k <= RANK_ANSWER && r == 0; k++) {
		enum rank rank = (k + shift) % (RANK_ANSWER + 1);
		char text[4096] = "";

		for (size_t i = 0; i < n; i++) {
			const struct reference_rule *rule = &rules[shift & 1 ? n - 1 - i : (i + shift) % n];
			char ops[64];

			if (rule->rank != rank)
				continue;
			opset_format(rule->ops, ops, sizeof(ops));
			sprintf(text + strlen(text), "%s %s %s\n", action_names[rule->action], ops,
				rule->pattern);
		}
		r = policy_add_text(p, "random", rank, text, strlen(text), &error);
		if (r < 0)
			fail_msg("%s in %s", error.text, text);
	}
	r = policy_finish(p, &error);
	if (r == 0)
		return p;
	assert_non_null(strstr(error.text, "has no effect"));
	policy_free(p);
	return NULL;
}

/* A random policy that is accepted. */
static struct policy *random_policy(struct reference_rule *rules, size_t *ret_n, bool globs)
{
	for (;;) {
		struct policy *p;

		*ret_n = 1 + random_below(RULES_MAX);
		for (size_t i = 0; i < *ret_n; i++)
			rules[i] = random_rule(globs);
		p = build(rules, *ret_n, 0);
		if (p)
			return p;
	}
}

/* All paths of the small world, "/" first. */
static size_t all_paths(char paths[][64], unsigned depth_max)
{
	static const char *const names[] = {"a", "b", "ab", "c", "zz"};
	size_t n = 1, from = 0, to;

	strcpy(paths[0], "/");
	for (unsigned depth = 1; depth <= depth_max; depth++) {
		to = n;
		for (size_t i = from; i < to; i++)
			for (unsigned k = 0; k < (depth > 2 ? 3u : 5u); k++)
				sprintf(paths[n++], "%s/%s", i == 0 ? "" : paths[i], names[k]);
		from = to;
	}
	assert_true(n <= PATHS_MAX);
	return n;
}

static char paths[PATHS_MAX][64];
static size_t n_paths;

static enum action decide(const struct policy *p, enum op op, const char *path)
{
	return policy_decide(p, op, path, strlen(path)).action;
}

static void compare_with_the_reference(size_t least)
{
	struct reference_rule rules[RULES_MAX];
	size_t n, by_rules = 0;

	seed = 1;
	for (int round = 0; round < SEEDS; round++) {
		struct policy *p = random_policy(rules, &n, round % 4 != 0);

		for (size_t i = 0; i < n_paths; i++)
			for (unsigned op = 0; op < OP_BIND; op++) {
				struct reference_verdict v = reference_decide(rules, n, op, paths[i], exact);
				struct verdict got = policy_decide(p, op, paths[i], strlen(paths[i]));

				if (got.action != v.action)
					fail_msg("round %d: %s %s: %s, not %s", round, op_names[op], paths[i],
						 action_names[got.action], action_names[v.action]);
				assert_int_equal(got.rule == NULL, v.object == 0);
				by_rules += v.object > 0;
			}
		policy_free(p);
	}
	assert_true(by_rules > least); /* a positive control: rules did speak */
}

static void agrees_with_the_reference(void **state)
{
	(void)state;
	compare_with_the_reference(50000);
}

static void agrees_with_the_reference_where_names_are_exact(void **state)
{
	(void)state;
	exact = true;
	compare_with_the_reference(10000);
	exact = false;
}

static void pays_no_heed_to_the_order_of_lines(void **state)
{
	struct reference_rule rules[RULES_MAX];
	size_t n;

	(void)state;
	seed = 2;
	for (int round = 0; round < SEEDS / 2; round++) {
		struct policy *p = random_policy(rules, &n, true);

		for (unsigned shift = 1; shift < 4; shift++) {
			struct policy *q = build(rules, n, shift);

			assert_non_null(q);
			for (size_t i = 0; i < n_paths; i++)
				for (unsigned op = 0; op < OP_BIND; op++) {
					struct verdict v = policy_decide(p, op, paths[i], strlen(paths[i]));
					struct verdict w = policy_decide(q, op, paths[i], strlen(paths[i]));

					assert_int_equal(v.action, w.action);
					assert_int_equal(v.err, w.err);
					assert_string_equal(v.rule ? v.rule->text : "",
							    w.rule ? w.rule->text : "");
				}
			policy_free(q);
		}
		policy_free(p);
	}
}

static void never_loosens_by_a_refusal(void **state)
{
	struct reference_rule rules[RULES_MAX + 1];
	size_t n;
	unsigned tried = 0;

	(void)state;
	seed = 3;
	for (int round = 0; round < 2 * SEEDS; round++) {
		struct policy *p = random_policy(rules, &n, true), *q;

		rules[n] = random_rule(true);
		rules[n].action = random_below(2) ? ACTION_DENY : ACTION_NEVER;
		q = build(rules, n + 1, 0);
		if (q) {
			tried++;
			for (size_t i = 0; i < n_paths; i++)
				for (unsigned op = 0; op < OP_BIND; op++)
					if (decide(q, op, paths[i]) < decide(p, op, paths[i]))
						fail_msg("%s %s loosened by %s", op_names[op], paths[i],
							 rules[n].pattern);
		}
		policy_free(q);
		policy_free(p);
	}
	assert_true(tried > SEEDS / 2);
}

static void keeps_what_users_say_whatever_profiles_allow(void **state)
{
	struct reference_rule rules[RULES_MAX + 1];
	size_t n;
	unsigned compared = 0;

	(void)state;
	seed = 4;
	for (int round = 0; round < 2 * SEEDS; round++) {
		struct policy *p = random_policy(rules, &n, true), *q;

		rules[n] = random_rule(true);
		rules[n].action = ACTION_ALLOW;
		rules[n].rank = RANK_BUILTIN;
		q = build(rules, n + 1, 0);
		for (size_t i = 0; q && i < n_paths; i++)
			for (unsigned op = 0; op < OP_BIND; op++) {
				struct reference_verdict v = reference_decide(rules, n, op, paths[i], false);

				if (v.object == 0 || v.rank == RANK_BUILTIN ||
				    reference_object(rules[n].pattern, paths[i]) > v.object)
					continue;
				compared++;
				assert_int_equal(decide(q, op, paths[i]), decide(p, op, paths[i]));
			}
		policy_free(q);
		policy_free(p);
	}
	assert_true(compared > 5000);
}

/* What a move would loosen, by looking at every name beneath. */
static bool widens_by_brute_force(const struct policy *p, const char *old, const char *new, bool is_dir)
{
	for (size_t i = 0; i < (is_dir ? n_paths : 1); i++) {
		char a[128], b[128];

		sprintf(a, "%s%s", old, i == 0 ? "" : paths[i]);
		sprintf(b, "%s%s", new, i == 0 ? "" : paths[i]);
		for (unsigned op = 0; op < OP_BIND; op++)
			if (decide(p, op, a) > decide(p, op, b))
				return true;
	}
	return false;
}

static void compare_moves(unsigned least_percent)
{
	struct reference_rule rules[RULES_MAX];
	unsigned widened = 0, right = 0, total = 0;
	size_t n;

	seed = 5;
	for (int round = 0; round < SEEDS; round++) {
		bool globs = round % 2;
		struct policy *p = random_policy(rules, &n, globs);

		for (int k = 0; k < 12; k++) {
			const char *old = paths[1 + random_below(30)], *new = paths[1 + random_below(30)];
			bool is_dir = random_below(3) > 0;
			bool truth = widens_by_brute_force(p, old, new, is_dir);
			bool said = policy_move_widens(p, old, strlen(old), new, strlen(new), is_dir);

			if (truth && !said)
				fail_msg("round %d: %s to %s widens", round, old, new);
			if (!globs && said != truth) /* without globs it is exact */
				fail_msg("round %d: %s to %s does not widen", round, old, new);
			widened += truth;
			right += said == truth;
			total++;
		}
		policy_free(p);
	}
	assert_true(widened > total * least_percent / 100);
	assert_true(right > total * 8 / 10); /* conservative, but not by saying yes to all */
}

static void sees_every_move_that_widens(void **state)
{
	(void)state;
	compare_moves(10);
}

static void sees_every_move_that_widens_where_names_are_exact(void **state)
{
	(void)state;
	exact = true;
	compare_moves(5);
	exact = false;
}

static void lets_missing_parents_be_made_and_nothing_else(void **state)
{
	struct reference_rule rules[RULES_MAX];
	unsigned made = 0;
	size_t n;

	(void)state;
	seed = 6;
	for (int round = 0; round < SEEDS; round++) {
		struct policy *p = random_policy(rules, &n, false);

		for (size_t i = 1; i < n_paths; i++) {
			struct verdict create = policy_decide(p, OP_CREATE, paths[i], strlen(paths[i]));
			struct verdict mkdir = policy_decide_mkdir(p, paths[i], strlen(paths[i]));
			bool below = false;

			if (mkdir.action == create.action)
				continue;
			made++;
			assert_int_equal(mkdir.action, ACTION_ALLOW);
			assert_int_not_equal(create.action, ACTION_NEVER);
			for (size_t k = 0; k < n; k++)
				below |= strncmp(rules[k].pattern, paths[i], strlen(paths[i])) == 0 &&
					 rules[k].pattern[strlen(paths[i])] == '/' &&
					 decide(p, OP_CREATE, rules[k].pattern) == ACTION_ALLOW;
			assert_true(below);
		}
		policy_free(p);
	}
	assert_true(made > 20);
}

static void knows_what_may_match_beneath(void **state)
{
	(void)state;
	seed = 7;
	for (int round = 0; round < 4 * SEEDS; round++) {
		struct policy_host host = fake_host(&world);
		struct policy *p = policy_new(&host);
		const struct rule *rule;
		char pattern[64], text[96];
		size_t n;

		random_pattern(pattern, true);
		sprintf(text, "allow read %s\n", pattern);
		assert_int_equal(policy_add_text(p, "t", RANK_USER, text, strlen(text), NULL), 0);
		assert_int_equal(policy_finish(p, NULL), 0);
		rule = policy_rules(p, &n);
		for (size_t i = 0; i < n_paths && i < 60; i++) {
			size_t object = pattern_object(&rule->names[0], paths[i], strlen(paths[i]));
			bool may = pattern_may_match_below(&rule->names[0], paths[i], strlen(paths[i]));
			bool does = false;

			assert_int_equal(object, reference_object(pattern, paths[i]));
			if (object > 0) {
				assert_false(may);
				continue;
			}
			for (size_t k = 1; k < n_paths && !does; k++) {
				char path[128];

				sprintf(path, "%s%s", i == 0 ? "" : paths[i], paths[k]);
				does = reference_object(pattern, path) > 0;
			}
			if (does)
				assert_true(may);
		}
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_reference),
		cmocka_unit_test(agrees_with_the_reference_where_names_are_exact),
		cmocka_unit_test(pays_no_heed_to_the_order_of_lines),
		cmocka_unit_test(never_loosens_by_a_refusal),
		cmocka_unit_test(keeps_what_users_say_whatever_profiles_allow),
		cmocka_unit_test(sees_every_move_that_widens),
		cmocka_unit_test(sees_every_move_that_widens_where_names_are_exact),
		cmocka_unit_test(lets_missing_parents_be_made_and_nothing_else),
		cmocka_unit_test(knows_what_may_match_beneath),
	};

	n_paths = all_paths(paths, 4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
