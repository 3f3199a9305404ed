/* SPDX-License-Identifier: Apache-2.0
 * The processes of a run, collected for a page.
 *
 * The tree: a process hangs below the parent that it was first seen with. What would close a circle, or
 * nest deeper than PAGE_DEPTH_MAX, hangs at the root instead.
 */
#include "core/log/page.h"

#include <stdlib.h>
#include <string.h>

static bool is_above(const struct page_run *r, int32_t above, int32_t p)
{
	for (; p >= 0; p = r->processes[p].parent)
		if (p == above)
			return true;
	return false;
}

static void hang(struct page_run *r, int32_t i, int32_t parent)
{
	struct page_process *p = &r->processes[i];
	int32_t *last;

	if (parent >= 0 && (is_above(r, i, parent) || r->processes[parent].depth + 1 >= PAGE_DEPTH_MAX))
		parent = -1;
	p->parent = parent;
	p->depth = parent >= 0 ? r->processes[parent].depth + 1 : 0;
	last = parent >= 0 ? &r->processes[parent].last_child : &r->last_root;
	if (*last >= 0)
		r->processes[*last].next = i;
	else if (parent >= 0)
		r->processes[parent].first_child = i;
	else
		r->first_root = i;
	*last = i;
}

/* The slot that holds the index plus one of the latest process with this id; NULL: no memory. */
static uint32_t *slot_of(struct page_run *r, pid_t pid)
{
	int64_t n = log_table_add(&r->pids, (const char *)&pid, sizeof(pid));
	uint32_t *grown;

	if (n < 0)
		return NULL;
	grown = page_room(r->latest, (size_t)n, &r->latest_cap, sizeof(*grown));
	if (!grown)
		return NULL;
	r->latest = grown;
	return &r->latest[n];
}

static int32_t add_process(struct page_run *r, pid_t pid, int32_t parent)
{
	uint32_t *slot = slot_of(r, pid);
	struct page_process *grown;
	int32_t i = (int32_t)r->n_processes;

	if (r->n_processes == PAGE_PROCESSES_MAX) {
		r->more_processes++;
		return -1;
	}
	grown = slot ? page_room(r->processes, r->n_processes, &r->processes_cap, sizeof(*grown)) : NULL;
	if (!grown)
		return -1;
	r->processes = grown;
	r->processes[i] = (struct page_process){.pid = pid,
						.first_us = -1,
						.last_us = -1,
						.status = -1,
						.parent = -1,
						.first_child = -1,
						.last_child = -1,
						.next = -1};
	r->n_processes++;
	*slot = (uint32_t)i + 1;
	hang(r, i, parent);
	return i;
}

static int32_t find_process(struct page_run *r, pid_t pid)
{
	uint32_t *slot = slot_of(r, pid);

	return slot ? (int32_t)*slot - 1 : -1;
}

/* The parent of a new process: -1 for the root. One that nothing is known of gets a place of its own. */
static int32_t parent_of(struct page_run *r, const struct record_line *line)
{
	int32_t parent;

	if (!r->n_processes)
		r->root_ppid = line->ppid;
	if (line->ppid <= 1 || line->ppid == r->root_ppid || line->ppid == line->pid)
		return -1;
	parent = find_process(r, line->ppid);
	return parent >= 0 ? parent : add_process(r, line->ppid, -1);
}

static void set_exe(struct page_run *r, struct page_process *p, struct record_bytes exe)
{
	uint32_t n = page_string(r, exe);

	if (!n || n == p->exe)
		return;
	if (p->exe) {
		const unsigned max = sizeof(p->earlier) / sizeof(p->earlier[0]);

		if (p->n_earlier == max)
			memmove(p->earlier, p->earlier + 1, (max - 1) * sizeof(p->earlier[0]));
		else
			p->n_earlier++;
		p->earlier[p->n_earlier - 1] = p->exe;
	}
	p->exe = n;
}

static void set_args(struct page_process *p, const struct record_list *argv)
{
	struct text t = {0};

	for (size_t i = 1; i < argv->n && t.len < PAGE_ARGS_MAX; i++) {
		size_t left = PAGE_ARGS_MAX - t.len, len = argv->items[i].len;

		text_puts(&t, i > 1 ? " " : "");
		text_add(&t, argv->items[i].data, len < left ? len : left);
		if (len > left || (i + 1 < argv->n && t.len >= PAGE_ARGS_MAX))
			text_puts(&t, " ...");
	}
	if (t.failed)
		return text_done(&t);
	free(p->args);
	p->args = t.data;
}

int32_t page_process_of(struct page_run *r, const struct record_line *line)
{
	struct page_process *p;
	int32_t i;

	if (!line->pid)
		return -1;
	i = find_process(r, line->pid);
	/* A number that comes back is another process. */
	if (i < 0 || (line->type == RECORD_FORK && r->processes[i].seen && r->processes[i].exited))
		i = add_process(r, line->pid, parent_of(r, line));
	if (i < 0)
		return -1;
	p = &r->processes[i];
	p->seen = true;
	if (line->time_us >= 0) {
		if (p->first_us < 0 || line->time_us < p->first_us)
			p->first_us = line->time_us;
		if (line->time_us > p->last_us)
			p->last_us = line->time_us;
	}
	if (line->type == RECORD_EXEC) {
		set_exe(r, p, line->path);
		if (line->argv.n)
			set_args(p, &line->argv);
	} else if (line->op != OP_EXEC) {
		set_exe(r, p, line->exe);
	}
	if (line->type == RECORD_EXIT) {
		p->exited = true;
		p->status = line->status;
		p->signal = line->signal;
	}
	return i;
}
