/* SPDX-License-Identifier: Apache-2.0
 * Numbers of calls newer than the C library's headers. From 424 on they are the same everywhere.
 */
#pragma once
#include <sys/syscall.h>
