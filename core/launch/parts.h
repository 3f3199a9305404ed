/* SPDX-License-Identifier: Apache-2.0
 * Inside core/launch only: what the leader, the confined thread, the warden and the target say to
 * each other. Two sequenced-packet socket pairs, one message a packet:
 *
 *   leash  leader <-> warden   the warden's end tells of the target; its end of file is the leader's
 *                              death. Nobody else may hold the leader's end.
 *   gate   confined thread <-> target   from fork to exec: the filter goes in as it is, the listener
 *                              comes out, "go" goes in, and end of file without a failure means that the
 *                              exec was done.
 */
#pragma once
#include "core/launch/filter.h"
#include "core/launch/launch.h"
#include <signal.h>
#include <sys/wait.h>

enum leash_kind {
	LEASH_HELLO,  /* pid of the target (or -errno in value); value: signals are proved scoped */
	LEASH_STATUS, /* value: a wait status of the target */
	LEASH_DONE,   /* all dead and reaped; the warden exits */
	LEASH_KILL,   /* to the warden: end the tree now */
};

struct leash_msg {
	enum leash_kind kind;
	pid_t pid;
	int value;
};

enum gate_kind {
	GATE_READY,  /* confined, filter in force; the listener comes with it */
	GATE_GO,     /* to the target: exec */
	GATE_FAILED,
};

/* Where the target failed: launch.c has words for each. */
enum stage {
	STAGE_FORK, STAGE_LIMITS, STAGE_LANDLOCK, STAGE_FILTER, STAGE_LISTENER, STAGE_TRACE, STAGE_WORKERS,
	STAGE_EXEC, STAGE_COUNT
};

struct gate_msg {
	enum gate_kind kind;
	enum stage stage;
	int err;
	pid_t pid;
	unsigned candidate; /* STAGE_EXEC: which of exec_plan.paths */
};

/* The files to try, in order, and the shell form of the command for a script without "#!". */
struct exec_plan {
	char **paths;     /* NULL-terminated, owned */
	char **shell_argv; /* {"/bin/sh", PATH, argv[1]...}; [1] is filled in by the target */
};

int exec_plan_make(struct exec_plan *p, char *const *argv, char *const *envp);
void exec_plan_free(struct exec_plan *p);
/* Exit code and message for an exec that failed with ERR. */
void exec_plan_explain(const struct exec_plan *p, char *const *argv, const struct gate_msg *failed,
		       struct launch_error *ret);

/* All that the target needs after the fork, made before it; but for its filter, which comes by the gate. */
struct target_config {
	char *const *argv;
	char *const *envp;
	struct exec_plan *exec;
	bool supervise, wait_killable;
	int baseline; /* ruleset, or -1 */
	int gate;
	sigset_t mask;              /* the caller's own */
	struct sigaction child_action;
};
_Noreturn void target_run(struct target_config *t);

struct warden_config {
	pid_t supervisor;
	int supervisor_pidfd; /* or -1 */
	int leash;
	int null_fd;          /* /dev/null */
	int keep;             /* or negative: a descriptor for ORPHANED, which is called when the supervisor is gone */
	void (*orphaned)(int keep);
	bool (*lent)(void);   /* is there anything to be done then? */
	int lock;             /* or negative: held until the end */
	bool expect_scope;    /* Landlock's signal scope is in force: prove it */
	struct target_config *target;
};
_Noreturn void warden_run(struct warden_config *w);

/* Trace TARGET and all that descends from it, so that it dies with this process, and so that MAY_EXECUTE (if
 * any) is asked after each exec. 0 or -errno. */
int tracer_start(pid_t target, bool (*may_execute)(void *ctx, pid_t pid, pid_t former), void *ctx);
/* The wait status of the traced target, or -1: where the tracer's process is the parent too, it is the
 * only one who gets it. */
int tracer_target_status(void);

/* Kill, once, every descendant of ROOT but ROOT itself, found by walking /proc. How many. */
unsigned tree_kill_descendants(pid_t root);
/* Wait until ROOT's own process has no child left, killing in rounds; at most TIMEOUT_MS. For the
 * caller's own pid. SCOPED: proved, so kill(-1) is exactly the tree. True if none is left.
 * REAPED is told of each wait status. */
bool tree_end(bool scoped, int timeout_ms, void (*reaped)(void *ctx, pid_t pid, int wstatus), void *ctx);

/* Close every descriptor from LOW on, or mark it close-on-exec. */
void fds_close_from(unsigned low);
void fds_cloexec_from(unsigned low);

int packet_send(int sock, const void *msg, size_t len, int fd);
/* Length, 0 at end of file, or -errno. *ret_fd: a descriptor that came with it, or -1; may be NULL. */
int packet_recv(int sock, void *msg, size_t len, int *ret_fd);
