"""The rules of mainland A-shares by date: lots, price limits, T+1 and costs (profile cn_a).

Each table names what it rests on. None of the texts could be opened while this was written: the numbers
are those commonly published, and the result says so (`profile.checked`).
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

Board = Literal["main", "chinext", "star", "bse", "etf"]
BOARDS: tuple[Board, ...] = ("main", "chinext", "star", "bse", "etf")
DAY_US = 86_400_000_000
NO_LIMIT = 10_000.0  # what vendors write where there is none; a price of an A-share is below it

Table = tuple[tuple[str, float], ...]  # (from date, value), ascending

# The least of a buy and the step beyond it. SSE and SZSE trading rules; SSE STAR rules 2019; BSE rules 2021.
LOTS: dict[Board, tuple[float, float]] = {
    "main": (100.0, 100.0),
    "chinext": (100.0, 100.0),
    "etf": (100.0, 100.0),
    "star": (200.0, 1.0),
    "bse": (100.0, 1.0),
}
# The largest move from the close before. SSE and SZSE trading rules (10 % since 1996); SSE STAR rules
# 2019; SZSE ChiNext reform 2020; BSE rules 2021; SSE and SZSE changes for risk-warned shares 2026.
MOVES: dict[Board, Table] = {
    "main": (("1996-12-16", 0.10),),
    "chinext": (("2009-10-30", 0.10), ("2020-08-24", 0.20)),
    "star": (("2019-07-22", 0.20),),
    "bse": (("2021-11-15", 0.30),),
    "etf": (("1996-12-16", 0.10),),
}
ST_MOVES: Table = (("1998-04-22", 0.05), ("2026-07-06", 0.10))  # of the main board
# Trading days after the listing without a limit: the same rules, and the registration reform of 2023.
FREE_DAYS: dict[Board, Table] = {
    "main": (("2023-04-10", 5.0),),
    "chinext": (("2020-08-24", 5.0),),
    "star": (("2019-07-22", 5.0),),
    "bse": (("2021-11-15", 1.0),),
    "etf": (),
}
TICKS = {"etf": 1_000.0}  # ticks of a yuan; 100 elsewhere
# Of sales: Ministry of Finance and State Taxation Administration, 2008-09-19 and announcement 39 of 2023.
STAMP_BPS: Table = (("2008-09-19", 10.0), ("2023-08-28", 5.0))
# Of both sides: ChinaClear, notices of 2015-08-01 and 2022-04-29.
TRANSFER_BPS: Table = (("2015-08-01", 0.2), ("2022-04-29", 0.1))
COMMISSION_BPS, COMMISSION_MIN = 2.5, 5.0  # an assumption: brokers differ


@dataclass(frozen=True)
class China:
    """What a panel's symbols may do. A missing column is named, for the error of who needs it."""

    lots: Floats  # [symbol, (least, step)]
    limits: Floats  # [bar, symbol, (down, up)]
    missing: tuple[str, ...]
    from_columns: bool


def day_number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def at_dates(table: Table, days: Index, before: float) -> Floats:
    """Returns a table's value on each day; `before` its first date that."""
    if not table:
        return np.full(len(days), before)
    starts = np.array([day_number(start) for start, _ in table])
    values = np.array([before, *[value for _, value in table]])
    return np.asarray(values[np.searchsorted(starts, days, side="right")])


def rounded(prices: Floats, ticks: Floats) -> Floats:
    """Rounds half up to the tick; a price of ten digits is a multiple of it within 1e-9."""
    return np.asarray(np.floor(prices * ticks + 0.5 + 1e-6) / ticks)


def reference_closes(codes: Index, days: Index, close: Floats, splits: Floats, dividends: Floats) -> Floats:
    """Returns for each row the symbol's last close on an earlier day, less what was paid out since."""
    n = len(codes)
    fresh = np.ones(n, dtype=np.bool_)
    fresh[1:] = (np.diff(codes) != 0) | (np.diff(days) != 0)
    start = np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    last = np.maximum.accumulate(np.where(np.isnan(close), -1, np.arange(n)))
    before = np.where(start > 0, last[start - 1], -1)
    known = (before >= 0) & (codes[np.maximum(before, 0)] == codes)
    found = np.where(known, close[np.maximum(before, 0)], np.nan)
    for row in np.flatnonzero((splits != 1.0) | (dividends != 0.0)):
        # The days from the ex-date to the symbol's next bar measure from the adjusted close.
        end = row
        while end < n and codes[end] == codes[row] and before[end] < row:
            found[end] = (found[end] - dividends[row]) / splits[row]
            end += 1
    return found


def listed_days(codes: Index, days: Index, listed: Index) -> Index:
    """Returns how many trading days a symbol had been listed on each row, 0 on the first.

    Counted by its own rows where they begin with the listing, else by week days.
    """
    n = len(codes)
    first = np.concatenate([[True], np.diff(codes) != 0])
    fresh = first | np.concatenate([[True], np.diff(days) != 0])
    count = np.cumsum(fresh)
    begin = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    rows = count - count[begin]
    whole = days[begin] == listed
    sane = np.clip(listed, 0, 100_000)
    week = np.busday_count(sane.astype("datetime64[D]"), np.maximum(days, sane).astype("datetime64[D]"))
    return np.asarray(np.where(whole, rows, week), dtype=np.int64)


def computed_limits(
    codes: Index, days: Index, boards: Index, is_st: NDArray[np.bool_], listed: Index, reference: Floats
) -> tuple[Floats, Floats]:
    """Returns the lower and upper limit of each row; infinite where there is none."""
    n = len(codes)
    move, free, ticks = np.zeros(n), np.zeros(n), np.full(n, 100.0)
    for number, board in enumerate(BOARDS):
        on = boards == number
        move[on] = at_dates(MOVES[board], days[on], np.inf)
        # Which days are free goes by the rule of the listing, not of the day.
        free[on] = at_dates(FREE_DAYS[board], listed[on], 0.0)
        ticks[on] = TICKS.get(board, 100.0)
    st = is_st & (boards == BOARDS.index("main"))
    move[st] = at_dates(ST_MOVES, days[st], np.inf)
    none = np.isnan(reference) | np.isinf(move) | (listed_days(codes, days, listed) < free)
    safe_move, safe = np.where(none, 0.0, move), np.where(none, 1.0, reference)
    down = np.where(none, -np.inf, rounded(safe * (1.0 - safe_move), ticks))
    up = np.where(none, np.inf, rounded(safe * (1.0 + safe_move), ticks))
    return down, up


def given_limits(down: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Returns the limits of the data's own columns: null, or 10000 and more, is none."""
    return (
        np.where(np.isnan(down) | (down >= NO_LIMIT), -np.inf, down),
        np.where(np.isnan(up) | (up >= NO_LIMIT), np.inf, up),
    )


def rates_by_date(days: Index, given: dict[str, float]) -> Floats:
    """Returns [bar, (fee, least fee, transfer, stamp)]; a field of the spec holds on all dates."""
    rates = np.empty((len(days), 4))
    rates[:, 0] = given.get("fee", COMMISSION_BPS / 10_000.0)
    rates[:, 1] = given.get("fee_min", COMMISSION_MIN)
    rates[:, 2] = given.get("transfer", at_dates(TRANSFER_BPS, days, TRANSFER_BPS[0][1]) / 10_000.0)
    rates[:, 3] = given.get("stamp", at_dates(STAMP_BPS, days, STAMP_BPS[0][1]) / 10_000.0)
    return rates


def shown_profile(given: dict[str, float], from_columns: bool) -> dict[str, Any]:
    """Returns the rules that a run used, for its result."""

    def table(name: str, rows: Table) -> Any:
        if name in given:
            return given[name] * 10_000.0
        return [{"from": start, "bps": value} for start, value in rows]

    limits: Any = "the data's columns"
    if not from_columns:
        moves: dict[str, Table] = {**dict(MOVES.items()), "main with ST": ST_MOVES}
        limits = {
            board: [{"from": start, "move": value} for start, value in rows] for board, rows in moves.items()
        }
    return {
        "name": "cn_a",
        "checked": False,
        "t_plus": 1,
        "lots": {board: {"least": least, "step": step} for board, (least, step) in LOTS.items()},
        "price_limits": limits,
        "commission_bps": given.get("fee", COMMISSION_BPS / 10_000.0) * 10_000.0,
        "commission_min": given.get("fee_min", COMMISSION_MIN),
        "stamp_duty_bps": table("stamp", STAMP_BPS),
        "transfer_fee_bps": table("transfer", TRANSFER_BPS),
    }


def early_warnings(days: Index, given: dict[str, float]) -> list[tuple[str, str]]:
    """Returns a warning where the run begins before a table of costs does."""
    found = []
    for name, rows, text in (
        ("stamp", STAMP_BPS, "stamp duty"),
        ("transfer", TRANSFER_BPS, "transfer fee"),
    ):
        if name not in given and days[0] < day_number(rows[0][0]):
            message = f"the {text} before {rows[0][0]} is not known: that of this date is taken"
            found.append(("rate_before_table", message))
    return found
