/* SPDX-License-Identifier: Apache-2.0
 * What this kernel can do, probed by behaviour once at start.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct features {
	int landlock_abi;        /* 0: none */
	bool seccomp_filter;
	bool user_notif;         /* NEW_LISTENER works and no listener is in force above us */
	bool listener_busy;      /* EBUSY: a supervisor is in force already */
	bool wait_killable_recv; /* behaves: answered calls stay answered under signals */
	bool sync_wake_up;
	bool addfd_send;
	bool process_vm_readv;   /* works on a child */
	bool proc_mem;           /* /proc/PID/mem can be read instead */
	bool pidfd_getfd;
	bool pidfd_thread;
	bool kcmp;               /* tells whether two tasks share their descriptors */
	bool io_uring;
	bool openat2;
	bool ptrace;
	char kernel[128];        /* uname -r and machine */
};

/* Probe everything (forks short-lived children). 0 or -errno if probing itself failed. */
int features_probe(struct features *ret);
/* The same, only what `run` needs at start, as cheaply as possible (under 2 ms). */
int features_probe_quick(struct features *ret);

/* features_probe_quick() in parts, for what can be done while the child gets ready, and while it ends. Each begun
 * probe is dropped, finished or not. The calling thread's own child: all on one thread. */
struct features_probe;
int features_probe_begin(struct features_probe **ret);
void features_probe_finish(struct features_probe *p, struct features *ret);
void features_probe_drop(struct features_probe *p); /* NULL is fine */
