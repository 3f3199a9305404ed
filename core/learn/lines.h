/* SPDX-License-Identifier: Apache-2.0
 * Between facts and text: items, one for each name that needs something, and lines, to which they fold.
 */
#pragma once
#include "core/learn/learn.h"

/* Operations that are folded, and written, together. */
enum learn_class { LEARN_READ, LEARN_EXEC, LEARN_WRITE, LEARN_META, LEARN_CONNECT, LEARN_CLASSES };

struct tally_of {
	uint64_t count;
	unsigned names;
	uint16_t programs[FACT_PROGRAMS];
	unsigned n_programs;
	bool more_programs;
};

struct item {
	char *path; /* of a pattern: the directory, a slash, and the pattern as it stands in a policy */
	size_t len;
	size_t pattern; /* where it begins in path; 0: none */
	bool classes[LEARN_CLASSES];
	bool whole[LEARN_CLASSES]; /* and all beneath it: a directory that the runs made, or with new programs in it */
	opset exact;    /* what is needed if it stays alone */
	bool dir;
	struct tally_of tally;
};

struct line {
	const char *path;
	size_t len, pattern;
	bool classes[LEARN_CLASSES];
	bool beneath; /* stands for what is beneath a directory */
	bool dir;     /* is one, so the rule speaks of what is beneath anyway */
	opset exact;
	struct tally_of tally;
};

/* One that the runs did not make. */
struct repository {
	char *path; /* of its .git */
	size_t len;
	bool guarded; /* the text has its guards */
};

struct learned {
	struct repository *repositories; /* sorted as items are */
	size_t n_repositories, cap_repositories;
	struct item *items; /* by path, '/' below all other bytes */
	size_t n_items, cap_items;
	struct line *lines; /* the same order */
	size_t n_lines, cap_lines;
	const struct fact **dangers; /* left out */
	size_t n_dangers, cap_dangers;
};

/* Which repositories are to be kept. 0 or -ENOMEM. */
int learn_repositories(const struct learn_input *in, struct learned *l);
/* Those whose .git is at DIR or beneath. */
struct repository *learned_repositories(const struct learned *l, const char *dir, size_t len, size_t *ret_n);
/* Is one at DIR or beneath, but for the one of which DIR is the working tree? */
bool learned_keeps(const struct learned *l, const char *dir, size_t len);
/* Facts to items. 0 or -ENOMEM. */
int learn_items(const struct learn_input *in, struct learned *l);
/* Items to lines. */
int learn_fold(const struct learn_input *in, struct learned *l);
void learned_done(struct learned *l);

void tally_merge(struct tally_of *to, const struct tally_of *from);
/* Compares names so that what is beneath a directory follows it. */
int learn_path_order(const char *a, size_t a_len, const char *b, size_t b_len);
