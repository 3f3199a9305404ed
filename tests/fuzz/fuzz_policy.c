/* SPDX-License-Identifier: Apache-2.0
 * Every byte string is a policy or one error with its position, whatever the order of its lines; and a
 * policy that was accepted can be asked anything. For libFuzzer (cmake -DSLUICE_FUZZ=ON, clang), and run
 * by unit/test_policy_bytes on the corpus and on random bytes.
 */
#include "tests/unit/policy_host.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static const struct fake_pair fuzz_links[] = {
	{"/lib", "/usr/lib"}, {"/l", "/home/u"}, {"/a", "/b"}, {"/m", "/proc/77/mounts"}, {NULL, NULL}};
static const struct fake_pair fuzz_files[] = {{"/x/p", "allow read /x\ninclude ./q\n"},
					      {"/x/q", "deny rw **/q\n"},
					      {"/profiles/base", "allow rx /usr\nenv unset *_T\n"},
					      {"/x/loop", "include ./loop\n"},
					      {NULL, NULL}};
static const struct fake_pair fuzz_profiles[] = {{"base", "/profiles/base"}, {"npm", "twice"}, {NULL, NULL}};
static const struct fake_world fuzz_world = {usual_variables, fuzz_files, fuzz_profiles, fuzz_links};

/* An error has a place, is one line, and holds nothing that a terminal obeys. */
static void check_error(const struct policy_error *error)
{
	size_t len = strnlen(error->text, sizeof(error->text));

	REQUIRE(len > 0 && len < sizeof(error->text));
	REQUIRE(strncmp(error->text, "fuzz", 4) == 0 || strncmp(error->text, "--deny ", 7) == 0 ||
		strncmp(error->text, "/x/", 3) == 0);
	REQUIRE(strstr(error->text, ": "));
	for (size_t i = 0; i < len; i++)
		REQUIRE((unsigned char)error->text[i] >= 0x20 && error->text[i] != 0x7f);
}

static struct policy *fuzz_load(const char *text, size_t len, struct policy_error *ret_error)
{
	struct policy_host host = fake_host(&fuzz_world);
	struct policy *p = policy_new(&host);

	REQUIRE(p);
	*ret_error = (struct policy_error){""};
	if (policy_add_text(p, "fuzz", RANK_USER, text, len, ret_error) == 0 &&
	    policy_finish(p, ret_error) == 0)
		return p;
	check_error(ret_error);
	policy_free(p);
	return NULL;
}

/* The lines from the last to the first. */
static char *reverse_lines(const char *text, size_t len, size_t *ret_len)
{
	char *out = malloc(len + 2);
	size_t n = 0, end = len;

	REQUIRE(out);
	if (end > 0 && text[end - 1] == '\n')
		end--;
	for (;;) {
		size_t start = end;

		while (start > 0 && text[start - 1] != '\n')
			start--;
		memcpy(out + n, text + start, end - start);
		n += end - start;
		out[n++] = '\n';
		if (start == 0)
			break;
		end = start - 1;
	}
	*ret_len = n;
	return out;
}

static void ask_anything(const struct policy *p, const struct policy *reversed, const char *path, size_t len)
{
	for (unsigned op = 0; op < OP_COUNT; op++) {
		struct verdict v = policy_decide(p, op, path, len),
			       w = policy_decide(reversed, op, path, len);

		REQUIRE(v.action < ACTION_COUNT);
		REQUIRE((v.err > 0) == (v.action == ACTION_DENY || v.action == ACTION_NEVER));
		REQUIRE(v.action == w.action && v.err == w.err && v.quiet == w.quiet && v.audit == w.audit);
	}
	REQUIRE(policy_decide_mkdir(p, path, len).action == policy_decide_mkdir(reversed, path, len).action);
	REQUIRE(!policy_move_widens(p, path, len, path, len, false));
	policy_move_widens(p, path, len, "/home/u/proj/x", 14, true);
	policy_move_widens(p, "/home/u/proj/x", 14, path, len, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_error error, reversed_error;
	size_t reversed_len, n;
	char *option, *reversed_text = reverse_lines((const char *)data, size, &reversed_len);
	struct policy *p = fuzz_load((const char *)data, size, &error), *reversed;
	struct policy_host host = fake_host(&fuzz_world);
	const struct rule *rules;

	if (size < 3 || memcmp(data, "\xef\xbb\xbf", 3) != 0) { /* a mark is one in the first line only */
		reversed = fuzz_load(reversed_text, reversed_len, &reversed_error);
		REQUIRE((p == NULL) == (reversed == NULL));
		if (p) {
			rules = policy_rules(p, &n);
			for (size_t i = 0; i < n && i < 64; i++) {
				REQUIRE(rules[i].ops && rules[i].text && rules[i].file);
				REQUIRE((rules[i].n_names == 0) == (rules[i].net == NET_ANY));
				for (unsigned k = 0; k < rules[i].n_names; k++)
					ask_anything(p, reversed, rules[i].names[k].prefix,
						     rules[i].names[k].prefix_len);
			}
			ask_anything(p, reversed, "/", 1);
			ask_anything(p, reversed, "/home/u/.ssh/id", 15);
			policy_env_unset(p, "GH_TOKEN");
		}
		policy_free(reversed);
	}
	policy_free(p);

	/* The same bytes as an option of the command line. */
	option = malloc(size + 1);
	REQUIRE(option);
	if (size > 0)
		memcpy(option, data, size);
	option[size] = '\0';
	p = policy_new(&host);
	if (policy_add_option(p, ACTION_DENY, option, &error) < 0 || policy_finish(p, &error) < 0)
		check_error(&error);
	policy_free(p);
	free(option);
	free(reversed_text);
	return 0;
}
