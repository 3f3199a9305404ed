/* SPDX-License-Identifier: Apache-2.0
 * fidelity SECTION DIR: make the calls of one section in DIR, which must be empty. See fidelity.h.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char fresh[4096];

const char *result_text(long result)
{
	static char texts[8][40];
	static unsigned next;
	char *t = texts[next++ % ARRAY_SIZE(texts)];
	const char *name = strerrorname_np(errno);

	if (result != -1)
		snprintf(t, sizeof(texts[0]), "%ld", result);
	else if (name)
		snprintf(t, sizeof(texts[0]), "-1 %s", name);
	else
		snprintf(t, sizeof(texts[0]), "-1 errno=%d", errno);
	return t;
}

void report(long result, const char *name_fmt, ...)
{
	const char *text = result_text(result);
	va_list ap;

	va_start(ap, name_fmt);
	vprintf(name_fmt, ap);
	va_end(ap);
	printf(": %s\n", text);
}

void line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void report_fd(long fd, const char *name_fmt, ...)
{
	const char *text = result_text(fd);
	va_list ap;

	va_start(ap, name_fmt);
	vprintf(name_fmt, ap);
	va_end(ap);
	printf(": %s", text);
	if (fd >= 0) {
		struct stat st;
		int fl = fcntl((int)fd, F_GETFL), cloexec = fcntl((int)fd, F_GETFD);

		printf(" fl=%#o fd=%d", (unsigned)fl, cloexec);
		if (fstat((int)fd, &st) == 0)
			printf(" mode=%#o size=%ld nlink=%ld", st.st_mode,
			       S_ISREG(st.st_mode) ? (long)st.st_size : 0L,
			       S_ISDIR(st.st_mode) ? 0L : (long)st.st_nlink);
		close((int)fd);
	}
	putchar('\n');
}

void put(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		line("fixture: put %s: %s", path, strerrorname_np(errno));
	if (fd >= 0) {
		fchmod(fd, mode);
		close(fd);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of DIR without . and ..; the caller frees each and the array. */
static size_t names_of(const char *dir, char ***ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char **names = NULL;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		char **more;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		more = realloc(names, (n + 1) * sizeof(*names));
		if (!more)
			abort();
		names = more;
		names[n++] = strdup(e->d_name);
	}
	if (d)
		closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*ret = names;
	return n;
}

static void list_into(const char *dir, char *buf, size_t size)
{
	char **names;
	size_t n = names_of(dir, &names);

	for (size_t i = 0; i < n; i++) {
		char path[2048], target[512];
		size_t used = strlen(buf);
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		free(names[i]);
		if (lstat(path, &st) < 0) {
			snprintf(buf + used, size - used, "%s:%s ", path + 2, strerrorname_np(errno));
			continue;
		}
		target[0] = 0;
		if (S_ISLNK(st.st_mode)) {
			ssize_t len = readlink(path, target, sizeof(target) - 1);

			target[len < 0 ? 0 : len] = 0;
		}
		snprintf(buf + used, size - used, "%.60s:%o:%ld:%ld%s%s%s ", path + 2, st.st_mode,
			 S_ISREG(st.st_mode) ? (long)st.st_size : 0L,
			 S_ISDIR(st.st_mode) ? 0L : (long)st.st_nlink,
			 st.st_uid == geteuid() ? "" : ":other-uid",
			 st.st_gid == getegid() ? "" : ":other-gid", target[0] ? "->" : "");
		used = strlen(buf);
		if (target[0])
			snprintf(buf + used - 1, size - used + 1, "%.60s ", target);
		if (S_ISDIR(st.st_mode))
			list_into(path, buf, size);
	}
	free(names);
}

void listing(char *buf, size_t size)
{
	buf[0] = 0;
	list_into(".", buf, size);
}

static void clear(const char *dir)
{
	char **names;
	size_t n = names_of(dir, &names);

	for (size_t i = 0; i < n; i++) {
		char path[2048];

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		free(names[i]);
		if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM)) {
			chmod(path, 0700);
			clear(path);
			if (rmdir(path) < 0)
				line("fixture: rmdir: %s", strerrorname_np(errno));
		}
	}
	free(names);
}

void fixture(void)
{
	clear(".");
	put("reg", "hello\n", 0644);
	put("hardened", "x", 0400);
	if (mkdir("dir", 0755) || mkdir("empty", 0755) || symlink("reg", "link") ||
	    symlink("dir", "linkdir") || symlink("nowhere", "dangling") || symlink("loop", "loop") ||
	    mkfifo("fifo", 0644) || link("hardened", "hard"))
		line("fixture: %s", strerrorname_np(errno));
	put("dir/in", "in", 0600);
	listing(fresh, sizeof(fresh));
}

void fixture_after_call(void)
{
	char now[sizeof(fresh)];

	listing(now, sizeof(now));
	if (strcmp(now, fresh) == 0)
		return;
	line("  now: %s", now);
	fixture();
}

void in_child(const char *name, void (*fn)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fn();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		line("%s: no child", name);
	else if (WIFSIGNALED(status))
		line("%s: killed by signal %d", name, WTERMSIG(status));
	else
		line("%s: exit %d", name, WEXITSTATUS(status));
}

static const struct {
	const char *name;
	void (*run)(void);
} sections[] = {
	{"paths", section_paths},       {"open", section_open},
	{"openat2", section_openat2},   {"names", section_names},
	{"meta", section_meta},         {"umask", section_umask},
	{"sockets", section_sockets},   {"proc", section_proc},
	{"deep", section_deep},         {"places", section_places},     {"limits", section_limits},
	{"blocking", section_blocking}, {"exec", section_exec},
	{"threads", section_threads},
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
			puts(sections[i].name);
		return 0;
	}
	if (argc != 3 || chdir(argv[2]) < 0 || mkdir("w", 0755) < 0 || chdir("w") < 0) {
		fprintf(stderr, "usage: fidelity SECTION DIR | --list\n");
		return 2;
	}
	close_range(3, ~0U, 0);
	umask(022);
	alarm(60);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (strcmp(sections[i].name, argv[1]) != 0)
			continue;
		sections[i].run();
		return fflush(stdout) == 0 ? 0 : 1;
	}
	fprintf(stderr, "fidelity: no section \"%s\"\n", argv[1]);
	return 2;
}
