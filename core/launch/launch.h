/* SPDX-License-Identifier: Apache-2.0
 * Starting the command: processes S (leader thread), a confined thread, K (warden), T (target), as
 * DESIGN.md section 5 draws them; Landlock, filter, listener hand-over, terminal, signals, death.
 *
 * launch_start() is called once, from the leader thread, before any other thread exists. It makes
 * the confined thread, which takes the upper bound, forks the warden (which forks the target), starts
 * the workers by confined_prepare(), so that they inherit the domain, gets the listener and gives it to
 * them by confined_main(). launch_wait() runs on the leader thread.
 */
#pragma once
#include "core/features.h"
#include "policy/plan.h"

struct launch_config {
	char *const *argv;          /* of the command */
	char *const *envp;          /* environment of the command, already filtered */
	const struct plan *plan;
	const struct features *features;
	const char *const *allowed_calls; /* `allow call`, NULL-terminated */
	bool gate;              /* gate/gate.h */
	bool supervise;             /* false: no filter with a listener is needed */
	bool die_by_ptrace;         /* --on-death ptrace */
	/* Both run on the confined thread, unless supervise is false. The first, which may be NULL, starts the
	 * workers; the second makes them serve. 0, or -errno to give up (then the target is killed before its
	 * exec). */
	int (*confined_prepare)(void *ctx, pid_t warden);
	int (*confined_main)(void *ctx, int listener, pid_t target, pid_t warden);
	/* With exec-holes checked: PID, formerly the thread FORMER, has executed something and stands before
	 * its first instruction. false: it is killed there. On the tracer's thread. NULL: not asked. */
	bool (*may_execute)(void *ctx, pid_t pid, pid_t former);
	void *ctx;
	/* In the warden, when this process is gone: with KEEP, a descriptor of ours (or negative: not called). */
	void (*orphaned)(int keep);
	bool (*lent)(void); /* would it have anything to do? With it */
	int keep;
	int lock; /* the warden keeps it open, too, as long as anything of the tree lives; negative: none */
};

struct launch; /* opaque */

/* Why nothing was started, when launch_start fails: exit code (125, 126, 127) and a message. */
struct launch_error {
	int exit_code;
	char text[512];
};

int launch_start(const struct launch_config *config, struct launch **ret, struct launch_error *ret_error);
/* Serve signals and job control until the command has ended and its leftovers are dead.
 * *ret_wstatus as of waitpid. 0 or -errno. */
int launch_wait(struct launch *l, int *ret_wstatus);
/* End the whole tree now (any thread). */
void launch_kill_tree(struct launch *l);
void launch_free(struct launch *l);
/* The warden was killed from outside: the tree was ended and its status is SIGKILL's. */
bool launch_warden_lost(const struct launch *l);
/* Where we trace the tree ourselves, so that nobody else can: let thread TID of it look at its signals when it leaves
 * the kernel next. Any thread. 0 or -errno; -ENOSYS: we do not trace it. */
int launch_interrupt(pid_t tid);
/* Die as the command did: exit with its code, or of its signal with the core limit 0. */
_Noreturn void launch_exit_like(int wstatus);

/* Is PID (a task or group visible to us) part of the target tree? By descent from the warden. */
bool launch_in_tree(pid_t warden, pid_t pid);
