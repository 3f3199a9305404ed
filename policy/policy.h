/* SPDX-License-Identifier: Apache-2.0
 * The policy language: text in, verdicts out. No system call and no lock in this folder; what the
 * language needs from outside (files, variables, symlinks) comes through struct policy_host.
 *
 * Life cycle: policy_new, then any number of policy_add_*, then policy_finish once; from then on
 * the policy is immutable and every thread may call policy_decide. The first error is final.
 */
#pragma once
#include "policy/rule.h"

/* An error with its position: "FILE:LINE:COL: what: what to do". COL counts bytes from 1. */
struct policy_error {
	char text[1024];
};

/* Callbacks; CTX is passed back. All return 0 or -errno. */
struct policy_host {
	void *ctx;
	/* The bytes of a file: *ret_data is malloc'ed, may hold NULs. */
	int (*read_file)(void *ctx, const char *path, char **ret_data, size_t *ret_len);
	/* The path of the profile called NAME: *ret_path malloc'ed; *ret_builtin tells its rank.
	 * -EEXIST: the user has a file with a built-in profile's name. -ENOENT: no such profile. */
	int (*find_profile)(void *ctx, const char *name, char **ret_path, bool *ret_builtin);
	/* Value of an environment variable, or NULL. HOME, PWD, UID, TMPDIR are answered too. */
	const char *(*get_variable)(void *ctx, const char *name);
	/* Home directory of USER for ~user, or NULL. */
	const char *(*home_of)(void *ctx, const char *user);
	/* The canonical form of a literal absolute path: existing part resolved, rest kept. If the
	 * last component is a symlink, *ret_link is its own canonical name (else NULL). *ret_links: the canonical names of
	 * symlinks that were followed, that one too, but for those that nobody with our ids can have made: one behind the
	 * other, each with a NUL, an empty one at the end; NULL: none. Malloc'ed. */
	int (*resolve)(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links);
	/* The names of all profiles, for suggestions: NULL-terminated, owned by the host. */
	const char *const *(*profile_names)(void *ctx);
};

enum report_mode { REPORT_ALL, REPORT_WRITES, REPORT_NONE };
enum exec_holes { EXEC_HOLES_STRICT, EXEC_HOLES_CHECKED };

enum env_action { ENV_UNSET, ENV_KEEP, ENV_SET };
struct env_rule {
	enum env_action action;
	enum rank rank;
	const char *name;  /* a glob for unset and keep */
	const char *value; /* for set */
};

struct policy; /* opaque */

struct policy *policy_new(const struct policy_host *host);
void policy_free(struct policy *p);
/* Before anything is added: each rule is for the very operations and the very name that it gives. A name without a
 * wildcard does not reach what lies beneath, refusing to write says nothing of making and removing, and where no rule
 * speaks nothing is allowed. So the file of answers is read: an answer is to one question. */
void policy_set_exact(struct policy *p);

/* A profile by name, or a file by path (has a '/'). NAME "none" adds nothing. */
int policy_add_policy(struct policy *p, const char *name_or_path, struct policy_error *ret_error);
/* The text of a policy as if read from SHOWN_NAME (tests, fuzzing, "-p -"). */
int policy_add_text(struct policy *p, const char *shown_name, enum rank rank, const char *text,
		    size_t len, struct policy_error *ret_error);
/* An --allow/--ask/--deny/--never option: "OPS:TARGET" or "OPS TARGET...". */
int policy_add_option(struct policy *p, enum action action, const char *argument,
		      struct policy_error *ret_error);
/* An implicit `never w PATH` (files in use: policy, record, statistics, ~/.config/sluice, control sockets). */
int policy_add_protected(struct policy *p, const char *path, struct policy_error *ret_error);
/* Override `report` (command line). */
int policy_set_report(struct policy *p, const char *word, struct policy_error *ret_error);

/* Resolve every name, refuse contradictions and idle rules (POLICY.md section 3). */
int policy_finish(struct policy *p, struct policy_error *ret_error);

/* A policy with all that BASE, which is finished, has; to be added to and finished in its turn. Names of BASE stay what
 * they were resolved to, and BASE must outlive it. NULL: no memory. */
struct policy *policy_derive(const struct policy *base);

struct verdict {
	enum action action; /* of one op on one path; never ACTION_COUNT */
	int err;            /* positive errno of a deny or never; 0 for allow and ask */
	bool quiet, audit;
	const struct rule *rule; /* NULL: no rule spoke (the default) */
};

/* The verdict for OP on PATH: canonical, absolute, no trailing slash, LEN bytes.
 * /proc/<own tgid> must be given as /proc/self. */
struct verdict policy_decide(const struct policy *p, enum op op, const char *path, size_t len);
/* The same for each operation, in RET. */
void policy_decide_all(const struct policy *p, const char *path, size_t len, struct verdict ret[OP_COUNT]);
/* mkdir of PATH: create, and beyond that "a right to create P includes mkdir of P's missing parents". */
struct verdict policy_decide_mkdir(const struct policy *p, const char *path, size_t len);
/* connect/bind to any IPv4 or IPv6 address. */
struct verdict policy_decide_net(const struct policy *p, enum op op);

/* Would moving what is at OLD (and all beneath it) to NEW give some operation a verdict that is
 * less strict than before, for the object or for anything beneath? rename: EXDEV if so. Conservative:
 * true if in doubt (a glob or rule beneath either name that the other lacks). */
bool policy_move_widens(const struct policy *p, const char *old, size_t old_len, const char *new,
			size_t new_len, bool is_dir);

/* Do rules refuse or ask about writing, making or removing at some name beneath PATH, where they would
 * not beneath any other name in its directory? Then nothing may stand at PATH that leads elsewhere. */
bool policy_closes_beneath(const struct policy *p, const char *path, size_t len);

/* Does some rule speak of OP at all with an action other than ALLOW, or (for OP_STAT) at all? */
bool policy_names_op(const struct policy *p, enum op op);
/* Is OP on some name refused or asked about? In doubt it is. */
bool policy_restricts(const struct policy *p, enum op op);
bool policy_asks(const struct policy *p, enum op op);

const struct rule *policy_rules(const struct policy *p, size_t *ret_n);
const struct env_rule *policy_env(const struct policy *p, size_t *ret_n);
/* Calls named by `allow call`: NULL-terminated. */
const char *const *policy_allowed_calls(const struct policy *p);
enum report_mode policy_report(const struct policy *p);
enum exec_holes policy_exec_holes(const struct policy *p);
/* Should the environment variable NAME be removed before the command starts? */
bool policy_env_unset(const struct policy *p, const char *name);
/* Canonical paths of all files that were read, as read_file() got them, NULL-terminated: for records
 * and protection. */
/* Of LINKS, as host.resolve() gives them: one that the policy lets the command make, or NULL. */
const char *policy_planted_link(const struct policy *p, const char *links);
/* For the user, a line each: NULL-terminated. */
const char *const *policy_notes(const struct policy *p);
const char *const *policy_files(const struct policy *p);

/* Append S escaped as the summary and errors show it (control bytes, invalid UTF-8, bidi): writes
 * at most SIZE bytes with a NUL, returns the length it would need. */
size_t escape_bytes(char *buf, size_t size, const char *s, size_t len);
/* PATH as one word of a policy, `~` for HOME (may be NULL), quoted if it has to be: what stands behind
 * "--allow read:" once it is quoted for the shell. Size and result as escape_bytes(). */
size_t policy_format_word(char *buf, size_t size, const char *path, size_t len, const char *home);
/* The nearest of NAMES (NULL-terminated) to WORD by edit distance, or NULL if none is near. */
const char *suggest(const char *word, const char *const *names);
/* Is WORD, the relative target of a rule for OPS, rather a host or an address than a path? Rules for connections take
 * relative paths only with a slash. */
bool policy_is_no_path(const char *word, opset ops);
/* Parse "read,list" or a group into *ret. 0 or -EINVAL. */
int opset_parse(const char *text, size_t len, opset *ret);
/* Write the shortest form of OPS ("rw", "read,list") into BUF. */
void opset_format(opset ops, char *buf, size_t size);
