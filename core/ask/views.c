/* SPDX-License-Identifier: Apache-2.0
 * What front ends see: the questions that wait with the answers that may be given, what was decided, and the
 * answers that are remembered.
 */
#include "core/ask/queue.h"

#include <stdlib.h>
#include <string.h>

unsigned queue_offered(const struct asker *a, const struct group *g)
{
	struct text line = {0};
	unsigned offered = 0;

	if (!g->folded || g->n_paths <= ASK_NAMES_MAX)
		offered |= 1u << SCOPE_ONCE;
	if (!g->folded)
		offered |= 1u << SCOPE_RUN;
	if (g->near)
		offered |= 1u << SCOPE_DIR;
	if (!g->folded && answers_line(a->answers, &line, &g->q, true))
		offered |= 1u << SCOPE_ALWAYS;
	text_done(&line);
	return offered;
}

void queue_view(struct asker *a, const struct group *g, const char **names, struct text *lines,
		struct ask_view *ret)
{
	size_t skip = g->folded ? strlen(g->near) + 1 : 0, no_line;

	*ret = (struct ask_view){
		.number = g->number,
		.nonce = g->nonce,
		.q = g->q,
		.dir = g->folded ? g->near : NULL,
		.names = names,
		.n_paths = (unsigned)g->n_paths,
		.offered = queue_offered(a, g),
		.left_ms = queue_deadline(a, g) - ask_now_ms(),
		.near = g->near,
	};
	for (size_t i = 0; g->folded && i < g->n_paths && i < ASK_NAMES_MAX; i++)
		names[ret->n_names++] = g->paths[i] + skip;
	text_reset(lines);
	if (!(ret->offered & 1u << SCOPE_ALWAYS) || !answers_line(a->answers, lines, &g->q, true))
		return;
	text_add(lines, "", 1);
	no_line = lines->len;
	if (!answers_line(a->answers, lines, &g->q, false))
		return;
	ret->yes_line = lines->data;
	ret->no_line = lines->data + no_line;
}

/* A view that stays valid without the lock. */
struct copy {
	struct group *g;
	struct ask_view v;
	const char *names[ASK_NAMES_MAX];
	struct text lines;
};

/* Under the lock: copies of the views above AFTER, each with a reference; *RET is malloc'ed. Strings of a
 * group stay where they are, the array of its names does not. */
static size_t copy_views(struct asker *a, uint64_t after, struct copy **ret)
{
	struct copy *copies = calloc(a->n_groups + 1, sizeof(*copies));
	size_t n = 0;

	for (struct group *g = copies ? a->queue : NULL; g; g = g->next) {
		if (g->number <= after)
			continue;
		queue_view(a, g, copies[n].names, &copies[n].lines, &copies[n].v);
		copies[n++].g = g;
		g->refs++;
	}
	*ret = copies;
	return n;
}

void ask_each(struct asker *a, uint64_t after, void (*each)(void *ctx, const struct ask_view *v), void *ctx)
{
	struct copy *copies;
	size_t n;

	pthread_mutex_lock(&a->lock);
	n = copy_views(a, after, &copies);
	pthread_mutex_unlock(&a->lock);
	/* Who shows a question looks up names of users, which may take long; workers take the lock. */
	for (size_t i = 0; i < n; i++) {
		each(ctx, &copies[i].v);
		text_done(&copies[i].lines);
		queue_unref(a, copies[i].g);
	}
	free(copies);
}

uint64_t ask_each_decision(struct asker *a, uint64_t after, void (*each)(void *ctx, const struct decision *d),
			   void *ctx)
{
	uint64_t first = after + 1, lost = 0;

	pthread_mutex_lock(&a->lock);
	if (a->last_seq > DECISIONS_MAX && first <= a->last_seq - DECISIONS_MAX) {
		lost = a->last_seq - DECISIONS_MAX + 1 - first;
		first += lost;
	}
	for (uint64_t seq = first; seq <= a->last_seq; seq++)
		each(ctx, &a->past[seq % DECISIONS_MAX].d);
	pthread_mutex_unlock(&a->lock);
	return lost;
}

void ask_each_answer(struct asker *a, void (*each)(void *ctx, unsigned number, const char *line), void *ctx)
{
	pthread_mutex_lock(&a->lock);
	answers_each(a->answers, each, ctx);
	pthread_mutex_unlock(&a->lock);
}

int ask_forget(struct asker *a, unsigned number)
{
	int r;

	pthread_mutex_lock(&a->lock);
	r = answers_forget(a->answers, number);
	pthread_mutex_unlock(&a->lock);
	return r;
}
