/* SPDX-License-Identifier: Apache-2.0
 * The planner's eyes: the file tree of this process, and the names that its mounts give.
 *
 * A mount shows a part of a file system: (device, root within it) at a place in the tree. The object
 * at a path is (device, path within the file system); every other mount of that device whose root lies
 * above the object shows it too, and one whose root lies beneath shows a part of it. A name counts only
 * if no later mount lies over it.
 */
#include "core/cleanup.h"
#include "core/look.h"
#include "core/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

struct mount {
	char *device; /* "major:minor" */
	char *root, *at;
	size_t at_len; /* 0: "/" */
};

struct tree {
	struct mount *mounts;
	size_t n;
	bool read;   /* mountinfo was read */
	bool shared; /* some device is mounted twice */
	bool type_known;
	dev_t type_of; /* the file system asked about last, and its type */
	unsigned long type;
};

static int host_lookup(void *ctx, const char *path, struct node_info *ret)
{
	struct stat st;
	int r = look_at(path, &st);

	(void)ctx;
	*ret = (struct node_info){.kind = NODE_MISSING};
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	*ret = (struct node_info){.dev = st.st_dev, .ino = st.st_ino, .nlink = st.st_nlink};
	if (S_ISREG(st.st_mode))
		ret->kind = NODE_FILE;
	else if (S_ISDIR(st.st_mode))
		ret->kind = NODE_DIR;
	else if (S_ISLNK(st.st_mode))
		ret->kind = NODE_SYMLINK;
	else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		ret->kind = NODE_DEVICE;
	else
		ret->kind = NODE_OTHER;
	return 0;
}

static void names_free(char **names)
{
	for (char **n = names; n && *n; n++)
		free(*n);
	free(names);
}

static int read_names(DIR *dir, size_t max, char ***ret)
{
	size_t n = 0, cap = 0;
	char **names = NULL;
	struct dirent *e;
	int r = 0;

	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == max) {
			r = -E2BIG;
			break;
		}
		if (n + 1 >= cap) {
			char **more = realloc(names, (cap = cap ? 2 * cap : 32) * sizeof(*names));

			if (!more) {
				r = -ENOMEM;
				break;
			}
			names = more;
		}
		names[n] = strdup(e->d_name);
		names[n + 1] = NULL;
		if (!names[n++]) {
			r = -ENOMEM;
			break;
		}
	}
	if (r < 0) {
		names_free(names);
		return r;
	}
	*ret = names;
	return 0;
}

static int host_list(void *ctx, const char *path, size_t max, char ***ret_names)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir;
	int r;

	(void)ctx;
	*ret_names = NULL;
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)take_fd(&fd);
	r = read_names(dir, max, ret_names);
	closedir(dir);
	return r;
}

static bool host_is_script(void *ctx, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char magic[2];

	(void)ctx;
	return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, "#!", 2) == 0;
}

/* Do directories of a file system of this TYPE fold? UNKNOWN, too, where that depends on the mount. */
static enum folding type_folding(unsigned long type)
{
	switch (type) {
	/* By the flag of a directory alone */
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
		return FOLDING_NO;
	case MSDOS_SUPER_MAGIC: /* vfat */
	case EXFAT_SUPER_MAGIC:
		return FOLDING_YES;
	default:
		return FOLDING_UNKNOWN;
	}
}

static enum folding host_folding(void *ctx, const char *dir, dev_t dev)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct tree *t = ctx;
	struct statfs fs;
	int flags = 0;

	if (fd < 0)
		return FOLDING_UNKNOWN;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_CASEFOLD_FL)
		return FOLDING_YES;
	if (!t->type_known || t->type_of != dev) {
		if (fstatfs(fd, &fs) < 0)
			return FOLDING_UNKNOWN;
		t->type_known = true;
		t->type_of = dev;
		t->type = (unsigned long)fs.f_type;
	}
	return type_folding(t->type);
}

/* mountinfo writes blank, tab, newline and backslash in octal. */
static char *unescape(const char *s)
{
	char *out = malloc(strlen(s) + 1), *o = out;

	for (; out && *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*o++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*o++ = *s;
		}
	}
	if (out)
		*o = '\0';
	return out;
}

static int mount_add(struct tree *t, const char *device, const char *root, const char *at)
{
	struct mount *more = realloc(t->mounts, (t->n + 1) * sizeof(*more)), *m;

	if (!more)
		return -ENOMEM;
	t->mounts = more;
	m = &more[t->n];
	*m = (struct mount){.device = strdup(device), .root = unescape(root), .at = unescape(at)};
	t->n++;
	if (!m->device || !m->root || !m->at)
		return -ENOMEM;
	m->at_len = strcmp(m->at, "/") == 0 ? 0 : strlen(m->at);
	for (size_t i = 0; i + 1 < t->n; i++)
		t->shared |= strcmp(more[i].device, device) == 0;
	return 0;
}

static int read_mounts(struct tree *t)
{
	FILE *f;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (t->read)
		return 0;
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return -errno;
	while (r == 0 && getline(&line, &size, f) > 0) {
		/* id parent major:minor root mountpoint ... */
		char *save = NULL, *word[5] = {0};

		for (int i = 0; i < 5; i++)
			word[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (word[4])
			r = mount_add(t, word[2], word[3], word[4]);
	}
	fclose(f);
	t->read = r == 0;
	return r;
}

/* What of PATH lies beneath DIR: "" if equal, "/..." if beneath, NULL if neither. */
static const char *rest_of(const char *dir, const char *path)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	if (strcmp(path, "/") == 0)
		return len ? NULL : "";
	return strncmp(dir, path, len) == 0 && (path[len] == '\0' || path[len] == '/') ? path + len : NULL;
}

/* The mount that PATH lies on: the deepest, of several at one place the last. */
static const struct mount *mount_of(const struct tree *t, const char *path)
{
	const struct mount *found = NULL;
	size_t len = strcmp(path, "/") == 0 ? 0 : strlen(path);

	for (size_t i = 0; i < t->n; i++) {
		const struct mount *m = &t->mounts[i];

		if (m->at_len <= len && (!found || m->at_len >= found->at_len) &&
		    memcmp(m->at, path, m->at_len) == 0 && (m->at_len == len || path[m->at_len] == '/'))
			found = m;
	}
	return found;
}

static char *join(const char *dir, const char *rest)
{
	size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
	char *path = malloc(len + strlen(rest) + 2);

	if (path) {
		memcpy(path, dir, len);
		strcpy(path + len, rest);
		if (!path[0])
			strcpy(path, "/");
	}
	return path;
}

struct pairs {
	struct plan_alias *items;
	size_t n;
};

/* Takes both strings. */
static int pair_add(const struct tree *t, struct pairs *p, const struct mount *m, char *path, char *original)
{
	struct plan_alias *more;

	if (path && original && (strcmp(path, original) == 0 || mount_of(t, path) != m)) {
		free(path);
		free(original);
		return 0;
	}
	more = path && original ? realloc(p->items, (p->n + 1) * sizeof(*more)) : NULL;
	if (!more) {
		free(path);
		free(original);
		return -ENOMEM;
	}
	p->items = more;
	more[p->n++] = (struct plan_alias){.path = path, .original = original};
	return 0;
}

/* The other names of PATH, which lies on the mount ON, and of what ON shows beneath it. */
static int aliases_on(const struct tree *t, const struct mount *on, const char *path, struct pairs *ret)
{
	_cleanup_free_ char *inside = join(on->root, rest_of(on->at, path));
	int r = inside ? 0 : -ENOMEM;

	for (size_t i = 0; i < t->n && r == 0; i++) {
		const struct mount *m = &t->mounts[i];
		const char *rest;

		if (strcmp(m->device, on->device) != 0)
			continue;
		rest = rest_of(m->root, inside);
		if (rest) { /* M shows all of it */
			r = pair_add(t, ret, m, join(m->at, rest), strdup(path));
			continue;
		}
		rest = rest_of(inside, m->root);
		if (rest) /* M shows a part */
			r = pair_add(t, ret, m, strdup(m->at), join(path, rest));
	}
	return r;
}

static int host_aliases(void *ctx, const char *path, struct plan_alias **ret, size_t *ret_n)
{
	struct tree *t = ctx;
	struct pairs pairs = {0};
	const struct mount *on;
	int r = read_mounts(t);

	*ret = NULL;
	*ret_n = 0;
	if (r == -ENOENT || r == -EACCES) /* no /proc: nothing to ask */
		return 0;
	if (r < 0 || !t->shared)
		return r;
	on = mount_of(t, path);
	if (on)
		r = aliases_on(t, on, path, &pairs);
	/* What is mounted beneath may be mounted elsewhere too. */
	for (size_t i = 0; i < t->n && r == 0; i++) {
		const char *rest = t->mounts[i].at_len > 1 ? rest_of(path, t->mounts[i].at) : NULL;

		if (rest && *rest && mount_of(t, t->mounts[i].at) == &t->mounts[i])
			r = aliases_on(t, &t->mounts[i], t->mounts[i].at, &pairs);
	}
	*ret = pairs.items;
	*ret_n = pairs.n;
	return r;
}

#define MOST_PINNED 1024u

void plan_pin(const struct named_object *named)
{
	static unsigned n;
	int fd = n < MOST_PINNED ? open(named->path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || st.st_dev != named->dev || st.st_ino != named->ino)
		close(fd);
	else
		n++;
}

int policy_plan(const struct policy *policy, const struct plan_caps *caps, struct plan **ret,
		struct policy_error *ret_error)
{
	struct tree tree = {0};
	const struct plan_host host = {.ctx = &tree,
				       .lookup = host_lookup,
				       .list = host_list,
				       .aliases = host_aliases,
				       .is_script = host_is_script,
				       .folding = host_folding};
	int r = plan_build(policy, &host, caps, ret, ret_error);

	for (size_t i = 0; i < tree.n; i++) {
		free(tree.mounts[i].device);
		free(tree.mounts[i].root);
		free(tree.mounts[i].at);
	}
	free(tree.mounts);
	return r;
}
