# SPDX-License-Identifier: Apache-2.0
"""The page: everything of a comparison in one file that needs no network and no script.

Colours are Okabe and Ito's (told apart with any colour vision), lighter ones on a dark ground.
"""

from suite import compare, result, stats, svg, table
from suite.svg import esc

STYLE = """
:root { color-scheme: light dark; --bg: #ffffff; --fg: #1b1f24; --dim: #5c6570; --grid: #e3e6ea; --card: #f5f6f8;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #a07a00; --c5: #3a3f45; --warn: #8a4b00;
  --warnbg: #fff4e2; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --fg: #e6e9ed; --dim: #9aa4b0; --grid: #2b3138;
  --card: #1c2127; --c0: #56b4e9; --c1: #f0843c; --c2: #2cc79a; --c3: #e39ac4; --c4: #f0e442; --c5: #c8ced6;
  --warn: #ffc266; --warnbg: #2b2416; } }
* { box-sizing: border-box; }
body { background: var(--bg); color: var(--fg); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 24px;
  max-width: 1020px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 36px 0 6px; }
h3 { font-size: 16px; margin: 26px 0 2px; } h4 { font-size: 14px; margin: 18px 0 2px; }
  p { margin: 6px 0; } .dim { color: var(--dim); fill: var(--dim); }
code { font-family: ui-monospace, monospace; font-size: 0.92em; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.card { background: var(--card); border-radius: 8px; padding: 10px 14px; flex: 1 1 280px; }
.card b { display: flex; align-items: center; gap: 8px; overflow-wrap: anywhere; }
.card svg, .legend svg { width: 16px; height: 16px; flex: none; }
.note { background: var(--warnbg); border-left: 4px solid var(--warn); border-radius: 4px; padding: 8px 14px;
  margin: 10px 0; } .note ul { margin: 4px 0; padding-left: 20px; }
svg { width: 100%; height: auto; display: block; }
.plot { overflow-x: auto; } .plot svg { min-width: 680px; }
svg text { font: 13px system-ui, sans-serif; fill: var(--fg); }
svg .tick { font-size: 12px; fill: var(--dim); } svg .label { font-size: 12.5px; fill: var(--dim); }
svg .value { font-size: 12px; } svg .dim { fill: var(--dim); }
.axis { stroke: var(--dim); } .grid { stroke: var(--grid); } .lane { stroke: var(--grid); stroke-dasharray: 2 3; }
.one { stroke: var(--fg); stroke-width: 1.4; stroke-dasharray: 5 4; } .ci { stroke-width: 2.4; }
.mark { stroke: var(--bg); stroke-width: 1; } .sample { opacity: 0.4; } .hollow { stroke-width: 2; }
TABLE
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } th { text-align: left; border-bottom: 2px solid var(--grid); padding: 4px 10px 4px 0; }
td { border-bottom: 1px solid var(--grid); padding: 3px 10px 3px 0; vertical-align: top; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; } td.name { white-space: nowrap; } tr.first td { border-top: 2px solid var(--grid); }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 8px 0; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
details { margin: 8px 0; } summary { cursor: pointer; }
"""
COLOURS = "".join(".c%d { fill: var(--c%d); } .s%d { stroke: var(--c%d); } .hollow.c%d { fill: var(--bg); "
                  "stroke: var(--c%d); }\n" % (i, i, i, i, i, i) for i in range(6))


def key(number):
    return '<svg viewBox="-8 -8 16 16" aria-hidden="true">%s</svg>' % svg.mark(0, 0, number, 5, "mark")


def cards(names, results):
    out = ['<div class="cards">']
    for i, (n, r) in enumerate(zip(names, results)):
        settings = r.get("settings") or {}
        lines = [table.machine_line(r["machine"]), "sluice: " + ((r.get("versions") or {}).get("sluice") or "unknown"),
                 "started " + str(r.get("started", "at an unknown time"))]
        if r["machine"].get("governor"):
            lines.append("governor %s" % r["machine"]["governor"])
        if settings.get("rounds"):
            lines.append("%s rounds" % settings["rounds"])
        if r.get("load_before") and r.get("load_after"):
            lines.append("load %.2f before, %.2f after" % (r["load_before"][0], r["load_after"][0]))
        out.append('<div class="card"><b>%s%s</b>%s</div>' % (
            key(i), esc(n), "".join('<div class="dim">%s</div>' % esc(x) for x in lines)))
    return "".join(out) + "</div>"


def notes(names, results, cells):
    for what, lines in compare.remarks(names, results, cells):
        what = esc(what[0].upper() + what[1:])
        inner = "<ul>%s</ul>" % "".join("<li>%s</li>" % esc(x) for x in lines)
        if len(lines) > 5:
            yield '<details class="note"><summary><b>%s</b> (%d)</summary>%s</details>' % (what, len(lines), inner)
        else:
            yield '<div class="note"><b>%s</b>%s</div>' % (what, inner if lines else "")


def legend(names):
    return '<div class="legend">%s</div>' % "".join("<span>%s%s</span>" % (key(i), esc(n))
                                                    for i, n in enumerate(names))


def html_table(head, rows, right):
    """Rows begin with a benchmark, whose name stands once."""
    def line(cells, tag, more=""):
        return "<tr%s>%s</tr>" % (more, "".join("<%s%s>%s</%s>" % (
            tag, ' class="n"' if i in right else ' class="name"' if i < 2 else "", esc(c), tag.split()[0])
            for i, c in enumerate(cells)))

    out, last = [line(head, 'th scope="col"')], None
    for row in rows:
        out.append(line(row, "td") if row[0] == last else line(row, "td", ' class="first"'))
        last = row[0]
    return '<div class="wide"><table>%s</table></div>' % "".join(out)


def tally(tests):
    """How many there are of each verdict, in the words of the table."""
    counts = {}
    for t in tests:
        counts[t.verdict()] = counts.get(t.verdict(), 0) + 1
    return "; ".join("%d %s" % (n, verdict) for verdict, n in sorted(counts.items(), key=lambda e: -e[1]))


def plot_of(pairs, number, names, what):
    """PAIRS: (cell, the test of it that is shown)."""
    rows, last = [], None
    for c, t in pairs:
        if t.ratio:
            rows.append(("%s · %s" % (c.name, c.way), t.ratio, t.low, t.high, t.differs(), c.name != last))
            last = c.name
    if rows:
        yield svg.ratios(rows, number, "%s against %s (left of 1: less; logarithmic)" % (what, svg.clip(names[0], 40)),
                         "%s: %s against %s" % (what, names[number], names[0]))


def changes(names, cells):
    """For each result but the first a plot of its ratios, and all of it as tables. Where times can't be judged the
    plot is of the cost over native."""
    for i in range(1, len(names)):
        mine = [c for c in cells if c.i == i]
        if not mine:
            continue
        judged = [(c, c.figures) for c in mine if c.figures.judged]
        costs = [(c, c.cost) for c in mine if c.cost]
        yield "<h3>%s against %s</h3>" % (esc(names[i]), esc(names[0]))
        yield "<p>Figures: %s.</p>" % tally([c.figures for c in mine])
        if costs:
            yield "<p>Cost over native: %s.</p>" % tally([t for _, t in costs])
        yield from plot_of(judged, i, names, "figures")
        if len(judged) < len(mine):
            yield from plot_of(costs, i, names, "cost over native")
        for title, head, rows, right in compare.tables(mine):
            yield "<h4>%s</h4>%s" % (esc(title), html_table(head, rows, right))
    if cells:
        yield ('<p class="dim">A: %s. B/A: Hodges-Lehmann ratio and its 95 %% interval. Filled and *: a difference '
               '(Mann-Whitney, p adjusted for all rows of a table after Benjamini and Hochberg, below %g, and nothing '
               'noisy).</p>' % (esc(names[0]), compare.ALPHA))


def overheads(names, results, only):
    """The cost over native, within rounds: the one thing that can be compared across machines. And over bare."""
    rows = []
    for name in names_of(results):
        for way in ways_of(results, name, only):
            there = [r["benchmarks"].get(name) for r in results]
            found = [over(b, way) if b else None for b in there
                     for over in (compare.over_native, compare.over_floor)]
            if any(found):
                rows.append((name, way, *map(table.ratio, found)))
    if not rows:
        return
    yield "<h2>Cost over native, and over bare</h2>"
    yield ('<p class="dim">Median of the ratios within a round; in brackets the interval between two order statistics '
           '(sign test, 93 % or more). Over bare: the bare way of the same kind.</p>')
    yield html_table(["benchmark", "way"] + ["%s: %s" % (n, base) for n in names for base in ("native", "bare")], rows,
                     range(2, 2 + 2 * len(names)))


def figures(r, only):
    """Of a result that is alone, what its run printed."""
    yield "<h2>Figures</h2>"
    yield html_table(table.WAYS_HEAD, [row for row in table.ways(r) if not only or row[1] in only], (2, 6, 7))


def goals(names, results):
    rows = list(compare.goals(names, results))
    if rows:
        yield "<h2>Goals</h2>"
        yield html_table(compare.GOALS_HEAD, rows, ())


def names_of(results):
    seen = {}
    for r in results:
        for name in r["benchmarks"]:
            seen.setdefault(name)
    return list(seen)


def ways_of(results, name, only):
    seen = {}
    for r in results:
        for way, w in r["benchmarks"].get(name, {}).get("ways", {}).items():
            if result.values(w) and (not only or way in only):
                seen.setdefault(way)
    return list(seen)


def times(names, results, only):
    yield "<h2>Times</h2>"
    yield legend(names)
    yield ('<p class="dim">Each small dot is one sample, the mark their median (the number at the right), the line the '
           'interval of the median.</p>')
    for name in names_of(results):
        there = [(i, r["benchmarks"][name]) for i, r in enumerate(results) if name in r["benchmarks"]]
        unit = there[0][1]["unit"]
        rows = []
        for way in ways_of(results, name, only):
            series = []
            for i, b in there:
                values = result.values(b["ways"].get(way, {}))
                if values and b["unit"] == unit:
                    series.append((i, values, stats.median(values), stats.median_interval(values)))
            if series:
                rows.append((way, series))
        title = there[0][1].get("title") or name
        yield "<h3>%s <span class=\"dim\">%s</span></h3>" % (esc(name), esc(title) if title != name else "")
        for i, b in there:
            failed = ["%s: %s" % (w, x["failed"]) for w, x in b["ways"].items() if x.get("failed")]
            if b.get("failed"):
                failed.append(b["failed"])
            for text in failed:
                yield '<div class="note">%s: broken: %s</div>' % (esc(names[i]), esc(text[:300]))
        if rows:
            yield svg.strips(rows, unit, "%s: times by way" % name)


def differences(names, results):
    found = list(compare.different_facts(results))
    absent = [(n, (r.get("absent") or {})) for n, r in zip(names, results)]
    if found:
        yield "<h2>What differs between the machines</h2>"
        yield '<div class="wide"><table><tr><th></th>%s</tr>' % "".join("<th>%s</th>" % esc(n) for n in names)
        for what, values in found:
            yield "<tr><td class=\"name\">%s</td>%s</tr>" % (
                esc(what), "".join("<td>%s</td>" % esc(v[:400]) for v in values))
        yield "</table></div>"
    lines = list(compare.not_shared(names, results))
    lines += ["%s: left out in %s: %s" % (what, n, why) for n, a in absent for what, why in a.items()]
    if lines:
        yield "<details><summary>What is not compared (%d)</summary><ul>%s</ul></details>" % (
            len(lines), "".join("<li>%s</li>" % esc(x) for x in lines))


def page(names, results, cells, only=None):
    title = " against ".join(reversed(names)) if len(names) < 3 else "%d results against %s" % (
        len(names) - 1, names[0])
    parts = ["<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">",
             '<meta name="viewport" content="width=device-width, initial-scale=1">',
             "<title>%s – sluice-bench</title>" % esc(title), "<style>%s</style></head><body>"
             % STYLE.replace("TABLE\n", COLOURS),
             "<h1>%s</h1><p class=\"dim\">What supervision costs, measured by sluice-bench</p>" % esc(title)]
    parts.append(cards(names, results))
    parts += notes(names, results, cells)
    if len(results) > 1:
        parts.append("<h2>Changes</h2>")
        made = list(changes(names, cells))
        parts += made or ["<p>They have no benchmark and way in common.</p>"]
    else:
        parts += figures(results[0], only)
    parts += overheads(names, results, only)
    parts += goals(names, results)
    parts += times(names, results, only)
    parts += differences(names, results)
    parts.append("</body></html>\n")
    return "\n".join(parts)
