/* SPDX-License-Identifier: Apache-2.0
 * The controlling terminal, borrowed for one key at a time from the command that owns it.
 *
 * One terminal a process. All but terminal_restore() by the asker's thread, with SIGTTOU and SIGTTIN
 * blocked: a change of mode that loses a race for the foreground must not stop sluice.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct terminal;

/* -ENXIO: there is none. */
int terminal_open(struct terminal **ret);
void terminal_close(struct terminal *t);

/* Is our process group in the foreground, and the terminal in a mode in which lines are typed and
 * echoed? Else someone edits, or types a password. */
bool terminal_is_free(const struct terminal *t);

/* Only the first half of it: true also while it is borrowed. */
bool terminal_is_ours(const struct terminal *t);

/* Single keys, no echo; drops what was typed ahead. 0 or -errno. */
int terminal_borrow(struct terminal *t);
void terminal_give_back(struct terminal *t);
/* Async-signal-safe; for every way that this process can end. */
void terminal_restore(void);

/* For a process that was forked while T was open and outlives this one: T's descriptor, to be kept, and what
 * to do with it when this process is gone, however it went. Nothing that the terminal's next owner did is
 * undone. */
int terminal_fd(const struct terminal *t);
void terminal_orphaned(int fd);
bool terminal_is_lent(void); /* is there anything to be done with it then? */

/* Show; gives up when the terminal is stopped (^S) for too long. */
void terminal_write(const struct terminal *t, const char *s, size_t len);
/* Drop what was typed until now. */
void terminal_flush(const struct terminal *t);

/* A key that came alone. -EAGAIN after TIMEOUT_MS, -EINTR when WAKE_FD can be read, -EIO when the
 * terminal is no longer ours to read. What comes in one piece, a paste or a terminal's own reply to
 * a query that the command printed, is no key: dropped. */
int terminal_key(const struct terminal *t, int wake_fd, int timeout_ms);
