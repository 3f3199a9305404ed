/* SPDX-License-Identifier: Apache-2.0
 * The built-in profiles: they load, fit together, and judge as they say.
 */
#include "tests/unit/policy_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define H "/home/u"
#define P "/home/u/proj"

static const char *const profiles[] = {"base", "credentials", "build", "open"};
#define N_PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static int read_real_file(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	char *data = malloc(1 << 20);

	(void)ctx;
	assert_non_null(data);
	if (!f) {
		free(data);
		return -ENOENT;
	}
	*ret_len = fread(data, 1, 1 << 20, f);
	*ret_data = data;
	fclose(f);
	return 0;
}

static int find_real_profile(void *ctx, const char *name, char **ret_path, bool *ret_builtin)
{
	char path[512];

	(void)ctx;
	snprintf(path, sizeof(path), "%s/%s.policy", SLUICE_SOURCE_PROFILE_DIR, name);
	*ret_path = strdup(path);
	*ret_builtin = true;
	return 0;
}

static int try_load(const struct fake_pair *variables, const char *const *names, const char *user,
		    struct policy **ret, struct policy_error *ret_error)
{
	static const struct fake_pair links[] = {
		{"/bin", "/usr/bin"},
		{"/lib", "/usr/lib"},
		{"/lib64", "/usr/lib64"},
		{"/sbin", "/usr/sbin"},
		{"/etc/mtab", "/proc/4711/mounts"},
		{"/etc/os-release", "/usr/lib/os-release"},
		{NULL, NULL},
	};
	static struct fake_world world;
	struct policy_host host;
	struct policy *p;
	int r = 0;

	world = (struct fake_world){.variables = variables, .links = links};
	host = fake_host(&world);
	host.read_file = read_real_file;
	host.find_profile = find_real_profile;
	p = policy_new(&host);
	for (; *names && r == 0; names++)
		r = policy_add_policy(p, *names, ret_error);
	if (r == 0 && user)
		r = policy_add_text(p, "my.policy", RANK_USER, user, strlen(user), ret_error);
	if (r == 0)
		r = policy_finish(p, ret_error);
	if (r < 0)
		policy_free(p);
	else
		*ret = p;
	return r;
}

static struct policy *load_in(const struct fake_pair *variables, const char *const *names, const char *user)
{
	struct policy_error error = {"no error"};
	struct policy *p = NULL;

	if (try_load(variables, names, user, &p, &error) < 0)
		fail_msg("%s", error.text);
	return p;
}

static struct policy *load(const char *name, const char *user)
{
	return load_in(usual_variables, (const char *const[]){name, NULL}, user);
}

/* Two rules of profiles that name one object share no operation: neither is idle or in doubt. */
static void keep_disjoint_lists(void **state)
{
	struct policy *p =
		load_in(usual_variables, (const char *const[]){"build", "open", "credentials", NULL}, NULL);
	size_t n;
	const struct rule *rules = policy_rules(p, &n);

	(void)state;
	assert_true(n > 200);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			const struct rule *a = &rules[i], *b = &rules[k];

			if (a->n_names > 0 && b->n_names > 0 && (a->ops & b->ops) &&
			    strcmp(a->names[0].text, b->names[0].text) == 0)
				fail_msg("%s:%d and %s:%d name %s", a->file, a->line, b->file, b->line,
					 a->names[0].text);
		}
	policy_free(p);
}

static void load_with_toolchains_anywhere(void **state)
{
	static const char *const names[] = {"CARGO_HOME", "RUSTUP_HOME", "GOPATH",
					    "GOCACHE",	  "PYENV_ROOT",	 "NVM_DIR",
					    "CCACHE_DIR", "GITDIR",	 "SSH_AUTH_SOCK"};
	static const char *const values[] = {P, "/usr/local/x", H "/.cargo", "", "relative", "/tmp/sluice-1"};

	(void)state;
	for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
		struct fake_pair variables[16] = {
			{"HOME", H}, {"PWD", P}, {"UID", "1000"}, {"TMPDIR", "/tmp/sluice-1"}};

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			variables[4 + i] = (struct fake_pair){names[i], values[v]};
		policy_free(load_in(variables, (const char *const[]){"build", NULL}, NULL));
	}
}

static void refuse_to_hand_over_a_home_directory(void **state)
{
	static const struct {
		const char *pwd, *nvm, *error;
	} rows[] = {
		{H, "",
		 "build:12: the working directory is your home directory, and \"allow all $PWD\" would let "
		 "the "
		 "command change everything in it: go into a project, or say which part: -p base --allow "
		 "all:~/thing"},
		{"/home", "", "build:12: the working directory is above your home directory, and "},
		{"/", "", "build:12: the working directory is /, and "},
		{P, H, "$NVM_DIR leads to your home directory, and "},
		{P, "/", "$NVM_DIR leads to /, and "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_pair variables[] = {{"HOME", H},
						{"PWD", rows[i].pwd},
						{"UID", "1000"},
						{"TMPDIR", "/tmp/sluice-1"},
						{"NVM_DIR", rows[i].nvm},
						{NULL, NULL}};
		struct policy *p = NULL;
		struct policy_error error;

		assert_int_equal(try_load(variables, (const char *const[]){"build", NULL}, NULL, &p, &error),
				 -EINVAL);
		if (strncmp(error.text, "build:", 6) != 0 || !strstr(error.text, rows[i].error))
			fail_msg("%s", error.text);
		/* base has no working directory to give away */
		assert_int_equal(try_load(variables, (const char *const[]){"base", NULL}, NULL, &p, &error),
				 0);
		policy_free(p);
	}
}

static void never_say_never_and_keep_globs_away_from_projects(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_PROFILES; k++) {
		struct policy *p = load(profiles[k], NULL);
		size_t n;
		const struct rule *rules = policy_rules(p, &n);

		for (size_t i = 0; i < n; i++) {
			assert_int_not_equal(rules[i].action, ACTION_NEVER);
			assert_int_not_equal(rules[i].action, ACTION_ASK);
			assert_int_equal(rules[i].rank, RANK_BUILTIN);
			for (unsigned j = 0; j < rules[i].n_names; j++) {
				const struct pattern *name = &rules[i].names[j];

				if (name->is_glob && pattern_may_match_below(name, P, strlen(P)) &&
				    strncmp(name->prefix, P "/.git", strlen(P "/.git")) != 0)
					fail_msg("%s:%d taints the project", rules[i].file, rules[i].line);
			}
		}
		policy_free(p);
	}
}

/* Refusals inside of what is allowed cost: only what names commands for others to execute is worth it. */
static bool names_commands(const char *name)
{
	static const char *const names[] = {P "/.git", P "/.vscode", P "/.idea", P "/.zed", P "/.cursor", P "/.envrc", P "/.claude", P "/.mcp.json",
					    P "/HEAD", 					    "ccache.conf"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0 ||
		    (names[i][0] != '/' && strstr(name, names[i])))
			return true;
	return false;
}

static void refuse_nothing_inside_of_allowed_directories_but_what_names_commands(void **state)
{
	struct policy *p = load("build", NULL);
	size_t n;
	const struct rule *rules = policy_rules(p, &n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			const struct rule *deny = &rules[i], *allow = &rules[k];

			if (deny->action == ACTION_DENY && allow->action == ACTION_ALLOW &&
			    (deny->ops & allow->ops) && deny->n_names && allow->n_names &&
			    pattern_object(&allow->names[0], deny->names[0].text,
					   strlen(deny->names[0].text)) &&
			    !names_commands(deny->names[0].text))
				fail_msg("%s:%d lies in %s:%d", deny->file, deny->line, allow->file,
					 allow->line);
		}
	policy_free(p);
}

static void judge_as_they_say(void **state)
{
	static const struct {
		const char *profile;
		enum op op;
		const char *path;
		bool allowed;
	} rows[] = {
		{"base", OP_EXEC, "/usr/bin/cc", true},
		{"base", OP_EXEC, "/bin/sh", true},
		{"base", OP_READ, "/usr/share/zoneinfo/UTC", true},
		{"base", OP_READ, "/etc/passwd", true},
		{"base", OP_READ, "/etc/shadow", false},
		{"base", OP_READ, "/etc/ssl/certs/ca-certificates.crt", true},
		{"base", OP_READ, "/etc/ssl/private/key.pem", false},
		{"base", OP_WRITE, "/dev/null", true},
		{"base", OP_READ, "/dev/sda", false},
		{"base", OP_WRITE, "/proc/self/comm", true},
		{"base", OP_WRITE, "/proc/self/task/12/comm", true},
		{"base", OP_WRITE, "/proc/self/mem", false},
		{"base", OP_WRITE, "/proc/sysrq-trigger", false},
		{"base", OP_READ, "/proc/self/mounts", true},
		{"base", OP_READ, "/proc/cpuinfo", true},
		{"base", OP_READ, "/sys/devices/system/cpu/online", true},
		{"base", OP_WRITE, "/usr/lib/x", false},
		{"base", OP_READ, P "/a.c", false},
		{"base", OP_READ, H "/.gitconfig", false},
		{"build", OP_WRITE, P "/a.o", true},
		{"build", OP_EXEC, P "/configure", true},
		{"build", OP_CONNECT, P "/test.sock", true},
		{"build", OP_CREATE, "/tmp/sluice-1/cc1.s", true},
		{"build", OP_CREATE, "/tmp/x", false},
		{"build", OP_WRITE, P "/.git/index", true},
		{"build", OP_WRITE, P "/.git/config", false},
		{"build", OP_READ, P "/.git/config", true},
		{"build", OP_CREATE, P "/.git/commondir", false},
		{"build", OP_WRITE, P "/.git/modules/a/b/config", false},
		{"build", OP_CREATE, P "/.git/modules/a/hooks/x", false},
		{"build", OP_CREATE, P "/.git/modules/a/b/commondir", false},
		{"build", OP_CREATE, P "/.git/modules/a/config.worktree", false},
		{"build", OP_WRITE, P "/.git/modules/a/index", true},
		{"build", OP_CREATE, P "/.git/worktrees", true},
		{"build", OP_CREATE, P "/.git/worktrees/a", false},
		{"build", OP_DELETE, P "/.git/worktrees/a", false},
		{"build", OP_WRITE, P "/.git/worktrees/a/HEAD", true},
		{"build", OP_CREATE, P "/.git/worktrees/a/logs/HEAD", true},
		{"build", OP_DELETE, P "/.git/worktrees/a/index.lock", true},
		{"build", OP_WRITE, P "/.git/worktrees/a/commondir", false},
		{"build", OP_DELETE, P "/.git/worktrees/a/commondir", false},
		{"build", OP_CREATE, P "/.git/worktrees/a/config", false},
		{"build", OP_CREATE, P "/.git/worktrees/a/config.worktree", false},
		{"build", OP_CREATE, P "/.git/worktrees/a/hooks/post-checkout", false},
		{"build", OP_WRITE, P "/.git/worktrees/a/modules/m/config", false},
		{"build", OP_CREATE, P "/.git/worktrees/a/modules/m", false},
		{"build", OP_CREATE, P "/.git/hooks/post-checkout", false},
		{"build", OP_DELETE, P "/.git/hooks/post-checkout", false},
		{"build", OP_READ, H "/.gitconfig", true},
		{"build", OP_WRITE, H "/.gitconfig", false},
		{"build", OP_READ, H "/.ssh/id_ed25519", false},
		{"build", OP_READ, H "/.cargo/credentials.toml", false},
		{"build", OP_EXEC, H "/.cargo/bin/cargo", true},
		{"build", OP_WRITE, H "/.cargo/bin/cargo", false},
		{"build", OP_READ, H "/.cargo/registry/src/x/lib.rs", true},
		{"build", OP_WRITE, H "/.cargo/registry/src/x/lib.rs", false},
		{"build", OP_EXEC, H "/.rustup/toolchains/stable/bin/rustc", true},
		{"build", OP_CREATE, H "/.cache/go-build/00/x", true},
		{"build", OP_CREATE, H "/.cache/ccache/1/2", true},
		{"build", OP_READ, H "/go/pkg/mod/m@v1/m.go", true},
		{"build", OP_CREATE, H "/go/pkg/mod/m@v1/m.go", false},
		{"build", OP_READ, H "/.pyenv/versions/3/lib/os.py", true},
		{"build", OP_EXEC, H "/.nvm/versions/node/v20/bin/node", true},
		{"build", OP_READ, H "/.npmrc", false},
		{"build", OP_WRITE, H "/.bashrc", false},
		{"build", OP_READ, H "/Documents/letter", false},
		{"build", OP_CREATE, "/dev/shm/sem.x", true},
		{"build", OP_READ, "/dev/shm/pulse-shm-1", false},
		{"build", OP_CONNECT, "/run/docker.sock", false},
		{"build", OP_CONNECT, "/run/user/1000/bus", false},
		{"open", OP_WRITE, H "/.ssh/config", true},
		{"open", OP_EXEC, "/opt/x", true},
		{"open", OP_CONNECT, "/run/docker.sock", true},
		{"credentials", OP_READ, H "/.ssh/config", false},
		{"credentials", OP_READ, "/etc/passwd", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *p = load(rows[i].profile, NULL);
		struct verdict v = policy_decide(p, rows[i].op, rows[i].path, strlen(rows[i].path));

		if ((v.action == ACTION_ALLOW) != rows[i].allowed)
			fail_msg("%s: %s %s", rows[i].profile, op_names[rows[i].op], rows[i].path);
		policy_free(p);
	}
}

static void give_network_to_open_alone(void **state)
{
	(void)state;
	for (size_t k = 0; k < N_PROFILES; k++) {
		struct policy *p = load(profiles[k], NULL);
		enum action expected = strcmp(profiles[k], "open") == 0 ? ACTION_ALLOW : ACTION_DENY;

		assert_int_equal(policy_decide_net(p, OP_CONNECT).action, expected);
		assert_int_equal(policy_decide_net(p, OP_BIND).action, expected);
		policy_free(p);
	}
}

static void take_tokens_from_the_environment(void **state)
{
	struct policy *p = load("build", "env keep NPM_TOKEN\n");

	(void)state;
	assert_true(policy_env_unset(p, "GITHUB_TOKEN"));
	assert_true(policy_env_unset(p, "AWS_SECRET_ACCESS_KEY"));
	assert_false(policy_env_unset(p, "NPM_TOKEN"));
	assert_false(policy_env_unset(p, "PATH"));
	assert_false(policy_env_unset(p, "HOME"));
	policy_free(p);
}

static void let_open_be_narrowed(void **state)
{
	struct policy *p = load_in(usual_variables, (const char *const[]){"open", "credentials", NULL},
				   "deny w ~\nallow all $PWD\n");

	(void)state;
	assert_int_equal(policy_decide(p, OP_READ, H "/.ssh/id", strlen(H "/.ssh/id")).action, ACTION_DENY);
	assert_int_equal(policy_decide(p, OP_WRITE, H "/x", strlen(H "/x")).action, ACTION_DENY);
	assert_int_equal(policy_decide(p, OP_WRITE, P "/x", strlen(P "/x")).action, ACTION_ALLOW);
	assert_int_equal(policy_decide(p, OP_READ, H "/x", strlen(H "/x")).action, ACTION_ALLOW);
	policy_free(p);
}

/* Each example of sluice-policy(5) that begins with an include is a whole policy. */
static void accept_the_examples_of_the_man_page(void **state)
{
	char *page = NULL, *at;
	unsigned examples = 0;
	size_t len;

	(void)state;
	assert_int_equal(
		read_real_file(NULL, SLUICE_SOURCE_PROFILE_DIR "/../man/sluice-policy.5", &page, &len), 0);
	page[len] = '\0';
	at = strstr(page, ".Sh EXAMPLES");
	assert_non_null(at);
	while ((at = strstr(at, ".Bd -literal -offset indent\n"))) {
		char *end;

		at += strlen(".Bd -literal -offset indent\n");
		end = strstr(at, ".Ed");
		assert_non_null(end);
		*end = '\0';
		if (strncmp(at, "include", 7) == 0) {
			policy_free(load_in(usual_variables, (const char *const[]){NULL}, at));
			examples++;
		}
		at = end + 1;
	}
	assert_int_equal(examples, 5);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_disjoint_lists),
		cmocka_unit_test(load_with_toolchains_anywhere),
		cmocka_unit_test(refuse_to_hand_over_a_home_directory),
		cmocka_unit_test(never_say_never_and_keep_globs_away_from_projects),
		cmocka_unit_test(refuse_nothing_inside_of_allowed_directories_but_what_names_commands),
		cmocka_unit_test(judge_as_they_say),
		cmocka_unit_test(give_network_to_open_alone),
		cmocka_unit_test(take_tokens_from_the_environment),
		cmocka_unit_test(let_open_be_narrowed),
		cmocka_unit_test(accept_the_examples_of_the_man_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
