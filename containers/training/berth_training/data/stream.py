"""Reads a table's features in parts, and how large it is before any of it is read."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
from berth_backtest.data.read import NULLS, Source, is_csv, rows_in

from berth_training.data.disk import Rows, create
from berth_training.data.frame import Floats, Index
from berth_training.spec.types import Table

FILE = "features.f32"
BATCH_ROWS = 1 << 16  # of a Parquet file
BUFFER_BYTES = 1 << 20  # of a column that is read as it goes: a row group may be as large as the file


def size_of(spec: Table) -> tuple[int, int] | None:
    """Returns rows and features by the footer of Parquet or the size of a CSV; None: reading will tell."""
    path = Path(spec.file.path)
    rows = rows_in(path)
    with suppress(OSError, pa.ArrowException):
        schema = read_schema(Source(path, "", is_csv(path)))
        keys = (spec.target, spec.time, spec.group, spec.label_end)
        features = [field.name for field in schema if field.name not in keys and is_number(field.type)]
        return None if rows is None else (rows, len(spec.features or features))
    return None


def converting(columns: list[str] | None, types: dict[str, Any] | None = None) -> Any:
    return pacsv.ConvertOptions(
        null_values=[*NULLS, "NaN", "nan"],
        strings_can_be_null=True,
        include_columns=columns,
        column_types=types or {},
    )


def read_schema(source: Source) -> Any:
    """Returns the columns; of a CSV as its first block shows them, numbers where it has no value at all."""
    if not source.is_csv:
        return papq.read_schema(source.path)
    with pacsv.open_csv(source.path, convert_options=converting(None)) as reader:
        fields = [f.with_type(pa.float64()) if pa.types.is_null(f.type) else f for f in reader.schema]
    return pa.schema(fields)


def key_columns(spec: Table, have: list[str]) -> list[str]:
    """Returns the columns of which memory holds every row; a name that is not there is told later."""
    wanted = (spec.time, spec.target, spec.group, spec.label_end)
    return [name for name in dict.fromkeys(wanted) if name in have] or have[:1]


def write_rows(source: Source, names: tuple[str, ...], order: Index, folder: Path) -> Rows:
    """Returns the features on the disk, in the order of `order`, which are places in the file."""
    values, rows = create(folder / FILE, len(order), len(names))
    where = np.empty(len(order), dtype=np.int64)
    where[order] = np.arange(len(order))
    start = 0
    for batch in batches(source, names):
        place = where[start : start + batch.num_rows]
        start += batch.num_rows
        for i, name in enumerate(names):
            column = numbers(source, batch.column(name), name)
            with np.errstate(over="ignore"):  # beyond float32 is infinite, which is told with its count
                values[i, place] = column
    return rows


def batches(source: Source, names: tuple[str, ...]) -> Iterator[Any]:
    if not source.is_csv:
        file = papq.ParquetFile(source.path, buffer_size=BUFFER_BYTES, pre_buffer=False)
        yield from file.iter_batches(BATCH_ROWS, columns=list(names))
        return
    # What is whole numbers in the first block may have fractions later.
    plain = [f.name for f in read_schema(source) if is_number(f.type) and not pa.types.is_boolean(f.type)]
    types = {name: pa.float64() for name in plain if name in names}
    with pacsv.open_csv(source.path, convert_options=converting(list(names), types)) as reader:
        yield from reader


def is_number(kind: Any) -> bool:
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def numbers(source: Source, column: Any, name: str) -> Floats:
    """Returns a column as float64; null and NaN are missing, infinities are told later with their count."""
    if not is_number(column.type) and not pa.types.is_null(column.type):
        raise source.wrong(None, name, f"must be numbers, not {column.type}")
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
