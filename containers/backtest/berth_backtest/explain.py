"""Says why an order was made, filled or rejected: one symbol of the best set on one date."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.data.dates import instant, shown_date
from berth_backtest.data.panel import Panel
from berth_backtest.errors import invalid
from berth_backtest.kernel import layout as k
from berth_backtest.market import market_of, own_bars
from berth_backtest.plan import Plan
from berth_backtest.record import Recording, record_orders
from berth_backtest.simulate import Simulator
from berth_backtest.strategies.series import fill_rows, rows_of

Floats = NDArray[np.float64]

STATES = {0: "no bar", 1: "a bar", 2: "suspended"}
REASONS = {field: name for name, field in k.REJECTED.items()}
WORDS = {
    "no_bar": "the symbol had no bar",
    "suspended": "trading was suspended",
    "cash": "the cash did not reach for one lot",
    "end_of_data": "the data ended",
    "limit": "the price was at its limit",
    "t_plus_1": "the units were bought on the same date",
}


def explain(plan: Plan, simulator: Simulator, point: int, symbol: str, text: str) -> list[str]:
    """Returns lines of text on what a set did with a symbol on a date. Raises for an unknown one."""
    panel = plan.panel
    if symbol not in panel.symbols:
        raise invalid(
            "", f"--explain: {symbol[:60]} is no symbol of the run: {', '.join(panel.symbols[:20])}"
        )
    s, t = panel.symbols.index(symbol), bar_at(panel, text)
    run, orders = record_orders(simulator, point)
    chosen = ", ".join(f"{name} {value:g}" for name, value in plan.grid.parameters(point).items())
    date = day(panel, t)
    lines = [f"{symbol} on {date}, point {point} ({chosen or 'no parameters'})"]
    lines.append(f"  bar       {shown_bar(panel, s, t)}")
    lines += [f"  table     {line}" for line in shown_tables(plan, panel, s, t, point)]
    mine = orders.events[orders.events[:, k.L_CELL] == s]
    before = run.units[t - 1, s] if t > 0 else 0.0
    lines.append(f"  before    {holding(float(before))}")
    happened = [told(panel, mine, row) for row in mine[mine[:, k.L_BAR] == t]]
    happened += stops(panel, run, s, t)
    if not happened:
        happened = [nothing(panel, s, t)]
    lines += [f"  {what}" for what in happened]
    lines.append(f"  after     {holding(float(run.units[t, s]))}")
    return lines


def bar_at(panel: Panel, text: str) -> int:
    """Returns the run's bar on a date; of several on a date the last."""
    try:
        datetime.fromisoformat(text)
        at = instant(text, end=True)
    except ValueError:
        raise invalid("", f"--explain: {text[:40]!a} is no date such as 2010-01-31") from None
    t = int(np.searchsorted(panel.dates, at, side="right")) - 1
    if t < 0 or (t == panel.bars - 1 and text[:10] > day(panel, t)[:10]):
        first, last = day(panel, 0), day(panel, panel.bars - 1)
        raise invalid("", f"--explain: {text[:40]} lies outside the run, {first} to {last}")
    if day(panel, t)[:10] != text[:10]:
        later = day(panel, min(t + 1, panel.bars - 1))
        raise invalid(
            "", f"--explain: {text[:40]} is no date of the run; near it are {day(panel, t)}, {later}"
        )
    return t


def day(panel: Panel, t: int) -> str:
    return shown_date(int(panel.dates[t]), panel.dated)


def shown_bar(panel: Panel, s: int, t: int) -> str:
    if panel.state[s, t] != 1:
        return STATES[int(panel.state[s, t])]
    names = ["close"] + (["low", "high"] if panel.has_range else []) + (["open"] if panel.has_open else [])
    values = {"open": panel.open, "high": panel.high, "low": panel.low, "close": panel.close}
    return ", ".join(f"{name} {values[name][s, t]:.10g}" for name in reversed(names))


def shown_tables(plan: Plan, panel: Panel, s: int, t: int, point: int) -> list[str]:
    """Returns the strategy's series at this bar and at the symbol's bar before."""
    market = market_of(plan, panel, [s])
    at = int(np.searchsorted(market.books.bar_of, t, side="right")) - 1
    series = plan.spec.strategy.definition.series
    if at < 0 or not series:
        return []
    rows, picks = rows_of(series, plan.grid, np.array([point]))
    table = fill_rows(rows, own_bars(panel, s), int(market.skips[0]))
    found: dict[str, str] = {}
    for one, pick in zip(series, picks[0], strict=True):
        row = rows[pick]
        name = f"{row.function}({', '.join([*row.columns, *[f'{x:g}' for x in row.arguments]])})"
        label = name if one.name == one.function else f"{one.name} = {name}"
        before = f" (the bar before {table[pick, at - 1]:.10g})" if at > 0 else ""
        found[label] = f"{label} {table[pick, at]:.10g}{before}"
    return list(found.values())


def holding(units: float) -> str:
    return f"{units:.10g} units" if units else "flat"


def told(panel: Panel, events: Floats, row: Floats) -> str:
    """Returns one event of the date in words, with what came of a decision or what led to a fill."""
    units, price = row[k.L_UNITS], row[k.L_PRICE]
    if row[k.L_WHAT] == k.DECIDES:
        kind = k.ORDERS[int(row[k.L_KIND])]
        wanted = f" {units:g}" if kind in ("target", "units") else ""
        return f"decided   {kind}{wanted} at the close of {price:.10g}{outcome(panel, events, row)}"
    if row[k.L_WHAT] == k.REJECTS:
        reason = REASONS[int(row[k.L_KIND])]
        return f"rejected  {reason}: {WORDS[reason]}{origin(panel, events, row)}"
    side = "bought" if units > 0 else "sold"
    reason = k.REASONS[int(row[k.L_KIND])]
    why = origin(panel, events, row) if reason == "signal" else f" by {reason}"
    return f"filled    {side} {abs(units):.10g} at {price:.10g}, costs {row[k.L_COST]:.10g}{why}"


def outcome(panel: Panel, events: Floats, row: Floats) -> str:
    """Says what became of a decision: the next fill or rejection before the next decision."""
    at = int(np.flatnonzero((events == row).all(axis=1))[0])
    for later in events[at + 1 :]:
        if later[k.L_WHAT] == k.DECIDES:
            break
        date = day(panel, int(later[k.L_BAR]))
        if later[k.L_WHAT] == k.REJECTS:
            return f"; rejected on {date}: {REASONS[int(later[k.L_KIND])]}"
        if k.REASONS[int(later[k.L_KIND])] == "signal":
            return f"; filled on {date} at {later[k.L_PRICE]:.10g}"
    return "; it changed nothing: the position was as wanted"


def origin(panel: Panel, events: Floats, row: Floats) -> str:
    """Says which decision led to a fill or a rejection."""
    at = int(np.flatnonzero((events == row).all(axis=1))[0])
    for earlier in events[:at][::-1]:
        if earlier[k.L_WHAT] == k.DECIDES:
            return f", decided on {day(panel, int(earlier[k.L_BAR]))}"
    return ""


def stops(panel: Panel, run: Recording, s: int, t: int) -> list[str]:
    """Says which trades ended on the date, and with what gain."""
    trades = run.trades[(run.trades[:, k.T_CELL] == s) & (run.trades[:, k.T_EXIT_BAR] == t)]
    return [
        f"trade     of {day(panel, int(row[k.T_ENTRY_BAR]))} ended by "
        f"{k.REASONS[int(row[k.T_REASON])]}: pnl {row[k.T_PNL]:.10g}"
        for row in trades
    ]


def nothing(panel: Panel, s: int, t: int) -> str:
    if panel.state[s, t] != 1:
        return f"no order  {STATES[int(panel.state[s, t])]}: nothing is decided or filled on such a date"
    return "no order  nothing was due, and the strategy asked for no change at the close"


def known_best(out: Path, plan: Plan) -> int | None:
    """Returns the best point of a result that is of this very spec and data, None without one."""
    try:
        found: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
        same = found["effective_spec"] == json.loads(json.dumps(plan.effective))
        if not same or found["data"]["sha256"] != plan.panel.sha256:
            return None
        point = int(found["best"]["point"])
        if plan.grid.drawn is not None:
            plan.grid.drawn.put(point, plan.grid.axes, found["best"]["parameters"])
        return point
    except (OSError, ValueError, KeyError, TypeError):
        return None
