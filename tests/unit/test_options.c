/* SPDX-License-Identifier: Apache-2.0
 * The command line of `sluice run`: what is accepted, and what the errors tell to write.
 */
#include "core/command/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARSE(...) parse((char *[]){(char[]){"run"}, __VA_ARGS__, NULL})
#define W(s) ((char *)(uintptr_t)(s))

static struct run_options options;
static struct policy_error error;

static int parse(char **argv)
{
	run_options_done(&options);
	options = (struct run_options){0};
	error.text[0] = '\0';
	return run_options_parse(argv, &options, &error);
}

static void options_end_at_the_first_word_that_is_none(void **state)
{
	(void)state;
	assert_int_equal(PARSE(W("-v"), W("make"), W("-j2"), W("--allow"), W("x")), RUN_PARSED);
	assert_true(options.verbose);
	assert_string_equal(options.argv[0], "make");
	assert_string_equal(options.argv[1], "-j2");
	assert_int_equal(options.policy.n_rules, 0);
	assert_int_equal(PARSE(W("--"), W("-odd-name")), RUN_PARSED);
	assert_string_equal(options.argv[0], "-odd-name");
}

static void rules_and_policies_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(PARSE(W("-p"), W("base"), W("-pbuild"), W("--allow"), W("read:~/x"), W("--never=w /y"),
			       W("--deny"), W("exec:/z"), W("--ask"), W("read:/q"), W("true")), RUN_PARSED);
	assert_int_equal(options.policy.n_policies, 2);
	assert_string_equal(options.policy.policies[0], "base");
	assert_string_equal(options.policy.policies[1], "build");
	assert_int_equal(options.policy.n_rules, 4);
	assert_int_equal(options.policy.rules[0].action, ACTION_ALLOW);
	assert_string_equal(options.policy.rules[0].argument, "read:~/x");
	assert_int_equal(options.policy.rules[1].action, ACTION_NEVER);
	assert_string_equal(options.policy.rules[1].argument, "w /y");
	assert_int_equal(options.policy.rules[2].action, ACTION_DENY);
	assert_int_equal(options.policy.rules[3].action, ACTION_ASK);
}

static void every_option_reaches_its_field(void **state)
{
	(void)state;
	assert_int_equal(PARSE(W("--report=writes"), W("--layers"), W("emulate"), W("--prompt"), W("none"),
			       W("--prompt-timeout=7"), W("--on-death"), W("ptrace"), W("--record"), W("r"),
			       W("--stats"), W("s"), W("--name"), W("n"), W("--fail-denied"), W("--workers"), W("3"),
			       W("--backend"), W("epoll"), W("-q"), W("true")), RUN_PARSED);
	assert_string_equal(options.policy.report, "writes");
	assert_true(options.policy.emulate);
	assert_int_equal(options.prompt, PROMPT_NONE);
	assert_int_equal(options.prompt_timeout_s, 7);
	assert_true(options.die_by_ptrace);
	assert_string_equal(options.record, "r");
	assert_string_equal(options.stats, "s");
	assert_string_equal(options.name, "n");
	assert_true(options.fail_denied);
	assert_int_equal(options.workers, 3);
	assert_int_equal(options.backend, BACKEND_EPOLL);
	assert_true(options.quiet);
}

static void the_last_of_two_counts(void **state)
{
	(void)state;
	assert_int_equal(PARSE(W("--layers=emulate"), W("--layers=auto"), W("--backend=uring"), W("--backend=auto"),
			       W("--prompt=none"), W("--prompt=tty"), W("true")), RUN_PARSED);
	assert_false(options.policy.emulate);
	assert_int_equal(options.backend, BACKEND_AUTO);
	assert_int_equal(options.prompt, PROMPT_TTY);
}

static void mistakes_say_what_to_write(void **state)
{
	static const struct {
		const char *words[3];
		const char *says;
	} cases[] = {
		{{"--ro", "~/x"}, "unknown option --ro: write --allow ro:~/x"},
		{{"--rw=/tmp/y", "true"}, "unknown option --rw: write --allow rw:/tmp/y"},
		{{"--allow-net", "true"}, "unknown option --allow-net: write --allow 'connect:*:*'"},
		{{"--profile", "build"}, "unknown option --profile: write -p build"},
		{{"--alow=read:/x", "true"}, "unknown option --alow=read:/x: did you mean --allow?"},
		{{"--reprot", "all"}, "unknown option --reprot: did you mean --report?"},
		{{"--fail-dened", "true"}, "unknown option --fail-dened: did you mean --fail-denied?"},
		{{"-x", "true"}, "unknown option -x: --help lists them"},
		{{"--qqqqqqqqqq", "true"}, "unknown option --qqqqqqqqqq: --help lists them"},
		{{"--report", "wirtes"}, "--report: unknown word \"wirtes\": did you mean \"writes\"?"},
		{{"--report", "everything"}, "--report: unknown word \"everything\": it is all, writes or none"},
		{{"--prompt", "exec"}, "--prompt: unknown word \"exec\": it is tty, socket, none or exec:PROGRAM"},
		{{"--prompt", "exec:bin/x"}, "--prompt exec:bin/x: name the program by an absolute path"},
		{{"--prompt", "exec:/bin/x"}, "--prompt exec:/bin/x: is no program that can be run"},
		{{"--prompt-timeout", "0"}, "--prompt-timeout: \"0\" is not a number from 1 to 86400"},
		{{"--workers", "-1"}, "--workers: \"-1\" is not a number from 1 to 256"},
		{{"--workers", "2x"}, "--workers: \"2x\" is not a number from 1 to 256"},
		{{"--fail-denied=yes", "true"}, "--fail-denied takes no value: write --fail-denied alone"},
		{{"--allow"}, "--allow: its value is missing"},
		{{"--allow="}, "--allow: its value is empty"},
		{{"-v"}, "no command: write sluice run [options] [--] COMMAND..."},
		{{"-v", "-q", "true"}, "-v and -q contradict each other: give one of them"},
		{{"--record=f", "--stats=f", "true"},
		 "--record and --stats name the same file: give each its own"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *argv[] = {W("run"), W(cases[i].words[0]), W(cases[i].words[1]), W(cases[i].words[2]), NULL};

		assert_int_equal(parse(argv), -EINVAL);
		assert_string_equal(error.text, cases[i].says);
	}
}

static void help_needs_no_command(void **state)
{
	(void)state;
	assert_int_equal(PARSE(W("-p"), W("base"), W("--help"), W("--nonsense")), RUN_HELP);
	assert_int_equal(PARSE(W("--version")), RUN_VERSION);
}

static void explain_can_take_policy_options_alone(void **state)
{
	struct policy_options o = {0};
	char *argv[] = {W("explain"), W("--plan"), W("-p"), W("base"), W("--ask=read:/x"), NULL};
	int index = 1;

	(void)state;
	assert_int_equal(policy_options_take(&o, argv, &index, &error), 0);
	assert_int_equal(index, 1);
	index = 2;
	assert_int_equal(policy_options_take(&o, argv, &index, &error), 1);
	assert_int_equal(policy_options_take(&o, argv, &index, &error), 1);
	assert_int_equal(index, 5);
	assert_int_equal(o.n_policies, 1);
	assert_int_equal(o.n_rules, 1);
	policy_options_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_end_at_the_first_word_that_is_none),
		cmocka_unit_test(rules_and_policies_keep_their_order),
		cmocka_unit_test(every_option_reaches_its_field),
		cmocka_unit_test(the_last_of_two_counts),
		cmocka_unit_test(mistakes_say_what_to_write),
		cmocka_unit_test(help_needs_no_command),
		cmocka_unit_test(explain_can_take_policy_options_alone),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	run_options_done(&options);
	return failed;
}
