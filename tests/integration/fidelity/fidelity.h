/* SPDX-License-Identifier: Apache-2.0
 * A program that makes many system calls and prints one line for each: what it returned and what it
 * did. Run natively and under sluice, as the same user, it must print the same. So no line holds an
 * absolute path of the scratch directory, an inode or a process number, or a time that was not set.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define LONG_NAME_LEN 256 /* one above NAME_MAX */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Names for the newest calls, where the C library has none. The numbers are the same everywhere. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#define SYS_removexattrat 466
#endif

/* "0", "3", or "-1 ENOENT". The text lives until the next but seven call. */
const char *result_text(long result);

/* Print one line: "NAME: RESULT details". RESULT as the call returned it, errno is read. */
void report(long result, const char *name_fmt, ...) __attribute__((format(printf, 2, 3)));
void line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The fixture: the working directory is emptied and holds
 *   reg (0644, "hello\n"), dir/ with dir/in, empty/, link -> reg, linkdir -> dir,
 *   dangling -> nowhere, loop -> loop, fifo, hard (a second name of hardened) and hardened (0400). */
void fixture(void);
/* The same if the last call changed something; prints what it changed as "  now: ...". */
void fixture_after_call(void);
/* The tree below the working directory in one line, into BUF. */
void listing(char *buf, size_t size);
/* Make a file with CONTENT. */
void put(const char *path, const char *content, mode_t mode);
/* Print flags and mode of a descriptor and close it; prints the error if FD is negative. */
void report_fd(long fd, const char *name_fmt, ...) __attribute__((format(printf, 2, 3)));
/* Run FN in a child and print its exit status. */
void in_child(const char *name, void (*fn)(void));

/* The sections; each starts in an empty working directory. */
void section_paths(void);
void section_open(void);
void section_openat2(void);
void section_names(void);
void section_meta(void);
void section_umask(void);
void section_sockets(void);
void section_proc(void);
void section_places(void);
void section_deep(void);
void section_limits(void);
void section_blocking(void);
void section_exec(void);
void section_threads(void);
