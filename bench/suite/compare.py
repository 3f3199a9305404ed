# SPDX-License-Identifier: Apache-2.0
"""Results against the first of them.

Figures are compared by the Mann-Whitney test and the Hodges-Lehmann ratio; a difference counts (marked "*") if
the p, adjusted for all rows of its table after Benjamini and Hochberg, is below 0.05 and neither of the two was
noisy. The same is done with the cost over native, taken within rounds: where the machines differ, or one was
emulated without counting instructions, times are shown and not judged, and that is what can be compared.
"""

import json
import os

from suite import result, stats, table

ALPHA = 0.05
# With fewer rounds on both sides no difference, however great, could be called one.
LEAST = 4
TIMES = ("ns", "us", "ms", "s")
FACTS = [("kernel", "kernel"), ("kernel_build", "kernel build"), ("cpu", "CPU"), ("cpus", "CPUs"),
         ("virtual", "virtual"), ("governor", "governor"), ("clocksource", "clock"), ("idle_driver", "idle driver"),
         ("lsm", "security modules"), ("boot", "boot options"), ("mitigations", "mitigations"), ("libc", "libc")]


def labels(files, results):
    """A short name for each, no two alike."""
    names = [r.get("label") or result.typed(os.path.basename(f).removesuffix(".json")) for f, r in zip(files, results)]
    return [n if names.count(n) == 1 else "%s (%d)" % (n, i + 1) for i, n in enumerate(names)]


class Test:
    """Do the values of B tend to be greater than those of A? WORDS call B less, and more."""

    def __init__(self, a, b, words, noisy):
        self.words, self.noisy, self.judged = words, noisy, True
        self.median_a, self.median_b = stats.median(a), stats.median(b)
        self.ratio, self.low, self.high = stats.quotient(a, b)
        self.p = self.q = stats.mann_whitney(a, b)
        self.few = min(len(a), len(b)) < LEAST
        self.apart = max(a) < min(b) or max(b) < min(a)

    def differs(self):
        """A test knows chance, not what else the machine did: where it was noisy nothing counts."""
        return self.judged and not self.few and not self.noisy and self.q < ALPHA

    def verdict(self):
        if not self.judged:
            return "not judged"
        if self.few:
            return "too few rounds"
        if self.q >= ALPHA and self.apart and not self.noisy:
            return "apart, but too few rounds for so many rows"
        if self.q >= ALPHA:
            return "no difference seen"
        more = self.ratio is None or self.ratio > 1  # there is none to nothing
        return self.words[more] + (", but noisy" if self.noisy else "")

    def row(self):
        """B/A, interval, verdict, p"""
        return ("%.3f" % self.ratio if self.ratio is not None else "",
                "[%.3f, %.3f]" % (self.low, self.high) if self.low is not None and self.judged else "",
                "* " + self.verdict() if self.differs() else self.verdict(), "%.2g" % self.q if self.judged else "")


class Cell:
    """One way of one benchmark in result number I (B) against the same in the first (A): its figures, and its cost
    over native, where that was measured."""

    def __init__(self, i, name, way, a, b, alike):
        self.i, self.name, self.way, self.unit = i, name, way, a["unit"]
        noisy = bool(a.get("noisy") or b.get("noisy"))
        both = [e["ways"][way] for e in (a, b)]
        self.figures = Test(*map(result.values, both), ("faster", "slower") if self.unit in TIMES else ("less", "more"),
                            noisy)
        self.figures.judged = alike or self.unit not in TIMES
        over = [costs(e, way, result.base_of(way, "native")) for e in (a, b)]
        self.cost = Test(*over, ("less", "more"), noisy) if all(over) else None
        self.over_bare = [over_floor(e, way) for e in (a, b)]
        # Seconds of the tree in A and B, and of the supervisor.
        self.cpu = [[result.cpu(w) for w in both], [w.get("median_supervisor_s") for w in both]]


def costs(b, way, base):
    """WAY over BASE in each round; nothing over itself."""
    base = b["ways"].get(base) if base != way else None
    return stats.quotients(result.by_round(b["ways"].get(way, {})), result.by_round(base)) if base else []


def over_native(b, way):
    """The ratio to native (of the same kind) within rounds, or None."""
    return over(b, way, result.base_of(way, "native"))


def over_floor(b, way):
    """The ratio to the bare way of its kind within rounds, or None; native has none."""
    return over(b, way, table.floor_of(b, way)) if way != result.base_of(way, "native") else None


def over(b, way, name):
    base = b["ways"].get(name)
    if way == name or not base or way not in b["ways"]:
        return None
    return stats.ratio(result.by_round(b["ways"][way]), result.by_round(base))


def alike(a, b):
    """Do times of these two results mean the same?"""
    return not (differ_in_machine([a, b]) or is_emulated(a) or is_emulated(b))


def differ_in_machine(results):
    return any(len({json.dumps(r["machine"].get(key)) for r in results}) > 1 for key in ("cpu", "cpus", "virtual"))


def is_emulated(r):
    """In QEMU, by its clock: that of instruction counts is another unit."""
    return (r.get("settings") or {}).get("emulated") == "tcg"


def why_not(a, b):
    """Why the same benchmark in two results can't be compared, or None."""
    if a["unit"] != b["unit"]:
        return "the units differ (%s, %s)" % (a["unit"], b["unit"])
    if a.get("amount") is not None and b.get("amount") is not None and a["amount"] != b["amount"]:
        return "not the same was done (%s, %s: --quick or --jobs)" % (table.number(a["amount"], 7),
                                                                       table.number(b["amount"], 7))
    return None


def compare(results, only=None):
    """All cells, by result, benchmark, way."""
    first, cells = results[0], []
    for i, r in enumerate(results[1:], 1):
        mine = []
        for name, b in first["benchmarks"].items():
            other = r["benchmarks"].get(name)
            if not other or why_not(b, other):
                continue
            for way, w in b["ways"].items():
                if only and way not in only:
                    continue
                if result.values(w) and result.values(other["ways"].get(way, {})):
                    mine.append(Cell(i, name, way, b, other, alike(first, r)))
        adjust([c.figures for c in mine if c.figures.judged])
        adjust([c.cost for c in mine if c.cost])
        cells += mine
    return cells


def adjust(tests):
    for test, q in zip(tests, stats.adjusted([t.p for t in tests])):
        test.q = q


def different_facts(results):
    """(what, [text per result]) where the machines differ."""
    for key, what in FACTS:
        values = [r["machine"].get(key) for r in results]
        if any(v != values[0] for v in values[1:]):
            yield what, [fact_text(v, values[0]) if isinstance(v, dict) else
                         " ".join(map(str, v)) if isinstance(v, list) else str(v) for v in values]
    for key in sorted({k for r in results for k in (r["machine"].get("config") or {})}):
        values = [(r["machine"].get("config") or {}).get(key, "not known") for r in results]
        if any(v != values[0] for v in values[1:]) and key != "CC_VERSION_TEXT":
            yield "CONFIG_" + key, values
    versions = [r.get("versions") or {} for r in results]
    for key in sorted({k for v in versions for k in v}):
        values = [v.get(key) or "not used" for v in versions]
        if any(v != values[0] for v in values[1:]):
            yield key, values


def fact_text(v, first):
    first = first if isinstance(first, dict) else {}
    odd = ["%s: %s" % (k, x) for k, x in v.items() if first.get(k) != x]
    return "; ".join(odd) if odd else "as the first, but for what others have or lack"


def not_shared(names, results):
    """Lines on what only some of the results have."""
    everything = {}
    for i, r in enumerate(results):
        for name in r["benchmarks"]:
            everything.setdefault(name, []).append(i)
    for name, there in everything.items():
        if len(there) < len(results):
            yield "%s: only in %s" % (name, ", ".join(names[i] for i in there))
    for i, r in enumerate(results[1:], 1):
        for name, b in r["benchmarks"].items():
            why = name in results[0]["benchmarks"] and why_not(results[0]["benchmarks"][name], b)
            if why:
                yield "%s: not compared in %s: %s" % (name, names[i], why)


def remarks(names, results, cells):
    """What one has to know before believing the table."""
    if differ_in_machine(results):
        yield ("different machines: times can't be compared; look at the cost over native",
               ["%s: %s" % (n, table.machine_line(r["machine"])) for n, r in zip(names, results)])
    elif any(what in ("kernel", "kernel build") for what, _ in different_facts(results)):
        yield ("different kernels", ["%s: %s" % (n, r["machine"]["kernel"]) for n, r in zip(names, results)])
    emulated = [n for n, r in zip(names, results) if is_emulated(r)]
    if emulated:
        yield ("emulated, without counting instructions: times mean nothing, the cost over native little: "
               + ", ".join(emulated), [])
    for i in range(1, len(results)):
        moved = ["%s, %s: %.3f" % (c.name, c.way, c.figures.ratio) for c in cells
                 if c.i == i and c.way == result.base_of(c.way, "native") and c.figures.differs()]
        if moved:
            yield ("native itself differs in %s: what is slower or faster need not be due to sluice; look at the cost "
                   "over native" % names[i], moved)
    for n, r in zip(names, results):
        if not r.get("complete", True):
            yield "incomplete, its run was interrupted: " + n, []
        noisy = ["%s: %s" % (name, ", ".join(b["noisy"])) for name, b in r["benchmarks"].items() if b.get("noisy")]
        if noisy:
            yield "noisy: " + n, noisy
        failed = ["%s, %s" % (b, w) for b, e in r["benchmarks"].items() for w, x in e["ways"].items()
                   if x.get("failed")]
        failed += [b for b, e in r["benchmarks"].items() if e.get("failed")]
        if failed:
            yield "broken: " + n, failed
    quick = [n for n, r in zip(names, results) if (r.get("settings") or {}).get("quick")
             and r["settings"].get("emulated") != "icount"]
    if quick:
        yield "rough, since measured with --quick: " + ", ".join(quick), []


def tables(cells):
    """(title, head, rows, columns of numbers) of CELLS, which are of one result; none without rows."""
    yield ("Figures", ("benchmark", "way", "A", "B", "unit", "B/A", "interval", "verdict", "p"),
           [(c.name, c.way, table.number(c.figures.median_a), table.number(c.figures.median_b), c.unit,
             *c.figures.row()) for c in cells], (2, 3, 5, 8))
    rows = [(c.name, c.way, *cost_columns(c)) for c in cells if c.cost or any(c.over_bare)]
    if rows:
        yield ("Cost over native, and over bare",
               ("benchmark", "way", "A", "B", "B/A", "interval", "verdict", "p", "over bare: A", "B"), rows,
               (2, 3, 4, 7, 8, 9))
    rows = [(c.name, c.way, *cpu_columns(*c.cpu[0]), *cpu_columns(*c.cpu[1])) for c in cells if None not in c.cpu[0]]
    if rows:
        yield ("CPU seconds, of the tree and of the supervisor",
               ("benchmark", "way", "tree: A", "B", "B/A", "supervisor: A", "B", "B/A"), rows, range(2, 8))


def cost_columns(c):
    t = c.cost
    return (*(("%.3g" % t.median_a, "%.3g" % t.median_b, *t.row()) if t else [""] * 6),
            *("%.2f" % o["median"] if o else "" for o in c.over_bare))


def cpu_columns(a, b):
    return (table.seconds(a), table.seconds(b), "%.3f" % (b / a) if a and b is not None else "")


GOALS_HEAD = ("goal", "of", "measured", "at most", "floor", "verdict")


def goals(names, results):
    """Those of which a result has a figure."""
    for goal in zip(*(table.goals(r) for r in results)):
        for name, (what, measured, most, floor, verdict) in zip(names, goal):
            if measured:
                yield what, name, measured, most, floor, verdict


def show(names, results, cells):
    for what, lines in remarks(names, results, cells):
        yield what[0].upper() + what[1:]
        for line in lines:
            yield "  " + line
    for i in range(1, len(results)):
        mine = [c for c in cells if c.i == i]
        yield ""
        yield "%s against %s" % (names[i], names[0])
        if not mine:
            yield "  they have no benchmark and way in common"
            continue
        for title, head, rows, right in tables(mine):
            yield ""
            yield title
            yield from table.columns([head, *rows], right)
    yield ""
    if len(results) > 1:
        yield ("A: %s. B/A: Hodges-Lehmann ratio and its 95 %% interval; p: Mann-Whitney, adjusted for all rows of a"
               % names[0])
        yield ("table (Benjamini-Hochberg); *: p below %g. Costs: medians of the ratios within a round; bare: the bare"
               % ALPHA)
        yield "way of the same kind, emulating or not. CPU seconds: medians."
    met = list(goals(names, results))
    if met:
        yield ""
        yield from table.columns([GOALS_HEAD, *met])
    for line in not_shared(names, results):
        yield line
    differing = list(different_facts(results))
    if differing:
        yield ""
        yield "What differs:"
        for what, values in differing:
            yield "  %s" % what
            for n, v in zip(names, values):
                yield "    %s: %s" % (n, v[:300])
