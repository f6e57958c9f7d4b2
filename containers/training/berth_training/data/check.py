"""Looks at the rows before anything is trained on them."""

from dataclasses import dataclass, replace

import numpy as np
from berth_backtest.errors import ProgramError, invalid

from berth_training.data.disk import column_of
from berth_training.data.frame import Floats, Frame, Mask

SHOWN = 5  # names in one message
# The largest float32: XGBoost and forests hold features as such, and squares of what is below stay finite.
LARGEST = float(np.finfo(np.float32).max)
SAME = 1.0 - 1e-9  # |correlation| of a feature with the target from which on it is the target


@dataclass(frozen=True)
class Looked:
    """What was seen of one feature."""

    missing: int  # in all rows
    empty: bool  # no value in any row with a target
    constant: bool  # one value in all rows with a target
    same: tuple[float, int] | None  # correlation with the target and its rows, where it is the target itself


def check_frame(frame: Frame, leakage: bool) -> Frame:
    """Returns the frame with what a reader must know; raises for what cannot be trained on.

    Infinite values and those past float32, features without any value, one class only and a target among
    the features end the run; constant features and missing values are kept, counted and told.
    """
    rows = len(frame.y)
    known = frame.known
    if not known.any():
        raise invalid("target", f"is not known in any of {rows} rows: the data is shorter than the horizon")
    refuse_infinite(frame, "target", "the target", frame.y)
    # Column by column: a matrix that is larger than the memory is never looked at as a whole.
    looked = [look(frame, i, known, leakage) for i in range(len(frame.names))]
    check_classes(frame, known)
    warnings = list(frame.warnings)
    empty = [one.empty for one in looked]
    if any(empty):
        text = f"{some(frame, empty)} has no value in any of {int(known.sum())} rows with a target"
        raise invalid("features", text)
    counts = [(name, one.missing) for name, one in zip(frame.names, looked, strict=True) if one.missing]
    if counts:
        listed = ", ".join(f"{name} {count}" for name, count in counts[:SHOWN])
        more = len(counts) - SHOWN
        text = f"missing values by feature, of {rows} rows: {listed}{f' and {more} more' if more > 0 else ''}"
        warnings.append(("missing_values", text))
    constant = [one.constant for one in looked]
    if any(constant):
        text = f"{some(frame, constant)} has one value in all {int(known.sum())} rows"
        warnings.append(("constant_features", text))
    refuse_target(frame, looked)
    return replace(frame, warnings=tuple(warnings))


def look(frame: Frame, i: int, known: Mask, leakage: bool) -> Looked:
    x = column_of(frame.x, i)
    refuse_infinite(frame, "features", frame.names[i], x)
    missing = np.isnan(x)
    x = x[known & ~missing]
    if len(x) == 0:
        return Looked(int(missing.sum()), True, False, None)
    constant = bool(x.max() == x.min())
    same = None if constant or not leakage else sameness(x, frame.y[known & ~missing])
    return Looked(int(missing.sum()), False, constant, same)


def some(frame: Frame, mask: list[bool]) -> str:
    names = [name for name, chosen in zip(frame.names, mask, strict=True) if chosen]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def refuse_infinite(frame: Frame, field: str, name: str, values: Floats) -> None:
    bad = np.abs(values) > LARGEST
    if bad.any():
        what = "infinite" if np.isinf(values[bad]).all() else f"beyond {LARGEST:.3g}, or infinite,"
        text = f"{name} is {what} in {int(bad.sum())} of {len(values)} rows"
        raise invalid(field, f"{text}, the first of them {place(frame, int(np.argmax(bad)))}")


def place(frame: Frame, row: int) -> str:
    from berth_backtest.data.dates import shown_date

    return (
        f"{frame.symbols[frame.symbol[row]]} on {shown_date(int(frame.dates[frame.date[row]]), frame.dated)}"
    )


def check_classes(frame: Frame, known: Mask) -> None:
    if frame.kind != "classification":
        return
    values = np.unique(frame.y[known])
    if not np.isin(values, (0.0, 1.0)).all():
        listed = ", ".join(f"{x:g}" for x in values[:SHOWN])
        raise invalid("target", f"has the classes {listed}: classification takes 0 and 1")
    if len(values) < 2:
        raise invalid("target", f"is {values[0]:g} in all {int(known.sum())} rows: there is one class only")


def sameness(x: Floats, y: Floats) -> tuple[float, int] | None:
    """Returns the correlation and its rows where a feature is the target, or a line through it."""
    if len(x) < 3 or x.std() == 0 or y.std() == 0:
        return None
    r = float(np.corrcoef(x, y)[0, 1])
    return (r, len(x)) if abs(r) >= SAME else None


def refuse_target(frame: Frame, looked: list[Looked]) -> None:
    for name, one in zip(frame.names, looked, strict=True):
        if one.same is not None:
            text = f"{name} is the target itself (correlation {one.same[0]:.9f} in {one.same[1]} rows)"
            hint = "leave it out, or turn off output.leakage_check if it is known before the target"
            error = invalid("features", text, hint)
            raise ProgramError("look_ahead", error.message, error.problems, hint)
