/* SPDX-License-Identifier: Apache-2.0
 * landlock-launch HANDLED_FS HANDLED_NET SCOPED [RIGHTS:PATH]... -- CMD...: the ten lines that a policy costs
 * which Landlock carries alone. Numbers in hexadecimal, as Landlock has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct beneath_attr {
	uint64_t rights;
	int32_t fd;
} __attribute__((packed));

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(125);
}

int main(int argc, char **argv)
{
	struct ruleset_attr attr = {0};
	int ruleset, i = 4;

	if (argc < 6) {
		fprintf(stderr, "usage: landlock-launch FS NET SCOPED [RIGHTS:PATH]... -- CMD...\n");
		return 125;
	}
	attr.fs = strtoull(argv[1], NULL, 16);
	attr.net = strtoull(argv[2], NULL, 16);
	attr.scoped = strtoull(argv[3], NULL, 16);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		fail("landlock_create_ruleset");
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		char *path;
		struct beneath_attr rule = {.rights = strtoull(argv[i], &path, 16)};

		rule.fd = open(path + 1, O_PATH | O_CLOEXEC);
		if (rule.fd < 0 && errno == ENOENT)
			continue; /* gone since the list was made: sluice skips it too */
		if (rule.fd < 0 || syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0) < 0)
			fail(path + 1);
		close(rule.fd);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		fail("landlock_restrict_self");
	close(ruleset);
	if (i + 1 < argc)
		execvp(argv[i + 1], argv + i + 1);
	fail(i + 1 < argc ? argv[i + 1] : "no command");
}
