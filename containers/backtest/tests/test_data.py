"""Reading prices: what is taken, and where what is wrong is said to be."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest
from berth_backtest.data.load import load_panel
from berth_backtest.data.panel import Panel
from berth_backtest.errors import ProgramError
from berth_backtest.spec.data import parse_data
from berth_backtest.spec.fields import Fields

from tests.support import FREE, day, run_spec, spec_of, write_csv

OHLCV = "date,symbol,open,high,low,close,volume"
GOOD = [[day(i), s, 10, 12, 9, 11, 5] for s in ("AA", "BB") for i in range(4)]


def load(*paths: Path, **data: Any) -> Panel:
    problems: list[Any] = []
    fields = {"files": [{"url": str(path)} for path in paths], "adjustment": "total", **data}
    spec = parse_data(Fields(fields, "data", problems))
    assert problems == []
    return load_panel(spec)


def fault(*paths: Path, **data: Any) -> str:
    with pytest.raises(ProgramError) as caught:
        load(*paths, **data)
    assert caught.value.code == "invalid_params"
    return str(caught.value)


def changed(row: int, column: int, value: object) -> list[list[object]]:
    rows: list[list[object]] = [list(line) for line in GOOD]
    rows[row][column] = value
    return rows


CELLS = [
    (2, 5, "nan", "column close: nan is not a finite number"),
    (2, 5, "inf", "column close: inf is not a finite number"),
    (2, 5, -1, "column close: -1 must be more than 0"),
    (2, 2, 0, "column open: 0 must be more than 0"),
    (2, 3, 10.5, "column high: 10.5 is below the close"),
    (2, 4, 10.5, "column low: 10.5 is above the open"),
    (2, 2, "ten", "column open: 'ten' is not a number"),
    (2, 6, -5, "column volume: -5 must not be negative"),
    (2, 6, "inf", "column volume: inf is not a finite number"),
    (2, 0, "2020-13-01", "column date: '2020-13-01' is not a date"),
    (2, 0, None, "column date: is null"),
    (2, 0, day(1), "column date: AA has this date twice"),
    (2, 1, None, "column symbol: is null"),
    (2, 1, "   ", "column symbol: must be a text"),
]


@pytest.mark.parametrize(("row", "column", "value", "text"), CELLS)
def test_a_wrong_cell_is_named_by_file_row_and_column(
    tmp_path: Path, row: int, column: int, value: object, text: str
) -> None:
    path = write_csv(tmp_path / "bad.csv", OHLCV, changed(row, column, value))
    message = fault(path)
    assert message.startswith("data.files[0]: bad.csv, row 3 (line 4), ")
    assert text in message


def test_the_same_holds_for_parquet(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "good.csv", OHLCV, changed(2, 5, -1))
    papq.write_table(pacsv.read_csv(path), tmp_path / "bad.parquet")
    assert fault(tmp_path / "bad.parquet").startswith(
        "data.files[0]: bad.parquet, row 3, column close: -1 must be more than 0"
    )


FILES = [
    ("", "column date: is missing"),
    ("date,close\n", "holds no rows"),
    ("date,open\n2020-01-01,3\n", "column close: is missing; the file has date, open"),
    ("close\n3\n", "column date: is missing"),
    ("date,close,Close\n2020-01-01,3,3\n", "column close: is there twice"),
    ("date,close\n2020-01-01,3\n2020-01-02\n", "cannot be read"),
    ("date,close\n20200101,3\n", "column date: must be a date"),
    ("date,close\n2020-01-01 09:30:00,3\n", "column date: is a time without a zone: give data.timezone"),
    ("date,close\n2020-01-02,3\n2020-01-01,3\n", "is out of order"),
    ("date,symbol,close\n2020-01-02,A,3\n2020-01-01,B,3\n2020-01-01,A,3\n", "is out of order"),
    (
        "date,symbol,close\n2020-01-01,A,3\n2020-01-01,B,3\n2020-01-01,A,3\n",
        "row 3 (line 4), column date: A has",
    ),
    ("date,close,suspended\n2020-01-01,3,maybe\n", "column suspended: must be true, false, 1 or 0"),
    (
        "date,close,currency\n2020-01-01,3,USD\n2020-01-02,3,EUR\n",
        "a run has one currency, the data has EUR, USD",
    ),
    ("date,close,delist_date\n2020-01-02,3,2020-01-01\n", "is a bar after the symbol's delist_date"),
    ("date,close\n2020-01-01T00:00:00Z,3\n2020-01-02,3\n", "column date: "),
    ("PAR1 but no more", "cannot be read"),
    ("\0\1\2\n\0", "column date: is missing"),
]


@pytest.mark.parametrize(("text", "message"), FILES)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    found = fault(path)
    assert "bad.csv" in found
    assert message in found


def test_files_must_exist_and_have_the_hash_of_the_spec(tmp_path: Path) -> None:
    assert "does not exist" in fault(tmp_path / "none.csv")
    assert "cannot be read: Is a directory" in fault(tmp_path)
    path = write_csv(tmp_path / "p.csv", OHLCV, GOOD)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = {"url": str(path), "sha256": digest}
    assert load(files=[file]).sha256 == digest
    assert f"has sha256 {digest}" in fault(files=[{"url": str(path), "sha256": "0" * 64}])
    path.write_text("no prices")
    assert "has sha256" in fault(files=[file])  # that it is another file, not what that one lacks


def test_splits_and_dividends_that_cannot_be(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close,split_ratio", [[day(0), 10, 1], [day(1), 5, 0]])
    assert "row 2 (line 3), column split_ratio: 0 must be more than 0" in fault(path, adjustment="none")
    assert load(path, adjustment="split").bars == 2
    path = write_csv(tmp_path / "q.csv", "date,close,dividend", [[day(0), 10, None], [day(1), 5, -1]])
    assert "row 2 (line 3), column dividend: -1 must not be negative" in fault(path, adjustment="none")


def backwards(table: pa.Table) -> pa.Table:
    """Returns prices with the symbols in blocks but not in their order, by a dictionary that has more."""
    symbols = table.column("symbol").to_pylist()
    last = table.take([i for name in ("BB", "AA") for i, symbol in enumerate(symbols) if symbol == name])
    known = ["none", "AA", "BB"]
    codes = pa.array([known.index(name) for name in last.column("symbol").to_pylist()], pa.int8())
    return last.set_column(1, "symbol", pa.DictionaryArray.from_arrays(codes, known))


def test_csv_and_parquet_in_either_order_give_the_same_run(tmp_path: Path) -> None:
    closes = [10, 9, 12, 15, 12, 13, 11, 14]
    rows = [
        [day(i), s, c - 1, c + 1, c - 2, c + k]
        for k, s in enumerate(("AA", "BB"))
        for i, c in enumerate(closes)
    ]
    header = "date,symbol,open,high,low,close"
    by_symbol = write_csv(tmp_path / "a.csv", header, rows)
    by_date = write_csv(tmp_path / "b.csv", header, sorted(rows, key=lambda row: str(row[0])))
    table = pacsv.read_csv(by_symbol)
    papq.write_table(table, tmp_path / "c.parquet")
    texts = table.set_column(0, "date", pa.array([row[0] for row in rows]))
    papq.write_table(
        texts.set_column(1, "SYMBOL", texts.column(1).dictionary_encode()), tmp_path / "d.parquet"
    )
    papq.write_table(backwards(table), tmp_path / "e.parquet", row_group_size=3)
    paths = [by_symbol, by_date, *(tmp_path / f"{name}.parquet" for name in "cde")]
    runs = [run_spec(tmp_path / f"out{i}", spec_of(path, execution=FREE)) for i, path in enumerate(paths)]
    for run in runs[1:]:
        for name in ("points", "metrics", "trades", "equity"):
            same = (run.out / f"{name}.parquet").read_bytes() == (
                runs[0].out / f"{name}.parquet"
            ).read_bytes()
            assert same, name


def test_blocks_of_several_lengths_in_any_order_are_put_in_order(tmp_path: Path) -> None:
    rows = [
        [day(i), s, 10 * (k + 1) + i]
        for k, (s, n) in enumerate((("CC", 5), ("AA", 3), ("BB", 4)))
        for i in range(n)
    ]
    path = write_csv(tmp_path / "a.csv", "date,symbol,close", rows)
    table = pacsv.read_csv(path)
    names = table.column("symbol").to_pylist()
    codes = pa.array(["AA", "BB", "CC"].index(name) for name in names)
    table = table.set_column(1, "symbol", pa.DictionaryArray.from_arrays(codes, ["AA", "BB", "CC"]))
    papq.write_table(table, tmp_path / "b.parquet")
    for panel in (load(path), load(tmp_path / "b.parquet")):
        # Arrays that may not be written to are another type to the kernel, which would be compiled again.
        assert all(values.flags.writeable for values in (panel.close, panel.dates, *panel.own.values()))
        assert panel.symbols == ("AA", "BB", "CC")
        assert panel.own["close"].tolist() == [20, 21, 22, 30, 31, 32, 33, 10, 11, 12, 13, 14]
        assert panel.own_start.tolist() == [0, 3, 7, 12]
        assert panel.close[:, 2].tolist() == [22, 32, 12]


def test_of_two_files_one_may_have_splits_and_delistings(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", "date,symbol,close", [[day(i), "AA", 10] for i in range(4)])
    columns = "date,symbol,close,split_ratio,delist_date"
    rows = [[day(i), "BB", 20 if i < 2 else 10, 2 if i == 2 else 1, day(3)] for i in range(4)]
    second = write_csv(tmp_path / "b.csv", columns, rows)
    for paths in ((first, second), (second, first)):
        panel = load(*paths, adjustment="none")
        assert panel.actions.tolist() == [[2, 1, 2, 0]]
        assert panel.delisted.tolist() == [4, 4]
        assert panel.own["close"].tolist() == [10, 10, 10, 10, 20, 20, 20, 20]


def test_several_files_are_one_data_set(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", OHLCV, GOOD[:4])
    second = write_csv(tmp_path / "b.csv", OHLCV, GOOD[4:])
    panel = load(first, second)
    assert panel.symbols == ("AA", "BB")
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)]
    assert panel.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    again = write_csv(tmp_path / "c.csv", OHLCV, GOOD[3:])
    assert "c.csv, row 1 (line 2), column date: AA has this date in another file too" in fault(first, again)
    bare = write_csv(tmp_path / "d.csv", "date,symbol,close", [[day(9), "CC", 1]])
    assert "d.csv, column open: must be in every file" in fault(first, bare)
    zoned = write_csv(tmp_path / "e.csv", OHLCV, [["2021-01-01T10:00:00Z", "CC", 10, 12, 9, 11, 5]])
    assert "is a time in one file and a date in another" in fault(first, zoned)
    single = write_csv(tmp_path / "f.csv", "date,close", [[day(0), 1]])
    other = write_csv(tmp_path / "g.csv", "date,close", [[day(0), 1]])
    assert load(single).symbols == ("f",)
    assert load(single, other).symbols == ("f", "g")


def test_unknown_symbols_are_told_with_near_ones(tmp_path: Path) -> None:
    rows = [[day(0), s, 10] for s in ("AAPL", "MSFT", *[f"S{i:02}" for i in range(20)])]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    assert fault(path, symbols=["AAPL", "MFST"]) == (
        "data.symbols[1]: 'MFST' is not in the data; did you mean MSFT?"
    )
    assert "did you mean AAPL?" in fault(path, symbols=["aapl"])
    assert "and 12 more" in fault(path, symbols=["????"])


def test_start_and_end_cut_the_dates_and_earlier_rows_warm_up(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [[day(i), 10 + i] for i in range(8)])
    panel = load(path, start=day(3), end=day(5))
    assert panel.close.tolist() == [[13, 14, 15]]
    assert panel.own_row.tolist() == [-1, -1, 0, 1, 2, 3]
    assert "leaves no bars: the chosen symbols have prices from 2020-01-01 to 2020-01-08" in fault(
        path, start="2021-01-01"
    )
    assert fault(path, end="2019-01-01").startswith("data.end")


def test_a_cross_on_the_first_bar_of_the_run_counts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [[day(i), c] for i, c in enumerate([10, 9, 12, 13])])
    run = run_spec(tmp_path / "out", spec_of(path, data={"start": day(2)}, execution=FREE))
    [trade] = run.trades()
    assert trade["entry_date"].isoformat() == day(3)


def test_null_prices_are_no_bar_and_told(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "p.csv", "date,open,close", [[day(0), 1, 1], [day(1), None, 1], [day(2), 1, 1]]
    )
    run = run_spec(tmp_path / "out", spec_of(path))
    assert "null_prices" in run.codes()
    assert run.result["data"]["bars"] == 3


def test_times_are_kept_in_utc_and_need_periods_per_year(tmp_path: Path) -> None:
    rows = [[f"2020-01-0{d} {h}:00:00", 10 + h] for d in (2, 3) for h in range(10, 16)]
    path = write_csv(tmp_path / "p.csv", "date,close", rows)
    data = {"timezone": "America/New_York", "bar_label": "start", "currency": "USD"}
    with pytest.raises(ProgramError, match="1512 would fit their spacing"):
        run_spec(tmp_path / "out", spec_of(path, data=data))
    run = run_spec(tmp_path / "out", spec_of(path, data=data, periods_per_year=1512))
    assert run.result["data"]["start"] == "2020-01-02T15:00:00Z"
    assert run.rows("equity")[0]["date"].isoformat() == "2020-01-02T15:00:00+00:00"
    cut = {**data, "start": "2020-01-03T10:00:00-05:00", "end": "2020-01-03"}
    run = run_spec(tmp_path / "out", spec_of(path, data=cut, periods_per_year=1512))
    assert run.result["data"]["bars"] == 6
    assert "does not fit Europe/Berlin" in fault(
        write_csv(tmp_path / "q.csv", "date,close", [["2020-03-29 02:30:00", 1]]), timezone="Europe/Berlin"
    )


def test_weekly_bars_need_periods_per_year(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [[day(7 * i), 10] for i in range(5)])
    with pytest.raises(ProgramError, match=r"periods_per_year: must be given .* 52 would fit"):
        run_spec(tmp_path / "out", spec_of(path))


def test_next_open_without_an_open_proposes_next_close(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "date,close", [[day(0), 1]])
    with pytest.raises(ProgramError, match=r"execution\.fill: next_open needs a column open.*use next_close"):
        run_spec(tmp_path / "out", spec_of(path, execution={"fill": "next_open"}))


def test_parquet_types_that_are_no_prices(tmp_path: Path) -> None:
    days = pa.array([0], pa.date32())
    papq.write_table(pa.table({"date": days, "close": ["x"]}), tmp_path / "a.parquet")
    assert "row 1, column close: must be numbers, not string" in fault(tmp_path / "a.parquet")
    papq.write_table(pa.table({"date": days, "close": [None], "symbol": [7]}), tmp_path / "b.parquet")
    assert load(tmp_path / "b.parquet").symbols == ("7",)
    zoned = pa.array([None, "2020-01-01T00:00:00+01:00"])
    papq.write_table(pa.table({"date": zoned, "close": [1.0, 2.0]}), tmp_path / "c.parquet")
    assert "row 1, column date: is null" in fault(tmp_path / "c.parquet")
    mixed = pa.array(["2020-01-01T00:00:00+01:00", "2020-01-02"])
    papq.write_table(pa.table({"date": mixed, "close": [1.0, 2.0]}), tmp_path / "d.parquet")
    assert "has no zone, others have" in fault(tmp_path / "d.parquet")


def test_times_of_leaving_the_market_need_no_zone_where_there_is_none(tmp_path: Path) -> None:
    moments = pa.array([None, None, 1_577_923_200_000_000, 1_577_923_200_000_000], pa.timestamp("us"))
    table = pa.table(
        {
            "date": pa.array([18_262, 18_263, 18_262, 18_263], pa.int32()).cast(pa.date32()),
            "symbol": ["AA", "AA", "BB", "BB"],
            "close": [1.0, 2.0, 3.0, 4.0],
            "delist_date": moments,
        }
    )
    papq.write_table(table, tmp_path / "p.parquet")
    assert list(load(tmp_path / "p.parquet").delisted) == [2, 2]


def test_prices_that_lie_in_order_may_be_written_to(tmp_path: Path) -> None:
    papq.write_table(pacsv.read_csv(write_csv(tmp_path / "a.csv", OHLCV, GOOD)), tmp_path / "b.parquet")
    panel = load(tmp_path / "b.parquet")
    assert all(values.flags.writeable for values in (panel.close, panel.dates, *panel.own.values()))
