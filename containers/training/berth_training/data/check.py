"""Looks at the rows before anything is trained on them."""

from dataclasses import replace

import numpy as np
from berth_backtest.errors import ProgramError, invalid

from berth_training.data.frame import Frame, Mask

SHOWN = 5  # names in one message
SAME = 1.0 - 1e-9  # |correlation| of a feature with the target from which on it is the target


def check_frame(frame: Frame, leakage: bool) -> Frame:
    """Returns the frame with what a reader must know; raises for what cannot be trained on.

    Infinite values, features without any value, one class only and a target among the features end the
    run; constant features and missing values are kept, counted and told.
    """
    rows = len(frame.y)
    known = frame.known
    if not known.any():
        raise invalid("target", f"is not known in any of {rows} rows: the data is shorter than the horizon")
    check_infinite(frame)
    check_classes(frame, known)
    warnings = list(frame.warnings)
    missing = np.isnan(frame.x)
    empty: Mask = np.asarray(missing[known].all(axis=0))
    if empty.any():
        text = f"{some(frame, empty)} has no value in any of {int(known.sum())} rows with a target"
        raise invalid("features", text)
    counts = missing.sum(axis=0)
    if counts.any():
        listed = ", ".join(f"{frame.names[i]} {counts[i]}" for i in np.flatnonzero(counts)[:SHOWN])
        more = int((counts > 0).sum()) - SHOWN
        text = f"missing values by feature, of {rows} rows: {listed}{f' and {more} more' if more > 0 else ''}"
        warnings.append(("missing_values", text))
    with np.errstate(invalid="ignore"):
        constant = np.nanmax(frame.x[known], axis=0) == np.nanmin(frame.x[known], axis=0)
    if constant.any():
        text = f"{some(frame, constant)} has one value in all {int(known.sum())} rows"
        warnings.append(("constant_features", text))
    if leakage:
        check_target(frame, known, constant)
    return replace(frame, warnings=tuple(warnings))


def some(frame: Frame, mask: Mask) -> str:
    names = [frame.names[i] for i in np.flatnonzero(mask)]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def check_infinite(frame: Frame) -> None:
    for name, values in [*zip(frame.names, frame.x.T, strict=True), ("the target", frame.y)]:
        bad = np.isinf(values)
        if bad.any():
            field = "target" if name == "the target" else "features"
            text = f"{name} is infinite in {int(bad.sum())} of {len(values)} rows"
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


def check_target(frame: Frame, known: Mask, constant: Mask) -> None:
    """Refuses a feature that is the target itself, or a line through it."""
    y = frame.y[known]
    if y.std() == 0:
        return
    for i in np.flatnonzero(~constant):
        x = frame.x[known, i]
        there = ~np.isnan(x)
        if there.sum() < 3 or x[there].std() == 0 or y[there].std() == 0:
            continue
        r = float(np.corrcoef(x[there], y[there])[0, 1])
        if abs(r) >= SAME:
            text = f"{frame.names[i]} is the target itself (correlation {r:.9f} in {int(there.sum())} rows)"
            hint = "leave it out, or turn off output.leakage_check if it is known before the target"
            error = invalid("features", text, hint)
            raise ProgramError("look_ahead", error.message, error.problems, hint)
