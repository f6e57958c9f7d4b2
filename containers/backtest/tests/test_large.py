"""Prices that are larger than the memory: run from the disk, bit for bit as in memory, or refused at once."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest
from berth_backtest import memory, record, simulate
from berth_backtest.data import disk, read
from berth_backtest.errors import ProgramError, StoppedError
from berth_backtest.job import run_job
from berth_backtest.report import Progress

from tests.support import Json, Ran, closes_csv, run_spec, spec_of, write_csv
from tests.test_stop_and_split import StopAfter, same_files, small_chunks

DAYS, SYMBOLS = 130, ("AA", "BB", "CC", "DD", "EE")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A job that holds parts of a few rows, in a folder of its own for what lies on the disk."""
    for name in ("BASE_GIB", "PARTS_GIB", "DATE_BYTES"):
        monkeypatch.setattr(memory, name, 0)
    monkeypatch.setattr(read, "BLOCK_ROWS", 37)
    monkeypatch.setattr(read, "CSV_BLOCK_BYTES", 1_500)
    monkeypatch.setattr(disk, "PART_ROWS", 300)
    monkeypatch.setattr(record, "RECORD_BYTES", 2 * 32 * DAYS)
    monkeypatch.setattr(simulate, "TABLE_BYTES", 60_000)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))


def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_MEMORY_GIB", "1e-6")


def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Json) -> tuple[Ran, Ran]:
    """Runs a spec in memory and from the disk, which leaves no file there."""
    whole = run_spec(tmp_path / "memory", spec, threads=2)
    little(monkeypatch)
    parts = run_spec(tmp_path / "disk", spec, threads=2)
    assert [ran.result["data"].pop("storage") for ran in (whole, parts)] == ["memory", "disk"]
    assert list((tmp_path / "scratch").iterdir()) == []
    return whole, parts


def prices(by: str, first: int = 0, days: int = DAYS) -> pa.Table:
    """Returns bars with gaps, nulls, suspensions, splits, dividends and a symbol that leaves the market."""
    rng = np.random.default_rng(5)
    rows = []
    for s, symbol in enumerate(SYMBOLS):
        close = np.round(50 * np.exp(np.cumsum(rng.normal(0, 0.02, DAYS))), 3)
        for i in range(first, first + days):
            if s == 4 and i >= 99:
                continue  # after its delist_date
            whole = s == 2  # what a benchmark must be
            if (i * 7 + s) % 23 == 0 and not whole:
                continue
            bar = [close[i] * x for x in (0.99, 1.03, 0.97, 1.0)]
            null, halted = (i + s) % 29 == 3 and not whole, (i + 2 * s) % 31 == 5 and not whole
            volume = 0.0 if halted else 1000.0 + i
            rows.append(
                {
                    "date": date(2020, 1, 1) + timedelta(days=i),
                    "symbol": symbol,
                    **dict(zip(("open", "high", "low"), bar, strict=False)),
                    "close": None if null else bar[3],
                    "volume": volume,
                    "suspended": "1" if halted else "0",
                    "split_ratio": 1.5 if s == 1 and i in (40, 90) else 1.0,
                    "dividend": 0.25 if s < 3 and i % 50 == 10 else None,
                    "delist_date": date(2020, 4, 8) if s == 4 else None,
                }
            )
    rows.sort(key=lambda row: (row["date"], row["symbol"]) if by == "date" else (row["symbol"], row["date"]))
    return pa.Table.from_pylist(rows)


def written(table: pa.Table, path: Path) -> Path:
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        papq.write_table(table, path, row_group_size=90)
    return path


def spec_on(paths: list[Path], **parts: Any) -> Json:
    data = {"files": [{"url": str(path)} for path in paths], "adjustment": "none", "start": "2020-01-20"}
    data |= parts.pop("data", {})
    spec = spec_of(paths[0], fast={"range": [2, 9, 1]}, slow={"range": [10, 30, 5]}, **parts)
    return {**spec, "data": data, "output": {"top_k": 2}}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("by", ["symbol", "date"])
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_run_from_the_disk_is_that_in_memory_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, by: str
) -> None:
    path = written(prices(by), tmp_path / f"p.{form}")
    spec = spec_on([path], parameters={"stop_loss": {"values": [0, 0.03]}}, benchmark={"symbol": "CC"})
    whole, parts = both(tmp_path, monkeypatch, spec)
    same_files(whole, parts)
    assert {"null_prices", "delisted"} <= set(parts.codes())


@pytest.mark.usefixtures("small")
def test_a_gpu_takes_no_prices_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_DEVICE", "cuda")
    little(monkeypatch)
    ran = run_spec(tmp_path, spec_on([written(prices("symbol"), tmp_path / "p.parquet")]))
    engine = ran.result["engine"]
    assert (ran.result["data"]["storage"], engine["device"]) == ("disk", "cpu")
    assert "larger than the memory" in engine["fallback_reason"]


@pytest.mark.usefixtures("small")
def test_several_files_some_symbols_and_a_benchmark_beside_them_are_read_from_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The later half first, and half of the run's symbols.
    paths = [
        written(prices("date", 60, 70), tmp_path / "b.csv"),
        written(prices("symbol", 0, 60), tmp_path / "a.parquet"),
    ]
    spec = spec_on(
        paths,
        data={"symbols": ["DD", "BB"], "end": "2020-04-30"},
        strategy={"name": "rsi"},
        execution={"direction": "both"},
        benchmark={"symbol": "CC"},
    )
    spec["parameters"] = {"window": {"range": [5, 14, 3]}}
    whole, parts = both(tmp_path, monkeypatch, spec)
    same_files(whole, parts)
    assert whole.result["data"]["symbols"] == ["DD", "BB"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("moment", ["2020-01-{:02} {:02}:00:00", "2020-01-{:02}T{:02}:00:00+01:00"])
def test_times_of_a_day_are_told_though_a_block_is_all_midnight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    rows = [(moment.format(1 + i, 0), "AA", 10 + i % 3) for i in range(27)]
    rows += [(moment.format(1 + i // 20, 1 + i % 20), "BB", 10 + i % 7) for i in range(400)]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    zone = {} if "T" in moment else {"timezone": "Europe/Berlin"}
    spec = spec_on([path], data={"adjustment": "total", "start": None, **zone}, periods_per_year=252 * 20)
    del spec["data"]["start"]
    monkeypatch.setattr(read, "CSV_BLOCK_BYTES", 600)
    same_files(*both(tmp_path, monkeypatch, spec))


@pytest.mark.usefixtures("small")
def test_dates_of_another_form_further_on_are_read_as_they_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [f"2020-01-{1 + i:02}" for i in range(20)] + [f"2020-02-{1 + i:02}T00:00" for i in range(20)]
    path = write_csv(tmp_path / "p.csv", "date,close", [(x, 10 + i % 5) for i, x in enumerate(moments)])
    monkeypatch.setattr(read, "CSV_BLOCK_BYTES", 200)
    spec = spec_on([path], data={"adjustment": "total", "start": "2020-01-02"})
    spec["parameters"] = {"fast": 2, "slow": 5}
    same_files(*both(tmp_path, monkeypatch, spec))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({60: ("2020-01-20", "BB", "ten")}, "row 51 (line 52), column close: 'ten' is not a number"),
        ({60: ("2020-01-20", "BB", -1)}, "row 51 (line 52), column close: -1 must be more than 0"),
        ({60: ("2020-01-20", "BB", "inf")}, "row 51 (line 52), column close: inf is not a finite number"),
        ({60: ("2020-01-20", None, 1)}, "row 51 (line 52), column symbol: is null"),
        ({61: ("2020-01-21", "BB", 1)}, "row 52 (line 53), column date: BB has this date twice"),
        ({61: ("2019-12-31", "BB", 1)}, "row 52 (line 53), column date: is out of order"),
        ({61: ("a day", "BB", 1)}, "row 52 (line 53), column date: 'a day' is not a date such as 2010-01-31"),
    ],
)
def test_what_is_wrong_is_told_with_the_row_that_memory_would_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[int, Any], message: str
) -> None:
    rows: list[Any] = [(f"2020-01-{1 + i:02}", s, 10 + i % 7) for s in ("AA", "BB", "CC") for i in range(30)]
    for at, row in change.items():
        rows[at - 10] = row
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    monkeypatch.setattr(read, "CSV_BLOCK_BYTES", 200)
    spec = spec_on([path], data={"adjustment": "total"})
    said = []
    for gib in ("8", "1e-6"):
        monkeypatch.setenv("BERTH_MEMORY_GIB", gib)
        with pytest.raises(ProgramError) as caught:
            run_spec(tmp_path / gib, spec)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert message in said[0]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.usefixtures("small")
def test_a_date_that_two_files_have_is_told_by_the_second_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        written(prices("date", 0, 60), tmp_path / "a.csv"),
        written(prices("date", 59, 9), tmp_path / "b.csv"),
    ]
    little(monkeypatch)
    with pytest.raises(
        ProgramError, match=r"b\.csv, row 1 \(line 2\), column date: AA has this date in another"
    ):
        run_spec(tmp_path / "out", spec_on(paths))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("looks", [2, 8, 14])
def test_a_run_from_the_disk_stops_between_symbols_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    small_chunks(monkeypatch)
    spec = spec_on([written(prices("date"), tmp_path / "p.parquet")])
    spec["parameters"] = {"fast": {"range": [2, 21, 1]}, "slow": {"range": [22, 30, 1]}}
    whole = run_spec(tmp_path / "whole", spec)
    little(monkeypatch)
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    with pytest.raises(StoppedError):
        run_job(spec, tmp_path / "out", Progress(None), StopAfter(looks), 1)
    assert list((tmp_path / "scratch").iterdir()) == []
    parts = run_spec(tmp_path / "out", spec)
    assert [ran.result["data"].pop("storage") for ran in (whole, parts)] == ["memory", "disk"]
    same_files(whole, parts)


SHARED = {"portfolio": {"mode": "shared"}}
WALKED = {"validation": {"method": "walk_forward", "folds": 2}}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (SHARED, "portfolio.mode shared needs every symbol's prices at once"),
        (WALKED, "walk_forward is run in memory alone"),
        ({"strategy": {"signals": {"url": "s.csv"}}}, "signals and predictions are run in memory alone"),
        ({"execution": {"profile": "cn_a"}}, "the profile cn_a is run in memory alone"),
    ],
)
def test_what_only_the_memory_can_run_is_refused_by_the_footer_before_a_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: Json, message: str
) -> None:
    path = written(prices("date"), tmp_path / "p.parquet")
    # The pages of the columns are gone: only the footer can be read.
    content = bytearray(path.read_bytes())
    content[4:9_000] = bytes(8_996)
    path.write_bytes(content)
    monkeypatch.setenv("BERTH_MEMORY_GIB", "0.3501")
    spec = {**spec_on([path]), **more}
    if "strategy" in more:
        del spec["parameters"]
    with pytest.raises(ProgramError) as caught:
        run_spec(tmp_path / "out", spec)
    error = caught.value
    assert (error.code, error.problems[0].path) == ("out_of_memory", "resources.memory_gib")
    assert error.message.startswith(
        "597 rows of prices need about 0.35 GiB (480 bytes a row), the job has 0.35 GiB; "
    )
    assert error.message.endswith(message)


def test_too_little_memory_for_a_symbol_or_disk_for_the_prices_is_refused_with_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = closes_csv(tmp_path / "p.csv", [10.0] * 40)
    monkeypatch.setenv("BERTH_MEMORY_GIB", "0.35")
    with pytest.raises(
        ProgramError, match=r"symbol by symbol, 40 dates on 1 threads need about 1.95 GiB"
    ) as caught:
        run_spec(tmp_path / "out", spec_of(path))
    assert (caught.value.code, caught.value.hint) == (
        "out_of_memory",
        "give the job resources.memory_gib of 2.0 or more, or fewer dates",
    )
    monkeypatch.setattr(memory, "PARTS_GIB", 0)
    monkeypatch.setattr(memory, "DATE_BYTES", 0)
    usage = memory.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(
        ProgramError, match=r"they need about 0.00 GiB of it, of which 0.00 are free"
    ) as caught:
        run_spec(tmp_path / "out", spec_of(path))
    assert (caught.value.code, caught.value.problems[0].path) == ("disk_full", "resources.disk_gib")
    assert [one.name for one in tmp_path.iterdir()] == ["p.csv"]
