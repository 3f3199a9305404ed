/* SPDX-License-Identifier: Apache-2.0
 * What a record says of an execution: the program, the words and the directory that the process gives, and
 * the interpreters that the kernel opens by itself, which are executed as well.
 *
 * The words are read from memory that the process can change until the kernel reads it too: a claim. Files
 * are read here with bounds on everything, and what can't be understood is left out.
 */
#include "core/request.h"

#include "core/cleanup.h"
#include "core/sys.h"
#include "core/target/memory.h"

#include <elf.h>
#include <stdio.h>

enum { WORDS_MAX = 64, WORDS_BYTES = 4096, SCRIPTS_MAX = 5, HEADERS_MAX = 64, LINE_BYTES = 256 };

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

/* The interpreter of the ELF program FD: its length in BUF, or 0. */
static size_t elf_interpreter(int fd, char buf[PATH_MAX])
{
	Elf64_Ehdr e;

	if (pread(fd, &e, sizeof(e), 0) != sizeof(e) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
	    e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	for (unsigned i = 0; i < e.e_phnum && i < HEADERS_MAX; i++) {
		Elf64_Phdr p;

		if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) != sizeof(p))
			return 0;
		if (p.p_type != PT_INTERP)
			continue;
		if (p.p_filesz < 2 || p.p_filesz > PATH_MAX ||
		    pread(fd, buf, p.p_filesz, (off_t)p.p_offset) != (ssize_t)p.p_filesz ||
		    buf[p.p_filesz - 1] != '\0')
			return 0;
		return strlen(buf);
	}
	return 0;
}

/* The first word after "#!", as the kernel takes it. */
static size_t script_interpreter(int fd, char buf[PATH_MAX])
{
	char line[LINE_BYTES + 1];
	ssize_t n = pread(fd, line, LINE_BYTES, 0);
	size_t start, len;

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = '\0';
	start = 2 + strspn(line + 2, " \t");
	len = strcspn(line + start, " \t\n");
	memcpy(buf, line + start, len);
	buf[len] = '\0';
	return len;
}

/* The file that the kernel takes to run the program OBJ. */
static size_t next_interpreter(int obj, char buf[PATH_MAX], bool *ret_script)
{
	char link[32];
	_cleanup_close_ int fd = -EBADF;
	size_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", obj);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	n = script_interpreter(fd, buf);
	*ret_script = n > 0;
	return n ? n : elf_interpreter(fd, buf);
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

static void observe_interpreters(const struct request *q)
{
	struct resolved at[2];
	char path[PATH_MAX];
	int obj = S_ISREG(q->at[0].st.st_mode) ? q->at[0].obj : -EBADF;
	unsigned turn = 0;
	bool script = true;

	resolved_init(&at[0]);
	resolved_init(&at[1]);
	for (unsigned i = 0; i <= SCRIPTS_MAX && obj >= 0 && script; i++, turn ^= 1) {
		struct resolve_from from = {.tid = q->tid, .base = -EBADF};
		size_t len = next_interpreter(obj, path, &script);
		int r;

		if (!len)
			break;
		if (path[0] != '/')
			from.base = task_open_dir(q->tid, AT_FDCWD);
		resolved_done(&at[turn]);
		r = path[0] == '/' || from.base >= 0 ? resolve_path(&from, path, len, RESOLVE_FOLLOW, &at[turn]) : -1;
		cleanup_close(&from.base);
		if (r < 0 || at[turn].unnamed || !S_ISREG(at[turn].st.st_mode))
			break;
		observe_interpreter(q, &at[turn]);
		obj = at[turn].obj;
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
