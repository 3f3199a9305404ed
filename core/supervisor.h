/* SPDX-License-Identifier: Apache-2.0
 * What all workers share, and one request's life: struct supervisor is immutable once the workers run,
 * but for the atomics; struct request belongs to one thread at a time.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/features.h"
#include "core/notify/pool.h"
#include "core/observe/observe.h"
#include "core/resolve/cache.h"
#include "core/resolve/memo.h"
#include "core/resolve/resolve.h"
#include "policy/plan.h"
#include "policy/policy.h"

#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/types.h>

/* What is judged by: immutable. `sluice rule` puts another one in its place; the old ones live until the end of the
 * run, since requests, questions and the tally of refusals point into them. */
struct ruleset {
	const struct policy *policy;
	const struct plan *plan; /* its grants and traps are those of the start: the kernel's can't be changed */
	/* A rule was added that refuses what the baseline grants: nothing bounds a call that is continued, so none may
	 * be but an exec. */
	bool loosened;
};

struct supervisor {
	/* immutable while workers run */
	const struct features *features;
	struct observer *observer;
	struct asker *asker; /* NULL: every ask is denied */
	struct pool *pool;
	struct cache *cache; /* NULL: not used (no baseline) */
	struct memo *memo;   /* with a cache, while everything is recorded: answers in its place */
	int listener;
	pid_t self, warden;
	bool landlock;       /* the target has a baseline: CONTINUE is bounded by it */
	bool privileged;     /* set*id of targets can matter */
	bool own_ids_equal;  /* our real, effective and saved ids are these, as the command's are at its start */
	uid_t uid;
	gid_t gid;
	bool view_may_differ; /* `allow call` of chroot, mounts or namespaces */
	bool gate;           /* opens in the baseline may pass unseen */
	bool wants_allowed;  /* the observer is told of allowed accesses too */
	ino_t mnt_ns;

	/* atomic */
	const struct ruleset *_Atomic rules; /* read once a request: request.rules */
	atomic_bool ids_changed;  /* some target called set*id */
	atomic_bool some_confined; /* some target confined itself */
	atomic_uint_fast64_t continued, emulated, refused, asked, errors;
};

/* A path argument, copied once. */
struct path_arg {
	char bytes[PATH_MAX];
	size_t len;
	int dirfd; /* of the target */
};

/* One operation on one name that the request needs. */
struct need {
	enum op op;
	uint8_t which; /* index in request.at */
	bool parent_too; /* mkdir: a right to create something beneath is enough */
};
#define MAX_NEEDS 6

struct request {
	struct supervisor *sup;
	const struct ruleset *rules;
	const struct ruleset *rules_seen; /* when it was prepared */
	const struct call_desc *call;
	uint64_t id;
	pid_t tid;
	uint64_t args[6];

	struct path_arg path[2];
	struct resolved at[2];
	int base;       /* O_PATH of the target's directory that relative paths start from, once it was needed */
	int base_dirfd; /* which one that is */
	bool is_valid;  /* the notification stood after all that was read so far */
	struct need needs[MAX_NEEDS];
	unsigned n_needs;
	bool boundable; /* Landlock handles this kind of call: inside the baseline it may CONTINUE */

	/* the decision */
	struct verdict verdict;
	struct need decisive;
	uint64_t began_ns; /* for the record; 0: nobody wants to know */
	bool asked;         /* the user said yes, or is about to be asked */
	bool may_wait;      /* it is performed on a thread for that */
	/* Performing it met another object: one that a rule asks about, one that may make a worker wait. */
	enum again { AGAIN_NOT, AGAIN_ASK, AGAIN_SLOWLY } again;
	unsigned repeats;
	unsigned next_need; /* questions: where to go on when this one is answered */
	bool answered;
	bool creates; /* what is judged is not there */
	bool is_open; /* at[0].obj is the descriptor to hand over, no pin */
	bool must_be_file; /* rename: to a stricter place, where only files go */
	bool is_readable_there; /* a missing name: the kernel may read whatever appears there */

	/* the call's own arguments, decoded by its family */
	uint64_t open_flags, open_mode, open_resolve;
	void *extra; /* malloc'ed, freed with the request */
	size_t extra_len;
	char address[128]; /* of a refused or recorded connect or bind, as text */
	int fd; /* a duplicate of a target's descriptor, or -EBADF */

	/* what is to be done once it is allowed: replies exactly once, or says `again` */
	void (*perform)(struct request *q);
	struct cache_base cache_base; /* where path[0] starts, once it was looked for in the cache */
	bool cache_based;
	struct cache_key cache_key; /* a == 0: nothing to learn */
	struct cache_key dir_key;   /* the same, of the directory of path[0] */
	struct cache_key memo_key;  /* the same, for the memo */
	bool is_hint;               /* path[0] was read through a kept file: good for a CONTINUE only */
	bool insists;               /* nothing is recalled: the object has to be in hand */
	bool slow; /* perform may block: never on a worker */
	bool acts_as_target; /* our thread has taken the ids in status */
	bool as_peer;        /* and to perform it, the effective ones too: a peer is told them */
	struct task_status status; /* valid if acts_as_target */
	bool baseline_only; /* the target's view or rights differ from ours: nothing on its behalf */
};

/* The serve callback of the pool. */
void supervise_notification(void *ctx, struct worker *w, const struct seccomp_notif *notif);
int supervise_worker_init(void *ctx, struct worker *w, void **ret_local);
void supervise_worker_done(void *ctx, void *local);
