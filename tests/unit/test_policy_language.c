/* SPDX-License-Identifier: Apache-2.0
 * The language where it is right: words, variables, includes, options, settings, environment, names.
 */
#include "tests/unit/policy_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct fake_pair links[] = {
	{"/lib", "/usr/lib"},
	{"/home/u/l", "/home/u/.ssh"},
	{"/etc/mtab", "/proc/4711/mounts"},
	{"/proc/net", "/proc/4711/net"},
	{NULL, NULL},
};
static const struct fake_pair files[] = {
	{"/p/a.policy", "include ./sub/b.policy\ninclude base\ninclude ./sub/b.policy\nallow read /a\n"},
	{"/p/sub/b.policy", "include ../c.policy\nallow read /b\n"},
	{"/p/c.policy", "allow read /c\nreport writes\n"},
	{"/profiles/base", "allow rx /usr\nreport none\nexec-holes checked\nenv set A=base\n"},
	{"/home/u/.config/sluice/mine.policy", "allow read /mine\n"},
	{NULL, NULL},
};
static const struct fake_pair profiles[] = {
	{"base", "/profiles/base"}, {"mine", "/home/u/.config/sluice/mine.policy"}, {NULL, NULL}};
static const struct fake_pair variables[] = {
	{"HOME", "/home/u"}, {"PWD", "/home/u/proj"}, {"UID", "1000"},	{"TMPDIR", "/tmp/sluice-1"},
	{"EMPTY", ""},	     {"RELATIVE", "a/b"},     {"WORD", "word"}, {"STAR", "/a*b/$HOME c"},
	{NULL, NULL},
};
static const struct fake_world world = {variables, files, profiles, links};

static struct policy *policy_of(const char *text)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error;

	if (policy_add_text(p, "my.policy", RANK_USER, text, strlen(text), &error) < 0 ||
	    policy_finish(p, &error) < 0)
		fail_msg("%s\n%s", text, error.text);
	return p;
}

static void reads_words_as_a_shell_does(void **state)
{
	static const struct {
		const char *word, *name;
	} rows[] = {
		{"/a/b", "/a/b"},
		{"//a///b/./", "/a/b"},
		{"~", "/home/u"},
		{"~/x", "/home/u/x"},
		{"~eve/x", "/home/eve/x"},
		{"\\~", NULL},
		{"/~", "/~"},
		{"$HOME/x", "/home/u/x"},
		{"${HOME}x", "/home/ux"},
		{"$PWD/../x", "/home/u/x"},
		{"/run/user/$UID/bus", "/run/user/1000/bus"},
		{"/x/$WORD.$WORD", "/x/word.word"},
		{"/jail$HOME", "/jail/home/u"},
		{"${UNSET:-~/d}", "/home/u/d"},
		{"${UNSET:-$HOME/d}/e", "/home/u/d/e"},
		{"${UNSET:-${EMPTY:-/e}}/f", "/e/f"},
		{"${RELATIVE:-/d}", "/d"},
		{"${HOME:-$UNSET}", "/home/u"},
		{"${HOME:-}x", "/home/ux"},
		{"/x/${UNSET:-w}", "/x/w"},
		{"\"/a b\"", "/a b"},
		{"'/a b'", "/a b"},
		{"/a\\ b", "/a b"},
		{"~/\"a b\"/c", "/home/u/a b/c"},
		{"\"/a\\tb\\x41\\101\\\\\\\"\\n\"", "/a\tbAA\\\"\n"},
		{"'/a\\'b'", "/a'b"},
		{"/a#b", "/a#b"},
		{"/{a,b}!", "/{a,b}!"},
		{"/\\*\\?\\[", "/*?["},
		{"\"/*\"", "/*"},
		{"/a]b", "/a]b"},
		{"$STAR", "/a*b/$HOME c"},
		{"/\xff\xfe", "/\xff\xfe"},
		{"/lib/x", "/usr/lib/x"},
		{"/etc/mtab/x", "/proc/self/mounts/x"},
		{"/proc/self/fd", "/proc/self/fd"},
		{"/proc/4711/mem", "/proc/4711/mem"},
		{"/proc/net/tcp", "/proc/self/net/tcp"},
		{"/dev/fd/3", "/proc/self/fd/3"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct policy *p;
		const struct rule *rules;
		size_t n;

		if (!rows[i].name)
			continue;
		snprintf(text, sizeof(text), "\tallow  read %s  # a comment\r\n", rows[i].word);
		p = policy_of(text);
		rules = policy_rules(p, &n);
		assert_int_equal(n, 1);
		assert_false(rules[0].names[0].is_glob);
		if (strcmp(rules[0].names[rules[0].n_names - 1].text, rows[i].name) != 0)
			fail_msg("%s is %s", rows[i].word, rules[0].names[rules[0].n_names - 1].text);
		policy_free(p);
	}
}

static void keeps_wildcards_that_stand_outside_of_quotes(void **state)
{
	static const struct {
		const char *word, *text;
	} rows[] = {
		{"~/*.c", "/home/u/*.c"},	 {"/lib/*", "/usr/lib/*"},   {"**/x", "/**/x"},
		{"$STAR/*", "/a\\*b/$HOME c/*"}, {"\"/a*\"/b*", "/a\\*/b*"}, {"~/l/**", "/home/u/.ssh/**"},
		{"/x/../y/?", "/y/?"},		 {"/[a\"]\"]*", "/[a\\]]*"}, {"/dev/fd/*", "/proc/self/fd/*"},
		{"/p/**/q/**", "/p/**/q/**"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128];
		struct policy *p;
		const struct rule *rules;
		size_t n;

		snprintf(text, sizeof(text), "allow read %s", rows[i].word);
		p = policy_of(text);
		rules = policy_rules(p, &n);
		assert_true(rules[0].names[0].is_glob);
		if (strcmp(rules[0].names[0].text, rows[i].text) != 0)
			fail_msg("%s is %s", rows[i].word, rules[0].names[0].text);
		policy_free(p);
	}
}

static void names_a_link_and_what_it_leads_to(void **state)
{
	struct policy *p = policy_of("deny read ~/l\nallow rx /lib\ndeny read /dev/stdin\n");
	size_t n;
	const struct rule *rules = policy_rules(p, &n);

	(void)state;
	assert_int_equal(rules[0].n_names, 2);
	assert_string_equal(rules[0].names[0].text, "/home/u/l");
	assert_string_equal(rules[0].names[1].text, "/home/u/.ssh");
	assert_string_equal(rules[1].names[1].text, "/usr/lib");
	assert_string_equal(rules[2].names[0].text, "/dev/stdin");
	assert_string_equal(rules[2].names[1].text, "/proc/self/fd/0");
	assert_int_equal(policy_decide(p, OP_READ, "/home/u/.ssh/id", 15).action, ACTION_DENY);
	assert_int_equal(policy_decide(p, OP_EXEC, "/usr/lib/ld.so", 14).action, ACTION_ALLOW);
	policy_free(p);
}

static void carries_errno_quiet_and_audit(void **state)
{
	struct policy *p = policy_of("deny read /a as ENOENT quiet\nnever w /b as EROFS\nallow all /c audit\n"
				     "ask read /d quiet\n");
	struct verdict v = policy_decide(p, OP_READ, "/a/x", 4);

	(void)state;
	assert_int_equal(v.err, ENOENT);
	assert_true(v.quiet && !v.audit);
	v = policy_decide(p, OP_DELETE, "/b", 2);
	assert_int_equal(v.action, ACTION_NEVER);
	assert_int_equal(v.err, EROFS);
	v = policy_decide(p, OP_EXEC, "/c", 2);
	assert_true(v.action == ACTION_ALLOW && v.audit && v.err == 0);
	v = policy_decide(p, OP_READ, "/d", 2);
	assert_true(v.action == ACTION_ASK && v.quiet && v.err == 0);
	assert_true(policy_asks(p, OP_READ));
	assert_false(policy_asks(p, OP_WRITE));
	assert_true(policy_names_op(p, OP_CREATE));
	assert_false(policy_names_op(p, OP_EXEC));
	assert_false(policy_names_op(p, OP_STAT));
	policy_free(p);
	p = policy_of("allow stat /x\n");
	assert_true(policy_names_op(p, OP_STAT));
	policy_free(p);
}

static void refuses_replacement_where_it_refuses_writing(void **state)
{
	struct policy *p = policy_of("allow all /d\ndeny write /d/f\nask write /d/g\nallow write /e\n");

	(void)state;
	assert_int_equal(policy_decide(p, OP_CREATE, "/d/f", 4).action, ACTION_DENY);
	assert_int_equal(policy_decide(p, OP_DELETE, "/d/f", 4).action, ACTION_DENY);
	assert_int_equal(policy_decide(p, OP_META, "/d/f", 4).action, ACTION_ALLOW);
	assert_int_equal(policy_decide(p, OP_CREATE, "/d/g", 4).action, ACTION_ASK);
	assert_int_equal(policy_decide(p, OP_CREATE, "/e", 2).action,
			 ACTION_DENY); /* allow gives what it says */
	policy_free(p);
}

static void reads_files_once_and_knows_their_ranks(void **state)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error;
	const struct rule *rules;
	size_t n;

	(void)state;
	if (policy_add_policy(p, "/p/a.policy", &error) < 0 || policy_add_policy(p, "mine", &error) < 0 ||
	    policy_add_policy(p, "base", &error) < 0 || policy_add_policy(p, "none", &error) < 0 ||
	    policy_finish(p, &error) < 0)
		fail_msg("%s", error.text);
	rules = policy_rules(p, &n);
	assert_int_equal(n, 5);
	assert_string_equal(rules[0].file, "/p/sub/../c.policy");
	assert_int_equal(rules[0].rank, RANK_USER);
	assert_string_equal(rules[1].file, "/p/sub/b.policy");
	assert_int_equal(rules[1].line, 2);
	assert_string_equal(rules[2].file, "base");
	assert_int_equal(rules[2].rank, RANK_BUILTIN);
	assert_string_equal(rules[4].file, "/home/u/.config/sluice/mine.policy");
	assert_string_equal(policy_files(p)[0], "/p/a.policy");
	assert_string_equal(policy_files(p)[2], "/p/c.policy");
	assert_null(policy_files(p)[5]);
	policy_free(p);
}

static void lets_the_highest_rank_set(void **state)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	const char text[] =
		"report writes\nreport writes\nenv set A=user\nenv set B=$UID:~/x\nenv set C=~/y\n";
	const struct env_rule *env;
	struct policy_error error;
	size_t n, sets = 0;

	(void)state;
	assert_int_equal(policy_add_policy(p, "base", &error), 0);
	assert_int_equal(policy_add_text(p, "t", RANK_USER, text, strlen(text), &error), 0);
	assert_int_equal(policy_finish(p, &error), 0);
	assert_int_equal(policy_report(p), REPORT_WRITES);
	assert_int_equal(policy_exec_holes(p), EXEC_HOLES_CHECKED);
	env = policy_env(p, &n);
	for (size_t i = 0; i < n; i++) {
		if (env[i].action != ENV_SET)
			continue;
		sets++;
		if (strcmp(env[i].name, "A") == 0)
			assert_string_equal(env[i].value, "user");
		if (strcmp(env[i].name, "B") == 0)
			assert_string_equal(env[i].value, "1000:~/x");
		if (strcmp(env[i].name, "C") == 0)
			assert_string_equal(env[i].value, "/home/u/y");
	}
	assert_int_equal(sets, 3);
	policy_free(p);

	p = policy_new(&host);
	assert_int_equal(policy_add_text(p, "t", RANK_USER, text, strlen(text), &error), 0);
	assert_int_equal(policy_set_report(p, "none", &error), 0);
	assert_int_equal(policy_finish(p, &error), 0);
	assert_int_equal(policy_report(p), REPORT_NONE);
	policy_free(p);

	p = policy_of("");
	assert_int_equal(policy_report(p), REPORT_ALL);
	assert_int_equal(policy_exec_holes(p), EXEC_HOLES_STRICT);
	assert_null(policy_files(p)[0]);
	assert_null(policy_allowed_calls(p)[0]);
	policy_free(p);
}

static void lifts_an_unset_by_a_keep_of_higher_rank(void **state)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	const char low[] = "env unset '*_TOKEN' AWS_* X?\n", high[] = "env keep GH_* \\X[1-3]\n";
	struct policy_error error;

	(void)state;
	assert_int_equal(policy_add_text(p, "b", RANK_BUILTIN, low, strlen(low), &error), 0);
	assert_int_equal(policy_add_text(p, "u", RANK_USER, high, strlen(high), &error), 0);
	assert_int_equal(policy_finish(p, &error), 0);
	assert_true(policy_env_unset(p, "NPM_TOKEN"));
	assert_false(policy_env_unset(p, "GH_TOKEN"));
	assert_true(policy_env_unset(p, "AWS_"));
	assert_false(policy_env_unset(p, "X2"));
	assert_true(policy_env_unset(p, "X4"));
	assert_false(policy_env_unset(p, "TOKEN"));
	policy_free(p);
}

static void sorts_allowed_calls(void **state)
{
	struct policy *p = policy_of("allow call io_uring_setup bpf\nallow call bpf\n");

	(void)state;
	assert_string_equal(policy_allowed_calls(p)[0], "bpf");
	assert_string_equal(policy_allowed_calls(p)[1], "io_uring_setup");
	assert_null(policy_allowed_calls(p)[2]);
	policy_free(p);
}

static void takes_options_in_both_forms(void **state)
{
	static const struct {
		enum action action;
		const char *argument, *path, *text;
		size_t n;
	} rows[] = {
		{ACTION_ALLOW, "read:~/a b", "/home/u/a b", "allow read ~/a b", 1},
		{ACTION_ALLOW, "read:src/main.c", "/home/u/proj/src/main.c", "allow read src/main.c", 1},
		{ACTION_DENY, "read:.", "/home/u/proj", "deny read .", 1},
		{ACTION_DENY, "read:../x", "/home/u/x", "deny read ../x", 1},
		{ACTION_NEVER, "all:/x#y", "/x#y", "never all /x#y", 1},
		{ACTION_ALLOW, "read:\"/a  b\"", "/a  b", "allow read \"/a  b\"", 1},
		{ACTION_ASK, "rw  /a   /b quiet", "/a", "ask rw /a /b quiet", 2},
		{ACTION_ASK, "read quiet", NULL, NULL, 0},
		{ACTION_ASK, "read ./quiet", "/home/u/proj/quiet", "ask read ./quiet", 1},
		{ACTION_DENY, "read:/a quiet", "/a quiet", "deny read /a quiet", 1},
		{ACTION_ALLOW, "read:/a\\*", "/a*", "allow read /a\\*", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_host host = fake_host(&world);
		struct policy *p = policy_new(&host);
		struct policy_error error;
		const struct rule *rules;
		size_t n;
		int r = policy_add_option(p, rows[i].action, rows[i].argument, &error);

		if (rows[i].n == 0) {
			assert_int_equal(r, -EINVAL);
			policy_free(p);
			continue;
		}
		if (r < 0 || policy_finish(p, &error) < 0)
			fail_msg("%s", error.text);
		rules = policy_rules(p, &n);
		assert_int_equal(n, rows[i].n);
		assert_int_equal(rules[0].rank, RANK_OPTION);
		assert_int_equal(rules[0].line, 0);
		assert_string_equal(rules[0].names[0].text, rows[i].path);
		assert_string_equal(rules[0].text, rows[i].text);
		policy_free(p);
	}
}

static void protects_files_in_use(void **state)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	const char text[] = "allow all ~\n";
	struct policy_error error;

	(void)state;
	assert_int_equal(policy_add_text(p, "t", RANK_USER, text, strlen(text), &error), 0);
	assert_int_equal(policy_add_protected(p, "/home/u/.config/sluice", &error), 0);
	assert_int_equal(policy_add_protected(p, "run.json", &error), 0);
	assert_int_equal(policy_add_protected(p, "/home/u/proj/run.json", &error), 0);
	assert_int_equal(policy_finish(p, &error), 0);
	assert_int_equal(policy_decide(p, OP_WRITE, "/home/u/proj/run.json", 21).action, ACTION_NEVER);
	assert_int_equal(policy_decide(p, OP_CREATE, "/home/u/.config/sluice/x", 24).action, ACTION_NEVER);
	assert_int_equal(policy_decide(p, OP_READ, "/home/u/proj/run.json", 21).action, ACTION_ALLOW);
	policy_free(p);
	p = policy_new(&host);
	assert_int_equal(policy_add_option(p, ACTION_ALLOW, "w:/r.json", &error), 0);
	assert_int_equal(policy_add_protected(p, "/r.json", &error), 0);
	assert_int_equal(policy_finish(p, &error), -EINVAL);
	assert_string_equal(error.text,
			    "--allow w:/r.json: has no effect, the file is in use by sluice itself "
			    "(never w /r.json): remove that line");
	policy_free(p);
}

/* ---- text ---- */

static void escapes_what_could_deceive(void **state)
{
	static const struct {
		const char *bytes, *shown;
	} rows[] = {
		{"plain/\xc3\xa9", "plain/\xc3\xa9"},
		{"a\nb\tc", "a\\nb\\tc"},
		{"\x1b[2J", "\\x1b[2J"},
		{"\x7f\xff", "\\x7f\\xff"},
		{"a\\b", "a\\\\b"},
		{"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right-to-left override */
		{"\xe2\x80\x8b", "\\xe2\\x80\\x8b"}, /* zero width space */
		{"\xc2\x9b", "\\xc2\\x9b"},	     /* one-byte CSI */
		{"\xc0\x80", "\\xc0\\x80"},	     /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe2\x82", "\\xe2\\x82"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	};
	char buf[64], small[4];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(escape_bytes(buf, sizeof(buf), rows[i].bytes, strlen(rows[i].bytes)),
				 strlen(rows[i].shown));
		assert_string_equal(buf, rows[i].shown);
	}
	assert_int_equal(escape_bytes(small, sizeof(small), "abcdef", 6), 6);
	assert_string_equal(small, "abc");
	assert_int_equal(escape_bytes(NULL, 0, "abcdef", 6), 6);
}

static void writes_words_that_read_back(void **state)
{
	static const char *const paths[] = {
		"/",	       "/a b", "/home/u", "/home/u/x", "/home/u/a b", "/home/u2", "/a*[?]",
		"/\x1b\n\xff", "/~",   "/$HOME",  "/a\"b'c\\", "/home/u/#x",  "/{a}",	  "/\xe2\x80\xae"};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char word[128], text[160];
		struct policy *p;
		size_t n;

		assert_true(policy_format_word(word, sizeof(word), paths[i], strlen(paths[i]), "/home/u") <
			    sizeof(word));
		snprintf(text, sizeof(text), "allow read %s\n", word);
		p = policy_of(text);
		assert_string_equal(policy_rules(p, &n)->names[0].text, paths[i]);
		policy_free(p);
	}
}

static void writes_operations_shortly(void **state)
{
	static const char *const rows[] = {"all",    "rw",	 "rx",		 "ro",
					   "w",	     "read",	 "rw,exec",	 "rx,write",
					   "w,read", "all,stat", "connect,bind", "ro,create,delete"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char buf[64];
		opset ops = 0, again = 0;

		assert_int_equal(opset_parse(rows[i], strlen(rows[i]), &ops), 0);
		opset_format(ops, buf, sizeof(buf));
		assert_string_equal(buf, rows[i]);
		assert_int_equal(opset_parse(buf, strlen(buf), &again), 0);
		assert_int_equal(ops, again);
	}
	assert_int_equal(opset_parse("", 0, &(opset){0}), -EINVAL);
	assert_int_equal(opset_parse("read,", 5, &(opset){0}), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_words_as_a_shell_does),
		cmocka_unit_test(keeps_wildcards_that_stand_outside_of_quotes),
		cmocka_unit_test(names_a_link_and_what_it_leads_to),
		cmocka_unit_test(carries_errno_quiet_and_audit),
		cmocka_unit_test(refuses_replacement_where_it_refuses_writing),
		cmocka_unit_test(reads_files_once_and_knows_their_ranks),
		cmocka_unit_test(lets_the_highest_rank_set),
		cmocka_unit_test(lifts_an_unset_by_a_keep_of_higher_rank),
		cmocka_unit_test(sorts_allowed_calls),
		cmocka_unit_test(takes_options_in_both_forms),
		cmocka_unit_test(protects_files_in_use),
		cmocka_unit_test(escapes_what_could_deceive),
		cmocka_unit_test(writes_words_that_read_back),
		cmocka_unit_test(writes_operations_shortly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
