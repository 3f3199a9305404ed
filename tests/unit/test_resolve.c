/* SPDX-License-Identifier: Apache-2.0
 * Resolving in a scratch tree: the fast ways and the walk must agree, and both with the kernel.
 */
#include "core/resolve/resolve.h"
#include "core/sys.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
/* after the above */
#include <cmocka.h>

static char dir[64];

static int make_tree(void **state)
{
	char cmd[1024];

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sluice-resolve.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd),
		 "cd %s && mkdir -p a/b/c && echo x >a/b/f && ln -s b a/l && ln -s ../a/b/f a/lf &&"
		 "ln -s loop2 loop1 && ln -s loop1 loop2 && ln -s missing dangling && ln -s %s/a/b abs &&"
		 "ln -s /proc/self/comm mine && touch 'x (deleted)'", dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(resolve_init(), 0);
	return 0;
}

static int remove_tree(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) != 0;
}

typedef int resolver(const struct resolve_from *, const char *, size_t, unsigned, struct resolved *);

static int run(resolver *how, const char *rel, unsigned flags, struct resolved *r, bool absolute)
{
	struct resolve_from from = {.tid = gettid(), .base = open(dir, O_PATH | O_DIRECTORY)};
	char path[PATH_MAX];
	int e;

	snprintf(path, sizeof(path), "%s%s%s", absolute ? dir : "", absolute ? "/" : "", rel);
	resolved_init(r);
	e = how(&from, path, strlen(path), flags, r);
	close(from.base);
	return e;
}

/* Every row, relative and absolute, by the fast way and by the walk. NAME is beneath the scratch tree. */
static void resolves_as_the_kernel_does(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		int error;
		const char *name;
		bool exists;
	} rows[] = {
		{"a/b/f", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"a//b/./f", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"a/l/f", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"a/lf", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"a/lf", 0, 0, "/a/lf", true},
		{"abs/f", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"a/l/../lf", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"abs/../b/f", RESOLVE_FOLLOW, 0, "/a/b/f", true},
		{"loop1", RESOLVE_FOLLOW, -ELOOP, NULL, false},
		{"loop1", 0, 0, "/loop1", true},
		{"nope", RESOLVE_FOLLOW, -ENOENT, NULL, false},
		{"nope/x", RESOLVE_FOLLOW | RESOLVE_PARENT, -ENOENT, NULL, false},
		{"a/nope", RESOLVE_FOLLOW | RESOLVE_PARENT, 0, "/a/nope", false},
		{"a/l/nope", RESOLVE_FOLLOW | RESOLVE_PARENT, 0, "/a/b/nope", false},
		{"dangling", RESOLVE_FOLLOW | RESOLVE_PARENT, 0, "/missing", false},
		{"dangling", RESOLVE_PARENT | RESOLVE_LAST_RAW, 0, "/dangling", true},
		{"a/b/f/", RESOLVE_FOLLOW, -ENOTDIR, NULL, false},
		{"a/b/f/x", RESOLVE_FOLLOW, -ENOTDIR, NULL, false},
		{"a/b/", RESOLVE_PARENT | RESOLVE_LAST_RAW, 0, "/a/b", true},
		{"a/new/", RESOLVE_PARENT | RESOLVE_LAST_RAW, 0, "/a/new", false},
		{"x (deleted)", RESOLVE_FOLLOW, 0, "/x (deleted)", true},
	};
	resolver *const ways[] = {resolve_path, resolve_walk};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned w = 0; w < 4; w++) {
			static struct resolved r;
			int e = run(ways[w & 1], rows[i].path, rows[i].flags, &r, w & 2);

			if (e != rows[i].error)
				fail_msg("%s way %u: %d, not %d", rows[i].path, w, e, rows[i].error);
			if (e == 0) {
				assert_string_equal(r.name + strlen(dir), rows[i].name);
				assert_int_equal(r.name_len, strlen(r.name));
				assert_int_equal(r.obj >= 0, rows[i].exists);
				assert_int_equal(r.parent >= 0, !!(rows[i].flags & RESOLVE_PARENT));
			}
			resolved_done(&r);
		}
}

/* What is known of the directory is right, or it is not known. */
static void names_the_directory_only_where_no_link_is_last(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		const char *dir; /* NULL: not to be known */
	} rows[] = {
		{"a/b/f", RESOLVE_FOLLOW, "/a/b/"}, {"a/b/../b/f", RESOLVE_FOLLOW, "/a/b/"},
		{"a/b", RESOLVE_FOLLOW, "/a/"},	    {"a/lf", RESOLVE_FOLLOW, NULL},
		{"a/b/.", RESOLVE_FOLLOW, NULL},    {"a/b/..", RESOLVE_FOLLOW, NULL},
		{"abs/f", RESOLVE_FOLLOW, NULL},    {"abs/f", RESOLVE_PARENT, "/a/b/"},
		{"a/l/f", RESOLVE_PARENT, "/a/b/"}, {"a/l/no", RESOLVE_PARENT | RESOLVE_UNSEEN, "/a/b/"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned absolute = 0; absolute < 2; absolute++) {
			static struct resolved r;

			assert_int_equal(run(resolve_path, rows[i].path, rows[i].flags, &r, absolute), 0);
			if (!rows[i].dir) {
				assert_int_equal(r.dir_len, 0);
			} else {
				assert_int_equal(r.dir_len, strlen(dir) + strlen(rows[i].dir));
				assert_memory_equal(r.name + strlen(dir), rows[i].dir, strlen(rows[i].dir));
			}
			resolved_done(&r);
		}
}

static void an_object_is_seen_or_looked_for_only_when_asked(void **state)
{
	static struct resolved r;
	const unsigned raw = RESOLVE_PARENT | RESOLVE_LAST_RAW;

	(void)state;
	assert_int_equal(run(resolve_path, "a/lf", raw | RESOLVE_GLANCE, &r, false), 0);
	assert_true(r.seen && r.obj < 0 && S_ISLNK(r.st.st_mode) && resolved_exists(&r));
	assert_int_equal(resolve_look(&r), 0);
	assert_true(!r.seen && r.obj >= 0 && S_ISLNK(r.st.st_mode));
	resolved_done(&r);
	assert_int_equal(run(resolve_path, "a/no", raw | RESOLVE_GLANCE, &r, true), 0);
	assert_false(resolved_exists(&r));
	resolved_done(&r);
	assert_int_equal(run(resolve_path, "a/b/", raw | RESOLVE_UNSEEN, &r, true), 0);
	assert_false(resolved_exists(&r));
	assert_int_equal(resolve_look(&r), 0);
	assert_true(r.obj >= 0 && S_ISDIR(r.st.st_mode));
	resolved_done(&r);
}

/* One parent for two names, whichever of them is closed first; and the base itself for a bare name. */
static void two_names_share_what_is_written_the_same(void **state)
{
	static struct resolved one, two;
	struct resolve_from from = {.tid = gettid(), .base = open(dir, O_PATH | O_DIRECTORY), .lends = true};
	const unsigned raw = RESOLVE_PARENT | RESOLVE_LAST_RAW;

	(void)state;
	assert_true(resolve_same_dir("a/l/f", "a/l/no"));
	assert_true(resolve_same_dir("f", "x/"));
	assert_false(resolve_same_dir("a/l/f", "a/b/f"));
	assert_false(resolve_same_dir("a/l/f", "/a/l/f"));
	assert_false(resolve_same_dir("a/l/f", "a/l/.."));
	assert_int_equal(resolve_path(&from, "a/l/f", 5, raw, &one), 0);
	from.beside = &one;
	assert_int_equal(resolve_path(&from, "a/l/no", 6, raw, &two), 0);
	assert_string_equal(two.name + strlen(dir), "/a/b/no");
	assert_int_equal(two.parent, one.parent);
	assert_true(two.borrowed && !one.borrowed && two.obj < 0);
	resolved_done(&two);
	assert_true(fcntl(one.parent, F_GETFD) >= 0);
	resolved_done(&one);
	from.beside = NULL;
	assert_int_equal(resolve_path(&from, "a", 1, raw, &one), 0);
	assert_int_equal(one.parent, from.base);
	assert_string_equal(one.name + strlen(dir), "/a");
	resolved_done(&one);
	assert_int_equal(close(from.base), 0);
}

static void self_is_the_target_not_us(void **state)
{
	static struct resolved r;
	struct resolve_from from = {.base = -EBADF};
	char expected[64], link[128];
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	from.tid = child;
	snprintf(expected, sizeof(expected), "/proc/%d/comm", child);
	resolved_init(&r);
	assert_int_equal(resolve_path(&from, "/proc/self/comm", 15, RESOLVE_FOLLOW, &r), 0);
	assert_string_equal(r.name, expected);
	resolved_done(&r);
	snprintf(link, sizeof(link), "%s/mine", dir);
	assert_int_equal(resolve_path(&from, link, strlen(link), RESOLVE_FOLLOW, &r), 0);
	assert_string_equal(r.name, expected);
	resolved_done(&r);
	assert_int_equal(resolve_path(&from, "/proc/thread-self/comm", 22, RESOLVE_FOLLOW, &r), 0);
	snprintf(expected, sizeof(expected), "/proc/%d/task/%d/comm", child, child);
	assert_string_equal(r.name, expected);
	resolved_done(&r);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void guarded_descriptors_are_not_followed(void **state)
{
	static struct resolved r;
	struct resolve_from from = {.tid = getpid(), .base = -EBADF};
	char path[64];
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	assert_int_equal(resolve_path(&from, path, strlen(path), RESOLVE_FOLLOW, &r), 0);
	assert_true(r.magic);
	assert_string_equal(r.name, "/etc/passwd");
	resolved_done(&r);
	resolve_guard(getpid(), 0, false);
	assert_int_equal(resolve_path(&from, path, strlen(path), RESOLVE_FOLLOW, &r), -EACCES);
	resolved_done(&r);
	resolve_guard(0, 0, false);
	close(fd);
}

static void unlinked_is_told_from_its_name(void **state)
{
	static struct resolved r;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/gone", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	unlink(path);
	resolved_init(&r);
	assert_int_equal(resolve_fd(fd, &r), 0);
	assert_true(r.deleted);
	assert_string_equal(r.name, path);
	resolved_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves_as_the_kernel_does),
		cmocka_unit_test(names_the_directory_only_where_no_link_is_last),
		cmocka_unit_test(an_object_is_seen_or_looked_for_only_when_asked),
		cmocka_unit_test(two_names_share_what_is_written_the_same),
		cmocka_unit_test(self_is_the_target_not_us),
		cmocka_unit_test(guarded_descriptors_are_not_followed),
		cmocka_unit_test(unlinked_is_told_from_its_name),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
