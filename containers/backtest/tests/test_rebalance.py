"""Target weights over a shared purse: momentum_top_k, users' rebalance(), and its calendars."""

from datetime import date
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from berth_backtest.errors import ProgramError
from berth_backtest.kernel.rebalance import rank_of
from berth_backtest.spec.parse import parse_spec
from berth_backtest.user.declare import read_source
from berth_backtest.user.subset import Refused

from tests.support import FIRST_DAY, FREE, Json, Ran, day, run_spec, spec_of, write_csv

NAMES = ("AA", "BB", "CC", "DD")


def prices(tmp_path: Path, bars: int = 140) -> tuple[Path, dict[str, list[float | None]]]:
    table: dict[str, list[float | None]] = {
        name: [
            None if (i + 5 * k) % 23 == 22 else 20.0 + 3 * k + (i * (7 + 4 * k) % 19) * (0.5 + 0.1 * k)
            for i in range(bars)
        ]
        for k, name in enumerate(NAMES)
    }
    rows = [[day(i), name, x] for name in NAMES for i, x in enumerate(table[name]) if x is not None]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows), table


def run_weights(tmp_path: Path, strategy: Json, path: Path, out: str = "out", **parts: Any) -> Ran:
    spec: Json = {**spec_of(path), "parameters": {}, "execution": {**FREE, "fill": "close"}}
    spec |= {"strategy": strategy, "portfolio": {"mode": "shared"}, **parts}
    return run_spec(tmp_path / out, spec)


def due(every: int | str, i: int) -> bool:
    now, before = (date.fromordinal(FIRST_DAY.toordinal() + j) for j in (i, i - 1))
    if isinstance(every, int):
        return i % every == 0
    if i == 0:
        return True
    return (
        now.month != before.month if every == "monthly" else now.isocalendar()[1] != before.isocalendar()[1]
    )


def replay(table: dict[str, list[float | None]], every: int | str, k: int, window: int) -> list[float]:
    """Returns the equity of the top k by momentum, in plain Python: fractional, free, at the close."""
    cash, units, mark = 10_000.0, dict.fromkeys(NAMES, 0.0), dict.fromkeys(NAMES, 0.0)
    own: dict[str, list[float]] = {name: [] for name in NAMES}
    equity = []
    for i in range(len(table["AA"])):
        there = {name: x for name in NAMES if (x := table[name][i]) is not None}
        for name, x in there.items():
            own[name].append(x)
            mark[name] = x
        if due(every, i):
            past = {n: (own[n][-1] / own[n][-1 - window] - 1) * 100 for n in there if len(own[n]) > window}
            best = sorted(past, key=lambda n: (-past[n], NAMES.index(n)))[:k]
            worth = cash + sum(units[n] * mark[n] for n in NAMES)
            orders = {n: worth / k * (n in best) - units[n] * x for n, x in there.items()}
            # The largest sale first; what cannot be sold for want of a bar leaves less to buy with.
            for name in sorted(orders, key=lambda n: (orders[n], NAMES.index(n))):
                value = min(orders[name], cash)
                cash -= value
                bought = units[name] + value / there[name]
                units[name] = bought if name in best else 0.0
        equity.append(cash + sum(units[n] * mark[n] for n in NAMES))
    return equity


@pytest.mark.parametrize("every", ["monthly", "weekly", 9])
def test_the_top_k_by_momentum_is_that_of_plain_python(tmp_path: Path, every: int | str) -> None:
    path, table = prices(tmp_path)
    strategy = {"name": "momentum_top_k", "rebalance": every}
    parameters = {"k": {"values": [2, 3]}, "window": {"values": [5, 20]}}
    output = {"look_ahead_check": True, "tearsheet": False}
    run = run_weights(tmp_path, strategy, path, parameters=parameters, output=output)
    ranked = sorted(run.rows("points"), key=lambda row: -row["sharpe"])
    for rank, row in enumerate(ranked, 1):
        wanted = replay(table, every, row["k"], row["window"])
        assert run.equity(rank) == pytest.approx(wanted, rel=1e-9)
        assert wanted[-1] != wanted[0]
    assert run.result["look_ahead"]["ok"] is True
    assert run.result["effective_spec"]["strategy"] == strategy


def test_it_is_monthly_over_5_symbols_unless_told(tmp_path: Path) -> None:
    path, table = prices(tmp_path)
    run = run_weights(tmp_path, {"name": "momentum_top_k"}, path, parameters={"window": 30})
    assert run.equity() == pytest.approx(replay(table, "monthly", 5, 30), rel=1e-9)
    assert run.result["effective_spec"]["strategy"]["rebalance"] == "monthly"


USERS = """
def share(x, n):
    return x / n

@strategy(rebalance={every})
class X:
    a = param.float(0, 1, default=0.9)
    m = ind.sma("close", window=3)

    def rebalance(view, p, out):
        {body}
"""


def users(body: str, every: object = 5) -> Json:
    lines = "\n        ".join(body.splitlines())
    return {"source": USERS.format(every=repr(every), body=lines), "class": "X"}


def test_a_users_rebalance_is_the_built_in_one(tmp_path: Path) -> None:
    path, _ = prices(tmp_path)
    body = (
        "rank = view.rank(view.m)\nheld = 0\n"
        "for i in range(view.n):\n    if view.tradable[i]:\n        held += 1\n"
        "for i in range(len(out)):\n    if view.tradable[i] and rank[i] < 2:\n"
        "        out[i] = share(p.a, 2)\n"
        "    elif view.tradable[i]:\n        out[i] = 0 if held > 0 else view.weight[i]"
    )
    by_rank = run_weights(tmp_path, users(body), path)
    # The same without rank: a symbol is among the best two if fewer than two are better.
    body = (
        "for i in range(view.n):\n    better = 0\n    for j in range(view.n):\n"
        "        if view.m[j] > view.m[i] or (view.m[j] == view.m[i] and j < i): better += 1\n"
        "    if view.tradable[i]:\n        out[i] = 0.45 if better < 2 and not isnan(view.m[i]) else 0"
    )
    by_hand = run_weights(tmp_path, users(body), path, "hand")
    assert by_rank.trades() == by_hand.trades()
    assert len(by_rank.trades()) > 10


@numba.njit  # type: ignore[untyped-decorator]
def ranked(values, tradable):  # type: ignore[no-untyped-def]
    return rank_of(values, tradable)


def test_a_rank_is_the_place_in_a_stable_sort() -> None:
    rng = np.random.default_rng(3)
    odd = [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        5e-324,
        -5e-324,
        1.7e308,
        -1.7e308,
        1.0,
        np.nextafter(1.0, 2.0),
    ]
    for n in (0, 1, 2, 3, 40, 2_500):
        for pool in (odd, rng.normal(size=3), rng.normal(size=9_999), np.arange(-5.0, 5.0), [7.0], odd[-2:]):
            values, tradable = rng.choice(pool, n), rng.choice([0.0, 1.0, 1.0, 1.0], n)
            there = np.flatnonzero((tradable > 0.0) & ~np.isnan(values))
            wanted = np.full(n, np.nan)
            wanted[there[np.argsort(-values[there], kind="stable")]] = np.arange(len(there))
            assert np.array_equal(ranked(values, tradable), wanted, equal_nan=True)


def test_what_a_view_shows(tmp_path: Path) -> None:
    rows = [[day(i), name, c, c + 2, c - 1, c, 5] for i in range(4) for name, c in (("AA", 10), ("BB", 20))]
    path = write_csv(tmp_path / "p.csv", "date,symbol,open,high,low,close,volume", rows)
    wanted = {
        "view.high[i] / 100": 0.12,
        "view.low[i] / 100": 0.09,
        "view.volume[i] / 10": 0.5,
        "view.weight[i] + 0.125": 0.375,
        "view.i / 4": 0.5,
        "view.n / 10": 0.2,
        "view.cash / 20000": 0.25,
        "view.equity / 20000": 0.5,
        "out[i]": None,
    }
    for number, (text, share) in enumerate(wanted.items()):
        body = (
            "for i in range(view.n):\n    if view.i == 0:\n        out[i] = 0.25\n"
            f"    elif view.i == 2 and view.close[i] == 10:\n        out[i] = {text}"
        )
        run = run_weights(tmp_path, users(body, 1), path, str(number), output={"top_k": 1})
        expected = 0.25 if share is None else share
        bought = next(t for t in run.trades() if t["symbol"] == "AA")["units"]
        assert bought == pytest.approx(max(expected, 0.25) * 10_000 / 10), text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("out[0] = 1", "the place must be the symbol of a loop"),
        ("for i in range(view.n):\n    i = 5\n    out[i] = 1", "i is a symbol of the loop"),
        ("x = view.close", "view.close is an array: view.close[i]"),
        ("x = view.shut", "view.shut is unknown: view has n, i"),
        ("for i in range(view.n): view.close[i] = 1", "only out[i] can be assigned"),
        ("return out", "rebalance returns nothing"),
        ("x = view.rank(3)", "an array is view.x"),
        ("while 1: pass", "while may never end"),
        (
            "for i in range(view.n):\n    for j in range(view.n):\n        for k in range(view.n): x = 1",
            "at most two loops",
        ),
    ],
)
def test_what_rebalance_may_not_do_is_refused(body: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        read_source(str(users(body)["source"]), "X")
    assert message in str(caught.value)


def test_a_weight_beyond_1_ends_the_run(tmp_path: Path) -> None:
    path, _ = prices(tmp_path)
    with pytest.raises(ProgramError, match=r"wants 2 for AA on 2020-01-06.*from -1 to 1") as caught:
        run_weights(tmp_path, users("for i in range(view.n): out[i] = 2 if view.i > 0 else 0"), path)
    assert caught.value.code == "user_code"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"portfolio": {"mode": "per_symbol"}}, "portfolio.mode"),
        ({"strategy": {"name": "momentum_top_k", "rebalance": "daily"}}, "strategy.rebalance"),
        ({"strategy": {"name": "momentum_top_k", "rebalance": 0}}, "strategy.rebalance"),
        ({"strategy": {"name": "momentum_top_k", "entry": "level"}}, "strategy.entry"),
        ({"strategy": {"name": "rsi", "rebalance": 5}}, "strategy.rebalance"),
        ({"parameters": {"k": 0}}, "parameters.k"),
    ],
)
def test_a_wrong_field_is_named(change: Json, path: str) -> None:
    spec = {
        "data": {"dataset": "sample:sp500-20"},
        "strategy": {"name": "momentum_top_k"},
        "portfolio": {"mode": "shared"},
        **change,
    }
    with pytest.raises(ProgramError) as caught:
        parse_spec(spec)
    assert [problem.path for problem in caught.value.problems] == [path]
