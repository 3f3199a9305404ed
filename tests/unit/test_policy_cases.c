/* SPDX-License-Identifier: Apache-2.0
 * The cases of POLICY.md section 3, row by row.
 */
#include "tests/unit/policy_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define H "/home/u"
#define P "/home/u/proj"

static const struct fake_pair links[] = {{P "/l", H "/.ssh/id"}, {NULL, NULL}};
static const struct fake_world world = {.variables = usual_variables, .links = links};

static const char builtin[] = "allow rx /usr\n"
			      "allow all $PWD\n"
			      "deny all ~/.ssh ~/.npmrc\n"
			      "allow ro ~/.cargo\n";
static const char user[] = "allow read ~/.npmrc\n"
			   "deny read **/.env\n"
			   "deny w $PWD/.git/hooks\n"
			   "allow ro ~/.ssh/known_hosts\n"
			   "never all ~/.aws\n"
			   "allow read ~/.*\n"
			   "deny all ~/.cargo/bin\n"
			   "ask read ~/.config\n"
			   "allow rw $PWD/sec/**\n"
			   "deny all $PWD/sec/k\n"
			   "allow rw ~/.claude.json ~/.claude.json.*\n"
			   "allow all ~/.cache/x\n";

static struct policy *load(const char *more, const char *answer)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error;

	assert_non_null(p);
	if (policy_add_text(p, "builtin", RANK_BUILTIN, builtin, strlen(builtin), &error) < 0 ||
	    policy_add_text(p, "my.policy", RANK_USER, user, strlen(user), &error) < 0 ||
	    (more && policy_add_text(p, "more.policy", RANK_USER, more, strlen(more), &error) < 0) ||
	    (answer && policy_add_text(p, "answer", RANK_ANSWER, answer, strlen(answer), &error) < 0) ||
	    policy_add_option(p, ACTION_DENY, "exec:" P, &error) < 0 || policy_finish(p, &error) < 0)
		fail_msg("%s", error.text);
	return p;
}

struct row {
	const char *path;
	enum op op;
	enum action action;
	const char *file;
	int line;
};

static void check(const struct policy *p, const struct row *row)
{
	struct verdict v = policy_decide(p, row->op, row->path, strlen(row->path));

	if (v.action != row->action)
		fail_msg("%s %s: %s by %s", op_names[row->op], row->path, action_names[v.action],
			 v.rule ? v.rule->text : "default");
	if (!row->file)
		assert_null(v.rule);
	else if (!v.rule || strcmp(v.rule->file, row->file) != 0 || v.rule->line != row->line)
		fail_msg("%s %s: by %s:%d", op_names[row->op], row->path, v.rule ? v.rule->file : "default",
			 v.rule ? v.rule->line : 0);
	assert_int_equal(v.err, v.action == ACTION_DENY ? EACCES : v.action == ACTION_NEVER ? EPERM : 0);
}

static void gives_the_verdicts_of_the_reference(void **state)
{
	static const struct row rows[] = {
		{"/usr/bin/cc", OP_EXEC, ACTION_ALLOW, "builtin", 1},
		{P "/a.c", OP_WRITE, ACTION_ALLOW, "builtin", 2},
		{P "/a.out", OP_EXEC, ACTION_DENY, "--deny exec:" P, 0},
		{H "/.ssh/id_ed25519", OP_READ, ACTION_DENY, "builtin", 3},
		{H "/.ssh/known_hosts", OP_READ, ACTION_ALLOW, "my.policy", 4},
		{H "/.npmrc", OP_READ, ACTION_ALLOW, "my.policy", 1},
		{H "/.npmrc", OP_WRITE, ACTION_DENY, "builtin", 3},
		{H "/.aws/config", OP_READ, ACTION_NEVER, "my.policy", 5},
		{P "/.env", OP_READ, ACTION_DENY, "my.policy", 2},
		{P "/.env/x", OP_READ, ACTION_DENY, "my.policy", 2},
		{P "/.env", OP_STAT, ACTION_ALLOW, NULL, 0},
		{P "/.git/hooks/x", OP_CREATE, ACTION_DENY, "my.policy", 3},
		{P "/.git/hooks/x", OP_READ, ACTION_ALLOW, "builtin", 2},
		{H "/.cargo/registry/i", OP_READ, ACTION_ALLOW, "my.policy", 6},
		{H "/.cargo/bin/cargo", OP_READ, ACTION_DENY, "my.policy", 7},
		{H "/.config/gh/h", OP_READ, ACTION_ASK, "my.policy", 8},
		{P "/sec/a/b", OP_WRITE, ACTION_ALLOW, "my.policy", 9},
		{P "/sec/k/b", OP_READ, ACTION_DENY, "my.policy", 10},
		{H "/.claude.json.tmp.7", OP_CREATE, ACTION_ALLOW, "my.policy", 11},
		{H "/.claude.json", OP_CREATE, ACTION_ALLOW, "my.policy", 11},
		{H "/.claude.json", OP_DELETE, ACTION_ALLOW, "my.policy", 11},
		{H "/.ssh/id", OP_READ, ACTION_DENY, "builtin", 3}, /* proj/l leads here */
		{H "/.cache", OP_CREATE, ACTION_DENY, NULL, 0},
		{H "/.cache/y", OP_CREATE, ACTION_DENY, NULL, 0},
		{H "/nope/missing", OP_READ, ACTION_DENY, NULL, 0}, /* ENOENT is the resolver's */
		{"/run/docker.sock", OP_CONNECT, ACTION_DENY, NULL, 0},
		{"/", OP_LIST, ACTION_DENY, NULL, 0},
		{"/", OP_STAT, ACTION_ALLOW, NULL, 0},
	};
	struct policy *p = load("allow connect *:*\n", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(p, &rows[i]);
	assert_int_equal(policy_decide_net(p, OP_CONNECT).action, ACTION_ALLOW);
	assert_int_equal(policy_decide_net(p, OP_BIND).action, ACTION_DENY);
	policy_free(p);
}

static void makes_missing_parents_of_what_may_be_created(void **state)
{
	static const struct {
		const char *path;
		enum action action;
	} rows[] = {
		{H "/.cache", ACTION_ALLOW},  {H "/.cache/x", ACTION_ALLOW},
		{H "/.cache/y", ACTION_DENY}, {H, ACTION_ALLOW},
		{H "/.a", ACTION_ALLOW},      {H "/.a/b/c", ACTION_ALLOW},
		{H "/.a/b/c/e", ACTION_DENY}, {H "/.a/b", ACTION_DENY}, /* a rule means this very directory */
		{H "/.z", ACTION_ALLOW},      {H "/.z/y", ACTION_DENY},
		{H "/.n/o", ACTION_NEVER},
	};
	struct policy *p =
		load("deny w ~/.a/b\nallow rw ~/.a/b/c/d\nallow rw ~/.z/*/x\nnever w ~/.n\n", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = policy_decide_mkdir(p, rows[i].path, strlen(rows[i].path));

		if (v.action != rows[i].action)
			fail_msg("mkdir %s: %s", rows[i].path, action_names[v.action]);
	}
	policy_free(p);
}

static void judges_moves_as_the_reference(void **state)
{
	static const struct {
		const char *old, *new;
		bool is_dir, widens;
	} rows[] = {
		{P "/.git", P "/g", true, true}, /* the hooks would become writable */
		{P "/src", P "/lib", true, false},
		{H "/.claude.json.tmp.7", H "/.claude.json", false, false},
		{H "/.cargo/x", P "/x", false, true}, /* the new name could be written */
		{P "/x", H "/.cargo/x", false, false},
		{P "/a/.env", P "/a/env", false, true},
		{P "/a/env", P "/a/.env", false, false},
		{P "/a", P "/b", true, false}, /* the same globs beneath both */
		{P "/.git/hooks", P "/.git/old", true, true},
		{P "/g", P "/.git", true, false},
		{P "/sec/k", P "/sec/j", true, true},
		{H "/.aws", P "/aws", true, true},
	};
	struct policy *p = load(NULL, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (policy_move_widens(p, rows[i].old, strlen(rows[i].old), rows[i].new, strlen(rows[i].new),
				       rows[i].is_dir) != rows[i].widens)
			fail_msg("%s to %s", rows[i].old, rows[i].new);
	policy_free(p);
}

static void lets_answers_speak_before_files(void **state)
{
	struct policy *p = load(NULL, "allow read ~/.config\n");

	(void)state;
	check(p, &(struct row){H "/.config/gh/h", OP_READ, ACTION_ALLOW, "answer", 1});
	policy_free(p);
}

static void puts_rank_before_lower_literals(void **state)
{
	struct policy *p = load("deny all ~/.c*\n", NULL);

	(void)state;
	check(p, &(struct row){H "/.cargo/i", OP_READ, ACTION_DENY, "more.policy", 1});
	policy_free(p);
}

static void lifts_a_floating_deny_at_one_place(void **state)
{
	struct policy *p = load("allow read $PWD/app/.env\n", NULL);

	(void)state;
	check(p, &(struct row){P "/app/.env", OP_READ, ACTION_ALLOW, "more.policy", 1});
	check(p, &(struct row){P "/app2/.env", OP_READ, ACTION_DENY, "my.policy", 2});
	policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_verdicts_of_the_reference),
		cmocka_unit_test(makes_missing_parents_of_what_may_be_created),
		cmocka_unit_test(judges_moves_as_the_reference),
		cmocka_unit_test(lets_answers_speak_before_files),
		cmocka_unit_test(puts_rank_before_lower_literals),
		cmocka_unit_test(lifts_a_floating_deny_at_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
