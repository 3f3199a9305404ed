/* SPDX-License-Identifier: Apache-2.0
 * The stages of a request that all families share: copy its paths, resolve them, judge, act.
 * A request belongs to one thread at a time; request_detach() moves it to another.
 */
#pragma once
#include "core/supervisor.h"

void request_init(struct request *q, struct supervisor *sup, const struct seccomp_notif *notif);
/* Close and free what the request holds. It must have been answered. */
void request_done(struct request *q);
/* A heap copy that owns everything; the original is left empty and answered. NULL: no memory. */
struct request *request_detach(struct request *q);

/* Argument number POSITION of struct call_desc (from 1); 0 when the call has none such. */
static inline uint64_t request_arg(const struct request *q, unsigned position)
{
	return position ? q->args[position - 1] : 0;
}
/* A descriptor argument: the kernel looks at the lower half only. AT_FDCWD when there is none. */
int request_dirfd(const struct request *q, unsigned position);

/* Copy the path argument at POSITION into path[which]. 0, or -errno for the target. Empty paths are
 * returned as they are (len 0). */
int request_copy_path(struct request *q, unsigned which, unsigned position, int dirfd);
/* Before path[0] of an open is acted on: 0: it is what the task's memory holds as the task may read it; 1: that is
 * another path, which is there now, and nothing is known of it; or -errno. */
int request_confirm_path(struct request *q);
/* Nothing is learned of path[0] under the keys that were made so far. */
void request_forget_keys(struct request *q);
/* Does the notification still stand, and what was read and opened by its thread id so belong to it? */
bool request_is_valid(struct request *q);
/* Resolve path[which] into at[which] with enum resolve_flags. 0 or -errno for the target. */
int request_resolve(struct request *q, unsigned which, unsigned flags);
/* at[which] is the object of the target's descriptor FD itself (AT_EMPTY_PATH, f* calls). O_PATH. */
int request_resolve_fd(struct request *q, unsigned which, int fd);

/* Path[0] from the memo, if everything is recorded: 0, and at[0] is what it leads to now, without descriptors; -ENOENT:
 * it is missing, and at[0] has its name; -ESRCH: the target is gone; 1: it has to be resolved, for OP on what a final
 * link leads to if FOLLOW. What is seen of it then is learned by request_observe_*(). */
int request_recall(struct request *q, enum op op, bool follow);

/* Is path[0] known to be CONTINUEd for OP? If not, a CONTINUE that follows is learned. */
bool request_cached(struct request *q, enum op op);
/* Is the directory of path[0] known for a place where CONTINUE is right for all that is read in it, and the last name
 * no link, or FOLLOW is false? If not, a CONTINUE that follows is learned of it. */
bool request_dir_cached(struct request *q, bool follow);
/* Is BASE the directory that was looked up, and has it a name? The target may have gone elsewhere in between. */
bool request_is_cached_base(const struct request *q, int base);
/* Learn it, unless the rules have changed since the request came, a CONTINUE would not be bounded, or the path was
 * looked up from one directory and judged from another. */
void request_learn(struct request *q);

/* The same of the directory of path[0]; the last that is learned of a request. */
void request_learn_dir(struct request *q);

/* OP on at[which] has to be allowed. */
void request_need(struct request *q, enum op op, unsigned which);

/* Judge all needs: q->verdict and q->decisive are those of the strictest. */
void request_judge(struct request *q);
/* Before an object is looked for that the call itself would find in its way: are all needs allowed without it, and
 * does nobody want to know? If so it need not be. */
bool request_may_act_unseen(struct request *q);
/* Are the rules that Q was judged by still in force, or does it pass by those that are? A question that was answered
 * counts as answered. */
bool request_still_allowed(struct request *q);
/* The next need that a rule asks about, from needs[from] on: its index, now decisive; -1: none is left. */
int request_next_ask(struct request *q, unsigned from);
/* Would the baseline let the kernel do all needs? */
bool request_in_baseline(const struct request *q);
/* And when another file has been renamed to such a name? A grant for a file of its own goes by the inode. */
bool request_stays_in_baseline(const struct request *q);
/* Is what resolving its paths fails with told to the target? Then it has to be exact. */
bool request_tells_errors(const struct request *q);
/* May the kernel say that this call fails with ERR, in its own order of errors? Not if it could meanwhile find that it
 * need not fail (somebody made the directory that was missing, say) and the domain then refuse what is the
 * supervisor's to do: that would be an error which neither the policy nor the call has. */
bool request_fails_again(const struct request *q, int err);
/* May the kernel have the last word on this call, whatever it reads in the target's memory then: is the
 * outcome bounded by the target's own domain? Not without Landlock, nor for an open that could be made one
 * that reads where the plan's reads are loose. */
bool request_is_bounded(const struct request *q);
/* Is OP, which the call needs, the making of a directory? */
bool request_makes_dir(const struct request *q, enum op op);
/* The verdict on one need. */
struct verdict request_decide(const struct request *q, const struct need *need);
/* Tell the observer of a refusal. ERR is what the target sees, 0 unknown. (request_observe.c) */
void request_observe(struct request *q, bool allowed, enum observed_by by, enum observed_reply reply, int err,
		     const char *detail);
/* For records: each need of what was allowed. */
void request_observe_allowed(struct request *q, enum observed_reply reply);
/* For records: the call fails with ERR before anything is judged; what it looked for in vain. */
void request_observe_failed(struct request *q, int err, enum observed_reply reply);
/* For records: the program, what the process says of it, and the interpreters that the kernel adds. */
void request_observe_exec(struct request *q);

/* The families: decode, copy, resolve, state needs, set perform. 0: judge it now; 1: answered already;
 * -errno: what the target gets. */
int open_prepare(struct request *q);
/* Before open_prepare(): decode, copy, and answer what is in the path cache, which needs to know nothing of
 * the target's ids or view: the kernel applies its own. */
int open_glance(struct request *q);
/* The short way of a plain read that the supervisor does: 1: at[0] is open, and judged by its name only; 0: another
 * way; or -errno. */
int open_at_once(struct request *q);
int name_prepare(struct request *q);
int truncate_prepare(struct request *q);
int meta_prepare(struct request *q);
int stat_prepare(struct request *q);
int watch_prepare(struct request *q);
int connect_prepare(struct request *q);
int bind_prepare(struct request *q);
int exec_prepare(struct request *q);
int ids_prepare(struct request *q);
int confine_prepare(struct request *q);
int pid_prepare(struct request *q);
int pass_prepare(struct request *q);
int chdir_prepare(struct request *q);

/* The target's ids, to perform the call with, where acts_as_target says so. 0 or -EPERM. Pairs with creds_leave(). */
int request_take_ids(const struct request *q);
/* The target's umask, for what is created on its behalf; sets this thread's own (CLONE_FS unshared). */
int request_take_umask(const struct request *q);
/* A resource limit like RLIMIT_LOCKS can carry this mark: the task confined itself. */
#define CONFINED_MARK 7777777
