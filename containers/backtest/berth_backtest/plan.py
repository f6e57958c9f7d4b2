"""What is run: the spec after it met the data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.benchmark import Benchmark, load_benchmark
from berth_backtest.data.dates import DAY_US, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.data.predictions import check_rule, load_predictions
from berth_backtest.data.signals import load_signals
from berth_backtest.errors import invalid
from berth_backtest.grid import Grid, make_grid
from berth_backtest.spec.types import STOPS, Fill, Spec
from berth_backtest.user.strategy import check_columns, watches

DAILY_GAP = 4.0  # days: a median gap up to it is daily bars, with their week-ends and holidays
TRADING_DAYS = 252.0
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Plan:
    spec: Spec
    panel: Panel
    grid: Grid
    fill: Fill
    periods: float
    effective: dict[str, object]
    targets: NDArray[np.float64]  # [bar, symbol] of a file of signals or predictions, else empty
    warnings: tuple[tuple[str, str], ...] = ()  # of that file
    benchmark: Benchmark | None = None
    costs: float = 1.0  # what all costs are multiplied with

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of what has its own cash: the symbols, or the portfolio."""
        return ("portfolio",) if self.spec.portfolio.mode == "shared" else self.panel.symbols


def make_plan(spec: Spec, panel: Panel) -> Plan:
    """Returns the plan; raises where the data cannot do what the spec asks."""
    check_china(panel)
    fill = choose_fill(spec, panel)
    periods = choose_periods(spec, panel)
    source = spec.strategy.definition.source
    if source is not None:
        check_columns(source, panel)
    grid = make_grid(spec.axes, spec.strategy.definition, spec.search)
    effective = dict(spec.effective)
    execution, data = effective["execution"], effective["data"]
    assert isinstance(execution, dict)  # made by parse_spec
    assert isinstance(data, dict)
    effective["execution"] = {**execution, "fill": fill}
    effective["data"] = {
        **data,
        "symbols": list(panel.symbols),
        "start": shown_date(int(panel.dates[0]), panel.dated),
        "end": shown_date(int(panel.dates[-1]), panel.dated),
    }
    given = effective["parameters"]
    assert isinstance(given, dict)  # checked by parse_spec
    defaults = {
        axis.name: int(axis.values[0]) if axis.integer else float(axis.values[0])
        for axis in grid.shown()
        if axis.default
    }
    effective["parameters"] = {**defaults, **given}
    effective["periods_per_year"] = periods
    targets, warnings = wanted_fractions(spec, panel)
    benchmark = load_benchmark(spec.benchmark, spec.data, panel)
    return Plan(spec, panel, grid, fill, periods, effective, targets, warnings, benchmark)


def wanted_fractions(spec: Spec, panel: Panel) -> tuple[NDArray[np.float64], tuple[tuple[str, str], ...]]:
    """Returns what a file wants by [bar, symbol], and what is to be told of it; empty without a file."""
    signals, predictions = spec.strategy.signals, spec.strategy.predictions
    if signals is not None:
        return load_signals(signals, panel, spec.data.timezone), ()
    if predictions is None:
        return np.empty((0, 0)), ()
    check_rule(predictions, len(panel.symbols))
    shared = spec.portfolio.mode == "shared"
    targets, warnings = load_predictions(predictions, panel, spec.data.timezone, shared)
    return targets, tuple(warnings)


def check_china(panel: Panel) -> None:
    """Raises where the data lacks what the profile cn_a needs."""
    if panel.china is not None and panel.china.missing:
        listed = ", ".join(panel.china.missing)
        text = f"cn_a needs the columns {listed}, or limit_up and limit_down, which the data lacks"
        raise invalid("execution.profile", text)


def china_given(spec: Spec) -> dict[str, float]:
    """Returns the costs that the spec names itself."""
    ex = spec.execution
    fields = {
        "fee_bps": ("fee", ex.fee),
        "fee_min": ("fee_min", ex.fee_min),
        "transfer_fee_bps": ("transfer", ex.transfer),
        "stamp_duty_bps": ("stamp", ex.stamp),
    }
    return dict(pair for name, pair in fields.items() if name in ex.given)


def choose_fill(spec: Spec, panel: Panel) -> Fill:
    fill = spec.execution.fill
    if fill is None:
        return "next_open" if panel.has_open else "next_close"
    if fill == "next_open" and not panel.has_open:
        raise invalid("execution.fill", "next_open needs a column open, which the data lacks: use next_close")
    return fill


def choose_periods(spec: Spec, panel: Panel) -> float:
    """Returns periods_per_year: given, or 252 for daily bars."""
    if spec.periods_per_year is not None:
        return spec.periods_per_year
    proposal = propose_periods(panel)
    if proposal != TRADING_DAYS:
        raise invalid(
            "periods_per_year",
            f"must be given for bars that are not daily: {proposal:g} would fit their spacing",
        )
    return proposal


def propose_periods(panel: Panel) -> float:
    """Returns the bars of a year by the median gap between the run's dates."""
    if len(panel.dates) < 2:
        return TRADING_DAYS
    gap = float(np.median(np.diff(panel.dates))) / DAY_US
    if gap >= 1.0:
        return TRADING_DAYS if gap <= DAILY_GAP else float(round(DAYS_A_YEAR / gap))
    days = len(np.unique(panel.dates // DAY_US))
    return float(round(TRADING_DAYS * len(panel.dates) / days))


def kernel_rules(plan: Plan) -> NDArray[np.float64]:
    """Returns what the execution asks for, in the kernel's order."""
    from berth_backtest.kernel import layout as k

    ex = plan.spec.execution
    size = ex.sizing_x
    if ex.sizing == "units" and not ex.fractional and ex.profile is None:
        size = np.floor(size / ex.lot * (1.0 + k.TIE)) * ex.lot
    rules = np.zeros(k.RULES)
    rules[k.SLIPPAGE] = ex.slippage * plan.costs
    rules[k.BORROW] = ex.borrow_per_year / plan.periods * plan.costs
    rules[k.SIZING], rules[k.SIZE] = k.SIZINGS[ex.sizing], size
    rules[k.START_CASH], rules[k.RISK_FREE] = ex.cash, plan.spec.risk_free / plan.periods
    rules[k.FILL], rules[k.STOP_FROM] = k.FILLS[plan.fill], k.REFERENCES[ex.stop_reference]
    rules[k.STOP_SLIPPAGE], rules[k.CLOSE_AT_END] = ex.stop_slippage, ex.close_at_end
    rules[k.RETRY], rules[k.LEVEL] = ex.retry_entries, plan.spec.strategy.entry == "level"
    rules[k.HAS_OPEN], rules[k.HAS_RANGE] = plan.panel.has_open, plan.panel.has_range
    rules[k.LONG], rules[k.SHORT] = ex.direction != "short", ex.direction != "long"
    watched = any(axis.values.any() for axis in plan.grid.axes if axis.name in STOPS)
    rules[k.WATCH] = watched or watches(plan.spec.strategy.definition.source)
    rules[k.T_PLUS_1] = ex.profile == "cn_a"
    rules[k.GIVEN] = plan.spec.portfolio.call_sequence == "given"
    return rules
