/* SPDX-License-Identifier: Apache-2.0
 * See stages.h. The target is a child that waits; it was forked with the paths in its memory, so that they are
 * found there at the addresses that they have here.
 */
#include "bench/stages.h"

#include "core/features.h"
#include "core/launch/filter.h"
#include "core/launch/landlock.h"
#include "core/observe/record.h"
#include "core/resolve/cache.h"
#include "core/resolve/resolve.h"
#include "core/run.h"
#include "core/sys.h"
#include "core/target/memory.h"
#include "core/target/task.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static struct {
	char root[64];
	char clean[PATH_MAX], linked[PATH_MAX], dotted[PATH_MAX], missing[PATH_MAX], relative[64];
	pid_t target;
	int base;
	struct features features;
	struct policy *policy;
	struct plan *plan;
	struct cache *cache;
	unsigned long misses, granted;
} the;

static const struct cache_base absolute;
static const char *const no_files[] = {NULL};
static const char *const no_calls[] = {NULL};

static int load(const char *name, struct policy **ret)
{
	const char *policies[] = {name};
	const struct policy_options options = {.policies = policies, .n_policies = 1};
	struct policy_error error;
	int r = policy_load(&options, "/tmp/sluice-bench-private", no_files, ret, &error);

	if (r < 0)
		fprintf(stderr, "%s\n", error.text);
	return r;
}

static int plan(const struct policy *policy, struct plan **ret)
{
	const struct plan_caps caps = {
		.landlock_abi = the.features.landlock_abi, .supervisor = true, .ptrace_exec = true};
	struct policy_error error;
	int r = policy_plan(policy, &caps, ret, &error);

	if (r < 0)
		fprintf(stderr, "%s\n", error.text);
	return r;
}

/* The scratch tree: a/b/c/file, and a link to b. */
static int make_tree(void)
{
	static const char *const dirs[] = {"a", "a/b", "a/b/c"};
	char path[PATH_MAX];
	int fd;

	snprintf(the.root, sizeof(the.root), "/tmp/sluice-stages.XXXXXX");
	if (!mkdtemp(the.root))
		return -errno;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", the.root, dirs[i]);
		if (mkdir(path, 0700) < 0)
			return -errno;
	}
	snprintf(the.clean, sizeof(the.clean), "%s/a/b/c/file", the.root);
	snprintf(the.linked, sizeof(the.linked), "%s/a/link/c/file", the.root);
	snprintf(the.dotted, sizeof(the.dotted), "%s/a/b/../b/c/./file", the.root);
	snprintf(the.missing, sizeof(the.missing), "%s/a/b/c/nothing", the.root);
	snprintf(the.relative, sizeof(the.relative), "c/file");
	fd = open(the.clean, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	snprintf(path, sizeof(path), "%s/a/link", the.root);
	if (symlink("b", path) < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/a/b", the.root);
	the.base = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return the.base < 0 ? -errno : 0;
}

int stages_init(void)
{
	int r = features_probe_quick(&the.features);

	if (r == 0)
		r = resolve_init();
	if (r == 0)
		r = make_tree();
	if (r == 0)
		r = load("open", &the.policy);
	if (r == 0)
		r = plan(the.policy, &the.plan);
	the.cache = cache_new();
	if (r == 0 && !the.cache)
		r = -ENOMEM;
	if (r < 0)
		return r;
	the.target = fork();
	if (the.target == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return the.target < 0 ? -errno : 0;
}

void stages_done(void)
{
	static const char *const names[] = {"a/b/c/file", "a/link", "a/b/c", "a/b", "a", ""};
	char path[PATH_MAX];

	if (the.target > 0) {
		kill(the.target, SIGKILL);
		waitpid(the.target, NULL, 0);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", the.root, names[i]);
		if (unlink(path) < 0)
			rmdir(path);
	}
	cache_free(the.cache);
	plan_free(the.plan);
	policy_free(the.policy);
}

/* A request ------------------------------------------------------------------------------------ */

static int read_path(void)
{
	char path[PATH_MAX];
	ssize_t n = target_read_string(the.target, (uint64_t)(uintptr_t)the.clean, path, sizeof(path));

	return n < 0 ? (int)n : 0;
}

static int read_status(void)
{
	struct task_status status;

	return task_read_status(the.target, &status);
}

static int open_cwd(void)
{
	int fd = task_open_dir(the.target, AT_FDCWD);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int resolve(const char *path, int base, unsigned flags)
{
	static struct resolved r;
	const struct resolve_from from = {.tid = the.target, .base = base};
	int err;

	resolved_init(&r);
	err = resolve_path(&from, path, strlen(path), flags, &r);
	resolved_done(&r);
	return err;
}

static int resolve_clean(void)
{
	return resolve(the.clean, -EBADF, RESOLVE_FOLLOW);
}

static int resolve_linked(void)
{
	return resolve(the.linked, -EBADF, RESOLVE_FOLLOW);
}

static int resolve_dotted(void)
{
	return resolve(the.dotted, -EBADF, RESOLVE_FOLLOW);
}

static int resolve_missing(void)
{
	return resolve(the.missing, -EBADF, RESOLVE_FOLLOW | RESOLVE_PARENT);
}

static int resolve_relative(void)
{
	return resolve(the.relative, the.base, RESOLVE_FOLLOW);
}

static int cache_hit(void)
{
	struct cache_key key;

	/* An entry lives for a second. */
	if (!cache_lookup(the.cache, OP_READ, &absolute, the.clean, strlen(the.clean), &key))
		cache_learn(the.cache, &key);
	return 0;
}

static int cache_miss(void)
{
	struct cache_key key;
	char path[64];
	int len = snprintf(path, sizeof(path), "/usr/include/c++/12/bits/file%lu.h", the.misses++);

	if (!cache_lookup(the.cache, OP_READ, &absolute, path, (size_t)len, &key))
		cache_learn(the.cache, &key);
	return 0;
}

static int decide(enum op op, const char *path, enum action wanted)
{
	return plan_decide(the.plan, op, path, strlen(path)).action == wanted ? 0 : -EPERM;
}

static int decide_allowed(void)
{
	return decide(OP_READ, "/usr/include/x86_64-linux-gnu/bits/types/struct_timespec.h", ACTION_ALLOW);
}

static int decide_bare_name(void)
{
	return decide(OP_EXEC, "/bin/true", ACTION_ALLOW);
}

static int in_baseline(void)
{
	const char *path = "/usr/include/x86_64-linux-gnu/bits/types/struct_timespec.h";

	/* Either answer will do. */
	the.granted += plan_in_baseline(the.plan, plan_op_rights(the.plan, OP_READ, false), path, strlen(path), 0,
					0);
	return 0;
}

/* The start ------------------------------------------------------------------------------------- */

static int probe(void)
{
	struct features features;

	return features_probe_quick(&features);
}

static int load_and_drop(const char *name, bool with_plan)
{
	struct policy *p;
	struct plan *made = NULL;
	int r = load(name, &p);

	if (r < 0)
		return r;
	if (with_plan)
		r = plan(p, &made);
	plan_free(made);
	policy_free(p);
	return r;
}

static int load_open(void)
{
	return load_and_drop("open", false);
}

static int load_build(void)
{
	return load_and_drop("build", false);
}

static int load_and_plan_build(void)
{
	return load_and_drop("build", true);
}

static int plan_open(void)
{
	struct plan *made;
	int r = plan(the.policy, &made);

	if (r == 0)
		plan_free(made);
	return r;
}

static int build_filter(void)
{
	const struct filter_spec spec = {
		.plan = the.plan, .features = &the.features, .allowed_calls = no_calls, .supervisor = getpid(),
		.supervise = true, .signals_scoped = true,
	};
	struct sock_fprog prog = {0};
	int r = filter_build(&spec, &prog);

	free(prog.filter);
	return r;
}

static int make_ruleset(void)
{
	int fd;

	if (the.features.landlock_abi == 0)
		return 0;
	fd = landlock_ruleset(the.plan, the.plan->baseline, the.plan->n_baseline);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What runs in a child, by its exit status. */
static int in_child(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(what && what() < 0);
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

static int record_line(void)
{
	const struct access_event e = {
		.pid = the.target, .tid = the.target, .call = "openat", .op = OP_READ, .path = the.clean,
		.path_len = strlen(the.clean), .exists = 1, .allowed = true, .by = BY_RULE, .reply = REPLY_CONTINUE,
		.verdict = plan_decide(the.plan, OP_READ, the.clean, strlen(the.clean)),
	};
	struct text line = {0};
	int r;

	record_task(&line, e.pid, e.tid, 1, "/usr/bin/make");
	record_access(&line, &e);
	r = line.failed ? -ENOMEM : 0;
	text_done(&line);
	return r;
}

static int enter(void)
{
	int fd, r;

	if (the.features.landlock_abi == 0)
		return 0;
	fd = landlock_ruleset(the.plan, the.plan->baseline, the.plan->n_baseline);
	r = fd < 0 ? fd : landlock_enter(fd);
	return r;
}

static int fork_and_enter(void)
{
	return in_child(enter);
}

static int fork_only(void)
{
	return in_child(NULL);
}

static int make_cache(void)
{
	struct cache *c = cache_new();

	cache_free(c);
	return c ? 0 : -ENOMEM;
}

const struct stage stages[] = {
	{"read-path", STAGE_REQUEST, "a path from the target's memory", read_path},
	{"read-status", STAGE_REQUEST, "/proc/TID/status, parsed", read_status},
	{"open-cwd", STAGE_REQUEST, "the target's working directory", open_cwd},
	{"resolve-clean", STAGE_REQUEST, "absolute, no link", resolve_clean},
	{"resolve-linked", STAGE_REQUEST, "a link on the way", resolve_linked},
	{"resolve-dotted", STAGE_REQUEST, "\"..\" on the way", resolve_dotted},
	{"resolve-missing", STAGE_REQUEST, "the object is missing, its parent not", resolve_missing},
	{"resolve-relative", STAGE_REQUEST, "from a directory", resolve_relative},
	{"cache-hit", STAGE_REQUEST, "path cache, hit", cache_hit},
	{"cache-miss", STAGE_REQUEST, "path cache, miss, and learn", cache_miss},
	{"decide-deep", STAGE_REQUEST, "the verdict on a path of seven parts", decide_allowed},
	{"decide-short", STAGE_REQUEST, "the verdict on a path of two parts", decide_bare_name},
	{"in-baseline", STAGE_REQUEST, "would Landlock grant it?", in_baseline},
	{"record-line", STAGE_REQUEST, "a verdict, and its line of a record", record_line},
	{"probe", STAGE_START, "what the kernel can do", probe},
	{"load-open", STAGE_START, "the policy `open`", load_open},
	{"load-build", STAGE_START, "the policy `build`", load_build},
	{"load-plan-build", STAGE_START, "the policy `build`, and its plan", load_and_plan_build},
	{"plan-open", STAGE_START, "the plan of `open`", plan_open},
	{"filter-build", STAGE_START, "the filter, as a BPF program", build_filter},
	{"landlock-ruleset", STAGE_START, "a ruleset with the grants of `open`", make_ruleset},
	{"landlock-enter", STAGE_START, "fork, ruleset, restrict, end", fork_and_enter},
	{"fork", STAGE_START, "fork and end, for comparison", fork_only},
	{"cache-new", STAGE_START, "an empty path cache", make_cache},
};
const size_t n_stages = sizeof(stages) / sizeof(stages[0]);
