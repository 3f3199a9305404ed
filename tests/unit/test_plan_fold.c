/* SPDX-License-Identifier: Apache-2.0
 * Rules in directories where upper and lower case are one name: which plans are refused, and by which look.
 */
#include "test_plan_tree.h"

#include <ctype.h>

#define TREE                                                                                                 \
	"f /w/a\nd /w/secretdir/deep\nd /w/empty\nf /home/u/proj/.git/hooks/x\nf /home/u/proj/1/2\n"         \
	"f /home/u/.ssh/id\n"

/* A tree in which the directory FOLDS and all beneath it fold. */
struct folding_tree {
	struct tree *tree;
	const char *folds;
	enum folding tells; /* what the file system says of such a directory */
	bool own_inodes;    /* an object has another inode by each spelling, as on some FUSE file systems */
	unsigned lookups, asked;
};

static struct entry *find_folded(struct folding_tree *f, const char *path)
{
	for (unsigned i = 0; i < f->tree->n; i++) {
		struct entry *e = &f->tree->entries[i];
		size_t exact = f->folds ? strlen(f->folds) : SIZE_MAX;

		if (strcasecmp(e->path, path) != 0)
			continue;
		/* Above and at FOLDS each byte counts. */
		if (strcmp(e->path, path) == 0 || (strlen(path) > exact && tree_beneath(f->folds, path)))
			return e;
	}
	return NULL;
}

static int fold_lookup(void *ctx, const char *path, struct node_info *ret)
{
	struct folding_tree *f = ctx;
	const struct entry *e = find_folded(f, path);

	f->lookups++;
	*ret = e ? e->node : (struct node_info){.kind = NODE_MISSING};
	if (e && f->own_inodes && strcmp(e->path, path) != 0)
		ret->ino += 5000;
	return 0;
}

static int fold_list(void *ctx, const char *dir, size_t max, char ***ret_names)
{
	struct folding_tree *f = ctx;

	return tree_list(f->tree, dir, max, ret_names);
}

static enum folding fold_tells(void *ctx, const char *dir, dev_t dev)
{
	struct folding_tree *f = ctx;

	assert_true(dev == 7 || dev == 8);
	f->asked++;
	if (f->tells == FOLDING_UNKNOWN || !f->folds)
		return f->tells;
	return tree_beneath(f->folds, dir) ? f->tells : FOLDING_NO;
}

/* "" if there is a plan, else the error. */
static const char *plan_in(struct folding_tree *f, const char *policy)
{
	static struct policy_error error;
	struct plan_host host = {.ctx = f, .lookup = fold_lookup, .list = fold_list, .folding = fold_tells};
	struct plan_caps caps = {.landlock_abi = 7, .supervisor = true, .ptrace_exec = true};
	struct policy *p = tree_policy(f->tree, NULL, policy);
	struct plan *plan = NULL;

	assert_non_null(p);
	f->lookups = f->asked = 0;
	error.text[0] = '\0';
	if (plan_build(p, &host, &caps, &plan, &error) == 0)
		assert_string_equal(error.text, "");
	plan_free(plan);
	policy_free(p);
	return error.text;
}

static void refuses_what_another_spelling_would_open(void **state)
{
	static const struct {
		const char *folds, *policy, *line, *dir; /* of the error; NULL: there is none */
	} rows[] = {
		/* A name, there or not, in the directory or further up */
		{"/w", "allow all /w\ndeny read /w/secretdir", "my.policy:2", "in /w "},
		{"/w", "allow all /w\nask read /w/secretdir", "my.policy:2", "in /w "},
		{"/w", "allow all /w\nnever read /w/secretdir", "my.policy:2", "in /w "},
		{"/w", "allow all /w\ndeny connect /w/sock", "my.policy:2", "in /w "},
		{"/w", "allow all /w\ndeny w /w/missing", "my.policy:2", "in /w "},
		{"/w", "allow all /w\ndeny read /w/secretdir/deep/x", "my.policy:2", "in /w "},
		{"/w/secretdir", "allow all /w\ndeny read /w/secretdir/deep/x", "my.policy:2", "in /w/secretdir "},
		{"/w/secretdir", "allow all /w\ndeny read /w/secretdir", NULL, NULL},
		{"/home", "allow all $PWD\ndeny w $PWD/.git\nallow w $PWD/.git/*\ndeny w $PWD/.git/hooks", "my.policy:2",
		 "in /home/u/proj "},
		{"/w", "allow all /\ndeny stat /w/a", "my.policy:2", "in /w "},
		{"/w", "deny stat /w/a", "my.policy:1", "in /w "},
		/* What is made in it takes after it */
		{"/w", "allow all /w/new\ndeny read /w/new/secret", "my.policy:2", "in /w "},
		{"/w", "allow all /w/a\ndeny read /w/a/x", NULL, NULL},
		/* Nothing near it is allowed: by no spelling */
		{"/home", "allow all $PWD\ndeny all ~/.ssh", NULL, NULL},
		{"/home", "allow rx /usr\ndeny all ~/.ssh\nnever w ~/.aws", NULL, NULL},
		{"/home", "allow ro ~\ndeny w ~/.ssh", NULL, NULL},
		{"/home", "allow ro ~\nallow ro ~/.ssh\ndeny w ~/.ssh", NULL, NULL},
		/* Nor does a rule in a folding directory refuse anything where it is lifted */
		{"/w", "allow all /w", NULL, NULL},
		/* A pattern allows other spellings */
		{"/home", "allow read ~/.*\ndeny read ~/.ssh", "my.policy:2", "in /home/u "},
		{"/home", "allow read ~/proj/*\ndeny read ~/.ssh", NULL, NULL},
		{"/w", "allow read /w\ndeny read /w/secretdir\ndeny read /w/[!a-zA-Z]*", "my.policy:2", "in /w "},
		{"/w", "allow read /w/[sS]*\ndeny read /w/secretdir", "my.policy:2", "in /w "},
		/* Or a rule does */
		{"/w", "allow read /w/SECRETDIR/deep\ndeny read /w/secretdir", "my.policy:2", "in /w "},
		{"/w", "allow read /w/SECRETDIRS\ndeny read /w/secretdir", NULL, NULL},
		/* Patterns that refuse: their directory, those above, and those that rules allow beneath */
		{"/w", "allow all /w\ndeny read /w/**/.env", "my.policy:2", "in /w "},
		{"/", "allow all /\ndeny read **/.env", "my.policy:2", "in / "},
		{"/w", "allow all /w\ndeny read **/.env", "my.policy:2", "in /w "},
		{"/w", "allow all /w/secretdir\ndeny read **/.env", "my.policy:2", "in /w/secretdir "},
		{"/w", "allow all $PWD\ndeny read **/.env", NULL, NULL},
		{"/w", "allow all /home\ndeny read /w/*.key", NULL, NULL},
		{"/w", "allow exec /w/a\nallow read /w/a\ndeny read **/.env", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned way = 0; way < 4; way++) {
			struct folding_tree f = {.tree = tree_new(TREE), .folds = rows[i].folds, .own_inodes = way & 1,
						 .tells = way & 2 ? FOLDING_UNKNOWN : FOLDING_YES};
			const char *error = plan_in(&f, rows[i].policy);

			if (!rows[i].line ? error[0] != '\0'
					  : strncmp(error, rows[i].line, strlen(rows[i].line)) != 0 ||
						    !strstr(error, rows[i].dir))
				fail_msg("%s: \"%s\"", rows[i].policy, error);
			f.folds = NULL;
			f.tells = FOLDING_NO;
			assert_string_equal(plan_in(&f, rows[i].policy), "");
			free(f.tree);
		}
}

static void tries_before_it_asks(void **state)
{
	struct folding_tree f = {.tree = tree_new(TREE), .tells = FOLDING_UNKNOWN};
	unsigned lookups;

	(void)state;
	/* Two entries that are there, and both in the list: nothing folds, be they one file or two. */
	free(f.tree);
	f.tree = tree_new("f /w/key\nh /w/KEY /w/key\nd /v/key\nd /v/KEY\n");
	assert_string_equal(plan_in(&f, "allow all /w\ndeny read /w/key"), "");
	assert_string_equal(plan_in(&f, "allow all /v\ndeny read /v/key"), "");
	assert_int_equal(f.asked, 0);
	free(f.tree);
	/* A name without letters, or one that is not there: the file system is asked, then another entry tried. */
	f.tree = tree_new("f /w/1\nf /w/other\n");
	assert_string_equal(plan_in(&f, "allow all /w\ndeny read /w/1"), "");
	assert_int_equal(f.asked, 1);
	assert_string_equal(plan_in(&f, "allow all /w\ndeny read /w/new"), "");
	assert_int_equal(f.asked, 1);
	f.tells = FOLDING_NO;
	assert_string_equal(plan_in(&f, "allow all /w\ndeny read /w/new"), "");
	free(f.tree);
	/* Nothing to try: the directory's own name in the one above, of the same file system. */
	f.tells = FOLDING_UNKNOWN;
	f.tree = tree_new("d /w/empty\n");
	assert_string_equal(plan_in(&f, "allow all /w/empty\ndeny read /w/empty/x"), "");
	f.folds = "/w";
	assert_non_null(strstr(plan_in(&f, "allow all /w/empty\ndeny read /w/empty/x"), "in /w/empty upper"));
	/* Of another: there is no telling, and no start. */
	f.folds = NULL;
	tree_find(f.tree, "/w/empty")->node.dev = 8;
	assert_non_null(strstr(plan_in(&f, "allow all /w/empty\ndeny read /w/empty/x"), "touch /w/empty/x"));
	f.tells = FOLDING_NO;
	assert_string_equal(plan_in(&f, "allow all /w/empty\ndeny read /w/empty/x"), "");
	free(f.tree);
	/* Each directory is looked at once, and no more than its rules need. */
	f.tree = tree_new(TREE);
	plan_in(&f, "allow all /w");
	lookups = f.lookups;
	plan_in(&f, "allow all /w\ndeny read /w/a");
	assert_in_range(f.lookups - lookups, 1, 8);
	lookups = f.lookups;
	plan_in(&f, "allow all /w\ndeny read /w/a\ndeny read /w/1 /w/2 /w/3 /w/4 /w/5 /w/6 /w/7 /w/8");
	assert_in_range(f.lookups - lookups, 7, 8); /* the names themselves */
	free(f.tree);
}

/* ---- any policy ---- */

static unsigned seed;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* Up to three components. MIXED: in any case, no patterns. */
static void random_path(char *out, bool mixed)
{
	static const char *const lower[] = {"a", "b", "c", "*", "**", "[ab]", "?", "a", "b"};
	static const char *const both[] = {"a", "A", "b", "B", "c", "C"};
	unsigned n = 1 + pick(3);

	for (*out = '\0'; n--; ) {
		const char *name = mixed ? both[pick(6)] : lower[pick(9)];

		strcat(strcat(out, "/"), name);
	}
}

static size_t object_of(const struct rule *rule, const char *path)
{
	size_t most = 0;

	for (unsigned i = 0; rule && i < rule->n_names; i++) {
		size_t len = pattern_object(&rule->names[i], path, strlen(path));

		most = len > most ? len : most;
	}
	return most;
}

/* PATH is refused by a rule: is OTHER allowed by none that is not an exception from that rule, for a name within? */
static void check_spelling(const struct policy *p, enum op op, const char *path, const char *other, const char *text)
{
	struct verdict v = policy_decide(p, op, path, strlen(path)), w = policy_decide(p, op, other, strlen(other));

	if (!v.rule || v.action == ACTION_ALLOW || w.action >= ACTION_DENY || w.action >= v.action)
		return;
	if (object_of(w.rule, other) <= object_of(v.rule, path))
		fail_msg("%s %s and %s under\n%s", op_names[op], path, other, text);
}

static void check_spellings(const struct policy *p, const char *path, bool mixed, const char *text)
{
	static const enum op ops[] = {OP_READ, OP_WRITE, OP_CREATE, OP_STAT};

	for (unsigned from = 0; from < (mixed ? 8u : 1u); from++)
		for (unsigned to = 0; to < 8; to++) {
			char a[16], b[16];

			for (size_t i = 0; i <= strlen(path); i++) {
				a[i] = path[i] != '/' && from >> i / 2 & 1 ? (char)toupper(path[i]) : path[i];
				b[i] = path[i] != '/' && to >> i / 2 & 1 ? (char)toupper(path[i]) : path[i];
			}
			for (unsigned k = 0; k < 4; k++)
				check_spelling(p, ops[k], a, b, text);
		}
}

/* Where all folds, what is accepted refuses a name by whatever spelling. */
static void keeps_what_it_accepts_by_every_spelling(void **state)
{
	static const char *const actions[] = {"allow", "allow", "ask", "deny", "never"};
	static const char *const ops[] = {"read", "w", "rw", "stat", "all"};
	unsigned accepted = 0, refused = 0;

	(void)state;
	for (seed = 1; accepted < 1000;) {
		struct folding_tree f = {.tree = tree_new("f /a/b/c\nd /b\n"), .folds = "/", .tells = FOLDING_YES};
		char text[512] = "";
		bool mixed = pick(2);
		struct policy *p;

		for (unsigned n = 1 + pick(4); n--;) {
			char path[64];

			random_path(path, mixed);
			sprintf(text + strlen(text), "%s %s %s\n", actions[pick(5)], ops[pick(5)], path);
		}
		p = tree_policy(f.tree, NULL, text);
		if (p && plan_in(&f, text)[0] == '\0') {
			accepted++;
			for (unsigned i = 0; i < 27; i++) {
				char path[8] = {'/', (char)('a' + i % 3), '/', (char)('a' + i / 3 % 3), '/', (char)('a' + i / 9), 0};

				check_spellings(p, path, mixed, text);
				path[4] = '\0';
				check_spellings(p, path, mixed, text);
				path[2] = '\0';
				check_spellings(p, path, mixed, text);
			}
		} else if (p) {
			refused++;
		}
		policy_free(p);
		free(f.tree);
	}
	assert_in_range(refused, 100, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_another_spelling_would_open),
		cmocka_unit_test(tries_before_it_asks),
		cmocka_unit_test(keeps_what_it_accepts_by_every_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
