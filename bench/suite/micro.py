# SPDX-License-Identifier: Apache-2.0
"""The programs of Google Benchmark: one a family of stages, each case a benchmark's way.

A case is called CASE/way:WAY/ARGUMENTS, way:sluice if nothing is said; all ways of a case stand beside each other
in the result. Repetitions are interleaved by Google Benchmark and count as rounds.
"""

import json
import os

from suite.measure import Broken, tail, timed
from suite.storms import Benchmark


class Micro(Benchmark):
    """A program; its cases become entries of the result named PROGRAM/CASE."""

    unit = "ns"
    rounds = 9  # guess_s is of one
    ways = ["sluice"]  # that the program says, without commas: those are of --ways, and of kinds (result.base_of)
    bases = ("native", "bare")
    extra_ways = False

    def takes(self, rounds, ways, quick):
        return 1, rounds * self.guess_s

    def cases(self, ctx, rounds):
        """{case: {way: [values by repetition]}}, in nanoseconds of wall time, the seconds used, and {case: why not}."""
        program = ctx.place.program(self.name.replace("micro-", "micro_"))
        out = os.path.join(ctx.work, "micro.json")
        argv = [program, "--benchmark_out=" + out, "--benchmark_out_format=json",
                "--benchmark_repetitions=%d" % rounds, "--benchmark_enable_random_interleaving=true"]
        if ctx.quick:
            argv.append("--benchmark_min_time=0.01")
        seconds, text = timed(argv, ctx.work, dict(os.environ, SLUICE=ctx.place.sluice), timeout=1800.0)
        try:
            with open(out, encoding="utf-8") as f:
                found = json.load(f)["benchmarks"]
        except (OSError, ValueError, KeyError):
            raise Broken("%s left no result: %s" % (program, tail(text))) from None
        cases, left_out = {}, {}
        scale = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
        for entry in found:
            if entry.get("error_occurred") or entry.get("skipped"):
                why = entry.get("error_message") or entry.get("skip_message")
                left_out[entry["run_name"]] = why or "no reason given"
                continue
            if entry.get("run_type") != "iteration":
                continue
            words = entry["run_name"].split("/")
            way = next((w[4:] for w in words if w.startswith("way:")), "sluice")
            case = "/".join(w for w in words if w not in ("real_time", "manual_time")
                            and not w.startswith(("way:", "min_time:", "iterations:")))
            value = entry["real_time"] * scale[entry["time_unit"]]
            cases.setdefault(case, {}).setdefault(way, []).append(value)
        return cases, seconds, left_out


def _micro(name, title, guess_s, **members):
    return type("Micro_" + name, (Micro,), {"name": "micro-" + name, "title": title, "guess_s": guess_s, **members})


MICRO = [
    _micro("notify", "how a notification is waited for and answered", 5.0,
           ways=["native", "bare", "recv-not-sync", "epoll-then-recv", "uring-then-recv", "hand-off", "pool-uring",
                 "pool-epoll"]),
    _micro("stages", "read, resolve, look up, match, decide", 12.0),
    _micro("start", "load a policy, plan, build the filter, make the ruleset", 9.0),
    _micro("targets", "1, 2, 8 and 64 targets, idle and busy CPUs, pinned and free", 35.0,
           ways=["native", "bare", "bare-addfd", "bare-addfd-send", "pool", "sluice", "sluice-emulate"],
           bases=("native", "bare", "bare-addfd", "bare-addfd-send")),
]
