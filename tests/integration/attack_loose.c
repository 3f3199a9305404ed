/* SPDX-License-Identifier: Apache-2.0
 * Races for calls that a supervisor could leave to the kernel for reasons of their own: the name does not
 * exist, a directory is listed, the flags of openat2 lie in memory. Where reading is not bounded by
 * Landlock (a pattern refuses it, and exec needs it) none of them may be continued.
 */
#include "tests/integration/attack/attack.h"

#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>

/* The first four bytes of a path, or a flags word, flip between two values. */
static _Atomic uint32_t *word;
static uint32_t harmless, harmful;

static void *flip(void *arg)
{
	(void)arg;
	while (!race_over())
		for (int i = 0; i < 1000; i++) {
			atomic_store_explicit(word, harmful, memory_order_relaxed);
			for (volatile int j = 0; j < (i & 63); j++)
				;
			atomic_store_explicit(word, harmless, memory_order_relaxed);
			for (volatile int j = 0; j < (i & 31); j++)
				;
		}
	return NULL;
}

static uint32_t word_of(const char four[4])
{
	uint32_t w;

	memcpy(&w, four, 4);
	return w;
}

static void aim(void *at, uint32_t good, uint32_t bad)
{
	word = at;
	harmless = good;
	harmful = bad;
	atomic_store(word, good);
}

static enum outcome open_until_secret(const char *path, int flags)
{
	unsigned long tries = 0;

	race_begin();
	race_against(flip, NULL);
	for (; !race_over(); tries++) {
		if (fd_gives_secret(open(path, flags | O_CLOEXEC))) {
			race_join();
			return escaped("the secret after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries", tries);
}

static enum outcome missing_name_flips(void)
{
	static _Alignas(16) char path[64] = "ok/victim"; /* is not there; no/victim is */

	aim(path, word_of("ok/v"), word_of("no/v"));
	return open_until_secret(path, O_RDONLY);
}

static enum outcome listed_directory_flips(void)
{
	static _Alignas(16) char path[64] = "no/victim";

	aim(path, word_of("ok\0v"), word_of("no/v"));
	return open_until_secret(path, O_RDONLY);
}

static enum outcome name_of_open_for_both_flips(void)
{
	static _Alignas(16) char path[64] = "ok/plain0";

	aim(path, word_of("ok/p"), word_of("no/p"));
	return open_until_secret(path, O_RDWR);
}

/* First a call that may write, then one that reads. */
static enum outcome flags_of_openat2_flip(void)
{
	static _Alignas(16) struct open_how how;
	static _Alignas(16) char path[64] = "no/victim";
	unsigned long tries = 0;

	how = (struct open_how){.flags = O_PATH | O_CLOEXEC};
	aim(&how.flags, O_PATH | O_CLOEXEC, O_RDONLY | O_CLOEXEC);
	race_begin();
	race_against(flip, NULL);
	for (; !race_over(); tries++) {
		long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

		if (fd_gives_secret((int)fd)) {
			race_join();
			return escaped("the secret after %lu tries", tries);
		}
	}
	race_join();
	return held("%lu tries", tries);
}

const struct attack attacks[] = {
	{"missing_name_flips", missing_name_flips},
	{"listed_directory_flips", listed_directory_flips},
	{"name_of_open_for_both_flips", name_of_open_for_both_flips},
	{"flags_of_openat2_flip", flags_of_openat2_flip},
	{NULL, NULL},
};
