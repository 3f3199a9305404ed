/* SPDX-License-Identifier: Apache-2.0
 * exec_race memory|link DIR MS: children execute a name that means DIR/a and DIR/f by turns, changed
 * between the check and the use: its bytes in shared memory by another thread, or the link of that
 * name by renames.
 *
 * DIR/a and DIR/f are copies of this program. A copy says by its exit status which one the kernel has
 * really executed: /proc/self/exe. Prints how many ran of each, were refused, and were killed.
 *
 * exec_race exec WAY FILE: executes FILE in one unusual way; prints the error if it can't.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RAN_ALLOWED = 40, RAN_FORBIDDEN = 41, REFUSED = 42, ODD = 43 };

static char *shared;          /* the path that children execute */
static volatile char *letter; /* its byte that differs */
static char links[2][4096];
static atomic_bool over;

static void *flip_memory(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		*letter = *letter == 'a' ? 'f' : 'a';
	return NULL;
}

static void *flip_links(void *arg)
{
	(void)arg;
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		if (syscall(SYS_renameat2, AT_FDCWD, links[0], AT_FDCWD, links[1], RENAME_EXCHANGE) < 0)
			break;
	return NULL;
}

static _Noreturn void execute(void)
{
	char name[] = "copy", *argv[] = {name, NULL}, *envp[] = {NULL};

	for (int tries = 0; tries < 50; tries++) {
		execve(shared, argv, envp);
		if (errno != ENOENT && errno != ETXTBSY)
			break;
	}
	_exit(errno == EACCES || errno == EPERM ? REFUSED : ODD);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int race(const char *how, const char *dir, long ms)
{
	unsigned counts[4] = {0}, killed = 0;
	void *(*flip)(void *) = flip_memory;
	double end = now() + (double)ms / 1000;
	pthread_t thread;

	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	if (strcmp(how, "link") == 0) {
		flip = flip_links;
		for (int i = 0; i < 2; i++) {
			snprintf(links[i], sizeof(links[i]), "%s/link%d", dir, i);
			unlink(links[i]);
			if (symlink(i ? "f" : "a", links[i]) < 0)
				perror("symlink");
		}
		strcpy(shared, links[0]);
	} else {
		int n = snprintf(shared, 4096, "%s/a", dir);

		letter = shared + n - 1;
	}
	pthread_create(&thread, NULL, flip, NULL);
	while (now() < end) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			execute();
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 1;
		if (WIFSIGNALED(status))
			killed++;
		else if (WEXITSTATUS(status) >= RAN_ALLOWED && WEXITSTATUS(status) <= ODD)
			counts[WEXITSTATUS(status) - RAN_ALLOWED]++;
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	printf("allowed %u forbidden %u refused %u odd %u killed %u\n", counts[0], counts[1], counts[2], counts[3],
	       killed);
	return 0;
}

static void *exec_in_thread(void *file)
{
	char *argv[] = {file, NULL};

	execv(file, argv);
	printf("%s\n", strerrorname_np(errno));
	exit(1);
}

static int copy_to(int to, const char *file)
{
	int from = open(file, O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;

	while (from >= 0 && (n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, (size_t)n) != n)
			return -1;
	return from;
}

static int exec_oddly(const char *way, char *file)
{
	char proc[64], *argv[] = {file, NULL}, *envp[] = {NULL};
	pthread_t thread;
	int fd;

	if (strcmp(way, "execveat") == 0) {
		fd = open(file, O_PATH | O_CLOEXEC);
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	} else if (strcmp(way, "proc") == 0) {
		fd = open(file, O_PATH | O_CLOEXEC);
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		execve(proc, argv, envp);
	} else if (strcmp(way, "readable") == 0) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	} else if (strcmp(way, "thread") == 0) {
		pthread_create(&thread, NULL, exec_in_thread, file);
		pthread_join(thread, NULL);
	} else if (strcmp(way, "memfd") == 0) {
		fd = memfd_create("copy", MFD_CLOEXEC);
		if (copy_to(fd, file) < 0)
			return 1;
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	} else if (strcmp(way, "deleted") == 0) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		unlink(file);
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
	} else {
		execve(file, argv, envp);
	}
	printf("%s\n", strerrorname_np(errno));
	return 1;
}

int main(int argc, char **argv)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (argc == 4 && strcmp(argv[1], "exec") == 0)
		return exec_oddly(argv[2], argv[3]);
	if (argc == 4)
		return race(argv[1], argv[2], atol(argv[3]));
	/* In a race the exit status is all that is wanted. */
	if (n > 1 && strcmp(argv[0], "copy") != 0)
		puts("ran");
	return n > 1 && exe[n - 1] == 'f' ? RAN_FORBIDDEN : RAN_ALLOWED;
}
