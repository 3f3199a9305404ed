# SPDX-License-Identifier: Apache-2.0
"""`sluice ask` in tmux: what it shows, what keys do, and that the terminal is as before."""

import os
import re
import shlex
import shutil
import subprocess
import time

from harness import SLUICE, case
import test_control

HOSTILE = "secret\033[2J\033]0;t\007\r\nsluice: may cat read this?\u202e\u200b\U000e0041"


class View(test_control.ControlCase):
    def setUp(self):
        super().setUp()
        if not shutil.which("tmux"):
            self.skip("tmux is not installed")
        self.server = os.path.join(self.root, "tmux")
        self.addCleanup(self.tmux, "kill-server", check=False)

    def tmux(self, *words, check=True):
        r = subprocess.run(["tmux", "-S", self.server, "-f", "/dev/null", *words],
                           env=self.environment({"LANG": "C.UTF-8", "TERM": "xterm"}), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=20, check=False)
        if check:
            self.assertEqual(r.returncode, 0, r)
        return r.stdout

    def open_view(self, width=100, height=30):
        script = "stty -a >%s/before; %s ask; echo left $?; stty -a >%s/after; sleep 60" % (
            self.root, shlex.quote(SLUICE), self.root)
        self.tmux("-u", "new-session", "-d", "-x", str(width), "-y", str(height), "sh", "-c", script)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def await_screen(self, words, seconds=15):
        end = time.monotonic() + seconds
        while not re.search(words, self.screen()):
            if time.monotonic() > end:
                self.fail("%r was not shown, but:\n%s" % (words, self.screen()))
            time.sleep(0.1)
        return self.screen()

    def press(self, key, words):
        """Until WORDS show that it was taken: keys do not count at first, and a busy machine is slow."""
        for _ in range(20):
            self.tmux("send-keys", key)
            end = time.monotonic() + 1
            while time.monotonic() < end:
                if re.search(words, self.screen()):
                    return
                time.sleep(0.1)
        self.fail("%s was not taken:\n%s" % (key, self.screen()))

    @case
    def it_shows_runs_and_questions_and_answers_them(self):
        self.open_view()
        process, _ = self.begin("cat secret; cat secret", options=["--name", "build"])
        shown = self.await_screen("may cat read this")
        for words in ("build: sh -c", "1 open question", "path     %s/secret" % self.dir, "claims   to be: cat secret",
                      "y yes  r yes, this run  d yes, this directory  a yes, always"):
            self.assertIn(words, shown)
        self.press("r", "yes, run  cat  read")
        self.assertEqual(self.output(process)[:2], (0, "S3CRETS3CRET"))
        self.await_screen("(ended|nothing is running)")

    @case
    def several_runs_at_once_and_the_arrows_choose(self):
        self.put("secret2", "2ND")
        self.open_view()
        one, _ = self.begin("cat secret")
        self.await_screen("path     %s/secret\n" % self.dir)
        two, _ = self.begin("cat secret2")
        self.await_screen("2 open questions")
        self.await_screen("path     %s/secret\n" % self.dir)
        self.press("Down", "path     %s/secret2\n" % self.dir)
        self.press("y", "yes  cat  read  %s/secret2" % self.dir)
        self.assertEqual(self.output(two)[:2], (0, "2ND"))
        self.press("n", "no  cat  read  %s/secret " % self.dir)
        self.assertEqual(self.output(one)[:2], (1, ""))

    @case
    def always_shows_the_line_and_wants_the_key_again(self):
        process, _ = self.begin("cat secret; cat secret")
        self.open_view()
        self.await_screen("may cat read this")
        self.press("a", "allow read %s/secret" % self.dir)
        time.sleep(0.6)
        self.tmux("send-keys", "x")
        self.await_screen("r yes, this run")
        self.assertFalse(os.path.exists(os.path.join(self.home, ".config/sluice/answers.policy")))
        self.press("a", "once more to write it")
        self.press("a", "yes, always  cat  read")
        self.assertEqual(self.output(process)[:2], (0, "S3CRETS3CRET"))
        with open(os.path.join(self.home, ".config/sluice/answers.policy"), encoding="utf-8") as f:
            self.assertIn("\nallow read %s/secret\n" % self.dir, f.read())

    @case
    def keys_that_came_before_the_question_do_not_count(self):
        self.open_view()
        self.await_screen("nothing is running")
        process, _ = self.begin("sleep 0.3; cat secret", options=["--prompt-timeout", "3"])
        end = time.monotonic() + 1
        while "may cat read" not in self.screen() and time.monotonic() < end:
            self.tmux("send-keys", "y")
        self.tmux("send-keys", "y")
        time.sleep(0.7)
        self.tmux("send-keys", "-l", "yyyy")  # a paste
        self.assertEqual(self.output(process)[:2], (1, ""))

    @case
    def a_hostile_name_draws_nothing(self):
        self.put(HOSTILE, "X")
        process, _ = self.begin("cat secret[!2]*")
        self.open_view(width=140)
        shown = self.await_screen("may cat read this")
        self.assertIn(r"secret\x1b[2J\x1b]0;t\x07\x0d\nsluice: may cat read this?", shown.replace("\n", ""))
        for c in "\u202e\u200b\U000e0041":
            self.assertNotIn(c, shown)
        self.assertIn("y yes", shown)
        self.assertEqual(self.tmux("display-message", "-p", "#{pane_title}").strip() == "t", False)
        self.press("n", "no  cat  read")
        process.wait()

    @case
    def words_that_are_answered_elsewhere_go(self):
        process, path = self.begin("cat secret")
        self.open_view()
        self.await_screen("may cat read this")
        c = test_control.Client(path)
        self.addCleanup(c.close)
        c.answer(c.until("question"), "no")
        shown = self.await_screen("no  cat  read")
        self.assertNotIn("may cat read this", shown)
        process.wait()

    @case
    def it_fits_into_every_size(self):
        self.begin("cat secret")
        self.open_view()
        self.await_screen("may cat read this")
        for width, height in ((40, 12), (20, 5), (2, 2), (200, 50), (80, 24)):
            self.tmux("resize-window", "-x", str(width), "-y", str(height))
            time.sleep(0.4)
        shown = self.await_screen("may cat read this")
        self.assertIn("y yes  r yes, this run", shown)
        self.press("?", "No answer is a no")
        self.press("?", "may cat read this")
        self.press("k", "(end  cat  read|ended)")

    @case
    def leaving_restores_the_terminal_and_answers_nothing(self):
        process, _ = self.begin("cat secret", options=["--prompt-timeout", "5"])
        self.open_view()
        self.await_screen("may cat read this")
        self.press("q", "left 0")
        with open(os.path.join(self.root, "before"), encoding="utf-8") as b:
            self.wait_for("stty", lambda: os.path.exists(os.path.join(self.root, "after")))
            time.sleep(0.2)
            with open(os.path.join(self.root, "after"), encoding="utf-8") as a:
                self.assertEqual(b.read(), a.read())
        self.assertEqual(self.output(process)[:2], (1, ""))

    @case
    def without_a_terminal_it_says_so(self):
        r = self.command("ask")
        self.assertEqual(r.returncode, 2)
        self.assertIn("needs a terminal", r.stderr)
