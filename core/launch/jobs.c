/* SPDX-License-Identifier: Apache-2.0
 * The leader's loop: signals, job control, and the end of the tree.
 *
 * The command stays in our process group and session, so that the terminal, the shell and kill(1) on
 * the job see what they would see without us.
 *
 *   from the terminal   (^C, ^\, ^Z, hang-up, resize): the kernel sends it to the whole group, the
 *                       command has it by itself. We ignore it.
 *   from a process      sent to us, most likely by pid: forwarded. One sent to the whole group reaches
 *                       the command twice; the kernel does not tell us the difference.
 *   command stops       if a job-control shell waits for us, we stop of the same signal, so that it
 *                       takes the terminal back.
 *   SIGCONT             continues the command if it is still stopped.
 *   SIGTTIN, SIGTTOU    blocked: we may write to the terminal from the background and never stop.
 *
 * All of these are blocked in every thread and read from a signalfd here.
 */
#include "core/cleanup.h"
#include "core/launch/launch_impl.h"
#include "core/sys.h"

#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define RESCUE_TIMEOUT_MS 10000

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH,
	SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGPWR, SIGVTALRM, SIGPROF,
};

void launch_init(struct launch *l, const struct launch_config *config)
{
	l->config = *config;
	l->upper = l->leash = l->leash_warden = l->gate = l->ready = l->wake = l->null_fd = -EBADF;
	l->signals = l->target_pidfd = -EBADF;
	l->target.argv = config->argv;
	l->target.envp = config->envp;
	l->target.exec = &l->exec;
	l->target.supervise = config->supervise;
	l->target.wait_killable = config->features->wait_killable_recv;
	sem_init(&l->begun, 0, 0);
	l->target.baseline = l->target.gate = -EBADF;
}

void jobs_block_signals(struct launch *l)
{
	static const int keep[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t all, ours;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++)
		sigdelset(&all, keep[i]);
	pthread_sigmask(SIG_SETMASK, &all, &l->old_mask);
	sigaction(SIGCHLD, &plain, &l->old_child_action);
	l->target.mask = l->old_mask;
	l->target.child_action = l->old_child_action;
	l->signals_blocked = true;
	sigemptyset(&ours);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&ours, forwarded[i]);
	l->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	/* A shell with job control puts us in a group of our own and waits for it. In a script the
	 * group is the script's, and our stopping would be of no use to anybody. */
	l->own_job = getpgid(getppid()) != getpgrp() && getsid(getppid()) == getsid(0);
}

void jobs_restore_signals(struct launch *l)
{
	sigset_t all;

	if (!l->signals_blocked)
		return;
	/* What the command sent us and nobody forwards must not end us now: its status is still to be told. */
	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &(struct timespec){0}) > 0)
		;
	sigaction(SIGCHLD, &l->old_child_action, NULL);
	pthread_sigmask(SIG_SETMASK, &l->old_mask, NULL);
}

static void signal_target(struct launch *l, int sig)
{
	if (l->target_pidfd >= 0)
		sys_pidfd_send_signal(l->target_pidfd, sig);
}

static bool target_is_stopped(const struct launch *l)
{
	char path[40], buf[256], *s;
	_cleanup_close_ int fd = -EBADF;
	long n;

	snprintf(path, sizeof(path), "/proc/%d/stat", l->target_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return l->target_stopped;
	buf[n] = '\0';
	s = strrchr(buf, ')');
	return s && s[1] == ' ' && (s[2] == 'T' || s[2] == 't'); /* t: it is traced as well */
}

static void on_continued(struct launch *l)
{
	if (!l->target_ended && target_is_stopped(l))
		signal_target(l, SIGCONT);
	l->target_stopped = false;
}

/* Stop as the command did. Returns when we are continued.
 *
 * A command with a process group of its own (an interactive shell) may have the terminal when it stops.
 * The shell that continues us gives the terminal to our group, so it has to be passed on; a group in the
 * background would read end of file. */
static void stop_like(struct launch *l, int sig)
{
	struct sigaction plain = {.sa_handler = SIG_DFL}, old;
	_cleanup_close_ int tty = -EBADF;
	pid_t group = 0;
	sigset_t one, mask;

	if (!l->own_job)
		return;
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (tty >= 0 && tcgetpgrp(tty) != getpgrp() && tcgetpgrp(tty) == getpgid(l->target_pid))
		group = tcgetpgrp(tty);
	sigaction(sig, &plain, &old);
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &one, &mask); /* here we stand still */
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (sig != SIGSTOP)
		sigaction(sig, &old, NULL);
	if (group > 0 && tcgetpgrp(tty) == getpgrp())
		tcsetpgrp(tty, group);
	on_continued(l);
}

static bool stops_jobs(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void on_status(struct launch *l, int wstatus)
{
	if (WIFSTOPPED(wstatus)) {
		/* No other signal stops a process that nobody traces, and others would end us. */
		if (!stops_jobs(WSTOPSIG(wstatus)))
			return;
		l->target_stopped = true;
		stop_like(l, WSTOPSIG(wstatus));
	} else if (WIFCONTINUED(wstatus)) {
		l->target_stopped = false;
	} else {
		l->target_ended = true;
		l->wstatus = wstatus;
	}
}

static void on_signal(struct launch *l)
{
	struct signalfd_siginfo si;

	while (read(l->signals, &si, sizeof(si)) == sizeof(si)) {
		int sig = (int)si.ssi_signo;

		if (sig == SIGCONT)
			on_continued(l);
		else if (si.ssi_code <= 0 && !launch_in_tree(l->warden, (pid_t)si.ssi_pid))
			signal_target(l, sig);
	}
}

static void on_rescued(void *ctx, pid_t pid, int wstatus)
{
	struct launch *l = ctx;

	if (pid == l->target_pid && (WIFEXITED(wstatus) || WIFSIGNALED(wstatus)))
		on_status(l, wstatus);
}

/* The warden is dead and did not say that it was done: its orphans are ours now. The kill that is
 * exactly the tree is the confined thread's; the proof that the warden gave holds for it, since the
 * warden was its copy. */
static void rescue(struct launch *l)
{
	uint64_t n = 1;

	l->warden_lost = true;
	if (l->scoped && write(l->wake, &n, sizeof(n)) == sizeof(n)) {
		for (int left = RESCUE_TIMEOUT_MS * 2; left > 0; left--) {
			int wstatus;
			pid_t pid = waitpid(-1, &wstatus, WNOHANG);

			if (pid < 0 && errno == ECHILD)
				break;
			if (pid > 0)
				on_rescued(l, pid, wstatus);
			else
				usleep(500);
		}
	} else {
		tree_end(false, RESCUE_TIMEOUT_MS, on_rescued, l);
	}
	/* The tracer has it a moment later than we learn that there is nobody left. */
	for (int tries = 100; is_traced(&l->config) && tracer_target_status() == -1 && tries > 0; tries--)
		usleep(500);
	if (!l->target_ended && tracer_target_status() != -1)
		on_rescued(l, l->target_pid, tracer_target_status());
}

static void on_leash(struct launch *l)
{
	struct leash_msg m;
	int r = packet_recv(l->leash, &m, sizeof(m), NULL);

	if (r <= 0) {
		if (l->warden > 0)
			waitpid(l->warden, NULL, 0);
		if (!l->warden_done)
			rescue(l);
		l->ended = true;
		return;
	}
	switch (m.kind) {
	case LEASH_HELLO:
		l->scoped = m.value;
		if (m.pid < 0)
			l->fork_err = -m.pid;
		break;
	case LEASH_STATUS:
		on_status(l, m.value);
		break;
	case LEASH_DONE:
		l->warden_done = true;
		break;
	case LEASH_KILL:
		break;
	}
}

static void on_ready(struct launch *l)
{
	uint64_t n;

	if (read(l->ready, &n, sizeof(n)) < 0)
		return;
	l->is_ready = true;
	if (l->target_pid > 0)
		l->target_pidfd = sys_pidfd_open(l->target_pid, 0);
	/* Without a warden there is nobody to wait for. */
	if (l->warden <= 0)
		l->ended = true;
}

static void on_gate(struct launch *l)
{
	struct gate_msg m;
	int r = packet_recv(l->gate, &m, sizeof(m), NULL);

	if (r > 0 && m.kind == GATE_FAILED)
		l->failed = m;
	else
		l->exec_done = true;
	close(take_fd(&l->gate));
}

/* The target failed or is gone before its exec. */
static bool start_failed(const struct launch *l)
{
	return l->failed.kind == GATE_FAILED || l->confined_err < 0;
}

void jobs_serve(struct launch *l, enum until until)
{
	/* The confined thread always reports, even if all it had to start is dead by then. */
	while (!l->ended || !l->is_ready) {
		struct pollfd p[] = {
			{.fd = l->is_ready ? l->signals : -1, .events = POLLIN}, /* once there is a target */
			{.fd = l->ended ? -1 : l->leash, .events = POLLIN},
			{.fd = l->is_ready ? -1 : l->ready, .events = POLLIN},
			{.fd = l->is_ready ? l->gate : -1, .events = POLLIN},
		};

		if (until == UNTIL_EXEC && l->is_ready && (l->exec_done || start_failed(l)))
			return;
		if (poll(p, 4, -1) < 0)
			continue;
		if (p[2].revents)
			on_ready(l);
		if (p[3].revents)
			on_gate(l);
		if (p[1].revents)
			on_leash(l);
		if (p[0].revents)
			on_signal(l);
	}
	/* Its last words, if it failed so fast that the warden was done before we looked. */
	if (l->gate >= 0 && !start_failed(l))
		on_gate(l);
}

void launch_exit_like(int wstatus)
{
	const struct rlimit no_core = {0, 0};
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t all;
	int sig;

	fflush(NULL);
	if (WIFEXITED(wstatus))
		exit(WEXITSTATUS(wstatus));
	sig = WTERMSIG(wstatus);
	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(sig, &plain, NULL);
	sigemptyset(&all);
	sigaddset(&all, sig);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	kill(getpid(), sig);
	raise(sig);
	exit(128 + sig); /* a signal whose default is not to die can't have killed the command */
}
