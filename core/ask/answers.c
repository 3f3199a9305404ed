/* SPDX-License-Identifier: Apache-2.0
 * The file of answers is written like a policy, so people can read and edit it; but its paths are
 * canonical names that sluice wrote, and a link that is planted there later must not lead an old answer to
 * another file: names are taken as they stand.
 *
 * And an answer is to one question. The file is read as an exact policy: a name is not what lies beneath it, and
 * write is not create and delete. So lines for two operations never meet, a line is written only for operations
 * that have no answer yet, and no sequence of answers makes a file that contradicts itself. What people wrote may
 * still clash with a new line: a text that is no policy, or would not say what was answered, is not put in place.
 */
#include "core/ask/answers.h"

#include "core/cleanup.h"
#include "core/resolve_literal.h"
#include "core/sys.h"

#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { ANSWERS_MAX = 4096, FILE_MAX = 1 << 20 };

/* An answer for the run: by operation and path, or by rule and directory. */
struct remembered {
	unsigned number;
	enum op op;
	char *path;
	size_t len;
	bool beneath;
	const char *rule_file, *rule_text; /* BENEATH: of the rule that asked */
	int rule_line;
	bool yes, always;
};

struct answers {
	/* immutable */
	char *file, *home;
	const char *shown;     /* the last component of file */
	struct policy *always; /* NULL: none */
	/* the owner's */
	struct remembered *items;
	size_t n;
	unsigned last_number;
};

void answers_where(char **ret_file, char **ret_home)
{
	_cleanup_free_ char *home = home_directory();

	*ret_home = home ? realpath(home, NULL) : NULL;
	if (!*ret_home || asprintf(ret_file, "%s/.config/sluice/answers.policy", *ret_home) < 0)
		*ret_file = NULL;
}

static const char *get_variable(void *ctx, const char *name)
{
	const struct answers *a = ctx;

	return strcmp(name, "HOME") == 0 ? a->home : NULL;
}

static const char *home_of(void *ctx, const char *user)
{
	const struct answers *a = ctx;

	return user && *user ? NULL : a->home;
}

static int keep_name(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	(void)ctx;
	*ret_link = *ret_links = NULL;
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}

/* All of FD; malloc'ed, NUL-terminated. */
static int read_all(int fd, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *data = malloc(FILE_MAX + 1);
	size_t len = 0;

	if (!data)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, data + len, FILE_MAX - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len == FILE_MAX)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret = data;
	*ret_len = len;
	data = NULL;
	return 0;
}

/* Open it if it is what we would have written: our own, and nobody else's to write. -ENOENT: not there. */
static int open_file(const char *file, struct stat *ret_st)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode) || (ret_st->st_uid != geteuid() && ret_st->st_uid != 0) ||
	    (ret_st->st_mode & 022))
		return -EPERM;
	return take_fd(&fd);
}

static struct policy *parse(const struct answers *a, const char *text, size_t len,
			    struct policy_error *ret_error)
{
	const struct policy_host host = {
		.ctx = (void *)(uintptr_t)a,
		.get_variable = get_variable,
		.home_of = home_of,
		.resolve = keep_name,
	};
	struct policy *p = policy_new(&host);

	snprintf(ret_error->text, sizeof(ret_error->text), "%s: out of memory", a->shown);
	if (p)
		policy_set_exact(p);
	if (p && policy_add_text(p, a->shown, RANK_USER, text, len, ret_error) == 0 &&
	    policy_finish(p, ret_error) == 0)
		return p;
	policy_free(p);
	return NULL;
}

static int load(struct answers *a, char **ret_warning)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct policy_error error = {""};
	struct stat st;
	size_t len;
	int r;

	fd = open_file(a->file, &st);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd == -EPERM || fd == -ELOOP)
		return asprintf(ret_warning, "%s: is not a file that only you can write", a->file) < 0
			       ? -ENOMEM
			       : 0;
	r = fd < 0 ? fd : read_all(fd, &text, &len);
	if (r < 0)
		return asprintf(ret_warning, "%s: %s", a->file, strerror(-r)) < 0 ? -ENOMEM : 0;
	a->always = parse(a, text, len, &error);
	return !a->always && asprintf(ret_warning, "%s", error.text) < 0 ? -ENOMEM : 0;
}

int answers_new(const char *file, const char *home, struct answers **ret, char **ret_warning)
{
	struct answers *a = calloc(1, sizeof(*a));
	const char *slash;
	int r = -ENOMEM;

	*ret_warning = NULL;
	if (!a)
		return -ENOMEM;
	a->file = file ? strdup(file) : NULL;
	a->home = home ? strdup(home) : NULL;
	if ((!file || a->file) && (!home || a->home)) {
		slash = a->file ? strrchr(a->file, '/') : NULL;
		a->shown = slash ? slash + 1 : a->file;
		r = file ? load(a, ret_warning) : 0;
	}
	if (r < 0) {
		answers_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void answers_free(struct answers *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		free(a->items[i].path);
	free(a->items);
	policy_free(a->always);
	free(a->file);
	free(a->home);
	free(a);
}

static bool same_word(const char *x, const char *y)
{
	return x == y || (x && y && strcmp(x, y) == 0);
}

static bool is_beneath(const char *path, size_t len, const char *dir, size_t dir_len)
{
	if (dir_len == 1)
		return len > 1;
	return len > dir_len && memcmp(path, dir, dir_len) == 0 && path[dir_len] == '/';
}

/* Another rule asks again: who wrote it meant what lies there to be asked about. Rules are compared by what
 * they say, since the same one is at another place after the rules have changed. */
static bool is_answer_to(const struct remembered *r, const struct question *q)
{
	if (r->op != q->op)
		return false;
	if (!r->beneath)
		return r->len == q->path_len && memcmp(r->path, q->path, r->len) == 0;
	return is_beneath(q->path, q->path_len, r->path, r->len) && q->rule &&
	       same_word(r->rule_file, q->rule->file) && r->rule_line == q->rule->line &&
	       same_word(r->rule_text, q->rule->text);
}

/* The line of P, a file of answers or NULL, that answers OP on the name in Q, or NULL. */
static const struct rule *find_line(const struct policy *p, enum op op, const struct question *q)
{
	struct verdict v;

	if (!p || !q->path_len || q->path[0] != '/')
		return NULL;
	v = policy_decide(p, op, q->path, q->path_len);
	return v.action == ACTION_ASK ? NULL : v.rule;
}

bool answers_find(const struct answers *a, const struct question *q, struct known_answer *ret)
{
	const struct rule *line;

	for (size_t i = a->n; i-- > 0;) { /* the latest first */
		if (!is_answer_to(&a->items[i], q))
			continue;
		ret->yes = a->items[i].yes;
		snprintf(ret->by, sizeof(ret->by), "an earlier answer");
		return true;
	}
	line = find_line(a->always, q->op, q);
	if (!line)
		return false;
	ret->yes = line->action == ACTION_ALLOW;
	snprintf(ret->by, sizeof(ret->by), "%.40s:%d", a->shown, line->line);
	return true;
}

bool answers_move_widens(const struct answers *a, const char *from, size_t from_len, const char *to,
			 size_t to_len)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].yes && is_beneath(a->items[i].path, a->items[i].len, to, to_len))
			return true;
	return a->always && policy_move_widens(a->always, from, from_len, to, to_len, true);
}

void answers_remember(struct answers *a, const struct question *q, const char *dir, enum ask_scope scope, bool yes)
{
	struct remembered *grown;
	const char *path = dir ? dir : q->path;
	size_t len = dir ? strlen(dir) : q->path_len;
	char *copy;

	if (a->n == ANSWERS_MAX || (dir && !q->rule))
		return;
	grown = realloc(a->items, (a->n + 1) * sizeof(*grown));
	if (!grown)
		return;
	a->items = grown;
	copy = strndup(path, len);
	if (!copy)
		return;
	a->items[a->n++] = (struct remembered){
		.number = ++a->last_number,
		.op = q->op,
		.path = copy,
		.len = len,
		.beneath = dir != NULL,
		.yes = yes,
		.always = scope == SCOPE_ALWAYS,
		/* The policy outlives the asker. */
		.rule_file = q->rule ? q->rule->file : NULL,
		.rule_text = q->rule ? q->rule->text : NULL,
		.rule_line = q->rule ? q->rule->line : 0,
	};
}

/* PATH as a word of a rule. */
static bool put_word(const struct answers *a, struct text *out, const char *path, size_t len)
{
	size_t n = policy_format_word(NULL, 0, path, len, a->home);
	_cleanup_free_ char *word = malloc(n + 1);

	if (!word)
		return false;
	policy_format_word(word, n + 1, path, len, a->home);
	text_add(out, word, n);
	return true;
}

void answers_each(const struct answers *a, void (*each)(void *ctx, unsigned number, const char *line),
		  void *ctx)
{
	struct text line = {0};

	for (size_t i = 0; i < a->n; i++) {
		const struct remembered *r = &a->items[i];

		text_reset(&line);
		text_printf(&line, "%s %s ", r->yes ? "allow" : "deny", op_names[r->op]);
		if (!put_word(a, &line, r->path, r->len) || line.failed)
			continue;
		if (r->beneath)
			text_puts(&line, r->len == 1 ? "**" : "/**");
		each(ctx, r->number, line.data);
	}
	text_done(&line);
}

int answers_forget(struct answers *a, unsigned number)
{
	for (size_t i = 0; i < a->n; i++) {
		if (a->items[i].number != number)
			continue;
		free(a->items[i].path);
		memmove(&a->items[i], &a->items[i + 1], (a->n - i - 1) * sizeof(*a->items));
		a->n--;
		return 0;
	}
	return -ENOENT;
}

/* Is OP on the name in Q answered for always, as far as this run knows? */
static bool has_answer(const struct answers *a, enum op op, const struct question *q)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->items[i].always && a->items[i].op == op && a->items[i].len == q->path_len &&
		    memcmp(a->items[i].path, q->path, q->path_len) == 0)
			return true;
	return find_line(a->always, op, q) != NULL;
}

opset answers_ops(const struct answers *a, const struct question *q, bool yes)
{
	/* Who may make a file may fill it: that was one question, unless there was one about that. */
	if (q->op == OP_CREATE && yes && !q->makes_dir && !has_answer(a, OP_WRITE, q))
		return OPBIT(OP_WRITE) | OPBIT(OP_CREATE);
	return OPBIT(q->op);
}

static bool put_line(const struct answers *a, struct text *out, const struct question *q, bool yes, opset ops)
{
	char words[64];

	if (!a->file || !q->path_len || q->path[0] != '/' || q->path_len >= 4096)
		return false;
	opset_format(ops, words, sizeof(words));
	text_printf(out, "%s %s ", yes ? "allow" : "deny", words);
	return put_word(a, out, q->path, q->path_len) && !out->failed;
}

bool answers_line(const struct answers *a, struct text *out, const struct question *q, bool yes)
{
	return put_line(a, out, q, yes, answers_ops(a, q, yes));
}

/* ~/.config/sluice, and ~/.config if need be. */
static int make_parents(const char *file)
{
	_cleanup_free_ char *dir = strdup(file);
	char *end = dir ? strrchr(dir, '/') : NULL, *up;

	if (!end || end == dir)
		return dir ? 0 : -ENOMEM;
	*end = '\0';
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	up = strrchr(dir, '/');
	if (errno != ENOENT || !up || up == dir)
		return -errno;
	*up = '\0';
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	*up = '/';
	return mkdir(dir, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static int write_all(int fd, const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(fd, s, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

/* When and for what; one line, whatever the command is called. */
static void put_comment(struct text *out, const char *command)
{
	struct tm tm;
	time_t now = time(NULL);
	char when[40] = "";

	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	text_printf(out, "# %s, asked by ", when);
	text_escaped(out, command ? command : "?", command ? strnlen(command, 200) : 1);
	text_puts(out, "\n");
}

/* Write the old text and the new line to TMP, and put it in FILE's place. */
static int replace(const struct answers *a, const char *tmp, const struct text *text, mode_t mode)
{
	_cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, text->data, text->len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r == 0 && rename(tmp, a->file) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

static int sync_dir(const char *file)
{
	_cleanup_free_ char *dir = strdup(file);
	_cleanup_close_ int fd = -EBADF;
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* What is to be added, and what for. */
struct addition {
	const struct question *q;
	bool yes;
	opset ops;
	const char *command;
};

/* Those of the operations that TEXT does not answer: another run may have added to it. -EEXIST: it answers one the
 * other way; -EBADMSG: it is no policy. */
static int unsaid(const struct answers *a, const char *text, size_t len, const struct addition *add, opset *ret)
{
	struct policy_error error;
	struct policy *p = parse(a, text, len, &error);
	opset ops = add->ops;
	const struct rule *line;
	bool opposite = false;

	if (!p)
		return -EBADMSG;
	for (unsigned op = 0; op < OP_COUNT; op++) {
		line = ops & OPBIT(op) ? find_line(p, op, add->q) : NULL;
		if (!line)
			continue;
		ops &= (opset)~OPBIT(op);
		opposite |= (line->action == ACTION_ALLOW) != add->yes;
	}
	policy_free(p);
	if (opposite)
		return -EEXIST;
	*ret = ops;
	return 0;
}

/* Is TEXT a file that the next run can read, and that says what was answered? */
static bool says(const struct answers *a, const struct text *text, const struct addition *add)
{
	struct policy_error error;
	struct policy *p = text->len < FILE_MAX ? parse(a, text->data, text->len, &error) : NULL;
	const struct rule *line;
	bool all = p != NULL;

	for (unsigned op = 0; all && op < OP_COUNT; op++) {
		if (!(add->ops & OPBIT(op)))
			continue;
		line = find_line(p, op, add->q);
		all = line && (line->action == ACTION_ALLOW) == add->yes;
	}
	policy_free(p);
	return all;
}

/* OLD, LEN bytes, and the line for OPS. */
static int put_file(const struct answers *a, struct text *out, const char *old, size_t len, const struct addition *add,
		    opset ops)
{
	if (len)
		text_add(out, old, len);
	else
		text_puts(out, "# Answers given with \"always\". They speak only where a policy asks, and each only for\n"
			       "# its operations on its very name: NAME/** is what lies beneath it.\n");
	if (len && old[len - 1] != '\n')
		text_puts(out, "\n");
	put_comment(out, add->command);
	if (!put_line(a, out, add->q, add->yes, ops))
		return out->failed ? -ENOMEM : -EINVAL;
	text_puts(out, "\n");
	return out->failed ? -ENOMEM : 0;
}

static int append_locked(const struct answers *a, const struct addition *add)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *old = NULL, *tmp = NULL;
	struct stat st = {.st_mode = 0600};
	struct text text = {0};
	opset ops = add->ops;
	size_t len = 0;
	int r;

	fd = open_file(a->file, &st);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	r = fd < 0 ? 0 : read_all(fd, &old, &len);
	if (r == -EFBIG)
		return -EBADMSG;
	if (r == 0 && old)
		r = unsaid(a, old, len, add, &ops);
	if (r < 0 || !ops)
		return r;
	if (asprintf(&tmp, "%s.new", a->file) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	r = put_file(a, &text, old, len, add, ops);
	if (r == 0 && !says(a, &text, add))
		r = -EBADMSG;
	unlink(tmp); /* of one that was killed; the lock is ours */
	if (r == 0)
		r = replace(a, tmp, &text, st.st_mode & 0777);
	text_done(&text);
	return r == 0 ? sync_dir(a->file) : r;
}

/* Several runs may write at once. The lock has a file of its own, since the other one is replaced. */
static int lock_file(const struct answers *a)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (asprintf(&name, "%s.lock", a->file) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (int tries = 20; flock(fd, LOCK_EX | LOCK_NB) < 0; tries--) {
		if (errno != EWOULDBLOCK || tries == 0)
			return -errno;
		nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	return take_fd(&fd);
}

int answers_append(const struct answers *a, const struct question *q, bool yes, opset ops, const char *command)
{
	const struct addition add = {q, yes, ops, command};
	_cleanup_close_ int lock = -EBADF;
	int r;

	if (!a->file)
		return -EINVAL;
	r = make_parents(a->file);
	if (r == 0)
		r = lock = lock_file(a);
	return r < 0 ? r : append_locked(a, &add);
}
