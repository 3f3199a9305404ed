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


def show(r):
    """Lines."""
    yield machine_line(r["machine"]) + ", load %.2f to %.2f" % (r["load_before"][0], r["load_after"][0])
    if not r.get("complete"):
        yield "INCOMPLETE: the run was interrupted"
    rows = [("benchmark", "way", "median", "", "against native", "against bare", "CPU s", "own CPU s")]
    for name, b in r["benchmarks"].items():
        if b.get("failed"):
            rows.append((name, "", "BROKEN", "", "", "", "", ""))
        for way, w in b["ways"].items():
            ratios = b.get("ratios", {}).get(way, {})
            bare = ratio(against_bare(b, way)) if way != "native" else ""
            alone = way.split(",")[0]
            if alone != way and ratios.get(alone):
                bare = "%s of %s" % (ratio(ratios[alone]), alone)
            cpu = None
            if "median_user_s" in w:
                cpu = w["median_user_s"] + w["median_sys_s"]
            rows.append((name, way, "BROKEN" if "failed" in w else number(w.get("median")), b["unit"],
                         ratio(ratios.get(result.base_of(way, "native"))), bare, seconds(cpu),
                         seconds(w.get("median_supervisor_s"))))
    if len(rows) > 1:
        yield ""
        yield from columns(rows, right=(2,))
        yield ""
        yield "Medians; ratios are medians of those within a round, with the interval between two order statistics"
        yield "(sign test, 93 % or more; from 5 rounds on). CPU: user and system of the tree; own: of the supervisor."
    for why in r.get("noisy", []):
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
    forms = [f for f in ("bare-addfd", "bare-addfd-send") if b["ways"].get(f, {}).get("median")]
    if not forms:
        return None
    return b["ratios"].get(way, {}).get(min(forms, key=lambda f: b["ways"][f]["median"]))


def against_bare(b, way):
    """The ratio against the floor of its kind: of what emulates, the emulating one, where that was measured."""
    return (way == "sluice-emulate" and better(b, way)) or b.get("ratios", {}).get(way, {}).get("bare") or better(b, way)


def _ratio_of(r, name, way, base):
    return r["benchmarks"].get(name, {}).get("ratios", {}).get(way, {}).get(base)


def _samples(r, name, way):
    return r["benchmarks"].get(name, {}).get("ways", {}).get(way, {}).get("samples", [])


def _rough(r, name):
    """Why a figure of this run neither shows that a goal is met nor that it is missed."""
    if r["machine"].get("cpus", 2) != 2 or (r.get("settings") or {}).get("jobs", 2) != 2:
        return "the goals are for two CPUs and --jobs 2"
    if r["benchmarks"][name].get("noisy"):
        return "noisy"
    return "measured with --quick" if (r.get("settings") or {}).get("quick") else None


def _verdict(r, name, kept):
    """Of a figure without an interval."""
    why = _rough(r, name)
    if why:
        return "not shown: " + why
    return "met" if kept else "NOT MET"


def _by_interval(r, name, low, high, most):
    """A goal is met if all of the interval is, and missed if none of it is."""
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
        yield (what, _measured(found["median"], found["low"], found["high"], "%.3f"), "%g" % most,
               _floor(floor, _ratio_of(r, name, floor, base) if base else b and better(b, floor), "%.3f"),
               _by_interval(r, name, found["low"], found["high"], most)) if found else (what, "", "", "", "")
    yield from _absolute_goals(r)


def _floor(way, found, form):
    """What WAY has, which only makes the same calls wait."""
    return "%s %s" % (_measured(found["median"], found["low"], found["high"], form), way) if found else ""


def _measured(median, low, high, form):
    return form % median if low is None else "%s [%s, %s]" % (form % median, form % low, form % high)


def _figure(r, what, name, values, form, most, unit, floor=""):
    """A goal of the median of VALUES, one a round."""
    if not values:
        return what, "", "", "", ""
    low, high, _ = stats.median_interval(values) or (None, None, None)
    return (what, "%s %s" % (_measured(stats.median(values), low, high, form), unit), "%g %s" % (most, unit), floor,
            _by_interval(r, name, low, high, most))


def _own_share(r, way):
    """Per cent of a git build's CPU time that its supervisor took, one a round."""
    return [100 * s["supervisor_s"] / (s["user_s"] + s["sys_s"]) for s in _samples(r, "git", way)
            if s.get("supervisor_s") and s["user_s"] + s["sys_s"] > 0]


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
    rss = [s["supervisor_rss_kib"] / 1024 for s in _samples(r, "lua", "sluice") if "supervisor_rss_kib" in s]
    yield ("supervisor's memory, lua build", "%.1f MiB" % max(rss) if rss else "", "30 MiB", "",
           _verdict(r, "lua", max(rss) <= 30) if rss else "")
