"""The columns of A-share data: board, listing, ST, the close before and price limits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.china import BOARDS, DAY_US, LOTS, China, computed_limits, given_limits, reference_closes
from berth_backtest.data.dates import read_dates
from berth_backtest.data.read import Source

Floats = NDArray[np.float64]

NUMBERS = ("pre_close", "limit_up", "limit_down")
CHINA_COLUMNS = ("board", "list_date", "is_st", *NUMBERS)
# What is needed to compute limits, where the data does not give them.
NEEDED = ("board", "list_date", "is_st", "suspended")
WORDS = {"": 0.0, "0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0}


def read_china(source: Source, table: Any, timezone: str | None) -> dict[str, Floats]:
    """Returns the columns that are there as numbers: boards by their place, dates as days."""
    from berth_backtest.data.check import read_numbers

    found: dict[str, Floats] = {}
    for name in NUMBERS:
        if name in table.column_names:
            values = read_numbers(source, table, name)
            if (values <= 0).any():
                row = int(np.argmax(values <= 0))
                raise source.wrong(row, name, f"{values[row]:g} must be more than 0")
            found[name] = values
    if "board" in table.column_names:
        known = {str(board): float(i) for i, board in enumerate(BOARDS)}
        found["board"] = words(source, table, "board", known)
    if "is_st" in table.column_names:
        found["is_st"] = words(source, table, "is_st", WORDS)
    if "list_date" in table.column_names:
        dates, _ = read_dates(source, table.column("list_date"), timezone, "list_date")
        if (dates == np.iinfo(np.int64).max).any():
            row = int(np.argmax(dates == np.iinfo(np.int64).max))
            raise source.wrong(row, "list_date", "is null")
        found["list_date"] = (dates // DAY_US).astype(np.float64)
    if "suspended" in table.column_names:
        found["suspended"] = np.zeros(table.num_rows)  # read elsewhere: that it is there is what counts
    return found


def words(source: Source, table: Any, name: str, known: dict[str, float]) -> Floats:
    values = np.empty(table.num_rows)
    for row, value in enumerate(table.column(name).to_pylist()):
        word = "" if value is None else str(value).strip().lower()
        if word not in known:
            listed = ", ".join(word for word in known if word)
            raise source.wrong(row, name, f"must be one of {listed}, not {word[:40]!a}")
        values[row] = known[word]
    return values


def china_of(
    extra: dict[str, Floats],
    codes: NDArray[np.int64],
    dates: NDArray[np.int64],
    close: Floats,
    splits: Floats,
    dividends: Floats,
    symbols: int,
) -> tuple[China, Floats, Floats]:
    """Returns lots and what is missing, with each row's limits; the caller puts these on the run's dates."""
    days = dates // DAY_US
    from_columns = "limit_up" in extra and "limit_down" in extra
    missing = () if from_columns else tuple(name for name in NEEDED if name not in extra)
    n = len(codes)
    boards = extra.get("board", np.zeros(n)).astype(np.int64)
    down, up = np.full(n, -np.inf), np.full(n, np.inf)
    if from_columns:
        down, up = given_limits(extra["limit_down"], extra["limit_up"])
    elif not missing:
        reference = reference_closes(codes, days, close, splits, dividends)
        if "pre_close" in extra:
            reference = np.where(np.isnan(extra["pre_close"]), reference, extra["pre_close"])
        listed = extra["list_date"].astype(np.int64)
        down, up = computed_limits(codes, days, boards, extra["is_st"] > 0.5, listed, reference)
    lots = np.tile(LOTS["main"], (symbols, 1)).astype(np.float64)
    for number, board in enumerate(BOARDS):
        lots[codes[boards == number]] = LOTS[board]
    return China(lots, np.empty((0, 0, 0)), missing, from_columns), down, up
