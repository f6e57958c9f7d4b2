"""Which dates a fold trains and tests on, and a run of those dates alone."""

from dataclasses import dataclass, replace

import numpy as np

from berth_backtest.data.panel import Panel, truncate
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.plan import Plan
from berth_backtest.spec.types import Validation

LEAST_TRAIN = 2  # bars: one has no deviation, so no Sharpe ratio


@dataclass(frozen=True)
class Fold:
    """Spans of bars, the end not among them; folds are counted from 0."""

    number: int
    train: tuple[int, int]
    test: tuple[int, int]


def folds_of(given: Validation, bars: int) -> tuple[Fold, ...]:
    """Returns the folds over so many distinct dates; raises where they do not fit."""
    test_bars = given.test_bars or bars // (given.folds + 1)
    if test_bars < 1:
        raise too_short("folds", f"{given.folds} folds need more than the {bars} dates of the run")
    first_test = bars - given.folds * test_bars
    most = first_test - given.purge
    if most < LEAST_TRAIN:
        text = f"{given.folds} tests of {test_bars} dates and a purge of {given.purge} leave no train"
        raise too_short("test_bars" if given.test_bars else "folds", f"{text}: the run has {bars} dates")
    if given.train_bars and given.train_bars > most:
        text = f"is more than the {most} dates before the first test and its purge"
        raise too_short("train_bars", text)
    found = []
    for number in range(given.folds):
        test = first_test + number * test_bars
        end = test - given.purge
        begin = 0 if given.anchored else end - (given.train_bars or most)
        found.append(Fold(number, (begin, end), (test, test + test_bars)))
    return tuple(found)


def too_short(name: str, text: str) -> ProgramError:
    return invalid(f"validation.{name}", text)


def segment(panel: Panel, begin: int, end: int) -> Panel:
    """Returns the panel of some bars; those before are warm-up, those after are not known."""
    known = truncate(panel, end)
    if begin == 0:
        return known
    # The last bar before `begin` is row 0, as it is of a run that starts there.
    row = known.own_row - begin
    code = np.repeat(np.arange(len(known.symbols)), np.diff(known.own_start))
    early = np.flatnonzero(row <= 0)
    row[early] = -1
    row[early[np.flatnonzero(np.diff(code[early], append=-1) != 0)]] = 0
    actions = known.actions[known.actions[:, 0] >= begin] if len(known.actions) else known.actions
    return replace(
        known,
        dates=known.dates[begin:],
        open=known.open[:, begin:],
        high=known.high[:, begin:],
        low=known.low[:, begin:],
        close=known.close[:, begin:],
        state=known.state[:, begin:],
        delisted=np.clip(known.delisted - begin, 0, end - begin),
        volume=None if known.volume is None else known.volume[:, begin:],
        own_row=row,
        actions=actions - np.array([begin, 0.0, 0.0, 0.0]) if len(actions) else actions,
        china=known.china and replace(known.china, limits=known.china.limits[begin:]),
    )


def plan_of(plan: Plan, span: tuple[int, int]) -> Plan:
    """Returns the plan of some bars of a run, which ends flat."""
    begin, end = span
    execution = replace(plan.spec.execution, close_at_end=True)
    benchmark = plan.benchmark
    return replace(
        plan,
        spec=replace(plan.spec, execution=execution),
        panel=segment(plan.panel, begin, end),
        targets=plan.targets[begin:end] if len(plan.targets) else plan.targets,
        benchmark=benchmark and replace(benchmark, returns=benchmark.returns[begin:end]),
    )
