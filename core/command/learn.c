/* SPDX-License-Identifier: Apache-2.0
 * `sluice learn`: records in, a policy out. The text is read back as a policy and asked about everything that
 * was recorded before it is written, so that what it lacks is said.
 */
#include "core/command/command.h"

#include "core/cleanup.h"
#include "core/command/help.h"
#include "core/command/options.h"
#include "core/learn/learn.h"
#include "core/observe/outfile.h"
#include "core/resolve_literal.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_REFUSED = 1, EXIT_ERROR = 2 };

struct learn {
	const char *output;
	bool incomplete, help;
	char **files;
	struct facts *facts;
	struct policy *included, *danger;
	char *home;
};

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool is_setuid(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_ISUID | S_ISGID));
}

static int complain(const char *what, const char *why)
{
	char shown[512];

	escape_bytes(shown, sizeof(shown), what, strlen(what));
	fprintf(stderr, "sluice learn: %s: %s\n", shown, why);
	return -EINVAL;
}

static int parse(char **argv, struct learn *l, struct policy_error *ret_error)
{
	static const struct option_word words[] = {
		{"-o", 'o', true}, {"--incomplete", 'i', false}, {"-h", 'h', false}, {"--help", 'h', false}, {NULL},
	};
	static const char *const names[] = {"--incomplete", "--help", NULL};
	int index = 1, n = 0;
	bool options = true;

	/* Nothing is run, so options may stand behind files too. Files move to the front of ARGV. */
	while (argv[index]) {
		const char *value;
		int id;

		if (!options || argv[index][0] != '-' || !argv[index][1]) {
			argv[n++] = argv[index++];
			continue;
		}
		if (strcmp(argv[index], "--") == 0) {
			options = false;
			index++;
			continue;
		}
		id = option_match(words, argv, &index, &value, ret_error);
		if (id == -ENOENT)
			options_unknown(argv, index, names, ret_error);
		if (id < 0)
			return -EINVAL;
		if (id == 'o')
			l->output = value;
		else if (id == 'i')
			l->incomplete = true;
		else
			l->help = true;
	}
	argv[n] = NULL;
	l->files = argv;
	if (n || l->help)
		return 0;
	snprintf(ret_error->text, sizeof(ret_error->text),
		 "no record: write sluice learn FILE..., with files of sluice trace --record");
	return -EINVAL;
}

/* 0, or -EINVAL after a line to the user. */
static int read_file(struct learn *l, const char *file)
{
	struct record_reader *reader = NULL;
	struct record_line line;
	char trouble[512];
	int r = record_open(file, false, &reader);
	bool complete;

	if (r < 0)
		return complain(file, strerror(-r));
	while ((r = record_next(reader, &line)) > 0) {
		r = facts_add(l->facts, &line);
		if (r < 0)
			break;
	}
	complete = record_is_complete(record_state(reader));
	if (r < 0)
		complain(file, *record_error(reader) ? record_error(reader) : strerror(-r));
	else if (record_state(reader)->starts == 0)
		r = complain(file, "is no record: sluice trace --record FILE writes one");
	else if (!complete && !l->incomplete) {
		if (!record_trouble(record_state(reader), trouble, sizeof(trouble)))
			snprintf(trouble, sizeof(trouble), "something was not watched, or lost");
		fprintf(stderr, "sluice learn: %s: the record is not complete (%s), so the policy would not be: "
				"record it again, or say --incomplete\n", file, trouble);
		r = -EAGAIN;
	}
	record_free(reader);
	return r;
}

/* Relative to the directory where the command ran, for $PWD. */
static struct policy *read_back(const struct learn *l, const struct text *text)
{
	_cleanup_close_ int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct policy *policy = NULL;
	struct policy_error error;
	size_t n;
	const struct fact_run *runs = facts_runs(l->facts, &n);
	int r;

	if (n && runs[0].cwd && chdir(runs[0].cwd) < 0)
		return NULL;
	r = policy_load_text("the learned policy", text->data, text->len, &policy, &error);
	if (here >= 0 && fchdir(here) < 0)
		r = -errno;
	if (r < 0) {
		fprintf(stderr, "sluice learn: %s\n", error.text);
		return NULL;
	}
	return policy;
}

static bool allows(const struct policy *policy, enum op op, const struct fact *f)
{
	if (op == OP_CREATE && f->dir)
		return policy_decide_mkdir(policy, f->path, f->len).action == ACTION_ALLOW;
	return policy_decide(policy, op, f->path, f->len).action == ACTION_ALLOW;
}

/* Would the policy allow what was recorded? What it does not is said. */
static size_t check(const struct learn *l, const struct learn_input *in, const struct text *text)
{
	struct policy *policy = read_back(l, text);
	size_t n, lacking = 0;
	const struct fact *const *all = facts_sorted(l->facts, &n);

	if (!policy) {
		fprintf(stderr, "sluice learn: the policy could not be checked\n");
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		const char *reason;
		opset needs = learn_needs(in, all[i], &reason);

		for (enum op op = 0; op < OP_COUNT && !reason; op++) {
			char shown[1024];

			if (!(needs & OPBIT(op)) || allows(policy, op, all[i]))
				continue;
			escape_bytes(shown, sizeof(shown), all[i]->path, all[i]->len);
			fprintf(stderr, "sluice learn: the policy does not allow %s %s, which was recorded\n",
				op_names[op], shown);
			lacking++;
		}
	}
	policy_free(policy);
	return lacking;
}

static int write_policy(const struct learn *l, const struct text *text)
{
	int r;

	if (!l->output) {
		fwrite(text->data, 1, text->len, stdout);
		return fflush(stdout) == 0 ? 0 : complain("standard output", strerror(errno));
	}
	r = outfile_replace(l->output, text->data, text->len, 0644);
	return r < 0 ? complain(l->output, strerror(-r)) : 0;
}

static int load_profiles(struct learn *l)
{
	const char *profiles[] = {"base", "credentials"};
	const struct policy_options options = {.policies = profiles, .n_policies = 2};
	struct policy_error error;

	if (policy_load(&options, NULL, NULL, &l->included, &error) < 0 ||
	    policy_load_text("dangers", learn_danger_text(), strlen(learn_danger_text()), &l->danger, &error) < 0) {
		fprintf(stderr, "sluice learn: %s\n", error.text);
		return -EINVAL;
	}
	return 0;
}

static int learn(struct learn *l)
{
	struct learn_input in;
	struct learn_result result;
	struct text text = {0};
	char advice[256];
	int r = 0;

	for (char **file = l->files; l->output && *file; file++)
		if (outfile_same(l->output, strcmp(*file, "-") == 0 ? "/dev/stdin" : *file)) {
			complain(l->output, "is a record that is to be read: name another file");
			return EXIT_ERROR;
		}
	l->facts = facts_new();
	l->home = home_canonical();
	if (!l->facts)
		return EXIT_ERROR;
	for (char **file = l->files; *file && r >= 0; file++)
		r = read_file(l, *file);
	if (r < 0)
		return r == -EAGAIN ? EXIT_REFUSED : EXIT_ERROR;
	if (load_profiles(l) < 0)
		return EXIT_ERROR;
	snprintf(advice, sizeof(advice), "sluice run -p %s%s", !l->output || strchr(l->output, '/') ? "" : "./",
		 l->output ? l->output : "./FILE");
	in = (struct learn_input){
		.facts = l->facts, .included = l->included, .danger = l->danger, .home = l->home, .advice = advice,
		.exists = exists, .is_setuid = is_setuid,
	};
	r = learn_policy(&in, &text, &result);
	if (r < 0)
		complain("the policy", strerror(-r));
	if (r == 0)
		check(l, &in, &text);
	if (r == 0)
		r = write_policy(l, &text);
	if (r == 0 && l->output)
		fprintf(stderr, "sluice learn: %s: %zu lines%s\n", l->output, result.lines,
			result.left_out ? ", and what was left out: read the comments at its end" : "");
	text_done(&text);
	return r < 0 ? EXIT_ERROR : 0;
}

int command_learn(int argc, char **argv)
{
	struct learn l = {0};
	struct policy_error error;
	int code;

	(void)argc;
	if (parse(argv, &l, &error) < 0) {
		fprintf(stderr, "sluice learn: %s\n", error.text);
		code = EXIT_ERROR;
	} else if (l.help) {
		help_print(stdout, "learn");
		code = 0;
	} else {
		code = learn(&l);
	}
	policy_free(l.included);
	policy_free(l.danger);
	facts_free(l.facts);
	free(l.home);
	return code;
}
