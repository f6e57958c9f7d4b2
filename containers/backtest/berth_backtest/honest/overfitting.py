"""How far the search itself made the best point's figures: `overfitting` of result.json and its warning."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from berth_backtest.honest.blocks import Blocks, returns_of, whole_sharpes
from berth_backtest.honest.cscv import probability_of_overfitting
from berth_backtest.honest.deflated import deflated_sharpe, expected_maximum, variance_of
from berth_backtest.plan import Plan
from berth_backtest.sweep import Sweep

Floats = NDArray[np.float64]

SURE = 0.95  # a deflated Sharpe ratio below it does not rule luck out at the usual 5 %
EVEN = 0.5  # a choice that ranks below the middle as often as above it knows nothing


@dataclass(frozen=True)
class Overfitting:
    pbo: float | None
    deflated_sharpe: float | None
    trials: int
    sampled: int  # points that pbo and the variance of the Sharpe ratios are from
    expected_max_sharpe: float | None  # of the best of the trials without any skill, annualised


def overfitting_of(plan: Plan, sweep: Sweep, equity: Floats) -> Overfitting:
    """Returns the figures; `equity` is the best point's, summed over its accounts."""
    free = plan.spec.risk_free / plan.periods
    trials = sweep.tried + plan.spec.search.prior_trials
    blocks = sweep.blocks
    variance = None if blocks is None else spread_of(plan, blocks, free)
    returns = returns_of(equity, plan.spec.execution.cash * len(plan.accounts))
    luck = None
    if variance is not None or trials == 1:
        luck = expected_maximum(variance or 0.0, trials) * math.sqrt(plan.periods)
    return Overfitting(
        None if blocks is None else probability_of_overfitting(blocks, free),
        deflated_sharpe(returns, free, variance, trials),
        trials,
        0 if blocks is None else len(blocks.points),
        luck,
    )


def spread_of(plan: Plan, blocks: Blocks, free: float) -> float | None:
    """Returns the variance of the trials' Sharpe ratios.

    TPE draws where earlier trials were good: the spread of those would make luck too small. Its first
    batches were drawn at random and have that of the space.
    """
    sharpes = whole_sharpes(blocks, free)
    drawn = plan.grid.drawn
    first = None if drawn is None else variance_of(sharpes[blocks.points < drawn.at_random])
    return variance_of(sharpes) if first is None else first


def overfitting_warnings(found: Overfitting) -> list[tuple[str, str]]:
    """Returns what a reader must know of a choice among several points."""
    if found.trials < 2:
        return []
    if found.pbo is None and found.deflated_sharpe is None:
        text = f"the best of {found.trials} sets is shown; how far luck made it could not be measured"
        return [("overfitting_not_measured", text)]
    parts = []
    if found.deflated_sharpe is not None and found.deflated_sharpe < SURE:
        parts.append(f"its deflated Sharpe ratio is {found.deflated_sharpe:.3f}, below {SURE}")
    if found.pbo is not None and found.pbo >= EVEN:
        parts.append(f"the probability of overfitting is {found.pbo:.3f}")
    if not parts:
        return []
    return [("likely_overfit", f"the best of {found.trials} sets is shown, and {' and '.join(parts)}")]
