"""The order of rows: most files have each symbol's rows together, by date, and need no sorting."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.columns import starts_of

Index = NDArray[np.int64]


def blocks_of(codes: Index, dates: Index, symbols: int) -> Index | None:
    """Returns where each symbol's rows begin, in the file's order, if they lie together by ascending date.

    None where they do not: then a date may be there twice, and the rows must be sorted.
    """
    starts = starts_of(codes)
    if len(starts) > symbols:
        return None
    ascends = dates[1:] > dates[:-1]
    ascends[starts[1:] - 1] = True
    return starts if ascends.all() and len(np.unique(codes[starts])) == len(starts) else None


def in_order(codes: Index, dates: Index, starts: Index | None) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Returns what puts values of rows in the order of symbols and dates; what is in it is not copied.

    `starts` are those of blocks_of.
    """
    if starts is None:
        rows = np.lexsort((dates, codes))
        return lambda values: values[rows]
    order = np.argsort(codes[starts])
    if (np.diff(order) > 0).all():
        return lambda values: values
    sizes = np.diff(starts, append=len(codes))
    if (sizes == sizes[0]).all():
        return lambda values: values.reshape(len(order), -1)[order].reshape(-1)
    sizes = sizes[order]
    rows = np.repeat(starts[order] - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(codes))
    return lambda values: values[rows]


def those(mask: NDArray[np.bool_]) -> Any:
    """Returns the index of what is true; a slice if all is, which copies nothing."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def common_dates(dates: Index, symbols: int) -> Index | None:
    """Returns the dates of rows that are sorted by symbol and date if every symbol has the same ones."""
    if len(dates) % symbols != 0:
        return None
    table = dates.reshape(symbols, -1)
    return table[0] if (table == table[0]).all() and (np.diff(table[0]) > 0).all() else None
