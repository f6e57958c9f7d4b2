"""The second engine for wanted fractions of equity: adds, reductions and reversals, one purse a symbol."""

import math

from tests.reference import Bar, Engine, Rules, Run


class TargetEngine(Engine):
    def lots(self, units: float) -> float:
        """Cuts units to whole lots, towards zero."""
        return (
            units
            if self.rules.fractional
            else math.floor(units / self.rules.lot * (1 + 1e-12)) * self.rules.lot
        )

    def fill_target(self, t: int, want: float, price: float, close: float, decided: float) -> float | None:
        """Returns the order that is tried again: a part of an increase is none."""
        held = self.position.units if self.position else 0.0
        wanted = want * (self.cash + held * price) / price
        if held * wanted <= 0 and held != 0:
            self.leave(t, price, self.reason)
            held = 0.0
        more = abs(wanted) - abs(held)
        if abs(more) <= 1e-12 * abs(held):
            return None
        if more > 0 and self.lots(more) > 0:
            self.open(t, price, 1 if wanted > 0 else -1, close, decided, more)
        elif more < 0 and self.lots(-more) > 0:
            self.leave(t, price, self.reason, units=self.lots(-more))
        return None

    def miss_target(self, want: float, mark: float) -> float | None:
        """Returns what of an order waits on a date without a bar: exits and reductions."""
        held = self.position.units if self.position else 0.0
        if self.rules.retry or want == 0:
            return want
        wanted = want * (self.cash + held * mark) / mark
        if held == 0 or (wanted * held > 0 and abs(wanted) >= abs(held)):
            return None
        return want if wanted * held > 0 else 0.0


def simulate(rules: Rules, targets: dict[int, float], bars: list[Bar | str | None]) -> Run:
    """Runs one symbol by the fractions that are wanted at the closes of dates."""
    may = {"long": (1,), "short": (-1,), "both": (1, -1)}[rules.direction]
    engine = TargetEngine(rules, len(bars))
    order: float | None = None
    mark = decided = 0.0
    for t, bar in enumerate(bars):
        held = engine.position
        if held is not None and held.units < 0:
            charge = -held.units * mark * rules.borrow / rules.periods
            engine.cash -= charge
            held.borrow += charge
        if isinstance(bar, tuple):
            if order is not None and rules.fill == "next_open":
                order = engine.fill_target(t, order, bar[0], bar[3], decided)
            hit = engine.stop(t, bar)
            if order is not None and rules.fill == "next_close":
                order = None if hit else engine.fill_target(t, order, bar[3], bar[3], decided)
            mark = bar[3]
            if t in targets and not engine.run.ruined:
                order = targets[t] if math.copysign(1, targets[t]) in may else 0.0
                decided, engine.missed = mark, False
                if order == 0 and engine.position is None:
                    order = None  # to hold nothing of what is not held is no order
            if order is not None and rules.fill == "close":
                order = None if hit else engine.fill_target(t, order, mark, mark, decided)
        elif order is not None:
            engine.miss("suspended" if bar == "suspended" else "no_bar")
            order = engine.miss_target(order, mark)
        if engine.end_date(t, mark, order is not None):
            order = None
    if engine.position is not None:
        engine.book(engine.position, None, mark, None)
    return engine.run
