/* SPDX-License-Identifier: Apache-2.0
 * Against who supervises: memory, signals, limits, scheduling. The test writes the pids of the
 * processes above the target (in the control: of a process that only sleeps) into ok/pids.
 */
#include "tests/integration/attack/attack.h"

#include <ctype.h>
#include <dirent.h>
#include <linux/kcmp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

static pid_t victims[65]; /* one more than is filled */
static unsigned n_victims;

static bool find_victims(void)
{
	FILE *f = fopen("ok/pids", "re");
	int pid;

	for (int i = 0; i < 500 && !f; i++) {
		usleep(10000);
		f = fopen("ok/pids", "re");
	}

	while (f && n_victims < ARRAY_SIZE(victims) - 1 && fscanf(f, "%d", &pid) == 1)
		victims[n_victims++] = pid;
	if (f)
		fclose(f);
	return n_victims > 0;
}

#define EACH_VICTIM(pid)                              \
	if (!find_victims())                          \
		return cannot("no victims");          \
	for (pid_t *p_ = victims, pid = *p_; p_ < victims + n_victims; pid = *++p_)

static enum outcome memory(void)
{
	char buf[8];
	struct iovec local = {buf, sizeof(buf)}, remote = {(void *)0x400000, sizeof(buf)};

	EACH_VICTIM(pid) {
		if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
			return escaped("process_vm_readv reaches %d", pid);
		if (process_vm_writev(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
			return escaped("process_vm_writev reaches %d", pid);
		if (syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0) >= 0)
			return escaped("kcmp with %d", pid);
		for (int i = 0; i < 3; i++) {
			static const char *const files[] = {"mem", "environ", "maps"};
			char path[64];

			snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
			if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
				return escaped("%s of %d", files[i], pid);
		}
	}
	return held("refused");
}

static enum outcome tracing(void)
{
	EACH_VICTIM(pid) {
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
			return escaped("seized %d", pid);
		if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0)
			return escaped("attached to %d", pid);
	}
	return held("refused");
}

static enum outcome descriptors(void)
{
	EACH_VICTIM(pid) {
		int pidfd = pidfd_open(pid, 0);

		for (int fd = 0; pidfd >= 0 && fd < 32; fd++)
			if (pidfd_getfd(pidfd, fd, 0) >= 0)
				return escaped("descriptor %d of %d", fd, pid);
	}
	return held("refused");
}

static enum outcome signals(void)
{
	static const int sent[] = {0, SIGCONT, SIGSTOP, SIGTERM, SIGKILL};
	siginfo_t info = {.si_code = SI_QUEUE};

	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		n_victims = 0;
		EACH_VICTIM(pid) {
			int pidfd = pidfd_open(pid, 0);

			if (kill(pid, sent[i]) == 0)
				return escaped("kill(%d, %d)", pid, sent[i]);
			if (syscall(SYS_tgkill, pid, pid, sent[i]) == 0 || syscall(SYS_tkill, pid, sent[i]) == 0)
				return escaped("tgkill(%d, %d)", pid, sent[i]);
			if (pidfd >= 0 && pidfd_send_signal(pidfd, sent[i], NULL, 0) == 0)
				return escaped("pidfd_send_signal(%d, %d)", pid, sent[i]);
			if (syscall(SYS_rt_sigqueueinfo, pid, sent[i], &info) == 0)
				return escaped("rt_sigqueueinfo(%d, %d)", pid, sent[i]);
			if (pidfd >= 0)
				close(pidfd);
		}
	}
	return held("refused");
}

/* Any thread's id stands for its process; these are the other threads' of a victim. */
static unsigned threads_of(pid_t pid, pid_t *tids, unsigned max)
{
	char path[32];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && n < max && (e = readdir(d)))
		if (isdigit((unsigned char)*e->d_name) && atoi(e->d_name) != pid)
			tids[n++] = atoi(e->d_name);
	if (d)
		closedir(d);
	return n;
}

static bool stands_still(pid_t pid)
{
	char path[32], text[256] = "";
	const char *end;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true; /* gone */
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	end = strrchr(text, ')');
	return !end || end[2] == 'T' || end[2] == 'Z';
}

/* Every signal, by each thread of each victim: those that end or stop a process first. */
static enum outcome signal_threads(void (*send)(pid_t pid, pid_t tid, int sig))
{
	static const int first[] = {SIGSTOP, SIGKILL, SIGSEGV, SIGABRT};
	unsigned n_threads = 0;

	for (int s = 1; s < 65; s++)
		signal(s, SIG_IGN);
	EACH_VICTIM(pid) {
		pid_t tids[64];
		unsigned n = threads_of(pid, tids, ARRAY_SIZE(tids));

		n_threads += n;
		for (unsigned i = 0; i < n; i++)
			for (int s = -(int)ARRAY_SIZE(first); s < 65; s++) {
				send(pid, tids[i], s < 0 ? first[-s - 1] : s);
				if (s < 0)
					usleep(20000);
				if (stands_still(pid))
					return escaped("%d by its thread %d", pid, tids[i]);
			}
	}
	/* And who serves us still does. */
	if (access("ok/plain0", R_OK) < 0 || close(open("ok/new", O_CREAT | O_WRONLY, 0644)) < 0)
		return escaped("calls fail now");
	return n_threads ? held("not reached") : cannot("no threads");
}

/* KILL by kill(2) gains nothing: without a scope it ends the run, and so the tree (README). */
static void send_by_kill(pid_t pid, pid_t tid, int sig)
{
	if (sig != SIGKILL)
		kill(tid, sig);
	syscall(SYS_tkill, tid, sig);
	syscall(SYS_tgkill, pid, tid, sig);
}

static void send_by_queue(pid_t pid, pid_t tid, int sig)
{
	siginfo_t info = {.si_code = SI_QUEUE};

	syscall(SYS_rt_sigqueueinfo, tid, sig, &info);
	syscall(SYS_rt_tgsigqueueinfo, pid, tid, sig, &info);
}

static void send_by_descriptor(pid_t pid, pid_t tid, int sig)
{
	char path[32];
	int fds[3];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fds[0] = pidfd_open(tid, 0);
	fds[1] = pidfd_open(tid, O_EXCL); /* PIDFD_THREAD */
	fds[2] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		pidfd_send_signal(fds[i], sig, NULL, 0);
		close(fds[i]);
	}
}

static void send_by_owner(pid_t pid, pid_t tid, int sig)
{
	struct f_owner_ex ex = {F_OWNER_TID, tid};
	int fds[2];

	(void)pid;
	for (int way = 0; way < 4 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0; way++) {
		if (way == 0)
			fcntl(fds[0], F_SETOWN, tid);
		else if (way == 1)
			fcntl(fds[0], F_SETOWN_EX, &ex);
		else
			ioctl(fds[0], way == 2 ? FIOSETOWN : SIOCSPGRP, &tid);
		fcntl(fds[0], F_SETSIG, sig);
		fcntl(fds[0], F_SETFL, O_ASYNC | O_NONBLOCK);
		(void)!write(fds[1], "x", 1);
		close(fds[0]);
		close(fds[1]);
	}
}

static enum outcome threads_by_kill(void)
{
	return signal_threads(send_by_kill);
}

static enum outcome threads_by_queue(void)
{
	return signal_threads(send_by_queue);
}

static enum outcome threads_by_descriptor(void)
{
	return signal_threads(send_by_descriptor);
}

static enum outcome threads_by_owner(void)
{
	return signal_threads(send_by_owner);
}

/* Limits of another process: CPU 0 kills it, NOFILE 0 starves it. */
static enum outcome limits(void)
{
	static const int which[] = {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_LOCKS};

	EACH_VICTIM(pid)
		for (size_t i = 0; i < ARRAY_SIZE(which); i++) {
			struct rlimit now;

			/* Reading tells nothing that matters; what is written is what was read. */
			if (prlimit(pid, which[i], NULL, &now) == 0 && prlimit(pid, which[i], &now, NULL) == 0)
				return escaped("prlimit of %d, limit %d", pid, which[i]);
			now.rlim_cur = now.rlim_max = RLIM_INFINITY;
			if (prlimit(pid, which[i], &now, NULL) == 0)
				return escaped("prlimit of %d, limit %d, to infinity", pid, which[i]);
		}
	return held("refused");
}

static enum outcome scheduling(void)
{
	struct sched_param param = {0};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	EACH_VICTIM(pid) {
		if (sched_setaffinity(pid, sizeof(one), &one) == 0)
			return escaped("affinity of %d", pid);
		if (setpriority(PRIO_PROCESS, (id_t)pid, 19) == 0)
			return escaped("priority of %d", pid);
		if (syscall(SYS_ioprio_set, 1, pid, 3 << 13) == 0)
			return escaped("io priority of %d", pid);
		if (sched_setscheduler(pid, SCHED_IDLE, &param) == 0)
			return escaped("scheduler of %d", pid);
	}
	return held("refused");
}

/* Its own group and session, and everybody: only members of the tree may be hit. */
static enum outcome group_signals(void)
{
	/* Natively this would hit who runs the test: there it aims at the victims only. */
	if (is_control())
		return signals();
	signal(SIGUSR2, SIG_IGN);
	if (!find_victims())
		return cannot("no victims");
	kill(0, SIGUSR2);
	usleep(100000);
	return held("the test looks whether they live");
}

/* A tree that does not want to die: daemons, sessions of their own, forks that end at once, all of
 * them knocking at the secret. Ends by itself after some seconds; ok/stop ends it at once. */
static void knock(void)
{
	static const char *const names[] = {"no/secret", "tree/inner/secret"};
	struct timespec began, now;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			uint64_t how[3] = {O_RDONLY, 0, 0};

			if (fd_gives_secret((int)syscall(SYS_open, names[i], O_RDONLY, 0)) ||
			    fd_gives_secret((int)syscall(SYS_openat, AT_FDCWD, names[i], O_RDONLY, 0)) ||
			    fd_gives_secret((int)syscall(437 /* openat2 */, AT_FDCWD, names[i], how, sizeof(how))))
				(void)!write(50, "leak\n", 5);
			mkdir("later", 0755);
			truncate("ro/file", 1);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < began.tv_sec + 8 && stat("ok/stop", &st) < 0);
}

static void chain(void)
{
	struct timespec began, now;
	struct stat st;

	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
		if (pid < 0 || stat("ok/stop", &st) == 0)
			_exit(0);
		usleep(500);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < began.tv_sec + 8);
	_exit(0);
}

static enum outcome stubborn_tree(void)
{
	int leak = open("ok/leak", O_CREAT | O_WRONLY | O_APPEND, 0644);

	dup2(leak, 50);
	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		if (pid != 0)
			continue;
		for (int s = 1; s < 32; s++)
			signal(s, SIG_IGN);
		alarm(0);
		if (i % 3)
			setsid();
		if (i % 3 == 2 && fork() != 0)
			_exit(0);
		prctl(PR_SET_PDEATHSIG, 0);
		if (i % 4 == 3)
			chain();
		knock();
		_exit(0);
	}
	close(open("ok/ready", O_CREAT | O_WRONLY, 0644));
	for (int i = 0; i < 80 && access("ok/stop", F_OK) < 0; i++)
		usleep(100000);
	return held("ended by itself");
}

const struct attack attacks[] = {
	{"memory", memory},
	{"tracing", tracing},
	{"descriptors", descriptors},
	{"limits", limits},
	{"scheduling", scheduling},
	{"signals", signals},
	{"threads_by_kill", threads_by_kill},
	{"threads_by_queue", threads_by_queue},
	{"threads_by_descriptor", threads_by_descriptor},
	{"threads_by_owner", threads_by_owner},
	{"group_signals", group_signals},
	{"stubborn_tree", stubborn_tree},
	{NULL, NULL},
};
