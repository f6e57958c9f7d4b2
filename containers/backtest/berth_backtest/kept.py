"""What a sweep keeps of its points: all of them, or the best so far in bounded memory."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.score import rank_key

Arrays = dict[str, NDArray[Any]]  # columns by name, among them points and objective

SLACK = 4  # a selection may grow by a quarter before it is cut again: sorting less often


@dataclass
class Every:
    """Keeps all rows, in the order in which they come, in room for `most` of them.

    The room is asked for once: memory that nothing was written to is none yet, and rows that were put
    together at the end would be there twice.
    """

    most: int
    columns: Arrays = field(default_factory=dict)
    rows: int = 0

    def add(self, part: Arrays) -> None:
        """Copies rows; raises ValueError where there are more than can be."""
        end = self.rows + len(part["points"])
        if end > self.most:
            raise ValueError(f"{end} rows are more than the {self.most} that there are")
        for name, values in part.items():
            if name not in self.columns:
                self.columns[name] = np.empty((self.most, *values.shape[1:]), dtype=values.dtype)
            self.columns[name][self.rows : end] = values
        self.rows = end

    def arrays(self) -> Arrays:
        return {name: values[: self.rows] for name, values in self.columns.items()}


@dataclass
class Best:
    """Keeps the best `limit` rows, ties by point: the same rows in whatever order they come."""

    limit: int
    objective: str
    parts: list[Arrays] = field(default_factory=list)
    rows: int = 0
    worst: float = np.inf  # what ranks behind this key is not among the best

    def add(self, part: Arrays) -> None:
        chosen = rank_key(part["objective"], self.objective) <= self.worst
        self.parts.append({name: values[chosen] for name, values in part.items()})
        self.rows += int(chosen.sum())
        if self.rows > self.limit + self.limit // SLACK:
            self.arrays()

    def arrays(self) -> Arrays:
        """Returns the rows in the order of their points."""
        rows = join(self.parts)
        key = rank_key(rows["objective"], self.objective)
        best = np.lexsort((rows["points"], key))[: self.limit]
        if len(best) == self.limit:
            self.worst = float(key[best[-1]])
        order = best[np.argsort(rows["points"][best])]
        self.parts, self.rows = [{name: values[order] for name, values in rows.items()}], len(order)
        return self.parts[0]


def join(parts: list[Arrays]) -> Arrays:
    """Returns the parts one after the other; they lose their columns, so that memory holds them once."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
