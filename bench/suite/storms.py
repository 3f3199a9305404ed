# SPDX-License-Identifier: Apache-2.0
"""Loops and storms: many cheap calls, where what supervision costs shows undiluted."""

import os
import re
import resource
import shlex

from suite.measure import Broken, Spinners, printed_ns, timed, timed_by_hyperfine
from suite.ways import OTHER_NAMES, SLUICE_NAMES, WAYS, Absent, Spec, quoted

ALL_WAYS = ["native", "landlock", "bare", "bare-landlock"] + SLUICE_NAMES + OTHER_NAMES


class Benchmark:
    """One thing that is measured in several ways. Figures are better when lower. Intervals need five rounds."""

    name = title = unit = ""
    ways = ALL_WAYS
    bases = ("native", "bare")  # ratios are taken against these
    rounds = 11
    guess_s = 1.0               # of one sample, natively: for the first estimate of time left
    spec = Spec()
    extra_ways = True           # those of --with as well
    size = small = 1            # how much of it, and with --quick
    tools = ()                  # whose versions a result tells

    def amount(self, ctx):
        return self.small if ctx.quick else self.size

    def takes(self, rounds, ways, quick):
        """(steps, seconds of one of them), a guess."""
        guess = self.guess_s * (self.small / self.size if quick and self.size > 1 else 1)
        return rounds * ways + 1, guess + 0.05

    def needs(self, ctx):
        """What prepare() would get from elsewhere, in words. Absent if something is missing that it would not."""
        return ()

    def prepare(self, ctx):
        """Absent if it can't be done here."""

    def check(self, ctx, way):
        """Absent if WAY can't be gone here."""
        WAYS[way].check(ctx.place, self.spec)

    def begin_round(self, ctx):
        """Spinners that live for the samples of a round, or None."""

    def sample(self, ctx, way):
        """{value, wall_s, user_s, sys_s}"""
        raise NotImplementedError


def per(value, text, argv, seconds):
    return dict(seconds, value=printed_ns(text, argv) * value)


class Loop(Benchmark):
    """A program that prints the nanoseconds of one turn."""

    unit = "us"
    before = ()  # words in front of everything
    busy = False

    def command(self, ctx):
        raise NotImplementedError

    def begin_round(self, ctx):
        return Spinners() if self.busy else None

    def sample(self, ctx, way):
        argv = [*self.before, *WAYS[way].prefix(ctx.place, self.spec, ctx.work), *self.command(ctx)]
        seconds, text = timed(argv, ctx.work)
        return per(1e-3, text, argv, seconds)


class OpenLoop(Loop):
    size, small = 30000, 3000
    spec = Spec(calls="open")

    def prepare(self, ctx):
        self.file = os.path.join(ctx.work, "file")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write("x\n")

    def command(self, ctx):
        return [ctx.place.program("open-loop"), str(self.amount(ctx)), self.file]


class Open(OpenLoop):
    name, title = "open", "open and close, allowed"


class OpenRelative(OpenLoop):
    name, title = "open-relative", "open and close of a relative path, allowed"
    ways = ["native", "bare", "sluice", "sluice-emulate"]

    def prepare(self, ctx):
        super().prepare(ctx)
        self.file = "file"


class OpenEmulated(OpenLoop):
    name, title = "open-emulated", "open by the supervisor, CPUs idle"
    ways = ["native", "bare-addfd", "bare-addfd-send", "sluice-emulate"]
    bases = ("native", "bare-addfd", "bare-addfd-send")


class OpenEmulatedBusy(OpenEmulated):
    name, title, busy = "open-emulated-busy", "open by the supervisor, CPUs kept awake", True


class OpenEmulatedPinned(OpenEmulated):
    name, title = "open-emulated-pinned", "open by the supervisor, all on one CPU"
    before = ("taskset", "-c", "0")


class Exec(Loop):
    name, title = "exec", "a program from start to end, allowed"
    size, small, guess_s = 200, 20, 0.2

    def command(self, ctx):
        return [ctx.place.program("exec-loop"), str(self.amount(ctx)), "/bin/true"]


class Start(Loop):
    """sluice's own start: the loop is outside."""

    name, title = "start", "start of it to the first instruction of its command"
    ways = ["native", "landlock", "bare", "sluice", "sluice-none", "sluice-emulate", "sluice-build"] + OTHER_NAMES
    size, small, guess_s = 20, 4, 0.1

    def check(self, ctx, way):
        super().check(ctx, "sluice" if way == "sluice-build" else way)

    def loop(self, ctx, prefix):
        return [ctx.place.program("start-loop"), str(self.amount(ctx)), *prefix]

    def sample(self, ctx, way):
        spec = self.spec
        if way == "sluice-build":
            way, spec = "sluice", Spec("build", ["--allow", "rx:" + quoted(ctx.place.programs)])
        argv = self.loop(ctx, WAYS[way].prefix(ctx.place, spec, ctx.work))
        seconds, text = timed(argv, ctx.work)
        return per(1e-3, text, argv, seconds)


class StartToEnd(Start):
    name, title = "start-to-end", "start to end of true under it"

    def loop(self, ctx, prefix):
        return [ctx.place.program("exec-loop"), str(self.amount(ctx)), *prefix, "/bin/true"]


class ShellTrue(Benchmark):
    """Its own figure would need another clock: the whole command, by the number of turns."""

    name, title, unit = "shell-true", "a turn of a shell's loop of /bin/true", "us"
    size, small, guess_s = 1000, 100, 0.8
    tools = ("hyperfine",)

    def sample(self, ctx, way):
        n = self.amount(ctx)
        script = "i=0; while [ $i -lt %d ]; do /bin/true; i=$((i+1)); done" % n
        argv = [*WAYS[way].prefix(ctx.place, self.spec, ctx.work), "sh", "-c", script]
        seconds, _ = timed_by_hyperfine(argv, ctx.work, ctx.work)
        return dict(seconds, value=seconds["wall_s"] / n * 1e6)


class Neighbour(Benchmark):
    """One caller's 99th percentile while the memory of another one is slow to read."""

    name, title, unit = "neighbour", "open, 99th percentile, beside one of 800 MB that forks", "us"
    ways = ["native", "bare", "sluice"]
    rounds, guess_s = 5, 5.0
    size, small = 800, 50
    spec = Spec(calls="open")

    def sample(self, ctx, way):
        argv = [*WAYS[way].prefix(ctx.place, self.spec, ctx.work), ctx.place.program("neighbour"), "--target",
                str(self.amount(ctx))]
        seconds, text = timed(argv, ctx.work)
        found = re.search(r"p99 (\d+) us", text)
        if not found:
            raise Broken("neighbour printed no percentile: " + text[-200:])
        return dict(seconds, value=float(found[1]))


class Crowd(Benchmark):
    """Does a call cost more when many others live in the tree?"""

    name, title, unit = "crowd", "open among N sleeping processes", "us"
    ways = ["native", "native, crowd", "sluice", "sluice, crowd", "sluice-emulate", "sluice-emulate, crowd"]
    bases = ("native", "sluice", "sluice-emulate")
    rounds, guess_s = 7, 3.0
    size, small = 10000, 200
    spec = Spec(calls="open")
    extra_ways = False

    def check(self, ctx, way):
        super().check(ctx, way.split(",")[0])

    def sample(self, ctx, way):
        base, _, crowd = way.partition(",")
        argv = [*WAYS[base].prefix(ctx.place, self.spec, ctx.work), ctx.place.program("crowd"),
                str(self.amount(ctx) if crowd else 1), "3000" if ctx.quick else "20000", "/dev/null"]
        seconds, text = timed(argv, ctx.work)
        return per(1e-3, text, argv, seconds)


class Pending(Benchmark):
    """Does a call cost more while questions of another caller wait for their answers? Only sluice asks any."""

    name, title, unit = "pending", "open while 1000 questions wait, median", "us"
    ways = ["sluice", "sluice, waiting"]
    bases = ("sluice",)
    rounds, guess_s = 5, 4.0
    size, small = 1000, 50
    extra_ways = False

    def prepare(self, ctx):
        # Each waiting call keeps some of sluice's descriptors; where they are few it refuses what is too much.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if limit != resource.RLIM_INFINITY and limit < 6 * self.amount(ctx):
            raise Absent("needs %d descriptors, and a process may have %d" % (6 * self.amount(ctx), limit))
        self.dir = os.path.join(ctx.work, "questions")
        os.makedirs(self.dir, exist_ok=True)
        where, program = quoted(self.dir), quoted(ctx.place.program("pending"))
        self.spec = Spec("base", ["--allow", "all:" + where, "--ask", "read:" + where + "/asked", "--allow",
                                  "rx:" + program, "--prompt", "socket", "--prompt-timeout", "300"])

    def check(self, ctx, way):
        super().check(ctx, "sluice")

    def sample(self, ctx, way):
        argv = [*WAYS["sluice"].prefix(ctx.place, self.spec, self.dir), ctx.place.program("pending"),
                str(self.amount(ctx) if "," in way else 0), self.dir]
        seconds, text = timed(argv, self.dir)
        found = re.findall(r"median +([\d.]+) us .* failed (\d+)", text)
        if not found or found[-1][1] != "0":
            raise Broken("pending could not open what is allowed: " + text[-200:])
        return dict(seconds, value=float(found[-1][0]))


class Memory(Benchmark):
    """The supervisor's peak after opens of many files, and after ten times as many."""

    name, title, unit = "memory", "the supervisor's peak", "MiB"
    ways = ["sluice", "sluice, ten times as many"]
    bases = ("sluice",)
    rounds, guess_s = 5, 4.0
    size, small = 2, 1
    extra_ways = False

    def prepare(self, ctx):
        make_tree(ctx)

    def check(self, ctx, way):
        super().check(ctx, "sluice")

    def sample(self, ctx, way):
        n = self.amount(ctx) * (10 if "," in way else 1)
        script = 'i=0; while [ $i -lt %d ]; do cat %s/*/* >/dev/null; i=$((i+1)); done' % (n, shlex.quote(ctx.tree))
        seconds, _ = timed([*WAYS["sluice"].prefix(ctx.place, self.spec, ctx.work), "sh", "-c", script], ctx.work)
        return dict(seconds, value=ctx.read_stats()["max_rss_kib"] / 1024)


def make_tree(ctx):
    """A thousand small files in forty directories, made once."""
    if ctx.tree:
        return
    tree = os.path.join(ctx.work, "tree")
    for d in range(40):
        os.makedirs(os.path.join(tree, "d%d" % d))
        for f in range(25):
            with open(os.path.join(tree, "d%d" % d, "f%d" % f), "w", encoding="utf-8") as out:
                out.write("line %d\n" % f)
    ctx.tree = tree


class Storm(Benchmark):
    """A whole command on the tree of a thousand files."""

    unit = "ms"
    rounds, guess_s = 7, 0.5
    size, small = 10, 1
    tools = ("hyperfine",)
    script = ""

    def prepare(self, ctx):
        make_tree(ctx)

    def begin_sample(self, ctx):
        """Untimed, before each sample."""

    def sample(self, ctx, way):
        self.begin_sample(ctx)
        script = self.script.format(n=self.amount(ctx))
        argv = [*WAYS[way].prefix(ctx.place, self.spec, ctx.work), "sh", "-ec", script]
        seconds, _ = timed_by_hyperfine(argv, ctx.work, ctx.work)
        return dict(seconds, value=seconds["wall_s"] * 1e3)


class OpenStorm(Storm):
    name, title = "open-storm", "cat of a thousand files, ten times"
    script = 'i=0; while [ $i -lt {n} ]; do cat "$PWD"/tree/*/* >/dev/null; i=$((i+1)); done'


class OpenStormRelative(Storm):
    name, title = "open-storm-relative", "grep -r over a thousand files, ten times"
    script = "i=0; while [ $i -lt {n} ]; do grep -rq absent tree || true; i=$((i+1)); done"


class StatStorm(Storm):
    name, title = "stat-storm", "find with stat over a thousand files, ten times"
    script = "i=0; while [ $i -lt {n} ]; do find tree -newer /etc/passwd -size +9k; i=$((i+1)); done"


class NameStorm(Storm):
    name, title = "name-storm", "cp -r, mv and rm -r of a thousand files, five times"
    size = 5
    script = "i=0; while [ $i -lt {n} ]; do cp -r tree copy; mv copy moved; rm -r moved; i=$((i+1)); done"


class ExecStorm(Storm):
    name, title = "exec-storm", "a shell's loop of 2000 /bin/true"
    size, small, guess_s = 2000, 100, 1.5
    script = "i=0; while [ $i -lt {n} ]; do /bin/true; i=$((i+1)); done"


class ForkStorm(Storm):
    name, title = "fork-storm", "a shell's loop of 3000 subshells"
    size, small = 3000, 100
    script = "i=0; while [ $i -lt {n} ]; do (:); i=$((i+1)); done"


class MakeStorm(Storm):
    name, title = "make-storm", "make -j64 of 2000 targets that run true"
    size, small, guess_s = 2000, 100, 2.0
    tools = ("hyperfine", "make")
    script = "make -s -j64 -f storm.mk N={n}"

    def prepare(self, ctx):
        super().prepare(ctx)
        with open(os.path.join(ctx.work, "storm.mk"), "w", encoding="utf-8") as f:
            f.write("T := $(addprefix t,$(shell seq $(N)))\nall: $(T)\n$(T):\n\t@/bin/true $@\n.PHONY: all $(T)\n")


FLOOR = [Open, OpenRelative, OpenEmulated, OpenEmulatedBusy, OpenEmulatedPinned, Exec, Start, StartToEnd, ShellTrue,
         Neighbour, Crowd, Pending, Memory]
STORMS = [OpenStorm, OpenStormRelative, StatStorm, NameStorm, ExecStorm, ForkStorm, MakeStorm]
