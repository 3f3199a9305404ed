/* SPDX-License-Identifier: Apache-2.0
 * Every call family with every kind of path: which errno comes first, and what was done.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char out[4096];
static int inotify_fd;

/* One call family: FD is for the calls that take a directory, else relative to the working one. */
struct family {
	const char *name;
	long (*call)(int fd, const char *path);
	bool at; /* takes a dirfd */
};

#define FAMILY(id, ...)                                           \
	static long call_##id(int fd, const char *path)           \
	{                                                         \
		(void)fd;                                         \
		return syscall(__VA_ARGS__);                      \
	}

FAMILY(open, SYS_open, path, O_RDONLY | O_NONBLOCK, 0)
FAMILY(openat, SYS_openat, fd, path, O_RDONLY | O_NONBLOCK, 0)
FAMILY(openat_write, SYS_openat, fd, path, O_WRONLY | O_NONBLOCK, 0)
FAMILY(openat_creat, SYS_openat, fd, path, O_RDWR | O_CREAT | O_NONBLOCK, 0640)
FAMILY(openat_excl, SYS_openat, fd, path, O_RDWR | O_CREAT | O_EXCL, 0640)
FAMILY(openat_dir, SYS_openat, fd, path, O_RDONLY | O_DIRECTORY, 0)
FAMILY(openat_path, SYS_openat, fd, path, O_PATH, 0)
FAMILY(openat_path_nofollow, SYS_openat, fd, path, O_PATH | O_NOFOLLOW, 0)
FAMILY(openat_nofollow, SYS_openat, fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
FAMILY(openat_tmpfile, SYS_openat, fd, path, O_RDWR | O_TMPFILE, 0600)
FAMILY(creat, SYS_creat, path, 0600)
FAMILY(mkdir, SYS_mkdir, path, 0755)
FAMILY(mkdirat, SYS_mkdirat, fd, path, 0755)
FAMILY(mknod, SYS_mknod, path, S_IFREG | 0600, 0)
FAMILY(mknodat_fifo, SYS_mknodat, fd, path, S_IFIFO | 0600, 0)
FAMILY(unlink, SYS_unlink, path)
FAMILY(unlinkat, SYS_unlinkat, fd, path, 0)
FAMILY(unlinkat_dir, SYS_unlinkat, fd, path, AT_REMOVEDIR)
FAMILY(rmdir, SYS_rmdir, path)
FAMILY(rename_from, SYS_rename, path, "new")
FAMILY(rename_file_to, SYS_rename, "reg", path)
FAMILY(renameat_dir_to, SYS_renameat, AT_FDCWD, "empty", fd, path)
FAMILY(renameat2_from, SYS_renameat2, fd, path, AT_FDCWD, "new", 1)
FAMILY(link_from, SYS_link, path, "new")
FAMILY(linkat_follow_from, SYS_linkat, fd, path, AT_FDCWD, "new", AT_SYMLINK_FOLLOW)
FAMILY(linkat_to, SYS_linkat, AT_FDCWD, "reg", fd, path, 0)
FAMILY(symlink_at, SYS_symlink, "target", path)
FAMILY(symlinkat_text, SYS_symlinkat, path, AT_FDCWD, "new")
FAMILY(symlinkat, SYS_symlinkat, "target", fd, path)
FAMILY(truncate, SYS_truncate, path, 3L)
FAMILY(chmod, SYS_chmod, path, 0755)
FAMILY(fchmodat, SYS_fchmodat, fd, path, 0755)
FAMILY(fchmodat2, SYS_fchmodat2, fd, path, 0755, AT_SYMLINK_NOFOLLOW)
FAMILY(chown, SYS_chown, path, -1, -1)
FAMILY(lchown, SYS_lchown, path, -1, -1)
FAMILY(fchownat, SYS_fchownat, fd, path, -1, -1, AT_SYMLINK_NOFOLLOW)
FAMILY(utime, SYS_utime, path, NULL)
FAMILY(utimes, SYS_utimes, path, NULL)
FAMILY(futimesat, SYS_futimesat, fd, path, NULL)
FAMILY(utimensat, SYS_utimensat, fd, path, NULL, AT_SYMLINK_NOFOLLOW)
FAMILY(setxattr, SYS_setxattr, path, "user.k", "v", 1L, 0)
FAMILY(lsetxattr, SYS_lsetxattr, path, "user.k", "v", 1L, 0)
FAMILY(getxattr, SYS_getxattr, path, "user.none", out, sizeof(out))
FAMILY(lgetxattr, SYS_lgetxattr, path, "user.none", out, sizeof(out))
FAMILY(removexattr, SYS_removexattr, path, "user.none")
FAMILY(lremovexattr, SYS_lremovexattr, path, "user.none")
FAMILY(stat, SYS_stat, path, out)
FAMILY(lstat, SYS_lstat, path, out)
FAMILY(newfstatat, SYS_newfstatat, fd, path, out, 0)
FAMILY(statx, SYS_statx, fd, path, 0, STATX_BASIC_STATS, out)
FAMILY(statfs, SYS_statfs, path, out)
FAMILY(access, SYS_access, path, R_OK)
FAMILY(faccessat, SYS_faccessat, fd, path, W_OK)
FAMILY(faccessat2, SYS_faccessat2, fd, path, X_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW)
FAMILY(readlink, SYS_readlink, path, out, sizeof(out))
FAMILY(readlinkat, SYS_readlinkat, fd, path, out, sizeof(out))
FAMILY(inotify, SYS_inotify_add_watch, inotify_fd, path, IN_MODIFY)
FAMILY(inotify_nofollow, SYS_inotify_add_watch, inotify_fd, path, IN_MODIFY | IN_DONT_FOLLOW | IN_ONLYDIR)
FAMILY(execve, SYS_execve, path, NULL, NULL)
FAMILY(execveat, SYS_execveat, fd, path, NULL, NULL, 0)

#define ROW(id) {#id, call_##id, false}
#define ROW_AT(id) {#id, call_##id, true}
static const struct family families[] = {
	ROW(open), ROW_AT(openat), ROW_AT(openat_write), ROW_AT(openat_creat), ROW_AT(openat_excl),
	ROW_AT(openat_dir), ROW_AT(openat_path), ROW_AT(openat_path_nofollow), ROW_AT(openat_nofollow),
	ROW_AT(openat_tmpfile), ROW(creat), ROW(mkdir), ROW_AT(mkdirat), ROW(mknod), ROW_AT(mknodat_fifo),
	ROW(unlink), ROW_AT(unlinkat), ROW_AT(unlinkat_dir), ROW(rmdir), ROW(rename_from),
	ROW(rename_file_to), ROW_AT(renameat_dir_to), ROW_AT(renameat2_from), ROW(link_from),
	ROW_AT(linkat_follow_from), ROW_AT(linkat_to), ROW(symlink_at), ROW(symlinkat_text),
	ROW_AT(symlinkat), ROW(truncate), ROW(chmod), ROW_AT(fchmodat), ROW_AT(fchmodat2), ROW(chown),
	ROW(lchown), ROW_AT(fchownat), ROW(utime), ROW(utimes), ROW_AT(futimesat), ROW_AT(utimensat),
	ROW(setxattr), ROW(lsetxattr), ROW(getxattr), ROW(lgetxattr), ROW(removexattr), ROW(lremovexattr),
	ROW(stat), ROW(lstat), ROW_AT(newfstatat), ROW_AT(statx), ROW(statfs), ROW(access),
	ROW_AT(faccessat), ROW_AT(faccessat2), ROW(readlink), ROW_AT(readlinkat), ROW(inotify),
	ROW(inotify_nofollow), ROW(execve), ROW_AT(execveat),
};

/* Calls that change what the path names. Nobody wants that of the root directory, least of all as root. */
static bool changes_object(const struct family *f)
{
	return strstr(f->name, "chmod") || strstr(f->name, "chown") || strstr(f->name, "utime") ||
	       strstr(f->name, "tmpfile") || strstr(f->name, "setxattr") || strstr(f->name, "removexattr");
}

/* Calls that give a descriptor: shown with its flags and closed. */
static bool gives_fd(const struct family *f)
{
	return strncmp(f->name, "open", 4) == 0 || strcmp(f->name, "creat") == 0;
}

static void try(const struct family *f, int fd, const char *path, const char *shown)
{
	long r;

	if (shown[0] == '/' && shown[1] < 'a' && changes_object(f))
		return;
	if (f->call == call_creat && strncmp(shown, "fifo", 4) == 0)
		return; /* waits for a reader */
	errno = 0;
	r = f->call(fd, path);
	if (gives_fd(f))
		report_fd(r, "%s(%s)", f->name, shown);
	else
		report(r, "%s(%s)", f->name, shown);
	if (strncmp(f->name, "inotify", 7) == 0 && r >= 0)
		inotify_rm_watch(inotify_fd, (int)r);
	fixture_after_call();
}

static const char *const plain_paths[] = {
	"", ".", "..", "./", "/", "//", "/.", "nonex", "nonex/", "nonex/x", "reg", "reg/", "reg/x", "reg/.",
	"reg/..", "dir", "dir/", "dir/.", "dir/..", "dir/../reg", "dir//in", "./dir/./in", "dir/in/", "dir/new",
	"empty", "empty/", "empty/..", "link", "link/", "linkdir", "linkdir/", "linkdir/in", "linkdir/../reg",
	"linkdir/new", "dangling", "dangling/", "dangling/x", "loop", "loop/", "loop/x", "fifo", "fifo/", "hard",
	"new", "new/", "nowhere", "\x01\xff odd", "/nonexistent/x", "/proc/self/nothing",
};

/* Paths whose bytes matter: too long, unreadable, ending where the mapping ends. */
static void try_odd_pointers(const struct family *f)
{
	char *map = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char name[LONG_NAME_LEN + 16];

	if (map == MAP_FAILED || mprotect(map + 4 * 4096, 4096, PROT_NONE) < 0) {
		line("paths: no memory");
		return;
	}
	try(f, AT_FDCWD, NULL, "NULL");
	try(f, AT_FDCWD, (const char *)8, "(char *)8");
	try(f, AT_FDCWD, (const char *)-4096L, "(char *)-4096");
	try(f, AT_FDCWD, map + 4 * 4096, "PROT_NONE page");
	memset(map, 'x', 4 * 4096);
	try(f, AT_FDCWD, map + 4 * 4096 - 5, "5 bytes, then PROT_NONE");
	try(f, AT_FDCWD, map + 4 * 4096 - 4095, "4095 bytes, then PROT_NONE");
	try(f, AT_FDCWD, map + 4 * 4096 - 4096, "4096 bytes, then PROT_NONE");
	try(f, AT_FDCWD, map, "16384 bytes without end");
	memcpy(map + 4 * 4096 - 4, "reg", 4);
	try(f, AT_FDCWD, map + 4 * 4096 - 4, "reg at the end of a page");
	for (int i = 0; i < 4095; i++)
		map[i] = i % 2 ? '.' : '/';
	map[0] = '.';
	map[1] = '/';
	for (int i = 2; i < 4092; i += 2) {
		map[i] = '.';
		map[i + 1] = '/';
	}
	memcpy(map + 4092, "reg", 4);
	try(f, AT_FDCWD, map, "4095 bytes of ././reg");
	memcpy(map + 4092, "/reg", 5);
	try(f, AT_FDCWD, map, "4096 bytes of ././/reg");
	memset(name, 'n', LONG_NAME_LEN);
	name[LONG_NAME_LEN - 1] = 0;
	try(f, AT_FDCWD, name, "name of 255");
	name[LONG_NAME_LEN - 1] = 'n';
	name[LONG_NAME_LEN] = 0;
	try(f, AT_FDCWD, name, "name of 256");
	memmove(name + 4, name, LONG_NAME_LEN + 1);
	memcpy(name, "non/", 4);
	try(f, AT_FDCWD, name, "missing/name of 256");
	memcpy(name, "reg/", 4);
	try(f, AT_FDCWD, name, "file/name of 256");
	memcpy(name, "dir/", 4);
	try(f, AT_FDCWD, name, "dir/name of 256");
	munmap(map, 5 * 4096);
}

static void try_dirfds(const struct family *f)
{
	int dir = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int path = open("dir", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file = open("reg", O_RDONLY | O_CLOEXEC);
	char absolute[4096 + 8];

	if (!getcwd(absolute, 4096))
		line("paths: getcwd: %s", strerrorname_np(errno));
	strcat(absolute, "/reg");

	try(f, dir, "in", "dirfd, in");
	try(f, dir, "../reg", "dirfd, ../reg");
	try(f, dir, "new", "dirfd, new");
	try(f, dir, "", "dirfd, \"\"");
	try(f, path, "in", "O_PATH dirfd, in");
	try(f, path, ".", "O_PATH dirfd, .");
	try(f, file, "in", "file as dirfd, in");
	try(f, file, "", "file as dirfd, \"\"");
	try(f, -1, "in", "-1, in");
	try(f, -1, "", "-1, \"\"");
	try(f, -1, "/nonexistent/x", "-1, /nonexistent/x");
	try(f, -1, absolute, "-1, absolute path of reg");
	try(f, -1, NULL, "-1, NULL");
	try(f, 99, "in", "99, in");
	try(f, -99, "reg", "-99, reg");
	close(dir);
	close(path);
	close(file);
}

void section_paths(void)
{
	inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	fixture();
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(plain_paths); j++)
			try(&families[i], AT_FDCWD, plain_paths[j], plain_paths[j]);
		try_odd_pointers(&families[i]);
		if (families[i].at)
			try_dirfds(&families[i]);
	}
}
