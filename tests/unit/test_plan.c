/* SPDX-License-Identifier: Apache-2.0
 * The planner by cases: what is granted where, what is trapped, what is refused.
 */
#include "test_plan_tree.h"

#define HOME_TREE                                                                                            \
	"f /usr/bin/cc\nf /usr/bin/ld\nf /usr/lib/libc.so\nf /etc/passwd\nd /tmp/t\nc /dev/null\nc "         \
	"/dev/tty\nd /dev/pts\n"                                                                             \
	"f /home/u/proj/a.c\nf /home/u/proj/src/b.c\nf /home/u/proj/.git/config\nf "                         \
	"/home/u/proj/.git/hooks/pre\n"                                                                      \
	"d /home/u/proj/.git/objects\nf /home/u/.ssh/id\nf /home/u/.ssh/known_hosts\nf /home/u/.npmrc\n"

struct world {
	struct tree *tree;
	struct policy *policy;
	struct plan *plan;
	struct policy_error error;
};

static struct world world(const char *tree, const char *policy, int abi)
{
	struct world w = {.tree = tree_new(tree)};

	w.policy = tree_policy(w.tree, NULL, policy);
	assert_non_null(w.policy);
	if (tree_plan(w.tree, w.policy, abi, &w.plan, &w.error) < 0)
		w.plan = NULL;
	return w;
}

static void world_end(struct world *w)
{
	plan_free(w->plan);
	policy_free(w->policy);
	free(w->tree);
}

static bool in(const struct world *w, uint64_t rights, const char *path)
{
	const struct entry *e = tree_find(w->tree, path);

	return plan_in_baseline(w->plan, rights, path, strlen(path), e ? e->node.dev : 0,
				e ? e->node.ino : 0);
}

static bool upper_has(const struct world *w, uint64_t rights, const char *path)
{
	uint64_t have = 0;

	for (size_t i = 0; i < w->plan->n_upper; i++) {
		const struct grant *g = &w->plan->upper[i];

		if (strcmp(path, g->path) == 0 || (g->is_dir && tree_beneath(g->path, path)))
			have |= g->rights;
	}
	return (rights & ~have) == 0;
}

static const char *layer_of(const struct world *w, int line)
{
	for (size_t i = 0; i < w->plan->n_lines; i++)
		if (w->plan->lines[i].rule && w->plan->lines[i].rule->line == line)
			return w->plan->lines[i].layer;
	return "?";
}

static void grants_a_tree_without_holes_whole(void **state)
{
	struct world w = world(HOME_TREE, "allow rx /usr\nallow all $PWD\nreport none", 7);

	(void)state;
	assert_int_equal(w.plan->n_baseline, 2);
	assert_true(in(&w, LL_READ_FILE | LL_READ_DIR | LL_EXECUTE, "/usr/lib/new"));
	assert_false(in(&w, LL_WRITE_FILE, "/usr/bin/cc"));
	assert_true(
		in(&w, LL_MAKE_REG | LL_MAKE_DIR | LL_REMOVE_FILE | LL_REFER | LL_TRUNCATE, "/home/u/proj"));
	assert_false(in(&w, LL_MAKE_CHAR, "/home/u/proj"));
	assert_false(in(&w, LL_IOCTL_DEV, "/home/u/proj"));
	assert_false(in(&w, LL_READ_FILE, "/home/u/.npmrc"));
	assert_int_equal(w.plan->opens, TRAP_OPENS_NONE);
	assert_false(w.plan->trap[CALL_NAME]);
	assert_false(w.plan->trap[CALL_EXEC]);
	assert_false(w.plan->trap[CALL_STAT]);
	assert_true(w.plan->trap[CALL_META]);
	assert_true(w.plan->trap[CALL_CONNECT]);
	world_end(&w);
}

static void grants_child_by_child_around_a_hole(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD\ndeny w $PWD/.git/hooks\nreport none", 7);

	(void)state;
	assert_true(in(&w, LL_READ_FILE, "/home/u/proj/.git/hooks/pre"));
	assert_false(in(&w, LL_WRITE_FILE, "/home/u/proj/.git/hooks/pre"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/.git/config"));
	assert_true(
		in(&w, LL_WRITE_FILE | LL_MAKE_REG | LL_REMOVE_FILE | LL_REFER, "/home/u/proj/.git/objects"));
	assert_true(in(&w, LL_MAKE_REG | LL_REFER, "/home/u/proj/src"));
	/* No name moves in a directory with a hole, nor above it. */
	assert_false(in(&w, LL_MAKE_REG, "/home/u/proj/.git"));
	assert_false(in(&w, LL_REMOVE_DIR, "/home/u/proj"));
	assert_false(in(&w, LL_REFER, "/home/u/proj"));
	assert_int_equal(w.plan->opens, TRAP_OPENS_WRITES);
	assert_true(w.plan->trap[CALL_NAME]);
	assert_string_equal(layer_of(&w, 2), "landlock+supervisor");
	world_end(&w);
}

static void takes_names_from_a_directory_where_any_operation_differs(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD\ndeny meta $PWD/src\nreport none", 7);

	(void)state;
	assert_true(in(&w, LL_READ_FILE | LL_WRITE_FILE | LL_EXECUTE, "/home/u/proj/x"));
	assert_false(in(&w, LL_MAKE_REG, "/home/u/proj"));
	assert_true(in(&w, LL_MAKE_REG, "/home/u/proj/.git"));
	assert_true(in(&w, LL_MAKE_REG, "/home/u/proj/src"));
	/* meta may not be had by moving src/b.c out, which Landlock would not notice. */
	assert_true(in(&w, LL_REFER, "/home/u/proj/.git") != in(&w, LL_REFER, "/home/u/proj/src"));
	world_end(&w);
}

static void treats_a_missing_hole_as_a_hole_in_its_parent(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD\ndeny write $PWD/src/gen/secret\nreport none", 7);

	(void)state;
	assert_false(in(&w, LL_MAKE_DIR, "/home/u/proj/src"));
	assert_false(in(&w, LL_WRITE_FILE, "/home/u/proj/src/gen"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/src/b.c"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/.git/new"));
	world_end(&w);
}

static void grants_nothing_beneath_a_floating_pattern(void **state)
{
	struct world w = world(HOME_TREE, "allow rw $PWD\ndeny read **/.env\nreport none", 7);

	(void)state;
	assert_false(w.plan->loose_reads);
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/src/b.c"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/src/b.c"));
	assert_true(in(&w, LL_READ_DIR, "/home/u/proj/src"));
	assert_false(in(&w, LL_MAKE_REG, "/home/u/proj/src"));
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	assert_string_equal(layer_of(&w, 2), "supervisor");
	world_end(&w);
}

static void lists_nothing_above_a_hole_of_list(void **state)
{
	struct world w = world(HOME_TREE, "allow ro $PWD\ndeny list $PWD/.git\n", 7);

	(void)state;
	assert_false(in(&w, LL_READ_DIR, "/home/u/proj"));
	assert_false(in(&w, LL_READ_DIR, "/home/u/proj/.git/objects"));
	assert_true(in(&w, LL_READ_DIR, "/home/u/proj/src"));
	assert_true(in(&w, LL_READ_FILE, "/home/u/proj/.git/config"));
	assert_true(w.plan->trap[CALL_WATCH]);
	world_end(&w);
}

static void leaves_a_directory_with_too_many_children_to_the_supervisor(void **state)
{
	char *tree = malloc(1 << 16), *end = tree + sprintf(tree, HOME_TREE);
	struct world w;

	(void)state;
	for (int i = 0; i < 400; i++)
		end += sprintf(end, "f /big/n%d\n", i);
	sprintf(end, "d /big/named/sub\n");
	w = world(tree, "allow rw /big\ndeny read /big/n7\nallow read /big/named/sub", 7);
	assert_false(in(&w, LL_READ_FILE, "/big/n1"));
	assert_true(in(&w, LL_WRITE_FILE, "/big/n1"));
	assert_true(in(&w, LL_READ_FILE, "/big/named/sub/x"));
	world_end(&w);
	w = world(tree, "allow rx /big\ndeny exec /big/n7\nreport none", 7);
	assert_non_null(w.plan);
	assert_true(in(&w, LL_EXECUTE, "/big/n399"));
	assert_false(in(&w, LL_EXECUTE, "/big/n7"));
	assert_true(in(&w, LL_READ_FILE, "/big/n7"));
	assert_false(w.plan->trap[CALL_EXEC]);
	world_end(&w);
	free(tree);
}

static void makes_names_of_mounts_holes(void **state)
{
	struct world w = world(HOME_TREE "m /srv/copy /home/u\nf /srv/copy/x\n",
			       "allow ro /srv\nallow ro $PWD\ndeny read ~/.ssh", 7);
	struct verdict v;

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/srv/copy/.ssh/id"));
	assert_false(in(&w, LL_READ_FILE, "/srv/copy/.ssh"));
	assert_true(in(&w, LL_READ_FILE, "/srv/copy/x"));
	v = plan_decide(w.plan, OP_READ, "/srv/copy/.ssh/id", 17);
	assert_int_equal(v.action, ACTION_DENY);
	v = plan_decide(w.plan, OP_LIST, "/srv/copy/.ssh", 14);
	assert_int_equal(v.action, ACTION_ALLOW);
	world_end(&w);
}

static bool moves(const struct world *w, const char *old, const char *new)
{
	return !plan_move_widens(w->plan, old, strlen(old), new, strlen(new), true);
}

static void moves_nothing_out_of_another_name_of_a_hole(void **state)
{
	struct world w = world(HOME_TREE "m /srv/copy /home/u\n", "allow all /srv\ndeny read ~/.ssh", 7);

	(void)state;
	assert_false(moves(&w, "/srv/copy/.ssh", "/srv/copy/x"));
	assert_false(moves(&w, "/srv/copy/.ssh/id", "/srv/x"));
	assert_false(moves(&w, "/srv", "/srv2"));
	assert_true(moves(&w, "/srv/copy/proj", "/srv/x"));
	world_end(&w);
}

static void closes_the_other_name_of_a_globs_directory(void **state)
{
	struct world w = world(HOME_TREE "m /srv/copy /home/u/proj\n",
			       "allow ro /srv\nallow ro $PWD\ndeny read $PWD/*.key", 7);

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/srv/copy/a.key"));
	assert_int_equal(plan_decide(w.plan, OP_READ, "/srv/copy/a.key", 15).action, ACTION_DENY);
	assert_int_equal(plan_decide(w.plan, OP_READ, "/srv/copy/a.c", 13).action, ACTION_ALLOW);
	world_end(&w);
}

static void covers_a_link_and_what_it_leads_to(void **state)
{
	struct world w = world(HOME_TREE "l /home/u/proj/l /home/u/proj/src/b.c\n",
			       "allow all $PWD\ndeny read $PWD/l", 7);

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/src/b.c"));
	assert_false(in(&w, LL_MAKE_REG, "/home/u/proj"));
	assert_false(in(&w, LL_MAKE_REG, "/home/u/proj/src"));
	assert_true(in(&w, LL_MAKE_REG, "/home/u/proj/.git"));
	world_end(&w);
}

static void names_objects_by_inode(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD\ndeny write $PWD/a.c\ndeny all ~/.ssh", 7);
	const struct entry *file = tree_find(w.tree, "/home/u/proj/a.c"),
			   *dir = tree_find(w.tree, "/home/u/.ssh");

	(void)state;
	assert_string_equal(plan_named(w.plan, file->node.dev, file->node.ino)->path, "/home/u/proj/a.c");
	assert_string_equal(plan_named(w.plan, dir->node.dev, dir->node.ino)->path, "/home/u/.ssh");
	assert_null(plan_named(w.plan, 7, 99999));
	world_end(&w);
}

static void loses_the_operation_of_a_hole_with_unknown_links(void **state)
{
	struct world w = world(HOME_TREE "f /home/u/key\nh /home/u/proj/k /home/u/key\n",
			       "allow all $PWD\ndeny read ~/key", 7);

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/k"));
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/src/b.c"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/src/b.c"));
	world_end(&w);
}

static void finds_a_link_beside_the_hole(void **state)
{
	struct world w = world(HOME_TREE "f /usr/bin/perl\nh /usr/bin/perl5 /usr/bin/perl\n",
			       "allow rx /usr\ndeny exec /usr/bin/perl", 7);

	(void)state;
	assert_non_null(w.plan);
	assert_false(in(&w, LL_EXECUTE, "/usr/bin/perl"));
	assert_false(in(&w, LL_EXECUTE, "/usr/bin/perl5"));
	assert_true(in(&w, LL_EXECUTE, "/usr/bin/cc"));
	assert_int_equal(plan_decide(w.plan, OP_EXEC, "/usr/bin/perl5", 14).action, ACTION_DENY);
	world_end(&w);
}

static void looks_for_links_out_of_never_trees(void **state)
{
	struct world w = world(HOME_TREE "f /home/u/.aws/sub/key\nh /home/u/proj/k /home/u/.aws/sub/key\n",
			       "allow all $PWD\nnever read ~/.aws", 7);
	const struct entry *key = tree_find(w.tree, "/home/u/proj/k");

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/src/b.c"));
	assert_string_equal(plan_named(w.plan, key->node.dev, key->node.ino)->path, "/home/u/.aws/sub/key");
	world_end(&w);
	/* Both names inside: nothing is lost. */
	w = world(HOME_TREE "f /home/u/.aws/key\nh /home/u/.aws/k /home/u/.aws/key\n",
		  "allow all $PWD\nnever read ~/.aws", 7);
	assert_true(in(&w, LL_READ_FILE, "/home/u/proj/src/b.c"));
	world_end(&w);
}

static void follows_files_by_inode_until_they_are_replaced(void **state)
{
	struct world w = world(HOME_TREE "f /home/u/.claude.json\n", "allow rw ~/.claude.json", 7);
	static const char path[] = "/home/u/.claude.json";
	struct entry *e = tree_find(w.tree, path);

	(void)state;
	assert_true(in(&w, LL_READ_FILE | LL_WRITE_FILE | LL_TRUNCATE, path));
	e->node.ino++;
	assert_false(in(&w, LL_READ_FILE, path));
	e->node.ino--;
	assert_true(in(&w, LL_READ_FILE, path));
	plan_forget(w.plan, path, strlen(path));
	assert_false(in(&w, LL_READ_FILE, path));
	/* The new file must be in reach of the workers. */
	assert_true(
		upper_has(&w, LL_READ_FILE | LL_WRITE_FILE | LL_MAKE_REG | LL_REMOVE_FILE, "/home/u/new"));
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	world_end(&w);
}

static void forgets_all_beneath_a_directory(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD\ndeny w $PWD/.git/hooks", 7);
	const struct entry *objects;

	(void)state;
	assert_true(plan_has_grant(w.plan, "/home/u/proj/.git", 17, 0, 0));
	assert_false(plan_has_grant(w.plan, "/home/u/proj/.git/objects/x", 27, 0, 0));
	assert_false(plan_has_grant(w.plan, "/home/u/proj/.gi", 16, 0, 0));
	objects = tree_find(w.tree, "/home/u/proj/.git/objects");
	assert_true(plan_has_grant(w.plan, "/elsewhere", 10, objects->node.dev, objects->node.ino));
	plan_forget(w.plan, "/home/u/proj/.git", 17);
	assert_false(plan_has_grant(w.plan, "/home/u/proj/.git", 17, 0, 0));
	/* The object may live on by another name, with its rights. */
	assert_true(plan_has_grant(w.plan, "/elsewhere", 10, objects->node.dev, objects->node.ino));
	assert_false(in(&w, LL_WRITE_FILE, "/home/u/proj/.git/objects/x"));
	assert_true(in(&w, LL_WRITE_FILE, "/home/u/proj/src/x"));
	assert_true(in(&w, LL_READ_FILE, "/home/u/proj/.git/objects/x")); /* by the project's own */
	world_end(&w);
}

static void grants_ioctl_on_named_devices_only(void **state)
{
	struct world w = world(HOME_TREE, "allow rw /dev\nallow rw /dev/null /dev/pts\nallow all /home", 5);

	(void)state;
	assert_true(in(&w, LL_IOCTL_DEV, "/dev/null"));
	assert_true(in(&w, LL_IOCTL_DEV, "/dev/pts/3"));
	assert_false(in(&w, LL_IOCTL_DEV, "/home/u/proj/a.c"));
	assert_false(upper_has(&w, LL_IOCTL_DEV, "/home/u/proj/a.c"));
	assert_true(upper_has(&w, LL_IOCTL_DEV, "/dev/pts/3"));
	world_end(&w);
	w = world(HOME_TREE, "allow all /\nallow rw /dev/null", 5);
	assert_true(in(&w, LL_IOCTL_DEV, "/dev/null"));
	assert_false(in(&w, LL_IOCTL_DEV, "/dev/tty"));
	assert_false(upper_has(&w, LL_IOCTL_DEV, "/dev/tty"));
	world_end(&w);
}

static void makes_devices_only_where_everything_is_open(void **state)
{
	struct world w = world(HOME_TREE, "allow all /", 7);

	(void)state;
	assert_true(in(&w, LL_MAKE_CHAR | LL_MAKE_BLOCK, "/tmp"));
	world_end(&w);
	w = world(HOME_TREE, "allow all /\ndeny read ~/.ssh", 7);
	assert_false(in(&w, LL_MAKE_CHAR, "/tmp"));
	assert_true(in(&w, LL_MAKE_REG, "/tmp"));
	assert_false(upper_has(&w, LL_MAKE_BLOCK, "/tmp"));
	world_end(&w);
}

static void never_grants_another_process_view(void **state)
{
	struct world w = world(HOME_TREE "f /proc/self/maps\nf /proc/12/maps\nf /proc/cpuinfo\n",
			       "allow rw /proc/self\nallow read /proc/cpuinfo", 7);

	(void)state;
	assert_false(in(&w, LL_READ_FILE, "/proc/self/maps"));
	assert_false(in(&w, LL_READ_FILE, "/proc/12/maps"));
	assert_true(in(&w, LL_READ_FILE, "/proc/cpuinfo"));
	assert_true(upper_has(&w, LL_READ_FILE | LL_WRITE_FILE, "/proc/12/maps"));
	world_end(&w);
	w = world(HOME_TREE "f /proc/self/environ\nf /proc/12/environ\nf /proc/sys/x\n",
		  "allow ro /proc\ndeny read /proc/self/environ", 7);
	assert_false(in(&w, LL_READ_FILE, "/proc/12/environ"));
	assert_true(in(&w, LL_READ_FILE, "/proc/sys/x"));
	world_end(&w);
}

static void bounds_workers_by_what_could_be_allowed(void **state)
{
	struct world w =
		world(HOME_TREE,
		      "allow all $PWD\ndeny w $PWD/.git/hooks\nask read ~/.npmrc\nallow all ~/.cache/x/y", 7);

	(void)state;
	assert_true(upper_has(&w, LL_MAKE_REG | LL_REMOVE_DIR | LL_REFER | LL_EXECUTE, "/home/u/proj"));
	assert_true(upper_has(&w, LL_READ_FILE, "/home/u/.npmrc"));
	assert_true(upper_has(&w, LL_MAKE_DIR | LL_WRITE_FILE, "/home/u/.cache"));
	assert_false(upper_has(&w, LL_READ_FILE, "/etc/passwd"));
	assert_true(upper_has(&w, LL_READ_FILE | LL_READ_DIR, "/proc/1/status"));
	assert_false(in(&w, LL_READ_FILE, "/home/u/.npmrc"));
	assert_false(in(&w, LL_MAKE_DIR, "/home/u"));
	world_end(&w);
	w = world(HOME_TREE, "allow ro $PWD\nallow rw $PWD/src\nallow rw ~/.ssh", 7);
	assert_true(upper_has(&w, LL_WRITE_FILE | LL_REMOVE_DIR, "/home/u/proj")); /* src made anew */
	assert_false(upper_has(&w, LL_READ_FILE, "/home/u/.npmrc"));
	world_end(&w);
	w = world(HOME_TREE, "ask read **/key", 7);
	assert_true(upper_has(&w, LL_READ_FILE, "/etc/passwd"));
	assert_false(upper_has(&w, LL_WRITE_FILE, "/etc/passwd"));
	world_end(&w);
}

static void has_no_right_that_the_kernel_lacks(void **state)
{
	(void)state;
	for (int abi = 0; abi <= 10; abi++) {
		struct world w = world(HOME_TREE,
				       "allow all $PWD\nallow rw /dev/null\nallow rx /usr\nreport none", abi);
		uint64_t rights = landlock_fs_rights(abi);

		assert_non_null(w.plan);
		assert_int_equal(w.plan->handled_fs, rights);
		for (size_t i = 0; i < w.plan->n_baseline; i++)
			assert_int_equal(w.plan->baseline[i].rights & ~rights, 0);
		for (size_t i = 0; i < w.plan->n_upper; i++)
			assert_int_equal(w.plan->upper[i].rights & ~rights, 0);
		assert_int_equal(in(&w, plan_op_rights(w.plan, OP_WRITE, false), "/home/u/proj/a.c"),
				 abi >= 3);
		assert_int_equal(in(&w, LL_REFER, "/home/u/proj"), abi >= 2);
		assert_int_equal(in(&w, plan_op_rights(w.plan, OP_CONNECT, false), "/home/u/proj/s"),
				 abi >= 9);
		assert_false(in(&w, plan_op_rights(w.plan, OP_META, false), "/home/u/proj/a.c"));
		assert_int_equal(w.plan->trap[CALL_NAME], abi < 2);
		assert_int_equal(w.plan->trap[CALL_TRUNCATE], abi < 3);
		assert_int_equal(w.plan->opens, abi == 0  ? TRAP_OPENS_ALL
						: abi < 3 ? TRAP_OPENS_WRITES
							  : TRAP_OPENS_NONE);
		assert_int_equal(w.plan->handled_net, abi >= 4 ? LL_NET_BIND_TCP | LL_NET_CONNECT_TCP : 0);
		assert_int_equal(w.plan->scoped, abi >= 6 ? LL_SCOPE_SIGNAL | LL_SCOPE_ABSTRACT_UNIX : 0);
		world_end(&w);
	}
}

static void emulates_everything_without_landlock(void **state)
{
	struct world w = world(HOME_TREE, "allow all /\nreport none", 0);

	(void)state;
	assert_int_equal(w.plan->n_baseline + w.plan->n_upper, 0);
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	for (int class = CALL_OPEN; class < CALL_CHDIR; class ++)
		assert_true(w.plan->trap[class]);
	assert_false(in(&w, LL_READ_FILE, "/etc/passwd"));
	world_end(&w);
}

static void traps_what_is_to_be_reported(void **state)
{
	struct world w = world(HOME_TREE, "allow all $PWD", 7);

	(void)state;
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	assert_true(w.plan->trap[CALL_NAME] && w.plan->trap[CALL_EXEC] && w.plan->trap[CALL_TRUNCATE]);
	assert_false(w.plan->trap[CALL_STAT]);
	assert_string_equal(layer_of(&w, 1), "landlock+supervisor"); /* meta */
	world_end(&w);
	w = world(HOME_TREE, "allow all $PWD\nreport writes", 7);
	assert_int_equal(w.plan->opens, TRAP_OPENS_WRITES);
	world_end(&w);
	w = world(HOME_TREE, "allow all $PWD\nallow read ~/.n*\nreport writes", 7);
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	world_end(&w);
	w = world(HOME_TREE, "allow ro $PWD audit\nreport none", 7);
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	assert_false(in(&w, LL_READ_FILE, "/home/u/proj/a.c"));
	world_end(&w);
	w = world(HOME_TREE, "allow ro $PWD\ndeny stat ~/.ssh\nreport none", 7);
	assert_true(w.plan->trap[CALL_STAT]);
	assert_int_equal(w.plan->opens, TRAP_OPENS_NONE);
	assert_string_equal(layer_of(&w, 2), "supervisor");
	world_end(&w);
}

static void handles_the_net_by_verdict(void **state)
{
	struct world w = world(HOME_TREE, "allow connect *:*\nreport none", 7);

	(void)state;
	assert_true(w.plan->inet_sockets && w.plan->inet_connects && !w.plan->inet_binds);
	assert_int_equal(w.plan->handled_net, LL_NET_BIND_TCP);
	assert_true(w.plan->trap[CALL_BIND]);
	world_end(&w);
	w = world(HOME_TREE, "allow all /\nallow connect,bind *:*\nreport none", 7);
	assert_int_equal(w.plan->handled_net, 0);
	assert_true(w.plan->inet_connects && w.plan->inet_binds);
	assert_int_equal(w.plan->scoped, LL_SCOPE_SIGNAL);
	assert_false(w.plan->trap[CALL_CONNECT]);
	assert_false(w.plan->trap[CALL_BIND]);
	assert_false(w.plan->trap[CALL_META]);
	world_end(&w);
}

static void refuses_exec_rules_that_cannot_be_kept(void **state)
{
	struct world w = world(HOME_TREE, "allow rx /usr\nask exec /usr/bin/ld", 7);

	(void)state;
	assert_null(w.plan);
	assert_non_null(strstr(w.error.text, "my.policy:2: "));
	assert_non_null(strstr(w.error.text, "exec-holes checked"));
	world_end(&w);
	w = world(HOME_TREE, "allow rx /usr\nnever exec **/ld", 7);
	assert_null(w.plan);
	assert_non_null(strstr(w.error.text, "my.policy:2: "));
	world_end(&w);
	w = world(HOME_TREE, "allow rx /usr\nask exec /usr/bin/ld\nexec-holes checked", 7);
	assert_non_null(w.plan);
	assert_true(w.plan->exec_checked && w.plan->trap[CALL_EXEC]);
	assert_true(in(&w, LL_EXECUTE, "/usr/bin/new"));
	world_end(&w);
	w = world(HOME_TREE, "allow rx /usr\nnever exec /usr/bin/ld\nexec-holes checked", 7);
	assert_non_null(w.plan);
	assert_false(in(&w, LL_EXECUTE, "/usr/bin/ld"));
	assert_true(in(&w, LL_EXECUTE, "/usr/bin/cc"));
	assert_false(w.plan->exec_checked);
	world_end(&w);
}

static int plan_with(struct world *w, const char *policy, struct plan_caps caps)
{
	struct plan_host host = {.ctx = w->tree, .lookup = tree_lookup, .list = tree_list};

	w->policy = tree_policy(w->tree, NULL, policy);
	assert_non_null(w->policy);
	return plan_build(w->policy, &host, &caps, &w->plan, &w->error);
}

static void refuses_checked_exec_without_ptrace(void **state)
{
	struct world w = {.tree = tree_new(HOME_TREE)};

	(void)state;
	assert_int_equal(plan_with(&w, "allow rx /usr\ndeny exec /usr/bin/ld\nexec-holes checked",
				   (struct plan_caps){.landlock_abi = 7, .supervisor = true, .lines = true}),
			 -EINVAL);
	assert_non_null(strstr(w.error.text, "ptrace"));
	world_end(&w);
}

static void records_see_what_nothing_decides_and_let_it_through(void **state)
{
	const struct plan_caps caps = {.landlock_abi = 7, .supervisor = true, .record = true, .record_stat = true};
	struct world w = {.tree = tree_new(HOME_TREE)};

	(void)state;
	assert_int_equal(plan_with(&w, "allow all /\nallow connect,bind *:*", caps), 0);
	for (unsigned c = 0; c < CALL_CLASS_COUNT; c++)
		assert_int_equal(w.plan->seen_only[c], c == CALL_META || c == CALL_STAT || c == CALL_WATCH ||
							       c == CALL_CHDIR || c == CALL_CONNECT);
	assert_true(w.plan->trap[CALL_STAT] && w.plan->trap[CALL_META] && w.plan->trap[CALL_CONNECT]);
	world_end(&w);
	/* What a rule speaks of is decided. */
	w = (struct world){.tree = tree_new(HOME_TREE)};
	assert_int_equal(plan_with(&w, "allow all /\ndeny stat,meta ~/.ssh", caps), 0);
	assert_true(w.plan->trap[CALL_STAT] && w.plan->trap[CALL_META] && w.plan->trap[CALL_WATCH]);
	assert_false(w.plan->seen_only[CALL_STAT] || w.plan->seen_only[CALL_META] || w.plan->seen_only[CALL_WATCH]);
	world_end(&w);
	/* A record alone does not look at every stat, and without one nothing more is trapped. */
	w = (struct world){.tree = tree_new(HOME_TREE)};
	assert_int_equal(plan_with(&w, "allow all /", (struct plan_caps){.landlock_abi = 7, .supervisor = true,
									 .record = true}), 0);
	assert_true(w.plan->seen_only[CALL_META] && !w.plan->trap[CALL_STAT]);
	world_end(&w);
	w = (struct world){.tree = tree_new(HOME_TREE)};
	assert_int_equal(plan_with(&w, "allow all /", (struct plan_caps){.landlock_abi = 7, .supervisor = true}), 0);
	assert_false(w.plan->trap[CALL_META] || w.plan->trap[CALL_STAT]);
	world_end(&w);
}

static uint64_t kernel_rights(const struct world *w, const char *path)
{
	uint64_t rights = 0;

	for (size_t i = 0; i < w->plan->n_baseline; i++)
		if (tree_beneath(w->plan->baseline[i].path, path))
			rights |= w->plan->baseline[i].rights;
	return rights;
}

static void lets_the_kernel_read_what_it_executes(void **state)
{
	struct world w = world(
		HOME_TREE, "allow rx /usr\nallow all $PWD\nallow ro /etc\ndeny read **/.env\nreport none", 7);

	(void)state;
	assert_true(w.plan->loose_reads);
	assert_int_equal(w.plan->opens, TRAP_OPENS_ALL);
	assert_true(kernel_rights(&w, "/usr/bin/cc") & LL_READ_FILE);
	assert_true(kernel_rights(&w, "/home/u/proj/a.out") & LL_READ_FILE);
	assert_false(kernel_rights(&w, "/etc/passwd") & LL_READ_FILE);
	assert_true(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/home/u/proj/a.out"));
	/* No open may be continued: it could read. */
	assert_false(in(&w, LL_READ_FILE, "/usr/bin/cc"));
	assert_false(in(&w, LL_READ_DIR, "/usr/bin"));
	world_end(&w);
	/* A hole with a place of its own stays the kernel's, where no new program may appear beside it. */
	w = world(HOME_TREE, "allow rx $PWD\ndeny read $PWD/secret", 7);
	assert_false(w.plan->loose_reads);
	assert_false(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/home/u/proj/a.out"));
	assert_true(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/home/u/proj/src/a.out"));
	world_end(&w);
	w = world(HOME_TREE, "allow all $PWD\ndeny read $PWD/secret", 7);
	assert_true(w.plan->loose_reads);
	assert_true(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/home/u/proj/a.out"));
	world_end(&w);
	/* Nor may a record, or a link that can't be found, take exec away. */
	w = world(HOME_TREE, "allow rx /usr audit", 7);
	assert_true(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/usr/bin/cc"));
	world_end(&w);
	w = world(HOME_TREE "f /home/u/key\nh /srv/k /home/u/key\n", "allow rx /usr\ndeny read ~/key", 7);
	assert_true(in(&w, plan_op_rights(w.plan, OP_EXEC, false), "/usr/bin/cc"));
	world_end(&w);
	w = world(HOME_TREE, "allow exec /usr/bin/cc", 7);
	assert_null(w.plan);
	assert_non_null(strstr(w.error.text, "write rx"));
	world_end(&w);
}

static void compares_executions_where_a_pattern_refuses_them(void **state)
{
	struct world w = world(HOME_TREE, "allow rx /usr\ndeny all **/.env\ndeny exec /usr/bin/ld", 7);

	(void)state;
	assert_non_null(w.plan);
	assert_true(w.plan->exec_checked && w.plan->trap[CALL_EXEC]);
	assert_true(in(&w, LL_EXECUTE, "/usr/bin/cc"));
	assert_false(in(&w, LL_EXECUTE, "/usr/bin/ld"));
	assert_false(in(&w, LL_READ_FILE, "/usr/lib/new"));
	world_end(&w);
	w = (struct world){.tree = tree_new(HOME_TREE)};
	assert_int_equal(plan_with(&w, "allow rx /usr\ndeny all **/.env",
				   (struct plan_caps){.landlock_abi = 7, .supervisor = true}),
			 -EINVAL);
	assert_non_null(strstr(w.error.text, "ptrace"));
	world_end(&w);
}

static void says_which_rule_needs_a_supervisor(void **state)
{
	struct world w = {.tree = tree_new(HOME_TREE)};
	struct plan_caps alone = {.landlock_abi = 7, .lines = true};

	(void)state;
	assert_int_equal(plan_with(&w, "allow ro $PWD\ndeny read **/.env", alone), -EINVAL);
	assert_non_null(strstr(w.error.text, "my.policy:2: needs a supervisor (deny read **/.env)"));
	world_end(&w);
	w = (struct world){.tree = tree_new(HOME_TREE)};
	assert_int_equal(
		plan_with(&w, "allow rx /usr\nallow read,list,write,create,delete $PWD\ndeny read ~/.ssh",
			  alone),
		0);
	assert_int_equal(w.plan->opens, TRAP_OPENS_NONE);
	world_end(&w);
	w = (struct world){.tree = tree_new(HOME_TREE)};
	alone.landlock_abi = 0;
	assert_int_equal(plan_with(&w, "allow rx /usr", alone), -EINVAL);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_a_tree_without_holes_whole),
		cmocka_unit_test(grants_child_by_child_around_a_hole),
		cmocka_unit_test(takes_names_from_a_directory_where_any_operation_differs),
		cmocka_unit_test(treats_a_missing_hole_as_a_hole_in_its_parent),
		cmocka_unit_test(grants_nothing_beneath_a_floating_pattern),
		cmocka_unit_test(lists_nothing_above_a_hole_of_list),
		cmocka_unit_test(leaves_a_directory_with_too_many_children_to_the_supervisor),
		cmocka_unit_test(makes_names_of_mounts_holes),
		cmocka_unit_test(moves_nothing_out_of_another_name_of_a_hole),
		cmocka_unit_test(closes_the_other_name_of_a_globs_directory),
		cmocka_unit_test(covers_a_link_and_what_it_leads_to),
		cmocka_unit_test(names_objects_by_inode),
		cmocka_unit_test(loses_the_operation_of_a_hole_with_unknown_links),
		cmocka_unit_test(finds_a_link_beside_the_hole),
		cmocka_unit_test(looks_for_links_out_of_never_trees),
		cmocka_unit_test(follows_files_by_inode_until_they_are_replaced),
		cmocka_unit_test(forgets_all_beneath_a_directory),
		cmocka_unit_test(grants_ioctl_on_named_devices_only),
		cmocka_unit_test(makes_devices_only_where_everything_is_open),
		cmocka_unit_test(never_grants_another_process_view),
		cmocka_unit_test(bounds_workers_by_what_could_be_allowed),
		cmocka_unit_test(has_no_right_that_the_kernel_lacks),
		cmocka_unit_test(emulates_everything_without_landlock),
		cmocka_unit_test(traps_what_is_to_be_reported),
		cmocka_unit_test(handles_the_net_by_verdict),
		cmocka_unit_test(refuses_exec_rules_that_cannot_be_kept),
		cmocka_unit_test(refuses_checked_exec_without_ptrace),
		cmocka_unit_test(records_see_what_nothing_decides_and_let_it_through),
		cmocka_unit_test(lets_the_kernel_read_what_it_executes),
		cmocka_unit_test(compares_executions_where_a_pattern_refuses_them),
		cmocka_unit_test(says_which_rule_needs_a_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
