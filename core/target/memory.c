/* SPDX-License-Identifier: Apache-2.0
 * process_vm_readv in pieces that never cross a page: the kernel may transfer only part of an element
 * whose range runs into a hole. Where the call is not to be had, /proc/PID/mem stands in for reading;
 * never for writing, since it would write pages that the target itself can't.
 *
 * Of tasks that ask often /proc/TID/mem is kept open, whose pread costs two thirds. It is bound to the memory that
 * the task had when it was opened: after an execution it reads nothing or, where another process had that memory
 * too (vfork, a thread whose number was given to a new task), something old. So the eras of tasks are counted, and
 * what was not used for a moment is not used any more. And what it reads is a hint: whoever acts on it for the task
 * reads it once more (request_confirm_path).
 */
#include "core/target/memory.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/sys.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>

#define PAGE 4096u
/* Most paths are short: one small read first, the rest of the page only if there is no NUL in it. */
#define FIRST_READ TARGET_GLANCE
#define GLANCES_MAX 64u
#define KEPT 8u   /* tasks that one thread remembers */
#define OFTEN 8u  /* to open the file costs what so many reads through it save */
#define FRESH_NS 50000000u /* too short for all other numbers to be used up, so that one is another task's */
#define ERAS 256u /* tasks whose numbers are equal modulo this share one */

static _Atomic unsigned eras[ERAS], all_eras;

static _Thread_local struct kept {
	pid_t tid;
	unsigned era, reads;
	uint64_t used_ns;
	bool is_open;
	int mem;
} kept[KEPT];

static void forget(struct kept *k)
{
	if (k->is_open)
		close(k->mem);
	*k = (struct kept){0};
}

void target_forget(void)
{
	for (unsigned i = 0; i < KEPT; i++)
		forget(&kept[i]);
}

void target_executes(pid_t tid)
{
	/* If it is not the first thread of its process, the new program has the number of that one. */
	_Atomic unsigned *era = syscall(SYS_tgkill, tid, tid, 0) == 0 ? &eras[(unsigned)tid % ERAS] : &all_eras;

	atomic_fetch_add_explicit(era, 1, memory_order_release);
}

static unsigned era_of(pid_t tid)
{
	return atomic_load_explicit(&eras[(unsigned)tid % ERAS], memory_order_acquire) +
	       atomic_load_explicit(&all_eras, memory_order_acquire);
}

static int open_mem_file(pid_t tid)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mem", tid);
	return (int)CALL(open(name, O_RDONLY | O_CLOEXEC));
}

static ssize_t read_mem_file(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	_cleanup_close_ int fd = open_mem_file(tid);

	return fd < 0 ? fd : CALL(pread(fd, buf, len, (off_t)addr));
}

/* TID's, if it asks often. */
static struct kept *find_kept(pid_t tid)
{
	struct kept *k = &kept[(unsigned)tid % KEPT];
	unsigned era = era_of(tid);
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);

	if (k->tid != tid || k->era != era || now - k->used_ns > FRESH_NS) {
		forget(k);
		k->tid = tid;
		k->era = era;
	}
	k->used_ns = now;
	if (!k->is_open && ++k->reads > OFTEN) {
		k->mem = open_mem_file(tid);
		k->is_open = k->mem >= 0;
		k->reads = 0;
	}
	return k->is_open ? k : NULL;
}

/* LEN bytes that lie within one page; through K, if there is one. */
static ssize_t read_piece(pid_t tid, struct kept *k, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};
	ssize_t r;

	if (k && k->is_open) {
		r = CALL(pread(k->mem, buf, len, (off_t)addr));
		if (r > 0)
			return r;
		forget(k);
	}
	r = CALL(process_vm_readv(tid, &local, 1, &remote, 1, 0));

	if (r == -ENOSYS || r == -EPERM)
		r = read_mem_file(tid, addr, buf, len);
	return r == -EIO ? -EFAULT : r;
}

size_t target_on_page(uint64_t addr, size_t most)
{
	size_t rest = PAGE - addr % PAGE;

	return rest < most ? rest : most;
}

static ssize_t read_string(pid_t tid, struct kept *k, uint64_t addr, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t want = target_on_page(addr + done, size - done);
		const char *nul;
		ssize_t n;

		if (done == 0 && want > FIRST_READ)
			want = FIRST_READ;
		n = read_piece(tid, k, addr + done, buf + done, want);
		if (n <= 0)
			return n < 0 ? n : -EFAULT;
		nul = memchr(buf + done, '\0', (size_t)n);
		if (nul)
			return nul - buf;
		done += (size_t)n;
	}
	return -ENAMETOOLONG;
}

ssize_t target_read_string(pid_t tid, uint64_t addr, char *buf, size_t size)
{
	return read_string(tid, NULL, addr, buf, size);
}

ssize_t target_read_string_often(pid_t tid, uint64_t addr, char *buf, size_t size)
{
	return read_string(tid, find_kept(tid), addr, buf, size);
}

size_t target_glance(pid_t tid, const uint64_t *addr, size_t n, char (*buf)[TARGET_GLANCE], ssize_t *len)
{
	struct iovec local[GLANCES_MAX], remote[GLANCES_MAX];
	size_t i, rest;
	ssize_t r;

	if (n == 0)
		return 0;
	if (n > GLANCES_MAX)
		n = GLANCES_MAX;
	for (i = 0; i < n; i++) {
		size_t want = target_on_page(addr[i], TARGET_GLANCE);

		local[i] = (struct iovec){buf[i], want};
		remote[i] = (struct iovec){(void *)(uintptr_t)addr[i], want};
	}
	r = CALL(process_vm_readv(tid, local, n, remote, n, 0));
	rest = r > 0 ? (size_t)r : 0;
	for (i = 0; i < n && rest >= local[i].iov_len; i++) {
		const char *nul = memchr(buf[i], '\0', local[i].iov_len);

		rest -= local[i].iov_len;
		len[i] = nul ? nul - buf[i] : -1;
	}
	return i;
}

int target_read(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read_piece(tid, NULL, addr + done, (char *)buf + done,
				       target_on_page(addr + done, len - done));

		if (n <= 0)
			return n < 0 ? (int)n : -EFAULT;
		done += (size_t)n;
	}
	return 0;
}

int target_write(pid_t tid, uint64_t addr, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		size_t want = target_on_page(addr + done, len - done);
		struct iovec local = {(char *)(uintptr_t)buf + done, want};
		struct iovec remote = {(void *)(uintptr_t)(addr + done), want};
		ssize_t n = CALL(process_vm_writev(tid, &local, 1, &remote, 1, 0));

		if (n <= 0)
			return n < 0 ? (int)n : -EFAULT;
		done += (size_t)n;
	}
	return 0;
}
