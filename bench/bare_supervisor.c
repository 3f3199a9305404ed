/* SPDX-License-Identifier: Apache-2.0
 * See bare_supervisor.h. Linear on purpose: what is measured against this should be easy to believe.
 */
#include "bench/bare_supervisor.h"

#include "core/sys.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define CALLS_MAX 16u
#define PATH_READ 256u
#define PAGE 4096u

static const struct {
	const char *name;
	struct bare_call call;
} known[] = {
	{"open", {SYS_open, 0}},     {"open", {SYS_creat, 0}},	{"open", {SYS_openat, 1}},
	{"open", {SYS_openat2, 1}},  {"exec", {SYS_execve, 0}}, {"exec", {SYS_execveat, 1}},
	{"look", {SYS_stat, 0}},     {"look", {SYS_lstat, 0}},	{"look", {SYS_newfstatat, 1}},
	{"look", {SYS_statx, 1}},    {"look", {SYS_access, 0}}, {"look", {SYS_faccessat, 1}},
	{"look", {SYS_faccessat2, 1}}, {"look", {SYS_readlink, 0}}, {"look", {SYS_readlinkat, 1}},
};

int bare_calls(const char *names, struct bare_call *ret_calls, size_t max)
{
	size_t n = 0, words = 0, found = 0;

	for (const char *word = names; *word; words++) {
		size_t len = strcspn(word, ",");
		size_t before = n;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strlen(known[i].name) == len && strncmp(known[i].name, word, len) == 0 && n < max)
				ret_calls[n++] = known[i].call;
		found += n > before;
		word += len + (word[len] == ',');
	}
	return n > 0 && found == words ? (int)n : -EINVAL;
}

static int install(const struct bare_call *calls, size_t n)
{
	const unsigned arch = offsetof(struct seccomp_data, arch), nr = offsetof(struct seccomp_data, nr);
	struct sock_filter code[CALLS_MAX * 2 + 5];
	unsigned short k = 0;

	if (n > CALLS_MAX)
		return -EINVAL;
	code[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, arch);
	code[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	code[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, nr);
	for (size_t i = 0; i < n; i++) {
		uint32_t call = (uint32_t)calls[i].nr;

		code[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
		code[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	}
	code[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				 SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
				 &(struct sock_fprog){.len = k, .filter = code}));
}

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int send_listener(int socket, int fd)
{
	char byte = 0;
	union control control = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_listener(int socket)
{
	char byte;
	int fd;
	union control control = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EPIPE;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static _Noreturn void child(int socket, const struct bare_call *calls, size_t n, char *const *argv)
{
	int listener = install(calls, n);

	if (listener < 0) {
		fprintf(stderr, "bare: seccomp: %s\n", strerror(-listener));
		_exit(125);
	}
	if (send_listener(socket, listener) < 0)
		_exit(125);
	close(listener);
	close(socket);
	execvp(argv[0], argv);
	fprintf(stderr, "bare: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int bare_start(const struct bare_call *calls, size_t n, char *const *argv, pid_t *ret_pid, int *ret_listener)
{
	int pair[2], listener;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		child(pair[1], calls, n, argv);
	}
	close(pair[1]);
	listener = receive_listener(pair[0]);
	close(pair[0]);
	if (listener < 0)
		return listener;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	*ret_pid = pid;
	*ret_listener = listener;
	return 0;
}

static bool hung_up(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP);
}

/* What lies on the path's page, at most PATH_READ bytes. */
static ssize_t read_path(pid_t pid, uint64_t address, char path[PATH_READ])
{
	size_t left = PAGE - (address & (PAGE - 1));
	struct iovec local = {.iov_base = path, .iov_len = left < PATH_READ ? left : PATH_READ};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = local.iov_len};
	ssize_t n = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	__asm__ volatile("" : : "r"(path) : "memory"); /* somebody might have looked at it */
	return n;
}

/* Before Linux 6.11 a blocked RECV does not notice that the last task is gone: this thread does, and interrupts
 * it. It sleeps until then, so it is no part of the floor. */
struct watcher {
	int listener;
	pthread_t thread, receiver;
	atomic_bool done;
};

static void interrupted(int sig)
{
	(void)sig;
}

static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct pollfd p = {.fd = w->listener};
	const struct timespec nap = {.tv_nsec = 1000000};

	while (!(p.revents & POLLHUP) && (poll(&p, 1, -1) >= 0 || errno == EINTR) && !atomic_load(&w->done))
		;
	/* It may be about to block only now. */
	while (!atomic_load(&w->done)) {
		pthread_kill(w->receiver, SIGUSR1);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static bool watcher_start(struct watcher *w, int listener)
{
	const struct sigaction action = {.sa_handler = interrupted};

	sigaction(SIGUSR1, &action, NULL);
	w->listener = listener;
	w->receiver = pthread_self();
	atomic_init(&w->done, false);
	return pthread_create(&w->thread, NULL, watch, w) == 0;
}

static void watcher_end(struct watcher *w)
{
	atomic_store(&w->done, true);
	pthread_join(w->thread, NULL);
}

/* False: nobody is left. */
static bool receive(int listener, struct seccomp_notif *ret)
{
	for (;;) {
		*ret = (struct seccomp_notif){0};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret) == 0)
			return true;
		if ((errno != EINTR && errno != ENOENT) || hung_up(listener))
			return false;
	}
}

static void reply(int listener, uint64_t id, int64_t val, int err, unsigned flags)
{
	struct seccomp_notif_resp resp = {.id = id, .val = val, .error = err, .flags = flags};

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

uint64_t bare_serve(int listener, const struct bare_call *calls, size_t n)
{
	struct seccomp_notif notif;
	struct watcher watcher;
	uint64_t served = 0;
	char path[PATH_READ];

	if (!watcher_start(&watcher, listener))
		return 0;
	while (receive(listener, &notif)) {
		unsigned arg = 0;

		for (size_t i = 0; i < n; i++)
			if (calls[i].nr == notif.data.nr)
				arg = calls[i].path_arg;
		read_path((pid_t)notif.pid, notif.data.args[arg], path);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif.id) < 0)
			continue;
		reply(listener, notif.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		served++;
	}
	watcher_end(&watcher);
	return served;
}

static void hand_over(int listener, uint64_t id, int fd, bool cloexec, enum bare_form form)
{
	struct seccomp_notif_addfd addfd = {
		.id = id,
		.flags = form == BARE_SEND ? SECCOMP_ADDFD_FLAG_SEND : 0,
		.srcfd = (uint32_t)fd,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int there = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd);

	close(fd);
	if (there < 0)
		reply(listener, id, 0, -errno, 0);
	else if (form == BARE_TWO_STEP)
		reply(listener, id, there, 0, 0);
}

uint64_t bare_serve_opens(int listener, enum bare_form form)
{
	struct seccomp_notif notif;
	struct watcher watcher;
	uint64_t served = 0;
	char path[PATH_READ];

	if (!watcher_start(&watcher, listener))
		return 0;
	while (receive(listener, &notif)) {
		int flags = (int)notif.data.args[2], fd;
		ssize_t len = read_path((pid_t)notif.pid, notif.data.args[1], path);

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif.id) < 0)
			continue;
		served++;
		if (notif.data.nr != SYS_openat || len <= 0 || !memchr(path, 0, (size_t)len) ||
		    path[0] != '/' || (flags & (O_CREAT | __O_TMPFILE))) {
			reply(listener, notif.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
			continue;
		}
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			reply(listener, notif.id, 0, -errno, 0);
		else
			hand_over(listener, notif.id, fd, flags & O_CLOEXEC, form);
	}
	watcher_end(&watcher);
	return served;
}
