/* SPDX-License-Identifier: Apache-2.0
 * What one or several recorded runs did, name by name: a record's lines in, one fact for each name out.
 *
 * One thread. Lines must come in their order: whether a file is an input depends on whether the run had made
 * it before it was read. Strings are copied.
 */
#pragma once
#include "core/record/reader.h"
#include <stdbool.h>

#define FACT_PROGRAMS 6 /* remembered for each name */

struct fact {
	const char *path; /* canonical; has a NUL behind it */
	size_t len;
	opset done;    /* operations that succeeded, as far as is known */
	opset input;   /* of these, on what the run had not made itself */
	opset failed;  /* failed for another reason than a missing name */
	opset forbidden; /* of these, for want of permission */
	opset refused; /* by a policy, or by a user */
	bool missing;  /* looked for in vain, before the run made it */
	bool made;     /* the run made what has this name now */
	bool ever_made;
	bool removed;  /* the run removed or renamed what was there before it */
	bool replaced; /* ... or put something else in its place */
	bool gone;     /* after the run nothing is there */
	bool temporary; /* made and taken away again, */
	bool moved;     /* by a rename */
	bool moved_in;  /* a rename put something here that the run had not made, as far as is known */
	bool moved_out; /* a rename took away what was here before the run */
	bool dir;
	bool holds_new; /* a directory in which unnamed files were made (O_TMPFILE) */
	uint64_t count; /* accesses */
	unsigned runs;  /* how many runs touched it */
	unsigned last_run;
	uint16_t programs[FACT_PROGRAMS]; /* indices for facts_program() */
	unsigned n_programs, more_programs;
};

/* A pair of names that a rename joined. */
struct fact_move {
	const struct fact *from, *to;
};

struct fact_run {
	char **argv; /* NULL-terminated */
	char *cwd, *home, *tmpdir, *id; /* NULL: not recorded */
	int64_t uid;
	uint64_t started, ended; /* lines of these types */
	int status, signal;      /* of the command: -1, 0: unknown */
	int complete;            /* as the end line says: 1, 0, -1: there is none */
	uint64_t processes, temporary_uses; /* fork lines; accesses to its own $TMPDIR */
	bool looks; /* stat and its like were recorded, too */
	uint64_t accesses, lost;
};

struct facts;

struct facts *facts_new(void);
void facts_free(struct facts *f);
/* 0 or -ENOMEM. */
int facts_add(struct facts *f, const struct record_line *line);

/* By name, sorted as bytes. Valid until the next facts_add(). */
const struct fact *const *facts_sorted(struct facts *f, size_t *ret_n);
const struct fact *facts_find(const struct facts *f, const char *path, size_t len);
/* Internet and abstract addresses as if they were names. */
const struct fact *const *facts_addresses(struct facts *f, size_t *ret_n);
const struct fact_move *facts_moves(const struct facts *f, size_t *ret_n);
const struct fact_run *facts_runs(const struct facts *f, size_t *ret_n);
/* The path of a program. */
const char *facts_program(const struct facts *f, unsigned index);
/* What lost lines and the ends of records say, in words, without doubles. */
const char *const *facts_losses(const struct facts *f, size_t *ret_n);

/* Devices, and what procfs and sysfs show: neither inputs nor outputs. */
bool fact_is_kernels(const struct fact *fact);
