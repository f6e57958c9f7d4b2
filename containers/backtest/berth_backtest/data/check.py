"""Checks one file's rows; the first wrong cell is named by file, row and column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.china import read_china
from berth_backtest.data.columns import by_dictionary, constant, indices_of, nulls_of, numbers_of
from berth_backtest.data.dates import NEVER, first_true, read_dates
from berth_backtest.data.order import blocks_of
from berth_backtest.data.read import PRICES, Source

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

NO_BAR, BAR, SUSPENDED = 0, 1, 2


@dataclass(frozen=True)
class Rows:
    """One file's rows in file order. Prices are NaN where there is no bar."""

    source: Source
    dates: Index  # microseconds since 1970, UTC
    dated: bool  # calendar dates, not instants
    symbols: list[str]
    codes: Index  # index into symbols
    prices: dict[str, Floats]  # close, and of open, high, low, volume those that the file has
    state: NDArray[np.int8]  # NO_BAR, BAR or SUSPENDED
    delisted: Index
    currencies: set[str]
    null_bars: int  # rows with a null price
    splits: Floats  # units after the date for each one before; 1 = none
    dividends: Floats  # per unit held before the date
    extra: dict[str, Floats]  # columns of A-shares


def check_file(
    source: Source, table: Any, timezone: str | None, adjustment: str, china: bool = False
) -> Rows:
    """Returns a whole file's rows."""
    rows = check_rows(source, table, timezone, adjustment, china)
    if blocks_of(rows.codes, rows.dates, len(rows.symbols)) is None:
        check_keys(source, rows.dates, rows.codes, rows.symbols)
        Order().add(source, rows.dates, rows.codes)
    return rows


def check_rows(
    source: Source,
    table: Any,
    timezone: str | None,
    adjustment: str,
    china: bool = False,
    instants: bool = False,
) -> Rows:
    """Returns rows that are each a bar, in whatever order. `instants`: dates are none, midnights neither."""
    dates, dated = read_dates(source, table.column("date"), timezone, instants=instants)
    symbols, codes = read_symbols(source, table)
    columns = {
        name: read_numbers(source, table, name) for name in (*PRICES, "volume") if name in table.column_names
    }
    volume = columns.pop("volume", None)
    suspended = read_suspended(source, table)
    nulls = np.zeros(len(dates), dtype=np.bool_)
    for name in columns:
        if table.column(name).null_count:
            nulls |= nulls_of(table.column(name))
    if volume is not None:
        zero = np.logical_and.reduce([x == 0 for x in columns.values()])
        suspended |= zero & (volume == 0)
    check_prices(source, columns, nulls, suspended, volume)
    splits, dividends = read_actions(source, table, adjustment)
    state = np.where(nulls, np.int8(NO_BAR), np.int8(BAR))
    state[suspended] = SUSPENDED
    absent = state != BAR
    if absent.any():
        columns = {name: np.where(absent, np.nan, values) for name, values in columns.items()}
    if volume is not None:
        columns["volume"] = np.where(state == BAR, np.nan_to_num(volume), np.nan)
    delisted = constant(np.int64(NEVER), len(dates))
    if "delist_date" in table.column_names:
        delisted, _ = read_dates(source, table.column("delist_date"), timezone, "delist_date")
        late = (dates > delisted) & (state == BAR)
        if late.any():
            raise source.wrong(int(np.argmax(late)), "date", "is a bar after the symbol's delist_date")
    return Rows(
        source,
        dates,
        dated,
        symbols,
        codes,
        columns,
        state,
        delisted,
        read_currencies(table),
        int((nulls & ~suspended).sum()),
        splits,
        dividends,
        read_china(source, table, timezone) if china else {},
    )


def read_symbols(source: Source, table: Any) -> tuple[list[str], Index]:
    """Returns the distinct symbols and each row's index; one series is named after its file."""
    if "symbol" not in table.column_names:
        return [source.path.stem], np.zeros(table.num_rows, dtype=np.int64)
    column = table.column("symbol")
    symbols, codes = by_dictionary(column) or by_value(source, column)
    for code, symbol in enumerate(symbols):
        if not symbol.strip() or any(ord(ch) < 32 for ch in symbol) or len(symbol) > 100:
            row = int(np.argmax(codes == code))
            raise source.wrong(
                row, "symbol", "must be a text of 1 to 100 characters without control characters"
            )
    return symbols, codes


def by_value(source: Source, column: Any) -> tuple[list[str], Index]:
    """Returns what by_dictionary does, of a column of any type."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.string())
    if column.null_count:
        raise source.wrong(first_true(column.is_null()), "symbol", "is null")
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), indices_of(encoded)


def read_numbers(source: Source, table: Any, name: str) -> Floats:
    """Returns a column as float64, null as NaN; a NaN of the file itself is an error."""
    column = table.column(name)
    kind = column.type
    if not (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise source.wrong(0, name, f"must be numbers, not {kind}")
    if pa.types.is_decimal(kind) or pa.types.is_null(kind):
        column = column.cast(pa.float64(), safe=False)
    values: Floats = numbers_of(column, column.type.to_pandas_dtype()).astype(np.float64, copy=False)
    if column.null_count:
        absent = nulls_of(column)
        values = np.where(absent, np.nan, values)
        fine = np.isfinite(values) | absent
    else:
        fine = np.isfinite(values)
    if not fine.all():
        row = int(np.argmin(fine))
        raise source.wrong(row, name, f"{values[row]} is not a finite number")
    return values


def read_suspended(source: Source, table: Any) -> Mask:
    if "suspended" not in table.column_names:
        return np.zeros(table.num_rows, dtype=np.bool_)
    words = {"": False, "0": False, "1": True, "false": False, "true": True}
    flags = np.zeros(table.num_rows, dtype=np.bool_)
    for row, value in enumerate(table.column("suspended").to_pylist()):
        word = "" if value is None else str(value).strip().lower()
        if word not in words:
            raise source.wrong(row, "suspended", f"must be true, false, 1 or 0, not {word[:40]!a}")
        flags[row] = words[word]
    return flags


def check_prices(
    source: Source, columns: dict[str, Floats], nulls: Mask, suspended: Mask, volume: Floats | None
) -> None:
    """Raises for the first row whose prices cannot be a bar."""
    bar = ~nulls & ~suspended
    faults: list[tuple[int, str, str]] = []

    def note(wrong: Mask, where: Mask, name: str, text: str, values: Floats) -> None:
        # Mostly nothing is: then no row is looked at twice.
        if wrong.any() and (wrong & where).any():
            row = int(np.argmax(wrong & where))
            faults.append((row, name, f"{values[row]:.17g} {text}"))

    for name, values in columns.items():
        note(values <= 0, bar, name, "must be more than 0", values)
        if suspended.any():
            note(values < 0, suspended, name, "must not be negative", values)
    if volume is not None:
        note(volume < 0, volume < 0, "volume", "must not be negative", volume)
    for name in ("open", "close"):
        if name in columns and "high" in columns:
            note(columns["high"] < columns[name], bar, "high", f"is below the {name}", columns["high"])
        if name in columns and "low" in columns:
            note(columns["low"] > columns[name], bar, "low", f"is above the {name}", columns["low"])
    if "high" in columns and "low" in columns:
        note(columns["high"] < columns["low"], bar, "high", "is below the low", columns["high"])
    if faults:
        row, name, text = min(faults, key=lambda fault: fault[0])
        raise source.wrong(row, name, text)


def check_keys(source: Source, dates: Index, codes: Index, symbols: list[str]) -> None:
    """Raises for the first row whose symbol has its date on an earlier row."""
    order = np.lexsort((dates, codes))
    twice = (np.diff(codes[order]) == 0) & (np.diff(dates[order]) == 0)
    if twice.any():
        row = int(order[np.flatnonzero(twice) + 1].min())
        raise source.wrong(row, "date", f"{symbols[codes[row]]} has this date twice")


class Order:
    """Looks at a file's rows, part by part, for their order: in blocks of symbols or of dates.

    Codes count symbols by their first row, so in blocks of symbols they never fall.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.last: tuple[int, int] | None = None
        self.breaks: dict[str, int] = {}  # the first row that breaks each of the two

    def add(self, source: Source, dates: Index, codes: Index) -> None:
        """Adds rows; raises once neither order can hold."""
        date, code = self.last or (dates[0], codes[0])
        step, days = np.diff(codes, prepend=code), np.diff(dates, prepend=date)
        for name, broken in (("symbol", (step < 0) | ((step == 0) & (days < 0))), ("date", days < 0)):
            if name not in self.breaks and broken.any():
                self.breaks[name] = self.rows + int(np.argmax(broken))
        self.rows, self.last = self.rows + len(dates), (int(dates[-1]), int(codes[-1]))
        if len(self.breaks) == 2:
            row = max(self.breaks.values())
            raise source.wrong(
                row, "date", "is out of order: sort the rows by (symbol, date) or (date, symbol)"
            )


def read_actions(source: Source, table: Any, adjustment: str) -> tuple[Floats, Floats]:
    """Returns split ratios and dividends; prices that are adjusted for them have none to apply."""
    splits, dividends = constant(1.0, table.num_rows), constant(0.0, table.num_rows)
    if adjustment != "none":
        return splits, dividends
    if "split_ratio" in table.column_names:
        given = read_numbers(source, table, "split_ratio")
        if (given <= 0).any():
            row = int(np.argmax(given <= 0))
            raise source.wrong(row, "split_ratio", f"{given[row]:g} must be more than 0 (2 = two for one)")
        splits = np.where(np.isnan(given), 1.0, given)
    if "dividend" in table.column_names:
        given = read_numbers(source, table, "dividend")
        if (given < 0).any():
            row = int(np.argmax(given < 0))
            raise source.wrong(row, "dividend", f"{given[row]:g} must not be negative")
        dividends = np.where(np.isnan(given), 0.0, given)
    return splits, dividends


def read_currencies(table: Any) -> set[str]:
    if "currency" not in table.column_names:
        return set()
    import pyarrow.compute as pc

    return {value for value in pc.unique(table.column("currency").cast(pa.string())).to_pylist() if value}
