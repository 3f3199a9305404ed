# SPDX-License-Identifier: Apache-2.0
"""What the user types and reads: exit statuses, help, errors, summary, records, questions, installation."""

import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time

from harness import BUILD, LAYERS, SLUICE, SluiceCase, add_cases, case
import terminals

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
COMMANDS = ("run", "explain", "trace", "learn", "log", "ask", "ps", "rule", "doctor")
LATER = ("serve",)
OPEN = "{base}allow all {dir}\n"


def options_of(text):
    return set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", text))


class Words(SluiceCase):
    """Nothing is run under a policy here."""

    def say(self, *words):
        return self.native(SLUICE, *words)

    @case
    def help_and_version_are_on_stdout_and_succeed(self):
        for words in (["--help"], ["help"], ["--version"], ["run", "--version"]):
            r = self.say(*words)
            self.assert_status(r, 0)
            self.assertTrue(r.out, r)
            self.assertFalse(r.err, r)

    @case
    def each_command_has_help(self):
        for command in COMMANDS:
            r = self.say(command, "--help")
            self.assert_status(r, 0)
            self.assertIn("usage: sluice " + command, r.out)
            self.assertEqual(r.out, self.say("help", command).out)
            self.assertIn(command, self.say("--help").out)

    @case
    def names_for_later_are_refused_and_not_shown(self):
        overview = self.say("--help").out
        for command in LATER:
            r = self.say(command, "x")
            self.assert_status(r, 125)
            self.assertIn("%s: not available in this version" % command, r.err)
            self.assertNotRegex(overview, r"(?m)^  %s\b" % command)

    @case
    def a_program_instead_of_a_command_is_recognised(self):
        r = self.say("make", "-j2") if shutil.which("make") else self.say("sh", "-c", "true")
        self.assert_status(r, 125)
        self.assertRegex(r.err, r"did you mean `sluice run (make|sh)`\?")
        self.assertIn('did you mean "run"?', self.say("rnu").err)
        self.assert_status(self.say(), 125)

    @case
    def unknown_words_are_escaped(self):
        r = self.say("a\033[2J\nsluice: fine")
        self.assertNotIn("\033", r.err)
        self.assertEqual(r.err.count("\n"), 1, r)

    @case
    def help_and_the_manual_name_the_same_options(self):
        with open(os.path.join(TOP, "man/sluice.1"), encoding="utf-8") as f:
            page = f.read()
        manual = {"-" + o for o in re.findall(r"(?m)^\.It Fl (-?[a-z][a-z-]*)", page)}
        shown = options_of("\n".join(re.findall(r"(?m)^  (-.*?)(?:  .*)?$", self.say("run", "--help").out)))
        self.assertTrue(shown)
        self.assertEqual(shown, manual)

    @case
    def completions_offer_what_help_names(self):
        shown = options_of("\n".join(re.findall(r"(?m)^  (-.*?)(?:  .*)?$", self.say("run", "--help").out)))
        for name, form in (("sluice.bash", "%s"), ("_sluice", "%s"), ("sluice.fish", None)):
            with open(os.path.join(TOP, "completions", name), encoding="utf-8") as f:
                text = f.read()
            for option in shown:
                want = option if form else re.sub("^-(.)$", r"-s \1", option).replace("--", "-l ")
                self.assertIn(want, text, name)

    @case
    def the_manual_is_clean(self):
        if not shutil.which("mandoc"):
            self.skip("mandoc is not installed")
        pages = [os.path.join(TOP, "man", p) for p in os.listdir(os.path.join(TOP, "man"))]
        r = self.native("mandoc", "-T", "lint", "-W", "style", *pages)
        # Pages of others need not be installed here.
        bad = [line for line in r.out.splitlines() if "referenced manual not found" not in line]
        self.assertFalse(bad, "\n".join(bad))

    @case
    def installed_it_finds_its_profiles(self):
        if not shutil.which("cmake"):
            self.skip("cmake is not installed")
        if not os.access(BUILD, os.W_OK):
            self.skip("cmake --install writes a list into the build directory, which is another user's")
        prefix = os.path.join(self.root, "usr")
        r = self.native("cmake", "--install", BUILD, "--prefix", prefix)
        self.assert_status(r, 0)
        for name in ("bin/sluice", "share/sluice/profiles/build.policy", "share/man/man1/sluice.1",
                     "share/bash-completion/completions/sluice", "share/zsh/vendor-completions/_sluice",
                     "share/fish/vendor_completions.d/sluice.fish"):
            self.assertTrue(os.path.exists(os.path.join(prefix, name)), name)
        # Not those of the source tree.
        with open(os.path.join(prefix, "share/sluice/profiles/base.policy"), "a", encoding="utf-8") as f:
            f.write("nonsense\n")
        r = self.native(os.path.join(prefix, "bin/sluice"), "run", "-p", "base", "true")
        self.assert_status(r, 125)
        self.assertIn('unknown word "nonsense"' if "unknown word" in r.err else "nonsense", r.err)


def check_syntax(self, shell):
    if not shutil.which(shell):
        self.skip("%s is not installed" % shell)
    name = {"bash": "sluice.bash", "zsh": "_sluice", "fish": "sluice.fish"}[shell]
    r = self.native(shell, "-n", os.path.join(TOP, "completions", name))
    self.assert_status(r, 0)
    self.assertFalse(r.err, r)


add_cases(Words, ("bash", "zsh", "fish"), check_syntax, "completion_parses_in_")


class Run(SluiceCase):
    def run_open(self, script, *options, policy=OPEN, **how):
        return self.sluice("sh", "-c", script, policy=policy, options=options, **how)

    @case
    def the_status_is_the_commands(self):
        for status in (0, 1, 7, 125, 255):
            self.assert_status(self.run_open("exit %d" % status), status)

    @case
    def a_signal_that_kills_the_command_kills_sluice(self):
        for name in ("TERM", "KILL", "SEGV", "INT"):
            r = self.run_open("kill -%s $$" % name)
            self.assert_status(r, -getattr(signal, "SIG" + name))

    @case
    def what_was_not_started_says_why(self):
        plain = self.put("plain", "not a program", 0o644)
        self.assert_status(self.sluice("no-such-program-here", policy=OPEN, env={"PATH": "/usr/bin:/bin"}), 127)
        self.assert_status(self.sluice(plain, policy=OPEN), 126)
        self.assert_status(self.sluice("true", policy="{base}\nallow reed {dir}\n"), 125)

    @case
    def a_refusal_is_summed_up_with_the_option_that_allows_it(self):
        secret = os.path.join(self.root, "it's a secret")
        with open(secret, "w", encoding="utf-8") as f:
            f.write("x")
        script = "cat \"%s\"; cat \"%s\"; exit 3" % (secret, secret)
        r = self.run_open(script)
        self.assert_status(r, 3)
        self.assertRegex(r.err, r"sluice: 1 access was refused \(2 times\), sh ended with status 3")
        self.assertRegex(r.err, r"2x  read    .*it's a secret +by cat\n")
        option = re.search(r"--allow .*", r.err)[0]
        words = subprocess.run(["bash", "-c", "printf '%s\\n' " + option], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        r = self.run_open(script, *words)
        self.assertEqual(r.out, "xx")
        self.assertNotIn("refused (", r.err)

    @case
    def success_is_summed_up_in_one_line_unless_verbose(self):
        script = "cat /etc/shadow 2>/dev/null; cat %s/f 2>/dev/null; true" % self.root
        with open(os.path.join(self.root, "f"), "w", encoding="utf-8") as f:
            f.write("x")
        r = self.run_open(script)
        self.assert_status(r, 0)
        self.assertRegex(r.err, r"\Asluice: .*sh succeeded \(-v shows them\)\n\Z")
        self.assertIn("--allow read:", self.run_open(script, "-v").err)
        self.assertEqual(self.run_open(script, "-q").err, "")

    @case
    def fail_denied_turns_success_into_failure(self):
        with open(os.path.join(self.root, "f"), "w", encoding="utf-8") as f:
            f.write("x")
        script = "cat %s/f 2>/dev/null; exit " % self.root
        self.assert_status(self.run_open(script + "0", "--fail-denied"), 1)
        self.assert_status(self.run_open(script + "4", "--fail-denied"), 4)
        self.assert_status(self.run_open("exit 0", "--fail-denied"), 0)
        quiet = OPEN + "deny read %s/f quiet\n" % self.root
        self.assert_status(self.run_open(script + "0", "--fail-denied", policy=quiet), 0)

    @case
    def a_missing_file_is_no_refusal(self):
        r = self.run_open("cat %s/nothing-here; exit 0" % self.root, "-v", "--fail-denied")
        self.assert_status(r, 0)
        self.assertNotIn("refused (", r.err)

    @case
    def records_and_statistics_are_written(self):
        stats = os.path.join(self.root, "stats")
        secret = os.path.join(self.root, "f")
        with open(secret, "w", encoding="utf-8") as f:
            f.write("x")
        r = self.run_open("cat %s; echo x >out; exit 5" % secret, "--stats", stats, "--name", "mine", record=True)
        self.assertEqual([n for n, line in enumerate(r.records, 1) if line["seq"] != n], [])
        self.assertEqual(r.records[0]["type"], "start")
        self.assertEqual(r.records[0]["name"], "mine")
        self.assertTrue(all(p["sha256"] for p in r.records[0]["policies"]), r.records[0])
        self.assertEqual(r.records[-1]["type"], "end")
        self.assertEqual(r.records[-1]["status"], 5)
        denied = [x for x in r.records if x.get("path") == secret]
        self.assertEqual([x["verdict"] for x in denied], ["deny"])
        self.assertEqual(denied[0]["op"], "read")
        self.assertTrue(denied[0]["exe"].endswith("/cat"))
        with open(stats, encoding="utf-8") as f:
            numbers = json.load(f)
        self.assertEqual(numbers["status"], 5)
        self.assertGreater(numbers["notifications"], 0)

    @case
    def the_peak_of_memory_is_its_own(self):
        """Not that of who started it, which the kernel's ru_maxrss keeps."""
        stats = os.path.join(self.root, "stats")
        script = "import subprocess, sys; fat = bytearray(b'x' * (400 << 20)); sys.exit(subprocess.call(sys.argv[1:]))"
        argv = self.sluice_argv("true", policy="include base\n", options=["--stats", stats])
        self.assert_status(self.native("/usr/bin/python3", "-c", script, *argv), 0)
        with open(stats, encoding="utf-8") as f:
            peak = json.load(f)["max_rss_kib"]
        self.assertTrue(1000 < peak < 300000, peak)

    @case
    def what_is_known_already_is_recalled_for_the_record(self):
        stats = os.path.join(self.root, "stats")
        r = self.run_open("for i in 1 2 3 4 5 6 7 8 9 10; do read x </etc/passwd; read x </etc/nothing; done; exit 0",
                          "--stats", stats, record=True)
        for name, err in (("/etc/passwd", None), ("/etc/nothing", 2)):
            lines = [x for x in r.records if x.get("path") == name and x["exe"].endswith("sh")]
            self.assertEqual(len([x for x in lines if x.get("errno") == err and x["exists"] is (not err)]), 10)
        with open(stats, encoding="utf-8") as f:
            numbers = json.load(f)
        if LAYERS == "auto" and numbers["continued"] > 0:
            self.assertGreaterEqual(numbers["cache_hits"], 9)

    @case
    def what_is_missing_is_known_to_be_however_a_compiler_writes_it(self):
        """For "#include <stdio.h>" it looks for ./stdio.h first, which must not cost more than to find it."""
        os.mkdir(os.path.join(self.dir, "here"))
        stats, counts = os.path.join(self.root, "stats"), {}
        around = "../" * 20 + self.dir.lstrip("/")
        for name in ("no", "./no", "./no/such", "../no", ".././no", around + "/no", around + "/./no", "here/../no"):
            r = self.sluice("sh", "-c", "cd here; sleep 0.1; for i in %s; do read x <%s; done; exit 3"
                            % (" ".join(map(str, range(100))), name), options=["--stats", stats])
            self.assert_status(r, 3)
            self.assertEqual(r.err.count("o such file"), 100, r.err[:300])
            with open(stats, encoding="utf-8") as f:
                counts[name] = json.load(f)
        if LAYERS == "auto" and counts["no"]["continued"] > 0:
            misses = {name: c["cache_misses"] for name, c in counts.items()}
            known = [n for n, m in misses.items() if m < misses["no"] + 20]
            # What is behind a name that may be a link is not told from the names alone.
            self.assertEqual(known, [n for n in misses if not n.endswith(("w/./no", "here/../no"))], misses)

    @case
    def what_is_missing_only_to_a_dead_directory_costs_no_descriptor(self):
        """Its name, and what is beneath that, may be somebody else's by now."""
        script = ("d=$PWD/d; mkdir -p $d/a; cd $d/a; rmdir $d/a $d; mkdir -p $d/a \"$d/a (deleted)\"; "
                  "echo >$d/x; echo >\"$d/a (deleted)/x\"; "
                  "i=0; while [ $i -lt 400 ]; do read y <../x; read y <x; i=$((i+1)); done; echo done; read y")
        process = self.start(self.sluice_argv("sh", "-c", script), stdin=subprocess.PIPE)
        self.addCleanup(self.kill_session, process)
        self.assertEqual(process.stdout.readline(), "done\n")
        with open("/proc/%d/status" % process.pid, encoding="utf-8") as f:
            room = int(re.search(r"^FDSize:\s(\d+)", f.read(), re.M)[1])  # its descriptors are for root to list
        _, err = process.communicate("\n")
        self.assertEqual(err.count("o such file"), 800, err[:300])
        self.assertLess(room, 512)

    @case
    def what_cannot_be_printed_is_told_by_the_status(self):
        for words in (["doctor"], ["doctor", "--json"], ["--help"], ["help", "run"], ["--version"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                r = subprocess.run([SLUICE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(r.returncode, 2, words)
            self.assertIn("standard output: can't be written", r.stderr)

    @case
    def a_start_that_is_refused_leaves_old_outputs(self):
        old = self.put("old", "mine\n")
        link = os.path.join(self.dir, "link")
        os.link(old, link)
        for options in (["--record", old, "--gate", "on"], ["--record", old, "-p", "./none"],
                        ["--record", "./old", "--stats", old], ["--record", old, "--stats", link]):
            r = self.run_open("true", *options)
            self.assert_status(r, 125)
            with open(old, encoding="utf-8") as f:
                self.assertEqual(f.read(), "mine\n", options)

    @case
    def a_full_disk_does_not_stop_the_command(self):
        r = self.run_open("echo done", "--record", "/dev/full")
        self.assert_status(r, 0)
        self.assertEqual(r.out, "done\n")
        self.assertRegex(r.err, r"--record: \d+ lines were lost \(No space left on device\)")

    @case
    def policy_and_record_are_kept_from_the_command(self):
        record = os.path.join(self.dir, "rec")
        policy = self.policy(OPEN, name="w/my.policy")
        r = self.sluice("sh", "-c", "echo x >rec; echo x >my.policy; rm -f rec; mv my.policy other; ls",
                        policy=policy, options=["--record", record])
        self.assertEqual(r.out.split(), ["my.policy", "rec"], r)
        with open(policy, encoding="utf-8") as f:
            self.assertIn("allow", f.read())
        with open(record, encoding="utf-8") as f:
            self.assertEqual(json.loads(f.readline())["type"], "start")

    @case
    def a_planted_link_is_not_written_through(self):
        precious = self.put("precious", "precious")
        os.symlink(precious, os.path.join(self.dir, "rec"))
        r = self.run_open("true", "--record", os.path.join(self.dir, "rec"))
        self.assert_status(r, 125)
        with open(precious, encoding="utf-8") as f:
            self.assertEqual(f.read(), "precious")

    @case
    def policies_that_are_links_are_kept_though_not_in_use(self):
        home, theirs = os.path.join(self.root, "home"), self.put("repository/mine.policy", "allow read /x\n")
        os.makedirs(os.path.join(home, ".config/sluice"))
        os.symlink(theirs, os.path.join(home, ".config/sluice/mine.policy"))
        os.symlink("nowhere", os.path.join(home, ".config/sluice/dangling"))
        script = "echo include open >repository/mine.policy; rm repository/mine.policy; mv repository r; true"
        r = self.run_open(script, env={"HOME": home})
        self.assert_status(r, 0)
        with open(theirs, encoding="utf-8") as f:
            self.assertEqual(f.read(), "allow read /x\n", r)

    @case
    def a_planted_directory_is_not_written_into(self):
        os.mkdir(os.path.join(self.root, "elsewhere"))
        self.run_open("ln -s %s/elsewhere out" % self.root)
        for option in ("--record", "--stats"):
            r = self.run_open("true", option, "out/r")
            self.assert_status(r, 125)
            self.assertIn("%s out/r: leads through the link %s/out" % (option, self.dir), r.err)
        self.assertEqual(os.listdir(os.path.join(self.root, "elsewhere")), [])
        self.assert_status(self.run_open("true", "--record", os.path.join(self.root, "elsewhere/r")), 0)

    @case
    def a_policy_is_not_read_by_a_name_that_the_command_may_change(self):
        shared = os.path.join(self.root, "shared")
        os.mkdir(shared)
        self.policy(OPEN, name="shared/my.policy")
        os.symlink(shared, os.path.join(self.dir, "conf"))
        os.symlink(shared + "/my.policy", os.path.join(self.dir, "my.policy"))
        self.policy("include ./conf/my.policy\n", name="w/including.policy")
        for name in ("conf/my.policy", "my.policy", "including.policy"):
            r = self.sluice("true", policy="./" + name)
            self.assert_status(r, 125)
            self.assertRegex(r.err, "my.policy: leads through the link %s/(conf|my.policy), which" % self.dir)
        self.assert_status(self.sluice("true", policy=shared + "/my.policy"), 0)
        # Where the command may not change the link it is as good as the file.
        os.symlink(shared, os.path.join(self.root, "link"))
        self.assert_status(self.sluice("true", policy=self.root + "/link/my.policy"), 0)

    @case
    def a_closed_stderr_does_not_change_the_status(self):
        process = self.start(self.sluice_argv("sh", "-c", "cat /etc/shadow; cat %s; exit 6" % self.root, policy=OPEN))
        process.stderr.close()
        self.assertEqual(process.wait(20), 6)
        process.stdout.close()


class Terminal(terminals.TerminalCase):
    """sluice with a pseudo-terminal of its own, as in a shell without job control."""

    @case
    def y_hands_the_file_over(self):
        self.open_terminal("cat secret")
        self.answer("y")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertIn("S3CRET", self.shown)

    @case
    def n_refuses_it(self):
        self.open_terminal("cat secret")
        self.answer("n")
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("S3CRET", self.shown)
        self.assertIn("the answer was no", self.shown)

    @case
    def r_asks_only_once(self):
        self.open_terminal("cat secret; cat secret")
        self.answer("r")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertEqual(self.shown.count("S3CRET"), 2)

    @case
    def time_is_limited(self):
        self.open_terminal("cat secret", options=["--prompt-timeout", "1"])
        self.await_words("no answer: no")
        self.assertEqual(self.end(), 1, self.shown)

    @case
    def k_ends_everything(self):
        self.open_terminal("sleep 60 & cat secret; sleep 60")
        self.answer("k")
        self.assertNotEqual(self.end(), 0, self.shown)

    @case
    def the_question_of_a_dead_process_is_withdrawn(self):
        self.open_terminal("cat secret & while ! test -e go; do sleep 0.05; done; kill -9 $!; sleep 2; echo over")
        self.await_words("? help")
        self.put("go")
        self.await_words("(no longer needed)", 2)
        self.await_words("over")
        self.assertEqual(self.end(), 0, self.shown)

    @case
    def an_interrupt_ends_the_question_and_the_command(self):
        self.interrupt()

    @case
    def an_interrupt_ends_them_where_the_command_is_traced(self):
        self.interrupt("--on-death", "ptrace")

    def interrupt(self, *options):
        self.open_shell()
        argv = self.sluice_argv("cat", "secret", policy=self.ASKING, options=options)
        self.type_line(" ".join(map(shlex.quote, argv)))
        self.await_words("? help")
        self.shown = ""
        os.write(self.tty, b"\x03")
        self.await_words("(no longer needed)")
        self.await_words("# " if os.geteuid() == 0 else "$ ")
        self.type_line("echo status $?; stty -a; echo is here")
        self.await_words("\nis here\r\n")
        self.assertIn("status 130\r\n", self.shown)
        self.assertRegex(self.shown, r"[^-]icanon")
        self.type_line("exit 7")
        self.assertEqual(self.end(), 7, self.shown)

    @case
    def a_job_in_the_background_asks_nothing(self):
        self.open_shell()
        self.type_line(" ".join(map(shlex.quote, self.sluice_argv("cat", "secret", policy=self.ASKING))) + " & wait")
        self.await_words("no terminal to ask on")
        self.type_line("exit 7")
        self.assertEqual(self.end(), 7, self.shown)
        self.assertNotIn("? help", self.shown)

    @case
    def only_the_asking_call_waits(self):
        self.open_terminal("cat secret & while ! test -e go; do sleep 0.05; done; echo others go on; wait")
        self.await_words("? help")
        self.put("go")
        self.await_words("others go on")
        self.answer("n")
        self.end()

    @case
    def what_was_allowed_is_the_object_that_was_asked_about(self):
        self.put("other", "0THER")
        self.open_terminal("cat secret")
        self.await_words("? help")
        os.rename(os.path.join(self.dir, "secret"), os.path.join(self.dir, "secret.old"))
        os.rename(os.path.join(self.dir, "other"), os.path.join(self.dir, "secret"))
        self.answer("y")
        self.end()
        self.assertNotIn("0THER", self.shown)

    @case
    def what_somebody_else_made_meanwhile_is_asked_about(self):
        """The question was about a name that is free; to refuse the call without a word would be neither yes nor no."""
        self.put("made", "theirs\n")
        self.open_terminal("echo mine >>log; cat log", policy="{base}allow all {dir}\nask write {dir}/log\n")
        self.await_words("? help")
        os.rename(os.path.join(self.dir, "made"), os.path.join(self.dir, "log"))
        self.answer("y")
        self.await_words("? help")
        self.answer("y")
        self.assertEqual(self.end(), 0, self.shown)
        self.assertIn("theirs\r\nmine", self.shown)

    @case
    def without_a_prompt_it_is_no(self):
        self.open_terminal("cat secret", options=["--prompt", "none"])
        self.assertEqual(self.end(), 1, self.shown)
        self.assertNotIn("? help", self.shown)

    @case
    def the_terminal_is_as_before(self):
        self.open_terminal("stty -a >before; cat secret; stty -a >after")
        self.answer("y")
        self.end()
        with open(os.path.join(self.dir, "before"), encoding="utf-8") as b, \
                open(os.path.join(self.dir, "after"), encoding="utf-8") as a:
            self.assertEqual(b.read(), a.read())


