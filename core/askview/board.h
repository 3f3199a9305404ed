/* SPDX-License-Identifier: Apache-2.0
 * What `sluice ask` knows: the runs, their open questions, and what was decided of late, kept up to date from
 * the messages of their control sockets. No drawing here. One thread.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/control/client.h"

enum { DECIDED_MAX = 200 };

struct open_question {
	unsigned run; /* index into board.runs */
	uint64_t number;
	char nonce[17];
	char *words; /* as on the terminal; lines end in a newline */
	char *title; /* one line of it */
	char *yes_line, *no_line, *near;
	unsigned offers;     /* bits (1 << enum ask_scope) */
	unsigned count;	     /* names of a directory, else 1 */
	int64_t deadline_ms; /* of ask_now_ms() */
};

struct run_row {
	struct link link;
	bool gone;   /* it has ended; forgotten at the next scan */
	char *title; /* its name or its command */
	int64_t pid;
};

struct board {
	struct run_row *runs;
	size_t n_runs;
	struct open_question *questions; /* in the order in which they came */
	size_t n_questions;
	char *decided[DECIDED_MAX]; /* lines, the newest last; a ring */
	size_t n_decided;	    /* ever */
	char note[300];		    /* why the last answer was not taken, or "" */
	int error;		    /* of the last scan: 0 or -errno */
};

/* Look for new runs and forget those that are over. */
void board_scan(struct board *b);
/* Read what RUN said, without waiting. */
void board_read(struct board *b, unsigned run);
void board_done(struct board *b);

/* Answer Q. False: the run is gone. */
bool board_answer(struct board *b, const struct open_question *q, enum answer answer, enum ask_scope scope);
bool board_offers(const struct open_question *q, enum answer answer, enum ask_scope scope);
/* The question of RUN with NUMBER, or NULL. */
struct open_question *board_find(struct board *b, unsigned run, uint64_t number);
