# SPDX-License-Identifier: Apache-2.0
"""A result as text: one line a way, and the goals that it has figures for."""

import textwrap

from suite import result, stats


def number(x, digits=4):
    if x is None:
        return ""
    if x != 0 and (abs(x) >= 10 ** digits):
        return "%d" % round(x)
    return "%.*g" % (digits, x)


def seconds(x):
    return "" if x is None else "%.3g" % x


def ratio(r):
    if not r:
        return ""
    if r.get("low") is None:
        return "%.3g" % r["median"]
    return "%.3g [%.3g, %.3g]" % (r["median"], r["low"], r["high"])


def columns(rows, right=()):
    """Lines with aligned columns."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(str(c).rjust(w) if i in right else str(c).ljust(w)
                        for i, (c, w) in enumerate(zip(row, widths))).rstrip()


def machine_line(m):
    return "%s CPUs (%s%s), Linux %s" % (m.get("cpus", "?"), m["cpu"], ", virtual" if m.get("virtual") else "",
                                         m["kernel"])


WAYS_HEAD = ("benchmark", "way", "median", "unit", "against native", "against bare", "CPU s", "own CPU s")


def ways(r):
    """A row for each."""
    rows = []
    for name, b in r["benchmarks"].items():
        if b.get("failed"):
            rows.append((name, "", "BROKEN", "", "", "", "", ""))
        for way, w in b["ways"].items():
            ratios = result.ratios(b, way)
            bare = ratio(against_bare(b, way)) if way != "native" else ""
            alone = way.split(",")[0]
            if alone != way and ratios.get(alone):
                bare = "%s of %s" % (ratio(ratios[alone]), alone)
            rows.append((name, way, "BROKEN" if w.get("failed") else number(result.median(w)), b["unit"],
                         ratio(ratios.get(result.base_of(way, "native"))), bare, seconds(result.cpu(w)),
                         seconds(w.get("median_supervisor_s"))))
    return rows


def show(r):
    """Lines."""
    load = [r[key][0] for key in ("load_before", "load_after") if r.get(key)]
    yield machine_line(r["machine"]) + (", load %s" % " to ".join("%.2f" % x for x in load) if load else "")
    if not r.get("complete"):
        yield "INCOMPLETE: the run was interrupted"
    rows = ways(r)
    if rows:
        yield ""
        yield from columns([WAYS_HEAD, *rows], right=(2,))
        yield ""
        yield "Medians; ratios are medians of those within a round, with the interval between two order statistics"
        yield "(sign test, 93 % or more; from 5 rounds on). CPU: user and system of the tree; own: of the supervisor."
    for why in r.get("noisy") or []:
        yield "NOISY " + why
    yield from show_goals(list(goals(r)))


def show_goals(rows):
    """Those that this run has figures for; the others by name, so that none is taken for met."""
    there, missing = [g for g in rows if g[1]], [g[0] for g in rows if not g[1]]
    yield ""
    if there:
        yield from columns([("goal", "measured", "at most", "floor", ""), *there])
    else:
        yield "None of the goals was measured in this run."
    if there and missing:
        yield from textwrap.wrap("Not measured in this run: %s." % "; ".join(missing), 110, subsequent_indent="  ")


def better(b, way):
    """The ratio against the emulating floor: the better of its two reply forms."""
    form = better_form(b)
    return result.ratios(b, way).get(form) if form else None


def better_form(b):
    """The way that is the emulating floor: the better of its two reply forms. None if neither was measured."""
    medians = {f: result.median(b["ways"].get(f, {})) for f in ("bare-addfd", "bare-addfd-send")}
    return min((f for f in medians if medians[f]), key=medians.get, default=None)


def floor_of(b, way):
    """The bare way of its kind: of what emulates, the emulating floor, where that was measured."""
    bare, form = result.base_of(way, "bare"), better_form(b)
    return form if form and (way == "sluice-emulate" or bare not in b["ways"]) else bare


def against_bare(b, way):
    return result.ratios(b, way).get(floor_of(b, way))


def _ratio_of(r, name, way, base):
    return result.ratios(r["benchmarks"].get(name, {}), way).get(base)


def _samples(r, name, way):
    return r["benchmarks"].get(name, {}).get("ways", {}).get(way, {}).get("samples", [])


def _rough(r, name):
    """Why a figure of this run neither shows that a goal is met nor that it is missed."""
    if r["machine"].get("cpus", 2) != 2 or (r.get("settings") or {}).get("jobs", 2) != 2:
        return "the goals are for two CPUs and --jobs 2"
    if (r.get("settings") or {}).get("emulated"):
        return "emulated"
    if r["benchmarks"][name].get("noisy"):
        return "noisy"
    return "measured with --quick" if (r.get("settings") or {}).get("quick") else None


def _verdict(r, name, kept):
    """Of a figure without an interval."""
    why = _rough(r, name)
    if why:
        return "not shown: " + why
    return "met" if kept else "NOT MET"


def _by_interval(r, name, found, most):
    """A goal is met if all of the interval is, and missed if none of it is."""
    low, high = found.get("low"), found.get("high")
    if low is None:
        return "not shown: fewer than 5 rounds"
    if _rough(r, name) or low <= most < high:
        return "not shown: " + (_rough(r, name) or "the bound is within the interval")
    return _verdict(r, name, high <= most)


# What is measured, the benchmark, the way, its base (None: the better emulating floor), the bound, and the bare way
# that tells how near to it the kernel's own mechanism comes (of emulation: in the form that keeps locks as they are
# natively, core/reply/reply.c).
RATIOS = [
    ("open, trapped, against bare", "open", "sluice", "bare", 1.10, "bare-landlock"),
    ("open, emulated, against the better floor", "open-emulated", "sluice-emulate", None, 1.15, "bare-addfd"),
    ("open, emulated, CPUs kept awake", "open-emulated-busy", "sluice-emulate", None, 1.15, "bare-addfd"),
    ("open, emulated, all on one CPU", "open-emulated-pinned", "sluice-emulate", None, 1.15, "bare-addfd"),
    ("lua build, trapped, against native", "lua", "sluice", "native", 1.03, "bare"),
    ("lua build, looks at names recorded too, against native", "lua", "sluice-trace", "native", 1.10, "bare-look"),
    ("lua build, Landlock alone, against the launcher", "lua-landlock", "sluice-none", "landlock", 1.005, None),
    ("configure, trapped, against native", "configure", "sluice", "native", 1.08, "bare"),
    ("1000 x true from a shell, against native", "shell-true", "sluice", "native", 1.10, "bare"),
    ("a call among 10,000 tasks, against alone", "crowd", "sluice, crowd", "sluice", 1.05, None),
]


def goals(r):
    """(what, measured, at most, floor, verdict) for each goal; measured is "" where R has no figure."""
    for what, name, way, base, most, floor in RATIOS:
        b = r["benchmarks"].get(name)
        found = b and (_ratio_of(r, name, way, base) if base else better(b, way))
        yield (what, _measured(found, "%.3f"), "%g" % most,
               _floor(floor, _ratio_of(r, name, floor, base) if base else b and better(b, floor), "%.3f"),
               _by_interval(r, name, found, most)) if found else (what, "", "", "", "")
    yield from _absolute_goals(r)


def _floor(way, found, form):
    """What WAY has, which only makes the same calls wait."""
    return "%s %s" % (_measured(found, form), way) if found else ""


def _measured(found, form):
    if found.get("low") is None:
        return form % found["median"]
    return "%s [%s, %s]" % tuple(form % found[key] for key in ("median", "low", "high"))


def _figure(r, what, name, values, form, most, unit, floor=""):
    """A goal of the median of VALUES, one a round."""
    if not values:
        return what, "", "", "", ""
    low, high, _ = stats.median_interval(values) or (None, None, None)
    found = {"median": stats.median(values), "low": low, "high": high}
    return (what, "%s %s" % (_measured(found, form), unit), "%g %s" % (most, unit), floor,
            _by_interval(r, name, found, most))


def _own_share(r, way):
    """Per cent of a git build's CPU time that its supervisor took, one a round."""
    used = [(s.get("supervisor_s"), (s.get("user_s") or 0) + (s.get("sys_s") or 0)) for s in _samples(r, "git", way)]
    return [100 * own / tree for own, tree in used if own and tree]


def _absolute_goals(r):
    for way, profile in (("sluice", "open"), ("sluice-build", "build")):
        native, values = ({x["round"]: x["value"] for x in _samples(r, "start", w)} for w in ("native", way))
        yield _figure(r, "start under `%s`, more than native" % profile, "start",
                      [(values[n] - native[n]) / 1000 for n in values if n in native], "%.2f", 5, "ms")
    yield _figure(r, "p99 beside a forking neighbour", "neighbour",
                  [s["value"] for s in _samples(r, "neighbour", "sluice")], "%.0f", 1000, "us")
    bare = _own_share(r, "bare")
    yield _figure(r, "supervisor's own CPU in a git build", "git", _own_share(r, "sluice"), "%.2f", 1.5, "%",
                  "%.2f %% bare" % stats.median(bare) if bare else "")
    rss = [s["supervisor_rss_kib"] / 1024 for s in _samples(r, "lua", "sluice") if s.get("supervisor_rss_kib")]
    yield ("supervisor's memory, lua build", "%.1f MiB" % max(rss) if rss else "", "30 MiB", "",
           _verdict(r, "lua", max(rss) <= 30) if rss else "")
