# SPDX-License-Identifier: Apache-2.0
"""Results against the first of them.

Times are compared by the Mann-Whitney test and the Hodges-Lehmann ratio; a difference counts (marked "*") if
the p, adjusted for all comparisons of these two results after Benjamini and Hochberg, is below 0.05 and neither
of the two was noisy. The cost over native is compared beside, since only that means something between different machines.
"""

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
    names = [r.get("label") or os.path.basename(f).removesuffix(".json") for f, r in zip(files, results)]
    return [n if names.count(n) == 1 else "%s (%d)" % (n, i + 1) for i, n in enumerate(names)]


class Cell:
    """One way of one benchmark in result number I against the same in the first."""

    def __init__(self, i, name, way, unit, a, b, over_a, over_b, noisy):
        self.i, self.name, self.way, self.unit, self.noisy = i, name, way, unit, noisy
        self.median_a, self.median_b = stats.median(a), stats.median(b)
        self.ratio, self.low, self.high = stats.quotient(a, b)
        self.p = stats.mann_whitney(a, b)
        self.q = self.p
        self.few = min(len(a), len(b)) < LEAST
        self.apart = max(a) < min(b) or max(b) < min(a)
        self.over_a, self.over_b = over_a, over_b

    def differs(self):
        """A test knows chance, not what else the machine did: where it was noisy nothing counts."""
        return not self.few and not self.noisy and self.q < ALPHA

    def verdict(self):
        if self.few:
            return "too few rounds"
        if self.q >= ALPHA and self.apart and not self.noisy:
            return "apart, but too few rounds for so many rows"
        if self.q >= ALPHA:
            return "no difference seen"
        words = ("faster", "slower") if self.unit in TIMES else ("less", "more")
        return words[self.ratio > 1] + (", but noisy" if self.noisy else "")


def over_native(b, way):
    """The ratio to native (of the same kind) within rounds, or None."""
    name = result.base_of(way, "native")
    base = b["ways"].get(name)
    if way == name or not base or way not in b["ways"]:
        return None
    return stats.ratio(result.by_round(b["ways"][way]), result.by_round(base))


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
                va, vb = result.values(w), result.values(other["ways"].get(way, {}))
                if va and vb:
                    mine.append(Cell(i, name, way, b["unit"], va, vb, over_native(b, way), over_native(other, way),
                                     bool(b.get("noisy") or other.get("noisy"))))
        for cell, q in zip(mine, stats.adjusted([c.p for c in mine])):
            cell.q = q
        cells += mine
    return cells


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


def remarks(names, results):
    """What one has to know before believing the table."""
    differing = list(different_facts(results))
    if any(what in ("CPU", "CPUs", "virtual") for what, _ in differing):
        yield ("different machines: times can't be compared; look at the cost over native",
               ["%s: %s" % (n, table.machine_line(r["machine"])) for n, r in zip(names, results)])
    elif any(what in ("kernel", "kernel build") for what, _ in differing):
        yield ("different kernels", ["%s: %s" % (n, r["machine"]["kernel"]) for n, r in zip(names, results)])
    for n, r in zip(names, results):
        if not r.get("complete", True):
            yield "incomplete, its run was interrupted: " + n, []
        noisy = ["%s: %s" % (name, ", ".join(b["noisy"])) for name, b in r["benchmarks"].items() if b.get("noisy")]
        if noisy:
            yield "noisy: " + n, noisy
        failed = ["%s, %s" % (b, w) for b, e in r["benchmarks"].items() for w, x in e["ways"].items() if "failed" in x]
        failed += [b for b, e in r["benchmarks"].items() if e.get("failed")]
        if failed:
            yield "broken: " + n, failed
    quick = [n for n, r in zip(names, results) if (r.get("settings") or {}).get("quick")
             and r["settings"].get("emulated") != "icount"]
    if quick:
        yield "rough, since measured with --quick: " + ", ".join(quick), []


def show(names, results, cells):
    for what, lines in remarks(names, results):
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
        rows = [("benchmark", "way", "A", "B", "", "B/A", "interval", "", "p", "over native: A", "B")]
        for c in mine:
            rows.append((c.name, c.way, table.number(c.median_a), table.number(c.median_b), c.unit,
                         "%.3f" % c.ratio if c.ratio is not None else "",
                         "[%.3f, %.3f]" % (c.low, c.high) if c.low is not None else "",
                         "* " + c.verdict() if c.differs() else c.verdict(),
                         "%.2g" % c.q, "%.2f" % c.over_a["median"] if c.over_a else "",
                         "%.2f" % c.over_b["median"] if c.over_b else ""))
        yield from table.columns(rows, right=(2, 3, 5, 8, 9, 10))
    yield ""
    if len(results) > 1:
        yield ("A: %s. B/A: Hodges-Lehmann ratio and its 95 %% interval; p: Mann-Whitney, adjusted for %s"
               % (names[0], "all rows (Benjamini-Hochberg);"))
        yield "*: p below %g. Over native: median of the ratios within a round." % ALPHA
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
