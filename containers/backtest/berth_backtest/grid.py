"""The parameter sets of a run: the cartesian product of the axes, the last one fastest, or draws from it.

A point is a set's number in that product, or that of its draw, invalid sets counted. Nothing here holds
the whole product: sets are derived from their numbers, some at a time.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from berth_backtest.draws import permuted, shares
from berth_backtest.errors import invalid
from berth_backtest.metrics import MINIMISED
from berth_backtest.spec.types import STOPS, Axis, Search
from berth_backtest.strategies.definition import Definition
from berth_backtest.tpe import Drawn, suggest

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

AT_ONCE = 1_000_000  # sets looked at together: some 50 MB
COUNTED = 10_000_000  # sets whose valid ones are counted before the run: a second at most


@dataclass(frozen=True)
class Grid:
    """`valid` says which sets are run, None: all. `known` is their number if it was counted."""

    axes: tuple[Axis, ...]
    valid: Callable[[dict[str, Floats]], NDArray[np.bool_]] | None
    known: int | None
    trials: int | None = None  # draws of a search
    seed: int = 0
    drawn: Drawn | None = None  # the trials of TPE

    @property
    def space(self) -> int:
        """The sets of the whole product, without what is continuous."""
        return math.prod(len(axis.values) for axis in self.axes if not axis.continuous)

    @property
    def total(self) -> int:
        return self.space if self.trials is None else self.trials

    @property
    def continuous(self) -> bool:
        return any(axis.continuous for axis in self.axes)

    def places(self, name: str, points: Index) -> Index:
        """Returns the place of some sets on one axis."""
        at = [axis.name for axis in self.axes].index(name)
        values = len(self.axes[at].values)
        if self.drawn is not None:
            return np.asarray(self.drawn.table[points, at], dtype=np.int64)
        if self.continuous:  # no space to draw from without replacement
            return (shares(self.seed, points, at) * values).astype(np.int64)
        inner = math.prod(len(axis.values) for axis in self.axes[at + 1 :])
        numbers = points if self.trials is None else permuted(self.seed, points, self.space)
        return (numbers // inner) % values

    def codes(self, name: str, points: Index) -> tuple[Index, int]:
        """Returns numbers that are equal where a parameter is, and what they are below."""
        if not self.axis(name).continuous:
            return self.places(name, points), len(self.axis(name).values)
        values, codes = np.unique(self.values(name, points), return_inverse=True)
        return codes, len(values)

    def axis(self, name: str) -> Axis:
        return next(axis for axis in self.axes if axis.name == name)

    def values(self, name: str, points: Index) -> Floats:
        """Returns one parameter of some sets."""
        axis = self.axis(name)
        if axis.continuous and self.drawn is not None:
            return np.asarray(self.drawn.table[points, self.axes.index(axis)])
        if axis.continuous:
            return spread(axis, shares(self.seed, points, self.axes.index(axis)))
        return axis.values[self.places(name, points)]

    def stops(self, points: Index) -> Floats:
        return np.stack([self.values(name, points) for name in STOPS])

    def shown(self) -> list[Axis]:
        """Returns the axes that results have a column for: all but stops that were not asked for."""
        return [axis for axis in self.axes if not (axis.default and axis.name in STOPS)]

    def parameters(self, point: int) -> dict[str, int | float]:
        """Returns one set by name."""
        one = np.array([point])
        found: dict[str, int | float] = {}
        for axis in self.shown():
            value = float(self.values(axis.name, one)[0])
            found[axis.name] = int(value) if axis.integer else value
        return found

    def valid_from(self, first: int, end: int) -> Index:
        """Returns the valid sets from `first` up to `end`; for AT_ONCE sets at most."""
        points = np.arange(first, end, dtype=np.int64)
        if self.valid is None:
            return points
        return points[self.valid({axis.name: self.values(axis.name, points) for axis in self.axes})]

    def chunks(
        self, first: int, end: int, size: Callable[[], int], stopped: Callable[[], bool] = bool
    ) -> Iterator[tuple[Index, int]]:
        """Yields the valid sets of a span, at most `size()` at a time, with the number to go on from.

        Ends early where `stopped` while sets are drawn.
        """
        spans: Iterable[tuple[int, int]] = (
            (begin, min(begin + AT_ONCE, end)) for begin in range(first, end, AT_ONCE)
        )
        if self.drawn is not None:
            spans = suggest(self.drawn, self.axes, self.seed, (first, end), stopped)
        for begin, stop in spans:
            points, reached = self.valid_from(begin, stop), begin
            while reached < stop:
                part, points = np.split(points, [size()])
                reached = stop if len(points) == 0 else int(part[-1]) + 1
                yield part, reached

    def some_valid(self, number: int) -> int | None:
        """Returns the first valid set from a number on, None if there is none among the next AT_ONCE."""
        found = self.valid_from(number, min(number + AT_ONCE, self.total))
        return int(found[0]) if len(found) else None

    def neighbours(self, point: int) -> list[tuple[str, int]]:
        """Returns the valid sets that differ in one parameter by one of its values, with its name.

        Draws have none: the sets beside them were not drawn.
        """
        if self.trials is not None:
            return []
        found = []
        for axis in self.axes:
            order = np.argsort(axis.values, kind="stable")
            place = int(self.places(axis.name, np.array([point]))[0])
            at = int(np.flatnonzero(order == place)[0])
            inner = math.prod(len(other.values) for other in self.axes[self.axes.index(axis) + 1 :])
            for to in (at - 1, at + 1):
                if 0 <= to < len(order):
                    other = point + (int(order[to]) - place) * inner
                    found += [(axis.name, other)] if len(self.valid_from(other, other + 1)) else []
        return found

    def no_valid(self, definition: Definition) -> Exception:
        """Returns the error for a grid without a set to run."""
        name = definition.params[0].name
        return invalid(f"parameters.{name}", definition.invalid or "no set is valid")


def spread(axis: Axis, share: Floats) -> Floats:
    """Returns values of a continuous parameter at shares of its way from the lower to the upper bound."""
    low, high = (float(x) for x in axis.values)
    if axis.drawn == "uniform":
        return np.minimum(low + share * (high - low), high)
    # One by one: NumPy's exp may differ in its last digit with the number of values.
    base, width = math.log(low), math.log(high) - math.log(low)
    return np.array([min(max(math.exp(base + x * width), low), high) for x in share.tolist()])


def make_grid(axes: tuple[Axis, ...], definition: Definition, search: Search) -> Grid:
    """Returns the grid; sets that the strategy calls invalid are skipped."""
    grid = Grid(axes, definition.valid, None, search.trials, search.seed)
    if search.batch is not None:
        grid = replace(grid, drawn=at_random(grid, search.batch, search.objective in MINIMISED))
    if definition.valid is None:
        return replace(grid, known=grid.total)
    if grid.total > COUNTED or grid.drawn is not None:
        return grid
    known = sum(len(points) for points, _ in grid.chunks(0, grid.total, lambda: AT_ONCE))
    if known == 0:
        raise grid.no_valid(definition)
    return replace(grid, known=known)


def at_random(grid: Grid, batch: int, minimised: bool) -> Drawn:
    """Returns trials that are all drawn as a random search draws them, until TPE draws them anew."""
    assert grid.trials is not None
    trials = np.arange(grid.trials, dtype=np.int64)
    columns = [
        grid.values(axis.name, trials) if axis.continuous else grid.places(axis.name, trials)
        for axis in grid.axes
    ]
    table = np.stack(columns, axis=1).astype(np.float64)
    return Drawn(batch, minimised, table, np.full(grid.trials, np.nan))
