/* SPDX-License-Identifier: Apache-2.0
 * Modes of the terminal, and keys from it.
 *
 * The command reads the same terminal and may be waiting for input right now. It can so take a key
 * away from us (the user presses it again), but it can give us none: TIOCSTI is refused to it, and the
 * replies that a terminal sends when asked for its title or the cursor's place are longer than a key.
 */
#include "core/ask/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

enum { ALONE_MS = 40, STUCK_MS = 2000 };

struct terminal {
	int fd;
};

/* What terminal_restore() needs, where a signal handler finds it; shared with the warden, which outlives us.
 */
static struct loan {
	atomic_bool borrowed;
	struct termios saved, ours;
} * loan;
static int saved_fd = -1;

int terminal_open(struct terminal **ret)
{
	struct terminal *t = calloc(1, sizeof(*t));
	struct termios mode;

	if (!t)
		return -ENOMEM;
	if (!loan) {
		void *page =
			mmap(NULL, sizeof(*loan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (page == MAP_FAILED) {
			free(t);
			return -ENOMEM;
		}
		loan = page;
	}
	t->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (t->fd < 0 || tcgetattr(t->fd, &mode) < 0) {
		terminal_close(t);
		return -ENXIO;
	}
	saved_fd = t->fd;
	atexit(terminal_restore);
	*ret = t;
	return 0;
}

void terminal_close(struct terminal *t)
{
	if (!t)
		return;
	terminal_restore();
	if (t->fd >= 0) {
		saved_fd = -1;
		close(t->fd);
	}
	free(t);
}

bool terminal_is_ours(const struct terminal *t)
{
	return tcgetpgrp(t->fd) == getpgrp();
}

bool terminal_is_free(const struct terminal *t)
{
	struct termios mode;

	return terminal_is_ours(t) && tcgetattr(t->fd, &mode) == 0 && (mode.c_lflag & ICANON) &&
	       (mode.c_lflag & ECHO);
}

int terminal_borrow(struct terminal *t)
{
	struct termios mode;

	if (tcgetattr(t->fd, &mode) < 0)
		return -errno;
	if (!atomic_load(&loan->borrowed))
		loan->saved = mode;
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ECHONL);
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	loan->ours = mode;
	atomic_store(&loan->borrowed, true);
	/* TCSAFLUSH would wait for output that ^S holds back. */
	if (tcsetattr(t->fd, TCSANOW, &mode) < 0) {
		int err = -errno;

		atomic_store(&loan->borrowed, false);
		return err;
	}
	tcflush(t->fd, TCIFLUSH);
	return 0;
}

void terminal_restore(void)
{
	int err = errno;
	sigset_t stop, old;

	if (saved_fd >= 0 && loan && atomic_exchange(&loan->borrowed, false)) {
		sigemptyset(&stop);
		sigaddset(&stop, SIGTTOU);
		pthread_sigmask(SIG_BLOCK, &stop, &old);
		tcsetattr(saved_fd, TCSANOW, &loan->saved);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	errno = err;
}

int terminal_fd(const struct terminal *t)
{
	return t ? t->fd : -EBADF;
}

void terminal_orphaned(int fd)
{
	struct termios now;

	/* Another mode than ours: the shell was faster, and its line editor would be confused by an older
	 * one. The kernel keeps bits of its own in c_lflag, so what we changed is what is compared. */
	if (!loan || !atomic_load(&loan->borrowed) || tcgetattr(fd, &now) < 0 ||
	    now.c_iflag != loan->ours.c_iflag || now.c_oflag != loan->ours.c_oflag ||
	    (now.c_lflag & (ICANON | ECHO | ECHONL | ISIG)) !=
		    (loan->ours.c_lflag & (ICANON | ECHO | ECHONL | ISIG)))
		return;
	tcsetattr(fd, TCSANOW, &loan->saved);
}

void terminal_give_back(struct terminal *t)
{
	terminal_flush(t);
	terminal_restore();
}

void terminal_flush(const struct terminal *t)
{
	tcflush(t->fd, TCIFLUSH);
}

void terminal_write(const struct terminal *t, const char *s, size_t len)
{
	while (len) {
		struct pollfd p = {.fd = t->fd, .events = POLLOUT};
		ssize_t n = write(t->fd, s, len);

		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (poll(&p, 1, STUCK_MS) <= 0)
				return;
		} else if (n == 0 || errno != EINTR) {
			return;
		}
	}
}

/* Wait for input. 1, or what terminal_key() returns. */
static int wait_input(const struct terminal *t, int wake_fd, int timeout_ms)
{
	struct pollfd p[2] = {{.fd = t->fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
	int n = poll(p, wake_fd < 0 ? 1 : 2, timeout_ms);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return -EAGAIN;
	if (wake_fd >= 0 && p[1].revents)
		return -EINTR;
	return p[0].revents & POLLIN ? 1 : -EIO;
}

int terminal_key(const struct terminal *t, int wake_fd, int timeout_ms)
{
	unsigned char buf[256], key;
	int r = wait_input(t, wake_fd, timeout_ms);
	ssize_t n;

	if (r < 0)
		return r;
	n = read(t->fd, buf, sizeof(buf));
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EIO;
	key = buf[0];
	for (bool alone = n == 1;; alone = false) {
		r = wait_input(t, -1, ALONE_MS);
		if (r != 1)
			return alone ? key : -EAGAIN;
		if (read(t->fd, buf, sizeof(buf)) < 0 && errno != EAGAIN && errno != EINTR)
			return -EIO;
	}
}
