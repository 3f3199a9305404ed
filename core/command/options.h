/* SPDX-License-Identifier: Apache-2.0
 * The command line of POLICY.md section 5 as values: struct run_options for `run`, and the part that
 * says which policy, which `explain` takes as well.
 *
 * Options end at the first word that is none. The strings of the result are argv's own; the arrays
 * belong to it until policy_options_done() or run_options_done(). An error is one line without a
 * newline that says what is wrong and what to write.
 */
#pragma once
#include "core/run.h"

/* An option of a command; a table of them ends with a NULL name. */
struct option_word {
	const char *name; /* with its dashes */
	int id;
	bool has_value;
};

/* The id of the option at ARGV[*INDEX], its value in *RET_VALUE, *INDEX past both; -ENOENT if it is
 * none of WORDS; -EINVAL. */
int option_match(const struct option_word *words, char *const *argv, int *index, const char **ret_value,
		 struct policy_error *ret_error);
/* The place of VALUE in CHOICES (NULL-terminated), or -EINVAL and an error that lists them. */
int option_choice(const char *option, const char *value, const char *const *choices,
		  struct policy_error *ret_error);

/* If ARGV[*INDEX] is an option that says which policy (-p, --allow, --ask, --deny, --never,
 * --report, --layers), take it and its value and move *INDEX past them: 1. Another word: 0.
 * A known option without its value, or with a bad one: -EINVAL. */
int policy_options_take(struct policy_options *o, char *const *argv, int *index,
			struct policy_error *ret_error);
/* The error for ARGV[INDEX], a word with a dash that no option of this command matches: the nearest
 * of NAMES (NULL-terminated, the command's own options beside the policy's), or what to write for a
 * name that other tools have. */
void options_unknown(char *const *argv, int index, const char *const *names,
		     struct policy_error *ret_error);
void policy_options_done(struct policy_options *o);

enum run_parse { RUN_PARSED, RUN_HELP, RUN_VERSION };

/* ARGV[0] is the word "run". An enum run_parse, or -EINVAL. */
int run_options_parse(char **argv, struct run_options *ret, struct policy_error *ret_error);
void run_options_done(struct run_options *o);
