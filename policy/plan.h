/* SPDX-License-Identifier: Apache-2.0
 * The planner: a finished policy, a view of the file tree and the kernel's abilities become three
 * layers: Landlock grants (baseline B of the target, upper bound U of the workers), the classes of
 * calls that the filter traps, and what is left to the matcher. DESIGN.md section 2.
 *
 * The unit is the subtree, all operations together. plan_build() makes no system call itself.
 * After it a plan is immutable but for the `gone` marks; any thread may read it.
 */
#pragma once
#include "policy/policy.h"
#include "policy/syscalls.h"
#include <stdatomic.h>
#include <sys/types.h>

/* Landlock's access rights (linux/landlock.h of the newest ABI; Debian's headers lack some). */
#define LL_EXECUTE	       (1ULL << 0)
#define LL_WRITE_FILE	       (1ULL << 1)
#define LL_READ_FILE	       (1ULL << 2)
#define LL_READ_DIR	       (1ULL << 3)
#define LL_REMOVE_DIR	       (1ULL << 4)
#define LL_REMOVE_FILE	       (1ULL << 5)
#define LL_MAKE_CHAR	       (1ULL << 6)
#define LL_MAKE_DIR	       (1ULL << 7)
#define LL_MAKE_REG	       (1ULL << 8)
#define LL_MAKE_SOCK	       (1ULL << 9)
#define LL_MAKE_FIFO	       (1ULL << 10)
#define LL_MAKE_BLOCK	       (1ULL << 11)
#define LL_MAKE_SYM	       (1ULL << 12)
#define LL_REFER	       (1ULL << 13)
#define LL_TRUNCATE	       (1ULL << 14)
#define LL_IOCTL_DEV	       (1ULL << 15)
#define LL_RESOLVE_UNIX	       (1ULL << 16)
#define LL_NET_BIND_TCP	       (1ULL << 0)
#define LL_NET_CONNECT_TCP     (1ULL << 1)
#define LL_SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define LL_SCOPE_SIGNAL	       (1ULL << 1)
/* Rights that a rule on a file may carry. */
#define LL_FILE_RIGHTS                                                                                       \
	(LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV | LL_RESOLVE_UNIX)

/* The file-system rights that exist at an ABI (0: none). */
uint64_t landlock_fs_rights(int abi);

enum node_kind { NODE_MISSING, NODE_FILE, NODE_DIR, NODE_SYMLINK, NODE_DEVICE, NODE_OTHER };

struct node_info {
	enum node_kind kind; /* of the object itself, a final symlink not followed */
	dev_t dev;
	ino_t ino;
	nlink_t nlink;
};

/* PATH and all beneath it is also known as ORIGINAL and what is beneath that: both canonical names of
 * one object, ORIGINAL the one that rules speak of. */
struct plan_alias {
	char *path, *original; /* malloc'ed */
};

/* Are names that differ in case one entry of a directory? UNKNOWN: its file system does not tell. */
enum folding { FOLDING_UNKNOWN, FOLDING_NO, FOLDING_YES };

/* How the planner looks at the file tree. CTX is passed back. Calls return 0 or -errno. */
struct plan_host {
	void *ctx;
	int (*lookup)(void *ctx, const char *path, struct node_info *ret); /* missing is no error */
	/* Children of DIR: NULL-terminated malloc'ed array of malloc'ed names. -E2BIG past MAX. */
	int (*list)(void *ctx, const char *dir, size_t max, char ***ret_names);
	/* Other names that mounts give to PATH, or to things beneath it (bind mounts). */
	int (*aliases)(void *ctx, const char *path, struct plan_alias **ret, size_t *ret_n);
	/* Does the file begin with "#!"? Such a file can't be kept by exec-holes checked. May be NULL. */
	bool (*is_script)(void *ctx, const char *path);
	/* What the file system, which is DEV, tells of its directory DIR. NULL: no directory folds here. */
	enum folding (*folding)(void *ctx, const char *dir, dev_t dev);
};

struct plan_caps {
	int landlock_abi; /* 0: no Landlock (or --layers emulate) */
	bool supervisor;  /* a listener can be had; false: refuse what needs one */
	const char *unsupervised; /* why not, for the error; NULL: this process has a supervisor already */
	bool lines;       /* the rows of `explain --plan` are wanted */
	bool ptrace_exec; /* exec-holes checked can be kept */
	bool privileged;  /* the target may look into processes that Landlock keeps others from (CAP_PERFMON) */
	bool record;      /* metadata and connections are to be seen, too, where nothing is to be decided */
	bool record_stat; /* and every look at a name: stat, access, readlink, chdir, watches */
};

struct grant {
	char *path; /* canonical */
	size_t len;
	uint64_t rights; /* LL_* */
	uint64_t loose;	 /* of these, given to the kernel beyond the policy: see loose_reads */
	bool is_dir;
	int parent; /* index of the nearest grant on an ancestor, or -1 */
	dev_t dev;
	ino_t ino;
	atomic_bool gone; /* removed, renamed or replaced since the start: emulate */
};

/* How opens are trapped (decided by registers in the filter). */
enum trap_opens { TRAP_OPENS_NONE, TRAP_OPENS_WRITES, TRAP_OPENS_ALL };

/* One row of `explain --plan`. */
struct plan_line {
	const struct rule *rule; /* NULL: a remark about the plan as a whole */
	char *layer;		 /* "landlock", "landlock+report", "supervisor", "filter" */
	char *why, *cost;
};

/* A deny, ask or never object that exists: handles are compared with it whatever their name. The
 * identity is good as long as the inode lives: hold an O_PATH descriptor of each for the run, or its
 * number can be given to an innocent file. */
struct named_object {
	dev_t dev;
	ino_t ino;
	char *path; /* decide for this name too; the strictest counts */
};

struct plan {
	const struct policy *policy;
	int landlock_abi;
	uint64_t handled_fs, handled_net, scoped; /* of B and U alike */
	struct grant *baseline, *upper;		  /* sorted by path, '/' below every other byte */
	size_t n_baseline, n_upper;
	struct named_object *named; /* sorted by (dev, ino) */
	size_t n_named;
	struct plan_alias *aliases;
	size_t n_aliases;
	bool trap[CALL_CLASS_COUNT]; /* beyond what must always be trapped or refused */
	/* Trapped for the record alone: without it these would run unseen, so they are let through whatever
	 * is found, and nothing is granted by that. */
	bool seen_only[CALL_CLASS_COUNT];
	bool stat_decided; /* some rule is about stat: what a descriptor tells is judged too */
	enum trap_opens opens;
	/* The kernel executes only what Landlock lets be read. Where exec is allowed and reading is kept by
	 * the supervisor (a pattern, a record), READ_FILE is granted all the same and every open is trapped
	 * and emulated: nothing then bounds an open that is continued, so none may be, whatever its flags. */
	bool loose_reads;
	bool inet_sockets; /* some connect or bind *:* is allowed */
	/* Which of the two is, at the start: what they also bound has no call that could be judged later. A datagram
	 * takes its peer behind a pointer, and a listen without a bind takes a port. */
	bool inet_connects, inet_binds;
	bool exec_checked; /* executions are compared under ptrace */
	struct plan_line *lines;
	size_t n_lines;
};

int plan_build(const struct policy *policy, const struct plan_host *host, const struct plan_caps *caps,
	       struct plan **ret, struct policy_error *ret_error);
void plan_free(struct plan *plan);

/* Rights that OP needs from Landlock on an object, a directory or not. For create and delete: those
 * for a directory or a regular file, needed on the PARENT of the name (other kinds: LL_MAKE_*). To be
 * executed a file must be readable as well, as Landlock sees it. An op
 * that Landlock knows nothing of gives LL_NO_SUCH_RIGHT, which is in no baseline. */
#define LL_NO_SUCH_RIGHT (1ULL << 63)
uint64_t plan_op_rights(const struct plan *plan, enum op op, bool is_dir);

/* policy_decide() for PATH and for every other name that a mount gives it: the strictest. */
struct verdict plan_decide(const struct plan *plan, enum op op, const char *path, size_t len);
void plan_decide_all(const struct plan *plan, const char *path, size_t len, struct verdict ret[OP_COUNT]);

/* Does the baseline grant all RIGHTS on PATH through a grant that is not gone? A grant on a file
 * counts only with the same (DEV, INO) (both 0: unknown, then no file grant counts). False if some
 * right does not exist at this ABI. With loose_reads no right to read is in the baseline, but for exec.
 * A hint for CONTINUE, not a verdict: the policy is asked first. */
bool plan_in_baseline(const struct plan *plan, uint64_t rights, const char *path, size_t len, dev_t dev,
		      ino_t ino);

/* The name PATH (a directory or file) was removed, renamed or replaced: every grant at or beneath
 * it is gone. Any thread; wait-free. */
void plan_forget(const struct plan *plan, const char *path, size_t len);

/* The named object with this identity, or NULL. */
const struct named_object *plan_named(const struct plan *plan, dev_t dev, ino_t ino);

/* Does a grant of the baseline sit on the object (DEV, INO), or one that is not gone on PATH or beneath it?
 * Landlock's grants follow the inode. A directory with such a grant must not be renamed (EXDEV: what is
 * moved into it later would have the rights of the old place), a file only to a name with the same
 * verdicts. */
bool plan_has_grant(const struct plan *plan, const char *path, size_t len, dev_t dev, ino_t ino);

/* policy_move_widens(), for every name that a mount gives to what is at OLD too. */
bool plan_move_widens(const struct plan *plan, const char *old, size_t old_len, const char *new,
		      size_t new_len, bool is_dir);
