/* SPDX-License-Identifier: Apache-2.0
 * Files are read here with bounds on everything, and what can't be understood is left out.
 */
#include "core/programs.h"

#include "core/cleanup.h"
#include "core/resolve/memo.h"
#include "core/sys.h"

#include <elf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS_MAX = 64, LINE_BYTES = 256, KNOWN_MAX = 256 };

static struct known {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	bool script;
	char *interpreter; /* NULL: an empty place */
} known[KNOWN_MAX]; /* under lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The interpreter of the ELF program FD: its length in BUF, or 0. */
static size_t elf_interpreter(int fd, char buf[PATH_MAX])
{
	Elf64_Ehdr e;

	if (pread(fd, &e, sizeof(e), 0) != sizeof(e) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
	    e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	for (unsigned i = 0; i < e.e_phnum && i < HEADERS_MAX; i++) {
		Elf64_Phdr p;

		if (pread(fd, &p, sizeof(p), (off_t)(e.e_phoff + i * sizeof(p))) != sizeof(p))
			return 0;
		if (p.p_type != PT_INTERP)
			continue;
		if (p.p_filesz < 2 || p.p_filesz > PATH_MAX ||
		    pread(fd, buf, p.p_filesz, (off_t)p.p_offset) != (ssize_t)p.p_filesz ||
		    buf[p.p_filesz - 1] != '\0')
			return 0;
		return strlen(buf);
	}
	return 0;
}

/* The first word after "#!", as the kernel takes it. */
static size_t script_interpreter(int fd, char buf[PATH_MAX])
{
	char line[LINE_BYTES + 1];
	ssize_t n = pread(fd, line, LINE_BYTES, 0);
	size_t start, len;

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = '\0';
	start = 2 + strspn(line + 2, " \t");
	len = strcspn(line + start, " \t\n");
	memcpy(buf, line + start, len);
	buf[len] = '\0';
	return len;
}

/* The file itself, to be read. What was recalled is opened by its name, and must be the same. */
static int open_program(const struct resolved *program)
{
	_cleanup_close_ int found = -EBADF;
	int obj = program->obj;
	struct stat st;
	char link[32];

	if (obj < 0) {
		obj = found = sys_openat2(AT_FDCWD, program->name, O_PATH | O_CLOEXEC, 0, RESOLVE_NO_SYMLINKS);
		if (found < 0 || fstat(found, &st) < 0 || st.st_dev != program->st.st_dev ||
		    st.st_ino != program->st.st_ino)
			return -ESTALE;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", obj);
	return (int)CALL(open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

static struct known *place(const struct stat *st)
{
	return &known[((uint64_t)st->st_ino * 0x9e3779b97f4a7c15u >> 32) % KNOWN_MAX];
}

static bool recall(const struct stat *st, char buf[PATH_MAX], bool *ret_script)
{
	const struct known *k = place(st);
	bool found;

	pthread_mutex_lock(&lock);
	found = k->interpreter && k->dev == st->st_dev && k->ino == st->st_ino &&
		k->changed.tv_sec == st->st_ctim.tv_sec && k->changed.tv_nsec == st->st_ctim.tv_nsec;
	if (found) {
		snprintf(buf, PATH_MAX, "%s", k->interpreter);
		*ret_script = k->script;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void keep(const struct stat *st, const char *interpreter, bool script)
{
	struct known *k = place(st);
	char *copy = memo_would_show(st) ? strdup(interpreter) : NULL;

	if (!copy)
		return;
	pthread_mutex_lock(&lock);
	free(k->interpreter);
	*k = (struct known){st->st_dev, st->st_ino, st->st_ctim, script, copy};
	pthread_mutex_unlock(&lock);
}

size_t program_interpreter(const struct resolved *program, char buf[PATH_MAX], bool *ret_script)
{
	_cleanup_close_ int fd = -EBADF;
	size_t n;

	if (recall(&program->st, buf, ret_script))
		return strlen(buf);
	fd = open_program(program);
	if (fd < 0)
		return 0;
	n = script_interpreter(fd, buf);
	*ret_script = n > 0;
	if (!n)
		n = elf_interpreter(fd, buf);
	buf[n] = '\0';
	keep(&program->st, buf, *ret_script);
	return n;
}
