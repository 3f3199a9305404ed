/* SPDX-License-Identifier: Apache-2.0
 * The umask and the cwd belong to what threads share, until a thread asks for its own; credentials are a
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

static void run_thread(void *(*f)(void *))
{
	pthread_t t;

	NEED(pthread_create(&t, NULL, f, NULL) == 0);
	pthread_join(t, NULL);
}

int main(void)
{
	char cwd[64];

	NEED(chdir("/") == 0);
	umask(022);
	run_thread(shares);
	FACT(umask(022) == 0123, "a thread's umask is its process's");
	run_thread(has_its_own);
	FACT(umask(022) == 022, "until it unshares CLONE_FS");
	FACT(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0, "and so is its cwd");
	FACT((uid_t)setfsuid((uid_t)-1) == geteuid(), "a raw setfsuid is for the calling thread alone");
	return 0;
}
