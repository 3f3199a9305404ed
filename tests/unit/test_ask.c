/* SPDX-License-Identifier: Apache-2.0
 * Questions on a terminal: a child asks on a pseudo-terminal of its own, the test types.
 */
#include "core/ask/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Longer than the time in which keys do not count yet. */
enum { READABLE_MS = 400, PATIENCE_MS = 8000, CHILD_FAILED = 99 };

struct typist {
	int master;
	pid_t child;
	char shown[65536]; /* what the terminal showed */
	size_t len;
};

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Run SCENE in a child whose controlling terminal is a new pseudo-terminal (none without one). */
static void start(struct typist *t, int (*scene)(void), bool with_terminal)
{
	*t = (struct typist){.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
	assert_true(t->master >= 0);
	assert_int_equal(grantpt(t->master), 0);
	assert_int_equal(unlockpt(t->master), 0);
	t->child = fork();
	assert_true(t->child >= 0);
	if (t->child == 0) {
		int slave;

		alarm(60);
		setsid();
		slave = open(ptsname(t->master), O_RDWR | (with_terminal ? 0 : O_NOCTTY));
		close(t->master);
		_exit(slave < 0 ? CHILD_FAILED : scene());
	}
}

static void type(const struct typist *t, const char *keys)
{
	assert_int_equal(write(t->master, keys, strlen(keys)), strlen(keys));
}

static bool is_shown_within(struct typist *t, const char *words, int left_ms)
{
	for (; !strstr(t->shown, words); left_ms -= 50) {
		struct pollfd p = {.fd = t->master, .events = POLLIN};
		ssize_t n;

		if (left_ms <= 0)
			return false;
		if (poll(&p, 1, 50) <= 0 || !(p.revents & POLLIN))
			continue;
		n = read(t->master, t->shown + t->len, sizeof(t->shown) - 1 - t->len);
		t->len += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void await(struct typist *t, const char *words)
{
	if (!is_shown_within(t, words, PATIENCE_MS))
		fail_msg("\"%s\" was not shown, but: %s", words, t->shown);
}

/* Wait for the question, and forget what was shown up to it. */
static void await_question(struct typist *t)
{
	await(t, "? help");
	sleep_ms(READABLE_MS);
	t->len = 0;
	memset(t->shown, 0, sizeof(t->shown));
}

/* Press KEY until WORDS show that it was taken: a busy machine may show the question long before it
 * reads keys, and takes two that wait for a paste. */
static void press(struct typist *t, const char *key, const char *words)
{
	for (int i = 0; i < 20; i++) {
		type(t, key);
		if (is_shown_within(t, words, 800))
			return;
	}
	fail_msg("\"%s\" was not taken; shown: %s", key, t->shown);
}

static void answer(struct typist *t, const char *key)
{
	static const char *const words[][2] = {
		{"y", "yes\r\n"}, {"r", "yes, for this run\r\n"}, {"n", "no\r\n"}, {"N", "no, for this run\r\n"},
		{"k", "ending the command\r\n"}, {"?", "No answer is a no"},
	};

	await_question(t);
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i][0], key) == 0)
			press(t, key, words[i][1]);
}

/* The exit code of the scene. */
static int end(struct typist *t)
{
	int status = 0;

	for (int left = PATIENCE_MS; waitpid(t->child, &status, WNOHANG) == 0; left -= 20) {
		char buf[4096];
		struct pollfd p = {.fd = t->master, .events = POLLIN};

		if (left <= 0) {
			kill(t->child, SIGKILL);
			waitpid(t->child, &status, 0);
			fail_msg("the scene does not end; shown: %s", t->shown);
		}
		if (poll(&p, 1, 20) > 0 && !(p.revents & POLLIN)) {
			sleep_ms(20); /* hung up */
		} else if (p.revents && t->len < sizeof(t->shown) - sizeof(buf)) {
			ssize_t n = read(t->master, t->shown + t->len, sizeof(buf));

			t->len += n > 0 ? (size_t)n : 0;
		}
	}
	close(t->master);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* In the child. */
static struct asker *asker;
static unsigned timeout_s = 60;
static bool ended;

static void end_tree(void *ctx)
{
	(void)ctx;
	ended = true;
}

static void open_asker(void)
{
	struct asker_config config = {.timeout_s = timeout_s, .front = ASK_TERMINAL, .end_tree = end_tree};

	if (asker_new(&config, &asker) < 0)
		_exit(CHILD_FAILED);
}

struct slot {
	int fd[2];
};

static void take(void *ctx, enum answer a)
{
	struct slot *s = ctx;
	char c = (char)a;

	if (write(s->fd[1], &c, 1) != 1)
		_exit(CHILD_FAILED);
}

static void submit(struct slot *s, enum op op, const char *path, pid_t tid)
{
	struct question q = {.op = op, .path = path, .path_len = strlen(path), .pid = getpid(), .tid = tid,
			     .exe = "/usr/bin/tool", .exists = true, .size = 7, .mode = 0100644};

	if (pipe(s->fd) < 0)
		_exit(CHILD_FAILED);
	ask_submit(asker, &q, take, s);
}

static int result(const struct slot *s)
{
	char c;

	return read(s->fd[0], &c, 1) == 1 ? c : CHILD_FAILED;
}

static int ask(enum op op, const char *path)
{
	struct slot s;

	submit(&s, op, path, getpid());
	return result(&s);
}

static int scene_one(void)
{
	int r;

	open_asker();
	r = ask(OP_READ, "/secret");
	asker_free(asker);
	return r;
}

/* Two digits: the first answer and the second to the same question. */
static int scene_twice(void)
{
	int first, second;

	open_asker();
	first = ask(OP_READ, "/secret");
	second = ask(OP_READ, "/secret");
	asker_free(asker);
	return 10 * first + second;
}

static void y_allows_once(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_twice, true);
	answer(&t, "y");
	answer(&t, "n");
	assert_int_equal(end(&t), 10 * ANSWER_YES + ANSWER_NO);
}

static void n_refuses_once(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_twice, true);
	answer(&t, "n");
	answer(&t, "y");
	assert_int_equal(end(&t), 10 * ANSWER_NO + ANSWER_YES);
}

static void r_allows_for_the_run(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_twice, true);
	answer(&t, "r");
	assert_int_equal(end(&t), 10 * ANSWER_YES + ANSWER_YES);
}

static void capital_n_refuses_for_the_run(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_twice, true);
	answer(&t, "N");
	assert_int_equal(end(&t), 10 * ANSWER_NO + ANSWER_NO);
}

static int scene_other_path_after_r(void)
{
	int first, second;

	open_asker();
	first = ask(OP_READ, "/secret");
	second = ask(OP_READ, "/secret2");
	asker_free(asker);
	return 10 * first + second;
}

static void r_is_for_the_exact_path(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_other_path_after_r, true);
	answer(&t, "r");
	answer(&t, "n");
	assert_int_equal(end(&t), 10 * ANSWER_YES + ANSWER_NO);
}

static void no_answer_is_no(void **state)
{
	struct typist t;

	(void)state;
	timeout_s = 1;
	start(&t, scene_one, true);
	timeout_s = 60;
	await(&t, "no answer: no");
	assert_int_equal(end(&t), ANSWER_TIMEOUT);
}

static int scene_late(void)
{
	sleep_ms(500);
	return scene_one();
}

static void keys_typed_ahead_do_not_count(void **state)
{
	struct typist t;

	(void)state;
	timeout_s = 1;
	start(&t, scene_late, true);
	timeout_s = 60;
	type(&t, "y\ny");
	await(&t, "? help");
	type(&t, "y"); /* nobody reads that fast */
	assert_int_equal(end(&t), ANSWER_TIMEOUT);
}

static void a_paste_or_a_terminal_reply_is_no_key(void **state)
{
	static const char *const pieces[] = {"yes\n", "\033[5;1R", "\033]ly\033\\", "yy", "\033[0n"};

	(void)state;
	for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct typist t;

		start(&t, scene_one, true);
		await_question(&t);
		type(&t, pieces[i]);
		sleep_ms(300);
		press(&t, "y", "yes\r\n");
		assert_int_equal(end(&t), ANSWER_YES);
	}
}

static void other_keys_change_nothing(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_one, true);
	await_question(&t);
	type(&t, "Y");
	sleep_ms(200);
	type(&t, "\n");
	sleep_ms(200);
	press(&t, "n", "no\r\n");
	assert_int_equal(end(&t), ANSWER_NO);
}

static void question_mark_explains_and_asks_on(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_one, true);
	answer(&t, "?");
	sleep_ms(200);
	press(&t, "y", "yes\r\n");
	assert_int_equal(end(&t), ANSWER_YES);
}

static int scene_kill(void)
{
	int first, second;

	open_asker();
	first = ask(OP_READ, "/secret");
	second = ask(OP_READ, "/other");
	asker_free(asker);
	return ended && second == ANSWER_END_TREE ? first : CHILD_FAILED;
}

static void k_ends_the_command_and_all_questions(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_kill, true);
	answer(&t, "k");
	assert_int_equal(end(&t), ANSWER_END_TREE);
}

static void without_a_terminal_it_is_no(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_one, false);
	assert_int_equal(end(&t), ANSWER_NO_TERMINAL);
}

static int scene_background(void)
{
	int ready[2], r;
	pid_t other;
	char c;

	signal(SIGTTOU, SIG_IGN);
	if (pipe(ready) < 0)
		return CHILD_FAILED;
	other = fork();
	if (other == 0) {
		setpgid(0, 0);
		r = write(ready[1], "", 1) == 1;
		pause();
		_exit(!r);
	}
	if (read(ready[0], &c, 1) != 1 || tcsetpgrp(3, other) < 0)
		return CHILD_FAILED;
	r = scene_one();
	kill(other, SIGKILL);
	return r;
}

/* Descriptor 3 is the terminal. */
static int scene_background_3(void)
{
	int fd = open("/dev/tty", O_RDWR);

	return dup2(fd, 3) < 0 ? CHILD_FAILED : scene_background();
}

static void another_group_in_the_foreground_is_not_interrupted(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_background_3, true);
	assert_int_equal(end(&t), ANSWER_NO_TERMINAL);
	assert_null(strstr(t.shown, "sluice"));
}

static void set_flags(tcflag_t off)
{
	int fd = open("/dev/tty", O_RDWR);
	struct termios mode;

	if (tcgetattr(fd, &mode) < 0)
		_exit(CHILD_FAILED);
	mode.c_lflag &= ~off;
	if (tcsetattr(fd, TCSANOW, &mode) < 0)
		_exit(CHILD_FAILED);
	close(fd);
}

static int scene_raw(void)
{
	set_flags(ICANON | ECHO);
	return scene_one();
}

static int scene_password(void)
{
	set_flags(ECHO);
	return scene_one();
}

static void an_editor_or_a_password_is_not_interrupted(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_raw, true);
	assert_int_equal(end(&t), ANSWER_NO_TERMINAL);
	start(&t, scene_password, true);
	assert_int_equal(end(&t), ANSWER_NO_TERMINAL);
}

static int scene_same(void)
{
	struct slot s[3];
	int sum = 0;

	open_asker();
	for (int i = 0; i < 3; i++)
		submit(&s[i], OP_READ, "/secret", getpid());
	for (int i = 0; i < 3; i++)
		sum += result(&s[i]) == ANSWER_YES;
	asker_free(asker);
	return sum;
}

static void identical_questions_are_asked_once(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_same, true);
	answer(&t, "y");
	assert_int_equal(end(&t), 3);
	assert_null(strstr(t.shown, "? help"));
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

/* Two callers ask; the first is withdrawn, or killed and not even reaped. */
static int withdraw(bool told)
{
	pid_t first = sleeper(), second = sleeper();
	struct slot s, other;
	int r;

	open_asker();
	submit(&s, OP_READ, "/secret", first);
	submit(&other, OP_WRITE, "/secret", second);
	sleep_ms(600);
	if (told)
		ask_withdraw(asker, first);
	else
		kill(first, SIGKILL);
	r = 10 * result(&s) + result(&other);
	asker_free(asker);
	kill(first, SIGKILL);
	kill(second, SIGKILL);
	return r;
}

static int scene_withdraw(void)
{
	return withdraw(true);
}

static int scene_death(void)
{
	return withdraw(false);
}

static void a_question_of_a_dead_process_is_withdrawn(void **state)
{
	int (*const scenes[])(void) = {scene_withdraw, scene_death};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct typist t;

		start(&t, scenes[i], true);
		await(&t, "(no longer needed)");
		await(&t, "write this?");
		sleep_ms(READABLE_MS);
		press(&t, "y", "yes\r\n");
		assert_int_equal(end(&t), 10 * ANSWER_NO + ANSWER_YES);
	}
}

static int scene_flood(void)
{
	static struct slot s[200];
	struct asker_stats stats;
	char path[32];

	open_asker();
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/secret%d", i);
		submit(&s[i], OP_READ, path, getpid());
	}
	asker_get_stats(asker, &stats);
	for (int i = 21; i < 200; i++)
		if (result(&s[i]) != ANSWER_FLOOD)
			return CHILD_FAILED;
	asker_free(asker);
	for (int i = 0; i < 20; i++)
		if (result(&s[i]) != ANSWER_NO)
			return CHILD_FAILED;
	return stats.flooded == 180 ? 0 : CHILD_FAILED;
}

static void a_flood_of_questions_is_refused_and_counted(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_flood, true);
	assert_int_equal(end(&t), 0);
}

static bool same_modes(const struct termios *x, const struct termios *y)
{
	return x->c_iflag == y->c_iflag && x->c_oflag == y->c_oflag && x->c_cflag == y->c_cflag &&
	       x->c_lflag == y->c_lflag && memcmp(x->c_cc, y->c_cc, sizeof(x->c_cc)) == 0;
}

static int scene_modes(void)
{
	struct termios before, during, after;
	int fd = open("/dev/tty", O_RDWR);
	struct slot s;

	tcgetattr(fd, &before);
	open_asker();
	submit(&s, OP_READ, "/secret", getpid());
	sleep_ms(300);
	tcgetattr(fd, &during);
	if (during.c_lflag & (ICANON | ECHO) || !(during.c_lflag & ISIG))
		return CHILD_FAILED;
	asker_restore_terminal();
	tcgetattr(fd, &after);
	return same_modes(&before, &after) ? 0 : 1;
}

static int scene_modes_after_answer(void)
{
	struct termios before, after;
	int fd = open("/dev/tty", O_RDWR);

	tcgetattr(fd, &before);
	if (scene_one() != ANSWER_YES)
		return CHILD_FAILED;
	tcgetattr(fd, &after);
	return same_modes(&before, &after) ? 0 : 1;
}

static void the_terminal_is_given_back(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_modes, true);
	assert_int_equal(end(&t), 0);
	start(&t, scene_modes_after_answer, true);
	answer(&t, "y");
	assert_int_equal(end(&t), 0);
}

static int scene_evil_name(void)
{
	int r;

	open_asker();
	r = ask(OP_READ, "/a\033[2J\033]0;x\a\r\nsluice: may tool read this? \xe2\x80\xae/b");
	asker_free(asker);
	return r;
}

static void names_can_not_paint_the_screen(void **state)
{
	struct typist t;

	(void)state;
	start(&t, scene_evil_name, true);
	await(&t, "? help");
	assert_null(strchr(t.shown, '\033'));
	assert_null(strchr(t.shown, '\a'));
	assert_null(strstr(t.shown, "\xe2\x80\xae"));
	sleep_ms(READABLE_MS);
	press(&t, "n", "no\r\n");
	assert_int_equal(end(&t), ANSWER_NO);
}

static int scene_long(void)
{
	char path[4000];
	int r;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	memcpy(path + sizeof(path) - 5, "/end", 5);
	open_asker();
	r = ask(OP_EXEC, path);
	asker_free(asker);
	return r;
}

static void a_long_path_is_shown_whole(void **state)
{
	struct typist t;
	size_t x = 0;

	(void)state;
	start(&t, scene_long, true);
	await(&t, "? help");
	for (const char *p = strstr(t.shown, "/x"); p && *p == 'x' + (*p == '/') * ('/' - 'x'); p++)
		x += *p == 'x';
	assert_true(x >= 3990);
	assert_non_null(strstr(t.shown, "/end"));
	sleep_ms(READABLE_MS);
	press(&t, "n", "no\r\n");
	assert_int_equal(end(&t), ANSWER_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(y_allows_once),
		cmocka_unit_test(n_refuses_once),
		cmocka_unit_test(r_allows_for_the_run),
		cmocka_unit_test(capital_n_refuses_for_the_run),
		cmocka_unit_test(r_is_for_the_exact_path),
		cmocka_unit_test(no_answer_is_no),
		cmocka_unit_test(keys_typed_ahead_do_not_count),
		cmocka_unit_test(a_paste_or_a_terminal_reply_is_no_key),
		cmocka_unit_test(other_keys_change_nothing),
		cmocka_unit_test(question_mark_explains_and_asks_on),
		cmocka_unit_test(k_ends_the_command_and_all_questions),
		cmocka_unit_test(without_a_terminal_it_is_no),
		cmocka_unit_test(another_group_in_the_foreground_is_not_interrupted),
		cmocka_unit_test(an_editor_or_a_password_is_not_interrupted),
		cmocka_unit_test(identical_questions_are_asked_once),
		cmocka_unit_test(a_question_of_a_dead_process_is_withdrawn),
		cmocka_unit_test(a_flood_of_questions_is_refused_and_counted),
		cmocka_unit_test(the_terminal_is_given_back),
		cmocka_unit_test(names_can_not_paint_the_screen),
		cmocka_unit_test(a_long_path_is_shown_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
