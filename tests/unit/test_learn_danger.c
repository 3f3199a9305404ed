/* SPDX-License-Identifier: Apache-2.0
 * What no record makes a learned policy allow: names that others execute or obey, and repositories that are not the
 * command's own.
 */
#include "tests/unit/learn_harness.h"

static void refuses(const char *path)
{
	static const enum op changes[] = {OP_WRITE, OP_CREATE, OP_DELETE, OP_META};
	struct policy *p = policy_of(result.data);

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (policy_decide(p, changes[i], path, strlen(path)).action == ACTION_ALLOW)
			fail_msg("%s %s in\n%s", op_names[changes[i]], path, result.data);
	policy_free(p);
}

static void no_pattern_means_a_dangerous_name(void **state)
{
	static const struct {
		const char *temporary, *dangerous;
	} cases[] = {
		{"/home/u/.bash_Profil1", "/home/u/.bash_profile"},
		{"/home/u/.npm-Glob1l", "/home/u/.npm-global/bin/x"},
		{"/home/u/.bash_0123456789abcdef", "/home/u/.bash_aliases"},
		{"/home/u/.config/environment.1", "/home/u/.config/environment.d/x"},
		{"/home/u/.config/plasma-Workspac3", "/home/u/.config/plasma-workspace/env/x"},
		{"/home/u/.config/Workspac3-manager", "/home/u/.config/autostart/x"},
		{"/home/u/.local/share/dbus-123", "/home/u/.local/share/dbus-1/x"},
		{"/home/u/proj/.git/config.Worktre3x", "/home/u/proj/.git/config.worktree"},
		{"/dev/x-1234567a", "/dev/sda"}, {"/srv/w-Ab3xY9", "/srv/w-abcdef/x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		text_puts(&record, "{\"type\":\"start\",\"v\":1,\"seq\":1,\"argv\":[\"x\"],"
				   "\"cwd\":\"/srv/w-abcdef\"}\n");
		made(cases[i].temporary);
		removed(cases[i].temporary);
		learned();
		refuses(cases[i].dangerous);
		allows_all();
	}
	begin();
	made("/home/u/.bash_Profil1");
	removed("/home/u/.bash_Profil1");
	made_dir("/home/u/.npm-Glob1l");
	made("/home/u/.npm-Glob1l/x");
	removed("/home/u/.npm-Glob1l/x");
	removed("/home/u/.npm-Glob1l");
	assert_string_equal(rules(), "allow rw ~/.bash_Profil1\nallow rw ~/.npm-Glob1l\n");
	allows_all();
	/* What means none stays a pattern. */
	begin();
	made("/tmp/ccAb3xY9.o");
	removed("/tmp/ccAb3xY9.o");
	made("/home/u/.cache-Ab3xY9");
	removed("/home/u/.cache-Ab3xY9");
	made("/home/u/proj/build/conftest.1234");
	removed("/home/u/proj/build/conftest.1234");
	assert_string_equal(rules(), "allow rw $PWD/build/conftest.[0-9]*\nallow rw ~/.cache-??????\n"
				     "allow rw /tmp/cc??????.o\n");
}

enum way { WRITTEN_IN, MADE, CHANGED, MOVED_HERE, WAYS };

static void record_at(const char *dir, enum way way)
{
	char path[300];

	begin();
	if (way == MADE)
		made_dir(dir);
	if (way == CHANGED)
		access_line("chmod", "meta", dir, ",\"exists\":true,\"dir\":true");
	if (way == MOVED_HERE)
		moved_dir("/home/u/proj/new", dir);
	for (char c = 'a'; c < 'e' && way <= MADE; c++) {
		snprintf(path, sizeof(path), "%s/zz%c", dir, c);
		made(path);
	}
	learned();
}

/* NAME is refused to whoever learned from what was done to a directory above it. */
static size_t try_above(const char *name)
{
	size_t tried = 0;

	for (const char *end = strchr(name + 1, '/'); end; end = strchr(end + 1, '/')) {
		char dir[256];

		snprintf(dir, sizeof(dir), "%.*s", (int)(end - name), name);
		for (enum way way = 0; way < WAYS; way++, tried++) {
			record_at(dir, way);
			refuses(name);
		}
	}
	return tried;
}

static void no_directory_stands_for_a_dangerous_name(void **state)
{
	const struct policy *const policies[] = {danger, included};
	size_t tried = 0;

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		size_t n;
		const struct rule *all = policy_rules(policies[p], &n);

		for (size_t i = 0; i < n; i++)
			for (unsigned k = 0; k < all[i].n_names; k++)
				if (all[i].action != ACTION_ALLOW && all[i].names[k].text[0] == '/')
					tried += try_above(all[i].names[k].prefix);
	}
	assert_true(tried > 500);
}

static void dangerous_things_are_left_out_and_listed(void **state)
{
	static const struct {
		const char *op, *path, *reason;
	} cases[] = {
		{"read", "/home/u/.ssh/id", "ssh"}, {"read", "/home/u/.netrc", "credentials"},
		{"write", "/home/u/.bashrc", "shells"}, {"create", "/home/u/.config/autostart/x", "session"},
		{"write", "/var/spool/cron/u", "cron"}, {"write", "/home/u/proj/.git/hooks/pre-commit", "git"},
		{"write", "/home/u/.config/sluice/x.policy", "sluice"}, {"connect", "/run/docker.sock", "rights"},
		{"exec", "/opt/su", "set-user-ID"}, {"write", "/etc/passwd", "system"},
		{"write", "/home/u/.local/bin/ls", "later commands"}, {"write", "/dev/sda1", "device"},
		{"connect", "/run/agent", "service"}, {"write", "/proc/sys/kernel/core_pattern", "kernel"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		did(cases[i].op, cases[i].path);
		assert_string_equal(rules(), "");
		assert_non_null(strstr(result.data, "# Left out"));
		if (!strstr(result.data, cases[i].reason))
			fail_msg("%s is not in\n%s", cases[i].reason, result.data);
	}
	/* Nor by folding. */
	begin();
	for (char c = 'a'; c < 'f'; c++) {
		char path[64];

		snprintf(path, sizeof(path), "/home/u/.config/gh/%c", c);
		did("read", path);
	}
	assert_string_equal(rules(), "");
	/* A repository of the command's own making is its own. */
	begin();
	made_dir("/home/u/proj/.git");
	made_dir("/home/u/proj/.git/hooks");
	made("/home/u/proj/.git/hooks/x");
	assert_string_equal(rules(), "allow rw $PWD/.git\n");
	/* What has the place of another is not. */
	begin();
	removed("/home/u/proj/.git");
	made("/home/u/proj/.git");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "another repository could take its place"));
}

#define GIT "/home/u/proj/.git"
static const char *const what_git_runs_beside[] = {"/hooks/x", "/config", "/config.worktree", "/commondir", NULL};
static const char *const what_git_runs[] = {
	"", "/hooks/x", "/config", "/config.worktree", "/commondir", "/modules/m/hooks/x", "/modules/a/m/config",
	"/modules/m/config.worktree", "/modules/m/commondir", "/worktrees/wt", "/worktrees/wt/hooks/x",
	"/worktrees/wt/config", "/worktrees/wt/config.worktree", "/worktrees/wt/commondir",
	"/worktrees/wt/modules/m/config", NULL};
static const char *const what_git_writes[] = {
	"/index", "/objects/x", "/modules/m/HEAD", "/worktrees/wt/HEAD", "/worktrees/wt/logs/HEAD", NULL};

/* Does the learned policy refuse to write these beneath DIR, or allow it? */
static void keeps(const char *dir, const char *const *names, bool refused)
{
	struct policy *p = policy_of(result.data);

	for (; *names; names++) {
		char path[128];
		int n = snprintf(path, sizeof(path), "%s%s", dir, *names);

		if ((policy_decide(p, OP_WRITE, path, (size_t)n).action != ACTION_ALLOW) != refused)
			fail_msg("%s in\n%s", path, result.data);
	}
	policy_free(p);
}

static void a_repository_in_a_written_directory_is_guarded(void **state)
{
	(void)state;
	begin();
	made("/home/u/proj/a");
	made("/home/u/proj/b");
	made("/home/u/proj/c");
	assert_string_equal(
		rules(),
		"allow rw $PWD\n"
		"deny w $PWD/.git\n"
		"allow w $PWD/.git/*\n"
		"deny w $PWD/.git/hooks $PWD/.git/config $PWD/.git/config.worktree $PWD/.git/commondir\n"
		"deny w $PWD/.git/modules/**/hooks $PWD/.git/modules/**/config $PWD/.git/modules/**/config.worktree "
		"$PWD/.git/modules/**/commondir\n"
		"deny w $PWD/.git/worktrees/*\n"
		"allow w $PWD/.git/worktrees/*/*\n"
		"deny w $PWD/.git/worktrees/*/hooks $PWD/.git/worktrees/*/config $PWD/.git/worktrees/*/config.worktree "
		"$PWD/.git/worktrees/*/commondir $PWD/.git/worktrees/*/modules\n");
	keeps(GIT, what_git_runs, true);
	keeps(GIT, what_git_writes, false);
	/* Nor is the .git of a repository a line. */
	begin();
	made("/home/u/proj/.git/index.lock");
	made("/home/u/proj/.git/objects/x");
	made("/home/u/proj/.git/COMMIT_EDITMSG");
	made("/home/u/proj/.git/refs/heads/main");
	assert_string_equal(rules(), "allow rw $PWD/.git/COMMIT_EDITMSG\nallow rw $PWD/.git/index.lock\n"
				     "allow rw $PWD/.git/objects/x\nallow rw $PWD/.git/refs/heads/main\n");
	keeps(GIT, what_git_runs, true);
	begin();
	did("read", "/home/u/proj/.git/HEAD");
	did("read", "/home/u/proj/.git/config");
	did("read", "/home/u/proj/.git/index");
	assert_string_equal(rules(), "allow ro $PWD/.git\n");
	begin();
	access_line("chmod", "meta", "/home/u/proj/.git", ",\"exists\":true,\"dir\":true");
	assert_string_equal(rules(), "");
	begin();
	access_line("chmod", "meta", "/home/u/proj", ",\"exists\":true,\"dir\":true");
	assert_non_null(strstr(rules(), "allow meta $PWD\ndeny w $PWD/.git\nallow meta $PWD/.git/*\n"));
	assert_non_null(strstr(rules(), "\nallow meta $PWD/.git/worktrees/*/*\n"));
	keeps(GIT, what_git_runs, true);
	begin();
	made("/home/u/proj/.git/modules/m/a");
	made("/home/u/proj/.git/modules/m/b");
	made("/home/u/proj/.git/modules/m/c");
	assert_non_null(strstr(rules(), "deny w $PWD/.git/modules/m/**/hooks $PWD/.git/modules/m/**/config"));
	keeps(GIT "/modules/m", what_git_runs_beside, true);
	keeps(GIT "/modules/m/modules/n", what_git_runs_beside, true);
	/* Nor is there more than that directory to a commit in a worktree. */
	begin();
	made("/home/u/proj/.git/worktrees/wt/index.lock");
	made("/home/u/proj/.git/worktrees/wt/HEAD.lock");
	made("/home/u/proj/.git/worktrees/wt/logs/HEAD");
	assert_string_equal(rules(), "allow rw $PWD/.git/worktrees/wt\n"
				     "deny w $PWD/.git/worktrees/wt/hooks $PWD/.git/worktrees/wt/config "
				     "$PWD/.git/worktrees/wt/config.worktree $PWD/.git/worktrees/wt/commondir "
				     "$PWD/.git/worktrees/wt/modules\n");
	keeps(GIT "/worktrees/wt", what_git_runs_beside, true);
	allows_all();
	begin();
	made("/home/u/proj/.git/worktrees/a/HEAD");
	made("/home/u/proj/.git/worktrees/b/HEAD");
	made("/home/u/proj/.git/worktrees/c/HEAD");
	assert_non_null(strstr(rules(), "allow rw $PWD/.git/worktrees\ndeny w $PWD/.git/worktrees/*\n"));
	keeps(GIT "/worktrees/wt", what_git_runs_beside, true);
	allows_all();
	/* Another worktree could take the place of one that was there. */
	begin();
	access_line("mkdir", "create", GIT "/worktrees/new", ",\"exists\":false,\"dir\":true");
	made(GIT "/worktrees/new/commondir");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "# git of that worktree runs"));
}

static void no_git_is_planted_where_the_command_starts(void **state)
{
	static const char *const itself[] = {"", "/config", NULL};
	struct policy *p;

	(void)state;
	there[0] = NULL;
	begin();
	made("/home/u/proj/a");
	made("/home/u/proj/b");
	made("/home/u/proj/c");
	assert_string_equal(rules(), "allow rw $PWD\ndeny w $PWD/.git\n");
	keeps(GIT, itself, true);
	/* One that the command made is its own, even if it is there now. */
	there[0] = GIT;
	begin();
	made_dir(GIT);
	made(GIT "/config");
	made("/home/u/proj/a");
	made("/home/u/proj/b");
	assert_string_equal(rules(), "allow rw $PWD\n");
	allows_all();
	/* A rule about the name of a worktree's .git, which is a file, is one about a directory's too. */
	begin();
	made("/home/u/proj/a");
	made("/home/u/proj/b");
	made("/home/u/proj/c");
	learned();
	p = policy_of(result.data);
	for (enum op op = 0; op < OP_COUNT; op++)
		if (op == OP_WRITE || op == OP_CREATE || op == OP_DELETE || op == OP_META)
			assert_int_not_equal(policy_decide(p, op, GIT, strlen(GIT)).action, ACTION_ALLOW);
	policy_free(p);
}

static void repositories_beneath_a_written_directory_are_no_part_of_it(void **state)
{
	static const char *const repositories[] = {"/home/u/ws/a/.git", "/home/u/ws/b/.git", "/home/u/ws/d/.git"};

	(void)state;
	/* By what is there, and for those that no record names, too. */
	there[0] = repositories[0];
	begin();
	made("/home/u/ws/a/f");
	made("/home/u/ws/b/f");
	made("/home/u/ws/c/f");
	assert_string_equal(rules(), "allow rw ~/ws/a/f\nallow rw ~/ws/b/f\nallow rw ~/ws/c/f\n");
	for (size_t i = 0; i < 3; i++)
		keeps(repositories[i], what_git_runs, true);
	allows_all();
	/* By what the records say. */
	there[0] = NULL;
	begin();
	made("/home/u/ws/a/f");
	made("/home/u/ws/b/f");
	made("/home/u/ws/c/f");
	did("read", "/home/u/ws/b/.git/HEAD");
	assert_null(strstr(rules(), "allow rw ~/ws\n"));
	for (size_t i = 0; i < 3; i++)
		keeps(repositories[i], what_git_runs, true);
	/* What was only looked for is none, and reading harms none. */
	begin();
	made("/home/u/ws/a/f");
	made("/home/u/ws/b/f");
	made("/home/u/ws/c/f");
	access_line("stat", "stat", "/home/u/ws/b/.git", ",\"exists\":false,\"errno\":2");
	assert_string_equal(rules(), "allow rw ~/ws\n");
	there[0] = repositories[0];
	begin();
	did("read", "/home/u/ws/a/f");
	did("read", "/home/u/ws/b/f");
	did("read", "/home/u/ws/c/f");
	assert_string_equal(rules(), "allow ro ~/ws\n");
	/* A directory that is one line for another reason has the guards of all that are known in it. */
	there[1] = repositories[1];
	begin();
	access_line("chmod", "meta", "/home/u/ws", ",\"exists\":true,\"dir\":true");
	did("read", "/home/u/ws/a/f");
	did("read", "/home/u/ws/b/f");
	assert_non_null(strstr(rules(), "allow meta ~/ws\n"));
	keeps(repositories[0], what_git_runs, true);
	keeps(repositories[1], what_git_runs, true);
	begin();
	made_dir("/home/u/ws/new");
	moved_dir("/home/u/ws/b", "/home/u/ws/new/b");
	there[1] = "/home/u/ws/new/b/.git";
	assert_non_null(strstr(rules(), "allow rw ~/ws/new\n"));
	keeps(there[1], what_git_runs, true);
	there[0] = GIT;
	there[1] = NULL;
}

/* The hook that the record wrote in what has the place of a repository. */
static void is_kept(const char *git)
{
	char hook[128];

	snprintf(hook, sizeof(hook), "%s/hooks/x", git);
	made(hook);
	made("/home/u/proj/x1");
	made("/home/u/proj/x2");
	made("/home/u/proj/x3");
	learned();
	keeps(git, what_git_runs, true);
	if (!strstr(result.data, "git runs what it names"))
		fail_msg("the hook is not listed in\n%s", result.data);
}

static void a_repository_in_another_guise_is_not_the_commands_own(void **state)
{
	(void)state;
	begin();
	moved_dir(GIT, "/home/u/proj/g");
	made_dir(GIT);
	moved("/home/u/proj/g/config", GIT "/config");
	is_kept(GIT);
	/* By another name of a directory above it. */
	begin();
	moved_dir("/home/u/proj", "/home/u/old");
	made_dir("/home/u/proj");
	made_dir(GIT);
	is_kept(GIT);
	/* There and back. */
	begin();
	made_dir("/home/u/proj/new");
	moved_dir(GIT, "/home/u/proj/new/.git");
	there[0] = "/home/u/proj/new/.git";
	is_kept("/home/u/proj/new/.git");
	/* Through $TMPDIR, of which there are no facts. */
	begin();
	made_dir("/home/u/proj/new");
	moved_dir(GIT, "/tmp/sluice-1/g");
	moved_dir("/tmp/sluice-1/g", "/home/u/proj/new/.git");
	is_kept("/home/u/proj/new/.git");
	/* Made, taken away, and brought along by a directory above it. */
	begin();
	made_dir("/home/u/proj/new");
	made_dir("/home/u/proj/new/.git");
	removed("/home/u/proj/new/.git");
	removed("/home/u/proj/new");
	moved_dir("/home/u/proj/old", "/home/u/proj/new");
	is_kept("/home/u/proj/new/.git");
	there[0] = GIT;
	/* A clone that is moved to its place is the command's own, as is one beneath what was there and removed. */
	begin();
	removed("/home/u/proj/build");
	made_dir("/home/u/proj/build");
	made_dir("/home/u/proj/build/tmp");
	made_dir("/home/u/proj/build/tmp/.git");
	made("/home/u/proj/build/tmp/.git/config");
	moved_dir("/home/u/proj/build/tmp", "/home/u/proj/build/dep");
	made("/home/u/proj/build/dep/.git/hooks/x");
	assert_string_equal(rules(), "allow rw $PWD/build\n");
	allows_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_pattern_means_a_dangerous_name),
		cmocka_unit_test(no_directory_stands_for_a_dangerous_name),
		cmocka_unit_test(dangerous_things_are_left_out_and_listed),
		cmocka_unit_test(a_repository_in_a_written_directory_is_guarded),
		cmocka_unit_test(no_git_is_planted_where_the_command_starts),
		cmocka_unit_test(repositories_beneath_a_written_directory_are_no_part_of_it),
		cmocka_unit_test(a_repository_in_another_guise_is_not_the_commands_own),
	};

	return cmocka_run_group_tests(tests, learn_begin, learn_end);
}
