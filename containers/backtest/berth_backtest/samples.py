"""Turns the price files that two libraries ship into the Parquet files of the built-in data sets.

Run: python -m berth_backtest.samples SOURCE_DIR OUT_DIR

SOURCE_DIR is a folder with the files of skfolio (BSD-3) and arch (NCSA), which are read, never
imported. Dates go out as calendar dates, prices as the files have them.
"""

import csv
import gzip
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

# 20 adjusted closes of companies of the S&P 500, 1990-2022, one column a symbol.
SP500_20 = "skfolio/datasets/data/sp500_dataset.csv.gz"
# S&P 500 and Nasdaq composite, daily bars 1999-2018.
INDICES = {"NASDAQ": "arch/data/nasdaq/nasdaq.csv.gz", "SP500": "arch/data/sp500/sp500.csv.gz"}

Row = tuple[date, str, list[float]]


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    source, out = Path(arguments[0]), Path(arguments[1])
    try:
        closes = sorted(read_wide(source / SP500_20), key=lambda row: (row[1], row[0]))
        bars = [row for symbol, path in INDICES.items() for row in read_bars(source / path, symbol)]
    except FileNotFoundError as error:
        print(f"{error.filename} does not exist: install the sample libraries there", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    write(out / "sp500-20.parquet", ["close"], closes)
    write(out / "indices.parquet", ["open", "high", "low", "close", "volume"], bars)
    print(f"{len(closes)} closes and {len(bars)} bars written to {out}")
    return 0


def read_lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def read_wide(path: Path) -> Iterator[Row]:
    for line in read_lines(path):
        day = date.fromisoformat(line.pop("Date"))
        for symbol, close in line.items():
            yield day, symbol, [float(close)]


def read_bars(path: Path, symbol: str) -> Iterator[Row]:
    for line in read_lines(path):
        day = datetime.strptime(line["Date"], "%m/%d/%Y").date()
        yield day, symbol, [float(line[name]) for name in ("Open", "High", "Low", "Close", "Volume")]


def write(path: Path, columns: list[str], rows: list[Row]) -> None:
    """Writes long form: date, symbol and the columns, sorted by symbol and date."""
    import pyarrow as pa
    import pyarrow.parquet as papq

    arrays = [pa.array([row[0] for row in rows], pa.date32()), pa.array([row[1] for row in rows])]
    arrays += [pa.array([row[2][i] for row in rows], pa.float64()) for i in range(len(columns))]
    part = path.with_suffix(f".{os.getpid()}.part")
    papq.write_table(pa.table(arrays, ["date", "symbol", *columns]), part, compression="zstd")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
