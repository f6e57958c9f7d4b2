"""A second engine in plain, slow Python, written from docs/conventions.md alone.

It shares no code with the program. One symbol and one parameter set at a time; lists and floats.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Bar = tuple[float, float, float, float]  # open, high, low, close


@dataclass
class Rules:
    fill: str = "next_open"
    direction: str = "long"
    entry: str = "cross"
    sizing: Any = "all_in"
    cash: float = 10_000.0
    fee: float = 0.001
    fee_min: float = 0.0
    transfer: float = 0.0
    stamp: float = 0.0
    slippage: float = 0.0005
    borrow: float = 0.0
    lot: float = 1.0
    least: float = 0.0
    fractional: bool = False
    stop_reference: str = "fill"
    stop_slippage: bool = True
    close_at_end: bool = False
    retry: bool = False
    stop_loss: float = 0.0
    take_profit: float = 0.0
    trailing: float = 0.0
    has_open: bool = True
    has_range: bool = True
    periods: float = 252.0
    t_plus_1: bool = False
    day_of: list[int] = field(default_factory=list)  # of each bar; empty: a day each
    limits: list[tuple[float, float]] = field(default_factory=list)  # of each bar, down and up; empty: none

    def is_same_day(self, t: int, other: int) -> bool:
        return self.day_of[t] == self.day_of[other] if self.day_of else t == other


@dataclass
class Position:
    """A trade under way. Prices are means by units, of all entries and of all exits so far."""

    side: int
    at: int
    added: int
    units: float = 0.0  # signed
    entry: float = 0.0
    bought: float = 0.0
    value: float = 0.0
    exit: float = 0.0
    sold: float = 0.0
    proceeds: float = 0.0
    most: float = 0.0
    opened: float = 0.0  # what the units that are held were bought or sold short for
    fees: float = 0.0
    reference: float = 0.0
    extreme: float | None = None  # of the bars after the fill
    borrow: float = 0.0  # less the dividends that it got


@dataclass
class Run:
    equity: list[float] = field(default_factory=list)
    units: list[float] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    fees: float = 0.0
    traded: float = 0.0
    ruined: bool = False


def average(closes: list[float], n: int) -> float | None:
    return math.fsum(closes[-n:]) / n if len(closes) >= n else None


def state_of(closes: list[float], fast: int, slow: int) -> int | None:
    a, b = average(closes, fast), average(closes, slow)
    if a is None or b is None:
        return None
    if abs(a - b) <= 1e-12 * b:
        return 0
    return 1 if a > b else -1


def near(x: float, y: float) -> bool:
    return abs(x - y) <= 1e-12 * abs(x)


class Engine:
    def __init__(self, rules: Rules, n: int) -> None:
        self.rules = rules
        self.n = n
        self.cash = rules.cash
        self.position: Position | None = None
        self.run = Run()
        self.missed = False  # the order that waits is counted as not filled already
        self.reason = "signal"  # of the exit that waits

    def costs(self, value: float, sale: bool) -> float:
        r = self.rules
        return max(r.fee * value, r.fee_min) + r.transfer * value + (r.stamp * value if sale else 0.0)

    def reject(self, reason: str) -> None:
        self.run.rejected[reason] = self.run.rejected.get(reason, 0) + 1

    def size(self, p: float, short: bool) -> float:
        """Returns the units of an entry by the sizing."""
        r = self.rules
        budget, most = self.free(), math.inf
        if isinstance(r.sizing, dict):
            if "fraction" in r.sizing:
                budget = r.sizing["fraction"] * self.cash
            elif "cash" in r.sizing:
                budget = min(budget, r.sizing["cash"])
            else:
                most = r.sizing["units"]
        return self.fitting(p, short, budget, most)

    def free(self) -> float:
        """Returns the cash that no short ties up: its proceeds, and as much again."""
        held = self.position
        return self.cash - (2 * held.opened if held is not None and held.side < 0 else 0.0)

    def fitting(self, p: float, short: bool, budget: float, most: float) -> float:
        """Returns the most units, cut to lots, whose value and costs fit a budget."""
        r = self.rules

        def fits(units: float) -> bool:
            value = units * p
            # Lots within a rounding of the budget fit it; any number of units needs no such room.
            return value + self.costs(value, short) <= budget * (1 if r.fractional else 1 + 1e-12)

        if not r.fractional:
            # Whole lots: counted down from above, until they fit.
            lots = math.floor(min(budget / p, most) / r.lot * (1 + 1e-12))
            while lots > 0 and not fits(lots * r.lot):
                lots -= 1
            return lots * r.lot if lots * r.lot >= r.least else 0.0
        low, high = 0.0, min(max(budget, 0.0) / p, most)
        if fits(high):
            return high
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def end_date(self, t: int, mark: float, waits: bool) -> bool:
        """Does what comes after a date's decisions; says whether the equity is gone."""
        if t == self.n - 1:
            if waits:
                self.miss("end_of_data")
            if self.rules.close_at_end and self.position is not None:
                self.close_at(t, mark, "end")
        e = self.cash + (self.position.units * mark if self.position else 0.0)
        gone = e <= 0 and not self.run.ruined
        if gone:
            if self.position is not None:
                self.close(t, mark, "ruined", costs=False)
            self.cash, self.run.ruined, e = 0.0, True, 0.0
        self.run.equity.append(max(e, 0.0))
        self.run.units.append(self.position.units if self.position else 0.0)
        return gone

    def is_limited(self, t: int, price: float, buys: bool) -> bool:
        if not self.rules.limits:
            return False
        down, up = self.rules.limits[t]
        return price >= up if buys else price <= down

    def slipped(self, t: int, price: float, buys: bool, slippage: float) -> float:
        """Returns the fill price, which is not beyond a limit."""
        p = price * (1 + slippage if buys else 1 - slippage)
        down, up = self.rules.limits[t] if self.rules.limits else (-math.inf, math.inf)
        return min(p, up) if buys else max(p, down)

    def miss(self, reason: str) -> None:
        """Counts an order once, by its first reason."""
        if not self.missed:
            self.reject(reason)
        self.missed = True

    def open(
        self, t: int, price: float, side: int, close: float, decided: float, wanted: float | None = None
    ) -> bool:
        """Buys or sells short by the sizing, or what is wanted; says whether nothing of the order is left."""
        if self.is_limited(t, price, side > 0):
            self.miss("limit")
            return not self.rules.retry
        p = self.slipped(t, price, side > 0, self.rules.slippage)
        units = self.size(p, side < 0) if wanted is None else self.fitting(p, side < 0, self.free(), wanted)
        if units <= 1e-12:
            self.miss("cash")
            return True
        value = units * p
        cost = self.costs(value, side < 0)
        self.cash -= side * value + cost
        if abs(self.cash) <= 1e-12 * value:
            self.cash = 0.0  # what rounding leaves is none
        self.run.fees += cost
        self.run.traded += value
        reference = {"fill": p, "entry_close": close, "decision_close": decided}[self.rules.stop_reference]
        held = self.position = self.position or Position(side, t, t)
        share = units / (held.bought + units)
        held.entry += (p - held.entry) * share
        held.reference += (reference - held.reference) * share
        held.units += side * units
        held.bought, held.value, held.added = held.bought + units, held.value + value, t
        held.most = max(held.most, abs(held.units))
        held.opened += value
        held.fees += cost
        return True

    def leave(self, t: int, price: float, reason: str, slip: bool = True, units: float | None = None) -> bool:
        """Closes the position, or units of it, where the exchange's rules let it; says whether it did."""
        held = self.position
        assert held is not None
        if self.is_limited(t, price, held.units < 0):
            self.miss("limit")
            return False
        if self.rules.t_plus_1 and held.units > 0 and self.rules.is_same_day(t, held.at):
            self.miss("t_plus_1")
            return False
        slippage = self.rules.slippage if slip else 0.0
        self.close(t, self.slipped(t, price, held.units < 0, slippage), reason, units=units)
        return True

    def close_at(self, t: int, mark: float, reason: str) -> None:
        """Closes the position at the last close, which no rule of an exchange is asked for."""
        held = self.position
        assert held is not None
        worse = self.rules.slippage
        self.close(t, mark * (1 - worse if held.units > 0 else 1 + worse), reason)

    def close(self, t: int, p: float, reason: str, costs: bool = True, units: float | None = None) -> None:
        held = self.position
        assert held is not None
        leaves = abs(held.units) if units is None else units
        value = leaves * p
        if costs:
            cost = self.costs(value, held.units > 0)
            self.run.fees += cost
            self.run.traded += value
            held.fees += cost
            self.cash += held.side * value - cost
        held.exit += (p - held.exit) * leaves / (held.sold + leaves)
        held.sold, held.proceeds = held.sold + leaves, held.proceeds + value
        held.opened -= leaves * held.entry
        held.units -= held.side * leaves
        if held.units == 0 or units is None:
            held.units = 0.0
            self.book(held, t, held.exit, reason)
            self.position = None

    def act(self, ratio: float, dividend: float) -> None:
        """Pays a dividend and splits."""
        held = self.position
        if held is None:
            return
        self.cash += held.units * dividend
        held.borrow -= held.units * dividend
        for name in ("units", "bought", "sold", "most"):
            setattr(held, name, getattr(held, name) * ratio)
        for name in ("entry", "exit", "reference"):
            setattr(held, name, getattr(held, name) / ratio)
        held.extreme = None if held.extreme is None else held.extreme / ratio

    def book(self, held: Position, t: int | None, p: float, reason: str | None) -> None:
        pnl = held.side * (held.proceeds - held.value) - held.fees - held.borrow
        if t is None:
            pnl += held.units * p
        self.run.trades.append(
            {
                "entry": held.at,
                "exit": t,
                "entry_price": held.entry,
                "exit_price": None if t is None else p,
                "units": held.side * held.most,
                "fees": held.fees,
                "pnl": pnl,
                "return": pnl / held.value,
                "reason": reason,
            }
        )

    def fill(self, t: int, order: int, price: float, close: float, decided: float) -> int | None:
        """Returns what of the order is tried again."""
        if self.position is not None and not self.leave(t, price, self.reason):
            return order if self.rules.retry else 0
        if order != 0 and not self.open(t, price, order, close, decided):
            return order
        return None

    def stop(self, t: int, bar: Bar) -> str | None:
        """Tests the stops of one bar; says which hit. What could not be sold is still held then."""
        held, r = self.position, self.rules
        if held is None:
            return None
        o, h, low, c = bar if r.has_range else (bar[3],) * 4
        long = held.units > 0
        sign = 1 if long else -1
        blind = r.stop_reference == "entry_close" and held.added == t
        sleeps = r.t_plus_1 and long and r.is_same_day(t, held.at)
        if not blind and not sleeps:
            level, reason = None, ""
            if r.stop_loss:
                level, reason = held.reference * (1 - sign * r.stop_loss), "stop_loss"
            if r.trailing:
                trail = held.reference if held.extreme is None else held.extreme
                trail = max(trail, held.reference) if long else min(trail, held.reference)
                trail *= 1 - sign * r.trailing
                if level is None or (sign * trail > sign * level and not near(trail, level)):
                    level, reason = trail, "trailing_stop"
            if level is not None:
                level = low if long and near(low, level) else h if not long and near(h, level) else level
                if (low <= level) if long else (h >= level):
                    beyond = min(o, level) if long else max(o, level)
                    price = c if not r.has_range else beyond if r.has_open else level
                    self.leave(t, price, reason, slip=r.stop_slippage)
                    return self.extended(held, h, low, reason)
            if r.take_profit:
                level = held.reference * (1 + sign * r.take_profit)
                level = h if long and near(h, level) else low if not long and near(low, level) else level
                if (h >= level) if long else (low <= level):
                    beyond = max(o, level) if long else min(o, level)
                    price = c if not r.has_range else beyond if r.has_open else level
                    self.leave(t, price, "take_profit", slip=False)
                    return self.extended(held, h, low, "take_profit")
        return self.extended(held, h, low, None)

    def extended(self, held: Position, h: float, low: float, reason: str | None) -> str | None:
        reach, farther = (h, max) if held.side > 0 else (low, min)
        held.extreme = reach if held.extreme is None else farther(held.extreme, reach)
        return reason


def wanted(rules: Rules, before: int | None, now: int | None, units: float) -> int | None:
    """Returns the order at a close: 1, -1, 0 (flat) or None."""
    if now is None:
        return None
    may = {"long": (1,), "short": (-1,), "both": (1, -1)}[rules.direction]
    begins = rules.entry == "level" or (before is not None and now != before)
    if now in may and begins and units * now <= 0:
        return now
    if (units > 0 and now != 1) or (units < 0 and now != -1):
        return 0
    return None


def withdraws(rules: Rules, before: int | None, now: int | None, units: float, order: int) -> bool:
    """Says whether a close takes back the order that waits: its state is over, or its exit's is back."""
    if units == 0:
        return now != order
    begins = rules.entry == "level" or (before is not None and now != before)
    return now is not None and units * now > 0 and begins


def simulate(
    rules: Rules,
    fast: int,
    slow: int,
    early: list[float],
    bars: list[Bar | str | None],
    delisted: int | None = None,
    actions: dict[int, tuple[float, float]] | None = None,
) -> Run:
    """Runs one symbol: `early` closes before the run; a bar, "suspended" or None at each date.

    `actions` are the split ratio and the dividend of dates.
    """
    n = len(bars)
    engine = Engine(rules, n)
    closes = list(early)  # as the strategy sees them: neither a split nor a dividend is a move
    factor, last = 1.0, closes[-1] if closes else 0.0
    before = state_of(closes, fast, slow)
    mark = decided = 0.0
    order: int | None = None
    for t, bar in enumerate(bars):
        held = engine.position
        if held is not None and held.units < 0:
            charge = -held.units * mark * rules.borrow / rules.periods
            engine.cash -= charge
            held.borrow += charge
        if actions and t in actions:
            ratio, dividend = actions[t]
            engine.act(ratio, dividend)
            factor *= ratio * (last / (last - dividend) if last > 0 else 1.0)
            mark, decided, last = mark / ratio, decided / ratio, last / ratio
        if t == delisted and engine.position is not None:
            engine.close_at(t, mark, "delisted")
        if isinstance(bar, tuple):
            if order is not None and rules.fill == "next_open":
                order = engine.fill(t, order, bar[0], bar[3], decided)
            if order is None:
                engine.missed = False
            hit = engine.stop(t, bar)
            if hit is not None:
                # What could not be sold is an exit that is tried again; what was due at the close is dropped.
                keeps = engine.position is not None
                order = 0 if keeps else order if rules.fill == "next_open" else None
                engine.reason = hit if keeps else engine.reason
            elif order is not None and rules.fill == "next_close":
                order = engine.fill(t, order, bar[3], bar[3], decided)
            mark = last = bar[3]
            closes.append(mark * factor)
            now = state_of(closes, fast, slow)
            units = engine.position.units if engine.position else 0.0
            new = None if engine.run.ruined else wanted(rules, before, now, units)
            if new is not None and not new == order == 0:
                order, decided, engine.missed, engine.reason = new, mark, False, "signal"
            elif order is not None and withdraws(rules, before, now, units, order):
                order = None
            before = now
            if order is not None and rules.fill == "close":
                if hit is None:
                    order = engine.fill(t, order, mark, mark, decided)
                elif engine.reason == "signal":
                    order = None
        elif order is not None:
            engine.miss("suspended" if bar == "suspended" else "no_bar")
            if not rules.retry:
                order = 0 if engine.position is not None else None
        if engine.end_date(t, mark, order is not None):
            order = None
    if engine.position is not None:
        engine.book(engine.position, None, mark, None)
    return engine.run


def replay(rules: Rules, signs: list[int | None], bars: list[Bar | str | None]) -> Run:
    """Runs one symbol whose states are given, None being undefined."""
    engine = Engine(rules, len(bars))
    order: int | None = None
    decided = 0.0
    for t, bar in enumerate(bars):
        assert isinstance(bar, tuple)
        if order is not None:
            engine.fill(t, order, bar[0] if rules.fill == "next_open" else bar[3], bar[3], decided)
        units = engine.position.units if engine.position else 0.0
        order = wanted(rules, signs[t - 1] if t else None, signs[t], units)
        decided = bar[3]
        engine.run.equity.append(engine.cash + units * bar[3])
        engine.run.units.append(units)
    if engine.position is not None:
        engine.book(engine.position, None, decided, None)
    return engine.run


def metrics(run: Run, rules: Rules, risk_free: float) -> dict[str, float | None]:
    """Returns the metrics by their definitions, from the curve and the trades."""
    n, cash, p = len(run.equity), rules.cash, rules.periods
    curve = [cash, *run.equity]
    r = [b / a - 1 if a > 0 else 0.0 for a, b in pairwise(curve)]
    x = [y - risk_free / p for y in r]
    mean = math.fsum(x) / n
    spread = math.fsum((y - math.fsum(r) / n) ** 2 for y in r)
    deviation = math.sqrt(spread / (n - 1)) if n > 1 and spread > 1e-24 else None
    down = math.sqrt(math.fsum(min(y, 0) ** 2 for y in x) / n)
    peak, worst, below, longest = cash, 0.0, 0, 0
    for e in run.equity:
        peak = max(peak, e)
        worst = min(worst, e / peak - 1)
        below = below + 1 if e < peak else 0
        longest = max(longest, below)
    final = run.equity[-1]
    annual = (final / cash) ** (p / n) - 1 if final > 0 else -1.0
    closed = [trade for trade in run.trades if trade["exit"] is not None]
    gains = math.fsum(trade["pnl"] for trade in closed if trade["pnl"] > 0)
    losses = -math.fsum(trade["pnl"] for trade in closed if trade["pnl"] <= 0)
    average_e = math.fsum(run.equity) / n
    flat = n == 1
    return {
        "total_return": final / cash - 1,
        "annual_return": annual,
        "annual_volatility": None if flat else (deviation or 0.0) * math.sqrt(p),
        "sharpe": mean / deviation * math.sqrt(p) if deviation else None,
        "sortino": mean / down * math.sqrt(p) if down else None,
        "calmar": annual / abs(worst) if worst else None,
        "max_drawdown": worst,
        "max_drawdown_bars": longest,
        "trades": len(closed),
        "open_trades": len(run.trades) - len(closed),
        "win_rate": sum(trade["pnl"] > 0 for trade in closed) / len(closed) if closed else None,
        "profit_factor": gains / losses if losses else None,
        "exposure": sum(units != 0 for units in run.units) / n,
        "turnover": run.traded / average_e * p / n if average_e else None,
        "fees": run.fees,
        "final_equity": final,
    }
