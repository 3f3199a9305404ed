/* SPDX-License-Identifier: Apache-2.0
 * A rename goes by names, and between the look at a file and its move a directory may take the file's place. Only the
 * kernel can tell them apart while it holds both parents locked: Landlock does. So the move is made by a thread
 * of its own, in a domain where directories and links can't be moved. A domain can't be left, so the thread ends with
 * the call.
 *
 * Without Landlock, or before it knew of moves (5.19), what was moved is looked at, and has to leave again if it is no
 * file: back, or, if somebody has taken the old name by then, to a new name beside it.
 */
#include "core/reply/move_file.h"

#include "core/cleanup.h"
#include "core/launch/landlock.h"
#include "core/sys.h"

#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define TRIES 100

struct move {
	const struct resolved *from, *to;
	unsigned flags;
	int ruleset;
	long result;
};

static long move_now(const struct move *m)
{
	return CALL(syscall(SYS_renameat2, m->from->parent, m->from->last, m->to->parent, m->to->last, m->flags));
}

static void *move_confined(void *arg)
{
	struct move *m = arg;

	if (landlock_enter(m->ruleset) == 0)
		m->result = move_now(m);
	return NULL;
}

/* Is there something with that name that is no file? */
static bool is_wrong(const struct resolved *at)
{
	struct stat st;

	return fstatat(at->parent, at->last, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
}

/* False: the kernel can't do it so, and nothing was done. */
static bool move_in_domain(struct move *m)
{
	const uint64_t denied = LL_MAKE_DIR | LL_MAKE_SYM;
	_cleanup_close_ int root = -EBADF, ruleset = -EBADF;
	pthread_t thread;

	if (landlock_abi() < 2)
		return false;
	m->result = -EXDEV; /* for want of a descriptor, a thread, a layer: who moves then copies */
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ruleset = root < 0 ? root : landlock_beneath(root, LL_REFER | denied, LL_REFER);
	m->ruleset = ruleset;
	/* It inherits this thread's credentials, filter and domain. */
	if (ruleset < 0 || pthread_create(&thread, NULL, move_confined, m))
		return true;
	pthread_join(thread, NULL);
	if (m->result == -EACCES && (is_wrong(m->from) || ((m->flags & RENAME_EXCHANGE) && is_wrong(m->to))))
		m->result = -EXDEV;
	return true;
}

static bool leave(const struct move *m, int parent, const char *name, unsigned flags)
{
	return CALL(syscall(SYS_renameat2, m->to->parent, m->to->last, parent, name, flags)) == 0 || !is_wrong(m->to);
}

static void take_back(const struct move *m)
{
	char name[32];
	uint64_t number;

	if (leave(m, m->from->parent, m->from->last, m->flags & RENAME_EXCHANGE ? RENAME_EXCHANGE : RENAME_NOREPLACE))
		return;
	for (unsigned i = 0; i < TRIES; i++) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			continue;
		snprintf(name, sizeof(name), ".moved-%016llx", (unsigned long long)number);
		if (leave(m, i % 2 ? m->to->parent : m->from->parent, name, RENAME_NOREPLACE))
			return;
	}
	abort(); /* the tree ends with us (I6) */
}

long move_file(const struct resolved *from, const struct resolved *to, unsigned flags)
{
	struct move m = {.from = from, .to = to, .flags = flags};

	if (move_in_domain(&m))
		return m.result;
	m.result = move_now(&m);
	if (m.result == 0 && is_wrong(to)) {
		take_back(&m);
		return -EXDEV;
	}
	return m.result;
}
