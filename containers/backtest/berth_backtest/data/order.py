"""The order of rows: most files have each symbol's rows together, by date, and need no sorting."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def blocks_of(codes: Index, dates: Index, symbols: int) -> Index | None:
    """Returns where each symbol's rows begin, in the file's order, if they lie together by ascending date.

    None where they do not: then a date may be there twice, and the rows must be sorted.
    """
    edges = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    if len(edges) >= symbols:
        return None
    ascends = dates[1:] > dates[:-1]
    ascends[edges - 1] = True
    starts = np.concatenate([[0], edges])
    return starts if ascends.all() and len(np.unique(codes[starts])) == len(starts) else None


def order_of(codes: Index, dates: Index, symbols: int) -> Index | slice:
    """Returns the order of rows by symbol and date; a slice if it is theirs, which copies nothing."""
    starts = blocks_of(codes, dates, symbols)
    if starts is None:
        return np.lexsort((dates, codes))
    order = np.argsort(codes[starts])
    if (np.diff(order) > 0).all():
        return slice(None)
    sizes = np.diff(starts, append=len(codes))[order]
    return np.repeat(starts[order] - (np.cumsum(sizes) - sizes), sizes) + np.arange(len(codes))


def those(mask: NDArray[np.bool_]) -> Any:
    """Returns the index of what is true; a slice if all is, which copies nothing."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def common_dates(dates: Index, symbols: int) -> Index | None:
    """Returns the dates of rows that are sorted by symbol and date if every symbol has the same ones."""
    if len(dates) % symbols != 0:
        return None
    table = dates.reshape(symbols, -1)
    return table[0] if (table == table[0]).all() and (np.diff(table[0]) > 0).all() else None
