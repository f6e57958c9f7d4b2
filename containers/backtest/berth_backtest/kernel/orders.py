"""Fills, costs and sizes of one lane: what happens at the few bars with an order."""

import math

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import inner
from berth_backtest.kernel.layout import (
    CASH,
    CASH_ORDERS,
    ENTRY,
    ENTRY_BAR,
    EXTREME,
    FEE,
    FEE_MIN,
    FEES,
    FRACTION,
    FROM_ENTRY_CLOSE,
    FROM_FILL,
    GAINS,
    GO_FLAT,
    GO_LONG,
    HELD,
    LOSSES,
    LOT,
    NONE,
    ORDER,
    REFERENCE,
    SIGNAL,
    SIZE,
    SIZE_CASH,
    SIZE_UNITS,
    SIZING,
    SLIPPAGE,
    STAMP,
    STOP_FROM,
    T_ENTRY,
    T_ENTRY_BAR,
    T_EXIT,
    T_EXIT_BAR,
    T_FEES,
    T_LANE,
    T_PNL,
    T_REASON,
    T_UNITS,
    TIE,
    TIES,
    TRADE_BORROW,
    TRADE_FEES,
    TRADED,
    TRADES,
    TRANSFER,
    UNITS,
    WINS,
)

Floats = NDArray[np.float64]


@inner
def fill_order(
    state: Floats,
    lane: int,
    t: int,
    price: float,
    close: float,
    decided: float,
    rules: Floats,
    trades: Floats,
) -> None:
    """Fills a lane's order at a bar's price: what is held goes first, then the new side opens."""
    order = state[ORDER + lane]
    state[ORDER + lane] = NONE
    if state[UNITS + lane] != 0.0:
        close_position(state, lane, t, price, rules[SLIPPAGE], SIGNAL, rules, trades)
    if order != GO_FLAT:
        open_position(state, lane, t, price, 1.0 if order == GO_LONG else -1.0, close, decided, rules)


@inner
def fill_costs(value: float, sale: bool, rules: Floats) -> float:
    cost: float = max(rules[FEE] * value, rules[FEE_MIN]) + rules[TRANSFER] * value
    return cost + rules[STAMP] * value if sale else cost


@inner
def open_position(
    state: Floats, lane: int, t: int, price: float, side: float, close: float, decided: float, rules: Floats
) -> None:
    """Buys (side 1) or sells short (-1) from flat, or counts the order as `cash`."""
    p = price * (1.0 + side * rules[SLIPPAGE])
    units = size_of(state, lane, p, side, rules)
    if not units > 0.0:
        state[CASH_ORDERS + lane] += 1.0
        return
    value = units * p
    cost = fill_costs(value, side < 0.0, rules)
    state[CASH + lane] -= side * value + cost
    state[UNITS + lane] = side * units
    state[ENTRY + lane] = p
    state[ENTRY_BAR + lane] = t
    state[TRADE_FEES + lane] = cost
    state[TRADE_BORROW + lane] = 0.0
    state[FEES + lane] += cost
    state[TRADED + lane] += value
    start = rules[STOP_FROM]
    reference = p if start == FROM_FILL else (close if start == FROM_ENTRY_CLOSE else decided)
    state[REFERENCE + lane] = reference
    state[EXTREME + lane] = reference


@inner
def size_of(state: Floats, lane: int, p: float, side: float, rules: Floats) -> float:
    """Returns the units whose value at p plus costs fits the budget, in whole lots.

    value + max(fee x value, least fee) + other costs <= budget is two linear conditions, so the
    largest size is the smaller of their two solutions.
    """
    budget = state[CASH + lane]
    if rules[SIZING] == FRACTION:
        budget *= rules[SIZE]
    elif rules[SIZING] == SIZE_CASH:
        budget = min(budget, rules[SIZE])
    others = 1.0 + rules[TRANSFER] + (rules[STAMP] if side < 0.0 else 0.0)
    units: float = min(budget / (p * (others + rules[FEE])), (budget - rules[FEE_MIN]) / (p * others))
    if rules[LOT] > 0.0:
        lots = units / rules[LOT]
        near = math.floor(lots + 0.5)
        # 10 x 100.1 for 1001: whether 10 or 9 lots fit must not hang on the last binary digit.
        if abs(lots - near) <= TIE * near:
            lots = near
            state[TIES + lane] += 1.0
        units = math.floor(lots) * rules[LOT]
    if rules[SIZING] == SIZE_UNITS:
        units = min(units, rules[SIZE])
    return units


@inner
def close_position(
    state: Floats,
    lane: int,
    t: int,
    price: float,
    slippage: float,
    reason: float,
    rules: Floats,
    trades: Floats,
) -> None:
    """Closes what a lane holds at a bar's price, worsened by the slippage, with costs."""
    units = state[UNITS + lane]
    p = price * (1.0 - slippage) if units > 0.0 else price * (1.0 + slippage)
    value = abs(units) * p
    cost = fill_costs(value, units > 0.0, rules)
    state[CASH + lane] += units * p - cost
    state[FEES + lane] += cost
    state[TRADED + lane] += value
    state[TRADE_FEES + lane] += cost
    end_trade(state, lane, t, p, reason, trades)


@inner
def end_trade(state: Floats, lane: int, t: int, p: float, reason: float, trades: Floats) -> None:
    """Books a closed trade and leaves the lane flat. trades[0, 0] counts the recorded ones."""
    pnl = trade_pnl(state, lane, p)
    state[HELD + lane] += t - state[ENTRY_BAR + lane]
    state[TRADES + lane] += 1.0
    if pnl > 0.0:
        state[WINS + lane] += 1.0
        state[GAINS + lane] += pnl
    else:
        state[LOSSES + lane] -= pnl
    if len(trades) > 0:
        trades[0, 0] += 1.0
        row = trades[int(trades[0, 0])]
        record_trade(state, lane, row, pnl)
        row[T_EXIT_BAR] = t
        row[T_EXIT] = p
        row[T_REASON] = reason
    state[UNITS + lane] = 0.0


@inner
def trade_pnl(state: Floats, lane: int, p: float) -> float:
    gross: float = state[UNITS + lane] * (p - state[ENTRY + lane])
    gross -= state[TRADE_FEES + lane] + state[TRADE_BORROW + lane]
    return gross


@inner
def record_trade(state: Floats, lane: int, row: Floats, pnl: float) -> None:
    row[T_LANE] = lane
    row[T_ENTRY_BAR] = state[ENTRY_BAR + lane]
    row[T_ENTRY] = state[ENTRY + lane]
    row[T_UNITS] = state[UNITS + lane]
    row[T_FEES] = state[TRADE_FEES + lane]
    row[T_PNL] = pnl


@inner
def record_open(state: Floats, lane: int, mark: float, trades: Floats) -> None:
    """Records a trade still open at the end, marked at the last close without exit costs."""
    trades[0, 0] += 1.0
    row = trades[int(trades[0, 0])]
    record_trade(state, lane, row, trade_pnl(state, lane, mark))
    row[T_EXIT_BAR] = -1.0
    row[T_EXIT] = np.nan
    row[T_REASON] = -1.0
