/* SPDX-License-Identifier: Apache-2.0
 * T, the target, from its fork to its exec, without allocating. Order is everything here:
 *
 *   descriptors close-on-exec, limits   while nothing is restricted
 *   Landlock                            before the filter, which traps or refuses its calls
 *   filter                              from here on only sendmsg, recvmsg, close, sigprocmask, execve
 *   listener out, "go" in               so that somebody answers when execve is trapped
 *   exec                                tried like execvp, in the order of PATH
 *
 * The descriptors are closed by the exec itself: none leaks to the command, and the gate's end of
 * file tells the supervisor that the exec was done.
 */
#include "core/launch/landlock.h"
#include "core/launch/parts.h"
#include "core/limits.h"
#include "core/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Memory pressure should take the command before what watches it. Raising needs no right. */
static void raise_oom_score(void)
{
	char buf[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	int score;

	if (fd < 0)
		return;
	if (read(fd, buf, sizeof(buf) - 1) > 0) {
		score = atoi(buf) + 100;
		snprintf(buf, sizeof(buf), "%d", score > 1000 ? 1000 : score);
		if (pwrite(fd, buf, strlen(buf), 0) < 0)
			score = 0; /* as it was */
	}
	close(fd);
}

static _Noreturn void fail(const struct target_config *t, enum stage stage, int err, unsigned candidate)
{
	const struct gate_msg m = {GATE_FAILED, stage, err, getpid(), candidate};

	packet_send(t->gate, &m, sizeof(m), -1);
	_exit(125);
}

/* Errors after which execvp looks further. */
static bool try_next(int err)
{
	return err == ENOENT || err == ENOTDIR || err == EACCES || err == ESTALE || err == ENODEV ||
	       err == ETIMEDOUT;
}

static _Noreturn void exec_command(const struct target_config *t)
{
	const struct exec_plan *e = t->exec;
	int err = ENOENT;
	unsigned denied = 0, i;
	bool was_denied = false;

	for (i = 0; e->paths[i]; i++) {
		execve(e->paths[i], t->argv, t->envp);
		err = errno;
		if (err == ENOEXEC) {
			e->shell_argv[1] = e->paths[i];
			execve("/bin/sh", e->shell_argv, t->envp);
		}
		if (!try_next(err))
			break;
		if (err == EACCES && !was_denied) {
			was_denied = true;
			denied = i;
		}
	}
	if (!e->paths[i]) {
		err = was_denied ? EACCES : err;
		i = was_denied ? denied : 0;
	}
	fail(t, STAGE_EXEC, err, i);
}

/* What filter_install() returns. */
static int install_filter(const struct target_config *t)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	long n;

	do
		n = CALL(recv(t->gate, insns, sizeof(insns), 0));
	while (n == -EINTR);
	if (n <= 0)
		_exit(125); /* given up, or dead */
	return filter_install(&(struct sock_fprog){(unsigned short)((size_t)n / sizeof(insns[0])), insns},
			      t->supervise, t->wait_killable);
}

void target_run(struct target_config *t)
{
	const struct rlimit no_core = {0, 0};
	struct gate_msg m = {GATE_READY, STAGE_LISTENER, 0, getpid(), 0};
	int listener, r;

	fds_cloexec_from(3);
	raise_oom_score();
	limits_restore();
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		fail(t, STAGE_LIMITS, errno, 0);
	if (t->baseline >= 0) {
		r = landlock_enter(t->baseline);
		if (r < 0)
			fail(t, STAGE_LANDLOCK, -r, 0);
	}
	listener = install_filter(t);
	if (listener < 0)
		fail(t, STAGE_FILTER, -listener, 0);
	r = packet_send(t->gate, &m, sizeof(m), t->supervise ? listener : -1);
	if (r < 0)
		fail(t, STAGE_LISTENER, -r, 0);
	if (t->supervise)
		close(listener);
	r = packet_recv(t->gate, &m, sizeof(m), NULL);
	if (r <= 0 || m.kind != GATE_GO)
		_exit(125); /* given up, or dead */
	sigaction(SIGCHLD, &t->child_action, NULL);
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
	exec_command(t);
}
