"""Makes the compiled kernel ready: compiles it, or loads what an earlier process kept."""

from functools import cache
from pathlib import Path

import numpy as np

from .book import Markets, Records
from .jit import KEPT
from .layout import COMPARES, GROWTH, RAW, RULES, WIDTH
from .lines import follow_marks
from .metrics import METRICS, fill_drawdowns, fill_metrics
from .plain import run_plain
from .run import run_moves
from .steps import FAULT, NO_STEPS


@cache
def is_kept() -> bool:
    """Says whether an earlier process kept the kernel of these sources."""
    return any(Path(KEPT).rglob("run.run_moves-*.nbc"))


@cache
def compile_kernel() -> None:
    """Makes all of the kernel ready, by running it on two bars."""
    fill_metrics(np.ones((1, RAW)), np.ones(4), np.empty((1, METRICS)))
    fill_drawdowns(np.ones((1, 1)), 1.0, np.empty((1, 1)))
    run_moves(
        tiny_markets(),
        np.zeros(1, dtype=np.int64),
        no_records(),
        np.ones(RULES),
        1,
        0,
        COMPARES,
        np.ones(2),
        1,
        np.zeros(2, dtype=np.int64),
        np.zeros((1, 3), dtype=np.int64),
        np.zeros((1, 4)),
        False,
        np.empty((1, 0, 0)),
        np.zeros((3, 1)),
        NO_STEPS,
        np.zeros((1, FAULT)),
        np.empty((1, 1, RAW)),
    )
    run_plain(
        tiny_markets(),
        np.zeros(1, dtype=np.int64),
        no_records(),
        np.ones(RULES),
        COMPARES,
        np.ones(2),
        1,
        np.zeros((1, 3), dtype=np.int64),
        np.zeros((1, 4)),
        np.empty((1, 1, RAW)),
        np.zeros((1, 1), dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


def tiny_markets() -> Markets:
    """Returns two bars of one symbol."""
    bars, states = np.ones((1, 2, 1, 4)), np.ones((1, 2, 1), dtype=np.int8)
    marks, totals, growth = np.zeros((1, 1, 2 + WIDTH)), np.zeros((1, 1, 3)), np.zeros((1, 1, 2, GROWTH))
    tops, bottoms = np.zeros((1, 1, 1, 2 + WIDTH)), np.zeros((1, 1, 1, 2 + WIDTH))
    actions, action_at = np.empty((0, 4)), np.zeros(2, dtype=np.int64)
    follow_marks(bars, states, actions, action_at, marks, totals, growth, tops, bottoms, 0.0)
    return Markets(
        bars,
        states,
        marks,
        totals,
        growth,
        tops,
        bottoms,
        lots=np.ones((1, 1, 2)),
        rates=np.zeros((1, 4)),
        limits=np.empty((1, 0, 1, 0)),
        dates=np.empty(0, dtype=np.int64),
        actions=actions,
        action_at=action_at,
        delisted=np.array([[2]]),
        closes=np.ones(2),
        bar_of=np.arange(2),
        own_at=np.array([0, 2]),
    )


def no_records() -> Records:
    none = np.empty((1, 0, 0))
    return Records(none, none, np.empty((1, 0, 0, 0)), none, none, np.zeros((1, 4), dtype=np.int64))
