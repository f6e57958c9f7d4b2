"""Reads one CSV or Parquet file into columns; says where in the file something cannot be read."""

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from berth_backtest.errors import ProgramError, invalid

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "split_ratio", "dividend")
COLUMNS = ("date", "symbol", *NUMBERS, "suspended", "delist_date", "currency")
SIGNAL_COLUMNS = ("date", "symbol", "target")
PREDICTION_COLUMNS = ("date", "symbol", "prediction", "path", "split", "train_start", "train_end")
VALUES = ("close", "target", "prediction")  # what a file must have beside its dates, by what it is
NULLS = ["", "null", "NULL"]
NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*", re.IGNORECASE)
MAX_HEADER = 1 << 20  # bytes looked at for the header line


@dataclass(frozen=True)
class Source:
    """A file as the reader of a message knows it."""

    path: Path
    label: str  # the field of the spec that names it: data.files[0]
    is_csv: bool

    def wrong(self, row: int | None, column: str | None, message: str) -> ProgramError:
        """Returns the error at a row (counted from 0) and a column of this file."""
        at = [self.path.name]
        if row is not None:
            # The header is line 1 of a CSV file, so the first row of data is its line 2.
            at.append(f"row {row + 1} (line {row + 2})" if self.is_csv else f"row {row + 1}")
        if column is not None:
            at.append(f"column {column}")
        return invalid(self.label, f"{', '.join(at)}: {message}")


def open_source(path: str, label: str, sha256: str | None) -> tuple[Source, str]:
    """Returns the file and the sha256 of its bytes, after comparing it with the one asked for."""
    where = Path(path)
    try:
        with where.open("rb") as stream:
            is_csv = stream.read(4) != b"PAR1"
            stream.seek(0)
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise invalid(label, f"{path} does not exist") from None
    except OSError as error:
        raise invalid(label, f"{path} cannot be read: {error.strerror}") from None
    if sha256 and sha256 != found:
        raise invalid(label, f"{where.name} has sha256 {found}, not the {sha256} of the spec")
    return Source(where, label, is_csv), found


def read_table(source: Source, wanted: tuple[str, ...] = COLUMNS) -> Any:
    """Returns the file's known columns under their lower-case names, as an Arrow table."""
    try:
        table = read_csv(source, wanted) if source.is_csv else read_parquet(source, wanted)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise source.wrong(None, None, f"cannot be read: {first_line(error)}") from None
    if table.num_rows == 0:
        raise source.wrong(None, None, "holds no rows")
    return table


def known_columns(source: Source, names: list[str], wanted: tuple[str, ...]) -> dict[str, str]:
    """Returns the file's own name of each known column."""
    found: dict[str, str] = {}
    for name in names:
        plain = name.strip().lower()
        if plain in found:
            raise source.wrong(None, plain, "is there twice")
        if plain in wanted:
            found[plain] = name
    for plain in ("date", next(name for name in VALUES if name in wanted)):
        if plain not in found:
            known = ", ".join(found) or "no column that is known"
            raise source.wrong(None, plain, f"is missing; the file has {known}")
    return found


def read_parquet(source: Source, wanted: tuple[str, ...]) -> Any:
    file = papq.ParquetFile(source.path)
    columns = known_columns(source, file.schema_arrow.names, wanted)
    table = file.read(columns=list(columns.values()))
    return table.select(list(columns.values())).rename_columns(list(columns))


def read_csv(source: Source, wanted: tuple[str, ...]) -> Any:
    with source.path.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader([stream.readline(MAX_HEADER)]), [])
    columns = known_columns(source, header, wanted)
    numbers = (*NUMBERS, *VALUES[1:], "path", "split", "pre_close", "limit_up", "limit_down")
    types: dict[str, Any] = {name: pa.float64() for name in numbers}
    types |= {
        "board": pa.string(),
        "is_st": pa.string(),
        "symbol": pa.string(),
        "currency": pa.string(),
        "suspended": pa.string(),
    }
    typed = {columns[name]: kind for name, kind in types.items() if name in columns}
    try:
        table = convert_csv(source, columns, typed, threads=True)
    except pa.ArrowInvalid:
        explain_csv(source, columns)
        # One thread: only then does Arrow's own message name the row.
        table = convert_csv(source, columns, typed, threads=False)
    return table.rename_columns(list(columns))


def convert_csv(source: Source, columns: dict[str, str], types: dict[str, Any], threads: bool) -> Any:
    return pacsv.read_csv(
        source.path,
        read_options=pacsv.ReadOptions(use_threads=threads),
        parse_options=pacsv.ParseOptions(newlines_in_values=False),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(columns.values()),
            null_values=NULLS,
            strings_can_be_null=True,
        ),
    )


def explain_csv(source: Source, columns: dict[str, str]) -> None:
    """Raises the error of the first value that is no number; returns if all are."""
    texts = {name: pa.string() for name in columns.values()}
    try:
        table = convert_csv(source, columns, texts, threads=False)
    except pa.ArrowInvalid as error:
        raise source.wrong(None, None, f"cannot be read: {first_line(error)}") from None
    for name in (*NUMBERS, *VALUES[1:]):
        if name in columns:
            for row, text in enumerate(table.column(columns[name]).to_pylist()):
                if text is not None and not NUMBER.fullmatch(text):
                    raise source.wrong(row, name, f"{text[:40]!a} is not a number")


def first_line(error: BaseException) -> str:
    """Returns an error's first line, short enough for a message."""
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
