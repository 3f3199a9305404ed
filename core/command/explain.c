/* SPDX-License-Identifier: Apache-2.0
 * `sluice explain`: what a policy decides about an operation on a path, which rule does and why it beats
 * the others, and who enforces that. The answer comes from the functions that decide in a run.
 */
#include "core/command/command.h"
#include "core/command/explain.h"
#include "core/ask/answers.h"
#include "core/command/help.h"
#include "core/command/options.h"
#include "core/cleanup.h"
#include "core/launch/landlock.h"
#include "core/private_dir.h"
#include "core/resolve_literal.h"
#include "core/target/creds.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_ALLOW = 0, EXIT_DENY = 1, EXIT_ERROR = 2, EXIT_ASK = 3 };

struct subject {
	opset ops;
	const char *target; /* as given */
	char *path, *link;  /* canonical; the link's own name if the last component is one */
	bool address;
};

struct arguments {
	struct policy_options policy;
	const char *words[2];
	unsigned n_words;
	bool plan, verbose, help;
};

static const char *const op_words[] = {
	"read",	   "list", "write", "create", "delete", "exec", "meta", "stat",
	"connect", "bind", "ro",    "rx",     "w",	"rw",	"all",	NULL,
};
static const char *const own_options[] = {"--plan", "--help", "-v", NULL};

static int parse(char **argv, struct arguments *ret, struct policy_error *ret_error)
{
	bool options = true;

	for (int i = 1; argv[i];) {
		int r = options ? policy_options_take(&ret->policy, argv, &i, ret_error) : 0;

		if (r < 0)
			return r;
		if (r > 0)
			continue;
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strcmp(argv[i], "--plan") == 0) {
			ret->plan = true;
		} else if (options && strcmp(argv[i], "-v") == 0) {
			ret->verbose = true;
		} else if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
			ret->help = true;
			return 0;
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			options_unknown(argv, i, own_options, ret_error);
			return -EINVAL;
		} else if (ret->n_words == 2) {
			snprintf(ret_error->text, sizeof(ret_error->text),
				 "\"%s\" is one word too many: write sluice explain OP PATH", argv[i]);
			return -EINVAL;
		} else {
			ret->words[ret->n_words++] = argv[i];
		}
		i++;
	}
	if (ret->plan ? ret->n_words == 0 : ret->n_words == 2)
		return 0;
	snprintf(ret_error->text, sizeof(ret_error->text),
		 ret->plan ? "--plan is about the whole policy: leave OP and PATH out"
			   : "what should be explained? For example: sluice explain read ~/.ssh/id_ed25519, "
			     "or --plan");
	return -EINVAL;
}

static char *absolute(const char *target)
{
	char cwd[PATH_MAX], *path = NULL;

	if (target[0] == '~' && (target[1] == '/' || !target[1])) {
		_cleanup_free_ char *home = home_directory();

		if (!home || asprintf(&path, "%s%s", home, target + 1) < 0)
			return NULL;
		return path;
	}
	if (target[0] == '/')
		return strdup(target);
	if (!getcwd(cwd, sizeof(cwd)) || asprintf(&path, "%s/%s", cwd, target) < 0)
		return NULL;
	return path;
}

static int understand(const struct arguments *a, struct subject *ret, struct policy_error *ret_error)
{
	const char *target = a->words[1];
	const opset net = OPBIT(OP_CONNECT) | OPBIT(OP_BIND);
	_cleanup_free_ char *path = NULL;
	int r;

	ret->target = target;
	if (opset_parse(a->words[0], strlen(a->words[0]), &ret->ops) < 0) {
		const char *near = suggest(a->words[0], op_words);

		snprintf(
			ret_error->text, sizeof(ret_error->text), "unknown operation \"%s\"%s%s%s",
			a->words[0],
			near ? ": did you mean \""
			     : ": write read, list, write, create, delete, exec, meta, stat, connect or bind",
			near ? near : "", near ? "\"?" : "");
		return -EINVAL;
	}
	ret->address =
		ret->ops & net && !(ret->ops & (opset)~net) && !strchr(target, '/') && strchr(target, ':');
	if (ret->address)
		return 0;
	if (ret->ops == OPBIT(OP_BIND)) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "bind is about addresses, as in *:*: a socket file is made, so ask for create");
		return -EINVAL;
	}
	ret->ops &= (opset)~OPBIT(OP_BIND);
	path = absolute(target);
	r = path ? resolve_literal(path, &ret->path, &ret->link, NULL) : -ENOMEM;
	if (r < 0)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s: %s", target, strerror(-r));
	return r;
}

/* Operations on names do not follow a link. */
static const char *name_for(const struct subject *q, enum op op)
{
	return q->link && (op == OP_CREATE || op == OP_DELETE) ? q->link : q->path;
}

/* How a rule speaks of a path. */
struct speaker {
	const struct rule *rule;
	size_t object; /* 0: it does not */
	bool literal;
};

static struct speaker speaker_of(const struct rule *rule, enum op op, const char *path)
{
	struct speaker s = {.rule = rule};
	opset ops = rule->ops;

	if (rule->action != ACTION_ALLOW && ops & OPBIT(OP_WRITE))
		ops |= OPBIT(OP_CREATE) | OPBIT(OP_DELETE);
	for (unsigned i = 0; ops & OPBIT(op) && i < rule->n_names; i++) {
		size_t object = pattern_object(&rule->names[i], path, strlen(path));
		bool literal = !rule->names[i].is_glob;

		if (object > s.object || (object && object == s.object && literal)) {
			s.object = object;
			s.literal = literal;
		}
	}
	return s;
}

/* By which step of the precedence does W win over O? */
static const char *why_beats(const struct speaker *w, const struct speaker *o)
{
	if (w->rule->action == ACTION_NEVER)
		return "nothing lifts a never";
	if (w->object > o->object)
		return "farther away";
	if (w->rule->rank > o->rule->rank)
		return "of lower rank";
	if (w->literal && !o->literal)
		return "a pattern, the other names it";
	if (w->rule->action > o->rule->action)
		return "less strict";
	return "says the same";
}

static void print_losers(struct text *out, const struct explain *e, enum op op, const char *path,
			 const struct rule *winner)
{
	size_t n, shown = 0;
	const struct rule *rules = policy_rules(e->policy, &n);
	struct speaker w = speaker_of(winner, op, path);

	for (size_t i = n; i-- > 0 && shown < (e->verbose ? n : 4);) {
		struct speaker o = speaker_of(&rules[i], op, path);

		if (!o.object || o.rule == winner)
			continue;
		text_puts(out, shown++ ? "               " : "  goes before  ");
		explain_where(out, o.rule);
		text_puts(out, "  ");
		text_escaped(out, o.rule->text, strlen(o.rule->text));
		text_printf(out, "  (%s)\n", why_beats(&w, &o));
	}
}

static bool is_in_baseline(const struct explain *e, enum op op, const char *path, const struct stat *st,
			   bool exists)
{
	uint64_t rights = plan_op_rights(e->plan, op, exists && S_ISDIR(st->st_mode));
	size_t len = strlen(path);

	if (op == OP_CREATE || op == OP_DELETE) {
		while (len > 1 && path[len - 1] != '/')
			len--;
		len -= len > 1;
		return plan_in_baseline(e->plan, rights, path, len, 0, 0);
	}
	return plan_in_baseline(e->plan, rights, path, len, exists ? st->st_dev : 0, exists ? st->st_ino : 0);
}

/* Who enforces the verdict V. */
static const char *layer_of(const struct explain *e, enum op op, const char *path, enum action action)
{
	bool trapped = explain_is_trapped(e->plan, op), landlock;
	uint64_t rights = plan_op_rights(e->plan, op, false);
	struct stat st;
	bool exists = fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;

	if (action == ACTION_ASK)
		return "the supervisor: it pins the object, asks, and hands it over or not";
	landlock = !(rights & ~e->plan->handled_fs);
	if (!e->plan->landlock_abi)
		return op == OP_EXEC
			       ? "the supervisor, by name only: without Landlock a race can get around it"
			       : "the supervisor: emulated";
	if (!landlock && !trapped)
		return "nobody: the policy refuses it nowhere, so it is not even looked at";
	if (!landlock)
		return "the supervisor: Landlock has no such right here";
	if (op == OP_EXEC && e->plan->exec_checked)
		return "Landlock by tree, and a comparison at each exec";
	if (action != ACTION_ALLOW)
		return trapped ? "Landlock, which grants nothing there; the supervisor answers and reports"
			       : "Landlock alone, which grants nothing there: not reported";
	if (is_in_baseline(e, op, path, &st, exists))
		return trapped ? "Landlock; trapped too, so that refusals can be reported"
			       : "Landlock alone: not trapped";
	if (op == OP_EXEC)
		return "Landlock, which has no grant for it: beside a refusal of read or exec nothing new "
		       "runs";
	return "the supervisor: it does the call itself";
}

static void print_verdict(struct text *out, struct verdict v)
{
	text_puts(out, action_names[v.action]);
	if (v.action >= ACTION_DENY)
		text_printf(out, " (%s)",
			    v.err == EACCES  ? "EACCES"
			    : v.err == EPERM ? "EPERM"
					     : strerror(v.err));
	if (v.audit)
		text_puts(out, ", recorded");
}

static void print_rule(struct text *out, const struct rule *rule, enum op op)
{
	text_puts(out, "  by           ");
	if (rule) {
		explain_where(out, rule);
		text_puts(out, "  ");
		text_escaped(out, rule->text, strlen(rule->text));
		if (!(rule->ops & OPBIT(op)))
			text_puts(out, "  (what may not be written may not be replaced)");
	} else {
		text_puts(out, op == OP_STAT ? "no rule names it: stat is allowed then"
					     : "no rule names it: denied then");
	}
	text_puts(out, "\n");
}

/* What the user answered for always: it is asked about no more. */
static void print_answer(struct text *out, enum op op, const char *path, const struct rule *rule)
{
	const struct question question = {.op = op, .path = path, .path_len = strlen(path), .rule = rule};
	_cleanup_free_ char *file = NULL, *home = NULL, *warning = NULL;
	struct known_answer known;
	struct answers *answers;

	answers_where(&file, &home);
	if (answers_new(file, home, &answers, &warning) < 0)
		return;
	if (answers_find(answers, &question, &known))
		text_printf(out, "  answered     %s, always: %s\n", known.yes ? "yes" : "no", known.by);
	answers_free(answers);
}

static enum action answer_path(struct text *out, const struct explain *e, const struct subject *q,
			       enum op op)
{
	const char *path = name_for(q, op);
	struct verdict v = plan_decide(e->plan, op, path, strlen(path));
	struct verdict plain = policy_decide(e->policy, op, path, strlen(path));
	struct stat st;

	text_printf(out, "%s ", op_names[op]);
	places_show(&e->places, out, path, strlen(path));
	text_puts(out, ": ");
	print_verdict(out, v);
	text_puts(out, "\n");
	print_rule(out, v.rule, op);
	if (v.rule && v.rule != plain.rule)
		text_puts(out, "               (of another name of it: a mount or a hard link)\n");
	else if (v.rule)
		print_losers(out, e, op, path, v.rule);
	text_printf(out, "  enforced by  %s\n", layer_of(e, op, path, v.action));
	if (v.action == ACTION_ASK)
		print_answer(out, op, path, v.rule);
	if (q->link && path == q->path) {
		text_puts(out, "  note         ");
		places_show(&e->places, out, q->link, strlen(q->link));
		text_puts(out, " is a link to it\n");
	}
	if (v.action != ACTION_ALLOW && (op == OP_READ || op == OP_LIST || op == OP_EXEC || op == OP_STAT) &&
	    fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 && errno == ENOENT)
		text_puts(out, "  note         it does not exist: until it does the answer is ENOENT, which is no "
			       "refusal\n");
	if (v.action != ACTION_ALLOW &&
	    (!v.rule || remedy_has_effect(v.rule, path, strlen(path), strlen(path)))) {
		text_puts(out, "  to allow it  ");
		remedy_option(&e->places, out, op, path, strlen(path));
		text_puts(out, v.rule && rule_keeps_secrets(v.rule) ? "   (may hold secrets)\n" : "\n");
	}
	return v.action;
}

static enum action answer_address(struct text *out, const struct explain *e, const struct subject *q,
				  enum op op)
{
	struct verdict v = policy_decide_net(e->policy, op);

	text_printf(out, "%s ", op_names[op]);
	text_escaped(out, q->target, strlen(q->target));
	text_puts(out, ": ");
	print_verdict(out, v);
	text_puts(out, "\n");
	print_rule(out, v.rule, op);
	text_printf(out, "  enforced by  %s\n",
		    !e->plan->inet_sockets ? "the filter: inet sockets can't be made"
		    : e->plan->trap[op == OP_BIND ? CALL_BIND : CALL_CONNECT] ? "the supervisor"
									      : "nobody: not restricted");
	if (v.action != ACTION_ALLOW && v.action != ACTION_NEVER) {
		text_puts(out, "  to allow it  ");
		remedy_option_net(out, op);
		text_puts(out, "\n");
	}
	return v.action;
}

static int answer(struct text *out, const struct explain *e, const struct subject *q)
{
	enum action strictest = ACTION_ALLOW;

	for (int op = 0; op < OP_COUNT; op++)
		if (q->ops & OPBIT(op)) {
			enum action a =
				q->address ? answer_address(out, e, q, op) : answer_path(out, e, q, op);

			if (a > strictest)
				strictest = a;
		}
	return strictest == ACTION_ALLOW ? EXIT_ALLOW : strictest == ACTION_ASK ? EXIT_ASK : EXIT_DENY;
}

/* The policy as `run` would have it here, with a directory for $TMPDIR while we look. */
static int load(struct explain *e, const struct arguments *a, const char *tmpdir,
		struct policy_error *ret_error)
{
	static const char *const protect[] = {NULL};
	/* As if a supervisor could be had: the rows say which rules need one. */
	const struct plan_caps caps = {.landlock_abi = a->policy.emulate ? 0 : landlock_abi(),
				       .supervisor = true,
				       .lines = true,
				       .ptrace_exec = true, .privileged = creds_privileged()};
	int r = policy_load(&a->policy, tmpdir, protect, &e->policy, ret_error);

	for (const char *const *note = r == 0 ? policy_notes(e->policy) : NULL; note && *note; note++)
		fprintf(stderr, "sluice: %s\n", *note);
	if (r == 0)
		r = policy_plan(e->policy, &caps, &e->plan, ret_error);
	if (r == 0) {
		r = places_init(&e->places, e->policy);
		if (r < 0)
			snprintf(ret_error->text, sizeof(ret_error->text), "%s", strerror(-r));
	}
	return r;
}

static int explain(const struct arguments *a, const struct subject *q)
{
	struct explain e = {.verbose = a->verbose};
	struct policy_error error = {""};
	struct text out = {0};
	char tmpdir[PATH_MAX];
	_cleanup_close_ int lock = -EBADF;
	bool made = private_dir_make(tmpdir, sizeof(tmpdir), &lock) == 0;
	int r, code = EXIT_ERROR;

	if (!made)
		snprintf(tmpdir, sizeof(tmpdir), "%s/sluice", private_dir_parent());
	r = load(&e, a, tmpdir, &error);
	if (made)
		private_dir_remove(tmpdir);
	if (r < 0) {
		fprintf(stderr, "%s\n", error.text);
	} else {
		code = EXIT_ALLOW;
		if (a->plan)
			explain_plan(&e, &out);
		else
			code = answer(&out, &e, q);
		if (out.failed || fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0) {
			fprintf(stderr, "sluice: can't write the answer: %s\n",
				out.failed ? "no memory" : strerror(errno));
			code = EXIT_ERROR;
		}
	}
	text_done(&out);
	places_done(&e.places);
	plan_free(e.plan);
	policy_free(e.policy);
	return code;
}

int command_explain(int argc, char **argv)
{
	struct arguments a = {0};
	struct subject q = {0};
	struct policy_error error = {""};
	int r = parse(argv, &a, &error), code = EXIT_ERROR;

	(void)argc;
	if (r == 0 && a.help) {
		help_print(stdout, "explain");
		code = EXIT_ALLOW;
	} else {
		if (r == 0 && !a.plan)
			r = understand(&a, &q, &error);
		if (r == 0)
			code = explain(&a, &q);
		else
			fprintf(stderr, "sluice: %s\n", error.text);
	}
	free(q.path);
	free(q.link);
	policy_options_done(&a.policy);
	return code;
}
