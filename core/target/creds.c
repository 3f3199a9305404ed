/* SPDX-License-Identifier: Apache-2.0
 * setgroups, setfsgid, setfsuid, then capset: changing fsuid alone would leave CAP_SYS_ADMIN and its
 * like in force. The permitted set stays, so that creds_leave() can take everything back. For that the real and saved
 * ids stay ours too: by them also nobody else may signal or trace this thread.
 */
#include "core/target/creds.h"

#include "core/sys.h"

#include <linux/capability.h>
#include <stdlib.h>

static _Thread_local struct {
	uid_t uid;
	gid_t gid;
	gid_t groups[TASK_MAX_GROUPS];
	int n_groups;
	bool can_return;    /* to these ids, from other effective ones */
	bool is_peer;       /* the effective ids are a target's */
	struct __user_cap_data_struct caps[2];
} own;

static int caps_get(struct __user_cap_data_struct caps[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)CALL(syscall(SYS_capget, &header, caps));
}

static int caps_set(const struct __user_cap_data_struct caps[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return (int)CALL(syscall(SYS_capset, &header, caps));
}

static uint64_t effective(const struct __user_cap_data_struct caps[2])
{
	return caps[0].effective | (uint64_t)caps[1].effective << 32;
}

void creds_init(void)
{
	uid_t uid, saved_uid;
	gid_t gid, saved_gid;

	own.uid = geteuid();
	own.gid = getegid();
	own.can_return = getresuid(&uid, &own.uid, &saved_uid) == 0 && getresgid(&gid, &own.gid, &saved_gid) == 0 &&
			 saved_uid == own.uid && saved_gid == own.gid;
	own.n_groups = getgroups(TASK_MAX_GROUPS, own.groups);
	if (caps_get(own.caps) < 0)
		memset(own.caps, 0, sizeof(own.caps));
}

static bool same_groups(const struct task_status *s)
{
	if (own.n_groups < 0 || s->n_groups != (unsigned)own.n_groups)
		return false;
	for (unsigned i = 0; i < s->n_groups; i++) {
		bool found = false;

		for (int j = 0; j < own.n_groups && !found; j++)
			found = own.groups[j] == s->groups[i];
		if (!found)
			return false;
	}
	return true;
}

bool creds_same(const struct task_status *s)
{
	for (unsigned i = 0; i < 4; i++)
		if (s->uid[i] != own.uid || s->gid[i] != own.gid)
			return false;
	return same_groups(s) && s->cap_effective == effective(own.caps);
}

/* First, while we may. */
static int take_effective_ids(const struct task_status *s)
{
	/* The kernel clears the permitted set of whom root's last id leaves. */
	if (!own.can_return || (own.uid != 0 && s->uid[1] == 0))
		return -EPERM;
	own.is_peer = true;
	if (CALL(syscall(SYS_setresgid, -1, s->gid[1], -1)) < 0 || CALL(syscall(SYS_setresuid, -1, s->uid[1], -1)) < 0)
		return -EPERM;
	/* With euid 0 went the effective set. */
	return caps_set(own.caps);
}

static int enter(const struct task_status *s, bool as_peer)
{
	struct __user_cap_data_struct caps[2];

	/* Capabilities that the supervisor itself lacks can't be lent. */
	if (s->n_groups > TASK_MAX_GROUPS || (s->cap_effective & ~effective(own.caps)))
		return -EPERM;
	if (CALL(syscall(SYS_setgroups, (size_t)s->n_groups, s->groups)) < 0)
		return -EPERM;
	if (as_peer && take_effective_ids(s) < 0) {
		creds_leave();
		return -EPERM;
	}
	syscall(SYS_setfsgid, s->gid[3]);
	syscall(SYS_setfsuid, s->uid[3]);
	memcpy(caps, own.caps, sizeof(caps));
	caps[0].effective = (uint32_t)s->cap_effective & own.caps[0].permitted;
	caps[1].effective = (uint32_t)(s->cap_effective >> 32) & own.caps[1].permitted;
	/* setfs*id report nothing: ask again whether they took. */
	if (caps_set(caps) < 0 || (uid_t)syscall(SYS_setfsuid, -1) != s->uid[3] ||
	    (gid_t)syscall(SYS_setfsgid, -1) != s->gid[3]) {
		creds_leave();
		return -EPERM;
	}
	return 0;
}

int creds_enter(const struct task_status *s)
{
	return enter(s, false);
}

int creds_enter_as_peer(const struct task_status *s)
{
	return enter(s, true);
}

void creds_leave(void)
{
	/* A thread that can't become itself again must not serve anybody else. */
	if (caps_set(own.caps) < 0)
		abort();
	if (own.is_peer && (CALL(syscall(SYS_setresuid, -1, own.uid, -1)) < 0 ||
			    CALL(syscall(SYS_setresgid, -1, own.gid, -1)) < 0 || caps_set(own.caps) < 0))
		abort();
	own.is_peer = false;
	syscall(SYS_setfsuid, own.uid);
	syscall(SYS_setfsgid, own.gid);
	/* setfsuid has moved effective bits of its own accord: set them once more. */
	if (CALL(syscall(SYS_setgroups, (size_t)own.n_groups, own.groups)) < 0 ||
	    (uid_t)syscall(SYS_setfsuid, -1) != own.uid || caps_set(own.caps) < 0)
		abort();
}

bool creds_privileged(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&gr, &ge, &gs) < 0)
		return true;
	if (syscall(SYS_capget, &header, data) < 0)
		return true;
	return r != e || e != s || gr != ge || ge != gs || data[0].effective || data[1].effective ||
	       data[0].permitted || data[1].permitted;
}
