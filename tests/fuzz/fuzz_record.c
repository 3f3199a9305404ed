/* SPDX-License-Identifier: Apache-2.0
 * Every byte string is a record, damaged or not: it is read to its end, each line that is handed out keeps
 * what reader.h promises, and how the bytes are cut into reads makes no difference. For libFuzzer, as
 * `fuzz_record tests/fuzz/corpus-record`; unit/test_record runs it too.
 */
#include "core/record/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void check_bytes(struct record_bytes s)
{
	REQUIRE(s.data || !s.len);
	REQUIRE(!s.data || strlen(s.data) == s.len);
}

static void check_list(struct record_list list)
{
	for (size_t i = 0; i < list.n; i++) {
		REQUIRE(list.items[i].data);
		check_bytes(list.items[i]);
	}
}

static void check_line(const struct record_line *l)
{
	const struct record_bytes all[] = {
		l->time,    l->exe,    l->domain, l->syscall, l->op_word,   l->path,  l->path2,
		l->address, l->by,     l->reply,  l->rule,    l->rule_text, l->layer, l->detail,
		l->cwd,	    l->run_id, l->name,	  l->sluice,  l->kernel,    l->what,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check_bytes(all[i]);
	check_list(l->argv);
	check_list(l->lost);
	check_list(l->unwatched);
	for (size_t i = 0; i < l->n_policies; i++)
		check_bytes(l->policies[i].path);
	for (size_t i = 0; i < l->n_descriptors; i++)
		check_bytes(l->descriptors[i].path);
	REQUIRE(l->type < RECORD_TYPES && l->op <= OP_COUNT && l->verdict <= RECORD_DENY);
	REQUIRE(l->exists >= -1 && l->exists <= 1 && l->complete >= -1 && l->complete <= 1);
	REQUIRE(l->pid >= 0 && l->tid >= 0 && l->ppid >= 0 && l->err >= 0 && l->time_us >= -1);
	REQUIRE(l->json && l->raw.data && !memchr(l->raw.data, '\n', l->raw.len));
}

/* All lines; the last result. */
static int read_all(struct record_reader *r, struct record_state *ret)
{
	struct record_line line;
	uint64_t n = 0, number = 0;
	int got;

	while ((got = record_next(r, &line)) > 0) {
		check_line(&line);
		REQUIRE(line.number > number);
		number = line.number;
		n++;
	}
	*ret = *record_state(r);
	REQUIRE(ret->lines == n && ret->starts + ret->ends <= n && ret->complete <= ret->ends);
	REQUIRE(!ret->damaged == !ret->first_damaged);
	REQUIRE(got == 0 || record_error(r)[0]);
	return got;
}

static void check_trouble(const struct record_state *s)
{
	char words[64], all[512];
	size_t len = record_trouble(s, all, sizeof(all));

	REQUIRE(len < sizeof(all) && strlen(all) == len);
	REQUIRE(record_trouble(s, words, sizeof(words)) == len && strncmp(words, all, strlen(words)) == 0);
	REQUIRE(!record_is_complete(s) || !len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_state whole, grown;
	struct record_reader *r;
	struct record_line line;
	size_t half = size / 2;
	int fd = memfd_create("record", MFD_CLOEXEC), got;

	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	REQUIRE(record_open_fd(fd, false, &r) == 0);
	got = read_all(r, &whole);
	check_trouble(&whole);
	record_free(r);

	/* The same as a file that grows: the same lines but for a tail without its newline. */
	fd = memfd_create("record", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && pwrite(fd, data, half, 0) == (ssize_t)half);
	REQUIRE(record_open_fd(fd, true, &r) == 0);
	if (got == 0) {
		while (record_next(r, &line) > 0)
			check_line(&line);
		REQUIRE(pwrite(fd, data + half, size - half, (off_t)half) == (ssize_t)(size - half));
		REQUIRE(pwrite(fd, "\n", 1, (off_t)size) == 1);
		while (record_next(r, &line) > 0)
			check_line(&line);
		grown = *record_state(r);
		REQUIRE(grown.lines == whole.lines && grown.starts == whole.starts);
		REQUIRE(grown.damaged == whole.damaged + whole.truncated);
	}
	record_free(r);
	return 0;
}
