"""Reads one CSV or Parquet file into columns; says where in the file something cannot be read."""

import csv
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
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
CSV_NUMBERS = (*NUMBERS, "target", "prediction", "path", "split", "pre_close", "limit_up", "limit_down")
VALUES = ("close", "target", "prediction")  # what a file must have beside its dates, by what it is
NULLS = ["", "null", "NULL"]
NUMBER = r"^\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*$"
MAX_HEADER = 1 << 20  # bytes looked at for the header line
BLOCK_ROWS = 1 << 18  # of a Parquet file that is read in parts
BUFFER_BYTES = 1 << 20  # of a column that is read as it goes: a row group may be as large as the file
CSV_BLOCK_BYTES = 16 << 20  # some 300,000 lines
SAMPLED_BYTES = 1 << 20  # of a CSV file, from which the length of its lines is told


@dataclass(frozen=True)
class Source:
    """A file as the reader of a message knows it."""

    path: Path
    label: str  # the field of the spec that names it: data.files[0]
    is_csv: bool
    before: int = 0  # rows of the file before those that are looked at

    def wrong(self, row: int | None, column: str | None, message: str) -> ProgramError:
        """Returns the error at a row (counted from 0, of those looked at) and a column of this file."""
        at = [self.path.name]
        if row is not None:
            row += self.before
            # The header is line 1 of a CSV file, so the first row of data is its line 2.
            at.append(f"row {row + 1} (line {row + 2})" if self.is_csv else f"row {row + 1}")
        if column is not None:
            at.append(f"column {column}")
        return invalid(self.label, f"{', '.join(at)}: {message}")


def rows_in(path: Path) -> int | None:
    """Returns the rows of a file without reading them, of a CSV about; None: reading will tell."""
    with suppress(OSError, pa.ArrowException):
        return lines_of(path) - 1 if is_csv(path) else int(papq.ParquetFile(path).metadata.num_rows)
    return None


def is_csv(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) != b"PAR1"


def lines_of(path: Path) -> int:
    """Returns about how many lines a file has: exactly, if it is no longer than the sample."""
    with path.open("rb") as stream:
        sample = stream.read(SAMPLED_BYTES)
    return max(int(sample.count(b"\n") * path.stat().st_size / max(len(sample), 1)), 1)


def open_source(path: str, label: str, sha256: str | None) -> tuple[Source, str]:
    """Returns the file and the sha256 of its bytes, after comparing it with the one asked for."""
    source = source_of(path, label)
    return source, checked_digest(source, sha256)


def source_of(path: str, label: str) -> Source:
    try:
        return Source(Path(path), label, is_csv(Path(path)))
    except FileNotFoundError:
        raise invalid(label, f"{path} does not exist") from None
    except OSError as error:
        raise unread(path, label, error) from None


def checked_digest(source: Source, sha256: str | None) -> str:
    """Returns the sha256 of a file's bytes, after comparing it with the one asked for."""
    try:
        with source.path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unread(str(source.path), source.label, error) from None
    if sha256 and sha256 != found:
        raise invalid(source.label, f"{source.path.name} has sha256 {found}, not the {sha256} of the spec")
    return found


def unread(path: str, label: str, error: OSError) -> ProgramError:
    return invalid(label, f"{path} cannot be read: {error.strerror}")


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
    schema = papq.read_schema(source.path)
    columns = known_columns(source, schema.names, wanted)
    # As a dictionary, which the file mostly has, symbols need not be made texts and compared.
    texts = [columns["symbol"]] if "symbol" in columns and is_text(schema, columns["symbol"]) else []
    file = papq.ParquetFile(source.path, read_dictionary=texts, pre_buffer=False)
    table = file.read(columns=list(columns.values()))
    return table.select(list(columns.values())).rename_columns(list(columns))


def is_text(schema: Any, name: str) -> bool:
    return bool(pa.types.is_string(schema.field(name).type))


def blocks_of(source: Source, wanted: tuple[str, ...], texts: bool) -> Iterator[tuple[Source, Any]]:
    """Yields columns of a file of prices in tables of some rows, each with the source as its rows count.

    `texts`: of a CSV whose dates are not all of the first block's form.
    """
    row = 0
    try:
        for table in tables_of(source, wanted, texts):
            yield replace(source, before=row), table
            row += table.num_rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(source, error) from None
    if row == 0:
        raise source.wrong(None, None, "holds no rows")


def tables_of(source: Source, wanted: tuple[str, ...], texts: bool) -> Iterator[Any]:
    columns = {name: own for name, own in columns_of(source).items() if name in wanted}
    if source.is_csv:
        known = csv_types(columns)
        if texts:
            known |= {columns[name]: pa.string() for name in ("date", "delist_date") if name in columns}
        yield from csv_blocks(source, columns, known)
        return
    file = papq.ParquetFile(source.path, buffer_size=BUFFER_BYTES, pre_buffer=False)
    for batch in file.iter_batches(BLOCK_ROWS, columns=list(columns.values())):
        yield pa.Table.from_batches([batch]).select(list(columns.values())).rename_columns(list(columns))


def columns_of(source: Source, wanted: tuple[str, ...] = COLUMNS) -> dict[str, str]:
    """Returns the file's own name of each known column."""
    if not source.is_csv:
        return known_columns(source, papq.read_schema(source.path).names, wanted)
    with source.path.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader([stream.readline(MAX_HEADER)]), [])
    return known_columns(source, header, wanted)


def unreadable(source: Source, error: Exception) -> ProgramError:
    """Returns the error for a file of prices; raises for the value that Arrow has failed at, if known."""
    if source.is_csv and isinstance(error, pa.ArrowInvalid):
        explain_csv(source, columns_of(source))
    return source.wrong(None, None, f"cannot be read: {first_line(error)}")


def read_csv(source: Source, wanted: tuple[str, ...]) -> Any:
    columns = columns_of(source, wanted)
    known = csv_types(columns)
    try:
        table = pacsv.read_csv(
            source.path, parse_options=plain_lines(), convert_options=converting(columns, known)
        )
    except pa.ArrowInvalid:
        explain_csv(source, columns)
        # One thread: only then does Arrow's own message name the row.
        table = pacsv.read_csv(
            source.path,
            read_options=pacsv.ReadOptions(use_threads=False),
            parse_options=plain_lines(),
            convert_options=converting(columns, known),
        )
    return table.rename_columns(list(columns))


def csv_types(columns: dict[str, str]) -> dict[str, Any]:
    """Returns the types of the columns that are no dates, which are of the form that the file gives them."""
    types: dict[str, Any] = {name: pa.float64() for name in CSV_NUMBERS}
    types |= dict.fromkeys(("board", "is_st", "symbol", "currency", "suspended"), pa.string())
    return {columns[name]: kind for name, kind in types.items() if name in columns}


def plain_lines() -> Any:
    return pacsv.ParseOptions(newlines_in_values=False)


def converting(columns: dict[str, str], types: dict[str, Any]) -> Any:
    return pacsv.ConvertOptions(
        column_types=types,
        include_columns=list(columns.values()),
        null_values=NULLS,
        strings_can_be_null=True,
    )


def csv_blocks(source: Source, columns: dict[str, str], types: dict[str, Any]) -> Iterator[Any]:
    """Yields a CSV's columns as Arrow tables; what has no type has that of the first block."""
    reading = pacsv.ReadOptions(block_size=CSV_BLOCK_BYTES)
    with pacsv.open_csv(source.path, reading, plain_lines(), converting(columns, types)) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch]).rename_columns(list(columns))


def explain_csv(source: Source, columns: dict[str, str]) -> None:
    """Raises the error of the first value that is no number; returns if all are."""
    texts = {name: pa.string() for name in columns.values()}
    row = 0
    try:
        for table in csv_blocks(source, columns, texts):
            explain_texts(replace(source, before=row), table)
            row += table.num_rows
    except pa.ArrowInvalid as error:
        raise source.wrong(None, None, f"cannot be read: {first_line(error)}") from None


def explain_texts(source: Source, table: Any) -> None:
    import pyarrow.compute as pc

    for name in (*NUMBERS, *VALUES[1:]):
        if name in table.column_names:
            fits = pc.match_substring_regex(table.column(name), NUMBER, ignore_case=True)
            row = pc.index(fits, False).as_py()
            if row >= 0:
                text = table.column(name)[row].as_py()
                raise source.wrong(row, name, f"{text[:40]!a} is not a number")


def first_line(error: BaseException) -> str:
    """Returns an error's first line, short enough for a message."""
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
