/* SPDX-License-Identifier: Apache-2.0
 * The owner's word and the poke. The states and who changes them: camp.h.
 *
 * No wake-up is lost because every pair of "say, then look" is sequentially consistent: the camper stores
 * CAMP and then reads `away` inside the restartable window; who calls it away stores `away` and then reads
 * the word. One of them sees the other. If both do, the poke is waited for in vain by nobody: the camper
 * finds POKED on its way out and waits until the handler has run, so the poke can't hit a later ioctl (an
 * interrupted ADDFD with FLAG_SEND would make the target's open return 0).
 */
#include "core/notify/camp.h"

#include "core/sys.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

long camp_recv(const _Atomic int *away, int fd, unsigned long cmd, void *arg);
extern const char camp_recv_end[], camp_recv_abort[];
void camp_sigreturn(void);

const struct camp_stub camp_stub_default = {
	.recv = camp_recv,
	.end = camp_recv_end,
	.abort = camp_recv_abort,
};

/* The kernel's own layout: the C library's sigaction() can't name our restorer, and a sanitizer's delays
 * handlers past the window that this one is about. */
struct kernel_sigaction {
	void (*handler)(int sig, siginfo_t *info, void *context);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000UL

static _Thread_local struct camp *current;

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return CALL(syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0));
}

int camp_signal(void)
{
	return SIGRTMIN + 3;
}

__attribute__((no_sanitize("thread", "address"))) static void on_poke(int sig, siginfo_t *info, void *context)
{
	struct camp *c = current;
	ucontext_t *uc = context;
	greg_t *pc = &uc->uc_mcontext.gregs[REG_RIP];

	(void)sig;
	(void)info;
	if (!c)
		return;
	if (*pc >= (greg_t)c->stub->recv && *pc < (greg_t)c->stub->end)
		*pc = (greg_t)c->stub->abort;
	atomic_fetch_add(&c->received, 1);
}

int camp_install(void)
{
	struct kernel_sigaction sa = {
		.handler = on_poke,
		.flags = SA_SIGINFO | KERNEL_SA_RESTORER, /* no SA_RESTART: the call is to end */
		.restorer = camp_sigreturn,
		.mask = ~(uint64_t)0,
	};

	return (int)CALL(syscall(SYS_rt_sigaction, camp_signal(), &sa, NULL, sizeof(sa.mask)));
}

void camp_init(struct camp *c, bool owner, const struct camp_stub *stub)
{
	memset(c, 0, sizeof(*c));
	c->stub = stub ? stub : &camp_stub_default;
	atomic_init(&c->word, owner ? CAMP_CAMP : CAMP_FOLLOW);
}

void camp_attach(struct camp *c)
{
	sigset_t mask;

	c->tid = (pid_t)syscall(SYS_gettid);
	current = c;
	sigfillset(&mask);
	sigdelset(&mask, camp_signal());
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void camp_detach(void)
{
	sigset_t mask;

	sigfillset(&mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	current = NULL;
}

static uint32_t next(uint32_t word, enum camp_role role)
{
	return ((word & ~CAMP_ROLE_MASK) + (1u << CAMP_ROLE_BITS)) | (uint32_t)role;
}

bool camp_follow(struct camp *c)
{
	for (;;) {
		uint32_t word = atomic_load(&c->word);

		if (camp_role(word) == CAMP_LEFT)
			return false;
		if (camp_role(word) != CAMP_FOLLOW)
			return true;
		if (atomic_load(&c->away)) { /* said before we became a follower */
			atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_LEFT));
			continue;
		}
		futex(&c->word, FUTEX_WAIT, word);
	}
}

/* Wait until N pokes have been received. The handler runs on this very thread, so it either changes the
 * count before the kernel compares it or interrupts the wait. */
static void await_received(struct camp *c, uint32_t n)
{
	for (;;) {
		uint32_t received = atomic_load(&c->received);

		if ((int32_t)(received - n) >= 0)
			return;
		futex(&c->received, FUTEX_WAIT, received);
	}
}

static void send_poke(const struct camp *c)
{
	while (CALL(syscall(SYS_tgkill, getpid(), c->tid, camp_signal())) == -EAGAIN)
		sched_yield(); /* the queue of real-time signals is full */
}

int camp_recv_one(struct camp *c, int listener, struct seccomp_notif *ret)
{
	long r = c->stub->recv(&c->away, listener, SECCOMP_IOCTL_NOTIF_RECV, ret);
	uint32_t word = atomic_load(&c->word);

	/* From CAMP only to POKED meanwhile; after the exchange nobody pokes any more. */
	word = atomic_exchange(&c->word, next(word, CAMP_BUSY));
	/* The state announces a poke that may not even have been sent yet. */
	if (camp_role(word) == CAMP_POKED)
		await_received(c, ++c->settled);
	return (int)r;
}

bool camp_again(struct camp *c)
{
	uint32_t word = atomic_load(&c->word);

	if (camp_role(word) == CAMP_BUSY &&
	    atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_CAMP)))
		return true;
	atomic_store(&c->word, next(word, CAMP_FOLLOW));
	return false;
}

void camp_leave(struct camp *c)
{
	atomic_store(&c->word, next(atomic_load(&c->word), CAMP_LEFT));
}

bool camp_is_away(const struct camp *c)
{
	return atomic_load(&c->away) != 0;
}

uint32_t camp_look(const struct camp *c)
{
	return atomic_load(&c->word);
}

bool camp_demote(struct camp *c, uint32_t word)
{
	return camp_role(word) == CAMP_BUSY &&
	       atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_DEMOTED));
}

bool camp_promote(struct camp *c)
{
	uint32_t word = atomic_load(&c->word);

	if (camp_role(word) != CAMP_FOLLOW ||
	    !atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_CAMP)))
		return false;
	futex(&c->word, FUTEX_WAKE, 1);
	return true;
}

void camp_poke(struct camp *c)
{
	uint32_t sent = atomic_load(&c->sent);

	if ((int32_t)(atomic_load(&c->received) - sent) < 0)
		return; /* one is under way and will do for both */
	atomic_store(&c->sent, sent + 1);
	send_poke(c);
}

void camp_settle(struct camp *c)
{
	await_received(c, atomic_load(&c->sent));
}

bool camp_call_away(struct camp *c)
{
	uint32_t word;

	atomic_store(&c->away, 1); /* pairs with the read of `away` in the window, after the store of CAMP */
	for (;;) {
		word = atomic_load(&c->word);
		switch (camp_role(word)) {
		case CAMP_FOLLOW:
			if (!atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_LEFT)))
				continue;
			futex(&c->word, FUTEX_WAKE, 1);
			return false;
		case CAMP_CAMP:
			if (!atomic_compare_exchange_strong(&c->word, &word, next(word, CAMP_POKED)))
				continue;
			send_poke(c);
			return true;
		case CAMP_POKED:
		case CAMP_BUSY:
		case CAMP_DEMOTED:
		case CAMP_LEFT:
			return false; /* it reads `away` before it waits again */
		}
	}
}
