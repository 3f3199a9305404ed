/* SPDX-License-Identifier: Apache-2.0
 * The summary: rows, their order and folding, and options that would have allowed what they offer to.
 */
#include "core/observe/summary.h"
#include "core/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FAILED(status) ((status) << 8)

/* Home /tmp/sluice-test.XXXXXX/u, working directory ~/proj. */
static char root[] = "/tmp/sluice-test.XXXXXX";
static char home[64], proj[96];
static struct policy *policy;
static struct places places;
static struct refusal kinds[64];
static size_t n_kinds;
static struct text out;

static int host_read(void *ctx, const char *path, char **ret, size_t *ret_len)
{
	(void)ctx;
	(void)path;
	(void)ret;
	(void)ret_len;
	return -ENOENT;
}

static const char *host_variable(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "HOME") == 0 ? home : strcmp(name, "PWD") == 0 ? proj : NULL;
}

static const char *host_home(void *ctx, const char *user)
{
	(void)ctx;
	return user && *user ? NULL : home;
}

static int host_resolve(void *ctx, const char *path, char **ret, char **ret_link, char **ret_links)
{
	(void)ctx;
	*ret = strdup(path);
	*ret_link = *ret_links = NULL;
	return *ret ? 0 : -ENOMEM;
}

static const struct policy_host host = {
	.read_file = host_read, .get_variable = host_variable, .home_of = host_home, .resolve = host_resolve,
};

static struct policy *load(const char *credentials, const char *users, const char *allow, const char *deny)
{
	struct policy *p = policy_new(&host);
	struct policy_error e = {""};
	int r = 0;

	if (credentials)
		r = policy_add_text(p, "credentials", RANK_BUILTIN, credentials, strlen(credentials), &e);
	if (r == 0 && users)
		r = policy_add_text(p, "my.policy", RANK_USER, users, strlen(users), &e);
	if (r == 0 && deny)
		r = policy_add_option(p, ACTION_DENY, deny, &e);
	if (r == 0 && allow)
		r = policy_add_option(p, ACTION_ALLOW, allow, &e);
	if (r == 0)
		r = policy_finish(p, &e);
	if (r < 0)
		fail_msg("%s", e.text);
	return p;
}

static void use(const char *credentials, const char *users, const char *deny)
{
	places_done(&places);
	policy_free(policy);
	policy = load(credentials, users, NULL, deny);
	places_init(&places, policy);
	n_kinds = 0;
}

/* COUNT refusals of OP on PATH (~ is the home directory) for EXE, decided by the policy. */
static struct refusal *refuse(unsigned count, enum op op, const char *path, const char *exe)
{
	static char stored[64][512];
	char *target = stored[n_kinds];
	struct verdict v;

	snprintf(target, sizeof(stored[0]), "%s%s", path[0] == '~' ? home : "", path + (path[0] == '~'));
	v = policy_decide(policy, op, target, strlen(target));
	kinds[n_kinds] = (struct refusal){
		.op = op, .target = target, .target_len = strlen(target), .rule = v.rule, .action = v.action,
		.by = v.rule ? BY_RULE : BY_DEFAULT, .exe = exe, .err = EACCES, .count = count, .first = n_kinds,
	};
	return &kinds[n_kinds++];
}

static const char *summary(int wstatus, bool verbose)
{
	struct summary_input in = {
		.places = &places, .command = "/usr/bin/make", .wstatus = wstatus, .verbose = verbose,
		.refusals = kinds, .n_refusals = n_kinds,
	};

	text_reset(&out);
	summary_write(&in, &out);
	return out.len ? out.data : "";
}

static void looks_as_the_reference_draws_it(void **state)
{
	(void)state;
	use("# 1\n\n\n\n\n\ndeny all ~/.ssh\n", "allow all $PWD\n", NULL);
	refuse(1, OP_READ, "~/.ssh/config", "/usr/bin/ssh");
	for (int i = 0; i < 4; i++) {
		char name[] = "~/.cache/ccache/0";

		name[16] = (char)('0' + i);
		refuse(1, OP_CREATE, name, "/usr/bin/ccache");
	}
	refuse(9, OP_READ, "~/.gitconfig", "/usr/bin/git");
	assert_string_equal(summary(FAILED(2), false),
		"sluice: 3 accesses were refused (14 times), make ended with status 2\n"
		"  9x  read    ~/.gitconfig                   by git\n"
		"              no rule names it               --allow read:~/.gitconfig\n"
		"  4x  create  ~/.cache/ccache/ (4 names)     by ccache\n"
		"              no rule names it               --allow rw:~/.cache/ccache\n"
		"  1x  read    ~/.ssh/config                  by ssh\n"
		"              credentials:7  deny all ~/.ssh --allow read:~/.ssh/config   (may hold secrets)\n");
}

static void a_long_rule_is_cut_down_to_what_speaks(void **state)
{
	(void)state;
	use("deny all ~/.ssh ~/.gnupg ~/.pki ~/.age ~/.config/age ~/.config/sops\n", NULL, NULL);
	refuse(1, OP_READ, "~/.pki/x", "/bin/t");
	assert_non_null(strstr(summary(FAILED(1), false), "credentials:1  deny all ~/.pki ... --allow read:~/.pki/x"));
}

static void success_is_one_line_unless_verbose(void **state)
{
	(void)state;
	use(NULL, "allow all $PWD\n", NULL);
	refuse(1, OP_READ, "~/.gitconfig", "/usr/bin/git");
	assert_string_equal(summary(0, false),
			    "sluice: 1 access was refused (once), make succeeded (-v shows them)\n");
	assert_non_null(strstr(summary(0, true), "--allow read:~/.gitconfig"));
	assert_non_null(strstr(summary(11, false), "make was killed by SIGSEGV\n"));
}

static void says_nothing_when_nothing_was_refused(void **state)
{
	(void)state;
	use(NULL, "allow all $PWD\n", NULL);
	assert_string_equal(summary(0, true), "");
	assert_string_equal(summary(FAILED(1), false), "");
}

static void never_gets_no_allowing_line(void **state)
{
	(void)state;
	use(NULL, "never all ~/.aws\n", NULL);
	for (int i = 0; i < 4; i++) {
		char name[] = "~/.aws/0";

		name[7] = (char)('0' + i);
		refuse(1, OP_READ, name, "/usr/bin/aws");
	}
	assert_null(strstr(summary(FAILED(1), false), "--allow"));
	assert_non_null(strstr(out.data, "~/.aws/3"));
	assert_non_null(strstr(out.data, "no option lifts a never"));
}

static void two_siblings_are_not_folded(void **state)
{
	(void)state;
	use(NULL, NULL, NULL);
	refuse(1, OP_READ, "~/a/x", "/bin/t");
	refuse(1, OP_READ, "~/a/y", "/bin/t");
	refuse(5, OP_READ, "~/a/y", "/bin/other");
	assert_non_null(strstr(summary(FAILED(1), false), "--allow read:~/a/x\n"));
	assert_non_null(strstr(out.data, "--allow read:~/a/y\n"));
	assert_non_null(strstr(out.data, "6x  read    ~/a/y"));
	assert_non_null(strstr(out.data, "by t and other\n"));
}

static void suggestions_stay_below_home_work_and_credentials(void **state)
{
	static const char *const dirs[] = {"~", "~/proj", "", "/tmp", "~/.ssh", "~/.config"};

	(void)state;
	for (unsigned d = 0; d < sizeof(dirs) / sizeof(dirs[0]); d++) {
		char name[64], option[128];

		use("deny all ~/.ssh ~/.config/gh\n", NULL, NULL);
		for (char c = 'a'; c < 'f'; c++) {
			snprintf(name, sizeof(name), "%s/%c", dirs[d], c);
			refuse(1, OP_READ, name, "/bin/t");
		}
		snprintf(option, sizeof(option), "--allow read:%s\n", *dirs[d] ? dirs[d] : "/");
		assert_null(strstr(summary(FAILED(1), false), option));
		assert_null(strstr(out.data, "names)"));
	}
	use("deny all ~/.ssh ~/.config/gh\n", NULL, NULL);
	for (char c = 'a'; c < 'f'; c++) {
		char name[] = "~/.config/other/a";

		name[16] = c;
		refuse(1, OP_READ, name, "/bin/t");
	}
	assert_non_null(strstr(summary(FAILED(1), false), "--allow read:~/.config/other\n"));
}

static void no_option_for_a_place_above_what_is_kept(void **state)
{
	(void)state;
	use("deny all ~/.config/gh\ndeny read ~/.npmrc\n", NULL, NULL);
	refuse(1, OP_LIST, "~", "/bin/ls");
	refuse(1, OP_LIST, "/", "/bin/ls");
	refuse(1, OP_LIST, "~/.config", "/bin/ls");
	refuse(1, OP_LIST, "/tmp", "/bin/ls");
	summary(FAILED(1), false);
	assert_null(strstr(out.data, "--allow"));
	refuse(1, OP_READ, "~/.npmrc", "/bin/cat");
	refuse(1, OP_LIST, "~/proj", "/bin/ls");
	refuse(1, OP_LIST, "~/.config/gh", "/bin/ls");
	summary(FAILED(1), false);
	assert_non_null(strstr(out.data, "--allow read:~/.npmrc   (may hold secrets)"));
	assert_non_null(strstr(out.data, "--allow list:~/proj\n"));
	assert_non_null(strstr(out.data, "--allow list:~/.config/gh   (may hold"));
}

static void a_directory_is_not_offered_where_it_changes_nothing(void **state)
{
	(void)state;
	use(NULL, "allow rw $PWD\ndeny read **/.env\n", NULL);
	refuse(1, OP_READ, "~/proj/a/.env", "/bin/t");
	refuse(1, OP_READ, "~/proj/a/.env/x", "/bin/t");
	refuse(1, OP_READ, "~/proj/a/.env/y", "/bin/t");
	refuse(1, OP_READ, "~/proj/a/.env/z", "/bin/t");
	assert_non_null(strstr(summary(FAILED(1), false), "--allow read:~/proj/a/.env\n"));
	assert_non_null(strstr(out.data, "~/proj/a/.env/ (3 names)"));
	use(NULL, NULL, "read:~/x");
	refuse(1, OP_READ, "~/x", "/bin/t");
	refuse(1, OP_READ, "~/x/y", "/bin/t");
	summary(FAILED(1), false);
	assert_null(strstr(out.data, "--allow read:~/x\n"));
	assert_non_null(strstr(out.data, "--allow read:~/x/y\n"));
}

static void ten_rows_at_most_and_the_rest_counted(void **state)
{
	size_t rows = 0;

	(void)state;
	use(NULL, NULL, NULL);
	for (unsigned i = 0; i < 30; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/opt/%u/x", i);
		refuse(100 - i, OP_EXEC, name, "/bin/t");
	}
	summary(FAILED(1), false);
	for (const char *p = out.data; (p = strstr(p, "x  exec")); p++)
		rows++;
	assert_int_equal(rows, SUMMARY_ROWS);
	assert_non_null(strstr(out.data, "sluice: 30 accesses were refused (2565 times), make ended"));
	assert_non_null(strstr(out.data, "  and 20 more, refused 1610 times (--record FILE keeps all)\n"));
	assert_true(strstr(out.data, "100x") < strstr(out.data, " 99x"));
}

static void what_the_user_and_errors_decided_is_told_apart(void **state)
{
	(void)state;
	use(NULL, "ask read ~/q\n", NULL);
	refuse(1, OP_READ, "~/q/1", "/bin/t")->by = BY_USER;
	refuse(1, OP_READ, "~/q/2/3", "/bin/t")->by = BY_TIMEOUT;
	refuse(1, OP_READ, "~/e", "/bin/t")->by = BY_ERROR;
	kinds[2].detail = "its memory could not be read";
	summary(FAILED(1), false);
	assert_non_null(strstr(out.data, "my.policy:1  ask read ~/q: the answer was no "));
	assert_non_null(strstr(out.data, "my.policy:1  ask read ~/q: not answered"));
	assert_non_null(strstr(out.data, "--allow read:~/q/2/3\n"));
	assert_non_null(strstr(out.data, "could not be decided: its memory could not be read\n"));
	assert_null(strstr(out.data, "--allow read:~/e\n"));
}

static void names_are_escaped(void **state)
{
	(void)state;
	use(NULL, NULL, NULL);
	refuse(1, OP_READ, "~/a\033[2J\nsluice: all is well \xff\xe2\x80\xae", "/bin/\033]0;x\a");
	summary(FAILED(1), false);
	for (size_t i = 0; i < out.len; i++)
		assert_true((unsigned char)out.data[i] < 0x7f && (out.data[i] >= ' ' || out.data[i] == '\n'));
	assert_null(strstr(out.data, "\nsluice: all is well"));
}

/* What a shell makes of WORD. */
static char *shell_word(const char *option)
{
	char command[8192];
	static char word[4096];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "bash -c 'printf %%s \"$2\"' x %s", option);
	setenv("SCRIPT", command, 1);
	f = popen("bash -c \"$SCRIPT\"", "r");
	assert_non_null(f);
	n = fread(word, 1, sizeof(word) - 1, f);
	word[n] = '\0';
	assert_int_equal(pclose(f), 0);
	return word;
}

static void options_paste_into_a_shell_and_allow_the_very_path(void **state)
{
	static const char *const names[] = {
		"~/plain", "~/two words", "~/it's", "~/glob*?[a]", "~/back\\slash", "~/$HOME and `id`", "~/\"q\"",
		"~/new\nline", "~/esc\033[2J", "~/bytes\xff\xfe", "~/\xc3\xa4\xc3\xb6", "~/#hash", "~/!bang", "~/~",
		"~/{a,b}", "~/;rm -rf", "/~", "/ leading", "~/trailing ", "~/a=b:c,d", "~/-x", "~/(p)&|<>", "~/tab\there",
		"~/rtl\xe2\x80\xae", "~/q'\"\\\n*",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct text option = {0};
		struct policy *with;
		struct verdict v;
		char *word;

		use(NULL, NULL, NULL);
		refuse(1, OP_READ, names[i], "/bin/t");
		remedy_option(&places, &option, OP_READ, kinds[0].target, kinds[0].target_len);
		for (size_t j = 0; j < option.len; j++)
			assert_true((unsigned char)option.data[j] >= ' ' && option.data[j] != 0x7f);
		word = shell_word(option.data);
		with = load(NULL, NULL, word, NULL);
		v = policy_decide(with, OP_READ, kinds[0].target, kinds[0].target_len);
		if (v.action != ACTION_ALLOW)
			fail_msg("%s does not allow %s", option.data, kinds[0].target);
		policy_free(with);
		/* Nor anything beside it. */
		with = load(NULL, NULL, word, NULL);
		v = policy_decide(with, OP_READ, "/globxa", 7);
		assert_int_equal(v.action, ACTION_DENY);
		policy_free(with);
		text_done(&option);
	}
}

static void what_was_not_watched_is_said(void **state)
{
	struct plan plan = {.opens = TRAP_OPENS_WRITES, .trap = {[CALL_NAME] = true, [CALL_EXEC] = true}};
	struct summary_input in = {.plan = &plan, .command = "make", .wstatus = FAILED(2)};
	const char *remarks[] = {"a remark", NULL};

	(void)state;
	use(NULL, "allow all $PWD\nreport writes\n", NULL);
	in.places = &places;
	plan.inet_sockets = true;
	text_reset(&out);
	summary_write(&in, &out);
	assert_string_equal(out.data, "sluice: reads were not watched (report writes): --report all watches them\n");
	in.wstatus = 0;
	text_reset(&out);
	summary_write(&in, &out);
	assert_int_equal(out.len, 0);
	in.remarks = remarks;
	summary_write(&in, &out);
	assert_string_equal(out.data, "sluice: a remark\n");
	plan.inet_sockets = false;
	plan.opens = TRAP_OPENS_ALL;
	in.remarks = NULL;
	in.wstatus = FAILED(1);
	text_reset(&out);
	summary_write(&in, &out);
	assert_non_null(strstr(out.data, "the network was refused and not watched"));
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(home, sizeof(home), "%s/u", root);
	snprintf(proj, sizeof(proj), "%s/proj", home);
	setenv("HOME", home, 1);
	return mkdir(home, 0700) < 0 || mkdir(proj, 0700) < 0 || chdir(proj) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	places_done(&places);
	policy_free(policy);
	text_done(&out);
	return chdir("/") < 0 || rmdir(proj) < 0 || rmdir(home) < 0 || rmdir(root) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_as_the_reference_draws_it),
		cmocka_unit_test(a_long_rule_is_cut_down_to_what_speaks),
		cmocka_unit_test(success_is_one_line_unless_verbose),
		cmocka_unit_test(says_nothing_when_nothing_was_refused),
		cmocka_unit_test(never_gets_no_allowing_line),
		cmocka_unit_test(two_siblings_are_not_folded),
		cmocka_unit_test(suggestions_stay_below_home_work_and_credentials),
		cmocka_unit_test(no_option_for_a_place_above_what_is_kept),
		cmocka_unit_test(a_directory_is_not_offered_where_it_changes_nothing),
		cmocka_unit_test(ten_rows_at_most_and_the_rest_counted),
		cmocka_unit_test(what_the_user_and_errors_decided_is_told_apart),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(options_paste_into_a_shell_and_allow_the_very_path),
		cmocka_unit_test(what_was_not_watched_is_said),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
