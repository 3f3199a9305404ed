/* SPDX-License-Identifier: Apache-2.0
 * Preloaded into programs under `--gate on`: the open functions of libc, by way of the gate. Whatever Landlock
 * grants is opened there natively; EACCES, which may only mean that Landlock does not know of it, is tried again
 * in the ordinary way, which is trapped and decided by the supervisor.
 *
 * It needs nothing but errno from the C library, so it goes with any. Async-signal-safe, any thread. A thread
 * that waits in an open (of a FIFO, say) is not cancelled there.
 */
#include "gate/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Prototypes of libc's headers may be macros or inline functions under _FORTIFY_SOURCE. */
#undef open
#undef open64
#undef openat
#undef openat64
#undef creat
#undef creat64

/* A program may have been linked without a C library. */
#pragma weak __errno_location

#define EXPORTED __attribute__((visibility("default")))
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static long call4(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
}

static long map_page(void)
{
	register long r10 __asm__("r10") = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	register long r8 __asm__("r8") = -1;
	register long r9 __asm__("r9") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(SYS_mmap), "D"(GATE_PAGE), "S"(GATE_PAGE_SIZE), "d"(PROT_READ | PROT_WRITE), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long ordinary_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return call4(SYS_openat, dirfd, (long)path, flags, (long)mode);
}

/* The gate, once its page is there; until then, and where it can't be, the ordinary way. */
static long (*through)(int dirfd, const char *path, int flags, mode_t mode) = ordinary_openat;

__attribute__((constructor)) static void make_gate(void)
{
	static const unsigned char code[] = GATE_CODE;

	if (map_page() != (long)GATE_PAGE)
		return;
	memcpy((void *)GATE_PAGE, code, sizeof(code));
	if (call4(SYS_mprotect, (long)GATE_PAGE, GATE_PAGE_SIZE, PROT_READ | PROT_EXEC, 0) == 0)
		through = (long (*)(int, const char *, int, mode_t))GATE_PAGE;
}

static bool is(const char *path, const char *name)
{
	while (*name && *path == *name)
		path++, name++;
	return *path == *name;
}

static int gate_open(int dirfd, const char *path, int flags, mode_t mode)
{
	/* The supervisor has to see which terminals are the command's: who makes them mostly opens so, and else opens
	 * one of two names. A path that the kernel has read we may read too; before, it could be no address. */
	long r = flags & O_NOCTTY ? -EACCES : through(dirfd, path, flags, mode);

	if (r >= 0 && (is(path, "/dev/ptmx") || is(path, "/dev/pts/ptmx"))) {
		call4(SYS_close, r, 0, 0, 0);
		r = -EACCES;
	}
	if (r == -EACCES)
		r = ordinary_openat(dirfd, path, flags, mode);
	if (r >= 0)
		return (int)r;
	if (&__errno_location)
		errno = (int)-r;
	return -1;
}

static int has_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_OF(flags, mode)                     \
	mode_t mode = 0;                         \
	if (has_mode(flags)) {                   \
		va_list ap;                      \
		va_start(ap, flags);             \
		mode = (mode_t)va_arg(ap, int);  \
		va_end(ap);                      \
	}

EXPORTED int open(const char *path, int flags, ...);
EXPORTED int open64(const char *path, int flags, ...);
EXPORTED int openat(int dirfd, const char *path, int flags, ...);
EXPORTED int openat64(int dirfd, const char *path, int flags, ...);
EXPORTED int creat(const char *path, mode_t mode);
EXPORTED int creat64(const char *path, mode_t mode);
/* What calls without a mode become under _FORTIFY_SOURCE. */
EXPORTED int __open_2(const char *path, int flags);
EXPORTED int __open64_2(const char *path, int flags);
EXPORTED int __openat_2(int dirfd, const char *path, int flags);
EXPORTED int __openat64_2(int dirfd, const char *path, int flags);

int open(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return gate_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return gate_open(AT_FDCWD, path, flags, mode);
}

int openat(int dirfd, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return gate_open(dirfd, path, flags, mode);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return gate_open(dirfd, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return gate_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
	return gate_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int __open_2(const char *path, int flags)
{
	return gate_open(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return gate_open(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dirfd, const char *path, int flags)
{
	return gate_open(dirfd, path, flags, 0);
}

int __openat64_2(int dirfd, const char *path, int flags)
{
	return gate_open(dirfd, path, flags, 0);
}
