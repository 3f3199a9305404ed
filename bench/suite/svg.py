# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG text: axes, strips of samples, ratios with intervals. Colours come from the page's style sheet;
results differ by colour and by the shape of their mark, so that neither alone has to be seen.
"""

import html
import math

LEFT, RIGHT, WIDTH = 292, 78, 940
TOP, BOTTOM = 8, 44
SHAPES = ("circle", "square", "triangle", "diamond", "bar", "cross")


def esc(text):
    return html.escape(str(text), quote=True)


def text(x, y, content, cls="", anchor="start"):
    return '<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>' % (x, y, cls, anchor, esc(content))


def line(x1, y1, x2, y2, cls):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, cls)


def mark(x, y, number, size, cls, tip=""):
    """The mark of result NUMBER."""
    s, shape = size, SHAPES[(number + number // len(SHAPES)) % len(SHAPES)]
    inner = "<title>%s</title>" % esc(tip) if tip else ""
    cls = "%s c%d" % (cls, number % 6)
    if shape == "circle":
        return '<circle cx="%.1f" cy="%.1f" r="%.1f" class="%s">%s</circle>' % (x, y, s, cls, inner)
    points = {
        "square": [(-s, -s), (s, -s), (s, s), (-s, s)],
        "triangle": [(0, -1.25 * s), (1.15 * s, 0.9 * s), (-1.15 * s, 0.9 * s)],
        "diamond": [(0, -1.4 * s), (1.4 * s, 0), (0, 1.4 * s), (-1.4 * s, 0)],
        "bar": [(-0.5 * s, -1.4 * s), (0.5 * s, -1.4 * s), (0.5 * s, 1.4 * s), (-0.5 * s, 1.4 * s)],
        "cross": [(-1.4 * s, -0.5 * s), (-0.5 * s, -0.5 * s), (-0.5 * s, -1.4 * s), (0.5 * s, -1.4 * s),
                  (0.5 * s, -0.5 * s), (1.4 * s, -0.5 * s), (1.4 * s, 0.5 * s), (0.5 * s, 0.5 * s),
                  (0.5 * s, 1.4 * s), (-0.5 * s, 1.4 * s), (-0.5 * s, 0.5 * s), (-1.4 * s, 0.5 * s)],
    }[shape]
    return '<polygon points="%s" class="%s">%s</polygon>' % (
        " ".join("%.1f,%.1f" % (x + px, y + py) for px, py in points), cls, inner)


def nice_steps(low, high, about=6):
    """Round numbers from LOW to HIGH."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw)
    first = math.ceil(low / step - 1e-9)
    return [(first + i) * step for i in range(int((high - first * step) / step + 1e-9) + 1)]


def log_steps(low, high):
    """1, 2, 5 and their powers of ten; fewer if there are many, finer ones if there are few."""
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [d * 10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
                 for d in digits if low * 0.999 <= d * 10.0 ** e <= high * 1.001]
        if len(found) >= 4:
            return found
    return nice_steps(low, high, 10)


def short(v):
    if v == 0:
        return "0"
    if abs(v) >= 10000 or abs(v) < 0.001:
        return "%.3g" % v
    return "%g" % float("%.4g" % v)


class Axis:
    def __init__(self, low, high, log):
        self.low, self.high, self.log = low, high, log
        if log:
            self.low, self.high = low / 1.08, high * 1.08
        self.steps = log_steps(self.low, self.high) if log else nice_steps(self.low, self.high)

    def x(self, v):
        if self.log:
            v = max(v, self.low)
            share = math.log(v / self.low) / math.log(self.high / self.low)
        else:
            share = (v - self.low) / (self.high - self.low)
        return LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT)

    def draw(self, height, label):
        bottom = height - BOTTOM
        parts = [line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis")]
        for v in self.steps:
            parts.append(line(self.x(v), TOP, self.x(v), bottom, "grid"))
            parts.append(text(self.x(v), bottom + 16, short(v), "tick", "middle"))
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, label, "label", "middle"))
        return parts


def clip(name, width=36):
    return name if len(name) <= width else name[:width - 1] + "…"


def svg(height, parts, title):
    return ('<div class="plot"><svg viewBox="0 0 %d %d" role="img" aria-label="%s" xmlns="http://www.w3.org/2000/svg">'
            '%s</svg></div>'
            % (WIDTH, height, esc(title), "".join(parts)))


def strips(rows, unit, title):
    """ROWS: (label, [(number of result, samples, median, interval or None)])."""
    values = [v for _, series in rows for _, samples, _, _ in series for v in samples]
    low, high = min(values), max(values)
    log = low > 0 and high / low > 25
    axis = Axis(low if log else 0.0, high if high > 0 else 1.0, log)
    lane = 15
    height = TOP + BOTTOM + sum(lane * len(series) + 11 for _, series in rows)
    parts = axis.draw(height, "%s%s, lower is better" % (unit, ", logarithmic" if log else ""))
    y = TOP + 4
    for label, series in rows:
        middle = y + lane * len(series) / 2
        parts.append(text(LEFT - 10, middle + 5, clip(label), "row", "end"))
        for number, samples, median, interval in series:
            at = y + lane / 2 + 1
            if interval:
                parts.append(line(axis.x(interval[0]), at, axis.x(interval[1]), at, "ci s%d" % (number % 6)))
            for v in samples:
                parts.append('<circle cx="%.1f" cy="%.1f" r="1.9" class="sample c%d"/>' % (axis.x(v), at, number % 6))
            parts.append(mark(axis.x(median), at, number, 4.6, "mark", "%s: median %s %s of %d" % (
                label, short(median), unit, len(samples))))
            parts.append(text(WIDTH - RIGHT + 8, at + 4, ("%#.3g" % median).rstrip(".") if median < 1e4 else short(median), "value"))
            y += lane
        y += 11
        parts.append(line(LEFT - 4, y - 5, WIDTH - RIGHT, y - 5, "lane"))
    return svg(height, parts, title)


def ratios(rows, number, label, title):
    """ROWS: (label, ratio, low, high, counts?, first of a group?). Filled: a difference; hollow: none seen."""
    values = [v for r in rows for v in r[1:4] if v]
    low, high = min(values + [0.95]), max(values + [1.05])
    # As far to the left as to the right: twice as fast lies as far from 1 as twice as slow.
    reach = max(high, 1 / low)
    axis = Axis(1 / reach, reach, True)
    lane = 19
    height = TOP + BOTTOM + lane * len(rows) + 6
    parts = axis.draw(height, label)
    parts.append(line(axis.x(1), TOP, axis.x(1), height - BOTTOM, "one"))
    for i, (name, ratio, lo, hi, counts, first) in enumerate(rows):
        y = TOP + lane * i + lane / 2 + 3
        if first and i:
            parts.append(line(10, y - lane / 2, WIDTH - RIGHT, y - lane / 2, "lane"))
        parts.append(text(LEFT - 10, y + 4, clip(name, 40), "row" + ("" if counts else " dim"), "end"))
        if lo:
            parts.append(line(axis.x(lo), y, axis.x(hi), y, "ci s%d" % (number % 6)))
        tip = "%s: %.3f%s" % (name, ratio, " [%.3f, %.3f]" % (lo, hi) if lo else "")
        parts.append(mark(axis.x(ratio), y, number, 4.6, "mark" if counts else "mark hollow", tip))
        parts.append(text(WIDTH - RIGHT + 8, y + 4, "%.3f%s" % (ratio, " *" if counts else ""),
                          "value" if counts else "value dim"))
    return svg(height, parts, title)
