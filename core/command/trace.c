/* SPDX-License-Identifier: Apache-2.0
 * `sluice trace`: a run under a policy that allows what the user may, with every access seen, and what comes of
 * that. Lines of the record become facts as they come; a record is written only where the user wants to keep it.
 */
#include "core/command/command.h"

#include "core/cleanup.h"
#include "core/command/help.h"
#include "core/command/options.h"
#include "core/facts/facts.h"
#include "core/observe/outfile.h"
#include "core/resolve_literal.h"
#include "core/trace/report.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_TRACE_FAILED = 125, EXIT_UNDECLARED = 1 };

enum trace_option {
	OPT_OUTPUT_FILE, OPT_JSON, OPT_INPUTS, OPT_OUTPUTS, OPT_MISSING, OPT_UNDECLARED, OPT_FAIL_UNDECLARED,
	OPT_SYSTEM, OPT_ZERO, OPT_TRACE_RECORD, OPT_FROM, OPT_TRACE_NAME, OPT_TRACE_VERBOSE, OPT_TRACE_HELP,
};

static const struct option_word words[] = {
	{"-o", OPT_OUTPUT_FILE, true},
	{"--json", OPT_JSON, false},
	{"--inputs", OPT_INPUTS, false},
	{"--outputs", OPT_OUTPUTS, false},
	{"--missing", OPT_MISSING, false},
	{"--undeclared", OPT_UNDECLARED, true},
	{"--fail-undeclared", OPT_FAIL_UNDECLARED, false},
	{"--system", OPT_SYSTEM, false},
	{"-0", OPT_ZERO, false},
	{"--record", OPT_TRACE_RECORD, true},
	{"--from", OPT_FROM, true},
	{"--name", OPT_TRACE_NAME, true},
	{"-v", OPT_TRACE_VERBOSE, false},
	{"-h", OPT_TRACE_HELP, false},
	{"--help", OPT_TRACE_HELP, false},
	{NULL},
};

static const char *const names[] = {
	"--json", "--inputs", "--outputs", "--missing", "--undeclared", "--fail-undeclared", "--system", "--record",
	"--from", "--name", "--help", NULL,
};

#define FROM_MAX 64

struct trace {
	struct run_options run;
	struct trace_report report;
	struct deps *declared;
	const char *undeclared[FROM_MAX + 1], *from[FROM_MAX + 1];
	unsigned n_undeclared, n_from;
	const char *output;
	bool fail_undeclared, help;
	char *home;

	int out_fd; /* where the report goes */
	bool out_regular;
	struct facts *facts; /* of the run */
	size_t n_undeclared_found;
	int error;
};

static int take_option(struct trace *t, int id, const char *value, struct policy_error *ret_error)
{
	switch ((enum trace_option)id) {
	case OPT_OUTPUT_FILE:
		t->output = value;
		return 0;
	case OPT_JSON:
		t->report.json = true;
		return 0;
	case OPT_INPUTS:
		t->report.lists |= TRACE_INPUTS;
		return 0;
	case OPT_OUTPUTS:
		t->report.lists |= TRACE_OUTPUTS;
		return 0;
	case OPT_MISSING:
		t->report.lists |= TRACE_MISSING;
		return 0;
	case OPT_UNDECLARED:
		t->report.lists |= TRACE_UNDECLARED;
		if (t->n_undeclared == FROM_MAX)
			break;
		t->undeclared[t->n_undeclared++] = value;
		return 0;
	case OPT_FAIL_UNDECLARED:
		t->fail_undeclared = true;
		return 0;
	case OPT_SYSTEM:
		t->report.system = true;
		return 0;
	case OPT_ZERO:
		t->report.zero = true;
		return 0;
	case OPT_TRACE_RECORD:
		t->run.record = value;
		return 0;
	case OPT_FROM:
		if (t->n_from == FROM_MAX)
			break;
		t->from[t->n_from++] = value;
		return 0;
	case OPT_TRACE_NAME:
		t->run.name = value;
		return 0;
	case OPT_TRACE_VERBOSE:
		t->report.verbose = true;
		return 0;
	case OPT_TRACE_HELP:
		t->help = true;
		return 0;
	}
	snprintf(ret_error->text, sizeof(ret_error->text), "%s can be given %d times", words[id].name, FROM_MAX);
	return -EINVAL;
}

static bool is_read_or_written(const struct trace *t)
{
	bool is = t->run.record && outfile_same(t->output, t->run.record);

	for (unsigned i = 0; i < t->n_from && !is; i++)
		is = outfile_same(t->output, strcmp(t->from[i], "-") == 0 ? "/dev/stdin" : t->from[i]);
	for (unsigned i = 0; i < t->n_undeclared && !is; i++)
		is = outfile_same(t->output, deps_file(t->undeclared[i]));
	return is;
}

static int check(const struct trace *t, char *const *rest, struct policy_error *ret_error)
{
	const char *wrong = NULL;

	if (t->help)
		return 0;
	if (t->n_from && *rest)
		wrong = "--from reads a record that is there: leave the command out";
	else if (t->n_from && t->run.record)
		wrong = "--from and --record contradict each other: one reads a record, the other writes it";
	else if (!t->n_from && !*rest)
		wrong = "no command: write sluice trace [options] [--] COMMAND..., or --from RECORD";
	else if (t->fail_undeclared && !t->n_undeclared)
		wrong = "--fail-undeclared needs a list: --undeclared FILE";
	else if (t->report.json && t->report.zero)
		wrong = "--json and -0 contradict each other: give one of them";
	else if (t->report.zero && (!t->report.lists || t->report.lists & (t->report.lists - 1)))
		wrong = "-0 goes with one list: --inputs, --outputs, --missing or --undeclared";
	else if (t->report.json && !t->report.lists && t->run.record)
		wrong = "--json writes the record, and so does --record: write --json -o FILE";
	else if (t->report.json && !t->report.lists && t->n_from)
		wrong = "--json with --from goes with a list, as --inputs: the record is JSON already";
	else if (t->output && is_read_or_written(t))
		wrong = "-o names a file that is read or written by another option: give it its own";
	if (!wrong)
		return 0;
	snprintf(ret_error->text, sizeof(ret_error->text), "%s", wrong);
	return -EINVAL;
}

static int parse(char **argv, struct trace *t, struct policy_error *ret_error)
{
	int index = 1, r = 0;

	while (argv[index] && argv[index][0] == '-' && r == 0 && !t->help) {
		const char *value;

		if (strcmp(argv[index], "--") == 0) {
			index++;
			break;
		}
		r = policy_options_take(&t->run.policy, argv, &index, ret_error);
		if (r != 0) {
			r = r < 0 ? r : 0;
			continue;
		}
		r = option_match(words, argv, &index, &value, ret_error);
		if (r == -ENOENT) {
			options_unknown(argv, index, names, ret_error);
			r = -EINVAL;
		}
		if (r >= 0)
			r = take_option(t, r, value, ret_error);
	}
	if (r == 0)
		r = check(t, argv + index, ret_error);
	t->run.argv = argv + index;
	return r;
}

static int fail(const char *what, int err)
{
	char shown[512];

	escape_bytes(shown, sizeof(shown), what, strlen(what));
	fprintf(stderr, "sluice trace: %s: %s\n", shown,
		err == -ELOOP ? "is a symbolic link, which a command could have planted: name the file itself"
			      : strerror(-err));
	return err;
}

static int read_record(struct facts *facts, struct record_reader *reader, char *trouble, size_t size)
{
	struct record_line line;
	int r;

	while ((r = record_next(reader, &line)) > 0) {
		r = facts_add(facts, &line);
		if (r < 0)
			break;
	}
	if (r < 0)
		snprintf(trouble, size, "%s", *record_error(reader) ? record_error(reader) : strerror(-r));
	else if (!record_trouble(record_state(reader), trouble, size))
		trouble[0] = '\0';
	return r;
}

static void write_report(struct trace *t, struct facts *facts)
{
	struct text out = {0};
	size_t written;
	int r = -ENOMEM;

	t->report.declared = t->declared;
	t->report.home = t->home;
	trace_report(facts, &t->report, &out, &t->n_undeclared_found);
	if (!out.failed)
		r = outfile_write(t->out_fd, t->out_regular, out.data ? out.data : "", out.len, &written);
	text_done(&out);
	if (r < 0)
		t->error = fail(t->output ? t->output : "standard error", r);
}

static int read_declared(struct trace *t)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	char error[512];

	for (unsigned i = 0; i < t->n_undeclared; i++) {
		if (deps_read(t->undeclared[i], cwd ? cwd : "/", &t->declared, error, sizeof(error)) < 0) {
			fprintf(stderr, "sluice trace: --undeclared %s\n", error);
			return -EINVAL;
		}
	}
	return 0;
}

/* From any thread, one line at a time. */
static void take_line(void *ctx, const struct record_line *line)
{
	struct trace *t = ctx;
	int r = facts_add(t->facts, line);

	if (r < 0 && !t->error)
		t->error = r;
}

/* The run is over. */
static void ended(void *ctx, int wstatus)
{
	struct trace *t = ctx;

	(void)wstatus;
	if (t->error)
		fail("what was seen could not be kept", t->error);
	/* Lists that a compiler writes are there by now. */
	else if ((t->error = read_declared(t)) == 0)
		write_report(t, t->facts);
}

static int open_output(void *ctx)
{
	struct trace *t = ctx;
	int fd;

	if (t->output) {
		fd = outfile_open(t->output, &t->out_regular);
		if (fd < 0)
			return fail(t->output, fd);
	} else {
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return fail("standard error", -errno);
	}
	t->out_fd = fd;
	return 0;
}

/* The record itself goes to the user, or what is made of it does. */
static int prepare(struct trace *t)
{
	static char by_number[32];

	if (t->report.json && !t->report.lists) {
		snprintf(by_number, sizeof(by_number), "/dev/fd/%d", STDERR_FILENO);
		t->run.record = t->output ? t->output : by_number;
		return 0;
	}
	t->facts = facts_new();
	t->run.output = t->output;
	t->run.begin = open_output;
	t->run.listener = take_line;
	t->run.ended = ended;
	t->run.ctx = t;
	return t->facts ? 0 : -ENOMEM;
}

static int report_from(struct trace *t)
{
	struct facts *facts = facts_new();
	char trouble[512] = "";
	int r = facts ? 0 : -ENOMEM;

	for (unsigned i = 0; i < t->n_from && r >= 0; i++) {
		struct record_reader *reader = NULL;

		r = record_open(t->from[i], false, &reader);
		if (r == 0)
			r = read_record(facts, reader, trouble, sizeof(trouble));
		record_free(reader);
		if (r < 0)
			fail(t->from[i], r);
		else if (*trouble)
			t->report.trouble = trouble;
	}
	if (r >= 0)
		r = open_output(t);
	if (r >= 0)
		write_report(t, facts);
	facts_free(facts);
	return r < 0 || t->error ? EXIT_TRACE_FAILED : 0;
}

static int trace(struct trace *t)
{
	static const char *const everything[] = {"open"};
	int code;

	if (t->n_from)
		return read_declared(t) < 0 ? EXIT_TRACE_FAILED : report_from(t);
	if (prepare(t) < 0)
		return EXIT_TRACE_FAILED;
	if (t->run.policy.n_policies == 0) {
		t->run.policy.policies = calloc(1, sizeof(char *));
		if (!t->run.policy.policies)
			return EXIT_TRACE_FAILED;
		t->run.policy.policies[0] = everything[0];
		t->run.policy.n_policies = 1;
	}
	t->run.policy.report = "all";
	t->run.record_stat = true;
	code = run_command(&t->run);
	return code == 0 && t->error ? EXIT_TRACE_FAILED : code;
}

int command_trace(int argc, char **argv)
{
	struct trace t = {.out_fd = -EBADF, .run.prompt = PROMPT_TTY};
	struct policy_error error;
	int code;

	(void)argc;
	t.home = home_canonical();
	if (parse(argv, &t, &error) < 0) {
		fprintf(stderr, "sluice: %s\n", error.text);
		code = EXIT_TRACE_FAILED;
	} else if (t.help) {
		help_print(stdout, "trace");
		code = 0;
	} else {
		code = trace(&t);
		if (code == 0 && t.fail_undeclared && t.n_undeclared_found)
			code = EXIT_UNDECLARED;
	}
	cleanup_close(&t.out_fd);
	facts_free(t.facts);
	deps_free(t.declared);
	policy_options_done(&t.run.policy);
	free(t.home);
	return code;
}
