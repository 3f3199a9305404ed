/* SPDX-License-Identifier: Apache-2.0
 * Entry point: picks the command, or says which one was probably meant.
 */
#include "core/cleanup.h"
#include "core/command/command.h"
#include "core/command/help.h"
#include "policy/policy.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_UNWRITTEN = 2, EXIT_SLUICE = 125 };

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{"run", command_run},
	{"explain", command_explain},
	{"trace", command_trace},
	{"learn", command_learn},
	{"log", command_log},
	{"ask", command_ask},
	{"ps", command_ps},
	{"rule", command_rule},
	{"doctor", command_doctor},
};

static const char *const known_names[] = {"run", "explain", "trace", "learn", "log", "ask", "ps", "rule", "doctor",
					  "help", NULL};
/* Names that the language of sluice has reserved. */
static const char *const later_names[] = {"serve", NULL};

static bool has_word(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static bool is_program_at(const char *dir, size_t dir_len, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%.*s%s%s", (int)dir_len, dir, dir_len ? "/" : "", name) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool is_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program_at("", 0, name);
	for (path = path ? path : "/usr/bin:/bin"; *path; path += path[0] == ':') {
		size_t len = strcspn(path, ":");

		if (len && is_program_at(path, len, name))
			return true;
		path += len;
	}
	return false;
}

static int unknown_command(const char *name)
{
	char shown[256];
	const char *near = suggest(name, known_names);

	escape_bytes(shown, sizeof(shown), name, strlen(name));
	if (has_word(later_names, name))
		fprintf(stderr, "sluice: %s: not available in this version: sluice --help lists the commands\n",
			name);
	else if (is_program(name))
		fprintf(stderr, "sluice: unknown command \"%s\": did you mean `sluice run %s`?\n", shown, shown);
	else if (name[0] == '-')
		fprintf(stderr, "sluice: unknown option %s: options follow a command, as in sluice run %s\n",
			shown, shown);
	else if (near)
		fprintf(stderr, "sluice: unknown command \"%s\": did you mean \"%s\"?\n", shown, near);
	else
		fprintf(stderr, "sluice: unknown command \"%s\": sluice --help lists them\n", shown);
	return EXIT_SLUICE;
}

static bool is_help(const char *word)
{
	return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

/* What was printed has to have arrived. */
static int finish(int code)
{
	if ((fflush(stdout) == 0 && !ferror(stdout)) || code)
		return code;
	fprintf(stderr, "sluice: standard output: can't be written\n");
	return EXIT_UNWRITTEN;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help_print(stderr, NULL);
		return EXIT_SLUICE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("sluice %s\n", SLUICE_VERSION);
		return finish(0);
	}
	if (is_help(argv[1]) || (strcmp(argv[1], "help") == 0 && (argc < 3 || is_help(argv[2])))) {
		help_print(stdout, NULL);
		return finish(0);
	}
	if (strcmp(argv[1], "help") == 0)
		return help_print(stdout, argv[2]) ? finish(0) : unknown_command(argv[2]);
	if (is_help(argv[2]) && help_print(stdout, argv[1]))
		return finish(0);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return finish(commands[i].main(argc - 1, argv + 1));
	return unknown_command(argv[1]);
}
