/* SPDX-License-Identifier: Apache-2.0
 * The path cache: "for this operation on this path from this directory, CONTINUE is right", learned from a full
 * decision. A hit costs a hash, no system call and no allocation.
 *
 * Beside paths there are directories: "whatever is read or listed by a name right in it, CONTINUE is right, unless the
 * name is a link". So a file that was never opened costs no walk either.
 *
 * It holds hints, never grants: CONTINUE is bounded by the target's Landlock domain, so a stale entry can
 * only cost a call the emulation that it would have got. A file that is granted by its inode is not learned:
 * an editor outside that saves by a rename would make the entry stale. Entries die with the generation (bumped by
 * whatever may make a path lead elsewhere), and after eight seconds at most, for what happens outside of
 * the tree. Right after a bump nothing is learned: the change itself is still to come when its
 * call was continued.
 *
 * Each path has two slots; what a new entry finds in its first one moves to that one's other. Lock-free: an
 * entry is two words, each a function of key and stamp; a torn pair matches no key. The
 * 128-bit hash is keyed per run, so that a target can't make another's path hit.
 */
#pragma once
#include "policy/rule.h"

#include <stdatomic.h>
#include <stdint.h>

#define CACHE_SLOTS 16384u

struct cache {
	/* immutable after init */
	unsigned char key[16];
	/* atomic */
	struct {
		atomic_uint_fast64_t a, b;
	} slots[CACHE_SLOTS];
	atomic_uint_fast64_t generation;
	atomic_uint_fast64_t settled_ns; /* coarse clock: nothing is learned before this */
	atomic_uint_fast64_t hits, misses;
};

/* What a look-up found out, for the cache_learn that may follow it. */
struct cache_key {
	uint64_t a, b;
	uint64_t stamp;
};

/* NULL: no memory. Thread rules: new and free outside of the run, the rest from any thread. */
struct cache *cache_new(void);
void cache_free(struct cache *c);

/* The directory that a relative path starts from, zeros for an absolute one. BORN_NS, where the file system knows it:
 * the number of a directory that is removed may be given to a new one elsewhere. */
struct cache_base {
	uint64_t dev, ino, born_ns;
};

/* In the place of an operation: the path is the way to a directory, with its last slash, or nothing. */
#define CACHE_DIRECTORY OP_COUNT

/* The key alone; false: the path is too long for one. */
bool cache_key(struct cache *c, enum op op, const struct cache_base *base, const char *path, size_t len,
	       struct cache_key *ret);
/* May what was looked up under KEY be learned, or is a change still under way? That takes LONGER_NS more than a wrong
 * hint would be worth. */
bool cache_is_settled(struct cache *c, const struct cache_key *key, uint64_t longer_ns);
/* A hit? *ret_key is for cache_learn. Directories are not counted. */
bool cache_lookup(struct cache *c, enum op op, const struct cache_base *base, const char *path, size_t len,
		  struct cache_key *ret_key);
/* Somebody else's entry, under a key of this cache, answered or did not. */
void cache_count(struct cache *c, bool hit);
/* A directory's entry answered: a hit, in the place of the miss of its path if that was LOOKED_UP. */
void cache_count_directory(struct cache *c, bool looked_up);
void cache_learn(struct cache *c, const struct cache_key *key);
/* Paths may lead elsewhere from now on. PENDING: the change is still to come (its call will be continued),
 * so nothing is learned for a moment. */
void cache_invalidate(struct cache *c, bool pending);
