/* SPDX-License-Identifier: Apache-2.0
 * Names: rename, link, unlink, mkdir, mknod in all their forms, and what is left behind.
 */
#include "tests/integration/fidelity/fidelity.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define NOREPLACE 1
#define EXCHANGE 2
#define WHITEOUT 4

static const char *const ends[] = {
	"reg", "hard", "hardened", "dir", "dir/", "empty", "empty/", "dir/in", "link", "linkdir", "linkdir/in",
	"dangling", "loop", "fifo", "missing", "missing/", "dir/missing", "missing/x", "reg/x", ".", "dir/..",
	"dir/sub", "empty/new",
};

static void renames(void)
{
	static const struct {
		const char *name;
		unsigned flags;
	} ways[] = {
		{"plain", 0},
		{"NOREPLACE", NOREPLACE},
		{"EXCHANGE", EXCHANGE},
		{"NOREPLACE|EXCHANGE", NOREPLACE | EXCHANGE},
		{"unknown flag", 16},
	};

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
			for (size_t j = 0; j < ARRAY_SIZE(ends); j++) {
				if (w >= 3 && (i + j) % 7) /* enough of those that only look at flags */
					continue;
				report(syscall(SYS_renameat2, AT_FDCWD, ends[i], AT_FDCWD, ends[j], ways[w].flags),
				       "rename(%s, %s, %s)", ends[i], ends[j], ways[w].name);
				fixture_after_call();
			}
	report(syscall(SYS_renameat2, AT_FDCWD, "reg", AT_FDCWD, "missing", WHITEOUT | EXCHANGE),
	       "rename WHITEOUT|EXCHANGE");
	fixture_after_call();
}

static void links(void)
{
	static const struct {
		const char *name;
		int flags;
	} ways[] = {
		{"plain", 0}, {"FOLLOW", AT_SYMLINK_FOLLOW}, {"unknown flag", 0x20}, {"NOFOLLOW", AT_SYMLINK_NOFOLLOW},
	};
	static const char *const to[] = {"missing", "dir/missing", "missing/", "reg", "dir", "dangling", "nodir/x"};
	int fd;

	for (size_t w = 0; w < ARRAY_SIZE(ways); w++)
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
			for (size_t j = 0; j < ARRAY_SIZE(to); j++) {
				report(linkat(AT_FDCWD, ends[i], AT_FDCWD, to[j], ways[w].flags), "link(%s, %s, %s)",
				       ends[i], to[j], ways[w].name);
				fixture_after_call();
			}
	fd = open("reg", O_RDONLY);
	report(linkat(fd, "", AT_FDCWD, "missing", 0), "linkat empty path without the flag");
	report(linkat(-1, "", AT_FDCWD, "missing", AT_EMPTY_PATH), "linkat empty path of -1");
	fixture_after_call();
	unlink("reg");
	report(linkat(AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, "missing", AT_SYMLINK_FOLLOW),
	       "linkat of a deleted file");
	close(fd);
	fixture_after_call();
}

static void removals(void)
{
	static const int flags[] = {0, AT_REMOVEDIR, 0x1000, AT_REMOVEDIR | 0x1000};
	int fd;
	char byte;

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++)
		for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
			report(unlinkat(AT_FDCWD, ends[i], flags[f]), "unlinkat(%s, %#x)", ends[i],
			       (unsigned)flags[f]);
			fixture_after_call();
		}
	fd = open("reg", O_RDONLY);
	report(unlink("reg"), "unlink of an open file");
	report(read(fd, &byte, 1), "read of the deleted file");
	report_fd(fd, "the deleted file");
	fixture_after_call();
}

static void creations(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		dev_t dev;
	} kinds[] = {
		{"0", 0644, 0},
		{"regular", S_IFREG | 0644, 0},
		{"regular, device number ignored", S_IFREG | 0644, 0x101},
		{"fifo", S_IFIFO | 0622, 0},
		{"socket", S_IFSOCK | 0755, 0},
		{"directory", S_IFDIR | 0755, 0},
		{"symlink", S_IFLNK | 0777, 0},
		{"unknown type", 0170000 | 0644, 0},
		{"suid", S_IFREG | 04755, 0},
	};
	static const char *const at[] = {"missing", "missing/", "dir/missing", "reg", "reg/x", "dangling", "nodir/x"};
	static const int modes[] = {0, 0700, 0777, 01777, 02775, 06755, 0177777};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (size_t j = 0; j < ARRAY_SIZE(at); j++) {
			report(syscall(SYS_mknodat, AT_FDCWD, at[j], kinds[i].mode, kinds[i].dev), "mknod(%s, %s)",
			       at[j], kinds[i].name);
			fixture_after_call();
		}
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		report(syscall(SYS_mkdir, "missing", modes[i]), "mkdir mode %#o", (unsigned)modes[i]);
		fixture_after_call();
	}
	if (geteuid() != 0)
		report(mknod("missing", S_IFCHR | 0600, makedev(1, 3)), "mknod of a device");
	report(mknod("missing", S_IFCHR | 0600, makedev(0, 0)), "mknod of a whiteout");
	fixture_after_call();
	/* A set-group-id directory hands its group and the bit on. */
	chmod("empty", 02775);
	report(mkdir("empty/sub", 0755), "mkdir in a set-group-id directory");
	report_fd(open("empty/file", O_CREAT | O_RDWR, 02755), "open in a set-group-id directory");
	fixture_after_call();
	report(mkdir("a\nb", 0755), "mkdir of a name with a newline");
	report(mkdir("\xff\xfe", 0755), "mkdir of a name that is not UTF-8");
	report(symlink("", "missing"), "symlink of nothing");
	report(symlink("a//b/../c", "missing"), "symlink keeps its text");
	rmdir("a\nb");
	rmdir("\xff\xfe");
	fixture_after_call();
}

void section_names(void)
{
	fixture();
	renames();
	links();
	removals();
	creations();
}
