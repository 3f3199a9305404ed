/* SPDX-License-Identifier: Apache-2.0
 * every_call DIR: makes each call that takes a path, with its path below DIR, and prints "NAME OPS ERRNO", ERRNO 0 if it worked.
 * OPS is what the
 * policy language asks for. DIR must hold file, file2 to file10, victim, link -> file, dir/, empty/,
 * empty2/ and the sockets server (stream) and datagrams; new names are called new*.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_removexattrat 466
#endif

static char base[4096];

static const char *in(const char *name)
{
	static char paths[4][4200];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", base, name);
	return p;
}

static const char *fresh(void)
{
	static unsigned n;
	char name[16];

	snprintf(name, sizeof(name), "new%u", n++);
	return in(name);
}

static void result(const char *name, const char *ops, long r)
{
	int e = errno;

	printf("%s %s %s\n", name, ops, r == -1 ? strerrorname_np(e) : "0");
	if (r > 2 && strstr(name, "open"))
		close((int)r);
}

#define TRY(name, ops, ...) result(name, ops, syscall(__VA_ARGS__))
static void opens(void)
{
	struct open_how how = {.flags = O_RDONLY}, how_new = {.flags = O_CREAT | O_RDWR, .mode = 0600};

	TRY("open", "read", SYS_open, in("file"), O_RDONLY, 0);
	TRY("open_link", "read", SYS_open, in("link"), O_RDONLY, 0);
	TRY("openat", "read", SYS_openat, AT_FDCWD, in("file"), O_RDONLY, 0);
	TRY("openat2", "read", SYS_openat2, AT_FDCWD, in("file"), &how, sizeof(how));
	TRY("open_write", "write", SYS_open, in("file"), O_WRONLY, 0);
	TRY("open_append", "write", SYS_open, in("file"), O_WRONLY | O_APPEND, 0);
	TRY("open_both", "read,write", SYS_open, in("file"), O_RDWR, 0);
	TRY("open_mode_three", "read,write", SYS_open, in("file"), O_ACCMODE, 0);
	TRY("open_trunc", "read,write", SYS_open, in("victim"), O_RDONLY | O_TRUNC, 0);
	TRY("open_creat_existing", "read", SYS_open, in("file"), O_RDONLY | O_CREAT, 0600);
	TRY("open_creat", "create,write", SYS_open, fresh(), O_WRONLY | O_CREAT, 0600);
	TRY("open_excl", "create,read,write", SYS_open, fresh(), O_RDWR | O_CREAT | O_EXCL, 0600);
	TRY("openat2_creat", "create,read,write", SYS_openat2, AT_FDCWD, fresh(), &how_new, sizeof(how_new));
	TRY("creat_open", "create,write", SYS_creat, fresh(), 0600);
	TRY("open_tmpfile", "create,read,write", SYS_open, in("dir"), O_TMPFILE | O_RDWR, 0600);
	TRY("open_dir", "list", SYS_open, in("dir"), O_RDONLY | O_DIRECTORY, 0);
}

static void names(void)
{
	TRY("mkdir", "create", SYS_mkdir, fresh(), 0755);
	TRY("mkdirat", "create", SYS_mkdirat, AT_FDCWD, fresh(), 0755);
	TRY("mknod", "create", SYS_mknod, fresh(), S_IFREG | 0600, 0);
	TRY("mknodat_fifo", "create", SYS_mknodat, AT_FDCWD, fresh(), S_IFIFO | 0600, 0);
	TRY("symlink", "create", SYS_symlink, "x", fresh());
	TRY("symlinkat", "create", SYS_symlinkat, "x", AT_FDCWD, fresh());
	TRY("link", "create", SYS_link, in("file"), fresh());
	TRY("linkat", "create", SYS_linkat, AT_FDCWD, in("file"), AT_FDCWD, fresh(), 0);
	TRY("rename", "delete,create", SYS_rename, in("file2"), fresh());
	TRY("renameat", "delete,create", SYS_renameat, AT_FDCWD, in("file3"), AT_FDCWD, fresh());
	TRY("renameat2", "delete,create", SYS_renameat2, AT_FDCWD, in("file4"), AT_FDCWD, fresh(), 1);
	TRY("renameat2_exchange", "delete,create", SYS_renameat2, AT_FDCWD, in("file5"), AT_FDCWD, in("file6"), 2);
	TRY("rename_over", "delete,create", SYS_rename, in("file7"), in("file8"));
	TRY("unlink", "delete", SYS_unlink, in("file9"));
	TRY("unlinkat", "delete", SYS_unlinkat, AT_FDCWD, in("file10"), 0);
	TRY("rmdir", "delete", SYS_rmdir, in("empty"));
	TRY("unlinkat_dir", "delete", SYS_unlinkat, AT_FDCWD, in("empty2"), AT_REMOVEDIR);
}

static void meta(void)
{
	struct timespec ts[2] = {{1, 0}, {2, 0}};
	struct timeval tv[2] = {{1, 0}, {2, 0}};
	long times[2] = {1, 2};
	struct {
		uint64_t value;
		uint32_t size, flags;
	} attr = {(uint64_t)(uintptr_t) "v", 1, 0};

	TRY("truncate", "write", SYS_truncate, in("file"), 3L);
	TRY("chmod", "meta", SYS_chmod, in("file"), 0640);
	TRY("fchmodat", "meta", SYS_fchmodat, AT_FDCWD, in("file"), 0600);
	TRY("fchmodat2", "meta", SYS_fchmodat2, AT_FDCWD, in("file"), 0644, 0);
	TRY("chown", "meta", SYS_chown, in("file"), -1, getegid());
	TRY("lchown", "meta", SYS_lchown, in("link"), -1, getegid());
	TRY("fchownat", "meta", SYS_fchownat, AT_FDCWD, in("file"), -1, getegid(), 0);
	TRY("utime", "meta", SYS_utime, in("file"), times);
	TRY("utimes", "meta", SYS_utimes, in("file"), tv);
	TRY("futimesat", "meta", SYS_futimesat, AT_FDCWD, in("file"), tv);
	TRY("utimensat", "meta", SYS_utimensat, AT_FDCWD, in("file"), ts, 0);
	TRY("utimensat_link", "meta", SYS_utimensat, AT_FDCWD, in("link"), ts, AT_SYMLINK_NOFOLLOW);
	TRY("setxattr", "meta", SYS_setxattr, in("file"), "user.a", "v", 1L, 0);
	TRY("setxattrat", "meta", SYS_setxattrat, AT_FDCWD, in("file"), 0, "user.b", &attr, sizeof(attr));
	TRY("removexattr", "meta", SYS_removexattr, in("file"), "user.a");
	TRY("removexattrat", "meta", SYS_removexattrat, AT_FDCWD, in("file"), 0, "user.b");
}

static void stats(void)
{
	char buf[4096];
	int watcher = inotify_init1(IN_CLOEXEC);

	TRY("stat", "stat", SYS_stat, in("file"), buf);
	TRY("lstat", "stat", SYS_lstat, in("link"), buf);
	TRY("newfstatat", "stat", SYS_newfstatat, AT_FDCWD, in("file"), buf, 0);
	TRY("statx", "stat", SYS_statx, AT_FDCWD, in("file"), 0, 0xfff, buf);
	TRY("access", "stat", SYS_access, in("file"), R_OK);
	TRY("faccessat", "stat", SYS_faccessat, AT_FDCWD, in("file"), R_OK);
	TRY("faccessat2", "stat", SYS_faccessat2, AT_FDCWD, in("file"), R_OK, 0);
	TRY("readlink", "stat", SYS_readlink, in("link"), buf, sizeof(buf));
	TRY("readlinkat", "stat", SYS_readlinkat, AT_FDCWD, in("link"), buf, sizeof(buf));
	TRY("statfs", "stat", SYS_statfs, in("file"), buf);
	TRY("inotify", "stat", SYS_inotify_add_watch, watcher, in("file"), IN_MODIFY);
	close(watcher);
}

static void sockets(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A socket file's path is short; the test makes DIR so. */
	snprintf(un.sun_path, sizeof(un.sun_path), "%.80s/sock", base);
	result("bind", "create", bind(s, (struct sockaddr *)&un, sizeof(un)));
	close(s);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%.80s/server", base);
	result("connect", "connect", connect(s, (struct sockaddr *)&un, sizeof(un)));
	close(s);
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%.80s/datagrams", base);
	if (s < 0) { /* a filter may refuse all of them: that is a refusal of what would be sent too */
		result("sendto", "datagram", -1);
		result("sendmsg", "datagram", -1);
		return;
	}
	result("sendto", "datagram", sendto(s, "x", 1, 0, (struct sockaddr *)&un, sizeof(un)) < 0 ? -1 : 0);
	struct iovec iov = {(char[]){"x"}, 1};
	struct msghdr m = {.msg_name = &un, .msg_namelen = sizeof(un), .msg_iov = &iov, .msg_iovlen = 1};
	result("sendmsg", "datagram", sendmsg(s, &m, 0) < 0 ? -1 : 0);
	close(s);
}

/* By a descriptor that was opened for reading only, or for nothing. */
static void by_descriptor(void)
{
	struct timespec ts[2] = {{1, 0}, {2, 0}};
	int fd = open(in("file"), O_RDONLY | O_CLOEXEC), path = open(in("file"), O_PATH | O_CLOEXEC);
	int dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		TRY("fchmod", "meta", SYS_fchmod, fd, 0644);
		TRY("fchown", "meta", SYS_fchown, fd, -1, getegid());
		TRY("futimens", "meta", SYS_utimensat, fd, NULL, ts, 0);
		TRY("fsetxattr", "meta", SYS_fsetxattr, fd, "user.c", "v", 1L, 0);
		TRY("fremovexattr", "meta", SYS_fremovexattr, fd, "user.c");
	}
	TRY("fchmodat2_empty", "meta", SYS_fchmodat2, path, "", 0644, AT_EMPTY_PATH);
	TRY("fchownat_empty", "meta", SYS_fchownat, path, "", -1, getegid(), AT_EMPTY_PATH);
	TRY("openat_dirfd", "read", SYS_openat, dir, "file", O_RDONLY, 0);
	TRY("openat_dirfd_creat", "create,write", SYS_openat, dir, "new-a", O_WRONLY | O_CREAT, 0600);
	TRY("mkdirat_dirfd", "create", SYS_mkdirat, dir, "new-b", 0755);
	TRY("openat_dirfd_up", "read", SYS_openat, dir, "dir/../file", O_RDONLY, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: every_call DIR\n");
		return 2;
	}
	snprintf(base, sizeof(base), "%.4000s", argv[1]);
	umask(022);
	alarm(20);
	stats();
	opens();
	by_descriptor();
	sockets();
	meta();
	names();
	return 0;
}
