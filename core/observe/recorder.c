/* SPDX-License-Identifier: Apache-2.0
 * The record's buffer and its writer thread.
 *
 * Two buffers take turns: `pending` collects under the lock, the other is written outside of it.
 * Sequence numbers are given under the same lock, so their order is the order of the lines.
 *
 * After a failed write a regular file is cut back to its last whole line; a pipe can't be, so its
 * reader may see one broken line before the `lost` line.
 */
#include "core/observe/recorder.h"
#include "core/observe/outfile.h"
#include "core/observe/text.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PENDING_MAX = 16 << 20, COLLECT_NS = 10000000 };

struct recorder {
	/* immutable after recorder_new */
	int fd;
	bool regular;
	pthread_t thread;

	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct text pending;
	uint64_t pending_lines, seq, lost, lost_told;
	int error;
	bool writing, hurry, stop;
	time_t second;
	char second_words[40];

	/* owner: writer thread */
	off_t good; /* bytes of whole lines in a regular file */
};

/* The seconds are made into words once for all lines that fall in one. */
static void put_time(struct recorder *r)
{
	struct timespec now;
	struct tm tm;
	char micros[16];

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != r->second || !r->second_words[0]) {
		gmtime_r(&now.tv_sec, &tm);
		strftime(r->second_words, sizeof(r->second_words), "%Y-%m-%dT%H:%M:%S", &tm);
		r->second = now.tv_sec;
	}
	text_puts(&r->pending, r->second_words);
	text_add(&r->pending, micros, (size_t)snprintf(micros, sizeof(micros), ".%06ldZ", now.tv_nsec / 1000));
}

static void add_line(struct recorder *r, const char *type, const char *fields, size_t len)
{
	text_puts(&r->pending, "{\"type\":\"");
	text_puts(&r->pending, type);
	text_puts(&r->pending, "\",\"seq\":");
	text_add_u64(&r->pending, ++r->seq);
	text_puts(&r->pending, ",\"time\":\"");
	put_time(r);
	text_puts(&r->pending, "\"");
	text_add(&r->pending, fields, len);
	text_puts(&r->pending, "}\n");
	r->pending_lines++;
	if (r->pending.failed) {
		r->lost += r->pending_lines;
		r->pending_lines = 0;
		text_reset(&r->pending);
	}
}

void recorder_add(struct recorder *r, const char *type, const char *fields, size_t len)
{
	size_t before;
	bool wakes;

	pthread_mutex_lock(&r->lock);
	before = r->pending.len;
	if (r->pending.len + len > PENDING_MAX)
		r->lost++;
	else
		add_line(r, type, fields, len);
	wakes = before == 0 || (before < PENDING_MAX / 2 && r->pending.len >= PENDING_MAX / 2);
	pthread_mutex_unlock(&r->lock);
	if (wakes)
		pthread_cond_broadcast(&r->changed);
}

/* Tell of lines that were lost, before the next that is not. Under the lock. */
static void tell_lost(struct recorder *r)
{
	char fields[160];
	uint64_t n = r->lost - r->lost_told;

	if (!n)
		return;
	r->lost_told = r->lost;
	add_line(r, "lost", fields,
		 (size_t)snprintf(fields, sizeof(fields), ",\"count\":%llu,\"what\":\"lines of this record: %s\"",
				  (unsigned long long)n, r->error ? strerrordesc_np(r->error) : "no memory"));
}

static uint64_t count_lines(const char *s, size_t len)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\n';
	return n;
}

/* Write outside of the lock; the number of lines that did not get out, *RET_ERROR why. */
static uint64_t write_out(struct recorder *r, const struct text *t, int *ret_error)
{
	size_t written;
	int err = outfile_write(r->fd, r->regular, t->data, t->len, &written);

	*ret_error = -err;
	if (err >= 0) {
		r->good += (off_t)t->len;
		return 0;
	}
	while (written && t->data[written - 1] != '\n')
		written--;
	r->good += (off_t)written;
	if (r->regular && (ftruncate(r->fd, r->good) < 0 || lseek(r->fd, r->good, SEEK_SET) < 0))
		*ret_error = errno;
	return count_lines(t->data + written, t->len - written);
}

/* Let more lines come together, so that who adds them seldom has to wake this thread. */
static void collect(struct recorder *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += COLLECT_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!r->stop && !r->hurry && r->pending.len < PENDING_MAX / 2)
		if (pthread_cond_clockwait(&r->changed, &r->lock, CLOCK_MONOTONIC, &until) != 0)
			return;
}

static void *writer_main(void *arg)
{
	struct recorder *r = arg;
	struct text out = {0};

	pthread_mutex_lock(&r->lock);
	for (;;) {
		struct text swap;
		uint64_t lost;
		int err;

		while (!r->pending.len && !r->stop)
			pthread_cond_wait(&r->changed, &r->lock);
		if (!r->pending.len)
			break;
		collect(r);
		swap = r->pending;
		r->pending = out;
		out = swap;
		text_reset(&r->pending);
		r->pending_lines = 0;
		r->writing = true;
		pthread_mutex_unlock(&r->lock);
		lost = write_out(r, &out, &err);
		pthread_mutex_lock(&r->lock);
		r->writing = false;
		r->lost += lost;
		if (err)
			r->error = err;
		else
			tell_lost(r);
		pthread_cond_broadcast(&r->changed);
	}
	pthread_mutex_unlock(&r->lock);
	text_done(&out);
	return NULL;
}

int recorder_new(const char *path, struct recorder **ret)
{
	struct recorder *r = calloc(1, sizeof(*r));
	sigset_t all, old;
	int err;

	if (!r)
		return -ENOMEM;
	r->fd = outfile_open(path, &r->regular);
	if (r->fd < 0) {
		err = r->fd;
		free(r);
		return err;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&r->thread, NULL, writer_main, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		close(r->fd);
		free(r);
		return -err;
	}
	*ret = r;
	return 0;
}

uint64_t recorder_lost(struct recorder *r, int *ret_errno)
{
	uint64_t n;

	pthread_mutex_lock(&r->lock);
	n = r->lost;
	*ret_errno = r->error;
	pthread_mutex_unlock(&r->lock);
	return n;
}

void recorder_drain(struct recorder *r)
{
	pthread_mutex_lock(&r->lock);
	r->hurry = true;
	pthread_cond_broadcast(&r->changed);
	while (r->pending.len || r->writing)
		pthread_cond_wait(&r->changed, &r->lock);
	r->hurry = false;
	tell_lost(r);
	pthread_mutex_unlock(&r->lock);
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	close(r->fd);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	text_done(&r->pending);
	free(r);
}
