/* SPDX-License-Identifier: Apache-2.0
 * Bytes to lines; what a line means is in line.c.
 *
 * The buffer holds what was read and not yet handed out. A line that outgrows RECORD_LINE_MAX is dropped
 * as it comes, so memory stays bounded whatever the input is.
 */
#include "core/record/reader.h"
#include "core/record/line.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 256 << 10 };

struct record_reader {
	int fd;
	bool follow;
	char *data;
	size_t len, size; /* bytes in the buffer */
	size_t at;	  /* where the next line begins */
	size_t searched;  /* no newline before this */
	bool skipping;	  /* within a line that is too long */
	bool at_end;
	int error;
	uint64_t number, last_seq;
	struct record_state state;
	struct line_parser *parser;
	char message[160];
};

int record_open_fd(int fd, bool follow, struct record_reader **ret)
{
	struct record_reader *r = calloc(1, sizeof(*r));

	if (!r) {
		close(fd);
		return -ENOMEM;
	}
	r->fd = fd;
	r->follow = follow;
	r->parser = line_parser_new();
	if (!r->parser) {
		record_free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

int record_open(const char *path, bool follow, struct record_reader **ret)
{
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : record_open_fd(fd, follow, ret);
}

void record_free(struct record_reader *r)
{
	if (!r)
		return;
	close(r->fd);
	line_parser_free(r->parser);
	free(r->data);
	free(r);
}

__attribute__((format(printf, 3, 4))) static int fail(struct record_reader *r, int err, const char *format,
						      ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->message, sizeof(r->message), format, ap);
	va_end(ap);
	r->error = err;
	return err;
}

static bool reserve(struct record_reader *r)
{
	char *grown;

	if (r->at) {
		memmove(r->data, r->data + r->at, r->len - r->at);
		r->len -= r->at;
		r->searched -= r->at;
		r->at = 0;
	}
	if (r->size - r->len >= READ_SIZE)
		return true;
	grown = realloc(r->data, r->size + (r->size > READ_SIZE ? r->size : READ_SIZE));
	if (!grown)
		return false;
	r->size += r->size > READ_SIZE ? r->size : READ_SIZE;
	r->data = grown;
	return true;
}

/* More bytes: 1, 0 at the end, or -errno. */
static int fill(struct record_reader *r)
{
	ssize_t n;

	if (!reserve(r))
		return fail(r, -ENOMEM, "out of memory");
	do
		n = read(r->fd, r->data + r->len, r->size - r->len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(r, -errno, "%s", strerror(errno));
	r->len += (size_t)n;
	return n > 0;
}

static void count_damaged(struct record_reader *r)
{
	if (!r->state.damaged++)
		r->state.first_damaged = r->number;
}

/* A line's bytes without the newline: 1; 0 at the end of the input; or -errno. */
static int next_bytes(struct record_reader *r, struct record_bytes *ret)
{
	for (;;) {
		const char *end = r->len > r->searched
					  ? memchr(r->data + r->searched, '\n', r->len - r->searched)
					  : NULL;
		size_t start = r->at;
		int more;

		if (end) {
			r->at = r->searched = (size_t)(end - r->data) + 1;
			r->number++;
			if (r->skipping || r->at - start > RECORD_LINE_MAX) {
				r->skipping = false;
				count_damaged(r);
				continue;
			}
			*ret = (struct record_bytes){r->data + start, r->at - 1 - start};
			return 1;
		}
		r->searched = r->len;
		if (r->len - r->at > RECORD_LINE_MAX)
			r->skipping = true;
		if (r->skipping)
			r->at = r->len;
		more = fill(r);
		if (more < 0)
			return more;
		if (more)
			continue;
		if (r->follow || (r->at == r->len && !r->skipping))
			return 0;
		/* The tail: a line without its newline, maybe a part of one. */
		r->state.truncated = true;
		*ret = (struct record_bytes){r->data + r->at, r->len - r->at};
		r->at = r->searched = r->len;
		r->number++;
		if (!r->skipping)
			return 1;
		r->skipping = false;
	}
}

static void count_line(struct record_reader *r, struct record_line *line)
{
	struct record_state *s = &r->state;

	s->lines++;
	if (line->type == RECORD_START) {
		s->starts++;
		r->last_seq = 0;
	}
	if (line->type == RECORD_END) {
		s->ends++;
		s->complete += line->complete == 1;
	}
	if (line->seq > r->last_seq) {
		s->missing += line->seq - r->last_seq - 1;
		r->last_seq = line->seq;
	}
	line->number = r->number;
	line->run = s->starts;
}

int record_next(struct record_reader *r, struct record_line *ret)
{
	struct record_bytes raw;
	int got;

	if (r->error)
		return r->error;
	while ((got = next_bytes(r, &raw)) > 0) {
		int err;

		if (!raw.len && !r->state.truncated)
			continue;
		err = line_parse(r->parser, raw.data, raw.len, ret);
		if (err == -ENOMEM)
			return fail(r, err, "out of memory");
		if (err == -EPROTO)
			return fail(r, err,
				    "line %llu: version %lld of the format, this sluice reads version %d: "
				    "use the one that wrote it",
				    (unsigned long long)r->number, (long long)line_version(r->parser),
				    RECORD_MAJOR);
		if (err == 0) {
			r->state.truncated = false;
			count_line(r, ret);
			return 1;
		}
		if (!r->state.truncated)
			count_damaged(r);
	}
	return got;
}

const char *record_error(const struct record_reader *r)
{
	return r->message;
}

const struct record_state *record_state(const struct record_reader *r)
{
	return &r->state;
}

int record_fd(const struct record_reader *r)
{
	return r->fd;
}

bool record_is_complete(const struct record_state *s)
{
	return s->starts && s->ends == s->starts && s->complete == s->starts && !s->damaged && !s->missing &&
	       !s->truncated;
}

__attribute__((format(printf, 4, 5))) static void say(char *buf, size_t size, size_t *len, const char *format,
						      ...)
{
	size_t at = *len < size ? *len : size;
	va_list ap;
	int n;

	if (*len)
		*len += (size_t)snprintf(buf + at, size - at, "; ");
	at = *len < size ? *len : size;
	va_start(ap, format);
	n = vsnprintf(buf + at, size - at, format, ap);
	va_end(ap);
	*len += n > 0 ? (size_t)n : 0;
}

size_t record_trouble(const struct record_state *s, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	if (s->damaged == 1)
		say(buf, size, &len, "line %llu is damaged and was skipped",
		    (unsigned long long)s->first_damaged);
	else if (s->damaged)
		say(buf, size, &len, "%llu damaged lines were skipped, the first is line %llu",
		    (unsigned long long)s->damaged, (unsigned long long)s->first_damaged);
	if (s->missing)
		say(buf, size, &len, "%llu line%s missing", (unsigned long long)s->missing,
		    s->missing == 1 ? " is" : "s are");
	if (s->truncated)
		say(buf, size, &len, "the last line is cut off");
	if (!s->starts)
		say(buf, size, &len, s->lines ? "its beginning is missing" : "it holds no record");
	else if (s->ends < s->starts)
		say(buf, size, &len, "it has no end: the run goes on, or was killed");
	return len;
}
