/* SPDX-License-Identifier: Apache-2.0
 * From pinned objects to a verdict: by the canonical name, and by identity with the objects that a
 * deny, ask or never names, whatever name led there. The strictest counts.
 */
#include "core/request.h"

#include "core/reply/terminal.h"

#include "core/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int strictness(enum action a)
{
	return a == ACTION_ALLOW ? 0 : a == ACTION_ASK ? 1 : a == ACTION_DENY ? 2 : 3;
}

/* /proc/<own tgid>/x is /proc/self/x to the policy. Returns NAME, or BUF with the new text. */
static const char *as_self(const struct request *q, const char *name, size_t *len, char *buf, size_t size)
{
	struct task_status mine, other;
	char *rest;
	long pid;

	if (*len < 7 || strncmp(name, "/proc/", 6) != 0 || name[6] < '1' || name[6] > '9')
		return name;
	pid = strtol(name + 6, &rest, 10);
	if (*rest != '\0' && *rest != '/')
		return name;
	if (task_read_status(q->tid, &mine) < 0)
		return name;
	if (pid != mine.tgid && pid != q->tid &&
	    (task_read_status((pid_t)pid, &other) < 0 || other.tgid != mine.tgid))
		return name;
	*len = (size_t)snprintf(buf, size, "/proc/self%s", rest);
	return buf;
}

static struct verdict decide_name(const struct request *q, const struct need *need, const char *name, size_t len)
{
	struct verdict plain, v = plan_decide(q->rules->plan, need->op, name, len);

	if (!need->parent_too)
		return v;
	/* Another name of the directory may refuse what the right to make parents would give. */
	plain = policy_decide(q->rules->policy, need->op, name, len);
	return v.action > plain.action ? v : policy_decide_mkdir(q->rules->policy, name, len);
}

/* That an object with other names lost this one may be wrong for a moment, while a live "x (deleted)" is renamed. */
static struct verdict decide_lost_name(const struct request *q, const struct need *need)
{
	const struct resolved *at = &q->at[need->which];
	char shown[PATH_MAX + NAME_MAX + 16];
	int len = snprintf(shown, sizeof(shown), "%s (deleted)", at->name);

	return decide_name(q, need, shown, (size_t)len);
}

/* base lets /proc be read, of which the kernel keeps these for root: as root the supervisor reads there. */
static bool rule_is_for_proc(const struct rule *rule)
{
	return rule->rank == RANK_BUILTIN && rule->n_names && strcmp(rule->names[0].prefix, "/proc") == 0;
}

static bool shows_the_kernel(const char *name, size_t len)
{
	static const char *const names[] = {"/proc/kcore", "/proc/kmsg", "/proc/vmcore"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && memcmp(name, names[i], len) == 0)
			return true;
	return false;
}

struct verdict request_decide(const struct request *q, const struct need *need)
{
	const struct resolved *at = &q->at[need->which];
	const struct verdict refused = {.action = ACTION_DENY, .err = EACCES};
	char buf[PATH_MAX + NAME_MAX + 16];
	const struct named_object *named;
	struct verdict v, other, by_object;
	size_t len = at->name_len;
	const char *name;

	if (at->unnamed)
		return (struct verdict){.action = ACTION_ALLOW};
	if (len == 0 || at->name[0] != '/')
		return refused;
	/* The policy keeps control sockets from being changed, but knows nothing of connects that it does not watch. */
	if (resolve_is_guarded(at->name, len) || (need->op == OP_CONNECT && resolve_is_control(at->name, len))) {
		v = decide_name(q, need, at->name, len);
		return v.action > ACTION_ASK && v.rule ? v : refused; /* a rule says why */
	}
	if (resolved_is_proc_elsewhere(at))
		return refused;
	name = as_self(q, at->name, &len, buf, sizeof(buf));
	v = decide_name(q, need, name, len);
	if (!resolved_exists(at))
		return v;
	if (at->deleted && at->st.st_nlink > 0) {
		other = decide_lost_name(q, need);
		if (strictness(other.action) > strictness(v.action))
			v = other;
	}
	if ((need->op == OP_READ || need->op == OP_WRITE) && rule_means_own_terminals(v.rule) &&
	    terminal_is_foreign(&at->st))
		return refused;
	if (v.rule && v.action <= ACTION_ASK && rule_is_for_proc(v.rule) && shows_the_kernel(name, len))
		return refused;
	named = plan_named(q->rules->plan, at->st.st_dev, at->st.st_ino);
	if (!named)
		return v;
	by_object = plan_decide(q->rules->plan, need->op, named->path, strlen(named->path));
	return strictness(by_object.action) > strictness(v.action) ? by_object : v;
}

void request_judge(struct request *q)
{
	struct verdict worst = {.action = ACTION_ALLOW};

	for (unsigned i = 0; i < q->n_needs; i++) {
		struct verdict v = request_decide(q, &q->needs[i]);

		if (i == 0 || strictness(v.action) > strictness(worst.action)) {
			worst = v;
			q->decisive = q->needs[i];
		}
	}
	q->verdict = worst;
}

bool request_may_act_unseen(struct request *q)
{
	request_judge(q);
	return q->verdict.action == ACTION_ALLOW && !q->verdict.audit && !q->sup->wants_allowed;
}

bool request_still_allowed(struct request *q)
{
	const struct ruleset *now = atomic_load_explicit(&q->sup->rules, memory_order_acquire);

	if (q->rules == now)
		return true;
	q->rules = now;
	request_judge(q);
	return q->verdict.action < ACTION_DENY;
}

int request_next_ask(struct request *q, unsigned from)
{
	for (unsigned i = from; i < q->n_needs; i++) {
		const struct need *need = &q->needs[i];
		struct verdict v = request_decide(q, need);
		bool asked = false;

		/* Who may create it may fill it: that is one question. */
		for (unsigned k = 0; k < i && need->op == OP_WRITE; k++)
			asked |= q->needs[k].op == OP_CREATE && q->needs[k].which == need->which;
		if (asked || v.action != ACTION_ASK)
			continue;
		q->verdict = v;
		q->decisive = *need;
		return (int)i;
	}
	return -1;
}

/* Before ABI 3 Landlock knows nothing of truncation. An open for writing is bound by the right to write, but not
 * one with access mode 0 or 3; and openat2 has its flags in memory, where they may become such. */
static bool may_truncate_unbound(const struct request *q)
{
	uint64_t mode = q->open_flags & O_ACCMODE;

	if (q->call->class == CALL_TRUNCATE || q->call->nr == SYS_openat2)
		return true;
	return q->call->class == CALL_OPEN && (q->open_flags & O_TRUNC) && mode != O_WRONLY && mode != O_RDWR;
}

bool request_is_bounded(const struct request *q)
{
	if (!q->sup->landlock || q->rules->loosened)
		return false;
	if (!(q->rules->plan->handled_fs & LL_TRUNCATE) && may_truncate_unbound(q))
		return false;
	if (q->call->class != CALL_OPEN || !q->rules->plan->loose_reads)
		return true;
	/* Flags in a register stay what they are; before they are decoded they are 0, which reads. */
	return q->call->nr != SYS_openat2 && (q->open_flags & O_ACCMODE) == O_WRONLY;
}

/* Making and removing is a right on the directory that holds the name. */
static bool parent_in_baseline(const struct plan *plan, const struct resolved *at, uint64_t rights)
{
	size_t len = at->name_len;

	while (len > 1 && at->name[len - 1] != '/')
		len--;
	if (len > 1)
		len--;
	return plan_in_baseline(plan, rights, at->name, len, 0, 0);
}

static bool is_device(const struct resolved *at)
{
	return resolved_exists(at) && (S_ISCHR(at->st.st_mode) || S_ISBLK(at->st.st_mode));
}

/* UNSEEN: whatever object of that kind bears the names. Devices stay where they are. */
static bool baseline_holds(const struct request *q, bool unseen)
{
	const struct plan *plan = q->rules->plan;

	if (!q->boundable || !request_is_bounded(q))
		return false;
	for (unsigned i = 0; i < q->n_needs; i++) {
		const struct need *need = &q->needs[i];
		const struct resolved *at = &q->at[need->which];
		bool exists = resolved_exists(at), is_dir = exists && S_ISDIR(at->st.st_mode);
		bool seen = exists && (!unseen || is_device(at));
		uint64_t rights = plan_op_rights(plan, need->op, is_dir);

		if (at->unnamed)
			continue; /* pipes, sockets, memfds: Landlock lets the kernel have them */
		if (exists && terminal_is_master(&at->st))
			return false; /* the terminal that it makes is to be known as the tree's */
		if (need->op == OP_CREATE || need->op == OP_DELETE) {
			if (!parent_in_baseline(plan, at, rights))
				return false;
			continue;
		}
		if (!plan_in_baseline(plan, rights, at->name, at->name_len, seen ? at->st.st_dev : 0,
				      seen ? at->st.st_ino : 0))
			return false;
	}
	/* Somebody may remove what is there now, and the kernel then makes it anew. */
	if (q->call->class == CALL_OPEN && (q->open_flags & O_CREAT) && !q->at[0].unnamed && !is_device(&q->at[0]))
		return parent_in_baseline(plan, &q->at[0], plan_op_rights(plan, OP_CREATE, false));
	return true;
}

bool request_in_baseline(const struct request *q)
{
	return baseline_holds(q, false);
}

bool request_stays_in_baseline(const struct request *q)
{
	return baseline_holds(q, true);
}

bool request_tells_errors(const struct request *q)
{
	switch (q->call->class) {
	case CALL_OPEN:
	case CALL_NAME:
	case CALL_TRUNCATE:
		return true;
	default:
		return !request_is_bounded(q);
	}
}

bool request_fails_again(const struct request *q, int err)
{
	if (!request_is_bounded(q) || !q->boundable || err == EACCES || err == ESRCH)
		return false;
	if (!request_tells_errors(q) || (err == ENOENT && q->is_readable_there))
		return true;
	return err == EFAULT || err == EINVAL || err == ENAMETOOLONG || err == E2BIG;
}
