/* SPDX-License-Identifier: Apache-2.0
 * --prompt exec:CMD. The program is a child of the unconfined part of sluice: outside of the target's tree
 * and of its Landlock domain. It gets one question as JSON on its standard input and prints one answer.
 *
 * Only an exit with status 0 and one whole answer counts. All else is a no: a crash, a time-out, other
 * output.
 */
#include "core/ask/protocol.h"
#include "core/ask/queue.h"
#include "core/cleanup.h"
#include "core/limits.h"
#include "core/sys.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PROGRAMS_MAX = 4, ANSWER_MAX = 4096 };

struct program {
	struct program *next;
	struct group *g;
	pid_t pid;
	int out;   /* its standard output; -EBADF after its end */
	int pidfd; /* or -errno: then it is looked at in each tick */
	int64_t deadline;
	char answer[ANSWER_MAX];
	size_t len;
	bool failed;
};

/* In the child, between fork and exec: system calls only. */
static _Noreturn void child(const char *path, int in, int out, pid_t parent)
{
	char *const argv[] = {(char *)(uintptr_t)path, NULL};
	sigset_t none;

	/* The thread that forked lives as long as the asker, and ends us when it ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0); /* what it starts can be ended with it */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(127);
	limits_restore();
	syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
	execve(path, argv, environ);
	_exit(127);
}

static int spawn(const char *path, const struct text *question, int *ret_out, pid_t *ret_pid)
{
	_cleanup_close_ int in_r = -EBADF, in_w = -EBADF, out_r = -EBADF, out_w = -EBADF;
	int in[2], out[2];
	pid_t self = getpid();

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	in_r = in[0];
	in_w = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	out_r = out[0];
	out_w = out[1];
	/* It fits into the pipe whole, or not at all: never waited for. */
	if (fcntl(in_w, F_SETFL, O_NONBLOCK) < 0 || fcntl(out_r, F_SETFL, O_NONBLOCK) < 0 ||
	    write(in_w, question->data, question->len) != (ssize_t)question->len)
		return -E2BIG;
	*ret_pid = fork();
	if (*ret_pid < 0)
		return -errno;
	if (*ret_pid == 0)
		child(path, in_r, out_w, self);
	*ret_out = take_fd(&out_r);
	return 0;
}

static struct group *next_unserved(struct asker *a)
{
	struct group *g;

	pthread_mutex_lock(&a->lock);
	for (g = a->queue; g && (g->shown || g->busy);)
		g = g->next;
	if (g) {
		g->refs++;
		g->shown = true;
	}
	pthread_mutex_unlock(&a->lock);
	return g;
}

static void start(struct asker *a, struct group *g)
{
	static const struct ask_reply broken = {.answer = ANSWER_NO, .by = "program: could not be started"};
	struct program *p = calloc(1, sizeof(*p));
	const char *names[ASK_NAMES_MAX];
	struct text lines = {0}, question = {0};
	struct ask_view v;
	int r = -ENOMEM;

	pthread_mutex_lock(&a->lock);
	queue_view(a, g, names, &lines, &v); /* it is shown: no name is added any more */
	pthread_mutex_unlock(&a->lock);
	protocol_question(&question, &v);
	text_puts(&question, "\n");
	if (p && !question.failed)
		r = spawn(a->config.program, &question, &p->out, &p->pid);
	text_done(&question);
	text_done(&lines);
	if (r < 0) {
		free(p);
		queue_settle(a, g, &broken);
		queue_unref(a, g);
		return;
	}
	p->g = g;
	p->pidfd = sys_pidfd_open(p->pid, 0);
	p->deadline = queue_deadline(a, g);
	p->next = a->programs;
	a->programs = p;
}

void programs_start(struct asker *a)
{
	struct group *g;
	unsigned n = 0;

	for (const struct program *p = a->programs; p; p = p->next)
		n++;
	for (; n < PROGRAMS_MAX && (g = next_unserved(a)); n++)
		start(a, g);
}

unsigned programs_poll(struct asker *a, struct pollfd *p, unsigned max)
{
	unsigned n = 0;

	for (const struct program *at = a->programs; at && n < max; at = at->next)
		p[n++] = (struct pollfd){.fd = at->out >= 0 ? at->out : at->pidfd, .events = POLLIN};
	return n;
}

/* Read what there is. True: it has ended, or said too much. */
static bool listen(struct program *p)
{
	while (p->out >= 0) {
		ssize_t n = read(p->out, p->answer + p->len, sizeof(p->answer) - 1 - p->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0 || p->len + (size_t)n == sizeof(p->answer) - 1)
			p->failed = true;
		if (n > 0 && !p->failed) {
			p->len += (size_t)n;
			continue;
		}
		close(p->out);
		p->out = -EBADF;
	}
	return true;
}

static void decide(struct asker *a, struct program *p, int wstatus)
{
	struct ask_reply no = {.answer = ANSWER_NO, .by = "program: gave no answer"}, reply;
	struct protocol_answer answer;
	struct json_object *o = NULL;
	bool fine = !p->failed && WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0;

	if (fine)
		o = protocol_parse(p->answer, p->len);
	if (o && protocol_answer(o, &answer) == 0) {
		reply = answer.reply;
		reply.by = "program";
		/* The child was given the question itself: the count and the line are the ones that it saw.
		 */
		if (ask_answer(a, p->g->number, p->g->nonce, &reply) >= 0) {
			protocol_free(o);
			return;
		}
	}
	protocol_free(o);
	queue_settle(a, p->g, &no);
}

/* P is over, with WSTATUS; -1: it is killed. */
static void end(struct asker *a, struct program *p, int wstatus)
{
	static const struct ask_reply late = {.answer = ANSWER_TIMEOUT};
	struct program **at = &a->programs;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (wstatus < 0) {
		kill(-p->pid, SIGKILL);
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
		queue_settle(a, p->g, &late);
	} else {
		decide(a, p, wstatus);
	}
	cleanup_close(&p->out);
	cleanup_close(&p->pidfd);
	queue_unref(a, p->g);
	free(p);
}

void programs_serve(struct asker *a)
{
	for (struct program *p = a->programs, *next; p; p = next) {
		bool settled, ended = listen(p);
		int wstatus = 0;
		pid_t reaped;

		next = p->next;
		pthread_mutex_lock(&a->lock);
		settled = p->g->settled;
		pthread_mutex_unlock(&a->lock);
		reaped = ended ? waitpid(p->pid, &wstatus, WNOHANG) : 0;
		p->failed |= reaped < 0; /* somebody else has its status */
		if (reaped != 0)
			end(a, p, wstatus);
		else if (settled || p->failed || ask_now_ms() >= p->deadline)
			end(a, p, -1);
	}
}

void programs_end(struct asker *a)
{
	while (a->programs)
		end(a, a->programs, -1);
}
