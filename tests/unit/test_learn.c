/* SPDX-License-Identifier: Apache-2.0
 * From records to policies: what folds, what does not, what is left out, and that the result allows what was done.
 */
#include "core/learn/learn.h"
#include "policy_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct fake_pair profiles[] = {
	{"base", "/profiles/base.policy"}, {"credentials", "/profiles/credentials.policy"}, {NULL, NULL},
};
static const struct fake_pair files[] = {
	{"/profiles/base.policy", "allow rx /usr\nallow read,write /dev/null\nallow ro /proc\nallow write /proc/self/comm\n"},
	{"/profiles/credentials.policy", "deny all ~/.ssh ~/.netrc ~/.config/gh\ndeny connect /run/agent\n"},
	{NULL, NULL},
};
static const struct fake_world world = {.variables = usual_variables, .files = files, .profiles = profiles};

static struct text record, result;
static struct policy *included, *danger;
static struct facts *facts;

static struct policy *policy_of(const char *text)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error = {""};

	if (policy_add_text(p, "test", RANK_USER, text, strlen(text), &error) < 0 || policy_finish(p, &error) < 0)
		fail_msg("%s\n%s", error.text, text);
	return p;
}

static void begin(void)
{
	text_reset(&record);
	text_puts(&record, "{\"type\":\"start\",\"v\":1,\"seq\":1,\"argv\":[\"make\",\"all\"],\"cwd\":\"/home/u/proj\","
			   "\"home\":\"/home/u\",\"tmpdir\":\"/tmp/sluice-1\",\"looks\":true,\"uid\":1000}\n");
}

static void access_line(const char *call, const char *op, const char *path, const char *more)
{
	text_puts(&record, "{\"type\":\"access\",\"pid\":7,\"exe\":\"/usr/bin/cc\"");
	json_field_puts(&record, "syscall", call);
	json_field_puts(&record, "op", op);
	json_field_puts(&record, "path", path);
	text_printf(&record, ",\"verdict\":\"allow\",\"count\":1%s}\n", more);
}

static void did(const char *op, const char *path)
{
	access_line("openat", op, path, ",\"exists\":true");
}

static void made(const char *path)
{
	access_line("openat", "create", path, ",\"exists\":false");
	access_line("openat", "write", path, ",\"exists\":false");
}

static void made_dir(const char *path)
{
	access_line("mkdir", "create", path, ",\"exists\":false,\"dir\":true");
}

static void removed(const char *path)
{
	access_line("unlink", "delete", path, ",\"exists\":true");
}

static void renamed(const char *from, const char *to, bool dir)
{
	struct text more = {0};

	json_field_puts(&more, "path2", to);
	text_printf(&more, ",\"exists\":true%s", dir ? ",\"dir\":true" : "");
	access_line("rename", "delete", from, more.data);
	text_reset(&more);
	json_field_puts(&more, "path2", from);
	text_puts(&more, ",\"exists\":false");
	access_line("rename", "create", to, more.data);
	text_done(&more);
}

static void moved(const char *from, const char *to)
{
	renamed(from, to, false);
}

static void moved_dir(const char *from, const char *to)
{
	renamed(from, to, true);
}

static void read_facts(void)
{
	int fd = memfd_create("record", MFD_CLOEXEC);
	struct record_reader *reader;
	struct record_line line;

	text_puts(&record, "{\"type\":\"end\",\"status\":0,\"complete\":true,\"lost\":[],\"unwatched\":[]}\n");
	assert_int_equal(write(fd, record.data, record.len), record.len);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(record_open_fd(fd, false, &reader), 0);
	facts_free(facts);
	facts = facts_new();
	while (record_next(reader, &line) > 0)
		assert_int_equal(facts_add(facts, &line), 0);
	assert_int_equal(record_state(reader)->damaged, 0);
	record_free(reader);
}

/* What is there when the policy is made. */
static const char *there[4] = {"/home/u/proj/.git"};

static bool is_there(const char *path)
{
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		if (there[i] && strcmp(path, there[i]) == 0)
			return true;
	return false;
}

static bool is_su(const char *path)
{
	return strcmp(path, "/opt/su") == 0;
}

static struct learn_input input(void)
{
	return (struct learn_input){
		.facts = facts, .included = included, .danger = danger, .home = "/home/u", .exists = is_there,
		.is_setuid = is_su,
	};
}

static const char *learned(void)
{
	struct learn_result r;
	struct learn_input in;

	read_facts();
	in = input();
	text_reset(&result);
	assert_int_equal(learn_policy(&in, &result, &r), 0);
	return result.data;
}

/* The rules, without comments, one a line. */
static const char *rules(void)
{
	static char out[16384];
	size_t n = 0;
	char *copy = strdup(learned()), *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		size_t len = strcspn(l, "#");

		while (len && l[len - 1] == ' ')
			len--;
		if (len && strncmp(l, "include ", 8) != 0)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s\n", (int)len, l);
	}
	out[n] = '\0';
	free(copy);
	return out;
}

/* The text is a policy, and allows all that was done and not left out. */
static void allows_all(void)
{
	struct policy *p = policy_of(result.data);
	struct learn_input in = input();
	size_t n;
	const struct fact *const *all = facts_sorted(facts, &n);

	for (size_t i = 0; i < n; i++) {
		const char *reason;
		opset needs = learn_needs(&in, all[i], &reason);

		for (enum op op = 0; op < OP_COUNT && !reason; op++)
			if (needs & OPBIT(op) && policy_decide(p, op, all[i]->path, all[i]->len).action != ACTION_ALLOW)
				fail_msg("%s %s is not allowed by\n%s", op_names[op], all[i]->path, result.data);
	}
	policy_free(p);
}

static void three_siblings_are_a_directory_two_are_not(void **state)
{
	(void)state;
	begin();
	did("read", "/home/u/proj/src/a.c");
	did("read", "/home/u/proj/src/b.c");
	assert_string_equal(rules(), "allow read $PWD/src/a.c\nallow read $PWD/src/b.c\n");
	allows_all();
	begin();
	did("read", "/home/u/proj/src/a.c");
	did("read", "/home/u/proj/src/b.c");
	did("read", "/home/u/proj/src/deep/er/c.c");
	assert_string_equal(rules(), "allow ro $PWD/src\n");
	allows_all();
	/* The working directory is no boundary. */
	begin();
	did("read", "/home/u/proj/a");
	did("read", "/home/u/proj/b");
	did("list", "/home/u/proj/c");
	made("/home/u/proj/o");
	assert_string_equal(rules(), "allow ro $PWD\nallow rw $PWD/o\n");
	allows_all();
}

static void no_line_is_at_or_above_a_boundary(void **state)
{
	static const char *const dirs[] = {"/home/u", "/home", "/", "/etc", "/var/lib", "/home/u/.config", "/run/u"};

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[128];

		begin();
		for (char c = 'a'; c < 'f'; c++) {
			snprintf(path, sizeof(path), "%s/%c", strcmp(dirs[i], "/") == 0 ? "" : dirs[i], c);
			did("read", path);
		}
		assert_null(strstr(rules(), "allow ro"));
		assert_non_null(strstr(rules(), "allow read"));
		allows_all();
	}
	/* What lies deeper is none. */
	begin();
	for (char c = 'a'; c < 'f'; c++)
		did("read", (char[]){'/', 'v', 'a', 'r', '/', 'l', 'i', 'b', '/', 'x', '/', c, 0});
	assert_string_equal(rules(), "allow ro /var/lib/x\n");
}

static void what_profiles_give_has_no_line(void **state)
{
	(void)state;
	begin();
	did("exec", "/usr/bin/cc");
	did("read", "/usr/include/stdio.h");
	did("write", "/dev/null");
	did("stat", "/anything");
	did("write", "/proc/7/comm");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "include base\ninclude credentials\n"));
}

static void what_the_command_makes_is_one_line(void **state)
{
	struct policy *p;

	(void)state;
	begin();
	made_dir("/home/u/proj/build");
	made_dir("/home/u/proj/build/x");
	made("/home/u/proj/build/x/o");
	did("read", "/home/u/proj/build/x/o");
	assert_string_equal(rules(), "allow rw $PWD/build\n");
	allows_all();
	/* Programs in it need a directory that is there at the start. */
	begin();
	made_dir("/home/u/proj/build");
	made("/home/u/proj/build/prog");
	did("exec", "/home/u/proj/build/prog");
	assert_string_equal(rules(), "allow rx $PWD\nallow rw $PWD/build\n");
	allows_all();
	/* A boundary that is made is no line. */
	begin();
	made_dir("/home/u/.config");
	made("/home/u/.config/tool");
	assert_string_equal(rules(), "allow rw ~/.config/tool\n");
	p = policy_of(result.data);
	assert_int_equal(policy_decide_mkdir(p, "/home/u/.config", 15).action, ACTION_ALLOW);
	policy_free(p);
	begin();
	access_line("chmod", "meta", "/home/u", ",\"exists\":true,\"dir\":true");
	made_dir("/home/u/.config");
	assert_string_equal(rules(), "");
	assert_non_null(strstr(result.data, "allow meta ~ "));
}

static void names_by_chance_become_patterns(void **state)
{
	static const struct {
		const char *name, *pattern;
		bool temporary;
	} cases[] = {
		{"tmp_obj_aB3dE1", "tmp_obj_??????", true}, {"ccAb3xY9.o", "cc??????.o", true},
		{"lock.12345", "lock.[0-9]*", true}, {"x.cpython-311.pyc.140234", "x.cpython-311.pyc.[0-9]*", true},
		{"a-0123456789abcdef0123", "a-*", true}, {"plain.txt", NULL, true}, {"README", NULL, true},
		{"aB3dE1", NULL, true}, {"Makefile", NULL, true}, {"sp ace123456a", NULL, true},
		{"tmp_obj_aB3dE1", NULL, false}, {"2026-11-24T14_33_54_714Z-debug-0.log", "[0-9]*Z-debug-0.log", false},
		{"log.20261124", "log.[0-9]*", false}, {"v1.2.3", NULL, false}, {"2026", NULL, false},
		{"99999999x", NULL, false}, {"*[?]123456", NULL, true}, {"", NULL, true}, {"CamelCaseName", "*", false},
	};
	char buf[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = learn_pattern(cases[i].name, strlen(cases[i].name), cases[i].temporary, buf, sizeof(buf));

		if (i == sizeof(cases) / sizeof(cases[0]) - 1)
			break; /* only a temporary one would be looked at for capitals */
		if (!cases[i].pattern)
			assert_int_equal(n, 0);
		else
			assert_string_equal(n ? buf : "", cases[i].pattern);
	}
	begin();
	made("/home/u/proj/obj/tmp_obj_aB3dE1");
	removed("/home/u/proj/obj/tmp_obj_aB3dE1");
	made("/home/u/proj/obj/tmp_obj_zZ9dE2");
	removed("/home/u/proj/obj/tmp_obj_zZ9dE2");
	assert_string_equal(rules(), "allow rw $PWD/obj/tmp_obj_??????\n");
	allows_all();
}

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

static void renamed_names_get_the_same(void **state)
{
	struct policy *p;

	(void)state;
	begin();
	made("/home/u/proj/out/data.tmp.1234");
	moved("/home/u/proj/out/data.tmp.1234", "/home/u/proj/out/data");
	did("read", "/home/u/proj/out/data");
	assert_string_equal(rules(), "allow rw $PWD/out/data\nallow rw $PWD/out/data.tmp.[0-9]*\n");
	allows_all();
	p = policy_of(result.data);
	assert_false(policy_move_widens(p, "/home/u/proj/out/data.tmp.77", 28, "/home/u/proj/out/data", 21, false));
	policy_free(p);
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

static void hostile_names_stay_words(void **state)
{
	static const char *const names[] = {
		"/home/u/proj/x\nallow all /", "/home/u/proj/# allow", "/home/u/proj/$HOME", "/home/u/proj/~", "/home/u/proj/*",
		"/home/u/proj/\\", "/home/u/proj/\"", "/home/u/proj/a b", "/home/u/proj/\xff\x01", "/srv/x/{}\r\nnever all /",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin();
		did("read", names[i]);
		made(names[i]);
		assert_null(strstr(rules(), "\nallow all"));
		allows_all();
		assert_null(strstr(result.data, "\nnever"));
	}
}

static void the_same_facts_give_the_same_text(void **state)
{
	char *first;

	(void)state;
	begin();
	did("read", "/srv/x/b");
	did("read", "/srv/x/a");
	made("/home/u/proj/o");
	first = strdup(learned());
	begin();
	made("/home/u/proj/o");
	did("read", "/srv/x/a");
	did("read", "/srv/x/b");
	assert_string_equal(learned(), first);
	free(first);
}

static void refusals_and_failures_are_told(void **state)
{
	(void)state;
	begin();
	text_puts(&record, "{\"type\":\"access\",\"syscall\":\"openat\",\"op\":\"read\",\"path\":\"/srv/no\","
			   "\"exists\":true,\"verdict\":\"deny\",\"errno\":13}\n");
	access_line("openat", "read", "/srv/closed", ",\"exists\":true,\"errno\":13");
	access_line("openat", "read", "/srv/missing", ",\"exists\":false,\"errno\":2");
	assert_string_equal(rules(), "deny read /srv/closed quiet\n");
	assert_non_null(strstr(result.data, "Refused when it was recorded"));
	assert_null(strstr(result.data, "/srv/missing"));
}

static void facts_follow_the_order_of_things(void **state)
{
	const struct fact *f;

	(void)state;
	begin();
	made("/w/o");
	did("read", "/w/o");
	did("read", "/w/in");
	did("write", "/w/in");
	access_line("stat", "stat", "/w/later", ",\"exists\":false,\"errno\":2");
	made("/w/later");
	made("/w/t");
	removed("/w/t");
	made_dir("/w/d");
	made("/w/d/x");
	access_line("rename", "delete", "/w/d", ",\"path2\":\"/w/e\",\"exists\":true,\"dir\":true");
	access_line("rename", "create", "/w/e", ",\"path2\":\"/w/d\",\"exists\":false");
	did("read", "/w/e/x");
	removed("/w/old");
	made_dir("/w/own");
	moved_dir("/w/own", "/w/own2");
	moved_dir("/w/theirs", "/w/theirs2");
	moved("/tmp/sluice-1/x", "/w/x");
	read_facts();
	f = facts_find(facts, "/w/o", 4);
	assert_true(f->made && !(f->input & OPBIT(OP_READ)));
	f = facts_find(facts, "/w/in", 5);
	assert_true(f->input & OPBIT(OP_READ) && !f->ever_made);
	f = facts_find(facts, "/w/later", 8);
	assert_true(f->missing && f->ever_made && !f->gone);
	f = facts_find(facts, "/w/t", 4);
	assert_true(f->temporary && f->gone);
	f = facts_find(facts, "/w/d/x", 6);
	assert_true(f->gone);
	f = facts_find(facts, "/w/e/x", 6);
	assert_true(f->made && !f->gone && !(f->input & OPBIT(OP_READ)));
	f = facts_find(facts, "/w/old", 6);
	assert_true(f->removed && f->gone && !f->temporary);
	f = facts_find(facts, "/w/own2", 7);
	assert_true(f->made && f->dir && !f->moved_in && !facts_find(facts, "/w/own", 6)->moved_out);
	f = facts_find(facts, "/w/theirs2", 10);
	assert_true(f->made && f->dir && f->moved_in && facts_find(facts, "/w/theirs", 9)->moved_out);
	assert_true(facts_find(facts, "/w/x", 4)->moved_in);
	assert_null(facts_find(facts, "/w", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_siblings_are_a_directory_two_are_not),
		cmocka_unit_test(no_line_is_at_or_above_a_boundary),
		cmocka_unit_test(what_profiles_give_has_no_line),
		cmocka_unit_test(what_the_command_makes_is_one_line),
		cmocka_unit_test(names_by_chance_become_patterns),
		cmocka_unit_test(no_pattern_means_a_dangerous_name),
		cmocka_unit_test(no_directory_stands_for_a_dangerous_name),
		cmocka_unit_test(renamed_names_get_the_same),
		cmocka_unit_test(dangerous_things_are_left_out_and_listed),
		cmocka_unit_test(a_repository_in_a_written_directory_is_guarded),
		cmocka_unit_test(no_git_is_planted_where_the_command_starts),
		cmocka_unit_test(repositories_beneath_a_written_directory_are_no_part_of_it),
		cmocka_unit_test(a_repository_in_another_guise_is_not_the_commands_own),
		cmocka_unit_test(hostile_names_stay_words),
		cmocka_unit_test(the_same_facts_give_the_same_text),
		cmocka_unit_test(refusals_and_failures_are_told),
		cmocka_unit_test(facts_follow_the_order_of_things),
	};
	int r;

	included = policy_of("include base\ninclude credentials\n");
	danger = policy_of(learn_danger_text());
	r = cmocka_run_group_tests(tests, NULL, NULL);
	facts_free(facts);
	policy_free(included);
	policy_free(danger);
	text_done(&record);
	text_done(&result);
	return r;
}
