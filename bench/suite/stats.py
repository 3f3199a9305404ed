# SPDX-License-Identifier: Apache-2.0
"""Statistics without assumptions about how times are distributed (they have long tails).

Within one result: the median of the ratios of the rounds, with the interval between two order statistics
(the sign test turned around). Its level is exact, whatever the distribution.

Between two results: the Mann-Whitney test, and the Hodges-Lehmann ratio (median of all quotients) with
the interval that belongs to that very test. Many comparisons at once are adjusted after Benjamini and
Hochberg.
"""

import math
import statistics

LEVEL = 0.95
# Five rounds are the fewest with an interval: between the least and the greatest, at 93.75 %.
LEAST_LEVEL = 0.93


def median(values):
    return statistics.median(values)


def spread(values):
    """Robust relative spread: 1.48 median absolute deviations over the median."""
    m = median(values)
    if len(values) < 2 or m == 0:
        return 0.0
    return 1.4826 * median(abs(v - m) for v in values) / abs(m)


def median_interval(values):
    """(low, high, level) of the median, or None if there are too few values for one."""
    n, s = len(values), sorted(values)
    best = None
    beyond, orders = 0, 1  # of the 2^n; those with k - 1 values on one side: n over k - 1
    # Between the k-th least and the k-th greatest: fails if fewer than k values lie on one side.
    for k in range(1, n // 2 + 1):
        beyond += orders
        orders = orders * (n - k + 1) // k
        outside = 2 * beyond / 2 ** n
        if 1 - outside < LEAST_LEVEL:
            break
        best = (s[k - 1], s[n - k], 1 - outside)
        if 1 - outside < LEVEL:
            break
    return best


def quotients(of, base):
    """OF / BASE by rounds ({round: value}), where both have one."""
    return [of[r] / base[r] for r in sorted(set(of) & set(base)) if base[r] > 0]


def ratio(of, base):
    """{median, low, high, level, rounds} of their quotients; None without any."""
    found = quotients(of, base)
    if not found:
        return None
    low, high, level = median_interval(found) or (None, None, None)
    return {"median": median(found), "low": low, "high": high, "level": level, "rounds": len(found)}


def _u_counts(n, m):
    """How many of the orders of n and m values have each value of U."""
    counts = [[1] + [0] * (n * m) for _ in range(m + 1)]  # of 0 and j values
    for i in range(1, n + 1):
        previous = counts
        counts = [[1] + [0] * (n * m)]
        for j in range(1, m + 1):
            # The greatest is one of the n (beats all j), or one of the m.
            counts.append([(previous[j][u - j] if u >= j else 0) + counts[j - 1][u] for u in range(n * m + 1)])
    return counts[m]


EXACT_UP_TO = 400  # n * m


def _normal_tail(z):
    return 0.5 * math.erfc(z / math.sqrt(2))


def mann_whitney(a, b):
    """Two-sided p of "neither tends to be greater". Exact for few values without ties."""
    n, m = len(a), len(b)
    if n == 0 or m == 0:
        return 1.0
    u = sum((x > y) + 0.5 * (x == y) for x in a for y in b)
    u = min(u, n * m - u)
    ties = {}
    for v in list(a) + list(b):
        ties[v] = ties.get(v, 0) + 1
    if n * m <= EXACT_UP_TO and max(ties.values()) == 1:
        counts = _u_counts(n, m)
        return min(1.0, 2 * sum(counts[:int(u) + 1]) / sum(counts))
    total = n + m
    tied = sum(t ** 3 - t for t in ties.values())
    variance = n * m / 12 * (total + 1 - tied / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    return min(1.0, 2 * _normal_tail(max(0.0, n * m / 2 - u - 0.5) / math.sqrt(variance)))


def quotient(a, b):
    """B against A: (ratio, low, high); low and high are None if there are too few values."""
    found = sorted(y / x for x in a for y in b if x > 0)
    if not found:
        return None, None, None
    n, m, k = len(a), len(b), -1
    if n * m <= EXACT_UP_TO:
        counts = _u_counts(n, m)
        below, total = 0, sum(counts)
        for u, c in enumerate(counts):
            below += c
            if 2 * below / total > 1 - LEVEL:
                break
            k = u
    else:
        k = int(n * m / 2 - 1.96 * math.sqrt(n * m * (n + m + 1) / 12)) - 1
    if k < 0 or len(found) != n * m:
        return median(found), None, None
    return median(found), found[k], found[n * m - 1 - k]


def order(n, number):
    """The order of N ways in round NUMBER: each way is first, second, ... equally often, and in 2 N rounds comes
    equally often after each other one (Williams' squares): what one leaves behind does not always hit the same."""
    zigzag = [(i + 1) // 2 if i % 2 else (n - i // 2) % n for i in range(n)]
    found = [(w + number) % n for w in zigzag]
    return found[::-1] if number // n % 2 else found


def adjusted(ps):
    """Benjamini and Hochberg: the p at which each would count as found among so many comparisons."""
    order = sorted(range(len(ps)), key=lambda i: -ps[i])
    result, least = [1.0] * len(ps), 1.0
    for place, i in enumerate(order):
        least = min(least, ps[i] * len(ps) / (len(ps) - place))
        result[i] = least
    return result
