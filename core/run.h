/* SPDX-License-Identifier: Apache-2.0
 * `sluice run` behind its command line: policy, plan, launch, supervision, summary, exit status.
 */
#pragma once
#include "policy/policy.h"
#include "policy/plan.h"
#include <stdbool.h>

struct rule_option {
	enum action action;
	const char *argument;
};

/* Which policy: shared by run and explain. */
struct policy_options {
	const char **policies; /* -p, in order */
	unsigned n_policies;   /* 0: "build" */
	struct rule_option *rules;
	unsigned n_rules;
	const char *report;    /* --report, or NULL */
	bool emulate;          /* --layers emulate */
	const char *own_file;  /* of sluice, that every program may read as if a built-in profile said so; or NULL */
};

enum prompt_mode { PROMPT_TTY, PROMPT_SOCKET, PROMPT_NONE, PROMPT_EXEC };
enum backend { BACKEND_AUTO, BACKEND_URING, BACKEND_EPOLL };

struct record_line;

struct run_options {
	struct policy_options policy;
	enum prompt_mode prompt;
	const char *prompt_program; /* PROMPT_EXEC */
	unsigned prompt_timeout_s;
	bool die_by_ptrace;
	const char *record, *stats, *name;
	bool record_stat; /* every look at a name is recorded, too */
	/* Gets each line of the record as values, one at a time; it may be NULL. */
	void (*listener)(void *ctx, const struct record_line *line);
	/* What will be written when all has ENDED: the command may not write it. It may be NULL. */
	const char *output;
	/* Opens that, once nothing is wrong with the run's options and policy. 0, or -errno after it said why. */
	int (*begin)(void *ctx);
	/* When the record and the summary are written. It may be NULL. */
	void (*ended)(void *ctx, int wstatus);
	void *ctx;
	bool fail_denied, verbose, quiet;
	unsigned workers; /* 0: default */
	enum backend backend;
	bool gate;
	char **argv;      /* the command, NULL-terminated */
};

/* Runs the command; returns the exit code of sluice, or does not return if the command was killed by
 * a signal (sluice then dies of the same one). */
int run_command(const struct run_options *options);

/* Load and finish the policy as OPTIONS say. TMPDIR is the run's private directory ($TMPDIR), PROTECT
 * a NULL-terminated list of files in use (implicit never w). */
int policy_load(const struct policy_options *options, const char *tmpdir, const char *const *protect,
		struct policy **ret, struct policy_error *ret_error);
/* The same of a TEXT with the rank of the user's files, and of nothing else. */
int policy_load_text(const char *shown_name, const char *text, size_t len, struct policy **ret,
		     struct policy_error *ret_error);
/* Plan for this kernel. */
int policy_plan(const struct policy *policy, const struct plan_caps *caps, struct plan **ret,
		struct policy_error *ret_error);
/* Hold the object open, so that no other file can get its inode; for as long as the process lasts. */
void plan_pin(const struct named_object *named);
/* The SHA-256 of a file as policy_load() read it, in hex; NULL for one that it did not read. */
const char *policy_file_hash(const char *path);
