/* SPDX-License-Identifier: Apache-2.0
 * Calling a camper away: no wake-up is lost wherever the call lands, and none is left over.
 */
#include "core/notify/camp.h"
#include "tests/unit/test_pool.h"

#include <sched.h>

enum { ROUNDS = 10000 };

/* How long the window below is held open: some microseconds, or long enough to be hit every time. */
enum { STALL = 20000, STALL_LONG = 5000000 };
unsigned stall_loops = STALL;

/* The same window as camp_recv, with a stall between check and system call. */
__asm__(".text\n"
	"stalled_recv:\n"
	"	cmpl $0, (%rdi)\n"
	"	jne stalled_abort\n"
	"	movl %esi, %edi\n"
	"	movq %rdx, %rsi\n"
	"	movq %rcx, %rdx\n"
	"	movl stall_loops(%rip), %r8d\n"
	"1:	decl %r8d\n"
	"	jns 1b\n"
	"	movl $16, %eax\n"
	"	syscall\n"
	"stalled_end:\n"
	"	ret\n"
	"stalled_abort:\n"
	"	movq $-4, %rax\n"
	"	ret\n");
extern const char stalled_recv[], stalled_end[], stalled_abort[];

static const struct camp_stub stalled_stub = {
	.recv = (long (*)(const _Atomic int *, int, unsigned long, void *))(uintptr_t)stalled_recv,
	.end = stalled_end,
	.abort = stalled_abort,
};
/* The positive control: the same code, but the handler knows of no window. */
static const struct camp_stub naive_stub = {
	.recv = (long (*)(const _Atomic int *, int, unsigned long, void *))(uintptr_t)stalled_recv,
	.end = stalled_recv,
	.abort = stalled_abort,
};

struct camper {
	struct camp camp;
	int listener;
	_Atomic unsigned calls;  /* camp_call_away() has returned so often */
	_Atomic unsigned rounds; /* and so often it came */
	_Atomic bool ready, leave;
	_Atomic uint64_t interrupted; /* pokes that hit something other than RECV */
	uint64_t served;
};

/* Camps; each time that it is called away, says so and camps again. */
static void *camper_main(void *arg)
{
	struct camper *c = arg;
	struct timespec nap = {.tv_nsec = 1};

	camp_attach(&c->camp);
	atomic_store(&c->ready, true);
	while (!atomic_load(&c->leave)) {
		struct seccomp_notif notif = {0};
		int r = camp_recv_one(&c->camp, c->listener, &notif);

		/* What a late poke would hit. */
		if (nanosleep(&nap, NULL) < 0)
			c->interrupted++;
		if (r == 0) {
			c->served++;
			reply_value(c->listener, &notif, 0);
		}
		if (camp_is_away(&c->camp)) {
			/* It is for good; only a test takes it back, and not under the caller's hands. */
			while (atomic_load(&c->calls) == c->rounds)
				sched_yield();
			atomic_store(&c->camp.away, 0);
			atomic_fetch_add(&c->rounds, 1);
		}
		camp_again(&c->camp);
	}
	camp_detach();
	return NULL;
}

static int body_idle(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

_Noreturn static int body_busy(void *arg)
{
	(void)arg;
	for (;;)
		trapped_call(0, 0);
}

static bool came(struct camper *c, unsigned before, unsigned patience_ms)
{
	struct timespec nap = {.tv_nsec = 50000};
	uint64_t start = now_ns(), now = start;

	while (atomic_load(&c->rounds) == before && now < start + patience_ms * 1000000ull) {
		if (now > start + 200000)
			nanosleep(&nap, NULL); /* on a busy machine do not keep its thread from the CPU */
		now = now_ns();
	}
	return atomic_load(&c->rounds) != before;
}

/* How many of ROUNDS calls were not followed within a generous while. */
static unsigned count_lost(const struct camp_stub *stub, int (*body)(void *), unsigned rounds,
			   unsigned patience_ms)
{
	struct target t = target_start(body, NULL);
	struct camper c = {.listener = t.listener};
	uint64_t until = now_ns() + 4000000000u;
	unsigned lost = 0;
	pthread_t thread;

	assert_int_equal(camp_install(), 0);
	camp_init(&c.camp, true, stub);
	assert_int_equal(pthread_create(&thread, NULL, camper_main, &c), 0);
	AWAIT(c.ready);
	target_go(&t);
	/* Ten thousand take a second on an idle machine; a busy one may do fewer, but not few. */
	for (unsigned i = 0; i < rounds && (lost < 3 || stub == &naive_stub); i++) {
		unsigned before = atomic_load(&c.rounds);

		if (i > 500 && now_ns() > until)
			break;
		for (volatile unsigned spin = 0; spin < i * 37 % 4001; spin++)
			;
		if (i % 8 == 0)
			sched_yield();
		camp_call_away(&c.camp);
		atomic_fetch_add(&c.calls, 1);
		if (came(&c, before, patience_ms))
			continue;
		lost++;
		while (atomic_load(&c.rounds) == before) { /* help it out */
			camp_poke(&c.camp);
			sched_yield();
		}
	}
	atomic_store(&c.leave, true);
	camp_call_away(&c.camp);
	atomic_fetch_add(&c.calls, 1);
	while (pthread_tryjoin_np(thread, NULL)) {
		camp_poke(&c.camp);
		sleep_ms(1);
	}
	/* Helping out pokes at random, and so do the last pokes here. */
	assert_true(lost > 0 || c.interrupted <= 2);
	if (body == body_busy)
		assert_true(c.served > 0);
	kill(t.pid, SIGKILL);
	target_wait(&t);
	target_done(&t);
	return lost;
}

static void loses_no_call_while_idle(void **state)
{
	(void)state;
	assert_int_equal(count_lost(NULL, body_idle, ROUNDS, 5000), 0);
}

static void loses_no_call_with_a_stall_in_the_window(void **state)
{
	(void)state;
	assert_int_equal(count_lost(&stalled_stub, body_idle, ROUNDS, 5000), 0);
}

static void loses_no_call_with_a_long_stall(void **state)
{
	(void)state;
	stall_loops = STALL_LONG;
	assert_int_equal(count_lost(&stalled_stub, body_idle, 500, 5000), 0);
	stall_loops = STALL;
}

static void loses_no_call_under_load(void **state)
{
	(void)state;
	assert_int_equal(count_lost(NULL, body_busy, ROUNDS, 5000), 0);
}

static void a_handler_without_the_window_does_lose_calls(void **state)
{
	(void)state;
	stall_loops = STALL_LONG;
	assert_true(count_lost(&naive_stub, body_idle, 50, 20) > 0);
	stall_loops = STALL;
}

static void a_demoted_owner_follows(void **state)
{
	struct camp a, b;
	uint32_t word;

	(void)state;
	camp_init(&a, true, NULL);
	camp_init(&b, false, NULL);
	assert_false(camp_demote(&a, camp_look(&a))); /* camping, not busy */
	atomic_store(&a.word, CAMP_BUSY);
	word = camp_look(&a);
	assert_true(camp_again(&a)); /* it came back first: */
	assert_false(camp_demote(&a, word));
	atomic_store(&a.word, CAMP_BUSY);
	assert_true(camp_demote(&a, CAMP_BUSY));
	assert_true(camp_promote(&b));
	assert_false(camp_again(&a));
	assert_int_equal(camp_role(camp_look(&a)), CAMP_FOLLOW);
	assert_int_equal(camp_role(camp_look(&b)), CAMP_CAMP);
	assert_false(camp_promote(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_demoted_owner_follows),
		cmocka_unit_test(loses_no_call_while_idle),
		cmocka_unit_test(loses_no_call_with_a_stall_in_the_window),
		cmocka_unit_test(loses_no_call_with_a_long_stall),
		cmocka_unit_test(loses_no_call_under_load),
		cmocka_unit_test(a_handler_without_the_window_does_lose_calls),
	};

	return cmocka_run_group_tests_name("camp", tests, prepare, NULL);
}
