"""Equity, returns and drawdown of the bars between two fills, many bars at once.

Between two fills cash and units stand still, so equity is cash + units x mark, and a bar on which
nothing is held needs no work at all. Bars go into WIDTH partial sums in turn; that order depends only
on the set's own fills, never on threads or on how the work was split. On a GPU, whose threads walk
side by side over the same bars, each held bar is accounted at its end (EACH_BAR), with the same sums.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .jit import EACH_BAR, climb_of, get, hold_of, hot, inner
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


@inner
def settle(b: Book, purse: int, t: int) -> None:
    """Accounts the bars before `t` that are not accounted yet; only cells with their own purse wait."""
    if b.own == 1 and b.purses[SINCE, purse] < t:
        symbol = purse * b.many
        settle_bars(
            b.purses,
            b.sums[purse],
            b.marks[symbol],
            b.totals[symbol],
            b.growth[symbol],
            b.tops[symbol],
            b.bottoms[symbol],
            b.peaks,
            b.equity,
            purse,
            b.cells[UNITS, purse],
            b.rules[RISK_FREE],
            t,
        )


@hot
def settle_bars(
    purses: Floats,
    sums: Floats,
    mark: Floats,
    total: Floats,
    growth: Floats,
    tops: Floats,
    bottoms: Floats,
    peaks: Bytes,
    equity: Floats,
    purse: int,
    units: float,
    free: float,
    t: int,
) -> None:
    since = int(purses[SINCE, purse])
    cash = purses[CASH, purse]
    purses[SUM_E, purse] += cash * (t - since) + units * (total[t] - total[since])
    if len(equity) > 0:
        for i in range(since, t):
            equity[i, purse] = cash + units * mark[i]
    if not EACH_BAR:
        account_bar(purses, sums, purse, cash + units * mark[since], free)
    if since + 1 < t:
        if units == 0.0:
            stand_still(purses, sums, purse, t - since - 1, free)
        else:
            if cash == 0.0:
                add_growth(sums, growth, since, t - 1)
            if not EACH_BAR:
                phase = (since + 1) % WIDTH
                extremes = tops[phase] if units > 0.0 else bottoms[phase]
                hold(purses, sums, purse, since + 1, t, cash, units, mark, extremes, free, peaks)
    purses[SINCE, purse] = t


@hot
def account_bar(p: Floats, sums: Floats, purse: int, equity: float, free: float) -> None:
    """Adds one bar that ends with this equity."""
    last = p[EQUITY, purse]
    p[EQUITY, purse] = equity
    # Once ruined, equity stays 0 and so do the returns.
    r = equity / last - 1.0 if last > 0.0 else 0.0
    d = min(r - free, 0.0)
    sums[A_R] += r
    sums[A_R2] += r * r
    sums[A_D2] += d * d
    peak = max(p[PEAK, purse], equity)
    p[PEAK, purse] = peak
    p[BELOW, purse] = p[BELOW, purse] + 1.0 if equity < peak else 0.0
    p[MAX_BELOW, purse] = max(p[MAX_BELOW, purse], p[BELOW, purse])
    # equity / peak < low / low_peak, without dividing.
    if equity * sums[A_LOW_PEAK] < sums[A_LOW] * peak:
        sums[A_LOW] = equity
        sums[A_LOW_PEAK] = peak


@hot
def stand_still(p: Floats, sums: Floats, purse: int, bars: int, free: float) -> None:
    """Adds bars on which equity does not move."""
    d = min(-free, 0.0)
    sums[A_D2] += d * d * bars
    if p[EQUITY, purse] < p[PEAK, purse]:
        p[BELOW, purse] += bars
        p[MAX_BELOW, purse] = max(p[MAX_BELOW, purse], p[BELOW, purse])


@hot
def hold(
    p: Floats,
    sums: Floats,
    purse: int,
    first: int,
    end: int,
    cash: float,
    units: float,
    mark: Floats,
    phase: Floats,
    free: float,
    peaks: Bytes,
) -> None:
    """Adds the bars of a position that stands still; `phase` holds its running extremes per block."""
    if cash == 0.0:
        p[PEAK, purse] = climb_bars(sums, mark, phase, first, end, cash, units, p[PEAK, purse], free, peaks)
    else:
        p[PEAK, purse] = hold_bars(sums, mark, phase, first, end, cash, units, p[PEAK, purse], free, peaks)
    below = p[BELOW, purse]
    most = p[MAX_BELOW, purse]
    for k in range(0, end - first, WORD):
        bars = min(WORD, end - first - k)
        bits = word_at(peaks, k // WIDTH, bars)
        if bits == NO:
            below += bars
        else:
            most = max(most, below + first_bit(bits))
            if most < bars:
                most = max(most, longest_gap(bits))
            below = float(bars - 1 - last_bit(bits))
    p[BELOW, purse] = below
    p[MAX_BELOW, purse] = max(most, below)
    p[EQUITY, purse] = cash + units * mark[end - 1]


@inner
def longest_gap(bits: Any) -> float:
    """Returns the longest run of zeros between two ones."""
    gap = 0
    bits = (bits >> np.uint64(first_bit(bits))) >> ONE
    while bits != NO:
        gap = max(gap, first_bit(bits))
        bits = (bits >> np.uint64(first_bit(bits))) >> ONE
    return float(gap)


@hot
def add_growth(sums: Floats, growth: Floats, before: int, last: int) -> None:
    """Adds the returns of the bars after `before` to `last` where all is in units: they are the prices'."""
    a, z = growth[before], growth[last]
    sums[A_R] += (z[G_R] - a[G_R]) + (z[G_R_REST] - a[G_R_REST])
    sums[A_R2] += (z[G_R2] - a[G_R2]) + (z[G_R2_REST] - a[G_R2_REST])
    sums[A_D2] += (z[G_D2] - a[G_D2]) + (z[G_D2_REST] - a[G_D2_REST])


@hold_of
def hold_bars(
    sums: Floats,
    mark: Floats,
    phase: Floats,
    first: int,
    end: int,
    cash: float,
    units: float,
    peak: float,
    free: float,
    peaks: Bytes,
) -> float:
    """Adds the bars from first to end to the sums, WIDTH at a time; returns the peak after them.

    Bit j of peaks[block] says whether bar j of the block ends at the peak.
    """
    for block in range((end - first + WIDTH - 1) // WIDTH):
        t = first + block * WIDTH
        left = min(WIDTH, end - t)
        bits = 0
        for j in range(left):
            e = cash + units * get(mark, t + j)
            last = cash + units * get(mark, t + j - 1)
            # Rounding keeps the order, so the highest mark gives the highest equity exactly.
            top = max(peak, cash + units * get(phase, t + j))
            add_return(sums, j, e, last, free)
            bits += 1 << j if place(sums, j, e, top) else 0
        peak = max(peak, cash + units * get(phase, t + left - 1))
        peaks[block] = bits
    return peak


@climb_of
def climb_bars(
    sums: Floats,
    mark: Floats,
    phase: Floats,
    first: int,
    end: int,
    cash: float,
    units: float,
    peak: float,
    _free: float,
    peaks: Bytes,
) -> float:
    """Does what hold_bars does, but for the returns."""
    for block in range((end - first + WIDTH - 1) // WIDTH):
        t = first + block * WIDTH
        left = min(WIDTH, end - t)
        bits = 0
        for j in range(left):
            top = max(peak, cash + units * get(phase, t + j))
            bits += 1 << j if place(sums, j, cash + units * get(mark, t + j), top) else 0
        peak = max(peak, cash + units * get(phase, t + left - 1))
        peaks[block] = bits
    return peak


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
def account_now(b: Book, purse: int, t: int) -> None:
    """Adds bar t at its end, where each bar is (EACH_BAR); flat bars wait for `settle`."""
    since = int(b.purses[SINCE, purse])
    if t < since:
        return
    p = b.purses
    units = b.cells[UNITS, purse]
    e = p[CASH, purse] + units * b.marks[purse * b.many, t]
    if t == since:
        account_bar(p, b.sums[purse], purse, e, b.rules[RISK_FREE])
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
    account_bar(b.purses, b.sums[0], 0, equity, b.rules[RISK_FREE])
    b.purses[SINCE, 0] = t + 1
    if len(b.equity) > 0:
        b.equity[t, 0] = equity


@inner
def start_sums(b: Book, purse: int, cash: float) -> None:
    for field in (CASH, EQUITY, PEAK):
        b.purses[field, purse] = cash
    b.sums[purse, :] = 0.0
    for j in range(WIDTH):
        b.sums[purse, A_LOW + j] = 1.0
        b.sums[purse, A_LOW_PEAK + j] = 1.0


@inner
def finish_sums(b: Book, purse: int) -> None:
    """Joins the partial sums, always in the same order."""
    sums = b.sums[purse]
    low, low_peak = 1.0, 1.0
    for j in range(WIDTH):
        b.purses[SUM_R, purse] += sums[A_R + j]
        b.purses[SUM_R2, purse] += sums[A_R2 + j]
        b.purses[SUM_D2, purse] += sums[A_D2 + j]
        if sums[A_LOW + j] * low_peak < low * sums[A_LOW_PEAK + j]:
            low, low_peak = sums[A_LOW + j], sums[A_LOW_PEAK + j]
    b.purses[LOW, purse] = low
    b.purses[LOW_PEAK, purse] = low_peak
