/* SPDX-License-Identifier: Apache-2.0
 * An answer is about the object that the user was shown, and is remembered by its name. So what moves to a
 * name that was said yes to, or that is being asked about, must have been said yes to as well: else a yes to
 * one file, and a rename, would open another one. The policy does not see that: it asks about both.
 */
#include "core/ask/queue.h"

#include <string.h>

struct move {
	struct asker *a;
	const struct policy *policy;
	const char *from, *to;
	size_t from_len, to_len;
};

static bool is_beneath(const char *path, size_t len, const char *dir)
{
	size_t n = strlen(dir);

	return len > n && memcmp(path, dir, n) == 0 && path[n] == '/';
}

/* May an answer to G become one for the new name, and not for the old one? */
static bool is_about(const struct group *g, const struct move *m, enum op op, const struct rule *rule)
{
	if (g->q.op != op)
		return false;
	for (size_t i = 0; i < g->n_paths; i++)
		if (strlen(g->paths[i]) >= m->to_len && memcmp(g->paths[i], m->to, m->to_len) == 0 &&
		    (!g->paths[i][m->to_len] || g->paths[i][m->to_len] == '/'))
			return true;
	return g->near && g->q.rule == rule && is_beneath(m->to, m->to_len, g->near) &&
	       !is_beneath(m->from, m->from_len, g->near);
}

static bool widens(const struct move *m, enum op op)
{
	struct verdict old = policy_decide(m->policy, op, m->from, m->from_len);
	struct verdict new = policy_decide(m->policy, op, m->to, m->to_len);
	struct question q = {.op = op, .path = m->from, .path_len = m->from_len, .rule = old.rule};
	struct known_answer known;

	/* All else is the policy's to compare. */
	if (old.action != ACTION_ASK || new.action != ACTION_ASK)
		return false;
	if (answers_find(m->a->answers, &q, &known) && known.yes)
		return false;
	q = (struct question){.op = op, .path = m->to, .path_len = m->to_len, .rule = new.rule};
	if (answers_find(m->a->answers, &q, &known) && known.yes)
		return true;
	for (const struct group *g = m->a->queue; g; g = g->next)
		if (is_about(g, m, op, new.rule))
			return true;
	return false;
}

bool ask_move_widens(struct asker *a, const struct policy *policy, const struct ask_move *move)
{
	struct move m = {a, policy, move->from, move->to, move->from_len, move->to_len};
	bool wider = false, asks = false;

	if (a->config.front == ASK_NOBODY)
		return false;
	for (unsigned op = 0; op < OP_COUNT; op++)
		asks |= policy_asks(policy, op);
	if (!asks)
		return false;
	pthread_mutex_lock(&a->lock);
	for (unsigned op = 0; op < OP_COUNT && !wider; op++)
		wider = policy_asks(policy, op) && widens(&m, op);
	if (!wider && move->is_dir)
		wider = answers_move_widens(a->answers, m.from, m.from_len, m.to, m.to_len);
	pthread_mutex_unlock(&a->lock);
	return wider;
}
