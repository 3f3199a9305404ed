/* SPDX-License-Identifier: Apache-2.0
 * K, the warden: parent of the target, subreaper of its tree, and what ends the tree when the
 * supervisor dies, however it dies. It was forked by the confined thread, so it has the upper bound
 * with its signal scope, and can signal the tree but not the supervisor.
 *
 *   RUNNING  polls: the leash (end of file: the supervisor is dead), the supervisor's pidfd (the
 *            same, should a copy of the leash have leaked), SIGCHLD. Status of the target goes to the
 *            supervisor; orphans are reaped, a few a turn, so that a fork bomb can't keep us from
 *            reading the leash.
 *   ENDING   the target has ended, the supervisor is dead or asked for it: kill in rounds until there
 *            is no child, then DONE and exit.
 *
 * It shares the session with the command but has a process group of its own. Were it in another
 * session, a command that makes a process group of its own (an interactive shell) would be orphaned
 * in the sense of job control, and could not be suspended. Every signal is blocked, and SIGKILL to
 * the job does not reach it.
 */
#include "core/launch/parts.h"
#include "core/sys.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>

#define END_TIMEOUT_MS 10000 /* what can't be killed in that time hangs in the kernel */
#define DEATH_TIMEOUT_MS 2000 /* for a supervisor to take back what it lent, or to be dead to the last */
#define REAPED_A_TURN 16

enum { FD_LEASH = 3, FD_CHILD = 4, FD_SUPERVISOR = 5, FD_KEEP = 6, FD_LOCK = 7, FD_END = 8 };

struct warden {
	pid_t target;
	bool scoped;
	bool target_ended;
	bool (*lent)(void);
	void (*orphaned)(int keep); /* NULL: nothing is kept, or it is done */
};

static void tell(enum leash_kind kind, pid_t pid, int value)
{
	const struct leash_msg m = {kind, pid, value};

	packet_send(FD_LEASH, &m, sizeof(m), -1); /* a dead supervisor is found out by poll */
}

/* Who asks to be traced by its parent (PTRACE_TRACEME) asks us, if that is who we are to it: it stands still at
 * each signal until we say what becomes of it. Nobody traces it then: it goes on as if it had not asked. */
static bool let_go(pid_t pid, int sig)
{
	/* The trap that an exec brings is for a tracer only. */
	return ptrace(PTRACE_DETACH, pid, NULL, (void *)(intptr_t)(sig == SIGTRAP ? 0 : sig)) == 0;
}

static void on_reaped(void *ctx, pid_t pid, int wstatus)
{
	struct warden *w = ctx;

	if (WIFSTOPPED(wstatus) && let_go(pid, WSTOPSIG(wstatus)))
		return;
	if (pid != w->target)
		return;
	tell(LEASH_STATUS, pid, wstatus);
	if (WIFEXITED(wstatus) || WIFSIGNALED(wstatus))
		w->target_ended = true;
}

static void reap_some(struct warden *w)
{
	struct signalfd_siginfo si;
	int wstatus;
	pid_t pid;

	if (read(FD_CHILD, &si, sizeof(si)) < 0 && errno != EAGAIN)
		return;
	for (unsigned i = 0; i < REAPED_A_TURN; i++) {
		pid = waitpid(-1, &wstatus, WNOHANG | WUNTRACED | WCONTINUED);
		if (pid <= 0)
			return;
		on_reaped(w, pid, wstatus);
	}
	raise(SIGCHLD); /* blocked: makes the next poll return at once, for the rest */
}

/* Our descriptors at known places, nothing else; all of it is harmless should it fail. */
static void settle_fds(const struct warden_config *c, int child_fd)
{
	const int from[] = {c->leash, child_fd, c->supervisor_pidfd, c->keep, c->lock};
	int up[FD_END - FD_LEASH];

	static_assert(sizeof(from) == sizeof(up), "one for each place, in their order");
	for (size_t i = 0; i < sizeof(up) / sizeof(up[0]); i++)
		up[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, FD_END);
	for (int fd = 0; fd < 3 && c->null_fd >= 0; fd++)
		dup2(c->null_fd, fd);
	for (int i = 0; i < FD_END - FD_LEASH; i++) {
		if (up[i] >= 0)
			dup2(up[i], FD_LEASH + i);
		else
			close(FD_LEASH + i);
	}
	fds_close_from(FD_END);
}

enum word { WORD_NONE, WORD_END, WORD_DEAD };

/* What the leader says: that the tree must end, or, by its silence, that it is dead. */
static enum word leash_word(void)
{
	struct leash_msg m;
	int r = packet_recv(FD_LEASH, &m, sizeof(m), NULL);

	return r <= 0 ? WORD_DEAD : m.kind == LEASH_KILL ? WORD_END : WORD_NONE;
}

/* The leader's next word, if there is one within TIMEOUT_MS. P: the leash, and others. */
static enum word next_word(struct pollfd *p, nfds_t n, nfds_t supervisor, int timeout_ms)
{
	enum word word = WORD_NONE;

	if (poll(p, n, timeout_ms) < 0) {
		for (nfds_t i = 0; i < n; i++)
			p[i].revents = 0;
		return WORD_NONE;
	}
	if (p[0].revents)
		word = leash_word();
	return p[supervisor].revents ? WORD_DEAD : word;
}

static void look_after(struct warden *w)
{
	if (w->orphaned)
		w->orphaned(FD_KEEP);
	w->orphaned = NULL;
}

/* A supervisor that dies closes the listener before its death shows: the target may have ended of that. */
static void await_return(struct warden *w, bool have_pidfd)
{
	struct pollfd p[] = {
		{.fd = FD_LEASH, .events = POLLIN},
		{.fd = have_pidfd ? FD_SUPERVISOR : -1, .events = POLLIN},
	};

	for (int waited = 0; w->orphaned && w->lent() && waited < DEATH_TIMEOUT_MS; waited += 5)
		if (next_word(p, 2, 1, 5) == WORD_DEAD)
			look_after(w);
}

static _Noreturn void end_tree(struct warden *w, bool have_pidfd)
{
	bool all = tree_end(w->scoped, END_TIMEOUT_MS, on_reaped, w);

	tell(LEASH_DONE, 0, all);
	await_return(w, have_pidfd);
	_exit(0);
}

static _Noreturn void warden_loop(struct warden *w, bool have_pidfd)
{
	struct pollfd p[] = {
		{.fd = FD_LEASH, .events = POLLIN},
		{.fd = FD_CHILD, .events = POLLIN},
		{.fd = have_pidfd ? FD_SUPERVISOR : -1, .events = POLLIN},
	};

	for (;;) {
		enum word word = next_word(p, 3, 2, -1);

		if (word == WORD_DEAD)
			look_after(w);
		if (word != WORD_NONE)
			end_tree(w, have_pidfd);
		if (p[1].revents)
			reap_some(w);
		if (w->target_ended)
			end_tree(w, have_pidfd);
	}
}

void warden_run(struct warden_config *c)
{
	struct warden w = {.orphaned = c->keep < 0 ? NULL : c->orphaned, .lent = c->lent};
	sigset_t all, child;
	int child_fd;

	prctl(PR_SET_NAME, "sluice-warden");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signal(SIGCHLD, SIG_DFL); /* an inherited "ignore" would reap behind our back */
	w.target = fork();
	if (w.target == 0) {
		close(c->leash);
		if (c->supervisor_pidfd >= 0)
			close(c->supervisor_pidfd);
		prctl(PR_SET_NAME, "sluice-target");
		target_run(c->target);
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w.target < 0)
		w.target = -errno;
	setpgid(0, 0);
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0);
#endif
	settle_fds(c, child_fd);
	/* kill(-1) is the tree and nothing else if, and only if, we can't even signal the supervisor,
	 * which has our user id: nothing but the scope forbids it. */
	w.scoped = c->expect_scope && kill(c->supervisor, 0) < 0 && errno == EPERM;
	tell(LEASH_HELLO, w.target, w.scoped);
	if (w.target < 0)
		_exit(1);
	warden_loop(&w, c->supervisor_pidfd >= 0);
}
