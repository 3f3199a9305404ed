/* SPDX-License-Identifier: Apache-2.0
 * RLIMIT_LOCKS means nothing to the kernel since 2.4.25, is inherited by every child and kept over exec,
 * and can be set from outside: a mark that a tree carries.
 */
#include "kernel.h"

#include <sys/resource.h>

#define MARK 77

static int reads_its_mark(void)
{
	struct rlimit l;
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		if (fork() == 0) {
			NEED(getrlimit(RLIMIT_LOCKS, &l) == 0);
			_exit(l.rlim_max == MARK ? 0 : 1);
		}
		int wstatus;
		wait(&wstatus);
		_exit(WEXITSTATUS(wstatus));
	}
	return status_of(pid);
}

static int marked(void)
{
	char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
			      (char *)(uintptr_t)"grep -q '^Max file locks *77 *77' /proc/self/limits", NULL};
	char go;

	NEED(read(0, &go, 1) == 1);
	FACT(reads_its_mark() == 0, "a grandchild in its own session has the mark");
	execv("/bin/sh", argv);
	return 1;
}

int main(void)
{
	const struct rlimit mark = {MARK, MARK};
	int fds[2];
	pid_t pid;

	NEED(pipe(fds) == 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fds[0], 0);
		_exit(marked());
	}
	FACT(prlimit(pid, RLIMIT_LOCKS, &mark, NULL) == 0, "the mark can be set on a running task");
	NEED(write(fds[1], "g", 1) == 1);
	FACT(status_of(pid) == 0, "and outlasts an exec");
	return 0;
}
