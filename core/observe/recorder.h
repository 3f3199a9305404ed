/* SPDX-License-Identifier: Apache-2.0
 * The record file: lines go into a buffer, a thread of its own writes them.
 *
 * recorder_new, recorder_drain and recorder_free on the leader thread, recorder_add from any thread: it takes a
 * lock for a copy and never waits for the disk. What can't be written or does not fit is counted,
 * the file keeps whole lines only, and says so in a `lost` line once it can be written again.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recorder;

int recorder_new(const char *path, struct recorder **ret);
/* A line: TYPE, then sequence number and time by the recorder, then FIELDS (`,"key":value...`). */
void recorder_add(struct recorder *r, const char *type, const char *fields, size_t len);
/* Lines lost so far, and the positive errno of the last failed write (0: none, or no memory). */
uint64_t recorder_lost(struct recorder *r, int *ret_errno);
/* Wait until all that was added is written or lost; what was lost is a line then. */
void recorder_drain(struct recorder *r);
void recorder_free(struct recorder *r);
