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


def upload_markets(markets: list[Market]) -> Markets:
    """Returns the markets on the device; what all symbols share is there once."""
    first = markets[0]
    own_at = places([len(one.closes) for one in markets])
    host = (
        np.stack([one.bars for one in markets]),
        np.stack([one.states for one in markets]),
        np.stack([one.marks for one in markets]),
        np.stack([one.totals for one in markets]),
        np.stack([one.growth for one in markets]),
        np.stack([one.lots for one in markets]),
        first.rates,
        np.stack([one.limits for one in markets]),
        first.dates,
        np.concatenate([one.actions.reshape(-1, 4) for one in markets]),
        places([len(one.actions) for one in markets]),
        np.stack([one.delisted for one in markets]),
        np.concatenate([one.closes for one in markets]),
        np.concatenate([one.bar_of for one in markets]),
        own_at,
        np.concatenate([one.rows for one in markets]),
    )
    return Markets(tuple(on_device(x) for x in host), own_at, tuple(one.skip for one in markets))


def places(sizes: list[int]) -> Any:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def on_device(values: Any) -> Any:
    return cuda.to_device(np.ascontiguousarray(values))
