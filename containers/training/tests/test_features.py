"""Features and targets by hand, on prices small enough to check."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest import indicators
from berth_backtest.data.load import load_panel
from berth_backtest.errors import ProgramError
from berth_backtest.spec.types import DataSpec
from berth_training.data.prices import frame_of
from berth_training.features import compute
from berth_training.features.compute import calendar
from berth_training.features.leak import check_leaks
from berth_training.spec.parse import parse_spec

from tests.support import Json, day

CLOSES = [10.0 + (i * 7919 % 13) for i in range(40)]


def prices(path: Path, closes: dict[str, list[float | None]], more: str = "") -> Path:
    """Writes closes by symbol; `more` are columns made from the close."""
    lines = ["date,symbol,close" + more]
    for symbol, values in closes.items():
        for i, close in enumerate(values):
            if close is not None:
                extra = f",{close - 1},{close + 2},{close - 2},{100 + i}" if more else ""
                lines.append(f"{day(i)},{symbol},{close}{extra}")
    path.write_text("\n".join(lines) + "\n")
    return path


def frame(path: Path, features: list[Json], target: Json | None = None, **data: Any) -> Any:
    spec = parse_spec(
        {
            "data": {"files": [{"url": str(path)}], "adjustment": "total", **data},
            "features": features,
            "target": {"name": "forward_return", "horizon": 2, **(target or {})},
            "model": {"name": "random_forest"},
        }
    )
    assert spec.data is not None
    return frame_of(spec, load_panel(spec.data))


def test_returns_lags_and_volatility_by_hand(tmp_path: Path) -> None:
    x = np.array(CLOSES)
    rows = frame(
        prices(tmp_path / "p.csv", {"A": CLOSES}),
        [
            {"name": "ret", "lags": [1, 3]},
            {"name": "log_ret", "lags": [2]},
            {"name": "lag", "lags": [0, 4]},
            {"name": "volatility", "window": 5, "lags": [0, 1]},
        ],
    )
    names = "ret_1 ret_3 log_ret_2 close_lag_0 close_lag_4 volatility_5 volatility_5_lag_1"
    assert rows.names == tuple(names.split())
    t = 20
    r = x[1:] / x[:-1] - 1
    expected = [x[t] / x[t - 1] - 1, x[t] / x[t - 3] - 1, np.log(x[t] / x[t - 2]), x[t], x[t - 4]]
    expected += [r[t - 5 : t].std(ddof=1), r[t - 6 : t - 1].std(ddof=1)]
    assert rows.x[t] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(rows.x[:, 5]).sum() == 5
    assert np.isnan(rows.x[:, 1]).sum() == 3


def test_lags_count_a_symbols_own_bars_and_one_longer_than_them_is_missing(tmp_path: Path) -> None:
    closes: dict[str, list[float | None]] = {
        "A": [1, 2, 3, 4, 5, 6],
        "B": [7, None, 8, 9, None, 5],
        "C": [None, None, None, 3, None, None],
    }
    path = prices(tmp_path / "p.csv", closes)
    rows = frame(path, [{"name": "lag", "lags": [0, 1, 5, 9]}, {"name": "log_ret", "lags": [2]}])
    by_symbol = {name: rows.x[rows.symbol == s] for s, name in enumerate(rows.symbols)}
    nan = np.nan
    assert by_symbol["A"][:, :4] == pytest.approx(
        np.array([[x, x - 1 if x > 1 else nan, 1 if x == 6 else nan, nan] for x in range(1, 7)]), nan_ok=True
    )
    assert by_symbol["B"][:, :2] == pytest.approx(np.array([[7, nan], [8, 7], [9, 8], [5, 9]]), nan_ok=True)
    assert by_symbol["B"][:, 4] == pytest.approx([nan, nan, np.log(9 / 7), np.log(5 / 8)], nan_ok=True)
    assert by_symbol["C"] == pytest.approx(np.array([[3, nan, nan, nan, nan]]), nan_ok=True)
    late = frame(path, [{"name": "lag", "lags": [1]}], start=day(3).isoformat())
    assert late.x[:, 0] == pytest.approx([3, 8, nan, 4, 5, 9], nan_ok=True)


def test_indicators_are_those_of_the_backtest_engine(tmp_path: Path) -> None:
    path = prices(tmp_path / "p.csv", {"A": CLOSES}, ",open,high,low,volume")
    rows = frame(
        path,
        [
            {"name": "rsi", "window": 14},
            {"name": "sma", "window": 3, "column": "volume"},
            {"name": "atr", "window": 5},
            {"name": "bollinger_upper", "window": 6, "deviations": 2.5},
            {"name": "macd", "fast": 3, "slow": 8},
            {"name": "obv"},
        ],
    )
    assert rows.names == ("rsi_14", "sma_volume_3", "atr_5", "bollinger_upper_6_2.5", "macd_3_8", "obv")
    x = np.array(CLOSES)
    volume = 100.0 + np.arange(40)
    expected = [
        indicators.rsi(x, 14),
        indicators.sma(volume, 3),
        indicators.atr(x + 2, x - 2, x, 5),
        indicators.bollinger_upper(x, 6, 2.5),
        indicators.macd(x, 3, 8),
        indicators.obv(x, volume),
    ]
    assert np.array_equal(rows.x, np.column_stack(expected), equal_nan=True)
    assert rows.look_back == 14


def test_every_indicator_can_be_a_feature_and_none_sees_the_future(tmp_path: Path) -> None:
    path = prices(tmp_path / "p.csv", {"A": CLOSES, "B": CLOSES[::-1]}, ",open,high,low,volume")
    numbers = {"window": 4, "fast": 2, "slow": 5, "signal": 3, "smooth": 2, "deviations": 2.0}
    from berth_backtest.strategies.series import COLUMNS, signature

    features = [
        {"name": name} | {k: numbers[k] for k, _ in signature(name) if k not in (*COLUMNS, "x")}
        for name in indicators.__all__
    ]
    features += [{"name": "rank", "of": {"name": "ret", "lags": [2]}}, {"name": "volatility", "window": 3}]
    spec = parse_spec(
        {
            "data": {"files": [{"url": str(path)}], "adjustment": "total"},
            "features": features,
            "target": {"name": "sign"},
            "model": {"name": "logistic"},
        }
    )
    assert spec.data is not None
    found = check_leaks(load_panel(spec.data), spec.features, 1)
    assert found["ok"] is True
    assert found["checked"] >= 8


def test_a_planted_look_ahead_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = compute.fill

    def leaking(panel: Any, columns: Any, same: Any, planes: Any, symbols: Any) -> None:
        honest(panel, columns, same, planes, symbols)
        planes[:, :, :-1] = planes[:, :, 1:]  # each value as it will be at the next bar

    monkeypatch.setattr(compute, "fill", leaking)
    path = prices(tmp_path / "p.csv", {"A": CLOSES})
    spec = parse_spec(
        {
            "data": {
                "files": [{"url": str(path)}],
                "adjustment": "total",
            },
            "features": [{"name": "ret", "lags": [1]}],
            "target": {"name": "sign"},
            "model": {"name": "logistic"},
        }
    )
    assert spec.data is not None
    with pytest.raises(ProgramError, match=r"ret_1 of A on .* changes when the prices after") as error:
        check_leaks(load_panel(spec.data), spec.features, 1)
    assert error.value.code == "look_ahead"


def test_ranks_are_among_the_symbols_present_that_date(tmp_path: Path) -> None:
    closes: dict[str, list[float | None]] = {
        "A": [10, 11, 12, 13],
        "B": [10, 12, None, 12],
        "C": [10, 11, 9, 9],
        "D": [10, 9, 20, 30],
    }
    rows = frame(prices(tmp_path / "p.csv", closes), [{"name": "rank", "of": {"name": "lag", "lags": [0]}}])
    by_key = {
        (rows.symbols[s], int(d)): x for s, d, x in zip(rows.symbol, rows.date, rows.x[:, 0], strict=True)
    }
    assert [by_key[(s, 1)] for s in "ABCD"] == pytest.approx([2 / 4, 3.5 / 4, 2 / 4, 0.5 / 4])
    assert [by_key[(s, 2)] for s in "ACD"] == pytest.approx([1.5 / 3, 0.5 / 3, 2.5 / 3])
    assert ("B", 2) not in by_key


def test_calendar_parts(tmp_path: Path) -> None:
    parts = ["weekday", "day", "month", "quarter", "week", "hour", "minute"]
    rows = frame(prices(tmp_path / "p.csv", {"A": CLOSES}), [{"name": "calendar", "parts": parts}])
    at = day(35)
    assert at == date(2020, 2, 5)
    assert rows.x[35].tolist() == [2, 5, 2, 1, 6, 0, 0]


def test_calendar_parts_are_those_of_pythons_calendar() -> None:
    moments = [datetime(1964, 1, 1, tzinfo=UTC) + timedelta(days=3 * i, minutes=97 * i) for i in range(9_000)]
    sample = load_panel(DataSpec("sample:indices", (), None, None, None, "total", None, "end", None))
    dates = np.array([int(moment.timestamp()) * 10**6 for moment in moments])
    panel = replace(sample, dates=dates)
    asked: dict[str, Callable[[datetime], int]] = {
        "weekday": datetime.weekday,
        "day": lambda at: at.day,
        "month": lambda at: at.month,
        "quarter": lambda at: (at.month + 2) // 3,
        "week": lambda at: at.isocalendar().week,
        "hour": lambda at: at.hour,
        "minute": lambda at: at.minute,
    }
    for part, one in asked.items():
        assert calendar(panel, part).tolist() == [one(moment) for moment in moments], part


def test_ranks_are_those_of_scipy_with_ties_gaps_and_infinities() -> None:
    from scipy.stats import rankdata

    rng = np.random.default_rng(4)
    # Slow series, so that an order is mended from date to date, and quick ones, so that it is sorted again.
    slow = np.round(np.cumsum(rng.normal(size=(90, 40)), axis=1), 1)
    for values in (slow, np.round(rng.normal(size=(90, 40)), 1)):
        values[rng.random(values.shape) < 0.1] = np.nan
        values[rng.random(values.shape) < 0.02] = np.inf
        values[:, 7] = np.nan
        found = values.copy()
        compute.rank(found, 0, 7)
        compute.rank(found, 7, 40)
        for t in range(40):
            there = ~np.isnan(values[:, t])
            wanted = (rankdata(values[there, t]) - 0.5) / max(there.sum(), 1)
            assert found[there, t].tolist() == wanted.tolist()
            assert np.isnan(found[~there, t]).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_features_are_the_same_on_any_number_of_threads(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = load_panel(DataSpec("sample:sp500-20", (), None, "2015-01-01", None, "total", None, "end", None))
    spec = {
        "data": {"dataset": "sample:sp500-20"},
        "features": [
            {"name": "ret", "lags": [1, 5]},
            {"name": "rank", "of": {"name": "volatility", "window": 20}},
            {"name": "rsi", "window": 14},
            {"name": "calendar", "parts": ["week"]},
        ],
        "target": {"name": "sign"},
        "model": {"name": "svm"},
    }
    columns = parse_spec(spec).features
    one = compute.feature_grid(panel, columns)
    monkeypatch.setattr(compute, "PART", 9_000)  # of 40,240: several symbols, dates and rows a task
    assert compute.feature_grid(panel, columns, threads).tobytes() == one.tobytes()
    date, symbol = np.nonzero(panel.state.T == 1)
    rows = compute.feature_matrix(panel, columns, symbol, date, threads)
    assert rows.tobytes() == one[symbol, date].tobytes()


@pytest.mark.parametrize("entry", ["close", "next_open", None])
def test_forward_returns_begin_where_they_are_asked_to(tmp_path: Path, entry: str | None) -> None:
    path = prices(tmp_path / "p.csv", {"A": CLOSES}, ",open,high,low,volume")
    rows = frame(path, [{"name": "ret", "lags": [1]}], {"entry": entry} if entry else {})
    x = np.array(CLOSES)
    start = x[:-2] if entry == "close" else x[1:-1] - 1
    assert rows.y[:-2] == pytest.approx(x[2:] / start - 1, rel=1e-12)
    assert np.isnan(rows.y[-2:]).all()


def test_the_target_counts_the_runs_dates_and_a_missing_bar_has_none(tmp_path: Path) -> None:
    closes: dict[str, list[float | None]] = {"A": [1, 2, 4, 8, 16], "B": [1, None, 3, 4, 5]}
    path = prices(tmp_path / "p.csv", closes)
    rows = frame(path, [{"name": "ret", "lags": [1]}], {"horizon": 1})
    found = dict(zip(zip(rows.symbol.tolist(), rows.date.tolist(), strict=True), rows.y, strict=True))
    assert np.isnan(found[(1, 0)])
    assert found[(1, 2)] == pytest.approx(1 / 3)
    assert found[(0, 0)] == 1.0
    assert "no_target" in [code for code, _ in rows.warnings]


def test_signs_are_1_above_0_only(tmp_path: Path) -> None:
    path = prices(tmp_path / "p.csv", {"A": [1, 1, 2, 1, 1, 3]})
    rows = frame(path, [{"name": "ret", "lags": [1]}], {"name": "sign", "horizon": 1})
    assert rows.y[:-1].tolist() == [0, 1, 0, 0, 1]
    assert rows.kind == "classification"


def test_rows_before_the_start_warm_features_up(tmp_path: Path) -> None:
    path = prices(tmp_path / "p.csv", {"A": CLOSES})
    whole = frame(path, [{"name": "rsi", "window": 5}])
    late = frame(path, [{"name": "rsi", "window": 5}], start=day(20).isoformat())
    assert len(late.y) == 20
    assert late.x.tolist() == whole.x[20:].tolist()


@pytest.mark.parametrize(
    ("features", "target", "message"),
    [
        ([{"name": "atr", "window": 5}], {}, "atr_5 needs a column high"),
        ([{"name": "obv"}], {}, "obv needs a column volume"),
        ([{"name": "ret", "lags": [1]}], {"entry": "next_open"}, 'use "close"'),
    ],
)
def test_what_the_data_lacks_is_told(
    tmp_path: Path, features: list[Json], target: Json, message: str
) -> None:
    with pytest.raises(ProgramError, match=message):
        frame(prices(tmp_path / "p.csv", {"A": CLOSES}), features, target)
