/* SPDX-License-Identifier: Apache-2.0
 *   what runs                       one line each
 *   ── open questions ──            one line each, the selected one marked
 *   the words of the selected one, and its keys
 *   ── decided ──                   the newest last
 */
#include "core/askview/screen.h"

#include "core/ask/prompt.h"

#include <errno.h>
#define NCURSES_WIDECHAR 1
#include <ncurses.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

enum { ALONE_MS = 40, RUNS_SHOWN = 5, QUESTIONS_SHOWN = 8, DECIDED_SHOWN = 8, KEYS_LINES = 3 };

int screen_open(void)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	setlocale(LC_CTYPE, "");
	if (!newterm(NULL, stdout, stdin))
		return -ENODEV;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	set_escdelay(25);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(1, COLOR_YELLOW, -1);
	}
	return 0;
}

void screen_close(void)
{
	endwin();
}

void screen_flush(void)
{
	flushinp();
}

int screen_key(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	int key = getch(), more;

	if (key == ERR)
		return 0;
	if (key == KEY_RESIZE)
		return key;
	more = poll(&p, 1, ALONE_MS) > 0 ? getch() : ERR;
	if (more == ERR)
		return key;
	/* A paste, or a terminal's reply to something. */
	while (poll(&p, 1, ALONE_MS) > 0 && getch() != ERR)
		;
	flushinp();
	return 0;
}

/* ---- drawing ---- */

/* Is C drawn in one or two columns, and does it turn nothing around? */
static bool is_harmless(wchar_t c)
{
	return iswprint((wint_t)c) && wcwidth(c) > 0 && !(c >= 0x200b && c <= 0x200f) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0x61c && c != 0xfeff;
}

/* The character at *S, and past it. */
static wchar_t next_char(const char **s)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, *s, strlen(*s), &state);

	if (n == 0 || n > MB_LEN_MAX) { /* no character */
		++*s;
		return '?';
	}
	*s += n;
	return is_harmless(c) ? c : '?';
}

/* Draw S in one line, cut at the right edge. */
static void put_line(int y, int x, const char *s)
{
	int width = COLS - x;

	if (y < 0 || y >= LINES)
		return;
	move(y, x);
	while (s && *s && *s != '\n') {
		wchar_t text[2] = {next_char(&s), 0};
		int columns = wcwidth(text[0]);

		if (columns > width)
			break;
		addnwstr(text, 1);
		width -= columns;
	}
}

/* Draw the lines of S, folded at the right edge, from Y on, but none at END or below; the first SKIP of them
 * are above the window. How many there are in all. */
static unsigned put_text(int y, int end, const char *s, unsigned skip)
{
	unsigned n = 0;
	int x = 0;

	while (s && *s) {
		wchar_t text[2] = {0, 0};
		int columns, at = y + (int)n - (int)skip;

		if (*s == '\n') {
			s++;
			n++;
			x = 0;
			continue;
		}
		text[0] = next_char(&s);
		columns = wcwidth(text[0]);
		if (x + columns > COLS) {
			n++;
			at++;
			x = 0;
		}
		if (at >= y && at < end) {
			move(at, x);
			addnwstr(text, 1);
		}
		x += columns;
	}
	return n + (x > 0);
}

static void put_rule(int y, const char *title)
{
	if (y < 0 || y >= LINES)
		return;
	attron(A_DIM);
	mvhline(y, 0, ACS_HLINE, COLS);
	attroff(A_DIM);
	attron(A_BOLD);
	put_line(y, 2, title);
	attroff(A_BOLD);
}

static int draw_runs(const struct board *b, int y)
{
	char line[600];

	snprintf(line, sizeof(line), " sluice: %zu %s, %zu open %s", b->n_runs,
		 b->n_runs == 1 ? "run" : "runs", b->n_questions,
		 b->n_questions == 1 ? "question" : "questions");
	attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	put_line(y, 0, line);
	attroff(A_REVERSE);
	y++;
	for (size_t i = 0; i < b->n_runs && i < RUNS_SHOWN; i++) {
		unsigned open = 0;

		for (size_t k = 0; k < b->n_questions; k++)
			open += b->questions[k].run == i;
		snprintf(line, sizeof(line), " %7lld  %-7s ", (long long)b->runs[i].pid,
			 b->runs[i].gone ? "ended"
			 : open		 ? "asks"
					 : "runs");
		put_line(y, 0, line);
		put_line(y++, (int)strlen(line), b->runs[i].title);
	}
	if (b->n_runs > RUNS_SHOWN) {
		snprintf(line, sizeof(line), "          and %zu more", b->n_runs - RUNS_SHOWN);
		put_line(y++, 0, line);
	}
	if (!b->n_runs)
		put_line(y++, 1,
			 b->error < 0 ? "the directory of the control sockets can't be read"
				      : "nothing is running under sluice; what starts will appear here");
	return y;
}

static int draw_questions(const struct board *b, const struct view *v, int y)
{
	size_t first = v->selected >= QUESTIONS_SHOWN ? v->selected - QUESTIONS_SHOWN + 1 : 0;
	char line[64];

	if (!b->n_questions)
		return y;
	put_rule(y++, " open questions ");
	for (size_t i = first; i < b->n_questions && i < first + QUESTIONS_SHOWN; i++) {
		const struct open_question *q = &b->questions[i];
		int64_t left = (q->deadline_ms - ask_now_ms()) / 1000;

		snprintf(line, sizeof(line), "%c %4lld s %7lld ", i == v->selected ? '>' : ' ',
			 (long long)(left > 0 ? left : 0), (long long)b->runs[q->run].pid);
		if (i == v->selected)
			attron(A_BOLD);
		put_line(y, 0, line);
		put_line(y++, (int)strlen(line), q->title);
		attroff(A_BOLD);
	}
	return y;
}

static void put_offers(char *line, size_t size, const struct open_question *q, enum answer answer,
		       const char *keys)
{
	static const char *const words[] = {
		[SCOPE_ONCE] = "",
		[SCOPE_RUN] = ", this run",
		[SCOPE_DIR] = ", this directory",
		[SCOPE_ALWAYS] = ", always",
	};

	line[0] = '\0';
	for (unsigned scope = 0; scope < SCOPE_COUNT; scope++) {
		size_t len = strlen(line);

		if (board_offers(q, answer, scope))
			snprintf(line + len, size - len, "  %c %s%s", keys[scope],
				 answer == ANSWER_YES ? "yes" : "no", words[scope]);
	}
}

static const char help[] =
	"  y n  allow or refuse it this once\n"
	"  r N  the same until the command has ended\n"
	"  d D  the same for all that this rule asks about in the directory\n"
	"  a A  always: shows the line, wants the key once more, writes it to your answers.policy\n"
	"  k    end the command that asks\n"
	"  up, down, tab: another question   page up, page down: more of this one\n"
	"  q    leave; questions go on waiting for other answers\n"
	"  No answer is a no. What is allowed is the object that was there when sluice asked.\n";

/* The keys, or what has to be confirmed: the last KEYS_LINES above END. */
static void draw_keys(const struct view *v, const struct open_question *q, int end)
{
	char line[300];

	if (v->pending) {
		put_line(end - 3, 2, "this line, for this name alone, goes into your answers.policy:");
		put_line(end - 2, 4, v->pending == 'a' ? q->yes_line : q->no_line);
		snprintf(line, sizeof(line), "  %c once more to write it, any other key to go back",
			 v->pending);
		attron(COLOR_PAIR(1) | A_BOLD);
		put_line(end - 1, 0, line);
		attroff(COLOR_PAIR(1) | A_BOLD);
		return;
	}
	if (!v->ready)
		attron(A_DIM);
	else
		attron(A_BOLD);
	put_offers(line, sizeof(line), q, ANSWER_YES, "yrda");
	put_line(end - 3, 0, line);
	put_offers(line, sizeof(line), q, ANSWER_NO, "nNDA");
	put_line(end - 2, 0, line);
	put_line(end - 1, 0, "  k end the command  ? help  q leave");
	attroff(A_DIM | A_BOLD);
}

static void draw_decided(const struct board *b, int y)
{
	size_t known = b->n_decided < DECIDED_MAX ? b->n_decided : DECIDED_MAX,
	       room = y < LINES ? (size_t)(LINES - y - 1) : 0;

	put_rule(y++, " decided ");
	if (known > room)
		known = room;
	for (size_t i = 0; i < known; i++)
		put_line(y++, 1, b->decided[(b->n_decided - known + i) % DECIDED_MAX]);
}

void screen_draw(const struct board *b, const struct view *v)
{
	const struct open_question *q = v->selected < b->n_questions ? &b->questions[v->selected] : NULL;
	size_t decided = b->n_decided < DECIDED_SHOWN ? b->n_decided : DECIDED_SHOWN;
	unsigned lines;
	int y, end, top;

	erase();
	y = draw_questions(b, v, draw_runs(b, 0));
	end = LINES - (decided ? (int)decided + 1 : 0) - (b->note[0] ? 1 : 0);
	if (end < y + 9) /* a small window: the question first */
		end = LINES - (b->note[0] ? 1 : 0);
	if (v->help) {
		put_rule(y++, " help ");
		put_text(y, end, help, 0);
	} else if (q) {
		put_rule(y++, " question ");
		top = end - KEYS_LINES;
		lines = put_text(y, top, q->words, v->scroll);
		if (lines > (unsigned)(top > y ? top - y : 0) + v->scroll)
			put_line(top - 1, COLS > 26 ? COLS - 26 : 0, " page down: there is more ");
		else if (y + (int)(lines - v->scroll) + 1 < top)
			top = y + (int)(lines > v->scroll ? lines - v->scroll : 0) + 1;
		draw_keys(v, q, top + KEYS_LINES);
	}
	if (b->note[0]) {
		attron(A_BOLD);
		put_line(end, 1, b->note);
		attroff(A_BOLD);
	}
	if (end < LINES - 1 && decided)
		draw_decided(b, end + (b->note[0] ? 1 : 0));
	else if (!q && !v->help)
		draw_decided(b, y);
	refresh();
}
