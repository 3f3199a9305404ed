/* SPDX-License-Identifier: Apache-2.0
 * What a record says of an execution: the program, the words and the directory that the process gives, and
 * the interpreters that the kernel opens by itself, which are executed as well.
 *
 * The words are read from memory that the process can change until the kernel reads it too: a claim.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/programs.h"
#include "core/sys.h"
#include "core/target/memory.h"

#include <stdio.h>

enum { WORDS_MAX = 64, WORDS_BYTES = 4096, SCRIPTS_MAX = 5 };

/* The pointers of the list at AT, up to its end, page by page. */
static size_t read_pointers(const struct request *q, uint64_t at, uint64_t ret[WORDS_MAX])
{
	size_t n = 0;

	while (at && n < WORDS_MAX) {
		size_t more = target_on_page(at, (WORDS_MAX - n) * sizeof(*ret)) / sizeof(*ret);

		more += more == 0; /* one that lies on two pages */
		if (target_read(q->tid, at, ret + n, more * sizeof(*ret)) < 0)
			break;
		for (size_t i = 0; i < more; i++, n++)
			if (!ret[n])
				return n;
		at += more * sizeof(*ret);
	}
	return n;
}

static void read_words(const struct request *q, uint64_t at, char *store, const char **ret, bool *ret_cut)
{
	char glanced[WORDS_MAX][TARGET_GLANCE];
	uint64_t words[WORDS_MAX];
	ssize_t lens[WORDS_MAX];
	size_t n = read_pointers(q, at, words), used = 0, i;
	size_t seen = n ? target_glance(q->tid, words, n, glanced, lens) : 0;

	*ret_cut = n == WORDS_MAX;
	for (i = 0; i < n; i++) {
		size_t room = WORDS_BYTES - used;
		ssize_t len = -1;

		if (i < seen && lens[i] >= 0 && (size_t)lens[i] < room) {
			len = lens[i];
			memcpy(store + used, glanced[i], (size_t)len + 1);
		} else if (room) {
			len = target_read_string(q->tid, words[i], store + used, room);
		}
		if (len < 0) {
			*ret_cut = true;
			break;
		}
		ret[i] = store + used;
		used += (size_t)len + 1;
	}
	ret[i] = NULL;
}

static void observe_interpreter(const struct request *q, const struct resolved *at)
{
	struct access_event e = {
		.pid = q->tid, .tid = q->tid, .call = q->call->name, .op = OP_EXEC, .path = at->name,
		.path_len = at->name_len, .exists = 1, .allowed = true, .reply = REPLY_KERNEL,
		.verdict = plan_decide(q->rules->plan, OP_EXEC, at->name, at->name_len), .layer = LAYER_LANDLOCK,
	};

	e.by = e.verdict.rule ? BY_RULE : BY_DEFAULT;
	if (e.verdict.action == ACTION_ALLOW)
		observe_access(q->sup->observer, &e);
}

/* Where PATH leads the kernel, or memory. */
static int resolve_interpreter(const struct request *q, const char *path, size_t len, struct resolved *ret)
{
	const struct cache_base none = {0};
	struct memo_question question = {
		.cache = q->sup->cache, .base = &none, .tid = q->tid, .dirfd = AT_FDCWD, .path = path, .len = len,
		.op = OP_STAT, .follow = true,
	};
	struct resolve_from from = {.tid = q->tid, .base = -EBADF};
	struct cache_key key = {0};
	bool known = q->sup->memo && path[0] == '/' && !q->acts_as_target;
	int r = known ? memo_recall(q->sup->memo, &question, ret, &key) : 1;

	if (r != 1)
		return r;
	if (path[0] != '/') {
		from.base = task_open_dir(q->tid, AT_FDCWD);
		if (from.base < 0)
			return from.base;
	}
	r = resolve_path(&from, path, len, RESOLVE_FOLLOW, ret);
	cleanup_close(&from.base);
	if (r == 0 && key.a)
		memo_learn(q->sup->memo, q->sup->cache, &key, ret);
	return r;
}

static void observe_interpreters(const struct request *q)
{
	struct resolved at[2];
	char path[PATH_MAX];
	const struct resolved *program = &q->at[0];
	unsigned turn = 0;
	bool script = true;

	resolved_init(&at[0]);
	resolved_init(&at[1]);
	for (unsigned i = 0; i <= SCRIPTS_MAX && script && S_ISREG(program->st.st_mode); i++, turn ^= 1) {
		size_t len = program_interpreter(program, path, &script);

		resolved_done(&at[turn]);
		if (!len || resolve_interpreter(q, path, len, &at[turn]) < 0 || at[turn].unnamed ||
		    !S_ISREG(at[turn].st.st_mode))
			break;
		program = &at[turn];
		observe_interpreter(q, program);
	}
	resolved_done(&at[0]);
	resolved_done(&at[1]);
}

void request_observe_exec(struct request *q)
{
	const char *words[WORDS_MAX + 1];
	char store[WORDS_BYTES], cwd[PATH_MAX], link[32];
	struct exec_event e = {
		.pid = q->tid, .path = q->at[0].name, .path_len = q->at[0].name_len, .argv = words,
	};
	ssize_t n;

	if (!q->sup->wants_allowed)
		return;
	read_words(q, q->args[q->call->nr == SYS_execveat ? 2 : 1], store, words, &e.argv_cut);
	snprintf(link, sizeof(link), "/proc/%d/cwd", q->tid);
	n = readlink(link, cwd, sizeof(cwd) - 1);
	if (n > 0) {
		cwd[n] = '\0';
		e.cwd = cwd;
	}
	observe_interpreters(q);
	/* Last: what is seen of it from here on is the new program. */
	observe_exec(q->sup->observer, &e);
}
