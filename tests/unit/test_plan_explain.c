/* SPDX-License-Identifier: Apache-2.0
 * `sluice explain` as a user runs it: exit codes and what is said.
 */
#include "core/command/command.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/sluice-explain-XXXXXX";
static char output[1 << 16];

static void make_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* $HOME is DIR, the working directory DIR/proj. */
static int make_home(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("proj", 0755) | mkdir("proj/.git", 0755) | mkdir(".ssh", 0700), 0);
	assert_int_equal(chdir("proj"), 0);
	assert_int_equal(setenv("HOME", dir, 1), 0);
	make_file("a.c", "");
	make_file("../.ssh/id", "");
	assert_int_equal(symlink("../.ssh/id", "l"), 0);
	make_file("p",
		  "allow all $PWD\ndeny w $PWD/.git\ndeny all ~/.ssh\nask read ~/.npmrc\nnever all ~/.aws\n");
	return 0;
}

static int remove_home(void **state)
{
	static const char *const files[] = {"proj/a.c", "proj/l", "proj/p", ".ssh/id"};
	static const char *const dirs[] = {"proj/.git", "proj", ".ssh", "."};

	(void)state;
	assert_int_equal(chdir(dir), 0);
	for (unsigned i = 0; i < 4; i++)
		unlink(files[i]);
	for (unsigned i = 0; i < 3; i++)
		rmdir(dirs[i]);
	return chdir("/") | rmdir(dir);
}

/* The exit code of `sluice explain ARGS`; what it writes is in OUTPUT. */
static int explain(const char *args)
{
	char words[256], *argv[16] = {(char[]){"explain"}}, *save = NULL;
	FILE *out = tmpfile();
	int argc = 1, status;
	pid_t child;

	assert_non_null(out);
	snprintf(words, sizeof(words), "%s", args);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(out), STDERR_FILENO);
		exit(command_explain(argc, argv));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	rewind(out);
	output[fread(output, 1, sizeof(output) - 1, out)] = '\0';
	fclose(out);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void says(const char *text)
{
	if (!strstr(output, text))
		fail_msg("\"%s\" is not in:\n%s", text, output);
}

static void exits_by_verdict(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p read a.c"), 0);
	says("read ~/proj/a.c: allow\n");
	says("p:1  allow all $PWD");
	assert_int_equal(explain("-p ./p write .git/config"), 1);
	says(": deny (EACCES)\n");
	says("p:2  deny w $PWD/.git");
	says("(farther away)");
	says("to allow it  --allow write:~/proj/.git/config");
	assert_int_equal(explain("-p ./p read ~/.npmrc"), 3);
	assert_int_equal(explain("-p ./p read ~/.aws/x"), 1);
	says("never (EPERM)");
	assert_null(strstr(output, "to allow it"));
	assert_int_equal(explain("-p ./p read /etc/shadow"), 1);
	says("no rule names it");
	assert_int_equal(explain("-p ./p stat ~/.ssh/id"), 0);
	assert_int_equal(explain("-p ./p connect example.org:443"), 1);
	says("inet sockets can't be made");
}

static void takes_the_strictest_of_several_operations(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p ro a.c"), 0);
	assert_int_equal(explain("-p ./p read,write .git/config"), 1);
	says("read ~/proj/.git/config: allow");
	says("write ~/proj/.git/config: deny");
	assert_int_equal(explain("-p ./p read,list ~/.npmrc"), 1);
}

static void takes_the_options_of_run_before_and_behind(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p --allow read:.ssh/id read ../.ssh/id"), 1);
	assert_int_equal(explain("-p ./p read ../.ssh/id --allow read:../.ssh/id"), 0);
	says("--allow read:");
	assert_int_equal(explain("-p ./p --deny read:a.c read a.c"), 1);
	assert_int_equal(explain("-p ./p --layers emulate read a.c"), 0);
	says("emulated");
}

static void follows_links_for_what_follows_them(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p read l"), 1);
	says("~/.ssh/id: deny");
	says("~/proj/l is a link to it");
	assert_int_equal(explain("-p ./p delete l"), 0);
}

static void explains_its_errors(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p raed a.c"), 2);
	says("did you mean \"read\"?");
	assert_int_equal(explain("-p ./p read"), 2);
	assert_int_equal(explain("-p ./p read a b"), 2);
	assert_int_equal(explain("-p ./p --plan read a"), 2);
	assert_int_equal(explain("-p ./p --paln"), 2);
	assert_int_equal(explain("-p ./none read a"), 2);
	assert_int_equal(explain("-p ./p --ask exec:a.c read a.c"), 2);
	says("exec-holes checked");
}

static void shows_the_plan(void **state)
{
	(void)state;
	assert_int_equal(explain("-p ./p --plan -v"), 0);
	says("p:1");
	says("never all ~/.aws");
	says("Trapped: all opens");
	says("workers can reach at most");
	says("~/proj/");
	assert_int_equal(explain("-p ./p --plan --layers emulate"), 0);
	says("No Landlock");
	assert_int_equal(explain("--help"), 0);
	says("usage: sluice explain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exits_by_verdict),
		cmocka_unit_test(takes_the_strictest_of_several_operations),
		cmocka_unit_test(takes_the_options_of_run_before_and_behind),
		cmocka_unit_test(follows_links_for_what_follows_them),
		cmocka_unit_test(explains_its_errors),
		cmocka_unit_test(shows_the_plan),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
