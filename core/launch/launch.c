/* SPDX-License-Identifier: Apache-2.0
 * Starting the command. See core/launch/README.md for who is who.
 *
 *   leader (here)        confined thread               warden              target
 *   sockets
 *   thread ------------> rulesets, U, fork ----------> fork -------------> limits, enter B
 *   filter, begun -----> filter, finished: gate -------------------------> install
 *   serve <-------------------------------------------- HELLO
 *                        confined_prepare()
 *                        gate <------------------------------------------- READY + listener
 *                        confined_main(listener)
 *   serve <------------- ready   GO --------------------------------------> exec
 *   gate end of file <----------------------------------------------------- (closed by the exec)
 *
 * The gate passes from the confined thread to the leader with "ready": it has one reader at a time.
 */
#include "core/cleanup.h"
#include "core/launch/landlock.h"
#include "core/launch/launch_impl.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "gate/gate.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

__attribute__((format(printf, 3, 4)))
static int fail(struct launch_error *ret, int err, const char *format, ...)
{
	va_list ap;
	int n;

	ret->exit_code = 125;
	va_start(ap, format);
	n = vsnprintf(ret->text, sizeof(ret->text), format, ap);
	va_end(ap);
	if (err && n >= 0 && (size_t)n < sizeof(ret->text))
		snprintf(ret->text + n, sizeof(ret->text) - (size_t)n, ": %s", strerror(err));
	return err ? -err : -EINVAL;
}

/* ---- the confined thread ---- */

static void confined_failed(struct launch *l, enum stage stage, int err)
{
	l->failed = (struct gate_msg){.kind = GATE_FAILED, .stage = stage, .err = err};
	l->confined_err = err ? -err : -EPROTO;
}

static int start_warden(struct launch *l)
{
	struct warden_config w = {
		.supervisor = getpid(),
		.supervisor_pidfd = sys_pidfd_open(getpid(), 0),
		.leash = l->leash_warden,
		.null_fd = l->null_fd,
		.keep = l->config.orphaned ? l->config.keep : -1,
		.orphaned = l->config.orphaned,
		.lent = l->config.lent,
		.lock = l->config.lock,
		.expect_scope = l->config.plan->scoped & LL_SCOPE_SIGNAL,
		.target = &l->target,
	};
	pid_t pid = fork();

	if (pid == 0) {
		/* Only the supervisor may hold its ends: their end of file is its death. */
		close(l->leash);
		close(l->gate);
		warden_run(&w);
	}
	if (w.supervisor_pidfd >= 0)
		close(w.supervisor_pidfd);
	if (pid < 0)
		return -errno;
	/* Before the leader can see the end of the leash: it waits for this child then. */
	l->warden = pid;
	close(take_fd(&l->leash_warden));
	close(take_fd(&l->target.gate));
	return 0;
}

/* While the leader makes the filter. */
static int make_rulesets(struct launch *l)
{
	const struct plan *plan = l->config.plan;
	int r;

	if (!plan->handled_fs && !plan->handled_net && !plan->scoped)
		return 0;
	r = landlock_rulesets(plan, &l->upper, &l->target.baseline);
	return r < 0 ? r : landlock_enter(l->upper);
}

/* What is left to do needs the numbers of our tasks. */
static int send_filter(struct launch *l)
{
	struct sock_fprog program = {0};
	int r;

	while (sem_wait(&l->begun) < 0)
		;
	l->spec.protected[0] = l->confined_tid;
	l->spec.protected[1] = l->warden;
	r = l->program_err;
	if (r == 0)
		r = filter_build_finish(&l->spec, &l->prog, &program);
	if (r == 0)
		r = packet_send(l->gate, program.filter, program.len * sizeof(*program.filter), -1);
	free(program.filter);
	return r;
}

/* Every worker inherits the filter. Done while the target installs its own. */
static int prepare_workers(struct launch *l)
{
	int r = filter_install_worker();

	if (r < 0)
		confined_failed(l, STAGE_WORKERS, -r);
	else if (l->config.confined_prepare)
		l->confined_err = r = l->config.confined_prepare(l->config.ctx, l->warden);
	return r;
}

static void confined_start(struct launch *l)
{
	_cleanup_close_ int listener = -EBADF;
	struct gate_msg m = {0};
	int r;

	r = make_rulesets(l);
	if (r < 0)
		return confined_failed(l, STAGE_LANDLOCK, -r);
	l->confined_tid = (pid_t)syscall(SYS_gettid);
	r = start_warden(l);
	if (r < 0)
		return confined_failed(l, STAGE_FORK, -r);
	r = send_filter(l);
	if (r < 0)
		return confined_failed(l, STAGE_FILTER, -r);
	/* The tracer's thread must not inherit the workers' filter. */
	if (l->config.supervise && !is_traced(&l->config) && prepare_workers(l) < 0)
		return;
	r = packet_recv(l->gate, &m, sizeof(m), &listener);
	if (r <= 0 || (m.kind == GATE_READY && l->config.supervise && listener < 0))
		return confined_failed(l, STAGE_LISTENER, r < 0 ? -r : 0);
	if (m.kind != GATE_READY) {
		l->failed = m;
		l->confined_err = -m.err;
		return;
	}
	l->target_pid = m.pid;
	if (is_traced(&l->config)) {
		r = tracer_start(m.pid, l->config.may_execute, l->config.ctx);
		if (r < 0)
			return confined_failed(l, STAGE_TRACE, -r);
		if (l->config.supervise && prepare_workers(l) < 0)
			return;
	}
	if (l->config.supervise)
		l->confined_err = l->config.confined_main(l->config.ctx, take_fd(&listener), m.pid, l->warden);
	if (l->confined_err < 0)
		return;
	m.kind = GATE_GO;
	r = packet_send(l->gate, &m, sizeof(m), -1);
	if (r < 0)
		confined_failed(l, STAGE_LISTENER, -r);
}

/* Afterwards the thread is kept for the one thing that only it can do: kill(-1) that is the tree. */
static void *confined_thread(void *arg)
{
	struct launch *l = arg;
	uint64_t n = 1;

	prctl(PR_SET_NAME, "sluice-confined");
	confined_start(l);
	if (write(l->ready, &n, sizeof(n)) < 0)
		abort(); /* the leader would wait for ever */
	while (read(l->wake, &n, sizeof(n)) < 0 && errno == EINTR)
		;
	while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
		if (l->scoped)
			kill(-1, SIGKILL);
		usleep(300);
	}
	return NULL;
}

/* ---- the leader ---- */

/* While the confined thread makes rulesets and forks. */
static void begin_filter(struct launch *l)
{
	const struct launch_config *c = &l->config;

	l->spec = (struct filter_spec){
		.plan = c->plan,
		.features = c->features,
		.allowed_calls = c->allowed_calls,
		.supervisor = getpid(),
		.supervise = c->supervise,
		.trap_ids = creds_privileged(),
		.signals_scoped = c->plan->scoped & LL_SCOPE_SIGNAL,
		.gate = c->gate ? GATE_IP : 0,
		.refuse_untraced = is_traced(c),
	};
	l->program_err = filter_build_begin(&l->spec, &l->prog);
	sem_post(&l->begun); /* to send_filter() */
}

static int make_channels(struct launch *l)
{
	int leash[2], gate[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, leash) < 0)
		return -errno;
	l->leash = leash[0];
	l->leash_warden = leash[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate) < 0)
		return -errno;
	l->gate = gate[0];
	l->target.gate = gate[1];
	l->ready = eventfd(0, EFD_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC);
	l->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return l->ready < 0 || l->wake < 0 ? -EMFILE : 0;
}

static void explain_failure(struct launch *l, struct launch_error *ret)
{
	static const char *const words[] = {
		[STAGE_FORK] = "can't start a process",
		[STAGE_LIMITS] = "can't set the core limit",
		[STAGE_LANDLOCK] = "can't make and enter the Landlock domain",
		[STAGE_FILTER] = "can't install the seccomp filter",
		[STAGE_LISTENER] = "can't hand over the seccomp listener",
		[STAGE_TRACE] = "can't trace the command (--on-death ptrace, exec-holes checked)",
		[STAGE_WORKERS] = "can't restrict the supervisor's workers",
		[STAGE_EXEC] = "can't execute",
	};
	static_assert(sizeof(words) / sizeof(words[0]) == STAGE_COUNT, "one text a stage");

	if (l->fork_err)
		fail(ret, l->fork_err, "%s", words[STAGE_FORK]);
	else if (l->failed.kind != GATE_FAILED)
		fail(ret, -l->confined_err, "can't start the supervisor's workers");
	else if (l->failed.stage == STAGE_EXEC)
		exec_plan_explain(&l->exec, l->config.argv, &l->failed, ret);
	else if (l->failed.stage == STAGE_FILTER && l->failed.err == EBUSY)
		fail(ret, 0,
		     "this process already has a seccomp supervisor (a container runtime or another sluice), and "
		     "the kernel allows one: run sluice outside of it");
	else
		fail(ret, l->failed.err, "%s", words[l->failed.stage]);
}

int launch_start(const struct launch_config *config, struct launch **ret, struct launch_error *ret_error)
{
	struct launch *l = calloc(1, sizeof(*l));
	int r;

	*ret_error = (struct launch_error){125, "out of memory"};
	if (!l)
		return -ENOMEM;
	launch_init(l, config);
	r = exec_plan_make(&l->exec, config->argv, config->envp);
	if (r == 0 && (r = make_channels(l)) < 0)
		fail(ret_error, -r, "can't make the sockets to the command");
	if (r < 0) {
		launch_free(l);
		return r;
	}
	jobs_block_signals(l);
	/* Should the warden die first, its orphans fall to us: jobs_rescue(). */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	r = pthread_create(&l->confined, NULL, confined_thread, l);
	if (r) {
		r = fail(ret_error, r, "can't start a thread");
		launch_free(l);
		return r;
	}
	l->have_thread = true;
	begin_filter(l);
	jobs_serve(l, UNTIL_EXEC);
	if (l->failed.kind == GATE_FAILED || l->confined_err < 0) {
		launch_kill_tree(l);
		jobs_serve(l, UNTIL_END);
		explain_failure(l, ret_error);
		launch_free(l);
		return -ECANCELED;
	}
#ifndef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 0); /* no core, no ptrace by the user's other processes */
#endif
	*ret = l;
	return 0;
}

int launch_wait(struct launch *l, int *ret_wstatus)
{
	jobs_serve(l, UNTIL_END);
	if (!l->target_ended)
		return -ECHILD;
	*ret_wstatus = l->wstatus;
	return 0;
}

void launch_kill_tree(struct launch *l)
{
	const struct leash_msg m = {.kind = LEASH_KILL};

	packet_send(l->leash, &m, sizeof(m), -1); /* fails if the warden is dead: then it is being done */
}

bool launch_warden_lost(const struct launch *l)
{
	return l->warden_lost;
}

static void close_all(struct launch *l)
{
	int *fds[] = {&l->leash, &l->leash_warden, &l->gate, &l->target.gate, &l->ready, &l->wake,
		      &l->null_fd, &l->signals, &l->upper, &l->target.baseline, &l->target_pidfd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(take_fd(fds[i]));
}

void launch_free(struct launch *l)
{
	uint64_t n = 1;

	if (!l)
		return;
	if (l->have_thread) {
		atomic_store_explicit(&l->stop, true, memory_order_release);
		if (write(l->wake, &n, sizeof(n)) < 0)
			abort(); /* an eventfd that was never written takes one */
		pthread_join(l->confined, NULL);
	}
	jobs_restore_signals(l);
	close_all(l);
	free(l->prog.insns);
	sem_destroy(&l->begun);
	exec_plan_free(&l->exec);
	free(l);
}
