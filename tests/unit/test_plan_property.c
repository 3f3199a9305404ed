/* SPDX-License-Identifier: Apache-2.0
 * Random policies over a random tree, at every ABI: the baseline, as Landlock would enforce it, gives
 * no more than the policy, whatever is created, removed, renamed or linked in it.
 *
 * The kernel is played by a few lines: rights of all grants from the object up to the root, and the
 * rule for renames and links (same directory: make and remove; else REFER on both, and the object must
 * not gain a right).
 */
#include "test_plan_tree.h"

#define ROUNDS	  150 /* more with ROUNDS=N, others with SEED=N */
#define PATHS_MAX 512

static uint64_t random_state;

static unsigned pick(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 20) % n);
}

/* Few names, so that rules and tree meet often; NEW never exists. */
static const char *const words[] = {"a", "b", "c", ".env", "x"};
#define NEW "new"

static void random_path(char *buf, size_t size, unsigned max_depth)
{
	unsigned depth = 1 + pick(max_depth);
	size_t at = 0;

	for (unsigned i = 0; i < depth && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "/%s", words[pick(5)]);
}

static struct tree *random_tree(void)
{
	static char text[8192];
	char path[128], other[128];
	size_t at = 0;
	unsigned n = 10 + pick(30);

	text[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		random_path(path, sizeof(path), 4);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%c %s\n", pick(2) ? 'd' : 'f', path);
	}
	/* A file can't have children. */
	struct tree *t = tree_new(text);

	for (unsigned i = 0; i < t->n; i++)
		for (unsigned k = 0; k < t->n; k++)
			if (i != k && t->entries[i].node.kind == NODE_FILE &&
			    tree_beneath(t->entries[i].path, t->entries[k].path))
				t->entries[i].node =
					(struct node_info){NODE_DIR, 7, t->entries[i].node.ino, 2};
	if (pick(4) == 0) { /* a second link of some file */
		unsigned i = pick(t->n);
		struct entry *e;

		random_path(other, sizeof(other), 3);
		if (t->entries[i].node.kind == NODE_FILE && !tree_find(t, other)) {
			char parent[128];
			struct entry *d;

			snprintf(parent, sizeof(parent), "%s", other);
			*strrchr(parent, '/') = '\0';
			d = parent[0] ? tree_find(t, parent) : NULL;
			if (!parent[0] || (d && d->node.kind == NODE_DIR)) {
				e = tree_add(t, NODE_FILE, other);
				t->entries[i].node.nlink = 2;
				e->node = t->entries[i].node;
			}
		}
	}
	return t;
}

static size_t random_rule(char *buf, size_t size)
{
	static const char *const actions[] = {"allow", "allow", "allow", "deny", "deny", "ask", "never"};
	static const char *const ops[] = {
		"all",		"all",	  "rw",	    "ro",   "rx",   "w",       "read", "list",
		"write",	"create", "delete", "exec", "meta", "connect", "stat", "read,create,delete",
		"create,delete"};
	static const char *const globs[] = {"**/.env", "**/x",	  "/a/*",      "/a/**",
					    "/*/b",    "/a/**/c", "/b/?/.env", "/**"};
	const char *action = actions[pick(7)], *op = ops[pick(17)];
	char path[128];

	if (pick(6) == 0)
		snprintf(path, sizeof(path), "%s", globs[pick(8)]);
	else if (pick(12) == 0)
		snprintf(path, sizeof(path), "/");
	else
		random_path(path, sizeof(path), 3);
	return (size_t)snprintf(buf, size, "%s %s %s%s\n", action, op, path,
				pick(20) == 0 && (*action == 'a') ? " audit" : "");
}

/* A policy that is accepted: rules that contradict others are left out. */
static struct policy *random_policy(struct tree *t, char text[4096])
{
	unsigned n = 1 + pick(7);
	size_t at = 0;
	struct policy *p = NULL;

	at += (size_t)sprintf(text, "report none\n");
	if (pick(2))
		at += (size_t)sprintf(text + at, "exec-holes checked\n");
	for (unsigned i = 0; i < n; i++) {
		struct policy *more;
		size_t len = random_rule(text + at, 4096 - at);

		more = tree_policy(t, "deny all /b/c\nallow ro /b/x\n", text);
		if (more) {
			policy_free(p);
			p = more;
			at += len;
		} else {
			text[at] = '\0';
		}
	}
	return p;
}

struct kernel {
	const struct tree *tree;
	const struct plan *plan;
	const struct grant *grants;
	size_t n;
	bool no_loose; /* look away from what exec alone may use */
};

static uint64_t rights_at(const struct kernel *k, const char *path, ino_t ino)
{
	uint64_t rights = 0;

	for (size_t i = 0; i < k->n; i++) {
		const struct grant *g = &k->grants[i];

		if (g->is_dir ? tree_beneath(g->path, path) : ino && g->ino == ino)
			rights |= g->rights & ~(k->no_loose ? g->loose : 0);
	}
	return rights;
}

static void parent_of(const char *path, char out[128])
{
	snprintf(out, 128, "%s", path);
	char *slash = strrchr(out, '/');

	*(slash == out ? slash + 1 : slash) = '\0';
}

static void explain_failure(const char *policy, const struct kernel *k)
{
	printf("%s", policy);
	for (size_t i = 0; i < k->n; i++)
		printf("  grant %s %llx%s\n", k->grants[i].path, (unsigned long long)k->grants[i].rights,
		       k->grants[i].is_dir ? "/" : "");
	for (unsigned i = 0; i < k->tree->n; i++)
		printf("  tree %s %d\n", k->tree->entries[i].path, (int)k->tree->entries[i].node.kind);
}

static enum action action_of(const struct plan *plan, enum op op, const char *path)
{
	return plan_decide(plan, op, path, strlen(path)).action;
}

/* Does the kernel let the call through that needs OP on PATH? Any right of several counts. */
static bool kernel_lets(const struct kernel *k, enum op op, const char *path, ino_t ino)
{
	char parent[128];
	const struct kernel strict = {k->tree, k->plan, k->grants, k->n, true};
	uint64_t at = rights_at(op == OP_EXEC ? k : &strict, path, ino), above;

	parent_of(path, parent);
	above = strcmp(path, "/") == 0 ? 0 : rights_at(k, parent, 0);
	switch (op) {
	case OP_READ:
		return at & LL_READ_FILE;
	case OP_LIST:
		return at & LL_READ_DIR;
	case OP_WRITE:
		return at & (LL_WRITE_FILE | LL_TRUNCATE);
	case OP_EXEC:
		return at & LL_EXECUTE && at & LL_READ_FILE;
	case OP_CONNECT:
		return at & LL_RESOLVE_UNIX;
	case OP_CREATE:
		return above & (LL_MAKE_REG | LL_MAKE_DIR | LL_MAKE_SYM | LL_MAKE_SOCK | LL_MAKE_FIFO |
				LL_MAKE_CHAR | LL_MAKE_BLOCK);
	case OP_DELETE:
		return above & (LL_REMOVE_FILE | LL_REMOVE_DIR);
	default:
		return false;
	}
}

/* All names of the tree, and names that may appear. */
static unsigned all_paths(const struct tree *t, char paths[PATHS_MAX][128], ino_t inos[PATHS_MAX],
			  bool dirs[PATHS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n && n + 8 < PATHS_MAX; i++) {
		const struct entry *e = &t->entries[i];
		bool dir = e->node.kind == NODE_DIR;
		const char *base = strcmp(e->path, "/") == 0 ? "" : e->path;

		snprintf(paths[n], 128, "%s", e->path);
		inos[n] = e->node.ino;
		dirs[n++] = dir;
		for (unsigned w = 0; w < 7 && dir; w++) {
			snprintf(paths[n], 128, "%s/%s%s", base, w < 5 ? words[w] : NEW,
				 w == 6 ? "/" NEW : "");
			inos[n] = 0;
			dirs[n] = w % 2;
			bool known = false;
			for (unsigned k = 0; k < t->n; k++)
				known |= strcmp(t->entries[k].path, paths[n]) == 0;
			n += !known;
			if (n + 1 >= PATHS_MAX)
				return n;
		}
	}
	return n;
}

static char paths[PATHS_MAX][128];
static ino_t inos[PATHS_MAX];
static bool dirs[PATHS_MAX];

static bool is_glob(const struct rule *rule)
{
	return rule && rule->n_names && rule->names[0].is_glob;
}

static void check_grants(const struct kernel *k, unsigned n, const char *policy, bool checked)
{
	for (unsigned i = 0; i < n; i++)
		for (int op = 0; op < OP_COUNT; op++) {
			struct verdict v = plan_decide(k->plan, op, paths[i], strlen(paths[i]));
			bool lets = kernel_lets(k, op, paths[i], inos[i]), fine;

			/* What is compared at each exec may be granted; never, and literals if strict, may
			 * not. */
			if (op == OP_EXEC && k->plan->exec_checked && (checked || is_glob(v.rule)))
				fine = v.action != ACTION_NEVER;
			else
				fine = v.action == ACTION_ALLOW && (op == OP_EXEC || !v.audit);
			if (lets && !fine) {
				explain_failure(policy, k);
				fail_msg("%s on %s is granted, the policy says %s", op_names[op], paths[i],
					 action_names[v.action]);
			}
			/* A hole's object must not be had under another name either. */
		}
}

/* Is the object at INO a hole for OP under some name? */
static void check_links(const struct kernel *k, const char *policy)
{
	for (unsigned i = 0; i < k->tree->n; i++)
		for (unsigned j = 0; j < k->tree->n; j++) {
			const struct entry *a = &k->tree->entries[i], *b = &k->tree->entries[j];

			if (i == j || a->node.ino != b->node.ino)
				continue;
			for (int op = 0; op < OP_COUNT; op++) {
				struct verdict v =
					policy_decide(k->plan->policy, op, a->path, strlen(a->path));

				/* Named as such, not by a rule on a directory above it. */
				if ((op != OP_READ && op != OP_WRITE) || !v.rule ||
				    v.action == ACTION_ALLOW || !v.rule->n_names ||
				    v.rule->names[0].is_glob || strcmp(v.rule->names[0].text, a->path) != 0)
					continue;
				if (kernel_lets(k, op, b->path, b->node.ino)) {
					explain_failure(policy, k);
					fail_msg("%s of %s is had as %s", op_names[op], a->path, b->path);
				}
			}
		}
}

/* May the kernel move (or link) the object at A to the name B by itself? */
static bool kernel_moves(const struct kernel *k, unsigned a, unsigned b, bool link)
{
	char from[128], to[128];
	uint64_t rf, rt, make = dirs[a] ? LL_MAKE_DIR : LL_MAKE_REG,
			 remove = dirs[a] ? LL_REMOVE_DIR : LL_REMOVE_FILE;

	parent_of(paths[a], from);
	parent_of(paths[b], to);
	rf = rights_at(k, from, 0);
	rt = rights_at(k, to, 0);
	if (!(rt & make) || (!link && !(rf & remove)) || (link && dirs[a]))
		return false;
	if (strcmp(from, to) == 0)
		return true;
	if (!(rf & LL_REFER) || !(rt & LL_REFER))
		return false;
	rf |= dirs[a] ? rights_at(k, paths[a], 0) : rights_at(k, paths[a], inos[a]);
	return !(rt & ~rf & (dirs[a] ? ~0ULL : LL_FILE_RIGHTS));
}

static void check_move(const struct kernel *k, unsigned a, unsigned b, unsigned n, const char *policy)
{
	size_t len = strlen(paths[a]);

	/* The policy's own answer is yes in doubt: no means that nothing can widen. */
	if (!policy_move_widens(k->plan->policy, paths[a], len, paths[b], strlen(paths[b]), dirs[a]))
		return;
	for (unsigned i = 0; i < n; i++) {
		char moved[256];

		if (!tree_beneath(paths[a], paths[i]))
			continue;
		snprintf(moved, sizeof(moved), "%.127s%.127s", paths[b], paths[i] + len);
		for (int op = 0; op < OP_COUNT; op++) {
			if (action_of(k->plan, op, moved) >= action_of(k->plan, op, paths[i]))
				continue;
			explain_failure(policy, k);
			fail_msg("moved from %s to %s, %s may be had for %s", paths[a], paths[b],
				 op_names[op], paths[i]);
		}
	}
}

static void check_moves(const struct kernel *k, unsigned n, const char *policy)
{
	for (unsigned a = 0; a < n; a++) {
		if (!inos[a] || strcmp(paths[a], "/") == 0)
			continue;
		for (unsigned b = 0; b < n; b++) {
			if (a == b || strcmp(paths[b], "/") == 0 || tree_beneath(paths[a], paths[b]) ||
			    tree_beneath(paths[b], paths[a]))
				continue;
			if (kernel_moves(k, a, b, false) || kernel_moves(k, a, b, true))
				check_move(k, a, b, n, policy);
		}
	}
	/* What is granted on a directory stays with it: nobody may move it but the supervisor. */
	for (size_t i = 0; i < k->n; i++) {
		const struct grant *g = &k->grants[i];
		char parent[128];

		parent_of(g->path, parent);
		if (g->is_dir && strcmp(g->path, "/") != 0 && rights_at(k, parent, 0) & LL_REMOVE_DIR) {
			explain_failure(policy, k);
			fail_msg("%s has rights of its own and can be moved", g->path);
		}
	}
}

static void check_upper(const struct kernel *b, unsigned n, const char *policy)
{
	struct kernel u = {.tree = b->tree, .plan = b->plan, .grants = b->plan->upper, .n = b->plan->n_upper};

	for (unsigned i = 0; i < n; i++) {
		uint64_t more = rights_at(b, paths[i], inos[i]) & ~rights_at(&u, paths[i], inos[i]);

		if (more) {
			explain_failure(policy, &u);
			fail_msg("%s: the target may what its workers may not: %llx", paths[i],
				 (unsigned long long)more);
		}
		/* What is allowed or asked about can be expanded. */
		for (int op = 0; op < OP_COUNT; op++) {
			uint64_t need = op == OP_EXEC ? LL_EXECUTE : plan_op_rights(b->plan, op, dirs[i]);
			struct verdict v = policy_decide(b->plan->policy, op, paths[i], strlen(paths[i]));
			char parent[128];

			if (!inos[i] || v.action > ACTION_ASK || need == LL_NO_SUCH_RIGHT ||
			    op == OP_CREATE || op == OP_DELETE || (op == OP_LIST) != dirs[i] ||
			    need & ~b->plan->handled_fs)
				continue;
			parent_of(paths[i], parent);
			if (need & ~rights_at(&u, paths[i], inos[i])) {
				explain_failure(policy, &u);
				fail_msg("%s on %s is beyond the bound", op_names[op], paths[i]);
			}
		}
	}
}

/* Landlock alone, where the policy says so: what is not trapped is exactly what is allowed. */
static void check_untrapped(const struct kernel *k, unsigned n, const char *policy)
{
	const struct plan *plan = k->plan;

	for (unsigned i = 0; i < n; i++)
		for (int op = 0; op < OP_COUNT; op++) {
			bool trapped = true;

			if (op == OP_READ || op == OP_LIST)
				trapped = plan->opens == TRAP_OPENS_ALL;
			else if (op == OP_WRITE)
				trapped = plan->opens != TRAP_OPENS_NONE;
			else if (op == OP_CREATE || op == OP_DELETE)
				trapped = plan->trap[CALL_NAME];
			if (trapped || !inos[i] || action_of(plan, op, paths[i]) != ACTION_ALLOW)
				continue;
			if (strcmp(paths[i], "/") == 0 || (op == OP_LIST) != dirs[i] || op == OP_CREATE ||
			    op == OP_DELETE)
				continue;
			if (!kernel_lets(k, op, paths[i], inos[i])) {
				explain_failure(policy, k);
				fail_msg("%s on %s is allowed, not granted and not trapped", op_names[op],
					 paths[i]);
			}
		}
}

static void baseline_never_exceeds_the_policy(void **state)
{
	unsigned planned = 0, granted = 0;
	const char *seed = getenv("SEED"), *more = getenv("ROUNDS");
	unsigned rounds = more ? (unsigned)atoi(more) : ROUNDS;

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 0) : 0x9e3779b97f4a7c15ULL;
	for (unsigned round = 0; round < rounds; round++) {
		char text[4096];
		struct tree *t = random_tree();
		struct policy *policy = random_policy(t, text);
		unsigned n = all_paths(t, paths, inos, dirs);

		for (int abi = 0; policy && abi <= 10; abi++) {
			struct policy_error error;
			struct plan *plan;
			struct kernel k = {.tree = t};

			if (tree_plan(t, policy, abi, &plan, &error) < 0)
				continue;
			planned++;
			granted += plan->n_baseline > 0;
			k.plan = plan;
			k.grants = plan->baseline;
			k.n = plan->n_baseline;
			check_grants(&k, n, text, policy_exec_holes(policy) == EXEC_HOLES_CHECKED);
			check_links(&k, text);
			check_moves(&k, n, text);
			if (abi)
				check_upper(&k, n, text);
			check_untrapped(&k, n, text);
			plan_free(plan);
		}
		policy_free(policy);
		free(t);
	}
	/* The test means nothing if nothing was granted. */
	assert_true(planned > rounds * 4);
	assert_true(granted > rounds * 2);
}

static void lookup_agrees_with_a_scan(void **state)
{
	(void)state;
	random_state = 0x1234567890abcdefULL;
	for (unsigned round = 0; round < 300; round++) {
		char text[4096];
		struct tree *t = random_tree();
		struct policy *policy = random_policy(t, text);
		struct policy_error error;
		struct plan *plan;
		unsigned n = all_paths(t, paths, inos, dirs);

		if (policy && tree_plan(t, policy, 10, &plan, &error) == 0) {
			if (plan->n_baseline) {
				const char *gone = paths[pick(n)];

				plan_forget(plan, gone, strlen(gone));
			}
			for (unsigned i = 0; i < n; i++)
				for (int bit = 0; bit < 17; bit++) {
					uint64_t rights = 0;

					for (size_t g = 0; g < plan->n_baseline; g++) {
						const struct grant *gr = &plan->baseline[g];

						if (!gr->gone &&
						    (gr->is_dir ? tree_beneath(gr->path, paths[i])
								: inos[i] == gr->ino &&
									  strcmp(gr->path, paths[i]) == 0))
							rights |= gr->rights;
					}
					if (plan->loose_reads)
						rights &= ~(LL_READ_FILE | LL_READ_DIR);
					assert_int_equal(plan_in_baseline(plan, 1ULL << bit, paths[i],
									  strlen(paths[i]), inos[i] ? 7 : 0,
									  inos[i]),
							 (rights >> bit) & 1);
				}
			plan_free(plan);
		}
		policy_free(policy);
		free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookup_agrees_with_a_scan),
		cmocka_unit_test(baseline_never_exceeds_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
