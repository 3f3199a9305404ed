/* SPDX-License-Identifier: Apache-2.0
 * What the attack programs share. Usage of each: NAME CASE DIR, or NAME --list.
 *
 * DIR is laid out by the test:
 *   ok/        everything is allowed; ok/plain0, ok/secret hold "plain\n"
 *   no/        everything is denied; no/secret, no/plain0, no/victim hold "SECRET\n"
 *   ro/        may only be read; ro/file holds "fixed\n"
 *   tree/inner denied inside an allowed tree; tree/inner/secret holds "SECRET\n"
 *   later      denied, does not exist
 *
 * Exit status: ESCAPED if the attack had the effect it is after, HELD if not, CANNOT if it can't be
 * tried here (the reason is printed). Run without sluice an attack must escape: that is its positive
 * control, so each must be able to. Where that makes no sense natively, is_control() tells that this
 * is the control, and the program makes the state that it is looking for itself. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif

enum outcome { HELD = 0, ESCAPED = 1, CANNOT = 77 };

struct attack {
	const char *name;
	enum outcome (*run)(void);
};

/* Each program defines its attacks, ended by a NULL name; main is in attack.c. */
extern const struct attack attacks[];

bool is_control(void);
/* Print the reason and return the outcome. */
enum outcome escaped(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum outcome cannot(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
enum outcome held(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Does this descriptor, or the file of that name, give the secret? fd_ closes the descriptor. */
bool fd_gives_secret(int fd);
bool path_gives_secret(const char *path);

/* Races run for this long: until race_over() says so. */
void race_begin(void);
bool race_over(void);
/* Threads that do something until the race is over. */
void race_against(void *(*fn)(void *), void *arg);
void race_join(void);

/* What no/ and ro/ look like from outside of their files; false if anything changed since. */
void victims_note(void);
bool victims_untouched(void);

/* Run FN in a child; its exit status, or -signal. */
int in_child(int (*fn)(void));
