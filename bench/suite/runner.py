# SPDX-License-Identifier: Apache-2.0
"""Rounds: every way once, one after the other, in an order that changes, so that what else the machine does, and
what one leaves behind for the next, hits all alike. Before the first the first way is gone once and forgotten, since
it would read all from the disk. Ratios are taken within a round. What is there is written after each benchmark, and
when a run is interrupted.
"""

import datetime
import json
import os
import shutil
import subprocess
import tempfile
import textwrap
import time

from suite import machine, result, stats
from suite.measure import Broken
from suite.micro import Micro
from suite.progress import span
from suite.ways import OTHERS, WAYS, Absent, Place

OTHERS_LIMIT = 0.10  # of a CPU, used by others
STOLEN_LIMIT = 0.02  # of a CPU, taken by the hypervisor
SPREAD_LIMIT = 0.10  # of native figures between rounds


class Context:
    """What benchmarks may look at."""

    def __init__(self, options, place):
        self.place, self.work = place, place.work
        self.cache, self.quick, self.jobs = options.cache, options.quick, options.jobs
        self.tree = None

    def read_stats(self):
        """What the last supervisor said of itself; Broken if it said nothing."""
        try:
            with open(self.place.stats, encoding="utf-8") as f:
                return json.loads(f.read().splitlines()[-1])
        except (OSError, ValueError, IndexError):
            raise Broken("the supervisor left no statistics") from None


def forget(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Runner:
    def __init__(self, options, benchmarks, progress):
        self.options, self.benchmarks, self.progress = options, benchmarks, progress
        self.digest = machine.digest(options.sluice)
        self.failed, self.gone, self.dropped, self.unwritten = 0, set(), set(), None
        self.result = {
            "format": result.FORMAT, "version": result.VERSION, "complete": False,
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "label": options.label,
            "settings": {"rounds": options.rounds, "quick": options.quick, "jobs": options.jobs,
                         "named": options.names, "ways": options.ways,
                         "timer": "hyperfine, one run at a time" if shutil.which("hyperfine") else "wait4"},
            "machine": machine.facts(),
            "versions": {},
            "doctor": None,
            "load_before": os.getloadavg(),
            "noisy": [],
            "absent": {},
            "benchmarks": {},
        }
        # The last, since run() removes it.
        self.work = tempfile.mkdtemp(prefix="sluice-bench.", dir=options.work)
        self.place = Place(options.sluice, options.programs, self.work)
        self.ctx = Context(options, self.place)

    def ask_versions(self):
        """Of what is used only: npm and cargo take their time to say it, and write below the home directory."""
        ways = self.all_ways()
        tools = {t for b in self.benchmarks for t in b.tools}.union(w.program for w in OTHERS if w.name in ways)
        sluice = machine.first_line([self.options.sluice, "--version"])
        self.result["versions"] = {"sluice": "%s (sha256 %s)" % (sluice, self.digest), **machine.tool_versions(tools)}
        self.result["doctor"] = self.doctor()

    def doctor(self):
        try:
            p = subprocess.run([self.options.sluice, "doctor", "--json"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, check=False)
            return json.loads(p.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None

    # Writing ------------------------------------------------------------------------------------

    def save(self, complete=False):
        self.result["complete"] = complete
        self.result["ended"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.result["load_after"] = os.getloadavg()
        self.result["noisy"] = ["%s: %s" % (name, why) for name, b in self.result["benchmarks"].items()
                                for why in b["noisy"]]
        if not result.is_stream(self.options.output):
            self.write()

    def write(self):
        """An error is kept, not raised: what was measured can still be shown."""
        try:
            result.write(self.options.output, self.result)
            self.unwritten = None
        except OSError as e:
            self.unwritten = e.strerror

    # Planning -----------------------------------------------------------------------------------

    def rounds_of(self, b):
        return self.options.rounds or (min(b.rounds, 3) if self.options.quick else b.rounds)

    def ways_of(self, b):
        ways = list(b.ways)
        if b.extra_ways:
            ways += [w for w in self.options.extra if w not in ways]
        if self.options.ways:
            ways = [w for w in ways if w in self.options.ways or w.split(",")[0] in self.options.ways]
        return ways

    def all_ways(self):
        return {w for b in self.benchmarks if not isinstance(b, Micro) for w in self.ways_of(b)}

    def say_missing(self):
        """Ways that none of these benchmarks is gone by; tools that are not installed, in one line."""
        wanted = self.all_ways()
        known = {x for b in self.benchmarks for w in self.ways_of(b) for x in (w, w.split(",")[0])}
        for way in [w for w in self.options.ways or [] if w not in known]:
            self.progress.say("%s: none of these benchmarks has that way: sluice-bench run --dry-run shows theirs" % way)
        missing = [w.name for w in OTHERS if w.name in wanted and not shutil.which(w.program)]
        if missing:
            self.progress.say("left out, since not installed: " + ", ".join(missing))
        for name in missing:
            self.result["absent"][name] = "%s is not installed" % WAYS[name].program

    def expect(self, b, ways):
        self.progress.expect(b.name, *self.takes(b, ways))

    def takes(self, b, ways):
        return b.takes(self.rounds_of(b), len(ways), self.options.quick)

    def dry_run(self):
        """Lines on what run() would do. Nothing is measured, fetched or installed; but each way runs `true`."""
        whole = 0.0
        try:
            for b in self.benchmarks:
                yield "%s: %s" % (b.name, b.title)
                try:
                    needs = list(b.needs(self.ctx))
                    ways = self.ways_of(b) if isinstance(b, Micro) else self.present(b)
                except Absent as e:
                    yield "  left out: %s" % e
                    continue
                if not ways:
                    yield "  left out: none of its ways can be gone"
                    continue
                steps, one = self.takes(b, ways)
                whole += steps * one
                text = "%d rounds of %s: about %s" % (self.rounds_of(b), "; ".join(ways), span(steps * one))
                yield from textwrap.wrap(text, 110, initial_indent="  ", subsequent_indent="    ")
                yield from ("  first " + need for need in needs)
            if self.result["absent"]:
                yield "Left out:"
                yield from ("  %s: %s" % item for item in self.result["absent"].items())
            yield "In all about %s." % span(whole)
        finally:
            shutil.rmtree(self.work, ignore_errors=True)

    # Running ------------------------------------------------------------------------------------

    def run(self):
        """0, or 1 if something was broken."""
        try:
            self.ask_versions()
            self.say_missing()
            for b in self.benchmarks:
                self.expect(b, self.ways_of(b))
            for b in self.benchmarks:
                self.one(b)
                self.progress.forget(b.name)
                self.save()
            self.save(complete=True)
        except BaseException:
            if self.result["benchmarks"]:
                self.save()  # KeyboardInterrupt too: what is there stays
            raise
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
            self.progress.end()  # the last: there may be no terminal any more
        return 1 if self.failed else 0

    def absent(self, name, why):
        if self.result["absent"].get(name) != why:
            self.progress.say("%s: left out: %s" % (name, why))
            self.result["absent"][name] = why

    def one(self, b):
        self.progress.at("%s: preparing" % b.name, important=True)
        try:
            b.prepare(self.ctx)
            if isinstance(b, Micro):
                self.micro(b)
                return
            ways = self.present(b)
        except Absent as e:
            self.absent(b.name, str(e))
            return
        except Broken as e:
            self.broken(b, self.entry(b), None, e)
            return
        if not ways:
            return
        entry = self.entry(b)
        self.result["benchmarks"][b.name] = entry
        rounds = self.rounds_of(b)
        self.expect(b, ways)
        self.warm_up(b, ways[0])
        before, looks = os.getloadavg()[0], []
        try:
            for number in range(rounds):
                self.round(b, entry, ways, number, rounds, looks)
        finally:
            self.sum_up(b, entry, looks)
            entry["load"] = [before, os.getloadavg()[0]]

    def present(self, b):
        found = []
        for way in self.ways_of(b):
            try:
                b.check(self.ctx, way)
                found.append(way)
                self.gone.add(way)
            except Absent as e:
                # What went elsewhere is not missing: it does not go with this one.
                elsewhere = way in self.gone or self.result["absent"].get(way, str(e)) != str(e)
                self.absent("%s, %s" % (b.name, way) if elsewhere else way, str(e))
        return found

    def entry(self, b, title=None):
        return {"title": title or b.title, "unit": b.unit, "amount": b.amount(self.ctx), "ways": {}, "ratios": {},
                "noisy": []}

    def warm_up(self, b, way):
        self.progress.at("%s: warming up" % b.name)
        began = time.monotonic()
        try:
            b.sample(self.ctx, way)
        except (Broken, Absent):
            return  # the first round says it
        self.progress.did(b.name, time.monotonic() - began)

    def round(self, b, entry, ways, number, rounds, looks):
        scope = b.begin_round(self.ctx)
        if scope:
            scope.__enter__()
        try:
            for place, way in enumerate(ways[i] for i in stats.order(len(ways), number)):
                if "failed" in entry["ways"].get(way, {}) or (b.name, way) in self.dropped:
                    continue
                self.progress.at("%s: round %d of %d, %s" % (b.name, number + 1, rounds, way))
                self.sample(b, entry, way, number, place, looks, scope)
        finally:
            if scope:
                scope.__exit__(None, None, None)

    def sample(self, b, entry, way, number, place, looks, spinners):
        forget(self.place.stats)
        forget(self.place.record)
        began, activity = time.monotonic(), machine.Activity(spinners.pids() if spinners else ())
        try:
            s = b.sample(self.ctx, way)
        except Broken as e:
            self.broken(b, entry, way, e)
            return
        except Absent as e:
            self.absent("%s, %s" % (b.name, way), str(e))
            self.dropped.add((b.name, way))
            return
        s.update(round=number, place=place)
        self.add_counters(s)
        looks.append((activity.since(), s))
        entry["ways"].setdefault(way, self.new_way(way))["samples"].append(s)
        self.progress.did(b.name, time.monotonic() - began)

    def new_way(self, way):
        known = WAYS.get(way.split(",")[0])
        return {"title": known.title if known else way, "samples": []}

    def add_counters(self, s):
        """What the supervisor says of itself, where it ran once."""
        if not os.path.exists(self.place.stats):
            return
        try:
            c = self.ctx.read_stats()
            s["supervisor_s"] = (c["supervisor_user_us"] + c["supervisor_system_us"]) / 1e6
            s["supervisor_rss_kib"] = c["max_rss_kib"]
            s["counters"] = {k: c[k] for k in ("notifications", "continued", "emulated", "refused", "cache_hits",
                                               "cache_misses", "promotions", "slow_jobs", "errors", "workers")
                             if k in c}
        except (Broken, KeyError):
            pass

    def broken(self, b, entry, way, error):
        self.failed += 1
        text = str(error)[:2000]
        self.progress.say("%s%s: BROKEN: %s" % (b.name, ", " + way if way else "", text))
        self.result["benchmarks"][b.name] = entry
        if way:
            entry["ways"].setdefault(way, self.new_way(way))["failed"] = text
        else:
            entry["failed"] = text

    def micro(self, b):
        activity, began = machine.Activity(), time.monotonic()
        try:
            cases, seconds, left_out = b.cases(self.ctx, self.rounds_of(b))
        except Broken as e:
            self.broken(b, self.entry(b), None, e)
            return
        self.progress.did(b.name, time.monotonic() - began)
        for case, why in left_out.items():
            self.absent("%s/%s" % (b.name, case), why)
        look = activity.since()
        for case, ways in cases.items():
            entry = self.entry(b, case)
            for way, values in ways.items():
                if self.options.ways and way not in self.options.ways:
                    continue
                entry["ways"][way] = {"title": WAYS[way].title if way in WAYS else way,
                                      "samples": [{"round": i, "value": v} for i, v in enumerate(values)]}
            if entry["ways"]:
                self.result["benchmarks"]["%s/%s" % (b.name, case)] = entry
                # Its spinners and sleepers are its own: only what was stolen counts as noise.
                self.sum_up(b, entry, [(dict(look, others=0.0), seconds)])

    # Summing up ---------------------------------------------------------------------------------

    def sum_up(self, b, entry, looks):
        known = list(b.ways) + self.options.extra
        ways = dict(sorted(entry["ways"].items(), key=lambda e: known.index(e[0]) if e[0] in known else len(known)))
        entry["ways"] = ways
        for way, w in ways.items():
            values = result.values(w)
            if not values:
                continue
            w["median"], w["min"], w["spread"] = stats.median(values), min(values), stats.spread(values)
            for key in ("wall_s", "user_s", "sys_s", "supervisor_s"):
                found = [s[key] for s in w["samples"] if key in s]
                if found:
                    w["median_" + key] = stats.median(found)
            entry["ratios"][way] = {}
            for base in dict.fromkeys(result.base_of(way, base) for base in b.bases):
                if base != way and base in ways:
                    r = stats.ratio(result.by_round(w), result.by_round(ways[base]))
                    if r:
                        entry["ratios"][way][base] = r
        entry["noisy"] = self.noise(entry, looks)

    def noise(self, entry, looks):
        why = []
        seconds = sum(look["seconds"] for look, _ in looks)
        if seconds > 0.5:
            others = sum(look["others"] for look, _ in looks) / seconds
            stolen = sum(look["stolen"] for look, _ in looks) / seconds
            if others > OTHERS_LIMIT:
                why.append("other processes used %.0f %% of a CPU" % (100 * others))
            if stolen > STOLEN_LIMIT:
                why.append("the hypervisor took %.0f %% of a CPU" % (100 * stolen))
        if machine.digest(self.options.sluice) != self.digest:
            why.append("the program sluice was changed during this run")
        for way in ("native", "bare", "sluice"):
            w = entry["ways"].get(way)
            if w and w.get("spread", 0) > SPREAD_LIMIT:
                why.append("%s varies by %.0f %% between rounds" % (way, 100 * w["spread"]))
                break
        return why
