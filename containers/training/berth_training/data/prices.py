"""From prices to rows: features and target at each bar of each symbol."""

from pathlib import Path

import numpy as np
from berth_backtest.data.check import BAR
from berth_backtest.data.dates import shown_date
from berth_backtest.data.panel import Panel

from berth_training.data.disk import create
from berth_training.data.frame import Frame, Matrix
from berth_training.data.stream import FILE
from berth_training.features.compute import feature_grid, feature_matrix, groups
from berth_training.features.targets import entry_of, target_grid
from berth_training.spec.types import Spec


def frame_of(spec: Spec, panel: Panel, folder: Path | None = None, threads: int = 1) -> Frame:
    """Returns a row for each bar. A bar without a date `horizon` later has no target.

    With a folder the features lie there and not in memory.
    """
    assert spec.target is not None  # parse_spec
    date, symbol = np.nonzero((panel.state == BAR).T)
    if folder is None:
        x: Matrix = feature_matrix(panel, spec.features, symbol, date, threads)
    else:
        values, x = create(folder / FILE, len(date), len(spec.features))
        for i, columns in groups(panel, spec.features):
            values[i : i + len(columns)] = feature_grid(panel, columns, threads)[symbol, date].T
    y = target_grid(panel, spec.target)[0][symbol, date]
    warnings = list(panel.warnings)
    # The last dates cannot have a target; others lack it where a symbol has no bar then.
    gaps = int(np.isnan(y)[date < panel.bars - spec.target.horizon].sum())
    if gaps:
        text = f"{gaps} rows have no target: their symbol has no bar where it begins or ends"
        warnings.append(("no_target", text))
    return Frame(
        names=tuple(column.name for column in spec.features),
        x=x,
        y=y,
        date=date.astype(np.int64, copy=False),
        symbol=symbol.astype(np.int64, copy=False),
        dates=panel.dates,
        dated=panel.dated,
        symbols=panel.symbols,
        horizon=spec.target.horizon,
        look_back=max((column.look_back for column in spec.features), default=0),
        kind=spec.target.kind,
        sha256=panel.sha256,
        warnings=tuple(warnings),
    )


def shown_data(given: object, panel: Panel) -> dict[str, object]:
    """Returns `data` as the prices complete it."""
    ends = [shown_date(int(us), panel.dated) for us in (panel.dates[0], panel.dates[-1])]
    known = given if isinstance(given, dict) else {}
    return {**known, "symbols": list(panel.symbols), "start": ends[0], "end": ends[1]}


def shown_target(given: object, panel: Panel, spec: Spec) -> dict[str, object]:
    """Returns `target` with the entry that was used."""
    assert spec.target is not None  # parse_spec
    return {**(given if isinstance(given, dict) else {}), "entry": entry_of(panel, spec.target)}
