# SPDX-License-Identifier: Apache-2.0
"""sluice trace: agrees with strace, lists what a build tool wants, changes nothing, says when it is not complete."""

import json
import os
import shutil
import sys

import strace_log
import trace_calls
from harness import LAYERS, SLUICE, SluiceCase, case

MAKEFILE = """\
CFLAGS = -MMD -O1
prog: a.o b.o
\t$(CC) -o $@ $^
\t./prog > out.txt
tool.stamp: prog
\tcp prog tool.tmp && mv tool.tmp tool && rm -f out.txt && touch $@
"""
FILES = {
    "Makefile": MAKEFILE,
    "a.c": '#include "inc/a.h"\n#include <stdio.h>\nint f(void);\n'
           'int main(void) { printf("%d\\n", f() - X); return 0; }\n',
    "inc/a.h": "#define X 3\n",
    "b.c": "int f(void) { return 7; }\n",
}


# Looks at one name again and again, so that what is known of it is recalled, and changes between what leads to it.
CHANGES = """
import os, time
def look(path):
    for _ in range(3):
        time.sleep(0.02)  # what has just changed is not learned
        try:
            os.stat(path)
        except OSError:
            pass
def twice(path):
    look(path)
    look(os.getcwd() + "/" + path)
os.mkdir("d"); open("d/f", "w").close(); os.symlink("d", "l")
twice("l/f")
os.mkdir("e"); open("e/f", "w").close(); os.unlink("l"); os.symlink("e", "l")
twice("l/f")
os.rename("d", "g"); os.symlink("g", "d")
twice("d/f")
os.link("g/f", "h"); os.symlink("h", "s")
twice("s")
os.unlink("s"); os.symlink("g/f", "s")
twice("s")
twice("m/n/f")
os.symlink("e", "m")
twice("m/n/f")
os.mkdir("e/n")
twice("m/n/f")
os.symlink("x/y", "z")
twice("z")
os.mkdir("x")
twice("z")
os.rmdir("x")
twice("z")
twice("k/../f")
os.mkdir("k")
twice("k/../f")
os.rmdir("k")
twice("k/../f")
os.chdir("e")
look("f")
os.chdir("../g")
look("f")
"""
SEEN = ["d/f", "e/f", "g/f", "h", "g/f", "m/n/f -", "e/n/f -", "z -", "x/y -", "z -", "k -", "f -", "k -", "e/f", "g/f"]


class Trace(SluiceCase):
    def trace_argv(self, *argv, options=()):
        return [SLUICE, "trace", "--layers", LAYERS] + list(options) + ["--"] + list(argv)

    def trace(self, *argv, options=(), **how):
        return self._run(self.trace_argv(*argv, options=options), **how)

    def record(self, *argv, options=(), status=0, **how):
        file = os.path.join(self.root, "record%d" % self.runs)
        self.runs += 1
        r = self.trace(*argv, options=["--json", "-o", file] + list(options), **how)
        self.assert_status(r, status)
        with open(file, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        return file, lines

    def lists(self, kind, *argv, options=(), **how):
        file = os.path.join(self.root, "list%d" % self.runs)
        self.runs += 1
        r = self.trace(*argv, options=["-o", file, "--" + kind] + list(options), **how)
        self.assert_status(r, 0)
        with open(file, encoding="utf-8") as f:
            names = [line.rstrip("\n") for line in f]
        return {n[len(self.dir) + 1:] for n in names if n.startswith(self.dir + "/")}, names

    def project(self):
        if not shutil.which("make") or not shutil.which("cc"):
            self.skip("make or cc is not installed")
        for name, text in FILES.items():
            self.put(name, text)

    def start_over(self):
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)

    # What strace says -----------------------------------------------------------------------------

    def agree(self, prepare, *argv):
        if not shutil.which("strace"):
            self.skip("strace is not installed")
        logs = os.path.join(self.root, "strace")
        os.mkdir(logs)
        prepare()
        # Names that differ between runs on purpose: the private directory, and here the same for both.
        env = {"TMPDIR": os.path.join(self.root, "tmp")}
        os.mkdir(env["TMPDIR"])
        r = self.native("strace", "-ff", "-y", "-qq", "-s", "65535", "-o", os.path.join(logs, "log"), *argv, env=env)
        if "ptrace" in r.err.lower():
            self.skip("strace can't trace here: " + r.err[:100])
        self.start_over()
        prepare()
        file, _ = self.record(*argv, env=env)
        log, record = strace_log.Log(logs, cwd=self.dir), strace_log.Record(file)
        self.assertTrue(record.complete)
        lacking, more = strace_log.compare(log, record, (env["TMPDIR"],))
        self.assertGreater(len(log.seen), 50)
        text = "".join("%s\n    %s\n" % row for row in lacking)
        self.assertFalse(lacking, "strace saw, and the record lacks:\n" + text)
        text = "".join("%s\n    %s\n" % row for row in more)
        self.assertFalse(more, "only in the record:\n" + text)

    @case
    def agrees_with_strace_on_a_build(self):
        self.agree(self.project, shutil.which("make") or "make", "tool.stamp")

    @case
    def agrees_with_strace_on_calls_of_many_kinds(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trace_calls.py")
        self.agree(lambda: trace_calls.prepare(self.dir), os.path.realpath(sys.executable), "-S", program)

    # Lists --------------------------------------------------------------------------------------

    @case
    def lists_inputs_outputs_and_missing_names(self):
        self.project()
        own, names = self.lists("inputs", "make", "tool.stamp")
        self.assertEqual(own, {"Makefile", "a.c", "b.c", "inc/a.h"})
        self.assertTrue(any(n.endswith("/cc1") for n in names), names)
        self.assertTrue(any("/ld-linux" in n or "/ld-musl" in n for n in names), "the interpreter")
        for name in os.listdir(self.dir):
            if name not in FILES and name != "inc":
                os.unlink(os.path.join(self.dir, name))
        own, _ = self.lists("outputs", "make", "tool.stamp")
        self.assertEqual(own, {"a.o", "b.o", "a.d", "b.d", "prog", "tool", "tool.stamp"})
        # What the build makes later was not looked for in vain, what another directory would give was.
        self.start_over()
        self.project()
        self.put("none/other")
        self.put("a.c", '#include "a.h"\nint f(void);\nint main(void) { return f() - X - 4; }\n')
        own, _ = self.lists("missing", "cc", "-I", "none", "-Iinc", "-c", "a.c")
        self.assertIn("none/a.h", own)
        self.assertIn("a.h", own)
        self.assertNotIn("a.o", own)

    @case
    def finds_undeclared_inputs_in_depfiles_and_lists(self):
        self.project()
        argv = ["cc", "-MMD", "-c", "a.c"]
        own, names = self.lists("undeclared", *argv, options=["a.d"])
        self.assertEqual(names, [], "the compiler's own list is complete")
        # A compiler that says nothing of an input: here, one that is read by the assembler.
        self.put("blob", "data")
        self.put("a.c", '__asm__(".incbin \\"blob\\"");\nint main(void) { return 0; }\n')
        own, names = self.lists("undeclared", *argv, options=["a.d"])
        self.assertEqual(own, {"blob"}, names)
        r = self.trace(*argv, options=["--undeclared", "a.d", "--fail-undeclared"])
        self.assert_status(r, 1)
        self.put("list", "# declared\na.c\n%s/blob\n" % self.dir)
        r = self.trace(*argv, options=["--undeclared", "list", "--fail-undeclared"])
        self.assert_status(r, 0)
        r = self.trace(*argv, options=["--undeclared", "list", "--system"])
        self.assertIn("cc1", r.err)
        r = self.trace(*argv, options=["--undeclared", "no-such-list", "--fail-undeclared"])
        self.assert_status(r, 125)
        # The command's own failure counts for more.
        self.assert_status(self.trace("false", options=["--undeclared", "list", "--fail-undeclared"]), 1)
        self.assert_status(self.trace("sh", "-c", "cat blob; exit 7",
                                      options=["--undeclared", "a.d", "--fail-undeclared"]), 7)

    @case
    def exact_names_and_json_carry_any_byte(self):
        name = "new\nline \udcff \033[31m\u202e"
        self.put(name, "x")
        file = os.path.join(self.root, "names")
        self.assert_status(self.trace("cat", name, options=["--inputs", "-0", "-o", file]), 0)
        with open(file, "rb") as f:
            self.assertIn(os.fsencode(os.path.join(self.dir, name)), f.read().split(b"\0"))
        r = self.trace("cat", name, options=["--inputs"])
        self.assertNotIn("\033", r.err)
        self.assertNotIn("\u202e", r.err)
        self.assertEqual(len([n for n in r.err.splitlines() if self.dir in n]), 1)
        self.assert_status(self.trace("cat", name, options=["--inputs", "--json", "-o", file]), 0)
        with open(file, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        self.assertIn(os.fsencode(os.path.join(self.dir, name)).hex(), [line.get("path_hex") for line in lines])

    # The run ------------------------------------------------------------------------------------

    @case
    def the_command_behaves_as_without(self):
        script = "echo out; echo err >&2; cat; umask; pwd; test -e nothing; exit 3"
        plain = self.native("sh", "-c", script, input="in")
        traced = self.trace("sh", "-c", script, input="in", options=["-o", os.path.join(self.root, "digest")])
        self.assertEqual((plain.status, plain.out, plain.err), (traced.status, traced.out, traced.err))
        self.assert_status(self.trace("sh", "-c", "kill -TERM $$"), -15)
        self.assert_status(self.trace("no-such-command"), 127)

    @case
    def the_digest_tells_what_happened(self):
        self.project()
        r = self.trace("make", "tool.stamp")
        self.assert_status(r, 0)
        for text in ("make ended with status 0", "; complete", "inputs: 4", "outputs: 7", "  inc/a.h", "  prog"):
            self.assertIn(text, r.err)
        self.assertRegex(r.err, r"executed: \d+")
        kept = os.path.join(self.root, "kept.jsonl")
        r = self.trace("make", "-B", options=["--record", kept])
        again = self.native(SLUICE, "trace", "--from", kept)
        self.assert_status(again, 0)
        self.assertEqual(r.err.splitlines()[0], again.err.splitlines()[0])

    @case
    def processes_are_told(self):
        _, lines = self.record("sh", "-c", "(sleep 0.1; exit 4) & cat /dev/null; wait $!; sh -c 'kill -9 $$'; true")
        forks = {d["pid"]: d for d in lines if d["type"] == "fork"}
        execs = [d for d in lines if d["type"] == "exec"]
        exits = {d["pid"]: d for d in lines if d["type"] == "exit"}
        self.assertEqual(set(forks), set(exits))
        shell = execs[0]["pid"]
        self.assertEqual([d["ppid"] for p, d in forks.items() if p != shell].count(shell) >= 2, True)
        self.assertIn(["cat", "/dev/null"], [d["argv"] for d in execs])
        self.assertTrue(all(d["cwd"] == self.dir for d in execs))
        codes = [(d.get("status"), d.get("signal")) for d in exits.values()]
        # Older kernels tell the status only of those whose parent is slow to ask.
        if any(c != (None, None) for c in codes):
            self.assertIn((None, 9), codes)
        seq = [d["seq"] for d in lines]
        self.assertEqual(seq, sorted(seq))
        self.assertEqual(lines[-1]["type"], "end")
        self.assertIs(lines[-1]["complete"], True)

    @case
    def threads_belong_to_their_process(self):
        program = "import threading\nt = threading.Thread(target=open, args=('%s',))\nt.start()\nt.join()\n"
        name = self.put("by-thread", "x")
        _, lines = self.record(sys.executable, "-S", "-c", program % name)
        seen = [d for d in lines if d.get("path") == name and d.get("op") == "read"]
        self.assertEqual(len(seen), 1)
        self.assertNotEqual(seen[0]["pid"], seen[0]["tid"])
        self.assertIn(seen[0]["pid"], [d["pid"] for d in lines if d["type"] == "exec"])
        self.assertIn("python", os.path.basename(seen[0]["exe"]))

    @case
    def names_follow_what_leads_to_them(self):
        _, lines = self.record(sys.executable, "-S", "-c", CHANGES)
        seen = [d["path"][len(self.dir) + 1:] + ("" if d["exists"] else " -") for d in lines
                if d["type"] == "access" and d["op"] == "stat" and "stat" in d["syscall"]
                and d["path"].startswith(self.dir + "/") and not d.get("dir")]
        self.assertEqual([n for i, n in enumerate(seen) if i == 0 or n != seen[i - 1]], SEEN)
        self.assertEqual(len(seen), 6 * 14 + 3 * 2)

    @case
    def an_interpreter_is_the_one_that_is_there(self):
        self.put("script", "#!/bin/cat\n", mode=0o755)
        change = "./script; ./script; printf '#!/bin/echo\\n' >script; ./script; ln -s /bin/true p; ./p; ./p; " \
                 "ln -sf /bin/false p; ./p; exit 0"
        _, lines = self.record("sh", "-c", change)
        seen = [os.path.basename(d["path"]) for d in lines if d["type"] == "access" and d["op"] == "exec"]
        seen = [n for n in seen if n in ("script", "cat", "echo", "true", "false")]
        self.assertEqual(seen, ["script", "cat"] * 2 + ["script", "echo"] + ["true"] * 2 + ["false"])

    @case
    def a_program_that_cuts_itself_off_makes_it_incomplete(self):
        # Where it confines itself, sluice no longer acts for it, and does not know its view.
        confine = ("import ctypes,os\nl=ctypes.CDLL(None)\n"
                   "a=(ctypes.c_uint64*1)(1)\nfd=l.syscall(444,a,8,0)\nl.prctl(38,1,0,0,0)\n"
                   "r=l.syscall(446,fd,0)\nopen('seen').close() if os.path.exists('seen') else 0\nprint(r)")
        self.put("seen")
        r = self.trace(sys.executable, "-S", "-c", confine)
        if r.out.strip() != "0":
            self.skip("Landlock can't be used by the command here")
        self.assertIn("INCOMPLETE", r.err)

    @case
    def a_path_that_only_its_program_may_read_makes_it_incomplete(self):
        script = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = libc.syscall(447, 0)
if fd < 0: sys.exit("no memfd_secret")
os.ftruncate(fd, 4096)
at = libc.mmap(None, ctypes.c_size_t(4096), 3, 1, fd, ctypes.c_long(0))
ctypes.memmove(at, b"made\\0", 5)
print(libc.syscall(83, ctypes.c_void_p(at), 0o755), libc.syscall(83, None, 0o755))
"""
        r = self.trace("/usr/bin/python3", "-c", script.replace("ctypes.c_void_p(at)", "b'made'"))
        self.assertIn("; complete", r.err, "the control: a wrong address alone is nobody's secret")
        os.rmdir(os.path.join(self.dir, "made"))
        r = self.trace("/usr/bin/python3", "-c", script)
        if "no memfd_secret" in r.err:
            self.skip("no memfd_secret here")
        self.assertEqual("0 -1\n" if LAYERS == "auto" else "-1 -1\n", r.out, "without Landlock it is not done unseen")
        self.assertIn("INCOMPLETE", r.err)

    @case
    def what_is_only_recorded_is_not_refused(self):
        # A connection that is opened by sending.
        script = ("import errno, socket\n"
                  "def result(f, *args):\n"
                  "    try: return f(*args) or 0\n"
                  "    except OSError as e: return errno.errorcode[e.errno]\n"
                  "l = socket.create_server(('127.0.0.1', 0))\n"
                  "for how in (lambda s, to: s.sendto(b'x', socket.MSG_FASTOPEN, to),\n"
                  "            lambda s, to: s.sendmsg([b'x'], [], socket.MSG_FASTOPEN, to)):\n"
                  "    print('send', result(how, socket.socket(), l.getsockname()))\n")
        native = self.native("python3", "-c", script)
        self.assert_status(native, 0)
        r = self.trace("python3", "-c", script)
        self.assert_status(r, 0)
        self.assertEqual(native.out, r.out)

    @case
    def a_policy_can_be_given(self):
        secret = self.put("secret", "x")
        r = self.trace("cat", "secret", options=["-p", "open", "--deny", "read:" + secret])
        self.assert_status(r, 1)
        self.assertIn("refused: 1", r.err)

    @case
    def outputs_replace_nothing_that_is_read_or_in_vain(self):
        record, kept = os.path.join(self.root, "record"), self.put("kept", "mine\n")
        self.assert_status(self._run(self.trace_argv("true", options=["--record", record])), 0)
        with open(record, "rb") as f:
            before = f.read()
        os.link(record, record + ".link")
        for words in (["--from", record, "-o", record], ["--from", record, "-o", record + ".link"],
                      ["--undeclared", "list:" + record, "-o", record, "--", "true"],
                      ["--record", record, "-o", record, "--", "true"],
                      ["--record", record, "-o", "%s/../%s/record" % (self.root, os.path.basename(self.root)), "--", "true"]):
            r = self.native(SLUICE, "trace", "--inputs", *words)
            self.assertNotEqual(r.status, 0, r)
            self.assertIn("give it its own", r.err)
            with open(record, "rb") as f:
                self.assertEqual(f.read(), before)
        for words in (["-p", "./none", "--", "true"], ["--from", record + ".none"]):
            r = self.native(SLUICE, "trace", "--inputs", "-o", kept, *words)
            self.assertNotEqual(r.status, 0, r)
            with open(kept, encoding="utf-8") as f:
                self.assertEqual(f.read(), "mine\n", words)

    @case
    def the_command_cannot_write_the_report(self):
        r = self.trace("sh", "-c", "echo x >report; rm -f report; mv report other; cat report",
                       options=["--inputs", "-o", "report"])
        self.assertEqual(os.listdir(self.dir), ["report"], r)
        with open(os.path.join(self.dir, "report"), encoding="utf-8") as f:
            self.assertNotIn("x\n", f.read())

    @case
    def bad_options_say_what_to_write(self):
        for options, text in ((["--fail-undeclared"], "--undeclared FILE"), (["-0"], "goes with one list"),
                              (["--json", "-0", "--inputs"], "contradict"), (["--inpts"], "--inputs")):
            r = self.trace("true", options=options)
            self.assert_status(r, 125)
            self.assertIn(text, r.err)
        self.assert_status(self.native(SLUICE, "trace"), 125)
        link = os.path.join(self.root, "link")
        os.symlink(os.path.join(self.root, "elsewhere"), link)
        r = self.trace("true", options=["-o", link])
        self.assert_status(r, 125)
        self.assertFalse(os.path.exists(os.path.join(self.root, "elsewhere")))
