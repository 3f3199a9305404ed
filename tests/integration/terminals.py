# SPDX-License-Identifier: Apache-2.0
"""Programs on a pseudo-terminal, which the test looks at and types on."""

import contextlib
import os
import pty
import select
import shutil
import signal
import time

from harness import SluiceCase


class TerminalCase(SluiceCase):
    TAKEN = {"y": "yes\r\n", "r": "yes, for this run", "n": "no\r\n", "k": "ending the command"}
    ASKING = "{base}allow all {dir}\nask read {dir}/secret*\n"

    def open_terminal(self, script, options=(), policy=ASKING):
        self.open_command(self.sluice_argv("sh", "-c", script, policy=policy, options=options))

    def open_shell(self):
        self.open_command([shutil.which("bash"), "--norc", "--noprofile", "-i"])

    def type_line(self, line):
        os.write(self.tty, line.encode() + b"\n")

    def open_command(self, argv):
        self.put("secret", "S3CRET")
        env = self.environment()
        self.close_terminal()
        pid, self.tty = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.dir)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(99)
        self.shown, self.status = "", None
        self.pid = pid
        self.addCleanup(self.close_terminal)

    tty = None

    def close_terminal(self):
        if self.tty is None:
            return
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.tty)
        self.tty = None

    def read_some(self, seconds):
        ready, _, _ = select.select([self.tty], [], [], seconds)
        if not ready:
            return
        try:
            self.shown += os.read(self.tty, 65536).decode(errors="backslashreplace")
        except OSError:
            time.sleep(seconds)

    def await_words(self, words, seconds=20):
        end = time.monotonic() + seconds
        while words not in self.shown:
            if time.monotonic() > end:
                self.fail("%r was not shown, but:\n%s" % (words, self.shown))
            self.read_some(0.05)

    def answer(self, key):
        self.await_words("? help")
        time.sleep(0.4)
        self.shown = self.shown.split("? help", 1)[1]
        # A busy machine may read keys much later than it shows the question.
        for _ in range(20):
            os.write(self.tty, key.encode())
            end = time.monotonic() + 0.8
            while self.TAKEN[key] not in self.shown and time.monotonic() < end:
                self.read_some(0.05)
            if self.TAKEN[key] in self.shown:
                return
        self.fail("%s was not taken:\n%s" % (key, self.shown))

    def end(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.read_some(0.02)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        return self.fail("does not end:\n" + self.shown)
