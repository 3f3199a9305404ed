/* SPDX-License-Identifier: Apache-2.0
 * Lines of records collected for a page: runs, and what was accessed. Who did it is in page_process.c.
 */
#include "core/log/page.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void run_free(struct page_run *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_processes; i++)
		free(r->processes[i].args);
	free(r->processes);
	free(r->latest);
	free(r->paths);
	free(r->kinds);
	free(r->rows);
	free(r->addresses);
	free(r->questions);
	log_table_done(&r->strings);
	log_table_done(&r->pids);
	log_table_done(&r->path_keys);
	log_table_done(&r->kind_keys);
	log_table_done(&r->row_keys);
	log_table_done(&r->address_keys);
	text_done(&r->policies);
	text_done(&r->lost);
	text_done(&r->unwatched);
	places_done(&r->places);
	places_done(&r->checks);
	free(r->their_home);
	free(r);
}

struct log_page *log_page_new(const struct log_filter *filter, const struct policy *credentials)
{
	struct log_page *p = calloc(1, sizeof(*p));

	if (p)
		*p = (struct log_page){.filter = filter, .credentials = credentials};
	return p;
}

void log_page_free(struct log_page *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_runs; i++)
		run_free(p->runs[i]);
	for (size_t i = 0; i < p->n_files; i++)
		free(p->files[i].name);
	free(p->files);
	free(p);
}

void *page_room(void *array, size_t i, size_t *cap, size_t size)
{
	size_t n = *cap ? 2 * *cap : 64;
	char *grown;

	if (i < *cap)
		return array;
	while (n <= i)
		n *= 2;
	grown = realloc(array, n * size);
	if (!grown)
		return NULL;
	memset(grown + *cap * size, 0, (n - *cap) * size);
	*cap = n;
	return grown;
}

static size_t bounded(size_t len)
{
	return len < PAGE_STRING_MAX ? len : PAGE_STRING_MAX;
}

/* No room for further strings. */
static bool is_full(const struct page_run *r)
{
	return r->string_bytes > PAGE_STRINGS_MAX;
}

uint32_t page_string(struct page_run *r, struct record_bytes s)
{
	size_t before = r->strings.n, len = bounded(s.len);
	int64_t n = !len	 ? 0
		    : is_full(r) ? log_table_find(&r->strings, s.data, len)
				 : log_table_add(&r->strings, s.data, len);

	if (r->strings.n > before)
		r->string_bytes += len;
	return n > 0 ? (uint32_t)n : 0;
}

static uint32_t target_of(struct page_run *r, const struct record_line *line)
{
	return page_string(r, line->path.data ? line->path : line->address);
}

/* The number of KEY in T; -ENOENT if it is new and there is no room for it. */
static int64_t number_in(struct log_table *t, const void *key, size_t size, bool has_room)
{
	return has_room ? log_table_add(t, key, size) : log_table_find(t, key, size);
}

static struct page_run *run_new(void)
{
	struct page_run *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->first_root = r->last_root = -1;
	r->start_us = r->last_us = -1;
	r->uid = -1;
	r->status = -1;
	r->complete = -1;
	r->buckets.width_us = 1000;
	if (log_table_add(&r->strings, "", 0) != 0) {
		run_free(r);
		return NULL;
	}
	return r;
}

/* ---- accesses ---- */

static void count_time(struct page_run *r, const struct record_line *line, bool refused)
{
	struct page_buckets *b = &r->buckets;
	int64_t at = line->time_us - r->start_us;

	if (line->time_us < 0 || r->start_us < 0 || at < 0)
		return;
	while (at / b->width_us >= PAGE_BUCKETS) {
		for (size_t i = 0; i < PAGE_BUCKETS; i++) {
			bool in = 2 * i + 1 < PAGE_BUCKETS;

			b->allowed[i] = in ? b->allowed[2 * i] + b->allowed[2 * i + 1] : 0;
			b->refused[i] = in ? b->refused[2 * i] + b->refused[2 * i + 1] : 0;
		}
		b->width_us *= 2;
	}
	*(refused ? &b->refused[at / b->width_us] : &b->allowed[at / b->width_us]) += 1;
}

static int count_path(struct page_run *r, const struct record_line *line, struct record_bytes path)
{
	enum log_verdict v = log_verdict_of(line);
	struct page_path *grown;
	size_t before;
	int64_t n;

	if (!path.data)
		return 0;
	before = r->path_keys.n;
	n = number_in(&r->path_keys, path.data, path.len,
		      before < PAGE_PATHS_MAX && path.len <= PAGE_STRING_MAX &&
			      r->path_bytes <= PAGE_STRINGS_MAX);
	if (n == -ENOENT) {
		r->more_paths++;
		return 0;
	}
	r->path_bytes += r->path_keys.n > before ? path.len : 0;
	grown = n < 0 ? NULL : page_room(r->paths, (size_t)n, &r->paths_cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->paths = grown;
	grown[n].accesses += line->count;
	grown[n].missing |= v == LOG_MISSING;
	if (line->op < OP_COUNT && v == LOG_ALLOW && !line->err)
		grown[n].done |= OPBIT(line->op);
	if (line->op < OP_COUNT && v == LOG_DENY)
		grown[n].refused |= OPBIT(line->op);
	return 0;
}

static int count_kind(struct page_run *r, const struct record_line *line)
{
	uint32_t target = target_of(r, line);
	struct {
		uint32_t op, target, rule, by, detail, err;
	} key = {line->op,
		 target,
		 page_string(r, line->rule),
		 page_string(r, line->by),
		 page_string(r, line->detail),
		 (uint32_t)line->err};
	uint32_t exe = page_string(r, line->exe);
	struct page_kind *k;
	size_t before = r->kind_keys.n;
	int64_t n;

	n = number_in(&r->kind_keys, &key, sizeof(key), before < PAGE_KINDS_MAX && !is_full(r));
	if (n == -ENOENT) {
		r->more_kinds += line->count;
		return 0;
	}
	k = n < 0 ? NULL : page_room(r->kinds, (size_t)n, &r->kinds_cap, sizeof(*k));
	if (!k)
		return -ENOMEM;
	r->kinds = k;
	k += n;
	if ((size_t)n == before)
		*k = (struct page_kind){.op = line->op,
					.target = target,
					.rule = key.rule,
					.rule_text = page_string(r, line->rule_text),
					.by = key.by,
					.detail = key.detail,
					.exe = exe,
					.is_address = !line->path.data,
					.err = line->err,
					.first_us = line->time_us};
	k->count += line->count;
	if (exe != k->exe && !k->exe2)
		k->exe2 = exe;
	else if (exe != k->exe && exe != k->exe2)
		k->more_exes = true;
	return 0;
}

/* No row has a target that is not among the strings. */
static bool is_known_target(const struct page_run *r, const struct record_line *line)
{
	struct record_bytes s = line->path.data ? line->path : line->address;

	return !s.len || log_table_find(&r->strings, s.data, bounded(s.len)) >= 0;
}

static int count_row(struct page_run *r, const struct record_line *line, int32_t process)
{
	enum log_verdict v = log_verdict_of(line);
	struct {
		uint32_t process, op, verdict, target, target2, rule, err;
	} key;
	struct page_row *row;
	size_t before = r->row_keys.n, max = v == LOG_DENY ? PAGE_REFUSED_ROWS : PAGE_OTHER_ROWS;
	size_t have = v == LOG_DENY ? r->refused_rows : before - r->refused_rows;
	bool has_room = have < max && !is_full(r);
	int64_t n = -ENOENT;

	if (has_room || is_known_target(r, line)) {
		key = (__typeof__(key)){.process = (uint32_t)process,
					.op = page_string(r, line->op_word),
					.verdict = v,
					.target = target_of(r, line),
					.target2 = page_string(r, line->path2),
					.rule = page_string(r, line->rule),
					.err = (uint32_t)line->err};
		n = number_in(&r->row_keys, &key, sizeof(key), has_room);
	}
	if (n == -ENOENT) {
		r->more_rows += line->count;
		return 0;
	}
	row = n < 0 ? NULL : page_room(r->rows, (size_t)n, &r->rows_cap, sizeof(*row));
	if (!row)
		return -ENOMEM;
	r->rows = row;
	row += n;
	if ((size_t)n == before) {
		*row = (struct page_row){.time_us = line->time_us,
					 .process = key.process,
					 .target = key.target,
					 .target2 = key.target2,
					 .rule = key.rule,
					 .syscall = page_string(r, line->syscall),
					 .op_word = key.op,
					 .verdict = v,
					 .err = line->err};
		r->refused_rows += v == LOG_DENY;
	}
	row->count += line->count;
	return 0;
}

static int count_address(struct page_run *r, const struct record_line *line)
{
	struct {
		uint32_t address, exe, op;
	} key = {page_string(r, line->address), page_string(r, line->exe), line->op};
	struct page_address *a;
	int64_t n;

	n = number_in(&r->address_keys, &key, sizeof(key), r->address_keys.n < PAGE_KINDS_MAX && !is_full(r));
	if (n == -ENOENT) {
		r->more_addresses += line->count;
		return 0;
	}
	a = n < 0 ? NULL : page_room(r->addresses, (size_t)n, &r->addresses_cap, sizeof(*a));
	if (!a)
		return -ENOMEM;
	r->addresses = a;
	a += n;
	a->address = key.address;
	a->exe = key.exe;
	a->op = line->op;
	*(log_verdict_of(line) == LOG_DENY ? &a->refused : &a->allowed) += line->count;
	return 0;
}

static int add_question(struct page_run *r, const struct record_line *line)
{
	struct page_question *grown;

	if (r->n_questions == PAGE_QUESTIONS_MAX) {
		r->more_questions++;
		return 0;
	}
	grown = page_room(r->questions, r->n_questions, &r->questions_cap, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->questions = grown;
	grown[r->n_questions++] = (struct page_question){
		.time_us = line->time_us,
		.waited_us = (int64_t)line->dur_us,
		.op_word = page_string(r, line->op_word),
		.path = page_string(r, line->path.data ? line->path : line->address),
		.exe = page_string(r, line->exe),
		.rule = page_string(r, line->rule),
		.answer = page_string(r, line->answer),
		.scope = page_string(r, line->scope),
		.by = page_string(r, line->answered_by),
		.callers = line->callers,
	};
	return 0;
}

static int add_access(struct page_run *r, const struct record_line *line, int32_t process)
{
	enum log_verdict v = log_verdict_of(line);
	bool refused = v == LOG_DENY && line->err != EXDEV;
	int err;

	r->accesses += line->count;
	r->refused += refused ? line->count : 0;
	r->missing += v == LOG_MISSING ? line->count : 0;
	r->moves += v == LOG_DENY && line->err == EXDEV ? line->count : 0;
	if (process >= 0) {
		r->processes[process].accesses += line->count;
		r->processes[process].refused += refused ? line->count : 0;
	}
	count_time(r, line, refused);
	err = count_row(r, line, process);
	if (err == 0)
		err = count_path(r, line, line->path);
	if (err == 0)
		err = count_path(r, line, line->path2);
	if (err == 0 && line->address.data)
		err = count_address(r, line);
	if (err == 0 && refused)
		err = count_kind(r, line);
	return err;
}

/* ---- start and end ---- */

/* PATH, if it lies in the home of the run's user: where that would be in the present user's. Malloc'ed. */
static char *moved_home(const struct page_run *r, const char *path, size_t len)
{
	size_t home = r->their_home ? strlen(r->their_home) : 0;
	char *moved;

	if (!home || !r->checks.home || len < home || memcmp(path, r->their_home, home) != 0 ||
	    (len > home && path[home] != '/'))
		return strndup(path, len);
	return asprintf(&moved, "%s%.*s", r->checks.home, (int)(len - home), path + home) < 0 ? NULL : moved;
}

bool page_may_offer(const struct page_run *r, const char *path, size_t len, bool dir)
{
	char *moved = moved_home(r, path, len);
	bool may = moved && r->checks.policy &&
		   (dir ? remedy_may_name_dir(&r->checks, moved, strlen(moved))
			: remedy_may_name_object(&r->checks, moved, strlen(moved)));

	free(moved);
	return may;
}

/* Whose home is whose: what a record calls /home/x/.ssh is to be as well kept as the present user's. */
static void know_homes(struct page_run *r, const struct record_line *line, const struct policy *credentials)
{
	places_init(&r->checks, credentials);
	free(r->checks.pwd);
	r->checks.pwd = NULL;
	if (line->uid < 0 || line->uid == (int64_t)getuid()) {
		places_init(&r->places, NULL);
		free(r->places.pwd);
		r->places.pwd = NULL;
	} else {
		const struct passwd *user = getpwuid((uid_t)line->uid);
		const char *cwd = line->cwd.data ? line->cwd.data : "";
		size_t len = strncmp(cwd, "/home/", 6) == 0 ? 6 + strcspn(cwd + 6, "/") : 0;

		if (user && user->pw_dir && user->pw_dir[0] == '/' && user->pw_dir[1])
			r->their_home = strdup(user->pw_dir);
		else if (len > 6)
			r->their_home = strndup(cwd, len);
	}
	if (line->cwd.data)
		r->checks.pwd = moved_home(r, line->cwd.data, line->cwd.len);
}

static void add_start(struct page_run *r, const struct record_line *line, const struct policy *credentials)
{
	struct text argv = {0};

	r->has_start = true;
	for (size_t i = 0; i < line->argv.n && argv.len < 4096; i++) {
		text_puts(&argv, i ? " " : "");
		text_add(&argv, line->argv.items[i].data, bounded(line->argv.items[i].len));
	}
	if (!argv.failed && argv.len)
		r->argv = page_string(r, (struct record_bytes){argv.data, argv.len});
	text_done(&argv);
	r->cwd = page_string(r, line->cwd);
	r->name = page_string(r, line->name);
	r->sluice = page_string(r, line->sluice);
	r->kernel = page_string(r, line->kernel);
	r->run_id = page_string(r, line->run_id);
	r->uid = line->uid;
	r->start_us = line->time_us;
	know_homes(r, line, credentials);
	for (size_t i = 0; i < line->n_policies && i < 64; i++) {
		text_puts(&r->policies, i ? "<br><code" : "<code");
		if (line->policies[i].sha256.data) {
			text_puts(&r->policies, " title=\"SHA-256 ");
			html_escaped(&r->policies, line->policies[i].sha256.data,
				     bounded(line->policies[i].sha256.len));
			text_puts(&r->policies, "\"");
		}
		text_puts(&r->policies, ">");
		html_path(r, &r->policies, line->policies[i].path.data ? line->policies[i].path.data : "",
			  bounded(line->policies[i].path.len));
		text_puts(&r->policies, "</code>");
	}
}

static void add_list(struct text *out, const struct record_list *list)
{
	for (size_t i = 0; i < list->n && i < 64; i++) {
		text_puts(out, "<li>");
		html_escaped(out, list->items[i].data, bounded(list->items[i].len));
		text_puts(out, "</li>");
	}
}

static void add_end(struct page_run *r, const struct record_line *line)
{
	r->has_end = true;
	r->status = line->status;
	r->signal = line->signal;
	r->complete = line->complete;
	r->told_accesses = line->accesses;
	r->told_refusals = line->refusals;
	r->lost_lines = line->lost_lines;
	add_list(&r->lost, &line->lost);
	add_list(&r->unwatched, &line->unwatched);
}

int log_page_add(struct log_page *p, const struct record_line *line, bool matches)
{
	struct page_run *r;
	int32_t process;

	if (!p->in_file || line->run != p->run) {
		p->in_file = true;
		p->run = line->run;
		if (p->n_runs == PAGE_RUNS_MAX) {
			p->more_runs++;
			return 0;
		}
		p->runs[p->n_runs] = run_new();
		if (!p->runs[p->n_runs])
			return -ENOMEM;
		p->n_runs++;
	}
	if (p->more_runs)
		return 0;
	r = p->runs[p->n_runs - 1];
	r->lines++;
	r->matching += matches;
	if (r->start_us < 0)
		r->start_us = line->time_us;
	if (line->time_us > r->last_us)
		r->last_us = line->time_us;
	if (line->type == RECORD_START)
		add_start(r, line, p->credentials);
	if (line->type == RECORD_END)
		add_end(r, line);
	process = page_process_of(r, line);
	if (line->type == RECORD_ASK && matches)
		return add_question(r, line);
	return line->type == RECORD_ACCESS && matches ? add_access(r, line, process) : 0;
}

int log_page_end_file(struct log_page *p, const char *file, const struct record_state *state)
{
	struct page_file *grown = realloc(p->files, (p->n_files + 1) * sizeof(*grown));

	p->in_file = false;
	if (!grown)
		return -ENOMEM;
	p->files = grown;
	grown[p->n_files].name = strdup(file);
	if (!grown[p->n_files].name)
		return -ENOMEM;
	grown[p->n_files++].state = *state;
	return 0;
}
