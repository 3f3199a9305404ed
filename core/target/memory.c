/* SPDX-License-Identifier: Apache-2.0
 * process_vm_readv in pieces that never cross a page: the kernel may transfer only part of an element
 * whose range runs into a hole. Where the call is not to be had, /proc/PID/mem stands in for reading;
 * never for writing, since it would write pages that the target itself can't.
 */
#include "core/target/memory.h"

#include "core/cleanup.h"
#include "core/sys.h"

#include <stdio.h>
#include <sys/uio.h>

#define PAGE 4096u
/* Most paths are short: one small read first, the rest of the page only if there is no NUL in it. */
#define FIRST_READ 256u

static ssize_t read_mem_file(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	char name[32];
	_cleanup_close_ int fd = -EBADF;

	snprintf(name, sizeof(name), "/proc/%d/mem", tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return CALL(pread(fd, buf, len, (off_t)addr));
}

/* LEN bytes that lie within one page. */
static ssize_t read_piece(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};
	ssize_t r = CALL(process_vm_readv(tid, &local, 1, &remote, 1, 0));

	if (r == -ENOSYS || r == -EPERM)
		r = read_mem_file(tid, addr, buf, len);
	return r == -EIO ? -EFAULT : r;
}

static size_t piece(uint64_t addr, size_t most)
{
	size_t rest = PAGE - addr % PAGE;

	return rest < most ? rest : most;
}

ssize_t target_read_string(pid_t tid, uint64_t addr, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t want = piece(addr + done, size - done);
		const char *nul;
		ssize_t n;

		if (done == 0 && want > FIRST_READ)
			want = FIRST_READ;
		n = read_piece(tid, addr + done, buf + done, want);
		if (n <= 0)
			return n < 0 ? n : -EFAULT;
		nul = memchr(buf + done, '\0', (size_t)n);
		if (nul)
			return nul - buf;
		done += (size_t)n;
	}
	return -ENAMETOOLONG;
}

int target_read(pid_t tid, uint64_t addr, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read_piece(tid, addr + done, (char *)buf + done, piece(addr + done, len - done));

		if (n <= 0)
			return n < 0 ? (int)n : -EFAULT;
		done += (size_t)n;
	}
	return 0;
}

int target_write(pid_t tid, uint64_t addr, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		size_t want = piece(addr + done, len - done);
		struct iovec local = {(char *)(uintptr_t)buf + done, want};
		struct iovec remote = {(void *)(uintptr_t)(addr + done), want};
		ssize_t n = CALL(process_vm_writev(tid, &local, 1, &remote, 1, 0));

		if (n <= 0)
			return n < 0 ? (int)n : -EFAULT;
		done += (size_t)n;
	}
	return 0;
}
