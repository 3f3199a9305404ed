/* SPDX-License-Identifier: Apache-2.0
 * A supervisor that is not dumpable is closed to its user's other processes, and still sees its own
 * descriptors by /proc/self/fd, from each thread.
 */
#include "kernel.h"

#include <grp.h>
#include <pthread.h>

static volatile int mark = 0x77;

static bool own_descriptor(void)
{
	char buf[64];
	int fd = open("/etc/passwd", O_PATH | O_CLOEXEC), again;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0 || readlink(path, buf, sizeof(buf)) <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	return readlink(path, buf, sizeof(buf)) > 0;
}

static void *in_thread(void *arg)
{
	*(bool *)arg = own_descriptor();
	return NULL;
}

static int body(void)
{
	bool threads_too = false;
	pthread_t t;
	pid_t spy;

	if (geteuid() == 0)
		NEED(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
	NEED(prctl(PR_SET_DUMPABLE, 0) == 0);
	FACT(own_descriptor(), "it can use /proc/self/fd");
	NEED(pthread_create(&t, NULL, in_thread, &threads_too) == 0);
	pthread_join(t, NULL);
	FACT(threads_too, "and so can its threads");
	fflush(NULL);
	spy = fork();
	if (spy == 0) {
		int got = 0;
		struct iovec here = {&got, sizeof(got)}, there = {(void *)(uintptr_t)&mark, sizeof(got)};
		char path[64];

		FACT(fails_with(process_vm_readv(getppid(), &here, 1, &there, 1, 0), EPERM),
		     "another process of the user can't read its memory");
		snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
		FACT(fails_with(open(path, O_RDONLY), EACCES), "nor by /proc/PID/mem");
		FACT(sys_pidfd_getfd(sys_pidfd_open(getppid(), 0), 0) == -EPERM, "nor take its descriptors");
		_exit(0);
	}
	return status_of(spy);
}

int main(void)
{
	FACT(in_child(body), "");
	return 0;
}
