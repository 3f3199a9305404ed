/* SPDX-License-Identifier: Apache-2.0
 * The open family: every flag with every kind of object, the descriptor that comes of it.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *const objects[] = {
	"reg", "hardened", "dir", "empty", "link", "linkdir", "dangling", "loop", "missing", "dir/missing", "fifo",
};

static const struct {
	const char *name;
	int flags;
} flag_sets[] = {
#define F(f) {#f, f}
	F(O_RDONLY),
	F(O_WRONLY),
	F(O_RDWR),
	F(O_ACCMODE),
	F(O_RDONLY | O_CLOEXEC),
	F(O_RDONLY | O_TRUNC),
	F(O_WRONLY | O_TRUNC),
	F(O_RDWR | O_APPEND),
	F(O_WRONLY | O_APPEND | O_TRUNC),
	F(O_RDONLY | O_CREAT),
	F(O_WRONLY | O_CREAT),
	F(O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC),
	F(O_WRONLY | O_CREAT | O_EXCL),
	F(O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW),
	F(O_WRONLY | O_CREAT | O_NOFOLLOW),
	F(O_RDONLY | O_EXCL),
	F(O_RDONLY | O_DIRECTORY),
	F(O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
	F(O_RDWR | O_DIRECTORY),
	F(O_RDONLY | O_CREAT | O_DIRECTORY),
	F(O_RDONLY | O_NOFOLLOW),
	F(O_RDONLY | O_NOATIME),
	F(O_RDONLY | O_SYNC),
	F(O_RDWR | O_DSYNC),
	F(O_RDONLY | O_ASYNC),
	F(O_RDONLY | O_NOCTTY),
	F(O_RDONLY | O_DIRECT),
	F(O_PATH),
	F(O_PATH | O_NOFOLLOW),
	F(O_PATH | O_CLOEXEC | O_DIRECTORY),
	F(O_PATH | O_RDWR | O_CREAT | O_TRUNC | O_EXCL),
	F(O_TMPFILE | O_RDWR),
	F(O_TMPFILE | O_WRONLY | O_EXCL | O_CLOEXEC),
	F(O_TMPFILE | O_RDONLY),
	F(O_TMPFILE | O_RDWR | O_CREAT),
	{"__O_TMPFILE without O_DIRECTORY", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR},
	{"unknown bits", O_RDONLY | 0x40000000},
	{"unknown bits and write", O_WRONLY | (int)0x88000000},
	{"FMODE_EXEC", O_RDONLY | 0x20},
#undef F
};

static void every_flag(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(flag_sets); i++)
		for (size_t j = 0; j < ARRAY_SIZE(objects); j++) {
			int flags = flag_sets[i].flags | O_NONBLOCK;

			report_fd(syscall(SYS_openat, AT_FDCWD, objects[j], flags, 0664), "open(%s, %s)",
				  objects[j], flag_sets[i].name);
			fixture_after_call();
		}
}

static void modes(void)
{
	static const int wanted[] = {0, 0400, 0644, 0777, 01777, 02755, 04755, 07777, 0177777, 0x40000666};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		report_fd(syscall(SYS_open, "missing", O_RDWR | O_CREAT | O_EXCL, wanted[i]), "open mode %#o",
			  (unsigned)wanted[i]);
		fixture_after_call();
		report_fd(syscall(SYS_creat, "missing", wanted[i]), "creat mode %#o", (unsigned)wanted[i]);
		fixture_after_call();
	}
}

/* Registers hold 64 bits; int arguments are their lower half. */
static void dirty_registers(void)
{
	long high = 0x5a5a5a5a00000000L;

	report_fd(syscall(SYS_openat, high | (unsigned)AT_FDCWD, "reg", high | O_RDONLY, 0L),
		  "openat, upper halves set");
	report_fd(syscall(SYS_openat, high | (unsigned)AT_FDCWD, "missing", high | O_CREAT | O_RDWR, high | 0640),
		  "openat O_CREAT, upper halves set");
	fixture_after_call();
	report(syscall(SYS_mkdirat, high | (unsigned)AT_FDCWD, "missing", high | 0750),
	       "mkdirat, upper halves set");
	fixture_after_call();
}

/* What one can do with the descriptor afterwards. */
static void use_of_descriptors(void)
{
	char buf[16] = "";
	int fd, second, third;

	fd = open("reg", O_RDWR);
	report(pread(fd, buf, 5, 0), "pread of O_RDWR");
	line("content %s", buf);
	report(pwrite(fd, "HE", 2, 0), "pwrite of O_RDWR");
	report(ftruncate(fd, 4), "ftruncate of O_RDWR");
	report(fchmod(fd, 0600), "fchmod of O_RDWR");
	close(fd);
	fixture_after_call();

	fd = open("reg", O_RDONLY);
	report(write(fd, "x", 1), "write to O_RDONLY");
	report(ftruncate(fd, 0), "ftruncate of O_RDONLY");
	report(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0,
	       "shared writable map of O_RDONLY");
	report(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND), "F_SETFL");
	report_fd(fd, "after F_SETFL");

	fd = open("reg", O_WRONLY | O_APPEND);
	report(read(fd, buf, 1), "read from O_WRONLY");
	report(write(fd, "tail", 4), "write to O_APPEND");
	report(lseek(fd, 0, SEEK_CUR), "position after append");
	close(fd);
	fixture_after_call();

	/* Separate opens are separate descriptions; dup is not. */
	fd = open("reg", O_RDONLY);
	second = open("reg", O_RDONLY);
	third = dup(fd);
	line("descriptors %d %d %d", fd, second, third);
	report(read(fd, buf, 3), "read 3");
	report(lseek(second, 0, SEEK_CUR), "position of the other open");
	report(lseek(third, 0, SEEK_CUR), "position of the dup");
	close(second);
	report_fd(open("hardened", O_RDONLY), "lowest free number");
	close(fd);
	close(third);

	/* Locks belong to the description and to the process, not to who opened. */
	fd = open("reg", O_RDWR);
	second = open("reg", O_RDWR);
	report(fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), "OFD lock");
	report(fcntl(second, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), "OFD lock by another open");
	close(fd);
	report(fcntl(second, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK}), "OFD lock after close");
	signal(SIGIO, SIG_IGN); /* tells of the broken lease, and kills otherwise */
	report(fcntl(second, F_SETLEASE, F_WRLCK), "write lease while alone");
	report_fd(open("reg", O_RDONLY | O_NONBLOCK), "open against the lease");
	report(fcntl(second, F_SETLEASE, F_UNLCK), "lease given back");
	close(second);
}

static void tmpfile_linked_in(void)
{
	char link_path[64];
	int fd = open("dir", O_TMPFILE | O_RDWR, 0640);

	report(write(fd, "abc", 3), "write to O_TMPFILE");
	snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", fd);
	report(linkat(AT_FDCWD, link_path, AT_FDCWD, "dir/linked", AT_SYMLINK_FOLLOW), "linkat through /proc");
	report(linkat(AT_FDCWD, link_path, AT_FDCWD, "dir/linked", AT_SYMLINK_FOLLOW), "linkat again");
	close(fd);
	fixture_after_call();
	fd = open("dir", O_TMPFILE | O_RDWR | O_EXCL, 0640);
	snprintf(link_path, sizeof(link_path), "/proc/self/fd/%d", fd);
	report(linkat(AT_FDCWD, link_path, AT_FDCWD, "dir/linked", AT_SYMLINK_FOLLOW), "linkat of O_EXCL");
	close(fd);
	fixture_after_call();
}

void section_open(void)
{
	fixture();
	every_flag();
	modes();
	dirty_registers();
	use_of_descriptors();
	tmpfile_linked_in();
}

static void try_how(const char *name, int dirfd, const char *path, const struct open_how *how, size_t size)
{
	report_fd(syscall(SYS_openat2, dirfd, path, how, size), "openat2 %s", name);
	fixture_after_call();
}

static void openat2_arguments(void)
{
	struct {
		struct open_how how;
		char tail[4096];
	} big = {.how = {.flags = O_RDONLY}};
	struct open_how h = {.flags = O_RDONLY};

	try_how("plain", AT_FDCWD, "reg", &h, sizeof(h));
	try_how("size 0", AT_FDCWD, "reg", &h, 0);
	try_how("size 23", AT_FDCWD, "reg", &h, 23);
	try_how("size 32, zero tail", AT_FDCWD, "reg", &big.how, 32);
	try_how("size 4096, zero tail", AT_FDCWD, "reg", &big.how, 4096);
	try_how("size 4097", AT_FDCWD, "reg", &big.how, 4097);
	try_how("size huge", AT_FDCWD, "reg", &big.how, SIZE_MAX);
	big.tail[4] = 1;
	try_how("size 32, tail set", AT_FDCWD, "reg", &big.how, 32);
	try_how("NULL how", AT_FDCWD, "reg", NULL, sizeof(h));
	try_how("bad how", AT_FDCWD, "reg", (const struct open_how *)16, sizeof(h));
	try_how("NULL how and path", AT_FDCWD, NULL, NULL, sizeof(h));
	try_how("NULL path", AT_FDCWD, NULL, &h, sizeof(h));
	h.mode = 0600;
	try_how("mode without O_CREAT", AT_FDCWD, "reg", &h, sizeof(h));
	try_how("mode without O_CREAT, NULL path", AT_FDCWD, NULL, &h, sizeof(h));
	h.flags = O_CREAT | O_WRONLY;
	try_how("O_CREAT", AT_FDCWD, "missing", &h, sizeof(h));
	h.mode = 010000;
	try_how("mode above 07777", AT_FDCWD, "missing", &h, sizeof(h));
	h = (struct open_how){.flags = 0x40000000};
	try_how("unknown flag", AT_FDCWD, "reg", &h, sizeof(h));
	h = (struct open_how){.flags = 1ULL << 40};
	try_how("unknown high flag", AT_FDCWD, "reg", &h, sizeof(h));
	h = (struct open_how){.flags = O_PATH | O_RDWR};
	try_how("O_PATH|O_RDWR", AT_FDCWD, "reg", &h, sizeof(h));
	h = (struct open_how){.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW};
	try_how("O_PATH|O_NOFOLLOW", AT_FDCWD, "link", &h, sizeof(h));
	h = (struct open_how){.resolve = 1ULL << 20};
	try_how("unknown resolve", AT_FDCWD, "reg", &h, sizeof(h));
	h = (struct open_how){.resolve = RESOLVE_BENEATH | RESOLVE_IN_ROOT};
	try_how("BENEATH|IN_ROOT", AT_FDCWD, "reg", &h, sizeof(h));
	h = (struct open_how){.flags = O_CREAT | O_RDWR, .mode = 0600, .resolve = RESOLVE_CACHED};
	try_how("CACHED with O_CREAT", AT_FDCWD, "missing", &h, sizeof(h));
}

static void openat2_resolve(void)
{
	static const struct {
		const char *name;
		uint64_t resolve;
	} ways[] = {
		{"none", 0},
		{"BENEATH", RESOLVE_BENEATH},
		{"IN_ROOT", RESOLVE_IN_ROOT},
		{"NO_SYMLINKS", RESOLVE_NO_SYMLINKS},
		{"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS},
		{"NO_XDEV", RESOLVE_NO_XDEV},
		{"BENEATH|NO_SYMLINKS", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS},
	};
	static const char *const paths[] = {
		"in", "./in", "../dir/in", "../reg", "..", "/", "/in", "up", "up/reg", "abs", "abs/in", "out",
		"missing", "self", "/proc/self/status", "/proc/self/cwd/reg", "/proc/thread-self/comm",
	};
	int dir;

	if (symlink("..", "dir/up") || symlink("/", "dir/abs") || symlink("../reg", "dir/out") ||
	    symlink("/proc/self/fd/0", "dir/self"))
		line("openat2: links: %s", strerrorname_np(errno));
	dir = open("dir", O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (size_t j = 0; j < ARRAY_SIZE(paths); j++) {
			struct open_how h = {.flags = O_RDONLY | O_NONBLOCK, .resolve = ways[i].resolve};

			if (strcmp(paths[j], "self") == 0)
				h.flags |= O_PATH;
			report_fd(syscall(SYS_openat2, dir, paths[j], &h, sizeof(h)), "openat2(%s, %s)",
				  paths[j], ways[i].name);
			if (strcmp(paths[j], "missing") != 0)
				continue;
			h.flags = O_RDWR | O_CREAT | O_EXCL;
			h.mode = 0640;
			report_fd(syscall(SYS_openat2, dir, paths[j], &h, sizeof(h)), "openat2(%s, O_CREAT, %s)",
				  paths[j], ways[i].name);
			unlinkat(dir, paths[j], 0);
		}
	close(dir);
	fixture_after_call();
}

void section_openat2(void)
{
	fixture();
	openat2_arguments();
	openat2_resolve();
}
