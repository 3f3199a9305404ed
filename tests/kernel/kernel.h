/* SPDX-License-Identifier: Apache-2.0
 * Common to the programs that show what the kernel does. Each is a list of facts: one that does not
 * hold ends the program with status 1, a kernel that lacks the feature with 77 and a loud line.
 */
#pragma once
#include "core/launch/landlock.h"
#include "core/sys.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define SKIP(...) do { printf("SKIPPED: " __VA_ARGS__); printf("\n"); exit(77); } while (0)

/* Something that the test itself needs. */
#define NEED(cond) do { \
	if (!(cond)) { \
		printf("%s:%d: can't: %s (%s)\n", __FILE__, __LINE__, #cond, strerror(errno)); \
		exit(2); \
	} \
} while (0)

/* The facts. In a child, _exit tells the parent. */
#define FACT(cond, text) do { \
	errno = 0; \
	bool holds_ = (cond); \
	int err_ = errno; \
	if (!holds_ || strlen(text) > 0) /* some only lead to the next */ \
		printf("%s %s\n", holds_ ? "holds" : "NOT SO", text); \
	if (!holds_) { \
		printf("%s:%d: %s (last errno: %s)\n", __FILE__, __LINE__, #cond, strerror(err_)); \
		fflush(stdout); \
		_exit(1); \
	} \
	fflush(stdout); \
} while (0)

static inline bool fails_with(long r, int err)
{
	return r < 0 && errno == err;
}

static inline void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* A filter on this thread that notifies of call NR. Listener, or -errno. */
static inline int trap_call(int nr, unsigned long flags)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {sizeof(insns) / sizeof(insns[0]), insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog));
}

/* One filter that answers call NR with ACTION; no listener. */
static inline int filter_call(int nr, uint32_t action)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog prog = {sizeof(insns) / sizeof(insns[0]), insns};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
}

struct traced_child {
	pid_t pid;
	int listener;
	int sock; /* SOCK_SEQPACKET to the child */
};

/* A child in which NR is trapped and that then runs BODY(sock); it exits with what that returns. */
static inline struct traced_child child_with_trap(int nr, unsigned long flags, int (*body)(int sock))
{
	struct traced_child c = {.listener = -1};
	int pair[2], fd, pidfd;

	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fflush(NULL);
	c.pid = fork();
	NEED(c.pid >= 0);
	if (c.pid == 0) {
		char go;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		fd = trap_call(nr, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
		send(pair[1], &fd, sizeof(fd), 0);
		if (fd < 0 || recv(pair[1], &go, 1, 0) != 1)
			_exit(2);
		close(fd);
		_exit(body(pair[1]));
	}
	close(pair[1]);
	c.sock = pair[0];
	NEED(recv(c.sock, &fd, sizeof(fd), 0) == sizeof(fd));
	if (fd == -EBUSY)
		SKIP("a supervisor is in force above this test");
	if (fd < 0)
		SKIP("no listener with flags %lx: %s", flags, strerror(-fd));
	pidfd = sys_pidfd_open(c.pid, 0);
	c.listener = sys_pidfd_getfd(pidfd, fd);
	NEED(c.listener >= 0);
	close(pidfd);
	NEED(send(c.sock, "g", 1, 0) == 1);
	return c;
}

static inline bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

static inline struct seccomp_notif receive(int listener)
{
	struct seccomp_notif n = {0};

	NEED(readable(listener, 2000));
	NEED(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0);
	return n;
}

static inline int answer(int listener, uint64_t id, int error, int64_t val, uint32_t flags)
{
	struct seccomp_notif_resp r = {.id = id, .val = val, .error = error, .flags = flags};

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static inline int status_of(pid_t pid)
{
	int wstatus;

	NEED(waitpid(pid, &wstatus, 0) == pid);
	return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
}

static inline int end_at_once(int sock)
{
	(void)sock;
	return 0;
}

static inline void on_probe_alarm(int sig)
{
	(void)sig;
}

/* Does RECV end (ENOENT) when the last target is gone? Before Linux 6.11 it waits for ever: here, for an alarm. */
static inline bool recv_notices_the_end(void)
{
	struct traced_child c = child_with_trap(SYS_sched_yield, 0, end_at_once);
	/* Again and again, since one that comes before RECV is forgotten. */
	const struct itimerval alarms = {{0, 200000}, {0, 500000}}, none = {0};
	struct sigaction old, sa = {.sa_handler = on_probe_alarm};
	struct seccomp_notif n = {0};
	int r, err;

	NEED(status_of(c.pid) == 0);
	NEED(sigaction(SIGALRM, &sa, &old) == 0);
	setitimer(ITIMER_REAL, &alarms, NULL);
	r = ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &n);
	err = errno;
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &old, NULL);
	NEED(r < 0 && (err == ENOENT || err == EINTR));
	close(c.listener);
	close(c.sock);
	return err == ENOENT;
}

/* Run BODY in a child; true if it returns 0. */
static inline bool in_child(int (*body)(void))
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	NEED(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(body());
	}
	int status = status_of(pid);

	if (status == 77)
		exit(77);
	return status == 0;
}

/* Enter a domain that handles FS, NET and SCOPED and grants RIGHTS on PATH (NULL: nothing). 0 or -errno. */
static inline int enter_domain(uint64_t fs, uint64_t net, uint64_t scoped, const char *path, uint64_t rights)
{
	struct grant grant = {.path = (char *)(uintptr_t)path, .rights = rights};
	struct plan plan = {.handled_fs = fs, .handled_net = net, .scoped = scoped};
	struct stat st;
	int fd, r;

	if (path) {
		if (stat(path, &st) < 0)
			return -errno;
		grant.is_dir = S_ISDIR(st.st_mode);
	}
	fd = landlock_ruleset(&plan, &grant, path ? 1 : 0);
	if (fd < 0)
		return fd;
	r = landlock_enter(fd);
	close(fd);
	return r;
}

static inline void need_landlock(int abi)
{
	if (landlock_abi() < abi)
		SKIP("Landlock ABI %d, this kernel has %d", abi, landlock_abi());
}
#define LL_FS_1 ((1ULL << 13) - 1)

/* A directory of this test alone. */
static inline const char *scratch(void)
{
	static char path[] = "/tmp/kernel-test.XXXXXX";

	NEED(mkdtemp(path));
	return path;
}
