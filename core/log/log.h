/* SPDX-License-Identifier: Apache-2.0
 * The parts of `sluice log`: options, the filter, and what is made of the lines that pass it.
 *
 *   reader -> filter -> text | JSON | groups | HTML
 *
 * One thread. Everything shown goes through escape_bytes() first.
 */
#pragma once
#include "core/observe/remedy.h"
#include "core/observe/text.h"
#include "core/record/reader.h"
#include "policy/arena.h"
#include "policy/policy.h"

enum log_group { GROUP_NONE, GROUP_PATH, GROUP_DIR, GROUP_EXE, GROUP_OP, GROUP_RULE };

/* What became of an access: `missing` is one of something that does not exist, no refusal. */
enum log_verdict { LOG_ALLOW, LOG_DENY, LOG_MISSING, LOG_UNDECIDED };
extern const char *const log_verdict_words[LOG_UNDECIDED + 1]; /* NULL for LOG_UNDECIDED */
enum log_verdict log_verdict_of(const struct record_line *line);

struct log_time {
	bool set, from_start; /* FROM_START: US counts from the beginning of each run */
	int64_t us;
};

/* Options of one kind: one of them must match; of different kinds: all. Empty: everything matches. A line
 * that has no such field does not match. */
struct log_filter {
	struct arena arena;
	unsigned types;	   /* bits 1 << enum record_type */
	unsigned verdicts; /* bits 1 << enum log_verdict */
	opset ops;
	struct pattern *paths;
	const char **exes, **rules;
	pid_t *pids;
	size_t n_paths, n_exes, n_rules, n_pids;
	bool descendants;
	struct log_time since, until;

	/* as lines go by */
	uint64_t run;
	int64_t start_us;
	unsigned char *family; /* a bit each pid of PIDS and descendants, allocated when needed */
};

bool log_filter_is_set(const struct log_filter *f);
/* Must see every line, in order. */
bool log_filter_match(struct log_filter *f, const struct record_line *line);
void log_filter_done(struct log_filter *f);

struct log_options {
	struct log_filter filter;
	enum log_group group;
	bool follow, json, help;
	const char *html;
	char **files; /* NULL-terminated, in argv */
};

/* ARGV[0] is the word "log". 0 or -EINVAL. */
int log_options_parse(char **argv, struct log_options *ret, struct policy_error *ret_error);

/* How lines are shown as text: who is at home, what the terminal can do. */
struct log_view {
	struct places places;
	bool color;
};

/* Reads what the view needs to know from a line (`start`: whose home it was). */
void log_view_learn(struct log_view *v, const struct record_line *line);
void log_view_done(struct log_view *v);
/* One line, with its newline. */
void log_text_line(struct log_view *v, struct text *out, const struct record_line *line);
/* The line as it is, but for characters that a terminal obeys: those become \uXXXX, the same to JSON. */
void log_json_line(struct text *out, const struct record_line *line);
/* A program's name without its directory, escaped. */
void log_put_program(struct text *out, struct record_bytes exe);
/* Columns from FROM to the end, as a terminal counts them. */
size_t log_columns(const struct text *t, size_t from);

/* Strings to small numbers: a keyed hash table, as the strings are the target's. */
struct log_table {
	struct record_bytes *keys;
	size_t n, cap;
	uint32_t *slots;
	size_t n_slots;
	struct arena arena;
	unsigned char seed[16];
};

/* The number of KEY, a new one (== n - 1) if it was not there. -ENOMEM. */
int64_t log_table_add(struct log_table *t, const char *key, size_t len);
/* The number of KEY; -ENOENT. */
int64_t log_table_find(const struct log_table *t, const char *key, size_t len);
void log_table_done(struct log_table *t);

struct log_groups;

struct log_groups *log_groups_new(enum log_group by);
int log_groups_add(struct log_groups *g, const struct record_line *line);
/* Most frequent first. */
int log_groups_write(const struct log_groups *g, const struct log_view *v, bool json, FILE *f);
void log_groups_free(struct log_groups *g);

/* The directory of PATH: its length, without the slash behind it ("/" is 1). */
size_t log_dir_len(const char *path, size_t len);
