# SPDX-License-Identifier: Apache-2.0
"""Runs programs natively and under sluice, and looks at what they did.

A test is a method with the @case decorator whose name is a sentence. Each test gets a fresh scratch
directory (self.dir) which the target sees as any other; policies lie outside of it. Rules of the house:

- a test that something is refused has a positive control: the same program without sluice succeeds;
- effects are looked at from outside (contents, sizes, times, names), not only error numbers;
- no process of a test outlives it.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(os.path.dirname(__file__), "../../build")
BUILD = os.path.realpath(BUILD)
SLUICE = os.path.join(BUILD, "sluice")
PROGRAMS = os.path.join(BUILD, "tests/integration")
LAYERS = os.environ.get("SLUICE_TEST_LAYERS", "auto")
# Not SLUICE_*: sluice hides variables of that name from its targets.
MARK = "TREE_OF_TEST"

# What every policy of the tests starts from: programs run, nothing of the user's is open.
BASE = "include base\nallow rx {programs}\n"


def case(function):
    function.is_case = True
    return function


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_the_tests():
    """In a child before its exec: a run that is killed leaves no supervisor (and so no tree) behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Result:
    """What a finished command left: status, output, and the records if they were asked for."""

    def __init__(self, argv, status, out, err, seconds, records):
        self.argv, self.status, self.out, self.err = argv, status, out, err
        self.seconds, self.records = seconds, records

    def __str__(self):
        text = "$ %s\nstatus %s after %.2f s\n" % (" ".join(self.argv), self.status, self.seconds)
        for name, stream in (("stdout", self.out), ("stderr", self.err)):
            if stream:
                text += "%s:\n%s\n" % (name, clip(stream))
        return text


def adopt_orphans():
    """What a test leaves becomes our child, so that it can be reaped whatever init is."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def reap_orphans():
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def clip(text, limit=4000):
    return text if len(text) <= limit else text[:limit] + "\n[%d more bytes]" % (len(text) - limit)


def tree_of(path, content=True):
    """The tree below PATH as {name: what one can see of it}; two equal trees are untouched."""
    seen = {}

    def add(name, full):
        st = os.lstat(full)
        entry = [oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink, st.st_size, st.st_mtime_ns, st.st_ctime_ns]
        with contextlib.suppress(OSError):
            entry.append({a: os.getxattr(full, a, follow_symlinks=False)
                          for a in os.listxattr(full, follow_symlinks=False)})
        if os.path.islink(full):
            entry.append(os.readlink(full))
        elif content and os.path.isfile(full):
            with contextlib.suppress(PermissionError), open(full, "rb") as f:
                entry.append(f.read(4096))
        seen[name] = entry

    add(".", path)
    for where, dirs, files in os.walk(path):
        for name in dirs + files:
            full = os.path.join(where, name)
            add(os.path.relpath(full, path), full)
    return seen


def differences(before, after):
    lines = []
    for name in sorted(set(before) | set(after)):
        if before.get(name) != after.get(name):
            lines.append("%s: was %s, is %s" % (name, before.get(name, "absent"), after.get(name, "absent")))
    return lines


class SluiceCase(unittest.TestCase):
    longMessage = True
    maxDiff = None

    def setUp(self):
        # Not below TMPDIR: it may be one that a policy treats specially.
        self.root = tempfile.mkdtemp(prefix="sluice-test.", dir="/tmp")
        self.dir = os.path.join(self.root, "w")
        os.mkdir(self.dir)
        self.mark = uuid.uuid4().hex
        self.runs = 0
        self.addCleanup(reap_orphans)
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.addCleanup(self.assert_nobody_left)

    # Running ------------------------------------------------------------------------------------

    def environment(self, extra=None):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL")}
        env[MARK] = self.mark
        env.update(extra or {})
        return env

    def policy(self, text, name=None):
        """Write a policy; {dir}, {programs} and {base} are filled in. Returns its path."""
        self.runs += 1
        path = os.path.join(self.root, name or "policy%d.policy" % self.runs)
        text = text.replace("{base}", BASE).replace("{dir}", self.dir).replace("{programs}", PROGRAMS)
        with open(path, "w") as f:
            f.write(text)
        return path

    def program(self, name):
        path = os.path.join(PROGRAMS, name)
        if not os.path.exists(path):
            self.fail("there is no %s: build it" % path)
        return path

    def native(self, *argv, **how):
        return self._run(list(argv), **how)

    def sluice_argv(self, *argv, policy=None, options=(), record=None):
        command = [SLUICE, "run", "--layers", LAYERS]
        for p in [policy] if isinstance(policy, str) else policy or []:
            command += ["-p", self.policy(p) if "\n" in p else p]
        if record:
            command += ["--record", record]
        return command + list(options) + ["--"] + list(argv)

    def sluice(self, *argv, policy=None, options=(), record=False, **how):
        """Run argv under sluice. POLICY: a text (has a newline), a name or path, or a list of such."""
        file = os.path.join(self.root, "record%d" % self.runs) if record else None
        self.runs += 1
        result = self._run(self.sluice_argv(*argv, policy=policy, options=options, record=file), **how)
        if record:
            result.records = self.read_record(file)
        return result

    def read_record(self, file):
        with open(file, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def start(self, argv, env=None, cwd=None, pass_fds=(), stdin=subprocess.DEVNULL, **how):
        return subprocess.Popen(argv, env=self.environment(env), cwd=cwd or self.dir, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                errors="backslashreplace", pass_fds=pass_fds, start_new_session=True,
                                preexec_fn=die_with_the_tests, **how)

    def _run(self, argv, timeout=60, input=None, **how):
        began = time.monotonic()
        stdin = subprocess.PIPE if input is not None else subprocess.DEVNULL
        process = self.start(argv, stdin=stdin, **how)
        try:
            out, err = process.communicate(input=input, timeout=timeout)
        except subprocess.TimeoutExpired:
            stuck = self.describe_marked()
            self.kill_session(process)
            out, err = process.communicate()
            self.fail("did not end within %s s\n%s\n%s" % (
                timeout, Result(argv, process.returncode, out, err, timeout, None), stuck))
        return Result(argv, process.returncode, out, err, time.monotonic() - began, None)

    def kill_session(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pid in self.marked():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    # Processes of this test, found by a mark in their environment -------------------------------

    def marked(self):
        found = []
        want = ("%s=%s" % (MARK, self.mark)).encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open("/proc/%s/environ" % pid, "rb") as f:
                    if want in f.read().split(b"\0"):
                        found.append(int(pid))
        return found

    def describe_marked(self):
        lines = []
        for pid in self.marked():
            with contextlib.suppress(OSError):
                with open("/proc/%d/stat" % pid) as f:
                    stat = f.read()
                with open("/proc/%d/wchan" % pid) as f:
                    wchan = f.read()
                lines.append("still there: %s in %s" % (stat[:60], wchan))
        return "\n".join(lines)

    def wait_for(self, what, question, seconds=5.0):
        end = time.monotonic() + seconds
        while not question():
            if time.monotonic() > end:
                self.fail("waited %.1f s in vain for: %s" % (seconds, what))
            time.sleep(0.01)

    def assert_nobody_left(self):
        end = time.monotonic() + 2
        left = self.marked()
        while left and time.monotonic() < end:
            time.sleep(0.02)
            left = self.marked()
        text = self.describe_marked()
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if left:
            raise AssertionError("processes outlived the test\n" + text)

    # Looking ------------------------------------------------------------------------------------

    def assert_status(self, result, status):
        self.assertEqual(result.status, status, "\n%s" % result)

    def assert_untouched(self, before, path, result=None):
        lines = differences(before, tree_of(path))
        if lines:
            self.fail("%s was changed:\n%s\n%s" % (path, "\n".join(lines), result or ""))

    def put(self, name, content="", mode=None):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(content)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def skip(self, why):
        raise unittest.SkipTest(why)


def sentence(text):
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def add_cases(cls, names, function, prefix=""):
    """One test per NAME: function(self, name)."""
    for name in names:
        def method(self, name=name):
            function(self, name)
        method.is_case = True
        method.__name__ = prefix + sentence(name)
        setattr(cls, method.__name__, method)
