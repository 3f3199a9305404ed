/* SPDX-License-Identifier: Apache-2.0
 * Reads records (POLICY.md section 6): JSON lines in, typed values out.
 *
 * Life cycle: record_open or record_open_fd, record_next until it returns 0, record_free. One thread.
 * What record_next() hands out lives until its next call; keep copies.
 *
 * A record may be damaged, cut off, or written by an enemy. Unknown fields and types are passed over; a
 * line that is no object, too long, or has a known field of the wrong kind is damaged: counted, skipped.
 * No string that is handed out holds a NUL, and each has one behind its last byte. Nothing is escaped:
 * who shows a string does that.
 *
 * A file may hold several records, one after the other; each begins with its `start` line.
 */
#pragma once
#include "policy/rule.h"
#include <stdio.h>
#include <sys/types.h>

enum { RECORD_MAJOR = 1, RECORD_LINE_MAX = 16 << 20 };

enum record_type {
	RECORD_OTHER, /* a type that this version does not know */
	RECORD_START,
	RECORD_ACCESS,
	RECORD_EXEC,
	RECORD_FORK,
	RECORD_EXIT,
	RECORD_ASK,
	RECORD_LOST,
	RECORD_END,
	RECORD_TYPES
};
extern const char *const record_type_words[RECORD_TYPES]; /* NULL for RECORD_OTHER */

/* An absent one has no DATA. The exact bytes, from the _hex twin where there is one. */
struct record_bytes {
	const char *data;
	size_t len;
};

struct record_list {
	const struct record_bytes *items; /* NULL if absent */
	size_t n;
};

/* An object of `policies` or `descriptors`. */
struct record_item {
	struct record_bytes path, sha256;
	int fd; /* -1: none */
};

enum record_verdict { RECORD_UNDECIDED, RECORD_ALLOW, RECORD_DENY };

struct json_object;

/* A line. Numbers that are absent are 0, or -1 where that is said. */
struct record_line {
	enum record_type type;
	uint64_t number;		/* of the line in its input, from 1 */
	uint64_t run;			/* how many `start` lines came so far, this one included */
	struct record_bytes raw;	/* the whole line, without its newline */
	const struct json_object *json; /* fields that have no place below */

	/* every line */
	uint64_t seq;
	struct record_bytes time;
	int64_t time_us; /* since 1970, UTC; -1: absent or not understood */
	pid_t pid, tid, ppid;
	struct record_bytes exe, domain;

	/* access; path also exec, count also lost */
	struct record_bytes syscall, op_word, verdict_word, path, path2, address;
	enum op op; /* OP_COUNT: absent or unknown */
	uint64_t flags;
	int exists; /* 1, 0, -1: absent */
	int dir;    /* the same: a directory */
	enum record_verdict verdict;
	struct record_bytes by, reply, rule, rule_text, layer, detail;
	int err;	/* positive */
	uint64_t count; /* 1 if absent */
	uint64_t dur_us;

	/* start, exec */
	struct record_list argv;
	struct record_bytes cwd;

	/* start */
	struct record_bytes home, tmpdir;
	int looks; /* 1, 0, -1: absent */
	struct record_bytes run_id, name, sluice, kernel;
	int64_t uid; /* -1 */
	const struct record_item *policies, *descriptors;
	size_t n_policies, n_descriptors;

	/* ask */
	struct record_bytes answer, scope, answered_by;
	uint64_t callers;

	/* lost */
	struct record_bytes what;

	/* exit, end */
	int status, signal; /* -1, 0 */

	/* end */
	uint64_t accesses, refusals, lost_lines;
	struct record_list lost, unwatched;
	int complete; /* 1, 0, -1 */
};

/* How it went so far. */
struct record_state {
	uint64_t lines;			 /* handed out */
	uint64_t damaged;		 /* skipped */
	uint64_t first_damaged;		 /* its number, 0: none */
	uint64_t missing;		 /* sequence numbers that never came */
	uint64_t starts, ends, complete; /* lines of these types; `end` lines that say complete */
	bool truncated;			 /* the input ended within a line */
};

struct record_reader;

/* PATH, or "-" for standard input. A FIFO waits for its writer. With FOLLOW the end of the input is not
 * final: what stands behind the last newline is kept until the rest of it comes. 0 or -errno. */
int record_open(const char *path, bool follow, struct record_reader **ret);
/* Takes FD over, also on failure. */
int record_open_fd(int fd, bool follow, struct record_reader **ret);
void record_free(struct record_reader *r);

/* The next line: 1; 0 at the end of the input, and with `follow` maybe more later; else -errno:
 * -EPROTO for a version that this one does not know. Errors of versions and of reading are final. */
int record_next(struct record_reader *r, struct record_line *ret);
/* In words, one line, escaped, after an error of record_next(). */
const char *record_error(const struct record_reader *r);

const struct record_state *record_state(const struct record_reader *r);
/* Is what was read all that happened, as far as the record can tell? */
bool record_is_complete(const struct record_state *s);
/* In words what is wrong with it ("2 damaged lines were skipped, the first is line 7; ..."): the length,
 * 0 if nothing is. Writes at most SIZE bytes with a NUL. Says nothing of what an `end` line says. */
size_t record_trouble(const struct record_state *s, char *buf, size_t size);
/* The descriptor, for poll and fstat; owned by the reader. */
int record_fd(const struct record_reader *r);
