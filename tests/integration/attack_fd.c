/* SPDX-License-Identifier: Apache-2.0
 * Descriptors that carry more than they should: O_PATH handles, odd access modes, calls by descriptor,
 * reopening, descriptors inherited or left behind.
 */
#include "tests/integration/attack/attack.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static enum outcome changes_by_path_descriptor(void)
{
	struct timespec times[2] = {{1, 1}, {2, 2}};
	struct {
		uint64_t value;
		uint32_t size, flags;
	} attr = {(uint64_t)(uintptr_t) "v", 1, 0};
	static const char *const files[] = {"no/victim", "ro/file"};
	char proc[64];

	victims_note();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open(files[i], O_PATH | O_CLOEXEC);

		if (fd < 0)
			continue;
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		syscall(SYS_fchmodat2, fd, "", 0600, AT_EMPTY_PATH);
		chmod(proc, 0601);
		fchownat(fd, "", (uid_t)-1, getegid(), AT_EMPTY_PATH);
		chown(proc, (uid_t)-1, getegid());
		utimensat(fd, "", times, AT_EMPTY_PATH);
		utimensat(AT_FDCWD, proc, times, 0);
		setxattr(proc, "user.x", "v", 1, 0);
		syscall(SYS_setxattrat, AT_FDCWD, proc, 0, "user.y", &attr, sizeof(attr));
		removexattr(proc, "user.x");
		truncate(proc, 1);
		close(open(proc, O_WRONLY | O_CLOEXEC));
		close(open(proc, O_RDONLY | O_TRUNC | O_CLOEXEC));
		if (!victims_untouched())
			return escaped("changed %s", files[i]);
		if (i == 0 && path_gives_secret(proc))
			return escaped("the secret");
	}
	return held("refused");
}

/* Access mode 3 asks for both and gives a descriptor for ioctl. */
static enum outcome access_mode_three(void)
{
	int fd = open("no/secret", O_ACCMODE | O_CLOEXEC);

	if (fd >= 0)
		return escaped("a descriptor of the secret");
	fd = open("ro/file", O_ACCMODE | O_CLOEXEC);
	return fd >= 0 ? escaped("a descriptor of the read-only file") : held("refused");
}

static enum outcome truncating_open_for_reading(void)
{
	struct stat st;
	int fd = open("ro/file", O_RDONLY | O_TRUNC | O_CLOEXEC);

	if (stat("ro/file", &st) == 0 && st.st_size == 0)
		return escaped("truncated");
	fd = open("no/victim", O_RDONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0 || (stat("no/victim", &st) == 0 && st.st_size == 0))
		return escaped("truncated the denied one");
	return held("refused");
}

static enum outcome changes_by_read_only_descriptor(void)
{
	struct timespec times[2] = {{1, 1}, {2, 2}};
	int fd = open("ro/file", O_RDONLY | O_CLOEXEC), flags = 0;

	if (fd < 0)
		return cannot("can't read ro/file: %s", strerrorname_np(errno));
	victims_note();
	fchmod(fd, 0600);
	fchown(fd, (uid_t)-1, getegid());
	futimens(fd, times);
	fsetxattr(fd, "user.x", "v", 1, 0);
	fremovexattr(fd, "user.x");
	(void)!ftruncate(fd, 1);
	fallocate(fd, 0, 0, 10000);
	(void)!write(fd, "x", 1);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		flags |= 0x40; /* FS_NODUMP_FL: harmless, and the owner may set it */
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return escaped("a writable map");
	return victims_untouched() ? held("refused") : escaped("changed");
}

static enum outcome reopening_for_more(void)
{
	static const char *const forms[] = {"/proc/self/fd", "/dev/fd", "/proc/thread-self/fd"};
	static const int flags[] = {O_RDWR, O_WRONLY, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND, O_RDWR | O_CREAT, O_ACCMODE};
	int fd = open("ro/file", O_RDONLY | O_CLOEXEC);
	char proc[64];

	if (fd < 0)
		return cannot("can't read ro/file: %s", strerrorname_np(errno));
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		snprintf(proc, sizeof(proc), "%s/%d", forms[i], fd);
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++)
			if (open(proc, flags[j] | O_CLOEXEC, 0600) >= 0)
				return escaped("reopened with %#o as %s", (unsigned)flags[j], forms[i]);
	}
	return held("refused");
}

static enum outcome descriptors_inherited(void)
{
	/* The test starts sluice with descriptors of the secret at odd numbers; the control opens one. */
	if (is_control())
		dup2(open("no/secret", O_RDONLY | O_CLOEXEC), 77);
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return escaped("descriptor %d is open", fd);
	return held("none");
}

/* The listener must not be in any task of the tree. */
static enum outcome listener_left_behind(void)
{
	char path[64], target[256];

	if (is_control()) {
		struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
		struct sock_fprog prog = {1, &allow};

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog) < 0)
			return cannot("no listener: %s", strerrorname_np(errno));
	}
	for (int fd = 0; fd < 4096; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (strstr(target, "seccomp") || strstr(target, "io_uring") || strstr(target, "pidfd"))
			return escaped("descriptor %d is %s", fd, target);
	}
	return held("none");
}

/* Handles reach a file without a path. */
static enum outcome open_by_handle(void)
{
	struct {
		struct file_handle h;
		unsigned char more[128];
	} handle = {.h = {.handle_bytes = 128}};
	int mount_id, dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (name_to_handle_at(AT_FDCWD, "no/secret", &handle.h, &mount_id, 0) < 0)
		return is_control() ? cannot("no handles here: %s", strerrorname_np(errno)) : held("no handle");
	fd = open_by_handle_at(dir, &handle.h, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && is_control())
		return cannot("open_by_handle_at: %s", strerrorname_np(errno));
	return fd_gives_secret(fd) ? escaped("the secret by handle") : held("refused");
}

/* A file without a name gets one. */
static enum outcome tmpfile_linked_into_denied(void)
{
	char proc[64];
	int fd = open("no", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return escaped("a file in the denied directory");
	fd = open("ok", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return cannot("no O_TMPFILE: %s", strerrorname_np(errno));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, AT_FDCWD, "no/made", AT_SYMLINK_FOLLOW) == 0 ||
	    linkat(fd, "", AT_FDCWD, "no/made", AT_EMPTY_PATH) == 0)
		return escaped("linked into the denied directory");
	return held("refused");
}

const struct attack attacks[] = {
	{"changes_by_path_descriptor", changes_by_path_descriptor},
	{"access_mode_three", access_mode_three},
	{"truncating_open_for_reading", truncating_open_for_reading},
	{"changes_by_read_only_descriptor", changes_by_read_only_descriptor},
	{"reopening_for_more", reopening_for_more},
	{"descriptors_inherited", descriptors_inherited},
	{"listener_left_behind", listener_left_behind},
	{"open_by_handle", open_by_handle},
	{"tmpfile_linked_into_denied", tmpfile_linked_into_denied},
	{NULL, NULL},
};
