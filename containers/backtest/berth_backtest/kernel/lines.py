"""What is known of a symbol's closes before any set runs: last closes, their sums, returns and extremes."""

import numpy as np
from numpy.typing import NDArray

from .book import Markets
from .jit import entry, hot, inner
from .layout import G_D2, G_D2_REST, G_R, G_R2, G_R2_REST, G_R_REST, WIDTH

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@hot
def grown(sums: tuple[float, float], x: float) -> tuple[float, float]:
    """Adds x to a sum, and what rounding leaves out to the number beside it (Knuth's two-sum)."""
    before, rest = sums
    total = before + x
    part = total - before
    return total, rest + ((before - (total - part)) + (x - part))


@inner
def lines_at(markets: Markets, place: int, free: float) -> int:
    """Returns where a book's lines lie; where there is room for one book's alone, they are made there now."""
    if len(markets.marks) == len(markets.bars):
        return place
    follow_symbol(
        markets.bars[place],
        markets.states[place],
        markets.actions[markets.action_at[place] : markets.action_at[place + 1]],
        markets.marks[0, 0],
        markets.totals[0, 0],
        markets.growth[0, 0],
        markets.tops[0, 0],
        markets.bottoms[0, 0],
        free,
    )
    return 0


@entry
def follow_marks(
    bars: Floats,
    states: NDArray[np.int8],
    actions: Floats,
    action_at: Index,
    marks: Floats,
    totals: Floats,
    growth: Floats,
    tops: Floats,
    bottoms: Floats,
    free: float,
) -> None:
    """Fills each book's last closes, their running sums and returns, and extremes by block: [book, ...].

    The books are those of one symbol each, which has the actions from its place of `action_at` on.
    tops[level, t] is the highest mark of the 2^level bars from t on, tops[0, t] that from the beginning
    of a block of WIDTH bars to t.
    """
    for book in range(len(bars)):
        follow_symbol(
            bars[book],
            states[book],
            actions[action_at[book] : action_at[book + 1]],
            marks[book, 0],
            totals[book, 0],
            growth[book, 0],
            tops[book, 0],
            bottoms[book, 0],
            free,
        )


@inner
def follow_symbol(
    bars: Floats,
    states: NDArray[np.int8],
    actions: Floats,
    marks: Floats,
    totals: Floats,
    growth: Floats,
    tops: Floats,
    bottoms: Floats,
    free: float,
) -> None:
    """Fills one book; states and bars are [bar, 1, ...]."""
    n = len(bars)
    mark = total = 0.0
    action = 0
    for t in range(n):
        if action < len(actions) and actions[action, 0] == t:
            mark /= actions[action, 2]
            action += 1
        if states[t, 0] == 1:
            mark = bars[t, 0, 3]
        marks[t] = mark
        total += mark
        totals[t + 1] = total
    sums = (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)
    for t in range(n):
        r = marks[t] / marks[t - 1] - 1.0 if t > 0 and marks[t - 1] > 0.0 else 0.0
        d = min(r - free, 0.0)
        sums = grown(sums[0], r), grown(sums[1], r * r), grown(sums[2], d * d)
        growth[t, G_R], growth[t, G_R_REST] = sums[0]
        growth[t, G_R2], growth[t, G_R2_REST] = sums[1]
        growth[t, G_D2], growth[t, G_D2_REST] = sums[2]
    for t in range(n):
        begins = t % WIDTH == 0
        tops[0, t] = marks[t] if begins else max(tops[0, t - 1], marks[t])
        bottoms[0, t] = marks[t] if begins else min(bottoms[0, t - 1], marks[t])
    for level in range(1, len(tops)):
        half = 1 << level >> 1
        high, low = (marks, marks) if level == 1 else (tops[level - 1], bottoms[level - 1])
        spans(high[: n - half], high[half:n], low[: n - half], low[half:n], tops[level], bottoms[level])


@inner
def spans(
    high: Floats, next_high: Floats, low: Floats, next_low: Floats, top: Floats, bottom: Floats
) -> None:
    """Fills the extremes of twice as many bars. Over slices from 0 on: then several at once (moves.py)."""
    for t in range(len(high)):
        top[t] = next_high[t] if next_high[t] > high[t] else high[t]
        bottom[t] = next_low[t] if next_low[t] < low[t] else low[t]
