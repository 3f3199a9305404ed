/* SPDX-License-Identifier: Apache-2.0
 * The kernel walks the string a second time, and the target may have put a link in its way since. So the
 * call is made by a thread of its own, in a Landlock domain that lets it make sockets beneath the pinned
 * directory and nowhere else: a walk that leads away is EACCES. A domain can't be left, so the thread ends
 * with the call.
 *
 * "Beneath" is more than "in": where a rule refuses to create something further down, or a mount gives a
 * denied object another name, this is not enough and is not done.
 */
#include "core/reply/bind_name.h"

#include "core/cleanup.h"
#include "core/launch/landlock.h"
#include "core/sys.h"

#include <pthread.h>

struct bind_call {
	int ruleset, fd;
	const struct sockaddr *addr;
	uint32_t addr_len;
	long result;
};

/* May everything be created beneath the directory of at[0]? */
static bool all_open_beneath(const struct request *q)
{
	const struct resolved *at = &q->at[0];
	const struct rule *rules;
	size_t n, len = at->name_len;

	while (len > 1 && at->name[len - 1] != '/')
		len--;
	if (len > 1)
		len--;
	if (q->rules->plan->n_aliases || policy_decide(q->rules->policy, OP_CREATE, at->name, len).action != ACTION_ALLOW)
		return false;
	rules = policy_rules(q->rules->policy, &n);
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < rules[i].n_names; k++)
			if ((rules[i].ops & OPBIT(OP_CREATE)) && rules[i].action != ACTION_ALLOW &&
			    pattern_may_match_below(&rules[i].names[k], at->name, len))
				return false;
	return true;
}

static void *bind_confined(void *arg)
{
	struct bind_call *call = arg;

	call->result = landlock_enter(call->ruleset);
	if (call->result == 0)
		call->result = CALL(bind(call->fd, call->addr, call->addr_len));
	return NULL;
}

long bind_by_name(const struct request *q, const struct sockaddr *addr, uint32_t addr_len)
{
	_cleanup_close_ int base = -EBADF, ruleset = -EBADF;
	struct bind_call call = {.fd = q->fd, .addr = addr, .addr_len = addr_len, .result = -EACCES};
	pthread_t thread;

	if (!all_open_beneath(q))
		return -EOPNOTSUPP;
	ruleset = landlock_beneath(q->at[0].parent, LL_MAKE_SOCK, LL_MAKE_SOCK);
	if (ruleset < 0)
		return -EOPNOTSUPP;
	if (q->path[0].bytes[0] != '/') {
		base = task_open_dir(q->tid, AT_FDCWD);
		if (base < 0)
			return base;
		if (fchdir(base) < 0)
			return -errno;
	}
	call.ruleset = ruleset;
	/* It inherits this thread's credentials, filter, domain, cwd and umask. */
	if (pthread_create(&thread, NULL, bind_confined, &call))
		return -EOPNOTSUPP;
	pthread_join(thread, NULL);
	return call.result;
}
