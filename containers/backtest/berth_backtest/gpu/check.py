"""Points that a GPU ran, once more on the CPU: a wrong device or compiler must not go unseen."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from berth_backtest.device import Check
from berth_backtest.errors import ProgramError
from berth_backtest.honest.sample import keys_of
from berth_backtest.kept import Arrays
from berth_backtest.metrics import COUNTS, NAMES

Floats = NDArray[np.float64]

CHECKED = 64  # points
EQUITY_BOUND = 1e-12  # relative, a thousand bars
METRIC_BOUND = 1e-9  # of every other metric, relative above 1
SEED = 1 << 59  # added to the seed: other points than those of samples


@dataclass
class SpotCheck:
    """Keeps the rows of a seeded sample of the points that came from a GPU."""

    seed: int
    rows: Arrays = field(default_factory=dict)

    def add(self, part: Arrays) -> None:
        rows = {name: part[name] for name in ("points", "means", "counts")}
        if self.rows:
            rows = {name: np.concatenate([self.rows[name], rows[name]]) for name in rows}
        first = np.argsort(keys_of(self.seed + SEED, rows["points"]), kind="stable")[:CHECKED]
        self.rows = {name: values[first] for name, values in rows.items()}

    def compare(self, known: Arrays, bars: int) -> Check:
        """Compares with what the CPU says of `rows`; raises for a difference that no tie explains.

        A tie is a comparison, or a floor of units, that a rounding could turn: such points may differ.
        """
        assert (known["points"] == self.rows["points"]).all()
        bounds = np.full(len(NAMES), METRIC_BOUND)
        bounds[NAMES.index("final_equity")] = equity = EQUITY_BOUND * max(1.0, bars / 1000.0)
        bounds[[NAMES.index(name) for name in COUNTS]] = equity  # means of whole numbers
        found = differences(self.rows["means"], known["means"])
        off = (found > bounds).any(axis=1)
        tied = (known["counts"][:, 0] > 0) | (self.rows["counts"][:, 0] > 0)
        if (off & ~tied).any():
            raise mismatch(self.rows, known, int(np.flatnonzero(off & ~tied)[0]), found, bounds)
        same = found[~off, NAMES.index("final_equity")]
        return Check(len(found), float(same.max(initial=0.0)), int(off.sum()))


def differences(one: Floats, other: Floats) -> Floats:
    """Returns differences, relative above 1; infinite where one alone is undefined."""
    with np.errstate(invalid="ignore"):
        found = np.abs(one - other)
        found = np.where(one == other, 0.0, found / np.maximum(np.abs(other), 1.0))
    undefined = np.isnan(one) | np.isnan(other)
    return np.where(undefined, np.where(np.isnan(one) & np.isnan(other), 0.0, np.inf), found)


def mismatch(rows: Arrays, known: Arrays, at: int, found: Floats, bounds: Floats) -> ProgramError:
    column = int(np.argmax(found[at] / bounds))
    text = (
        f"the GPU's figures are not to be trusted: {NAMES[column]} of point {int(rows['points'][at])} is "
        f"{rows['means'][at, column]:.17g} there and {known['means'][at, column]:.17g} on the CPU"
    )
    hint = "run it again on another machine, or on the CPU; if it stays, report it with this message"
    return ProgramError("runner_crashed", text, hint=hint)
