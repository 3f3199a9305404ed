/* SPDX-License-Identifier: Apache-2.0
 * Who may look into whom: a domain may trace itself and what is nested in it. So the workers' domain is
 * the target's parent; one beside it, made from the very same rules, would be blind.
 */
#include "kernel.h"

#define MARK 0x5a17

static volatile int mark = MARK;
static int pair[2];

static pid_t start_target(bool nested_first)
{
	pid_t pid = fork();

	NEED(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (nested_first)
			NEED(enter_domain(LL_FS_1, 0, 0, "/", LL_FS_1) == 0);
		NEED(enter_domain(LL_FS_1, 0, 0, "/", LL_FS_1) == 0);
		send(pair[1], "r", 1, 0);
		for (;;)
			pause();
	}
	char c;
	NEED(recv(pair[0], &c, 1, 0) == 1);
	return pid;
}

struct sight {
	bool memory, cwd, descriptors, status;
};

static struct sight look_at(pid_t pid)
{
	int got = 0, pidfd = sys_pidfd_open(pid, 0), fd;
	struct iovec here = {&got, sizeof(got)}, there = {(void *)(uintptr_t)&mark, sizeof(got)};
	struct sight s;
	char path[64], buf[64];

	s.memory = process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(got) && got == MARK;
	snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	s.cwd = readlink(path, buf, sizeof(buf)) > 0;
	fd = sys_pidfd_getfd(pidfd, pair[1]);
	s.descriptors = fd >= 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	s.status = access(path, R_OK) == 0;
	close(fd);
	close(pidfd);
	return s;
}

static int beside(void)
{
	/* The target took its domains before this one was made. */
	pid_t target = start_target(false);
	struct sight s;

	NEED(enter_domain(LL_FS_1, 0, 0, "/", LL_FS_1) == 0);
	s = look_at(target);
	FACT(!s.memory, "from a domain beside the target's its memory can't be read");
	FACT(!s.cwd && !s.descriptors, "nor its cwd, nor its descriptors taken");
	FACT(s.status, "its status can");
	kill(target, SIGKILL);
	return 0;
}

static int above(void)
{
	struct sight s;
	pid_t target;

	NEED(enter_domain(LL_FS_1, 0, 0, "/", LL_FS_1) == 0);
	target = start_target(false);
	s = look_at(target);
	FACT(s.memory && s.cwd && s.descriptors && s.status, "from the domain above, all of it");
	kill(target, SIGKILL);
	return 0;
}

int main(void)
{
	need_landlock(1);
	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	FACT(in_child(above), "");
	FACT(in_child(beside), "");
	return 0;
}
