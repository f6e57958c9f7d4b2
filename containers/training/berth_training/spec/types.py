"""The parsed spec."""

from dataclasses import dataclass, field
from typing import Any, Literal

from berth_backtest.spec.types import DataFile, DataSpec

Kind = Literal["regression", "classification"]
Method = Literal["walk_forward", "expanding", "purged_kfold", "cpcv", "random"]
SearchMethod = Literal["tpe", "random", "grid"]
Params = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One feature: a function of a symbol's own bars up to a date, `lag` bars earlier, ranked or not."""

    name: str
    function: str
    columns: tuple[str, ...]
    arguments: tuple[float, ...]
    lag: int
    ranked: bool
    path: str  # the field of the spec that asks for it

    @property
    def look_back(self) -> int:
        """Bars before the date that it reads. Averages that never forget count with their windows."""
        return self.lag + sum(int(x) for x in self.arguments)


@dataclass(frozen=True)
class Target:
    horizon: int  # bars
    entry: Literal["next_open", "close"] | None  # None: next_open where there is an open
    kind: Kind


@dataclass(frozen=True)
class Table:
    """The user's own rows. `label_end` is a column, `horizon` counts distinct times."""

    file: DataFile
    target: str
    kind: Kind
    time: str
    group: str | None
    horizon: int | None
    label_end: str | None
    features: tuple[str, ...] | None
    timezone: str | None


@dataclass(frozen=True)
class Preprocess:
    """None: what is usual for the model."""

    impute: Literal["median", "mean", "zero"] | None
    scale: Literal["standard", "robust", "none"] | None
    winsorize: float  # share of each tail; 0 = none


@dataclass(frozen=True)
class Model:
    name: str
    params: Params
    path: str


@dataclass(frozen=True)
class Ensemble:
    method: Literal["voting", "stacking", "bayesian_average"]
    members: tuple[Model, ...]


@dataclass(frozen=True)
class Axis:
    """One searched parameter: `values`, or a range from `low` to `high`, both included."""

    name: str
    form: Literal["values", "uniform", "log_uniform", "int_uniform"]
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Validation:
    method: Method
    folds: int
    test_folds: int
    train_dates: int | None
    test_dates: int | None
    purge: int | None  # None: the horizon
    embargo: int | None  # None: usual for the method
    holdout: float  # share of the dates


@dataclass(frozen=True)
class Search:
    method: SearchMethod
    trials: int
    space: tuple[Axis, ...]
    objective: str | None  # None: rmse or log_loss
    pruner: Literal["median", "none"]
    nested: bool
    validation: Validation
    seed: int


@dataclass(frozen=True)
class Output:
    importance: bool
    permutation: bool
    curves: bool
    plots: bool
    leakage_check: bool


@dataclass(frozen=True)
class Spec:
    data: DataSpec | None
    features: tuple[Column, ...]
    target: Target | None
    table: Table | None
    preprocess: Preprocess
    model: Model | None
    ensemble: Ensemble | None
    search: Search | None
    validation: Validation
    seed: int
    output: Output
    tracking: dict[str, str] = field(default_factory=dict)
    effective: dict[str, object] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        source = self.table or self.target
        assert source is not None  # parse_spec
        return source.kind

    @property
    def models(self) -> tuple[Model, ...]:
        if self.ensemble is not None:
            return self.ensemble.members
        assert self.model is not None  # parse_spec
        return (self.model,)
