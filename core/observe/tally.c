/* SPDX-License-Identifier: Apache-2.0
 * A hash table of refusals by kind. The hash is keyed: its input is the target's.
 */
#include "core/observe/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUCKETS = 2 * TALLY_KINDS_MAX, BYTES_MAX = 4 << 20 };

struct tally {
	pthread_mutex_t lock;
	uint64_t key, others;
	size_t n, bytes; /* bytes of targets */
	struct refusal kinds[TALLY_KINDS_MAX];
	uint16_t buckets[BUCKETS]; /* index of the kind plus one */
};

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x9e3779b97f4a7c15ULL ^ h >> 29;
	return h;
}

static bool same_words(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_kind(const struct refusal *a, const struct refusal *b)
{
	return a->op == b->op && a->rule == b->rule && a->by == b->by && a->is_address == b->is_address &&
	       a->action == b->action && a->err == b->err && a->target_len == b->target_len &&
	       memcmp(a->target, b->target, a->target_len) == 0 && same_words(a->detail, b->detail) &&
	       same_words(a->exe, b->exe);
}

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	if (getrandom(&t->key, sizeof(t->key), GRND_NONBLOCK) < 0)
		t->key = (uintptr_t)t;
	return t;
}

static bool keep_strings(struct refusal *r)
{
	char *target = malloc(r->target_len + 1);
	char *exe = strdup(r->exe);
	char *detail = r->detail ? strdup(r->detail) : NULL;

	if (!target || !exe || (r->detail && !detail)) {
		free(target);
		free(exe);
		free(detail);
		return false;
	}
	memcpy(target, r->target, r->target_len);
	target[r->target_len] = '\0';
	r->target = target;
	r->exe = exe;
	r->detail = detail;
	return true;
}

static void count(struct tally *t, struct refusal *r)
{
	uint64_t h = mix(t->key, r->target, r->target_len);

	h = mix(h, &r->rule, sizeof(r->rule));
	h = mix(h, r->exe, strlen(r->exe)) + r->op;
	h ^= h >> 32;
	for (size_t i = h % BUCKETS;; i = (i + 1) % BUCKETS) {
		if (!t->buckets[i]) {
			r->first = t->n;
			if (t->n == TALLY_KINDS_MAX || t->bytes > BYTES_MAX || !keep_strings(r)) {
				t->others++;
				return;
			}
			t->bytes += r->target_len;
			t->kinds[t->n++] = *r;
			t->buckets[i] = (uint16_t)t->n;
			return;
		}
		if (is_kind(&t->kinds[t->buckets[i] - 1], r)) {
			t->kinds[t->buckets[i] - 1].count++;
			return;
		}
	}
}

void tally_add(struct tally *t, const struct access_event *event, const char *exe)
{
	struct refusal r = {
		.op = event->op,
		.target = event->path ? event->path : event->address ? event->address : "",
		.is_address = !event->path,
		.rule = event->verdict.rule,
		.action = event->verdict.action,
		.by = event->by,
		.detail = event->detail,
		.exe = exe ? exe : "",
		.err = event->err,
		.count = 1,
	};

	r.target_len = event->path ? event->path_len : strlen(r.target);
	pthread_mutex_lock(&t->lock);
	count(t, &r);
	pthread_mutex_unlock(&t->lock);
}

const struct refusal *tally_kinds(const struct tally *t, size_t *ret_n, uint64_t *ret_others)
{
	*ret_n = t->n;
	*ret_others = t->others;
	return t->kinds;
}

/* The strings were malloc'ed by keep_strings(). */
static void free_words(const char *s)
{
	union {
		const char *c;
		char *m;
	} u = {.c = s};

	free(u.m);
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free_words(t->kinds[i].target);
		free_words(t->kinds[i].exe);
		free_words(t->kinds[i].detail);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}
