"""The strategies that come with the engine. What each does is in docs/conventions.md §3."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel import layout
from berth_backtest.strategies.definition import Definition, Floats, Param, Series

MAX_WINDOW = 1_000_000  # bars


def window(name: str, default: int, least: int = 1) -> Param:
    return Param(name, float(default), True, least, MAX_WINDOW)


def number(name: str, default: float, least: float, most: float) -> Param:
    return Param(name, default, False, least, most)


def series(function: str, *arguments: str, columns: tuple[str, ...] = ("close",)) -> Series:
    return Series(function, function, columns, arguments)


def fast_below_slow(values: dict[str, Floats]) -> NDArray[np.bool_]:
    return values["fast"] < values["slow"]


def lower_below_upper(values: dict[str, Floats]) -> NDArray[np.bool_]:
    return (values["lower"] < values["exit"]) & (values["exit"] < values["upper"])


FAST_SLOW = "must be less than slow in at least one set"

BUILT_IN: dict[str, Definition] = {
    "sma_cross": Definition(
        "sma_cross",
        (window("fast", 10), window("slow", 30)),
        (series("sma", "fast"), series("sma", "slow"), series("sma", "slow")),
        layout.COMPARES,
        valid=fast_below_slow,
        invalid=FAST_SLOW,
    ),
    "ema_cross": Definition(
        "ema_cross",
        (window("fast", 10), window("slow", 30)),
        (series("ema", "fast"), series("ema", "slow"), series("ema", "slow")),
        layout.COMPARES,
        valid=fast_below_slow,
        invalid=FAST_SLOW,
    ),
    "macd": Definition(
        "macd",
        (window("fast", 12), window("slow", 26), window("signal", 9)),
        (series("macd", "fast", "slow"), series("macd_signal", "fast", "slow", "signal"), series("close")),
        layout.COMPARES,
        valid=fast_below_slow,
        invalid=FAST_SLOW,
    ),
    "rsi": Definition(
        "rsi",
        (
            window("window", 14, 2),
            number("lower", 30, 0, 100),
            number("exit", 50, 0, 100),
            number("upper", 70, 0, 100),
        ),
        (series("rsi", "window"),),
        layout.LEVELS,
        ((1.0, "lower"), (1.0, "upper"), (1.0, "exit"), (1.0, "exit")),
        lower_below_upper,
        "needs lower < exit < upper in at least one set",
    ),
    "bollinger": Definition(
        "bollinger",
        (window("window", 20, 2), number("width", 2, 0, 100)),
        (series("zscore", "window"),),
        layout.LEVELS,
        ((-1.0, "width"), (1.0, "width"), (0.0, None), (0.0, None)),
    ),
    "zscore": Definition(
        "zscore",
        (window("window", 20, 2), number("enter", 2, 0, 100), number("exit", 0.5, -100, 100)),
        (series("zscore", "window"),),
        layout.LEVELS,
        ((-1.0, "enter"), (1.0, "enter"), (-1.0, "exit"), (1.0, "exit")),
        lambda values: values["exit"] < values["enter"],
        "must be less than enter in at least one set",
    ),
    "donchian": Definition(
        "donchian",
        (window("window", 20), window("exit", 10)),
        (
            series("previous_highest", "window", columns=("high",)),
            series("previous_lowest", "window", columns=("low",)),
            series("previous_highest", "exit", columns=("high",)),
            series("previous_lowest", "exit", columns=("low",)),
        ),
        layout.CHANNELS,
    ),
    "buy_and_hold": Definition("buy_and_hold", move_kind=layout.HOLDS),
}

# Written as users write theirs, and compiled when they are used.
IN_SOURCE: dict[str, str] = {
    "momentum_top_k": """
@strategy(rebalance="monthly")
class momentum_top_k:
    k = param.int(1, 100000, default=5)
    window = param.int(1, 1000000, default=120)
    past = ind.roc("close", window=window)

    def rebalance(view, p, out):
        rank = view.rank(view.past)
        for i in range(view.n):
            if view.tradable[i]:
                out[i] = 1 / p.k if rank[i] < p.k else 0
""",
}
NAMES = (*BUILT_IN, *IN_SOURCE)
