/* SPDX-License-Identifier: Apache-2.0
 * The command line of `sluice log`.
 */
#include "core/log/log.h"
#include "core/command/options.h"
#include "core/cleanup.h"
#include "core/resolve_literal.h"
#include "policy/pattern.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum log_option {
	OPT_TYPE,
	OPT_VERDICT,
	OPT_OP,
	OPT_PATH,
	OPT_EXE,
	OPT_PID,
	OPT_DESCENDANTS,
	OPT_RULE,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_GROUP,
	OPT_FOLLOW,
	OPT_JSON,
	OPT_HTML,
	OPT_HELP,
};

static const struct option_word words[] = {
	{"--type", OPT_TYPE, true},
	{"--verdict", OPT_VERDICT, true},
	{"--op", OPT_OP, true},
	{"--path", OPT_PATH, true},
	{"--exe", OPT_EXE, true},
	{"--pid", OPT_PID, true},
	{"--descendants", OPT_DESCENDANTS, false},
	{"--rule", OPT_RULE, true},
	{"--since", OPT_SINCE, true},
	{"--until", OPT_UNTIL, true},
	{"--group", OPT_GROUP, true},
	{"--follow", OPT_FOLLOW, false},
	{"--json", OPT_JSON, false},
	{"--html", OPT_HTML, true},
	{"--help", OPT_HELP, false},
	{"-f", OPT_FOLLOW, false},
	{"-h", OPT_HELP, false},
	{NULL},
};

__attribute__((format(printf, 2, 3))) static int fail(struct policy_error *e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	return -EINVAL;
}

static int add_string(struct arena *a, const char ***list, size_t *n, const char *s)
{
	size_t cap = *n;
	const char **grown = arena_alloc(a, (cap + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	if (cap)
		memcpy(grown, *list, cap * sizeof(*grown));
	grown[cap] = s;
	*list = grown;
	*n = cap + 1;
	return 0;
}

/* PATTERN, as a rule has it, from VALUE: quoting with backslashes only. */
static int parse_pattern(struct arena *a, const char *value, struct pattern *ret,
			 struct policy_error *ret_error)
{
	_cleanup_free_ char *prefix = NULL;
	size_t len, from = 0, n = 0;
	struct pattern_problem problem = {0};
	char *bytes;
	bool *bare;
	int r;

	if (value[0] == '~' && (value[1] == '/' || !value[1])) {
		prefix = home_directory();
		from = 1;
	} else if (value[0] != '/' && strncmp(value, "**", 2) != 0) {
		_cleanup_free_ char *cwd = getcwd(NULL, 0);

		if (cwd && asprintf(&prefix, "%s/", cwd) < 0)
			prefix = NULL;
	}
	len = prefix ? strlen(prefix) : 0;
	bytes = arena_alloc(a, len + strlen(value) + 1);
	bare = arena_alloc(a, len + strlen(value) + 1);
	if (!bytes || !bare)
		return -ENOMEM;
	if (prefix)
		memcpy(bytes, prefix, len);
	n = len;
	for (size_t i = from; value[i]; i++) {
		bool quoted = value[i] == '\\' && value[i + 1];

		i += quoted;
		bare[n] = !quoted;
		bytes[n++] = value[i];
	}
	r = pattern_parse(a, &(struct wordtext){.bytes = bytes, .bare = bare, .len = n}, ret, &problem);
	if (r == -EINVAL)
		fail(ret_error, "--path %s: %s", value, problem.what);
	return r;
}

static int add_path(struct log_filter *f, const char *value, struct policy_error *ret_error)
{
	struct pattern *grown = arena_alloc(&f->arena, (f->n_paths + 1) * sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	if (f->n_paths)
		memcpy(grown, f->paths, f->n_paths * sizeof(*grown));
	r = parse_pattern(&f->arena, value, &grown[f->n_paths], ret_error);
	if (r < 0)
		return r;
	f->paths = grown;
	f->n_paths++;
	return 0;
}

static int add_pid(struct log_filter *f, const char *value, struct policy_error *ret_error)
{
	pid_t *grown = arena_alloc(&f->arena, (f->n_pids + 1) * sizeof(*grown));
	char *end;
	long pid;

	if (!grown)
		return -ENOMEM;
	errno = 0;
	pid = strtol(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || pid <= 0 || pid > INT_MAX)
		return fail(ret_error, "--pid: \"%s\" is no process id", value);
	if (f->n_pids)
		memcpy(grown, f->pids, f->n_pids * sizeof(*grown));
	grown[f->n_pids++] = (pid_t)pid;
	f->pids = grown;
	return 0;
}

/* Seconds with a fraction and a unit (s, m, h, d): microseconds, -1 if it is none. */
static int64_t parse_span(const char *s)
{
	static const struct {
		const char *unit;
		double us;
	} units[] = {{"", 1e6},	    {"s", 1e6},	   {"ms", 1e3},	  {"m", 60e6},
		     {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}};
	char *end;
	double n;

	if (*s < '0' || *s > '9' || strspn(s, "0123456789.") > 15)
		return -1;
	n = strtod(s, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].unit) == 0 && n * units[i].us < 4e17)
			return (int64_t)(n * units[i].us + 0.5);
	return -1;
}

/* ".25" at *S: microseconds; *S behind it. */
static int64_t parse_fraction(const char **s)
{
	int64_t us = 0, unit = 100000;

	if (**s != '.')
		return 0;
	for (++*s; **s >= '0' && **s <= '9'; ++*s, unit /= 10)
		us += (**s - '0') * unit;
	return us;
}

/* A clock time: a date with or without a time of day, or that alone, which is today's. In local time, or as
 * an offset says. -1: none. */
static int64_t parse_clock(const char *s)
{
	static const char *const formats[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
		"%Y-%m-%d",	     "%H:%M:%S",	  "%H:%M"};
	time_t now = time(NULL);

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm, zone = {0};
		const char *end;
		int64_t us, seconds;

		localtime_r(&now, &tm);
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		end = strptime(s, formats[i], &tm);
		if (!end)
			continue;
		us = parse_fraction(&end);
		tm.tm_isdst = -1;
		if (!*end)
			seconds = mktime(&tm);
		else if ((*end == 'Z' && !end[1]) ||
			 ((*end == '+' || *end == '-') && (end = strptime(end, "%z", &zone)) && !*end))
			seconds = timegm(&tm) - zone.tm_gmtoff;
		else
			continue;
		return seconds < 0 ? -1 : seconds * 1000000 + us;
	}
	return -1;
}

static int parse_time(const char *option, const char *value, struct log_time *ret,
		      struct policy_error *ret_error)
{
	struct timespec now;
	int64_t us = *value == '+' || *value == '-' ? parse_span(value + 1) : parse_clock(value);

	if (us < 0)
		return fail(ret_error,
			    "%s: \"%s\" is no time: write 14:05:30, 2026-01-31, 2026-01-31T14:05:30Z, +2.5s "
			    "(after "
			    "the start of the run) or -10m (before now)",
			    option, value);
	*ret = (struct log_time){.set = true, .us = us, .from_start = *value == '+'};
	if (*value == '-') {
		clock_gettime(CLOCK_REALTIME, &now);
		ret->us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - us;
	}
	return 0;
}

static int add_type(struct log_filter *f, const char *value, struct policy_error *ret_error)
{
	const char *types[RECORD_TYPES];
	int i;

	for (unsigned t = RECORD_START; t < RECORD_TYPES; t++)
		types[t - RECORD_START] = record_type_words[t];
	types[RECORD_TYPES - RECORD_START] = NULL;
	i = option_choice("--type", value, types, ret_error);
	if (i < 0)
		return i;
	f->types |= 1u << (RECORD_START + (unsigned)i);
	return 0;
}

static int add_verdicts(struct log_filter *f, const char *value, struct policy_error *ret_error)
{
	int i = option_choice("--verdict", value, log_verdict_words, ret_error);

	if (i < 0)
		return i;
	f->verdicts |= 1u << i;
	return 0;
}

static int add_ops(struct log_filter *f, const char *value, struct policy_error *ret_error)
{
	opset ops;

	if (opset_parse(value, strlen(value), &ops) < 0)
		return fail(ret_error,
			    "--op: unknown operation \"%s\": write read, list, write, create, delete, exec, "
			    "meta, stat, "
			    "connect or bind, several with commas, or a group: ro, rx, w, rw, all",
			    value);
	f->ops |= ops;
	return 0;
}

static int take_option(struct log_options *o, int id, const char *value, struct policy_error *ret_error)
{
	static const char *const groups[] = {"path", "dir", "exe", "op", "rule", NULL};
	struct log_filter *f = &o->filter;
	int i;

	switch ((enum log_option)id) {
	case OPT_TYPE:
		return add_type(f, value, ret_error);
	case OPT_VERDICT:
		return add_verdicts(f, value, ret_error);
	case OPT_OP:
		return add_ops(f, value, ret_error);
	case OPT_PATH:
		return add_path(f, value, ret_error);
	case OPT_EXE:
		return add_string(&f->arena, &f->exes, &f->n_exes, value);
	case OPT_PID:
		return add_pid(f, value, ret_error);
	case OPT_DESCENDANTS:
		f->descendants = true;
		return 0;
	case OPT_RULE:
		return add_string(&f->arena, &f->rules, &f->n_rules, value);
	case OPT_SINCE:
		return parse_time("--since", value, &f->since, ret_error);
	case OPT_UNTIL:
		return parse_time("--until", value, &f->until, ret_error);
	case OPT_GROUP:
		i = option_choice("--group", value, groups, ret_error);
		o->group = GROUP_PATH + (unsigned)i;
		return i < 0 ? i : 0;
	case OPT_FOLLOW:
		o->follow = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_HTML:
		o->html = value;
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	}
	return -EINVAL;
}

static int unknown_option(const char *arg, struct policy_error *ret_error)
{
	const char *names[sizeof(words) / sizeof(words[0])], *near;
	size_t n = 0;
	char word[64];

	for (const struct option_word *w = words; w->name; w++)
		if (w->name[1] == '-')
			names[n++] = w->name;
	names[n] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg, "="), arg);
	near = suggest(word, names);
	if (near)
		return fail(ret_error, "unknown option %.200s: did you mean %s?", arg, near);
	return fail(ret_error, "unknown option %.200s: --help lists them", arg);
}

static int check(const struct log_options *o, struct policy_error *ret_error)
{
	if (o->help)
		return 0;
	if (o->html && (o->json || o->group))
		return fail(ret_error, "--html makes a page of its own: leave out %s",
			    o->json ? "--json" : "--group");
	if (o->filter.descendants && !o->filter.n_pids)
		return fail(ret_error, "--descendants of which process? Add --pid");
	if (o->follow && o->files[0] && o->files[1])
		return fail(ret_error, "--follow takes one file");
	if (!o->files[0] && isatty(STDIN_FILENO))
		return fail(ret_error, "which record? sluice run --record FILE writes one: sluice log FILE");
	return 0;
}

int log_options_parse(char **argv, struct log_options *ret, struct policy_error *ret_error)
{
	bool options = true;
	size_t n = 0;

	*ret = (struct log_options){.filter.start_us = -1};
	ret->files = argv; /* words move to the front: what was there has been read */
	for (int i = 1; argv[i];) {
		const char *value = NULL;
		int id = -ENOENT, r = 0;

		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			i++;
			continue;
		}
		if (options && argv[i][0] == '-' && argv[i][1]) {
			id = option_match(words, argv, &i, &value, ret_error);
			r = id == -ENOENT ? unknown_option(argv[i], ret_error)
			    : id < 0	  ? id
					  : take_option(ret, id, value, ret_error);
		} else {
			argv[n++] = argv[i++];
		}
		if (r == -ENOMEM)
			fail(ret_error, "out of memory");
		if (r < 0)
			return r;
	}
	argv[n] = NULL;
	return check(ret, ret_error);
}
