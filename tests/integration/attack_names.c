/* SPDX-License-Identifier: Apache-2.0
 * Other names for a denied object, and other objects for a denied name: links, renames, exchanges.
 */
#include "tests/integration/attack/attack.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#ifndef RENAME_EXCHANGE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool content_is(const char *path, const char *want)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	return n >= 0 && strcmp(buf, want) == 0;
}

static enum outcome link_to_secret(void)
{
	if (symlink("../no/secret", "ok/l"))
		return cannot("no symlink: %s", strerrorname_np(errno));
	return path_gives_secret("ok/l") ? escaped("the secret through a symlink") : held("refused");
}

static enum outcome link_chain_to_secret(void)
{
	char where[4096];

	if (!getcwd(where, sizeof(where)))
		return cannot("no working directory");
	symlink(where, "ok/up");
	symlink("up/no", "ok/across");
	symlink("across/./../no//secret", "ok/l");
	return path_gives_secret("ok/l") ? escaped("the secret through a chain of symlinks") : held("refused");
}

static enum outcome spellings_of_secret(void)
{
	static const char *const ways[] = {
		"no/secret", "./no/secret", "no//secret", "no/./secret", "ok/../no/secret", "no/../no/secret",
		"ok/./.././no/secret", "tree/inner/secret", "tree/inner/../inner/secret", "tree/../tree/inner/secret",
	};
	char where[4096], path[5000];

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (path_gives_secret(ways[i]))
			return escaped("the secret as %s", ways[i]);
	if (!getcwd(where, sizeof(where)))
		return cannot("no working directory");
	snprintf(path, sizeof(path), "//%s/no/secret", where);
	if (path_gives_secret(path))
		return escaped("the secret by an absolute path");
	snprintf(path, sizeof(path), "/../..%s/no/secret", where);
	return path_gives_secret(path) ? escaped("the secret from above the root") : held("refused");
}

static enum outcome open_below_a_descriptor_of_the_denied(void)
{
	int dir = open("no", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd_gives_secret(openat(dir, "secret", O_RDONLY | O_CLOEXEC)))
		return escaped("the secret by openat");
	if (fchdir(dir) == 0 && path_gives_secret("secret"))
		return escaped("the secret after fchdir");
	return held("refused");
}

static enum outcome hard_link_out(void)
{
	if (link("no/secret", "ok/l") == 0)
		return escaped("linked the secret%s", path_gives_secret("ok/l") ? " and read it" : "");
	if (linkat(AT_FDCWD, "no/secret", AT_FDCWD, "ok/l2", AT_SYMLINK_FOLLOW) == 0)
		return escaped("linked the secret with FOLLOW");
	symlink("../no/secret", "ok/soft");
	if (linkat(AT_FDCWD, "ok/soft", AT_FDCWD, "ok/l3", AT_SYMLINK_FOLLOW) == 0)
		return escaped("linked the secret through a symlink");
	return held("refused");
}

/* A name with more rights for a file that may only be read. */
static enum outcome hard_link_to_write(void)
{
	int fd;

	if (link("ro/file", "ok/l"))
		return held("link refused: %s", strerrorname_np(errno));
	fd = open("ok/l", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd >= 0)
		return escaped("wrote the read-only file");
	return held("a link, but no writing");
}

static enum outcome hard_link_in(void)
{
	if (link("ok/plain0", "no/planted") == 0 || link("ok/plain0", "ro/planted") == 0)
		return escaped("a new name in a protected directory");
	return held("refused");
}

static enum outcome empty_path_link(void)
{
	char proc[64];
	int fd = open("no/secret", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return held("no descriptor: %s", strerrorname_np(errno));
	if (linkat(fd, "", AT_FDCWD, "ok/l", AT_EMPTY_PATH) == 0)
		return escaped("linked by empty path");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, AT_FDCWD, "ok/l", AT_SYMLINK_FOLLOW) == 0)
		return escaped("linked by /proc/self/fd");
	snprintf(proc, sizeof(proc), "/dev/fd/%d", fd);
	if (linkat(AT_FDCWD, proc, AT_FDCWD, "ok/l", AT_SYMLINK_FOLLOW) == 0)
		return escaped("linked by /dev/fd");
	return held("refused");
}

static enum outcome rename_out(void)
{
	if (rename("no/secret", "ok/s") == 0 || renameat2(AT_FDCWD, "no/secret", AT_FDCWD, "ok/s", RENAME_NOREPLACE) == 0)
		return escaped("moved the secret out");
	if (rename("no/secret", "ok/plain0") == 0)
		return escaped("moved the secret over a file");
	if (rename("no", "ok/no2") == 0 || rename("no", "no2") == 0)
		return escaped("moved the denied directory%s", path_gives_secret("no2/secret") ? " and read it" : "");
	if (rename("tree/inner", "ok/inner") == 0 || rename("tree/inner", "tree/outer") == 0)
		return escaped("moved the inner directory");
	return held("refused");
}

static enum outcome rename_in(void)
{
	if (rename("ok/plain0", "no/planted") == 0 || rename("ok/plain0", "no/victim") == 0)
		return escaped("moved a file in");
	if (rename("ok/plain0", "ro/file") == 0 || rename("ok/plain0", "ro/planted") == 0)
		return escaped("moved a file into the read-only directory");
	if (mkdir("ok/d", 0755) == 0 && (rename("ok/d", "no/d") == 0 || rename("ok/d", "later") == 0))
		return escaped("moved a directory in");
	return held("refused");
}

static enum outcome exchange(void)
{
	static const char *const pairs[][2] = {
		{"ok/plain0", "no/secret"}, {"no/secret", "ok/plain0"}, {"ok", "no"}, {"no", "ok"},
		{"ok/plain0", "ro/file"}, {"ro/file", "ok/plain0"}, {"tree", "no"}, {"ro", "ok"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (renameat2(AT_FDCWD, pairs[i][0], AT_FDCWD, pairs[i][1], RENAME_EXCHANGE) == 0)
			return escaped("exchanged %s with %s", pairs[i][0], pairs[i][1]);
	return held("refused");
}

/* Not the denied directory moves, but one above it; what lay at a denied name would be elsewhere. */
static enum outcome rename_of_an_ancestor(void)
{
	if (rename("tree", "tree2") == 0)
		return escaped("renamed%s", path_gives_secret("tree2/inner/secret") ? " and read the secret" : "");
	if (rename("tree", "ok/tree") == 0)
		return escaped("moved%s", path_gives_secret("ok/tree/inner/secret") ? " and read the secret" : "");
	mkdir("ok/empty", 0755);
	if (renameat2(AT_FDCWD, "tree", AT_FDCWD, "ok/empty", RENAME_EXCHANGE) == 0)
		return escaped("exchanged");
	if (path_gives_secret("ok/tree/inner/secret") || path_gives_secret("tree/inner/secret"))
		return escaped("read the secret");
	return held("refused");
}

/* A denied name where something else would be put. */
static enum outcome recreate_denied_directory(void)
{
	if (rename("no", "ok/old") == 0 || rename("no", "old") == 0) {
		mkdir("no", 0755);
		return escaped("replaced the denied directory");
	}
	if (unlink("no/secret") == 0 || unlink("no/victim") == 0)
		return escaped("emptied the denied directory");
	if (rmdir("no") == 0)
		return escaped("removed the denied directory");
	return held("refused");
}

static enum outcome create_at_a_denied_name(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "later"};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (mkdir("later", 0755) == 0)
		return escaped("a directory");
	if (symlink("ok", "later") == 0)
		return escaped("a symlink");
	if (open("later", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) >= 0)
		return escaped("a file");
	if (link("ok/plain0", "later") == 0)
		return escaped("a hard link");
	if (mkfifo("later", 0644) == 0)
		return escaped("a fifo");
	if (bind(s, (struct sockaddr *)&un, sizeof(un)) == 0)
		return escaped("a socket");
	if (rename("ok/plain0", "later") == 0)
		return escaped("a moved file");
	symlink("../later", "ok/l");
	if (open("ok/l", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) >= 0)
		return escaped("a file through a symlink");
	return exists("later") ? escaped("something") : held("refused");
}

/* O_CREAT on a dangling symlink makes the far end. */
static enum outcome create_through_a_link(void)
{
	int fd;

	symlink("../no/made", "ok/l");
	fd = open("ok/l", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd >= 0 || exists("no/made"))
		return escaped("made a file in the denied directory");
	symlink("../no", "ok/d");
	if (mkdir("ok/d/made", 0755) == 0 || mknod("ok/d/made", S_IFREG | 0600, 0) == 0 ||
	    symlink("x", "ok/d/made") == 0 || exists("no/made"))
		return escaped("made a name through a link to the directory");
	return held("refused");
}

static enum outcome whiteout(void)
{
	if (renameat2(AT_FDCWD, "no/plain0", AT_FDCWD, "ok/x", RENAME_WHITEOUT) == 0)
		return escaped("moved out, with a whiteout left behind");
	if (renameat2(AT_FDCWD, "ok/plain0", AT_FDCWD, "no/x", RENAME_WHITEOUT) == 0)
		return escaped("moved in, with a whiteout left behind");
	if (is_control() && rename("no/plain0", "ok/x") == 0)
		return escaped("moved (this file system has no whiteouts for us)");
	return held("refused");
}

/* A file that may not be written must not be replaced either. */
static enum outcome replace_a_read_only_file(void)
{
	if (unlink("ro/file") == 0)
		return escaped("removed");
	if (rename("ro/file", "ro/other") == 0 || rename("ro/file", "ok/other") == 0)
		return escaped("moved away");
	if (rename("ro", "ro2") == 0)
		return escaped("moved its directory");
	close(open("ro/file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	if (truncate("ro/file", 1) == 0 || !content_is("ro/file", "fixed\n"))
		return escaped("changed");
	return held("refused");
}

static enum outcome list_the_denied(void)
{
	char buf[4096];
	int fd = open("no", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		return escaped("listed");
	fd = open("no", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		return escaped("listed by openat");
	return held("refused");
}

const struct attack attacks[] = {
	{"link_to_secret", link_to_secret},
	{"link_chain_to_secret", link_chain_to_secret},
	{"spellings_of_secret", spellings_of_secret},
	{"open_below_a_descriptor_of_the_denied", open_below_a_descriptor_of_the_denied},
	{"hard_link_out", hard_link_out},
	{"hard_link_to_write", hard_link_to_write},
	{"hard_link_in", hard_link_in},
	{"empty_path_link", empty_path_link},
	{"rename_out", rename_out},
	{"rename_in", rename_in},
	{"exchange", exchange},
	{"rename_of_an_ancestor", rename_of_an_ancestor},
	{"recreate_denied_directory", recreate_denied_directory},
	{"create_at_a_denied_name", create_at_a_denied_name},
	{"create_through_a_link", create_through_a_link},
	{"whiteout", whiteout},
	{"replace_a_read_only_file", replace_a_read_only_file},
	{"list_the_denied", list_the_denied},
	{NULL, NULL},
};
