"""The parsed spec. Rates are fractions (0.001 = 10 bps), whatever the field's unit in JSON."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from berth_backtest.strategies.definition import Definition

Adjustment = Literal["none", "split", "total"]
Fill = Literal["next_open", "next_close", "close"]
Direction = Literal["long", "short", "both"]
StopReference = Literal["fill", "entry_close", "decision_close"]
SizingKind = Literal["all_in", "fraction", "units", "cash"]
Aggregate = Literal["mean", "median", "min"]
Drawn = Literal["list", "uniform", "log_uniform"]

FILLS: tuple[Fill, ...] = ("next_open", "next_close", "close")
STOPS = ("stop_loss", "take_profit", "trailing_stop")


@dataclass(frozen=True)
class DataFile:
    path: str
    sha256: str | None


@dataclass(frozen=True)
class DataSpec:
    """Which prices. `start` and `end` are texts of ISO 8601, None = all."""

    dataset: str | None
    files: tuple[DataFile, ...]
    symbols: tuple[str, ...] | None
    start: str | None
    end: str | None
    adjustment: Adjustment
    timezone: str | None
    bar_label: Literal["end", "start"]
    currency: str | None


@dataclass(frozen=True)
class Execution:
    fill: Fill | None  # None: next_open where there is an open, else next_close
    direction: Direction
    sizing: SizingKind
    sizing_x: float
    cash: float
    fee: float
    fee_min: float
    transfer: float
    stamp: float
    slippage: float
    borrow_per_year: float
    lot: float
    fractional: bool
    stop_reference: StopReference
    stop_slippage: bool
    close_at_end: bool
    retry_entries: bool
    profile: Literal["cn_a"] | None
    given: frozenset[str]  # the fields that the spec names, which a profile leaves alone


@dataclass(frozen=True)
class Search:
    objective: str
    aggregate: Aggregate
    min_trades: int
    seed: int
    prior_trials: int
    trials: int | None = None  # of random and tpe, None: a grid
    batch: int | None = None  # trials of tpe that are drawn together, None: another method

    @property
    def method(self) -> Literal["grid", "random", "tpe"]:
        if self.trials is None:
            return "grid"
        return "random" if self.batch is None else "tpe"


@dataclass(frozen=True)
class Output:
    top_k: int
    metrics: Literal["auto", "all"]
    tearsheet: bool
    look_ahead_check: bool
    robustness: bool


@dataclass(frozen=True)
class Predictions:
    """A file of predictions and what is made of them on each `every`-th date."""

    file: DataFile
    path: int  # of those that combinatorial validation makes
    rule: Literal["top_k", "sign", "threshold"]
    x: float  # symbols of top_k, the threshold; 0 for sign
    every: int  # dates


@dataclass(frozen=True)
class Strategy:
    definition: Definition
    entry: Literal["cross", "level"]
    signals: DataFile | None = None  # a file of wanted fractions
    rebalance: int | str | None = None  # how often, of strategies that set weights: bars, weekly, monthly
    predictions: Predictions | None = None

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def from_file(self) -> bool:
        """Whether what it wants stands in a file, which cannot be checked for look-ahead."""
        return self.signals is not None or self.predictions is not None


@dataclass(frozen=True)
class Portfolio:
    mode: Literal["per_symbol", "shared"]
    call_sequence: Literal["auto", "given"]


@dataclass(frozen=True)
class Axis:
    """One parameter and the values it takes, in the order of the spec; the bounds of what is continuous."""

    name: str
    values: NDArray[np.float64]
    integer: bool
    default: bool  # left out of `parameters`
    drawn: Drawn = "list"

    @property
    def continuous(self) -> bool:
        return self.drawn != "list"


@dataclass(frozen=True)
class Validation:
    """Walk-forward over the distinct dates; None: what follows from the folds."""

    folds: int
    train_bars: int | None
    test_bars: int | None
    anchored: bool
    purge: int


@dataclass(frozen=True)
class BenchmarkSpec:
    """One symbol of the data, or a file of prices; neither: the run's symbols in equal weights."""

    symbol: str | None = None
    file: DataFile | None = None


@dataclass(frozen=True)
class Spec:
    data: DataSpec
    strategy: Strategy
    axes: tuple[Axis, ...]  # alphabetical
    search: Search
    execution: Execution
    portfolio: Portfolio
    periods_per_year: float | None
    risk_free: float
    output: Output
    benchmark: BenchmarkSpec | None
    validation: Validation | None
    effective: dict[str, object]  # the spec with every default filled in, but `execution.fill`
