/* SPDX-License-Identifier: Apache-2.0
 * The asker's life and thread: it shows questions on the terminal or runs a program for them, looks after
 * those that wait, and ends them. queue.c has the questions.
 */
#include "core/ask/queue.h"
#include "core/cleanup.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

int64_t ask_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void ask_clear_wake(const struct asker *a)
{
	uint64_t n;

	while (read(a->wake_fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/* Every open question gets REPLY. */
static void settle_all(struct asker *a, const struct ask_reply *reply)
{
	struct group *g;

	while ((g = queue_next(a))) {
		queue_settle(a, g, reply);
		queue_unref(a, g);
	}
}

/* Without a dialogue: those whose time is over. */
static void expire(struct asker *a)
{
	const struct ask_reply late = {.answer = ANSWER_TIMEOUT};
	struct group *due;

	do {
		int64_t now = ask_now_ms();

		pthread_mutex_lock(&a->lock);
		for (due = a->queue; due && (due->busy || queue_deadline(a, due) > now);)
			due = due->next;
		if (due)
			due->refs++;
		pthread_mutex_unlock(&a->lock);
		if (due) {
			queue_settle(a, due, &late);
			queue_unref(a, due);
		}
	} while (due);
}

static bool has_clients(struct asker *a)
{
	bool has;

	pthread_mutex_lock(&a->lock);
	has = a->n_clients > 0;
	pthread_mutex_unlock(&a->lock);
	return has;
}

/* The next question on the terminal. False: there is none, or it is left to clients. */
static bool serve_terminal(struct asker *a)
{
	static const struct ask_reply nowhere = {.answer = ANSWER_NO_TERMINAL};
	struct group *g;
	bool done;

	if (a->config.front != ASK_TERMINAL || !a->terminal)
		return false;
	g = queue_next(a);
	if (!g)
		return false;
	done = dialog_run(a, g);
	if (!done && !has_clients(a))
		done = queue_settle(a, g, &nowhere) == 0;
	queue_unref(a, g);
	return done;
}

static void *asker_main(void *arg)
{
	static const struct ask_reply over = {.answer = ANSWER_NO};
	struct asker *a = arg;

	for (;;) {
		struct pollfd p[1 + 8] = {{.fd = a->wake_fd, .events = POLLIN}};
		bool stop, waiting;
		unsigned n = 1;

		queue_withdraw_gone(a);
		pthread_mutex_lock(&a->lock);
		stop = a->stop;
		pthread_mutex_unlock(&a->lock);
		if (stop) {
			programs_end(a);
			settle_all(a, &over);
			return NULL;
		}
		if (serve_terminal(a))
			continue;
		if (a->config.front == ASK_PROGRAM)
			programs_start(a);
		expire(a);
		pthread_mutex_lock(&a->lock);
		waiting = a->queue != NULL;
		pthread_mutex_unlock(&a->lock);
		n += programs_poll(a, p + 1, 8);
		if (poll(p, n, waiting || n > 1 ? TICK_MS : -1) > 0 && p[0].revents)
			ask_clear_wake(a);
		programs_serve(a);
	}
}

static int start_thread(struct asker *a)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	r = pthread_create(&a->thread, NULL, asker_main, a);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	a->has_thread = r == 0;
	return -r;
}

int asker_begin(struct asker *a)
{
	struct answers *answers;
	char *warning = NULL;
	int r = 0;

	if (a->has_thread || a->config.front == ASK_NOBODY)
		return 0;
	if (a->config.answers) {
		r = answers_new(a->config.answers, a->config.home, &answers, &warning);
		if (warning)
			fprintf(stderr, "sluice: %s: no answer from there is used\n", warning);
		free(warning);
		if (r < 0)
			return r;
		pthread_mutex_lock(&a->lock);
		answers_free(a->answers);
		a->answers = answers;
		pthread_mutex_unlock(&a->lock);
	}
	if (a->config.front == ASK_TERMINAL)
		terminal_open(&a->terminal); /* none: left to clients, or ANSWER_NO_TERMINAL */
	return start_thread(a);
}

int asker_new(const struct asker_config *config, struct asker **ret)
{
	struct asker *a = calloc(1, sizeof(*a));
	char *warning = NULL;
	int r;

	if (!a)
		return -ENOMEM;
	a->config = *config;
	a->tail = &a->queue;
	a->tokens = TOKENS_MAX;
	a->refilled_ms = ask_now_ms();
	pthread_mutex_init(&a->lock, NULL);
	a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = a->wake_fd < 0 ? -errno : answers_new(NULL, NULL, &a->answers, &warning);
	if (r == 0 && !config->later)
		r = asker_begin(a);
	if (r < 0) {
		asker_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void asker_get_stats(struct asker *a, struct asker_stats *ret)
{
	pthread_mutex_lock(&a->lock);
	*ret = a->stats;
	pthread_mutex_unlock(&a->lock);
}

void asker_restore_terminal(void)
{
	terminal_restore();
}

int asker_terminal(const struct asker *a)
{
	return terminal_fd(a->terminal);
}

bool asker_terminal_lent(void)
{
	return terminal_is_lent();
}

void asker_terminal_orphaned(int fd)
{
	terminal_orphaned(fd);
}

void asker_stop(struct asker *a)
{
	uint64_t one = 1;

	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_mutex_unlock(&a->lock);
	if (!a->has_thread)
		return;
	while (write(a->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(a->thread, NULL);
	a->has_thread = false;
	terminal_restore();
}

void asker_free(struct asker *a)
{
	if (!a)
		return;
	asker_stop(a);
	terminal_close(a->terminal);
	if (a->wake_fd >= 0)
		close(a->wake_fd);
	answers_free(a->answers);
	for (unsigned i = 0; i < DECISIONS_MAX; i++) {
		free(a->past[i].path);
		free(a->past[i].exe);
		free(a->past[i].dir);
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
}
