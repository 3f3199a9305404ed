# SPDX-License-Identifier: Apache-2.0
"""The command line of sluice-bench."""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time

from suite import VERSION, compare, machine, page, registry, result, table, ways
from suite.measure import interrupt_by_signals
from suite.progress import Progress, Silence, span
from suite.runner import Runner

SUITE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(SUITE))
DEFAULT_CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "sluice-bench")

DESCRIPTION = """\
Measures what running a command under sluice costs, beside the bare kernel mechanism and other tools.

  list     the benchmarks, the named sets and the ways
  run      measure, print a table, write a result as JSON
  show     that table of a result
  compare  results against each other, as a table and as an HTML page
"""


class Usage(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Usage("%s: %s (see %s --help)" % (self.prog, message, self.prog))


def positive(text):
    n = int(text)
    if n < 1:
        raise argparse.ArgumentTypeError("wants a number from 1 on")
    return n


def parser():
    p = Parser(prog="sluice-bench", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--version", action="version", version="sluice-bench " + VERSION, help="show the version")
    sub = p.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)

    sub.add_parser("list", help="the benchmarks, sets and ways")

    r = sub.add_parser("run", help="measure", description="Measures the named sets and benchmarks.")
    r.add_argument("names", nargs="+", metavar="SET|NAME", help="see sluice-bench list")
    r.add_argument("-o", "--output", metavar="FILE", help="the result; -: stdout; default: sluice-bench-DATE-TIME.json")
    r.add_argument("--rounds", type=positive, metavar="N", help="how often each way is measured")
    r.add_argument("--quick", action="store_true", help="little of everything, 3 rounds: to see that it works")
    r.add_argument("--ways", metavar="A,B", help="only these ways")
    r.add_argument("--with", dest="with_", action="append", default=[], metavar="NAME=WORDS",
                   help="one more way: a prefix of words; {policy}, {stats} and {cwd} are filled in")
    r.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="make -jN in builds")
    r.add_argument("--cache", metavar="DIR", default=DEFAULT_CACHE, help="keeps what builds have fetched")
    r.add_argument("--work", metavar="DIR", help="where trees are built; default: TMPDIR or /tmp")
    r.add_argument("--label", metavar="TEXT", help="what to call this result in comparisons")
    r.add_argument("--build", metavar="DIR", help="a build directory of sluice: its programs are measured")
    r.add_argument("--sluice", metavar="FILE", help="the sluice to measure")
    r.add_argument("--dry-run", action="store_true", help="only say what would be measured, and what it takes")
    r.add_argument("-q", "--quiet", action="store_true", help="no progress")

    s = sub.add_parser("show", help="the table of a result", description="Prints what a run printed at its end.")
    s.add_argument("file", metavar="FILE", help="a result of sluice-bench run")

    c = sub.add_parser("compare", help="results against each other",
                       description="Compares results with the first of them.")
    c.add_argument("files", nargs="+", metavar="FILE", help="results of sluice-bench run")
    c.add_argument("--html", metavar="OUT", help="write a page with plots; -: to stdout")
    c.add_argument("--ways", metavar="A,B", help="only these ways")
    return p


def find_programs(a):
    """Fill in a.sluice and a.programs: of --build, of the source tree's build, or installed. As absolute paths:
    benchmarks run elsewhere."""
    if a.sluice:
        a.sluice = os.path.abspath(a.sluice)
        if not machine.first_line([a.sluice, "--version"]):
            raise Usage("--sluice %s: that is no sluice that runs" % a.sluice)
    candidates = [a.build] if a.build else [os.path.join(TOP, "build")]
    for build in candidates:
        if os.access(os.path.join(build, "sluice"), os.X_OK):
            a.sluice = a.sluice or os.path.join(os.path.abspath(build), "sluice")
            a.programs = os.path.join(os.path.abspath(build), "bench")
            return
    if a.build:
        raise Usage("--build %s: there is no sluice in it: ninja -C %s" % (a.build, a.build))
    a.programs = os.path.join(os.path.dirname(SUITE), "programs")
    beside = os.path.join(os.path.dirname(SUITE), "../../../bin/sluice")
    if not a.sluice:
        a.sluice = os.path.realpath(beside) if os.access(beside, os.X_OK) else shutil.which("sluice")
    if not a.sluice:
        raise Usage("there is no sluice: run scripts/setup, or name one with --build or --sluice")
    if not os.path.isdir(a.programs):
        raise Usage("the programs of the suite are missing (%s): install it whole, or use --build" % a.programs)


def about(b):
    """Seconds, with all ways whose programs are installed."""
    there = [w for w in b.ways if w not in ways.WAYS or not ways.WAYS[w].program or shutil.which(ways.WAYS[w].program)]
    steps, one = b.takes(b.rounds, len(there), False)
    return steps * one


def command_list():
    takes = {b.name: about(b) for b in registry.ALL}
    rows = [("set", "takes", "what")]
    for name, (what, members) in registry.SETS.items():
        rows.append((name, span(sum(takes[m] for m in members)),
                     "%s: %s" % (what, "everything below" if name == "all" else " ".join(members))))
    for line in table.columns(rows, right=(1,)):
        print(line)
    print()
    rows = [("benchmark", "unit", "rounds", "takes", "what")]
    rows += [(b.name, b.unit, b.rounds, span(takes[b.name]), b.title) for b in registry.ALL]
    for line in table.columns(rows, right=(2, 3)):
        print(line)
    print("What it takes is a guess, for all ways whose programs are installed; --dry-run tells of any run.")
    print()
    rows = [("way", "what")] + [(w.name, w.title) for w in ways.WAYS.values()]
    for line in table.columns(rows):
        print(line)
    print()
    own = {w: [b.name for b in registry.ALL if w in b.ways] for b in registry.ALL for w in b.ways if w not in ways.WAYS}
    rows = [("own way", "of")] + [(w, " ".join(names)) for w, names in own.items()]
    for line in table.columns(rows):
        print(line)
    return 0


def known_ways(benchmarks):
    return set(ways.WAYS).union(*(b.ways for b in benchmarks))


def words_of(text, known, option):
    if not text:
        return None
    words = []
    for part in re.split(",(?! )", text):  # "sluice, crowd" is one
        words += [part] if part in known else re.split(", *", part)
    for w in words:
        if w not in known:
            raise Usage("%s: there is no way called %s (there are: %s)" % (option, w, "; ".join(sorted(known))))
    return words


def tell(a, runner, progress, words):
    """The table; and the result, where that is no file. WORDS say in what it is."""
    for line in table.show(runner.result):
        print(line, file=sys.stderr if a.output == "-" else sys.stdout)
    if result.is_stream(a.output):
        runner.write()
    if runner.unwritten:
        progress.say("the result is lost: -o %s: %s" % (a.output, runner.unwritten))
    elif a.output != "-":
        progress.say("%s %s" % (words, a.output))


def runner_of(a, benchmarks, progress):
    try:
        return Runner(a, benchmarks, progress)
    except OSError as e:
        raise Usage("--work: can't write in %s: %s" % (a.work or tempfile.gettempdir(), e.strerror)) from None


def command_run(a):
    try:
        a.label = a.label and result.typed(a.label)
        a.extra = [ways.add_way(result.typed(text)) for text in a.with_]
        benchmarks = registry.choose(a.names)
    except ValueError as e:
        raise Usage(str(e)) from None
    a.ways = words_of(a.ways, known_ways(benchmarks), "--ways")
    find_programs(a)
    a.cache = os.path.abspath(a.cache)
    if a.work and not os.path.isdir(a.work):
        raise Usage("--work %s: there is no such directory" % a.work)
    a.work = a.work and os.path.abspath(a.work)
    os.environ["TMPDIR"] = tempfile.gettempdir()  # absolute, whatever was there
    interrupt_by_signals()
    if a.dry_run:
        for line in runner_of(a, benchmarks, Silence()).dry_run():
            print(line)
        return 0
    if not a.output:
        a.output = time.strftime("sluice-bench-%Y%m%d-%H%M%S.json")
    if a.output == "/dev/stdout":
        a.output = "-"
    try:
        result.try_writing(a.output)
    except OSError as e:
        raise Usage("-o %s: can't write it: %s" % (a.output, e.strerror)) from None
    progress = Progress(a.quiet)
    load = os.getloadavg()[0]
    if load > 0.5 and not a.quick:
        progress.say("the machine is not idle (load %.1f): figures will be rough" % load)
    runner = runner_of(a, benchmarks, progress)
    try:
        status = runner.run()
    except KeyboardInterrupt:
        status = 130
        if not runner.result["benchmarks"]:
            progress.say("interrupted before anything was measured")
            return status
    tell(a, runner, progress, "interrupted; what was measured is in" if status == 130 else "the result is in")
    if status == 130:
        return status
    if runner.unwritten:
        return 2
    if not any(w.get("samples") for b in runner.result["benchmarks"].values() for w in b["ways"].values()):
        progress.say("nothing could be measured")
        return 1
    return status


def command_show(a):
    for line in table.show(result.read(a.file)):
        print(line)
    return 0


def must_be_page(path):
    """Where --html goes: not over a result whose name stands where the page's should."""
    if os.path.isfile(path) and os.path.getsize(path):
        with open(path, "rb") as f:
            if not f.read(15).lower().startswith(b"<!doctype html>"):
                raise Usage("--html %s: there is such a file, and it is no page: give the page another name" % path)


def command_compare(a):
    if len(a.files) < 2 and not a.html:
        raise Usage("compare wants two results, or one and --html")
    results = [result.read(f) for f in a.files]
    if a.html:
        must_be_page(a.html)
    names = compare.labels(a.files, results)
    only = words_of(a.ways, {w for r in results for b in r["benchmarks"].values() for w in b["ways"]}, "--ways")
    found = compare.compare(results, only)
    # The page first: who reads the table may have seen enough of it early.
    if a.html:
        text = page.page(names, results, found, only)
        try:
            result.write_text(a.html, text)
        except OSError as e:
            raise Usage("--html %s: %s" % (a.html, e.strerror)) from None
    for line in compare.show(names, results, found):
        print(line, file=sys.stderr if a.html == "-" else sys.stdout)
    if a.html and a.html != "-":
        print("sluice-bench: the page is in %s" % a.html, file=sys.stderr)
    return 0


def main():
    try:
        sys.stdout.reconfigure(line_buffering=True)  # who reads no more is met here, not when all is over
        a = parser().parse_args()
        if a.command == "list":
            return command_list()
        if a.command == "run":
            return command_run(a)
        if a.command == "show":
            return command_show(a)
        if a.command == "compare":
            return command_compare(a)
        parser().print_help()
        return 2
    except (Usage, result.Bad) as e:
        text = str(e)
        print(text if text.startswith("sluice-bench") else "sluice-bench: " + text, file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130
