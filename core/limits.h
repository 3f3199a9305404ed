/* SPDX-License-Identifier: Apache-2.0
 * How many descriptors sluice itself may have open: calls that wait for an answer hold their objects, and a
 * thousand of them must leave room for everybody else's.
 */
#pragma once

/* Raise the soft limit for this process, once, before threads. How many it may have open now. */
unsigned limits_raise(void);
/* In a child, before its exec: what it was. Async-signal-safe. */
void limits_restore(void);
