/* SPDX-License-Identifier: Apache-2.0
 * Files that the user asks sluice to write, in directories that the target may write too.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Open PATH for writing, before the target exists. A regular file that is there is replaced by a
 * new one (mode 0600), never written through: an earlier run may have planted a link to something
 * that only the user can write. A last component that is a symlink is refused (-ELOOP), so is a
 * file of another user (-EPERM). FIFOs and character devices are written as they are; /dev/fd/N is
 * descriptor N. *RET_REGULAR: it can be truncated. A descriptor or -errno. */
int outfile_open(const char *path, bool *ret_regular);
/* All of DATA, with patience for a full pipe but not for ever. 0 or -errno; *RET_WRITTEN bytes went
 * out either way. SIGPIPE must be blocked. */
int outfile_write(int fd, bool regular, const char *data, size_t len, size_t *ret_written);
/* Put DATA at PATH, with MODE, all of it or nothing: beside its place, then by a rename, so that a reader never sees
 * half of it. A link that stands there is replaced, not followed. What is no file (a FIFO, a device, /dev/stdout)
 * stays and is written. 0 or -errno. */
int outfile_replace(const char *path, const char *data, size_t len, mode_t mode);
/* Do A and B name one place, whether something is there or not? Then one of them must not be written, or what the
 * other holds is lost. */
bool outfile_same(const char *a, const char *b);
