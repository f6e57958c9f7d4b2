"""Looks for decisions that change when the future is cut off: they used what was not yet known."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import shown_date
from berth_backtest.data.panel import truncate
from berth_backtest.plan import Plan
from berth_backtest.record import parts_of, record_orders
from berth_backtest.simulate import Simulator, make_simulator

Index = NDArray[np.int64]

CUTS = 8  # seeded dates, beside the first and the last
OTHERS = 3  # random sets beside the best
SYMBOLS = 100  # at most, spread evenly: the check runs every symbol once per cut


@dataclass(frozen=True)
class LookAhead:
    checked: int  # (set, cut) pairs
    ok: bool | None
    first_difference: dict[str, object] | None


def draw(seed: int, number: int, below: int) -> int:
    """Returns a whole number below `below` that depends only on the seed and its number."""
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % below


def check_look_ahead(plan: Plan, simulator: Simulator, best: int) -> LookAhead:
    """Compares the orders of whole runs with those of runs that end at the cuts."""
    seed, n = plan.spec.search.seed, plan.panel.bars
    drawn = [plan.grid.some_valid(draw(seed, i, plan.grid.total)) for i in range(OTHERS)]
    points = np.unique(np.array([best, *[point for point in drawn if point is not None]]))
    cuts = sorted({0, n - 1} | {draw(seed, OTHERS + i, n) for i in range(CUTS)})
    symbols = len(plan.panel.symbols)
    chosen = range(0, symbols, -(-symbols // SYMBOLS))
    if plan.spec.portfolio.mode == "shared":
        chosen = range(symbols)
    differences = [
        first_difference(plan, simulator, part, points, cuts) for part in parts_of(simulator, chosen)
    ]
    found = min((one for one in differences if one is not None), default=None)
    if found is None:
        return LookAhead(len(points) * len(cuts), True, None)
    cut, point, bar, s = found
    dates, dated = plan.panel.dates, plan.panel.dated
    shown: dict[str, object] = {
        "symbol": plan.panel.symbols[s],
        "date": shown_date(int(dates[bar]), dated),
        "cut": shown_date(int(dates[cut]), dated),
        "parameters": plan.grid.parameters(point),
    }
    return LookAhead(len(points) * len(cuts), False, shown)


def first_difference(
    plan: Plan, simulator: Simulator, symbols: Sequence[int], points: Index, cuts: list[int]
) -> tuple[int, int, int, int] | None:
    """Returns cut, point, bar and symbol of the first order of some symbols that a cut changes."""
    whole = [record_orders(simulator, int(point), symbols)[1].decided for point in points]
    for cut in cuts:
        short = make_simulator(plan, simulator.threads, truncate(plan.panel, cut + 1, symbols))
        for point, orders in zip(points, whole, strict=True):
            known = record_orders(short, int(point), symbols)[1].decided
            different = np.argwhere(known != orders[: cut + 1])
            if len(different):
                bar, at = (int(x) for x in different[0][:2])
                return cut, int(point), bar, symbols[at]
    return None
