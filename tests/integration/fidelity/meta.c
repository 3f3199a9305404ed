/* SPDX-License-Identifier: Apache-2.0
 * Modes, owners, times, extended attributes, lengths; by path, by descriptor, by AT_EMPTY_PATH; and
 * the umask in all that creates.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void modes(void)
{
	static const int wanted[] = {0, 0400, 0755, 01777, 02755, 04711, 07777, 0177777};
	static const char *const paths[] = {"reg", "dir", "link", "linkdir", "dangling", "fifo", "missing"};
	static const int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x800000};
	int fd, path_fd;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(paths); j++) {
			report(syscall(SYS_chmod, paths[j], wanted[i]), "chmod(%s, %#o)", paths[j],
			       (unsigned)wanted[i]);
			chmod("dir", 0755);
			fixture_after_call();
		}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		for (size_t j = 0; j < ARRAY_SIZE(paths); j++) {
			report(syscall(SYS_fchmodat2, AT_FDCWD, paths[j], 0700, flags[i]), "fchmodat2(%s, %#x)",
			       paths[j], (unsigned)flags[i]);
			fixture_after_call();
		}
	fd = open("reg", O_RDONLY);
	path_fd = open("reg", O_PATH);
	report(fchmod(fd, 0606), "fchmod of a read-only descriptor");
	fixture_after_call();
	report(fchmod(path_fd, 0606), "fchmod of O_PATH");
	report(syscall(SYS_fchmodat2, path_fd, "", 0606, AT_EMPTY_PATH), "fchmodat2 of O_PATH");
	fixture_after_call();
	report(fchmod(-1, 0606), "fchmod of -1");
	close(fd);
	close(path_fd);
}

static void owners(void)
{
	uid_t me = geteuid();
	gid_t group = getegid();
	int fd = open("reg", O_RDONLY);

	chmod("reg", 06755);
	report(chown("reg", me, group), "chown to oneself");
	fixture_after_call();
	chmod("reg", 06755);
	report(chown("reg", -1, -1), "chown of nothing");
	fixture_after_call();
	if (me != 0)
		report(chown("reg", 0, -1), "chown to root");
	report(lchown("dangling", me, group), "lchown of a dangling link");
	report(chown("dangling", me, group), "chown of a dangling link");
	report(fchownat(fd, "", -1, group, AT_EMPTY_PATH), "fchownat by empty path");
	report(fchownat(fd, "", -1, group, 0), "fchownat by empty path without the flag");
	report(fchownat(AT_FDCWD, "reg", -1, group, 0x40), "fchownat with an unknown flag");
	report(fchown(fd, -1, group), "fchown of a read-only descriptor");
	report(fchown(77, -1, group), "fchown of a bad descriptor");
	close(fd);
	fixture_after_call();
}

static void show_times(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		line("  %s: %s", path, strerrorname_np(errno));
	else
		line("  %s: atime %lld.%09ld mtime %lld.%09ld", path, (long long)st.st_atime, st.st_atim.tv_nsec,
		     (long long)st.st_mtime, st.st_mtim.tv_nsec);
}

static void times(void)
{
	struct timespec set[2] = {{1000000001, 123456789}, {1000000002, 987654321}};
	struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	struct timespec one[2] = {{0, UTIME_OMIT}, {77, 5}};
	struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
	struct timeval old[2] = {{1000000003, 5}, {1000000004, 999999}};
	struct timeval old_bad[2] = {{0, 1000000}, {0, 0}};
	long buf[2] = {1000000005, 1000000006};
	int fd = open("reg", O_RDONLY), path_fd = open("reg", O_PATH);

	report(utimensat(AT_FDCWD, "reg", set, 0), "utimensat");
	show_times("reg");
	report(utimensat(AT_FDCWD, "link", set, AT_SYMLINK_NOFOLLOW), "utimensat of a link");
	show_times("link");
	report(utimensat(AT_FDCWD, "link", one, 0), "utimensat through a link, one time omitted");
	show_times("reg");
	report(utimensat(AT_FDCWD, "dir", set, 0), "utimensat of a directory");
	show_times("dir");
	report(utimensat(AT_FDCWD, "missing", omit, 0), "utimensat, both omitted, of nothing");
	report(syscall(SYS_utimensat, AT_FDCWD, 8L, omit, 0), "utimensat, both omitted, bad path");
	report(syscall(SYS_utimensat, AT_FDCWD, "missing", 8L, 0), "utimensat with bad times");
	report(utimensat(AT_FDCWD, "reg", bad, 0), "utimensat with nsec out of range");
	report(utimensat(AT_FDCWD, "missing", bad, 0), "utimensat with nsec out of range, of nothing");
	report(utimensat(AT_FDCWD, "reg", set, 0x40), "utimensat with an unknown flag");
	report(utimensat(fd, "", one, AT_EMPTY_PATH), "utimensat by empty path");
	show_times("reg");
	report(syscall(SYS_utimensat, fd, NULL, set, 0), "utimensat by descriptor");
	show_times("reg");
	report(syscall(SYS_utimensat, fd, NULL, set, AT_SYMLINK_NOFOLLOW), "utimensat by descriptor with a flag");
	report(syscall(SYS_utimensat, path_fd, NULL, set, 0), "utimensat by O_PATH descriptor");
	report(syscall(SYS_utimensat, path_fd, "", one, AT_EMPTY_PATH), "utimensat by empty path of O_PATH");
	show_times("reg");
	report(syscall(SYS_utimensat, AT_FDCWD, NULL, set, 0), "utimensat, NULL and AT_FDCWD");
	report(syscall(SYS_utimes, "reg", old), "utimes");
	show_times("reg");
	report(syscall(SYS_utimes, "reg", old_bad), "utimes with usec out of range");
	report(syscall(SYS_utimes, "missing", 8L), "utimes with bad times");
	report(syscall(SYS_futimesat, AT_FDCWD, "dir/in", old), "futimesat");
	show_times("dir/in");
	report(syscall(SYS_futimesat, fd, NULL, old), "futimesat by descriptor");
	report(syscall(SYS_utime, "reg", buf), "utime");
	show_times("reg");
	report(syscall(SYS_utime, "reg", 8L), "utime with bad times");
	report(syscall(SYS_utime, "missing", 8L), "utime with bad times, of nothing");
	close(fd);
	close(path_fd);
	fixture_after_call();
}

static void show_attribute(const char *path, const char *name)
{
	char value[64] = "", names[256] = "";
	ssize_t n = lgetxattr(path, name, value, sizeof(value) - 1);

	report(n, "  %s has %s", path, name);
	if (n >= 0)
		line("  value %.*s", (int)n, value);
	n = llistxattr(path, names, sizeof(names));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		line("  lists %s", names + i);
}

static void attributes(void)
{
	static char large[70000];
	char long_name[300] = "user.", got[16];
	int fd = open("reg", O_RDONLY), path_fd = open("reg", O_PATH);

	memset(long_name + 5, 'n', 280);
	report(setxattr("reg", "user.a", "value", 5, 0), "setxattr");
	show_attribute("reg", "user.a");
	report(setxattr("reg", "user.a", "second", 6, XATTR_CREATE), "setxattr CREATE of an existing one");
	report(setxattr("reg", "user.b", "v", 1, XATTR_REPLACE), "setxattr REPLACE of a missing one");
	report(setxattr("reg", "user.a", "second", 6, XATTR_REPLACE), "setxattr REPLACE");
	report(setxattr("reg", "user.e", "", 0, 0), "setxattr of nothing");
	show_attribute("reg", "user.a");
	report(getxattr("reg", "user.a", got, 2), "getxattr into too little");
	report(getxattr("reg", "user.a", NULL, 0), "getxattr of the size");
	report(syscall(SYS_getxattr, "reg", "user.a", 8L, 16L), "getxattr into a bad pointer");
	report(listxattr("reg", got, 2), "listxattr into too little");
	report(listxattr("reg", NULL, 0) > 0 ? 0 : -1, "listxattr of the size");
	report(setxattr("reg", "user.a", "x", 1, 8), "setxattr with an unknown flag");
	report(setxattr("missing", "user.a", "x", 1, 8), "setxattr with an unknown flag, of nothing");
	report(setxattr("missing", "", "x", 1, 0), "setxattr without a name, of nothing");
	report(setxattr("missing", long_name, "x", 1, 0), "setxattr with a long name, of nothing");
	report(setxattr("missing", "user.a", large, sizeof(large), 0), "setxattr of 70000 bytes, of nothing");
	report(syscall(SYS_setxattr, "missing", "user.a", 8L, 4L, 0), "setxattr of a bad value, of nothing");
	report(syscall(SYS_setxattr, "missing", 8L, "x", 1L, 0), "setxattr with a bad name, of nothing");
	report(setxattr("reg", "nonsense", "x", 1, 0), "setxattr without a name space");
	report(setxattr("reg", "user.", "x", 1, 0), "setxattr of user.");
	report(setxattr("link", "user.l", "x", 1, 0), "setxattr through a link");
	show_attribute("reg", "user.l");
	report(lsetxattr("link", "user.l", "x", 1, 0), "lsetxattr of a link");
	report(setxattr("fifo", "user.l", "x", 1, 0), "setxattr of a fifo");
	report(setxattr("dir", "user.d", "x", 1, 0), "setxattr of a directory");
	show_attribute("dir", "user.d");
	report(fsetxattr(fd, "user.f", "x", 1, 0), "fsetxattr of a read-only descriptor");
	report(fsetxattr(path_fd, "user.f", "x", 1, 0), "fsetxattr of O_PATH");
	report(fgetxattr(fd, "user.f", got, sizeof(got)), "fgetxattr");
	report(fremovexattr(fd, "user.f"), "fremovexattr");
	report(fremovexattr(fd, "user.f"), "fremovexattr again");
	report(removexattr("reg", "user.a"), "removexattr");
	report(removexattr("reg", "user.a"), "removexattr again");
	report(lremovexattr("link", "user.a"), "lremovexattr of a link");
	report(removexattr("reg", ""), "removexattr without a name");
	if (geteuid() != 0)
		report(setxattr("reg", "trusted.x", "x", 1, 0), "setxattr of trusted");
	show_attribute("reg", "user.l");
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args = {(uint64_t)(uintptr_t) "at", 2, 0};
	report(syscall(SYS_setxattrat, AT_FDCWD, "reg", 0, "user.at", &args, sizeof(args)), "setxattrat");
	report(syscall(SYS_setxattrat, fd, "", AT_EMPTY_PATH, "user.at2", &args, sizeof(args)),
	       "setxattrat by descriptor");
	report(syscall(SYS_setxattrat, AT_FDCWD, "reg", 0, "user.at", &args, 3L), "setxattrat of a small struct");
	args.value = (uint64_t)(uintptr_t)got;
	args.size = sizeof(got);
	report(syscall(SYS_getxattrat, AT_FDCWD, "reg", 0, "user.at", &args, sizeof(args)), "getxattrat");
	report(syscall(SYS_listxattrat, AT_FDCWD, "reg", 0, large, sizeof(large)), "listxattrat");
	report(syscall(SYS_removexattrat, AT_FDCWD, "reg", 0, "user.at"), "removexattrat");
	close(fd);
	close(path_fd);
	fixture();
}

static void lengths(void)
{
	static const char *const paths[] = {"reg", "dir", "link", "dangling", "fifo", "missing", "hardened", "reg/"};
	static const long wanted[] = {0, 3, 6, 5000, -1, 1L << 62};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t j = 0; j < ARRAY_SIZE(wanted); j++) {
			report(syscall(SYS_truncate, paths[i], wanted[j]), "truncate(%s, %ld)", paths[i], wanted[j]);
			fixture_after_call();
		}
	report(syscall(SYS_truncate, 8L, -1L), "truncate(bad pointer, -1)");
}

static void queries(void)
{
	static const int modes_asked[] = {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK, 8, -1};
	static const char *const paths[] = {"reg", "hardened", "dir", "link", "dangling", "missing", "fifo"};
	static const int flags[] = {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 0x40};
	char text[16];
	struct stat st;
	int fd = open("reg", O_PATH), link_fd = open("link", O_PATH | O_NOFOLLOW);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t j = 0; j < ARRAY_SIZE(modes_asked); j++)
			for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
				report(syscall(SYS_faccessat2, AT_FDCWD, paths[i], modes_asked[j], flags[k]),
				       "faccessat2(%s, %d, %#x)", paths[i], modes_asked[j], (unsigned)flags[k]);
	report(syscall(SYS_readlink, "link", text, 2L), "readlink into too little");
	report(syscall(SYS_readlink, "link", text, 0L), "readlink into nothing");
	report(syscall(SYS_readlink, "link", text, -1L), "readlink into -1");
	report(syscall(SYS_readlink, "link", 8L, 16L), "readlink into a bad pointer");
	report(syscall(SYS_readlink, "reg", text, 16L), "readlink of a file");
	report(syscall(SYS_readlinkat, link_fd, "", text, 16L), "readlinkat of a link's descriptor");
	report(syscall(SYS_readlinkat, fd, "", text, 16L), "readlinkat of a file's descriptor");
	report(fstatat(fd, "", &st, AT_EMPTY_PATH), "fstatat by descriptor");
	line("  mode %o size %ld", st.st_mode, (long)st.st_size);
	report(fstatat(link_fd, "", &st, AT_EMPTY_PATH), "fstatat by a link's descriptor");
	line("  mode %o", st.st_mode);
	report(syscall(SYS_newfstatat, AT_FDCWD, "reg", 8L, 0), "fstatat into a bad pointer");
	report(fstatat(AT_FDCWD, "reg", &st, 0x40000), "fstatat with an unknown flag");
	close(fd);
	close(link_fd);
}

void section_meta(void)
{
	fixture();
	modes();
	owners();
	times();
	attributes();
	lengths();
	queries();
}

void section_umask(void)
{
	static const int masks[] = {0, 022, 027, 077, 0277, 0777};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "dir/sock"};

	fixture();
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		long results[6];

		umask((mode_t)masks[i]);
		results[0] = syscall(SYS_openat, AT_FDCWD, "dir/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0777);
		results[1] = mkdir("dir/directory", 0777);
		results[2] = mknod("dir/node", S_IFREG | 0666, 0);
		results[3] = mkfifo("dir/pipe", 0666);
		results[4] = bind(s, (struct sockaddr *)&un, sizeof(un));
		results[5] = symlink("x", "dir/symlink");
		line("umask %04o: %ld %ld %ld %ld %ld %ld", (unsigned)masks[i], results[0], results[1], results[2],
		     results[3], results[4], results[5]);
		report_fd(open("dir", O_TMPFILE | O_RDWR, 0666), "umask %04o: O_TMPFILE", (unsigned)masks[i]);
		umask(022);
		close((int)results[0]);
		close(s);
		fixture_after_call();
	}
}
