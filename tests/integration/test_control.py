# SPDX-License-Identifier: Apache-2.0
"""The control socket: clients that answer, clients that lie, programs that are the prompt, and who may not connect."""

import contextlib
import json
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time

from harness import LAYERS, SLUICE, SluiceCase, case

EXAMPLE = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../examples/prompt.py"))
ASKING = "{base}allow all {dir}\nask read {dir}/secret*\n"
ASKING_BELOW = "{base}allow all {dir}\nask read {dir}/sub\n"


class Client:
    def __init__(self, path, attach=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.text, self.early = b"", []
        self.hello = self.receive()
        self.numbers = 1
        if attach:
            self.ask(type="attach")

    def send(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, seconds=10.0):
        """The next message; None at the end, or if there is none in time."""
        if self.early:
            return self.early.pop(0)
        end = time.monotonic() + seconds
        while b"\n" not in self.text:
            ready, _, _ = select.select([self.socket], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not more:
                return None
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return json.loads(line)

    def until(self, kind, seconds=10.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            m = self.receive(end - time.monotonic())
            if m is None or m["type"] == kind:
                return m
        return None

    def ask(self, **message):
        """The answer to a message; what else comes is kept for receive()."""
        self.numbers += 1
        self.send(id=self.numbers, **message)
        early = []
        while True:
            m = self.receive()
            if m is None or m.get("re") == self.numbers:
                self.early += early
                return m
            early.append(m)

    def answer(self, asked, answer, scope="once", **more):
        return self.ask(**{**dict(type="answer", question=asked["question"], nonce=asked["nonce"],
                                  answer=answer, scope=scope, count=asked.get("count", 1)), **more})

    def close(self):
        self.socket.close()


class ControlCase(SluiceCase):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.root, "home")
        self.runtime = os.path.join(self.root, "run")
        for d in (self.home, self.runtime):
            os.mkdir(d, 0o700)
        self.put("secret", "S3CRET")

    def environment(self, extra=None):
        return super().environment({"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime, **(extra or {})})

    def sockets(self):
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.path.join(self.runtime, "sluice", n)
                          for n in os.listdir(os.path.join(self.runtime, "sluice")) if n.endswith(".sock"))
        return []

    def begin(self, script, policy=ASKING, prompt="socket", options=()):
        """A run whose clients answer; its process and the path of its socket."""
        known = self.sockets()
        argv = self.sluice_argv("sh", "-c", script, policy=policy, options=["--prompt", prompt, *options])
        process = self.start(argv)
        self.addCleanup(self.finish, process)
        self.wait_for("the control socket", lambda: len(self.sockets()) > len(known))
        return process, next(s for s in self.sockets() if s not in known)

    def finish(self, process, seconds=30):
        if process.returncode is None:
            try:
                process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.kill_session(process)
                process.communicate()

    def output(self, process, seconds=30):
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err

    def client(self, path, **how):
        client = Client(path, **how)
        self.addCleanup(client.close)
        return client

    def command(self, *words):
        return subprocess.run([SLUICE, *words], env=self.environment(), cwd=self.dir, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=False)


class Answers(ControlCase):
    @case
    def hello_says_who_and_which_version(self):
        process, path = self.begin("sleep 0.5", options=["--name", "me"])
        hello = self.client(path).hello
        self.assertEqual((hello["type"], hello["protocol"], hello["name"], hello["pid"]),
                         ("hello", 1, "me", process.pid))
        self.assertEqual(hello["argv"], ["sh", "-c", "sleep 0.5"])
        self.assertEqual(os.path.basename(path), hello["run"] + ".sock")

    @case
    def the_directory_is_ours_alone_and_empty_afterwards(self):
        process, path = self.begin("sleep 0.3")
        for name, mode in ((os.path.dirname(path), 0o700), (path, 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), mode)
        process.wait()
        self.assertEqual(self.sockets(), [])

    @case
    def yes_hands_the_object_over(self):
        process, path = self.begin("cat secret")
        c = self.client(path)
        q = c.until("question")
        self.assertEqual((q["op"], q["path"], q["kind"], q["claims"]),
                         ("read", self.dir + "/secret", "file", "cat secret"))
        self.assertIn("may cat read this?", q["words"])
        self.assertEqual(c.answer(q, "yes")["type"], "ok")
        d = c.until("decision")
        self.assertEqual((d["answer"], d["scope"], d["by"]), ("yes", "once", "client, pid %d" % os.getpid()))
        self.assertEqual(self.output(process)[:2], (0, "S3CRET"))

    @case
    def no_refuses_it(self):
        process, path = self.begin("cat secret")
        c = self.client(path)
        c.answer(c.until("question"), "no")
        self.assertEqual(self.output(process)[:2], (1, ""))

    @case
    def an_answer_for_the_run_is_asked_once_and_can_be_forgotten(self):
        process, path = self.begin("cat secret; cat secret; >twice; while ! test -e go; do sleep 0.05; done; "
                                   "cat secret")
        c = self.client(path)
        c.answer(c.until("question"), "yes", "run")
        self.wait_for("the second", lambda: os.path.exists(os.path.join(self.dir, "twice")))
        rules = [r for r in c.ask(type="rules")["rules"] if r["source"] == "answer"]
        self.assertEqual([r["rule"] for r in rules], ["allow read %s/secret" % self.dir])
        self.assertEqual(c.ask(type="remove", rule=rules[0]["id"])["type"], "ok")
        self.put("go")
        q = c.until("question")
        self.assertIsNotNone(q, "it is asked again")
        c.answer(q, "no")
        self.assertEqual(self.output(process)[:2], (1, "S3CRETS3CRET"))

    @case
    def an_answer_for_the_directory_holds_for_its_names(self):
        self.put("sub/a", "A")
        self.put("sub/b", "B")
        process, path = self.begin("cat sub/a sub/b", policy=ASKING_BELOW)
        c = self.client(path)
        q = c.until("question")
        self.assertIn("directory", q["offers"])
        c.answer(q, "yes", "directory")
        self.assertEqual(self.output(process)[:2], (0, "AB"))

    @case
    def always_wants_the_very_line_that_was_shown(self):
        process, path = self.begin("cat secret")
        c = self.client(path)
        q = c.until("question")
        for line in (None, "", "allow read /", q["yes_line"] + " ", q["no_line"]):
            self.assertEqual(c.answer(q, "yes", "always", line=line)["code"], "not-offered")
        self.assertEqual(c.answer(q, "yes", "always", line=q["yes_line"])["type"], "ok")
        self.assertEqual(self.output(process)[:2], (0, "S3CRET"))
        with open(os.path.join(self.home, ".config/sluice/answers.policy"), encoding="utf-8") as f:
            self.assertIn("\n%s\n" % q["yes_line"], f.read())

    @case
    def end_ends_the_command(self):
        process, path = self.begin("cat secret; sleep 60")
        c = self.client(path)
        c.answer(c.until("question"), "end")
        self.assertEqual(self.output(process)[0], -signal.SIGKILL)

    @case
    def names_of_one_directory_are_one_question_and_once_counts_them(self):
        for n in "abc":
            self.put("sub/" + n, n)
        process, path = self.begin("for i in a b c; do cat sub/$i & done; wait", policy=ASKING_BELOW)
        time.sleep(0.5)
        c = self.client(path)
        q = c.until("question")
        self.assertEqual((q["count"], sorted(q["names"]), q["path"]), (3, ["a", "b", "c"], self.dir + "/sub"))
        self.assertEqual(c.answer(q, "yes", count=2)["code"], "stale")
        self.assertEqual(c.answer(q, "yes")["type"], "ok")
        status, out, _ = self.output(process)
        self.assertEqual((status, sorted(out)), (0, ["a", "b", "c"]))

    @case
    def a_question_of_a_dead_caller_is_withdrawn(self):
        process, path = self.begin("cat secret & sleep 0.5; kill -9 $!; sleep 1.5")
        c = self.client(path)
        q = c.until("question")
        d = c.until("decision", 3)
        self.assertEqual((d["question"], d["answer"]), (q["question"], "withdrawn"))
        self.assertEqual(c.answer(q, "yes")["code"], "gone")
        process.wait()

    @case
    def more_than_fits_into_a_socket_is_sent_when_there_is_room(self):
        process, path = self.begin("sleep 3")
        c = self.client(path, attach=False)
        for _ in range(40):
            c.send(type="rules")
        self.assertEqual([m and m["type"] for m in (c.receive(5) for _ in range(40))], ["rules"] * 40)

    @case
    def long_names_do_not_keep_other_questions_from_being_shown(self):
        # Each byte of them is six in a line, twice: the first questions are more than may wait to be sent.
        long = os.path.join(*["\1" * 250] * 12)
        for n in range(6):
            self.put(os.path.join(long, str(n), "secret"))
        process, path = self.begin("sleep 0.5; for n in 0 1 2 3 4 5; do cat %s/$n/secret & done; cat secret; wait" % long,
                                   policy="{base}allow all {dir}\nask read **/secret*\n", options=["--prompt-timeout", "6"])
        c = self.client(path)
        seen = set()
        while len(seen) < 7:
            m = c.until("question", 4)
            if m is None:
                break
            seen.add(m["question"])
        self.assertEqual(len(seen), 7)
        self.client(path, attach=False).ask(type="end")

    @case
    def nobody_answers_and_it_is_no(self):
        process, path = self.begin("cat secret", options=["--prompt-timeout", "1"])
        c = self.client(path)
        c.until("question")
        self.assertEqual(c.until("decision")["answer"], "timeout")
        status, out, err = self.output(process)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("nobody answered in time", err)

    @case
    def without_a_terminal_a_client_answers_for_prompt_tty(self):
        process, path = self.begin("sleep 0.5; cat secret", prompt="tty")
        c = self.client(path)
        c.answer(c.until("question"), "yes")
        self.assertEqual(self.output(process)[:2], (0, "S3CRET"))

    @case
    def clients_cant_answer_for_prompt_none(self):
        process, path = self.begin("sleep 0.5; cat secret", prompt="none")
        c = self.client(path)
        self.assertIsNone(c.until("question", 2))
        self.assertEqual(self.output(process)[:2], (1, ""))

    @case
    def the_example_answers(self):
        process, path = self.begin("cat secret; cat secret; cat secret2")
        self.put("secret2", "2")
        r = subprocess.run([sys.executable, EXAMPLE, path], input="r\nn\n", env=self.environment(), stdout=subprocess.PIPE,
                           text=True, timeout=30, check=True)
        self.assertIn("may cat read this?", r.stdout)
        self.assertEqual(self.output(process)[:2], (1, "S3CRETS3CRET"))

    @case
    def the_example_asks_again_after_another_key(self):
        process, path = self.begin("cat secret")
        r = subprocess.run([sys.executable, EXAMPLE, path], input="x\ny\n", env=self.environment(),
                           stdout=subprocess.PIPE, text=True, timeout=30, check=True)
        self.assertEqual(r.stdout.count("y yes"), 2)
        self.assertEqual(self.output(process)[:2], (0, "S3CRET"))

    @case
    def blanks_in_what_a_process_claims_lay_out_no_lines(self):
        process, path = self.begin("cat 'none            sluice: may git read this?' secret")
        c = self.client(path)
        q = c.until("question")
        self.assertIn("claims   to be: cat none (12 blanks) sluice: may git read this? secret", q["words"])
        c.answer(q, "no")


class Liars(ControlCase):
    @case
    def a_second_a_late_and_a_made_up_answer_change_nothing(self):
        process, path = self.begin("cat secret; cat secret; sleep 0.5")
        c, other = self.client(path), self.client(path)
        q = c.until("question")
        self.assertEqual(c.answer(q, "yes", nonce="0" * 16)["code"], "nonce")
        self.assertEqual(c.answer(q, "yes", question=q["question"] + 7)["code"], "gone")
        self.assertEqual(c.answer(q, "no")["type"], "ok")
        self.assertEqual(other.answer(q, "yes")["code"], "gone")
        second = c.until("question")
        self.assertNotEqual((q["question"], q["nonce"]), (second["question"], second["nonce"]))
        self.assertEqual(c.answer(q, "yes")["code"], "gone")
        self.assertEqual(c.answer(second, "yes", nonce=q["nonce"])["code"], "nonce")
        self.assertEqual(c.answer(second, "no")["type"], "ok")
        self.assertEqual(self.output(process)[1], "")

    @case
    def what_is_no_message_is_an_error_and_nothing_more(self):
        process, path = self.begin("cat secret; true")
        c = self.client(path)
        q = c.until("question")
        for text in (b"", b"yes", b"[]", b"1", b"{", b"{}", b'{"type":1}', b'{"type":"nonsense"}', b'{"type":"answer"}',
                     b'{"type":"answer","question":-1,"answer":"yes"}', b"\xff\xfe", b'{"type":"attach\\u0000"}',
                     b'{"type":"attach"}{"type":"attach"}', b"[" * 1000, b'{"a":' * 100 + b"1" + b"}" * 100,
                     json.dumps({"type": "answer", "question": q["question"], "answer": "yes"}).encode(),
                     json.dumps({"type": "answer", "question": q["question"], "nonce": 5, "answer": "yes"}).encode(),
                     json.dumps({"type": "answer", "question": q["question"], "nonce": q["nonce"],
                                 "answer": "maybe"}).encode(),
                     json.dumps({"type": "answer", "question": q["question"], "nonce": q["nonce"],
                                 "answer": "timeout"}).encode(),
                     json.dumps({"type": "answer", "question": q["question"], "nonce": q["nonce"], "answer": "yes",
                                 "scope": "forever"}).encode()):
            c.socket.sendall(text + b"\n")
            self.assertEqual(c.until("error")["type"], "error", text)
        self.assertEqual(c.answer(q, "no")["type"], "ok")
        self.assertEqual(self.output(process)[1], "")

    @case
    def a_line_without_an_end_ends_the_client_only(self):
        process, path = self.begin("cat secret")
        c, other = self.client(path), self.client(path)
        q = other.until("question")
        with contextlib.suppress(ConnectionError):
            c.socket.sendall(b"x" * 200000)
        self.assertIsNone(c.until("nothing", 5))
        self.assertEqual(other.answer(q, "yes")["type"], "ok")
        self.assertEqual(self.output(process)[:2], (0, "S3CRET"))

    @case
    def clients_that_read_nothing_or_die_hold_nobody_up(self):
        for n in range(20):
            self.put("s%d/secret" % n, "S")
        process, path = self.begin("for r in 1 2 3 4 5; do for i in $(seq 0 19); do cat s$i/secret; done; done",
                                   policy="{base}allow all {dir}\nask read **/secret\n")
        slow = self.client(path)
        slow.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):  # what is not read ends with what is not taken
            for _ in range(300):
                slow.send(type="rules")
        dead = Client(path)
        dead.send(type="rules")
        dead.close()
        c = self.client(path)
        for _ in range(100):
            self.assertEqual(c.answer(c.until("question"), "yes")["type"], "ok")
        self.assertEqual(self.output(process)[:2], (0, "S" * 100))

    @case
    def more_clients_than_there_is_room_for_are_told_so(self):
        process, path = self.begin("sleep 1")
        clients = [self.client(path) for _ in range(16)]
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            self.assertIn(b"one client more", s.recv(1000))
        clients[0].close()
        time.sleep(0.2)
        self.assertEqual(self.client(path).hello["type"], "hello")
        process.wait()


class Crowds(ControlCase):
    @case
    def questions_leave_descriptors_for_others(self):
        """Calls that wait hold their objects; those of others must still find room."""
        self.put("plain", "PLAIN")
        with open(os.path.join(self.dir, "crowd.py"), "w", encoding="utf-8") as f:
            f.write("import os, threading, time\n"
                    "def ask(i):\n"
                    "    try: os.close(os.open('secret%d' % (i % 7), os.O_RDONLY))\n"
                    "    except OSError: pass\n"
                    "threading.stack_size(65536)\n"
                    "for i in range(300): threading.Thread(target=ask, args=(i,), daemon=True).start()\n"
                    "time.sleep(1)\n"
                    "print(open('plain').read(), flush=True)\n"
                    "os._exit(0)\n")
        for i in range(7):
            self.put("secret%d" % i)
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        argv = self.sluice_argv("sh", "-c", "ulimit -n; /usr/bin/python3 crowd.py", options=["--prompt", "socket"],
                                policy="{base}include build\nallow all {dir}\nask read {dir}/secret*\n")
        r = subprocess.run(argv, env=self.environment(), cwd=self.dir, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60, preexec_fn=limit, check=False)
        self.assertEqual(r.stdout, "256\nPLAIN\n", r.stderr)

    @case
    def the_command_has_the_limit_that_sluice_was_started_with(self):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 500))
        argv = self.sluice_argv("sh", "-c", "ulimit -Sn; ulimit -Hn", policy=ASKING)
        r = subprocess.run(argv, env=self.environment(), cwd=self.dir, stdout=subprocess.PIPE, text=True, timeout=60,
                           preexec_fn=limit, check=False)
        self.assertEqual(r.stdout, "300\n500\n")


class Programs(ControlCase):
    def program_that(self, body):
        path = os.path.join(self.root, "prompt")
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + body)
        os.chmod(path, 0o700)
        return "exec:" + path

    def run_with(self, body, script="cat secret", **how):
        options = ["--prompt", self.program_that(body)]
        return self.sluice("sh", "-c", script, policy=ASKING, options=[*options, *how.pop("options", ())], **how)

    @case
    def a_program_answers(self):
        r = self.run_with("cat >%s/question; echo '{\"answer\":\"yes\"}'" % self.root)
        self.assertEqual((r.status, r.out), (0, "S3CRET"), r)
        with open(os.path.join(self.root, "question"), encoding="utf-8") as f:
            q = json.loads(f.read())
        self.assertEqual((q["type"], q["op"], q["path"]), ("question", "read", self.dir + "/secret"))

    @case
    def a_program_behind_a_link_is_that_of_the_start(self):
        tools, marker = os.path.join(self.root, "tools"), os.path.join(self.root, "ran")
        os.mkdir(tools)
        program = "#!/bin/sh\necho %s >>%s; echo '{\"answer\":\"yes\"}'\n"
        for name, says in (("yes", "theirs"), ("w/other/yes", "planted")):
            path = os.path.join(self.root, "tools/yes" if name == "yes" else name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(program % (says, marker))
            os.chmod(path, 0o755)
        os.symlink(tools, os.path.join(self.dir, "tools"))
        r = self.sluice("sh", "-c", "rm tools && ln -s other tools && cat secret", policy=ASKING,
                        options=["--prompt", "exec:%s/tools/yes" % self.dir])
        self.assertEqual((r.status, r.out), (0, "S3CRET"), r)
        self.assertEqual(os.readlink(os.path.join(self.dir, "tools")), "other")
        with open(marker, encoding="utf-8") as f:
            self.assertEqual(f.read(), "theirs\n")

    @case
    def a_program_answers_for_the_run(self):
        r = self.run_with("echo x >>%s/count; echo '{\"answer\":\"yes\",\"scope\":\"run\"}'" % self.root,
                          "cat secret; cat secret")
        self.assertEqual((r.status, r.out), (0, "S3CRETS3CRET"), r)
        with open(os.path.join(self.root, "count"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "x\n")

    @case
    def whatever_is_no_whole_answer_is_no(self):
        for body in ("", "exit 0", "exit 1", "kill -9 $$", "echo yes", "echo '{\"answer\":\"yes\"}'; exit 3",
                     "echo '{\"answer\":\"yes\"}'; kill -9 $$", "echo '{\"answer\":\"yes\"'",
                     "echo '{\"answer\":\"yes\"} {\"answer\":\"yes\"}'", "head -c 10000 /dev/zero",
                     "echo '{\"answer\":\"no\"}'", "echo '{\"answer\":\"yes\",\"scope\":\"always\"}'"):
            r = self.run_with(body)
            self.assertEqual((r.status, r.out), (1, ""), "%s\n%s" % (body, r))

    # Always: each run is asked by a program that says so, and notes what it was asked -------------

    ASKING_WRITES = "{base}allow all {dir}\nask w,list {dir}/sub\n"

    def run_always(self, script, answer="yes"):
        """What was asked, in order, and the run."""
        body = ("exec python3 -c 'import json, sys; q = json.load(sys.stdin); open(\"%s/asked\", \"a\").write("
                "\" \".join((q[\"op\"], q[\"path\"][%d:], q[\"kind\"], q.get(\"makes\", \"\"))).strip() + \"\\n\"); "
                "print(json.dumps(dict(answer=\"%s\", scope=\"always\", line=q[\"%s_line\"])))'" %
                (self.root, len(self.dir) + 1, answer, answer))
        asked = os.path.join(self.root, "asked")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(asked)
        r = self.sluice("sh", "-c", script, policy=self.ASKING_WRITES, options=["--prompt", self.program_that(body)])
        self.assertNotIn("no answer from there is used", r.err)
        with contextlib.suppress(FileNotFoundError), open(asked, encoding="utf-8") as f:
            return f.read().splitlines(), r
        return [], r

    @case
    def always_for_a_directory_is_not_for_what_lies_beneath(self):
        self.put("sub/a/b/f", "F")
        for answer, status in (("yes", 0), ("no", 2)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.home, ".config/sluice/answers.policy"))
            asked, r = self.run_always("ls sub; ls sub/a", answer)
            self.assertEqual((asked, r.status), (["list sub directory", "list sub/a directory"], status), r)
            asked, r = self.run_always("ls sub; ls sub/a; ls sub/a/b", answer)
            self.assertEqual((asked, r.status), (["list sub/a/b directory"], status), r)

    @case
    def always_for_a_new_directory_is_not_for_what_is_made_in_it(self):
        os.mkdir(os.path.join(self.dir, "sub"))
        asked, r = self.run_always("mkdir sub/new")
        self.assertEqual((asked, r.status), (["create sub/new missing directory"], 0), r)
        asked, r = self.run_always("echo x >sub/new/f; mkdir sub/new/d; chmod 700 sub/new; rmdir sub/new/d")
        self.assertEqual((asked, r.status), (["create sub/new/f missing", "create sub/new/d missing directory",
                                              "meta sub/new directory", "delete sub/new/d directory"], 0), r)
        asked, r = self.run_always("chmod 600 sub/new/f; rm sub/new/f; rmdir sub/new; mkdir sub/new sub/new/d; "
                                   "echo x >sub/new/f; chmod 700 sub/new; rmdir sub/new/d")
        self.assertEqual((asked, r.status), (["meta sub/new/f file", "delete sub/new/f file",
                                              "delete sub/new directory"], 0), r)

    @case
    def always_to_write_and_to_create_one_file_hold_both(self):
        for answers in (("yes", "yes"), ("no", "yes"), ("no", "no"), ("yes", "no")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.home, ".config/sluice/answers.policy"))
            self.put("sub/f", "OLD")
            asked, r = self.run_always("echo x >>sub/f", answers[0])
            self.assertEqual((asked, r.status), (["write sub/f file"], 0 if answers[0] == "yes" else 2), r)
            os.unlink(os.path.join(self.dir, "sub/f"))
            asked, r = self.run_always("echo y >>sub/f", answers[1])
            self.assertEqual((asked, r.status), (["create sub/f missing"], 0 if answers[1] == "yes" else 2), r)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.dir, "sub/f"))
            for status in answers[::-1]: # it is made; then it is there, and is written
                asked, r = self.run_always("echo z >>sub/f", "no")
                self.assertEqual((asked, r.status), ([], 0 if status == "yes" else 2), "%s %s" % (answers, r))
                self.put("sub/f", "OLD")

    @case
    def a_question_tells_a_new_directory_from_a_new_file(self):
        os.mkdir(os.path.join(self.dir, "sub"))
        process, path = self.begin("mkdir sub/d; echo x >sub/f", policy=self.ASKING_WRITES)
        c = self.client(path)
        words = []
        for _ in range(2):
            q = c.until("question")
            self.assertEqual(q["kind"], "missing")
            words.append((q.get("makes"), q["yes_line"].split()[1], q["words"].split("\n")[2]))
            c.answer(q, "yes")
        self.assertEqual(words, [("directory", "create", "  object   new directory, does not exist yet"),
                                 (None, "write,create", "  object   does not exist yet")])
        self.assertEqual(self.output(process)[0], 0)

    @case
    def an_answer_whose_line_would_make_the_file_no_policy_holds_for_the_run(self):
        answers = os.path.join(self.home, ".config/sluice/answers.policy")
        os.makedirs(os.path.dirname(answers))
        with open(answers, "w", encoding="utf-8") as f:
            f.write("ask read %s/secret\n" % self.dir)
        process, path = self.begin("cat secret; cat secret")
        c = self.client(path)
        q = c.until("question")
        reply = c.answer(q, "yes", "always", line=q["yes_line"])
        self.assertEqual((reply["type"], reply.get("scope")), ("ok", "run"))
        self.assertEqual(c.until("decision")["scope"], "run")
        self.assertEqual(self.output(process)[:2], (0, "S3CRETS3CRET"))
        with open(answers, encoding="utf-8") as f:
            self.assertEqual(f.read(), "ask read %s/secret\n" % self.dir)

    @case
    def an_object_that_takes_a_free_name_meanwhile_is_asked_about(self):
        """The name is free and may be made; by then what a rule asks about bears it. Natively that is just opened."""
        link = """
import os, random
while True:
    os.link("secret", "log")
    for _ in range(random.randrange(600)): pass
    os.unlink("log")
"""
        script = """
import collections, os, time
end = time.monotonic() + 1
found = collections.Counter()
while time.monotonic() < end:
    try:
        fd = os.open("log", os.O_CREAT | os.O_RDONLY, 0o600)
        found[os.read(fd, 9)] += 1
        os.unlink("log")
        os.close(fd)
    except FileNotFoundError: pass
    except OSError as e: found[e.strerror] += 1
print(*sorted(map(str, found)))
"""
        prompt = self.program_that("echo '{\"answer\":\"yes\",\"scope\":\"run\"}'")
        linker = self.start(["sh", "-c", "while :; do /usr/bin/python3 -c '%s' 2>/dev/null; done" % link])
        try:
            r = self.sluice("/usr/bin/python3", "-c", script, options=["--prompt", prompt],
                            policy="{base}allow all {dir}\nask read {dir}/secret\n")
        finally:
            self.kill_session(linker)
        self.assertEqual((r.status, r.out), (0, "b'' b'S3CRET'\n"), r)

    @case
    def a_program_that_hangs_is_ended_with_what_it_started(self):
        r = self.run_with("sleep 300 & sleep 300", options=["--prompt-timeout", "1"])
        self.assertEqual((r.status, r.out), (1, ""), r)
        self.assertLess(r.seconds, 10)

    @case
    def the_command_cant_change_the_program(self):
        body = "echo '{\"answer\":\"no\"}'"
        script = "echo '#!/bin/sh' >%s/prompt; rm -f %s/prompt; cat secret" % (self.root, self.root)
        r = self.sluice("sh", "-c", script, options=["--prompt", self.program_that(body)],
                        policy=ASKING + "allow write,delete,meta %s\n" % self.root)
        self.assertEqual(r.out, "", r)
        with open(os.path.join(self.root, "prompt"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "#!/bin/sh\n" + body)


REACH = r"""
import os, socket, sys
path, how = sys.argv[1], sys.argv[2]
if how == "link":
    os.symlink(path, "link")
    path = "link"
if how == "move":
    os.rename(path, "moved")
    path = "moved"
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect(path)
print(s.recv(10000).decode())
"""


class Strangers(ControlCase):
    """Who must not be able to answer. OPEN lets the command do all that the user can, but for what sluice keeps."""

    OPEN = "allow all /\n"

    def reach(self, how):
        """What a command can reach of its own run's socket; the control is a process outside."""
        with open(os.path.join(self.dir, "reach.py"), "w", encoding="utf-8") as f:
            f.write(REACH)
        process, path = self.begin("while ! test -e path; do sleep 0.05; done; %s reach.py $(cat path) %s"
                                   % (sys.executable, how), policy=self.OPEN)
        if how != "move":
            r = self.native(sys.executable, "reach.py", path, how)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.dir, "link"))
            self.assertIn('"hello"', r.out, "control\n%s" % r)
        with open(os.path.join(self.dir, "p"), "w", encoding="utf-8") as f:
            f.write(path)
        os.rename(os.path.join(self.dir, "p"), os.path.join(self.dir, "path"))
        status, out, err = self.output(process)
        self.assertNotIn("hello", out)
        self.assertTrue(status != 0 or "may not connect" in out, "%s\n%s" % (out, err))

    @case
    def the_command_cant_connect(self):
        self.reach("plain")

    @case
    def the_command_cant_connect_through_a_link(self):
        self.reach("link")

    @case
    def the_command_cant_move_the_socket_away(self):
        self.reach("move")

    @case
    def reads_around_the_sockets_stay_with_the_kernel(self):
        """What is kept is that nobody changes them: that makes no read cost a notification."""
        if os.geteuid() == 0:
            self.skip("root could read of other processes in /proc: its reads are looked at for that")
        if LAYERS == "emulate":
            self.skip("all is looked at")
        r = self.command("explain", "--plan", "-p", "open", "--report", "none")
        self.assertIn("never w " + os.path.join(self.runtime, "sluice"), r.stdout)
        self.assertIn("Trapped: opens to write, ", r.stdout)
        self.assertNotIn("watches", r.stdout)

    @case
    def the_command_of_another_run_cant_connect(self):
        _, path = self.begin("cat secret", options=["--prompt-timeout", "3"])
        with open(os.path.join(self.dir, "reach.py"), "w", encoding="utf-8") as f:
            f.write(REACH)
        r = self.sluice(sys.executable, "reach.py", path, "plain", policy=self.OPEN)
        self.assertNotIn("hello", r.out)
        # A run that knows nothing of this directory: its command is refused by who it is.
        r = self.sluice(sys.executable, "reach.py", path, "plain", policy=self.OPEN,
                        env={"XDG_RUNTIME_DIR": self.home})
        self.assertNotIn("hello", r.out)
        self.assertTrue(r.status != 0 or "may not connect" in r.out, r)

    @case
    def another_user_cant_connect(self):
        if os.geteuid() != 0:
            self.skip("needs root, to become another user")
        _, path = self.begin("sleep 1")
        with open(os.path.join(self.dir, "reach.py"), "w", encoding="utf-8") as f:
            f.write(REACH)
        as_other = ["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "reach.py", path, "plain"]
        self.assertNotIn("hello", self.native(*as_other).out)
        for name in (self.root, self.runtime, os.path.dirname(path), path, self.dir):
            os.chmod(name, 0o777)
        r = self.native(*as_other)
        self.assertIn("another user's process may not connect", r.out, r)

    @case
    def a_directory_that_others_can_write_is_not_believed(self):
        os.chmod(self.runtime, 0o777)
        process, _ = self.begin_anywhere("sleep 0.5")
        self.assertEqual(self.sockets(), [])
        process.wait()

    def begin_anywhere(self, script):
        process = self.start(self.sluice_argv("sh", "-c", script, policy=ASKING))
        self.addCleanup(self.finish, process)
        time.sleep(0.3)
        return process, None


class Rules(ControlCase):
    OPEN = "{base}allow all {dir}\ndeny all {dir}/no\n"
    LOOP = "while ! test -e stop; do cat %s 2>&1; sleep 0.1; done"

    def rule(self, verb, process, *words):
        """The machine may have other runs of this user: the one that is meant is named."""
        return self.command("rule", verb, str(process.pid), *words)

    def looping(self, name="secret", policy=OPEN, options=()):
        process, path = self.begin("exec 2>&1; " + self.LOOP % name, policy=policy, prompt="none", options=options)
        self.addCleanup(self.put, "stop")
        return process, path

    def stop(self, process):
        self.put("stop")
        return self.output(process)[1]

    @case
    def ps_lists_runs(self):
        one, _ = self.looping(options=["--name", "first"])
        two, _ = self.looping()
        r = self.command("ps")
        self.assertEqual(r.returncode, 0, r)
        for p in (one, two):
            self.assertIn(" %d " % p.pid, r.stdout)
        self.assertIn("first: sh -c", r.stdout)
        states = json.loads(self.command("ps", "--json").stdout)
        self.assertLessEqual({one.pid, two.pid}, {s["pid"] for s in states})

    @case
    def a_dead_runs_socket_is_not_listed_and_goes(self):
        process, _ = self.looping()
        process.kill()
        process.communicate()
        self.assertEqual(len(self.sockets()), 1)
        self.assertNotIn(" %d " % process.pid, self.command("ps").stdout)
        self.assertEqual(self.sockets(), [])

    @case
    def an_added_deny_holds_at_once_and_until_it_is_removed(self):
        process, _ = self.looping()
        time.sleep(0.5)
        r = self.rule("add", process, "deny", "read", self.dir + "/secret")
        self.assertEqual(r.returncode, 0, r)
        self.assertIn("r1  deny read", r.stdout)
        time.sleep(0.2)
        self.put("mark1")
        time.sleep(0.5)
        self.assertIn("r1 ", self.rule("list", process).stdout)
        self.assertEqual(self.rule("remove", process, "r1").returncode, 0)
        time.sleep(0.5)
        out = self.stop(process)
        self.assertRegex(out, r"^(S3CRET)+(cat: secret: Permission denied\n)+(S3CRET)+$")

    @case
    def a_relative_path_is_of_the_shells_directory(self):
        process, _ = self.looping()
        r = self.rule("add", process, "deny", "read", "secret")
        self.assertIn("it names %s/secret\n" % self.dir, r.stdout, r)
        self.stop(process)

    @case
    def an_added_allow_opens_a_hole_that_workers_reach(self):
        self.put("no/file", "HOLE")
        process, _ = self.looping("no/file")
        time.sleep(0.3)
        r = self.rule("add", process, "allow", "read", self.dir + "/no/file")
        self.assertEqual(r.returncode, 0, r)
        time.sleep(0.5)
        self.assertRegex(self.stop(process), r"^(cat: no/file: Permission denied\n)+(HOLE)+$")

    def assert_refused(self, process, words, *rule):
        r = self.rule("add", process, *rule)
        self.assertEqual((r.returncode, r.stdout), (2, ""), r)
        self.assertIn(words, r.stderr)

    def needs_landlock(self):
        if LAYERS != "auto":
            self.skip("is about what the kernel enforces")

    @case
    def what_a_rule_cant_do_is_said_and_refused(self):
        self.needs_landlock()
        outside = os.path.join(self.root, "outside")
        with open(outside, "w", encoding="utf-8") as f:
            f.write("x")
        os.symlink(outside, os.path.join(self.dir, "link"))
        process, _ = self.looping(policy=self.OPEN + "never read {dir}/secret.never\n")
        self.assert_refused(process, "beyond what sluice's own workers were confined to", "allow", "read", outside)
        self.assert_refused(process, "by the link", "allow", "read", self.dir + "/link")
        self.assert_refused(process, "what could be executed when the run started", "allow", "exec", self.dir + "/no")
        self.assert_refused(process, "does not watch such calls", "deny", "stat", self.dir)
        self.assert_refused(process, "never read", "allow", "read", self.dir + "/secret.never")
        self.assert_refused(process, "no internet sockets", "allow", "connect", "*:*")
        self.assert_refused(process, "for the start of a run", "allow", "call", "chroot")
        self.assert_refused(process, "unknown operation", "deny", "reed", self.dir)
        self.assertNotIn("r1", self.rule("list", process).stdout.split("base:")[0])
        self.stop(process)

    @case
    def what_the_network_does_unseen_cant_be_refused_later(self):
        process, _ = self.looping(policy=self.OPEN + "allow connect *:*\n")
        self.assert_refused(process, "does not watch all such calls", "never", "connect", "*:*")
        self.assertEqual(self.rule("add", process, "deny", "bind", "*:*").returncode, 0)
        self.stop(process)

    @case
    def what_is_not_watched_cant_be_refused_later(self):
        self.needs_landlock()
        process, _ = self.looping(policy="allow rx /usr /bin /lib /lib64\nallow all {dir}\nreport none\n")
        self.assert_refused(process, "this run does not watch it", "deny", "read", self.dir + "/secret")
        self.stop(process)

    @case
    def what_the_kernel_granted_is_said(self):
        self.needs_landlock()
        self.put("tool", mode=0o755)
        process, _ = self.looping(policy="{base}allow all {dir}\n")
        r = self.rule("add", process, "deny", "exec", self.dir + "/tool")
        self.assertIn("the kernel lets the command execute there by itself", r.stdout)
        r = self.rule("add", process, "deny", "read", self.dir)
        self.assertIn("what is open stays open", r.stdout)
        self.stop(process)

    @case
    def a_question_is_settled_by_a_rule(self):
        for action, want in (("deny", (1, "")), ("never", (1, "")), ("allow", (0, "S3CRET"))):
            process, path = self.begin("cat secret")
            c = self.client(path)
            q = c.until("question")
            r = self.rule("add", process, action, "read", self.dir + "/secret")
            self.assertEqual(r.returncode, 0, r)
            self.assertEqual(self.output(process)[:2], want)
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                m = c.answer(q, "yes")
                self.assertTrue(m is None or m.get("code") == "gone", m)

    @case
    def an_added_ask_asks(self):
        process, path = self.begin("while ! test -e go; do sleep 0.1; done; cat secret", policy="{base}allow all {dir}\n")
        c = self.client(path)
        self.assertEqual(self.rule("add", process, "ask", "read", self.dir + "/secret").returncode, 0)
        self.put("go")
        c.answer(c.until("question"), "no")
        self.assertEqual(self.output(process)[:2], (1, ""))

    @case
    def the_command_cant_change_its_rules(self):
        process, _ = self.begin("sleep 0.5; %s rule add allow read %s/no; %s rule list; %s ps; cat no/file"
                                % (SLUICE, self.dir, SLUICE, SLUICE),
                                policy="allow all /\ndeny read {dir}/no\n", prompt="none")
        self.put("no/file", "HOLE")
        status, out, err = self.output(process)
        self.assertEqual((status, out), (1, ""), err)
