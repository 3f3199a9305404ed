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
            bare = ratios.get("bare") or better(b, way)
            cpu = None
            if "median_user_s" in w:
                cpu = w["median_user_s"] + w["median_sys_s"]
            rows.append((name, way, "BROKEN" if "failed" in w else number(w.get("median")), b["unit"],
                         ratio(ratios.get("native")), ratio(bare) if way != "native" else "", seconds(cpu),
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


def _values(r, name, way):
    return [s["value"] for s in r["benchmarks"].get(name, {}).get("ways", {}).get(way, {}).get("samples", [])]


def goals(r):
    """(what, measured, at most, verdict) for each goal of which R has figures."""
    wanted = [
        ("open, trapped, against bare", _ratio_of(r, "open", "sluice", "bare"), 1.10),
        ("lua build, trapped, against native", _ratio_of(r, "lua", "sluice", "native"), 1.03),
        ("lua build, opens and execs recorded too", _ratio_of(r, "lua", "sluice-record", "native"), 1.10),
        ("configure, trapped, against native", _ratio_of(r, "configure", "sluice", "native"), 1.08),
        ("lua build, Landlock alone, against the launcher", _ratio_of(r, "lua", "sluice-none", "landlock"), 1.005),
        ("1000 x true from a shell, against native", _ratio_of(r, "shell-true", "sluice", "native"), 1.10),
        ("a call among 10,000 tasks, against alone", _ratio_of(r, "crowd", "sluice, crowd", "sluice"), 1.05),
    ]
    for busy in ("", "-busy", "-pinned"):
        name = "open-emulated" + busy
        if name in r["benchmarks"]:
            wanted.append(("open, emulated%s, against the better floor" % busy.replace("-", ", "),
                           better(r["benchmarks"][name], "sluice-emulate"), 1.15))
    for what, found, most in wanted:
        if found:
            yield what, "%.3f" % found["median"], "%g" % most, "" if found["median"] <= most else "MISSED"
    yield from _absolute_goals(r)


def _absolute_goals(r):
    native, sluice = _values(r, "start", "native"), _values(r, "start", "sluice")
    if native and sluice:
        more = (stats.median(sluice) - stats.median(native)) / 1000
        yield "start, more than native", "%.2f ms" % more, "5 ms", "" if more <= 5 else "MISSED"
    p99 = _values(r, "neighbour", "sluice")
    if p99:
        m = stats.median(p99)
        yield "p99 beside a forking neighbour", "%.0f us" % m, "1000 us", "" if m <= 1000 else "MISSED"
    w = r["benchmarks"].get("git", {}).get("ways", {}).get("sluice", {})
    if w.get("median_supervisor_s"):
        share = w["median_supervisor_s"] / (w["median_user_s"] + w["median_sys_s"])
        yield "supervisor's own CPU in a git build", "%.2f %%" % (100 * share), "1.5 %", \
            "" if share <= 0.015 else "MISSED"
    rss = [s["supervisor_rss_kib"] / 1024 for s in r["benchmarks"].get("lua", {}).get("ways", {})
           .get("sluice", {}).get("samples", []) if "supervisor_rss_kib" in s]
    if rss:
        yield "memory, lua build", "%.1f MiB" % max(rss), "30 MiB", "" if max(rss) <= 30 else "MISSED"
