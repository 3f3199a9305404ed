/* SPDX-License-Identifier: Apache-2.0
 * Reading a target's memory, once (I4), and writing results back with its page protections.
 *
 * Every function may block for as long as the target likes (its mmap lock, FUSE pages): workers only,
 * under the monitor's eye. What was read belongs to the target only if ID_VALID succeeds afterwards:
 * the caller checks.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A NUL-terminated string of at most SIZE bytes with its NUL. Returns the length, -EFAULT if memory
 * ends before a NUL, -ENAMETOOLONG if there is none in SIZE bytes, -EPERM/-ESRCH if the task can't be
 * read. */
ssize_t target_read_string(pid_t tid, uint64_t addr, char *buf, size_t size);

/* The same through an open file that is kept of who asks often. It also reads what the target has no right to read
 * itself: for what the kernel reads once more. Only while target_executes() is told of each execution. */
ssize_t target_read_string_often(pid_t tid, uint64_t addr, char *buf, size_t size);
/* TID is about to have another memory, perhaps. From any thread. */
void target_executes(pid_t tid);
/* Close what this thread keeps. */
void target_forget(void);

/* How much of each string target_glance() looks at. */
#define TARGET_GLANCE 256

/* The beginnings of N strings (at most 64), in one system call: of string I in BUF[I], its length in LEN[I] if it ends
 * there, else -1. How many of the first ones could be read; none is no error. */
size_t target_glance(pid_t tid, const uint64_t *addr, size_t n, char (*buf)[TARGET_GLANCE], ssize_t *len);

/* Of LEN bytes from ADDR on, those on its own page. */
size_t target_on_page(uint64_t addr, size_t len);

/* Exactly LEN bytes. 0 or -errno. */
int target_read(pid_t tid, uint64_t addr, void *buf, size_t len);

/* Exactly LEN bytes, respecting the target's page protection. 0 or -errno. */
int target_write(pid_t tid, uint64_t addr, const void *buf, size_t len);
