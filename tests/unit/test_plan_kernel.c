/* SPDX-License-Identifier: Apache-2.0
 * Plans for the real file tree, enforced by the real Landlock: what the baseline alone lets a process
 * do when no call of it is trapped. And names that mounts give, from the real mountinfo.
 *
 * Each case runs in a child, since a domain is never left; the child's exit status is the verdict.
 */
#include "core/launch/landlock.h"
#include "core/run.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/sluice-plan-XXXXXX";

static const char *get_variable(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "PWD") == 0 ? root : strcmp(name, "HOME") == 0 ? "/nonexistent" : NULL;
}

static int read_file(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	(void)ctx;
	(void)path;
	(void)ret_data;
	(void)ret_len;
	return -ENOENT;
}

static int resolve(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	(void)ctx;
	*ret_path = strdup(path);
	*ret_link = *ret_links = NULL;
	return 0;
}

static struct policy *policy_of(const char *text)
{
	static const struct policy_host host = {
		.get_variable = get_variable, .read_file = read_file, .resolve = resolve};
	struct policy_error error = {""};
	struct policy *p = policy_new(&host);

	assert_non_null(p);
	if (policy_add_text(p, "test", RANK_USER, text, strlen(text), &error) < 0 ||
	    policy_finish(p, &error) < 0)
		fail_msg("%s", error.text);
	return p;
}

static struct plan *plan_of(const char *text)
{
	const struct plan_caps caps = {.landlock_abi = landlock_abi(), .supervisor = true};
	struct policy_error error = {""};
	struct policy *policy = policy_of(text);
	struct plan *plan;

	if (policy_plan(policy, &caps, &plan, &error) < 0)
		fail_msg("%s", error.text);
	return plan;
}

static void plan_done(struct plan *plan)
{
	struct policy *policy = NULL;

	memcpy(&policy, &plan->policy, sizeof(policy)); /* made by policy_of() */
	plan_free(plan);
	policy_free(policy);
}

static void make_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* $PWD: pub, secret, sub/pub, sub/secret, other/ */
static int make_tree(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(mkdir("sub", 0755) | mkdir("other", 0755), 0);
	make_file("pub", "p");
	make_file("secret", "s");
	make_file("sub/pub", "p");
	make_file("sub/secret", "s");
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* errno of EXPR, 0 if it succeeded. */
#define OUTCOME(expr) ((expr) < 0 ? errno : 0)

static void expect(const char *what, int outcome, int wanted)
{
	if (outcome == wanted)
		return;
	fprintf(stderr, "%s: %s instead of %s\n", what, strerror(outcome), strerror(wanted));
	_exit(1);
}
#define EXPECT(expr, wanted) expect(#expr, OUTCOME(expr), wanted)

/* CASE in a child under the baseline of POLICY. */
static void run_under(const char *policy, void (*test)(void))
{
	struct plan *plan;
	pid_t child;
	int status;

	if (!landlock_abi()) {
		fprintf(stderr, "SKIP: no Landlock\n");
		skip();
	}
	plan = plan_of(policy);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = landlock_ruleset(plan, plan->baseline, plan->n_baseline);

		expect("ruleset", fd < 0 ? -fd : 0, 0);
		expect("enter", -landlock_enter(fd), 0);
		test();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	plan_done(plan);
}

static void whole_tree(void)
{
	EXPECT(open("sub/secret", O_RDWR | O_TRUNC), 0);
	EXPECT(open("sub/new", O_WRONLY | O_CREAT, 0600), 0);
	EXPECT(rename("sub/new", "other/new"), landlock_abi() >= 2 ? 0 : EXDEV);
	EXPECT(link("pub", "other/link"), landlock_abi() >= 2 ? 0 : EXDEV);
	EXPECT(mkdir("other/d", 0700), 0);
	EXPECT(rmdir("other/d"), 0);
	EXPECT(open("/etc/passwd", O_RDONLY), EACCES);
	EXPECT(open("/tmp/sluice-plan-outside", O_WRONLY | O_CREAT, 0600), EACCES);
}

static void a_tree_without_holes_is_the_kernels_alone(void **state)
{
	(void)state;
	run_under("allow all $PWD\nreport none", whole_tree);
}

static void around_a_hole(void)
{
	EXPECT(open("secret", O_RDONLY), EACCES);
	EXPECT(open("sub/secret", O_RDONLY), 0);
	EXPECT(open("pub", O_RDONLY), 0);
	EXPECT(open("secret", O_WRONLY), 0); /* only reading is refused */
	/* No other name for it, and no other object under its name. */
	EXPECT(link("secret", "other/s"), EXDEV);
	EXPECT(rename("secret", "other/s"), EACCES);
	EXPECT(link("secret", "s"), EACCES);
	EXPECT(rename("secret", "s"), EACCES);
	EXPECT(syscall(SYS_renameat2, AT_FDCWD, "secret", AT_FDCWD, "pub", 2 /* EXCHANGE */), EACCES);
	EXPECT(unlink("secret"), EACCES);
	EXPECT(rename("sub", "bus"), EACCES);
	/* Where nothing differs the kernel is alone. */
	EXPECT(rename("sub/secret", "sub/s"), 0);
	EXPECT(rename("sub/s", "other/s"), landlock_abi() >= 2 ? 0 : EXDEV);
	EXPECT(link("pub", "p"), EACCES);
}

static void a_hole_can_not_be_moved_or_linked_away(void **state)
{
	(void)state;
	run_under("allow rw $PWD\ndeny read $PWD/secret", around_a_hole);
}

static void above_a_hole(void)
{
	EXPECT(open("sub/secret", O_RDONLY), EACCES);
	EXPECT(rename("sub", "bus"), EACCES);
	EXPECT(rename("sub", "other/sub"), EACCES);
	EXPECT(rename("sub/secret", "sub/s"), EACCES);
	EXPECT(open("other/new", O_WRONLY | O_CREAT, 0600), 0);
	EXPECT(open("new", O_WRONLY | O_CREAT, 0600), EACCES); /* the supervisor's */
}

static void a_directory_with_a_hole_beneath_stays_in_its_place(void **state)
{
	(void)state;
	run_under("allow rw $PWD\ndeny read $PWD/sub/secret", above_a_hole);
}

static void between_unequal_trees(void)
{
	/* meta is refused in sub, and a move to other would give it; the kernel could not tell. */
	EXPECT(rename("sub/pub", "other/pub"), EXDEV);
	EXPECT(link("sub/pub", "other/pub"), EXDEV);
	EXPECT(rename("sub/pub", "sub/p"), 0);
}

static void trees_that_differ_in_what_landlock_does_not_know_stay_apart(void **state)
{
	(void)state;
	run_under("allow all $PWD\ndeny meta $PWD/sub", between_unequal_trees);
}

static void with_exec_hole(void)
{
	EXPECT(execl("secret", "secret", (char *)NULL), EACCES);
	execl("pub", "pub", (char *)NULL); /* exits 0 */
	_exit(1);
}

static void exec_is_granted_around_the_hole(void **state)
{
	(void)state;
	make_file("pub", "#!/bin/true\n");
	assert_int_equal(chmod("pub", 0755) | chmod("secret", 0755), 0);
	run_under("allow rx /usr /lib64 /lib /bin\nallow all $PWD\ndeny exec $PWD/secret", with_exec_hole);
}

static void the_bound_covers_what_may_be_expanded(void)
{
	EXPECT(open("secret", O_RDONLY), 0);
	EXPECT(open("new", O_WRONLY | O_CREAT, 0600), 0);
	EXPECT(rename("new", "other/new"), landlock_abi() >= 2 ? 0 : EXDEV);
	EXPECT(open("/proc/1/status", O_RDONLY), 0);
	EXPECT(open("/etc/passwd", O_RDONLY), EACCES);
}

static void workers_are_bounded_by_the_outermost_trees(void **state)
{
	struct plan *plan;
	pid_t child;
	int status;

	(void)state;
	if (!landlock_abi())
		skip();
	plan = plan_of("allow all $PWD\nask read $PWD/secret\ndeny read $PWD/sub/secret");
	child = fork();
	if (child == 0) {
		int fd = landlock_ruleset(plan, plan->upper, plan->n_upper);

		expect("enter", -landlock_enter(fd), 0);
		the_bound_covers_what_may_be_expanded();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	plan_done(plan);
}

static bool has_alias(const struct plan *plan, const char *path, const char *original)
{
	char a[PATH_MAX], b[PATH_MAX];

	snprintf(a, sizeof(a), "%s%s", root, path);
	snprintf(b, sizeof(b), "%s%s", root, original);
	for (size_t i = 0; i < plan->n_aliases; i++)
		if (strcmp(plan->aliases[i].path, a) == 0 && strcmp(plan->aliases[i].original, b) == 0)
			return true;
	return false;
}

static int look_at_mounts(void)
{
	char path[PATH_MAX];
	struct plan *plan;

	/* A file system of our own, shown again as "other", and a part of it on "part". */
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "sub", "tmpfs", 0, NULL) < 0 || mkdir("sub/a", 0755) < 0 ||
	    mkdir("sub/a/b", 0755) < 0 || mkdir("part", 0755) < 0 ||
	    mount("sub", "other", NULL, MS_BIND, NULL) < 0 ||
	    mount("sub/a/b", "part", NULL, MS_BIND, NULL) < 0)
		return 77;
	make_file("sub/a/b/secret", "s");
	plan = plan_of("allow all $PWD\ndeny read $PWD/sub/a\n");
	if (!has_alias(plan, "/other/a", "/sub/a") || !has_alias(plan, "/part", "/sub/a/b"))
		return 1;
	snprintf(path, sizeof(path), "%s/part/secret", root);
	if (plan_decide(plan, OP_READ, path, strlen(path)).action != ACTION_DENY ||
	    plan_in_baseline(plan, LL_READ_FILE, path, strlen(path), 0, 0))
		return 2;
	snprintf(path, sizeof(path), "%s/other/x", root);
	if (plan_decide(plan, OP_READ, path, strlen(path)).action != ACTION_ALLOW)
		return 3;
	plan_done(plan);
	/* A later mount hides the name. */
	if (mount("none", "other", "tmpfs", 0, NULL) < 0)
		return 77;
	plan = plan_of("allow all $PWD\ndeny read $PWD/sub/a\n");
	if (has_alias(plan, "/other/a", "/sub/a"))
		return 4;
	plan_done(plan);
	return 0;
}

static void finds_the_names_that_mounts_give(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(77);
		_exit(look_at_mounts());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		fprintf(stderr, "SKIP: no mount namespace to be had\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_tree_without_holes_is_the_kernels_alone),
		CASE(a_hole_can_not_be_moved_or_linked_away),
		CASE(a_directory_with_a_hole_beneath_stays_in_its_place),
		CASE(trees_that_differ_in_what_landlock_does_not_know_stay_apart),
		CASE(exec_is_granted_around_the_hole),
		CASE(workers_are_bounded_by_the_outermost_trees),
		CASE(finds_the_names_that_mounts_give),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
