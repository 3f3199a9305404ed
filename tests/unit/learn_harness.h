/* SPDX-License-Identifier: Apache-2.0
 * What tests of `learn` share: a record written line by line, the policy that is learned of it, and a world of few files.
 */
#pragma once
#include "core/learn/learn.h"
#include "tests/unit/policy_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct fake_pair profiles[] = {
	{"base", "/profiles/base.policy"}, {"credentials", "/profiles/credentials.policy"}, {NULL, NULL},
};
static const struct fake_pair files[] = {
	{"/profiles/base.policy", "allow rx /usr\nallow read,write /dev/null\nallow ro /proc\nallow write /proc/self/comm\n"},
	{"/profiles/credentials.policy", "deny all ~/.ssh ~/.netrc ~/.config/gh\ndeny connect /run/agent\n"},
	{NULL, NULL},
};
static const struct fake_world world = {.variables = usual_variables, .files = files, .profiles = profiles};

static struct text record, result;
static struct policy *included, *danger;
static struct facts *facts;

static inline struct policy *policy_of(const char *text)
{
	struct policy_host host = fake_host(&world);
	struct policy *p = policy_new(&host);
	struct policy_error error = {""};

	if (policy_add_text(p, "test", RANK_USER, text, strlen(text), &error) < 0 || policy_finish(p, &error) < 0)
		fail_msg("%s\n%s", error.text, text);
	return p;
}

static inline void begin(void)
{
	text_reset(&record);
	text_puts(&record, "{\"type\":\"start\",\"v\":1,\"seq\":1,\"argv\":[\"make\",\"all\"],\"cwd\":\"/home/u/proj\","
			   "\"home\":\"/home/u\",\"tmpdir\":\"/tmp/sluice-1\",\"looks\":true,\"uid\":1000}\n");
}

static inline void access_line(const char *call, const char *op, const char *path, const char *more)
{
	text_puts(&record, "{\"type\":\"access\",\"pid\":7,\"exe\":\"/usr/bin/cc\"");
	json_field_puts(&record, "syscall", call);
	json_field_puts(&record, "op", op);
	json_field_puts(&record, "path", path);
	text_printf(&record, ",\"verdict\":\"allow\",\"count\":1%s}\n", more);
}

static inline void did(const char *op, const char *path)
{
	access_line("openat", op, path, ",\"exists\":true");
}

static inline void made(const char *path)
{
	access_line("openat", "create", path, ",\"exists\":false");
	access_line("openat", "write", path, ",\"exists\":false");
}

static inline void made_dir(const char *path)
{
	access_line("mkdir", "create", path, ",\"exists\":false,\"dir\":true");
}

static inline void removed(const char *path)
{
	access_line("unlink", "delete", path, ",\"exists\":true");
}

static inline void renamed(const char *from, const char *to, bool dir)
{
	struct text more = {0};

	json_field_puts(&more, "path2", to);
	text_printf(&more, ",\"exists\":true%s", dir ? ",\"dir\":true" : "");
	access_line("rename", "delete", from, more.data);
	text_reset(&more);
	json_field_puts(&more, "path2", from);
	text_puts(&more, ",\"exists\":false");
	access_line("rename", "create", to, more.data);
	text_done(&more);
}

static inline void moved(const char *from, const char *to)
{
	renamed(from, to, false);
}

static inline void moved_dir(const char *from, const char *to)
{
	renamed(from, to, true);
}

static inline void read_facts(void)
{
	int fd = memfd_create("record", MFD_CLOEXEC);
	struct record_reader *reader;
	struct record_line line;

	text_puts(&record, "{\"type\":\"end\",\"status\":0,\"complete\":true,\"lost\":[],\"unwatched\":[]}\n");
	assert_int_equal(write(fd, record.data, record.len), record.len);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(record_open_fd(fd, false, &reader), 0);
	facts_free(facts);
	facts = facts_new();
	while (record_next(reader, &line) > 0)
		assert_int_equal(facts_add(facts, &line), 0);
	assert_int_equal(record_state(reader)->damaged, 0);
	record_free(reader);
}

/* What is there when the policy is made. */
static const char *there[4] = {"/home/u/proj/.git"};

static inline bool is_there(const char *path)
{
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		if (there[i] && strcmp(path, there[i]) == 0)
			return true;
	return false;
}

static inline bool is_su(const char *path)
{
	return strcmp(path, "/opt/su") == 0;
}

static inline struct learn_input input(void)
{
	return (struct learn_input){
		.facts = facts, .included = included, .danger = danger, .home = "/home/u", .exists = is_there,
		.is_setuid = is_su,
	};
}

static inline const char *learned(void)
{
	struct learn_result r;
	struct learn_input in;

	read_facts();
	in = input();
	text_reset(&result);
	assert_int_equal(learn_policy(&in, &result, &r), 0);
	return result.data;
}

/* The rules, without comments, one a line. */
static inline const char *rules(void)
{
	static char out[16384];
	size_t n = 0;
	char *copy = strdup(learned()), *save = NULL;

	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		size_t len = strcspn(l, "#");

		while (len && l[len - 1] == ' ')
			len--;
		if (len && strncmp(l, "include ", 8) != 0)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s\n", (int)len, l);
	}
	out[n] = '\0';
	free(copy);
	return out;
}

/* The text is a policy, and allows all that was done and not left out. */
static inline void allows_all(void)
{
	struct policy *p = policy_of(result.data);
	struct learn_input in = input();
	size_t n;
	const struct fact *const *all = facts_sorted(facts, &n);

	for (size_t i = 0; i < n; i++) {
		const char *reason;
		opset needs = learn_needs(&in, all[i], &reason);

		for (enum op op = 0; op < OP_COUNT && !reason; op++)
			if (needs & OPBIT(op) && policy_decide(p, op, all[i]->path, all[i]->len).action != ACTION_ALLOW)
				fail_msg("%s %s is not allowed by\n%s", op_names[op], all[i]->path, result.data);
	}
	policy_free(p);
}

static inline int learn_begin(void **state)
{
	(void)state;
	included = policy_of("include base\ninclude credentials\n");
	danger = policy_of(learn_danger_text());
	return 0;
}

static inline int learn_end(void **state)
{
	(void)state;
	facts_free(facts);
	policy_free(included);
	policy_free(danger);
	text_done(&record);
	text_done(&result);
	return 0;
}
