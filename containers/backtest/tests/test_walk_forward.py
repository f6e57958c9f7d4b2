"""Walk-forward: trains and tests are runs of their dates alone; what is told is the tests, chained."""

import json
import math
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.data.load import load_panel
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.job import run_job
from berth_backtest.report import Progress, Stop
from berth_backtest.shard import Shard
from berth_backtest.spec.parse import parse_spec
from berth_backtest.spec.types import Validation
from berth_backtest.walk.folds import folds_of, segment

from tests.support import Json, Ran, day, run_spec, spec_of, write_csv

N = 130
FREE_OF_LUCK = {"fee_bps": 5, "slippage_bps": 3}
A = [50 + 12 * math.sin(i / 6) + 4 * math.sin(i / 2.3) + i * 0.05 for i in range(N)]
B = [80 + 15 * math.cos(i / 8) + 3 * math.sin(i / 1.7) for i in range(N)]


def prices(tmp_path: Path, **series: list[float]) -> Path:
    rows: list[list[object]] = [[day(i), name, x] for name, xs in series.items() for i, x in enumerate(xs)]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows)


def walk_spec(path: Path, validation: Json | None = None, **parts: Any) -> Json:
    chosen = {"method": "walk_forward", "folds": 3, **(validation or {})}
    given = {
        "fast": {"range": [2, 6, 2]},
        "slow": {"range": [5, 17, 4]},
        "execution": {**FREE_OF_LUCK, **parts.pop("execution", {})},
        "search": {"min_trades": 0, **parts.pop("search", {})},
        **parts,
    }
    return spec_of(path, given.pop("fast"), given.pop("slow"), validation=chosen, **given)


def of_dates(spec: Json, span: Json, **more: Any) -> Json:
    """Returns the same search over some dates, without validation, ending flat."""
    one: Json = json.loads(json.dumps(spec))
    del one["validation"]
    one["data"] |= {"start": span["start"], "end": span["end"]}
    one["execution"] |= {"close_at_end": True, **more.pop("execution", {})}
    return {**one, **more}


@pytest.mark.parametrize(
    ("given", "bars", "spans"),
    [
        ((3, None, None, False, 0), 103, [(0, 28, 28, 53), (25, 53, 53, 78), (50, 78, 78, 103)]),
        ((2, 10, 20, False, 5), 100, [(45, 55, 60, 80), (65, 75, 80, 100)]),
        ((2, None, 20, True, 5), 100, [(0, 55, 60, 80), (0, 75, 80, 100)]),
        ((1, None, None, False, 0), 4, [(0, 2, 2, 4)]),
    ],
)
def test_folds_end_with_the_last_date(given: Any, bars: int, spans: list[Any]) -> None:
    found = folds_of(Validation(*given), bars)
    assert [(*fold.train, *fold.test) for fold in found] == spans


@pytest.mark.parametrize(
    ("given", "bars", "path", "text"),
    [
        ((9, None, None, False, 0), 9, "validation.folds", "9 folds need more than the 9 dates"),
        ((2, None, 50, False, 0), 100, "validation.test_bars", "leave no train"),
        ((2, None, None, False, 40), 100, "validation.folds", "a purge of 40 leave no train"),
        ((2, 70, 20, False, 0), 100, "validation.train_bars", "more than the 60 dates"),
    ],
)
def test_folds_that_do_not_fit_are_refused(given: Any, bars: int, path: str, text: str) -> None:
    with pytest.raises(ProgramError, match=text) as error:
        folds_of(Validation(*given), bars)
    assert [problem.path for problem in error.value.problems] == [path]


def test_a_segment_is_what_a_run_of_its_dates_would_read(tmp_path: Path) -> None:
    rows: list[list[object]] = []
    for i, x in enumerate(A):
        rows.append([day(i), "A", x, 2 if i in (20, 70) else 1, 0.5 if i == 60 else 0, ""])
        if 10 <= i < 90 and i % 7:
            rows.append([day(i), "B", B[i], 1, 0, day(89)])
    path = write_csv(tmp_path / "p.csv", "date,symbol,close,split_ratio,dividend,delist_date", rows)
    given = spec_of(path)
    given["data"]["adjustment"] = "none"
    whole = load_panel(parse_spec(given).data)
    for begin, end in ((0, 40), (5, 80), (15, 16), (65, N), (100, 120)):
        given["data"] |= {"start": day(begin), "end": day(end - 1)}
        expected, found = load_panel(parse_spec(given).data), segment(whole, begin, end)
        for field in fields(found):
            if field.name not in ("own", "china", "delisted", "hashing"):
                ours, theirs = getattr(found, field.name), getattr(expected, field.name)
                np.testing.assert_array_equal(ours, theirs, err_msg=f"{field.name} of {begin}:{end}")
        assert found.sha256 == expected.sha256
        for name, values in found.own.items():
            np.testing.assert_array_equal(values, expected.own[name])
        # Where it lies outside it is never reached.
        inside = [x for x in expected.delisted if 0 < x < end - begin]
        assert [x for x in found.delisted if 0 < x < end - begin] == inside


@pytest.mark.parametrize(
    "validation", [{}, {"anchored": True, "purge": 3}, {"train_bars": 30, "test_bars": 20}]
)
@pytest.mark.parametrize("mode", ["per_symbol", "shared"])
def test_trains_and_tests_are_runs_of_their_dates(tmp_path: Path, validation: Json, mode: str) -> None:
    path = prices(tmp_path, A=A) if mode == "per_symbol" else prices(tmp_path, A=A, B=B)
    sizing = {} if mode == "per_symbol" else {"sizing": {"fraction": 0.5}}
    spec = walk_spec(path, validation, portfolio={"mode": mode}, execution=sizing)
    run = run_spec(tmp_path / "out", spec)
    equity, trades, cash = [], [], 10_000.0
    for k, fold in enumerate(run.result["validation"]["folds"]):
        train = run_spec(tmp_path / f"train-{k}", of_dates(spec, fold["train"]))
        assert train.result["best"]["point"] == fold["point"]
        assert train.result["best"]["objective"] == fold["objective"]
        assert train.metrics == fold["train_metrics"]
        one = of_dates(spec, fold["test"], parameters=fold["parameters"], execution={"cash": cash})
        test = run_spec(tmp_path / f"test-{k}", one)
        assert test.metrics == fold["test_metrics"]
        equity += test.equity()
        trades += test.trades()
        cash = equity[-1]
    assert run.equity() == equity
    assert sorted(run.trades(), key=str) == sorted(trades, key=str)
    assert len(trades) > 0
    last = run_spec(tmp_path / "last", of_dates(spec, run.result["validation"]["folds"][-1]["train"]))
    without = ("fold", "segment")
    plain = [{k: v for k, v in row.items() if k not in without} for row in run.rows("points")]
    assert plain == [{k: v for k, v in row.items() if k not in without} for row in last.rows("points")]
    assert {(row["fold"], row["segment"]) for row in run.rows("points")} == {(2, "train")}
    overfitting = dict(last.result["overfitting"])
    assert run.result["overfitting"] == overfitting


def test_the_headline_is_out_of_sample(tmp_path: Path) -> None:
    run = run_spec(tmp_path / "out", walk_spec(prices(tmp_path, A=A)))
    e = np.array([10_000.0, *run.equity()])
    r = e[1:] / e[:-1] - 1
    peak = np.maximum.accumulate(e)
    below = [
        len(part) for part in "".join("x" if x < y else " " for x, y in zip(e, peak, strict=True)).split()
    ]
    trades = run.trades()
    expected = {
        "total_return": e[-1] / 10_000 - 1,
        "annual_return": (e[-1] / 10_000) ** (252 / len(r)) - 1,
        "annual_volatility": r.std(ddof=1) * math.sqrt(252),
        "sharpe": r.mean() / r.std(ddof=1) * math.sqrt(252),
        "sortino": r.mean() / math.sqrt((np.minimum(r, 0) ** 2).mean()) * math.sqrt(252),
        "max_drawdown": (e / peak).min() - 1,
        "max_drawdown_bars": max(below, default=0),
        "trades": len(trades),
        "open_trades": 0,
        "win_rate": sum(t["pnl"] > 0 for t in trades) / len(trades),
        "fees": sum(t["fees"] for t in trades),
        "final_equity": e[-1],
    }
    for name, value in expected.items():
        assert run.metrics[name] == pytest.approx(value, rel=1e-9), name
    dates = [row["date"] for row in run.rows("equity")]
    assert [dates[0].isoformat(), len(dates)] == [run.result["validation"]["oos"]["start"], 96]
    assert all(x < y for x, y in pairwise(dates))
    assert all(not trade["open"] for trade in trades)
    named = [(row["fold"], row["segment"]) for row in run.rows("metrics")]
    assert named == [(0, "test"), (1, "test"), (2, "test"), (None, "oos")]
    assert run.rows("metrics")[-1]["sharpe"] == pytest.approx(run.metrics["sharpe"], rel=1e-12)
    assert run.result["effective_spec"]["validation"] == {
        "method": "walk_forward",
        "folds": 3,
        "train_bars": None,
        "test_bars": None,
        "anchored": False,
        "purge": 0,
    }


def test_each_symbol_goes_on_with_its_own_cash(tmp_path: Path) -> None:
    both = run_spec(tmp_path / "both", walk_spec(prices(tmp_path, A=A, B=B)), threads=2)
    rows = both.rows("equity")
    for name, closes in (("A", A), ("B", B)):
        cash, mine = 10_000.0, [row["equity"] for row in rows if row["symbol"] == name]
        at = 0
        for k, fold in enumerate(both.result["validation"]["folds"]):
            path = prices(tmp_path, **{name: closes})
            spec = walk_spec(path)
            one = of_dates(spec, fold["test"], parameters=fold["parameters"], execution={"cash": cash})
            test = run_spec(tmp_path / f"{name}-{k}", one).equity()
            assert mine[at : at + len(test)] == test
            at, cash = at + len(test), test[-1]
    assert both.metrics["final_equity"] == pytest.approx(
        np.mean([[r["equity"] for r in rows if r["symbol"] == s][-1] for s in "AB"])
    )


def test_an_account_that_is_ruined_does_not_trade_again(tmp_path: Path) -> None:
    # After the jump it falls again: who had cash would sell.
    jump = [*[100 - i * 0.1 for i in range(70)], *[5_000.0 - i * 20 for i in range(60)]]
    sold = {"direction": "short", "sizing": {"cash": 9_000}}
    spec = walk_spec(prices(tmp_path, A=jump, B=B), execution=sold, strategy={"entry": "level"})
    run = run_spec(tmp_path / "out", spec)
    mine = [row["equity"] for row in run.rows("equity") if row["symbol"] == "A"]
    assert mine[0] > 0.0
    assert mine[70 - (N - 96) :] == [0.0] * 60
    last = [row for row in run.rows("metrics") if row["symbol"] == "A"][-1]
    assert [last["total_return"], last["max_drawdown"], last["final_equity"]] == [-1.0, -1.0, 0.0]


def test_a_drawdown_begins_at_the_cash(tmp_path: Path) -> None:
    falling = [200.0 - i for i in range(N)]
    spec = walk_spec(prices(tmp_path, A=falling), execution={"fill": "close", "fee_bps": 100})
    spec |= {"strategy": {"name": "buy_and_hold"}, "parameters": {}}
    run = run_spec(tmp_path / "out", spec)
    assert run.equity()[0] < 10_000
    assert run.metrics["max_drawdown"] == pytest.approx(min(run.equity()) / 10_000 - 1, rel=1e-12)


def test_random_points_are_validated_and_no_curves_are_kept_unasked(tmp_path: Path) -> None:
    spec = walk_spec(
        prices(tmp_path, A=A),
        fast={"int_uniform": [2, 9]},
        slow={"int_uniform": [10, 30]},
        search={"method": "random", "trials": 12, "seed": 4},
        output={"top_k": 0},
    )
    run = run_spec(tmp_path / "out", spec)
    assert [fold["points"] for fold in run.result["validation"]["folds"]] == [12, 12, 12]
    assert not (run.out / "equity.parquet").exists()
    train = run_spec(tmp_path / "train", of_dates(spec, run.result["validation"]["folds"][1]["train"]))
    assert train.result["best"]["parameters"] == run.result["validation"]["folds"][1]["parameters"]


def test_a_walk_that_was_stopped_goes_on_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = walk_spec(prices(tmp_path, A=A, B=B), output={"tearsheet": True})
    whole = run_spec(tmp_path / "whole", spec)
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "checkpoint"))
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "0")

    class StopsAfter(Stop):
        """Asked for at the n-th look."""

        looks = 0

        @property
        def asked(self) -> bool:  # type: ignore[override]
            self.looks += 1
            return self.looks > self.most

        @asked.setter
        def asked(self, _: bool) -> None: ...

        def __init__(self, most: int) -> None:
            self.most = most

    for most in (0, 2, 2):
        with pytest.raises(StoppedError):
            run_job(spec, tmp_path / "out", Progress(None), StopsAfter(most), 1)
    assert (tmp_path / "checkpoint" / "folds.json").exists()
    resumed = run_spec(tmp_path / "out", spec)
    for name in ("points.parquet", "metrics.parquet", "equity.parquet", "trades.parquet", "tearsheet.html"):
        assert (resumed.out / name).read_bytes() == (whole.out / name).read_bytes(), name
    timed = ("timing", "bar_updates_per_s")
    assert {k: v for k, v in resumed.result.items() if k not in timed} == {
        k: v for k, v in whole.result.items() if k not in timed
    }


def test_chosen_noise_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    noise = [float(x) for x in 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 600)))]
    spec = walk_spec(
        prices(tmp_path, A=noise), {"folds": 4}, fast={"range": [2, 20, 1]}, slow={"range": [5, 60, 5]}
    )
    run = run_spec(tmp_path / "out", spec)
    folds = run.result["validation"]["folds"]
    assert np.mean([fold["objective"] for fold in folds]) > run.result["validation"]["oos_objective"]
    assert "worse_out_of_sample" in run.codes()


def test_the_page_and_the_benchmark_are_of_the_tests(tmp_path: Path) -> None:
    path = prices(tmp_path, A=A, B=B)
    spec = walk_spec(path, benchmark={"symbol": "B"}, output={"tearsheet": True}, data={"symbols": ["A"]})
    run = run_spec(tmp_path / "out", spec)
    at = N - 96
    assert run.result["benchmark"]["total_return"] == pytest.approx(
        np.prod([y / x for x, y in pairwise(B[at - 1 :])]) - 1
    )
    page = (run.out / "tearsheet.html").read_text()
    folds = page[page.index("<h2>Folds</h2>") :]
    assert folds[: folds.index("</table>")].count('<tr><th scope="row">2020-') == 3


def ran(tmp_path: Path, **parts: Any) -> Ran:
    return run_spec(tmp_path / "out", walk_spec(prices(tmp_path, A=A), **parts))


@pytest.mark.parametrize(
    ("validation", "path"),
    [
        ({"folds": 0}, "validation.folds"),
        ({"folds": 2.5}, "validation.folds"),
        ({"train_bars": 0}, "validation.train_bars"),
        ({"purge": -1}, "validation.purge"),
        ({"anchored": 1}, "validation.anchored"),
        ({"anchored": True, "train_bars": 20}, "validation.train_bars"),
        ({"embargo": 3}, "validation.embargo"),
        ({"folds": 200}, "validation.folds"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, validation: Json, path: str) -> None:
    with pytest.raises(ProgramError) as error:
        ran(tmp_path, validation=validation)
    assert [problem.path for problem in error.value.problems] == [path]


def test_it_is_not_run_in_shards(tmp_path: Path) -> None:
    spec = walk_spec(prices(tmp_path, A=A))
    with pytest.raises(ProgramError, match="not run in shards"):
        run_job(spec, tmp_path / "out", Progress(None), Stop(), 1, Shard(0, 2))


def test_a_file_of_signals_is_read_on_the_dates_of_each_part(tmp_path: Path) -> None:
    rows: list[list[object]] = [[day(i), "A", (i // 9) % 2] for i in range(0, N, 3)]
    targets = write_csv(tmp_path / "s.csv", "date,symbol,target", rows)
    stops = {"stop_loss": {"values": [0.02, 0.2]}}
    spec = walk_spec(prices(tmp_path, A=A))
    spec |= {"strategy": {"signals": {"url": str(targets)}}, "parameters": stops}
    run = run_spec(tmp_path / "out", spec)
    fold = run.result["validation"]["folds"][1]
    one = of_dates(spec, fold["test"], parameters=fold["parameters"], execution={"cash": run.equity()[31]})
    assert run_spec(tmp_path / "one", one).equity() == run.equity()[32:64]


def test_a_strategy_of_a_user_is_validated_too(tmp_path: Path) -> None:
    source = """
@strategy()
class Dip:
    window = param.int(1, 50, default=3)
    mean = ind.sma("close", window=window)

    def step(s, bar, t, t1, p):
        return target(1) if bar.close < t.mean else target(0)
"""
    spec = walk_spec(prices(tmp_path, A=A, B=B), portfolio={"mode": "per_symbol"})
    spec |= {"strategy": {"source": source, "class": "Dip"}, "parameters": {"window": {"values": [3, 9]}}}
    assert len(run_spec(tmp_path / "out", spec).result["validation"]["folds"]) == 3
