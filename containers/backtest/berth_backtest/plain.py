"""Sets whose state alone changes what they hold, as in most sweeps: they run several times faster."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.market import Market

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

# Rules of an execution under which more happens than the orders of a state.
MORE = (layout.WATCH, layout.LEVEL, layout.SHORT, layout.T_PLUS_1, layout.CLOSE_AT_END)


def plain_books(kind: int, rules: Floats, market: Market) -> NDArray[np.bool_]:
    """Says which books' sets can run by `run_plain`: those with a bar on each date from their first one on.

    `kind` is the strategy's, of layout.COMPARES and so on. A split, a price limit, rates by date or a
    delisting are more than a change of state.
    """
    books = market.books
    n = market.bars
    found = (np.diff(books.own_at) > 0) & (np.diff(books.action_at) == 0) & (books.delisted[:, 0] >= n)
    alike = kind in (layout.COMPARES, layout.LEVELS, layout.CHANNELS) and rules[layout.LONG] > 0.5
    if not alike or any(rules[rule] > 0.5 for rule in MORE) or books.limits.size > 0 or len(books.rates) > 1:
        return np.zeros_like(found)
    first = np.zeros(len(found), dtype=np.int64)
    first[found] = np.maximum(books.bar_of[books.own_at[:-1][found]], 0)
    listed = (books.states[:, :, 0] == 1) | (np.arange(n) < first[:, np.newaxis])
    return np.asarray(found & listed.all(axis=1))
