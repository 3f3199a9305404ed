# SPDX-License-Identifier: Apache-2.0
"""A result as text: one line a way, and the goals that it has figures for."""

from suite import stats


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
            bare = ratio(ratios.get("bare") or better(b, way)) if way != "native" else ""
            alone = way.split(",")[0]
            if alone != way and ratios.get(alone):
                bare = "%s of %s" % (ratio(ratios[alone]), alone)
            cpu = None
            if "median_user_s" in w:
                cpu = w["median_user_s"] + w["median_sys_s"]
            rows.append((name, way, "BROKEN" if "failed" in w else number(w.get("median")), b["unit"],
                         ratio(ratios.get("native")), bare, seconds(cpu),
                         seconds(w.get("median_supervisor_s"))))
    if len(rows) > 1:
        yield ""
        yield from columns(rows, right=(2,))
        yield ""
        yield "Medians; ratios are medians of those within a round, with the interval between two order statistics"
        yield "(sign test, 94 % or more; from 5 rounds on). CPU: user and system of the tree; own: of the supervisor."
    for why in r.get("noisy", []):
        yield "NOISY " + why
    rows = list(goals(r))
    if rows:
        yield ""
        yield from columns([("goal", "measured", "at most", ""), *rows])


def better(b, way):
    """The ratio against the emulating floor: the better of its two reply forms."""
    forms = [f for f in ("bare-addfd", "bare-addfd-send") if b["ways"].get(f, {}).get("median")]
    if not forms or way in forms:
        return None
    return b["ratios"].get(way, {}).get(min(forms, key=lambda f: b["ways"][f]["median"]))


def _ratio_of(r, name, way, base):
    return r["benchmarks"].get(name, {}).get("ratios", {}).get(way, {}).get(base)


def _samples(r, name, way):
    return r["benchmarks"].get(name, {}).get("ways", {}).get(way, {}).get("samples", [])


def _verdict(r, name, kept):
    """A figure of a noisy or a quick run neither keeps a goal nor misses it."""
    if r["benchmarks"][name].get("noisy") or (r.get("settings") or {}).get("quick"):
        return "rough" if kept else "rough, above"
    return "" if kept else "MISSED"


RATIOS = [
    ("open, trapped, against bare", "open", "sluice", "bare", 1.10),
    ("open, emulated, against the better floor", "open-emulated", "sluice-emulate", None, 1.15),
    ("the same on CPUs kept awake", "open-emulated-busy", "sluice-emulate", None, 1.15),
    ("the same on one CPU", "open-emulated-pinned", "sluice-emulate", None, 1.15),
    ("lua build, trapped, against native", "lua", "sluice", "native", 1.03),
    ("lua build, recorded", "lua", "sluice-record", "native", 1.10),
    ("lua build, Landlock alone, against the launcher", "lua", "sluice-none", "landlock", 1.005),
    ("configure, trapped, against native", "configure", "sluice", "native", 1.08),
    ("1000 x true from a shell, against native", "shell-true", "sluice", "native", 1.10),
    ("a call among 10,000 tasks, against alone", "crowd", "sluice, crowd", "sluice", 1.05),
]


def goals(r):
    """(what, measured, at most, verdict) for each goal of which R has figures."""
    for what, name, way, base, most in RATIOS:
        if name not in r["benchmarks"]:
            continue
        found = _ratio_of(r, name, way, base) if base else better(r["benchmarks"][name], way)
        if found:
            yield what, "%.3f" % found["median"], "%g" % most, _verdict(r, name, found["median"] <= most)
    yield from _absolute_goals(r)


def _absolute_goals(r):
    native = [s["value"] for s in _samples(r, "start", "native")]
    for way, profile, most in (("sluice", "open", 5), ("sluice-build", "build", 10)):
        values = [s["value"] for s in _samples(r, "start", way)]
        if native and values:
            more = (stats.median(values) - stats.median(native)) / 1000
            yield ("start under `%s`, more than native" % profile, "%.2f ms" % more, "%d ms" % most,
                   _verdict(r, "start", more <= most))
    p99 = [s["value"] for s in _samples(r, "neighbour", "sluice")]
    if p99:
        m = stats.median(p99)
        yield "p99 beside a forking neighbour", "%.0f us" % m, "1000 us", _verdict(r, "neighbour", m <= 1000)
    own = [s["supervisor_s"] / (s["user_s"] + s["sys_s"]) for s in _samples(r, "git", "sluice")
           if s.get("supervisor_s") and s["user_s"] + s["sys_s"] > 0]
    if own:
        share = stats.median(own)
        yield ("supervisor's own CPU in a git build", "%.2f %%" % (100 * share), "1.5 %",
               _verdict(r, "git", share <= 0.015))
    rss = [s["supervisor_rss_kib"] / 1024 for s in _samples(r, "lua", "sluice") if "supervisor_rss_kib" in s]
    if rss:
        yield "memory, lua build", "%.1f MiB" % max(rss), "30 MiB", _verdict(r, "lua", max(rss) <= 30)
