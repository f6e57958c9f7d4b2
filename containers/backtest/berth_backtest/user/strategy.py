"""A user's strategy as the engine's definition of one, and as what the kernel calls."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import DAY_US, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.errors import Problem, ProgramError, invalid
from berth_backtest.strategies.definition import Definition
from berth_backtest.user.declare import NEEDED, OWN_FIELDS, Source
from berth_backtest.user.rebalance import FIELDS

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

TARGETS, STEPS = 4, 5  # of kernel.layout, which is not imported before a spec is known to be right


def definition_of(source: Source) -> Definition:
    """Returns the definition; its compiled parts are made when they are first needed."""

    def valid(values: dict[str, Floats]) -> NDArray[np.bool_]:
        from berth_backtest.user.generate import load_module

        rows = len(next(iter(values.values())))
        params = np.array([values[param.name] for param in source.params]).reshape(-1, rows)
        found = np.zeros(rows, dtype=np.bool_)
        load_module(source).valid_rows(params, found)
        return found

    return Definition(
        source.name,
        source.params,
        source.series,
        TARGETS if source.kind == "signals" else STEPS,
        valid=valid if "valid" in source.functions else None,
        invalid="no set is left by valid()",
        source=source,
    )


def check_columns(source: Source, panel: Panel) -> None:
    """Raises where the strategy reads a column that the data lacks."""
    there = set(panel.own)
    for column, line in source.lines.items():
        if column in NEEDED and column not in there:
            raise invalid("strategy.source", f"line {line}: the data has no column {column}")


def watches(source: Source | None) -> bool:
    """Says whether each bar's high and low must be followed: for an order's stops, or to be read."""
    if source is None or "step" not in source.checked:
        return False
    step = source.checked["step"]
    return step.stops or bool(step.reads & {("s", "high"), ("s", "low")})


def fields_read(source: Source) -> list[bool]:
    """Says which rows of the kernel a step reads of its position, or a rebalance of the market."""
    reads = source.checked[source.kind].reads
    if source.kind == "rebalance":
        return [False, *[("view", name) in reads for name in FIELDS]]  # the first is what it fills
    return [("s", name) in reads for name in OWN_FIELDS]


def path_of(source: Source | None) -> tuple[str, str | None]:
    """Returns how the strategy runs, and why not in lanes if it does not."""
    if source is None or source.kind == "signals":
        return "events", None
    if source.kind == "rebalance":
        return "scalar", "rebalance is called once a date for all symbols"
    loops = [name for name, checked in source.checked.items() if checked.loops]
    if loops:
        return "scalar", f"{loops[0].removeprefix('h_')} has a for loop"
    return "lanes", None


def calendar_of(every: int | str, panel: Panel) -> NDArray[np.int8]:
    """Returns 1 for each date on which a rebalance is due: known at its close, so the first of a period."""
    if isinstance(every, int):
        return np.array(np.arange(panel.bars) % every == 0, dtype=np.int8)
    days = panel.dates // DAY_US
    if every == "weekly":
        periods = (days + 3) // 7  # 1970-01-01 was a Thursday: weeks begin on Monday
    else:
        periods = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return np.concatenate([[1], np.diff(periods) != 0]).astype(np.int8)


def bar_rows(panel: Panel, s: int, bar_of: Index) -> Floats:
    """Returns what a step reads of each own bar, in the order of declare.BAR_FIELDS: prices as traded."""
    bars = np.maximum(bar_of, 0)
    days = panel.dates[bars] // DAY_US
    fresh = np.ones(len(bar_of), dtype=np.bool_)
    fresh[1:] = (days[1:] != days[:-1]) | (bar_of[:-1] < 0)
    volume = np.full(panel.bars, np.nan) if panel.volume is None else panel.volume[s]
    columns = [
        values[bars] for values in (panel.open[s], panel.high[s], panel.low[s], panel.close[s], volume)
    ]
    return np.ascontiguousarray(np.stack([bar_of, *columns, fresh], axis=1, dtype=np.float64))


def wrong_order(
    source: Source, panel: Panel, symbol: str, bar: int, kind: str, want: float, text: str
) -> ProgramError:
    """Returns the error for an order that cannot be one."""
    date = shown_date(int(panel.dates[bar]), panel.dated)
    number = "a fraction from -1 to 1" if kind == "target" else "a finite number"
    said = f"step returned {kind}({want:g})" if source.kind == "step" else f"rebalance wants {want:g}"
    message = f"{said} for {symbol} on {date} ({text}): it must be {number}"
    return ProgramError("user_code", message, [Problem("strategy.source", message)])
