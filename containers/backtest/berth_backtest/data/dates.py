"""The `date` column: calendar dates, or instants in UTC; both as microseconds since 1970."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.columns import nulls_of, numbers_of
from berth_backtest.data.read import Source

DAY_US = 86_400_000_000
NEVER = np.iinfo(np.int64).max  # an instant after every other: no date
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_dates(
    source: Source, column: Any, timezone: str | None, name: str = "date", instants: bool = False
) -> tuple[NDArray[np.int64], bool]:
    """Returns the instants and whether they are calendar dates; with `instants` midnights are none."""
    if column.null_count and name == "date":
        raise source.wrong(first_true(column.is_null()), name, "is null")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = parse_texts(source, column, name)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), NEVER), True
    if pa.types.is_date(kind):
        days = column if pa.types.is_date32(kind) else column.cast(pa.date32())
        return with_never(column, np.multiply(numbers_of(days, np.int32), DAY_US, dtype=np.int64)), True
    if not pa.types.is_timestamp(kind):
        raise source.wrong(0, name, f"must be a date such as 2010-01-31, not {column[0].as_py()!s:.40}")
    stamps = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    if kind.tz is not None:
        return micros(stamps), False
    naive = micros(stamps)
    late = (naive % DAY_US != 0) & (naive != NEVER)
    if not late.any() and not instants:
        return naive, True
    if timezone is None:
        row = int(np.argmax(late))
        raise source.wrong(row, name, "is a time without a zone: give data.timezone")
    import pyarrow.compute as pc  # late: a large import, of what most files need not

    try:
        return micros(pc.assume_timezone(stamps, timezone, ambiguous="raise", nonexistent="raise")), False
    except pa.ArrowInvalid as error:
        raise source.wrong(None, name, f"does not fit {timezone}: {error}") from None


def parse_texts(source: Source, column: Any, name: str) -> Any:
    """Returns texts as dates, or as instants when each has its zone."""
    moments = []
    for row, text in enumerate(column.to_pylist()):
        try:
            moments.append(None if text is None else datetime.fromisoformat(text.strip()))
        except ValueError:
            raise source.wrong(row, name, f"{text[:40]!a} is not a date such as 2010-01-31") from None
    zoned = [moment.tzinfo is not None for moment in moments if moment is not None]
    if any(zoned) and not all(zoned):
        raise source.wrong(zoned.index(False), name, "has no zone, others have")
    kind = pa.timestamp("us", tz="UTC" if zoned and zoned[0] else None)
    return pa.chunked_array([pa.array(moments, kind)])


def micros(column: Any) -> NDArray[np.int64]:
    """Returns an Arrow timestamp column as numbers; nulls become the largest."""
    return with_never(column, numbers_of(column, np.int64))


def with_never(column: Any, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(nulls_of(column), NEVER, numbers) if column.null_count else numbers


def first_true(mask: Any) -> int:
    """Returns the row of the first true value of an Arrow column."""
    import pyarrow.compute as pc

    return int(pc.index(mask, True).as_py())


def instant(text: str, end: bool) -> int:
    """Returns the instant of `start` or `end`; a date as `end` lasts to its last microsecond."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        day = (moment.date() - date(1970, 1, 1)) // timedelta(days=1)
        return day * DAY_US + (DAY_US - 1 if end else 0)
    return (moment - EPOCH) // timedelta(microseconds=1)


def shown_date(us: int, dated: bool) -> str:
    """Returns an instant as the text of result files."""
    moment = EPOCH + timedelta(microseconds=us)
    return moment.date().isoformat() if dated else moment.isoformat().replace("+00:00", "Z")
