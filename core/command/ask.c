/* SPDX-License-Identifier: Apache-2.0
 * `sluice ask`: a full-screen view of what runs and asks, in a terminal that no target shares.
 *
 * The keys are those of the prompt on the terminal, and so are its defences: what was typed before a question
 * could be read does not count, what arrives in one piece does not count.
 */
#include "core/askview/board.h"
#include "core/askview/screen.h"
#include "core/cleanup.h"
#include "core/command/command.h"

#include <errno.h>
#define NCURSES_WIDECHAR 1
#include <ncurses.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_ERROR = 2, SCAN_MS = 1000, GUARD_MS = 400, POLLED_MAX = 257 };

struct session {
	struct board board;
	struct view view;
	unsigned run; /* what is selected, by name: lists move */
	uint64_t number;
	int64_t shown_ms; /* since when it is shown as it is */
	unsigned count;
	bool over;
};

static const struct {
	char key;
	enum answer answer;
	enum ask_scope scope;
} keys[] = {
	{'y', ANSWER_YES, SCOPE_ONCE},	 {'r', ANSWER_YES, SCOPE_RUN},	 {'d', ANSWER_YES, SCOPE_DIR},
	{'a', ANSWER_YES, SCOPE_ALWAYS}, {'n', ANSWER_NO, SCOPE_ONCE},	 {'N', ANSWER_NO, SCOPE_RUN},
	{'D', ANSWER_NO, SCOPE_DIR},	 {'A', ANSWER_NO, SCOPE_ALWAYS}, {'k', ANSWER_END_TREE, SCOPE_ONCE},
};

static void select_question(struct session *s, size_t i)
{
	const struct open_question *q = &s->board.questions[i];

	s->view.selected = i;
	s->run = q->run;
	s->number = q->number;
	s->count = q->count;
	s->view.scroll = 0;
	s->view.pending = 0;
	s->shown_ms = ask_now_ms();
}

/* The lists have changed: stay with the question, or take the first; one that has changed must be read anew.
 */
static void follow_selection(struct session *s)
{
	struct open_question *q = board_find(&s->board, s->run, s->number);

	if (q) {
		s->view.selected = (size_t)(q - s->board.questions);
		if (q->count != s->count)
			select_question(s, s->view.selected);
	} else if (s->board.n_questions) {
		select_question(s, 0);
	} else {
		s->number = 0;
		s->view.selected = 0;
		s->view.pending = 0;
	}
}

static bool is_ready(const struct session *s)
{
	return s->number && ask_now_ms() - s->shown_ms >= GUARD_MS;
}

/* An answer, if KEY is one that is offered. */
static void answer_key(struct session *s, int key)
{
	const struct open_question *q = &s->board.questions[s->view.selected];
	bool again = s->view.pending && key == s->view.pending;

	if (s->view.pending && !again) {
		s->view.pending = 0;
		return;
	}
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].key != key || !board_offers(q, keys[i].answer, keys[i].scope))
			continue;
		if (keys[i].scope == SCOPE_ALWAYS && !again) {
			s->view.pending = (char)key;
			s->shown_ms = ask_now_ms();
			return;
		}
		s->view.pending = 0;
		board_answer(&s->board, q, keys[i].answer, keys[i].scope);
		return;
	}
}

static void act(struct session *s, int key)
{
	size_t n = s->board.n_questions;

	if (s->view.help) {
		s->view.help = false;
		return;
	}
	switch (key) {
	case 'q':
		s->over = true;
		return;
	case '?':
		s->view.help = true;
		return;
	case KEY_UP:
	case KEY_BTAB:
		if (n)
			select_question(s, (s->view.selected + n - 1) % n);
		return;
	case KEY_DOWN:
	case '\t':
		if (n)
			select_question(s, (s->view.selected + 1) % n);
		return;
	case KEY_NPAGE:
	case ' ':
		s->view.scroll += s->view.scroll < 5000 ? 5 : 0;
		return;
	case KEY_PPAGE:
		s->view.scroll -= s->view.scroll < 5 ? s->view.scroll : 5;
		return;
	}
	if (is_ready(s) && s->view.selected < n)
		answer_key(s, key);
}

static void look_around(struct session *s, int64_t *last_scan)
{
	/* Runs move in the list when one is removed: what is selected is found again by its run's pid. */
	int64_t pid = s->run < s->board.n_runs ? s->board.runs[s->run].pid : -1;

	if (ask_now_ms() - *last_scan < SCAN_MS)
		return;
	*last_scan = ask_now_ms();
	board_scan(&s->board);
	for (unsigned i = 0; i < s->board.n_runs; i++)
		if (s->board.runs[i].pid == pid)
			s->run = i;
}

static void serve(struct session *s)
{
	int64_t last_scan = -SCAN_MS;

	while (!s->over) {
		struct pollfd p[POLLED_MAX] = {{.fd = STDIN_FILENO, .events = POLLIN}};
		unsigned n = 1;
		int key;

		look_around(s, &last_scan);
		for (unsigned i = 0; i < s->board.n_runs; i++)
			board_read(&s->board, i);
		follow_selection(s);
		s->view.ready = is_ready(s);
		screen_draw(&s->board, &s->view);
		for (unsigned i = 0; i < s->board.n_runs && n < POLLED_MAX; i++)
			p[n++] = (struct pollfd){.fd = s->board.runs[i].gone ? -1 : s->board.runs[i].link.fd,
						 .events = POLLIN};
		poll(p, n, s->number && !s->view.ready ? GUARD_MS / 4 : SCAN_MS);
		if (p[0].revents & (POLLHUP | POLLERR))
			return;
		key = screen_key();
		if (key && key != KEY_RESIZE)
			act(s, key);
	}
}

int command_ask(int argc, char **argv)
{
	struct session s = {0};
	int r;

	if (argc > 1) {
		fprintf(stderr, "sluice: ask takes no arguments: it shows all runs\n");
		return EXIT_ERROR;
	}
	(void)argv;
	r = screen_open();
	if (r < 0) {
		fprintf(stderr, "sluice: ask needs a terminal%s\n",
			r == -ENODEV ? " that is known: TERM names none" : " for its input and output");
		return EXIT_ERROR;
	}
	serve(&s);
	screen_close();
	board_done(&s.board);
	return 0;
}
