/* SPDX-License-Identifier: Apache-2.0
 * The board on a terminal, with ncurses. Strings may come from hostile programs: whatever is no printable
 * character of ordinary width is drawn as "?", so nothing but ncurses moves the cursor.
 */
#pragma once
#include "core/askview/board.h"

/* What of the board is looked at. */
struct view {
	size_t selected; /* index into board.questions */
	unsigned scroll; /* lines of its words above the window */
	bool help;
	char pending; /* 'a' or 'A' that wants to be pressed once more, or 0 */
	bool ready;   /* keys count: the question has been there long enough to be read */
};

/* 0 or -errno: this is no terminal that can be used. */
int screen_open(void);
void screen_close(void);
void screen_draw(const struct board *b, const struct view *v);
/* A key of ncurses that came alone, 0: none came; what comes in one piece is dropped. */
int screen_key(void);
/* Forget what was typed. */
void screen_flush(void);
