"""A plan's prices and rules as arrays of all symbols, on the device."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from berth_backtest.gpu.front import cuda
from berth_backtest.market import Market


@dataclass(frozen=True)
class Markets:
    """`arrays` in the order of a kernel's arguments, from `bars` to `step_bars`."""

    arrays: tuple[Any, ...]
    own_at: Any  # [symbol + 1]: where each symbol's own bars begin among those of all
    skips: tuple[int, ...]


def upload_markets(market: Market) -> Markets:
    """Returns the market on the device; what all symbols share is there once."""
    books = market.books
    host = (
        books.bars,
        books.states,
        books.marks,
        books.totals,
        books.growth,
        books.lots,
        books.rates,
        books.limits,
        books.dates,
        books.actions,
        books.action_at,
        books.delisted,
        books.closes,
        books.bar_of,
        books.own_at,
        market.rows,
    )
    return Markets(tuple(on_device(x) for x in host), books.own_at, tuple(market.skips.tolist()))


def on_device(values: Any) -> Any:
    return cuda.to_device(np.ascontiguousarray(values))
