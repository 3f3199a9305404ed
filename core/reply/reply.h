/* SPDX-License-Identifier: Apache-2.0
 * Answering, exactly once. All functions: any thread that owns the request. A target that is gone is an
 * ordinary event.
 */
#pragma once
#include "core/supervisor.h"

/* The bytes just read belong to the target that asked: NOTIF_ID_VALID. */
bool reply_still_valid(const struct request *q);

/* Fail the call with ERR (positive). */
void reply_errno(struct request *q, int err);
/* Let it return VALUE. */
void reply_value(struct request *q, int64_t value);
/* 0 or -errno, as our own call returned it. */
void reply_result(struct request *q, long result);
/* Let the kernel do it. Each call site says why that grants nothing. */
void reply_continue(struct request *q);
/* Install FD (taken, closed) in the target and return its number. CLOEXEC as the target asked. */
void reply_fd(struct request *q, int fd, bool cloexec);
/* A signal is waiting for this very thread: let the kernel restart or interrupt the call (-512). false:
 * that could not be done safely, keep waiting. */
bool reply_restart(struct request *q);
