/* SPDX-License-Identifier: Apache-2.0
 * policy_load(): options become a finished policy, with this machine behind struct policy_host.
 *
 * Runs before any target exists, on the leader thread. Whatever is in use as policy, record or
 * statistics, and ~/.config/sluice, becomes an implicit `never w`: the target can't rewrite the
 * policy of the next run, nor the record of this one.
 *
 * Where the built-in profiles are: in the source tree when this program runs from its build tree;
 * else where `cmake --install` put them beside this program (../share/sluice/profiles), else where
 * it was configured to put them. No environment variable moves them.
 */
#include "core/cleanup.h"
#include "core/control/rundir.h"
#include "core/resolve_literal.h"
#include "core/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLICY_FILE_MAX = 4 << 20, PROFILES_MAX = 256, FILES_KEPT = 256 };
#define PROFILE_SUFFIX ".policy"

struct host {
	const char *tmpdir;
	char *home, *pwd, *uid, *gitdir;
	char *profile_dir; /* built-in */
	char *user_home;   /* the last answer to home_of */
	char *names[PROFILES_MAX + 1];
	size_t n_names;
	bool names_read;
};

/* What was read, for records: kept, since a file can change and a pipe is gone; hashed when somebody asks. */
static struct {
	char *path, *data;
	size_t len;
	char hex[2 * crypto_hash_sha256_BYTES + 1]; /* "": not yet */
} read_files[FILES_KEPT];
static size_t n_read_files;

/* PATH against the working directory. Malloc'ed, or NULL. */
static char *absolute_path(const struct host *h, const char *path)
{
	char *absolute;

	if (path[0] == '/')
		return strdup(path);
	return h->pwd && asprintf(&absolute, "%s/%s", h->pwd, path) >= 0 ? absolute : NULL;
}

static void keep(const struct host *h, const char *path, const char *data, size_t len)
{
	_cleanup_free_ char *absolute = absolute_path(h, path), *copy = malloc(len + 1);
	char *name, *link;

	/* By its canonical name, as policy_files() has it. */
	if (!absolute || !copy || n_read_files == FILES_KEPT || resolve_literal(absolute, &name, &link, NULL) < 0)
		return;
	free(link);
	memcpy(copy, data, len);
	read_files[n_read_files].data = copy;
	copy = NULL;
	read_files[n_read_files].len = len;
	read_files[n_read_files].hex[0] = '\0';
	read_files[n_read_files++].path = name;
}

const char *policy_file_hash(const char *path)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	for (size_t i = n_read_files; i--;) {
		if (strcmp(read_files[i].path, path) != 0)
			continue;
		if (!read_files[i].hex[0]) {
			crypto_hash_sha256(hash, (const unsigned char *)read_files[i].data, read_files[i].len);
			sodium_bin2hex(read_files[i].hex, sizeof(read_files[i].hex), hash, sizeof(hash));
		}
		return read_files[i].hex;
	}
	return NULL;
}

static int host_read_file(void *ctx, const char *path, char **ret_data, size_t *ret_len)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *data = NULL;
	size_t size = 0, len = 0;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	for (;;) {
		ssize_t n;

		if (size - len < 4096) {
			char *grown = realloc(data, size + 65536);

			if (!grown)
				return -ENOMEM;
			data = grown;
			size += 65536;
		}
		n = read(fd, data + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > POLICY_FILE_MAX)
			return -EFBIG;
	}
	keep(ctx, path, data, len);
	*ret_data = data;
	*ret_len = len;
	data = NULL;
	return 0;
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int host_find_profile(void *ctx, const char *name, char **ret_path, bool *ret_builtin)
{
	struct host *h = ctx;
	_cleanup_free_ char *builtin = NULL, *users = NULL;
	bool has_users;

	if (asprintf(&builtin, "%s/%s" PROFILE_SUFFIX, h->profile_dir, name) < 0) {
		builtin = NULL;
		return -ENOMEM;
	}
	if (asprintf(&users, "%s/.config/sluice/%s" PROFILE_SUFFIX, h->home ? h->home : "", name) < 0) {
		users = NULL;
		return -ENOMEM;
	}
	has_users = h->home && is_file(users);
	if (is_file(builtin)) {
		if (has_users)
			return -EEXIST;
		*ret_path = builtin;
		*ret_builtin = true;
		builtin = NULL;
		return 0;
	}
	if (!has_users)
		return -ENOENT;
	*ret_path = users;
	*ret_builtin = false;
	users = NULL;
	return 0;
}

static const char *host_get_variable(void *ctx, const char *name)
{
	const struct host *h = ctx;

	if (strcmp(name, "HOME") == 0)
		return h->home;
	if (strcmp(name, "PWD") == 0)
		return h->pwd;
	if (strcmp(name, "UID") == 0)
		return h->uid;
	if (strcmp(name, "TMPDIR") == 0)
		return h->tmpdir;
	if (strcmp(name, "GITDIR") == 0)
		return h->gitdir;
	return getenv(name);
}

static const char *host_home_of(void *ctx, const char *user)
{
	struct host *h = ctx;
	const struct passwd *pw;

	if (!user || !*user)
		return h->home;
	pw = getpwnam(user);
	if (!pw || !pw->pw_dir || pw->pw_dir[0] != '/')
		return NULL;
	free(h->user_home);
	h->user_home = strdup(pw->pw_dir);
	return h->user_home;
}

static int host_resolve(void *ctx, const char *path, char **ret_path, char **ret_link, char **ret_links)
{
	(void)ctx;
	return resolve_literal(path, ret_path, ret_link, ret_links);
}

static void read_names(struct host *h, const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)) && h->n_names < PROFILES_MAX) {
		size_t len = strlen(e->d_name), suffix = strlen(PROFILE_SUFFIX);

		if (len <= suffix || strcmp(e->d_name + len - suffix, PROFILE_SUFFIX) != 0)
			continue;
		h->names[h->n_names] = strndup(e->d_name, len - suffix);
		if (h->names[h->n_names])
			h->n_names++;
	}
	if (d)
		closedir(d);
}

static const char *const *host_profile_names(void *ctx)
{
	struct host *h = ctx;
	_cleanup_free_ char *users = NULL;

	if (!h->names_read) {
		h->names_read = true;
		read_names(h, h->profile_dir);
		if (h->home && asprintf(&users, "%s/.config/sluice", h->home) >= 0)
			read_names(h, users);
	}
	return (const char *const *)h->names;
}

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

static char *find_profile_dir(void)
{
	char exe[PATH_MAX], beside[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n > 0) {
		exe[n] = '\0';
		if (is_below(exe, SLUICE_BUILD_DIR))
			return strdup(SLUICE_SOURCE_PROFILE_DIR);
		slash = strrchr(exe, '/');
		if (slash) {
			struct stat st;

			*slash = '\0';
			snprintf(beside, sizeof(beside), "%s/../share/sluice/profiles", exe);
			if (stat(beside, &st) == 0 && S_ISDIR(st.st_mode))
				return realpath(beside, NULL);
		}
	}
	return strdup(SLUICE_PROFILE_DIR);
}

static void host_done(struct host *h)
{
	free(h->home);
	free(h->pwd);
	free(h->uid);
	free(h->gitdir);
	free(h->profile_dir);
	free(h->user_home);
	for (size_t i = 0; i < h->n_names; i++)
		free(h->names[i]);
}

static int host_init(struct host *h, const char *tmpdir)
{
	*h = (struct host){
		/* Without a run (explain) no directory is made; rules that name it speak of a name that
		 * no run has. */
		.tmpdir = tmpdir ? tmpdir : "/tmp/sluice-private",
		.home = home_directory(),
		.pwd = getcwd(NULL, 0),
		.profile_dir = find_profile_dir(),
	};
	if (h->pwd && h->pwd[0] != '/') { /* "(unreachable)": outside of our root */
		free(h->pwd);
		h->pwd = NULL;
	}
	if (asprintf(&h->uid, "%u", (unsigned)getuid()) < 0)
		h->uid = NULL;
	if (!h->uid || !h->profile_dir) {
		host_done(h);
		return -ENOMEM;
	}
	if (h->pwd)
		h->gitdir = find_gitdir(h->pwd);
	return 0;
}

static int fail(struct policy_error *e, int err, const char *what)
{
	snprintf(e->text, sizeof(e->text), "%s: %s", what, strerror(-err));
	return err;
}

/* A word without a slash is a profile; someone who named a file here learns how to write that. */
static int add_policy(struct policy *p, const char *word, struct policy_error *ret_error)
{
	int r = policy_add_policy(p, word, ret_error);
	char shown[256];

	if (r < 0 && !strchr(word, '/') && is_file(word)) {
		escape_bytes(shown, sizeof(shown), word, strlen(word));
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "-p %s: there is no profile of this name: for the file, write -p ./%s", shown, shown);
	}
	return r;
}

static int protect_file(struct policy *p, const struct host *h, const char *path,
			struct policy_error *ret_error)
{
	_cleanup_free_ char *absolute = absolute_path(h, path);

	if (!absolute)
		return fail(ret_error, h->pwd ? -ENOMEM : -ENOENT, path);
	return policy_add_protected(p, absolute, ret_error);
}

static int protect_files(struct policy *p, const struct host *h, const char *const *files,
			 struct policy_error *ret_error)
{
	int r = 0;

	for (; files && *files && r >= 0; files++)
		r = protect_file(p, h, *files, ret_error);
	return r;
}

/* Policies of later runs that only look as if they lay in DIR, as who keeps them in a repository has them. */
static int protect_linked(struct policy *p, const char *dir, struct policy_error *ret_error)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	while (d && r >= 0 && (e = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
			continue;
		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0) {
			path = NULL;
			r = fail(ret_error, -ENOMEM, dir);
		} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			r = policy_add_protected(p, path, ret_error);
		}
	}
	if (d)
		closedir(d);
	return r;
}

static int add_own_file(struct policy *p, const char *path, struct policy_error *ret_error)
{
	char word[2 * PATH_MAX], line[2 * PATH_MAX + 16];
	int n;

	if (policy_format_word(word, sizeof(word), path, strlen(path), NULL) >= sizeof(word))
		return fail(ret_error, -ENAMETOOLONG, path);
	n = snprintf(line, sizeof(line), "allow read %s\n", word);
	return policy_add_text(p, "sluice", RANK_BUILTIN, line, (size_t)n, ret_error);
}

static int load(struct policy *p, const struct host *h, const struct policy_options *o,
		const char *const *protect, struct policy_error *ret_error)
{
	_cleanup_free_ char *own = NULL;
	int r = 0;

	for (unsigned i = 0; i < o->n_policies && r >= 0; i++)
		r = add_policy(p, o->policies[i], ret_error);
	if (o->n_policies == 0)
		r = policy_add_policy(p, "build", ret_error);
	for (unsigned i = 0; i < o->n_rules && r >= 0; i++)
		r = policy_add_option(p, o->rules[i].action, o->rules[i].argument, ret_error);
	if (r >= 0 && o->report)
		r = policy_set_report(p, o->report, ret_error);
	if (r >= 0 && o->own_file)
		r = add_own_file(p, o->own_file, ret_error);
	if (r >= 0)
		r = protect_files(p, h, policy_files(p), ret_error);
	if (r >= 0)
		r = protect_files(p, h, protect, ret_error);
	if (r >= 0 && h->home) {
		if (asprintf(&own, "%s/.config/sluice", h->home) < 0) {
			own = NULL;
			return fail(ret_error, -ENOMEM, "~/.config/sluice");
		}
		r = policy_add_protected(p, own, ret_error);
		if (r >= 0)
			r = protect_linked(p, own, ret_error);
	}
	for (const char *const *dir = rundir_all(); *dir && r >= 0; dir++)
		r = policy_add_protected(p, *dir, ret_error);
	if (r >= 0)
		r = policy_finish(p, ret_error);
	return r;
}

/* The policy keeps the host; both last as long as the process. */
static struct host the_host;
static const struct policy_host callbacks = {
	.ctx = &the_host,
	.read_file = host_read_file,
	.find_profile = host_find_profile,
	.get_variable = host_get_variable,
	.home_of = host_home_of,
	.resolve = host_resolve,
	.profile_names = host_profile_names,
};

static struct policy *begin(const char *tmpdir, struct policy_error *ret_error)
{
	struct policy *p = NULL;
	int r;

	resolve_literal_forget();
	if (the_host.profile_dir)
		host_done(&the_host);
	r = host_init(&the_host, tmpdir);
	if (r == 0)
		p = policy_new(&callbacks);
	if (!p)
		fail(ret_error, r < 0 ? r : -ENOMEM, "policy");
	return p;
}

int policy_load(const struct policy_options *options, const char *tmpdir, const char *const *protect,
		struct policy **ret, struct policy_error *ret_error)
{
	struct policy *p = begin(tmpdir, ret_error);
	int r;

	if (!p)
		return -ENOMEM;
	r = load(p, &the_host, options, protect, ret_error);
	if (r < 0) {
		policy_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int policy_load_text(const char *shown_name, const char *text, size_t len, struct policy **ret,
		     struct policy_error *ret_error)
{
	struct policy *p = begin(NULL, ret_error);
	int r;

	if (!p)
		return -ENOMEM;
	r = policy_add_text(p, shown_name, RANK_USER, text, len, ret_error);
	if (r >= 0)
		r = policy_finish(p, ret_error);
	if (r < 0) {
		policy_free(p);
		return r;
	}
	*ret = p;
	return 0;
}
