/* SPDX-License-Identifier: Apache-2.0
 * gate_jump FILE...: what a hostile program does with the gate: it makes the page itself, and opens each FILE from
 * there, to read and to write. Prints what it read, and "wrote FILE" for what it could open for writing; nothing
 * for what stays closed.
 */
#include "gate/gate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static long (*gate)(int dirfd, const char *path, int flags, mode_t mode);

static int make_page(void)
{
	static const unsigned char code[] = GATE_CODE;
	void *page = mmap((void *)GATE_PAGE, GATE_PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (page == MAP_FAILED)
		return -1;
	memcpy(page, code, sizeof(code));
	gate = (long (*)(int, const char *, int, mode_t))GATE_PAGE;
	return mprotect(page, GATE_PAGE_SIZE, PROT_READ | PROT_EXEC);
}

int main(int argc, char **argv)
{
	char text[256];

	if (make_page() < 0)
		return 2;
	for (int i = 1; i < argc; i++) {
		int fd = (int)gate(AT_FDCWD, argv[i], O_RDONLY, 0);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));

		if (n > 0)
			printf("%.*s", (int)n, text);
		fd = (int)gate(AT_FDCWD, argv[i], O_WRONLY | O_CREAT, 0600);
		if (fd >= 0)
			printf("wrote %s\n", argv[i]);
	}
	return 0;
}
