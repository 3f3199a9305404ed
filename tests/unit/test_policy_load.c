/* SPDX-License-Identifier: Apache-2.0
 * This machine behind a policy: names that are resolved, profiles that are found, files that are kept
 * from the command.
 */
#include "core/resolve_literal.h"
#include "core/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64] = "/tmp/sluice-test.XXXXXX";

static const char *at(const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *p = paths[next++ & 7];

	snprintf(p, sizeof(paths[0]), "%s/%s", root, name);
	return p;
}

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void expect(const char *path, const char *resolved, const char *link)
{
	char *r = NULL, *l = NULL;

	assert_int_equal(resolve_literal(path, &r, &l, NULL), 0);
	assert_string_equal(r, resolved);
	if (link)
		assert_string_equal(l, link);
	else
		assert_null(l);
	free(r);
	free(l);
}

static void names_resolve_as_far_as_they_exist(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("d"), 0700), 0);
	assert_int_equal(mkdir(at("d/e"), 0700), 0);
	put_file("d/f", "");
	assert_int_equal(symlink("d/e", at("rel")), 0);
	assert_int_equal(symlink(at("d"), at("abs")), 0);
	assert_int_equal(symlink("rel", at("chain")), 0);
	assert_int_equal(symlink("nowhere/x", at("dangling")), 0);
	assert_int_equal(symlink("loop", at("loop")), 0);

	expect("/", "/", NULL);
	expect("//..//.", "/", NULL);
	expect(at("d/f"), at("d/f"), NULL);
	expect(at("d//./f/"), at("d/f"), NULL);
	expect(at("d/missing/x"), at("d/missing/x"), NULL);
	expect(at("d/missing/../f"), at("d/f"), NULL);
	expect(at("d/.hidden"), at("d/.hidden"), NULL);
	expect(at("d/..e"), at("d/..e"), NULL);
	expect(at("rel"), at("d/e"), at("rel"));
	expect(at("rel/"), at("d/e"), at("rel"));
	expect(at("rel/.."), at("d"), NULL);
	expect(at("rel/../f"), at("d/f"), NULL);
	expect(at("rel/new"), at("d/e/new"), NULL);
	expect(at("abs/e/../f"), at("d/f"), NULL);
	expect(at("abs"), at("d"), at("abs"));
	expect(at("chain"), at("d/e"), at("chain"));
	expect(at("dangling"), at("nowhere/x"), at("dangling"));
	expect(at("dangling/y"), at("nowhere/x/y"), NULL);
}

static void names_of_the_asking_process_stay_as_they_are(void **state)
{
	(void)state;
	expect("/proc/self", "/proc/self", NULL);
	expect("/proc/self/fd/0", "/proc/self/fd/0", NULL);
	expect("/proc/self/../self/exe", "/proc/self/exe", NULL);
	expect("/proc/self/a/../exe", "/proc/self/exe", NULL);
	expect("/proc/thread-self/x", "/proc/thread-self/x", NULL);
	expect("/dev/stdin", "/proc/self/fd/0", "/dev/stdin");
	expect("/dev/fd", "/proc/self/fd", "/dev/fd");
	expect("/proc/mounts", "/proc/self/mounts", "/proc/mounts");
}

static void what_has_no_name_is_an_error(void **state)
{
	char *r, *l, long_path[PATH_MAX + 10];

	(void)state;
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(resolve_literal("relative", &r, &l, NULL), -EINVAL);
	assert_int_equal(resolve_literal("", &r, &l, NULL), -EINVAL);
	assert_int_equal(resolve_literal(at("loop/x"), &r, &l, NULL), -ELOOP);
	assert_int_equal(resolve_literal(long_path, &r, &l, NULL), -ENAMETOOLONG);
}

static void a_worktree_counts_only_if_its_repository_says_so(void **state)
{
	char line[2 * PATH_MAX], *git;

	(void)state;
	assert_null(find_gitdir(root));
	assert_int_equal(mkdir(at("repo"), 0700), 0);
	assert_int_equal(mkdir(at("repo/.git"), 0700), 0);
	assert_int_equal(mkdir(at("repo/.git/worktrees"), 0700), 0);
	assert_int_equal(mkdir(at("repo/.git/worktrees/w"), 0700), 0);
	assert_int_equal(mkdir(at("repo/sub"), 0700), 0);
	assert_int_equal(mkdir(at("w"), 0700), 0);
	git = find_gitdir(at("repo/sub"));
	assert_string_equal(git, at("repo/.git"));
	free(git);

	snprintf(line, sizeof(line), "gitdir: %s\n", at("repo/.git/worktrees/w"));
	put_file("w/.git", line);
	assert_null(find_gitdir(at("w")));
	snprintf(line, sizeof(line), "%s\n", at("w/.git"));
	put_file("repo/.git/worktrees/w/gitdir", line);
	git = find_gitdir(at("w"));
	assert_string_equal(git, at("repo/.git"));
	free(git);
	/* A project that names a place which is no repository of its own. */
	snprintf(line, sizeof(line), "gitdir: %s\n", at("d/e"));
	put_file("w/.git", line);
	snprintf(line, sizeof(line), "%s\n", at("w/.git"));
	put_file("d/e/gitdir", line);
	assert_null(find_gitdir(at("w")));
}

static struct policy *load(const char **policies, unsigned n, const char *const *protect, struct policy_error *e)
{
	struct policy_options o = {.policies = policies, .n_policies = n};
	struct policy *p = NULL;

	e->text[0] = '\0';
	return policy_load(&o, "/tmp/private", protect, &p, e) < 0 ? NULL : p;
}

static enum action decide(const struct policy *p, enum op op, const char *path)
{
	return policy_decide(p, op, path, strlen(path)).action;
}

static void files_in_use_are_kept_from_the_command(void **state)
{
	const char *policies[] = {"./my.policy"}, *protect[] = {"rec.jsonl", NULL};
	struct policy_error e;
	struct policy *p;

	(void)state;
	assert_int_equal(chdir(root), 0);
	put_file("my.policy", "allow all $PWD $TMPDIR\n");
	p = load(policies, 1, protect, &e);
	if (!p)
		fail_msg("%s", e.text);
	assert_int_equal(decide(p, OP_WRITE, at("x")), ACTION_ALLOW);
	assert_int_equal(decide(p, OP_WRITE, "/tmp/private/x"), ACTION_ALLOW);
	assert_int_equal(decide(p, OP_WRITE, at("my.policy")), ACTION_NEVER);
	assert_int_equal(decide(p, OP_DELETE, at("my.policy")), ACTION_NEVER);
	assert_int_equal(decide(p, OP_READ, at("my.policy")), ACTION_ALLOW);
	assert_int_equal(decide(p, OP_CREATE, at("rec.jsonl")), ACTION_NEVER);
	assert_int_equal(decide(p, OP_CREATE, at(".config/sluice/x.policy")), ACTION_NEVER);
	assert_int_equal(strlen(policy_file_hash(policy_files(p)[0])), 64);
	policy_free(p);
}

static void mistakes_about_policies_say_what_to_write(void **state)
{
	const char *names[] = {"my.policy"};
	struct policy_error e;

	(void)state;
	assert_int_equal(chdir(root), 0);
	assert_null(load(names, 1, NULL, &e));
	assert_non_null(strstr(e.text, "write -p ./my.policy"));
	names[0] = "./missing.policy";
	assert_null(load(names, 1, NULL, &e));
	assert_non_null(strstr(e.text, "missing.policy"));
	names[0] = ".";
	assert_null(load(names, 1, NULL, &e));
	names[0] = "/dev/zero";
	assert_null(load(names, 1, NULL, &e));
}

static void profiles_of_the_user_are_found(void **state)
{
	const char *names[] = {"mine"};
	struct policy_error e;
	struct policy *p;

	(void)state;
	assert_int_equal(mkdir(at(".config"), 0700), 0);
	assert_int_equal(mkdir(at(".config/sluice"), 0700), 0);
	put_file(".config/sluice/mine.policy", "allow read ~/z\n");
	p = load(names, 1, NULL, &e);
	if (!p)
		fail_msg("%s", e.text);
	assert_int_equal(decide(p, OP_READ, at("z")), ACTION_ALLOW);
	policy_free(p);
}

static int set_up(void **state)
{
	char *real;

	(void)state;
	if (!mkdtemp(root))
		return -1;
	real = realpath(root, NULL);
	snprintf(root, sizeof(root), "%s", real);
	free(real);
	return setenv("HOME", root, 1);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return chdir("/") < 0 ? -1 : system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_resolve_as_far_as_they_exist),
		cmocka_unit_test(names_of_the_asking_process_stay_as_they_are),
		cmocka_unit_test(what_has_no_name_is_an_error),
		cmocka_unit_test(a_worktree_counts_only_if_its_repository_says_so),
		cmocka_unit_test(files_in_use_are_kept_from_the_command),
		cmocka_unit_test(mistakes_about_policies_say_what_to_write),
		cmocka_unit_test(profiles_of_the_user_are_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
