# SPDX-License-Identifier: Apache-2.0
"""A hostile command against questions: it answers one itself, has a yes to one object open another one, or
moves away what a rule that is added later refuses."""

import os
import time

import terminals
from harness import LAYERS, case
from test_control import ControlCase

# Takes all of a terminal's reply but its last byte, so that what is left looks like a key that was pressed.
TAKER = r"""
import os, sys, threading, time
how = sys.argv[1]
tty = os.open("/dev/tty", os.O_RDWR) if how != "stdin" else 0
out = os.open("/dev/tty", os.O_WRONLY)

def take():
    if how == "late":
        os.set_blocking(tty, False)
        while True:
            try:
                os.read(tty, 7)
                return
            except BlockingIOError:
                pass
    if how != "nobody":
        os.read(tty, 7)

def query():
    time.sleep(1)
    os.write(out, b"QUERY")

for f in take, query:
    threading.Thread(target=f, daemon=True).start()
time.sleep(0.2)
print(open("secret").read())
"""


class Replies(terminals.TerminalCase):
    def open_taker(self, how):
        self.put("taker.py", TAKER)
        self.open_terminal("exec /usr/bin/python3 taker.py " + how, options=["--prompt-timeout", "3"])
        self.await_words("QUERY")

    @case
    def the_tail_of_a_terminals_reply_is_no_answer(self):
        for how in ("tty", "stdin", "late", "nobody"):
            self.open_taker(how)
            os.write(self.tty, b"\033[?7;1$y")
            self.await_words("no answer: no")
            self.assertEqual(self.end(), 1, self.shown)
            self.assertNotIn("S3CRET", self.shown)

    @case
    def control_the_key_alone_is_one(self):
        self.open_taker("nobody")
        os.write(self.tty, b"y")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertIn("S3CRET", self.shown)

    @case
    def a_key_counts_again_when_the_others_have_read(self):
        self.open_taker("tty")
        os.write(self.tty, b"\033[?7;1$y")
        time.sleep(0.3)
        os.write(self.tty, b"y")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertIn("S3CRET", self.shown)


class Objects(ControlCase):
    """Approve secret1, get secret2."""

    MOVE = '/usr/bin/python3 -c "import os; os.rename(\'secret2\', \'secret1\')"'
    EXCHANGE = ('/usr/bin/python3 -c "import ctypes; ctypes.CDLL(None).renameat2(-100, b\'secret2\', -100, b\'secret1\', 2)"')
    LINK = "rm secret1; ln secret2 secret1"

    def setUp(self):
        super().setUp()
        self.put("secret1", "SHOWN")
        self.put("secret2", "HIDDEN")

    def answer_first(self, script, scope="once", wait=0.0, **how):
        """Say yes to the first question, no to all others. What was printed, and the questions."""
        process, path = self.begin(script, **how)
        client, asked = self.client(path), []
        while (q := client.until("question", 3)) is not None:
            if not asked:
                time.sleep(wait)
            more = {"line": q["yes_line"]} if scope == "always" and not asked else {}
            client.answer(q, "no" if asked else "yes", "once" if asked else scope, **more)
            asked.append(q)
        status, out, err = self.output(process)
        return out, err, asked

    @case
    def another_object_under_the_same_name_is_another_question(self):
        script = "cat secret1 & sleep 0.7; rm secret1; printf OTHER >secret1; cat secret1 & wait"
        out, err, asked = self.answer_first(script, wait=1.5)
        self.assertEqual((out, len(asked)), ("SHOWN", 2), err)

    @case
    def the_same_object_is_asked_about_once(self):
        out, err, asked = self.answer_first("cat secret1 & sleep 0.7; cat secret1 & wait", wait=1.5)
        self.assertEqual((out, len(asked)), ("SHOWNSHOWN", 1), err)

    @case
    def nothing_takes_the_name_of_what_was_said_yes_to(self):
        for scope in ("run", "always"):
            for move in (self.MOVE, self.EXCHANGE, self.LINK):
                self.put("secret1", "SHOWN")
                self.put("secret2", "HIDDEN")
                out, err, _ = self.answer_first("cat secret1; %s; cat secret1" % move, scope)
                self.assertNotIn("HIDDEN", out, "%s %s\n%s" % (scope, move, err))
                answers = os.path.join(self.home, ".config/sluice/answers.policy")
                if os.path.exists(answers):
                    os.unlink(answers)

    @case
    def control_natively_it_does(self):
        for move in (self.MOVE, self.EXCHANGE, self.LINK):
            self.put("secret1", "SHOWN")
            self.put("secret2", "HIDDEN")
            self.assertEqual(self.native("sh", "-c", "cat secret1; %s; cat secret1" % move).out, "SHOWNHIDDEN")

    @case
    def nothing_takes_the_name_of_what_is_being_asked_about(self):
        out, err, _ = self.answer_first("cat secret1 & sleep 0.7; %s; wait; cat secret1" % self.MOVE, "run", wait=1.5)
        self.assertEqual(out, "SHOWNSHOWN", err)

    @case
    def nothing_moves_into_a_directory_that_was_said_yes_to(self):
        self.put("secret.d/a", "SHOWN")
        self.put("secret.e/b", "HIDDEN")
        move = "/usr/bin/python3 -c \"import os; os.rename('secret.e/b', 'secret.d/b')\""
        whole = "rm -r secret.d; /usr/bin/python3 -c \"import os; os.rename('secret.e', 'secret.d')\""
        for script in ("cat secret.d/a; %s; cat secret.d/b" % move, "cat secret.d/a; %s; cat secret.d/b" % whole):
            self.put("secret.d/a", "SHOWN")
            out, err, _ = self.answer_first(script, "directory")
            self.assertEqual(out, "SHOWN", err)

    @case
    def what_was_said_yes_to_as_well_may(self):
        process, path = self.begin("cat secret1 secret2; %s; cat secret1" % self.MOVE)
        client = self.client(path)
        for _ in range(2):
            client.answer(client.until("question"), "yes", "run")
        status, out, err = self.output(process)
        self.assertEqual((status, out), (0, "SHOWNHIDDENHIDDEN"), err)


class Programs(ControlCase):
    """A program that answers imports what lies beside it."""

    PLANT = ("mkdir json; echo 'import os; open(\"../escaped\", \"w\"); os._exit(1)' >json/__init__.py; cat secret")

    def put_program(self, path):
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/usr/bin/python3\nimport json\nprint(json.dumps({'answer': 'yes'}))\n")
        os.chmod(path, 0o700)

    def run_with(self, path):
        return self.sluice("sh", "-c", self.PLANT, options=["--prompt", "exec:" + path],
                           policy="{base}allow all {dir}\nask read {dir}/secret\n")

    @case
    def a_program_may_not_lie_where_the_command_makes_files(self):
        link = os.path.join(self.root, "link")
        os.symlink(os.path.join(self.dir, "prompt"), link)
        self.put_program(os.path.join(self.dir, "prompt"))
        for path in (os.path.join(self.dir, "prompt"), link):
            r = self.run_with(path)
            self.assertEqual((r.status, r.out), (125, ""), r)
            self.assertIn("may make files beside it", r.err)
        self.assertFalse(os.path.exists(os.path.join(self.root, "escaped")))

    @case
    def elsewhere_it_answers(self):
        self.put_program(os.path.join(self.root, "prompt"))
        r = self.run_with(os.path.join(self.root, "prompt"))
        self.assertEqual((r.status, r.out), (0, "S3CRET"), r)

    @case
    def it_may_where_a_rule_refuses_that(self):
        os.mkdir(os.path.join(self.dir, "tools"))
        self.put_program(os.path.join(self.dir, "tools/prompt"))
        r = self.sluice("sh", "-c", "cat secret", policy="{base}allow all {dir}\nask read {dir}/secret\n",
                        options=["--prompt", "exec:%s/tools/prompt" % self.dir, "--never", "w:%s/tools" % self.dir])
        self.assertEqual((r.status, r.out), (0, "S3CRET"), r)

    @case
    def control_natively_it_imports_what_is_there(self):
        self.put_program(os.path.join(self.dir, "prompt"))
        r = self.native("sh", "-c", self.PLANT + "; ./prompt")
        self.assertNotIn("yes", r.out)
        self.assertTrue(os.path.exists(os.path.join(self.root, "escaped")), r)


class Later(ControlCase):
    """A rule is added when it is too late to be kept, or while a move waits."""

    MOVE = "/usr/bin/python3 -c \"import os; os.rename('d', 'e')\""

    def setUp(self):
        super().setUp()
        self.put("d/k", "HIDDEN")

    def deny(self, process):
        return self.command("rule", "add", str(process.pid), "deny", "read", self.dir + "/d/k")

    @case
    def a_rule_is_refused_where_names_are_not_watched(self):
        script = "while ! [ -e go ]; do sleep 0.05; done; %s; cat e/k d/k" % self.MOVE
        for policy, watched in (("{base}report none\nallow all {dir}\nask connect /run/none\n", LAYERS == "emulate"),
                                ("{base}allow all {dir}\n", True)):
            process, _ = self.begin(script, policy=policy, prompt="none")
            added = self.deny(process)
            self.put("go")
            _, out, err = self.output(process)
            os.unlink(os.path.join(self.dir, "go"))
            self.assertEqual(added.returncode == 0, watched or "HIDDEN" not in out, added)
            if watched:
                self.assertEqual(out, "", err)
            else:
                self.assertIn("does not watch names", added.stderr)
                os.rename(os.path.join(self.dir, "e"), os.path.join(self.dir, "d"))

    @case
    def each_rule_more_costs_one_descriptor(self):
        if os.geteuid() != 0:
            self.skip("needs root: sluice shows its descriptors to nobody else")
        process, _ = self.begin("while ! [ -e go ]; do sleep 0.05; done", policy="{base}allow all {dir}\n", prompt="none")
        before = len(os.listdir("/proc/%d/fd" % process.pid))
        for i in range(20):
            self.put("f%d" % i)
            added = self.command("rule", "add", str(process.pid), "deny", "read", "%s/f%d" % (self.dir, i))
            self.assertEqual(added.returncode, 0, added)
        self.assertLessEqual(len(os.listdir("/proc/%d/fd" % process.pid)), before + 25)
        self.put("go")
        self.assertEqual(self.output(process)[0], 0)

    LINKING = ("ln -s elsewhere l; cat l/k", "{base}allow all {dir}\nask create {dir}/l\n")

    def waiting_link(self):
        os.mkdir(os.path.join(self.dir, "elsewhere"))
        self.put("elsewhere/k", "FOUND")
        process, path = self.begin(*self.LINKING)
        return process, self.client(path)

    @case
    def a_link_that_waited_is_compared_by_the_rules_of_then(self):
        process, client = self.waiting_link()
        self.assertEqual(client.until("question")["op"], "create")
        added = self.command("rule", "add", str(process.pid), "deny", "write", self.dir + "/l/k")
        self.assertEqual(added.returncode, 0, added)
        client.answer(client.until("question"), "yes")
        _, out, err = self.output(process)
        self.assertEqual(out, "", err)
        self.assertFalse(os.path.lexists(os.path.join(self.dir, "l")), err)

    @case
    def control_without_the_rule_the_link_is_made(self):
        process, client = self.waiting_link()
        client.answer(client.until("question"), "yes")
        self.assertEqual(self.output(process)[1], "FOUND")

    MOVING = ("/usr/bin/python3 -c \"import os; os.rename('k', 'l')\"; cat l",
              "{base}allow all {dir}\nask delete {dir}/k {dir}/l\n")

    @case
    def a_move_that_waited_is_compared_by_the_rules_of_then(self):
        self.put("k", "HIDDEN")
        process, path = self.begin(*self.MOVING)
        client = self.client(path)
        self.assertEqual(client.until("question")["op"], "delete")
        added = self.command("rule", "add", str(process.pid), "deny", "read", self.dir + "/k")
        self.assertEqual(added.returncode, 0, added)
        client.answer(client.until("question"), "yes")
        _, out, err = self.output(process)
        self.assertEqual(out, "", err)
        self.assertTrue(os.path.exists(os.path.join(self.dir, "k")), err)

    @case
    def control_without_the_rule_it_moves(self):
        self.put("k", "HIDDEN")
        process, path = self.begin(*self.MOVING)
        client = self.client(path)
        client.answer(client.until("question"), "yes")
        self.assertEqual(self.output(process)[1], "HIDDEN")
