"""The user's own table: any columns, one row a time and group."""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
from berth_backtest.data.dates import DAY_US, read_dates
from berth_backtest.data.read import Source, first_line, open_source
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.spec.fields import near
from numpy.typing import NDArray

from berth_training.data.disk import column_of, features_of
from berth_training.data.frame import Floats, Frame, Index, Matrix
from berth_training.data.stream import converting, is_number, key_columns, numbers, read_schema, write_rows
from berth_training.spec.types import Table

LABEL = "table.url"
LISTED = 20  # columns in a message
FIRST_DAY, LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, from 1970: what can be shown
MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing: 2^64 by the golden ratio


@dataclass(frozen=True)
class Keys:
    time: Index
    dated: bool
    groups: tuple[str, ...]
    group: Index


def load_table(spec: Table, folder: Path | None = None) -> Frame:
    """Reads the table; raises for the first thing that is wrong with it, by file, row and column.

    With a folder the features lie there and not in memory, which then holds a few numbers a row.
    """
    source, digest = open_source(spec.file.path, LABEL, spec.file.sha256)
    try:
        schema = None if folder is None else read_schema(source)
        table = read_any(source) if schema is None else read_any(source, key_columns(spec, schema.names))
        schema = table.schema if schema is None else schema
        check_names(source, spec, schema.names)
        keys = read_keys(source, spec, table)
        names = spec.features or numeric_columns(source, spec, schema)
        y = numbers(source, table.column(spec.target), spec.target)
        ends = None
        if spec.label_end is not None:
            ends, dated = read_dates(source, table.column(spec.label_end), spec.timezone, spec.label_end)
            if dated != keys.dated:
                raise source.wrong(0, spec.label_end, f"must be of the same kind as {spec.time}")
        order = np.lexsort((keys.group, keys.time))
        if folder is None:
            x: Matrix = np.column_stack([numbers(source, table.column(name), name) for name in names])[order]
        else:
            x = write_rows(source, names, order, folder)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise source.wrong(None, None, f"cannot be read: {first_line(error)}") from None
    warnings = [
        *left_out_warnings(spec, schema),
        *order_warnings(order, keys),
        *twin_warnings(x, y[order]),
    ]
    refuse_twins(source, spec, keys, order)
    dates, place = np.unique(keys.time, return_inverse=True)
    horizon = spec.horizon or longest(source, spec, keys, ends, y, dates, place)
    return Frame(
        names=tuple(names),
        x=x,
        y=y[order],
        date=place[order].astype(np.int64),
        symbol=keys.group[order],
        dates=dates,
        dated=keys.dated,
        symbols=keys.groups,
        horizon=horizon,
        look_back=0,
        kind=spec.kind,
        sha256=digest,
        warnings=tuple(warnings),
    )


def read_any(source: Source, columns: list[str] | None = None) -> Any:
    """Returns the file with all its columns, or some."""
    if source.is_csv:
        table = pacsv.read_csv(source.path, convert_options=converting(columns))
    else:
        table = papq.read_table(source.path, columns=columns, memory_map=False)
    if table.num_rows == 0:
        raise source.wrong(None, None, "holds no rows")
    return table


def check_names(source: Source, spec: Table, have: list[str]) -> None:
    twice = next((name for name in have if have.count(name) > 1), None)
    if twice is not None:
        raise source.wrong(None, twice, "is there twice")
    wanted = [("table.target", spec.target), ("table.time", spec.time)]
    keys = (("group", spec.group), ("label_end", spec.label_end))
    wanted += [(f"table.{field}", name) for field, name in keys if name]
    wanted += [(f"table.features[{i}]", name) for i, name in enumerate(spec.features or ())]
    for path, name in wanted:
        if name not in have:
            shown = ", ".join(have[:LISTED])
            raise invalid(path, f"{name!a} is no column of the table{near(name, have)}; it has {shown}")
    for i, name in enumerate(spec.features or ()):
        if name in (spec.target, spec.label_end):
            text = f"{name} is {'the target' if name == spec.target else 'label_end'}: known only afterwards"
            error = invalid(f"table.features[{i}]", text)
            raise ProgramError("look_ahead", error.message, error.problems)


def read_keys(source: Source, spec: Table, table: Any) -> Keys:
    column = table.column(spec.time)
    if pa.types.is_integer(column.type):
        # Plain numbers of periods: a day each, so that they are shown as dates and counted as periods.
        if column.null_count:
            raise source.wrong(None, spec.time, f"is null in {column.null_count} rows")
        days = np.asarray(column.cast(pa.int64()).to_numpy())
        refuse_far(source, spec.time, days, "as a count of periods: give dates, or counts from 0")
        time, dated = days * DAY_US, True
    else:
        if column.null_count:
            raise source.wrong(None, spec.time, f"is null in {column.null_count} rows")
        time, dated = read_dates(source, column, spec.timezone, spec.time)
        refuse_far(source, spec.time, time // DAY_US, "days from 1970: give dates of the years 1 to 9999")
    if spec.group is None:
        return Keys(time, dated, ("all",), np.zeros(len(time), dtype=np.int64))
    names = table.column(spec.group).cast(pa.string()).combine_chunks()
    if names.null_count:
        raise source.wrong(None, spec.group, f"is null in {names.null_count} rows")
    encoded = names.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    order = np.argsort(np.array(words, dtype=object))
    rank = np.empty(len(words), dtype=np.int64)
    rank[order] = np.arange(len(words))
    return Keys(time, dated, tuple(words[i] for i in order), rank[np.asarray(encoded.indices.to_numpy())])


def refuse_far(source: Source, name: str, days: Index, why: str) -> None:
    """Refuses times that are no date of a calendar, such as 20200131 as a count of days."""
    far = (days < FIRST_DAY) | (days > LAST_DAY)
    if far.any():
        row = int(np.argmax(far))
        raise source.wrong(
            row, name, f"{int(far.sum())} rows are out of range, the first with {days[row]} {why}"
        )


def numeric_columns(source: Source, spec: Table, schema: Any) -> tuple[str, ...]:
    """Returns every numeric column that is no key and not the target."""
    keys = (spec.target, spec.time, spec.group, spec.label_end)
    kinds = zip(schema.names, schema.types, strict=True)
    names = tuple(name for name, kind in kinds if name not in keys and is_number(kind))
    if not names:
        left = "; ".join(text for _, text in left_out_warnings(spec, schema))
        text = "has no numeric column beside the target and the keys"
        raise source.wrong(None, None, f"{text}{f': {left}' if left else ''}")
    return names


def left_out_warnings(spec: Table, schema: Any) -> list[tuple[str, str]]:
    """Tells of columns that are no features because they are no numbers, where none were named."""
    keys = (spec.target, spec.time, spec.group, spec.label_end)
    kinds = zip(schema.names, schema.types, strict=True)
    left = [f"{name} ({kind})" for name, kind in kinds if name not in keys and not is_number(kind)]
    if spec.features is not None or not left:
        return []
    more = f" and {len(left) - LISTED} more" if len(left) > LISTED else ""
    return [("left_out_columns", f"left out, for they are no numbers: {', '.join(left[:LISTED])}{more}")]


def order_warnings(order: Index, keys: Keys) -> list[tuple[str, str]]:
    back = int((np.diff(keys.time) < 0).sum())
    by_group = np.lexsort((keys.time, keys.group))
    if back and not np.array_equal(by_group, np.arange(len(order))):
        return [("sorted_rows", f"{back} rows come before the time of the row above them: sorted by time")]
    return []


def twin_warnings(x: Matrix, y: Floats) -> list[tuple[str, str]]:
    """Rows with the same features and target may sit in train and test alike."""
    known = ~np.isnan(y)
    rows = int(known.sum())
    columns = chain((column_of(x, i) for i in range(features_of(x))), [y])
    twins = rows - len(np.unique(row_hashes(columns, len(y))[known]))
    if twins == 0:
        return []
    text = f"{twins} of {rows} rows repeat another one, target and all: a train may know them"
    return [("duplicate_rows", text)]


def row_hashes(columns: Iterable[Floats], rows: int) -> NDArray[np.uint64]:
    """Returns 64 bits a row: among a million different ones two are equal once in 37 million tables."""
    found = np.zeros(rows, dtype=np.uint64)
    for column in columns:
        bits = np.where(np.isnan(column), np.nan, column + 0.0).view(np.uint64)  # one NaN, no negative 0
        found = (found ^ bits) * MIX
        found ^= found >> np.uint64(29)
    return found


def refuse_twins(source: Source, spec: Table, keys: Keys, order: Index) -> None:
    same = (np.diff(keys.time[order]) == 0) & (np.diff(keys.group[order]) == 0)
    if same.any():
        row = int(order[1:][same].min())
        key = f"{spec.time} and {spec.group}" if spec.group else f"{spec.time} (without a group)"
        raise source.wrong(row, spec.time, f"{int(same.sum())} rows repeat a {key}")


def longest(
    source: Source, spec: Table, keys: Keys, ends: Index | None, y: Floats, dates: Index, place: Index
) -> int:
    """Returns the dates from a row to the last one before its label ends, the most over all rows."""
    assert ends is not None  # parse_spec: without a horizon there is a label_end
    known = ~np.isnan(y)
    early = known & (ends < keys.time)
    if early.any():
        row = int(np.argmax(early))
        raise source.wrong(row, spec.label_end, f"lies before {spec.time} in {int(early.sum())} rows")
    nulls = known & (ends == np.iinfo(np.int64).max)
    if nulls.any():
        raise source.wrong(
            int(np.argmax(nulls)), spec.label_end, f"is null in {int(nulls.sum())} rows with a target"
        )
    reach = np.searchsorted(dates, ends[known], side="right") - 1 - place[known]
    return max(int(reach.max(initial=0)), 1)
