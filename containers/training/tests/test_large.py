"""Data that is larger than the memory: trained from the disk, or refused before it is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest
from berth_backtest.errors import ProgramError
from berth_training import memory
from berth_training.data import disk, stream
from berth_training.features import compute

from tests.support import Json, Ran, columns_of, planted, run_spec, spec_of, without_times, write_table
from tests.test_resume import short_blocks, stop_at_each

TREES: Json = {"n_estimators": 12, "max_depth": 3, "subsample": 0.7}
FILES = ("predictions.parquet", "importance.parquet", "model/model.ubj", "model/model.json")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that can hold its rows' keys and not their features, which come in many blocks."""
    monkeypatch.setattr(memory, "BASE_GIB", 0.0)
    monkeypatch.setattr(memory, "BLOCKS_GIB", 0.0)
    monkeypatch.setattr(disk, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(stream, "BATCH_ROWS", 700)
    monkeypatch.setattr(compute, "GROUP_BYTES", 20_000)


ROW_BYTES = memory.ROW_BYTES + memory.PATH_BYTES  # with one path


def grant(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setenv("BERTH_MEMORY_GIB", repr(gib))


def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Json, rows: int) -> tuple[Ran, Ran]:
    """Runs a spec in memory and from the disk."""
    whole = run_spec(tmp_path / "memory", spec)
    grant(monkeypatch, rows * ROW_BYTES / memory.GIB)
    parts = run_spec(tmp_path / "disk", spec)
    assert (whole.result["engine"]["matrix"], parts.result["engine"]["matrix"]) == ("memory", "disk")
    return whole, parts


def check_alike(whole: Ran, parts: Ran) -> None:
    for name in FILES:
        assert (whole.out / name).read_bytes() == (parts.out / name).read_bytes(), name
    results = [without_times(ran.result) for ran in (whole, parts)]
    for result in results:
        del result["engine"]
    assert results[0] == results[1]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["regression", "classification"])
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_xgboost_trains_from_the_disk_what_it_trains_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, form: str
) -> None:
    path = planted(tmp_path, kind, dates=300, symbols=5, features=8)
    table = papq.read_table(path)
    # Values that float32 holds are the same in both; missing ones too, and rows in any order.
    for i in range(8):
        values = table.column(f"f{i}").to_numpy().astype(np.float32).astype(np.float64)
        values[i::37] = np.nan
        table = table.set_column(
            table.column_names.index(f"f{i}"), f"f{i}", pa.array(values, from_pandas=True)
        )
    table = table.take(np.random.default_rng(3).permutation(table.num_rows))
    papq.write_table(table, path, row_group_size=400)
    if form == "csv":
        path = tmp_path / "table.csv"
        pacsv.write_csv(table, path)
    spec = spec_of(
        path,
        "xgboost",
        kind,
        params={**TREES, "early_stopping_rounds": 3},
        validation={"method": "purged_kfold", "folds": 4, "holdout": 0.1},
        output={"importance": True, "permutation": True, "curves": True},
    )
    whole, parts = both(tmp_path, monkeypatch, spec, 1500)
    check_alike(whole, parts)
    assert "missing_values" in parts.codes()


@pytest.mark.usefixtures("small")
def test_a_run_from_the_disk_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short_blocks(monkeypatch)
    path = planted(tmp_path, dates=60, symbols=5, features=9)
    grant(monkeypatch, 300 * ROW_BYTES / memory.GIB)
    assert stop_at_each(tmp_path, monkeypatch, spec_of(path, "xgboost", params=TREES)) >= 4


@pytest.mark.usefixtures("small")
def test_features_of_prices_go_to_the_disk_group_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "PRICE_BYTES", 0)
    spec: Json = {
        "data": {"dataset": "sample:sp500-20", "symbols": ["KO", "PG", "XOM"], "start": "2016-01-01"},
        "features": [
            {"name": "ret", "lags": [1, 2, 3, 5, 10]},
            {"name": "rank", "of": {"name": "rsi", "window": 14}},
            {"name": "volatility", "window": 20},
            {"name": "calendar", "parts": ["weekday", "month"]},
        ],
        "target": {"name": "sign", "horizon": 5},
        "model": {"name": "xgboost", "params": TREES},
        "search": {"method": "grid", "space": {"max_depth": {"values": [2, 3]}}},
        "validation": {"folds": 2},
        "output": {"plots": False},
    }
    bars = run_spec(tmp_path / "count", spec).result["rows"]["all"]
    whole, parts = both(tmp_path, monkeypatch, spec, bars)
    # float32 may put a value on the other side of a split: the skill is the same, not every bit.
    for name, value in whole.test.items():
        assert parts.test[name] == pytest.approx(value, abs=0.01), name
    assert parts.result["look_ahead"] == whole.result["look_ahead"]
    assert parts.result["features"] == whole.result["features"]


@pytest.mark.usefixtures("small")
def test_what_the_rows_on_the_disk_hold_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str, values: Any, **more: Any) -> str:
        columns = columns_of(dates=60, symbols=5, features=6)
        columns["y"] = columns.pop("e")
        columns[name] = values(columns)
        path = write_table(tmp_path / "t.parquet", columns)
        with pytest.raises(ProgramError) as caught:
            run_spec(tmp_path / "out", spec_of(path, "xgboost", params=TREES, **more))
        return caught.value.message

    grant(monkeypatch, 300 * ROW_BYTES / memory.GIB)
    large = refused("f2", lambda c: np.where(np.arange(300) == 7, 1e300, c["f2"]))
    assert large == "features: f2 is infinite in 1 of 300 rows, the first of them S2 on 2020-01-02"
    assert "f3 has no value in any of 300 rows" in refused("f3", lambda _: np.full(300, np.nan))
    assert "f4 is the target itself" in refused("f4", lambda c: 2.0 * c["y"] + 1.0)
    assert "column f5: must be numbers, not string" in refused(
        "f5", lambda _: ["x"] * 300, table={"features": [f"f{i}" for i in range(6)]}
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("ridge", {}, "only xgboost can be trained from the disk, in parts"),
        ("xgboost", {"params": {"booster": "gblinear"}}, "with booster gbtree alone"),
        ("xgboost", {"params": {"tree_method": "exact"}}, "with tree_method hist alone"),
        (
            "xgboost",
            {"search": {"method": "grid", "space": {"tree_method": {"values": ["hist", "approx"]}}}},
            "with tree_method hist alone",
        ),
        ("xgboost", {"preprocess": {"impute": "median"}}, "without preprocess alone"),
    ],
)
def test_what_only_the_memory_can_train_is_refused_by_the_footer_before_a_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, more: Json, message: str
) -> None:
    path = planted(tmp_path, dates=100, symbols=5, features=9)
    # The pages of the columns are gone: only the footer can be read.
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)
    grant(monkeypatch, 500 * ROW_BYTES / memory.GIB)
    with pytest.raises(ProgramError) as caught:
        run_spec(tmp_path / "out", spec_of(path, model, **more))
    error = caught.value
    assert (error.code, error.problems[0].path) == ("out_of_memory", "resources.memory_gib")
    assert error.message.startswith(
        "500 rows of 9 features need about 0.00 GiB (6 copies of 8 bytes a value)"
    )
    assert message in error.message
    assert error.hint is not None
    assert "resources.memory_gib of" in error.hint


@pytest.mark.usefixtures("small")
def test_too_little_memory_or_disk_for_the_rows_themselves_is_refused_with_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted(tmp_path, dates=100, symbols=5, features=9)
    spec = spec_of(path, "xgboost")
    grant(monkeypatch, 499 * ROW_BYTES / memory.GIB)
    with pytest.raises(ProgramError, match="and from the disk, in parts, it needs about"):
        run_spec(tmp_path / "out", spec)
    grant(monkeypatch, 500 * ROW_BYTES / memory.GIB)
    with pytest.raises(ProgramError, match="and from the disk, in parts, it needs about"):
        run_spec(tmp_path / "out", {**spec, "validation": {"method": "cpcv", "folds": 4}})
    monkeypatch.setattr(memory, "DISK_BYTES", 1 << 50)
    with pytest.raises(ProgramError, match=r"from the disk about .* are free") as caught:
        run_spec(tmp_path / "out", spec)
    assert caught.value.code == "disk_full"


def test_prices_larger_than_the_memory_are_refused_by_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "date,close\n" + "2020-01-02,1.0\n" * 200_000
    (tmp_path / "p.csv").write_text(lines)
    spec: Json = {
        "data": {"files": [{"url": str(tmp_path / "p.csv")}], "adjustment": "total"},
        "features": [{"name": "ret", "lags": [1]}],
        "target": {"name": "forward_return"},
        "model": {"name": "ridge"},
    }
    grant(monkeypatch, 0.4)
    with pytest.raises(ProgramError) as caught:
        run_spec(tmp_path / "out", spec)
    # Of a CSV the rows are told from the length of its lines.
    message = "199999 rows of prices need about 0.44 GiB (480 bytes a row), the job has 0.40 GiB"
    assert caught.value.message == message
    assert json.dumps(caught.value.hint).count("data.symbols") == 1
