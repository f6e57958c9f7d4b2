"""The best set beside a benchmark: figures from the formulas of conventions.md, written once more."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest.errors import ProgramError

from tests.support import FREE, Json, day, run_spec, spec_of, write_csv

N = 90
A = [20 + 5 * math.sin(i / 7) + i * 0.05 for i in range(N)]
B = [50 + 9 * math.cos(i / 5) + i * 0.02 for i in range(N)]
C = [100 * 1.002**i + (i * 7919 % 11) for i in range(N)]


def prices(tmp_path: Path, **series: list[float]) -> Path:
    rows: list[list[object]] = [[day(i), name, x] for name, xs in series.items() for i, x in enumerate(xs)]
    return write_csv(tmp_path / "p.csv", "date,symbol,close", rows)


def spec(path: Path, benchmark: object, symbols: list[str], **parts: Any) -> Json:
    return spec_of(path, 3, 8, execution=FREE, benchmark=benchmark, data={"symbols": symbols}, **parts)


def by_formula(equity: list[float], cash: float, b: np.ndarray[Any, Any], risk_free: float = 0.0) -> Json:
    """The text of conventions.md, one line each, P = 252."""
    e = np.array(equity)
    r = e / np.concatenate([[cash], e[:-1]]) - 1
    x, f = r - risk_free / 252, risk_free / 252
    beta = np.cov(r, b, ddof=1)[0, 1] / np.var(b, ddof=1)
    annual = float(np.prod(1 + b)) ** (252 / len(b)) - 1
    error = float(np.std(r - b, ddof=1)) * math.sqrt(252)
    return {
        "total_return": float(np.prod(1 + b)) - 1,
        "annual_return": annual,
        "beta": float(beta),
        "alpha": float((x.mean() - beta * (b - f).mean()) * 252),
        "tracking_error": error,
        "information_ratio": float((r - b).mean()) * 252 / error,
        "excess_return": float((e[-1] / cash) ** (252 / len(b)) - 1 - annual),
    }


def returns(closes: list[float]) -> np.ndarray[Any, Any]:
    c = np.array(closes)
    return np.concatenate([[0.0], c[1:] / c[:-1] - 1])


def whole(run: Any, symbols: int) -> list[float]:
    return [float(x) for x in np.array(run.equity()).reshape(symbols, -1).sum(axis=0)]


@pytest.mark.parametrize("risk_free", [0.0, 0.03])
def test_one_symbol_of_the_data_need_not_be_traded(tmp_path: Path, risk_free: float) -> None:
    path = prices(tmp_path, A=A, B=B, C=C)
    run = run_spec(tmp_path / "out", spec(path, {"symbol": "C"}, ["A", "B"], risk_free=risk_free))
    found = run.result["benchmark"]
    assert found.pop("name") == "C"
    assert found == pytest.approx(by_formula(whole(run, 2), 20_000, returns(C), risk_free), rel=1e-9)
    assert run.result["effective_spec"]["benchmark"] == {"symbol": "C"}


def test_equal_weight_holds_the_same_cash_of_each_symbol_from_its_first_close(tmp_path: Path) -> None:
    late = write_csv(
        tmp_path / "p.csv",
        "date,symbol,close",
        [*([day(i), "A", x] for i, x in enumerate(A)), *([day(i), "B", B[i]] for i in range(30, 60))],
    )
    run = run_spec(tmp_path / "out", spec(late, "equal_weight", ["A", "B"]))
    held = [1.0 if i < 30 else B[min(i, 59)] / B[30] for i in range(N)]
    total = [A[i] / A[0] + held[i] for i in range(N)]
    found = run.result["benchmark"]
    assert found.pop("name") == "equal_weight"
    assert found == pytest.approx(by_formula(whole(run, 2), 20_000, returns(total)), rel=1e-9)


def test_splits_and_dividends_are_no_moves_of_it(tmp_path: Path) -> None:
    rows: list[list[object]] = []
    for i, x in enumerate(A):
        rows.append([day(i), "A", x, 1, 0])
        split, paid = (2, 0) if i == 40 else (1, 1.5) if i == 20 else (1, 0)
        rows.append([day(i), "S", C[i] / (2 if i >= 40 else 1), split, paid])
    path = write_csv(tmp_path / "p.csv", "date,symbol,close,split_ratio,dividend", rows)
    given = spec(path, {"symbol": "S"}, ["A"])
    given["data"]["adjustment"] = "none"
    run = run_spec(tmp_path / "out", given)
    b = returns(C)
    b[20] = C[20] / (C[19] - 1.5) - 1
    assert run.result["benchmark"]["total_return"] == pytest.approx(float(np.prod(1 + b)) - 1, rel=1e-9)


def test_a_file_of_one_series_is_read_on_the_dates_of_the_run(tmp_path: Path) -> None:
    path = prices(tmp_path, A=A)
    other = write_csv(tmp_path / "index.csv", "date,close", [[day(i), x] for i, x in enumerate(C)])
    given = spec(path, {"url": str(other)}, ["A"])
    given["data"]["start"] = day(10)
    run = run_spec(tmp_path / "out", given)
    found = run.result["benchmark"]
    assert found.pop("name") == "index"
    assert found == pytest.approx(by_formula(run.equity(), 10_000, returns(C[10:])), rel=1e-9)


def test_what_does_not_move_has_no_beta(tmp_path: Path) -> None:
    path = prices(tmp_path, A=A, FLAT=[7.0] * N)
    found = run_spec(tmp_path / "out", spec(path, {"symbol": "FLAT"}, ["A"])).result["benchmark"]
    assert [found["beta"], found["alpha"], found["total_return"]] == [None, None, 0.0]


def test_the_page_shows_it(tmp_path: Path) -> None:
    path = prices(tmp_path, A=A, C=C)
    given = spec(path, {"symbol": "C"}, ["A"], output={"tearsheet": True})
    run = run_spec(tmp_path / "out", given)
    page = (run.out / "tearsheet.html").read_text()
    assert "Beside C" in page
    assert 'class="other"' in page
    assert "The grey line is C" in page
    without = run_spec(tmp_path / "none", spec(path, None, ["A"], output={"tearsheet": True}))
    assert without.result["benchmark"] is None
    assert "Beside" not in (without.out / "tearsheet.html").read_text()


@pytest.mark.parametrize(
    ("benchmark", "path", "text"),
    [
        ("equal", "benchmark", "must be null"),
        (7, "benchmark", "must be null"),
        ({}, "benchmark", "either benchmark.symbol or benchmark.url"),
        ({"symbol": "C", "url": "x.csv"}, "benchmark", "either benchmark.symbol or benchmark.url"),
        ({"symbol": "C", "weight": 1}, "benchmark.weight", "not a known field"),
        ({"symbol": "D"}, "benchmark.symbol", "'D' is not in the data"),
        ({"symbol": "GAP"}, "benchmark.symbol", "GAP has no price on 2020-01-06"),
        ({"url": "nowhere.csv"}, "benchmark", "nowhere.csv does not exist"),
        ({"url": "p.csv"}, "benchmark", "must be one series"),
    ],
)
def test_a_wrong_one_is_named(tmp_path: Path, benchmark: Any, path: str, text: str) -> None:
    rows: list[list[object]] = [[day(i), "A", x] for i, x in enumerate(A)]
    rows += [[day(i), "C", x] for i, x in enumerate(C)]
    rows += [[day(i), "GAP", x] for i, x in enumerate(C) if i != 5]
    file = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    if isinstance(benchmark, dict) and benchmark.get("url"):
        benchmark = {**benchmark, "url": str(tmp_path / benchmark["url"])}
    with pytest.raises(ProgramError) as error:
        run_spec(tmp_path / "out", spec(file, benchmark, ["A"]))
    assert [problem.path for problem in error.value.problems] == [path]
    assert text in error.value.problems[0].message
