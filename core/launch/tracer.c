/* SPDX-License-Identifier: Apache-2.0
 * --on-death ptrace: a thread of the supervisor traces the whole tree with EXITKILL, so that the kernel
 * itself kills every task of it at the moment the supervisor is gone, even if the warden was killed in
 * the same instant. It costs a stop for each fork and each signal (about a quarter more for an exec),
 * and nothing in the tree can be debugged.
 *
 * exec-holes checked: the same thread stops each exec after the point of no return, before the program's
 * first instruction, and asks whether this program may run. Nobody can change it any more.
 *
 * Seized, not attached: no SIGSTOP and no SIGTRAP of ours ever reaches a task, a group stop is listened
 * to, so job control works, and stays visible to the real parent. CLONE_UNTRACED would leave the tree;
 * the filter refuses it.
 *
 *   stop                                what is done
 *   fork, vfork, clone event            go on; the new task is traced from its first instruction
 *   PTRACE_EVENT_STOP with SIGTRAP      a new task's first stop, or one that was interrupted: go on
 *   PTRACE_EVENT_STOP with a stop       group stop: listen, until SIGCONT
 *   a signal                            deliver it
 *   exec event                          ask whether what is now executed may be; SIGKILL if not
 *
 * A task has one tracer: others who want one interrupted ask this thread to. A signal takes it out of its wait,
 * again and again, since one that comes just before the wait is lost.
 */
#include "core/launch/parts.h"
#include "core/sys.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <time.h>

#define WAKE SIGURG /* is not queued */
#define WAKE_AGAIN_NS 200000L

struct tracer {
	pid_t target;
	int err;
	sem_t seized;
	bool (*may_execute)(void *ctx, pid_t pid, pid_t former);
	void *ctx;
};

/* One command a process. */
static atomic_int target_status = -1;

static struct {
	pthread_mutex_t lock;  /* who asks: one at a time */
	_Atomic pid_t tracer;  /* its thread id; 0: there is none, or it serves nobody any more */
	_Atomic pid_t tid;     /* whom; the tracer makes it 0 when it is done */
	int result;            /* the tracer's, until then */
} wish = {.lock = PTHREAD_MUTEX_INITIALIZER};

int tracer_target_status(void)
{
	return atomic_load_explicit(&target_status, memory_order_acquire);
}

/* The point of no return is passed, the first instruction is not: what the kernel has really opened can
 * be compared with the policy, whatever the target did to its path meanwhile. */
static bool on_exec(const struct tracer *t, pid_t pid)
{
	unsigned long former = 0;

	if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &former) < 0)
		former = (unsigned long)pid;
	return t->may_execute(t->ctx, pid, (pid_t)former);
}

static void on_stop(const struct tracer *t, pid_t pid, int wstatus)
{
	int event = wstatus >> 16, sig = WSTOPSIG(wstatus);

	if (event == PTRACE_EVENT_EXEC && t->may_execute && !on_exec(t, pid)) {
		kill(pid, SIGKILL);
		return;
	}
	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
		ptrace(PTRACE_LISTEN, pid, NULL, NULL);
	else
		ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)(event ? 0 : sig));
	/* ESRCH: it was killed while it stood still. */
}

static void on_wake(int sig)
{
	(void)sig;
}

static void be_woken(void)
{
	const struct sigaction sa = {.sa_handler = on_wake}; /* no SA_RESTART: the wait is to end */
	sigset_t one;

	sigaction(WAKE, &sa, NULL);
	sigemptyset(&one);
	sigaddset(&one, WAKE);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static void fulfil_wish(void)
{
	pid_t tid = atomic_load_explicit(&wish.tid, memory_order_acquire);

	if (!tid)
		return;
	wish.result = (int)CALL(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL));
	atomic_store_explicit(&wish.tid, 0, memory_order_release); /* pairs with the acquire of who asked */
}

int launch_interrupt(pid_t tid)
{
	pid_t tracer;
	int r = -ENOSYS;

	pthread_mutex_lock(&wish.lock);
	tracer = atomic_load_explicit(&wish.tracer, memory_order_acquire);
	if (tracer)
		atomic_store_explicit(&wish.tid, tid, memory_order_release);
	while (tracer && r == -ENOSYS) {
		syscall(SYS_tgkill, getpid(), tracer, WAKE);
		nanosleep(&(struct timespec){.tv_nsec = WAKE_AGAIN_NS}, NULL);
		/* In this order: who is gone fulfils no more. */
		tracer = atomic_load_explicit(&wish.tracer, memory_order_acquire);
		if (!atomic_load_explicit(&wish.tid, memory_order_acquire))
			r = wish.result;
	}
	atomic_store_explicit(&wish.tid, 0, memory_order_relaxed);
	pthread_mutex_unlock(&wish.lock);
	return r;
}

static void *trace(void *arg)
{
	struct tracer *starter = arg;
	const struct tracer tracer = *starter, *t = &tracer;
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | (t->may_execute ? PTRACE_O_TRACEEXEC : 0);
	pid_t pid, target = t->target;
	int wstatus, err;

	prctl(PR_SET_NAME, "sluice-tracer");
	be_woken();
	err = ptrace(PTRACE_SEIZE, t->target, NULL, (void *)(uintptr_t)options) < 0 ? errno : 0;
	starter->err = err;
	if (!err)
		atomic_store_explicit(&wish.tracer, (pid_t)syscall(SYS_gettid), memory_order_release);
	sem_post(&starter->seized); /* the starter frees it */
	while (!err) {
		fulfil_wish();
		/* Our own tracees only, not the children of other threads. */
		pid = waitpid(-1, &wstatus, __WALL | __WNOTHREAD);
		if (pid > 0 && WIFSTOPPED(wstatus))
			on_stop(t, pid, wstatus);
		else if (pid == target)
			atomic_store_explicit(&target_status, wstatus, memory_order_release);
		else if (pid < 0 && errno != EINTR)
			break; /* ECHILD: the tree is gone */
	}
	atomic_store_explicit(&wish.tracer, 0, memory_order_release);
	return NULL;
}

int tracer_start(pid_t target, bool (*may_execute)(void *ctx, pid_t pid, pid_t former), void *ctx)
{
	struct tracer t = {.target = target, .may_execute = may_execute, .ctx = ctx};
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	sem_init(&t.seized, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, trace, &t);
	pthread_attr_destroy(&attr);
	if (r == 0) {
		while (sem_wait(&t.seized) < 0)
			;
		r = t.err;
	}
	sem_destroy(&t.seized);
	return -r;
}
