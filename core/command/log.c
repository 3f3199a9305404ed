/* SPDX-License-Identifier: Apache-2.0
 * `sluice log`: what is in a record.
 *
 * A record is read as far as it goes; what is wrong with it is said on standard error and by the exit
 * status, after all that could be read was shown.
 */
#include "core/command/command.h"
#include "core/command/help.h"
#include "core/log/log.h"
#include "core/log/html.h"
#include "core/observe/outfile.h"
#include "core/run.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SHOWN = 0, EXIT_NONE = 1, EXIT_ERROR = 2, EXIT_DAMAGED = 3, FOLLOW_NS = 100000000 };

struct log {
	struct log_options options;
	struct log_view view;
	struct log_groups *groups;
	struct log_page *page;
	struct text line;
	uint64_t lines; /* read, damaged ones too */
	uint64_t shown;
	bool damaged;
};

/* Set by SIGINT and SIGTERM while a file is followed: what there is so far is then counted or written. */
static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

static const char *name_of(const char *file)
{
	return strcmp(file, "-") == 0 ? "standard input" : file;
}

__attribute__((format(printf, 2, 3))) static int complain(const char *file, const char *format, ...)
{
	char shown[512], what[640];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	escape_bytes(shown, sizeof(shown), name_of(file), strlen(name_of(file)));
	fflush(stdout);
	fprintf(stderr, "sluice: %s: %s\n", shown, what);
	return -EINVAL;
}

static int write_line(struct log *l, const struct record_line *line)
{
	text_reset(&l->line);
	if (l->options.json)
		log_json_line(&l->line, line);
	else
		log_text_line(&l->view, &l->line, line);
	if (l->line.failed)
		return -ENOMEM;
	if (l->line.len && fwrite(l->line.data, 1, l->line.len, stdout) != l->line.len)
		return -errno;
	return 0;
}

static int use_line(struct log *l, const struct record_line *line)
{
	bool matches = log_filter_match(&l->options.filter, line);

	log_view_learn(&l->view, line);
	if (matches)
		l->shown++;
	if (l->page)
		return log_page_add(l->page, line, matches);
	if (!matches)
		return 0;
	return l->groups ? log_groups_add(l->groups, line) : write_line(l, line);
}

static bool is_regular(const char *file)
{
	struct stat st;

	return (strcmp(file, "-") == 0 ? fstat(STDIN_FILENO, &st) : stat(file, &st)) == 0 &&
	       S_ISREG(st.st_mode);
}

/* Was the file that is followed replaced by another, as each run does? */
static bool is_replaced(const char *file, int fd)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && stat(file, &there) == 0 &&
	       (mine.st_dev != there.st_dev || mine.st_ino != there.st_ino);
}

static int wait_for_more(void)
{
	fflush(stdout);
	if (ferror(stdout))
		return -EIO;
	nanosleep(&(struct timespec){.tv_nsec = FOLLOW_NS}, NULL);
	return 0;
}

/* All lines of R; with FOLLOW up to an `end`. 1: the file was replaced. */
static int read_lines(struct log *l, const char *file, struct record_reader *r, bool follow)
{
	struct record_line line;
	bool last_look = false;

	for (;;) {
		int got = record_next(r, &line), err;

		if (got < 0)
			return complain(file, "%s", record_error(r));
		if (got == 0 && (!follow || interrupted))
			return 0;
		if (got == 0 && last_look)
			return 1;
		if (got == 0) {
			last_look = strcmp(file, "-") != 0 && is_replaced(file, record_fd(r));
			if (!last_look && wait_for_more() < 0)
				return complain("standard output", "can't be written");
			continue;
		}
		err = use_line(l, &line);
		if (err < 0)
			return complain(file, "%s", strerror(-err));
		if (follow && line.type == RECORD_END)
			return 0;
	}
}

static int read_file(struct log *l, const char *file)
{
	struct record_reader *r = NULL;
	const struct record_state *state;
	char trouble[512];
	bool follow = l->options.follow && is_regular(file); /* a pipe's end is its end */
	int err;

	if (l->options.follow)
		setvbuf(stdout, NULL, _IOLBF, 0);
	if (follow && (l->groups || l->page)) {
		const struct sigaction end = {.sa_handler = interrupt};

		sigaction(SIGINT, &end, NULL);
		sigaction(SIGTERM, &end, NULL);
	}
	do {
		record_free(r);
		r = NULL;
		err = record_open(file, follow, &r);
		if (err < 0)
			return complain(file, "%s", strerror(-err));
		err = read_lines(l, file, r, follow);
		if (err == 1)
			complain(file, "was replaced: the new one follows");
	} while (err == 1);
	state = record_state(r);
	l->lines += state->lines + state->damaged + state->truncated;
	if (err == 0 && record_trouble(state, trouble, sizeof(trouble))) {
		l->damaged = true;
		complain(file, "%s", trouble);
	}
	if (l->page)
		err = err < 0 ? err : log_page_end_file(l->page, file, state);
	record_free(r);
	return err;
}

static int show(struct log *l)
{
	char input[] = "-", *const standard_input[] = {input, NULL};
	char *const *files = l->options.files[0] ? l->options.files : standard_input;
	const char *page = l->options.html;
	int failed = 0;

	for (char *const *file = files; page && *file; file++)
		if (outfile_same(page, strcmp(*file, "-") == 0 ? "/dev/stdin" : *file)) {
			complain(page, "is a record that is to be read: name another file for the page");
			return EXIT_ERROR;
		}
	for (; *files; files++)
		failed |= read_file(l, *files) < 0;
	if (l->groups && log_groups_write(l->groups, &l->view, l->options.json, stdout) < 0)
		failed |= complain("log", "out of memory") < 0;
	if (l->page && !failed && !l->lines) {
		failed |= complain(page, "is not written: nothing was read that could be in it") < 0;
	} else if (l->page && !failed) {
		int r = log_page_write(l->page, page);

		if (r < 0)
			failed |= complain(strcmp(page, "-") == 0 ? "standard output" : page, "%s", strerror(-r)) < 0;
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		failed |= complain("standard output", "can't be written") < 0;
	if (failed)
		return EXIT_ERROR;
	return l->damaged ? EXIT_DAMAGED : l->shown ? EXIT_SHOWN : EXIT_NONE;
}

/* What an option must not open: the profile, for this user. NULL: no options are offered. */
static struct policy *load_credentials(void)
{
	const char *name = "credentials", *const nothing[] = {NULL};
	struct policy_options options = {.policies = &name, .n_policies = 1};
	struct policy *policy;
	struct policy_error error;

	return policy_load(&options, NULL, nothing, &policy, &error) < 0 ? NULL : policy;
}

static bool wants_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

int command_log(int argc, char **argv)
{
	struct log l = {0};
	struct policy *credentials = NULL;
	struct policy_error error;
	int r = EXIT_ERROR;

	(void)argc;
	setlocale(LC_CTYPE, "C.UTF-8"); /* what is shown is UTF-8 whatever the environment says */
	if (log_options_parse(argv, &l.options, &error) < 0) {
		char shown[sizeof(error.text)];

		escape_bytes(shown, sizeof(shown), error.text, strlen(error.text));
		fprintf(stderr, "sluice: %s\n", shown);
		goto out;
	}
	if (l.options.help) {
		help_print(stdout, "log");
		r = 0;
		goto out;
	}
	l.view.color = wants_color();
	places_init(&l.view.places, NULL);
	if (l.options.group)
		l.groups = log_groups_new(l.options.group);
	if (l.options.html) {
		credentials = load_credentials();
		l.page = log_page_new(&l.options.filter, credentials);
	}
	if ((l.options.group && !l.groups) || (l.options.html && !l.page))
		complain("log", "out of memory");
	else
		r = show(&l);
out:
	log_groups_free(l.groups);
	log_page_free(l.page);
	policy_free(credentials);
	log_view_done(&l.view);
	log_filter_done(&l.options.filter);
	text_done(&l.line);
	return r;
}
