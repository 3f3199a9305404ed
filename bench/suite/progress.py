# SPDX-License-Identifier: Apache-2.0
"""How far a run is, on stderr: one line that is rewritten on a terminal, else a line now and then."""

import shutil
import sys
import time

EVERY_S = 20.0


def span(seconds):
    if seconds < 90:
        return "%d s" % round(seconds)
    if seconds < 5400:
        return "%d min" % round(seconds / 60)
    return "%d h %02d min" % divmod(round(seconds / 60), 60)


class Progress:
    """Steps of known or guessed length; what they took corrects the guesses."""

    def __init__(self, quiet=False):
        self.quiet, self.tty = quiet, sys.stderr.isatty()
        self.plan = {}      # key: [steps left, guess of one in seconds, took, done]
        self.began = self.last = time.monotonic()
        self.shown = ""

    def expect(self, key, steps, guess_s):
        self.plan[key] = [steps, guess_s, 0.0, 0]

    def forget(self, key):
        self.plan.pop(key, None)

    def did(self, key, seconds):
        entry = self.plan.get(key)
        if entry:
            entry[0] -= 1
            entry[2] += seconds
            entry[3] += 1

    def left_s(self):
        # Guesses are of one machine: scale those of what has not run yet by how wrong the others were.
        known = [(e[2] / e[3], e[1]) for e in self.plan.values() if e[3]]
        scale = sum(k[0] for k in known) / sum(k[1] for k in known) if known else 1.0
        return sum(max(0, e[0]) * (e[2] / e[3] if e[3] else e[1] * scale) for e in self.plan.values())

    def percent(self):
        left = self.left_s()
        done = time.monotonic() - self.began
        return int(100 * done / (done + left)) if done + left > 0 else 100

    def at(self, text, important=False):
        if self.quiet:
            return
        line = "%3d %%  %s left  %s" % (self.percent(), span(self.left_s()), text)
        if self.tty:
            width = min(110, shutil.get_terminal_size().columns - 1)
            print("\r" + line[:width].ljust(len(self.shown))[:width], end="", file=sys.stderr, flush=True)
            self.shown = line[:width]
        elif important or time.monotonic() - self.last > EVERY_S:
            self.last = time.monotonic()
            print("sluice-bench: " + line.strip(), file=sys.stderr, flush=True)

    def say(self, text):
        """A remark that stays."""
        if self.tty and self.shown:
            print("\r" + " " * len(self.shown) + "\r", end="", file=sys.stderr)
            self.shown = ""
        print("sluice-bench: " + text, file=sys.stderr, flush=True)

    def end(self):
        if self.tty and self.shown:
            print("\r" + " " * len(self.shown) + "\r", end="", file=sys.stderr, flush=True)
            self.shown = ""


class Silence(Progress):
    """For a run that is only told of."""

    def __init__(self):
        super().__init__(quiet=True)

    def say(self, text):
        pass
