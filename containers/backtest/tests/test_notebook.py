"""berth_backtest.run: a data frame in, data frames out."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import berth_backtest
import pyarrow as pa
import pytest
from berth_backtest.errors import ProgramError

from tests.support import CLOSES, closes_csv, run_spec, spec_of

SPEC = {
    "strategy": {"name": "sma_cross"},
    "parameters": {"fast": {"values": [2, 3]}, "slow": 5},
    "output": {"look_ahead_check": False},
}


def frame() -> pa.Table:
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(len(CLOSES))]
    return pa.table({"date": pa.array(days, pa.date32()), "close": [float(x) for x in CLOSES]})


def test_a_frame_gives_what_its_file_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = berth_backtest.run(SPEC, frame(), threads=1)
    assert capsys.readouterr().out == ""
    assert "bar-updates" in found.log
    path = closes_csv(tmp_path / "p.csv", CLOSES)
    by_file = run_spec(tmp_path / "out", {**spec_of(path), **SPEC})
    assert found.result["best"] == by_file.result["best"]
    assert found.tables["points"].to_pylist() == by_file.rows("points")
    assert set(found.tables) == {"points", "metrics", "trades", "equity"}
    assert found.tearsheet is not None
    assert found.tearsheet.startswith("<!doctype html>")


def test_a_sample_needs_no_frame() -> None:
    spec: dict[str, Any] = {**SPEC, "data": {"dataset": "sample:indices", "end": "2001-12-31"}}
    found = berth_backtest.run({**spec, "output": {"top_k": 0, "tearsheet": False}})
    assert "trades" not in found.tables
    assert found.tearsheet is None


def test_frames_are_those_of_pandas_or_say_that_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = berth_backtest.run(SPEC, frame())
    names = ("points", "metrics", "trades", "equity")
    monkeypatch.setitem(found.tables, "points", Framed())
    assert found.points == "a data frame"
    monkeypatch.setitem(found.tables, "trades", Framed(missing=True))
    with pytest.raises(ModuleNotFoundError, match=r"pandas is not installed.*tables\['trades'\]"):
        _ = found.trades
    assert all(hasattr(type(found), name) for name in names)


class Framed:
    """A table where pandas is, or is not."""

    def __init__(self, missing: bool = False) -> None:
        self.missing = missing

    def to_pandas(self) -> str:
        if self.missing:
            raise ModuleNotFoundError("No module named 'pandas'")
        return "a data frame"


@pytest.mark.parametrize(
    ("spec", "data", "message"),
    [
        (
            {**SPEC, "data": {"dataset": "sample:indices"}},
            frame(),
            "data.dataset: give either it or a data frame",
        ),
        (SPEC, 5, "data: is no data frame"),
        (SPEC, None, "data: is required"),
        ({**SPEC, "data": {"symbols": ["x"]}}, frame(), "is not in the data"),
    ],
)
def test_what_is_wrong_is_raised(spec: dict[str, Any], data: Any, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        berth_backtest.run(spec, data)
    assert message in str(caught.value)
