/* SPDX-License-Identifier: Apache-2.0
 * One thread's share in owning a listener: camping in a blocking RECV, being called away without a lost
 * wake-up, being replaced while it is busy.
 *
 * All of it is one word, its low bits a role and the rest a beat that changes with every turn, so that an
 * onlooker sees "still busy with the same notification" without a clock:
 *
 *   role      who leaves it, and to what
 *   FOLLOW    waits on the word. camp_promote(): CAMP. camp_call_away(): LEFT.
 *   CAMP      owner, in RECV or on its way. itself: BUSY. camp_call_away(): POKED and the poke signal.
 *   POKED     owner; a poke is under way, and must be received before anything else is done, or it would
 *             interrupt some other ioctl. itself: BUSY.
 *   BUSY      owner, serves a notification. itself: CAMP. camp_demote(): DEMOTED.
 *   DEMOTED   serves a notification, owns nothing. itself: FOLLOW.
 *   LEFT      never again.
 *
 * At most one of a listener's camps is in CAMP, POKED or BUSY: whoever promotes has demoted before.
 *
 * camp_follow, camp_recv_one, camp_again: the camp's own thread. camp_promote, camp_demote: one onlooker.
 * camp_call_away: any thread, once the camp's thread runs.
 */
#pragma once
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum camp_role { CAMP_FOLLOW, CAMP_CAMP, CAMP_POKED, CAMP_BUSY, CAMP_DEMOTED, CAMP_LEFT };
#define CAMP_ROLE_BITS 3u
#define CAMP_ROLE_MASK ((1u << CAMP_ROLE_BITS) - 1)

/* A receive function and its restartable window [recv, end). Tests bring their own. */
struct camp_stub {
	long (*recv)(const _Atomic int *away, int fd, unsigned long cmd, void *arg);
	const char *end, *abort;
};
extern const struct camp_stub camp_stub_default;

struct camp {
	/* atomic */
	_Atomic uint32_t word; /* futex */
	_Atomic int away;      /* read inside the window */
	_Atomic uint32_t received; /* futex: pokes that the handler has seen */
	_Atomic uint32_t sent;     /* by camp_poke() */
	/* own thread */
	uint32_t settled; /* pokes that it found announced by POKED */
	/* immutable once the thread runs */
	pid_t tid;
	const struct camp_stub *stub;
};

static inline enum camp_role camp_role(uint32_t word)
{
	return (enum camp_role)(word & CAMP_ROLE_MASK);
}

/* The handler of the poke signal, for the whole process. 0 or -errno. */
int camp_install(void);
/* The signal: no other use of it in this process. */
int camp_signal(void);
/* STUB NULL: the default. OWNER: starts in CAMP, else in FOLLOW. */
void camp_init(struct camp *c, bool owner, const struct camp_stub *stub);
/* On the camp's own thread, before anything else: all signals blocked but the poke. */
void camp_attach(struct camp *c);
void camp_detach(void);

/* Wait to become owner. False: called away. */
bool camp_follow(struct camp *c);
/* As owner: one RECV into the zeroed *ret. 0, -EINTR (look at camp_is_away), -ENOENT (the caller died, or
 * the last one did), or another -errno. The role is BUSY after it. */
int camp_recv_one(struct camp *c, int listener, struct seccomp_notif *ret);
/* Back to camping. False: somebody else owns the listener by now, follow. */
bool camp_again(struct camp *c);
/* Own thread, not in CAMP or POKED: it will not wait again. An owner's listener is then without one. */
void camp_leave(struct camp *c);
bool camp_is_away(const struct camp *c);

uint32_t camp_look(const struct camp *c);
/* Take the listener from an owner that was busy when WORD was read and is busy with the same still. */
bool camp_demote(struct camp *c, uint32_t word);
bool camp_promote(struct camp *c);
/* Leave as soon as what is in hand is done. Does not wait. True: it took a poke. */
bool camp_call_away(struct camp *c);

/* Make a blocking call of C's thread return EINTR, if it is in one; for threads that do not camp. One
 * caller at a time, the thread must not end meanwhile, and must camp_settle() before it does what no poke
 * may interrupt. */
void camp_poke(struct camp *c);
/* Own thread: wait until every poke that was sent has been received. */
void camp_settle(struct camp *c);
