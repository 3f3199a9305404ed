# SPDX-License-Identifier: Apache-2.0
"""Questions on the terminal: each answer, and what a hostile command does to the prompt."""

import contextlib
import json
import os
import signal
import subprocess
import termios
import time

import terminals
from harness import SLUICE, case

ANSWERS = ".config/sluice/answers.policy"


class AskTerminal(terminals.TerminalCase):
    TAKEN = {**terminals.TerminalCase.TAKEN, "N": "no, for this run", "d": "yes, for this run and directory",
             "D": "no, for this run and directory", "a": "once more to write it", "A": "once more to write it"}
    BELOW = "{base}allow all {dir}\nask read {dir}/sub\n"

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.root, "home")
        self.runtime = os.path.join(self.root, "run")
        for d in (self.home, self.runtime):
            os.mkdir(d, 0o700)
        self.answers = os.path.join(self.home, ANSWERS)

    def environment(self, extra=None):
        return super().environment({"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime, **(extra or {})})

    def fill(self, *names):
        for n in names:
            self.put("sub/" + n, n.upper() + "-TEXT\n")

    def written(self):
        with contextlib.suppress(FileNotFoundError), open(self.answers, encoding="utf-8") as f:
            return [line for line in f.read().splitlines() if not line.startswith("#")]
        return []

    def confirm(self, key, words):
        """Press KEY, which wants to be confirmed, and KEY again."""
        self.answer(key)
        time.sleep(0.4)
        for _ in range(20):
            os.write(self.tty, key.encode())
            end = time.monotonic() + 0.8
            while words not in self.shown and time.monotonic() < end:
                self.read_some(0.05)
            if words in self.shown:
                return
        self.fail("the second %s was not taken:\n%s" % (key, self.shown))

    # Each answer --------------------------------------------------------------------------------

    @case
    def d_allows_the_directory_for_the_run(self):
        self.fill("a", "b")
        self.open_terminal("cat sub/a; cat sub/b; cat sub/b", policy=self.BELOW)
        self.answer("d")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertEqual(self.shown.count("B-TEXT"), 2)
        self.assertNotIn("? help", self.shown)

    @case
    def d_is_for_what_the_same_rule_asks_about(self):
        self.fill("a", "deeper/b")
        self.open_terminal("cat sub/a; cat sub/deeper/b", policy=self.BELOW + "ask read {dir}/sub/deeper\n")
        self.answer("d")
        self.answer("n")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("B-TEXT", self.shown)

    @case
    def capital_d_refuses_the_directory_for_the_run(self):
        self.fill("a", "b")
        self.open_terminal("cat sub/a; cat sub/b", policy=self.BELOW)
        self.answer("D")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("-TEXT", self.shown)

    @case
    def capital_n_refuses_for_the_run(self):
        self.open_terminal("cat secret; cat secret")
        self.answer("N")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("? help", self.shown)
        self.assertNotIn("S3CRET", self.shown)

    @case
    def a_is_written_at_the_second_press_and_holds_in_later_runs(self):
        self.open_terminal("cat secret")
        self.confirm("a", "yes, always")
        self.assertEqual(self.end(), 0, self.shown)
        line = "allow read %s/secret" % self.dir
        self.assertIn("this line, for this name alone, goes into", self.shown)
        self.assertIn(line, self.shown)
        self.assertEqual(self.written(), [line])
        self.assertEqual(os.stat(self.answers).st_mode & 0o777, 0o600)
        with open(self.answers, encoding="utf-8") as f:
            self.assertRegex(f.read(), r"(?m)^# \d{4}-\d\d-\d\d \d\d:\d\d, asked by sh$")
        r = self.sluice("cat", "secret", policy=self.ASKING, record=True)
        self.assertEqual(r.out, "S3CRET", r)
        self.open_terminal("cat secret")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertNotIn("? help", self.shown)

    @case
    def a_line_that_the_file_can_not_have_is_said_and_holds_for_the_run(self):
        os.makedirs(os.path.dirname(self.answers))
        with open(self.answers, "w", encoding="utf-8") as f:
            f.write("ask read %s/secret\n" % self.dir)
        self.open_terminal("cat secret; cat secret")
        self.confirm("a", "yes, for this run; not written: the file would be no policy then")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertEqual(self.shown.count("S3CRET"), 2)
        self.assertEqual(self.written(), ["ask read %s/secret" % self.dir])

    @case
    def any_other_key_after_a_writes_nothing(self):
        self.open_terminal("cat secret")
        self.answer("a")
        time.sleep(0.4)
        self.shown = ""
        while "not written" not in self.shown:
            os.write(self.tty, b"y")
            self.read_some(0.5)
        time.sleep(0.3)
        self.shown = ""
        while "no\r\n" not in self.shown:
            os.write(self.tty, b"n")
            self.read_some(0.5)
        self.assertEqual(self.end(), 1, self.shown)
        self.assertEqual(self.written(), [])

    @case
    def capital_a_refuses_in_later_runs(self):
        self.open_terminal("cat secret")
        self.confirm("A", "no, always")
        self.end()
        self.assertEqual(self.written(), ["deny read %s/secret" % self.dir])
        self.open_terminal("cat secret")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("? help", self.shown)

    @case
    def what_was_in_the_file_stays_and_so_does_its_mode(self):
        os.makedirs(os.path.dirname(self.answers))
        with open(self.answers, "w", encoding="utf-8") as f:
            f.write("# mine\nallow read /nowhere   # kept\nallow read /no/newline/at/the/end")
        os.chmod(self.answers, 0o640)
        self.open_terminal("cat secret")
        self.confirm("a", "yes, always")
        self.end()
        self.assertEqual(self.written(), ["allow read /nowhere   # kept", "allow read /no/newline/at/the/end",
                                          "allow read %s/secret" % self.dir])
        self.assertEqual(os.stat(self.answers).st_mode & 0o777, 0o640)

    @case
    def a_name_is_written_as_one_literal_word(self):
        name = "secret *?[x] \"$HOME\" ~\\\n#"
        self.put(name, "ODD")
        self.open_terminal("cat secret[!a-z]*")
        self.confirm("a", "yes, always")
        self.end()
        self.put("secretother", "OTHER")
        r = self.sluice("cat", name, policy=self.ASKING)
        self.assertEqual(r.out, "ODD", r)
        r = self.sluice("cat", "secretother", policy=self.ASKING)
        self.assert_status(r, 1)

    # What answers for always may not do ---------------------------------------------------------

    def answer_always(self, action="allow"):
        os.makedirs(os.path.dirname(self.answers), exist_ok=True)
        with open(self.answers, "w", encoding="utf-8") as f:
            f.write("%s read %s/secret\n" % (action, self.dir))
        self.put("secret", "S3CRET")

    @case
    def control_an_answer_for_always_speaks_where_the_policy_asks(self):
        self.answer_always()
        self.assertEqual(self.sluice("cat", "secret", policy=self.ASKING).out, "S3CRET")

    @case
    def explain_tells_of_an_answer_for_always(self):
        self.answer_always("deny")
        r = self.native(SLUICE, "explain", "-p", self.policy(self.ASKING), "read", "secret")
        self.assert_status(r, 3)
        self.assertIn("answered     no, always: answers.policy:1\n", r.out)
        r = self.native(SLUICE, "explain", "-p", self.policy(self.ASKING), "read", "secret/beneath")
        self.assert_status(r, 3)
        self.assertNotIn("answered", r.out)

    @case
    def an_answer_for_always_lifts_no_deny_and_no_never(self):
        self.answer_always()
        for rule in ("deny read {dir}/secret", "never read {dir}/secret", "deny read {dir}"):
            r = self.sluice("cat", "secret", policy="{base}allow w {dir}\n%s\n" % rule)
            self.assert_status(r, 1)
            self.assertEqual(r.out, "")

    @case
    def an_answer_for_always_opens_nothing_where_nothing_is_asked(self):
        self.answer_always()
        r = self.sluice("cat", "secret", policy="{base}allow w {dir}\n")
        self.assert_status(r, 1)
        self.assertEqual(r.out, "")

    @case
    def a_link_planted_later_leads_an_old_answer_nowhere(self):
        self.put("d/secret", "S3CRET")
        self.put("other/secret", "0THER")
        os.makedirs(os.path.dirname(self.answers))
        with open(self.answers, "w", encoding="utf-8") as f:
            f.write("allow read %s/d/secret\n" % self.dir)
        policy = "{base}allow all {dir}\nask read **/secret\n"
        self.assertEqual(self.sluice("cat", "d/secret", policy=policy).out, "S3CRET")
        os.rename(os.path.join(self.dir, "d"), os.path.join(self.dir, "e"))
        os.symlink("other", os.path.join(self.dir, "d"))
        self.assert_status(self.sluice("cat", "d/secret", policy=policy), 1)

    @case
    def answers_that_others_can_write_are_not_used(self):
        self.answer_always()
        os.chmod(self.answers, 0o666)
        r = self.sluice("cat", "secret", policy=self.ASKING)
        self.assert_status(r, 1)
        self.assertIn("is not a file that only you can write", r.err)

    @case
    def broken_answers_are_not_used_and_their_line_is_named(self):
        self.answer_always()
        with open(self.answers, "a", encoding="utf-8") as f:
            f.write("allow reed /x\n")
        r = self.sluice("cat", "secret", policy=self.ASKING)
        self.assert_status(r, 1)
        self.assertIn("answers.policy:2", r.err)

    @case
    def the_command_writes_no_answers(self):
        script = "echo 'allow read %s/secret' >%s; mv %s %s.old" % (self.dir, self.answers, self.answers, self.answers)
        self.answer_always("deny")
        self.sluice("sh", "-c", script, policy=self.ASKING + "allow all %s\n" % self.home)
        self.assertEqual(self.written(), ["deny read %s/secret" % self.dir])
        self.native("sh", "-c", script)
        self.assertNotEqual(self.written(), ["deny read %s/secret" % self.dir], "control")

    # Many questions -----------------------------------------------------------------------------

    @case
    def many_names_of_one_directory_become_one_question(self):
        self.fill(*"abcdefgh")
        self.open_terminal("cat secret & sleep 0.5; for i in a b c d e f g h; do cat sub/$i & done; wait",
                           policy=self.BELOW + "ask read {dir}/secret\n")
        self.await_words("? help")
        time.sleep(1.5)
        self.answer("n")
        self.await_words("names in this directory?")
        self.answer("d")
        self.end()
        for c in "ABCDEFGH":
            self.assertIn(c + "-TEXT", self.shown)
        self.assertNotIn("? help", self.shown)

    @case
    def a_flood_is_refused_and_the_summary_counts_it(self):
        self.open_terminal("for i in $(seq 60); do mkdir -p s$i; echo x >s$i/f; done; "
                           "for i in $(seq 60); do cat s$i/f & done; wait; false",
                           policy="{base}allow all {dir}\nask read **/f\n",
                           options=["--prompt", "socket", "--prompt-timeout", "2"])
        self.end()
        self.assertRegex(self.shown, r"too many questions at once")
        self.assertRegex(self.shown, r"(?m)^sluice: \d+ accesses were refused \(\d+ times\)")

    # A hostile command --------------------------------------------------------------------------

    @case
    def an_answer_to_a_forged_prompt_answers_nothing(self):
        fake = ("\\033[2J\\033[Hsluice: may cat read this?\\n  path     %s/harmless\\n"
                "  y yes  r yes, this run\\n  k end the command  ? help  (60 s) " % self.dir)
        self.open_terminal("printf '%s'; sleep 1; cat secret" % fake, options=["--prompt-timeout", "2"])
        self.await_words("? help")
        os.write(self.tty, b"y")
        time.sleep(0.2)
        os.write(self.tty, b"y")
        self.await_words("no answer: no")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("S3CRET", self.shown)

    @case
    def painting_over_a_question_answers_nothing(self):
        self.open_terminal("(while :; do printf '\\033[2J\\033[6n\\033[c\\033]0;y\\007\\033[21t'; sleep 0.05; done) & "
                           "cat secret; kill $!", options=["--prompt-timeout", "2"])
        # A terminal's replies to what was printed, as it would send them.
        end = time.monotonic() + 2.5
        while time.monotonic() < end and "no answer" not in self.shown:
            os.write(self.tty, b"\033[24;80R\033[?62;c\033]ly\033\\")
            self.read_some(0.2)
        self.end()
        self.assertNotIn("S3CRET", self.shown)
        self.assertIn("no answer: no", self.shown)

    @case
    def a_paste_answers_nothing(self):
        self.open_terminal("cat secret", options=["--prompt-timeout", "2"])
        self.await_words("? help")
        time.sleep(0.4)
        for text in (b"y\n", b"yes\n", b"\033[200~y\033[201~"):
            os.write(self.tty, text)
            time.sleep(0.3)
        self.await_words("no answer: no")
        self.end()
        self.assertNotIn("S3CRET", self.shown)

    @case
    def a_reader_beside_the_question_takes_keys_but_gives_none(self):
        """Who waits in a read of the terminal gets all of it."""
        self.open_terminal("(cat >taken) </dev/tty & sleep 0.3; cat secret; kill $!", options=["--prompt-timeout", "2"])
        self.await_words("? help")
        while "no answer" not in self.shown:
            os.write(self.tty, b"y")
            self.read_some(0.3)
        self.end()
        self.assertNotIn("S3CRET", self.shown)
        with open(os.path.join(self.dir, "taken"), encoding="utf-8") as f:
            self.assertIn("y", f.read(), "control")

    @case
    def a_long_hostile_name_is_shown_whole_and_escaped(self):
        parts = ["x" * 200 + "\033[8m\n\u202e%02d" % i for i in range(17)]
        deep = self.dir
        for p in parts:
            deep = os.path.join(deep, p)
        os.makedirs(deep)
        with open(os.path.join(deep, "secret"), "w", encoding="utf-8") as f:
            f.write("DEEP")
        self.open_terminal("cat %s" % "/".join(["x*"] * len(parts)) + "/secret",
                           policy="{base}allow all {dir}\nask read **/secret\n")
        self.answer_seen = None
        self.await_words("? help")
        shown = self.shown.replace("\r\n", "\n")
        self.assertNotIn("\033", shown)
        self.assertNotIn("\u202e", shown)
        for i in range(len(parts)):
            self.assertIn("\\xae%02d/" % i, shown.replace("\n", ""))
        self.answer("y")
        self.end()
        self.assertIn("DEEP", self.shown)

    # Ends ---------------------------------------------------------------------------------------

    def running(self):
        r = subprocess.run([SLUICE, "ps", "--json"], env=self.environment(), stdout=subprocess.PIPE, check=True)
        return [s["pid"] for s in json.loads(r.stdout) if s["cwd"] == self.dir]

    @case
    def a_killed_sluice_leaves_the_terminal_as_it_was(self):
        self.put("secret", "S3CRET")
        argv = self.sluice_argv("cat", "secret", policy=self.ASKING)
        self.open_command(["sh", "-c", '"$@"; echo over; sleep 60', "sh"] + argv)
        self.await_words("? help")
        before = termios.tcgetattr(self.tty)
        self.assertFalse(before[3] & termios.ECHO, "the question is on")
        pids = self.running()
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], signal.SIGKILL)
        self.await_words("over")
        self.wait_for("single keys to be over", lambda: termios.tcgetattr(self.tty)[3] & termios.ICANON)
        self.assertTrue(termios.tcgetattr(self.tty)[3] & termios.ECHO)
        self.assertNotIn("S3CRET", self.shown)

    @case
    def each_question_is_a_line_of_the_record(self):
        record = os.path.join(self.root, "asked")
        self.open_terminal("cat secret; cat secret2; true", options=["--record", record])
        self.put("secret2", "x")
        self.answer("y")
        self.answer("N")
        self.end()
        lines = self.read_record(record)
        asked = [line for line in lines if line["type"] == "ask"]
        self.assertEqual([(a["op"], a["answer"], a["scope"], a["answered_by"]) for a in asked],
                         [("read", "yes", "once", "terminal"), ("read", "no", "run", "terminal")])
        self.assertGreater(asked[0]["dur_us"], 0)
        by_user = [line for line in lines if line["type"] == "access" and line["by"] == "user"]
        self.assertEqual([(a["path"].rsplit("/", 1)[1], a["verdict"]) for a in by_user],
                         [("secret", "allow"), ("secret2", "deny")])
