"""The profile cn_a against the second engine: random limits, suspensions, gaps, stops and bars of a day."""

import math
import os
import random
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.reference import Bar, Rules
from tests.support import day, run_spec, spec_of, write_csv
from tests.test_reference import compare

CASES = int(os.environ.get("BERTH_REFERENCE_CASES", "60"))
BOARDS = {  # least, step, move, tick
    "main": (100, 100, "0.1", "0.01"),
    "chinext": (100, 100, "0.1", "0.01"),  # until 2020-08-24
    "star": (200, 1, "0.2", "0.01"),
    "bse": (100, 1, "0.3", "0.01"),
    "etf": (100, 100, "0.1", "0.001"),
}
TIMES = ("02:00", "03:00", "05:30", "06:30")  # of UTC: late in the morning and early in the afternoon there
DAYS = 26
WARM_UP_DAYS = 4


def limits_of(close: float | None, board: str) -> tuple[float, float]:
    """Returns the lower and the upper limit of a day, half up to the tick, from the last close before it."""
    if close is None:
        return -math.inf, math.inf
    _, _, move, tick = BOARDS[board]
    down, up = (
        (Decimal(str(close)) * (1 + side * Decimal(move))).quantize(Decimal(tick), ROUND_HALF_UP)
        for side in (-1, 1)
    )
    return float(down), float(up)


def share(
    rng: random.Random, board: str, per_day: int, steady: bool
) -> tuple[list[Bar | str | None], list[tuple[float, float]]]:
    """Returns bars that often touch a limit, and the limits of each."""
    bars: list[Bar | str | None] = []
    limits: list[tuple[float, float]] = []
    close, known = 20.0, None
    for _ in range(DAYS):
        down, up = limits_of(known, board)
        least, most = max(down, close * 0.85), min(up, close * 1.15)
        for _ in range(per_day):
            limits.append((down, up))
            what = rng.random()
            if not steady and what < 0.12:
                bars.append(None if what < 0.06 else "suspended")
                continue
            # Often at a limit, and rarely beyond it, as data may be.
            draw = [least, most, most * 1.02, *[round(rng.uniform(least, most), 2) for _ in range(7)]]
            o, c = (round(rng.choice(draw), 3 if board == "etf" else 2) for _ in range(2))
            high, low = max(o, c, rng.choice([o, most])), min(o, c, rng.choice([o, least]))
            bars.append((o, high, low, c))
            close = known_close = c
        if any(isinstance(bar, tuple) for bar in bars[-per_day:]):
            known = known_close
    return bars, limits


def draw_execution(rng: random.Random) -> dict[str, Any]:
    costs = {"fee_bps": 10, "fee_min": 5, "transfer_fee_bps": 3, "stamp_duty_bps": 20}
    return {
        "profile": "cn_a",
        "fill": rng.choice(["next_open", "next_close", "close"]),
        "sizing": rng.choice(["all_in", {"fraction": 0.5}, {"units": 730}, {"cash": 9000}]),
        "cash": rng.choice([3000, 20_000, 100_000]),
        "slippage_bps": rng.choice([0, 5, 300]),
        "stop_reference": rng.choice(["fill", "entry_close", "decision_close"]),
        "stop_slippage": rng.random() < 0.7,
        "close_at_end": rng.random() < 0.3,
        "retry_entries": rng.random() < 0.5,
        **(costs if rng.random() < 0.5 else {}),
    }


def rules_of(
    execution: dict[str, Any], entry: str, board: str, per_day: int, limits: list[tuple[float, float]]
) -> Rules:
    least, step, _, _ = BOARDS[board]
    given = "fee_bps" in execution
    warm_up = WARM_UP_DAYS * per_day
    return Rules(
        fill=execution["fill"],
        entry=entry,
        sizing=execution["sizing"],
        cash=execution["cash"],
        fee=10e-4 if given else 2.5e-4,
        fee_min=5,
        transfer=3e-4 if given else 0.2e-4,
        stamp=20e-4 if given else 10e-4,
        slippage=execution["slippage_bps"] / 10_000,
        lot=step,
        least=least,
        stop_reference=execution["stop_reference"],
        stop_slippage=execution["stop_slippage"],
        close_at_end=execution["close_at_end"],
        retry=execution["retry_entries"],
        periods=252.0 * per_day,
        t_plus_1=True,
        day_of=[t // per_day for t in range(len(limits) - warm_up)],
        limits=limits[warm_up:],
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_a_shares_equal_the_second_engine(seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"a-shares {seed}")
    per_day = rng.choice([1, 1, 4])
    has_limits = rng.random() < 0.5

    def date_of(t: int) -> str:
        return day(t) if per_day == 1 else f"{day(t // 4)}T{TIMES[t % 4]}:00+00:00"

    shares = {f"60000{i}": (rng.choice(list(BOARDS)), i == 0) for i in range(4)}
    markets, limits, rows = {}, {}, []
    for symbol, (board, steady) in shares.items():
        markets[symbol], limits[symbol] = share(rng, board, per_day, steady)
        last = 20.0
        for t, (bar, (down, up)) in enumerate(zip(markets[symbol], limits[symbol], strict=True)):
            if bar is None:
                continue
            prices = bar if isinstance(bar, tuple) else (last,) * 4
            last = prices[3]
            bounds = [up if math.isfinite(up) else None, down if math.isfinite(down) else None]
            rows.append(
                [
                    date_of(t),
                    symbol,
                    *prices,
                    board,
                    "2000-01-04",
                    0,
                    int(bar == "suspended"),
                    *(bounds if has_limits else []),
                ]
            )
    columns = "date,symbol,open,high,low,close,board,list_date,is_st,suspended" + (
        ",limit_up,limit_down" if has_limits else ""
    )
    path = write_csv(tmp_path / "prices.csv", columns, rows)
    execution, entry = draw_execution(rng), rng.choice(["cross", "cross", "level"])
    stops = {
        "stop_loss": {"values": rng.sample([0, 0.02, 0.05, 0.2], 2)},
        "take_profit": {"values": rng.sample([0, 0.03, 0.1], 2)},
        "trailing_stop": rng.choice([0, 0.04, 0.1]),
    }
    spec = spec_of(
        path,
        fast={"values": [1, 2]},
        slow={"values": [2, 5]},
        parameters=stops if rng.random() < 0.6 else {},
        data={"adjustment": "none", "start": day(WARM_UP_DAYS)},
        strategy={"entry": entry},
        execution=execution,
        output={"top_k": 100},
        search={"objective": "total_return", "min_trades": 0},
        periods_per_year=252 * per_day,
    )
    rules = {
        symbol: rules_of(execution, entry, board, per_day, limits[symbol])
        for symbol, (board, _) in shares.items()
    }
    ran = run_spec(tmp_path / "out", spec, threads=1 + seed % 2)
    compare(ran, markets, rules, 0.0, WARM_UP_DAYS * per_day, date_of)
