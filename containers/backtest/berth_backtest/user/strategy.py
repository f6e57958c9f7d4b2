"""A user's strategy as the engine's definition of one, and as what the kernel calls."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import DAY_US, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.errors import Problem, ProgramError, invalid
from berth_backtest.strategies.definition import Definition
from berth_backtest.user.declare import NEEDED, Source

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

STEPS = 5  # kernel.moves.STEPS, which is not imported before a spec is known to be right


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
        STEPS,
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


def path_of(source: Source | None) -> tuple[str, str | None]:
    """Returns how the strategy runs, and why not in lanes if it does not."""
    if source is None or "step" not in source.checked:
        return "events", None
    loops = [name for name, checked in source.checked.items() if checked.loops]
    if loops:
        return "scalar", f"{loops[0].removeprefix('h_')} has a for loop"
    return "lanes", None


def bar_rows(panel: Panel, own: dict[str, Floats], bar_of: Index) -> Floats:
    """Returns what a step reads of each own bar, in the order of declare.BAR_FIELDS."""
    skip = len(own["close"]) - len(bar_of)
    days = panel.dates[np.maximum(bar_of, 0)] // DAY_US
    fresh = np.ones(len(bar_of), dtype=np.bool_)
    fresh[1:] = (days[1:] != days[:-1]) | (bar_of[:-1] < 0)
    volume = own.get("volume", np.full(len(own["close"]), np.nan))
    columns = [bar_of, own["open"][skip:], own["high"][skip:], own["low"][skip:], own["close"][skip:]]
    return np.ascontiguousarray(np.stack([*columns, volume[skip:], fresh], axis=1, dtype=np.float64))


def wrong_order(panel: Panel, symbol: str, bar: int, kind: str, want: float, text: str) -> ProgramError:
    """Returns the error for an order that cannot be one."""
    date = shown_date(int(panel.dates[bar]), panel.dated)
    number = "a fraction from -1 to 1" if kind == "target" else "a finite number"
    message = f"step returned {kind}({want:g}) for {symbol} on {date} ({text}): it must be {number}"
    return ProgramError("user_code", message, [Problem("strategy.source", message)])
