"""Sets whose state alone changes what they hold, as in most sweeps: they run several times faster."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout, moves
from berth_backtest.kernel.plain import run_plain
from berth_backtest.kernel.words import WORD
from berth_backtest.market import Market, Room

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

# Rules of an execution under which more happens than the orders of a state.
MORE = (layout.WATCH, layout.LEVEL, layout.SHORT, layout.T_PLUS_1, layout.CLOSE_AT_END)


def is_plain(kind: int, rules: Floats, market: Market) -> bool:
    """Says whether a symbol's sets can run by `run_plain`: it has a bar on each date from its first one on.

    `kind` is the strategy's, of moves.COMPARES and so on. A split, a price limit, rates by date or a
    delisting are more than a change of state.
    """
    if kind not in (moves.COMPARES, moves.LEVELS, moves.CHANNELS) or rules[layout.LONG] < 0.5:
        return False
    if any(rules[rule] > 0.5 for rule in MORE) or len(market.bar_of) == 0:
        return False
    n = len(market.states)
    listed = bool((market.states[max(int(market.bar_of[0]), 0) :] == 1).all())
    changes = len(market.actions) > 0 or len(market.limits) > 0 or len(market.rates) > 1
    return listed and market.delisted[0] >= n and not changes


def run_plain_sets(
    kind: int, rules: Floats, market: Market, table: Floats, picks: Index, levels: Floats, raw: Floats
) -> Index:
    """Fills raw[set, field]; returns the sets that must run by run_moves, their cash being below 0.

    The arguments are those of run_moves.
    """
    own = len(market.closes)
    room = max(0, WORD - own)
    left = np.empty(len(picks), dtype=np.int64)
    count = run_plain(
        market.book(rules, 1, own=True, many=False, room=Room(0, 0, False)),
        kind,
        np.pad(table, ((0, 0), (0, room))) if room else table,
        np.pad(market.closes, (0, room)) if room else market.closes,
        own,
        int(market.bar_of[0]),
        picks,
        levels,
        raw,
        left,
    )
    return left[:count]
