/* SPDX-License-Identifier: Apache-2.0
 * ADDFD with FLAG_SEND, or ADDFD, close, SEND: what the target may see of the supervisor's own copy, and
 * what an interrupted ioctl does.
 */
#include "kernel.h"

#include <pthread.h>
#include <stdatomic.h>

#define KILLABLE SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

/* Opens what the supervisor hands over, closes it, and executes it. */
static int exec_after_close(int sock)
{
	static char script[64];
	char *args[] = {script, NULL};
	int fd;

	NEED(recv(sock, script, sizeof(script), 0) > 0);
	fd = (int)syscall(SYS_openat, AT_FDCWD, script, O_WRONLY | O_CLOEXEC, 0);
	NEED(fd >= 0);
	close(fd);
	execv(script, args);
	return errno == ETXTBSY ? 26 : 1;
}

static int hand_over(const char *path, bool at_once)
{
	struct traced_child c = child_with_trap(SYS_openat, KILLABLE, exec_after_close);
	struct seccomp_notif_addfd a = {.newfd_flags = O_CLOEXEC};
	struct seccomp_notif n;
	int fd, got, status;

	NEED(send(c.sock, path, strlen(path) + 1, 0) > 0);
	n = receive(c.listener);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	NEED(fd >= 0);
	a.id = n.id;
	a.srcfd = (uint32_t)fd;
	a.flags = at_once ? SECCOMP_ADDFD_FLAG_SEND : 0;
	got = ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
	NEED(got >= 0);
	if (!at_once) {
		close(fd);
		NEED(answer(c.listener, n.id, 0, got, 0) == 0);
	}
	/* Executed or not, the program's own opens (its loader) are let through. */
	while (waitpid(c.pid, &status, WNOHANG) == 0) {
		struct seccomp_notif more = {0};

		if (readable(c.listener, 10) && ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &more) == 0)
			answer(c.listener, more.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	}
	if (at_once)
		close(fd); /* as late as a busy machine may make it */
	close(c.listener);
	close(c.sock);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void busy_executable(void)
{
	char path[64], copy[160];

	snprintf(path, sizeof(path), "%s/true", scratch());
	snprintf(copy, sizeof(copy), "cp /bin/true %s", path);
	NEED(system(copy) == 0);
	FACT(hand_over(path, true) == 26, "with FLAG_SEND the target runs while we hold a copy: ETXTBSY");
	FACT(hand_over(path, false) == 0, "ADDFD, close, SEND: it executes what it closed");
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static _Atomic bool stop;

static void on_signal(int sig)
{
	(void)sig;
}

static void *signal_storm(void *thread)
{
	while (!stop)
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
	return NULL;
}

/* Opens until one returns 0, which can't be: it is stdin. */
static int open_until_zero(int sock)
{
	(void)sock;
	for (;;) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

		if (fd == 0)
			return 42;
		if (fd > 0)
			close(fd);
	}
}

static void interrupted_reply(void)
{
	struct traced_child c = child_with_trap(SYS_openat, KILLABLE, open_until_zero);
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t self = pthread_self(), t;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), status;
	bool interrupted = false;
	time_t until = time(NULL) + 10;

	sigaction(SIGUSR1, &sa, NULL);
	NEED(pthread_create(&t, NULL, signal_storm, &self) == 0);
	while (!interrupted && time(NULL) < until) {
		struct seccomp_notif n = {0};
		struct seccomp_notif_addfd a = {.flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)fd};

		if (ioctl(c.listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
			continue;
		a.id = n.id;
		interrupted = ioctl(c.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) < 0 && errno == EINTR;
	}
	stop = true;
	pthread_join(t, NULL);
	if (!interrupted) {
		kill(c.pid, SIGKILL);
		printf("SKIPPED: no ioctl was interrupted in ten seconds\n");
	}
	NEED(waitpid(c.pid, &status, 0) == c.pid);
	if (interrupted)
		FACT(WIFEXITED(status) && WEXITSTATUS(status) == 42,
		     "interrupted in ADDFD with FLAG_SEND, the target's open returns 0");
}

int main(void)
{
	busy_executable();
	interrupted_reply();
	return 0;
}
