/* SPDX-License-Identifier: Apache-2.0
 * Parsing of options: one table a family, one matcher for all of them.
 *
 * Both `--name VALUE` and `--name=VALUE` are taken, and `-pVALUE`. Where an option may be given once,
 * the last one counts, so that a shell's alias can be overridden.
 */
#include "core/command/options.h"
#include "core/observe/outfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum policy_option { OPT_POLICY, OPT_ALLOW, OPT_ASK, OPT_DENY, OPT_NEVER, OPT_REPORT, OPT_LAYERS };

static const struct option_word policy_words[] = {
	{"-p", OPT_POLICY, true},      {"--allow", OPT_ALLOW, true},   {"--ask", OPT_ASK, true},
	{"--deny", OPT_DENY, true},    {"--never", OPT_NEVER, true},   {"--report", OPT_REPORT, true},
	{"--layers", OPT_LAYERS, true}, {NULL},
};

enum run_option {
	OPT_PROMPT, OPT_PROMPT_TIMEOUT, OPT_ON_DEATH, OPT_RECORD, OPT_STATS, OPT_NAME, OPT_FAIL_DENIED,
	OPT_WORKERS, OPT_BACKEND, OPT_GATE, OPT_VERBOSE, OPT_QUIET, OPT_HELP, OPT_VERSION,
};

static const struct option_word run_words[] = {
	{"--prompt", OPT_PROMPT, true},
	{"--prompt-timeout", OPT_PROMPT_TIMEOUT, true},
	{"--on-death", OPT_ON_DEATH, true},
	{"--record", OPT_RECORD, true},
	{"--stats", OPT_STATS, true},
	{"--name", OPT_NAME, true},
	{"--fail-denied", OPT_FAIL_DENIED, false},
	{"--workers", OPT_WORKERS, true},
	{"--backend", OPT_BACKEND, true},
	{"--gate", OPT_GATE, true},
	{"-v", OPT_VERBOSE, false},
	{"-q", OPT_QUIET, false},
	{"-h", OPT_HELP, false},
	{"--help", OPT_HELP, false},
	{"--version", OPT_VERSION, false},
	{NULL},
};

static const char *const run_names[] = {
	"--prompt", "--prompt-timeout", "--on-death", "--record", "--stats", "--name", "--fail-denied",
	"--workers", "--backend", "--gate", "--help", "--version", NULL,
};

/* Names that newcomers bring along, and what to write here. %s is the value that they gave. */
static const struct {
	const char *name;
	const char *form;
	const char *example; /* the value to show if none was given */
} foreign_words[] = {
	{"--ro", "--allow ro:%s", "PATH"},
	{"--rx", "--allow rx:%s", "PATH"},
	{"--rw", "--allow rw:%s", "PATH"},
	{"--all", "--allow all:%s", "PATH"},
	{"--read", "--allow read:%s", "PATH"},
	{"--write", "--allow w:%s", "PATH"},
	{"--exec", "--allow rx:%s", "PATH"},
	{"--bind", "--allow rw:%s", "PATH"},
	{"--ro-bind", "--allow ro:%s", "PATH"},
	{"--allow-read", "--allow ro:%s", "PATH"},
	{"--allow-write", "--allow rw:%s", "PATH"},
	{"--allow-exec", "--allow rx:%s", "PATH"},
	{"--allow-run", "--allow rx:%s", "PATH"},
	{"--deny-read", "--deny ro:%s", "PATH"},
	{"--deny-write", "--deny w:%s", "PATH"},
	{"--whitelist", "--allow all:%s", "PATH"},
	{"--blacklist", "--deny all:%s", "PATH"},
	{"--read-only", "--allow ro:%s", "PATH"},
	{"--allow-net", "--allow 'connect:*:*'", ""},
	{"--net", "--allow 'connect:*:*'", ""},
	{"--network", "--allow 'connect:*:*'", ""},
	{"--share-net", "--allow 'connect:*:*'", ""},
	{"--allow-all", "-p open", ""},
	{"--policy", "-p %s", "NAME or -p ./FILE"},
	{"--profile", "-p %s", "NAME or -p ./FILE"},
	{"--config", "-p ./%s", "FILE"},
	{"--log", "--record %s", "FILE"},
	{"--output", "--record %s", "FILE"},
	{"--verbose", "-v", ""},
	{"--quiet", "-q", ""},
	{"--timeout", "--prompt-timeout %s", "SECONDS"},
};

__attribute__((format(printf, 2, 3))) static int fail(struct policy_error *e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	return -EINVAL;
}

int option_match(const struct option_word *words, char *const *argv, int *index, const char **ret_value,
		 struct policy_error *ret_error)
{
	const char *arg = argv[*index];

	for (const struct option_word *w = words; w->name; w++) {
		size_t len = strlen(w->name);
		const char *value = NULL;
		int used = 1;

		if (strncmp(arg, w->name, len) != 0)
			continue;
		if (arg[len] == '=' && arg[1] == '-')
			value = arg + len + 1;
		else if (arg[len] && arg[1] != '-' && w->has_value)
			value = arg + len; /* -pNAME */
		else if (arg[len])
			continue;
		if (!w->has_value && value)
			return fail(ret_error, "%s takes no value: write %s alone", w->name, w->name);
		if (w->has_value && !value) {
			value = argv[*index + 1];
			used = 2;
			if (!value)
				return fail(ret_error, "%s: its value is missing", w->name);
		}
		if (w->has_value && !*value)
			return fail(ret_error, "%s: its value is empty", w->name);
		*ret_value = value;
		*index += used;
		return w->id;
	}
	return -ENOENT;
}

static int word_index(const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return -1;
}

int option_choice(const char *option, const char *value, const char *const *choices,
		  struct policy_error *ret_error)
{
	char list[128] = "";
	const char *near;
	int i = word_index(value, choices);

	if (i >= 0)
		return i;
	near = suggest(value, choices);
	if (near)
		return fail(ret_error, "%s: unknown word \"%s\": did you mean \"%s\"?", option, value, near);
	for (i = 0; choices[i]; i++) {
		size_t len = strlen(list);

		snprintf(list + len, sizeof(list) - len, "%s%s", !i ? "" : choices[i + 1] ? ", " : " or ",
			 choices[i]);
	}
	return fail(ret_error, "%s: unknown word \"%s\": it is %s", option, value, list);
}

static int take_number(const char *option, const char *value, unsigned min, unsigned max, unsigned *ret,
		       struct policy_error *ret_error)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || n < min || n > max)
		return fail(ret_error, "%s: \"%s\" is not a number from %u to %u", option, value, min, max);
	*ret = (unsigned)n;
	return 0;
}

static int add_policy(struct policy_options *o, const char *name, struct policy_error *ret_error)
{
	const char **grown = realloc(o->policies, (o->n_policies + 1) * sizeof(*grown));

	if (!grown)
		return fail(ret_error, "out of memory");
	o->policies = grown;
	o->policies[o->n_policies++] = name;
	return 1;
}

static int add_rule(struct policy_options *o, enum action action, const char *argument,
		    struct policy_error *ret_error)
{
	struct rule_option *grown = realloc(o->rules, (o->n_rules + 1) * sizeof(*grown));

	if (!grown)
		return fail(ret_error, "out of memory");
	o->rules = grown;
	o->rules[o->n_rules++] = (struct rule_option){.action = action, .argument = argument};
	return 1;
}

int policy_options_take(struct policy_options *o, char *const *argv, int *index,
			struct policy_error *ret_error)
{
	static const char *const reports[] = {"all", "writes", "none", NULL};
	static const char *const layers[] = {"auto", "emulate", NULL};
	const char *value;
	int i, id;

	id = option_match(policy_words, argv, index, &value, ret_error);
	if (id == -ENOENT)
		return 0;
	if (id < 0)
		return id;
	switch ((enum policy_option)id) {
	case OPT_POLICY:
		return add_policy(o, value, ret_error);
	case OPT_ALLOW:
		return add_rule(o, ACTION_ALLOW, value, ret_error);
	case OPT_ASK:
		return add_rule(o, ACTION_ASK, value, ret_error);
	case OPT_DENY:
		return add_rule(o, ACTION_DENY, value, ret_error);
	case OPT_NEVER:
		return add_rule(o, ACTION_NEVER, value, ret_error);
	case OPT_REPORT:
		if (option_choice("--report", value, reports, ret_error) < 0)
			return -EINVAL;
		o->report = value;
		return 1;
	case OPT_LAYERS:
		i = option_choice("--layers", value, layers, ret_error);
		if (i < 0)
			return -EINVAL;
		o->emulate = i == 1;
		return 1;
	}
	return -EINVAL;
}

void options_unknown(char *const *argv, int index, const char *const *names,
		     struct policy_error *ret_error)
{
	const char *all[64], *arg = argv[index], *value, *near;
	size_t len = strcspn(arg, "="), n = 0;
	char word[64], form[512];

	value = arg[len] ? arg + len + 1 : argv[index + 1];
	for (unsigned i = 0; i < sizeof(foreign_words) / sizeof(foreign_words[0]); i++) {
		const char *hole = strstr(foreign_words[i].form, "%s");
		const char *shown = value && *value ? value : foreign_words[i].example;

		if (len != strlen(foreign_words[i].name) || memcmp(arg, foreign_words[i].name, len) != 0)
			continue;
		if (hole)
			snprintf(form, sizeof(form), "%.*s%s%s", (int)(hole - foreign_words[i].form),
				 foreign_words[i].form, shown, hole + 2);
		else
			snprintf(form, sizeof(form), "%s", foreign_words[i].form);
		fail(ret_error, "unknown option %s: write %s", foreign_words[i].name, form);
		return;
	}
	for (const struct option_word *w = policy_words; w->name; w++)
		if (w->name[1] == '-')
			all[n++] = w->name;
	for (; *names && n < sizeof(all) / sizeof(all[0]) - 1; names++)
		all[n++] = *names;
	all[n] = NULL;
	snprintf(word, sizeof(word), "%.*s", (int)len, arg);
	near = arg[1] == '-' ? suggest(word, all) : NULL;
	if (near)
		fail(ret_error, "unknown option %.200s: did you mean %s?", arg, near);
	else
		fail(ret_error, "unknown option %.200s: --help lists them", arg);
}

void policy_options_done(struct policy_options *o)
{
	free(o->policies);
	free(o->rules);
	*o = (struct policy_options){0};
}

static int take_prompt(struct run_options *o, const char *value, struct policy_error *ret_error)
{
	static const char *const prompts[] = {
		[PROMPT_TTY] = "tty", [PROMPT_SOCKET] = "socket", [PROMPT_NONE] = "none", [PROMPT_EXEC] = "exec:PROGRAM",
		NULL,
	};
	int i;

	o->prompt_program = NULL;
	if (strncmp(value, "exec:", 5) == 0) {
		if (value[5] != '/' || access(value + 5, X_OK) < 0)
			return fail(ret_error, value[5] != '/' ? "--prompt exec:%.200s: name the program by an absolute path"
							       : "--prompt exec:%.200s: is no program that can be run",
				    value + 5);
		o->prompt = PROMPT_EXEC;
		o->prompt_program = value + 5;
		return 0;
	}
	i = option_choice("--prompt", value, prompts, ret_error);
	if (i < 0)
		return -EINVAL;
	if (i == PROMPT_EXEC)
		return fail(ret_error, "--prompt exec: names no program: write exec:/path/of/program");
	o->prompt = (enum prompt_mode)i;
	return 0;
}

/* One option of run's own. 0, an enum run_parse that ends the parse, or -EINVAL. */
static int take_run_option(struct run_options *o, int id, const char *value, struct policy_error *ret_error)
{
	static const char *const deaths[] = {"warden", "ptrace", NULL};
	static const char *const backends[] = {"auto", "uring", "epoll", NULL};
	static const char *const switches[] = {"off", "on", NULL};
	int i;

	switch ((enum run_option)id) {
	case OPT_PROMPT:
		return take_prompt(o, value, ret_error);
	case OPT_PROMPT_TIMEOUT:
		return take_number("--prompt-timeout", value, 1, 86400, &o->prompt_timeout_s, ret_error);
	case OPT_ON_DEATH:
		i = option_choice("--on-death", value, deaths, ret_error);
		o->die_by_ptrace = i == 1;
		return i < 0 ? i : 0;
	case OPT_RECORD:
		o->record = value;
		return 0;
	case OPT_STATS:
		o->stats = value;
		return 0;
	case OPT_NAME:
		o->name = value;
		return 0;
	case OPT_FAIL_DENIED:
		o->fail_denied = true;
		return 0;
	case OPT_WORKERS:
		return take_number("--workers", value, 1, 256, &o->workers, ret_error);
	case OPT_BACKEND:
		i = option_choice("--backend", value, backends, ret_error);
		o->backend = i == 1 ? BACKEND_URING : i == 2 ? BACKEND_EPOLL : BACKEND_AUTO;
		return i < 0 ? i : 0;
	case OPT_GATE:
		i = option_choice("--gate", value, switches, ret_error);
		o->gate = i == 1;
		return i < 0 ? i : 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	case OPT_HELP:
		return RUN_HELP;
	case OPT_VERSION:
		return RUN_VERSION;
	}
	return -EINVAL;
}

int run_options_parse(char **argv, struct run_options *ret, struct policy_error *ret_error)
{
	struct run_options o = {.prompt = PROMPT_TTY};
	int index = 1, r = 0;

	while (argv[index] && argv[index][0] == '-' && r == 0) {
		const char *value;

		if (strcmp(argv[index], "--") == 0) {
			index++;
			break;
		}
		r = policy_options_take(&o.policy, argv, &index, ret_error);
		if (r < 0)
			break;
		if (r > 0) {
			r = 0;
			continue;
		}
		r = option_match(run_words, argv, &index, &value, ret_error);
		if (r == -ENOENT) {
			options_unknown(argv, index, run_names, ret_error);
			r = -EINVAL;
		}
		if (r >= 0)
			r = take_run_option(&o, r, value, ret_error);
	}
	if (r == 0 && o.verbose && o.quiet)
		r = fail(ret_error, "-v and -q contradict each other: give one of them");
	if (r == 0 && o.record && o.stats && outfile_same(o.record, o.stats))
		r = fail(ret_error, "--record and --stats name the same file: give each its own");
	if (r == 0 && !argv[index])
		r = fail(ret_error, "no command: write sluice run [options] [--] COMMAND...");
	if (r < 0) {
		policy_options_done(&o.policy);
		return r;
	}
	o.argv = argv + index;
	*ret = o;
	return r;
}

void run_options_done(struct run_options *o)
{
	policy_options_done(&o->policy);
}
