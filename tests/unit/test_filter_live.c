/* SPDX-License-Identifier: Apache-2.0
 * The filters in force, each in a child: what the kernel makes of them, foreign entries included.
 */
#include "core/launch/filter.h"
#include "core/sys.h"
#include "policy/syscall_numbers.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static int with_child(int (*body)(void))
{
	int wstatus;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &wstatus, 0), pid);
	return wstatus;
}

/* The line that failed, so that the parent can tell; 0 if all held. */
#define CHECK(cond) do { if (!(cond)) return __LINE__ % 251 + 1; } while (0)
#define IS(call, err) ((call) < 0 && errno == (err))

static int install_target_filter(void)
{
	static struct features features;
	static struct plan plan = {.landlock_abi = 7, .handled_fs = 0xffff, .inet_sockets = true,
				   .inet_connects = true, .inet_binds = true,
				   .scoped = LL_SCOPE_SIGNAL};
	struct filter_spec spec = {.plan = &plan, .features = &features, .signals_scoped = true,
				   .supervisor = getppid()};
	struct sock_fprog prog;
	int r = filter_build(&spec, &prog);

	return r < 0 ? r : filter_install(&prog, false, false);
}

static int native_calls(void)
{
	int pair[2];

	CHECK(install_target_filter() == 0);
	CHECK(getpid() > 0);
	CHECK(IS(syscall(470), ENOSYS));
	CHECK(IS(syscall(1000), ENOSYS));
	CHECK(IS(syscall(-1), ENOSYS));
	CHECK(IS(syscall(0x7fffffff), ENOSYS));
	CHECK(IS(syscall(0x40000000 | __NR_getpid), ENOSYS)); /* x32 */
	CHECK(IS(syscall(__NR_io_uring_setup, 1, 0), ENOSYS));
	CHECK(IS(syscall(__NR_clone3, NULL, 0), ENOSYS));
	CHECK(IS(syscall(__NR_mount, "", "/", "", 0, NULL), EPERM));
	CHECK(IS(syscall(__NR_ioctl, 0, 0x100005412L, "x"), EPERM)); /* TIOCSTI, dirty above */
	CHECK(IS(unshare(CLONE_NEWUSER), EPERM));
	CHECK(unshare(CLONE_FILES) == 0);
	CHECK(IS(socket(AF_ALG, SOCK_SEQPACKET, 0), EAFNOSUPPORT));
	CHECK(IS(socket(AF_INET, SOCK_RAW, 6), EAFNOSUPPORT));
	CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(IS(prctl(PR_SET_MM, 0, 0, 0, 0), EPERM));
	CHECK(IS(setrlimit(RLIMIT_LOCKS, &(struct rlimit){1, 1}), EPERM));
	CHECK(IS(kill(getppid(), 0), EPERM)); /* named as the supervisor */
	CHECK(kill(getpid(), 0) == 0);
	CHECK(system("exit 7") == 7 << 8);
	return 0;
}

static void answers_native_calls(void **state)
{
	(void)state;
	assert_int_equal(with_child(native_calls), 0);
}

static int enter_by_int80(void)
{
	long r;

	if (install_target_filter() < 0)
		return 1;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* i386 getpid */) : "memory", "r8", "r9", "r10", "r11");
	return 2;
}

static void kills_the_i386_entry(void **state)
{
	int wstatus = with_child(enter_by_int80);

	(void)state;
	if (WIFSIGNALED(wstatus) && WTERMSIG(wstatus) == SIGSEGV)
		skip(); /* a kernel without IA32 emulation has no such entry */
	assert_true(WIFSIGNALED(wstatus));
	assert_int_equal(WTERMSIG(wstatus), SIGSYS);
}

static void *nothing(void *arg)
{
	return arg;
}

static int as_worker(void)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};
	pthread_t t;

	CHECK(filter_install_worker() == 0);
	CHECK(pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0);
	CHECK(IS(fork(), EPERM));
	CHECK(IS(syscall(__NR_vfork), EPERM));
	CHECK(IS(syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0), EPERM));
	CHECK(IS(execv("/bin/true", argv), EPERM));
	CHECK(IS(syscall(__NR_bpf, 0, NULL, 0), EPERM));
	CHECK(IS(syscall(__NR_mount, "", "/", "", 0, NULL), EPERM));
	CHECK(IS(syscall(__NR_setns, -1, 0), EPERM));
	CHECK(IS(syscall(1000), EPERM));
	CHECK(IS(syscall(0x40000000 | __NR_getpid), EPERM));
	CHECK(unshare(CLONE_FS) == 0);
	CHECK(open("/", O_RDONLY | O_DIRECTORY) >= 0);
	CHECK(!IS(syscall(__NR_io_uring_setup, 0, NULL), EPERM) || errno != EPERM);
	return 0;
}

static void leaves_workers_their_work_alone(void **state)
{
	(void)state;
	assert_int_equal(with_child(as_worker), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_native_calls),
		cmocka_unit_test(kills_the_i386_entry),
		cmocka_unit_test(leaves_workers_their_work_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
