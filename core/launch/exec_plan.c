/* SPDX-License-Identifier: Apache-2.0
 * Which files a command's name stands for, and what to say when none could be executed.
 *
 * The list is made before the sandbox, from the PATH that the command itself will see; the target
 * then tries one after the other, like execvp, so that errors come in the native order.
 */
#include "core/cleanup.h"
#include "core/launch/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_PATH "/bin:/usr/bin" /* execvp's, where PATH is not set */

static const char *path_of(char *const *envp)
{
	for (; envp && *envp; envp++)
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	return DEFAULT_PATH;
}

int exec_plan_make(struct exec_plan *p, char *const *argv, char *const *envp)
{
	const char *path = path_of(envp), *name = argv[0];
	size_t n = 2, argc = 0, i = 0;

	*p = (struct exec_plan){0};
	while (argv[argc])
		argc++;
	for (const char *s = path; *s; s++)
		n += *s == ':';
	p->paths = calloc(n + 1, sizeof(*p->paths));
	p->shell_argv = calloc(argc + 3, sizeof(*p->shell_argv));
	if (!p->paths || !p->shell_argv)
		goto no_memory;
	for (size_t a = 1; a < argc; a++)
		p->shell_argv[a + 1] = argv[a];
	p->shell_argv[0] = (char *)(uintptr_t)"/bin/sh";
	if (!*name)
		return 0; /* nothing has an empty name */
	if (strchr(name, '/')) {
		p->paths[0] = strdup(name);
		if (!p->paths[0])
			goto no_memory;
		return 0;
	}
	for (const char *s = path;; s++) {
		size_t len = strcspn(s, ":");
		int r = len ? asprintf(&p->paths[i], "%.*s/%s", (int)len, s, name) :
			      asprintf(&p->paths[i], "%s", name); /* an empty element: here */
		if (r < 0) {
			p->paths[i] = NULL;
			goto no_memory;
		}
		i++;
		s += len;
		if (!*s)
			return 0;
	}
no_memory:
	exec_plan_free(p);
	return -ENOMEM;
}

void exec_plan_free(struct exec_plan *p)
{
	for (size_t i = 0; p->paths && p->paths[i]; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->shell_argv);
	*p = (struct exec_plan){0};
}

__attribute__((format(printf, 3, 4)))
static void say(struct launch_error *ret, int code, const char *format, ...)
{
	va_list ap;

	ret->exit_code = code;
	va_start(ap, format);
	vsnprintf(ret->text, sizeof(ret->text), format, ap);
	va_end(ap);
}

void exec_plan_explain(const struct exec_plan *p, char *const *argv, const struct gate_msg *failed,
		       struct launch_error *ret)
{
	const char *file = p->paths[0] ? p->paths[failed->candidate] : NULL;
	bool searched = !strchr(argv[0], '/');

	/* In a directory that can't be searched, a file is not there, as shells see it. */
	if (!file || (searched && (failed->err == ENOENT || access(file, F_OK) < 0)))
		say(ret, 127, "%s: command not found", argv[0]);
	else if (failed->err == ENOENT && access(file, F_OK) == 0)
		say(ret, 127, "%s: its interpreter or loader was not found", file);
	else if (failed->err == ENOENT || failed->err == ENOTDIR)
		say(ret, 127, "%s: %s", file, strerror(failed->err));
	else if ((failed->err == EACCES || failed->err == EPERM) && access(file, X_OK) == 0)
		say(ret, 126, "%s: the policy does not let it be executed (it, or the interpreter or loader that it "
		    "needs): --allow rx:%s",
		    file, file);
	else
		say(ret, 126, "%s: %s", file, strerror(failed->err));
}
