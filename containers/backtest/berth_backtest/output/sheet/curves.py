"""Curves over time: drawn here, and given to the page's script to be read out and zoomed."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import shown_date
from berth_backtest.honest.blocks import returns_of
from berth_backtest.output.best import Best
from berth_backtest.output.charts import thin
from berth_backtest.output.sheet.facts import rolling_sharpe
from berth_backtest.output.sheet.plot import (
    TALL,
    WIDE,
    Span,
    area,
    below,
    line,
    percent,
    plot,
    scale,
    short,
    span_of,
)
from berth_backtest.output.tables import drawdowns
from berth_backtest.plan import Plan

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

MAX_DATES = 5_000  # on the page: twenty years of days; of more, each stretch's highest and lowest equity
DIGITS = 6  # of a value on the page
LABELS = 9  # dates under a plot
FORMS: dict[str, Callable[[float], str]] = {
    "money": lambda x: f"{x:,.0f}" if abs(x) >= 100 else f"{x:,.4g}",
    "percent": lambda x: f"{x * 100:.2f} %",
    "ratio": lambda x: f"{x:.2f}",
}
TICK_FORMS: dict[str, Callable[[float], str]] = {
    "money": short,
    "percent": percent,
    "ratio": lambda x: f"{x:.4g}",
}


@dataclass(frozen=True)
class Series:
    name: str
    kind: str  # its class in the style sheet
    values: Floats
    filled: bool = False  # down or up to 0


@dataclass(frozen=True)
class Curve:
    """One plot; `floor` and `ceiling` are values that it shows in any case."""

    name: str
    form: str
    series: tuple[Series, ...]
    floor: float | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class Curves:
    """Plots of the same dates; `marks` are places between them where a fold begins."""

    dates: list[str]
    plots: dict[str, Curve]
    marks: list[int]
    left_out: int  # dates
    window: int  # returns of a rolling Sharpe ratio


def curves_of(plan: Plan, best: Best, starts: list[int]) -> Curves:
    """Returns what is shown of the best set over time; `starts` are the bars at which folds begin."""
    cash = plan.spec.execution.cash * len(plan.accounts)
    window = round(plan.periods / 2)
    free = plan.spec.risk_free / plan.periods
    returns = returns_of(best.equity, cash)
    owned = np.where(best.equity > 0.0, best.equity, np.inf)
    rolling = [Series("Strategy", "series", rolling_sharpe(returns, free, plan.periods, window))]
    money = [Series("Equity", "series", best.equity)]
    if plan.benchmark is not None:
        other = plan.benchmark.returns
        name = plan.benchmark.name
        money.append(Series(name, "other", np.asarray(cash * np.cumprod(1.0 + other))))
        rolling.append(Series(name, "other", rolling_sharpe(other, free, plan.periods, window)))
    exposure = [Series("Long", "long", best.long / owned, filled=True)]
    if best.short.any():
        exposure.append(Series("Short", "short", best.short / owned, filled=True))
    found = [
        Curve("equity", "money", tuple(money)),
        Curve(
            "drawdown",
            "percent",
            (Series("Drawdown", "under", drawdowns(best.equity, cash), filled=True),),
            ceiling=0.0,
        ),
        Curve("sharpe", "ratio", tuple(rolling), floor=0.0),
        Curve("exposure", "percent", tuple(exposure), floor=0.0),
    ]
    kept = thin(best.equity, MAX_DATES)
    dates = [shown_date(int(us), plan.panel.dated) for us in plan.panel.dates[kept]]
    marks = [int(np.searchsorted(kept, start)) for start in starts]
    plots = {one.name: thinned(one, kept) for one in found}
    return Curves(dates, plots, marks, plan.panel.bars - len(kept), window)


def thinned(curve: Curve, kept: Index) -> Curve:
    return replace(curve, series=tuple(replace(one, values=one.values[kept]) for one in curve.series))


def draw(curves: Curves, name: str, about: str, size: str = "", title: str = "") -> str:
    """Returns a plot with its legend, which says the last values until the script says others."""
    curve = curves.plots[name]
    span = span_of([one.values for one in curve.series], curve.floor, curve.ceiling)
    grid, ys = scale(span, TICK_FORMS[curve.form])
    body = grid + marks_of(curves) + zero_line(curve, span)
    # What is compared with lies under what is compared.
    for one in reversed(curve.series):
        body += (area if one.filled else line)(one.values, span, one.kind)
    body += '<rect class="chosen" y="0" width="0" height="300"/><path class="cursor"/>'
    last = len(curves.dates) - 1
    # The nearest dates, halves up: the script's are the same.
    steps = LABELS - 1 if last >= LABELS - 1 else 1
    labels = [curves.dates[(2 * last * i + steps) // (2 * steps)][:10] for i in range(steps + 1)]
    head = legend(curves, curve, title)
    inside = plot(body, ys, below(labels), about, size)
    return f'<figure class="curve" data-curve="{name}">{head}{inside}</figure>'


def legend(curves: Curves, curve: Curve, title: str) -> str:
    form = FORMS[curve.form]
    keys = "".join(
        f'<span class="key {one.kind}">{escape(one.name)} <b>{last_of(one.values, form)}</b></span>'
        for one in curve.series
    )
    name = f"<strong>{escape(title)}</strong>" if title else ""
    return f"<figcaption>{name}<output>{keys}<time>{escape(curves.dates[-1])}</time></output></figcaption>"


def last_of(values: Floats, form: Callable[[float], str]) -> str:
    return "\N{EN DASH}" if np.isnan(values[-1]) else escape(form(float(values[-1])))


def marks_of(curves: Curves) -> str:
    last = max(len(curves.dates) - 1, 1)
    path = "".join(f"M{WIDE * at / last:.1f} 0V{TALL}" for at in curves.marks)
    return f'<path class="mark" d="{path}"/>'


def zero_line(curve: Curve, span: Span) -> str:
    if curve.floor is None or not span.low < 0.0 < span.high:
        return '<path class="zero"/>'
    return f'<path class="zero" d="M0 {float(span.y(np.array([0.0]))[0]):.1f}H{WIDE}"/>'


def data_of(curves: Curves) -> str:
    """Returns what the script reads, as an element of the page."""
    plots = {
        name: {
            "form": curve.form,
            "floor": curve.floor,
            "ceiling": curve.ceiling,
            "series": [{"filled": one.filled, "values": rounded(one.values)} for one in curve.series],
        }
        for name, curve in curves.plots.items()
    }
    found = {"dates": curves.dates, "marks": curves.marks, "plots": plots}
    # No value may end the element that it stands in.
    text = json.dumps(found, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="curves">{text}</script>'


def rounded(values: Floats) -> list[float | None]:
    """Returns values of DIGITS digits, whole ones as such; None for NaN."""
    found: list[float | None] = []
    for x in values.tolist():
        short_x = None if math.isnan(x) else float(f"{x:.{DIGITS}g}")
        whole = short_x is not None and short_x.is_integer() and abs(short_x) < 1e15
        found.append(int(short_x) if short_x is not None and whole else short_x)
    return found
