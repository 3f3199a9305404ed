/* SPDX-License-Identifier: Apache-2.0
 * Readiness of descriptors by io_uring, epoll behind the same interface. */
#include <liburing.h>
