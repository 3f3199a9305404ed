/* SPDX-License-Identifier: Apache-2.0
 * An asker without a front, its callers, and what it shows.
 */
#pragma once
#include "core/ask/ask.h"
#include "core/ask/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct rule rule = {.action = ACTION_ASK, .file = "p", .line = 1, .text = "ask read **/x"};
static const struct rule other_rule = {.action = ACTION_ASK, .file = "p", .line = 2, .text = "ask read /d/e"};

static inline struct asker *make(const char *answers)
{
	struct asker_config config = {
		.front = ASK_CLIENTS, .answers = answers, .home = "/home/u", .command = "c\nmd"};
	struct asker *a;

	assert_int_equal(asker_new(&config, &a), 0);
	return a;
}

static inline struct question about(enum op op, const char *path)
{
	return (struct question){.op = op,
				 .path = path,
				 .path_len = strlen(path),
				 .rule = &rule,
				 .pid = getpid(),
				 .tid = getpid(),
				 .exe = "/bin/x",
				 .exists = true,
				 .mode = 0100644};
}

struct caller {
	atomic_int told, answer;
};

static inline void take(void *ctx, enum answer answer)
{
	struct caller *c = ctx;

	atomic_store(&c->answer, (int)answer);
	atomic_fetch_add(&c->told, 1);
}

static inline void submit(struct asker *a, struct caller *c, enum op op, const char *path)
{
	struct question q = about(op, path);

	atomic_store(&c->told, 0);
	ask_submit(a, &q, take, c);
}

struct views {
	struct ask_view v[64];
	char path[64][64], yes[64][128];
	unsigned n;
};

static inline void keep_view(void *ctx, const struct ask_view *v)
{
	struct views *all = ctx;

	assert_true(all->n < 64);
	all->v[all->n] = *v;
	snprintf(all->path[all->n], sizeof(all->path[0]), "%s", v->dir ? v->dir : v->q.path);
	snprintf(all->yes[all->n], sizeof(all->yes[0]), "%s", v->yes_line ? v->yes_line : "");
	all->n++;
}

static inline struct views look(struct asker *a)
{
	struct views all = {.n = 0};

	ask_each(a, 0, keep_view, &all);
	return all;
}

static inline int reply(struct asker *a, const struct ask_view *v, enum answer answer, enum ask_scope scope)
{
	struct ask_reply r = {.answer = answer, .scope = scope, .n_paths = v->n_paths, .by = "test"};

	return ask_answer(a, v->number, v->nonce, &r);
}

static inline void assert_told(struct caller *c, enum answer answer)
{
	assert_int_equal(atomic_load(&c->told), 1);
	assert_int_equal(atomic_load(&c->answer), answer);
}
