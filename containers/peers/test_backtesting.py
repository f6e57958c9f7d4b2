"""backtesting.py on real prices, one symbol at a time: equity and trades, and how conventions were aligned.

It deals in whole units alone, fills a bar after the decision, and books a close fill on the bar after it.
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest, Strategy

from peers.support import BARS, CASH, CLOSES, NEAR, Ours, crosses, ours, prices, signals

ALL_IN = 1 - 1e-12  # a share of 1 would be one unit
FUNDS = 100_000.0  # so that a unit of an index is a small part of it
NAMES = ("sma_cross", "rsi", "bollinger", "donchian")


def frame_of(sample: str, symbol: str) -> pd.DataFrame:
    """Returns bars under its names; a close is all four prices where there is no more."""
    frame = prices(sample, symbol)
    for name in ("open", "high", "low"):
        if name not in frame:
            frame[name] = frame["close"]
    return frame[["open", "high", "low", "close"]].rename(columns=str.capitalize)


def theirs(frame: pd.DataFrame, decide: Any, **more: Any) -> pd.Series:
    """Runs a function (strategy, bar) at every bar from the second on."""

    class Decided(Strategy):
        def init(self) -> None:
            pass

        def next(self) -> None:
            decide(self, len(self.data) - 1)

    return Backtest(frame, Decided, cash=FUNDS, **more).run()


def follow(entries: Any, exits: Any) -> Any:
    def decide(strategy: Strategy, t: int) -> None:
        if exits[t] and strategy.position:
            strategy.position.close()
        if entries[t] and not strategy.position:
            strategy.buy(size=ALL_IN)

    return decide


def check_trades(mine: Ours, stats: pd.Series) -> None:
    """Its trades come by their exits; one that is open at the end is not among them."""
    trades = stats["_trades"].sort_values("EntryBar").reset_index(drop=True)
    # A close fill of the last bar has no bar after it, on which it would be booked.
    known = mine.trades[pd.DatetimeIndex(mine.trades["exit_date"]) < mine.equity.index[-1]]
    assert len(trades) == len(known)
    assert list(pd.DatetimeIndex(known["entry_date"])) == list(trades["EntryTime"])
    assert list(pd.DatetimeIndex(known["exit_date"])) == list(trades["ExitTime"])
    for name, other in {
        "entry_price": "EntryPrice",
        "exit_price": "ExitPrice",
        "units": "Size",
        "fees": "Commission",
        "pnl": "PnL",
        "return": "ReturnPct",
    }.items():
        np.testing.assert_allclose(known[name], trades[other], rtol=NEAR, atol=1e-9 * CASH, err_msg=name)


def run(sample: str, symbol: str, name: str, parameters: Any, execution: Any, **more: Any) -> Ours:
    return ours(sample, symbol, name, parameters, {"cash": FUNDS, **execution}, **more)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_fills_at_the_next_open_of_whole_units_with_fees(sample: str, symbol: str, name: str) -> None:
    entries, exits, parameters = signals(name, prices(sample, symbol))
    mine = run(sample, symbol, name, parameters, {"fill": "next_open", "fee_bps": 10})
    stats = theirs(frame_of(sample, symbol), follow(entries, exits), commission=0.001)
    check_trades(mine, stats)
    np.testing.assert_allclose(mine.equity, stats["_equity_curve"]["Equity"], rtol=NEAR)
    assert mine.metrics["final_equity"] == pytest.approx(stats["Equity Final [$]"], rel=NEAR)
    assert mine.metrics["max_drawdown"] == pytest.approx(stats["Max. Drawdown [%]"] / 100, rel=NEAR)
    if len(mine.trades) == mine.metrics["trades"]:
        assert mine.metrics["win_rate"] == pytest.approx(stats["Win Rate [%]"] / 100, rel=NEAR)


@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_close_fills_are_booked_a_bar_later(sample: str, symbol: str) -> None:
    """Its fees of a close fill are in the equity from the next bar on: without fees both are the same."""
    entries, exits, parameters = signals("sma_cross", prices(sample, symbol))
    mine = run(sample, symbol, "sma_cross", parameters, {"fill": "close"})
    stats = theirs(frame_of(sample, symbol), follow(entries, exits), trade_on_close=True)
    check_trades(mine, stats)
    np.testing.assert_allclose(mine.equity, stats["_equity_curve"]["Equity"], rtol=NEAR)
    dear = run(sample, symbol, "sma_cross", parameters, {"fill": "close", "fee_bps": 10})
    with_fees = theirs(
        frame_of(sample, symbol), follow(entries, exits), trade_on_close=True, commission=0.001
    )
    check_trades(dear, with_fees)


@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_shorts_and_reversals_of_a_fixed_size(sample: str, symbol: str) -> None:
    close = prices(sample, symbol)["close"].to_numpy()
    up, up_ends, down, down_ends = crosses(close, 20, 60)

    def decide(strategy: Strategy, t: int) -> None:
        if (up_ends[t] and strategy.position.is_long) or (down_ends[t] and strategy.position.is_short):
            strategy.position.close()
        if up[t]:
            strategy.buy(size=3)
        if down[t]:
            strategy.sell(size=3)

    execution = {"fill": "next_open", "fee_bps": 10, "direction": "both", "sizing": {"units": 3}}
    mine = run(sample, symbol, "sma_cross", {"fast": 20, "slow": 60}, execution)
    stats = theirs(frame_of(sample, symbol), decide, commission=0.001)
    assert (mine.trades["units"] < 0).sum() > 20
    check_trades(mine, stats)
    np.testing.assert_allclose(mine.equity, stats["_equity_curve"]["Equity"], rtol=NEAR)


@pytest.mark.parametrize(
    "stops", [{"stop_loss": 0.03}, {"take_profit": 0.04}, {"stop_loss": 0.03, "take_profit": 0.04}]
)
@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_stops_and_take_profits_from_the_close_that_decided(
    sample: str, symbol: str, stops: dict[str, float]
) -> None:
    """Its levels are prices, given with the order."""

    def decide(strategy: Strategy, _t: int) -> None:
        if not strategy.position:
            close = strategy.data.Close[-1]
            levels = {}
            if "stop_loss" in stops:
                levels["sl"] = close * (1 - stops["stop_loss"])
            if "take_profit" in stops:
                levels["tp"] = close * (1 + stops["take_profit"])
            strategy.buy(size=ALL_IN, **levels)

    # It decides from the second bar on.
    start = prices(sample, symbol).index[1].date().isoformat()
    mine = run(
        sample,
        symbol,
        "buy_and_hold",
        {},
        {"fill": "next_open", "fee_bps": 10, "stop_reference": "decision_close", **stops},
        strategy={"entry": "level"},
        data={"dataset": f"sample:{sample}", "symbols": [symbol], "start": start},
    )
    stats = theirs(frame_of(sample, symbol), decide, commission=0.001)
    assert len(mine.trades) > 20
    check_trades(mine, stats)


def test_its_spread_is_paid_at_the_entry_alone() -> None:
    sample, symbol = BARS[0]
    entries, exits, parameters = signals("sma_cross", prices(sample, symbol))
    mine = run(sample, symbol, "sma_cross", parameters, {"fill": "next_open", "slippage_bps": 5})
    trades = theirs(frame_of(sample, symbol), follow(entries, exits), spread=0.0005)["_trades"]
    np.testing.assert_allclose(mine.trades["entry_price"], trades["EntryPrice"], rtol=NEAR)
    np.testing.assert_allclose(mine.trades["exit_price"], trades["ExitPrice"] * (1 - 0.0005), rtol=NEAR)


def test_it_closes_the_last_trade_at_the_last_open_if_it_is_to_close_it() -> None:
    sample, symbol = BARS[1]
    frame = frame_of(sample, symbol)
    held = np.zeros(len(frame), dtype=bool)
    entries = held.copy()
    entries[1] = True
    stats = theirs(frame, follow(entries, held), finalize_trades=True)
    assert stats["_trades"]["ExitPrice"].iloc[0] == frame["Open"].iloc[-1]
    start = frame.index[1].date().isoformat()
    mine = run(
        sample,
        symbol,
        "buy_and_hold",
        {},
        {"fill": "next_open", "close_at_end": True},
        data={"dataset": f"sample:{sample}", "symbols": [symbol], "start": start},
        strategy={"entry": "level"},
    )
    assert mine.trades["exit_price"].iloc[0] == frame["Close"].iloc[-1]


def test_its_ratios_are_geometric() -> None:
    """Its Sharpe ratio is that of compounded returns; its profit factor is of returns, ours of money."""
    sample, symbol = BARS[0]
    entries, exits, parameters = signals("sma_cross", prices(sample, symbol))
    mine = run(sample, symbol, "sma_cross", parameters, {"fill": "next_open"})
    stats = theirs(frame_of(sample, symbol), follow(entries, exits))
    returns = mine.equity.pct_change().dropna()  # n dates give it n - 1 returns
    mean = np.exp(np.log1p(returns).mean()) - 1
    year = (1 + mean) ** 252 - 1
    risk = np.sqrt((returns.var() + (1 + mean) ** 2) ** 252 - (1 + mean) ** (2 * 252))
    assert stats["Return (Ann.) [%]"] == pytest.approx(year * 100, rel=NEAR)
    assert stats["Sharpe Ratio"] == pytest.approx(year / risk, rel=NEAR)
    gains = mine.trades["return"]
    factor = gains[gains > 0].sum() / -gains[gains < 0].sum()
    assert stats["Profit Factor"] == pytest.approx(factor, rel=NEAR)


@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_an_exit_that_is_pending_goes_before_the_stop(sample: str, symbol: str) -> None:
    entries, exits, _, _ = crosses(prices(sample, symbol)["close"].to_numpy(), 3, 8)

    def decide(strategy: Strategy, t: int) -> None:
        if exits[t] and strategy.position:
            strategy.position.close()
        if entries[t] and not strategy.position:
            strategy.buy(size=1, sl=strategy.data.Close[-1] * 0.99)

    stops = {"stop_loss": 0.01, "stop_reference": "decision_close"}
    execution = {"fill": "next_open", "sizing": {"units": 1}, **stops}
    mine = run(sample, symbol, "sma_cross", {"fast": 3, "slow": 8}, execution)
    reasons = mine.trades["exit_reason"].value_counts()
    assert reasons["signal"] > 100
    assert reasons["stop_loss"] > 100
    check_trades(mine, theirs(frame_of(sample, symbol), decide))


def test_its_fixed_commission_counts_for_each_unit_where_a_share_is_sized() -> None:
    frame = pd.DataFrame(
        100.0, index=pd.date_range("2020-01-01", periods=9), columns=["Open", "High", "Low", "Close"]
    )
    entries, never = np.zeros(9, dtype=bool), np.zeros(9, dtype=bool)
    entries[2] = True
    stats = theirs(frame, follow(entries, never), commission=(5, 0), finalize_trades=True)
    assert stats["_trades"]["Size"].iloc[0] == FUNDS // (100 + 5)
