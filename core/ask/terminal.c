/* SPDX-License-Identifier: Apache-2.0
 * Modes of the terminal, and keys from it.
 *
 * The command reads the same terminal and may be waiting for input right now. It can so take a key
 * away from us (the user presses it again), but it must give us none. TIOCSTI is refused to it. The
 * replies that a terminal sends when asked for a mode or the cursor's place are longer than a key, but
 * who reads all of one but its end leaves a key behind: ESC [ ? 7 ; 1 $ y. So reads by others are
 * watched (inotify tells of each), and a key counts only if nobody has taken anything since the input
 * was last seen empty. Where reads can't be watched there is no terminal to ask on.
 */
#include "core/ask/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

enum { ALONE_MS = 40, SETTLE_MS = 5, STUCK_MS = 2000, PTS_MAJOR = 136, PTS_MAJORS = 8 };

struct terminal {
	int fd, reads; /* reads: an inotify instance */
};

/* What terminal_restore() needs, where a signal handler finds it; shared with the warden, which outlives us.
 */
static struct loan {
	atomic_bool borrowed;
	struct termios saved, ours;
} * loan;
static int saved_fd = -1;

/* 1: watched, 0: there is no such name, or it is no terminal, -errno: reads would not be seen. */
static int watch(int reads, const char *name)
{
	struct stat st;

	if (stat(name, &st) < 0 || !S_ISCHR(st.st_mode))
		return 0;
	return inotify_add_watch(reads, name, IN_ACCESS) < 0 ? -errno : 1;
}

/* A terminal has several names, each with an inode of its own that is told of reads: the two that all have,
 * and what the command got as its standard input and outputs. */
static int watch_reads(const struct terminal *t)
{
	static const char *const others[] = {"/dev/tty", "/dev/console", "/dev/tty0"};
	char name[40];
	unsigned device;
	int n = 0, r;

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		r = watch(t->reads, others[i]);
		/* Who may not read it can't open it either. */
		if (r < 0 && r != -EACCES)
			return r;
	}
	for (int fd = 0; fd < 3; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		r = isatty(fd) ? watch(t->reads, name) : 0;
		if (r < 0)
			return r;
		n += r;
	}
	if (ioctl(t->fd, TIOCGDEV, &device) < 0)
		return n ? 0 : -errno;
	if (major(device) >= PTS_MAJOR && major(device) < PTS_MAJOR + PTS_MAJORS)
		snprintf(name, sizeof(name), "/dev/pts/%u",
			 (major(device) - PTS_MAJOR) * 256 + minor(device));
	else
		snprintf(name, sizeof(name), "/dev/tty%u", minor(device));
	r = watch(t->reads, name);
	return r < 0 ? r : n + r ? 0 : -ENOENT;
}

/* How many reads of the terminal there were since this was last asked; of one inode in a row: one. */
static unsigned count_reads(const struct terminal *t)
{
	struct inotify_event events[64]; /* of files, not of names in directories: without names */
	unsigned count = 0;
	ssize_t n;

	while ((n = read(t->reads, events, sizeof(events))) > 0)
		count += (unsigned)((size_t)n / sizeof(events[0]));
	return count;
}

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
	t->reads = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (t->fd < 0 || tcgetattr(t->fd, &mode) < 0 || t->reads < 0 || watch_reads(t) < 0) {
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
	if (t->reads >= 0)
		close(t->reads);
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

bool terminal_is_lent(void)
{
	return loan && atomic_load(&loan->borrowed);
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

static int input_size(const struct terminal *t)
{
	int n;

	return ioctl(t->fd, TIOCINQ, &n) < 0 ? 0 : n;
}

/* Whatever comes behind a key makes it none. */
static int take_rest(const struct terminal *t, bool alone, int key)
{
	unsigned char buf[256];

	for (;; alone = false) {
		int r = wait_input(t, -1, ALONE_MS);

		if (r != 1)
			return alone ? key : -EAGAIN;
		if (read(t->fd, buf, sizeof(buf)) < 0 && errno != EAGAIN && errno != EINTR)
			return -EIO;
	}
}

int terminal_key(const struct terminal *t, int wake_fd, int timeout_ms)
{
	struct pollfd settle = {.fd = -1};
	unsigned char buf[256];
	bool taken = count_reads(t) > 0;
	int r, waiting;
	ssize_t n;

	if (!input_size(t))
		taken = false; /* what was taken until now is no part of what comes */
	r = wait_input(t, wake_fd, timeout_ms);
	if (r < 0)
		return r;
	/* Who waited in a read has its part by then, and has been counted. */
	poll(&settle, 1, SETTLE_MS);
	waiting = input_size(t);
	taken |= count_reads(t) > 0;
	n = read(t->fd, buf, sizeof(buf));
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EIO;
	/* Less than there was: somebody else took the rest in between. */
	r = take_rest(t, n == 1 && waiting == 1 && !taken, buf[0]);
	/* Our own is one. */
	return count_reads(t) > 1 ? -EAGAIN : r;
}
