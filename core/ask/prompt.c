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
	[OP_READ] = "read", [OP_LIST] = "list", [OP_WRITE] = "write", [OP_CREATE] = "create",
	[OP_DELETE] = "delete", [OP_EXEC] = "execute", [OP_META] = "change the attributes of",
	[OP_STAT] = "look at", [OP_CONNECT] = "connect to", [OP_BIND] = "bind",
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
		text_puts(out, "  object   does not exist yet\n");
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

/* Who started PID, and who them: the kernel's word, read at the moment of asking. */
static void put_ancestors(struct text *out, pid_t pid)
{
	char exe[PATH_MAX];

	for (int i = 0; i < ANCESTORS_MAX; i++) {
		pid = task_parent(pid);
		if (pid <= 1 || pid == getpid() || !task_exe(pid, exe, sizeof(exe)))
			return;
		text_puts(out, i ? ", by " : ", started by ");
		put_name(out, exe);
		text_printf(out, " (%d)", (int)pid);
	}
}

void prompt_keys(struct text *out, unsigned seconds)
{
	text_printf(out, "  y yes  r yes, this run  n no  N no, this run  k end the command  ? help  (%u s) ",
		    seconds);
}

void prompt_help(struct text *out)
{
	text_puts(out,
		  "\n  y  allow it this once\n"
		  "  r  allow this operation on this path until the command has ended\n"
		  "  n  refuse it this once\n"
		  "  N  refuse this operation on this path until the command has ended\n"
		  "  k  end the command and all that it started\n"
		  "  No answer is a no. What is allowed is the object that was there when sluice asked.\n");
}

void prompt_question(struct text *out, const struct question *q, unsigned seconds)
{
	text_puts(out, "\nsluice: may ");
	if (q->exe && *q->exe)
		put_name(out, q->exe);
	else
		text_puts(out, "the command");
	text_printf(out, " %s this?\n  path     ", verbs[q->op]);
	text_escaped(out, q->path, q->path_len);
	text_puts(out, "\n");
	put_object(out, q);
	text_puts(out, "  by       ");
	if (q->exe && *q->exe)
		text_escaped(out, q->exe, strlen(q->exe));
	else
		text_puts(out, "a program that can't be told");
	text_printf(out, ", pid %d", (int)q->pid);
	put_ancestors(out, q->pid);
	text_puts(out, "\n");
	if (q->argv && *q->argv) {
		text_puts(out, "  claims   to be: ");
		text_escaped(out, q->argv, strlen(q->argv));
		text_puts(out, "\n");
	}
	if (q->rule) {
		text_puts(out, "  rule     ");
		text_escaped(out, q->rule->file, strlen(q->rule->file));
		if (q->rule->line) {
			text_printf(out, ":%d  ", q->rule->line);
			text_escaped(out, q->rule->text, strlen(q->rule->text));
		}
		text_puts(out, "\n");
	}
	prompt_keys(out, seconds);
}
