/* SPDX-License-Identifier: Apache-2.0
 * The umask, the cwd and descriptors belong to what threads share, until a thread asks for its own; credentials are a
 * thread's own by the raw calls (libc's set all threads).
 */
#include "kernel.h"

#include <pthread.h>
#include <sys/fsuid.h>

static void *shares(void *arg)
{
	(void)arg;
	umask(0123);
	return NULL;
}

static void *has_its_own(void *arg)
{
	(void)arg;
	NEED(unshare(CLONE_FS) == 0);
	umask(0777);
	NEED(chdir("/proc") == 0);
	if (geteuid() == 0)
		syscall(SYS_setfsuid, 12345);
	return NULL;
}

static int shares_files(pid_t other)
{
	return sys_kcmp((pid_t)syscall(SYS_gettid), other, KCMP_FILES);
}

static void *has_its_own_files(void *arg)
{
	int *ret = arg;

	ret[0] = shares_files(getpid());
	NEED(unshare(CLONE_FILES) == 0);
	ret[1] = shares_files(getpid());
	return NULL;
}

/* In a child: the leader ends, a thread goes on. */
static void *outlives(void *arg)
{
	char stat[64], state = 0;
	FILE *f;

	(void)arg;
	snprintf(stat, sizeof(stat), "/proc/self/task/%d/stat", getpid());
	while (state != 'Z') {
		f = fopen(stat, "re");
		NEED(f && fscanf(f, "%*d %*s %c", &state) == 1);
		fclose(f);
	}
	exit(shares_files(getpid()) > 0 ? 0 : 1);
}

static int leader_ends(void)
{
	pthread_t t;

	NEED(pthread_create(&t, NULL, outlives, NULL) == 0);
	syscall(SYS_exit, 0);
	return 2;
}

static void run_thread(void *(*f)(void *), void *arg)
{
	pthread_t t;

	NEED(pthread_create(&t, NULL, f, arg) == 0);
	pthread_join(t, NULL);
}

int main(void)
{
	char cwd[64];
	int files[2];

	NEED(chdir("/") == 0);
	umask(022);
	run_thread(shares, NULL);
	FACT(umask(022) == 0123, "a thread's umask is its process's");
	run_thread(has_its_own, NULL);
	FACT(umask(022) == 022, "until it unshares CLONE_FS");
	FACT(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0, "and so is its cwd");
	FACT((uid_t)setfsuid((uid_t)-1) == geteuid(), "a raw setfsuid is for the calling thread alone");
	run_thread(has_its_own_files, files);
	if (files[0] < 0)
		SKIP("kcmp: %s", strerror(-files[0]));
	FACT(files[0] == 0, "a thread's descriptors are its process's, as kcmp says");
	FACT(files[1] > 0, "until it unshares CLONE_FILES");
	FACT(in_child(leader_ends), "or its process's first thread has ended");
	return 0;
}
