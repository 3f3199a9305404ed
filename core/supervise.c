/* SPDX-License-Identifier: Apache-2.0
 * A notification's life on a worker: prepare (copy, resolve), judge, then continue, emulate, ask or
 * refuse. Every way out answers exactly once.
 *
 * CONTINUE is a hint about speed, never a grant: it is given only where the target's Landlock domain
 * bounds what any raced reading of the arguments could reach (request_in_baseline), where the call has
 * no power of its own, or where registers alone decide.
 */
#include "core/supervisor.h"

#include "core/ask/prompt.h"
#include "core/observe/record.h"
#include "core/reply/reply.h"
#include "core/request.h"
#include "core/sys.h"
#include "core/target/creds.h"
#include "core/target/memory.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define NOBODY_TO_ASK "there is no terminal to ask on"

static int (*const prepare[CALL_CLASS_COUNT])(struct request *q) = {
	[CALL_ALLOW] = pass_prepare,   [CALL_REFUSE] = NULL,	      [CALL_ARGS] = ids_prepare,
	[CALL_OPEN] = open_prepare,    [CALL_EXEC] = exec_prepare,     [CALL_NAME] = name_prepare,
	[CALL_TRUNCATE] = truncate_prepare, [CALL_META] = meta_prepare, [CALL_STAT] = stat_prepare,
	[CALL_WATCH] = watch_prepare,  [CALL_CONNECT] = connect_prepare, [CALL_BIND] = bind_prepare,
	[CALL_CHDIR] = chdir_prepare,   [CALL_IDS] = ids_prepare,       [CALL_CONFINE] = confine_prepare,
	[CALL_PID] = pid_prepare,
};

/* Does the target see other mounts or another root than we do? Then no name of ours is its name. */
static bool view_differs(const struct request *q)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", q->tid);
	if (stat(path, &st) < 0 || st.st_ino != q->sup->mnt_ns)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/root", q->tid);
	return stat(path, &st) < 0 || !resolve_is_root(&st);
}

static bool confined_itself(const struct request *q)
{
	struct rlimit limit;

	return prlimit(q->tid, RLIMIT_LOCKS, NULL, &limit) < 0 || limit.rlim_max == CONFINED_MARK;
}

/* Whatever makes the target differ from us: take its ids where that is possible, else do nothing on its
 * behalf. The flags are set before the call that makes the difference runs, so false means "same". */
static void meet_target(struct request *q)
{
	struct supervisor *sup = q->sup;

	if (sup->view_may_differ && view_differs(q))
		q->baseline_only = true;
	if (atomic_load_explicit(&sup->some_confined, memory_order_acquire) && confined_itself(q))
		q->baseline_only = true;
	if (!atomic_load_explicit(&sup->ids_changed, memory_order_acquire))
		return;
	if (task_read_status(q->tid, &q->status) < 0)
		q->baseline_only = true;
	else if (!creds_same(&q->status))
		q->acts_as_target = true;
}

static void refuse(struct request *q, enum observed_by by, const char *detail)
{
	int err = q->verdict.err ? q->verdict.err : EACCES;

	atomic_fetch_add_explicit(&q->sup->refused, 1, memory_order_relaxed);
	request_observe(q, false, by, REPLY_ERRNO, err, detail); /* while its program can be told */
	reply_errno(q, err);
}

/* Q may be unanswered after it: again. */
static void perform(struct request *q)
{
	q->again = AGAIN_NOT;
	atomic_fetch_add_explicit(&q->sup->emulated, 1, memory_order_relaxed);
	if (q->acts_as_target && request_take_ids(q) < 0) {
		q->verdict.err = EPERM;
		refuse(q, BY_ERROR, "the ids of the process can't be taken");
		return;
	}
	q->perform(q);
	if (q->acts_as_target)
		creds_leave();
}

static void park(struct request *q);
static void ask_next(struct request *q);

/* All questions anew, about what is there now. Takes Q. */
static void ask_from_the_first(struct request *q)
{
	q->asked = true;
	q->next_need = 0;
	ask_next(q);
}

static void perform_slowly(void *arg, void *local)
{
	struct request *q = arg;

	(void)local;
	q->again = AGAIN_NOT;
	q->may_wait = true;
	/* It may have waited long: nothing is done for a caller that is gone, nor what is refused by now. */
	if (!reply_still_valid(q)) {
		q->answered = true;
	} else if (!request_still_allowed(q)) {
		refuse(q, q->verdict.rule ? BY_RULE : BY_DEFAULT, NULL);
	} else if (q->verdict.action == ACTION_ASK && !q->asked) {
		park(q); /* since it was handed over */
	} else {
		if (q->asked && (q->sup->wants_allowed || q->verdict.audit))
			request_observe(q, true, BY_USER, REPLY_EMULATE, 0, NULL);
		perform(q);
	}
	if (q->again == AGAIN_ASK && q->sup->asker) {
		ask_from_the_first(q);
		return;
	}
	if (q->again == AGAIN_ASK)
		refuse(q, BY_USER, NOBODY_TO_ASK);
	request_done(q);
	free(q);
}

/* The cap of slow threads is per process: a thread has one call at a time. */
static pid_t slow_key(const struct request *q)
{
	struct task_status status;

	return task_read_status(q->tid, &status) == 0 ? status.tgid : q->tid;
}

/* Takes Q. */
static void submit(struct request *q, const struct slow_job *job)
{
	if (pool_submit_slow(q->sup->pool, job) == 0)
		return;
	q->verdict.err = EAGAIN;
	refuse(q, BY_ERROR, "too many calls that block");
	request_done(q);
	free(q);
}

/* A connect may wait for others: no two wait for each other, as the two ends of a FIFO do. */
static void hand_to_slow(struct request *q)
{
	struct request *copy = request_detach(q);

	if (copy) {
		submit(copy, &(struct slow_job){.run = perform_slowly, .arg = copy, .key = slow_key(copy),
						.may_wait = copy->call->class == CALL_CONNECT});
		return;
	}
	q->answered = false;
	reply_errno(q, ENOMEM);
}

/* Somebody has answered for it. Takes Q. */
static void hand_over(struct request *q)
{
	submit(q, &(struct slow_job){.run = perform_slowly, .arg = q, .may_wait = true, .awaited = true});
}

/* Other rules hold than when it was asked. Takes Q. */
static void judge_again(struct request *q)
{
	if (!request_still_allowed(q)) {
		refuse(q, q->verdict.rule ? BY_RULE : BY_DEFAULT, NULL);
		request_done(q);
		free(q);
	} else if (q->verdict.action == ACTION_ASK) {
		q->next_need = 0;
		ask_next(q);
	} else {
		hand_over(q);
	}
}

/* Runs on an unconfined thread: only hands on. */
static void answered_by_user(void *ctx, enum answer answer)
{
	static const char *const why[] = {
		[ANSWER_NO] = "the answer was no", [ANSWER_TIMEOUT] = "nobody answered in time",
		[ANSWER_NO_TERMINAL] = NOBODY_TO_ASK,
		[ANSWER_END_TREE] = "the command was ended", [ANSWER_FLOOD] = "too many questions at once",
		[ANSWER_COUNT] = NULL,
	};
	struct request *q = ctx;

	if (answer == ANSWER_YES) {
		ask_next(q);
		return;
	}
	if (answer == ANSWER_AGAIN) {
		judge_again(q);
		return;
	}
	q->verdict.err = EACCES;
	refuse(q, answer == ANSWER_TIMEOUT ? BY_TIMEOUT : BY_USER, why[answer]);
	request_done(q);
	free(q);
}

/* The question about the decisive need, but for who asks. */
static struct question question_of(const struct request *q)
{
	const struct resolved *at = &q->at[q->decisive.which];
	struct question question = {
		.op = q->decisive.op, .rule = q->verdict.rule, .pid = q->tid, .tid = q->tid,
		.path = at->name, .path_len = at->name_len, .exists = resolved_exists(at),
		.makes_dir = !resolved_exists(at) && request_makes_dir(q, q->decisive.op),
	};

	if (resolved_exists(at)) {
		question.is_dir = S_ISDIR(at->st.st_mode);
		question.size = (uint64_t)at->st.st_size;
		question.owner = at->st.st_uid;
		question.mode = at->st.st_mode;
		question.dev = at->st.st_dev;
		question.ino = at->st.st_ino;
	}
	return question;
}

/* One question for each need that a rule asks about; then the call is done. Takes Q. */
static void ask_next(struct request *q)
{
	int i = request_next_ask(q, q->next_need);
	char exe[PATH_MAX], claims[1024];
	struct text ancestors = {0};
	struct question question;

	if (i < 0) {
		hand_over(q);
		return;
	}
	q->next_need = (unsigned)i + 1;
	question = question_of(q);
	if (task_exe(q->tid, exe, sizeof(exe)))
		question.exe = exe;
	if (task_claims(q->tid, claims, sizeof(claims)))
		question.argv = claims;
	prompt_ancestors(&ancestors, q->tid);
	question.ancestors = ancestors.data ? ancestors.data : "";
	ask_submit(q->sup->asker, &question, answered_by_user, q);
	text_done(&ancestors);
}

/* Only the asking call waits: its objects stay pinned in the parked copy, and those are handed over. */
static void park_copy(struct request *q)
{
	struct request *copy = request_detach(q);

	if (!copy) {
		q->answered = false;
		refuse(q, BY_ERROR, "out of memory");
		return;
	}
	ask_from_the_first(copy);
}

/* On a worker, which must neither wait nor ask. */
static void perform_at_once(struct request *q)
{
	enum again again;

	perform(q);
	/* Dealt with here: who called must not do so once more, with what is left of Q. */
	again = q->again;
	q->again = AGAIN_NOT;
	if (again == AGAIN_SLOWLY)
		hand_to_slow(q);
	else if (again == AGAIN_ASK && q->sup->asker)
		park_copy(q);
	else if (again == AGAIN_ASK)
		refuse(q, BY_USER, NOBODY_TO_ASK);
}

/* All questions of this call were answered before, for the run or always: act on it at once. */
static bool act_on_known(struct request *q)
{
	bool yes = false;

	for (int i = -1; (i = request_next_ask(q, (unsigned)(i + 1))) >= 0;) {
		struct question question = question_of(q);

		if (!ask_is_known(q->sup->asker, &question, &yes))
			return false;
		if (!yes)
			break;
	}
	if (!yes) {
		q->verdict.err = EACCES;
		refuse(q, BY_USER, "the answer was no");
		return true;
	}
	q->asked = true;
	if (q->slow) {
		hand_to_slow(q);
		return true;
	}
	if (q->sup->wants_allowed || q->verdict.audit)
		request_observe(q, true, BY_USER, REPLY_EMULATE, 0, NULL);
	perform_at_once(q);
	return true;
}

static void park(struct request *q)
{
	atomic_fetch_add_explicit(&q->sup->asked, 1, memory_order_relaxed);
	if (!q->sup->asker || !q->perform)
		refuse(q, BY_USER, NOBODY_TO_ASK);
	else if (!act_on_known(q))
		park_copy(q);
}

static void allow(struct request *q, bool in_baseline)
{
	if (q->sup->wants_allowed || q->verdict.audit)
		request_observe_allowed(q, in_baseline ? REPLY_CONTINUE : REPLY_EMULATE);
	/* Safe: whatever path the kernel reads now, the target's domain grants no more than the policy. */
	if (in_baseline) {
		reply_continue(q);
		if (!q->at[0].theirs && request_stays_in_baseline(q))
			request_learn(q);
		request_learn_dir(q);
	} else if (q->slow) {
		hand_to_slow(q);
	} else {
		perform_at_once(q);
	}
}

static void decide(struct request *q, int r);

/* From a path that was only a hint, or a recalled object, to ones in hand. */
static void look_again(struct request *q)
{
	q->insists = true;
	q->n_needs = 0;
	q->is_open = false;
	request_forget_keys(q);
	resolved_done(&q->at[0]);
	resolved_init(&q->at[0]);
	decide(q, prepare[q->call->class](q));
}

static void answer_error(struct request *q, int err);

/* Of what was opened at once for a target that may be gone, nobody is told. */
static bool is_told_of_gone(struct request *q)
{
	bool is_told = q->verdict.action != ACTION_ALLOW || q->verdict.audit || q->sup->wants_allowed;

	return q->is_open && is_told && !request_is_valid(q);
}

static void act(struct request *q)
{
	bool in_baseline;
	int r = 0;

	/* To look at the target's memory and names may have taken long: what counts are the rules of now. */
	request_still_allowed(q);
	in_baseline = q->verdict.action == ACTION_ALLOW && request_in_baseline(q);
	if (is_told_of_gone(q))
		r = -ESRCH;
	else if (!in_baseline)
		r = request_confirm_path(q);
	if (r < 0)
		answer_error(q, -r);
	else if (!in_baseline && (r || q->at[0].recalled))
		look_again(q);
	else if (q->verdict.action == ACTION_ALLOW)
		allow(q, in_baseline);
	else if (q->verdict.action == ACTION_ASK)
		park(q);
	else
		refuse(q, q->verdict.rule ? BY_RULE : BY_DEFAULT, NULL);
}

/* The target's view or rights are not ours: its own domain is all it gets. */
static void leave_to_baseline(struct request *q)
{
	/* Safe: the kernel applies the target's own domain and credentials. Calls that Landlock does not
	 * handle have no bound, so they are refused. */
	if (request_is_bounded(q) && (q->call->class == CALL_OPEN || q->call->class == CALL_NAME ||
				 q->call->class == CALL_TRUNCATE || q->call->class == CALL_EXEC)) {
		reply_continue(q);
		return;
	}
	q->verdict.err = EACCES;
	refuse(q, BY_ERROR, "the process confined itself or changed its view");
}

/* The call fails before anything is judged. */
static void answer_error(struct request *q, int err)
{
	bool kernel = request_fails_again(q, err);
	int r = kernel ? 0 : request_confirm_path(q);

	if (r > 0) {
		look_again(q);
		return;
	}
	if (r < 0)
		err = -r;
	request_observe_failed(q, err, kernel ? REPLY_CONTINUE : REPLY_ERRNO);
	if (kernel)
		reply_continue(q);
	else
		reply_errno(q, err);
}

/* R is what prepare said. */
static void decide(struct request *q, int r)
{
	if (r < 0) {
		answer_error(q, -r);
	} else if (r == 0) {
		request_judge(q);
		act(q);
	}
}

/* Trapped for the record alone. R is what prepare said. Safe: without the record the call would not be
 * trapped at all. */
static void see(struct request *q, int r)
{
	if (r == 0)
		request_observe_allowed(q, REPLY_CONTINUE);
	else if (r < 0)
		request_observe_failed(q, -r, REPLY_CONTINUE);
	reply_continue(q);
}

static bool is_seen_only(const struct request *q)
{
	return q->rules->plan->seen_only[q->call->class];
}

/* Is it done for the target, which may have other rights or another view than we? */
static bool is_done_for_it(const struct request *q)
{
	return (q->call->class >= CALL_OPEN && q->call->class <= CALL_BIND) || q->call->nr == SYS_pidfd_send_signal;
}

void supervise_notification(void *ctx, struct worker *w, const struct seccomp_notif *notif)
{
	struct request *q = worker_local(w);
	int r;

	request_init(q, ctx, notif);
	if (!q->call || !prepare[q->call->class] || q->tid <= 0) {
		/* A call that the filter does not trap, or a task that we can't see: no grant. */
		reply_errno(q, q->tid <= 0 ? EACCES : ENOSYS);
		return;
	}
	if (q->call->class == CALL_EXEC)
		target_executes(q->tid);
	r = q->call->class == CALL_OPEN ? open_glance(q) : 0;
	/* Also if the call has failed already: its path may be read again, and be another one then. */
	if (r <= 0 && is_done_for_it(q))
		meet_target(q);
	if (q->baseline_only && q->sup->wants_allowed)
		observe_lost(q->sup->observer, "calls of a process that confined itself or changed its view");
	if (q->baseline_only && !is_seen_only(q)) {
		leave_to_baseline(q);
		request_done(q);
		return;
	}
	if (r == 0)
		r = q->baseline_only ? 1 : prepare[q->call->class](q);
	if (is_seen_only(q))
		see(q, r);
	else
		decide(q, r);
	request_done(q);
}

int supervise_worker_init(void *ctx, struct worker *w, void **ret_local)
{
	struct request *q = malloc(sizeof(*q));

	(void)ctx;
	(void)w;
	if (!q)
		return -ENOMEM;
	/* The umask of a creation is set per request and must be nobody else's. */
	if (unshare(CLONE_FS) < 0) {
		free(q);
		return -errno;
	}
	creds_init();
	task_keep();
	*ret_local = q;
	return 0;
}

void supervise_worker_done(void *ctx, void *local)
{
	(void)ctx;
	task_keep_done();
	target_forget();
	free(local);
}
