/* SPDX-License-Identifier: Apache-2.0
 * What paths were found to mean, kept while everything is recorded. A line of a record holds the canonical name, which
 * the path cache does not keep.
 *
 * An entry says: this path, from this directory, leads to this object by this name; or to nothing, and this is the name
 * that was looked for in vain. A path's name changes with the links and directories on its way alone: entries are keyed
 * and stamped as those of the path cache are, and die with whatever may make a path lead elsewhere, or after eight
 * seconds, for what happens outside of the tree. And whoever finds one looks at the path once more, by one system call:
 * the same object must be there, unchanged where its permissions count, or still nothing.
 *
 * Hints, never grants: what was found here is good for a line and a CONTINUE that Landlock bounds. There is no
 * descriptor to act on.
 */
#pragma once
#include "core/resolve/cache.h"
#include "core/resolve/resolve.h"

struct memo;

/* Who looks at what. PATH starts from DIRFD of TID if it is relative, which is the directory BASE. */
struct memo_question {
	struct cache *cache; /* whose generation and key it goes by */
	const struct cache_base *base;
	pid_t tid;
	int dirfd;
	const char *path;
	size_t len;
	enum op op;
	bool follow;
};

/* NULL: no memory. New and free outside of the run, the rest from any thread. */
struct memo *memo_new(void);
void memo_free(struct memo *m);

/* 0: *RET is the object as it is now, without a descriptor (`seen`, `recalled`); -ENOENT: it is missing, and *RET has
 * its name; 1: not known. *RET_KEY is for memo_learn(). What was looked at by TID counts if the notification still
 * stands. */
int memo_recall(struct memo *m, const struct memo_question *question, struct resolved *ret, struct cache_key *ret_key);
/* AT is what the question's path led to, with its `access` if that was asked. */
void memo_learn(struct memo *m, struct cache *cache, const struct cache_key *key, const struct resolved *at);
/* It led to nothing; NAME is what that would be called. */
void memo_learn_missing(struct memo *m, struct cache *cache, const struct cache_key *key, const char *name, size_t len);
/* Was it changed so long ago that a change to come will show in its time? */
bool memo_would_show(const struct stat *st);
