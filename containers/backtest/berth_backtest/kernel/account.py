"""Equity, returns and drawdown of the bars between two fills, many bars at once.

Between two fills cash and units stand still, so equity is cash + units x mark, and a bar on which
nothing is held needs no work at all. Held bars go into WIDTH partial sums in turn; that order depends only
on the set's own fills, never on threads or on how the work was split. On a GPU, whose threads walk
side by side over the same bars, each held bar is accounted at its end (EACH_BAR), with the same sums.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .jit import EACH_BAR, climb_of, hot, inner, returns_of
from .layout import (
    A_D2,
    A_LOW,
    A_LOW_PEAK,
    A_R,
    A_R2,
    BELOW,
    CASH,
    EQUITY,
    G_D2,
    G_D2_REST,
    G_R,
    G_R2,
    G_R2_REST,
    G_R_REST,
    HELD,
    LOW,
    LOW_PEAK,
    MAX_BELOW,
    OPEN,
    PEAK,
    RISK_FREE,
    SINCE,
    SUM_D2,
    SUM_E,
    SUM_R,
    SUM_R2,
    UNITS,
    WIDTH,
)
from .words import WORD, first_bit, last_bit, word_at

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

NO, ONE = np.uint64(0), np.uint64(1)


class Course(NamedTuple):
    """What the accounted bars of a purse come to, but for partial sums: kept in registers."""

    equity: float
    peak: float
    below: float  # bars below the peak up to now ...
    most: float  # ... and the longest run of them
    r: float
    r2: float
    d2: float
    low: float
    low_peak: float


@hot
def begun(cash: float) -> Course:
    return Course(cash, cash, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)


@hot
def course_of(p: Floats, purse: int) -> Course:
    return Course(
        p[EQUITY, purse],
        p[PEAK, purse],
        p[BELOW, purse],
        p[MAX_BELOW, purse],
        p[SUM_R, purse],
        p[SUM_R2, purse],
        p[SUM_D2, purse],
        p[LOW, purse],
        p[LOW_PEAK, purse],
    )


@hot
def keep(p: Floats, purse: int, c: Course) -> None:
    p[EQUITY, purse] = c.equity
    p[PEAK, purse] = c.peak
    p[BELOW, purse] = c.below
    p[MAX_BELOW, purse] = c.most
    p[SUM_R, purse] = c.r
    p[SUM_R2, purse] = c.r2
    p[SUM_D2, purse] = c.d2
    p[LOW, purse] = c.low
    p[LOW_PEAK, purse] = c.low_peak


@inner
def settle(b: Book, purse: int, t: int) -> None:
    """Accounts the bars before `t` that are not accounted yet; only cells with their own purse wait."""
    p = b.purses
    if b.own == 0 or p[SINCE, purse] >= t:
        return
    symbol = purse * b.many
    since, cash, units = int(p[SINCE, purse]), p[CASH, purse], b.cells[UNITS, purse]
    mark, total = b.marks[symbol], b.totals[symbol]
    p[SUM_E, purse] += cash * (t - since) + units * (total[t] - total[since])
    if len(b.equity) > 0:
        for i in range(since, t):
            b.equity[i, purse] = cash + units * mark[i]
    lines = Lines(mark, b.growth[symbol], b.tops[symbol], b.bottoms[symbol], b.sums[purse], b.peaks)
    keep(p, purse, settled(course_of(p, purse), lines, since, t, cash, units, b.rules[RISK_FREE]))
    p[SINCE, purse] = t


class Lines(NamedTuple):
    """Of a book's symbol and purse, what accounting reads and writes."""

    mark: Floats
    growth: Floats
    tops: Floats
    bottoms: Floats
    sums: Floats
    peaks: Bytes


@hot
def settled(c: Course, lines: Lines, since: int, t: int, cash: float, units: float, free: float) -> Course:
    """Accounts the bars from `since` to t, on which cash and units stand still."""
    if not EACH_BAR:
        c = ended(c, cash + units * lines.mark[since], free)
    if since + 1 < t:
        if units == 0.0:
            c = stood(c, t - since - 1, free)
        else:
            if cash == 0.0:
                c = grown(c, lines.growth[since], lines.growth[t - 1])
            elif not EACH_BAR:
                add_returns(lines.sums, lines.mark, since + 1, t, cash, units, free)
            if not EACH_BAR:
                c = held(c, lines, since + 1, t, cash, units)
    return c


@hot
def ended(c: Course, equity: float, free: float) -> Course:
    """Adds one bar that ends with this equity."""
    # Once ruined, equity stays 0 and so do the returns.
    r = equity / c.equity - 1.0 if c.equity > 0.0 else 0.0
    d = min(r - free, 0.0)
    peak = max(c.peak, equity)
    below = c.below + 1.0 if equity < peak else 0.0
    low, low_peak = deeper(c, equity, peak)
    return Course(equity, peak, below, max(c.most, below), c.r + r, c.r2 + r * r, c.d2 + d * d, low, low_peak)


@hot
def deeper(c: Course, equity: float, peak: float) -> tuple[float, float]:
    """Returns the deepest equity and its peak: equity / peak < low / low_peak, without dividing."""
    found = equity * c.low_peak < c.low * peak
    return (equity if found else c.low), (peak if found else c.low_peak)


@hot
def stood(c: Course, bars: int, free: float) -> Course:
    """Adds bars on which equity does not move."""
    d = min(-free, 0.0)
    below = c.below + bars if c.equity < c.peak else c.below
    d2 = c.d2 + d * d * bars
    return Course(c.equity, c.peak, below, max(c.most, below), c.r, c.r2, d2, c.low, c.low_peak)


@hot
def grown(c: Course, a: Floats, z: Floats) -> Course:
    """Adds the returns of the bars after that of growth `a` to that of z where all is in units."""
    return Course(
        c.equity,
        c.peak,
        c.below,
        c.most,
        c.r + ((z[G_R] - a[G_R]) + (z[G_R_REST] - a[G_R_REST])),
        c.r2 + ((z[G_R2] - a[G_R2]) + (z[G_R2_REST] - a[G_R2_REST])),
        c.d2 + ((z[G_D2] - a[G_D2]) + (z[G_D2_REST] - a[G_D2_REST])),
        c.low,
        c.low_peak,
    )


@hot
def held(c: Course, lines: Lines, first: int, end: int, cash: float, units: float) -> Course:
    """Follows peak and drawdown over the bars of a position that stands still."""
    equity = cash + units * lines.mark[end - 1]
    high, low = extremes(lines, first, end)
    if units < 0.0:
        high, low = low, high
    # Rounding keeps the order: the highest mark gives the highest equity exactly.
    high, low = cash + units * high, cash + units * low
    if high < c.peak:
        # Seven of ten positions of a sweep never come to the peak: their lowest bar is the deepest.
        low, low_peak = deeper(c, low, c.peak)
        below = c.below + (end - first)
        return Course(equity, c.peak, below, max(c.most, below), c.r, c.r2, c.d2, low, low_peak)
    blocks = lines.tops[0] if units > 0.0 else lines.bottoms[0]
    climb_bars(lines.sums, lines.mark, blocks, first, end, cash, units, c.peak, lines.peaks)
    base = first - first % WIDTH
    below, most = c.below - (first - base), c.most
    for k in range(0, end - base, WORD):
        bars = min(WORD, end - base - k)
        bits = word_at(lines.peaks, k // WIDTH, bars)
        if bits == NO:
            below += bars
        else:
            most = max(most, below + first_bit(bits))
            if most < bars:
                most = max(most, longest_gap(bits))
            below = float(bars - 1 - last_bit(bits))
    return Course(equity, high, below, max(most, below), c.r, c.r2, c.d2, c.low, c.low_peak)


@hot
def extremes(lines: Lines, first: int, end: int) -> tuple[float, float]:
    """Returns the highest and the lowest mark of some bars: of two spans of the tables that cover them."""
    if end - first == 1 or len(lines.tops) == 1:
        high = low = lines.mark[first]
        for t in range(first + 1, end):
            high, low = max(high, lines.mark[t]), min(low, lines.mark[t])
        return high, low
    level = min(last_bit(np.uint64(end - first)), len(lines.tops) - 1)
    last = end - (1 << level)
    high = max(lines.tops[level, first], lines.tops[level, last])
    low = min(lines.bottoms[level, first], lines.bottoms[level, last])
    for t in range(first + (1 << level), last, 1 << level):
        high, low = max(high, lines.tops[level, t]), min(low, lines.bottoms[level, t])
    return high, low


@inner
def longest_gap(bits: Any) -> float:
    """Returns the longest run of zeros between two ones."""
    gap = 0
    bits = (bits >> np.uint64(first_bit(bits))) >> ONE
    while bits != NO:
        gap = max(gap, first_bit(bits))
        bits = (bits >> np.uint64(first_bit(bits))) >> ONE
    return float(gap)


@returns_of
def add_returns(
    sums: Floats, mark: Floats, first: int, end: int, cash: float, units: float, free: float
) -> None:
    """Adds the returns of the bars from first to end to the partial sums, WIDTH at a time."""
    for i in range(end - first):
        e, last = cash + units * mark[first + i], cash + units * mark[first + i - 1]
        add_return(sums, i % WIDTH, e, last, free)


@climb_of
def climb_bars(
    sums: Floats,
    mark: Floats,
    _blocks: Floats,
    first: int,
    end: int,
    cash: float,
    units: float,
    peak: float,
    peaks: Bytes,
) -> None:
    """Notes the deepest bars from first to end: bar t among those of t % WIDTH.

    `blocks` are the extremes from the beginning of each block of WIDTH bars on. Bit j of peaks[i] says
    whether bar j of the block i after that of `first` ends at the peak.
    """
    base = first // WIDTH
    for t in range(first, end):
        if t == first or t % WIDTH == 0:
            peaks[t // WIDTH - base] = 0
        e = cash + units * mark[t]
        peak = max(peak, e)
        if place(sums, t % WIDTH, e, peak):
            peaks[t // WIDTH - base] |= 1 << t % WIDTH


@hot
def add_return(sums: Floats, j: int, e: float, last: float, free: float) -> None:
    """Adds a held bar's return to the partial sums j."""
    r = e / last - 1.0
    d = min(r - free, 0.0)
    sums[A_R + j] += r
    sums[A_R2 + j] += r * r
    sums[A_D2 + j] += d * d


@hot
def place(sums: Floats, j: int, e: float, top: float) -> bool:
    """Notes a held bar that is the deepest below the peak `top`; says whether it is at the peak."""
    if e * sums[A_LOW_PEAK + j] < sums[A_LOW + j] * top:
        sums[A_LOW + j] = e
        sums[A_LOW_PEAK + j] = top
    return e >= top


@hot
def account_bar(p: Floats, purse: int, equity: float, free: float) -> None:
    """Adds one bar that ends with this equity."""
    keep(p, purse, ended(course_of(p, purse), equity, free))


@hot
def account_now(b: Book, purse: int, t: int) -> None:
    """Adds bar t at its end, where each bar is (EACH_BAR); flat bars wait for `settle`."""
    since = int(b.purses[SINCE, purse])
    if t < since:
        return
    p = b.purses
    units = b.cells[UNITS, purse]
    e = p[CASH, purse] + units * b.marks[purse * b.many, t]
    if t == since:
        account_bar(p, purse, e, b.rules[RISK_FREE])
    elif units != 0.0:
        top = max(p[PEAK, purse], e)
        j = (t - since - 1) & (WIDTH - 1)
        if p[CASH, purse] != 0.0:
            add_return(b.sums[purse], j, e, p[EQUITY, purse], b.rules[RISK_FREE])
        at_peak = place(b.sums[purse], j, e, top)
        p[EQUITY, purse] = e
        p[PEAK, purse] = top
        p[BELOW, purse] = 0.0 if at_peak else p[BELOW, purse] + 1.0
        p[MAX_BELOW, purse] = max(p[MAX_BELOW, purse], p[BELOW, purse])


@inner
def account_shared(b: Book, t: int) -> None:
    """Adds a bar of the one shared purse."""
    value = 0.0
    held = 0
    for cell in range(b.cells.shape[1]):
        units = b.cells[UNITS, cell]
        if units != 0.0:
            value += units * b.now[cell]
            held += 1
    equity = max(b.purses[CASH, 0] + value, 0.0)
    b.purses[SUM_E, 0] += equity
    b.purses[HELD, 0] += 1.0 if held > 0 else 0.0
    b.purses[OPEN, 0] = held
    account_bar(b.purses, 0, equity, b.rules[RISK_FREE])
    b.purses[SINCE, 0] = t + 1
    if len(b.equity) > 0:
        b.equity[t, 0] = equity


@inner
def start_sums(b: Book, purse: int, cash: float) -> None:
    b.purses[CASH, purse] = cash
    keep(b.purses, purse, begun(cash))
    clear_sums(b.sums[purse])


@hot
def clear_sums(sums: Floats) -> None:
    for j in range(WIDTH):
        sums[A_R + j] = sums[A_R2 + j] = sums[A_D2 + j] = 0.0
        sums[A_LOW + j] = sums[A_LOW_PEAK + j] = 1.0


@inner
def finish_sums(b: Book, purse: int) -> None:
    keep(b.purses, purse, joined(course_of(b.purses, purse), b.sums[purse]))


@hot
def joined(c: Course, sums: Floats) -> Course:
    """Adds the partial sums, always in the same order."""
    r, r2, d2, low, low_peak = c.r, c.r2, c.d2, c.low, c.low_peak
    for j in range(WIDTH):
        r += sums[A_R + j]
        r2 += sums[A_R2 + j]
        d2 += sums[A_D2 + j]
        if sums[A_LOW + j] * low_peak < low * sums[A_LOW_PEAK + j]:
            low, low_peak = sums[A_LOW + j], sums[A_LOW_PEAK + j]
    return Course(c.equity, c.peak, c.below, c.most, r, r2, d2, low, low_peak)
