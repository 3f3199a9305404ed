/* SPDX-License-Identifier: Apache-2.0
 * Lines of a record for people and for programs.
 *
 *   14:03:13.045  deny     read     ssh[4711]         ~/.ssh/config  (credentials:7  deny all ~/.ssh; EACCES)
 */
#include "core/log/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { PROGRAM_COLUMNS = 18 };

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define DIM    "\033[2m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

void log_view_learn(struct log_view *v, const struct record_line *line)
{
	if (line->type != RECORD_START)
		return;
	places_done(&v->places);
	/* ~ is whose run it was; another's home is not known here */
	if (line->uid < 0 || line->uid == (int64_t)getuid())
		places_init(&v->places, NULL);
	free(v->places.pwd);
	v->places.pwd = line->cwd.data ? strdup(line->cwd.data) : NULL;
}

void log_view_done(struct log_view *v)
{
	places_done(&v->places);
}

size_t log_columns(const struct text *t, size_t from)
{
	mbstate_t state = {0};
	size_t columns = 0;

	for (size_t i = from; i < t->len;) {
		wchar_t c;
		size_t n = mbrtowc(&c, t->data + i, t->len - i, &state);
		int width;

		if (n == 0 || n > t->len - i) { /* escaped text has neither */
			n = 1;
			c = L'?';
			state = (mbstate_t){0};
		}
		width = wcwidth(c);
		columns += width > 0 ? (size_t)width : 0;
		i += n;
	}
	return columns;
}

static void pad(struct text *out, size_t from, size_t columns)
{
	size_t used = log_columns(out, from);

	text_printf(out, "%*s", (int)(used < columns ? columns - used : 0) + 1, "");
}

static void put_time(struct text *out, int64_t us)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	char clock[16];

	if (us < 0 || !localtime_r(&seconds, &tm) || !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		text_puts(out, "--:--:--.---  ");
	else
		text_printf(out, "%s.%03d  ", clock, (int)(us / 1000 % 1000));
}

void log_put_program(struct text *out, struct record_bytes exe)
{
	static const char deleted[] = " (deleted)";
	const char *name = exe.data ? strrchr(exe.data, '/') : NULL;
	size_t len;

	if (!exe.data)
		return text_puts(out, "?");
	name = name ? name + 1 : exe.data;
	len = exe.len - (size_t)(name - exe.data);
	if (len > sizeof(deleted) - 1 && strcmp(name + len - (sizeof(deleted) - 1), deleted) == 0)
		len -= sizeof(deleted) - 1;
	text_escaped(out, name, len);
}

/* The columns up to the program: time, what happened, the operation, who. */
static void put_head(const struct log_view *v, struct text *out, const struct record_line *line,
		     const char *word, const char *color)
{
	size_t start;

	put_time(out, line->time_us);
	text_printf(out, "%s%-8s%s", v->color ? color : "", word, v->color && *color ? PLAIN : "");
	start = out->len;
	text_escaped(out, line->op_word.data ? line->op_word.data : "", line->op_word.len);
	pad(out, start, 8);
	start = out->len;
	if (line->pid) {
		log_put_program(out, line->exe);
		text_printf(out, "[%d]", line->pid);
	}
	pad(out, start, PROGRAM_COLUMNS);
}

static void put_path(const struct log_view *v, struct text *out, struct record_bytes path)
{
	if (path.len && path.data[0] == '/')
		places_show(&v->places, out, path.data, path.len);
	else if (path.data)
		text_escaped(out, path.data, path.len);
}

static void put_target(const struct log_view *v, struct text *out, const struct record_line *line)
{
	put_path(v, out, line->path.data ? line->path : line->address);
	if (line->path2.data) {
		text_puts(out, " -> ");
		put_path(v, out, line->path2);
	}
	if (line->count > 1)
		text_printf(out, "  (%llu times)", (unsigned long long)line->count);
}

static void put_errno(struct text *out, int err)
{
	const char *name = strerrorname_np(err);

	if (name)
		text_puts(out, name);
	else
		text_printf(out, "error %d", err);
}

/* Why: the rule, who decided if no rule did, what the command saw. */
static void put_reason(const struct log_view *v, struct text *out, const struct record_line *line)
{
	text_puts(out, v->color ? "  " DIM "(" : "  (");
	if (line->detail.data) {
		text_escaped(out, line->detail.data, line->detail.len);
		text_puts(out, "; ");
	}
	if (line->rule.data && strcmp(line->rule.data, "default") != 0) {
		text_escaped(out, line->rule.data, line->rule.len);
		if (line->rule_text.data && strncmp(line->rule.data, "--", 2) != 0) {
			text_puts(out, "  ");
			text_escaped(out, line->rule_text.data, line->rule_text.len);
		}
	} else {
		text_puts(out, "no rule names it");
	}
	if (line->by.data && strcmp(line->by.data, "rule") != 0 && strcmp(line->by.data, "default") != 0) {
		text_puts(out, "; by ");
		text_escaped(out, line->by.data, line->by.len);
	}
	if (line->err) {
		text_puts(out, "; ");
		put_errno(out, line->err);
	}
	text_puts(out, v->color ? ")" PLAIN : ")");
}

static void put_list(struct text *out, struct record_list list, const char *between)
{
	for (size_t i = 0; i < list.n; i++) {
		text_puts(out, i ? between : "");
		text_escaped(out, list.items[i].data, list.items[i].len);
	}
}

static void put_status(struct text *out, const struct record_line *line)
{
	const char *abbrev = line->signal ? sigabbrev_np(line->signal) : NULL;

	if (abbrev)
		text_printf(out, "killed by SIG%s", abbrev);
	else if (line->signal)
		text_printf(out, "killed by signal %d", line->signal);
	else if (line->status >= 0)
		text_printf(out, "status %d", line->status);
}

static void put_access(const struct log_view *v, struct text *out, const struct record_line *line)
{
	static const char *const colors[] = {
		[LOG_ALLOW] = "",
		[LOG_DENY] = RED,
		[LOG_MISSING] = DIM,
		[LOG_UNDECIDED] = YELLOW,
	};
	enum log_verdict verdict = log_verdict_of(line);
	const char *word = log_verdict_words[verdict];

	put_head(v, out, line, word ? word : record_type_words[line->type], colors[verdict]);
	put_target(v, out, line);
	if (verdict == LOG_DENY) {
		put_reason(v, out, line);
	} else if (verdict == LOG_ALLOW && line->err) { /* by the kernel */
		text_puts(out, v->color ? "  " DIM "(" : "  (");
		put_errno(out, line->err);
		text_puts(out, v->color ? ")" PLAIN : ")");
	}
}

static void put_ask(const struct log_view *v, struct text *out, const struct record_line *line)
{
	put_head(v, out, line, "ask", YELLOW);
	put_target(v, out, line);
	text_puts(out, v->color ? "  " DIM "(" : "  (");
	text_escaped(out, line->answer.data ? line->answer.data : "?",
		     line->answer.data ? line->answer.len : 1);
	if (line->scope.data) {
		text_puts(out, ", ");
		text_escaped(out, line->scope.data, line->scope.len);
	}
	if (line->answered_by.data) {
		text_puts(out, ", by ");
		text_escaped(out, line->answered_by.data, line->answered_by.len);
	}
	text_printf(out, " after %.1f s", (double)line->dur_us / 1e6);
	if (line->callers > 1)
		text_printf(out, "; %llu asked", (unsigned long long)line->callers);
	text_puts(out, v->color ? ")" PLAIN : ")");
}

static void put_end(const struct log_view *v, struct text *out, const struct record_line *line)
{
	put_head(v, out, line, "end", BOLD);
	put_status(out, line);
	text_printf(out, "; %llu accesses, %llu refused", (unsigned long long)line->accesses,
		    (unsigned long long)line->refusals);
	if (line->lost_lines)
		text_printf(out, "; %llu lines lost", (unsigned long long)line->lost_lines);
	if (line->lost.n) {
		text_puts(out, "; not seen or done: ");
		put_list(out, line->lost, ", ");
	}
	if (line->unwatched.n) {
		text_puts(out, "; not watched: ");
		put_list(out, line->unwatched, ", ");
	}
	text_puts(out, line->complete == 1 ? "; complete" : "; not complete");
}

static void put_start(struct log_view *v, struct text *out, const struct record_line *line)
{
	time_t seconds = (time_t)(line->time_us / 1000000);
	struct tm tm;
	char date[32];

	put_head(v, out, line, "start", BOLD);
	put_list(out, line->argv, " ");
	text_puts(out, "  (in ");
	put_path(v, out, line->cwd);
	if (line->time_us >= 0 && localtime_r(&seconds, &tm) && strftime(date, sizeof(date), "%F %Z", &tm))
		text_printf(out, ", %s", date);
	if (line->name.data) {
		text_puts(out, ", name ");
		text_escaped(out, line->name.data, line->name.len);
	}
	text_puts(out, ")");
}

void log_text_line(struct log_view *v, struct text *out, const struct record_line *line)
{
	switch (line->type) {
	case RECORD_OTHER:
	case RECORD_TYPES:
		return;
	case RECORD_START:
		put_start(v, out, line);
		break;
	case RECORD_ACCESS:
		put_access(v, out, line);
		break;
	case RECORD_ASK:
		put_ask(v, out, line);
		break;
	case RECORD_EXEC:
		put_head(v, out, line, "run", "");
		put_path(v, out, line->path);
		if (line->argv.n > 1) {
			text_puts(out, "  ");
			put_list(out, (struct record_list){line->argv.items + 1, line->argv.n - 1}, " ");
		}
		break;
	case RECORD_FORK:
		put_head(v, out, line, "fork", DIM);
		if (line->ppid)
			text_printf(out, "by %d", line->ppid);
		break;
	case RECORD_EXIT:
		put_head(v, out, line, "exit", DIM);
		put_status(out, line);
		break;
	case RECORD_LOST:
		put_head(v, out, line, "lost", YELLOW);
		text_printf(out, "%llu: ", (unsigned long long)line->count);
		text_escaped(out, line->what.data ? line->what.data : "", line->what.len);
		break;
	case RECORD_END:
		put_end(v, out, line);
		break;
	}
	while (out->len && out->data[out->len - 1] == ' ')
		out->len--;
	text_puts(out, "\n");
}

/* Control and direction characters; those below 0x20 are not in a line that was taken. */
static bool is_active(wchar_t c)
{
	return (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

void log_json_line(struct text *out, const struct record_line *line)
{
	mbstate_t state = {0};
	size_t plain = 0;

	for (size_t i = 0; i < line->raw.len;) {
		wchar_t c = 0;
		size_t n = mbrtowc(&c, line->raw.data + i, line->raw.len - i, &state);

		if (n == 0 || n > line->raw.len - i) {
			n = 1;
			state = (mbstate_t){0};
		} else if (is_active(c)) {
			text_add(out, line->raw.data + plain, i - plain);
			text_printf(out, "\\u%04x", (unsigned)c);
			plain = i + n;
		}
		i += n;
	}
	text_add(out, line->raw.data + plain, line->raw.len - plain);
	text_puts(out, "\n");
}
