/* SPDX-License-Identifier: Apache-2.0
 * What a page of `sluice log --html` is made of: collected by page.c, written by html*.c.
 *
 * Everything is bounded, since the record is the target's; what a bound leaves out is counted.
 */
#pragma once
#include "core/log/html.h"

enum {
	PAGE_RUNS_MAX = 32,
	PAGE_PROCESSES_MAX = 50000, /* kept */
	PAGE_TREE_MAX = 2000,	    /* shown */
	PAGE_DEPTH_MAX = 64,
	PAGE_PATHS_MAX = 200000,
	PAGE_DIRS_SHOWN = 150,
	PAGE_KINDS_MAX = 20000,
	PAGE_DENIALS_SHOWN = 50,
	PAGE_ADDRESSES_SHOWN = 50,
	PAGE_QUESTIONS_MAX = 200,
	PAGE_REFUSED_ROWS = 2000,
	PAGE_OTHER_ROWS = 3000,
	PAGE_BARS_SHOWN = 30,
	PAGE_BUCKETS = 480,
	PAGE_ARGS_MAX = 300,	     /* bytes of a command line */
	PAGE_STRING_MAX = 4096,	     /* of any other string: what is longer is no path, and cut */
	PAGE_STRINGS_MAX = 64 << 20, /* of all strings that are kept of a run, twice */
	PAGE_BYTES_MAX = 24 << 20,   /* of the page: what is left of a table then is left out */
};

struct page_process {
	pid_t pid, ppid;
	int64_t first_us, last_us;
	uint32_t exe;	     /* number in strings */
	char *args;	     /* what it claims its arguments are, or NULL */
	uint32_t earlier[4]; /* what it executed before, the last of them */
	unsigned n_earlier;
	uint64_t accesses, refused;
	bool seen, exited; /* not SEEN: only a child told of it */
	int status, signal;
	int32_t parent, first_child, last_child, next; /* indices, -1: none */
	unsigned depth;
	uint64_t tree_refused, tree_processes; /* with all beneath; filled in for the writer */
};

struct page_path {
	opset done, refused; /* what was done, and what was not let */
	uint64_t accesses;
	bool missing;
};

/* Refusals that differ only in time and process. */
struct page_kind {
	enum op op;
	uint32_t target, rule, rule_text, by, detail, exe; /* numbers in strings */
	uint32_t exe2;					   /* another program, or 0 */
	bool is_address, more_exes;
	int err;
	uint64_t count;
	int64_t first_us;
	unsigned n_names; /* of a directory, folded into this one; 0: one object */
	bool folded;	  /* into another */
};

struct page_row {
	int64_t time_us;
	uint32_t process, target, target2, rule; /* target2: 0 if there is none */
	uint32_t syscall, op_word;
	enum log_verdict verdict;
	int err;
	uint64_t count;
};

struct page_question {
	int64_t time_us, waited_us;
	uint32_t op_word, path, exe, rule, answer, scope, by;
	uint64_t callers;
};

struct page_address {
	uint32_t address, exe;
	enum op op;
	uint64_t allowed, refused;
};

struct page_buckets {
	int64_t width_us; /* of a bucket */
	uint32_t allowed[PAGE_BUCKETS], refused[PAGE_BUCKETS];
};

struct page_run {
	struct log_table strings; /* number 0 is "" */
	size_t string_bytes, path_bytes;
	struct places places; /* who was at home, if it is who looks at it now */
	struct places checks; /* which options may be offered, with the home of who looks */
	char *their_home;     /* of the run's user, if that is another; may be NULL then, too */

	/* start */
	bool has_start;
	uint32_t argv, cwd, name, sluice, kernel, run_id;
	int64_t uid, start_us, last_us;
	struct text policies; /* HTML */

	/* end */
	bool has_end;
	int status, signal, complete;
	uint64_t told_accesses, told_refusals, lost_lines;
	struct text lost, unwatched; /* HTML list items */

	struct log_table pids; /* pid to the number that is the index in LATEST */
	uint32_t *latest;
	size_t latest_cap;
	struct page_process *processes;
	size_t n_processes, processes_cap;
	uint64_t more_processes;
	pid_t root_ppid;
	int32_t first_root, last_root;

	struct log_table path_keys, kind_keys, row_keys, address_keys;
	struct page_path *paths;
	struct page_kind *kinds;
	struct page_row *rows;
	struct page_address *addresses;
	struct page_question *questions;
	size_t n_questions, questions_cap;
	uint64_t more_questions;
	size_t paths_cap, kinds_cap, rows_cap, addresses_cap;
	uint64_t more_paths, more_kinds, more_rows, more_addresses;
	size_t refused_rows;

	uint64_t accesses, refused, missing, moves, lines, matching;
	struct page_buckets buckets;
};

struct page_file {
	char *name;
	struct record_state state;
};

struct log_page {
	const struct log_filter *filter;
	const struct policy *credentials;
	struct page_run *runs[PAGE_RUNS_MAX];
	size_t n_runs;
	uint64_t more_runs;
	bool in_file; /* lines of the present file belong to the last run */
	uint64_t run; /* of the reader */
	struct page_file *files;
	size_t n_files;
};

/* Collecting. Room for element I of ARRAY, zeroed as it grows; NULL: no memory. */
void *page_room(void *array, size_t i, size_t *cap, size_t size);
/* The number of S, 0 for none and if memory is out: the page then lacks the word. */
uint32_t page_string(struct page_run *r, struct record_bytes s);
/* The process of LINE, which learns of it what it says: its index, -1 if there is none or no room. */
int32_t page_process_of(struct page_run *r, const struct record_line *line);

/* Writing. All bytes that came from a record go through the first; what has been made printable already,
 * as an option that can be pasted, through the second. */
void html_escaped(struct text *out, const char *s, size_t len);
void html_printable(struct text *out, const char *s, size_t len);
/* A path with ~. */
void html_path(const struct page_run *r, struct text *out, const char *path, size_t len);
void html_string(const struct page_run *r, struct text *out, uint32_t number);
void html_string_path(const struct page_run *r, struct text *out, uint32_t number);
void html_program(const struct page_run *r, struct text *out, uint32_t exe);
/* 1,234 */
void html_number(struct text *out, uint64_t n);
/* "12.5 ms", "3.20 s", "4 min 5 s" */
void html_span(struct text *out, int64_t us);

/* Fill in what is known only at the end, before anything is written. */
void page_sum_up(struct page_run *r);

/* May an option name PATH, an object or (DIR) a directory for all beneath it? */
bool page_may_offer(const struct page_run *r, const char *path, size_t len, bool dir);

void html_timeline(struct page_run *r, struct text *out);
void html_tree(struct page_run *r, struct text *out);
void html_denials(struct page_run *r, struct text *out);
void html_questions(struct page_run *r, struct text *out);
void html_directories(struct page_run *r, struct text *out);
void html_addresses(struct page_run *r, struct text *out);
void html_rows(struct page_run *r, struct text *out);

extern const char page_css[], page_js[];
