/* SPDX-License-Identifier: Apache-2.0
 * Sets of a few places, each entry in one that its key names. Under one lock, held for a comparison and a copy.
 */
#include "core/resolve/memo.h"

#include "core/sys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { SETS = 4096, WAYS = 4, NOFOLLOW = 0x80, SETTLED_S = 1, NAME_MOST = 512 };
/* A change that was let go may wait for a processor; a name that is wrong then would be recorded. */
#define LONGER_NS 45000000u

struct entry {
	uint64_t a, b;
	bool missing;
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	int access;
	size_t name_len, dir_len;
	char name[];
};

struct memo {
	/* under lock */
	pthread_mutex_t lock;
	struct entry *sets[SETS][WAYS];
	unsigned next; /* the place that is given up when a set is full */
};

struct memo *memo_new(void)
{
	struct memo *m = calloc(1, sizeof(*m));

	if (m)
		pthread_mutex_init(&m->lock, NULL);
	return m;
}

void memo_free(struct memo *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < SETS * WAYS; i++)
		free(m->sets[i / WAYS][i % WAYS]);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct entry **set_of(struct memo *m, const struct cache_key *key)
{
	return m->sets[(key->a >> 8) % SETS];
}

/* Of any stamp, under the lock; NULL: there is none. */
static struct entry **place_of(struct memo *m, const struct cache_key *key)
{
	struct entry **set = set_of(m, key);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i] && set[i]->a == key->a)
			return &set[i];
	return NULL;
}

/* Where it is to be put, under the lock. */
static struct entry **place_for(struct memo *m, const struct cache_key *key)
{
	struct entry **set = set_of(m, key), **at = place_of(m, key);

	for (unsigned i = 0; !at && i < WAYS; i++)
		if (!set[i])
			at = &set[i];
	return at ? at : &set[m->next++ % WAYS];
}

/* Copies the entry of KEY: its name into RET, the rest into *RET_ENTRY. */
static bool find(struct memo *m, const struct cache_key *key, struct entry *ret_entry, struct resolved *ret)
{
	struct entry **at;
	bool found;

	pthread_mutex_lock(&m->lock);
	at = place_of(m, key);
	found = at && (*at)->b == (key->b ^ key->stamp);
	if (found) {
		*ret_entry = **at;
		memcpy(ret->name, (*at)->name, (*at)->name_len + 1);
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

/* What the rest of a request looks at. */
static void fill_stat(const struct statx *x, struct stat *ret)
{
	*ret = (struct stat){
		.st_dev = makedev(x->stx_dev_major, x->stx_dev_minor), .st_ino = x->stx_ino, .st_mode = x->stx_mode,
		.st_nlink = x->stx_nlink, .st_uid = x->stx_uid, .st_gid = x->stx_gid,
		.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor), .st_size = (off_t)x->stx_size,
		.st_ctim = {.tv_sec = x->stx_ctime.tv_sec, .tv_nsec = x->stx_ctime.tv_nsec},
	};
}

static bool is_same(const struct entry *e, const struct stat *now)
{
	if (e->dev != now->st_dev || e->ino != now->st_ino)
		return false;
	/* A look needs no permission on the object itself. */
	return e->access < 0 ||
	       (e->changed.tv_sec == now->st_ctim.tv_sec && e->changed.tv_nsec == now->st_ctim.tv_nsec);
}

int memo_recall(struct memo *m, const struct memo_question *question, struct resolved *ret, struct cache_key *ret_key)
{
	int kind = (int)question->op | (question->follow ? 0 : NOFOLLOW), r;
	struct statx x;
	struct entry e;

	if (!cache_key(question->cache, (enum op)kind, question->base, question->path, question->len, ret_key))
		return 1;
	resolved_init(ret);
	if (!find(m, ret_key, &e, ret)) {
		cache_count(question->cache, false);
		return 1;
	}
	r = task_statx(question->tid, question->dirfd, question->path,
		       AT_NO_AUTOMOUNT | (question->follow ? 0 : AT_SYMLINK_NOFOLLOW), STATX_BASIC_STATS, &x);
	if (r == 0)
		fill_stat(&x, &ret->st);
	if (e.missing ? r != -ENOENT : r < 0 || !is_same(&e, &ret->st)) {
		resolved_init(ret);
		cache_count(question->cache, false);
		return 1;
	}
	cache_count(question->cache, true);
	ret->name_len = e.name_len;
	ret->dir_len = e.dir_len;
	ret->recalled = true;
	ret->seen = !e.missing;
	ret->access = e.access;
	ret->plain_dev = ret->st.st_dev; /* nothing on procfs is learned */
	return r;
}

static void put(struct memo *m, const struct cache_key *key, struct entry *e)
{
	struct entry *old, **at;

	e->a = key->a;
	e->b = key->b ^ key->stamp;
	pthread_mutex_lock(&m->lock);
	at = place_for(m, key);
	old = *at;
	*at = e;
	pthread_mutex_unlock(&m->lock);
	free(old);
}

static struct entry *entry_of(const char *name, size_t len)
{
	struct entry *e = len <= NAME_MOST ? malloc(sizeof(*e) + len + 1) : NULL; /* so it takes 10 MB at most */

	if (!e)
		return NULL;
	*e = (struct entry){.name_len = len};
	memcpy(e->name, name, len);
	e->name[len] = '\0';
	return e;
}

/* Names that mean the same for everybody, for as long as links and directories stay. */
static bool is_lasting(const struct resolved *at)
{
	return at->obj >= 0 && at->name_len && !at->unnamed && !at->deleted && !at->magic && !at->theirs &&
	       !resolve_on_procfs(at->obj, &at->st);
}

bool memo_would_show(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now.tv_sec > st->st_ctim.tv_sec + SETTLED_S;
}

void memo_learn(struct memo *m, struct cache *cache, const struct cache_key *key, const struct resolved *at)
{
	struct entry *e;

	if (!cache_is_settled(cache, key, LONGER_NS) || !is_lasting(at) || (at->access >= 0 && !memo_would_show(&at->st)))
		return;
	e = entry_of(at->name, at->name_len);
	if (!e)
		return;
	e->dev = at->st.st_dev;
	e->ino = at->st.st_ino;
	e->changed = at->st.st_ctim;
	e->access = at->access;
	e->dir_len = at->dir_len;
	put(m, key, e);
}

void memo_learn_missing(struct memo *m, struct cache *cache, const struct cache_key *key, const char *name, size_t len)
{
	struct entry *e = cache_is_settled(cache, key, LONGER_NS) ? entry_of(name, len) : NULL;

	if (!e)
		return;
	e->missing = true;
	put(m, key, e);
}
