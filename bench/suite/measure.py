# SPDX-License-Identifier: Apache-2.0
"""One timed run of a command: wall seconds, CPU seconds of its tree, what it printed.

Loops time themselves and print nanoseconds; whole commands are timed by hyperfine, one run at a time (the
order of runs is ours), or by wait4 where there is no hyperfine.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time


class Broken(Exception):
    """A command that is measured does not work."""


def interrupt_by_signals():
    """What ends a job, or its terminal, interrupts as SIGINT does; but not below nohup, which ignores it."""
    found = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]

    def interrupt(number, frame):
        # A closed terminal sends it twice; the second one would cut short the tidying up.
        for s in found:
            signal.signal(s, signal.SIG_IGN)
        raise KeyboardInterrupt

    for s in found:
        signal.signal(s, interrupt)


def _kill(pid, sig):
    try:
        os.killpg(pid, sig)
    except (ProcessLookupError, PermissionError):
        pass


class Run:
    """A command in a session of its own, so that all of it can be ended."""

    def __init__(self, argv, cwd, env=None, output=None):
        self.argv, self.late = argv, False
        self.began = time.monotonic()
        try:
            self.process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as e:
            raise Broken("%s: %s" % (argv[0], e.strerror)) from e

    def end(self):
        """sluice ends its tree with itself; others get a second to do so."""
        pid = self.process.pid
        _kill(pid, signal.SIGTERM)
        for _ in range(20):
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        _kill(pid, signal.SIGKILL)
        self.process.wait()

    def too_late(self):
        self.late = True
        _kill(self.process.pid, signal.SIGKILL)

    def wait(self, timeout):
        """(status, wall seconds, rusage)"""
        timer = threading.Timer(timeout, self.too_late)
        timer.daemon = True
        timer.start()
        try:
            _, status, usage = os.wait4(self.process.pid, 0)
            wall = time.monotonic() - self.began
            self.process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            self.end()
            raise
        finally:
            timer.cancel()
        if self.late:
            raise Broken("%s did not end within %g s" % (shorten(self.argv), timeout))
        return self.process.returncode, wall, usage


def shorten(argv, words=8):
    text = " ".join(shlex.quote(a) for a in argv[:words])
    return text + (" ..." if len(argv) > words else "")


def tail(text, size=1500):
    """The end of what a command said; where packages come from is nobody's business."""
    return re.sub(r"(\w+://)[^/\s]+", r"\1...", text[-size:]).strip()


def timed(argv, cwd, env=None, timeout=900.0):
    """({wall_s, user_s, sys_s}, output). Broken if it fails."""
    with tempfile.TemporaryFile() as out:
        status, wall, usage = Run(argv, cwd, env, out).wait(timeout)
        out.seek(0)
        text = out.read().decode(errors="backslashreplace")
    if status != 0:
        raise Broken("%s ended with status %d: %s" % (shorten(argv), status, tail(text)))
    return {"wall_s": wall, "user_s": usage.ru_utime, "sys_s": usage.ru_stime}, text


def timed_by_hyperfine(argv, cwd, work, env=None, timeout=3600.0):
    """The same, measured by hyperfine if there is one."""
    if not shutil.which("hyperfine"):
        return timed(argv, cwd, env, timeout)
    export, log = os.path.join(work, "hyperfine.json"), os.path.join(work, "command.log")
    # hyperfine hides stderr, and one wants to read why something failed: the shell is gone at once.
    command = ["sh", "-c", 'exec "$@" >"$0" 2>&1', log, *argv]
    with tempfile.TemporaryFile() as out:
        status, _, _ = Run(["hyperfine", "--style", "none", "--shell", "none", "--runs", "1", "--export-json",
                            export, shlex.join(command)], cwd, env, out).wait(timeout)
    text = ""
    if os.path.exists(log):
        with open(log, "rb") as f:
            text = f.read().decode(errors="backslashreplace")
    if status != 0:
        raise Broken("%s failed: %s" % (shorten(argv), tail(text)))
    with open(export, encoding="utf-8") as f:
        found = json.load(f)["results"][0]
    os.unlink(export)
    return {"wall_s": found["mean"], "user_s": found["user"], "sys_s": found["system"]}, text


def printed_ns(text, argv):
    """A loop's own figure: the last word that it printed."""
    try:
        return float(text.split()[-1])
    except (IndexError, ValueError):
        raise Broken("%s printed no number: %s" % (shorten(argv), tail(text))) from None


class Spinners:
    """Keeps every CPU from idling, at the least priority: as busy as a build keeps it, yet in nobody's way."""

    def __enter__(self):
        self.all = []
        try:
            for _ in range(os.cpu_count() or 1):
                p = subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL,
                                     start_new_session=True)
                self.all.append(p)
                os.sched_setscheduler(p.pid, os.SCHED_IDLE, os.sched_param(0))
        except BaseException:
            self.__exit__()
            raise
        return self

    def pids(self):
        return [p.pid for p in self.all]

    def __exit__(self, *_):
        for p in self.all:
            _kill(p.pid, signal.SIGKILL)
            p.wait()
