/* SPDX-License-Identifier: Apache-2.0
 * Probing by behaviour: a short-lived child installs a filter with a listener, and the parent does to
 * it what a supervisor would do. A version number or a flag that is accepted proves less.
 *
 * The child is forked, so nothing of the probe stays in this process. It traps one call that nobody
 * makes (getppid would do; sched_yield is answered) and waits to be killed.
 */
#include "core/features.h"
#include "core/cleanup.h"
#include "core/launch/landlock.h"
#include "core/sys.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

#define PROBED_CALL SYS_sched_yield
#define MARK 0x736c7569 /* what the parent must read in the child */
#define REPLY 77

struct child {
	pid_t pid;
	int sock;     /* ours; the child's other end is closed here */
	int listener; /* or -errno of its making */
	bool killed;  /* from then on its number may be another's, should somebody else have reaped it */
	volatile int mark;
};

/* In the child: a filter with a listener, or -errno. */
static int install_probe(unsigned long extra)
{
	static struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROBED_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {sizeof(insns) / sizeof(insns[0]), insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				 SECCOMP_FILTER_FLAG_NEW_LISTENER | extra, &prog));
}

static void on_probe_signal(int sig)
{
	(void)sig;
}

/* What the child tells: results that only it can have. */
struct told {
	int listener; /* fd number in the child, or -errno */
	bool wait_killable, sync_wake_up, io_uring;
	int answer; /* of the trapped call, with behaviour asked for */
};

static _Noreturn void probe_child(int sock, bool behaviour)
{
	struct sigaction handler = {.sa_handler = on_probe_signal}; /* no SA_RESTART */
	struct told t = {.wait_killable = true};
	struct io_uring_params params = {0};
	sigset_t none;
	char go;

	/* To take a ring down costs as much as all the rest: the child's end does it. */
	t.io_uring = syscall(SYS_io_uring_setup, 1, &params) >= 0;
	t.listener = install_probe(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (t.listener == -EINVAL) {
		t.wait_killable = false;
		t.listener = install_probe(0);
	}
	if (t.listener >= 0)
		t.sync_wake_up = ioctl(t.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
				       SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) == 0;
	if (send(sock, &t, sizeof(t), MSG_NOSIGNAL) < 0)
		_exit(1);
	if (behaviour && recv(sock, &go, 1, 0) == 1) {
		sigaction(SIGUSR1, &handler, NULL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		t.answer = (int)CALL(syscall(PROBED_CALL));
		if (send(sock, &t, sizeof(t), MSG_NOSIGNAL) < 0)
			_exit(1);
	}
	for (;;) /* until killed, or the parent is gone */
		if (recv(sock, &go, 1, 0) <= 0)
			_exit(0);
}

static bool within_ms(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0 && (p.revents & POLLIN);
}

/* An answered call stays answered when a signal with a handler arrives after RECV. */
static bool answers_survive_signals(struct child *c)
{
	struct seccomp_notif notif = {0};
	struct seccomp_notif_resp resp = {0};
	struct told t;

	if (send(c->sock, "g", 1, MSG_NOSIGNAL) != 1 || !within_ms(c->listener, 500) ||
	    ioctl(c->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0)
		return false;
	kill(c->pid, SIGUSR1);
	usleep(2000); /* time for a kernel that interrupts the wait to do so */
	resp.id = notif.id;
	resp.error = -REPLY;
	if (ioctl(c->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		return false;
	return within_ms(c->sock, 500) && recv(c->sock, &t, sizeof(t), 0) == sizeof(t) && t.answer == -REPLY;
}

static void probe_memory(struct features *f, struct child *c)
{
	int got = 0;
	struct iovec here = {&got, sizeof(got)}, there = {(void *)(uintptr_t)&c->mark, sizeof(got)};
	_cleanup_close_ int mem = -EBADF;
	char path[40];

	f->process_vm_readv = process_vm_readv(c->pid, &here, 1, &there, 1, 0) == sizeof(got) && got == MARK;
	snprintf(path, sizeof(path), "/proc/%d/mem", c->pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	got = 0;
	f->proc_mem = mem >= 0 && pread(mem, &got, sizeof(got), (off_t)(uintptr_t)&c->mark) == sizeof(got) &&
		      got == MARK;
}

static void probe_addfd(struct features *f, int listener)
{
	struct seccomp_notif_addfd a = {.id = ~0ULL, .srcfd = (uint32_t)listener,
					.flags = SECCOMP_ADDFD_FLAG_SEND};

	/* A flag that is not known is EINVAL before the id is looked up. */
	f->addfd_send = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) < 0 && errno == ENOENT;
}

static void probe_child_from_parent(struct features *f, struct child *c, bool behaviour)
{
	_cleanup_close_ int pidfd = sys_pidfd_open(c->pid, 0);
	struct told t = {.listener = -EIO};

	if (!within_ms(c->sock, 2000) || recv(c->sock, &t, sizeof(t), 0) != sizeof(t))
		return;
	f->listener_busy = t.listener == -EBUSY;
	f->user_notif = t.listener >= 0;
	f->wait_killable_recv = f->user_notif && t.wait_killable;
	f->sync_wake_up = t.sync_wake_up;
	f->io_uring = t.io_uring;
	f->seccomp_filter = f->user_notif || f->listener_busy || prctl(PR_GET_SECCOMP) >= 0;
	probe_memory(f, c);
	c->listener = pidfd < 0 || t.listener < 0 ? -EBADF : sys_pidfd_getfd(pidfd, t.listener);
	f->pidfd_getfd = c->listener >= 0;
	if (t.listener < 0 && pidfd >= 0) { /* no listener to take: any descriptor will do */
		_cleanup_close_ int any = sys_pidfd_getfd(pidfd, c->sock);

		f->pidfd_getfd = any >= 0 || any == -EBADF;
	}
	if (c->listener >= 0) {
		probe_addfd(f, c->listener);
		if (behaviour && f->wait_killable_recv)
			f->wait_killable_recv = answers_survive_signals(c);
		close(c->listener);
	}
}

static void probe_own_calls(struct features *f)
{
	struct utsname u;
	int fd;

	f->landlock_abi = landlock_abi();
	/* An empty path: nothing that may be forbidden to this process is named. */
	f->openat2 = sys_openat2(AT_FDCWD, "", O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS) == -ENOENT;
	fd = sys_pidfd_open((pid_t)syscall(SYS_gettid), PIDFD_THREAD);
	f->pidfd_thread = fd >= 0;
	f->kcmp = sys_kcmp(getpid(), getpid(), KCMP_FILES) == 0;
	if (fd >= 0)
		close(fd);
	if (uname(&u) == 0)
		snprintf(f->kernel, sizeof(f->kernel), "%.90s %.30s", u.release, u.machine);
}

static int start_child(struct child *ret, bool behaviour)
{
	struct child c = {.mark = MARK};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*ret = c; /* the child inherits the mark at this address */
	ret->pid = fork();
	if (ret->pid < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		return r;
	}
	if (ret->pid == 0) {
		close(pair[0]);
		probe_child(pair[1], behaviour);
	}
	close(pair[1]);
	ret->sock = pair[0];
	return 0;
}

static void end_child(const struct child *c)
{
	if (!c->killed)
		kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	close(c->sock);
}

struct features_probe {
	struct child child;
	bool behaviour;
};

static int probe_begin(struct features_probe **ret, bool behaviour)
{
	struct features_probe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->behaviour = behaviour;
	r = start_child(&p->child, behaviour);
	if (r < 0)
		free(p);
	else
		*ret = p;
	return r;
}

int features_probe_begin(struct features_probe **ret)
{
	return probe_begin(ret, false);
}

void features_probe_finish(struct features_probe *p, struct features *ret)
{
	struct features f = {0};

	probe_own_calls(&f);
	probe_child_from_parent(&f, &p->child, p->behaviour);
	f.ptrace = ptrace(PTRACE_SEIZE, p->child.pid, NULL, NULL) == 0;
	kill(p->child.pid, SIGKILL);
	p->child.killed = true;
	*ret = f;
}

void features_probe_drop(struct features_probe *p)
{
	if (!p)
		return;
	end_child(&p->child);
	free(p);
}

int features_probe(struct features *ret)
{
	struct features_probe *p;
	int r = probe_begin(&p, true);

	if (r < 0)
		return r;
	features_probe_finish(p, ret);
	features_probe_drop(p);
	return 0;
}

int features_probe_quick(struct features *ret)
{
	struct features_probe *p;
	int r = features_probe_begin(&p);

	if (r < 0)
		return r;
	features_probe_finish(p, ret);
	features_probe_drop(p);
	return 0;
}
