"""What the engine must know of a strategy before it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from berth_backtest.user.declare import Source

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Param:
    """A parameter: its default and the values it may take."""

    name: str
    default: float
    integer: bool
    least: float
    most: float
    choices: tuple[float, ...] | None = None
    step: float | None = None  # from `least` on


@dataclass(frozen=True)
class Series:
    """An indicator table: a function of columns, with arguments that are numbers or parameters."""

    name: str  # as the strategy reads it
    function: str
    columns: tuple[str, ...]
    arguments: tuple[str | float, ...]


@dataclass(frozen=True)
class Definition:
    """A strategy. `level_terms` are (factor, parameter or None) of what a series is compared with."""

    name: str
    params: tuple[Param, ...] = ()
    series: tuple[Series, ...] = ()
    move_kind: int = 0
    level_terms: tuple[tuple[float, str | None], ...] = ()
    valid: Callable[[dict[str, Floats]], NDArray[np.bool_]] | None = None
    invalid: str = ""  # what `valid` refuses, for the message when no set is left
    source: "Source | None" = None  # a user's own
