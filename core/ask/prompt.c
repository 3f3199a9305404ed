/* SPDX-License-Identifier: Apache-2.0
 * What is shown when sluice asks.
 */
#include "core/ask/prompt.h"
#include "core/cleanup.h"
#include "core/observe/record.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANCESTORS_MAX = 4 };

static const char *const verbs[] = {
	[OP_READ] = "read",
	[OP_LIST] = "list",
	[OP_WRITE] = "write",
	[OP_CREATE] = "create",
	[OP_DELETE] = "delete",
	[OP_EXEC] = "execute",
	[OP_META] = "change the attributes of",
	[OP_STAT] = "look at",
	[OP_CONNECT] = "connect to",
	[OP_BIND] = "bind",
};
static_assert(sizeof(verbs) / sizeof(verbs[0]) == OP_COUNT, "one verb an operation");

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void put_name(struct text *out, const char *exe)
{
	const char *name = last_name(exe);

	text_escaped(out, name, strlen(name));
}

static const char *kind_word(const struct question *q)
{
	if (q->is_dir || S_ISDIR(q->mode))
		return "directory";
	if (S_ISCHR(q->mode) || S_ISBLK(q->mode))
		return "device";
	if (S_ISFIFO(q->mode))
		return "FIFO";
	if (S_ISSOCK(q->mode))
		return "socket";
	return S_ISLNK(q->mode) ? "symbolic link" : "file";
}

static void put_object(struct text *out, const struct question *q)
{
	struct passwd pw, *found = NULL;
	char buf[1024];

	if (!q->exists) {
		text_puts(out, q->makes_dir ? "  object   new directory, does not exist yet\n"
					    : "  object   does not exist yet\n");
		return;
	}
	text_printf(out, "  object   %s", kind_word(q));
	if (S_ISREG(q->mode) || (!q->is_dir && !(q->mode & S_IFMT)))
		text_printf(out, ", %llu bytes", (unsigned long long)q->size);
	text_printf(out, ", mode %04o, of ", (unsigned)q->mode & 07777);
	if (getpwuid_r(q->owner, &pw, buf, sizeof(buf), &found) == 0 && found)
		text_escaped(out, pw.pw_name, strlen(pw.pw_name));
	else
		text_printf(out, "uid %u", (unsigned)q->owner);
	text_puts(out, "\n");
}

void prompt_ancestors(struct text *out, pid_t pid)
{
	char exe[PATH_MAX], own[PATH_MAX];

	for (int i = 0; i < ANCESTORS_MAX; i++) {
		pid = task_parent(pid);
		if (pid <= 1 || pid == getpid() || !task_exe(pid, exe, sizeof(exe)) ||
		    (task_exe(getpid(), own, sizeof(own)) && strcmp(exe, own) == 0)) /* the warden */
			return;
		text_puts(out, i ? ", by " : ", started by ");
		put_name(out, exe);
		text_printf(out, " (%d)", (int)pid);
	}
}

const char *prompt_verb(enum op op)
{
	return verbs[op];
}

bool prompt_offers(const struct ask_view *v, enum answer answer, enum ask_scope scope)
{
	if (answer == ANSWER_END_TREE || (answer == ANSWER_NO && scope == SCOPE_ONCE))
		return true;
	if (scope == SCOPE_ALWAYS && !(answer == ANSWER_YES ? v->yes_line : v->no_line))
		return false;
	return v->offered & 1u << scope;
}

/* One line of the keys: those of KEYS that are offered. */
static void put_keys(struct text *out, const struct ask_view *v, enum answer answer, const char *keys)
{
	static const char *const words[] = {
		[SCOPE_ONCE] = "",
		[SCOPE_RUN] = ", this run",
		[SCOPE_DIR] = ", this directory",
		[SCOPE_ALWAYS] = ", always",
	};

	for (unsigned scope = 0; scope < SCOPE_COUNT; scope++)
		if (prompt_offers(v, answer, scope))
			text_printf(out, "  %c %s%s", keys[scope], answer == ANSWER_YES ? "yes" : "no",
				    words[scope]);
}

void prompt_keys(struct text *out, const struct ask_view *v, unsigned seconds)
{
	put_keys(out, v, ANSWER_YES, "yrda");
	text_puts(out, "\n");
	put_keys(out, v, ANSWER_NO, "nNDA");
	text_printf(out, "\n  k end the command  ? help  (%u s) ", seconds);
}

void prompt_help(struct text *out, const struct ask_view *v)
{
	static const char *const lines[][2] = {
		[SCOPE_ONCE] = {"\n  y  allow it this once\n", "  n  refuse it this once\n"},
		[SCOPE_RUN] = {"  r  allow this operation on this path until the command has ended\n",
			       "  N  refuse this operation on this path until the command has ended\n"},
		[SCOPE_DIR] =
			{"  d  allow this operation on all that the same rule asks about in the directory\n"
			 "     and beneath it, until the command has ended\n",
			 "  D  refuse the same\n"},
		[SCOPE_ALWAYS] = {"  a  allow this operation on this path in later runs, too: shows the line, wants a\n"
				  "     second a, and writes it to your answers.policy\n",
				  "  A  refuse this operation on this path in later runs, too, in the same way\n"},
	};

	for (int no = 0; no < 2; no++)
		for (unsigned scope = 0; scope < SCOPE_COUNT; scope++)
			if (prompt_offers(v, no ? ANSWER_NO : ANSWER_YES, scope))
				text_puts(out, lines[scope][no]);
	text_puts(out,
		  "  k  end the command and all that it started\n"
		  "  What lies beneath a directory is on other paths, and is asked about.\n"
		  "  No answer is a no. What is allowed is the object that was there when sluice asked.\n");
}

void prompt_always(struct text *out, const char *line, const char *file, char key)
{
	text_puts(out, "always\n  this line, for this name alone, goes into ");
	text_escaped(out, file, strlen(file));
	text_puts(out, ":\n    ");
	text_escaped(out, line, strlen(line));
	text_printf(out, "\n  %c once more to write it, any other key to go back ", key);
}

static void put_names(struct text *out, const struct ask_view *v)
{
	text_printf(out, "  names    ");
	for (unsigned i = 0; i < v->n_names; i++) {
		text_puts(out, i ? "\n           " : "");
		text_escaped(out, v->names[i], strlen(v->names[i]));
	}
	if (v->n_paths > v->n_names)
		text_printf(out, "\n           and %u more", v->n_paths - v->n_names);
	text_puts(out, "\n");
}

/* The process chose these words, and a terminal folds where they would lay out lines of a question, had they blanks
 * enough: of several in a row it shows how many there are. */
static void put_claims(struct text *out, const char *s)
{
	while (*s) {
		size_t len = strcspn(s, " "), blanks = strspn(s + len, " ");

		text_escaped(out, s, len);
		if (blanks > 1)
			text_printf(out, " (%zu blanks) ", blanks);
		else if (blanks)
			text_puts(out, " ");
		s += len + blanks;
	}
}

static void put_caller(struct text *out, const struct question *q)
{
	text_puts(out, "  by       ");
	if (q->exe && *q->exe)
		text_escaped(out, q->exe, strlen(q->exe));
	else
		text_puts(out, "a program that can't be told");
	text_printf(out, ", pid %d", (int)q->pid);
	if (q->ancestors)
		text_puts(out, q->ancestors);
	else
		prompt_ancestors(out, q->pid);
	text_puts(out, "\n");
	if (q->argv && *q->argv) {
		text_puts(out, "  claims   to be: ");
		put_claims(out, q->argv);
		text_puts(out, "\n");
	}
}

void prompt_body(struct text *out, const struct ask_view *v)
{
	const struct question *q = &v->q;

	text_puts(out, "sluice: may ");
	if (q->exe && *q->exe)
		put_name(out, q->exe);
	else
		text_puts(out, "the command");
	if (v->dir) {
		text_printf(out, " %s %u %s in this directory?\n  path     ", verbs[q->op], v->n_paths,
			    q->makes_dir ? "directories" : "names");
		text_escaped(out, v->dir, strlen(v->dir));
		text_puts(out, "\n");
		put_names(out, v);
	} else {
		text_printf(out, " %s this?\n  path     ", verbs[q->op]);
		text_escaped(out, q->path, q->path_len);
		text_puts(out, "\n");
		put_object(out, q);
	}
	put_caller(out, q);
	if (q->rule) {
		text_puts(out, "  rule     ");
		text_escaped(out, q->rule->file, strlen(q->rule->file));
		if (q->rule->line) {
			text_printf(out, ":%d  ", q->rule->line);
			text_escaped(out, q->rule->text, strlen(q->rule->text));
		}
		text_puts(out, "\n");
	}
}

void prompt_question(struct text *out, const struct ask_view *v, unsigned seconds)
{
	text_puts(out, "\n");
	prompt_body(out, v);
	prompt_keys(out, v, seconds);
}
