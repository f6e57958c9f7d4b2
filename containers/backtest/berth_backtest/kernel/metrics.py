"""The metrics of one run from the kernel's sums, and their means over the symbols of a set."""

import math

import numpy as np
from numpy.typing import NDArray

from .jit import entry, hot, inner
from .layout import (
    DELISTED,
    EQUITY,
    FEES,
    GAINS,
    HELD,
    LOSSES,
    LOW,
    LOW_PEAK,
    MAX_BELOW,
    OPEN_TRADES,
    RAW,
    RUINED,
    SUM_D2,
    SUM_E,
    SUM_R,
    SUM_R2,
    TIES,
    TRADED,
    TRADES,
    WINS,
)

Floats = NDArray[np.float64]

METRICS = 16  # berth_backtest.metrics.NAMES
M_TRADES = 8  # among them

# Columns of a set's sums over its symbols, after the means.
R_TRADES, R_TIES, R_RUINED, R_DELISTED, R_FAULTS, R_COUNT, R_LEAST = range(METRICS, METRICS + 7)
REDUCED = METRICS + 7  # R_COUNT: symbols with an objective; R_LEAST: the least of them

# `year`: what a run's figures are annualised with.
Y_BARS, Y_CASH, Y_PERIODS, Y_RISK_FREE = range(4)


@entry
def fill_metrics(raw: Floats, year: Floats, out: Floats) -> None:
    """Fills out[row, metric] from raw[row, field]."""
    for i in range(len(raw)):
        metrics_row(raw[i], year, out[i])


@entry
def fill_drawdowns(equity: Floats, cash: float, out: Floats) -> None:
    """Fills out[account, bar] with equity / peak - 1, the peak starting at the cash."""
    for i in range(len(equity)):
        peak = cash
        for t in range(equity.shape[1]):
            peak = max(peak, equity[i, t])
            out[i, t] = equity[i, t] / peak - 1.0


@inner
def metrics_row(raw: Floats, year: Floats, out: Floats) -> None:
    """Fills a run's metrics, in the order of NAMES, by their standard definitions; NaN where undefined."""
    bars, cash, periods = year[Y_BARS], year[Y_CASH], year[Y_PERIODS]
    equity = raw[EQUITY]
    mean = raw[SUM_R] / bars - year[Y_RISK_FREE] / periods
    root = math.sqrt(periods)
    spread = max(raw[SUM_R2] - raw[SUM_R] * (raw[SUM_R] / bars), 0.0)
    deviation = math.sqrt(ratio(spread, bars - 1.0))
    growth = (equity / cash) ** (periods / bars) if equity > 0.0 else 0.0
    drawdown = raw[LOW] / raw[LOW_PEAK] - 1.0
    out[0] = equity / cash - 1.0
    out[1] = growth - 1.0
    out[2] = deviation * root
    out[3] = ratio(mean, deviation) * root
    out[4] = ratio(mean, math.sqrt(raw[SUM_D2] / bars)) * root
    out[5] = ratio(growth - 1.0, abs(drawdown))
    out[6] = drawdown
    out[7] = raw[MAX_BELOW]
    out[M_TRADES] = raw[TRADES]
    out[9] = raw[OPEN_TRADES]
    out[10] = ratio(raw[WINS], raw[TRADES])
    out[11] = ratio(raw[GAINS], raw[LOSSES])
    out[12] = raw[HELD] / bars
    out[13] = ratio(raw[TRADED], raw[SUM_E] / bars) * (periods / bars)
    out[14] = raw[FEES]
    out[15] = equity


@hot
def ratio(above: float, below: float) -> float:
    """Returns above / below, NaN where below is 0."""
    return above / below if below != 0.0 else math.nan


@inner
def reduce_set(raw: Floats, year: Floats, objective: int, row: Floats, out: Floats) -> None:
    """Adds a symbol to a set's sums: out[:METRICS] totals, row[METRICS:] how many are in each."""
    metrics_row(raw, year, row)
    for i in range(METRICS):
        if not math.isnan(row[i]):
            out[i] += row[i]
            row[METRICS + i] += 1.0
    out[R_TRADES] += row[M_TRADES]
    out[R_TIES] += raw[TIES]
    out[R_RUINED] += raw[RUINED]
    out[R_DELISTED] += raw[DELISTED]
    out[R_FAULTS] += raw[RAW]
    x = row[objective]
    if not math.isnan(x):
        out[R_COUNT] += 1.0
        out[R_LEAST] = min(out[R_LEAST], x)


@inner
def start_set(row: Floats, out: Floats) -> None:
    for i in range(REDUCED):
        out[i] = 0.0
    out[R_LEAST] = math.inf
    for i in range(METRICS):
        row[METRICS + i] = 0.0


@inner
def finish_set(row: Floats, out: Floats) -> None:
    """Turns totals into means over the symbols that have a value."""
    for i in range(METRICS):
        out[i] = out[i] / row[METRICS + i] if row[METRICS + i] > 0.0 else math.nan
