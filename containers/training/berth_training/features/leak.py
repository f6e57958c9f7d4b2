"""Looks for features that change when the future is cut off: they used what was not yet known."""

import numpy as np
from berth_backtest.data.dates import shown_date
from berth_backtest.data.panel import Panel, truncate
from berth_backtest.errors import Problem, ProgramError
from berth_backtest.look_ahead import CUTS, draw

from berth_training.features.compute import feature_grid, groups
from berth_training.spec.types import Column


def check_leaks(panel: Panel, columns: tuple[Column, ...], seed: int, threads: int = 1) -> dict[str, object]:
    """Compares the features with those of data that ends at the cuts; raises (exit 4) at a difference."""
    cuts = sorted({0, panel.bars - 1} | {draw(seed, i, panel.bars) for i in range(CUTS)})
    for _, some in groups(panel, columns):
        check_group(panel, some, cuts, threads)
    return {"checked": len(cuts), "ok": True, "first_difference": None}


def check_group(panel: Panel, columns: tuple[Column, ...], cuts: list[int], threads: int) -> None:
    grid = feature_grid(panel, columns, threads)
    for cut in cuts:
        short = feature_grid(truncate(panel, cut + 1), columns, threads)
        whole = grid[:, : cut + 1]
        different = np.argwhere(~((short == whole) | (np.isnan(short) & np.isnan(whole))))
        if len(different):
            s, bar, i = (int(x) for x in different[0])
            shown = [shown_date(int(panel.dates[at]), panel.dated) for at in (bar, cut)]
            text = (
                f"{columns[i].name} of {panel.symbols[s]} on {shown[0]} changes when the prices after "
                f"{shown[1]} are left out: it uses what was not known yet"
            )
            raise ProgramError("look_ahead", f"{columns[i].path}: {text}", [Problem(columns[i].path, text)])
