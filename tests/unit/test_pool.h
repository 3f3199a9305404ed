/* SPDX-License-Identifier: Apache-2.0
 * Targets for the tests of the pool: children whose getppid(2) is trapped, its arguments free for messages.
 */
#pragma once
#include "core/notify/pool.h"
#include "core/sys.h"

#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

struct target {
	pid_t pid;
	int listener;
	int socket; /* the child reads a byte from it before its body */
};

static inline long trapped_call(long a, long b)
{
	long r;

	/* By hand: the C library would set errno where the answer looks like one. */
	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"((long)SYS_getppid), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
	return r;
}

static inline int trap_getppid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
}

static inline void send_fd(int socket, int fd)
{
	char byte = 'x';
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = u.buf,
			     .msg_controllen = sizeof(u.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(socket, &msg, 0) != 1)
		_exit(99);
}

static inline int receive_fd(int socket)
{
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = u.buf,
			     .msg_controllen = sizeof(u.buf)};
	int fd = -1;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

/* A child under the filter that waits for target_go() and then runs BODY(ARG). */
static inline struct target target_start(int (*body)(void *), void *arg)
{
	struct target t = {.listener = -1};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fflush(NULL);
	t.pid = fork();
	assert_true(t.pid >= 0);
	if (t.pid == 0) {
		char go;
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fd = trap_getppid();
		send_fd(pair[1], fd);
		close(fd);
		close(pair[0]);
		if (read(pair[1], &go, 1) != 1)
			_exit(98);
		close(pair[1]);
		_exit(body(arg));
	}
	close(pair[1]);
	t.socket = pair[0];
	t.listener = receive_fd(pair[0]);
	assert_true(t.listener >= 0);
	return t;
}

static inline void target_go(struct target *t)
{
	assert_int_equal(write(t->socket, "x", 1), 1);
	close(t->socket);
	t->socket = -1;
}

/* Its wait status. */
static inline int target_wait(struct target *t)
{
	int status = -1;

	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	return status;
}

static inline void target_done(struct target *t)
{
	if (t->socket >= 0)
		close(t->socket);
	close(t->listener);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void sleep_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

/* Wait until CONDITION, ten seconds at most: a hang becomes a failure, a slow machine does not. */
#define AWAIT(condition)                                                     \
	do {                                                                 \
		uint64_t until_ = now_ns() + 10000000000u;                   \
		bool true_;                                                  \
		while (!(true_ = (condition)) && now_ns() < until_)          \
			sleep_ms(1);                                         \
		if (!true_)                                                  \
			print_error("waited in vain for: %s\n", #condition); \
		assert_true(true_);                                          \
	} while (0)

static inline unsigned count_entries(const char *directory)
{
	DIR *d = opendir(directory);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static inline void reply_value(int listener, const struct seccomp_notif *notif, int64_t value)
{
	struct seccomp_notif_resp resp = {.id = notif->id, .val = value};

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

static inline void *do_nothing(void *arg)
{
	return arg;
}

/* Before the first test. Without a listener there is nothing to test. */
static inline int prepare(void **state)
{
	int status;
	pid_t pid;
	pthread_t t;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(trap_getppid() >= 0 ? 0 : errno);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WEXITSTATUS(status) != 0) {
		printf("SKIPPED: no listener can be had here: %s\n", strerror(WEXITSTATUS(status)));
		exit(77);
	}
	/* A sanitizer starts a thread of its own with the first of ours: before anybody counts. */
	return pthread_create(&t, NULL, do_nothing, NULL) || pthread_join(t, NULL);
}
