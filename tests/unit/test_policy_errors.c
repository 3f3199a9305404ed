/* SPDX-License-Identifier: Apache-2.0
 * Mistakes in policies: each is one error that says where, what, and what to do.
 */
#include "tests/unit/policy_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct fake_pair links[] = {
	{"/lib", "/usr/lib"},
	{"/loop", "/proc/1234/fd"},
	{"/home/u/l", "/home/u/.ssh"},
	{"/home/u/proj/out", "/home/u/.ssh"},
	{"/home/u/proj/in", "/home/u/proj/src"},
	{"/p/behind", "/p/there"},
	{NULL, NULL},
};
static const struct fake_pair files[] = {
	{"/p/a.policy", "include ./b.policy\n"},
	{"/p/b.policy", "include ../p/a.policy\n"},
	{"/p/self.policy", "include ./self.policy"},
	{"/p/bad.policy", "allow read /x\nallow reed /x\n"},
	{"/p/there/mine.policy", "allow read /x\n"},
	{"/profiles/build", "include base\nallow all $PWD\n"},
	{"/profiles/base", "allow rx /usr\n"},
	{NULL, NULL},
};
static const struct fake_pair profiles[] = {
	{"build", "/profiles/build"},
	{"base", "/profiles/base"},
	{"npm", "twice"},
	{"mine", "/home/u/.config/sluice/mine.policy"},
	{NULL, NULL},
};
static const struct fake_pair variables[] = {
	{"HOME", "/home/u"}, {"PWD", "/home/u/proj"}, {"UID", "1000"},	{"TMPDIR", "/tmp/sluice-1"},
	{"EMPTY", ""},	     {"RELATIVE", "a/b"},     {"WORD", "word"}, {"ABS", "/a/*/b"},
	{NULL, NULL},
};
static const struct fake_world world = {variables, files, profiles, links};

static const char *error_of(const char *text)
{
	static struct policy_error error;
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	int r = policy_add_text(p, "my.policy", RANK_USER, text, strlen(text), &error);

	if (r == 0)
		r = policy_finish(p, &error);
	policy_free(p);
	return r < 0 ? error.text : "no error";
}

struct row {
	const char *text, *error;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *error = error_of(rows[i].text);

		if (strcmp(error, rows[i].error) != 0)
			fail_msg("%s\n  is       %s\n  and not  %s", rows[i].text, error, rows[i].error);
	}
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof(rows[0]))

static void speaks_as_the_reference(void **state)
{
	static const struct row rows[] = {
		{"\n\n\n\n\n\ndeny w,reed /x\n",
		 "my.policy:7:8: unknown operation \"reed\": did you mean \"read\"?"},
		{"\n\n\n\n\n\n  allow reed /x\n",
		 "my.policy:7:9: unknown operation \"reed\": did you mean \"read\"?"},
		{"\n\n\n\n\n\n\n\nallow read src/main.c\n",
		 "my.policy:9:12: \"src/main.c\" is relative: write $PWD/src/main.c, or **/main.c for any "
		 "place"},
		{"\n\n\nallow all $CARGO_HOME\n",
		 "my.policy:4:11: $CARGO_HOME is not set: give a default, ${CARGO_HOME:-~/.cargo}"},
	};

	(void)state;
	CHECK(rows);
}

static void names_the_place_of_each_mistake(void **state)
{
	static const struct row rows[] = {
		{"alow read /x", "my.policy:1:1: unknown statement \"alow\": did you mean \"allow\"?"},
		{"frobnicate", "my.policy:1:1: unknown statement \"frobnicate\": a line begins with allow, "
			       "ask, deny, never, "
			       "include, env, report or exec-holes"},
		{"allow", "my.policy:1:6: the rule names no operation: write it as in \"allow read ~/file\""},
		{"allow read",
		 "my.policy:1:11: the rule names no target: write a path, as in \"allow read ~/dir\""},
		{"allow read, /x", "my.policy:1:12: an operation is missing: write them as in \"read,list\""},
		{"allow read *.c",
		 "my.policy:1:12: \"*.c\" is relative: write $PWD/*.c, or **/*.c for any place"},
		{"allow read **", "my.policy:1:12: \"**\" alone names no place: write / or $PWD"},
		{"allow read \"\"",
		 "my.policy:1:12: an empty word names nothing: remove it, or write the path"},
		{"allow read \"$HOME/x\"",
		 "my.policy:1:12: \"$\" is an ordinary byte in quotes: leave what it begins outside, "
		 "as in $HOME\"/x y\""},
		{"allow read /x as ENOENT",
		 "my.policy:1:15: \"as\" names the errno of a refusal, and allow is none: remove it"},
		{"deny read /x as ENOENTT",
		 "my.policy:1:17: unknown errno \"ENOENTT\": did you mean \"ENOENT\"?"},
		{"deny read /x as", "my.policy:1:14: an errno is missing: write it as in \"as ENOENT\""},
		{"deny read /x audit",
		 "my.policy:1:14: \"audit\" records what a rule allows, and deny allows nothing: remove it"},
		{"deny read /x quiet /y",
		 "my.policy:1:20: \"/y\" stands behind the end of the rule: put targets before \"as\", "
		 "\"quiet\" and \"audit\""},
		{"allow read /x quiet audit",
		 "my.policy:1:21: one of \"quiet\" and \"audit\" is enough: remove this one"},
		{"deny call ptrace",
		 "my.policy:1:6: only \"allow\" goes with \"call\": what is not allowed by name is refused "
		 "anyway"},
		{"allow call",
		 "my.policy:1:7: no call is named: write it as in \"allow call io_uring_setup\""},
		{"allow call io_uring_stup",
		 "my.policy:1:12: unknown system call \"io_uring_stup\": did you mean "
		 "\"io_uring_setup\"?"},
		{"allow call openat",
		 "my.policy:1:12: \"openat\" is not refused by name: remove it, and write a rule for its "
		 "paths"},
		{"report sometimes",
		 "my.policy:1:8: unknown value \"sometimes\": write \"report all\" or \"report writes\""},
		{"report al", "my.policy:1:8: unknown value \"al\": did you mean \"all\"?"},
		{"report", "my.policy:1:1: \"report\" needs a value: write \"report all\""},
		{"report all now",
		 "my.policy:1:12: \"now\" stands behind the end of the statement: remove it"},
		{"report all\nreport none",
		 "my.policy:2:1: \"report none\", but my.policy:1 says \"report all\": remove one of "
		 "the two"},
		{"exec-holes strickt", "my.policy:1:12: unknown value \"strickt\": did you mean \"strict\"?"},
		{"env", "my.policy:1:4: nothing is said about the environment: write unset, keep or set"},
		{"env unset", "my.policy:1:5: no variable is named: write \"env unset NAME\""},
		{"env unse X", "my.policy:1:5: unknown word \"unse\": did you mean \"unset\"?"},
		{"env set X", "my.policy:1:9: \"X\" has no \"=\": write \"env set NAME=VALUE\""},
		{"env set =x", "my.policy:1:9: \"=x\" has no name: write \"env set NAME=VALUE\""},
		{"env set A=b c", "my.policy:1:13: a second value: quote blanks, or write another \"env "
				  "set\" on a line of its "
				  "own"},
		{"env unset A=b",
		 "my.policy:1:11: a name holds no \"=\": write \"env set A=b\" to give it a value"},
		{"env set A=1\nenv set A=2",
		 "my.policy:2: sets A to another value than my.policy:1: remove one of the two"},
		{"env keep A_B\nenv unset A_*",
		 "my.policy:1: \"env keep A_B\" has no effect, my.policy:2 says \"env unset A_*\", "
		 "and only a keep of a higher rank lifts that: remove one of the two"},
	};

	(void)state;
	CHECK(rows);
}

static void names_the_place_within_words(void **state)
{
	static const struct row rows[] = {
		{"allow read /a/x**",
		 "my.policy:1:16: ** must be a whole component: write * here, or **/ before it"},
		{"allow read \"/a\"/[b", "my.policy:1:17: \"[\" has no \"]\": write \\[ for the byte itself"},
		{"allow read ~/*/../b",
		 "my.policy:1:16: \"..\" behind a wildcard has no meaning: write the path without it"},
		{"allow read \"/x",
		 "my.policy:1:12: the quote is not closed on this line: add the second \""},
		{"allow read '/x", "my.policy:1:12: the quote is not closed on this line: add the second '"},
		{"allow read \"/\\q\"",
		 "my.policy:1:14: unknown escape \"\\q\": write \\\\ for a backslash in quotes"},
		{"allow read \"/\\0\"",
		 "my.policy:1:14: no path holds a byte of this value: remove the escape"},
		{"allow read \"/\\x\"",
		 "my.policy:1:14: unknown escape \"\\x\": write \\\\ for a backslash in quotes"},
		{"allow read /x\\",
		 "my.policy:1:14: nothing follows the backslash: a statement ends with its line"},
		{"allow read /x\x01", "my.policy:1:14: a control byte: write it in quotes, \"\\x01\""},
		{"allow read /x\ry", "my.policy:1:14: a control byte: write it in quotes, \"\\x0d\""},
		{"allow read $/x",
		 "my.policy:1:12: \"$\" is not followed by a name: write \\$ for the byte itself"},
		{"allow read ${X",
		 "my.policy:1:12: \"${X\" goes on with neither } nor :-: write ${X} or ${X:-DEFAULT}"},
		{"allow read ${X:=/y}",
		 "my.policy:1:12: \"${X\" goes on with neither } nor :-: write ${X} or ${X:-DEFAULT}"},
		{"allow read ${X:-/y",
		 "my.policy:1:12: \"${\" is not closed: add the }, and quote blanks in the default"},
		{"allow read ${X:-/y z}",
		 "my.policy:1:12: \"${\" is not closed: add the }, and quote blanks in the default"},
		{"allow read ${X:-/y/*}",
		 "my.policy:1:20: a default is literal: put the wildcard behind the }, or quote it"},
		{"allow read ${X:-}",
		 "my.policy:1:12: the default is empty, and an empty variable counts as unset"},
		{"allow read ${X:-y}", "my.policy:1:12: the default is relative: begin it with / or ~"},
		{"allow read $EMPTY", "my.policy:1:12: $EMPTY is not set: give a default, ${EMPTY:-/a/path}"},
		{"allow read $RELATIVE",
		 "my.policy:1:12: $RELATIVE is \"a/b\", which is not an absolute path and counts as unset: "
		 "give a default, ${RELATIVE:-/a/path}"},
		{"allow read /x/$RELATIVE",
		 "my.policy:1:15: $RELATIVE is \"a/b\", which is no single word and counts as unset: "
		 "give a default, ${RELATIVE:-/a/path}"},
		{"allow read ~bob/x",
		 "my.policy:1:12: there is no user \"bob\": write \\~ if the name of the file begins with ~"},
	};

	(void)state;
	CHECK(rows);
}

static void says_what_is_not_supported(void **state)
{
	static const struct row rows[] = {
		{"domain inner {", "my.policy:1:1: \"domain\" blocks are not supported: write rules that "
				   "hold for the whole run"},
		{"allow connect $DNS", "my.policy:1:15: $DNS is not supported: network targets are *:* only"},
		{"allow connect github.com:443", "my.policy:1:15: \"github.com:443\" is not supported: the "
						 "one network target is *:*, every address and port"},
		{"allow connect tcp:*:*", "my.policy:1:15: \"tcp:*:*\" is not supported: the one network "
					  "target is *:*, every address and port"},
		{"allow connect 10.0.0.0/8:*", "my.policy:1:15: \"10.0.0.0/8:*\" is not supported: the one "
					       "network target is *:*, every address and port"},
		{"allow connect [2001:db8::/32]:443",
		 "my.policy:1:15: \"[2001:db8::/32]:443\" is not supported: the one network "
		 "target is *:*, every address and port"},
		{"allow connect unix:@x",
		 "my.policy:1:15: \"unix:@x\" is not supported: the one network target is *:*, every "
		 "address and port; a socket file is written as its path"},
		{"allow connect github.com",
		 "my.policy:1:15: \"github.com\" has no port and is no path: write *:* for every "
		 "address and port, or the absolute path of a socket file"},
		{"ask connect *:*", "my.policy:1:13: \"ask\" is not supported for *:*: write allow or deny"},
		{"allow read *:*", "my.policy:1:12: \"*:*\" is a network target, and only connect and bind "
				   "take one: write a line "
				   "of its own, \"allow connect *:*\""},
		{"allow read /proc/thread-self/status",
		 "my.policy:1:12: \"/proc/thread-self\" is another directory for each thread: write /proc/self, "
		 "or /proc/self/task/*"},
		{"allow bind /run/x",
		 "my.policy:1:7: \"bind\" takes network targets: binding a socket file is \"create\""},
	};

	(void)state;
	CHECK(rows);
}

static void refuses_rules_that_cannot_act(void **state)
{
	static const struct row rows[] = {
		{"never all ~/.aws\nallow read ~/.aws/config",
		 "my.policy:2: has no effect, my.policy:1 says \"never all ~/.aws\": remove that line, or "
		 "make it \"deny all "
		 "~/.aws\", which a nearer allow does lift"},
		{"ask read ~/.aws\nnever read ~/.aws",
		 "my.policy:1: has no effect, my.policy:2 says \"never read ~/.aws\": remove one of the two"},
		{"never read ~/.aws\nallow read ~/.aws/*",
		 "my.policy:2: has no effect, my.policy:1 says \"never read ~/.aws\": "
		 "remove that line, or make it \"deny read ~/.aws\", which a nearer allow does lift"},
		{"never read **/x\nallow read **/x",
		 "my.policy:2: has no effect, my.policy:1 says \"never read **/x\": remove one of the two"},
		{"never read /a\nnever write /a\nallow read,write /a/b",
		 "my.policy:3: has no effect, my.policy:1 says \"never read "
		 "/a\": remove that line, or make it \"deny read /a\", which a nearer allow does lift"},
		{"never write /a\nallow read,write /a/b", "no error"},
		{"never w ~/.ssh\nallow w ~/l/x",
		 "my.policy:2: has no effect, my.policy:1 says \"never w ~/.ssh\": remove that "
		 "line, or make it \"deny w ~/.ssh\", which a nearer allow does lift"},
		{"never connect *:*\nallow connect *:*",
		 "my.policy:2: has no effect, my.policy:1 says \"never connect *:*\": remove one of the two"},
		{"allow read /a\ndeny read /a",
		 "my.policy:1:12: has no effect, my.policy:2 says \"deny read /a\": remove one of the two"},
		{"allow read /x /a /y\ndeny ro /a",
		 "my.policy:1:15: has no effect, my.policy:2 says \"deny ro /a\": remove one of the two"},
		{"allow read,list /a\ndeny read /a", "no error"},
		{"allow read,list /a\ndeny read /a\ndeny list /a",
		 "my.policy:1:17: has no effect, my.policy:2 says \"deny read /a\": remove one of the two"},
		{"allow read /a\nallow rw /a",
		 "my.policy:1:12: has no effect, my.policy:2 says \"allow rw /a\": remove one of the two"},
		{"allow read **/a\ndeny read **/a",
		 "my.policy:1:12: has no effect, my.policy:2 says \"deny read **/a\": remove one of the two"},
		{"allow connect *:*\ndeny connect,bind *:*",
		 "my.policy:1:15: has no effect, my.policy:2 says \"deny connect,bind *:*\": remove one of "
		 "the two"},
		{"deny create ~/a\ndeny write ~/a",
		 "my.policy:1:13: has no effect, my.policy:2 says \"deny write ~/a\": remove one of the two"},
		/* on another machine /lib is no link */
		{"allow rx /lib /usr/lib", "no error"},
		{"allow rx /lib\ndeny rx /usr/lib", "no error"},
		{"allow read /a\nallow read /a/b", "no error"},
	};

	(void)state;
	CHECK(rows);
}

static void refuses_links_that_the_command_may_make(void **state)
{
	static const struct row rows[] = {
		{"allow all $PWD\nallow read $PWD/out/id",
		 "my.policy:2:12: \"$PWD/out/id\" leads to /home/u/.ssh/id by the link /home/u/proj/out, which the "
		 "command could have put there: write the name without links"},
		{"allow all $PWD\nallow read $PWD/out/*",
		 "my.policy:2:12: \"$PWD/out/*\" leads to /home/u/.ssh/* by the link /home/u/proj/out, which the "
		 "command could have put there: write the name without links"},
		{"allow all $PWD\nask read $PWD/out",
		 "my.policy:2:10: \"$PWD/out\" leads to /home/u/.ssh by the link /home/u/proj/out, which the "
		 "command could have put there: write the name without links"},
		{"ask create ~/l\nallow read ~/l",
		 "my.policy:1:12: \"~/l\" leads to /home/u/.ssh by the link /home/u/l, which the command could have "
		 "put there: write the name without links"},
		{"allow all $PWD\nallow read ~/l", "no error"},
		{"allow all $PWD\ndeny all $PWD/out", "no error"},
		{"allow all $PWD\nallow read $PWD/in/x", "no error"},
		{"allow all $PWD\nallow read $PWD/out ~/.ssh", "no error"},
		{"allow all /\nallow rx /lib", "no error"},
		{"allow all $PWD\ninclude /p/behind/mine.policy", "no error"},
		{"allow all /p\ninclude /p/behind/mine.policy",
		 "/p/behind/mine.policy: leads through the link /p/behind, which the command could have put there, or "
		 "could put another one: name the policy without links"},
	};

	(void)state;
	CHECK(rows);
}

static int load_with_option(const char *text, enum action action, const char *argument,
			    struct policy_error *ret_error)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	int r = policy_add_text(p, "my.policy", RANK_USER, text, strlen(text), ret_error);

	if (r == 0)
		r = policy_add_option(p, action, argument, ret_error);
	if (r == 0)
		r = policy_finish(p, ret_error);
	policy_free(p);
	return r;
}

static void explains_options(void **state)
{
	static const struct {
		const char *text;
		enum action action;
		const char *argument, *error;
	} rows[] = {
		{"\n\n\n\nnever all ~/.aws", ACTION_ALLOW, "read:~/.aws/config",
		 "--allow read:~/.aws/config: has no effect, my.policy:5 says \"never all ~/.aws\": remove "
		 "that line, or make it "
		 "\"deny all ~/.aws\", which a nearer allow does lift"},
		{"", ACTION_ALLOW, "reed:/x",
		 "--allow reed:/x: unknown operation \"reed\": did you mean \"read\"?"},
		{"", ACTION_DENY, "read",
		 "--deny read: names no target: write OPS:TARGET, as in --deny read:~/file"},
		{"", ACTION_ASK, "", "--ask : names no operation: write OPS:TARGET, as in --ask read:~/file"},
		{"", ACTION_ASK, "/x",
		 "--ask /x: names no operation: write OPS:TARGET, as in --ask read:~/file"},
		{"", ACTION_NEVER, "read:",
		 "--never read:: the rule names no target: write a path, as in \"never read ~/dir\""},
		{"allow read /a", ACTION_DENY, "read:/a", NULL}, /* a higher rank is meant to win */
		{"allow read /a/b", ACTION_NEVER, "read:/a", NULL},
		{"", ACTION_ALLOW, "connect:*:*", NULL},
		{"", ACTION_DENY, "connect:./s", NULL},
		{"", ACTION_DENY, "connect:run/s", NULL},
		{"", ACTION_DENY, "read:10.0.0.0/8", NULL},
		{"", ACTION_DENY, "connect:*",
		 "--deny connect:*: \"*\" has no port and is no path: write *:* for every address and port, or the "
		 "path, with a /, of a socket file"},
		{"", ACTION_DENY, "connect:example.org",
		 "--deny connect:example.org: \"example.org\" has no port and is no path: write *:* for every "
		 "address and port, or the path, with a /, of a socket file"},
		{"", ACTION_ALLOW, "bind,connect:10.0.0.0/8",
		 "--allow bind,connect:10.0.0.0/8: \"10.0.0.0/8\" has no port and is no path: write *:* for every "
		 "address and port, or the path, with a /, of a socket file"},
		{"", ACTION_DENY, "connect:fe80::/10",
		 "--deny connect:fe80::/10: \"fe80::/10\" has no port and is no path: write *:* for every address and "
		 "port, or the path, with a /, of a socket file"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_error error = {"no error"};
		int r = load_with_option(rows[i].text, rows[i].action, rows[i].argument, &error);

		if ((r < 0) != (rows[i].error != NULL) || (r < 0 && strcmp(error.text, rows[i].error) != 0))
			fail_msg("%s\n  is       %s\n  and not  %s", rows[i].argument, error.text,
				 rows[i].error);
	}
}

static void explains_files_and_profiles(void **state)
{
	static const struct {
		const char *name, *error;
	} rows[] = {
		{"/p/a.policy", "/p/b.policy:1:9: the files include each other, /p/a.policy > /p/b.policy > "
				"/p/a.policy: remove one "
				"of the includes"},
		{"/p/self.policy", "/p/self.policy:1:9: the files include each other, /p/self.policy > "
				   "/p/self.policy: remove one of "
				   "the includes"},
		{"/p/bad.policy", "/p/bad.policy:2:7: unknown operation \"reed\": did you mean \"read\"?"},
		{"./no.policy", "-p ./no.policy: \"./no.policy\" can't be read: No such file or directory"},
		{"bild", "-p bild: there is no profile \"bild\": did you mean \"build\"?"},
		{"my.policy", "-p my.policy: there is no profile \"my.policy\": for a file, write its path "
			      "with a slash, as in "
			      "./my.policy"},
		{"npm", "-p npm: \"npm\" is a built-in profile, and ~/.config/sluice/npm.policy has the same "
			"name: rename your file"},
		{"mine",
		 "-p mine: \"/home/u/.config/sluice/mine.policy\" can't be read: No such file or directory"},
		{"none", NULL},
		{"build", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy_host host = fake_host(&world);
		struct policy *p = policy_new(&host);
		struct policy_error error = {"no error"};
		int r = policy_add_policy(p, rows[i].name, &error);

		if ((r < 0) != (rows[i].error != NULL) || (r < 0 && strcmp(error.text, rows[i].error) != 0))
			fail_msg("%s\n  is       %s\n  and not  %s", rows[i].name, error.text, rows[i].error);
		policy_free(p);
	}
}

static void keeps_the_first_error(void **state)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error first, later;

	(void)state;
	assert_int_equal(policy_add_text(p, "a", RANK_USER, "bad", 3, &first), -EINVAL);
	assert_int_equal(policy_add_text(p, "b", RANK_USER, "allow read /x", 13, &later), -EINVAL);
	assert_string_equal(first.text, later.text);
	assert_int_equal(policy_finish(p, &later), -EINVAL);
	assert_string_equal(first.text, later.text);
	assert_int_equal(policy_decide(p, OP_READ, "/x", 2).action, ACTION_DENY);
	policy_free(p);
}

static void shows_no_byte_of_a_file_raw(void **state)
{
	(void)state;
	assert_string_equal(error_of("allow read \"\\e[31mx\xe2\x80\xae\""),
			    "my.policy:1:12: \"\"\\e[31mx\\xe2\\x80\\xae\"\" is relative: write "
			    "$PWD/\"\\e[31mx\\xe2\\x80\\xae\", "
			    "or **/\"\\e[31mx\\xe2\\x80\\xae\" for any place");
	assert_string_equal(error_of("\xff\x1b[0m"),
			    "my.policy:1:2: a control byte: write it in quotes, \"\\x1b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speaks_as_the_reference),
		cmocka_unit_test(names_the_place_of_each_mistake),
		cmocka_unit_test(names_the_place_within_words),
		cmocka_unit_test(says_what_is_not_supported),
		cmocka_unit_test(refuses_rules_that_cannot_act),
		cmocka_unit_test(refuses_links_that_the_command_may_make),
		cmocka_unit_test(explains_options),
		cmocka_unit_test(explains_files_and_profiles),
		cmocka_unit_test(keeps_the_first_error),
		cmocka_unit_test(shows_no_byte_of_a_file_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
